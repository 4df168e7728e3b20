"""Averages of a series that was recorded: on both sides, so that they do not lag."""

import itertools

import numpy as np


def two_sided(values: np.ndarray, decay: float) -> np.ndarray:
    """Σⱼ decay^|i - j| xⱼ / Σⱼ decay^|i - j|.

    An exponential average of the past alone lags by decay / (1 - decay) steps. Cost:
    O(n).

    >>> two_sided(np.array([0.0, 3.0, 0.0]), 0.5).round(3).tolist()
    [0.857, 1.5, 0.857]
    """
    return _totals(values, decay) / _totals(np.ones_like(values), decay)


def _totals(values: np.ndarray, decay: float) -> np.ndarray:
    """Σⱼ decay^|i - j| xⱼ."""
    before = _totals_before(values, decay)
    after = _totals_before(values[::-1], decay)[::-1]
    return before + after - values


def _totals_before(values: np.ndarray, decay: float) -> np.ndarray:
    """Σⱼ decay^(i - j) xⱼ over j up to i."""
    totals = itertools.accumulate(values, lambda total, value: decay * total + value)
    return np.array(list(totals))
