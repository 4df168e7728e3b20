"""Windows of a series: days that are fitted, and later ones that are tested."""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import numpy as np
from jax.typing import DTypeLike
from jaxtyping import Float, Int

from jaxml.problem.data.series import Causes, caused_views, filled
from jaxml.problem.data.views import DailyViews, page_views
from jaxml.problem.tasks.lags import (
    Span,
    forecast_errors,
    lagged_split,
    least_absolute,
    linear_forecasts,
    rescaled,
    span,
)
from jaxml.problem.tasks.views import padded
from jaxml.types import Batch, InputError

__all__ = [
    "Fitted",
    "Scaled",
    "Window",
    "drawn_windows",
    "fitted_line",
    "page_windows",
    "scaled_windows",
]


class Window(NamedTuple):
    """Views of every day, those that are fitted, and those that are tested."""

    views: DailyViews
    train: Span
    test: Span


class Fitted(NamedTuple):
    """A line's weights and offset, and its mean absolute errors in thousands."""

    weights: Float[np.ndarray, " weight"]
    train: float
    test: float


class Scaled(NamedTuple):
    """Lags and targets of many windows, each in deviations of its own training.

    Attributes:
        train: `[window, day, ...]`, rows of weight 0 at the ends of shorter ones.
        test: likewise.
        fitted: days of training.
        deviation: thousands of views that 1 stands for.
    """

    train: Batch
    test: Batch
    fitted: Int[np.ndarray, " window"]
    deviation: Float[np.ndarray, " window"]


def drawn_windows(
    causes: Causes, seeds: Sequence[int], *, before: int, fitted: int, tested: int
) -> list[Window]:
    """One window of each of so many drawn series.

    Args:
        causes: of all of them.
        seeds: one a series.
        before: days before the first that is fitted, for its lags.
        fitted: days of training.
        tested: days after them.

    >>> [window] = drawn_windows(Causes(), [0], before=2, fitted=5, tested=1)
    >>> len(window.views.days), window.test.first - window.train.first
    (8, 5)
    """
    windows = []
    for seed in seeds:
        views = caused_views(before + fitted + tested, causes, seed=seed)
        first = int(views.days[0]) + before
        test = first + fitted
        windows.append(
            Window(views, Span(first, test - 1), Span(test, test + tested - 1))
        )
    return windows


def page_windows(
    page: str, date: str, *, fitted: int, tested: int, count: int
) -> list[Window]:
    """Windows of a page's views, whose tests follow each other without a gap.

    Tests share no day; the days that are fitted before them overlap where they are more
    than those tested, so that fits of neighbours are dependent.

    Args:
        page: one of `PAGES`, whose missing days are `filled`.
        date: the first that is tested, such as 2010-07-01.
        fitted: days before each test.
        tested: days of each test.
        count: how many.

    Raises:
        InputError: the page has not so many days.
    """
    views = filled(page_views(page))
    begin = span(date, date).first
    last = begin + tested * count - 1
    if begin - fitted < views.days[0] or last > views.days[-1]:
        raise InputError(
            f"{count} tests of {tested} days from {date} on do not fit the views of "
            f"{page}: use fewer or shorter ones."
        )
    windows = []
    for place in range(count):
        first = begin + tested * place
        train, test = Span(first - fitted, first - 1), Span(first, first + tested - 1)
        windows.append(Window(views, train, test))
    return windows


def fitted_line(window: Window, lags: int) -> Fitted:
    """The line of least absolute error from so many lags, and its errors.

    >>> [window] = drawn_windows(Causes(), [0], before=7, fitted=90, tested=9)
    >>> one, seven = fitted_line(window, 1), fitted_line(window, 7)
    >>> len(seven.weights), bool(seven.train < one.train)
    (8, True)
    """
    data = lagged_split(window.views, lags, window.train, window.test)
    weights = least_absolute(data.train)
    errors = []
    for batch in data:
        forecasts = linear_forecasts(weights, batch.inputs)
        errors.append(forecast_errors(forecasts, batch.targets).mae)
    train, test = errors
    return Fitted(weights, train, test)


def scaled_windows(
    windows: Sequence[Window], lags: int, *, dtype: DTypeLike = np.float32
) -> Scaled:
    """Windows as arrays with an axis in front, for networks that train at once.

    Args:
        windows: one or more.
        lags: that a forecast is given.
        dtype: of lags, targets and weights.

    >>> two = drawn_windows(Causes(), [0, 1], before=3, fitted=9, tested=4)
    >>> scaled_windows(two, 3).train.inputs.shape
    (2, 9, 3)
    """
    sets = [lagged_split(each.views, lags, each.train, each.test) for each in windows]
    scaled = [rescaled(data) for data in sets]

    def stacked(batches: Sequence[Batch]) -> Batch:
        return jax.tree.map(lambda field: np.asarray(field, dtype), padded(batches))

    return Scaled(
        stacked([data.train for data, _ in scaled]),
        stacked([data.test for data, _ in scaled]),
        np.array([len(data.train.weights) for data in sets]),
        np.array([scale.deviation for _, scale in scaled]),
    )
