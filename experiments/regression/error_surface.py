"""Is the error surface of a forecast from one day a long tilted valley?

The course forecasts tomorrow's views as y = b + w x from today's views x, in thousands,
and draws the mean absolute error over w and b. In its picture, w from -0.75 to 1.25
and b from -1 to 1, lies a long tilted valley, whose lowest point is w = 0.97, b = 0.1.
The course's views are not published. Here the same model and axes take daily views of
two pages of Wikipedia. Valley and walls are the eigenvectors of the Hessian of the mean
squared error, as the ledger has it:

- *Long*: the ellipse of equal error is √κ times as long as wide, κ being the ratio of
  eigenvalues; long is more than 5.
- *Tilted*: the valley's axis is more than 5 degrees from both axes of the picture, on
  which a unit of w and a thousand views are equally long. The course's own is tilted
  by about 11, were its mean 4.9.

Each fails by an interval on the other side. A unit is half a year of one page, 16 of
each, without a common day. Margins are what one cannot see in a picture. Control: the
same views with their mean subtracted and of variance 1, which must be no valley, is an
identity and not measured. Supporting: the valley's length in the unit of b that makes
it shortest, for κ is that of one unit, here a thousand views; the best line of a page's
first four years, which are as long as the course's data, beside its printed one; and
all of it for views drawn by a program after what the course says of its own, whose
outcome their author chose. `valley_path` walks the valley.

Of the pages nothing is drawn, so all was known from the first run: the eigenvalues of
years before the thresholds were fixed, the rest with the first version, after which
lengths were averaged as ratios in place of logarithms, and nothing else was changed.

Not tested: the course's own data.

Claims: C012.
Sources: Taylor and Letham 2018, The American Statistician 72 (the views).
Cost: seconds on 2 cores, compilation included.
Expect: long and tilted where views vary less than their mean; with bursts of views the
valley lies along the axis of b.
Run: jaxml run error_surface
"""

from collections.abc import Callable
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


class Result(NamedTuple):
    """Surfaces of the mean squared error, by half-year, and of the first years as one.

    Attributes:
        length: √κ, how many times as long as wide the valley is.
        shortest: the same in the unit of b that makes it least.
        tilt: of the valley's axis from the nearer axis of w and b, in degrees.
        axis: the direction of the valley over w and b, of the first years as one.
        best: w and b of least mean absolute error, of the same.
        errors: mean absolute error over SLOPES and OFFSETS, of the same.
        days: pairs of days in them.
    """

    length: Float[np.ndarray, "series unit"]
    shortest: Float[np.ndarray, "series unit"]
    tilt: Float[np.ndarray, "series unit"]
    axis: Float[np.ndarray, "series 2"]
    best: Float[np.ndarray, "series 2"]
    errors: Float[np.ndarray, "series slope offset"]
    days: np.ndarray


def study(config: Config, keep: Keep) -> Result:
    """Eigenvalues by NumPy; the surfaces are one program, in float64."""
    valleys, wholes = [], []
    years = min(config.years, WINDOW)
    for number in range(config.series):
        views = _views(config, number)
        halves = problem.half_years(views, FIRST_YEAR, config.years)
        valleys += [_valley(batch) for batch in halves]
        wholes.append(problem.years_as_one(views, FIRST_YEAR, years))
    with jax.enable_x64(True):
        errors = keep("surfaces", partial(_errors, problem.padded(wholes)))
    units = jax.tree.map(lambda *each: np.array(each), *valleys)
    by_series = partial(np.reshape, shape=(config.series, -1))
    return Result(
        length=by_series(units.length),
        shortest=by_series(units.shortest),
        tilt=by_series(units.tilt),
        axis=np.stack([_valley(batch).axis for batch in wholes]),
        best=np.stack([problem.least_absolute_line(batch) for batch in wholes]),
        errors=errors,
        days=np.array([len(batch.weights) for batch in wholes]),
    )


def _views(config: Config, number: int) -> problem.DailyViews:
    if number == DRAWN:
        (seed,) = randomness.seeds(config.seed, 1)
        return problem.drawn_views(366 * config.years, seed=seed)
    return problem.page_views(tuple(problem.PAGES)[number - 1])


def _valley(batch: Batch) -> curvature.Valley:
    return curvature.valley(problem.second_moments(batch))


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
    """Of pages the valleys decide, not of what was drawn."""
    found: list[Assertion] = []
    for number in range(len(result.days)):
        role = record.supporting if number == DRAWN else record.deciding
        found += _valleys(role, result, number)
        found += _line(result, number) if number != DRAWN else []
    return tuple(found)


def _valleys(
    role: Callable[..., Assertion], result: Result, number: int
) -> list[Assertion]:
    """By half-year."""
    units = result.length.shape[1]
    finding = partial(
        role, "C012", setting=f"{SERIES[number]}, {units} half-years, {MODEL}"
    )
    return [
        finding(
            "The valley of the mean squared error over w and b is more than 5 times as "
            "long as wide, by the geometric mean of half-years.",
            record.bootstrap(_geometric_mean, result.length[number]),
            LONG,
            unit="ratio",
        ),
        finding(
            "The valley of the mean squared error is tilted by more than 5 degrees to "
            "the axes of w and b.",
            record.bootstrap(np.mean, result.tilt[number]),
            TILTED,
            unit="degrees",
        ),
        finding(
            "The valley is more than 5 times as long as wide in the unit of b that "
            "makes it shortest too, by the geometric mean of half-years.",
            record.bootstrap(_geometric_mean, result.shortest[number]),
            LONG,
            unit="ratio",
        )._replace(role="supporting"),
    ]


def _geometric_mean(values: np.ndarray) -> float:
    return float(np.exp(np.mean(np.log(values))))


def _line(result: Result, number: int) -> list[Assertion]:
    """The best line of the first years, beside the one that the course prints."""
    finding = partial(
        record.supporting,
        "C012",
        unit="weight",
        setting=f"{SERIES[number]}, {result.days[number]:,} pairs of days, {MODEL}",
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
            "The line of least mean absolute error has a b of 0.1, as the course's.",
            record.certain(b),
            record.near(PRINTED[1], margin=0.1, reason=TWENTIETH),
        ),
    ]


def figures(result: Result) -> dict[str, Figure]:
    """Lengths and tilts by half-year; the course's picture of each series."""
    return {"valleys": _by_half_year(result), "surface": _pictures(result)}


def _by_half_year(result: Result) -> Figure:
    figure, (length, shortest, tilt) = panels(1, 3, width=4.2, height=3.6)
    _strip(length, result.length, "length over width (ratio)")
    _strip(shortest, result.shortest, "the same, b in its best unit (ratio)")
    _strip(tilt, result.tilt, "tilt (degrees)")
    for axis in (length, shortest):
        axis.set_yscale("log")
    return figure


def _strip(axis: Axes, values: Float[np.ndarray, "series unit"], quantity: str) -> None:
    """A point a half-year; the threshold is 5 in each."""
    names = ("drawn", "R", "Peyton Manning")
    strips(axis, dict(zip(names, values, strict=False)))
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
            best + result.axis[number],
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
