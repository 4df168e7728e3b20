"""Losses along a training on drawn batches."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxml import learn
from jaxml.types import InputError


def _square(params, batch):
    return (params - batch) ** 2


def test_evaluations_divide_the_updates():
    with pytest.raises(InputError, match="choose a number that divides them"):
        learn.losses_along(
            _square,
            optax.sgd(0.1),
            jnp.array(1.0),
            lambda n: 0.0,
            [0.0],
            updates=5,
            evaluations=2,
        )


def test_each_set_is_evaluated_and_the_last_row_is_the_end():
    losses = learn.losses_along(
        _square,
        optax.sgd(0.5),
        jnp.array(1.0),
        lambda number: 0.0,
        [0.0, 2.0],
        updates=2,
        evaluations=1,
    )
    np.testing.assert_array_equal(losses, [[0.0, 4.0]])


def test_rows_beyond_the_count_are_never_drawn():
    draw = learn.drawn_rows(np.arange(8), jax.random.key(0), count=3, size=64)
    assert set(np.asarray(draw(jnp.array(1)))) == {0, 1, 2}
    assert np.any(draw(jnp.array(1)) != draw(jnp.array(2)))


def test_the_best_row_is_picked_per_run():
    values = np.arange(8.0).reshape(2, 2, 2)
    badness = np.array([[0.0, 1.0], [1.0, 0.0]])
    assert learn.at_least(values, badness).tolist() == [[0.0, 1.0], [6.0, 7.0]]
