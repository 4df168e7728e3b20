"""The ends of the spectrum from products alone."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Float

from jaxml import memory, tree
from jaxml.types import InputError, Key, Matvec, Params, Scalar


class Krylov(NamedTuple):
    """A Qᵀ = Qᵀ T + r eₖᵀ: a symmetric matrix seen from k orthonormal directions.

    Attributes:
        basis: Q, `[k, p]`; the rows are orthonormal, the first is the start's direction.
        tridiagonal: T = Q A Qᵀ, `[k, k]`.
        remainder: r, `[p]`, orthogonal to the rows of Q; zero where they span an invariant subspace.
    """

    basis: Float[jax.Array, "k p"]
    tridiagonal: Float[jax.Array, "k k"]
    remainder: Float[jax.Array, " p"]


class Extremes(NamedTuple):
    """Both ends of a spectrum.

    Attributes:
        values: `[2 count]`, ascending: the lowest `count`, then the highest.
        vectors: the unit eigenvectors, a pytree like the parameters with a leading axis `[2 count]`.
        residuals: ‖A v - λ v‖₂, `[2 count]`: some eigenvalue of A lies no further than this from λ.
    """

    values: Float[jax.Array, " ends"]
    vectors: Params
    residuals: Float[jax.Array, " ends"]


def lanczos(matvec: Matvec, start: Params, *, depth: int) -> Krylov:
    """An orthonormal basis Q of span{s, As, …, Aᵏ⁻¹s}, and A in it: A Qᵀ = Qᵀ T + r eₖᵀ, k = depth.

    `depth` products; reorthogonalisation is full and done twice, at 8 p depth² operations, so Q is
    orthonormal to rounding and T has no ghost copies of eigenvalues. Memory: Q. Works inside `jit`.

    Where the span is exhausted (it is invariant under A: few distinct eigenvalues, a low rank), the
    basis goes on in a random direction orthogonal to it, drawn from a fixed key, and T falls into
    blocks. The identity still holds, nothing is divided by zero, and the further copies that appear of
    an eigenvalue are true ones. `matfree.decomp.tridiag_sym` divides by the vanishing length there: it
    returns NaN, or eigenvalues outside the spectrum. That is why the recurrence is written here.

    Args:
        matvec: a symmetric map.
        start: s, a pytree.
        depth: k, from 1 to the number of parameters.

    Raises:
        InputError: the depth is outside this range, or the basis does not fit in memory.

    Source: Golub and Van Loan 2013, Matrix Computations, sections 10.1 and 10.3; Giraud et al. 2005,
    Numer. Math. 101 (two projections are enough).

    >>> krylov = lanczos(lambda v: jnp.array([1.0, 2.0]) * v, jnp.array([1.0, 0.0]), depth=2)
    >>> krylov.tridiagonal.tolist()
    [[1.0, 0.0], [0.0, 2.0]]
    """
    vector, unravel = tree.ravel(start)
    if not 1 <= depth <= vector.size:
        raise InputError(f"Depth {depth} does not fit {vector.size} parameters: take 1 to {vector.size}.")
    memory.require((depth + 4) * vector.nbytes, f"A Krylov basis of depth {depth}", "lower the depth")
    negligible = jnp.asarray(10 * jnp.finfo(vector.dtype).eps, vector.dtype)

    def step(k: jax.Array, carry: tuple[jax.Array, ...]) -> tuple[jax.Array, ...]:
        basis, diagonal, offdiagonal, remainder, scale = carry
        length = tree.norm(remainder)
        exhausted = length <= negligible * scale
        direction = jax.lax.cond(exhausted, lambda: _fresh(basis, k), lambda: remainder / length)
        image, _ = tree.ravel(matvec(unravel(direction)))
        basis = basis.at[k].set(direction)
        diagonal = diagonal.at[k].set(tree.vdot(direction, image))
        offdiagonal = offdiagonal.at[k].set(length)
        scale = jnp.maximum(scale, tree.norm(image))
        return basis, diagonal, offdiagonal, _orthogonal(image, basis), scale

    line = jnp.zeros(depth, vector.dtype)
    empty = (jnp.zeros((depth, vector.size), vector.dtype), line, line, vector, jnp.zeros((), vector.dtype))
    with jax.default_matmul_precision("highest"):
        basis, diagonal, offdiagonal, remainder, _ = jax.lax.fori_loop(0, depth, step, empty)
    beside = jnp.diag(offdiagonal[1:], 1)
    return Krylov(basis, jnp.diag(diagonal) + beside + beside.T, remainder)


def extremes(matvec: Matvec, params: Params, *, count: int, depth: int = 100, key: Key) -> Extremes:
    """The lowest `count` and the highest `count` eigenvalues of a symmetric matrix, and their vectors.

    The Ritz pairs of `lanczos` from a random start: `depth` products, and 2 `count` more, by which each
    residual is measured and not estimated. Memory: `depth` vectors of parameters. Works inside `jit`.

    The ends converge first, and the better they are separated the sooner: raise the depth until the
    residuals are small against the gaps that matter. An eigenvalue of multiplicity m shows once, unless
    the depth exhausts the Krylov space; then up to m times.

    Args:
        matvec: a symmetric map.
        params: the space it acts on; only shapes and dtype are read.
        count: eigenvalues at each end; at most half the depth and half the number of parameters.
        depth: of the Krylov space; clipped to the number of parameters, where the result is exact.
        key: of the start.

    Raises:
        InputError: `count` is too large, or the basis does not fit in memory.

    Source: Golub and Van Loan 2013, Matrix Computations, sections 8.1 and 10.1.

    >>> ends = extremes(lambda v: jnp.arange(4.0) * v, jnp.ones(4), count=1, key=jax.random.key(0))
    >>> bool(jnp.allclose(ends.values, jnp.array([0.0, 3.0]), atol=1e-5))
    True
    """
    depth = min(depth, tree.size(params))
    if not 1 <= count <= depth // 2:
        raise InputError(
            f"{count} eigenvalues at each end do not fit in a depth of {depth} (at most the number of "
            "parameters): lower count, raise depth, or take `dense` and `eigenvalues`."
        )
    krylov = lanczos(matvec, tree.random_like(params, key), depth=depth)
    _, unravel = tree.ravel(params)
    ritz, rotation = jnp.linalg.eigh(krylov.tridiagonal)
    ends = jnp.r_[:count, depth - count : depth]
    values = ritz[ends]
    with jax.default_matmul_precision("highest"):
        vectors = jax.vmap(unravel)(rotation[:, ends].T @ krylov.basis)
        residuals = jax.lax.map(lambda pair: _residual(matvec, *pair), (values, vectors))
    return Extremes(values, vectors, residuals)


def _residual(matvec: Matvec, value: Scalar, vector: Params) -> Scalar:
    return tree.norm(tree.axpy(-value, vector, matvec(vector)))


def _fresh(basis: jax.Array, k: jax.Array) -> jax.Array:
    """A random unit vector orthogonal to the rows of the basis."""
    key = jax.random.fold_in(jax.random.key(0), k)
    draw = jax.random.uniform(key, basis.shape[1:], jnp.float32, minval=-1, maxval=1)
    vector = _orthogonal(draw.astype(basis.dtype), basis)
    return vector / tree.norm(vector)


def _orthogonal(vector: jax.Array, basis: jax.Array) -> jax.Array:
    """The part of a vector orthogonal to the rows of the basis, projected twice against rounding."""
    for _ in range(2):
        vector = vector - (basis @ vector) @ basis
    return vector
