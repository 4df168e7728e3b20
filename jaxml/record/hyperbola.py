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
    in closed form; nan of fewer than three sizes whose updates are finite.
    """
    reached = np.isfinite(updates)
    if np.sum(reached) < 3:
        return Law(np.nan, np.nan)
    own = sizes[reached].astype(np.float64)
    needed = updates[reached]
    first = own[0] / _BEYOND
    last = own[-1] * _BEYOND
    critical = _least_squares(own, needed, first, last)
    if critical < 1.1 * first:
        return Law(_mean(needed), 0.0)
    if critical > last / 1.1:
        return Law(0.0, _mean(needed * own))
    fewest = _mean(needed / (1 + critical / own))
    return Law(fewest, fewest * critical)


def _least_squares(
    sizes: np.ndarray, updates: np.ndarray, first: float, last: float
) -> float:
    """The B_crit between two ends whose law is closest in log S."""
    logs = np.log(updates)
    trials = np.geomspace(first, last, _GRID)
    critical = first
    for _ in range(_REFINED):
        errors = logs - np.log1p(trials[:, None] / sizes)
        best = int(np.argmin(np.var(errors, axis=1)))
        critical = float(trials[best])
        below = trials[max(best - 1, 0)]
        above = trials[min(best + 1, _GRID - 1)]
        trials = np.geomspace(below, above, _GRID)
    return critical


def _mean(values: np.ndarray) -> float:
    """The geometric mean."""
    return float(np.exp(np.mean(np.log(values))))
