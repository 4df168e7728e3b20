"""Intervals that contain the tuning: which point is best is drawn anew with the units.

A tuned rate is chosen on a few units, so it is random. An interval that takes the
chosen rate for granted covers less than it says; here the units that tune and the units
that judge are resampled, each among themselves, and each resample chooses its own
point.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from jaxml.record.statistics import (
    Interval,
    dtype_of,
    expanded,
    whole_line,
)
from jaxml.record.summaries import known_unit
from jaxml.types import Array, InputError


class Arm(NamedTuple):
    """One contender of a tuned comparison.

    Attributes:
        values: `[point, unit]`, what is judged; not finite where a run diverged. The
            units that tune come first.
        scores: `[point, unit]`, by which its point is chosen, the lower the better; the
            values themselves when not given. Tune by what is judged: give the negative
            of what should be high.
        edges: `[point]` of bool, the ends of the grid; the first and the last of two or
            more points when not given. A natural end, such as no decay at all, is none.
    """

    values: Array
    scores: Array | None = None
    edges: Array | None = None


def tuned(
    statistic: Callable[..., float],
    *arms: Arm,
    tuning: int,
    resamples: int = 2000,
    level: float = 0.95,
    seed: int = 0,
) -> Interval:
    """Interval of a statistic of arms that are tuned first: the expanded percentile
    interval of `bootstrap`, in which every resample tunes anew.

    Each resample draws the tuning units and the judging units with replacement, the
    same ones in all arms. In each arm the point with the lowest mean score over the
    drawn tuning units is chosen (a point at which one of them diverged only where there
    is no other), and the statistic is that of the arms' values at their points. Judging
    units that diverged in an arm are left out of all; how many did is a finding of its
    own.

    What it estimates: the statistic's value for whoever tunes on as many units. In
    simulations of flat, sharp and slightly tilted tuning curves with 10 + 10 units it
    covers that at its stated rate or above (`pytest tests/record/test_tuning.py`).

    An arm whose chosen point stands on an edge of its grid decides nothing, since the
    best point may lie beyond: the interval is then the whole line. So it is with fewer
    than two units left, and where all those of a resample diverged.

    Args:
        statistic: of one array `[unit]` an arm, by NumPy, such as `mean_difference`.
        *arms: whose units are the same, in the same order.
        tuning: how many of the units tune, the first ones; the others judge. An arm of
            one point needs none.
        resamples: how many; the cost is that many calls of `statistic`.
        level: the nominal coverage.
        seed: of the resampling.

    Raises:
        InputError: no arms, arms with other units, no unit that judges, or none that
            tunes where there is a choice.

    >>> flat = np.zeros((3, 8)); tilted = np.array([2.0, 1.0, 3.0])[:, None] + flat
    >>> difference = lambda a, b: float(np.mean(a) - np.mean(b))
    >>> tuned(difference, Arm(tilted), Arm(flat[:1]), tuning=4)[:4]
    (1.0, 1.0, 1.0, 4)
    """
    contenders = [_contender(arm) for arm in arms]
    every = np.arange(tuning)
    ended = _ended(contenders, every, np.arange(tuning, _units(contenders, tuning)))
    measured = _statistic(statistic, contenders, every, ended)
    dtype = dtype_of(*(each.values for each in contenders))
    n, unit = len(ended), known_unit(statistic)
    nothing = Interval(measured, *whole_line(level), n, dtype, unit, whole_line)
    if n < 2 or _on_edge(contenders, every):
        return nothing
    rng = np.random.default_rng(seed)
    values = np.empty(resamples)
    for k in range(resamples):
        tune = rng.integers(max(tuning, 1), size=tuning)
        judge = ended[rng.integers(n, size=n)]
        values[k] = _statistic(statistic, contenders, tune, judge)
    if np.isnan(values).any():
        return nothing
    at = expanded(values, n)
    return Interval(measured, *at(level), n, dtype, unit, at)


def tuned_mean(scores: Array, values: Array, *, tuning: int) -> Interval:
    """The mean over judging units at the point that is best over tuning units.

    Args:
        scores: `[point, unit]`, by which the point is chosen, the lower the better.
        values: `[point, unit]`, of which the mean is taken.
        tuning: how many of the units tune, the first ones.

    Raises:
        InputError: as `tuned`.
    """
    return tuned(_mean, Arm(values, scores=scores), tuning=tuning)


def _mean(values: np.ndarray) -> float:
    return float(np.mean(values, dtype=np.float64))


class _Contender(NamedTuple):
    """An arm with everything given, scores infinite where they are not finite."""

    values: np.ndarray
    scores: np.ndarray
    edges: np.ndarray


def _contender(arm: Arm) -> _Contender:
    values = np.asarray(arm.values)
    scores = values if arm.scores is None else np.asarray(arm.scores)
    if values.ndim != 2 or values.shape != scores.shape or not len(values):
        raise InputError(
            f"An arm has values {list(values.shape)} and scores {list(scores.shape)}: "
            "give both as [point, unit], with one point or more."
        )
    points = len(values)
    if arm.edges is None:
        edges = (points > 1) & np.isin(np.arange(points), [0, points - 1])
    else:
        edges = np.broadcast_to(np.asarray(arm.edges, bool), (points,))
    return _Contender(values, np.where(np.isfinite(scores), scores, np.inf), edges)


def _units(contenders: list[_Contender], tuning: int) -> int:
    """How many units all arms have, if some judge, and some tune where they must."""
    counts = {each.values.shape[1] for each in contenders}
    if len(counts) != 1:
        raise InputError(
            f"The arms have {sorted(counts)} units: give one arm or more, all with the "
            "same units."
        )
    (units,) = counts
    choice = any(len(each.values) > 1 for each in contenders)
    if not (1 if choice else 0) <= tuning < units:
        raise InputError(
            f"{tuning} of {units} units cannot tune: choose one or more where a grid "
            "has several points, and leave one or more that judge."
        )
    return units


def _ended(
    contenders: list[_Contender], tune: np.ndarray, judge: np.ndarray
) -> np.ndarray:
    """Those of the judging units that are finite in all arms, at their points."""
    return judge[np.all(np.isfinite(_samples(contenders, tune, judge)), axis=0)]


def _samples(
    contenders: list[_Contender], tune: np.ndarray, judge: np.ndarray
) -> list[np.ndarray]:
    """Each arm's values at the point that these tuning units choose."""
    return [each.values[_chosen(each.scores, tune), judge] for each in contenders]


def _statistic(
    statistic: Callable[..., float],
    contenders: list[_Contender],
    tune: np.ndarray,
    judge: np.ndarray,
) -> float:
    """The statistic over judging units, each arm tuned on those tuning units; nan where
    no unit is finite in all arms.
    """
    samples = _samples(contenders, tune, judge)
    finite = np.all(np.isfinite(samples), axis=0)
    if not finite.any():
        return float("nan")
    return float(statistic(*(sample[finite] for sample in samples)))


def _chosen(scores: np.ndarray, tune: np.ndarray) -> int:
    """The point with the lowest mean score over these units."""
    if len(scores) == 1:
        return 0
    return int(np.argmin(np.mean(scores[:, tune], axis=1, dtype=np.float64)))


def _on_edge(contenders: list[_Contender], tune: np.ndarray) -> bool:
    """Whether an arm is tuned to an end of its grid."""
    return any(each.edges[_chosen(each.scores, tune)] for each in contenders)
