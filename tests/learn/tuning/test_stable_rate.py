"""The largest stable rate: that of gradient descent on a parabola is 2 / λ."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxml import learn
from jaxml.types import Batch, InputError


@pytest.mark.oracle
def test_gradient_descent_is_stable_below_two_over_the_curvature():
    """Of two parabolas at once, by seed: λ = 4 and λ = 10."""

    def start(key):
        return {"w": jnp.ones(1)}, {}

    def loss(params, state, batch, key):
        curved = batch.targets[0, 0] * jnp.sum(params["w"] ** 2) / 2
        return curved, state

    def bound(curvature):
        data = Batch(jnp.ones((1, 1)), curvature.reshape(1, 1), jnp.ones(1))
        training = learn.training(start, loss, learn.sgd, learn.full(data), steps=60)
        stable = learn.ends_below_start(training, learn.Hyper(lr=0.1))
        return learn.largest_stable_rate(stable, low=1e-3, high=10.0, rounds=5)

    found = jax.jit(jax.vmap(bound))(jnp.array([4.0, 10.0]))
    for place, curvature in enumerate((4.0, 10.0)):
        assert found.stable[place] == pytest.approx(2 / curvature, rel=1e-3)
        assert found.stable[place] < 2 / curvature <= found.unstable[place] * (1 + 1e-6)


@pytest.mark.identity
def test_the_lowest_failure_counts_and_ends_of_the_range_are_told():
    search = partial(learn.largest_stable_rate, low=0.01, high=100.0, rounds=3)
    window = search(lambda rate: (rate < 1) | (rate > 5), points=9)
    assert float(window.stable) < 1 <= float(window.unstable)
    all_stable = search(lambda rate: rate > 0)
    assert float(all_stable.stable) == 100 and np.isinf(all_stable.unstable)
    none = search(lambda rate: rate < 0)
    assert np.isnan(none.stable)
    assert float(none.unstable) == pytest.approx(0.01)


@pytest.mark.identity
def test_a_search_for_nothing_is_refused():
    def stable(rate):
        return rate < 1

    with pytest.raises(InputError, match=r"between 2.0 and 1.0: give low < high"):
        learn.largest_stable_rate(stable, low=2.0, high=1.0)
    with pytest.raises(InputError, match="2 points and 1 rounds narrow nothing: give"):
        learn.largest_stable_rate(stable, low=1.0, high=2.0, points=2, rounds=1)
