"""How many times as large one of two paired samples is."""

import numpy as np

from jaxml.record.statistics import Interval, bootstrap
from jaxml.types import Array, InputError


def mean_log_ratio(ours: Array, theirs: Array) -> Interval:
    """The mean over units of log(ours / theirs), each unit's own scale cancelling.

    Args:
        ours: `[unit]`, above 0.
        theirs: likewise.

    Raises:
        InputError: a value that is not above 0, or samples of unequal length.

    >>> mean_log_ratio(np.array([2.0, 20.0]), np.array([2.0, 20.0]))[:4]
    (0.0, 0.0, 0.0, 2)
    """
    ours, theirs = np.asarray(ours), np.asarray(theirs)
    if not (np.all(ours > 0) and np.all(theirs > 0)):
        raise InputError(
            "A ratio of values that are not above 0 has no logarithm: compare their "
            "differences."
        )
    if ours.shape != theirs.shape:
        raise InputError(
            f"Samples of shapes {ours.shape} and {theirs.shape} have no pairs: give "
            "one value a unit in both."
        )
    return bootstrap(_mean, np.log(ours / theirs))


def sample_mean(values: Array) -> Interval:
    """The mean over units.

    >>> sample_mean(np.array([2.0, 2.0]))[:4]
    (2.0, 2.0, 2.0, 2)
    """
    return bootstrap(_mean, values)


def _mean(values: Array) -> float:
    return float(np.mean(values, dtype=np.float64))
