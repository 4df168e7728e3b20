"""Symmetric systems from products alone, by minimal residuals."""

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

    >>> product = lambda v: v * jnp.array([2.0, -1.0])
    >>> solve = jax.jit(lambda right: minres(product, right, iterations=2))
    >>> found = solve(jnp.array([2.0, 3.0]))
    >>> [round(float(x), 5) for x in found.x], bool(found.curvature < 0)
    ([1.0, -3.0], True)
    """
    dtype = check_space(right)
    check_iterations(iterations)
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


class _Iterate(NamedTuple):
    """x, b - Ax, and its norm."""

    x: Vector
    residual: Vector
    norm: Scalar


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
        _Iterate(found.x, found.residual, found.residual_norm),
        _Iterate(solution, residual, residual_norm),
    )
    curvature = jnp.minimum(found.curvature, -old.cosine * corner)
    small = 10 * float(jnp.finfo(norm.dtype).eps)
    ended = (
        stuck | (length <= small * norm) | (moved.norm <= enough) | ~(norm < jnp.inf)
    )
    return _Minres(
        vector=after,
        last=state.vector,
        length=length,
        direction=direction,
        earlier=state.direction,
        rotation=_Rotation(cosine, sine, beside, old.sine * length),
        found=Solution(
            moved.x,
            moved.residual,
            moved.norm,
            norm,
            curvature,
            found.iterations + 1,
        ),
        ended=ended,
    )


def flattened(matvec: Matvec, unravel: Callable[[jax.Array], Params]) -> Product:
    """The map of a pytree's flat vector."""

    def product(vector: jax.Array) -> jax.Array:
        return tree.ravel(matvec(unravel(vector)))[0]

    return product


def check_iterations(iterations: int) -> None:
    """One iteration or more.

    Raises:
        InputError: there is none.
    """
    if iterations < 1:
        raise InputError(f"{iterations} iterations solve nothing: take 1 or more.")
