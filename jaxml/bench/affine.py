"""The affine law of an update's time in its batch size, t(B) = t₀ + s B, fitted to
timings.

t₀ is what an update costs however few examples it sees: launches, and the optimizer's
pass over the parameters. s is what each example adds. At B = t₀/s an update takes twice
its fixed time; far below, the batch size costs nothing.
"""

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Shaped

from jaxml.record import (
    Affine,
    Interval,
    affine_deviation,
    affine_law,
    bootstrap,
)
from jaxml.types import InputError


class Estimate(NamedTuple):
    """A number and the ends of its 95 % interval over rounds."""

    value: float
    low: float
    high: float


class Law(NamedTuple):
    """What a fit found.

    Attributes:
        fixed: t₀, seconds.
        each: s, seconds an example.
        doubled: t₀/s, the batch size at which the fixed time has doubled; infinite
            where no example adds time.
        deviation: the largest |t₀ + s B - t| / t over the sizes, of the medians t.
    """

    fixed: Estimate
    each: Estimate
    doubled: Estimate
    deviation: float


def fit(
    sizes: Shaped[np.ndarray, " size"], seconds: Float[np.ndarray, "round size"]
) -> Law:
    """Least squares of the relative errors, Σ ((t₀ + s B - t)/t)² over the sizes, of
    the medians t, with t₀ and s at least 0.

    The weights 1/t² let all sizes count alike, although their times differ by orders of
    magnitude. A round is a unit of the bootstrap: it is drawn with all its sizes, so
    what slows the machine for a whole round widens the interval.

    Args:
        sizes: batch sizes.
        seconds: of an update.

    Raises:
        InputError: fewer than three different sizes or two rounds, or a time that is
            not positive.

    >>> sizes = np.array([1, 10, 100])
    >>> law = fit(sizes, np.stack([2.0 + 0.5 * sizes] * 2))
    >>> round(law.fixed.value, 6), round(law.each.value, 6), round(law.doubled.value, 6)
    (2.0, 0.5, 4.0)
    """
    _check(sizes, seconds)
    scale = float(np.median(sizes))

    def fixed(seconds: np.ndarray) -> float:
        return _solved(sizes, seconds).level

    def each(seconds: np.ndarray) -> float:
        return _solved(sizes, seconds).slope

    def angle(seconds: np.ndarray) -> float:
        """t₀/s on a scale on which it is finite, also where s is 0."""
        law = _solved(sizes, seconds)
        return math.atan2(law.level, law.slope * scale)

    turned = _estimate(bootstrap(angle, seconds))
    return Law(
        _estimate(bootstrap(fixed, seconds)),
        _estimate(bootstrap(each, seconds)),
        Estimate(*(_size(value, scale) for value in turned)),
        affine_deviation(_solved(sizes, seconds), sizes, np.median(seconds, axis=0)),
    )


def _solved(sizes: np.ndarray, seconds: np.ndarray) -> Affine:
    """t₀ and s for some rounds."""
    return affine_law(sizes, np.median(seconds, axis=0))


def _size(angle: float, scale: float) -> float:
    """The batch size of an angle."""
    return math.inf if angle >= math.pi / 2 else scale * math.tan(angle)


def _estimate(interval: Interval) -> Estimate:
    return Estimate(interval.estimate, interval.low, interval.high)


def _check(sizes: np.ndarray, seconds: np.ndarray) -> None:
    """Refuses timings to which no line can be fitted."""
    if len(np.unique(sizes)) < 3 or len(seconds) < 2:
        raise InputError(
            f"{len(np.unique(sizes))} batch sizes in {len(seconds)} rounds show no law "
            "of an update's time: give at least 3 different sizes and 2 rounds."
        )
    if not np.all(np.isfinite(seconds) & (seconds > 0)):
        raise InputError(
            "A time of an update is not positive: give seconds above 0 for each size "
            "and round."
        )
