"""Hyperparameters: what validate refuses, and the grid as a product in the order of its
keywords.
"""

import itertools
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxml import learn
from jaxml.types import InputError

INTEGERS = ("period", "average_from", "seed")


def twelve_runs():
    hypers = learn.grid(
        learn.Hyper,
        lr=[0.01, 0.05],
        momentum=[0.5, 0.95],
        warmup=[0.0, 4.0, 7.5],
        horizon=[90.0],
        epsilon=[1e-3],
    )
    return hypers._replace(
        horizon=np.linspace(60, 90, 12, dtype=np.float32),
        period=np.arange(1, 13, dtype=np.int32),
    )


@pytest.mark.oracle
@pytest.mark.parametrize(
    "good",
    [
        learn.Hyper(lr=0.1),
        learn.Hyper(lr=0.1, momentum=0.0, second_moment=0.0),
        learn.Hyper(lr=0.1, warmup=5.0),
        learn.Hyper(lr=0.1, pull=0.0),
        learn.Hyper(lr=0.1, pull=1.0),
        learn.Hyper(lr=0.1, horizon=10.0, warmup=10.0),
        twelve_runs(),
        jax.tree.map(jnp.asarray, twelve_runs()),
    ],
)
def test_validate_lets_pass(good):
    learn.validate(good)


@pytest.mark.oracle
@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("lr", -0.1),
        ("lr", math.nan),
        ("lr", np.array([0.1, -0.1], np.float32)),
        ("lr", jnp.array([math.nan, 0.1])),
        ("lr", np.zeros(0, np.float32)),
        ("momentum", 1.0),
        ("momentum", -0.1),
        ("momentum", math.nan),
        ("momentum", np.array([0.9, 1.0], np.float32)),
        ("second_moment", 1.0),
        ("second_moment", -0.1),
        ("second_moment", math.nan),
        ("second_moment", jnp.array([0.9, 1.5])),
        ("warmup", 10.5),
        ("warmup", np.array([3.0, 11.0], np.float32)),
        ("seed", np.zeros(0, np.int32)),
        ("pull", 2.0),
        ("pull", -0.1),
        ("horizon", -1.0),
    ],
)
def test_validate_names_what_is_wrong(field, value):
    word = {"warmup": "warm-?up"}.get(field, field)
    with pytest.raises(InputError, match=word):
        learn.validate(learn.Hyper(lr=0.1, horizon=10.0)._replace(**{field: value}))


@pytest.mark.oracle
@settings(max_examples=25, deadline=None, database=None)
@given(
    rates=st.lists(st.floats(2**-20, 10.0, width=32), min_size=1, max_size=4),
    periods=st.lists(st.integers(1, 9), min_size=1, max_size=3),
    seeds=st.integers(1, 5),
)
def test_grid_is_the_product_in_the_order_of_its_keywords(rates, periods, seeds):
    hypers = learn.grid(learn.Hyper, period=periods, lr=rates, seed=range(seeds))
    columns = (np.asarray(x).tolist() for x in (hypers.period, hypers.lr, hypers.seed))
    assert list(zip(*columns, strict=True)) == list(
        itertools.product(periods, rates, range(seeds))
    )
    assert type(hypers) is learn.Hyper
    for field, values in hypers._asdict().items():
        assert values.shape == (len(periods) * len(rates) * seeds,)
        assert values.dtype == (np.int32 if field in INTEGERS else np.float32), field
    for field in hypers._field_defaults.keys() - {"period", "seed"}:
        assert np.all(
            np.asarray(getattr(hypers, field))
            == np.float32(hypers._field_defaults[field])
        )


@pytest.mark.oracle
def test_grid_keeps_a_real_field_real():
    """Horizons are counted in updates, so one writes integers; a second dtype is a
    second compilation.
    """
    hypers = learn.grid(learn.Hyper, lr=[1, 2], horizon=[675, 3])
    assert hypers.lr.dtype == hypers.horizon.dtype == np.float32


class Own(NamedTuple):
    """The hyperparameters of a study of one's own."""

    width: float
    depth: int = 2


@pytest.mark.oracle
def test_grid_of_another_record():
    hypers = learn.grid(Own, width=np.array([0.5, 1.0], np.float32))
    assert type(hypers) is Own
    assert np.asarray(hypers.width).tolist() == [0.5, 1.0]
    assert np.asarray(hypers.depth).tolist() == [2, 2]


@pytest.mark.oracle
@pytest.mark.parametrize(
    ("axes", "word"),
    [
        ({"lr": [0.1], "learning_rate": [0.1]}, "learning_rate"),
        ({"lr": []}, "lr"),
        ({"lr": [0.1], "seed": range(0)}, "seed"),
        ({"seed": range(3)}, "lr"),
    ],
)
def test_grid_names_what_is_wrong(axes, word):
    with pytest.raises(InputError, match=word):
        learn.grid(learn.Hyper, **axes)
