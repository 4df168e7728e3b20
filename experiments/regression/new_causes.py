"""Does more data from before help to forecast a day whose cause is new?

The course's network, chosen on past views, failed on 26 February 2021, the day of most
views of the year, by 2.58 thousand where 0.38 is usual; other depths failed by 1.8 and
more. It takes that for a mismatch, whose cause no input tells, and not for overfitting.
Here lines from 56 days, fitted by mean absolute error, forecast half-years of:

- *pages* of Wikipedia: 11 half-years each. The day that rose most over the same weekday
  of the week before stands for that 26 February, which was chosen after the fact as
  well. Half-years share no tested day, but days of training.
- *drawn series*, a unit a series of its own: something adds 2.6 thousand to a day that
  is drawn from the half-year, and to no other.

Of that day is claimed:

- *It fails*: its error is more than 4 times the mean of the other days'. The largest of
  182 normal errors is 3.4 times their mean. In drawn series that is by construction,
  and on pages by the choice of the day that rose most; so it supports only.
- *More data do not mend it*: 730 earlier days instead of 120, of drawn series 2,922, do
  not lower its error by 10 %. Were it overfitting, they would: control, the other days'
  errors, which must fall by more.

Changed in review: "It fails" decided on Peyton Manning. Half-years share up to 548 of
730 days of training; of Peyton Manning neighbours' log ratios correlate by 0.03.

On R the day's errors scatter by half of themselves, and 11 half-years cannot tell 10 %:
they support only. Beside it stands a line from one day: does a simpler model fail less?

Sized by 60 drawn series of seed 7: for 120 the half-width is 0.05 at the error shared.
Numbers of the pages were seen when the rules were fixed; there are no others.

Not tested: the course's data; networks, which know no more of such a day than a line.

Claims: C008.
Sources: Taylor and Letham 2018, The American Statistician 72 (the views).
Cost: 8 seconds on 2 cores, compilation included.
Expect: the day fails, and no number of earlier days tells of a new cause.
Run: jaxml run new_causes
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from jaxml import problem, randomness, record
from jaxml.problem import Causes, Span, Window
from jaxml.record import Assertion
from jaxml.record.figures import Figure, label, panels, strips
from jaxml.types import Keep

LAGS, WEEK = 56, 7
FEW, MANY, MOST = 120, 730, 2922  # days of training
HALF_YEAR = 182
FIRST_DAY = "2010-07-01"

TIMES = 4.0  # the error of a day that fails, in those of the others
FAILS = record.above(np.log(TIMES), margin=0.05, reason="one in twenty is hardly seen")
NO_LOWER = record.above(-0.1, margin=0.02, reason="2 % is the course's last digit")


@dataclass(frozen=True, kw_only=True)
class Config:
    """Drawn series, and half-years of a page."""

    series: int = 120
    halves: int = 11
    seed: int = 0


SMOKE = Config(series=2, halves=2)


class Days(NamedTuple):
    """Absolute errors in thousands of views, by unit.

    Attributes:
        day: of the day, by few and many days of training.
        others: the mean of the other days, likewise.
        simple: of the day, by a line from one day, with many.
    """

    day: Float[np.ndarray, "unit two"]
    others: Float[np.ndarray, "unit two"]
    simple: Float[np.ndarray, " unit"]


class Result(NamedTuple):
    """Errors of drawn series and of pages."""

    drawn: Days
    r: Days
    manning: Days


def study(config: Config, keep: Keep) -> Result:
    """Fits by NumPy in float64."""
    seeds = randomness.seeds(config.seed, config.series)
    halves = config.halves
    return Result(
        drawn=keep("drawn", partial(_days_of_drawn, seeds)),
        r=keep("R", partial(_days_of_page, halves, "R")),
        manning=keep("manning", partial(_days_of_page, halves, "Peyton Manning")),
    )


def _stacked(units: Sequence[Days]) -> Days:
    return Days(*[np.stack(fields) for fields in zip(*units, strict=True)])


def _days_of_drawn(seeds: Sequence[int]) -> Days:
    """Of a day, drawn from a half-year, to which something adds."""
    units = []
    begin = problem.span("2008-01-01", "2008-01-01").first + LAGS + MOST
    drawing = partial(problem.drawn_windows, before=LAGS, fitted=MOST, tested=HALF_YEAR)
    for seed in seeds:
        drawn = np.random.default_rng([seed, 1])
        new = begin + int(drawn.integers(HALF_YEAR))
        [window] = drawing(Causes(interventions=(new,)), [seed])
        units.append(_day_errors(window, new))
    return _stacked(units)


def _days_of_page(halves: int, page: str) -> Days:
    """Of the day of each half-year that rose most over a week before."""
    units = []
    for window in problem.page_windows(
        page, FIRST_DAY, fitted=MANY, tested=HALF_YEAR, count=halves
    ):
        views, begin = window.views, window.test.first
        place = begin - int(views.days[0])
        now = views.thousands[place : place + HALF_YEAR]
        week_ago = views.thousands[place - WEEK : place + HALF_YEAR - WEEK]
        units.append(_day_errors(window, begin + int(np.argmax(now / week_ago))))
    return _stacked(units)


def _day_errors(window: Window, new: int) -> Days:
    """Of one half-year, without the axis of units."""
    test = window.test
    short = window._replace(train=Span(test.first - FEW, test.first - 1))
    few, much, simple = (
        _errors_of(short, LAGS),
        _errors_of(window, LAGS),
        _errors_of(window, 1),
    )
    place = new - test.first
    both = np.stack([few, much])
    others = np.mean(np.delete(both, place, axis=1), axis=1)
    return Days(both[:, place], others, simple[place])


def _errors_of(window: Window, lags: int) -> Float[np.ndarray, " day"]:
    """Absolute errors of the tested days."""
    fitted = problem.fitted_line(window, lags)
    tested = problem.lagged(window.views, lags, window.test)
    forecasts = problem.linear_forecasts(fitted.weights, tested.inputs)
    return np.abs(forecasts - np.asarray(tested.targets)[:, 0])


def findings(result: Result) -> tuple[Assertion, ...]:
    """Log ratios of errors."""
    pages = (
        f"{{}} half-years of daily views of the page {{}}, {FIRST_DAY} on; for a new "
        "cause stands the day that rose most over the week before"
    )
    manning = pages.format(len(result.manning.simple), "Peyton Manning")
    r = pages.format(len(result.r.simple), "R")
    drawn = f"{len(result.drawn.simple)} drawn series of daily views with one new day"
    return (
        _more_days(record.deciding, result.drawn, drawn, MOST),
        _fails(record.supporting, result.drawn, drawn, MOST),
        *_beside(result.drawn, drawn, MOST),
        _more_days(record.deciding, result.manning, manning, MANY),
        _fails(record.supporting, result.manning, manning, MANY),
        *_beside(result.manning, manning, MANY),
        _more_days(record.supporting, result.r, r, MANY),
        _fails(record.supporting, result.r, r, MANY),
        *_beside(result.r, r, MANY),
    )


def _more_days(
    role: Callable[..., Assertion], days: Days, setting: str, many: int
) -> Assertion:
    """C008, whether data mend it."""
    few, much = np.moveaxis(days.day, 1, 0)
    return role(
        "C008",
        f"Fitting {many:,} earlier days instead of {FEW} lowers the error of a line "
        "from 56 days, on the day of a new cause, by less than 10 %: log "
        "ratio.",
        record.mean_log_ratio(much, few),
        NO_LOWER,
        unit="log ratio",
        setting=setting,
        figure="days",
    )


def _fails(
    role: Callable[..., Assertion], days: Days, setting: str, many: int
) -> Assertion:
    """C008, how badly."""
    return role(
        "C008",
        f"A line from 56 days, fitted to {many:,}, errs on the day of a new cause "
        f"by more than {TIMES:g} times its error on other days: log ratio.",
        record.mean_log_ratio(days.day[:, 1], days.others[:, 1]),
        FAILS,
        unit="log ratio",
        setting=setting,
        figure="days",
    )


def _beside(days: Days, setting: str, many: int) -> tuple[Assertion, ...]:
    """C008: the control, and a simpler model."""
    few, much = np.moveaxis(days.others, 1, 0)
    finding = partial(
        record.supporting, "C008", unit="log ratio", setting=setting, figure="days"
    )
    return (
        finding(
            f"Control: fitting {many:,} earlier days instead of {FEW} lowers the error "
            "of a line from 56 days, on other days, by less than 10 %: log ratio.",
            record.mean_log_ratio(much, few),
            NO_LOWER,
        ),
        finding(
            "On the day of a new cause a line from one day errs by less "
            "than a line from 56: log ratio.",
            record.mean_log_ratio(days.simple, days.day[:, 1]),
            record.below(0.0, margin=0.1, reason="a tenth of such an error"),
        ),
    )


def figures(result: Result) -> dict[str, Figure]:
    """By few and many days of training, relative to the other days' error."""
    figure, axes = panels(1, 3, width=4.4, height=3.4)
    kinds = {"drawn": result.drawn, "R": result.r, "Peyton Manning": result.manning}
    for axis, (name, days) in zip(axes, kinds.items(), strict=True):
        usual = days.others[:, 1]
        samples = {
            "day, 120": days.day[:, 0] / usual,
            "day, many": days.day[:, 1] / usual,
            "day, 1 lag": days.simple / usual,
            "others, 120": days.others[:, 0] / usual,
        }
        strips(axis, samples)
        axis.axhline(TIMES, color="0.4", linestyle=":")
        axis.set_yscale("log")
        label(axis, name, "days of training", "error over other days'")
    return {"days": figure}
