"""Where second order is silent: does the loss fall inside the flat directions?"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxml import tree
from jaxml.curvature.flat import FAR, LENGTHS, _first, directions
from jaxml.curvature.points.flat import FlatProblem
from jaxml.curvature.points.krylov import Product, flat_minres
from jaxml.types import Scalar

DIRECTIONS = 2
"""Random directions inside the flat ones, each taken both ways."""

DESCENTS = 3
"""Steps of the descent from each probe."""

INNER = 20
"""Products of each of its steps."""


class FlatPoint(NamedTuple):
    """A critical point without negative curvature, in flat vectors.

    Attributes:
        point: θ.
        losses: at θ, and at points that differ from it in the last digits.
        gradient: what is left of it.
        vectors: the lowest Ritz vectors, `[count, p]`.
        flat: which of them are flat, `[count]`.
        norm: ‖H‖.
        zero: eigenvalues within this part of ‖H‖ are zero.
    """

    point: jax.Array
    losses: jax.Array
    gradient: jax.Array
    vectors: jax.Array
    flat: jax.Array
    norm: Scalar
    zero: Scalar


def flat_fall(problem: FlatProblem, product: Product, at: FlatPoint) -> Scalar:
    """The largest fall of L from θ inside the flat directions, in units of what cannot
    be told from 0.

    From probes ±ℓu in the span of the flat Ritz vectors the loss is descended: along
    the sphere of radius ℓ in that span by its gradient, and beside it by Newton steps
    with H at θ, which follow a curved valley. At a minimum nothing near it is lower,
    whatever the degree at which it rises; at a point that is flat to second order and
    falls along a cubic or a quartic, something is. The shortest ℓ with a fall above a
    unit decides, unless one of ever shorter reach shows that it does not begin at θ
    (`curvature.flat`). The unit is the rounding of L and the gradient that is left.

    Cost: 12 probes of 3 gradients and 60 products at most.
    """
    far = tree.norm(at.point) <= float(jnp.finfo(at.point.dtype).eps) ** 0.75
    dtype = at.point.dtype
    parts = jnp.where(far, _every_second(FAR, dtype), _every_second(LENGTHS, dtype))
    lengths = parts * jnp.where(far, 1, tree.norm(at.point))
    draws = jnp.where(at.flat[None], directions(DIRECTIONS, at.flat.astype(dtype)), 0)
    sizes = jnp.linalg.norm(draws, axis=1, keepdims=True)
    draws = draws / jnp.where(sizes > 0, sizes, 1)
    starts = jnp.concatenate([draws, -draws])

    def along(start: jax.Array) -> Scalar:
        changes, units = jax.lax.map(
            lambda length: _descended(problem, product, at, start, length), lengths
        )
        return _first(changes, units, lengths)

    return jnp.max(jax.lax.map(along, starts))


class _Probe(NamedTuple):
    """Coordinates inside the flat directions, the rest of the way, and the largest fall
    so far with its unit.
    """

    inside: jax.Array
    beside: jax.Array
    fall: Scalar
    unit: Scalar


def _descended(
    problem: FlatProblem,
    product: Product,
    at: FlatPoint,
    start: jax.Array,
    length: jax.Array,
) -> tuple[Scalar, Scalar]:
    """The largest fall from one probe, in absolute terms, and its unit."""
    flat = jnp.where(at.flat[:, None], at.vectors, 0)
    eps = float(jnp.finfo(length.dtype).eps)
    before = at.losses[0]
    rounding = 8 * jnp.max(jnp.abs(at.losses[1:] - before)) + 32 * eps * jnp.abs(before)

    def outside(vector: jax.Array) -> jax.Array:
        return vector - (flat @ vector) @ flat

    def descend(_: Any, probe: _Probe) -> _Probe:
        away = probe.inside @ flat + probe.beside
        loss, gradient = problem.both(at.point + away)
        reach = tree.norm(away)
        left = reach * tree.norm(at.gradient) + 100 * eps * at.norm * reach**2
        fall, unit = jnp.maximum(before - loss, 0), rounding + left
        better = fall * probe.unit > probe.fall * unit
        return _Probe(
            _along_sphere(probe.inside, flat @ gradient, length),
            probe.beside - outside(relaxing(outside(gradient))),
            jnp.where(better, fall, probe.fall),
            jnp.where(better, unit, probe.unit),
        )

    def relaxing(gradient: jax.Array) -> jax.Array:
        return flat_minres(product, gradient, INNER, at.zero, at.zero).x

    begin = _Probe(
        length * start, jnp.zeros_like(at.point), jnp.zeros_like(before), rounding
    )
    with jax.default_matmul_precision("highest"):
        last = jax.lax.fori_loop(0, DESCENTS, descend, begin)
    return last.fall, last.unit


def _along_sphere(inside: jax.Array, slope: jax.Array, length: jax.Array) -> jax.Array:
    """Half a radian at most down the gradient, back on the sphere."""
    steep = tree.norm(slope)
    moved = inside - 0.5 * length * slope / jnp.where(steep > 0, steep, 1)
    size = tree.norm(moved)
    return moved * (length / jnp.where(size > 0, size, 1))


def _every_second(lengths: tuple[float, ...], dtype: Any) -> jax.Array:
    return jnp.asarray(lengths[1::2], dtype)
