"""Numbers that sum up samples, and the units that they know of their values."""

from collections.abc import Callable, Mapping

import numpy as np

from jaxml.types import Array


def correlation(x: Array, y: Array) -> float:
    """Spearman's ρ: Pearson's correlation of the average ranks; 0 where either sample
    is constant.

    >>> correlation(np.array([1.0, 2.0, 3.0]), np.array([1.0, 8.0, 27.0]))
    1.0
    """
    u, v = _ranks(np.asarray(x)), _ranks(np.asarray(y))
    u = u - u.mean()
    v = v - v.mean()
    scale = np.sqrt((u @ u) * (v @ v))
    return float(u @ v / scale) if scale > 0 else 0.0


def _ranks(x: np.ndarray) -> np.ndarray:
    _, group, size = np.unique(x, return_inverse=True, return_counts=True)
    average = np.cumsum(size) - (size - 1) / 2
    return average[group]


def mean_difference(a: Array, b: Array) -> float:
    """Mean of a minus mean of b, in float64."""
    return _mean(a) - _mean(b)


def ratio_of_means(a: Array, b: Array) -> float:
    """Mean of a over mean of b, in float64."""
    return float(np.mean(a, dtype=np.float64) / _mean(b))


def _mean(sample: Array) -> float:
    return float(np.mean(sample, dtype=np.float64))


def first_passage(falling: Array, values: Array, level: float | np.floating) -> float:
    """The value of one curve where another first falls to a level, by lines between
    evaluations; nan if never.

    Compares runs at equal training loss, where at equal times one has only come
    further.

    Args:
        falling: `[evaluation]`, such as training losses.
        values: `[evaluation]`, what was seen beside them.
        level: to be reached.

    >>> first_passage(np.array([4.0, 2.0, 1.0]), np.array([0.0, 10.0, 20.0]), 3.0)
    5.0
    """
    reached = np.flatnonzero(np.asarray(falling) <= level)
    if not len(reached):
        return float("nan")
    now = int(reached[0])
    if now == 0:
        return float(values[0])
    before = now - 1
    fallen = falling[before] - falling[now]
    fraction = (falling[before] - level) / fallen
    gained = values[now] - values[before]
    return float(values[before] + fraction * gained)


def first_passages(
    falling: Array, values: Array, level: float | np.floating
) -> np.ndarray:
    """`first_passage` of every curve, whatever axes come before the last.

    >>> falling = np.array([[4.0, 2.0], [4.0, 3.5]])
    >>> first_passages(falling, np.array([0.0, 10.0]), 3.0).tolist()
    [5.0, nan]
    """
    passage = np.vectorize(first_passage, signature="(n),(n),()->()")
    return passage(falling, values, level)


def known_unit(statistic: Callable[..., float]) -> str:
    """The unit that a statistic knows of its value, else ""."""
    return _UNITS.get(statistic, "")


_UNITS: Mapping[Callable[..., float], str] = {
    correlation: "correlation",
    ratio_of_means: "ratio",
}
"""Statistics that know the unit of their value."""
