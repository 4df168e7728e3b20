"""Factorial designs: contrasts of cells, each of which is tuned."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes

from jaxml.record.comparisons import at_tuned
from jaxml.record.figures import strips
from jaxml.record.rule import Rule
from jaxml.record.statistics import Interval
from jaxml.record.tuning import Arm, tuned
from jaxml.types import Array


class Cells(NamedTuple):
    """The runs of a factorial design; the first third of the units tunes each cell.

    Attributes:
        scores: `[unit, cell, point]`, by which each cell's point is chosen, and judged.
        counts: `[unit]`, whether a unit counts; others neither tune nor judge.
    """

    scores: np.ndarray
    counts: np.ndarray


def contrast(weights: Sequence[float], plus: float = 0.0) -> Callable[..., float]:
    """The median over units of Σ wᵢ cellᵢ plus a constant, as a statistic of all cells.

    With cells of a two-by-two design in the order 00, 01, 10, 11, the main effect of
    the first factor is (-1/2, -1/2, 1/2, 1/2), its effect without the second
    (-1, 0, 1, 0).

    Args:
        weights: one a cell.
        plus: the constant, such as the logarithm of a ratio of units.

    >>> effect = contrast((-1.0, 1.0))
    >>> effect(np.array([1.0, 2.0, 3.0]), np.array([1.0, 4.0, 9.0]))
    2.0
    """

    def median(*cells: Array) -> float:
        each = np.tensordot(np.asarray(weights), np.stack(cells), 1)
        return float(np.median(each) + plus)

    return median


def any_cell(*cells: Array) -> float:
    """The fraction of units at which any cell is 1, the others being 0.

    >>> any_cell(np.array([0.0, 1.0]), np.array([0.0, 0.0]))
    0.5
    """
    return float(np.mean(np.max(np.stack(cells), axis=0)))


def tuned_cells(
    cells: Cells, statistic: Callable[..., float], *, values: Array | None = None
) -> Interval:
    """`tuned` of a statistic of all cells, each at its best point.

    Units that do not count have a score of 0 at every point, which moves no choice, and
    values that are not numbers, which `tuned` leaves out.

    Args:
        cells: three units or more.
        statistic: of an array `[unit]` a cell, such as a `contrast`.
        values: `[unit, cell, point]`, what is judged; the scores when not given.

    >>> best = np.zeros((9, 2, 3)) + np.array([2.0, 1.0, 2.0])
    >>> best[:, 1] += 3
    >>> tuned_cells(Cells(best, np.full(9, True)), contrast((-1.0, 1.0)))[:4]
    (3.0, 3.0, 3.0, 6)
    """
    return tuned(statistic, *_arms(cells, values), tuning=_tuning(cells))


def effects(
    axes: Axes, cells: Cells, weights: Mapping[Any, Sequence[float]], rule: Rule
) -> None:
    """A column of points a contrast, a point a judging unit, each cell at its best
    point; and what is too small to matter.

    Args:
        axes: a panel.
        cells: as `tuned_cells` takes them.
        weights: of each contrast, one a cell.
        rule: whose margin is shaded around its threshold.
    """
    arms = [at_tuned(arm, _tuning(cells)) for arm in _arms(cells, None)]
    judged = np.stack(arms)
    rows = {}
    for name, each in weights.items():
        rows[name] = np.tensordot(np.asarray(each), judged, 1)
    strips(axes, rows)
    low, high = rule.threshold - rule.margin, rule.threshold + rule.margin
    axes.axhspan(low, high, color="0.88", zorder=0, label="too small to matter")


def _tuning(cells: Cells) -> int:
    return len(cells.counts) // 3


def _arms(cells: Cells, values: Array | None) -> list[Arm]:
    scores = np.asarray(cells.scores, np.float64)
    judged = scores if values is None else np.asarray(values, np.float64)
    arms = []
    for cell in range(judged.shape[1]):
        told = np.where(cells.counts, judged[:, cell].T, np.nan)
        arms.append(Arm(told, np.where(cells.counts, scores[:, cell].T, 0.0)))
    return arms
