"""Windows of a series whose last days of training are kept for validation."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jax.typing import DTypeLike
from jaxtyping import Float, Int

from jaxml.problem.data.series import Causes
from jaxml.problem.data.views import PAGES
from jaxml.problem.tasks.lags import Span
from jaxml.problem.tasks.windows import (
    Window,
    drawn_windows,
    page_windows,
    scaled_windows,
)
from jaxml.types import Batch, InputError

__all__ = ["Validated", "series_and_pages", "shortened", "validated_windows"]


class Validated(NamedTuple):
    """Lags and targets of many windows, each in deviations of the days that are fitted.

    Attributes:
        sets: training, validation and test, each `[window, day, ...]`, rows of weight 0
            at the ends of shorter ones.
        fitted: days of training.
        deviation: thousands of views that 1 stands for.
    """

    sets: tuple[Batch, Batch, Batch]
    fitted: Int[np.ndarray, " window"]
    deviation: Float[np.ndarray, " window"]


def series_and_pages(seeds: Sequence[int], *, quarters: int, lags: int) -> list[Window]:
    """Windows of a drawn series of each seed, of four years of training and 180 days of
    test; then of so many quarters of each of `PAGES`, from July 2010 on, after 730 days
    of training.

    Args:
        seeds: one a series.
        quarters: of each page.
        lags: that a forecast is given.

    >>> windows = series_and_pages([0, 1], quarters=0, lags=7)
    >>> [window.test.last - window.train.last for window in windows]
    [180, 180]
    """
    windows = drawn_windows(Causes(), seeds, before=lags, fitted=1461, tested=180)
    for page in PAGES:
        windows += page_windows(
            page, "2010-07-01", fitted=730, tested=91, count=quarters
        )
    return windows


def shortened(windows: Sequence[Window], days: int) -> list[Window]:
    """The same windows, fitted to all but the last so many days of training.

    >>> [window] = shortened([Window(None, Span(0, 9), Span(10, 12))], 4)
    >>> window.train, window.test
    (Span(first=0, last=5), Span(first=10, last=12))

    Raises:
        InputError: fewer than one day, or as many as a window has, or more.
    """
    found = []
    for window in windows:
        first, last = window.train
        if not 0 < days <= last - first:
            raise InputError(
                f"{days} of {last - first + 1} days of training are no part to "
                "validate by: keep some for each."
            )
        found.append(window._replace(train=Span(first, last - days)))
    return found


def validated_windows(
    windows: Sequence[Window], lags: int, days: int, *, dtype: DTypeLike = np.float32
) -> Validated:
    """Windows as arrays with an axis in front, the last days of each training being
    kept for validation.

    In time validation lies between training and test, so that neither stopping nor a
    choice by it knows of the test; scales are those of the days that are fitted.

    Args:
        windows: one or more.
        lags: that a forecast is given.
        days: of validation.
        dtype: of lags, targets and weights.

    Raises:
        InputError: as `shortened`, or as `scaled_windows`.
    """
    shorter = shortened(windows, days)
    between = []
    for window in shorter:
        last = window.train.last
        between.append(window._replace(test=Span(last + 1, last + days)))
    own = scaled_windows(shorter, lags, dtype=dtype)
    known = scaled_windows(between, lags, dtype=dtype)
    return Validated((own.train, known.test, own.test), own.fitted, own.deviation)
