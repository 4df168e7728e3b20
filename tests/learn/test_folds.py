"""Folds hold each example out once, and do not leak."""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxml import learn
from jaxml.types import Batch, InputError

KEY = jax.random.key(0)
COUNT = 11
DATA = Batch(
    np.arange(COUNT, dtype=np.float32)[:, None],
    np.arange(COUNT),
    np.ones(COUNT, np.float32),
)


def present(part: Batch, fold: int) -> set[int]:
    return set(part.targets[fold][part.weights[fold] > 0].tolist())


@pytest.mark.parametrize("k", [2, 3, COUNT])
@pytest.mark.identity
def test_each_example_is_held_out_once_and_trains_otherwise(k: int) -> None:
    made = learn.folds(DATA, k, key=KEY)
    held = [present(made.test, fold) for fold in range(k)]
    assert sum(map(len, held)) == COUNT
    assert set.union(*held) == set(range(COUNT))
    for fold, own in enumerate(held):
        assert present(made.train, fold) == set(range(COUNT)) - own
    assert max(map(len, held)) - min(map(len, held)) <= 1


@pytest.mark.identity
def test_groups_stay_together() -> None:
    groups = np.array(list("aabbbcddddd"))
    made = learn.grouped_folds(DATA, groups, 3, key=KEY)
    sizes = []
    for fold in range(3):
        held = {str(name) for name in groups[sorted(present(made.test, fold))]}
        trained = {str(name) for name in groups[sorted(present(made.train, fold))]}
        assert not held & trained
        sizes.append(len(present(made.test, fold)))
    assert sorted(sizes) == [3, 3, 5]


@pytest.mark.identity
def test_in_time_no_fold_trains_on_what_comes_later() -> None:
    times = np.arange(COUNT)[::-1]
    made = learn.folds_in_time(DATA, times, 3, gap=1)
    for fold in range(3):
        first = min(times[sorted(present(made.test, fold))])
        assert max(times[sorted(present(made.train, fold))]) < first - 1
    assert present(made.test, 2) == {0, 1}


class Point(NamedTuple):
    lr: Any
    fold: Any
    momentum: Any = 0.0
    weight_decay: Any = 0.0
    warmup: Any = 0.0
    horizon: Any = 0.0
    seed: Any = 0


@pytest.mark.identity
def test_all_folds_are_one_program_whose_runs_are_those_of_each_fold() -> None:
    made = learn.folds(DATA, 3, key=KEY)

    def loss(params, state, batch, key):
        off = params - batch.inputs[:, 0]
        return jnp.sum(batch.weights * off**2) / jnp.sum(batch.weights), state

    def start(key):
        return jnp.zeros(1), ()

    def of_point(point: Point) -> learn.Training:
        batches = learn.by_fold(made, point.fold, len(made.train.weights[0]))
        return learn.training(start, loss, learn.sgd, batches, steps=1)

    training = learn.at_each_point(of_point, Point(0.5, 0))
    grid = learn.grid(Point, lr=[0.5], fold=[0, 1, 2])
    ends = learn.sweep(training, grid, lanes=3).params[:, 0]
    means = [np.mean(sorted(present(made.train, fold))) for fold in range(3)]
    np.testing.assert_allclose(ends, means, rtol=1e-6)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (partial(learn.folds, DATA, 12, key=KEY), "11 examples make no 12 folds"),
        (
            partial(learn.grouped_folds, DATA, [0] * 5 + [1] * 6, 3, key=KEY),
            "2 groups make no 3 folds",
        ),
        (partial(learn.folds_in_time, DATA, np.zeros(COUNT), 1), "1 different times"),
        (
            partial(
                learn.assigned_folds,
                DATA,
                np.arange(COUNT) % 2,
                times=np.arange(COUNT),
            ),
            "leaks: use `folds_in_time`",
        ),
        (partial(learn.folds_in_time, DATA, DATA.targets, 2, gap=99), "shorten it"),
        (
            partial(
                learn.by_fold, learn.folds_in_time(DATA, DATA.targets, 3), 0, size=2
            ),
            "padding",
        ),
        (partial(learn.selected, np.array([[np.nan]])), "give a number"),
    ],
)
@pytest.mark.identity
def test_folds_that_cannot_be_are_refused_in_a_sentence(call, words) -> None:
    with pytest.raises(InputError, match=words):
        call()
