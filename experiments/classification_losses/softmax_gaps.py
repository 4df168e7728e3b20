"""Does softmax widen the gaps between logits?

The course exponentiates three logits and divides by the sum, and reads off larger gaps.
Larger than what? Shares that are proportional to the logits themselves are y₁/y₂ to one
another, those of softmax exp(y₁ - y₂). For y₁ > y₂ > 0 the second ratio is larger where
y₁ - log y₁ > y₂ - log y₂, and y - log y falls up to y = 1 and rises from there. So
above 1 softmax should widen every gap, and below 1 narrow every one; which of both a
network meets is a matter of its logits' size. The claim names none, so both decide. It
is right of a range of logits where no pair in it comes closer, and wrong where some do.

The course's own triple (3, 1, -3) is worked first, to half a unit of its last digit.
Softmax of two logits must be the sigmoid of their difference, to rounding. The control
swaps the two logits, whose sigmoid is that of the other class. A shift of all logits
changes nothing, which stands beside it.

Claims: C090.
Cost: 10 seconds on 2 cores, compilation included.
Expect: the triple and the sigmoid hold; gaps between logits below 1 become narrower.
Run: jaxml run softmax_gaps
"""

from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from jaxml import randomness, record
from jaxml.record import Assertion
from jaxml.record.figures import Figure, label, legend_below, panels
from jaxml.types import Array, Keep

TRIPLE = (3.0, 1.0, -3.0)
PRINTED = np.array([0.88, 0.12, 0.0])  # by the course
RANGES = ((1.0, 10.0), (0.1, 1.0))  # of the logits of a pair
ABOVE, BELOW = range(2)
DEVIATION = 10.0  # of random logits


@dataclass(frozen=True, kw_only=True)
class Config:
    """Logits of a grid, all pairs of which are compared, and random pairs."""

    points: int = 100
    pairs: int = 2000
    seed: int = 0


SMOKE = Config(points=10, pairs=50)


class Result(NamedTuple):
    """What softmax makes of logits.

    Attributes:
        triple: of TRIPLE.
        logits: of the grid in each of RANGES.
        linear: log of the larger over the smaller logit of each pair of the grid.
        widened: log of the shares of softmax, the larger over the smaller.
        sigmoid: softmax of two logits minus the sigmoid of their difference.
        swapped: the same minus the sigmoid of the opposite difference.
        single: as `sigmoid`, in float32.
        shifted: change by a shift of both logits by 1,000.
    """

    triple: Float[Array, " class"]
    logits: Float[Array, "range point"]
    linear: Float[Array, "range pair"]
    widened: Float[Array, "range pair"]
    sigmoid: Float[Array, " pair"]
    swapped: Float[Array, " pair"]
    single: Float[Array, " pair"]
    shifted: Float[Array, " pair"]


def study(config: Config, keep: Keep) -> Result:
    """One program, in float64 but for what is called single."""
    with jax.enable_x64(True):
        (seed,) = randomness.seeds(config.seed, 1)
        normal = np.random.default_rng(seed).normal(size=(config.pairs, 2))
        grids = np.stack([np.geomspace(*ends, config.points) for ends in RANGES])
        measure = partial(jax.jit(_compute), DEVIATION * normal, grids)
        return keep("measured", measure)


def _compute(
    pairs: Float[jax.Array, "pair two"], grids: Float[jax.Array, "range point"]
) -> Result:
    smaller, larger = np.triu_indices(grids.shape[1], 1)
    both = jnp.stack([grids[:, larger], grids[:, smaller]], axis=-1)
    shares = jax.nn.softmax(both)
    swapped = jax.nn.softmax(pairs)[:, 1] - _sigmoid_of_difference(pairs)
    shifted = jax.nn.softmax(pairs + 1000) - jax.nn.softmax(pairs)
    return Result(
        triple=jax.nn.softmax(jnp.array(TRIPLE)),
        logits=grids,
        linear=_log_ratio(both),
        widened=_log_ratio(shares),
        sigmoid=_from_sigmoid(pairs),
        swapped=swapped,
        single=_from_sigmoid(pairs.astype(jnp.float32)),
        shifted=shifted[:, 0],
    )


def _log_ratio(pairs: jax.Array) -> jax.Array:
    return jnp.log(pairs[..., 0] / pairs[..., 1])


def _from_sigmoid(pairs: jax.Array) -> jax.Array:
    return jax.nn.softmax(pairs)[:, 0] - _sigmoid_of_difference(pairs)


def _sigmoid_of_difference(pairs: jax.Array) -> jax.Array:
    return jax.nn.sigmoid(pairs[:, 0] - pairs[:, 1])


def findings(result: Result) -> tuple[Assertion, ...]:
    """The course's numbers, the sigmoid, and gaps on either side of 1."""
    triple = record.deciding(
        "C090",
        "Softmax of the course's triple is what it prints.",
        record.largest(result.triple - PRINTED),
        record.at_most(0.005),  # half a unit of the last digit
        unit="error",
        setting="logits 3, 1 and -3, printed as .88, .12 and about 0",
    )
    return (triple, *_sigmoids(result), *_gaps(result), _shift(result))


def _sigmoids(result: Result) -> list[Assertion]:
    found = []
    cases = (
        (record.deciding, "", result.sigmoid),
        (record.supporting, "", result.single),
        (record.supporting, "Control, the logits swapped: ", result.swapped),
    )
    for role, control, errors in cases:
        # each side rounds the difference, an exponential, a sum and a quotient
        rounding = 8 * float(np.finfo(errors.dtype).eps)
        finding = role(
            "C090",
            f"{control}Softmax of two logits is the sigmoid of their difference.",
            record.largest(errors),
            record.at_most(rounding),
            unit="error",
            setting=f"normal pairs, standard deviation 10, {errors.dtype}",
        )
        found.append(finding)
    return found


def _gaps(result: Result) -> list[Assertion]:
    """Pairs of logits that differ, by how much softmax brings them closer."""
    found = []
    for ends, linear, widened in zip(
        RANGES, result.linear, result.widened, strict=True
    ):
        low, high = ends
        narrowed = np.maximum(linear - widened, 0)
        finding = record.deciding(
            "C090",
            "No pair of logits comes closer by softmax than by dividing both by their "
            "sum: narrowing of the ratio of shares.",
            record.largest(narrowed),
            # ratios are near 1 for neighbours, where logs err by some eps
            record.at_most(8 * float(np.finfo(linear.dtype).eps)),
            unit="log ratio",
            setting=f"pairs of logits from {low:g} to {high:g}",
        )
        found.append(finding)
    return found


def _shift(result: Result) -> Assertion:
    return record.supporting(
        "C090",
        "A common shift of two logits by 1,000 leaves their softmax as it is.",
        record.largest(result.shifted),
        # the logits round to 1,000·eps, and shares change by a quarter of that at most
        record.at_most(1100 * float(np.finfo(result.shifted.dtype).eps)),
        unit="error",
        setting="normal pairs, standard deviation 10",
    )


def figures(result: Result) -> dict[str, Figure]:
    """Each pair of the grids: its ratio after softmax over its ratio before."""
    figure, (axis,) = panels(width=6.0, height=3.8)
    for place, colour, marker in ((ABOVE, "black", "o"), (BELOW, "#994455", "s")):
        low, high = RANGES[place]
        axis.scatter(
            result.linear[place],
            result.widened[place],
            s=4,
            color=colour,
            marker=marker,
            label=f"logits from {low:g} to {high:g}",
        )
    same = np.geomspace(0.02, np.log(10))
    axis.plot(same, same, ":", color="0.3", label="the same ratio")
    axis.set_yscale("log")
    x, y = "log ratio of the logits", "log ratio of their softmax"
    label(axis, "Above the dotted line softmax widens, a point a pair", x, y)
    legend_below(axis)
    return {"softmax_gaps": figure}
