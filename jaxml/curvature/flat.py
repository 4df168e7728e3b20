"""Where second order is silent: does the loss change along the Hessian's flat
directions?
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxml.types import Scalar

LENGTHS = tuple(10.0 ** (k / 2) for k in range(-8, -2))
"""Of the probes, as parts of the parameters' length, ascending."""

FAR = tuple(10.0**k for k in range(-3, 3))
"""The same where the parameters are 0, which have no length of their own."""

STEEPEST = 8.5
"""A change that sets in faster than this power of the length does not begin at the
point.
"""

DIRECTIONS, RELAXATIONS, NUDGES = 2, 4, 4


class Local(NamedTuple):
    """A critical point, in flat vectors.

    Attributes:
        both: `[p] -> (L, ∇L)`.
        point: θ, `[p]`.
        losses: L at θ, and at its `nudges`.
        values: the Hessian's eigenvalues, ascending.
        vectors: its eigenvectors, `[p, p]`, in columns.
    """

    both: Callable[[jax.Array], tuple[jax.Array, jax.Array]]
    point: jax.Array
    losses: jax.Array
    values: jax.Array
    vectors: jax.Array


def flat_change(
    local: Local, zero: jax.Array, length: jax.Array, lengths: jax.Array
) -> Scalar:
    """|f(u) - L - uᵀHu/2| over probes u in the kernel K, in units of what cannot be
    told from 0.

    f(u) is the lowest loss at θ + u + w over w in the range of H. By the splitting
    lemma L is f plus a definite quadratic, so that where H has no negative eigenvalue f
    alone decides. Along an orbit of equal loss (a symmetry, weights that nothing reads)
    f is constant and the result is at most 1. Where f is an analytic function that is
    not constant, it changes along almost every u: two random ones are enough.

    Along each the shortest length at which f changes by more than a unit decides. If f
    was equal at some shorter one, and a power of the length above 8.5 would be needed
    to come so far since, it is equal at θ, and the change is that of a kink further out
    (a ReLU network's plateau).

    The unit is the rounding of L, as measured and as estimated; what the relaxation
    leaves; the gradient that is left at θ, which the certificate judges by itself and
    the change is measured without; and uᵀHu/2 itself where it is positive, which is
    what eigenvalues below the tolerance may explain. Where it is negative a fall is no
    less a fall: there |f(u) - L| is measured.

    Args:
        local: the point, with its eigenvalues and eigenvectors.
        zero: eigenvalues within this of 0 span K.
        length: the parameters' length.
        lengths: of the probes, `[k]`, as parts of it, ascending.

    Source: Gromoll and Meyer 1969, Topology 8, lemma 1 (the splitting lemma).
    """
    kernel = jnp.abs(local.values) <= zero
    coordinates = jnp.where(kernel[None], directions(DIRECTIONS, local.point), 0)
    sizes = jnp.linalg.norm(coordinates, axis=1, keepdims=True)
    coordinates = coordinates / jnp.where(sizes > 0, sizes, 1)
    bends = 0.5 * coordinates**2 @ jnp.where(kernel, local.values, 0)
    stiffness = jnp.where(kernel, 1, jnp.abs(local.values))
    inverse = jnp.where(kernel, 0, 1 / stiffness)
    before = local.losses[0]
    nudged = local.losses[1:]
    measured = 8 * jnp.max(jnp.abs(nudged - before))
    estimated = _eps(before, 32.0) * jnp.abs(before)
    rounding = measured + estimated
    largest = jnp.max(jnp.abs(local.values))
    _, grads = local.both(local.point)

    def probe(
        direction: jax.Array, bend: jax.Array, part: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        away = part * length
        value, left = _relaxed(local, local.point + away * direction, inverse)
        expected = bend * away**2
        stiff = largest * away**2
        slope = away * jnp.vdot(grads, direction)
        unit = rounding + _eps(value, 100.0) * stiff + 4 * left + jnp.abs(slope)
        change = value - before - slope
        unexplained = jnp.where(expected > 0, change - expected, change)
        return jnp.abs(unexplained), unit + jnp.maximum(expected, 0)

    at_lengths = jax.vmap(probe, (None, None, 0))
    along = jax.vmap(at_lengths, (0, 0, None))
    changes, units = along(coordinates @ local.vectors.T, bends, lengths)
    firsts = jax.vmap(_first, (0, 0, None))(changes, units, lengths)
    return jnp.max(firsts)


def _relaxed(
    local: Local, start: jax.Array, inverse: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """The loss after chord steps in the range of H, and what a further one would
    gain.
    """

    def relax(
        _: Any, carry: tuple[jax.Array, jax.Array, jax.Array]
    ) -> tuple[jax.Array, jax.Array, jax.Array]:
        x, _, _ = carry
        value, grads = local.both(x)
        coordinates = local.vectors.T @ grads
        left = 0.5 * jnp.sum(inverse * coordinates**2)
        step = local.vectors @ (inverse * coordinates)
        return x - step, value, left

    unknown = jnp.zeros((), start.dtype)
    _, value, left = jax.lax.fori_loop(0, RELAXATIONS, relax, (start, unknown, unknown))
    return value, left


def _first(changes: jax.Array, units: jax.Array, lengths: jax.Array) -> jax.Array:
    """The first significant change, in its unit; the largest of those before it, if a
    kink explains it.

    Where the relaxation ran away, as it may at the longer lengths, nothing is known;
    NaN if nowhere is.
    """
    ratios = jnp.where(changes == 0, 0, changes / units)
    known = ~jnp.isnan(ratios)
    ratios = jnp.where(known, ratios, 0)
    index = jnp.argmax(ratios > 1)
    shorter = jnp.arange(lengths.size) < index
    risen = jnp.log(changes[index] / units)
    gone = jnp.log(lengths[index] / lengths)
    growth = risen / gone
    steep = jnp.any(shorter & (growth > STEEPEST))
    quiet = jnp.max(jnp.where(shorter, ratios, 0))
    found = jnp.where(steep, quiet, ratios[index])
    found = jnp.where(jnp.any(ratios > 1), found, jnp.max(ratios))
    return jnp.where(known[0], found, jnp.nan)


def nudges(point: jax.Array, length: jax.Array) -> jax.Array:
    """Points `[4, p]` that differ from θ in the last digits, to see how far rounding
    moves the loss.
    """
    step = _eps(point, 4.0) * length
    return point[None] + step * directions(NUDGES, point)


def directions(count: int, like: jax.Array) -> jax.Array:
    """Unit vectors `[count, p]`, always the same ones, uniform on the sphere."""
    draws = np.random.default_rng(0).normal(size=(count, like.size))
    lengths = np.linalg.norm(draws, axis=1, keepdims=True)
    return jnp.asarray(draws / lengths, like.dtype)


def _eps(like: jax.Array, times: float) -> jax.Array:
    return jnp.asarray(times * jnp.finfo(like.dtype).eps, like.dtype)
