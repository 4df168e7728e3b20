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
from jaxml.curvature.lanczos import extremes
from jaxml.curvature.points.flat import FlatProblem, flat_problem
from jaxml.curvature.points.flat_fall import FlatPoint, flat_fall
from jaxml.curvature.points.krylov import Product, flat_minres
from jaxml.curvature.points.low_end import LowEnd, low_end
from jaxml.curvature.programs import run
from jaxml.curvature.space import check_deterministic, check_space
from jaxml.types import Key, Objective, Params, Scalar

EXACT = 1e-3
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
        index: the interval of n₋: `surely` by interlacing, `possibly` equal to it where
            the next Ritz value is zero or above by more than its residual, else p.
        residuals: of the eigenvalues, `[2 count]`.
        lowest: their lowest vectors, a pytree with a leading axis `[count]`.
        bound: with probability 0.999 no eigenvalue lies below it.
        unsolved: ‖∇L + Hδ‖ / ‖∇L‖ of the Newton step δ: above 1e-3 where the depth did
            not suffice, or the gradient lies in the kernel.
    """

    certificate: Certificate
    index: Index
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
    return run(_measure, (objective, count, depth), params, batch, limits, key)


def _measure(
    objective: Objective,
    count: int,
    depth: int,
    params: Params,
    batch: Any,
    limits: tuple[Scalar, Scalar],
    key: Key,
) -> LargeCertificate:
    reach, zero = limits
    problem, point = flat_problem(objective, params, batch)
    product = problem.hessian(point)
    size = tree.norm(point)
    length = length_scale(size, point.dtype)
    around = _around(problem, product, point, reach * length)

    ends = extremes(product, point, count=count, depth=depth, key=key)
    largest = jnp.max(jnp.abs(ends.values))
    low = low_end(product, ends, zero * largest, depth, key)
    newton = _newton(product, around.gradient, low, zero, (2 * depth, largest))
    changing = 10 * newton.length * around.third / _positive(largest)
    unclear = jnp.where(low.surely > 0, 0, low.open / _positive(largest))
    within = jnp.maximum(zero, jnp.maximum(changing, unclear))
    norm = tree.norm(around.gradient)
    image = tree.norm(product(around.gradient))
    scale = _positive(2 * largest * around.length)
    certificate = Certificate(
        loss=around.losses[0],
        gradient_norm=norm,
        parameter_norm=size,
        newton_step=newton.length / length,
        alignment=image / _positive(largest * norm),
        jump=around.jump / scale,
        eigenvalues=jnp.concatenate([low.values, ends.values[count:]]),
        offset=around.offset / scale,
        persistence=around.persistence,
        fall=newton.fall,
        zero=within,
        flat_change=_silent(problem, product, point, around, (low, largest, within)),
        tail=_tail(problem, point, around.losses[0], newton.step),
    )
    return LargeCertificate(
        certificate,
        Index(low.surely, low.possibly),
        jnp.concatenate([low.residuals, ends.residuals[count:]]),
        jax.vmap(problem.unravel)(low.vectors),
        low.bound,
        newton.unsolved,
    )


class _Around(NamedTuple):
    """Losses and gradients at and around θ, and what the gradients on both sides say of
    θ.

    Attributes:
        losses: at θ, and at points that differ from it in the last digits.
        gradient: at θ.
        length: of the step.
        jump: ‖∇L(θ+d) - ∇L(θ-d) - 2Hd‖, minus rounding.
        offset: ‖∇L(θ+d) + ∇L(θ-d) - 2∇L‖, minus rounding.
        persistence: as in `Certificate`.
        third: ‖∂³L‖ along the step, where the loss is smooth.
    """

    losses: jax.Array
    gradient: jax.Array
    length: Scalar
    jump: Scalar
    offset: Scalar
    persistence: Scalar
    third: Scalar


def _around(
    problem: FlatProblem, product: Product, point: jax.Array, length: jax.Array
) -> _Around:
    step = length * directions(1, point)[0]
    parts = jnp.asarray([1, -1, LONGER, -LONGER], point.dtype)
    loss, gradient = problem.both(point)
    scale = length_scale(tree.norm(point), point.dtype)
    nudged = jax.lax.map(lambda x: problem.both(x)[0], nudges(point, scale))
    image = product(step)

    def misfit(part: jax.Array) -> jax.Array:
        _, there = problem.both(point + part * step)
        return there - gradient - part * image

    right, left, far_right, far_left = jax.lax.map(misfit, parts)
    near = jnp.maximum(tree.norm(right), tree.norm(left))
    far = jnp.maximum(tree.norm(far_right), tree.norm(far_left))
    rounding = 16 * float(jnp.finfo(near.dtype).eps) * tree.norm(gradient)
    persistence = LONGER * near / _positive(far)
    size, sum_norm = tree.norm(step), tree.norm(right + left)
    return _Around(
        losses=jnp.concatenate([loss[None], nudged]),
        gradient=gradient,
        length=size,
        jump=jnp.maximum(tree.norm(right - left) - rounding, 0),
        offset=jnp.maximum(sum_norm - rounding, 0),
        persistence=persistence,
        third=jnp.where(persistence < 0.5, sum_norm / size**2, 0),
    )


class _Newton(NamedTuple):
    """-|H|⁺∇L, its length, ∇Lᵀ|H|⁺∇L / 2, and what of ∇L it does not solve."""

    step: jax.Array
    length: jax.Array
    fall: jax.Array
    unsolved: jax.Array


def _newton(
    product: Product,
    gradient: jax.Array,
    low: LowEnd,
    zero: Scalar,
    lengths: tuple[int, Scalar],
) -> _Newton:
    """The Newton step, turned round in the negative modes."""
    inner, largest = lengths
    found = flat_minres(product, -gradient, inner, EXACT, zero)
    down = jnp.where((low.values < -zero * largest)[:, None], low.vectors, 0)
    with jax.default_matmul_precision("highest"):
        step = found.x - 2 * (down @ found.x) @ down
    fall = 0.5 * jnp.abs(tree.vdot(gradient, step))
    unsolved = found.residual_norm / _positive(tree.norm(gradient))
    return _Newton(step, tree.norm(step), fall, unsolved)


def _silent(
    problem: FlatProblem,
    product: Product,
    point: jax.Array,
    around: _Around,
    spectrum: tuple[LowEnd, Scalar, Scalar],
) -> Scalar:
    """`flat_fall` where it decides something: flat directions, and none of negative
    curvature.
    """
    low, largest, within = spectrum
    flat = jnp.abs(low.values) <= within * largest
    at = FlatPoint(
        point, around.losses, around.gradient, low.vectors, flat, largest, within
    )
    decides = jnp.any(flat) & (low.values[0] >= -within * largest)
    return jax.lax.cond(
        decides,
        lambda: flat_fall(problem, product, at),
        lambda: jnp.zeros_like(largest),
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
