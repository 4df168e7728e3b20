"""Runs from given parameters against those of a sweep and of the equation."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxml import learn, problem
from jaxml.types import InputError, Params

DATA = problem.examples(np.ones((4, 1), np.float32), np.ones((4, 1), np.float32))


def _parabola(params: Params, state: None, batch: object, key: object) -> tuple:
    del batch, key
    return 0.5 * jnp.sum(params**2), state


def _at_its_place(hyper: learn.Hyper, given: jax.Array) -> tuple[jax.Array, None]:
    return given[hyper.seed], None


@pytest.mark.oracle
def test_each_run_begins_where_it_is_told_to() -> None:
    """On θ²/2 gradient descent leaves (1 - η)³ of the start; one program, two calls."""
    training = learn.training(
        lambda key: (jnp.zeros(1), None),
        _parabola,
        learn.sgd,
        learn.full(DATA),
        steps=3,
        every=1,
        probe=learn.measuring({"size": jnp.sum}),
    )
    grid = learn.grid(learn.Hyper, lr=[0.1, 0.5], seed=range(3))
    starts = np.array([[1.0], [2.0], [4.0]], np.float32)
    execute = learn.begun_at(training, _at_its_place, grid, starts, lanes=4)
    for factor in (1, -3):
        ended = execute(grid, factor * starts)
        left = factor * starts[grid.seed] * (1 - grid.lr[:, None]) ** 3
        np.testing.assert_allclose(ended.params, left, rtol=1e-6)
        np.testing.assert_allclose(ended.seen["size"], left[:, 0], rtol=1e-6)
        first = 0.5 * np.square(factor * starts[grid.seed, 0])
        np.testing.assert_allclose(ended.loss[:, 0], first, rtol=1e-6)
        assert np.all(ended.diverged_at == -1)
    with pytest.raises(InputError, match="give 1 or more"):
        learn.begun_at(training, _at_its_place, grid, starts, lanes=0)
