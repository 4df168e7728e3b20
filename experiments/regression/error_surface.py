"""Is the error surface of a forecast from one day a long tilted valley?

The course forecasts tomorrow's views as y = b + w x from today's views x, in thousands,
and draws the mean absolute error over w and b. In its picture, w from -0.75 to 1.25
and b from -1 to 1, lies a long tilted valley, whose lowest point is w = 0.97, b = 0.1.
The course's views are not published. Here the same model and axes take daily views of
two pages of Wikipedia. Valley and walls are the eigenvectors of the Hessian of the mean
squared error, as the ledger has it:

- *Long*: the ellipse of equal error is √κ times as long as wide, κ being the ratio of
  eigenvalues; long is more than 5. κ is that of one unit of b, here a thousand views,
  as in the picture; beside it stands the length in the unit that makes it least.
- *Tilted*: the valley's axis is more than 5 degrees from both axes of the picture, on
  which a unit of w and a thousand views are equally long. The course's own is tilted
  by about 11, were its mean 4.9.

Both are closed forms of two numbers of the views, their mean m and their standard
deviation s: the Hessian is twice [[m² + s², m], [m, 1]]. So the study reports what two
pages happen to have. It is deterministic, of two pages, and nothing in it decides. The
window is part of the answer, for s grows with it: the findings are of a page's first
four years as one, which are as long as the course's data, and half-years are drawn as
points. Those of one page are dependent, and have no interval. Also supporting: the best
line of the four years beside the course's printed one; and all of it for views drawn
by a program after what the course says of its own, whose outcome their author chose.

Changed after results were seen, of which nothing is drawn for the pages: half-years
were units of an interval that decided, and R was long by them, 8.9, and not over four
years, 4.2. Eigenvalues of years were known before the thresholds were fixed; margins
are what one cannot see in a picture; neither was changed afterwards.

Not tested: the course's own data, other pages.

Claims: C012.
Sources: Taylor and Letham 2018, The American Statistician 72 (the views).
Cost: 3 seconds on 2 cores, compilation included.
Expect: tilted where views vary less than their mean; long where they are at least a few
    thousand, or hardly vary.
Run: jaxml run error_surface
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from jaxml import curvature, problem, randomness, record
from jaxml.record import Assertion
from jaxml.record.figures import Axes, Figure, label, legend_below, panels, strips
from jaxml.record.surfaces import contours
from jaxml.types import Batch, Keep

SERIES = (
    "views drawn as the course describes its own",
    "views of the page R",
    "views of the page Peyton Manning",
)
DRAWN = 0  # the first series
FIRST_YEAR, WINDOW = 2008, 4  # the years that are taken as one
PRINTED = np.array([0.97, 0.1])  # w, b
SLOPES, OFFSETS = np.linspace(-0.75, 1.25, 61), np.linspace(-1.0, 1.0, 61)
MODEL = "views a day from those of the day before, in thousands, b + w x"
LONG = record.above(5.0, margin=1.0, reason="a fifth of a length is hardly seen")
TILTED = record.above(5.0, margin=2.0, reason="two degrees are not seen in a picture")
TWENTIETH = "a twentieth of the course's picture"


@dataclass(frozen=True, kw_only=True)
class Config:
    """Of SERIES the first ones, and years of each."""

    series: int = len(SERIES)
    years: int = 8
    seed: int = 0


SMOKE = Config(series=1, years=1)


class Valleys(NamedTuple):
    """`curvature.Valley` of many surfaces."""

    length: Float[np.ndarray, "*units"]
    shortest: Float[np.ndarray, "*units"]
    axis: Float[np.ndarray, "*units 2"]
    tilt: Float[np.ndarray, "*units"]


class Result(NamedTuple):
    """Surfaces of the mean squared error.

    Attributes:
        halves: valleys by half-year, `[series, unit]` in front.
        whole: of the first years as one, `[series]` in front.
        mean: of the views of the same, in thousands.
        spread: their standard deviation.
        best: w and b of least mean absolute error, of the same.
        errors: mean absolute error over SLOPES and OFFSETS, of the same.
        days: pairs of days in them.
    """

    halves: Valleys
    whole: Valleys
    mean: Float[np.ndarray, " series"]
    spread: Float[np.ndarray, " series"]
    best: Float[np.ndarray, "series 2"]
    errors: Float[np.ndarray, "series slope offset"]
    days: np.ndarray


def study(config: Config, keep: Keep) -> Result:
    """Eigenvalues by NumPy; the surfaces are one program, in float64."""
    halves, wholes = [], []
    years = min(config.years, WINDOW)
    for number in range(config.series):
        views = _views(config, number)
        halves += problem.half_years(views, FIRST_YEAR, config.years)
        wholes.append(problem.years_as_one(views, FIRST_YEAR, years))
    with jax.enable_x64(True):
        errors = keep("surfaces", partial(_errors, problem.padded(wholes)))
    shape = config.series, -1

    def by_series(field: np.ndarray) -> np.ndarray:
        return np.reshape(field, (*shape, *field.shape[1:]))

    lines = [problem.least_absolute_line(batch) for batch in wholes]
    return Result(
        halves=jax.tree.map(by_series, _valleys(halves)),
        whole=_valleys(wholes),
        mean=np.array([np.mean(batch.inputs) for batch in wholes]),
        spread=np.array([np.std(batch.inputs) for batch in wholes]),
        best=np.stack(lines),
        errors=errors,
        days=np.array([len(batch.weights) for batch in wholes]),
    )


def _views(config: Config, number: int) -> problem.DailyViews:
    if number == DRAWN:
        (seed,) = randomness.seeds(config.seed, 1)
        return problem.drawn_views(366 * config.years, seed=seed)
    return problem.page_views(tuple(problem.PAGES)[number - 1])


def _valleys(batches: Sequence[Batch]) -> Valleys:
    """Of each batch."""
    each = [curvature.valley(problem.second_moments(batch)) for batch in batches]
    return Valleys(*[np.stack(fields) for fields in zip(*each, strict=True)])


def _errors(batches: Batch) -> Float[np.ndarray, "series slope offset"]:
    """The surfaces of the course's picture."""
    surface = partial(
        curvature.error_surface,
        problem.absolute_error,
        jnp.zeros(2),
        first_values=jnp.asarray(SLOPES),
        second_values=jnp.asarray(OFFSETS),
    )
    count = len(batches.weights)
    each = [
        surface(jax.tree.map(lambda field, k=k: field[k], batches))
        for k in range(count)
    ]
    return np.stack(jax.device_get(each))


def findings(result: Result) -> tuple[Assertion, ...]:
    """Of each series the valley; of pages the line."""
    found: list[Assertion] = []
    for number in range(len(result.days)):
        found += _valley(result, number)
        found += _line(result, number) if number != DRAWN else []
    return tuple(found)


def _setting(result: Result, number: int) -> str:
    m, s = result.mean[number], result.spread[number]
    days = f"{result.days[number]:,} pairs of days from {FIRST_YEAR} on"
    return f"{SERIES[number]}, {days}, of mean {m:.2f} and deviation {s:.2f}, {MODEL}"


def _valley(result: Result, number: int) -> list[Assertion]:
    """Of the first years as one: nothing random entered."""
    setting = _setting(result, number)
    finding = partial(record.supporting, "C012", setting=setting)
    valley = result.whole
    least = f"in the unit of b that makes that least, {valley.shortest[number]:.1f}"
    return [
        finding(
            "The valley of the mean squared error over w and b, b in thousands, is "
            f"more than 5 times as long as wide; {least} times.",
            record.certain(valley.length[number]),
            LONG,
            unit="ratio",
        ),
        finding(
            "The valley of the mean squared error over w and b, b in thousands, is "
            "tilted by more than 5 degrees to both axes.",
            record.certain(valley.tilt[number]),
            TILTED,
            unit="degrees",
        ),
    ]


def _line(result: Result, number: int) -> list[Assertion]:
    """The best line of the first years, beside the one that the course prints."""
    finding = partial(
        record.supporting,
        "C012",
        unit="weight",
        setting=_setting(result, number),
        figure="surface",
    )
    w, b = result.best[number]
    return [
        finding(
            "The line of least mean absolute error has a w of 0.97, as the course's.",
            record.certain(w),
            record.near(PRINTED[0], margin=0.1, reason=TWENTIETH),
        ),
        finding(
            "The line of least mean absolute error has a b of 0.1 thousand views, as "
            "the course's.",
            record.certain(b),
            record.near(PRINTED[1], margin=0.1, reason=TWENTIETH),
        ),
    ]


def figures(result: Result) -> dict[str, Figure]:
    """Lengths and tilts by half-year; the course's picture of each series."""
    return {"valleys": _by_half_year(result), "surface": _pictures(result)}


def _by_half_year(result: Result) -> Figure:
    figure, (length, shortest, tilt) = panels(1, 3, width=4.2, height=3.6)
    halves, whole = result.halves, result.whole
    _strip(length, halves.length, whole.length, "length over width (ratio)")
    _strip(shortest, halves.shortest, whole.shortest, "the same, b in its best unit")
    _strip(tilt, halves.tilt, whole.tilt, "tilt (degrees)")
    for axis in (length, shortest):
        axis.set_yscale("log")
    return figure


def _strip(
    axis: Axes,
    values: Float[np.ndarray, "series unit"],
    whole: Float[np.ndarray, " series"],
    quantity: str,
) -> None:
    """A point a half-year, and the first years as one."""
    names = ("drawn", "R", "Peyton Manning")
    strips(axis, dict(zip(names, values, strict=False)))
    name = "first years as one"
    axis.plot(np.arange(len(whole)), whole, "kX", markersize=9, label=name)
    axis.axhline(LONG.threshold, color="0.4", linestyle=":", label="5, the threshold")
    label(axis, f"{quantity}, a point a half-year", "views", quantity)
    legend_below(axis)


def _pictures(result: Result) -> Figure:
    figure, axes = panels(1, len(result.days), width=5.0, height=4.8)
    for number, axis in enumerate(axes):
        contours(axis, SLOPES, OFFSETS, result.errors[number])
        best = result.best[number]
        axis.axline(
            best,
            best + result.whole.axis[number],
            color="#994455",
            linestyle="--",
            label="axis of the valley of the squared error",
        )
        for point, marker, name in (
            (best, "o", "least mean absolute error"),
            (PRINTED, "X", "the course's end"),
        ):
            axis.scatter(*point, marker=marker, s=60, zorder=5, color="k", label=name)
        axis.set_xlim(SLOPES[0], SLOPES[-1])
        axis.set_ylim(OFFSETS[0], OFFSETS[-1])
        title = f"{SERIES[number]}: mean absolute error (thousands)"
        label(axis, title, "w", "b (thousands of views)")
        legend_below(axis, columns=1)
    return figure
