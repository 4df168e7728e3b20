"""Rates scaled with the batch size: what each power keeps, and what is refused."""

from itertools import product
from typing import NamedTuple

import jax
import numpy as np
import pytest

from jaxml import learn
from jaxml.types import InputError

GRID = learn.grid(learn.Hyper, lr=[0.1, 0.3], warmup=[4], seed=[1, 2])


@pytest.mark.oracle
@pytest.mark.parametrize("times", [2, 3])
def test_linear_scaling_keeps_the_path_of_one_gradient(times):
    """k updates along one gradient, in float64, and one at the scaled rate."""
    with jax.enable_x64(True):
        grid = learn.grid(learn.Hyper, lr=[0.1, 0.3])
        scaled = learn.scaled(grid, 5 * times, reference=5)
    gradient = np.array([1.0, -2.0])
    for small, large in zip(grid.lr, scaled.lr, strict=True):
        path = np.zeros(2)
        for _ in range(times):
            path = path - small * gradient
        np.testing.assert_allclose(-large * gradient, path, rtol=1e-14)


@pytest.mark.oracle
def test_the_square_root_keeps_the_variance_of_an_update():
    """Of all ordered draws of 1 and of 4 examples with replacement from three."""
    gradients = np.array([1.0, 2.0, 6.0])
    spread = {}
    for size in (1, 4):
        rate = learn.scaled(GRID, size, reference=1, power=0.5).lr[0]
        draws = np.array(list(product(gradients, repeat=size)))
        spread[size] = np.var(float(rate) * draws.mean(axis=1))
    np.testing.assert_allclose(spread[4], spread[1], rtol=1e-6)


@pytest.mark.identity
def test_nothing_else_is_scaled_and_back_again_is_where_it_was():
    there = learn.scaled(GRID, 100, reference=25, power=0.5)
    assert there.lr.dtype == GRID.lr.dtype
    for name in set(GRID._fields) - {"lr"}:
        np.testing.assert_array_equal(getattr(there, name), getattr(GRID, name))
    back = learn.scaled(there, 25, reference=100, power=0.5)
    np.testing.assert_array_equal(back.lr, GRID.lr)
    same = learn.scaled(GRID, 100, reference=25, power=0.0)
    np.testing.assert_array_equal(same.lr, GRID.lr)
    assert float(learn.scaled(learn.Hyper(lr=1), 8, reference=4).lr) == 2.0


class Rateless(NamedTuple):
    """Hyperparameters without a rate."""

    seed: int = 0


@pytest.mark.identity
@pytest.mark.parametrize(
    ("hypers", "given", "words"),
    [
        (Rateless(), {"size": 4}, "Rateless has no field lr.*give a NamedTuple"),
        (GRID, {"size": 0}, "size of 0 is no batch size.*1 or more"),
        (GRID, {"size": 4, "reference": -1}, "reference of -1 is no batch size"),
        (GRID, {"size": 4, "power": float("nan")}, "no power of nan.*give 1"),
        (GRID, {"size": 10**6, "power": 9.0}, "beyond what float32.*smaller power"),
        (GRID, {"size": 10**6, "power": -9.0}, "beyond what float32 can hold"),
    ],
)
def test_what_cannot_be_scaled_is_refused(hypers, given, words):
    with pytest.raises(InputError, match=words):
        learn.scaled(hypers, **{"reference": 2, **given})
