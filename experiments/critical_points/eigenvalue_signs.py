"""What do the signs of a Hessian's eigenvalues tell about a point of zero gradient?

They are compared with what random neighbours within 0.01 say: a saddle has some above
and some below, at a minimum all lie above. The points are those whose kind is known in
closed form: the saddle of the lecture's L = (1 - w₁w₂)² at the origin and the minimum
of (x - 1)² + 1, where no eigenvalue is zero; w⁴ and w³ at 0, which both have the
Hessian 0. The course is right where eigenvalues and neighbours agree, and wrong where
one Hessian belongs to points of two kinds. The minimum is the control of the saddle,
and w⁴ that of w³. A count of mismatches has no margin: one is too many.

Claims: C047.
Cost: 2 seconds on 2 cores, compilation included.
Expect: signs tell the kind of a point unless an eigenvalue is zero.
Run: jaxml run eigenvalue_signs
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
from jaxml.record.figures import Figure, label, legend_below, panels
from jaxml.types import Array, Keep, Objective

ROUNDING = 20 * float(np.finfo(np.float64).eps)
RADIUS = 0.01  # within which neighbours lie
TOY = "(1 - w₁w₂)² at the origin"
NEIGHBOURS = f"random neighbours within {RADIUS}"


@dataclass(frozen=True, kw_only=True)
class Config:
    """How many neighbours each point has."""

    neighbours: int = 2000
    seed: int = 0


SMOKE = Config(neighbours=100)


class Around(NamedTuple):
    """What lies around a point.

    Attributes:
        above: the fraction of neighbours with a higher loss.
        below: the fraction of neighbours with a lower loss.
        lowest: eigenvalue of the Hessian at the point.
        highest: eigenvalue of the Hessian at the point.
    """

    above: Float[Array, ""]
    below: Float[Array, ""]
    lowest: Float[Array, ""]
    highest: Float[Array, ""]


class Result(NamedTuple):
    """Points of zero gradient: the origin of (1 - w₁w₂)², and (x - 1)² + 1 at 1, w⁴ and
    w³ at 0.
    """

    saddle: Around
    minimum: Around
    quartic: Around
    cubic: Around


def study(config: Config, keep: Keep) -> Result:
    """Everything in float64, in one program."""
    with jax.enable_x64(True):
        return keep("points", lambda: jax.jit(partial(_points, config))())


def _points(config: Config) -> Result:
    zero = jnp.zeros(1)
    around = partial(_around, config)
    return Result(
        saddle=around(problem.bilinear, jnp.zeros(2)),
        minimum=around(_of_vector(problem.parabola), jnp.ones(1)),
        quartic=around(_of_vector(problem.quartic), zero),
        cubic=around(_of_vector(problem.cubic), zero),
    )


def _of_vector(function: Objective) -> Objective:
    """A function of one number as one of a vector of length 1."""
    return lambda w, batch: function(w[0], batch)


def _around(config: Config, objective: Objective, point: jax.Array) -> Around:
    key = randomness.key(config.seed)
    shape = (config.neighbours, *point.shape)
    offsets = RADIUS * jax.random.uniform(key, shape, minval=-1, maxval=1)
    losses = jax.vmap(lambda offset: objective(point + offset, None))(offsets)
    change = losses - objective(point, None)
    product = curvature.hessian_product(objective, point, None)
    spectrum = jnp.linalg.eigvalsh(curvature.dense(product, point))
    above = jnp.mean(change > 0, dtype=float)
    below = jnp.mean(change < 0, dtype=float)
    return Around(above, below, lowest=spectrum[0], highest=spectrum[-1])


def findings(result: Result) -> tuple[Assertion, ...]:
    """Mismatches between eigenvalues and neighbours, counted."""
    saddle, minimum, quartic, cubic = result
    sides = np.stack([quartic.above, quartic.below, cubic.above, cubic.below]) > 0
    differing = (sides[:2] != sides[2:]).astype(saddle.above.dtype)
    both = np.stack([saddle.above, saddle.below])
    flat = [quartic.lowest, quartic.highest, cubic.lowest, cubic.highest]
    shortfalls = [1 - quartic.above, np.maximum(0.4 - cubic.below, 0)]
    return (
        _equal(
            record.deciding,
            "Where no eigenvalue of the Hessian is zero, their signs tell a saddle, "
            "which has neighbours above and below, from a minimum, all of whose "
            "neighbours lie above.",
            np.append(_mismatches(saddle), _mismatches(minimum)),
            unit="mismatches",
            setting=f"{TOY}, and (x - 1)² + 1 at x = 1",
        ),
        _equal(
            record.supporting,
            "At the saddle of (1 - w₁w₂)² at least 3 of 10 neighbours lie above and at "
            "least 3 of 10 below.",
            np.maximum(0.3 - both, 0),
            setting=f"{TOY}, {NEIGHBOURS}",
        ),
        _equal(
            record.deciding,
            "Where an eigenvalue of the Hessian is zero the signs still tell the kind "
            "of the point: w⁴ and w³, both with the Hessian 0, have neighbours on the "
            "same sides.",
            differing,
            unit="mismatches",
            setting="w⁴ and w³ at 0",
        ),
        _equal(
            record.supporting,
            "A Hessian of zero decides nothing: w⁴ and w³ both have it at 0, where "
            "all neighbours of w⁴ lie above and at least 4 of 10 of w³ below.",
            np.stack([*flat, *shortfalls]),
            tolerance=ROUNDING,
            setting=f"w⁴ and w³ at 0, {NEIGHBOURS}",
        ),
    )


def _mismatches(around: Around) -> np.ndarray:
    """Whether eigenvalues and neighbours disagree about what lies above, and below."""
    above = (around.highest > ROUNDING) != (around.above > 0)
    below = (around.lowest < -ROUNDING) != (around.below > 0)
    return np.stack([above, below]).astype(around.above.dtype)


def _equal(
    role: Callable[..., Assertion],
    statement: str,
    errors: Array,
    *,
    tolerance: float = 0.0,
    unit: str = "error",
    setting: str,
) -> Assertion:
    """A finding that holds if the largest error is at most the tolerance."""
    measured = record.largest(errors)
    rule = record.at_most(tolerance)
    return role("C047", statement, measured, rule, unit=unit, setting=setting)


def figures(result: Result) -> dict[str, Figure]:
    """What lies around each point, by the Hessian's eigenvalues and by its
    neighbours.
    """
    figure, (seen, spectrum) = panels(1, 2)
    places = np.arange(len(result))
    left, right = places - 0.12, places + 0.12
    above = [around.above for around in result]
    below = [around.below for around in result]
    seen.scatter(left, above, marker="^", s=40, label="above")
    seen.scatter(right, below, marker="v", s=40, label="below")
    label(seen, "Neighbours within 0.01", "loss", "fraction of neighbours")
    lowest = [around.lowest for around in result]
    highest = [around.highest for around in result]
    spectrum.scatter(left, highest, marker="^", s=40, label="highest")
    spectrum.scatter(right, lowest, marker="v", s=40, label="lowest")
    label(spectrum, "Curvature at the point", "loss", "eigenvalue of the Hessian")
    for axis in (seen, spectrum):
        axis.set_xticks(places, ["(1 - w₁w₂)²", "(x - 1)² + 1", "w⁴", "w³"])
        axis.axhline(0, color="0.4", linewidth=0.8)
        legend_below(axis)
    return {"points": figure}
