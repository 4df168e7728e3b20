"""Grids hold what was asked for, or refuse it in a sentence: counts, seeds, precision,
axes.
"""

from collections import namedtuple
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxml import learn
from jaxml.types import Batch, InputError

DATA = Batch(
    np.zeros((4, 1), np.float32), np.zeros((4, 1), np.float32), np.ones(4, np.float32)
)


def experiment(dtype):
    """Descent on p² / 2 from 1, in that precision."""

    def loss(params, state, batch, key):
        return 0.5 * params**2, state

    return learn.training(
        lambda key: (jnp.ones((), dtype), {}),
        loss,
        learn.sgd,
        learn.full(DATA),
        steps=3,
    )


class Own(NamedTuple):
    lr: float
    turns: int
    width: "int"
    depth: int = 2


@pytest.mark.identity
@pytest.mark.parametrize(
    ("axes", "sentence"),
    [
        (
            {"seed": [2**31]},
            "seed must lie within int32, not 2147483648: give at most 2147483647",
        ),
        ({"seed": [0, 2**70]}, "seed must lie within int32"),
        (
            {"seed": np.array([5, 2**32 + 5])},
            "seed must lie within int32, not 4294967301",
        ),
        ({"seed": np.array([2**63], np.uint64)}, "seed must lie within int32"),
        ({"seed": [0.5, 1.5]}, "seed counts something .* cannot be 0.5"),
        ({"seed": [float("nan")]}, "seed counts something .* cannot be nan"),
        ({"seed": [float("inf")]}, "seed counts something .* cannot be inf"),
        ({"period": [2.5]}, "period counts something .* cannot be 2.5"),
        ({"period": jnp.array([2.5])}, "period counts something .* cannot be 2.5"),
        ({"average_from": 1.5}, "average_from counts something .* cannot be 1.5"),
        ({"lr": [1e39]}, "lr of 1e[+]39 is inf in float32"),
        ({"lr": [1e-50]}, "lr of 1e-50 is 0.0 in float32"),
        ({"lr": [2**2000]}, "lr"),
        (
            {"lr": {0.1, 0.2}},
            "axis lr of the grid holds .* which is no number: give a list",
        ),
        ({"lr": {0.1: 0.2}}, "axis lr of the grid holds .* which is no number"),
        ({"lr": "0.1"}, "axis lr of the grid holds '0.1', which is no number"),
        ({"lr": ["0.1"]}, "axis lr of the grid holds '0.1', which is no number"),
        ({"lr": None}, "axis lr of the grid holds None, which is no number"),
        ({"lr": [1j]}, "axis lr of the grid holds 1j, which is no number"),
        ({"lr": np.array([1j])}, "which is no number"),
        ({"lr": [[0.1], [0.2]]}, "which is no number"),
        ({"lr": np.ones((2, 2))}, "which is no number"),
        ({"lr": np.array([object()])}, "which is no number"),
        ({"lr": jax.random.key(0)}, "which is no number"),
        ({"lr": iter([])}, "the axis lr of the grid is empty"),
    ],
)
def test_an_axis_that_cannot_be_held_is_refused_in_a_sentence(axes, sentence):
    with pytest.raises(InputError, match=sentence):
        learn.grid(learn.Hyper, **{"lr": [0.1]} | axes)


@pytest.mark.identity
def test_a_traced_axis_is_refused_in_a_sentence():
    with pytest.raises(InputError, match="holds a traced value, which is no number"):
        jax.jit(lambda rate: learn.grid(learn.Hyper, lr=[rate]).lr)(0.1)


@pytest.mark.identity
def test_fields_count_by_default_or_by_annotation_of_either_form():
    kind = learn.grid(Own, lr=[0.1], turns=[3], width=[4])
    assert [column.dtype for column in kind] == [
        np.float32,
        np.int32,
        np.int32,
        np.int32,
    ]
    for name in ("turns", "width", "depth"):
        with pytest.raises(InputError, match=f"{name} counts something"):
            learn.grid(Own, **{"lr": [0.1], "turns": [3], "width": [4]} | {name: [1.5]})


@pytest.mark.identity
def test_a_record_without_annotations_makes_a_grid_and_something_else_does_not():
    bare = namedtuple("bare", ["lr"])
    assert learn.grid(bare, lr=[1, 2]).lr.dtype == np.float32
    with pytest.raises(InputError, match="has no fields to make a grid of"):
        learn.grid(dict, lr=[0.1])


@pytest.mark.identity
@pytest.mark.parametrize(
    "axis",
    [
        (10.0**-k for k in range(3)),
        map(float, ["1", "0.1", "0.01"]),
        {1.0: "a", 0.1: "b", 0.01: "c"}.keys(),
        (1, 0.1, 0.01),
        np.array([1.0, 0.1, 0.01]),
        np.array([1.0, 0.1, 0.01], object),
        jnp.array([1.0, 0.1, 0.01]),
        [np.float32(1), jnp.float32(0.1), 0.01],
    ],
    ids=lambda axis: type(axis).__name__,
)
def test_any_ordered_collection_of_numbers_is_an_axis(axis):
    hypers = learn.grid(learn.Hyper, lr=axis, seed=range(2))
    np.testing.assert_array_equal(
        hypers.lr, np.array([1, 1, 0.1, 0.1, 0.01, 0.01], np.float32)
    )


@pytest.mark.identity
def test_whole_numbers_written_as_floats_count():
    hypers = learn.grid(learn.Hyper, lr=[0.1], seed=[1.0, 2.0], period=np.array([3.0]))
    assert hypers.seed.tolist() == [1, 2] and hypers.period.tolist() == [3, 3]
    assert hypers.seed.dtype == hypers.period.dtype == np.int32


@pytest.mark.identity
@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            lambda hypers: learn.Hyper(lr=0.1),
            r"lr has the shape \(\) where a grid has one number a run",
        ),
        (
            lambda hypers: hypers._replace(lr=np.ones((2, 1))),
            r"lr has the shape \(2, 1\)",
        ),
        (
            lambda hypers: hypers._replace(lr=np.ones(3)),
            "lr has 3 numbers and momentum 2",
        ),
        (
            lambda hypers: hypers._replace(seed=np.array([5, 2**32 + 5])),
            "seed must lie within int32",
        ),
        (
            lambda hypers: hypers._replace(seed=np.array([0.0, 1.0])),
            "seed counts something and its column is",
        ),
        (
            lambda hypers: hypers._replace(period=np.array([2.5, 3.5])),
            "period counts something",
        ),
        (lambda hypers: {"lr": np.ones(2)}, "A dict is no grid of hyperparameters"),
        (lambda hypers: 0.1, "A float is no grid of hyperparameters"),
    ],
)
def test_a_sweep_of_no_grid_is_refused_in_a_sentence(change, sentence):
    hypers = change(learn.grid(learn.Hyper, lr=[0.1], seed=range(2)))
    with pytest.raises(InputError, match=sentence):
        learn.sweep(experiment(np.float32), hypers, lanes=2)
    with pytest.raises(InputError, match=sentence):
        learn.compiled(experiment(np.float32), hypers, lanes=2)


@pytest.mark.oracle
def test_a_grid_keeps_its_digits_in_the_precision_of_the_run():
    """0.9 in float32 is 0.89999998: a float64 run of such a grid is refused, one of
    float64 is right.
    """
    outside = learn.grid(learn.Hyper, lr=[0.9])
    with jax.enable_x64(True):
        inside = learn.grid(learn.Hyper, lr=[0.9])
        with pytest.raises(
            InputError, match=r"lr was rounded to float32 .*enable_x64\(True\)"
        ):
            learn.sweep(experiment(np.float64), outside, lanes=1)
        right = learn.sweep(experiment(np.float64), inside, lanes=1)
        single = learn.sweep(experiment(np.float32), outside, lanes=1)
    assert inside.lr.dtype == np.float64 and inside.lr[0] == 0.9
    np.testing.assert_allclose(right.params, (1 - 0.9) ** 3, rtol=1e-14)
    assert single.params.dtype == np.float32


@pytest.mark.identity
def test_different_seeds_are_different_runs():
    """The largest seed included."""

    def begin(key):
        return jax.random.normal(key, (2,)), {}

    def loss(params, state, batch, key):
        return jnp.sum(params**2), state

    training = learn.training(begin, loss, learn.sgd, learn.full(DATA), steps=1)
    sweep = partial(learn.sweep, training, lanes=4)
    seeds = [0, 1, 2**31 - 2, 2**31 - 1]
    params = sweep(learn.grid(learn.Hyper, lr=[0.0], seed=seeds)).params
    assert len(np.unique(params[:, 0])) == 4


@pytest.mark.identity
def test_joined_grids_follow_one_another():
    first = learn.grid(learn.Hyper, lr=[0.1, 0.2], seed=[3])
    second = learn.grid(learn.Hyper, lr=[0.4], weight_decay=[0.5])
    both = learn.joined([first, second])
    for name in learn.Hyper._fields:
        column = getattr(both, name)
        assert column.dtype == getattr(first, name).dtype
        assert column[:2].tolist() == getattr(first, name).tolist()
        assert column[2:].tolist() == getattr(second, name).tolist()


@pytest.mark.identity
def test_grids_of_two_kinds_or_none_at_all_are_not_joined():
    own = learn.grid(Own, lr=[0.1], turns=[1], width=[2])
    with pytest.raises(InputError, match="2 grids of 2 kinds"):
        learn.joined([own, learn.grid(learn.Hyper, lr=[0.1])])
    with pytest.raises(InputError, match="give one grid or more"):
        learn.joined([])
