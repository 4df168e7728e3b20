"""What can no forecast from past views know: a holiday, and a day whose cause is new?

The course's forecasts show the drop at the Lunar New Year one day late, and fail on 26
February 2021, the day of most views of the year, by 2.58 thousand where 0.38 is usual.
It takes the latter for a mismatch, whose cause no input tells, and not for overfitting.
Here lines from 56 days, fitted by mean absolute error, forecast:

- *drawn series*, a unit a series of its own, in which a holiday of three days, which
  lacks 0.3 of the views, moves from year to year, as the Lunar New Year does; or in
  which something adds 2.6 thousand to one day, as on that 26 February.
- *pages* of Wikipedia. A unit is a half-year, in which the day that rose most over the
  same weekday of the week before stands for that 26 February, which was chosen after
  the fact as well. Half-years share no tested day, but days of training.

C009: the delay is that, of -3 to 3 days, at which forecasts and views correlate best
from 4 days before the holiday to 5 after it begins, both as departures from the mean
of their weekday in four earlier weeks; without that the week, which a line of 56 days
knows, hides the holiday. In most series it must be 1; at 0 the line would know, at
other delays it would follow something else. Control: a line that is also told which
days are holidays, and how many of the last nine days were, which must be refuted.
Beside it stand ordinary weeks, in which forecasts may be late too, and R's
Thanksgivings and Christmases, 10 in all, too few to decide.

C008, of the day: its error is more than 4 times the mean of the other days', for the
largest of 182 normal errors is 3.4 times their mean; and 730 earlier days instead of
120 do not lower it by 10 %. Were it overfitting, more days would. Control: the other
days' errors, which must fall by more. In drawn series 2,922 days are compared with
120. The first holds by construction there, and decides on Peyton Manning only. On R
the day's errors scatter by half of themselves, so that 11 half-years, which only
support, cannot tell 10 %. A line from one day stands beside the one of 56: a simpler
model fails too.

Sized by drawn series of other seeds: of 14, all delays were 1. Numbers of the pages
were seen when the rules were fixed; there are no others.

Not tested: the course's data; networks, which know no more of such a day than a line.

Claims: C008, C009.
Sources: Taylor and Letham 2018, The American Statistician 72 (the views).
Cost: 5 seconds on 2 cores.
Expect: forecasts are a day late; no number of earlier days tells of a new cause.
Run: jaxml run holidays
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from jaxml import problem, randomness, record
from jaxml.problem import Causes, DailyViews, Span
from jaxml.record import Assertion
from jaxml.record.figures import Figure, label, legend_below, panels, strips
from jaxml.types import Array, Dataset, Keep

LAGS, WEEK = 56, 7
YEARS = 6  # of a drawn series; its last holiday is tested
FITTED = 1461  # days before a drawn holiday
BEFORE, AFTER = 4, 6  # days of the window around the first of a holiday
EARLIER = 60  # tested days before a holiday
DELAYS = np.arange(-3, 4)
LENGTH = Causes().length
TOLD = LENGTH + WEEK  # days back of which it is told whether they were holidays
FEW, MANY, MOST = 120, 730, 2922  # days of training
HALF_YEAR = 182
FIRST_DAY = "2010-07-01"
CHRISTMAS_YEARS = range(2010, 2015)

TIMES = 4.0  # the error of a day that fails, in those of the others
FAILS = record.above(np.log(TIMES), margin=0.05, reason="one in twenty is hardly seen")
NO_LOWER = record.above(-0.1, margin=0.02, reason="2 % is the course's last digit")
MOSTLY = record.above(0.5)


@dataclass(frozen=True, kw_only=True)
class Config:
    """Drawn series, half-years of a page, and years of R's holidays."""

    series: int = 60
    halves: int = 11
    years: int = len(CHRISTMAS_YEARS)
    seed: int = 0


SMOKE = Config(series=2, halves=2, years=1)


class Delays(NamedTuple):
    """Days by which forecasts are late, a unit a holiday of a series, or of R.

    Attributes:
        holiday: of a line from 56 days.
        week: of a line from seven days.
        told: of a line from 56 days that is told of holidays.
        ordinary: of the first line where there is no holiday.
        views: around the holiday, in thousands.
        forecasts: of the first line.
    """

    holiday: Int[np.ndarray, " unit"]
    week: Int[np.ndarray, " unit"]
    told: Int[np.ndarray, " unit"]
    ordinary: Int[np.ndarray, " unit"]
    views: Float[np.ndarray, "unit day"]
    forecasts: Float[np.ndarray, "unit day"]


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
    """Delays of drawn series and of R; errors of drawn series and of pages."""

    delays: Delays
    christmas: Delays
    drawn: Days
    r: Days
    manning: Days


def study(config: Config, keep: Keep) -> Result:
    """Fits by NumPy in float64."""
    count = config.series
    moved = randomness.seeds(config.seed, count)
    others = randomness.seeds(config.seed, count, skip=count)
    r, manning = [problem.filled(problem.page_views(page)) for page in problem.PAGES]
    return Result(
        delays=keep("delays", partial(_delays_of_drawn, moved)),
        christmas=keep("christmas", partial(_delays_of_r, config.years, r)),
        drawn=keep("drawn", partial(_days_of_drawn, others)),
        r=keep("R", partial(_days_of_page, config.halves, r)),
        manning=keep("Peyton Manning", partial(_days_of_page, config.halves, manning)),
    )


def _stacked(kind: type[Any], units: Sequence[Any]) -> Any:
    return kind(*[np.stack(fields) for fields in zip(*units, strict=True)])


def _delays_of_drawn(seeds: Sequence[int]) -> Delays:
    """Of the last holiday of each series, beside the same series without any."""
    units = []
    for seed in seeds:
        holidays = problem.moved_holidays(2008, YEARS, seed=seed)
        causes = Causes(holidays=holidays)
        views = problem.caused_views(365 * YEARS, causes, seed=seed)
        calm = problem.caused_views(365 * YEARS, Causes(), seed=seed)
        units.append(_around(views, calm, holidays, holidays[-1], FITTED))
    return _stacked(Delays, units)


def _delays_of_r(years: int, views: DailyViews) -> Delays:
    """Of Thanksgiving and Christmas, beside the days five weeks earlier."""
    known = []
    for year in range(2008, CHRISTMAS_YEARS.stop):
        known += [_thanksgiving(year), _day(f"{year}-12-24")]
    units = []
    for first in known[4 : 4 + 2 * years]:
        earlier = DailyViews(views.days + 5 * WEEK, views.thousands)
        units.append(_around(views, earlier, known, first, MANY))
    return _stacked(Delays, units)


def _day(date: str) -> int:
    return problem.span(date, date).first


def _thanksgiving(year: int) -> int:
    """The fourth Thursday of November; day 0 was a Thursday."""
    first = _day(f"{year}-11-01")
    return first + (-first) % WEEK + 3 * WEEK


def _around(
    views: DailyViews,
    calm: DailyViews,
    holidays: Sequence[int],
    first: int,
    fitted: int,
) -> Delays:
    """Of one holiday, without the axis of units."""
    begin = first - EARLIER
    train = Span(begin - fitted, begin - 1)
    test = Span(begin, first + AFTER + WEEK - 1)
    data = problem.lagged_split(views, LAGS, train, test)
    told = Dataset(
        data.train._replace(inputs=_told(data.train.inputs, train, holidays)),
        data.test._replace(inputs=_told(data.test.inputs, test, holidays)),
    )
    forecasts = _forecasts(data)
    targets = np.asarray(data.test.targets)[:, 0]
    near = slice(EARLIER - WEEK, EARLIER + AFTER + WEEK)
    return Delays(
        holiday=_delay(targets, forecasts),
        week=_delay(targets, _forecasts(problem.lagged_split(views, 7, train, test))),
        told=_delay(targets, _forecasts(told)),
        ordinary=_delay_of(problem.lagged_split(calm, LAGS, train, test)),
        views=targets[near],
        forecasts=forecasts[near],
    )


def _told(inputs: Array, days: Span, holidays: Sequence[int]) -> np.ndarray:
    """The lags, and whether the day and each of those before it was of a holiday."""
    calendar = np.arange(days.first, days.last + 1)
    since = [np.isin(calendar, np.array(holidays) + past) for past in range(TOLD)]
    return np.hstack([inputs, np.stack(since, axis=1).astype(np.float64)])


def _forecasts(data: Dataset) -> Float[np.ndarray, " day"]:
    fitted = problem.least_absolute(data.train)
    return problem.linear_forecasts(fitted, data.test.inputs)


def _delay_of(data: Dataset) -> np.ndarray:
    return _delay(np.asarray(data.test.targets)[:, 0], _forecasts(data))


def _delay(views: np.ndarray, forecasts: np.ndarray) -> np.ndarray:
    """Where forecasts correlate best with views, as departures from a usual week."""
    start, stop = EARLIER - BEFORE, EARLIER + AFTER
    days = np.arange(len(views))
    usual = np.zeros(len(views))
    weeks = views[start - 4 * WEEK : start].reshape(4, WEEK)
    usual = np.mean(weeks, axis=0)[(days - start) % WEEK]
    departed, forecast = views - usual, forecasts - usual
    correlations = []
    for delay in DELAYS:
        late = forecast[start + delay : stop + delay]
        correlations.append(np.corrcoef(late, departed[start:stop])[0, 1])
    return DELAYS[int(np.argmax(correlations))]


def _days_of_drawn(seeds: Sequence[int]) -> Days:
    """Of a day, drawn from a half-year, to which something adds."""
    units = []
    total = LAGS + MOST + HALF_YEAR
    begin = _day("2008-01-01") + LAGS + MOST
    for seed in seeds:
        drawn = np.random.default_rng([seed, 1])
        new = begin + int(drawn.integers(HALF_YEAR))
        causes = Causes(interventions=(new,))
        views = problem.caused_views(total, causes, seed=seed)
        units.append(_day_errors(views, begin, new, MOST))
    return _stacked(Days, units)


def _days_of_page(halves: int, views: DailyViews) -> Days:
    """Of the day of each half-year that rose most over a week before."""
    units = []
    for half in range(halves):
        begin = _day(FIRST_DAY) + HALF_YEAR * half
        place = begin - int(views.days[0])
        now = views.thousands[place : place + HALF_YEAR]
        week_ago = views.thousands[place - WEEK : place + HALF_YEAR - WEEK]
        risen = begin + int(np.argmax(now / week_ago))
        units.append(_day_errors(views, begin, risen, MANY))
    return _stacked(Days, units)


def _day_errors(views: DailyViews, begin: int, new: int, many: int) -> Days:
    """Of one half-year, without the axis of units."""
    test = Span(begin, begin + HALF_YEAR - 1)

    def errors(lags: int, count: int) -> np.ndarray:
        train = Span(begin - count, begin - 1)
        data = problem.lagged_split(views, lags, train, test)
        return np.abs(_forecasts(data) - np.asarray(data.test.targets)[:, 0])

    few, much, simple = errors(LAGS, FEW), errors(LAGS, many), errors(1, many)
    place = new - begin
    both = np.stack([few, much])
    others = np.mean(np.delete(both, place, axis=1), axis=1)
    return Days(both[:, place], others, simple[place])


def findings(result: Result) -> tuple[Assertion, ...]:
    """Delays as fractions; errors as log ratios."""
    pages = f"{{}} half-years of daily views of the page {{}}, {FIRST_DAY} on"
    manning = pages.format(len(result.manning.simple), "Peyton Manning")
    r = pages.format(len(result.r.simple), "R")
    drawn = f"{len(result.drawn.simple)} drawn series of daily views with one new day"
    return (
        *_late(result.delays),
        *_christmas(result.christmas),
        _more_days(record.deciding, result.drawn, drawn, MOST),
        _fails(record.supporting, result.drawn, drawn, MOST),
        *_beside(result.drawn, drawn, MOST),
        _more_days(record.deciding, result.manning, manning, MANY),
        _fails(record.deciding, result.manning, manning, MANY),
        *_beside(result.manning, manning, MANY),
        _more_days(record.supporting, result.r, r, MANY),
        _fails(record.supporting, result.r, r, MANY),
        *_beside(result.r, r, MANY),
    )


def _late(delays: Delays) -> tuple[Assertion, ...]:
    """C009 of drawn series."""
    setting = (
        f"{len(delays.holiday)} drawn series of daily views, a holiday of {LENGTH} "
        "days that moves from year to year, a line fitted to four years"
    )
    shows = "shows the drop at a holiday one day late in most series."
    finding = partial(
        record.supporting, "C009", unit="fraction", setting=setting, figure="delays"
    )

    def late(days: np.ndarray) -> record.Interval:
        return record.proportion(days == 1, of=delays.views)

    return (
        record.deciding(
            "C009",
            f"The forecast from the last 56 days {shows}",
            late(delays.holiday),
            MOSTLY,
            unit="fraction",
            setting=setting,
            figure="holidays",
        ),
        finding(
            f"The forecast from the last seven days {shows}", late(delays.week), MOSTLY
        ),
        finding(
            "Control: the forecast from the last 56 days, told which days are and were "
            f"holidays, {shows}",
            late(delays.told),
            MOSTLY,
        ),
        finding(
            "Without a holiday the forecast from the last 56 days is one day late on "
            "the same days in most series.",
            late(delays.ordinary),
            MOSTLY,
        ),
    )


def _christmas(delays: Delays) -> tuple[Assertion, ...]:
    """C009 of R."""
    setting = (
        f"{len(delays.holiday)} Thanksgivings and Christmases of daily views of the "
        f"page R, a line fitted to {MANY} days"
    )
    return (
        record.supporting(
            "C009",
            "The forecast from the last 56 days shows the change at a holiday one day "
            "late on most holidays.",
            record.proportion(delays.holiday == 1, of=delays.views),
            MOSTLY,
            unit="fraction",
            setting=setting,
            figure="delays",
        ),
    )


def _mean(values: np.ndarray) -> float:
    return float(np.mean(values))


def _log_ratio(ours: np.ndarray, theirs: np.ndarray) -> record.Interval:
    return record.bootstrap(_mean, np.log(ours / theirs))


def _more_days(
    role: Callable[..., Assertion], days: Days, setting: str, many: int
) -> Assertion:
    """C008, whether data mend it."""
    few, much = np.moveaxis(days.day, 1, 0)
    return role(
        "C008",
        f"Fitting {many:,} earlier days instead of {FEW} lowers the error of a line "
        "from 56 days, on a day whose rise no input tells, by less than 10 %: log "
        "ratio.",
        _log_ratio(much, few),
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
        f"A line from 56 days, fitted to {many:,}, errs on the day whose rise no input "
        f"tells by more than {TIMES:g} times its error on other days: log ratio.",
        _log_ratio(days.day[:, 1], days.others[:, 1]),
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
            _log_ratio(much, few),
            NO_LOWER,
        ),
        finding(
            "On the day whose rise no input tells a line from one day errs by less "
            "than a line from 56: log ratio.",
            _log_ratio(days.simple, days.day[:, 1]),
            record.below(0.0, margin=0.1, reason="a tenth of such an error"),
        ),
    )


def figures(result: Result) -> dict[str, Figure]:
    """A holiday and its forecast; delays; errors of the day and of others."""
    return {
        "holidays": _pictures(result),
        "delays": _histograms(result),
        "days": _errors(result),
    }


def _pictures(result: Result) -> Figure:
    """The first drawn holiday, and R's first Christmas."""
    figure, axes = panels(1, 2, width=5.0, height=3.4)
    day = np.arange(-WEEK, AFTER + WEEK)
    drawn, christmas = result.delays, result.christmas
    for axis, name, delays, unit in (
        (axes[0], "A drawn series", drawn, 0),
        (axes[1], "Views of the page R, Christmas", christmas, 1),
    ):
        axis.plot(day, delays.views[unit], label="views")
        axis.plot(day, delays.forecasts[unit], label="forecast from 56 days")
        axis.axvspan(0, LENGTH - 1, color="0.9", label="holiday")
        label(axis, name, "days since the holiday began", "views (thousands)")
        legend_below(axis)
    return figure


def _histograms(result: Result) -> Figure:
    figure, axes = panels(1, 2, width=5.6, height=3.4)
    drawn = {
        "from 56": result.delays.holiday,
        "from 7": result.delays.week,
        "told": result.delays.told,
        "no holiday": result.delays.ordinary,
    }
    strips(axes[0], drawn)
    label(axes[0], "Drawn series, a point a series", "forecast", "delay (days)")
    r = {
        "from 56": result.christmas.holiday,
        "from 7": result.christmas.week,
        "told": result.christmas.told,
        "5 weeks before": result.christmas.ordinary,
    }
    strips(axes[1], r)
    label(axes[1], "The page R, a point a holiday", "forecast", "delay (days)")
    return figure


def _errors(result: Result) -> Figure:
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
    return figure
