"""Early stopping, against a loop, and the probe that keeps the best."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxml import learn
from jaxml.types import Batch, InputError


def by_loop(curve: np.ndarray, patience: int) -> tuple[int, int]:
    best, least = 0, np.inf
    for place, value in enumerate(curve):
        if value < least:
            best, least = place, value
        if place - best >= patience:
            return best, place
    return best, len(curve) - 1


@pytest.mark.oracle
def test_every_patience_stops_where_a_loop_would() -> None:
    curves = np.random.default_rng(0).integers(0, 6, (30, 8)).astype(np.float32)
    curves[0, 2] = np.nan
    patience = 1 + np.arange(30) % 5
    best, last = learn.stopped_early(curves, patience=patience)
    for place, curve in enumerate(curves):
        ours = int(best[place]), int(last[place])
        assert ours == by_loop(curve, int(patience[place]))
    assert jax.jit(learn.stopped_early)(curves).best.tolist() == [
        int(np.nanargmin(curve)) for curve in curves
    ]


@pytest.mark.identity
def test_the_probe_keeps_what_the_curve_would_go_back_to() -> None:
    data = Batch(jnp.ones((1, 1)), jnp.ones(1), jnp.ones(1))

    def loss(params, state, batch, key):
        return jnp.sum(params), state  # steps of -1 from 0

    def held_out(params, own):
        return jnp.abs(params[0] + 3.0) * (1 + jnp.sin(5 * params[0]) / 2)

    def place(params, own):
        return params[0]

    def start(key):
        return jnp.zeros(1), ()

    def of_patience(patience):
        probe = learn.keeping_best({"place": place}, by=held_out, patience=patience)
        training = learn.training(
            start, loss, learn.sgd, learn.full(data), steps=8, every=1, probe=probe
        )
        return learn.sweep(training, learn.grid(learn.Hyper, lr=[1.0]), lanes=1)

    curve = [float(held_out(jnp.array([-float(k)]), None)) for k in range(1, 9)]
    for patience in (1, 3):
        seen = of_patience(patience).trace.probed
        best = int(learn.stopped_early(np.array(curve), patience=patience).best)
        assert float(seen["place"][0, -1]) == -(best + 1)
        assert int(seen["updates"][0, -1]) == best + 1


@pytest.mark.identity
def test_no_patience_is_refused() -> None:
    with pytest.raises(InputError, match="1 or more"):
        learn.stopped_early(np.ones(3), patience=0)
