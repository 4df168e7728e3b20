"""The critical batch size: up to where larger batches save updates, and from where on
they only cost examples.

To reach a target, batches of B need S = S_min + E_min / B updates, and so
E = E_min + S_min B examples: (S/S_min - 1) (E/E_min - 1) = 1. At B_crit = E_min / S_min
both are twice what they are at best.
"""

import math
from collections.abc import Mapping
from functools import partial
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from jaxml.record.hyperbola import Law, fit
from jaxml.record.statistics import Interval, expanded, whole_line
from jaxml.types import Array, InputError

CENSORED = "no more than half of the judging units reached the target"
EDGE = "its rate stands on an edge of the grid"
MISFIT = 0.25  # a deviation of the medians beyond which there is no law


class CriticalBatch(NamedTuple):
    """What the numbers of updates to a target say of batch sizes.

    Attributes:
        critical: B_crit = E_min / S_min, in examples; 0 where more examples an update
            never save updates, infinite where they always save as many.
        fewest_updates: S_min, that the largest batches need.
        fewest_examples: E_min, that the smallest ones need.
        predicted: ln of a noise scale over B_crit, 0 where it predicts the critical
            batch size; None where no noise scale was given.
        sizes: of batches, ascending.
        updates: by size, the median over judging units at the tuned rate; infinite
            where no more than half of them reached the target.
        judged: by size, of each judging unit at the tuned rate.
        points: by size, which of its rates was chosen.
        deviation: the largest |S - S(B)| / S of the sizes in the fit.
        left_out: sizes outside the fit, and why.
    """

    critical: Interval
    fewest_updates: Interval
    fewest_examples: Interval
    predicted: Interval | None
    sizes: Int[np.ndarray, " size"]
    updates: Float[np.ndarray, " size"]
    judged: Float[np.ndarray, "size unit"]
    points: Int[np.ndarray, " size"]
    deviation: float
    left_out: dict[int, str]


def critical_batch(
    updates: Mapping[int, Array],
    *,
    tuning: int,
    noise_scale: Interval | None = None,
    total: int | None = None,
    resamples: int = 2000,
    level: float = 0.95,
    seed: int = 0,
) -> CriticalBatch:
    """The hyperbola of steps against examples, of which every size is tuned first.

    Each size is judged at the rate whose median over tuning units is lowest, by the
    median over judging units; so a run that never reaches the target counts as slower
    than all others and not as infinite. The law is fitted by least squares in log S.
    Resamples draw tuning and judging units anew, the same ones for all sizes, and tune
    again, as `tuned` does.

    A size whose median is not reached, or whose rate stands on an edge of its grid, is
    left out of the fit and named. With fewer than three left nothing is estimated: the
    estimates are nan and the intervals the whole line. They are the whole line as well
    where a median is off the law by more than a quarter, so that no number describes a
    law that does not hold, and where a size in the fit is not reached in some resample.

    Count updates at least twenty times on the way to the target: the law is bent by
    counts that are rounded up.

    Args:
        updates: by size `[rate, unit]`, updates to the target, inf where it was never
            reached (`learn.updates_to` counts them); units that tune come first.
        tuning: how many of the units tune.
        noise_scale: tr Σ / ‖G‖² with its interval, averaged over units and over the
            training that leads to the target (`curvature.gradient_noise` measures it).
        total: N, of a data set whose batches are drawn without replacement. A batch of
            N then has no noise, and a noise scale B predicts B / (1 - B/N).
        resamples: how many; the cost is one fit each, about 0.2 ms.
        level: the nominal coverage.
        seed: of the resampling.

    Raises:
        InputError: fewer than three sizes or one below 1, a count below 1 or nan, units
            that differ between sizes, or none that tunes or judges.

    Source: McCandlish et al. 2018, arXiv:1812.06162, equation 2.11 and appendix D.

    >>> law = Law(fewest=100.0, examples=5000.0)
    >>> found = critical_batch(
    ...     {size: np.outer([2, 1, 2], [law(size)] * 4) for size in (10, 50, 250)},
    ...     tuning=2)
    >>> round(found.critical.estimate, 3), round(found.fewest_updates.estimate, 3)
    (50.0, 100.0)
    """
    counts = _checked(updates, tuning)
    sizes = np.array(list(counts))
    everyone = np.arange(tuning), np.arange(tuning, _units(counts))
    points, medians = _tuned_medians(counts, *everyone)
    left_out = _left_out(counts, points, medians)
    fitted = [place for place, size in enumerate(sizes) if size not in left_out]
    law = fit(sizes[fitted], medians[fitted])
    deviation = _deviation(law, sizes[fitted], medians[fitted])
    laws = _resampled(counts, fitted, everyone, resamples, seed)
    if not deviation <= MISFIT:
        laws[:] = np.nan
    n = len(everyone[1])
    critical = _critical(law, laws, float(np.median(sizes[fitted or [0]])), n, level)
    return CriticalBatch(
        critical=critical,
        fewest_updates=_interval(law.fewest, laws[:, 0], n, level),
        fewest_examples=_interval(law.examples, laws[:, 1], n, level),
        predicted=_predicted(noise_scale, critical, total, level),
        sizes=sizes,
        updates=medians,
        judged=np.stack(
            [
                counts[size][point, tuning:]
                for size, point in zip(counts, points, strict=True)
            ]
        ),
        points=points,
        deviation=deviation,
        left_out=left_out,
    )


def _checked(updates: Mapping[int, Array], tuning: int) -> dict[int, np.ndarray]:
    """The counts by ascending size."""
    if len(updates) < 3 or min(updates) < 1:
        raise InputError(
            f"Batch sizes {sorted(updates)} show no hyperbola: give three or more, "
            "each 1 or more."
        )
    counts = {size: np.asarray(updates[size], np.float64) for size in sorted(updates)}
    shapes = {each.shape for each in counts.values()}
    if len(shapes) != 1 or len(next(iter(shapes))) != 2:
        raise InputError(
            f"Updates to the target come as {sorted(shapes)}: give those of every size "
            "as [rate, unit], with equally many rates and the same units."
        )
    if not 1 <= tuning < _units(counts):
        raise InputError(
            f"{tuning} of {_units(counts)} units cannot tune: choose one or more, and "
            "leave one or more that judge."
        )
    for size, each in counts.items():
        if not np.all(each >= 1):
            raise InputError(
                f"Updates to the target at batch size {size} are not 1 or more: count "
                "updates, and give inf where the target was never reached."
            )
    return counts


def _units(counts: Mapping[int, np.ndarray]) -> int:
    return next(iter(counts.values())).shape[1]


def _tuned_medians(
    counts: Mapping[int, np.ndarray], tune: np.ndarray, judge: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """By size: the rate with the lowest median over the units that tune, and there the
    median over those that judge.
    """
    points, medians = [], []
    for each in counts.values():
        point = int(np.argmin(_median(each[:, tune])))
        points.append(point)
        medians.append(_median(each[point : point + 1, judge])[0])
    return np.array(points), np.array(medians)


def _median(counts: np.ndarray) -> np.ndarray:
    """Of each row; of two in the middle the larger, so it is one of the counts."""
    middle = counts.shape[1] // 2
    return np.partition(counts, middle, axis=1)[:, middle]


def _left_out(
    counts: Mapping[int, np.ndarray], points: np.ndarray, medians: np.ndarray
) -> dict[int, str]:
    left_out = {}
    for (size, each), point, median in zip(
        counts.items(), points, medians, strict=True
    ):
        if not np.isfinite(median):
            left_out[size] = CENSORED
        elif len(each) > 1 and point in (0, len(each) - 1):
            left_out[size] = EDGE
    return left_out


def _resampled(
    counts: Mapping[int, np.ndarray],
    fitted: list[int],
    everyone: tuple[np.ndarray, np.ndarray],
    resamples: int,
    seed: int,
) -> Float[np.ndarray, "resample law"]:
    """The law of every resample."""
    rng = np.random.default_rng(seed)
    sizes = np.array(list(counts))[fitted]
    own = {int(size): counts[int(size)] for size in sizes}
    laws = np.full((resamples, 2), np.nan)
    if len(fitted) < 3:
        return laws
    for place in range(resamples):
        tune, judge = (rng.choice(units, size=len(units)) for units in everyone)
        _, medians = _tuned_medians(own, tune, judge)
        if np.isfinite(medians).all():
            laws[place] = fit(sizes, medians)
    return laws


def _interval(estimate: float, draws: np.ndarray, n: int, level: float) -> Interval:
    if n < 2 or np.isnan(draws).any():
        return Interval(estimate, *whole_line(level), n, "float64", "", whole_line)
    at = expanded(draws, n)
    return Interval(estimate, *at(level), n, "float64", "", at)


def _critical(
    law: Law, laws: np.ndarray, scale: float, n: int, level: float
) -> Interval:
    """Of E_min / S_min, by the angle of the two, which is finite where S_min is 0."""

    def size(angle: float) -> float:
        return math.inf if angle >= math.pi / 2 else scale * math.tan(angle)

    def at(level: float) -> tuple[float, float]:
        low, high = angles.at(level) if angles.at else whole_line(level)
        return size(low), size(high)

    estimate = float(np.arctan2(law.examples, scale * law.fewest))
    drawn = np.arctan2(laws[:, 1], scale * laws[:, 0])
    angles = _interval(estimate, drawn, n, level)
    if angles.at is whole_line:
        return angles._replace(estimate=size(angles.estimate))
    low, high = at(level)
    return Interval(size(angles.estimate), low, high, n, "float64", "", at)


def _predicted(
    noise_scale: Interval | None,
    critical: Interval,
    total: int | None,
    level: float,
) -> Interval | None:
    """ln of the predicted over the measured size. Either may miss its part, so both
    intervals are taken at half the error.
    """
    if noise_scale is None:
        return None

    def at(level: float) -> tuple[float, float]:
        below, above = _ends(noise_scale, (1 + level) / 2)
        low, high = _ends(critical, (1 + level) / 2)
        return ratio(below, high), ratio(above, low)

    ratio = partial(_log_ratio, total=total)
    estimate = ratio(noise_scale.estimate, critical.estimate)
    n = min(noise_scale.n, critical.n)
    return Interval(estimate, *at(level), n, critical.dtype, "log ratio", at)


def _log_ratio(noise_scale: float, critical: float, total: int | None) -> float:
    """ln of the size that a noise scale predicts over another size."""
    left = 1.0 if total is None else max(1 - noise_scale / total, 0.0)
    with np.errstate(divide="ignore"):
        predicted = np.divide(max(noise_scale, 0.0), left)
        logs = np.log([predicted, max(critical, 0.0)])
    return float(logs[0] - logs[1])


def _ends(interval: Interval, level: float) -> tuple[float, float]:
    """At another level, where the interval knows it."""
    return (interval.low, interval.high) if interval.at is None else interval.at(level)


def _deviation(law: Law, sizes: np.ndarray, updates: np.ndarray) -> float:
    if not len(sizes) or not np.isfinite(law).all():
        return float("nan")
    return float(np.max(np.abs(law(sizes) / updates - 1)))
