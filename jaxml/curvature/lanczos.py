"""The ends of the spectrum from products alone."""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.tree_util import Partial
from jaxtyping import Float

from jaxml import memory, tree
from jaxml.curvature.programs import run, traced
from jaxml.curvature.space import check_space
from jaxml.types import InputError, Key, Matvec, Params, Scalar


class Krylov(NamedTuple):
    """A Qᵀ = Qᵀ T + r eₖᵀ: a symmetric matrix seen from k orthonormal directions.

    Attributes:
        basis: Q, `[k, p]`; the rows are orthonormal, the first is the start's
            direction.
        tridiagonal: T = Q A Qᵀ, `[k, k]`.
        remainder: r, `[p]`, orthogonal to the rows of Q; zero where they span an
            invariant subspace.
    """

    basis: Float[jax.Array, "k p"]
    tridiagonal: Float[jax.Array, "k k"]
    remainder: Float[jax.Array, " p"]


class Extremes(NamedTuple):
    """Both ends of a spectrum.

    Attributes:
        values: `[2 count]`, ascending: the lowest `count`, then the highest.
        vectors: the unit eigenvectors, a pytree like the parameters with a leading axis
            `[2 count]`.
        residuals: ‖A v - λ v‖₂, `[2 count]`: some eigenvalue of A lies no further than
            this from λ.
    """

    values: Float[jax.Array, " ends"]
    vectors: Params
    residuals: Float[jax.Array, " ends"]


def lanczos(matvec: Matvec, start: Params, *, depth: int) -> Krylov:
    """An orthonormal basis Q of span{s, As, …, Aᵏ⁻¹s}, and A in it: A Qᵀ = Qᵀ T + r
    eₖᵀ, k = depth.

    `depth` products; reorthogonalisation is full and done twice, at 8 p depth²
    operations, so Q is orthonormal to rounding and T has no ghost copies of
    eigenvalues. Memory: Q. Works inside `jit`.

    Where the span is exhausted (it is invariant under A: few distinct eigenvalues, a
    low rank), the basis goes on in a random direction orthogonal to it, drawn from a
    fixed key, and T falls into blocks. The identity still holds, nothing is divided by
    zero, and the further copies that appear of an eigenvalue are true ones.
    `matfree.decomp.tridiag_sym` divides by the vanishing length there: it returns NaN,
    or eigenvalues outside the spectrum. That is why the recurrence is written here.

    Args:
        matvec: a symmetric map.
        start: s, a pytree.
        depth: k, from 1 to the number of parameters.

    Raises:
        InputError: the depth is outside this range, or the basis does not fit in
            memory.

    Source: Golub and Van Loan 2013, Matrix Computations, sections 10.1 and 10.3; Giraud
    et al. 2005, Numer. Math. 101 (two projections are enough).

    >>> product = lambda v: jnp.array([1.0, 2.0]) * v
    >>> krylov = lanczos(product, jnp.array([1.0, 0.0]), depth=2)
    >>> krylov.tridiagonal.tolist()
    [[1.0, 0.0], [0.0, 2.0]]
    """
    dtype, size = check_space(start), tree.size(start)
    if not 1 <= depth <= size:
        raise InputError(
            f"Depth {depth} does not fit {size} parameters: take 1 to {size}."
        )
    memory.require(
        krylov_bytes(size, depth, dtype),
        f"A Krylov basis of depth {depth}",
        "lower the depth",
    )
    return _run(_lanczos, matvec, (depth,), start)


def krylov_bytes(size: int, depth: int, dtype: Any) -> int:
    """Bytes of the basis and of the vectors beside it; a product's own working memory
    comes on top.
    """
    return (depth + 5) * size * jnp.dtype(dtype).itemsize


def _run(function: Any, matvec: Matvec, fixed: tuple[int, ...], *operands: Any) -> Any:
    """`function(matvec, *fixed, *operands)`, by a program that is kept where the map is
    a pytree.
    """
    if isinstance(matvec, Partial):
        residuals, structure = jax.tree.flatten(matvec)
        return run(_folded, (function, structure, fixed), residuals, operands)
    return function(matvec, *fixed, *operands)


def _folded(
    function: Any,
    structure: Any,
    fixed: tuple[int, ...],
    residuals: list[Any],
    operands: tuple[Any, ...],
) -> Any:
    """The function of the map whose structure is fixed and whose residuals are
    operands.
    """
    return function(jax.tree.unflatten(structure, residuals), *fixed, *operands)


def _lanczos(matvec: Matvec, depth: int, start: Params) -> Krylov:
    vector, unravel = tree.ravel(start)
    negligible = jnp.asarray(10 * jnp.finfo(vector.dtype).eps, vector.dtype)

    def step(k: jax.Array, carry: tuple[jax.Array, ...]) -> tuple[jax.Array, ...]:
        basis, diagonal, offdiagonal, remainder, scale = carry
        length = tree.norm(remainder)
        exhausted = length <= negligible * scale
        direction = jax.lax.cond(
            exhausted, lambda: _fresh(basis, k), lambda: remainder / length
        )
        image, _ = tree.ravel(matvec(unravel(direction)))
        basis = basis.at[k].set(direction)
        diagonal = diagonal.at[k].set(tree.vdot(direction, image))
        offdiagonal = offdiagonal.at[k].set(length)
        scale = jnp.maximum(scale, tree.norm(image))
        return basis, diagonal, offdiagonal, _orthogonal(image, basis), scale

    line = jnp.zeros(depth, vector.dtype)
    empty = (
        jnp.zeros((depth, vector.size), vector.dtype),
        line,
        line,
        vector,
        jnp.zeros((), vector.dtype),
    )
    with jax.default_matmul_precision("highest"):
        basis, diagonal, offdiagonal, remainder, _ = jax.lax.fori_loop(
            0, depth, step, empty
        )
    beside = jnp.diag(offdiagonal[1:], 1)
    return Krylov(basis, jnp.diag(diagonal) + beside + beside.T, remainder)


def extremes(
    matvec: Matvec, params: Params, *, count: int, depth: int = 100, key: Key
) -> Extremes:
    """The lowest `count` and the highest `count` eigenvalues of a symmetric matrix, and
    their vectors.

    The Ritz pairs of `lanczos` from a random start: `depth` products, and 2 `count`
    more, by which each residual is measured and not estimated. Memory: `depth` vectors
    of parameters. Works inside `jit`; outside, the program of a `hessian_product` is
    kept, so that only the first call compiles.

    The ends converge first, and the better they are separated the sooner: raise the
    depth until the residuals are small against the gaps that matter. An eigenvalue of
    multiplicity m shows once, unless the depth exhausts the Krylov space; then up to m
    times.

    Args:
        matvec: a symmetric map.
        params: the space it acts on; only shapes and dtype are read.
        count: eigenvalues at each end; at most half the depth and half the number of
            parameters.
        depth: of the Krylov space; clipped to the number of parameters, where the
            result is exact.
        key: of the start.

    Raises:
        InputError: `count` is too large; the basis does not fit in memory; the
            parameters are empty, or not of one precision; outside `jit`, the products
            are not finite. Inside, the result is NaN then.

    Source: Golub and Van Loan 2013, Matrix Computations, sections 8.1 and 10.1.

    >>> product = lambda v: jnp.arange(4.0) * v
    >>> ends = extremes(product, jnp.ones(4), count=1, key=jax.random.key(0))
    >>> bool(jnp.allclose(ends.values, jnp.array([0.0, 3.0]), atol=1e-5))
    True
    """
    dtype, size = check_space(params), tree.size(params)
    depth = min(depth, size)
    if not 1 <= count <= depth // 2:
        raise InputError(
            f"{count} eigenvalues at each end do not fit in a depth of {depth} (at "
            "most the number of parameters): lower count, raise depth, or take "
            "`dense` and `eigenvalues`."
        )
    needed = krylov_bytes(size, depth + 4 * count, dtype)
    memory.require(needed, f"A Krylov basis of depth {depth}", "lower the depth")
    found = _run(_extremes, matvec, (count, depth), params, key)
    if not traced(found) and not bool(jnp.all(jnp.isfinite(found.values))):
        raise InputError(
            "The products of this map are not finite: leave out networks that "
            "diverged, and points at which the loss has no second derivative (a norm "
            "or a square root at 0)."
        )
    return found


def _extremes(
    matvec: Matvec, count: int, depth: int, params: Params, key: Key
) -> Extremes:
    krylov = _lanczos(matvec, depth, tree.random_like(params, key))
    _, unravel = tree.ravel(params)
    ritz, rotation = jnp.linalg.eigh(krylov.tridiagonal)
    ends = jnp.r_[:count, depth - count : depth]
    values = ritz[ends]
    with jax.default_matmul_precision("highest"):
        vectors = jax.vmap(unravel)(rotation[:, ends].T @ krylov.basis)
        residuals = jax.lax.map(partial(_residual, matvec), (values, vectors))
    return Extremes(values, vectors, residuals)


def _residual(matvec: Matvec, pair: tuple[Scalar, Params]) -> Scalar:
    value, vector = pair
    return tree.norm(tree.axpy(-value, vector, matvec(vector)))


def _fresh(basis: jax.Array, k: jax.Array) -> jax.Array:
    """A random unit vector orthogonal to the rows of the basis."""
    key = jax.random.fold_in(jax.random.key(0), k)
    draw = jax.random.uniform(key, basis.shape[1:], jnp.float32, minval=-1, maxval=1)
    vector = _orthogonal(draw.astype(basis.dtype), basis)
    return vector / tree.norm(vector)


def _orthogonal(vector: jax.Array, basis: jax.Array) -> jax.Array:
    """The part of a vector orthogonal to the rows of the basis, projected twice against
    rounding.
    """
    for _ in range(2):
        vector = vector - (basis @ vector) @ basis
    return vector
