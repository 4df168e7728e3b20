"""Daily views with known causes: what a forecast can learn, and what it cannot."""

from typing import NamedTuple

import numpy as np

from jaxml.problem.data.views import DailyViews, day_of
from jaxml.types import InputError

__all__ = ["Causes", "caused_views", "filled", "moved_holidays"]

LEAST = 0.01  # thousands of views on any day
EARLIEST, LATEST = "01-21", "02-20"  # between which a Lunar New Year falls
PERIOD = 7  # days of a week


class Causes(NamedTuple):
    """What a day's views are the product of, and what is added to them.

    The defaults give errors near those that the course prints, and a line from one day
    somewhat less steep than its own: over four years of 20 series the mean absolute
    error is 0.45 thousand with one lag (the course: 0.48) and 0.36 with seven (0.38),
    the slope 0.94 (0.97), and the offset 0.24 thousand (0.1).

    Attributes:
        level: thousands of views on the first day.
        trend: thousands that the level gains in a year.
        week: factors of Monday to Sunday, two of them low.
        persistence: the fraction of a deviation of the level's logarithm that is left
            on the next day.
        innovation: standard deviation of what comes to that deviation each day.
        noise: standard deviation of the logarithm of one day's own factor.
        holidays: the first days of holidays, since 1 January 1970.
        length: days of a holiday.
        dip: the fraction of the views that a day of a holiday lacks.
        interventions: single days, since 1970, on which something happens that no
            earlier view tells of.
        jump: thousands of views that such a day has more.
    """

    level: float = 4.5
    trend: float = 0.2
    week: tuple[float, ...] = (1.065, 1.065, 1.05, 1.035, 0.87, 0.845, 1.07)
    persistence: float = 0.99
    innovation: float = 0.045
    noise: float = 0.03
    holidays: tuple[int, ...] = ()
    length: int = 3
    dip: float = 0.3
    interventions: tuple[int, ...] = ()
    jump: float = 2.6


def caused_views(days: int, causes: Causes, *, seed: int) -> DailyViews:
    """Thousands of daily views from 1 January 2008 on, (level + trend t) times week
    times exp(deviation), a product that holidays lower and to which interventions add.

    Deviations are an autoregression of order one, plus noise of each day. Of equal
    seeds these are equal, whatever the other causes, so that two series can differ in
    one cause.

    Args:
        days: how many.
        causes: of the views.
        seed: of deviations and noise.

    Raises:
        InputError: fewer than two days, a week that has not seven days, or a
            persistence outside [0, 1).

    >>> calm = Causes(innovation=0, noise=0, trend=0, week=(1,) * 7, level=2.0)
    >>> dipping = calm._replace(holidays=(13880,), length=1, dip=0.5)
    >>> caused_views(3, dipping, seed=0).thousands.tolist()
    [2.0, 1.0, 2.0]
    """
    _check(days, causes)
    calendar = day_of("2008-01-01") + np.arange(days)
    rng = np.random.default_rng(seed)
    shocks = rng.normal(size=days)
    noise = rng.normal(size=days)
    deviations = _persisting(causes, shocks) + causes.noise * noise
    level = causes.level + causes.trend * np.arange(days) / 365.25
    weekdays = (calendar + 3) % PERIOD  # day 0 was a Thursday
    product = level * np.array(causes.week)[weekdays] * np.exp(deviations)
    for first in causes.holidays:
        dipping = (calendar >= first) & (calendar < first + causes.length)
        product = np.where(dipping, (1 - causes.dip) * product, product)
    happens = np.isin(calendar, np.array(causes.interventions, dtype=int))
    thousands = product + causes.jump * happens
    return DailyViews(calendar, np.maximum(thousands, LEAST))


def moved_holidays(first: int, years: int, *, seed: int) -> tuple[int, ...]:
    """One day of each year, drawn between 21 January and 20 February, the range of the
    Lunar New Year; as days since 1970.

    Args:
        first: year.
        years: how many.
        seed: of the draws.

    Raises:
        InputError: no year.

    >>> days = moved_holidays(2008, 2, seed=0)
    >>> [day_of("2008-01-21") <= days[0] <= day_of("2008-02-20"), len(days)]
    [True, 2]
    """
    if years < 1:
        raise InputError(f"{years} years have no holiday: draw those of 1 or more.")
    rng = np.random.default_rng(seed)
    found = []
    for year in range(first, first + years):
        earliest = day_of(f"{year}-{EARLIEST}")
        latest = day_of(f"{year}-{LATEST}")
        found.append(int(rng.integers(earliest, latest + 1)))
    return tuple(found)


def filled(views: DailyViews) -> DailyViews:
    """Views of every day from the first to the last: a missing one has those of seven
    days earlier, or else of the day before.

    Only earlier days are used, so a forecast learns nothing of later ones.

    Args:
        views: by day, in their order.

    >>> some = DailyViews(np.array([3, 5]), np.array([1.0, 2.0]))
    >>> filled(some).thousands.tolist()
    [1.0, 1.0, 2.0]
    """
    first, last = int(views.days[0]), int(views.days[-1])
    calendar = np.arange(first, last + 1)
    thousands = np.full(len(calendar), np.nan)
    thousands[views.days - first] = views.thousands
    for place in np.flatnonzero(np.isnan(thousands)):
        back = PERIOD if place >= PERIOD else 1
        thousands[place] = thousands[place - back]
    return DailyViews(calendar, thousands)


def _persisting(causes: Causes, shocks: np.ndarray) -> np.ndarray:
    """An autoregression of order one that begins as it goes on."""
    steady = np.sqrt(1 - causes.persistence**2)
    deviations = np.zeros(len(shocks))
    deviations[0] = causes.innovation * shocks[0] / steady
    for day in range(1, len(shocks)):
        kept = causes.persistence * deviations[day - 1]
        deviations[day] = kept + causes.innovation * shocks[day]
    return deviations


def _check(days: int, causes: Causes) -> None:
    if days < 2:
        raise InputError(f"{days} days show no next one: draw 2 or more.")
    if len(causes.week) != PERIOD:
        raise InputError(
            f"A week of {len(causes.week)} factors is none: give seven, of Monday to "
            "Sunday."
        )
    if not 0 <= causes.persistence < 1:
        raise InputError(
            f"Deviations that persist by {causes.persistence} never settle: choose "
            "from 0 to below 1."
        )
