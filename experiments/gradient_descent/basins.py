"""Does the start alone decide in which minimum of x sin x gradient descent ends?

The course draws x sin x with two minima, at 4.913 and at 11.086, and says that the
start decides between them, a lucky one leading to the lower, at 11.086. On [0, 14] the
maxima at 2.029 and 7.979 part three basins: 0 is a third minimum, which the drawing
leaves out.

Starts stand on a grid over (0, 14], and nothing is random. A run has ended in a minimum
if it is within 1e-6 of it. While η |f''| < 1, no run can leap a maximum: the start must
decide at η ≤ 0.05, since |f''| < 16 here. A minimum holds a run only if η < 2/f'': the
lowest up to 0.178, the other up to 0.385. If the start decides at every rate, all runs
end in the basin in which they began. The controls are two rates: at 0.3 no run can stay
at the lowest minimum; at 0.4 a step of η f' = 5.0 from x = 12.57 leaps the maximum 4.59
below. The slowest approach, to 0 with f'' = 2 at η = 0.01, takes 800 updates from 1 to
1e-7; a start 0.001 off a maximum needs some 250 more. 4,000 are given.

The control at 0.4 was added, and "some starts" became more than 1 in 100, after a first
look at the ends; both only support. That 0 is a minimum contradicts the drawing, so two
instruments must say so: runs that end there, and the derivatives, f' = 0 and f'' > 0,
at roots that need no run.

Claims: C159.
Cost: two seconds on 2 cores.
Expect: at small rates the start decides, among three minima; at large ones it does not.
Run: jaxml run basins
"""

from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int
from scipy import optimize

from jaxml import learn, problem, record
from jaxml.record import Assertion
from jaxml.record.figures import Figure, label, legend_below, panels
from jaxml.types import Keep, Scalar

MAXIMA = (2.028757838, 7.978665712, 14.207436725)  # on (0, 15): tan x = -x
MINIMA = np.array([0.0, 4.913180439, 11.085538406])  # on [0, 14]
DRAWN = MINIMA[1:]  # those that the course draws
LOWEST = 2  # the place among MINIMA of the lowest
NEAR = 1e-6  # a distance at which a run has ended in a minimum
SMALL = 0.01  # a rate at which no run can leap a maximum
LARGE = 0.3  # a rate above 2/f'' at the lowest minimum, and below it at the other
LEAP = 0.4  # a rate above 4.59/12.57
COLOURS = ("#bb8800", "#5588bb", "#000000")  # of MINIMA in the figure
RATES = (0.01, 0.02, 0.05, 0.1, 0.15, 0.175, 0.18, 0.2, 0.25, 0.3, 0.35, 0.4)


@dataclass(frozen=True, kw_only=True)
class Config:
    """Starts on the grid, and updates from each."""

    starts: int = 1400
    steps: int = 4000


SMOKE = Config(starts=56)


class Result(NamedTuple):
    """Where runs end, and what the derivatives say.

    Attributes:
        starts: on (0, 14].
        ends: by rate of RATES.
        roots: of f' on [0, 14], found by bisection.
        bends: f'' there.
        steps: updates of each run.
    """

    starts: Float[np.ndarray, " start"]
    ends: Float[np.ndarray, "rate start"]
    roots: Float[np.ndarray, " root"]
    bends: Float[np.ndarray, " root"]
    steps: Int[np.ndarray, ""]


def study(config: Config, keep: Keep) -> Result:
    """One program in float64, and bisection between the points of a grid."""
    starts = 14 * np.arange(1, config.starts + 1) / config.starts
    roots = _roots()
    with jax.enable_x64(True):
        run = jax.jit(_ends, static_argnames="steps")
        from_starts = partial(run, starts, steps=config.steps)
        ends = keep("ends", from_starts)
        derivative = jax.grad(problem.x_sin_x)
        bend = jax.vmap(jax.grad(derivative), (0, None))
        bends = keep("bends", partial(bend, roots, None))
    updates = np.array(config.steps)
    return Result(starts, ends, roots, bends, updates)


def _ends(starts: jax.Array, *, steps: int) -> jax.Array:
    """x after so many updates, by rate and start."""

    def end(start: jax.Array, rate: jax.Array) -> Scalar:
        sgd = learn.sgd(learn.Hyper(lr=rate))
        return learn.descend(problem.x_sin_x, sgd, start, None, steps=steps).params

    over_starts = jax.vmap(end, (0, None))
    over_rates = jax.vmap(over_starts, (None, 0))
    return over_rates(starts, jnp.asarray(RATES))


def _roots() -> Float[np.ndarray, " root"]:
    """Where the derivative is 0 on [0, 14]: at 0, and where its sign changes on a
    grid.
    """
    grid = np.linspace(0.5, 14, 200)
    signs = np.sign(_derivative(grid))
    changes = np.flatnonzero(signs[1:] != signs[:-1])
    roots = [0.0]
    for low, high in zip(grid[changes], grid[changes + 1], strict=True):
        found = optimize.root_scalar(_derivative, bracket=(low, high), xtol=1e-14)
        roots.append(found.root)
    return np.array(roots)


def _derivative(x: np.ndarray) -> np.ndarray:
    """Of x sin x."""
    return np.sin(x) + x * np.cos(x)


def findings(result: Result) -> tuple[Assertion, ...]:
    """Distances, and fractions of a grid."""
    return (*_decided(result), *_drawn(result), *_lucky(result))


def _setting(result: Result, rate: float, where: str = "(0, 14]") -> str:
    """The function, its starts, and the budget."""
    grid = f"starts in {where} on a grid of {len(result.starts):,}"
    return f"f(x) = x sin x, {grid}, rate {rate:g}, {result.steps:,} updates"


def _decided(result: Result) -> tuple[Assertion, ...]:
    """Whether the start decides, at a rate that cannot leap and at two that are too
    large.
    """
    own = np.searchsorted(MAXIMA, result.starts)
    ends = dict(zip(RATES, result.ends, strict=True))
    stayed = np.searchsorted(MAXIMA, np.abs(ends[LEAP])) == own
    finding = partial(record.supporting, "C159", figure="basins")
    return (
        record.deciding(
            "C159",
            "The start alone decides in which minimum gradient descent ends, "
            "that of the basin in which it starts: distance to it.",
            record.largest(ends[SMALL] - MINIMA[own]),
            record.at_most(NEAR),
            unit="distance",
            setting=_setting(result, SMALL),
            figure="basins",
        ),
        finding(
            "Control, a rate above 2/f'' at the lowest minimum: gradient descent ends "
            "in the minimum of the basin in which it starts: distance to it.",
            record.largest(ends[LARGE] - MINIMA[own]),
            record.at_most(NEAR),
            unit="distance",
            setting=_setting(result, LARGE),
        ),
        finding(
            "Control, a rate at which a step can leap a maximum: "
            "more than 99 runs in 100 end in the basin in which they start.",
            record.certain(np.mean(stayed), of=result.ends),
            record.above(0.99),
            unit="fraction",
            setting=_setting(result, LEAP),
        ),
    )


def _drawn(result: Result) -> tuple[Assertion, ...]:
    """Whether the two minima that the course draws are all that there are."""
    ends = result.ends[RATES.index(SMALL)]
    off = np.abs(ends[:, None] - DRAWN[None]).min(axis=1)
    left = result.starts < MAXIMA[0]
    return (
        _in_a_drawn_minimum(off[~left], _setting(result, SMALL, "(2.029, 14]")),
        _in_a_drawn_minimum(off[left], _setting(result, SMALL, "(0, 2.029)")),
        record.supporting(
            "C159",
            "x sin x has no more than the two minima that the course draws: "
            "further points with f' = 0 and f'' > 0.",
            record.certain(np.sum(result.bends > 0) - len(DRAWN), of=result.bends),
            record.at_most(0.0),
            unit="count",
            setting="f(x) = x sin x on [0, 14], roots of the derivative by bisection",
            figure="basins",
        ),
    )


def _in_a_drawn_minimum(off: np.ndarray, setting: str) -> Assertion:
    return record.deciding(
        "C159",
        "Gradient descent ends in one of the two minima that the course draws, "
        "at x = 4.913 and at x = 11.086: distance to the nearer.",
        record.largest(off),
        record.at_most(NEAR),
        unit="distance",
        setting=setting,
        figure="basins",
    )


def _lucky(result: Result) -> tuple[Assertion, ...]:
    """The fraction of starts that lead to the lowest minimum."""
    finding = partial(record.supporting, "C159", unit="fraction", figure="basins")
    fractions = dict(zip(RATES, _fractions(result), strict=True))
    return (
        finding(
            "Fewer than half of the starts lead to the lowest minimum, at x = 11.086.",
            record.certain(fractions[SMALL]),
            record.below(0.5),
            setting=_setting(result, SMALL),
        ),
        finding(
            "More than 1 start in 100 leads to the lowest minimum, at x = 11.086.",
            record.certain(fractions[LARGE]),
            record.above(0.01),
            setting=_setting(result, LARGE),
        ),
    )


def _fractions(result: Result) -> Float[np.ndarray, " rate"]:
    """Of the starts, those that lead to the lowest minimum."""
    reached = np.abs(result.ends - MINIMA[LOWEST]) < NEAR
    return np.mean(reached, axis=1, dtype=result.ends.dtype)


def figures(result: Result) -> dict[str, Figure]:
    """The function with its minima, and where each start leads at each rate."""
    figure, (function, ends) = panels(1, 2, width=5.0, height=4.2)
    x = np.linspace(0, 14, 400)
    function.plot(x, x * np.sin(x), marker="", label="x sin x")
    heights = MINIMA * np.sin(MINIMA)
    drawn = "the course's minima, 4.913 and 11.086"
    function.scatter(DRAWN, heights[1:], color="black", zorder=3, label=drawn)
    third = "a third minimum, 0"
    function.scatter(0, 0, marker="s", color="#994455", zorder=3, label=third)
    label(function, "The lecture's function", "x", "f(x)")
    for minimum, colour in zip(MINIMA, COLOURS, strict=True):
        rate, start = np.nonzero(np.abs(result.ends - minimum) < NEAR)
        begun = result.starts[start]
        name = f"ends at {minimum:.3g}"
        points = ends.scatter(begun, rate, s=40, marker="|", label=name)
        points.set_color(colour)
    for maximum, name in zip(MAXIMA[:2], ("maxima", None), strict=True):
        ends.axvline(maximum, color="0.4", linestyle=":", label=name)
    ends.axhline(5.5, color="0.4", linestyle="--", label="2/f'' at 11.1")
    ends.set_yticks(np.arange(len(RATES)), [f"{rate:g}" for rate in RATES])
    label(ends, "Where a start leads (empty: to no minimum)", "start x₀", "rate η")
    legend_below(function)
    legend_below(ends, columns=3)
    return {"basins": figure}
