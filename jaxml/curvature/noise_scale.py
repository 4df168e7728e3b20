"""The batch size at which noise and signal of the gradient are equal, with an interval:
at one point from its examples, or along a training from a series of estimates.
"""

from typing import Any, NamedTuple

import numpy as np
from scipy import special

from jaxml.curvature.noise import Noise
from jaxml.types import Array, InputError

LEVEL = 0.95
"""Of confidence, of every interval here."""


class NoiseScale(NamedTuple):
    """A batch size at which noise and signal are equal, and its jackknife interval.

    Attributes:
        estimate: noise / signal, in examples. Infinite where the signal is not
            estimated above 0: noise drowns it or, in the metric of a Hessian, the loss
            bends down along the gradient. NaN where the noise is below 0, as tr HΣ can
            be, or where both are 0: no batch size balances the two.
        low: of an interval of 95 %, by the jackknife in the logarithm; NaN with the
            estimate.
        high: likewise; infinite where the signal cannot be told from 0.
    """

    estimate: float
    low: float
    high: float


def noise_scale(noise: Noise) -> NoiseScale:
    """tr Σ / ‖G‖², in examples, with an interval over the examples.

    Of a noise in the metric of the Hessian it is the critical noise scale tr HΣ / GᵀHG,
    the batch size at which the best step is half as long as that of all examples.

    The interval is the jackknife's, of log B: each example is left out once, which
    needs nothing but its ‖gᵢ‖² and ⟨gᵢ, ḡ⟩.

    Source: McCandlish et al. 2018, arXiv:1812.06162, equations 2.8 and 2.9; Efron 1982,
    "The jackknife".
    """
    squares = np.asarray(noise.squares, np.float64)
    projections = np.asarray(noise.projections, np.float64)
    n = len(squares)
    mean_square = float(np.mean(projections))  # ⟨ḡ, ḡ⟩
    without = (n**2 * mean_square - 2 * n * projections + squares) / (n - 1) ** 2
    whole = _scale(float(noise.covariance_trace), float(noise.gradient_square))
    if n < 3:
        return _interval(whole, np.full(n, np.inf))
    left = n - 1
    traces = (squares.sum() - squares - left * without) / (left - 1)
    return _interval(whole, _scale(traces, without - traces / left))


def noise_scale_of_series(
    traces: Array, squares: Array, *, blocks: int = 20
) -> NoiseScale:
    """Mean of tr Σ over mean of ‖G‖², in examples, along a training.

    Each estimate of ‖G‖² is too noisy to divide by, and may be negative; their mean is
    not. The interval is the jackknife's, of log B, and leaves out one block of
    successive estimates at a time, since neighbours are alike: take blocks longer than
    the time over which they are.

    Args:
        traces: estimates of tr Σ, in the order of time.
        squares: of ‖G‖² likewise.
        blocks: into which the time is cut.

    Raises:
        InputError: series of unequal length, or fewer than two estimates a block or
            three blocks.

    Source: McCandlish et al. 2018, arXiv:1812.06162, appendix A.1; Künsch 1989, The
    jackknife and the bootstrap for general stationary observations.

    >>> traces, squares = np.full(12, 6.0), np.full(12, 2.0)
    >>> noise_scale_of_series(traces, squares, blocks=3)
    NoiseScale(estimate=3.0, low=3.0, high=3.0)
    """
    noise = np.asarray(traces, np.float64)
    signal = np.asarray(squares, np.float64)
    if noise.shape != signal.shape or noise.ndim != 1:
        raise InputError(
            f"Series {list(noise.shape)} and {list(signal.shape)} are not estimates of "
            "the same times: give two vectors of equal length."
        )
    if blocks < 3 or len(noise) < 2 * blocks:
        raise InputError(
            f"{len(noise)} estimates in {blocks} blocks have no interval: cut three "
            "blocks or more, of two estimates or more."
        )
    whole = _scale(noise.mean(), signal.mean())
    return _interval(whole, _scale(_without(noise, blocks), _without(signal, blocks)))


def _without(series: np.ndarray, blocks: int) -> np.ndarray:
    """The means without each block in turn."""
    parts = np.array_split(series, blocks)
    sums = np.array([part.sum() for part in parts])
    lengths = np.array([len(part) for part in parts])
    return (series.sum() - sums) / (len(series) - lengths)


def _scale(noise: Any, signal: Any) -> np.ndarray:
    """noise / signal; infinite or NaN as `NoiseScale` says."""
    noise, signal = np.asarray(noise, np.float64), np.asarray(signal, np.float64)
    positive = signal > 0
    ratio = noise / np.where(positive, signal, 1.0)
    nothing = (noise < 0) | ((noise == 0) & ~positive) | np.isnan(noise + signal)
    return np.where(nothing, np.nan, np.where(positive, ratio, np.inf))


def _interval(whole: np.ndarray, left_out: np.ndarray) -> NoiseScale:
    """The estimate, and the jackknife's interval from those that leave something
    out.
    """
    estimate, n = float(whole), len(left_out)
    if np.isnan(estimate) or estimate == 0:
        return NoiseScale(estimate, estimate, estimate)
    if not (
        np.isfinite(estimate) and np.all(left_out > 0) and np.all(left_out < np.inf)
    ):
        return NoiseScale(estimate, 0.0, np.inf)
    error = np.sqrt((n - 1) * np.var(np.log(left_out)))
    factor = np.exp(special.stdtrit(n - 1, (1 + LEVEL) / 2) * error)
    return NoiseScale(estimate, estimate / float(factor), estimate * float(factor))
