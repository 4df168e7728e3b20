"""Symmetric systems from products alone: minimal residuals, and conjugate gradients
within a ball.
"""

from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
from jaxtyping import Bool, Float, Int

from jaxml import tree
from jaxml.curvature.lanczos import _run
from jaxml.curvature.space import check_space
from jaxml.types import InputError, Matvec, Params, Scalar

Vector: TypeAlias = Float[jax.Array, " p"]
Product: TypeAlias = Callable[[jax.Array], jax.Array]
"""A symmetric map of flat vectors."""


class Solution(NamedTuple):
    """Where the method of minimal residuals stopped.

    Attributes:
        x: the solution.
        residual: b - Ax, as the recurrence has it.
        residual_norm: ‖b - Ax‖, as the recurrence has it.
        norm: an estimate of ‖A‖ from below, by the columns of the tridiagonal matrix.
        curvature: the lowest rᵀAr / rᵀr over the residuals r: below 0, A has negative
            eigenvalues, and that r is a direction of negative curvature.
        iterations: products.
    """

    x: Params
    residual: Params
    residual_norm: Scalar
    norm: Scalar
    curvature: Scalar
    iterations: Int[jax.Array, ""]


def minres(
    matvec: Matvec,
    right: Params,
    *,
    iterations: int,
    tolerance: float = 0.0,
    kernel: float | None = None,
) -> Solution:
    """min ‖b - Ax‖ over span{b, Ab, A²b, …}, A symmetric, of any signature.

    One product an iteration, and the memory of eight vectors. It ends where the
    residual is at most `tolerance` times ‖b‖; where ‖Ar‖ is at most `kernel` times
    ‖A‖‖r‖, for what is left then lies in the kernel of A, and x is a solution of least
    squares; where the Krylov space is exhausted; or when the iterations are spent. A
    consistent system's x is that of least norm, A⁺b. Without reorthogonalisation, so
    that ill-conditioned systems take more iterations than their rank. Works inside
    `jit`; outside, the program of a `hessian_product` is kept.

    Args:
        matvec: a symmetric map.
        right: b, a pytree.
        iterations: at most.
        tolerance: of the residual, relative.
        kernel: by default √eps, which rounding may leave of ‖Ar‖.

    Raises:
        InputError: there is no iteration; b is empty, or not of one precision.

    Source: Paige and Saunders 1975, SIAM J. Numer. Anal. 12; the scalars ‖Ar‖ and rᵀAr,
    Liu and Roosta 2022, arXiv:2208.07095, algorithm 1 and lemma 2.

    >>> product = lambda v: jnp.array([2.0, -1.0]) * v
    >>> found = minres(product, jnp.array([2.0, 3.0]), iterations=2)
    >>> [round(float(x), 5) for x in found.x], bool(found.curvature < 0)
    ([1.0, -3.0], True)
    """
    dtype = check_space(right)
    _check_iterations(iterations)
    kernel = float(jnp.finfo(dtype).eps) ** 0.5 if kernel is None else kernel
    limits = jnp.asarray(tolerance, dtype), jnp.asarray(kernel, dtype)
    return _run(_minres_of, matvec, (), right, jnp.int32(iterations), limits)


def _minres_of(
    matvec: Matvec,
    right: Params,
    iterations: jax.Array,
    limits: tuple[Scalar, Scalar],
) -> Solution:
    flat, unravel = tree.ravel(right)
    found = flat_minres(flattened(matvec, unravel), flat, iterations, *limits)
    return found._replace(x=unravel(found.x), residual=unravel(found.residual))


class _Rotation(NamedTuple):
    """The last plane rotation, and what it left above the diagonal."""

    cosine: Scalar
    sine: Scalar
    above: Scalar
    far: Scalar


class _Minres(NamedTuple):
    """Lanczos vectors, search directions and the rotation of the last iteration."""

    vector: Vector
    last: Vector
    length: Scalar
    direction: Vector
    earlier: Vector
    rotation: _Rotation
    found: Solution
    ended: Bool[jax.Array, ""]


def flat_minres(
    product: Product, right: Vector, iterations: Any, tolerance: Any, kernel: Any
) -> Solution:
    """`minres` of flat vectors, the limits being traced."""
    zero, none = jnp.zeros((), right.dtype), jnp.zeros_like(right)
    least = jnp.asarray(kernel, right.dtype)
    size = tree.norm(right)
    unit = right / jnp.where(size > 0, size, 1)
    found = Solution(none, right, size, zero, jnp.inf + zero, jnp.int32(0))
    rotation = _Rotation(zero - 1, zero, zero, zero)
    start = _Minres(unit, none, zero, none, none, rotation, found, size == 0)

    def going(state: _Minres) -> jax.Array:
        return ~state.ended & (state.found.iterations < iterations)

    def iterate(state: _Minres) -> _Minres:
        return _minres_step(product, state, tolerance * size, least)

    with jax.default_matmul_precision("highest"):
        return jax.lax.while_loop(going, iterate, start).found


def _minres_step(
    product: Product, state: _Minres, enough: Scalar, kernel: Scalar
) -> _Minres:
    found, old = state.found, state.rotation
    image = product(state.vector) - state.length * state.last
    diagonal = tree.vdot(state.vector, image)
    image = image - diagonal * state.vector
    length = tree.norm(image)
    column = jnp.sqrt(state.length**2 + diagonal**2 + length**2)
    norm = jnp.maximum(found.norm, column)

    above = old.cosine * old.above + old.sine * diagonal
    corner = old.sine * old.above - old.cosine * diagonal
    beside = -old.cosine * length
    pivot = jnp.hypot(corner, length)
    stuck = jnp.hypot(corner, beside) <= kernel * norm  # ‖Ar‖ / ‖r‖ of the last r
    safe = jnp.where(pivot > 0, pivot, 1)
    cosine, sine = corner / safe, length / safe

    direction = state.vector - above * state.direction - old.far * state.earlier
    direction = direction / safe
    after = image / jnp.where(length > 0, length, 1)
    residual_norm = sine * found.residual_norm
    residual = sine**2 * found.residual - cosine * residual_norm * after
    solution = found.x + cosine * found.residual_norm * direction
    moved = tree.where(
        stuck,
        (found.x, found.residual, found.residual_norm),
        (solution, residual, residual_norm),
    )
    curvature = jnp.minimum(found.curvature, -old.cosine * corner)
    small = 10 * float(jnp.finfo(norm.dtype).eps)
    ended = stuck | (length <= small * norm) | (moved[-1] <= enough) | ~(norm < jnp.inf)
    return _Minres(
        vector=after,
        last=state.vector,
        length=length,
        direction=direction,
        earlier=state.direction,
        rotation=_Rotation(cosine, sine, beside, old.sine * length),
        found=Solution(*moved, norm, curvature, found.iterations + 1),
        ended=ended,
    )


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
    _check_iterations(iterations)
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


def flattened(matvec: Matvec, unravel: Callable[[jax.Array], Params]) -> Product:
    """The map of a pytree's flat vector."""

    def product(vector: jax.Array) -> jax.Array:
        return tree.ravel(matvec(unravel(vector)))[0]

    return product


def _check_iterations(iterations: int) -> None:
    if iterations < 1:
        raise InputError(f"{iterations} iterations solve nothing: take 1 or more.")
