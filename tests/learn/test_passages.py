"""First passages, counted in closed form and by a loop."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxml import learn
from jaxml.types import Batch, InputError


def update(step, x):
    return 1.5 * x + 0.1 * step.astype(x.dtype)


def passed(x):
    return jnp.stack([x > 2, jnp.abs(x - 6) < 1, x < 0, jnp.isnan(x)])


@pytest.mark.oracle
@pytest.mark.parametrize("every", [1, 3])
def test_first_passages_are_those_of_a_loop(every):
    with jax.enable_x64(True):
        found = learn.first_passages(
            update, passed, jnp.array(1.0), limit=7, every=every
        )
    x, first = 1.0, np.full(4, 7)
    for step in range(7 + every):
        x = 1.5 * x + 0.1 * step
        if (step + 1) % every == 0:
            holds = np.array([x > 2, abs(x - 6) < 1, False, False])
            first = np.where(holds, np.minimum(first, step + 1), first)
    np.testing.assert_array_equal(found, first)


@pytest.mark.oracle
def test_what_is_no_number_passes_nothing():
    found = learn.first_passages(
        lambda _, x: x * jnp.inf,
        lambda x: jnp.stack([x > 0, x < 0]),
        jnp.zeros(()),
        limit=5,
        every=1,
    )
    assert found.tolist() == [5, 5]


@pytest.mark.compiles_once
def test_the_limit_is_traced():
    traced = []

    @jax.jit
    def counted(limit):
        traced.append(limit)
        start = jnp.float32(1)
        return learn.first_passages(
            lambda _, x: x + 1, lambda x: x[None] >= 4, start, limit=limit, every=1
        )

    assert [counted(limit).item() for limit in (2, 9)] == [2, 3]
    assert len(traced) == 1


@pytest.mark.oracle
def test_no_look_is_refused():
    with pytest.raises(InputError, match="use 1 or more"):
        learn.first_passages(update, passed, jnp.array(1.0), limit=7, every=0)


@pytest.mark.oracle
def test_a_run_that_is_no_number_ends():
    """Its steps are counted by a state that goes on as long as the run does."""
    steps = []

    def update(step, x):
        jax.debug.callback(lambda at: steps.append(int(at)), step)
        return x * jnp.inf

    learn.first_passages(
        update, lambda x: x[None] > 0, jnp.zeros(()), limit=100, every=3
    )
    jax.effects_barrier()
    assert sorted(steps) == [0, 1, 2]


@pytest.mark.oracle
@pytest.mark.parametrize("beta", [0.0, 0.9])
def test_a_heavy_ball_passes_as_a_loop_has_it(beta):
    curvature, rate = np.array([1.0, -0.2]), 0.3

    def gradient(x, step):
        del step
        return jnp.asarray(curvature) * x

    def passed(x):
        return jnp.stack([jnp.abs(x[1]) > 2, jnp.abs(x[0]) < 0.5])

    with jax.enable_x64(True):
        run = learn.heavy_ball_passage(
            gradient,
            passed,
            jnp.array([1.0, 0.1]),
            rate=rate,
            beta=beta,
            limit=60,
            every=1,
        )
    x, velocity, first = np.array([1.0, 0.1]), np.zeros(2), [60, 60]
    for step in range(60):
        velocity = beta * velocity + curvature * x
        x = x - rate * velocity
        for event, holds in enumerate([abs(x[1]) > 2, abs(x[0]) < 0.5]):
            if holds:
                first[event] = min(first[event], step + 1)
    assert float(run.updates) == max(first)
    assert bool(run.stayed) == (max(first) == 60)


@pytest.mark.identity
def test_a_subset_holds_different_examples():
    with jax.enable_x64(True):
        places = jnp.arange(20.0)
        data = Batch(places[:, None], 2 * places, jnp.ones(20))
        own = learn.subset(data, 7, key=jax.random.key(3))
    assert len(set(own.targets.tolist())) == 7
    np.testing.assert_array_equal(2 * np.asarray(own.inputs)[:, 0], own.targets)
