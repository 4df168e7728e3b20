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
        grown = _resolved(_grown(image, state))
        small = jnp.all(_residuals(grown, wanted) <= _limit(grown.scale, accuracy))
        met = jnp.where(small & (grown.length >= count), state.met + 1, 0)
        return grown._replace(met=met)

    def cycle(state: _State) -> _State:
        full = state.length == basis
        begun = jax.lax.cond(full, lambda s: _restarted(s, wanted), lambda s: s, state)
        return jax.lax.while_loop(
            lambda s: searching(s) & (s.length < basis), step, begun
        )

    with jax.default_matmul_precision("highest"):
        last = jax.lax.while_loop(searching, cycle, _empty(vector, basis))
        chosen = _chosen(last, wanted)
        vectors = jax.vmap(unravel)(last.rotation[:, chosen].T @ last.basis)
    values = jnp.where(jnp.isfinite(last.scale), last.values[chosen], jnp.nan)
    settled = (last.met >= count) | (last.length == vector.size)
    residuals = _residuals(last, wanted) + eps_of(last.scale, ROUNDING)
    return Ends(values, vectors, residuals, last.products, settled)


def _limit(scale: jax.Array, accuracy: Accuracy) -> jax.Array:
    """The residual that is small enough, at this ‖A‖."""
    relative = jnp.maximum(accuracy.relative * scale, eps_of(scale, ROUNDING))
    return jnp.maximum(relative, accuracy.absolute)


class _State(NamedTuple):
    """A Qᵀ = Qᵀ H + r eₖᵀ, and how far the search is.

    Attributes:
        basis: Q, `[basis, p]`; rows from the k-th on are zero.
        matrix: H, `[basis, basis]`, likewise.
        length: k.
        remainder: r, `[p]`.
        values: of H, ascending, `[basis]`; from the k-th on numbers above them.
        rotation: their vectors in columns, `[basis, basis]`.
        scale: the largest |θ| so far.
        products: spent.
        met: how many products in a row met the tolerance.
    """

    basis: jax.Array
    matrix: jax.Array
    length: jax.Array
    remainder: jax.Array
    values: jax.Array
    rotation: jax.Array
    scale: jax.Array
    products: jax.Array
    met: jax.Array


def _empty(vector: jax.Array, basis: int) -> _State:
    none, square = jnp.zeros((), jnp.int32), jnp.zeros((basis, basis), vector.dtype)
    return _State(
        basis=jnp.zeros((basis, vector.size), vector.dtype),
        matrix=square,
        length=none,
        remainder=vector,
        values=square[0],
        rotation=square,
        scale=square[0, 0],
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


def _resolved(state: _State) -> _State:
    """The Ritz values and their vectors."""
    numbers = jnp.arange(len(state.matrix), dtype=state.length.dtype)
    used = numbers < state.length
    norm = jnp.linalg.norm(state.matrix)
    above = jnp.where(norm > 0, 2 * norm, 1)
    padded = state.matrix + jnp.diag(jnp.where(used, 0, above))
    values, rotation = jnp.linalg.eigh(padded)
    largest = jnp.max(jnp.where(used, jnp.abs(values), 0))
    scale = jnp.maximum(state.scale, largest)
    return state._replace(values=values, rotation=rotation, scale=scale)


def _chosen(state: _State, wanted: tuple[int, int]) -> jax.Array:
    """The numbers of the wanted Ritz values."""
    lowest, highest = wanted
    numbers = jnp.arange(max(wanted), dtype=state.length.dtype)
    upper = state.length - highest + numbers[:highest]
    return jnp.concatenate([numbers[:lowest], upper])


def _residuals(state: _State, wanted: tuple[int, int]) -> jax.Array:
    """|β sₖ| of the wanted pairs."""
    last = state.rotation[state.length - 1, _chosen(state, wanted)]
    return tree.norm(state.remainder) * jnp.abs(last)


def _restarted(state: _State, wanted: tuple[int, int]) -> _State:
    """The Ritz vectors next to the wanted ends alone; their residuals are multiples of
    the remainder, which the next product enters into the matrix.
    """
    basis = len(state.matrix)
    below, above = kept(wanted, basis)
    chosen = jnp.r_[:below, basis - above : basis]
    empty = basis - below - above
    rows = state.rotation[:, chosen].T @ state.basis
    return state._replace(
        basis=jnp.pad(rows, ((0, empty), (0, 0))),
        matrix=jnp.diag(jnp.pad(state.values[chosen], (0, empty))),
        length=jnp.asarray(below + above, state.length.dtype),
    )
