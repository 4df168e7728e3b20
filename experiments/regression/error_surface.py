"""Is the error surface of a forecast from one day a long tilted valley?

The course forecasts tomorrow's views as y = b + w x from today's views x, in thousands,
and draws the mean absolute error over w and b. In its picture, w from -0.75 to 1.25
and b from -1 to 1, lies a long tilted valley; gradient descent from w = -0.5, b = 0
goes to the upper right until it is in the valley, turns, and follows it down to
w = 0.97, b = 0.1. The course's views are not published. Here the same model, start and
axes take daily views of two pages of Wikipedia; what must be true of the picture:

- *Long*: valley and walls are the eigenvectors of the Hessian of the mean squared
  error, as the ledger has it. The ellipse of equal error is √κ times as long as wide, κ
  being the ratio of eigenvalues; long is 5 or more.
- *Tilted*: the valley's axis is more than 5 degrees from both axes of the picture, on
  which a unit of w and a thousand views are equally long. The course's own is tilted
  by about 11, were its mean 4.9.
- *Turns*: the path has a corner, the point furthest from the straight line between its
  ends, at which it turns by more than 45 degrees.
- *Follows*: from the corner to the end it goes along the valley's axis, to 30 degrees,
  and it arrives: of the suboptimality at the corner less than a tenth is left.

Each fails by an interval on the other side. A unit is half a year of one page, 16 of
each; the halves have no day in common. Nothing else is drawn. Margins are what one
cannot see in a picture. Control: the same views, centred and of variance 1, whose
squared error has a ratio of 1: there must be no corner. Supporting: a page's first four
years as one, as long as the course's data and next to its printed line; whether b first
rises and then falls, which hangs on where the best line is; how much of the valley is
due to the unit of b, for the ratio is that of one unit, here a thousand views; and
views drawn by a program after what the course says of its own, whose outcome their
author chose.

Gradient descent is by the gradient of the mean absolute error, with a rate of 0.05 over
the highest eigenvalue of that Hessian. Along the valley the curvature is about that
fraction of it that is 1/κ; at κ of 700, the largest year's, 40,000 updates are three
e-folds, at 200 ten. The eigenvalues of each page and year, and the least absolute lines
of four windows, were seen before the thresholds were fixed; no path was.

Not tested: the course's own data, other rates.

Claims: C012.
Sources: Taylor and Letham 2018, The American Statistician 72 (the views).
Cost: COST
Expect: long and tilted where views vary less than their mean; with bursts of views the
valley lies along the axis of b.
Run: jaxml run error_surface
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float

from jaxml import curvature, learn, problem, randomness, record
from jaxml.record import Assertion
from jaxml.record.figures import Axes, Figure, label, legend_below, panels, strips
from jaxml.record.surfaces import contours, path
from jaxml.types import Array, Batch, Keep, Scalar

SERIES = (
    "views drawn as the course describes its own",
    "views of the page R",
    "views of the page Peyton Manning",
)
DRAWN = 0  # the first series
FIRST_YEAR = 2008
WINDOW = 4  # years that are taken as one
START = np.array([-0.5, 0.0])  # w, b
PRINTED = np.array([0.97, 0.1])
SLOPES, OFFSETS = np.linspace(-0.75, 1.25, 61), np.linspace(-1.0, 1.0, 61)
STEP = 0.05  # the rate, over the highest eigenvalue
EARLY, LATER = (
    400,
    200,
)  # points of a path that are stored, in its first tenth and in all
MODEL = "views a day from those of the day before, in thousands, b + w x"

LONG = record.above(5.0, margin=1.0, reason="a fifth of a length is hardly seen")
TILTED = record.above(5.0, margin=2.0, reason="two degrees are not seen in a picture")
CORNER = record.above(45.0, margin=10.0, reason="ten degrees of a drawn corner")
ALONG = record.below(30.0, margin=10.0, reason="ten degrees of a drawn line")
ARRIVED = record.below(0.1, margin=0.05, reason="a twentieth of the way is not seen")


@dataclass(frozen=True, kw_only=True)
class Config:
    """Of SERIES the first ones, years of each, and updates of a path."""

    series: int = len(SERIES)
    years: int = 8
    steps: int = 200_000
    seed: int = 0


SMOKE = Config(series=1, years=1, steps=400)


class Surfaces(NamedTuple):
    """Surfaces, and gradient descent on each, `[series, unit]` or `[series]` in front.

    Attributes:
        length: √κ, how many times as long as wide the valley is.
        rescaled: the same in the unit of b that makes it shortest.
        tilt: of the valley's axis from the nearer axis of w and b, in degrees.
        corner: by how much the path turns there, in degrees.
        along: the angle between the path after the corner and the valley's axis.
        left: of the suboptimality at the corner what is left at the end.
        falls: whether b rises up to the corner and falls after it.
        best: w and b of least mean absolute error.
        path: w and b, thinned.
    """

    length: Float[Array, " *unit"]
    rescaled: Float[Array, " *unit"]
    tilt: Float[Array, " *unit"]
    corner: Float[Array, " *unit"]
    along: Float[Array, " *unit"]
    left: Float[Array, " *unit"]
    falls: Bool[Array, " *unit"]
    best: Float[Array, "*unit 2"]
    path: Float[Array, "*unit point 2"]


class Result(NamedTuple):
    """All series.

    Attributes:
        halves: by half-year.
        whole: the first years as one.
        control: `corner` of centred views of variance 1, by half-year.
        errors: mean absolute error of the first years as one, over SLOPES and OFFSETS.
        days: pairs of days in the first years.
        steps: updates of each path.
    """

    halves: Surfaces
    whole: Surfaces
    control: Float[np.ndarray, "series unit"]
    errors: Float[np.ndarray, "series slope offset"]
    days: np.ndarray
    steps: np.ndarray


def study(config: Config, keep: Keep) -> Result:
    """One program for half-years, and one for what is longer; in float64."""
    series = [_views(config, number) for number in range(config.series)]
    halves, windows = [], []
    for views in series:
        halves += [problem.next_days(views, *each) for each in _halves(config.years)]
        years = min(config.years, WINDOW)
        last = date(FIRST_YEAR + years - 1, 12, 31)
        windows.append(problem.next_days(views, date(FIRST_YEAR, 1, 1), last))
    standard = [_standardised(batch) for batch in halves]
    with jax.enable_x64(True):
        own = keep("half-years", partial(_surfaces, config, halves))
        control = keep("centred views", partial(_surfaces, config, standard))
        whole = keep("years as one", partial(_surfaces, config, windows))
        errors = keep("surface", partial(_errors, windows))
    by_series = partial(_by_series, config.series)
    return Result(
        halves=jax.tree.map(by_series, own),
        whole=whole,
        control=by_series(control.corner),
        errors=errors,
        days=np.array([len(batch.weights) for batch in windows]),
        steps=np.array(config.steps),
    )


def _by_series(series: int, values: np.ndarray) -> np.ndarray:
    return values.reshape(series, -1, *values.shape[1:])


def _views(config: Config, number: int) -> problem.DailyViews:
    if number == DRAWN:
        (seed,) = randomness.seeds(config.seed, 1)
        return problem.drawn_views(366 * config.years, seed=seed)
    return problem.page_views(tuple(problem.PAGES)[number - 1])


def _halves(years: int) -> list[tuple[date, date]]:
    """The first and the last day of each half-year."""
    found = []
    for year in range(FIRST_YEAR, FIRST_YEAR + years):
        found.append((date(year, 1, 1), date(year, 6, 29)))
        found.append((date(year, 7, 1), date(year, 12, 30)))
    return found


def _standardised(batch: Batch) -> Batch:
    inputs = batch.inputs - np.mean(batch.inputs)
    return batch._replace(inputs=inputs / np.std(batch.inputs))


def _absolute_error(params: Float[Array, " 2"], batch: Batch) -> Scalar:
    """The mean of |y - b - w x|."""
    forecasts = params[0] * batch.inputs + params[1]
    errors = problem.mae(forecasts, batch.targets)
    return problem.weighted_mean(errors, batch.weights)


def _surfaces(config: Config, batches: list[Batch]) -> Surfaces:
    """Eigenvalues, best line and path of each batch."""
    matrices = np.stack([_second_moments(batch) for batch in batches])
    rates = STEP / (2 * np.linalg.eigvalsh(matrices)[:, -1])
    longest = max(len(batch.weights) for batch in batches)
    padded = [_padded(batch, longest) for batch in batches]
    together = jax.tree.map(lambda *fields: np.stack(fields), *padded)
    descend = jax.jit(jax.vmap(partial(_descended, config.steps)))
    paths = np.asarray(jax.device_get(descend(rates, together)))
    each = [
        _judged(batch, matrix, walked)
        for batch, matrix, walked in zip(batches, matrices, paths, strict=True)
    ]
    return jax.tree.map(lambda *fields: np.stack(fields), *each)


def _second_moments(batch: Batch) -> Float[np.ndarray, "2 2"]:
    """Half of the Hessian of the mean squared error over w and b."""
    design = np.hstack([batch.inputs, np.ones_like(batch.inputs)])
    return design.T @ design / len(design)


def _padded(batch: Batch, length: int) -> Batch:
    """With rows of weight 0 at its end."""

    def longer(field: np.ndarray) -> np.ndarray:
        more = [(0, length - len(field))] + [(0, 0)] * (field.ndim - 1)
        return np.pad(field, more)

    return jax.tree.map(longer, batch)


def _descended(
    steps: int, rate: jax.Array, batch: Batch
) -> Float[jax.Array, "point 2"]:
    """The path of gradient descent, denser in its first tenth."""
    sgd = learn.sgd(learn.Hyper(lr=rate))
    descend = partial(learn.descend, _absolute_error, sgd)
    first = descend(jnp.asarray(START), batch, steps=steps // 10, observe=jnp.asarray)

    def on(params: jax.Array, _: None) -> tuple[jax.Array, jax.Array]:
        params = descend(params, batch, steps=steps // LATER).params
        return params, params

    _, later = jax.lax.scan(on, first.params, length=LATER - LATER // 10)
    count = len(first.observed)
    stored = np.unique(np.geomspace(1, count, EARLY).round().astype(int)) - 1
    return jnp.concatenate([first.observed[stored], first.params[None], later])


def _judged(
    batch: Batch, matrix: Float[np.ndarray, "2 2"], walked: Float[np.ndarray, "point 2"]
) -> Surfaces:
    """What is measured of one surface and its path."""
    eigenvalues, eigenvectors = np.linalg.eigh(matrix)
    valley = eigenvectors[:, 0]
    related = matrix[0, 1] / np.sqrt(matrix[0, 0] * matrix[1, 1])
    corner = walked[_furthest(walked)]
    before, after = corner - walked[0], walked[-1] - corner
    best = problem.least_absolute_line(batch)
    error = partial(_plain_error, batch)
    least = error(best)
    at_corner = max(error(corner) - least, np.finfo(np.float64).tiny)
    return Surfaces(
        length=np.sqrt(eigenvalues[1] / eigenvalues[0]),
        rescaled=np.sqrt((1 + abs(related)) / (1 - abs(related))),
        tilt=np.degrees(np.arcsin(np.min(np.abs(valley)))),
        corner=_angle(before, after),
        along=min(_angle(after, valley), _angle(after, -valley)),
        left=(error(walked[-1]) - least) / at_corner,
        falls=np.array(before[1] > 0 > after[1]),
        best=best,
        path=walked,
    )


def _plain_error(batch: Batch, line: Float[np.ndarray, " 2"]) -> np.floating[Any]:
    return np.mean(np.abs(batch.targets - line[0] * batch.inputs - line[1]))


def _furthest(walked: Float[np.ndarray, "point 2"]) -> int:
    """The point furthest from the straight line between the ends."""
    along = walked[-1] - walked[0]
    offsets = walked - walked[0]
    return int(np.argmax(np.abs(offsets @ np.array([-along[1], along[0]]))))


def _angle(x: Float[np.ndarray, " 2"], y: Float[np.ndarray, " 2"]) -> float:
    """Between two directions, in degrees; 0 where one is no direction."""
    lengths = np.linalg.norm(x) * np.linalg.norm(y)
    cosine = np.clip(x @ y / lengths, -1, 1) if lengths > 0 else 1.0
    return float(np.degrees(np.arccos(cosine)))


def _errors(batches: list[Batch]) -> Float[np.ndarray, "series slope offset"]:
    """The surfaces of the course's picture."""
    surfaces = [
        curvature.error_surface(
            _absolute_error,
            jnp.asarray(START),
            _padded(batch, max(len(each.weights) for each in batches)),
            first_values=jnp.asarray(SLOPES),
            second_values=jnp.asarray(OFFSETS),
        )
        for batch in batches
    ]
    return np.stack(jax.device_get(surfaces))


def findings(result: Result) -> tuple[Assertion, ...]:
    """By half-year, and of the first years as one."""
    found: list[Assertion] = []
    for number in range(len(result.days)):
        found += _by_half_year(result, number)
        found += _as_one(result, number) if number != DRAWN else []
    return tuple(found)


def _by_half_year(result: Result, number: int) -> list[Assertion]:
    """What the picture shows; the page decides, not what was drawn."""
    role = record.supporting if number == DRAWN else record.deciding
    own: Surfaces = jax.tree.map(lambda field: field[number], result.halves)
    setting = (
        f"{SERIES[number]}, {len(own.length)} half-years, {MODEL}, gradient descent "
        f"from w = -0.5, b = 0, {result.steps:,} updates"
    )
    finding = partial(_averaged, role, setting)
    beside = partial(_averaged, record.supporting, setting)
    return [
        finding(
            "The valley of the mean squared error over w and b is more than 5 times as "
            "long as wide, by the geometric mean of half-years.",
            own.length,
            LONG,
            statistic=_geometric_mean,
            unit="ratio",
        ),
        finding(
            "The valley is tilted by more than 5 degrees to the axes of w and b.",
            own.tilt,
            TILTED,
        ),
        finding(
            "Gradient descent on the mean absolute error turns a corner of more than "
            "45 degrees.",
            own.corner,
            CORNER,
        ),
        finding(
            "After its corner gradient descent goes along the valley, to 30 degrees.",
            own.along,
            ALONG,
        ),
        finding(
            "Along the valley gradient descent arrives: less than a tenth of the "
            "suboptimality at the corner is left.",
            own.left,
            ARRIVED,
            unit="ratio",
        ),
        beside(
            "The valley is more than 5 times as long as wide in the unit of b that "
            "makes it shortest too, by the geometric mean of half-years.",
            own.rescaled,
            LONG,
            statistic=_geometric_mean,
            unit="ratio",
        ),
        beside(
            "Control, views centred and of variance 1, a valley as long as wide: "
            "gradient descent turns a corner of more than 45 degrees.",
            result.control[number],
            CORNER,
        ),
        record.supporting(
            "C012",
            "Up to the corner b rises, and after it b falls.",
            record.proportion(own.falls, of=own.length),
            record.above(0.5),
            unit="fraction",
            setting=setting,
            figure="surface",
        ),
    ]


def _averaged(
    role: Callable[..., Assertion],
    setting: str,
    statement: str,
    values: np.ndarray,
    rule: record.Rule,
    *,
    statistic: Callable[[np.ndarray], float] = np.mean,
    unit: str = "degrees",
) -> Assertion:
    """A finding on the mean over half-years."""
    measured = record.bootstrap(statistic, values)
    return role(
        "C012",
        statement,
        measured,
        rule,
        unit=unit,
        setting=setting,
        figure="half_years",
    )


def _geometric_mean(values: np.ndarray) -> float:
    return float(np.exp(np.mean(np.log(values))))


def _as_one(result: Result, number: int) -> list[Assertion]:
    """The line of the first years, beside the one that the course prints."""
    best = result.whole.best[number]
    setting = f"{SERIES[number]}, {result.days[number]:,} pairs of days, {MODEL}"
    finding = partial(record.supporting, "C012", setting=setting, figure="surface")
    margins = "a tenth of the course's axes is a twentieth of the picture"
    return [
        finding(
            "The line of least mean absolute error has a w of 0.97, as the course's.",
            record.certain(best[0]),
            record.near(PRINTED[0], margin=0.1, reason=margins),
            unit="weight",
        ),
        finding(
            "The line of least mean absolute error has a b of 0.1, as the course's.",
            record.certain(best[1]),
            record.near(PRINTED[1], margin=0.1, reason=margins),
            unit="weight",
        ),
    ]


def figures(result: Result) -> dict[str, Figure]:
    """The course's picture of each series; what decides, by half-year."""
    return {"surface": _pictured(result), "half_years": _by_unit(result)}


def _pictured(result: Result) -> Figure:
    count = len(result.days)
    figure, axes = panels(1, count, width=5.0, height=4.8)
    for number, axis in enumerate(axes):
        contours(axis, SLOPES, OFFSETS, result.errors[number])
        path(axis, result.whole.path[number], "gradient descent")
        best = result.whole.best[number]
        mark = {"marker": "x", "s": 70, "zorder": 5}
        axis.scatter(*best, color="#994455", label="least mean absolute error", **mark)
        axis.scatter(*PRINTED, color="black", label="the course's end", **mark)
        axis.set_xlim(SLOPES[0], SLOPES[-1])
        axis.set_ylim(OFFSETS[0], OFFSETS[-1])
        title = f"{SERIES[number]}: mean absolute error (thousands)"
        label(axis, title, "w", "b (thousands of views)")
        legend_below(axis, columns=1)
    return figure


def _by_unit(result: Result) -> Figure:
    """A point a half-year, with the thresholds."""
    own = result.halves
    rows = (
        ("length over width of the valley (ratio)", own.length, 5.0),
        ("tilt of the valley (degrees)", own.tilt, TILTED.threshold),
        ("turn at the corner (degrees)", own.corner, CORNER.threshold),
        ("angle to the valley after it (degrees)", own.along, ALONG.threshold),
        ("suboptimality left (ratio)", own.left, ARRIVED.threshold),
        ("turn, views centred, variance 1 (degrees)", result.control, 45.0),
    )
    figure, axes = panels(3, 2, width=5.2, height=3.2)
    names = ("drawn", "R", "Peyton Manning")
    for axis, (quantity, values, threshold) in zip(axes, rows, strict=True):
        _strip(axis, dict(zip(names, values, strict=False)), quantity, threshold)
    axes[0].set_yscale("log")
    return figure


def _strip(
    axis: Axes, values: dict[str, np.ndarray], quantity: str, threshold: float
) -> None:
    strips(axis, values)
    axis.axhline(threshold, color="0.4", linestyle=":")
    label(axis, f"{quantity}; dotted: {threshold:g}", "views", quantity)
