"""Is every piecewise linear curve a constant plus a sum of hard sigmoids?

The course builds a curve of straight pieces from a constant and hard sigmoids, and says
that more kinks take more of them. Both are mathematics; weights are constructed by
`problem.hard_sigmoids_of_curve`, not trained. A curve's kinks and ends are drawn, with
gaps up to three times as wide as others, and values in [0, 1].

Between its ends the sum must be the curve to rounding. If it were none, the largest
error would be a part of the curve's range, as it is for two controls: soft sigmoids of
the same weights, and the curve beyond its ends, which goes on where the sum is
constant. k + 1 hard sigmoids are built for k kinks. The fewest are searched: of the
ramps between any two points of a curve, all subsets, by least squares. If fewer did,
the search would find them, as it must for the control: curves made of separate hard
sigmoids, which have two kinks each and take half as many. So the count is one of curves
in general position, of values drawn at random, and its sentence says so; more kinks
alone do not take more pieces. Ramps that bend elsewhere cannot do with fewer: each
place that is free costs an equation, that two bends there cancel.

An error below 1e-12 of the range is rounding, as the ledger says: 31 terms with slopes
up to 93 in float64 leave 31 · 93 · 2.2e-16 = 6e-13. Nothing in the construction hangs
on the draws, so the largest error of all draws decides.

Not tested: curves of several inputs, and whether training finds these weights, which
`sigmoid_sums` asks of soft sigmoids.

Claims: C017.
Cost: 3 seconds on 2 cores, compilation included.
Expect: exact between the ends; k kinks take k + 1.
Run: jaxml run kink_curves
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import combinations
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from jaxml import problem, randomness, record
from jaxml.record import Assertion
from jaxml.record.figures import Figure, label, legend_below, panels
from jaxml.types import Keep, Params

ROUNDING = record.at_most(1e-12)
EXACT = record.at_most(0.0)
FITS = 1e-9  # an error of values in [0, 1] below it is none
SEARCHED = (1, 2, 3)  # kinks of curves whose fewest pieces are searched
SEPARATE = (1, 2)  # separate hard sigmoids of the control
CONTROL_KINKS = 2 * np.array(SEPARATE)


@dataclass(frozen=True, kw_only=True)
class Config:
    """Kinks of the curves, and draws of each kind."""

    kinks: tuple[int, ...] = (1, 3, 10, 30)
    draws: int = 20
    seed: int = 0


SMOKE = Config(kinks=(1, 3), draws=2)


class Curves(NamedTuple):
    """Errors relative to each curve's range.

    Attributes:
        hard: of hard sigmoids between the ends.
        soft: of soft sigmoids of the same weights there, the control.
        beyond: of hard sigmoids as far after the end again, the control.
        picture: x, a curve, its hard sigmoids summed, and soft ones.
    """

    hard: Float[np.ndarray, "kinks draw"]
    soft: Float[np.ndarray, "kinks draw"]
    beyond: Float[np.ndarray, "kinks draw"]
    picture: Float[np.ndarray, "row place"]


class Fewest(NamedTuple):
    """Hard sigmoids that sum to a curve, of those between any two of its points.

    Attributes:
        curves: of SEARCHED kinks.
        separate: of SEPARATE hard sigmoids, the control.
    """

    curves: Int[np.ndarray, "searched draw"]
    separate: Int[np.ndarray, "separate draw"]


class Result(NamedTuple):
    """By number of kinks, and by draw."""

    kinks: Int[np.ndarray, " kinks"]
    curves: Curves
    fewest: Fewest


class Curve(NamedTuple):
    """Its points, from left to right."""

    knots: np.ndarray
    values: np.ndarray


def study(config: Config, keep: Keep) -> Result:
    """Float64 throughout; networks are evaluated, none is trained."""
    seeds = randomness.seeds(config.seed, 2)
    of_curves, of_search = (np.random.default_rng(seed) for seed in seeds)
    with jax.enable_x64(True):
        curves = keep("curves", partial(_curves, config, of_curves))
    fewest = keep("fewest", partial(_fewest, config.draws, of_search))
    return Result(np.array(config.kinks), curves, fewest)


def _curve(kinks: int, draws: np.random.Generator) -> Curve:
    """Of k kinks on [0, 1], gaps up to three times as wide as others."""
    gaps = draws.uniform(0.5, 1.5, kinks + 1)
    knots = np.append(0.0, np.cumsum(gaps)) / gaps.sum()
    return Curve(knots, draws.uniform(size=kinks + 2))


def _curves(config: Config, draws: np.random.Generator) -> Curves:
    found, pictures = [], []
    for kinks in config.kinks:
        curves = [_curve(kinks, draws) for _ in range(config.draws)]
        of_kinks, picture = _sums(curves)
        found.append(of_kinks)
        pictures.append(picture)
    hard, soft, beyond = np.stack(found, axis=1)
    return Curves(hard, soft, beyond, pictures[0])


def _sums(
    curves: list[Curve],
) -> tuple[Float[np.ndarray, "sum draw"], Float[np.ndarray, "row place"]]:
    """Errors over the ranges, and the picture of the first curve."""
    inside, after = np.linspace(0, 1, 2001), np.linspace(1, 2, 101)
    exact = np.stack([np.interp(inside, *curve) for curve in curves])
    goes_on = np.stack([_prolonged(curve, after) for curve in curves])
    weights = [problem.hard_sigmoids_of_curve(*curve) for curve in curves]
    hard = _outputs(weights, problem.hard_sigmoid, inside)
    soft = _outputs(weights, _soft, inside)
    beyond = _outputs(weights, problem.hard_sigmoid, after)
    errors = (hard - exact, soft - exact, beyond - goes_on)
    largest = np.stack([np.abs(error).max(axis=1) for error in errors])
    ranges = np.array([np.ptp(curve.values) for curve in curves])
    return largest / ranges, np.stack([inside, exact[0], hard[0], soft[0]])


def _prolonged(curve: Curve, x: np.ndarray) -> np.ndarray:
    """The curve's last piece beyond its end."""
    slopes = np.diff(curve.values) / np.diff(curve.knots)
    return curve.values[-1] + slopes[-1] * (x - curve.knots[-1])


def _outputs(
    weights: list[Params], activation: Callable, x: np.ndarray
) -> Float[np.ndarray, "draw place"]:
    """Of networks of `problem.units`, each at the same places."""
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *weights)
    model = problem.units(stacked["hidden"]["bias"].shape[1], activation)

    def outputs(params: Params) -> jax.Array:
        return model.apply(params, {}, x[:, None], train=False, key=None)[0][:, 0]

    return np.asarray(jax.jit(jax.vmap(outputs))(stacked))


def _soft(z: jax.Array) -> jax.Array:
    """The sigmoid of slope 1 at 0, as the hard one has it."""
    return jax.nn.sigmoid(4 * z)


def _fewest(count: int, draws: np.random.Generator) -> Fewest:
    """By search, of curves and of sums of separate hard sigmoids."""
    curves = [
        [_least(_curve(kinks, draws).values) for _ in range(count)]
        for kinks in SEARCHED
    ]
    separate = [[_least(_steps(i, draws)) for _ in range(count)] for i in SEPARATE]
    return Fewest(np.array(curves), np.array(separate))


def _steps(count: int, draws: np.random.Generator) -> np.ndarray:
    """Values at the ends and the kinks of separate hard sigmoids: each rises between
    two kinks, and is flat beside them.
    """
    levels = draws.uniform(size=count + 1)
    return np.repeat(levels, 2)


def _least(values: np.ndarray) -> int:
    """The fewest ramps between two points that sum to these values, and a constant.

    At its points a sum of ramps is all that it is, for it bends nowhere else.
    """
    points = np.arange(len(values))
    ramps = [
        np.clip((points - low) / (high - low), 0, 1)
        for low, high in combinations(points, 2)
    ]
    for count in range(len(values)):
        for chosen in combinations(ramps, count):
            design = np.stack([np.ones(len(values)), *chosen], axis=1)
            weights = np.linalg.lstsq(design, values, rcond=None)[0]
            if np.abs(design @ weights - values).max() < FITS:
                return count
    return len(values)


def findings(result: Result) -> tuple[Assertion, ...]:
    """Largest errors, and counts."""
    setting = _setting(result)
    curves, fewest = result.curves, result.fewest
    supporting = partial(record.supporting, "C017", unit="relative error")
    built = np.array(SEARCHED)[:, None] + 1
    pieces = f"random curves of {SEARCHED[0]} to {SEARCHED[-1]} kinks on an interval"
    return (
        record.deciding(
            "C017",
            "Between its ends a curve of k kinks is a constant plus k + 1 hard "
            "sigmoids: largest error over the curve's range.",
            record.largest(curves.hard),
            ROUNDING,
            unit="relative error",
            setting=setting,
        ),
        record.deciding(
            "C017",
            "A curve of k kinks with values drawn at random needs k + 1 hard sigmoids "
            "and no fewer: how many fewer a search over all ramps between its points "
            "finds.",
            record.largest(fewest.curves - built),
            EXACT,
            unit="count",
            setting=f"{pieces}, {fewest.curves.shape[1]} of each",
        ),
        supporting(
            "Beyond its ends, too, the curve is that sum: error.",
            record.largest(curves.beyond.min()[None]),
            ROUNDING,
            setting=setting,
        ),
        supporting(
            "Soft sigmoids of the same weights sum to the curve, the control: error.",
            record.largest(curves.soft.min()[None]),
            ROUNDING,
            setting=setting,
        ),
        record.supporting(
            "C017",
            "Curves of k kinks that are made of separate hard sigmoids need k + 1, "
            "the control: how many fewer the search finds.",
            record.largest(fewest.separate - CONTROL_KINKS[:, None] - 1),
            EXACT,
            unit="count",
            setting=f"sums of {SEPARATE[0]} to {SEPARATE[-1]} separate hard sigmoids",
        ),
    )


def _setting(result: Result) -> str:
    draws = result.curves.hard.shape[1]
    kinks = ", ".join(str(count) for count in result.kinks)
    return f"{draws} random curves each of {kinks} kinks on [0, 1], constructed weights"


def figures(result: Result) -> dict[str, Figure]:
    """A curve and its sums; errors of every curve."""
    figure, (picture, errors) = panels(1, 2, width=5.2, height=4.0)
    x, exact, hard, soft = result.curves.picture
    picture.plot(x, exact, marker="", linewidth=5, alpha=0.3, label="the curve")
    picture.plot(x, hard, marker="", label="sum of hard sigmoids")
    picture.plot(x, soft, marker="", label="the same weights, soft sigmoids")
    label(picture, f"A curve, kinks: {result.kinks[0]}", "x", "f(x)")
    kinks = np.repeat(result.kinks, result.curves.hard.shape[1])
    for name, values, marker in (
        ("hard sigmoids", result.curves.hard, "o"),
        ("soft sigmoids (control)", result.curves.soft, "s"),
        ("hard sigmoids beyond the ends (control)", result.curves.beyond, "x"),
    ):
        seen = np.maximum(values.ravel(), 1e-17)
        errors.scatter(kinks, seen, s=16, marker=marker, label=name)
    errors.axhline(ROUNDING.threshold, color="0.4", linestyle=":", label="rounding")
    errors.set(xscale="log", yscale="log")
    label(errors, "Error of every curve", "kinks", "largest error / range")
    for axis in (picture, errors):
        legend_below(axis, columns=1)
    return {"curves": figure}
