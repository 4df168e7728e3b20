"""Is every piecewise linear curve a sum of hard sigmoids, and what do its weights do?

The course builds a curve of straight pieces from a constant and hard sigmoids, says
what the weights of a sigmoid do, takes two ReLUs for each hard sigmoid, and writes the
sum in vectors. All four are mathematics, and weights are constructed, not trained.

- C017: errors of weights that `problem.hard_sigmoids_of_curve` builds from random
  curves. If a curve were none, the largest error would be a part of the curve's range,
  as it is for the controls: soft sigmoids of the same weights, and the curve beyond its
  ends, which goes on where the sum is constant. "More pieces for more kinks" is
  searched: of the ramps between any two points of a curve, the fewest that sum to it,
  by least squares over all subsets. k + 1 are built; if fewer did, as for curves that
  were made of separate hard sigmoids, two kinks each, the search would find them.
- C019: derivative at the midpoint, place of the midpoint and both limits of the network
  with one sigmoid, by automatic differentiation and by evaluation. Whether each weight
  sets its own quantity alone is a supporting question: the formulas cw/4 and -b/w say
  no.
- C020: i hard sigmoids against 2i ReLUs on an interval that holds all bends. A ReLU
  bends once, so no fewer ReLUs do than the sum has bends; they are counted in second
  differences. Hard sigmoids that join into a curve share bends.
- C021: the network against explicit loops over units and inputs.

Errors are relative to the curve's range, or to the sum of the terms' sizes. They are at
rounding level if below 1e-12, the ledger's: 31 terms of slopes of 62 each in float64
leave 31 · 62 · 2.2e-16 = 4e-13. Nothing in a formula hangs on the draws, so the largest
error of all draws decides. A curve is drawn with gaps that differ threefold, from
values in [0, 1].

Not tested: curves of several inputs.

Claims: C017, C019, C020, C021.
Cost: ten seconds on 2 cores.
Expect: all four hold; k kinks take k + 1 hard sigmoids or as many ReLUs, not 2k.
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
from scipy import special

from jaxml import problem, randomness, record
from jaxml.record import Assertion
from jaxml.record.figures import Figure, label, legend_below, panels
from jaxml.types import Keep, Params

ROUNDING = record.at_most(1e-12)
EXACT = record.at_most(0.0)
FITS = 1e-9  # an error of values in [0, 1] below it is none
INPUTS, UNITS = 5, 8  # of the vector form
NODES = 1001  # places at which a sum may bend
SEARCHED = (1, 2, 3)  # kinks of curves whose fewest pieces are searched
SEPARATE = (1, 2)  # separate hard sigmoids of the control, two kinks each
STREAMS = range(4)
CURVES, FEWEST, ROLES, BENDS = STREAMS


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
        relu: of as many ReLUs there.
        soft: of soft sigmoids of the same weights there, the control.
        beyond: of hard sigmoids as far after the end again, the control.
        picture: x, a curve, its hard sigmoids summed, and soft ones.
    """

    hard: Float[np.ndarray, "kinks draw"]
    relu: Float[np.ndarray, "kinks draw"]
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


class Roles(NamedTuple):
    """Of the network with one sigmoid, and of the vector form.

    Attributes:
        errors: relative, of slope, position, and both limits.
        moved: the slope as c doubles, the position as w doubles, over what they were.
        loops: of the network against loops, relative.
    """

    errors: Float[np.ndarray, "role draw"]
    moved: Float[np.ndarray, "cross draw"]
    loops: Float[np.ndarray, " draw"]


class Bends(NamedTuple):
    """Of sums of i hard sigmoids, i one more than kinks.

    Attributes:
        pairs: errors of 2i ReLUs, relative to the sum of the heights.
        anywhere: bends of i hard sigmoids in general position.
        joined: bends of i hard sigmoids that make a curve.
    """

    pairs: Float[np.ndarray, "kinks draw"]
    anywhere: Int[np.ndarray, "kinks draw"]
    joined: Int[np.ndarray, "kinks draw"]


class Result(NamedTuple):
    """By number of kinks, and by draw."""

    kinks: Int[np.ndarray, " kinks"]
    curves: Curves
    fewest: Fewest
    roles: Roles
    bends: Bends


class Curve(NamedTuple):
    """Its points, from left to right."""

    knots: np.ndarray
    values: np.ndarray


def study(config: Config, keep: Keep) -> Result:
    """Float64 throughout; networks are evaluated, none is trained."""
    seeds = randomness.seeds(config.seed, 4)
    draws = [np.random.default_rng(seed) for seed in seeds]
    with jax.enable_x64(True):
        curves = keep("curves", partial(_curves, config, draws[0]))
        roles = keep("roles", partial(_roles, config.draws, draws[1]))
        bends = keep("bends", partial(_bends, config, draws[2]))
    fewest = keep("fewest", partial(_fewest, config.draws, draws[3]))
    return Result(np.array(config.kinks), curves, fewest, roles, bends)


def _curve(kinks: int, draws: np.random.Generator) -> Curve:
    """Of k kinks on [0, 1], gaps up to three times as wide as others."""
    gaps = draws.uniform(0.5, 1.5, kinks + 1)
    knots = np.append(0.0, np.cumsum(gaps)) / gaps.sum()
    return Curve(knots, draws.uniform(size=kinks + 2))


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


def _curves(config: Config, draws: np.random.Generator) -> Curves:
    found, pictures = [], []
    for kinks in config.kinks:
        curves = [_curve(kinks, draws) for _ in range(config.draws)]
        of_kinks, picture = _sums(curves)
        found.append(of_kinks)
        pictures.append(picture)
    hard, relu, soft, beyond = np.stack(found, axis=1)
    return Curves(hard, relu, soft, beyond, pictures[0])


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
    relus = [problem.relus_of_curve(*curve) for curve in curves]
    linear = _outputs(relus, jax.nn.relu, inside)
    errors = (hard - exact, linear - exact, soft - exact, beyond - goes_on)
    largest = np.stack([np.abs(error).max(axis=1) for error in errors])
    ranges = np.array([np.ptp(curve.values) for curve in curves])
    return largest / ranges, np.stack([inside, exact[0], hard[0], soft[0]])


def _prolonged(curve: Curve, x: np.ndarray) -> np.ndarray:
    """The curve's last piece beyond its end."""
    slopes = np.diff(curve.values) / np.diff(curve.knots)
    return curve.values[-1] + slopes[-1] * (x - curve.knots[-1])


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


def _roles(count: int, draws: np.random.Generator) -> Roles:
    """Slopes by automatic differentiation, positions by bisection."""
    sizes = np.exp(draws.uniform(-1, 1, (3, count)))
    w, b, c = sizes * draws.choice([-1, 1], (3, count))
    output = jax.jit(jax.vmap(_network))
    slope = jax.jit(jax.vmap(jax.grad(_network, argnums=3)))
    at_middle, doubled = slope(w, b, c, -b / w), slope(w, b, 2 * c, -b / w)
    middle, moved = _middle(output, w, b, c), _middle(output, 2 * w, b, c)
    beyond = 100 / w
    low, high = output(w, b, c, -b / w - beyond), output(w, b, c, -b / w + beyond)
    errors = [at_middle / (c * w / 4) - 1, middle / (-b / w) - 1, low / c, high / c - 1]
    moves = np.stack([doubled / at_middle, moved / middle])
    loops = [_loops(draws) for _ in range(count)]
    return Roles(np.array(errors), moves, np.array(loops))


def _network(w: jax.Array, b: jax.Array, c: jax.Array, x: jax.Array) -> jax.Array:
    """c σ(b + w x), by `problem.units` of one unit."""
    params = {
        "hidden": {"kernel": w[None, None], "bias": b[None]},
        "output": {"kernel": c[None, None], "bias": jnp.zeros(1)},
    }
    model = problem.units(1, jax.nn.sigmoid)
    return model.apply(params, {}, x[None, None], train=False, key=None)[0][0, 0]


def _middle(
    output: Callable, w: np.ndarray, b: np.ndarray, c: np.ndarray
) -> np.ndarray:
    """Where a network is at half of its height, by bisection of [-50, 50]."""
    low, high = np.full_like(w, -50.0), np.full_like(w, 50.0)
    for _ in range(60):
        half = (low + high) / 2
        before = np.sign(w) * (output(w, b, c, half) / c - 0.5) < 0
        low, high = np.where(before, half, low), np.where(before, high, half)
    return (low + high) / 2


def _loops(draws: np.random.Generator) -> float:
    """The network's error against the double sum, over the sum of the terms' sizes."""
    kernel = draws.normal(size=(INPUTS, UNITS))
    shift, height = draws.normal(size=(2, UNITS))
    x, constant = draws.normal(size=INPUTS), draws.normal()
    total, sizes = constant, abs(constant)
    for unit in range(UNITS):
        inner = shift[unit]
        for place in range(INPUTS):
            inner += kernel[place, unit] * x[place]
        term = height[unit] / (1 + np.exp(-inner))
        total += term
        sizes += abs(term)
    params = {
        "hidden": {"kernel": jnp.asarray(kernel), "bias": jnp.asarray(shift)},
        "output": {
            "kernel": jnp.asarray(height[:, None]),
            "bias": jnp.asarray([constant]),
        },
    }
    model = problem.units(UNITS, jax.nn.sigmoid)
    output, _ = model.apply(params, {}, x[None], train=False, key=None)
    return (float(output[0, 0]) - total) / sizes


def _bends(config: Config, draws: np.random.Generator) -> Bends:
    """Errors of twice as many ReLUs, and second differences that are not 0."""
    x = np.arange(NODES) / (NODES - 1)
    pairs, anywhere, joined = [], [], []
    for count in np.array(config.kinks) + 1:
        heights = draws.uniform(0.5, 1.0, (config.draws, count))
        signed = heights * draws.choice([-1, 1], heights.shape)
        ends = [_apart(count, draws) for _ in heights]
        touching = [_touching(count, draws) for _ in heights]
        weights = [_ramps(*each) for each in zip(ends, heights, strict=True)]
        curves = [_ramps(*each) for each in zip(touching, signed, strict=True)]
        hard = _outputs(weights, problem.hard_sigmoid, x)
        twice = [problem.relus_of_hard_sigmoids(each) for each in weights]
        error = np.abs(_outputs(twice, jax.nn.relu, x) - hard).max(axis=1)
        pairs.append(error / heights.sum(axis=1))
        anywhere.append(_bent(hard))
        joined.append(_bent(_outputs(curves, problem.hard_sigmoid, x)))
    return Bends(np.array(pairs), np.array(anywhere), np.array(joined))


def _apart(count: int, draws: np.random.Generator) -> Float[np.ndarray, "ramp 2"]:
    """Ends of ramps, no two at one node."""
    nodes = draws.permutation(np.arange(1, NODES - 1))[: 2 * count]
    return np.sort(nodes.reshape(count, 2), axis=1) / (NODES - 1)


def _touching(count: int, draws: np.random.Generator) -> Float[np.ndarray, "ramp 2"]:
    """Ends of ramps, each of which begins where another ends."""
    nodes = np.sort(draws.permutation(np.arange(1, NODES - 1))[: count + 1])
    return np.stack([nodes[:-1], nodes[1:]], axis=1) / (NODES - 1)


def _ramps(ends: Float[np.ndarray, "ramp 2"], heights: np.ndarray) -> Params:
    """Hard sigmoids that rise by these heights between these ends."""
    low, high = ends.T
    slopes = 1 / (high - low)
    shifts = -(low + high) / 2 * slopes
    return {
        "hidden": {"kernel": jnp.asarray(slopes[None]), "bias": jnp.asarray(shifts)},
        "output": {"kernel": jnp.asarray(heights[:, None]), "bias": jnp.zeros(1)},
    }


def _bent(values: Float[np.ndarray, "draw place"]) -> Int[np.ndarray, " draw"]:
    """Places at which the second difference is not 0."""
    return np.sum(np.abs(np.diff(values, n=2)) > FITS, axis=1)


def findings(result: Result) -> tuple[Assertion, ...]:
    """Largest errors, and counts."""
    return (*_of_curves(result), *_of_roles(result), *_of_pairs(result))


def _setting(result: Result) -> str:
    draws = result.curves.hard.shape[1]
    kinks = ", ".join(str(count) for count in result.kinks)
    return f"{draws} random curves each of {kinks} kinks on [0, 1], constructed weights"


def _of_curves(result: Result) -> tuple[Assertion, ...]:
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
            "A curve of k kinks needs k + 1 hard sigmoids and no fewer: how many fewer "
            "a search over all ramps between its points finds.",
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
            "Curves of k kinks that were made of separate hard sigmoids need k + 1, "
            "the control: how many fewer the search finds.",
            record.largest(fewest.separate - 2 * np.array(SEPARATE)[:, None] - 1),
            EXACT,
            unit="count",
            setting=f"sums of {SEPARATE[0]} to {SEPARATE[-1]} separate hard sigmoids",
        ),
    )


def _of_roles(result: Result) -> tuple[Assertion, ...]:
    """C019 and C021; doubling a weight that does not matter would move nothing."""
    roles = result.roles
    draws = len(roles.loops)
    setting = f"one sigmoid of one input, {draws} draws of w, b and c, float64"
    names = (
        "The slope of c·σ(b + wx) at its midpoint is cw/4: relative error.",
        "The midpoint of c·σ(b + wx) lies at -b/w: relative error.",
        "At the lower end c·σ(b + wx) tends to 0: error over c.",
        "At the upper end c·σ(b + wx) tends to c: error over c.",
    )
    deciding = partial(record.deciding, unit="relative error")
    found = [
        deciding("C019", name, record.largest(errors), ROUNDING, setting=setting)
        for name, errors in zip(names, roles.errors, strict=True)
    ]
    others = (
        "The height c leaves the slope at the midpoint where it was: change as c "
        "doubles.",
        "The weight w leaves the midpoint where it was: change as w doubles.",
    )
    for name, moved in zip(others, roles.moved, strict=True):
        change = record.largest(moved - 1)
        supporting = partial(record.supporting, "C019", unit="relative error")
        found.append(supporting(name, change, ROUNDING, setting=setting))
    form = deciding(
        "C021",
        "The vector form b + cᵀσ(b' + Wx) equals the double sum over units and inputs: "
        "error over the sum of the terms' sizes.",
        record.largest(roles.loops),
        ROUNDING,
        setting=f"{UNITS} sigmoids of {INPUTS} inputs, {draws} draws of weights",
    )
    return (*found, form)


def _of_pairs(result: Result) -> tuple[Assertion, ...]:
    bends = result.bends
    count = (result.kinks + 1)[:, None]
    sums = ", ".join(str(each) for each in result.kinks + 1)
    setting = f"sums of {sums} hard sigmoids on an interval that holds their bends"
    deciding = partial(record.deciding, "C020", setting=setting)
    supporting = partial(record.supporting, "C020")
    return (
        deciding(
            "2i ReLUs are the sum of i hard sigmoids: error over the sum of the "
            "heights.",
            record.largest(bends.pairs),
            ROUNDING,
            unit="relative error",
        ),
        deciding(
            "A sum of i hard sigmoids in general position takes 2i ReLUs, for it bends "
            "at 2i places: bends that it lacks.",
            record.largest(bends.anywhere - 2 * count),
            EXACT,
            unit="count",
        ),
        supporting(
            "i hard sigmoids that join into one curve, as the course draws them, take "
            "2i ReLUs: bends that the curve lacks.",
            record.largest(bends.joined - 2 * count),
            EXACT,
            unit="count",
            setting=f"curves of {sums} pieces, flat beyond their ends",
        ),
        supporting(
            "Between its ends a curve of i pieces takes no more than i ReLUs: largest "
            "error over the curve's range.",
            record.largest(result.curves.relu),
            ROUNDING,
            unit="relative error",
            setting=_setting(result),
        ),
        supporting(
            "Two ReLUs make one soft sigmoid: the least error of any ramp.",
            record.certain(_soft_and_ramp()),
            ROUNDING,
            unit="error",
            setting="σ(z) and constant + height · hard sigmoid (az), best a and height",
        ),
    )


def _soft_and_ramp() -> np.float64:
    """min over slopes and heights of max |σ(z) - ramp|, on grids.

    A pair of ReLUs that stays bounded is a ramp, and the best is symmetric as σ is.
    """
    z = np.linspace(0, 12, 1201)
    soft = special.expit(z) - 0.5
    slopes, heights = np.linspace(0.05, 0.5, 91), np.linspace(0.3, 0.5, 81)
    ramps = np.minimum(slopes[:, None, None] * z, heights[:, None])
    return np.abs(ramps - soft).max(axis=2).min()


def figures(result: Result) -> dict[str, Figure]:
    """A curve and its sums; errors and counts of every draw."""
    figure, (picture, errors, counts) = panels(1, 3, width=4.8, height=3.8)
    x, exact, hard, soft = result.curves.picture
    picture.plot(x, exact, marker="", linewidth=5, alpha=0.3, label="the curve")
    picture.plot(x, hard, marker="", label="sum of hard sigmoids")
    picture.plot(x, soft, marker="", label="the same weights, soft sigmoids")
    label(picture, "A curve of one kink", "x", "f(x)")
    draws = result.curves.hard.shape[1]
    kinks = np.repeat(result.kinks, draws)
    for name, values, marker in (
        ("hard sigmoids", result.curves.hard, "o"),
        ("ReLUs", result.curves.relu, "^"),
        ("soft sigmoids (control)", result.curves.soft, "s"),
        ("hard sigmoids beyond the ends (control)", result.curves.beyond, "x"),
    ):
        seen = np.maximum(values.ravel(), 1e-17)
        errors.scatter(kinks, seen, s=16, marker=marker, label=name)
    errors.axhline(ROUNDING.threshold, color="0.4", linestyle=":", label="rounding")
    errors.set(xscale="log", yscale="log")
    label(errors, "Error of every curve", "kinks", "largest error / range")
    pieces = np.repeat(result.kinks + 1, draws)
    counts.scatter(pieces, result.bends.anywhere.ravel(), label="anywhere")
    counts.scatter(pieces, result.bends.joined.ravel(), marker="^", label="joined")
    counts.axline((0, 0), slope=2, color="0.4", linestyle=":", label="2i")
    label(counts, "ReLUs that hard sigmoids take", "hard sigmoids i", "bends (count)")
    for axis in (picture, errors, counts):
        legend_below(axis, columns=1)
    return {"curves": figure}
