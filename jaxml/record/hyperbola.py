"""The hyperbola of updates against batch size, and its fit."""

from typing import Any, NamedTuple

import numpy as np

from jaxml.types import Array

_GRID = 100  # values of log B_crit among which the least squares are sought
_REFINED = 3  # times, each between the neighbours of the best
_BEYOND = 1e3  # how far outside the sizes it is sought


class Law(NamedTuple):
    """S(B) = S_min + E_min / B.

    Attributes:
        fewest: S_min, updates.
        examples: E_min.
    """

    fewest: float
    examples: float

    def __call__(self, sizes: Array | float | int) -> Any:
        """The updates of batches of these sizes."""
        return self.fewest + self.examples / np.asarray(sizes, np.float64)


def fit(sizes: np.ndarray, updates: np.ndarray) -> Law:
    """Least squares in log S, by a search over log B_crit, in which the scale follows
    in closed form.
    """
    reached = np.isfinite(updates)
    if np.sum(reached) < 3:
        return Law(np.nan, np.nan)
    own, logs = sizes[reached].astype(np.float64), np.log(updates[reached])
    first, last = own[0] / _BEYOND, own[-1] * _BEYOND
    trials, critical = np.geomspace(first, last, _GRID), first
    for _ in range(_REFINED):
        errors = logs - np.log1p(trials[:, None] / own)
        best = int(np.argmin(np.var(errors, axis=1)))
        critical = float(trials[best])
        below, above = trials[max(best - 1, 0)], trials[min(best + 1, _GRID - 1)]
        trials = np.geomspace(below, above, _GRID)
    if critical < 1.1 * first:
        return Law(_mean(updates), 0.0)
    if critical > last / 1.1:
        return Law(0.0, _mean(updates * sizes))
    fewest = _mean(updates / (1 + critical / sizes))
    return Law(fewest, fewest * critical)


def _mean(values: np.ndarray) -> float:
    """The geometric mean of those that are finite."""
    return float(np.exp(np.mean(np.log(values[np.isfinite(values)]))))
