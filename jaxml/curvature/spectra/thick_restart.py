"""Thick-restart Lanczos: the search itself, as one program."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Bool, Float, Int

from jaxml import tree
from jaxml.curvature.spectra.krylov import (
    EXHAUSTED,
    another_direction,
    eps_of,
    projection,
)
from jaxml.types import Array, Matvec, Params

ROUNDING = 32
"""Multiples of eps ‖A‖ that rounding leaves of a residual: products with the Hessian of
a network of 105,744 parameters in float32 left 10 to 25.
"""


class Ends(NamedTuple):
    """The ends of a spectrum, as far as they were resolved.

    Attributes:
        values: `[lowest + highest]`, ascending: Ritz values θ.
        vectors: their unit vectors v, a pytree like the parameters with a leading axis.
        residuals: ‖A v - θ v‖₂ and what rounding may add, in the matrix's units: some
            eigenvalue of A lies no further than this from θ.
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


def kept(wanted: tuple[int, int], basis: int) -> tuple[int, int]:
    """How many Ritz vectors a restart keeps at either end: those wanted, and half of
    the rest of the basis in the proportion of these.
    """
    lowest, highest = wanted
    more = (basis - lowest - highest) // 2
    below = more * lowest // (lowest + highest)
    return lowest + below, highest + more - below


def thick_restart(
    matvec: Matvec,
    wanted: tuple[int, int],
    basis: int,
    start: Params,
    accuracy: Accuracy,
) -> Ends:
    """The search from a start, `wanted` being (lowest, highest).

    Source: Wu and Simon 2000, SIAM J. Matrix Anal. Appl. 22, section 2.
    """
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
        limit = jnp.maximum(accuracy.relative * scale, eps_of(scale, ROUNDING))
        limit = jnp.maximum(limit, accuracy.absolute)
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
    residuals = ritz.residuals + eps_of(last.scale, ROUNDING)
    return Ends(values, vectors, residuals, last.products, settled)


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
    exhausted = length <= eps_of(state.scale, EXHAUSTED)
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
    below, above = kept(wanted, basis)
    chosen = jnp.r_[:below, basis - above : basis]
    ritz, rotation = jnp.linalg.eigh(state.matrix)
    empty = basis - below - above
    rows = rotation[:, chosen].T @ state.basis
    return state._replace(
        basis=jnp.pad(rows, ((0, empty), (0, 0))),
        matrix=jnp.diag(jnp.pad(ritz[chosen], (0, empty))),
        length=jnp.asarray(below + above, state.length.dtype),
    )
