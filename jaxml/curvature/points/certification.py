"""Is this a critical point, and of which kind? Measured from products alone."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Float, Int

from jaxml import tree
from jaxml.curvature.certificate import (
    DOUBLE,
    LONGER,
    Certificate,
    check_scalar,
    length_scale,
    zero_tolerance,
)
from jaxml.curvature.flat import directions, nudges
from jaxml.curvature.points.ends import Ends, Plan, both_ends, planned
from jaxml.curvature.points.flat import FlatProblem, flat_problem
from jaxml.curvature.points.flat_fall import FlatPoint, flat_fall
from jaxml.curvature.points.krylov import Product, flat_minres
from jaxml.curvature.programs import run
from jaxml.curvature.space import check_deterministic, check_space
from jaxml.types import Key, Objective, Params, Scalar

EXACT = 1e-6
"""The relative residual to which the Newton step is solved."""


class Index(NamedTuple):
    """How many eigenvalues are negative: at least, and at most."""

    surely: Int[jax.Array, ""]
    possibly: Int[jax.Array, ""]


class LargeCertificate(NamedTuple):
    """What is measured at a candidate that is too large for a matrix.

    Attributes:
        certificate: judged by `outcome` and `signs`, with `eigenvalues` the lowest
            `count` and the highest `count` alone, ascending, so that `signs` counts
            within these; `flat_change` measures falls alone, so that a minimum which
            rises as w⁴ is a minimum.
        negative: the index n₋ as an interval: `surely` by interlacing, `possibly` equal
            to it where the next Ritz value is zero or above by more than its residual,
            else p.
        residuals: of the eigenvalues, `[2 count]`.
        lowest: their lowest vectors, a pytree with a leading axis `[count]`.
        bound: with probability 0.999 no eigenvalue lies below it.
        unsolved: ‖∇L + Hδ‖ / ‖∇L‖ of the Newton step δ: above 1e-6 where the depth did
            not suffice, or the gradient lies in the kernel.
    """

    certificate: Certificate
    negative: Index
    residuals: Float[jax.Array, " ends"]
    lowest: Params
    bound: Scalar
    unsolved: Scalar


def certify_matrix_free(
    objective: Objective,
    params: Params,
    batch: Any,
    *,
    count: int = 4,
    depth: int = 100,
    key: Key,
) -> LargeCertificate:
    """Measures a candidate by the criteria of `certify`, from products alone.

    Both ends of the spectrum come from `depth` Lanczos vectors; where the lowest are
    negative, further runs beside them find their copies; the Newton step comes from
    minimal residuals. Where none is negative and the lowest are zero, or Lanczos leaves
    their sign open, the loss is descended inside their directions (`flat_change`), and
    the tolerance for zero is raised to what is open (`zero`). The tolerances are those
    of the parameters' precision.

    Cost: `depth` products a run, 2 `depth` for the Newton step, 4 `count` and some
    twenty gradients; 720 products at most where the lowest eigenvalues are zero. Memory
    of `depth` + 4 `count` vectors. Works inside `jit`; outside, its program is kept.

    Args:
        objective: `(params, batch) -> scalar`.
        params: the candidate, in one precision.
        batch: passed to the objective.
        count: eigenvalues at each end, and negative ones that can be counted; at most
            half the depth and half the number of parameters.
        depth: of the Krylov spaces; clipped to the number of parameters.
        key: of the starts.

    Raises:
        InputError: as `certify` and `extremes`.

    Source: as `certify`; Parlett 1998, The Symmetric Eigenvalue Problem, theorems
    10.1.1 and 11.5.1.
    """
    dtype = check_space(params)
    check_scalar(objective, params, batch)
    check_deterministic(objective, params, batch)
    rounding = float(jnp.finfo(dtype).eps) / DOUBLE
    numbers = (1e-7 * rounding**0.4, zero_tolerance(dtype))
    limits = tuple(jnp.asarray(number, dtype) for number in numbers)
    plan = planned(count, depth, tree.size(params))
    return run(_measure, (objective, plan), params, batch, limits, key)


def _measure(
    objective: Objective,
    plan: Plan,
    params: Params,
    batch: Any,
    limits: tuple[Scalar, Scalar],
    key: Key,
) -> LargeCertificate:
    reach, zero = limits
    problem, point = flat_problem(objective, params, batch)
    size = tree.norm(point)
    length = length_scale(size, point.dtype)
    step = reach * length * directions(1, point)[0]
    near = _near(problem, point, step, length)
    product = problem.hessian(point)
    asked = jnp.stack([step, near.gradient])
    ends = both_ends(product, asked, zero, plan, key)
    sides = _sides(near, step, ends.images[0])
    newton = _newton(product, near.gradient, ends, zero, 2 * plan.depth)

    largest = _positive(ends.norm)
    changing = 10 * newton.length * sides.third / largest
    unclear = jnp.where(ends.surely > 0, 0, ends.open)
    within = jnp.maximum(zero, jnp.maximum(changing, unclear))
    norm, image = tree.norm(near.gradient), tree.norm(ends.images[1])
    scale = _positive(2 * largest * tree.norm(step))
    flat_change = _silent(problem, product, point, near, (ends, within))
    tail = _tail(problem, point, near.losses[0], newton.step)
    certificate = Certificate(
        loss=near.losses[0],
        gradient_norm=norm,
        parameter_norm=size,
        newton_step=newton.length / length,
        alignment=image / _positive(largest * norm),
        jump=sides.jump / scale,
        eigenvalues=ends.values,
        offset=sides.offset / scale,
        persistence=sides.persistence,
        fall=newton.fall,
        zero=within,
        flat_change=flat_change,
        tail=tail,
    )
    return LargeCertificate(
        certificate,
        Index(ends.surely, ends.possibly),
        ends.residuals,
        jax.vmap(problem.unravel)(ends.lowest),
        ends.bound,
        newton.unsolved,
    )


class _Near(NamedTuple):
    """Losses at θ and at points that differ from it in the last digits; gradients at θ,
    θ+d, θ-d, θ+8d and θ-8d.
    """

    losses: jax.Array
    gradient: jax.Array
    sides: jax.Array


SIDES = (1.0, -1.0, LONGER, -LONGER)
"""Steps across θ, in units of d."""


def _near(
    problem: FlatProblem, point: jax.Array, step: jax.Array, length: jax.Array
) -> _Near:
    parts = jnp.asarray(SIDES, point.dtype)
    around = point[None] + parts[:, None] * step[None]
    points = jnp.concatenate([around, point[None], nudges(point, length)])
    losses, gradients = jax.lax.map(problem.both, points)
    count = len(SIDES)
    return _Near(losses[count:], gradients[count], gradients[:count])


class _Sides(NamedTuple):
    """What gradients on both sides say of θ.

    Attributes:
        jump: ‖∇L(θ+d) - ∇L(θ-d) - 2Hd‖, minus rounding.
        offset: ‖∇L(θ+d) + ∇L(θ-d) - 2∇L‖, minus rounding.
        persistence: as in `Certificate`.
        third: ‖∂³L‖ along the step, where the loss is smooth.
    """

    jump: Scalar
    offset: Scalar
    persistence: Scalar
    third: Scalar


def _sides(near: _Near, step: jax.Array, image: jax.Array) -> _Sides:
    parts = jnp.asarray(SIDES, step.dtype)
    expected = near.gradient[None] + parts[:, None] * image[None]
    right, left, far_right, far_left = near.sides - expected
    close = jnp.maximum(tree.norm(right), tree.norm(left))
    far = jnp.maximum(tree.norm(far_right), tree.norm(far_left))
    rounding = 16 * float(jnp.finfo(close.dtype).eps) * tree.norm(near.gradient)
    persistence = LONGER * close / _positive(far)
    both, square = tree.norm(right + left), tree.vdot(step, step)
    return _Sides(
        jump=jnp.maximum(tree.norm(right - left) - rounding, 0),
        offset=jnp.maximum(both - rounding, 0),
        persistence=persistence,
        third=jnp.where(persistence < 0.5, both / square, 0),
    )


class _Newton(NamedTuple):
    """-|H|⁺∇L, its length, ∇Lᵀ|H|⁺∇L / 2, and what of ∇L it does not solve."""

    step: jax.Array
    length: jax.Array
    fall: jax.Array
    unsolved: jax.Array


def _newton(
    product: Product, gradient: jax.Array, ends: Ends, zero: Scalar, inner: int
) -> _Newton:
    """The Newton step, turned round in the negative modes."""
    found = flat_minres(product, -gradient, inner, EXACT, zero)
    values = ends.values[: len(ends.lowest)]
    down = jnp.where((values < -zero * ends.norm)[:, None], ends.lowest, 0)
    with jax.default_matmul_precision("highest"):
        step = found.x - 2 * (down @ found.x) @ down
    fall = 0.5 * jnp.abs(tree.vdot(gradient, step))
    unsolved = found.residual_norm / _positive(tree.norm(gradient))
    return _Newton(step, tree.norm(step), fall, unsolved)


def _silent(
    problem: FlatProblem,
    product: Product,
    point: jax.Array,
    near: _Near,
    spectrum: tuple[Ends, Scalar],
) -> Scalar:
    """`flat_fall` where it decides something: flat directions, and none of negative
    curvature.
    """
    ends, within = spectrum
    values = ends.values[: len(ends.lowest)]
    zero = within * ends.norm
    flat = jnp.abs(values) <= zero
    at = FlatPoint(
        point, near.losses, near.gradient, ends.lowest, flat, ends.norm, within
    )
    return jax.lax.cond(
        jnp.any(flat) & (values[0] >= -zero),
        lambda: flat_fall(problem, product, at),
        lambda: jnp.zeros_like(zero),
    )


def _tail(
    problem: FlatProblem, point: jax.Array, loss: Scalar, step: jax.Array
) -> jax.Array:
    """The largest ratio of successive gradient norms at 1, 2, 4 and 8 Newton steps;
    infinite if L rises.
    """

    def at(part: jax.Array) -> tuple[Scalar, Scalar]:
        there, gradient = problem.both(point + part * step)
        return there, tree.norm(gradient)

    losses, norms = jax.lax.map(at, jnp.asarray([1, 2, 4, 8], step.dtype))
    ratios = norms[1:] / _positive(norms[:-1])
    falls = jnp.all(jnp.diff(losses) < 0) & (losses[0] < loss)
    return jnp.where(falls, jnp.max(ratios), jnp.inf)


def _positive(x: jax.Array) -> jax.Array:
    return x + jnp.asarray(jnp.finfo(x.dtype).tiny, x.dtype)
