"""Conjugate gradients within a ball, on symmetric maps of any signature."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Bool, Int

from jaxml import tree
from jaxml.curvature.lanczos import _run
from jaxml.curvature.points.krylov import Product, Vector, check_iterations, flattened
from jaxml.curvature.space import check_space
from jaxml.types import InputError, Matvec, Params, Scalar


class Step(NamedTuple):
    """Where truncated conjugate gradients stopped.

    Attributes:
        step: the step.
        residual_norm: of the model's gradient there, as the recurrence has it.
        truncated: whether it ends on the ball: the next iterate lay outside, or the
            curvature was negative.
        iterations: products.
    """

    step: Params
    residual_norm: Scalar
    truncated: Bool[jax.Array, ""]
    iterations: Int[jax.Array, ""]


def truncated_cg(
    matvec: Matvec,
    gradient: Params,
    *,
    radius: float,
    iterations: int,
    tolerance: float = 0.0,
    kernel: float | None = None,
) -> Step:
    """A step s, ‖s‖ ≤ radius, that lowers gᵀs + sᵀAs / 2 in a Krylov space.

    Conjugate gradients from 0 until the model's gradient is at most `tolerance` times
    ‖g‖. Where the next iterate lies outside the ball, or the search direction p has
    pᵀAp < 0, the step goes along p to the ball. Curvature within `kernel` times ‖A‖ of
    0 counts as that, and is the last that is followed: rounding moves nothing along
    flat directions. One product an iteration, and the memory of five vectors. Works
    inside `jit`; outside, the program of a `hessian_product` is kept.

    Args:
        matvec: A, a symmetric map.
        gradient: g, a pytree.
        radius: of the ball.
        iterations: at most.
        tolerance: of the model's gradient, relative.
        kernel: by default 16 eps.

    Raises:
        InputError: there is no iteration; g is empty, or not of one precision; the
            radius is not positive.

    Source: Steihaug 1983, SIAM J. Numer. Anal. 20, section 2.

    >>> bowl, ridge = jnp.array([2.0, 4.0]), jnp.array([1.0, -1.0])
    >>> slope = jnp.array([2.0, 4.0])
    >>> inner = truncated_cg(lambda v: bowl * v, slope, radius=9.0, iterations=2)
    >>> [round(float(s), 5) for s in inner.step], bool(inner.truncated)
    ([-1.0, -1.0], False)
    >>> outer = truncated_cg(lambda v: ridge * v, slope, radius=9.0, iterations=2)
    >>> round(float(jnp.linalg.norm(outer.step)), 4), bool(outer.truncated)
    (9.0, True)
    """
    dtype = check_space(gradient)
    check_iterations(iterations)
    if not radius > 0:
        raise InputError(f"A ball of radius {radius} holds no step: give one above 0.")
    kernel = 16 * float(jnp.finfo(dtype).eps) if kernel is None else kernel
    numbers = (radius, tolerance, kernel)
    limits = tuple(jnp.asarray(number, dtype) for number in numbers)
    return _run(_cg_of, matvec, (), gradient, jnp.int32(iterations), limits)


def _cg_of(
    matvec: Matvec,
    gradient: Params,
    iterations: jax.Array,
    limits: tuple[Scalar, ...],
) -> Step:
    flat, unravel = tree.ravel(gradient)
    found = flat_cg(flattened(matvec, unravel), flat, iterations, *limits)
    return found._replace(step=unravel(found.step))


class _Cg(NamedTuple):
    """Residual, search direction, the square of the residual's norm, and the scale of
    A.
    """

    residual: Vector
    direction: Vector
    square: Scalar
    scale: Scalar
    found: Step
    ended: Bool[jax.Array, ""]


def flat_cg(
    product: Product,
    gradient: Vector,
    iterations: Any,
    radius: Any,
    tolerance: Any,
    kernel: Any,
) -> Step:
    """`truncated_cg` of flat vectors, the limits being traced."""
    square = tree.vdot(gradient, gradient)
    size, least = jnp.sqrt(square), jnp.asarray(kernel, square.dtype)
    found = Step(jnp.zeros_like(gradient), size, jnp.bool_(False), jnp.int32(0))
    scale = jnp.zeros_like(size)
    start = _Cg(-gradient, -gradient, square, scale, found, ~(size > 0))

    def going(state: _Cg) -> jax.Array:
        return ~state.ended & (state.found.iterations < iterations)

    def iterate(state: _Cg) -> _Cg:
        return _cg_step(product, state, radius, tolerance * size, least)

    with jax.default_matmul_precision("highest"):
        return jax.lax.while_loop(going, iterate, start).found


def _cg_step(
    product: Product, state: _Cg, radius: Scalar, enough: Scalar, kernel: Scalar
) -> _Cg:
    found, direction = state.found, state.direction
    image = product(direction)
    length = tree.vdot(direction, direction)
    bend = tree.vdot(direction, image)
    scale = jnp.maximum(state.scale, tree.norm(image) / jnp.sqrt(length))
    least = kernel * scale * length
    flat, negative = jnp.abs(bend) <= least, bend < -least
    tiny = float(jnp.finfo(scale.dtype).tiny)
    amount = state.square / jnp.maximum(jnp.maximum(bend, least), tiny)
    step = found.step + amount * direction
    outside = negative | ~(tree.norm(step) < radius)
    edge = found.step + _to_the_ball(found.step, direction, radius) * direction
    residual = state.residual - amount * image
    square = tree.vdot(residual, residual)
    norm = jnp.sqrt(square)
    ahead = residual + square / state.square * direction
    ended = outside | flat | (norm <= enough) | ~(norm < jnp.inf)
    return _Cg(
        residual=residual,
        direction=ahead,
        square=square,
        scale=scale,
        found=Step(
            jnp.where(outside, edge, step),
            jnp.where(outside, found.residual_norm, norm),
            outside,
            found.iterations + 1,
        ),
        ended=ended,
    )


def _to_the_ball(step: Vector, direction: Vector, radius: Scalar) -> Scalar:
    """The positive root t of ‖s + t p‖ = radius."""
    square = tree.vdot(direction, direction)
    along = tree.vdot(step, direction)
    left = jnp.maximum(radius**2 - tree.vdot(step, step), 0)
    return left / (along + jnp.sqrt(along**2 + square * left))
