"""The course's first model: tomorrow's views as an offset and a multiple of today's."""

from collections.abc import Sequence

import jax
import numpy as np
from jaxtyping import Float
from scipy.optimize import linprog

from jaxml.problem.data.examples import examples
from jaxml.problem.data.views import DailyViews, day_of
from jaxml.problem.losses import mae, weighted_mean
from jaxml.types import Array, Batch, InputError, Scalar

__all__ = [
    "absolute_error",
    "drawn_views",
    "half_years",
    "least_absolute_line",
    "next_days",
    "padded",
    "second_moments",
    "standardised",
    "years_as_one",
]

LEVEL, TREND = 4.5, 0.2  # thousands of views on the first day, and more each year
WEEK = (0.3, 0.3, 0.2, 0.1, -0.6, -0.7, 0.4)  # Monday to Sunday: two low days
PERSISTENCE, NOISE = 0.9, 0.35  # of deviations from day to day; thousands of views
LEAST = 0.1  # thousands of views on any day


def drawn_views(days: int, *, seed: int) -> DailyViews:
    """Thousands of daily views from 1 January 2008 on, drawn: a level of 4.5 that rises
    by 0.2 a year, a week with two low days, and deviations of which 0.9 persist to the
    next day.

    In place of the course's views, which are not published: their level, their low
    Fridays and Saturdays and their forecasts that nearly repeat the last day are
    printed.

    Args:
        days: how many.
        seed: of the deviations.

    Raises:
        InputError: fewer than two days.

    >>> views = drawn_views(3, seed=0)
    >>> np.diff(views.days).tolist(), bool(np.all(views.thousands > 0))
    ([1, 1], True)
    """
    if days < 2:
        raise InputError(f"{days} days show no next one: draw 2 or more.")
    first = day_of("2008-01-01")
    calendar = first + np.arange(days)
    shocks = np.random.default_rng(seed).normal(scale=NOISE, size=days)
    deviations = np.zeros(days)
    deviations[0] = shocks[0] / np.sqrt(1 - PERSISTENCE**2)
    for day in range(1, days):
        deviations[day] = PERSISTENCE * deviations[day - 1] + shocks[day]
    weekdays = (calendar + 3) % 7  # day 0 was a Thursday
    trend = LEVEL + TREND * np.arange(days) / 365.25
    thousands = trend + np.array(WEEK)[weekdays] + deviations
    return DailyViews(calendar, np.maximum(thousands, LEAST))


def next_days(views: DailyViews, first: str, last: str) -> Batch:
    """A day's views (inputs `[n, 1]`) and those of the next day (targets `[n, 1]`), in
    thousands and float64.

    Args:
        views: by day.
        first: the first date that is an input, such as 2008-01-31.
        last: the last one.

    Raises:
        InputError: the views have no two days in a row there.

    >>> views = drawn_views(9, seed=0)
    >>> batch = next_days(views, "2008-01-02", "2008-01-04")
    >>> bool(np.all(batch.inputs[1:] == batch.targets[:-1])), len(batch.inputs)
    (True, 3)
    """
    today = views.days[:-1]
    follows = np.diff(views.days) == 1
    within = (today >= day_of(first)) & (today <= day_of(last))
    chosen = follows & within
    if not np.any(chosen):
        raise InputError(
            f"No day from {first} to {last} is followed by another: choose days from "
            f"{_written(views.days[0])} to {_written(views.days[-1])}."
        )
    inputs, targets = views.thousands[:-1], views.thousands[1:]
    return examples(inputs[chosen][:, None], targets[chosen][:, None])


def half_years(views: DailyViews, first: int, years: int) -> list[Batch]:
    """`next_days` of each half of so many years, in which no day is in two.

    Args:
        views: by day.
        first: year.
        years: how many.

    Raises:
        InputError: a half has no two days in a row.
    """
    found = []
    for year in range(first, first + years):
        found.append(next_days(views, f"{year}-01-01", f"{year}-06-29"))
        found.append(next_days(views, f"{year}-07-01", f"{year}-12-30"))
    return found


def years_as_one(views: DailyViews, first: int, years: int) -> Batch:
    """`next_days` of so many years.

    Args:
        views: by day.
        first: year.
        years: how many.

    Raises:
        InputError: they have no two days in a row.
    """
    return next_days(views, f"{first}-01-01", f"{first + years - 1}-12-31")


def padded(batches: Sequence[Batch]) -> Batch:
    """Batches as one with an axis in front, rows of weight 0 at the ends of shorter
    ones.

    >>> rows = [examples(np.ones((n, 1)), np.ones((n, 1))) for n in (1, 2)]
    >>> padded(rows).weights.tolist()
    [[1.0, 0.0], [1.0, 1.0]]
    """
    longest = max(len(batch.weights) for batch in batches)

    def longer(field: Array) -> np.ndarray:
        more = [(0, longest - len(field))] + [(0, 0)] * (np.ndim(field) - 1)
        return np.pad(field, more)

    each = [jax.tree.map(longer, batch) for batch in batches]
    return jax.tree.map(lambda *fields: np.stack(fields), *each)


def standardised(batch: Batch) -> Batch:
    """Inputs minus their mean, over their standard deviation, so that the mean squared
    error of a line has equal eigenvalues.

    >>> batch = examples(np.array([[1.0], [3.0]]), np.ones((2, 1)))
    >>> second_moments(standardised(batch)).tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """
    inputs = batch.inputs - np.mean(batch.inputs, axis=0)
    return batch._replace(inputs=inputs / np.std(batch.inputs, axis=0))


def absolute_error(params: Float[Array, " 2"], batch: Batch) -> Scalar:
    """The mean of |y - b - w x|, an objective of the parameters (w, b).

    >>> batch = examples(np.ones((2, 1)), np.array([[2.0], [6.0]]))
    >>> float(absolute_error(np.array([1.0, 1.0]), batch))
    2.0
    """
    forecasts = params[0] * batch.inputs + params[1]
    return weighted_mean(mae(forecasts, batch.targets), batch.weights)


def second_moments(batch: Batch) -> Float[np.ndarray, "2 2"]:
    """The means of x², x and 1: half of the Hessian of the mean squared error of a line
    over (w, b), whatever w and b.

    Args:
        batch: inputs `[n, 1]`, of weight 1 each.

    >>> batch = examples(np.array([[1.0], [3.0]]), np.ones((2, 1)))
    >>> second_moments(batch).tolist()
    [[5.0, 2.0], [2.0, 1.0]]
    """
    design = np.hstack([batch.inputs, np.ones_like(batch.inputs)])
    return design.T @ design / len(design)


def least_absolute_line(batch: Batch) -> Float[np.ndarray, " 2"]:
    """The w and b that minimise Σ|y - b - wx|, by a linear program; where several do,
    one of them.

    Args:
        batch: inputs and targets `[n, 1]`, of weight 1 each.

    Raises:
        InputError: inputs of other shapes.

    Source: Charnes, Cooper and Ferguson 1955, Management Science 1.

    >>> x = np.arange(5.0)[:, None]
    >>> y = np.where(x == 2, 99.0, 1 + 2 * x)
    >>> least_absolute_line(examples(x, y)).round(6).tolist()
    [2.0, 1.0]
    """
    x, y = np.asarray(batch.inputs), np.asarray(batch.targets)
    if x.shape[1:] != (1,) or y.shape != x.shape:
        raise InputError(
            f"Inputs of shape {x.shape} and targets of shape {y.shape} have no line: "
            "give [n, 1] of both."
        )
    n = len(x)
    design = np.hstack([x, np.ones_like(x)])
    over, under = -np.eye(n), np.eye(n)  # residuals above and below, each positive
    costs = np.concatenate([np.zeros(2), np.ones(2 * n)])
    free, positive = (None, None), (0, None)
    found = linprog(
        costs,
        A_eq=np.hstack([design, over, under]),
        b_eq=y[:, 0],
        bounds=[free] * 2 + [positive] * (2 * n),
    )
    return np.asarray(found.x[:2])


def _written(day: int | np.integer) -> str:
    return str(np.datetime64(int(day), "D"))
