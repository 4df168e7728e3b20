"""Does gradient descent enter a valley of the error first, and then follow it?

On the error surface of a forecast from one day (`error_surface`) the course shows
gradient descent from w = -0.5, b = 0: to the upper right until it is in the valley, a
turn, and down the valley to the lowest point. Its views are not published; here are two
pages of Wikipedia. What must be true of the path:

- it *turns*: at its corner, the point furthest from the straight line between its ends,
  by more than 45 degrees;
- it *follows*: from the corner to the end it goes along the valley's axis, the
  eigenvector of the lower eigenvalue of the mean squared error, to 30 degrees;
- it *arrives*: less than a tenth of the suboptimality at the corner is left at the end.

Each fails by an interval on the other side. A unit is half a year of one page, 16 of
each, without a common day; margins are what one cannot see in a picture. Control: the
same views with their mean subtracted and of variance 1, where κ is 1: there must be no
corner. Supporting: whether b rises up to the corner and falls after it, as the course
shows, which hangs on where the best line is; and views drawn by a program after what
the course says of its own.

Gradient descent is by the gradient of the mean absolute error, the course's loss, with
a rate of 0.05 over the highest eigenvalue of the Hessian of the squared one. Along the
valley the absolute error bends by that Hessian times the density of residuals at 0,
about 0.5 a thousand views where they are widest: at κ of 1,320, the largest of a
half-year, 200,000 updates are four e-folds. A first version had 40,000, less than one,
and left open whether the path arrives; as nothing is drawn of the pages, its outcome
was seen, and nothing else changed after it.

Not tested: the course's own data, other rates, mini-batches.

Claims: C012.
Sources: Taylor and Letham 2018, The American Statistician 72 (the views).
Cost: ten seconds on 2 cores, compilation included, after `error_surface`.
Expect: it turns, follows and arrives; b need not fall.
Run: jaxml run valley_path
"""

from collections.abc import Callable
from dataclasses import dataclass
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
from jaxml.types import Array, Batch, Keep

NEEDS = ("error_surface",)
SERIES = (
    "views drawn as the course describes its own",
    "views of the page R",
    "views of the page Peyton Manning",
)
DRAWN = 0  # the first series
FIRST_YEAR, WINDOW = 2008, 4  # the years that are taken as one
START = np.array([-0.5, 0.0])  # w, b
SLOPES, OFFSETS = np.linspace(-0.75, 1.25, 61), np.linspace(-1.0, 1.0, 61)
STEP = 0.05  # the rate, over the highest eigenvalue
EARLY, LATER = 400, 200  # points of a path: of its first tenth, and of all, evenly
MODEL = "views a day from those of the day before, in thousands, b + w x"
TURN = record.above(45.0, margin=10.0, reason="ten degrees of a drawn corner")
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


class Paths(NamedTuple):
    """Gradient descent on many surfaces.

    Attributes:
        walked: w and b, denser in the first tenth.
        turn: at the corner, in degrees.
        along: the angle between the path after the corner and the valley's axis.
        left: of the suboptimality at the corner what is left at the end.
        falls: whether b rises up to the corner and falls after it.
    """

    walked: Float[Array, "*unit point 2"]
    turn: Float[Array, " *unit"]
    along: Float[Array, " *unit"]
    left: Float[Array, " *unit"]
    falls: Bool[Array, " *unit"]


class Result(NamedTuple):
    """All series.

    Attributes:
        halves: `[series, unit]` in front.
        control: `turn` of views with their mean subtracted and of variance 1.
        whole: the first years as one, `[series]` in front.
        errors: the surfaces that `error_surface` draws, of the first years as one.
        steps: updates of each path.
    """

    halves: Paths
    control: Float[np.ndarray, "series unit"]
    whole: Paths
    errors: Float[np.ndarray, "series slope offset"]
    steps: np.ndarray


def study(config: Config, keep: Keep, error_surface: Any) -> Result:
    """One program for half-years, and one for what is longer; in float64."""
    halves, wholes = [], []
    years = min(config.years, WINDOW)
    for number in range(config.series):
        views = _views(config, number)
        halves += problem.half_years(views, FIRST_YEAR, config.years)
        wholes.append(problem.years_as_one(views, FIRST_YEAR, years))
    standard = [problem.standardised(batch) for batch in halves]
    paths = partial(_paths, config.steps)
    with jax.enable_x64(True):
        own = keep("half-years", partial(paths, halves))
        control = keep("control", partial(paths, standard))
        whole = keep("years as one", partial(paths, wholes))

    def by_series(values: np.ndarray) -> np.ndarray:
        return np.stack(np.split(values, config.series))

    return Result(
        halves=jax.tree.map(by_series, own),
        control=by_series(control.turn),
        whole=whole,
        errors=error_surface.errors,
        steps=np.array(config.steps),
    )


def _views(config: Config, number: int) -> problem.DailyViews:
    if number == DRAWN:
        (seed,) = randomness.seeds(config.seed, 1)
        return problem.drawn_views(366 * config.years, seed=seed)
    return problem.page_views(tuple(problem.PAGES)[number - 1])


def _paths(steps: int, batches: list[Batch]) -> Paths:
    """The path on the surface of each batch, and what it does there."""
    moments = [problem.second_moments(batch) for batch in batches]
    rates = STEP / (2 * np.linalg.eigvalsh(np.stack(moments))[:, -1])
    descend = jax.jit(jax.vmap(partial(_descended, steps)))
    walked = jax.device_get(descend(rates, problem.padded(batches)))
    each = [_judged(*one) for one in zip(batches, moments, walked, strict=True)]
    return jax.tree.map(lambda *fields: np.stack(fields), *each)


def _descended(
    steps: int, rate: jax.Array, batch: Batch
) -> Float[jax.Array, "point 2"]:
    """The path of gradient descent, denser in its first tenth."""
    sgd = learn.sgd(learn.Hyper(lr=rate))
    descend = partial(learn.descend, problem.absolute_error, sgd)
    first = descend(jnp.asarray(START), batch, steps=steps // 10, observe=jnp.asarray)

    def on(params: jax.Array, _: None) -> tuple[jax.Array, jax.Array]:
        params = descend(params, batch, steps=steps // LATER).params
        return params, params

    _, later = jax.lax.scan(on, first.params, length=LATER - LATER // 10)
    count = len(first.observed)
    stored = np.unique(np.geomspace(1, count, EARLY).round().astype(int)) - 1
    return jnp.concatenate([first.observed[stored], first.params[None], later])


def _judged(
    batch: Batch, moments: Float[np.ndarray, "2 2"], walked: Float[Array, "point 2"]
) -> Paths:
    """What one path does."""
    corner = curvature.corner(walked)
    start, middle, end = walked[[0, corner.point, -1]]
    off = curvature.angle(end - middle, curvature.valley(moments).axis)
    lines = middle, end, problem.least_absolute_line(batch)
    at_corner, at_end, least = [_error(batch, line) for line in lines]
    return Paths(
        walked=walked,
        turn=np.array(corner.turn),
        along=np.array(min(off, 180 - off)),
        left=np.array((at_end - least) / (at_corner - least)),
        falls=np.array(start[1] < middle[1] > end[1]),
    )


def _error(batch: Batch, line: Array) -> float:
    return float(np.mean(np.abs(batch.targets - line[0] * batch.inputs - line[1])))


def findings(result: Result) -> tuple[Assertion, ...]:
    """Of pages the paths decide, not of what was drawn."""
    found: list[Assertion] = []
    for number in range(len(result.control)):
        role = record.supporting if number == DRAWN else record.deciding
        units = result.control.shape[1]
        setting = (
            f"{SERIES[number]}, {units} half-years, {MODEL}, gradient descent from w = "
            f"-0.5, b = 0, {result.steps:,} updates"
        )
        own = jax.tree.map(lambda field, k=number: field[k], result.halves)
        found += _followed(role, own, setting)
        found += _beside(own, result.control[number], setting)
    return tuple(found)


def _followed(
    role: Callable[..., Assertion], own: Paths, setting: str
) -> list[Assertion]:
    """Turning, following, arriving."""
    finding = partial(role, "C012", unit="degrees", setting=setting)
    return [
        finding(
            "Gradient descent on the mean absolute error turns a corner of more than "
            "45 degrees.",
            record.bootstrap(np.mean, own.turn),
            TURN,
        ),
        finding(
            "After its corner gradient descent goes along the valley, to 30 degrees.",
            record.bootstrap(np.mean, own.along),
            ALONG,
        ),
        finding(
            "Along the valley gradient descent arrives: less than a tenth of the "
            "suboptimality at the corner is left.",
            record.bootstrap(np.mean, own.left),
            ARRIVED,
            unit="ratio",
        ),
    ]


def _beside(own: Paths, control: np.ndarray, setting: str) -> list[Assertion]:
    """The control, and the direction of the course's path."""
    finding = partial(record.supporting, "C012", setting=setting)
    return [
        finding(
            "Control, views with their mean subtracted and of variance 1, no valley: "
            "gradient descent turns a corner of more than 45 degrees.",
            record.bootstrap(np.mean, control),
            TURN,
            unit="degrees",
        ),
        finding(
            "Up to the corner b rises, and after it b falls.",
            record.proportion(own.falls, of=own.turn),
            record.above(0.5),
            unit="fraction",
            figure="surface",
        ),
    ]


def figures(result: Result) -> dict[str, Figure]:
    """What decides, by half-year; the course's picture of each series."""
    own = result.halves
    figure, axes = panels(2, 2, width=5.2, height=3.4)
    turn, along, left, control = axes
    _strip(turn, own.turn, "turn at the corner (degrees)", TURN.threshold)
    _strip(along, own.along, "angle to the valley after it (degrees)", ALONG.threshold)
    _strip(left, own.left, "suboptimality left (fraction)", ARRIVED.threshold)
    _strip(control, result.control, "control: turn (degrees)", TURN.threshold)
    return {"paths": figure, "surface": _pictures(result)}


def _strip(axis: Axes, values: Array, quantity: str, threshold: float) -> None:
    """A point a half-year."""
    names = ("drawn", "R", "Peyton Manning")
    strips(axis, dict(zip(names, values, strict=False)))
    name = f"{threshold:g}, the threshold"
    axis.axhline(threshold, color="0.4", linestyle=":", label=name)
    label(axis, f"{quantity}, a point a half-year", "views", quantity)
    legend_below(axis)


def _pictures(result: Result) -> Figure:
    """Gradient descent on the first years as one."""
    figure, axes = panels(1, len(result.errors), width=5.0, height=4.8)
    for number, axis in enumerate(axes):
        contours(axis, SLOPES, OFFSETS, result.errors[number])
        path(axis, result.whole.walked[number], "gradient descent")
        axis.scatter(0.97, 0.1, marker="X", s=60, color="k", label="the course's end")
        axis.set_xlim(SLOPES[0], SLOPES[-1])
        axis.set_ylim(OFFSETS[0], OFFSETS[-1])
        title = f"{SERIES[number]}: mean absolute error (thousands)"
        label(axis, title, "w", "b (thousands of views)")
        legend_below(axis, columns=1)
    return figure
