"""The nearest-neighbour test of two samples."""

import numpy as np
import pytest

from jaxml.learn.diagnosis.shift import NEIGHBOURS, shift
from jaxml.types import InputError


def brute_force(first: np.ndarray, second: np.ndarray) -> float:
    """Schilling's T by the definition: all distances, sorted."""
    pooled = np.concatenate([first, second]).astype(np.float64)
    pooled = pooled / np.std(pooled, axis=0)
    labels = np.array([0] * len(first) + [1] * len(second))
    hits = 0
    for row in range(len(pooled)):
        distances = np.sum((pooled - pooled[row]) ** 2, axis=1)
        distances[row] = np.inf
        hits += np.sum(labels[np.argsort(distances)[:NEIGHBOURS]] == labels[row])
    return hits / (len(pooled) * NEIGHBOURS)


@pytest.mark.oracle
def test_the_fraction_is_that_of_all_distances() -> None:
    random = np.random.default_rng(0)
    first, second = random.normal(size=(30, 3)), random.normal(0.5, 1, size=(40, 3))
    found = shift(first, second)
    assert found.fraction == pytest.approx(brute_force(first, second), abs=1e-12)


@pytest.mark.statistics
def test_of_one_distribution_it_rejects_about_as_often_as_it_says() -> None:
    random = np.random.default_rng(1)
    p = [
        shift(random.normal(size=(25, 2)), random.normal(size=(25, 2)), seed=seed).p
        for seed in range(80)
    ]
    fraction = np.mean(np.array(p) <= 0.1)
    assert abs(fraction - 0.1) < 4 * np.sqrt(0.1 * 0.9 / 80)


@pytest.mark.invariance
def test_copies_of_a_row_do_not_hide_it_from_itself() -> None:
    first = np.zeros((12, 2))
    second = np.concatenate([np.zeros((6, 2)), np.ones((6, 2))])
    assert 0 <= shift(first, second).fraction <= 1


@pytest.mark.oracle
def test_rows_of_unequal_shapes_are_refused() -> None:
    with pytest.raises(InputError, match="rows of one shape"):
        shift(np.zeros((9, 2)), np.zeros((9, 3)))
