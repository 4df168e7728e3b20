"""Whether two samples come from one distribution, by their nearest neighbours."""

from typing import NamedTuple

import numpy as np
from scipy.spatial import KDTree

from jaxml.types import Array, InputError

NEIGHBOURS = 5
LARGEST = 500  # rows of each sample that are looked at
PERMUTATIONS = 999


class Shift(NamedTuple):
    """How well neighbours tell two samples apart.

    Attributes:
        fraction: of the nearest neighbours, those from a row's own sample; as much as
            samples of equal size hold by chance is about a half.
        expected: of that fraction where both come from one distribution.
        p: the fraction of permutations of the labels with as large a fraction.
    """

    fraction: float
    expected: float
    p: float


def shift(first: Array, second: Array, *, seed: int = 0) -> Shift:
    """T = the fraction of the 5 nearest neighbours that are from a row's own sample,
    against permutations of the labels.

    Rows are flattened and each feature is divided by its pooled standard deviation; of
    more than 500 rows so many are drawn. Cost: 1,000 rows are compared with one
    another.

    Args:
        first: `[n, ...]`.
        second: `[m, ...]`, of the same further axes.
        seed: of the draws and permutations.

    Raises:
        InputError: fewer than 6 rows in both together, or rows of unequal shapes.

    Source: Schilling 1986, Journal of the American Statistical Association 81, T.

    >>> rows = np.linspace(0, 1, 40)[:, None]
    >>> shift(rows[::2], rows[1::2]).p > 0.05, shift(rows[:20], rows[20:]).p
    (True, 0.001)
    """
    ours, theirs = np.asarray(first), np.asarray(second)
    if ours.shape[1:] != theirs.shape[1:] or len(ours) + len(theirs) <= NEIGHBOURS:
        raise InputError(
            f"Samples of shapes {ours.shape} and {theirs.shape} cannot be compared: "
            f"give rows of one shape, more than {NEIGHBOURS} together."
        )
    random = np.random.default_rng(seed)
    rows = [_drawn(sample, random) for sample in (ours, theirs)]
    pooled = np.concatenate(rows).astype(np.float64)
    scale = np.std(pooled, axis=0)
    pooled = pooled / np.where(scale > 0, scale, 1.0)
    labels = np.repeat([0, 1], [len(sample) for sample in rows])
    _, near = KDTree(pooled).query(pooled, k=NEIGHBOURS + 1)
    return _against_permutations(_others(np.asarray(near)), labels, random)


def _drawn(sample: np.ndarray, random: np.random.Generator) -> np.ndarray:
    flat = sample.reshape(len(sample), -1)
    return flat[random.permutation(len(flat))[:LARGEST]]


def _others(near: np.ndarray) -> np.ndarray:
    """The nearest neighbours without the row itself, which copies may precede."""
    own = near == np.arange(len(near))[:, None]
    last = ~np.any(own, axis=1)
    own[last, -1] = True
    return near[~own].reshape(len(near), -1)


def _against_permutations(
    near: np.ndarray, labels: np.ndarray, random: np.random.Generator
) -> Shift:
    def fraction(labels: np.ndarray) -> float:
        return float(np.mean(labels[near] == labels[:, None]))

    drawn = [fraction(random.permutation(labels)) for _ in range(PERMUTATIONS)]
    seen = fraction(labels)
    beyond = np.sum(np.asarray(drawn) >= seen)
    return Shift(seen, float(np.mean(drawn)), float((1 + beyond) / (1 + PERMUTATIONS)))
