"""Do i hard sigmoids take 2i ReLUs?

The course makes one hard sigmoid of two ReLUs, and so i of them of 2i. Both are
mathematics. Random sums of i hard sigmoids are compared with the 2i ReLUs that
`problem.relus_of_hard_sigmoids` gives, on an interval that holds all their bends; were
a pair of ReLUs something else, as it is for a soft sigmoid, the error would be a part
of the height. A ReLU bends once, so a sum cannot have fewer ReLUs than bends. These are
counted in second differences on a grid that holds them all: fewer than 2i would say
that fewer ReLUs do.

In general position hard sigmoids share no bend. Those of the course share them: each
begins where another ends, and makes a curve. Both kinds decide, for the sentence speaks
of i hard sigmoids of any kind, and was said of those of a curve. That a curve takes
fewer is shown twice: by its bends, and by i ReLUs that are the curve of i pieces
between its ends, a supporting finding. At first the count of the curves was supporting
as well; the sentence would have been answered for the sums that suit it. The soft
sigmoid, of which some notes say the same, is the control: the least error that any
bounded pair of ReLUs, that is any ramp, has for it, on a grid of slopes and heights.

An error below 1e-12 of the heights' sum is rounding, as the ledger of these claims has
it. Slopes are at most 1,000, as between neighbours on the grid, so that a hard sigmoid
is the difference of two numbers of up to 1,000 heights, which float64 rounds by
2.2e-13 of the height: of the sum of the heights no more, whatever their number.
Nothing hangs on the draws, so the largest error decides.

Claims: C020.
Cost: 4 seconds on 2 cores, compilation included.
Expect: 2i in general position; i + 1 where they join, i of them between the ends.
Run: jaxml run relu_pairs
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
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
BENT = 1e-9  # a second difference below it is 0
NODES = 1001  # places at which a sum may bend


@dataclass(frozen=True, kw_only=True)
class Config:
    """Hard sigmoids in a sum, and draws of each."""

    sums: tuple[int, ...] = (1, 2, 4, 11, 31)
    draws: int = 20
    seed: int = 0


SMOKE = Config(sums=(1, 4), draws=2)


class Result(NamedTuple):
    """Of sums of i hard sigmoids.

    Attributes:
        sums: i.
        pairs: errors of 2i ReLUs, relative to the sum of the heights, in general
            position.
        of_joined: the same of those that make a curve.
        curve: errors of i ReLUs between the ends of a curve, relative likewise.
        anywhere: bends of i hard sigmoids in general position.
        joined: bends of i hard sigmoids that make a curve.
    """

    sums: Int[np.ndarray, " sum"]
    pairs: Float[np.ndarray, "sum draw"]
    of_joined: Float[np.ndarray, "sum draw"]
    curve: Float[np.ndarray, "sum draw"]
    anywhere: Int[np.ndarray, "sum draw"]
    joined: Int[np.ndarray, "sum draw"]


def study(config: Config, keep: Keep) -> Result:
    """Float64 throughout; networks are evaluated, none is trained."""
    seeds = randomness.seeds(config.seed, len(config.sums))
    rows = []
    with jax.enable_x64(True):
        for count, seed in zip(config.sums, seeds, strict=True):
            draws = np.random.default_rng(seed)
            one = partial(_of_sums, count, config.draws, draws)
            rows.append(keep(f"sums of {count}", one))
    return Result(np.array(config.sums), *map(np.stack, zip(*rows, strict=True)))


def _of_sums(
    count: int, repeats: int, draws: np.random.Generator
) -> tuple[np.ndarray, ...]:
    """Three errors and both counts, by draw."""
    x = np.arange(NODES) / (NODES - 1)
    heights = draws.uniform(0.5, 1.0, (repeats, count))
    signed = heights * draws.choice([-1, 1], heights.shape)
    ends = [_apart(count, draws) for _ in heights]
    touching = [_touching(count, draws) for _ in heights]
    weights = [_ramps(*each) for each in zip(ends, heights, strict=True)]
    curves = [_ramps(*each) for each in zip(touching, signed, strict=True)]
    hard = _outputs(weights, problem.hard_sigmoid, x)
    joined = _outputs(curves, problem.hard_sigmoid, x)
    pairs = np.abs(_in_pairs(weights, x) - hard)
    of_joined = np.abs(_in_pairs(curves, x) - joined)
    once = [_relus(*each) for each in zip(touching, signed, strict=True)]
    last = np.array([each[-1, 1] for each in touching])
    inside = x <= last[:, None]
    curve = np.abs(_outputs(once, jax.nn.relu, x) - joined) * inside
    sizes = heights.sum(axis=1)
    largest = [error.max(axis=1) / sizes for error in (pairs, of_joined, curve)]
    return (*largest, _bent(hard), _bent(joined))


def _in_pairs(weights: list[Params], x: np.ndarray) -> Float[np.ndarray, "draw place"]:
    """Outputs of the pairs of ReLUs that stand for these hard sigmoids."""
    twice = [problem.relus_of_hard_sigmoids(each) for each in weights]
    return _outputs(twice, jax.nn.relu, x)


def _relus(ends: Float[np.ndarray, "ramp 2"], heights: np.ndarray) -> Params:
    """One ReLU a piece of the curve that joined ramps make."""
    knots = np.append(ends[:, 0], ends[-1, 1])
    values = np.append(0.0, np.cumsum(heights))
    return problem.relus_of_curve(knots, values)


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


def _outputs(
    weights: list[Params], activation: Callable, x: np.ndarray
) -> Float[np.ndarray, "draw place"]:
    """Of networks of `problem.units`, each at the same places."""
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *weights)
    model = problem.units(stacked["hidden"]["bias"].shape[1], activation)

    def outputs(params: Params) -> jax.Array:
        return model.apply(params, {}, x[:, None], train=False, key=None)[0][:, 0]

    return np.asarray(jax.jit(jax.vmap(outputs))(stacked))


def _bent(values: Float[np.ndarray, "draw place"]) -> Int[np.ndarray, " draw"]:
    """Places at which the second difference is not 0."""
    return np.sum(np.abs(np.diff(values, n=2)) > BENT, axis=1)


def findings(result: Result) -> tuple[Assertion, ...]:
    """Largest errors, and counts of bends that are missing."""
    sums = ", ".join(str(count) for count in result.sums)
    setting = f"{result.pairs.shape[1]} random sums each of {sums} hard sigmoids"
    anywhere = f"{setting} on an interval that holds their bends, float64"
    joined = f"{setting}, each beginning where another ends, float64"
    twice = 2 * result.sums[:, None]
    deciding = partial(record.deciding, "C020")
    supporting = partial(record.supporting, "C020")
    found: list[Assertion] = []
    for kind, errors, bends, where in (
        ("in general position", result.pairs, result.anywhere, anywhere),
        ("that join into one curve", result.of_joined, result.joined, joined),
    ):
        exact = deciding(
            f"i hard sigmoids {kind} are the sum of 2i ReLUs: error over the sum of "
            "the heights.",
            record.largest(errors),
            ROUNDING,
            unit="relative error",
            setting=where,
        )
        fewest = deciding(
            f"i hard sigmoids {kind} take 2i ReLUs and no fewer, for their sum bends "
            "at 2i places: bends that it lacks.",
            record.largest(bends - twice),
            EXACT,
            unit="count",
            setting=where,
        )
        found += [exact, fewest]
    return (
        *found,
        supporting(
            "Between its ends a curve of i pieces is a sum of i ReLUs: error over the "
            "sum of the heights.",
            record.largest(result.curve),
            ROUNDING,
            unit="relative error",
            setting=joined,
        ),
        supporting(
            "Two ReLUs make one soft sigmoid, the control: least error of any ramp.",
            record.certain(_off_soft()),
            ROUNDING,
            unit="error",
            setting="σ(z) and ½ ± min(az, h) on a grid of slopes a and heights h",
        ),
    )


def _off_soft() -> np.float64:
    """The largest difference of σ(z) from the ramp that is nearest to it, of grids of
    slopes and heights; the best is symmetric, as σ is, so z >= 0 suffices.
    """
    z = np.linspace(0, 12, 1201)
    slopes, heights = np.linspace(0.05, 0.5, 91), np.linspace(0.3, 0.5, 81)
    ramps = np.minimum(slopes[:, None, None] * z, heights[:, None])
    return np.abs(ramps - (special.expit(z) - 0.5)).max(axis=-1).min()


def figures(result: Result) -> dict[str, Figure]:
    """Bends and errors of every sum."""
    figure, (counts, errors) = panels(1, 2, width=5.0, height=3.8)
    sums = np.repeat(result.sums, result.pairs.shape[1])
    counts.scatter(sums, result.anywhere.ravel(), label="in general position")
    counts.scatter(sums, result.joined.ravel(), marker="^", label="joined to a curve")
    counts.axline((0, 0), slope=2, color="0.4", linestyle=":", label="2i")
    label(counts, "Bends of every sum", "hard sigmoids i", "bends (count)")
    for name, values, marker in (
        ("2i ReLUs, in general position", result.pairs, "o"),
        ("2i ReLUs, joined to a curve", result.of_joined, "s"),
        ("i ReLUs, a curve between its ends", result.curve, "^"),
    ):
        seen = np.maximum(values.ravel(), 1e-17)
        errors.scatter(sums, seen, marker=marker, label=name)
    errors.axhline(ROUNDING.threshold, color="0.4", linestyle=":", label="rounding")
    errors.set(xscale="log", yscale="log")
    label(errors, "Error of every sum", "hard sigmoids i", "error / sum of heights")
    for axis in (counts, errors):
        legend_below(axis, columns=1)
    return {"pairs": figure}
