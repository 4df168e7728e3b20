"""Do forecasts from past views show the drop at a holiday one day late?

The course's forecasts of a channel's views show the drop at the Lunar New Year one day
late. Here lines from 56 days, fitted by mean absolute error, forecast drawn series, a
unit a series of its own, in which a holiday of three days, which lacks 0.3 of the
views, moves from year to year as the Lunar New Year does.

C009: the delay is that, of -3 to 3 days, at which forecasts and views correlate best
from 4 days before the holiday to 5 after it begins, both as departures from the mean
of their weekday in four earlier weeks; without that the week, which a line of 56 days
knows, hides the holiday. In most series it must be 1; at 0 the line would know, at
other delays it would follow something else. Control: a line that is also told which
days are holidays, and how many of the last nine days were, which must be refuted.
Beside it stand ordinary weeks, in which forecasts may be late too, and R's
Thanksgivings and Christmases, 10 in all, too few to decide.

Sized by drawn series of other seeds: of 60, all delays were 1, and 5 when told. R's
holidays were seen when the rules were fixed.

That deviations persist in drawn series is their author's choice; of those that did not,
a line would show little of a holiday at any delay.

Not tested: the course's data; networks; a Lunar New Year.

Claims: C009.
Sources: Taylor and Letham 2018, The American Statistician 72 (the views).
Cost: 6 seconds on 2 cores, compilation included.
Expect: forecasts are a day late, unless they are told of the holiday.
Run: jaxml run holidays
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

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
PAST = 730  # days before one of R's holidays
CHRISTMAS_YEARS = range(2010, 2015)

MOSTLY = record.above(0.5)


@dataclass(frozen=True, kw_only=True)
class Config:
    """Drawn series, and years of R's holidays."""

    series: int = 60
    years: int = len(CHRISTMAS_YEARS)
    seed: int = 0


SMOKE = Config(series=2, years=1)


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


class Result(NamedTuple):
    """Delays of drawn series and of R."""

    delays: Delays
    christmas: Delays


def study(config: Config, keep: Keep) -> Result:
    """Fits by NumPy in float64."""
    seeds = randomness.seeds(config.seed, config.series)
    views = problem.filled(problem.page_views("R"))
    return Result(
        delays=keep("delays", partial(_delays_of_drawn, seeds)),
        christmas=keep("christmas", partial(_delays_of_r, config.years, views)),
    )


def _stacked(units: Sequence[Delays]) -> Delays:
    return Delays(*[np.stack(fields) for fields in zip(*units, strict=True)])


def _delays_of_drawn(seeds: Sequence[int]) -> Delays:
    """Of the last holiday of each series, beside the same series without any."""
    units = []
    for seed in seeds:
        holidays = problem.moved_holidays(2008, YEARS, seed=seed)
        causes = Causes(holidays=holidays)
        views = problem.caused_views(365 * YEARS, causes, seed=seed)
        calm = problem.caused_views(365 * YEARS, Causes(), seed=seed)
        units.append(_around(views, calm, holidays, holidays[-1], FITTED))
    return _stacked(units)


def _delays_of_r(years: int, views: DailyViews) -> Delays:
    """Of Thanksgiving and Christmas, beside the days five weeks earlier."""
    known = []
    for year in range(2008, CHRISTMAS_YEARS.stop):
        known += [_thanksgiving(year), _day(f"{year}-12-24")]
    units = []
    for first in known[4 : 4 + 2 * years]:
        earlier = DailyViews(views.days + 5 * WEEK, views.thousands)
        units.append(_around(views, earlier, known, first, PAST))
    return _stacked(units)


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


def findings(result: Result) -> tuple[Assertion, ...]:
    """Fractions of holidays."""
    return (*_late(result.delays), *_christmas(result.christmas))


def _late(delays: Delays) -> tuple[Assertion, ...]:
    """C009 of drawn series."""
    setting = (
        f"{len(delays.holiday)} drawn series of daily views, of whose deviations 0.99 "
        f"persist to the next day, a holiday of {LENGTH} days that "
        "moves from year to year, a line fitted to four years"
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
        f"page R, a line fitted to {PAST} days"
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


def figures(result: Result) -> dict[str, Figure]:
    """A holiday and its forecast; delays."""
    return {"holidays": _pictures(result), "delays": _histograms(result)}


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
