"""The ends of the spectrum in bounded memory, to a tolerance."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Bool, Float, Int

from jaxml import memory, tree
from jaxml.curvature.space import check_space
from jaxml.curvature.spectra.krylov import (
    another_direction,
    check_finite,
    projection,
    run_with,
)
from jaxml.types import Array, InputError, Matvec, Params

ROUNDING = 10
"""Multiples of eps ‖A‖ below which no residual is asked for."""


class Ends(NamedTuple):
    """The ends of a spectrum, as far as they were resolved.

    Attributes:
        values: `[lowest + highest]`, ascending: Ritz values θ.
        vectors: their unit vectors v, a pytree like the parameters with a leading axis.
        residuals: ‖A v - θ v‖₂, in the matrix's units: some eigenvalue of A lies no
            further than this from θ.
        products: how many were spent.
        converged: whether the tolerance was met within them.
    """

    values: Float[Array, " ends"]
    vectors: Params
    residuals: Float[Array, " ends"]
    products: Int[Array, ""]
    converged: Bool[Array, ""]


class Accuracy(NamedTuple):
    """Which residuals end a search, and how many products do.

    Attributes:
        relative: residual over ‖A‖.
        absolute: residual in the matrix's units; the larger of the two counts.
        products: at most.
    """

    relative: ArrayLike
    absolute: ArrayLike
    products: ArrayLike


def ends(
    matvec: Matvec,
    start: Params,
    *,
    lowest: int,
    highest: int,
    basis: int = 32,
    tolerance: ArrayLike = 1e-3,
    products: int = 1000,
) -> Ends:
    """The `lowest` lowest and the `highest` highest eigenvalues of a symmetric matrix.

    Thick-restart Lanczos: where the basis is full, the Ritz vectors next to the wanted
    ends are kept, and the Krylov space goes on from their common residual. Memory is
    `basis` vectors, and half of them once more at a restart, however many products it
    takes. Beside its product a step costs 8 p `basis` operations (full
    reorthogonalisation, twice) and the eigenvalues of a `basis` x `basis` matrix; a
    restart 2 p `basis`². Works inside `jit`; outside, the program of a
    `hessian_product` is kept.

    It stops where every wanted residual is at most `tolerance` ‖A‖, and not below
    rounding (10 eps ‖A‖), at `lowest + highest` products in a row; ‖A‖ is the largest
    Ritz value seen, which is never above it. A residual is that of the recurrence, |β
    sₖ|: what A does to a Ritz vector outside the basis, which full reorthogonalisation
    keeps equal to ‖Av - θv‖ up to rounding.

    What is certain, up to rounding: within r of each θ lies an eigenvalue; the i-th
    lowest eigenvalue is at most the i-th lowest θ, and likewise at the other end
    (Cauchy). What is not: that none was passed over. A start with almost nothing of an
    eigenvector hides it until the Krylov space has grown; the products in a row make
    that rare, a smaller tolerance rarer. No error of order r² / gap (Kato and Temple)
    is claimed, for the gap to the next eigenvalue is not known from products. An
    eigenvalue of multiplicity m shows once; further copies, which are true ones, only
    where rounding or an exhausted Krylov space lets them in.

    Args:
        matvec: a symmetric map.
        start: a vector, a pytree like the parameters: `tree.random_like(params, key)`,
            or `warm_start` of an earlier call. The products that follow a start near
            the answer are few, but it hides what it has no part of: start at random now
            and then.
        lowest: eigenvalues at the lower end; 0 for none.
        highest: likewise at the upper end.
        basis: vectors, more than `lowest + highest`; clipped to the number of
            parameters, where the result is exact. Four times the wanted ones or more
            need few restarts.
        tolerance: of residuals, relative to ‖A‖; may be traced.
        products: at most.

    Raises:
        InputError: no eigenvalue is wanted, or more than the basis has room for; there
            are fewer products than eigenvalues; the basis does not fit in memory; the
            parameters are empty, or not of one precision; outside `jit`, the products
            are not finite. Inside, the values are NaN then.

    Source: Wu and Simon 2000, SIAM J. Matrix Anal. Appl. 22, section 2; the bound,
    Parlett 1998, The Symmetric Eigenvalue Problem, theorems 4.5.1 and 10.1.1.

    >>> product = lambda v: jnp.arange(4.0) * v
    >>> found = ends(product, jnp.ones(4), lowest=1, highest=1)
    >>> bool(jnp.allclose(found.values, jnp.array([0.0, 3.0]), atol=1e-5))
    True
    """
    accuracy = Accuracy(tolerance, 0.0, products)
    if products < lowest + highest:
        raise InputError(
            f"{products} products do not show {lowest + highest} eigenvalues: allow "
            "more."
        )
    return search_ends(matvec, start, (lowest, highest), basis, accuracy)


def warm_start(found: Ends) -> Params:
    """Σᵢ vᵢ: the start that has an equal part of each vector found, and of no other.

    While A moves little from call to call, as in training, the Krylov space of this sum
    meets the ends of the next A after about as many products as there are vectors.

    >>> found = ends(lambda v: v, jnp.ones(1), lowest=1, highest=0)
    >>> warm_start(found).tolist() == found.vectors[0].tolist()
    True
    """
    return jax.tree.map(lambda leaf: jnp.sum(leaf, 0), found.vectors)


def search_ends(
    matvec: Matvec,
    start: Params,
    wanted: tuple[int, int],
    basis: int,
    accuracy: Accuracy,
) -> Ends:
    """`ends`, of `(lowest, highest)`, to an accuracy in either unit.

    Raises:
        InputError: as `ends`.
    """
    dtype, size = check_space(start), tree.size(start)
    basis, count = min(basis, size), sum(wanted)
    if min(wanted) < 0 or not 1 <= count <= size:
        raise InputError(
            f"{wanted[0]} lowest and {wanted[1]} highest of {size} eigenvalues cannot "
            f"be found: ask for 1 to {size}, none of the two below 0."
        )
    if basis < min(count + 1, size):
        raise InputError(
            f"A basis of {basis} vectors has no room for {count} eigenvalues: take "
            f"{count + 1} or more."
        )
    memory.require(
        (basis + sum(_kept(wanted, basis)) + count + 5) * size * dtype.itemsize,
        f"A basis of {basis} vectors",
        "lower basis",
    )
    limits = Accuracy(
        jnp.asarray(accuracy.relative, dtype),
        jnp.asarray(accuracy.absolute, dtype),
        jnp.asarray(accuracy.products, jnp.int32),
    )
    found = run_with(_ends, matvec, (wanted, basis), start, limits)
    check_finite(found.values)
    return found


def _kept(wanted: tuple[int, int], basis: int) -> tuple[int, int]:
    """How many Ritz vectors a restart keeps at either end: those wanted, and half of
    the rest of the basis in the proportion of these.
    """
    lowest, highest = wanted
    more = (basis - lowest - highest) // 2
    below = more * lowest // (lowest + highest)
    return lowest + below, highest + more - below


class _State(NamedTuple):
    """A Qᵀ = Qᵀ H + r eₖᵀ, and how far the search is.

    Attributes:
        basis: Q, `[basis, p]`; rows from the k-th on are zero.
        matrix: H, `[basis, basis]`, likewise.
        length: k.
        remainder: r, `[p]`.
        scale: the largest |θ| so far.
        products: spent.
        met: how many products in a row met the tolerance.
    """

    basis: jax.Array
    matrix: jax.Array
    length: jax.Array
    remainder: jax.Array
    scale: jax.Array
    products: jax.Array
    met: jax.Array


class _Ritz(NamedTuple):
    """The wanted pairs: values, coefficients in the basis `[basis, wanted]`, residuals,
    and the largest |θ| of all.
    """

    values: jax.Array
    rotation: jax.Array
    residuals: jax.Array
    largest: jax.Array


def _ends(
    matvec: Matvec,
    wanted: tuple[int, int],
    basis: int,
    start: Params,
    accuracy: Accuracy,
) -> Ends:
    vector, unravel = tree.ravel(start)
    count = sum(wanted)

    def image(direction: jax.Array) -> jax.Array:
        return tree.ravel(matvec(unravel(direction)))[0]

    def searching(state: _State) -> jax.Array:
        settled = (state.met >= count) | (state.length == vector.size)
        going = (state.products < accuracy.products) & jnp.isfinite(state.scale)
        return going & ~settled

    def step(state: _State) -> _State:
        grown = _grown(image, state)
        ritz = _wanted(grown, wanted)
        scale = jnp.maximum(grown.scale, ritz.largest)
        floor = jnp.asarray(ROUNDING * jnp.finfo(scale.dtype).eps, scale.dtype)
        relative = jnp.maximum(accuracy.relative, floor) * scale
        limit = jnp.maximum(accuracy.absolute, relative)
        small = jnp.all(ritz.residuals <= limit) & (grown.length >= count)
        met = jnp.where(small, state.met + 1, 0)
        return grown._replace(scale=scale, met=met)

    def cycle(state: _State) -> _State:
        full = state.length == basis
        begun = jax.lax.cond(full, lambda s: _restarted(s, wanted), lambda s: s, state)
        return jax.lax.while_loop(
            lambda s: searching(s) & (s.length < basis), step, begun
        )

    with jax.default_matmul_precision("highest"):
        last = jax.lax.while_loop(searching, cycle, _empty(vector, basis))
        ritz = _wanted(last, wanted)
        vectors = jax.vmap(unravel)(ritz.rotation.T @ last.basis)
    values = jnp.where(jnp.isfinite(last.scale), ritz.values, jnp.nan)
    settled = (last.met >= count) | (last.length == vector.size)
    return Ends(values, vectors, ritz.residuals, last.products, settled)


def _empty(vector: jax.Array, basis: int) -> _State:
    nothing, none = jnp.zeros((), vector.dtype), jnp.zeros((), jnp.int32)
    return _State(
        basis=jnp.zeros((basis, vector.size), vector.dtype),
        matrix=jnp.zeros((basis, basis), vector.dtype),
        length=none,
        remainder=vector,
        scale=nothing,
        products=none,
        met=none,
    )


def _grown(image: Any, state: _State) -> _State:
    """One vector more, by one product."""
    length = tree.norm(state.remainder)
    negligible = ROUNDING * float(jnp.finfo(length.dtype).eps)
    exhausted = length <= jnp.asarray(negligible, length.dtype) * state.scale
    direction = jax.lax.cond(
        exhausted,
        lambda: another_direction(state.basis, state.products),
        lambda: state.remainder / length,
    )
    basis = state.basis.at[state.length].set(direction)
    column, remainder = projection(image(direction), basis)
    matrix = state.matrix.at[state.length].set(column)
    return state._replace(
        basis=basis,
        matrix=matrix.at[:, state.length].set(column),
        length=state.length + 1,
        remainder=remainder,
        products=state.products + 1,
    )


def _wanted(state: _State, wanted: tuple[int, int]) -> _Ritz:
    """The Ritz pairs at the ends; rows without a vector stand above all of them."""
    lowest, highest = wanted
    numbers = jnp.arange(len(state.matrix), dtype=state.length.dtype)
    used = numbers < state.length
    norm = jnp.linalg.norm(state.matrix)
    above = jnp.where(norm > 0, 2 * norm, 1)
    padded = state.matrix + jnp.diag(jnp.where(used, 0, above))
    ritz, rotation = jnp.linalg.eigh(padded)
    upper = state.length - highest + numbers[:highest]
    chosen = jnp.concatenate([numbers[:lowest], upper])
    rotation = rotation[:, chosen]
    last = jnp.abs(rotation[state.length - 1])
    largest = jnp.max(jnp.where(used, jnp.abs(ritz), 0))
    residuals = tree.norm(state.remainder) * last
    return _Ritz(ritz[chosen], rotation, residuals, largest)


def _restarted(state: _State, wanted: tuple[int, int]) -> _State:
    """The Ritz vectors next to the wanted ends alone; their residuals are multiples of
    the remainder, which the next product enters into the matrix.
    """
    basis = len(state.matrix)
    below, above = _kept(wanted, basis)
    kept = jnp.r_[:below, basis - above : basis]
    ritz, rotation = jnp.linalg.eigh(state.matrix)
    empty = basis - below - above
    rows = rotation[:, kept].T @ state.basis
    return state._replace(
        basis=jnp.pad(rows, ((0, empty), (0, 0))),
        matrix=jnp.diag(jnp.pad(ritz[kept], (0, empty))),
        length=jnp.asarray(below + above, state.length.dtype),
    )
