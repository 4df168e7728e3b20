"""Averages of a series that was recorded: on both sides, so that they do not lag."""

import itertools

import numpy as np


def two_sided(values: np.ndarray, memory: float) -> np.ndarray:
    """Σⱼ memory^|i - j| xⱼ / Σⱼ memory^|i - j|.

    An exponential average of the past alone lags by memory / (1 - memory) steps. Cost:
    O(n).

    >>> two_sided(np.array([0.0, 3.0, 0.0]), 0.5).round(3).tolist()
    [0.857, 1.5, 0.857]
    """
    return _totals(values, memory) / _totals(np.ones_like(values), memory)


def _totals(values: np.ndarray, memory: float) -> np.ndarray:
    """Σⱼ memory^|i - j| xⱼ."""
    before = _totals_before(values, memory)
    after = _totals_before(values[::-1], memory)[::-1]
    return before + after - values


def _totals_before(values: np.ndarray, memory: float) -> np.ndarray:
    """Σⱼ memory^(i - j) xⱼ over j up to i."""
    totals = itertools.accumulate(values, lambda total, value: memory * total + value)
    return np.array(list(totals))
