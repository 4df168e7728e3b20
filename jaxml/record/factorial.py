"""Factorial designs: contrasts of cells, each of which is tuned."""

from collections.abc import Callable, Sequence

import numpy as np

from jaxml.record.tuning import Arm
from jaxml.types import Array


def contrast(weights: Sequence[float]) -> Callable[..., float]:
    """The median over units of Σ wᵢ cellᵢ, as a statistic of all cells.

    With cells of a two-by-two design in the order 00, 01, 10, 11, the main effect of
    the first factor is (-1/2, -1/2, 1/2, 1/2), its effect without the second
    (-1, 0, 1, 0).

    Args:
        weights: one a cell.

    >>> effect = contrast((-1.0, 1.0))
    >>> effect(np.array([1.0, 2.0, 3.0]), np.array([1.0, 4.0, 9.0]))
    2.0
    """

    def median(*cells: Array) -> float:
        return float(np.median(np.tensordot(np.asarray(weights), np.stack(cells), 1)))

    return median


def tuned_cells(
    scores: Array, counts: Array, *, values: Array | None = None
) -> list[Arm]:
    """An arm a cell, for `tuned`; units that do not count neither tune nor judge.

    Those have a score of 0 at every point, which moves no choice, and values that are
    not numbers, which `tuned` leaves out.

    Args:
        scores: `[unit, cell, point]`, by which each cell's point is chosen.
        counts: `[unit]` of bool.
        values: `[unit, cell, point]`, what is judged; the scores when not given.

    >>> arms = tuned_cells(np.ones((2, 4, 3)), np.array([True, False]))
    >>> len(arms), arms[0].values[0].tolist(), arms[0].scores[0].tolist()
    (4, [1.0, nan], [1.0, 0.0])
    """
    judged = np.asarray(scores if values is None else values, np.float64)
    chosen = np.asarray(scores, np.float64)
    arms = []
    for cell in range(judged.shape[1]):
        told = np.where(counts, judged[:, cell].T, np.nan)
        arms.append(Arm(told, np.where(counts, chosen[:, cell].T, 0.0)))
    return arms
