"""The top of a spectrum from a few products, from where the last call ended."""

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
from jaxtyping import Float

from jaxml import tree
from jaxml.curvature.space import check_space
from jaxml.types import InputError, Params

FlatMap: TypeAlias = Callable[[jax.Array], jax.Array]
"""A linear map of vectors `[p]`."""


class RitzPairs(NamedTuple):
    """Approximate eigenpairs of Z H, the highest eigenvalue first.

    Attributes:
        values: λ, `[count]`; none is above the eigenvalue of its place, and 0 where Z
            vanishes.
        covectors: x, `[count, p]`, with ⟨xᵢ, Z xⱼ⟩ = δᵢⱼ: the start of the next call.
        vectors: Z x, `[count, p]`, the eigenvectors; unit vectors where Z = 1.
        residuals: ‖H Z x - λ x‖ in the metric Z, `[count]`: some eigenvalue of Z H lies
            no further than this from λ.
    """

    values: Float[jax.Array, " count"]
    covectors: Float[jax.Array, "count p"]
    vectors: Float[jax.Array, "count p"]
    residuals: Float[jax.Array, " count"]


class _Space(NamedTuple):
    """A Krylov space so far: rows S with S Z Sᵀ = 1, Z S and H Z S; 0 where dropped,
    as their lengths are, which are 1 elsewhere.

    Where Z = 1 there is no Z S beside S: moving vectors is what a step costs.
    """

    basis: jax.Array
    images: jax.Array
    scaled: jax.Array | None
    lengths: jax.Array


def _scaled(space: _Space) -> jax.Array:
    return space.basis if space.scaled is None else space.scaled


def ritz_pairs(
    matvec: FlatMap,
    metric: FlatMap | None,
    start: Float[jax.Array, "count p"],
    depth: int,
) -> RitzPairs:
    """The Ritz pairs of Z H over span{X, H Z X, …, (H Z)ᵈ⁻¹ X}, X the rows of `start`.

    H Z is symmetric in the inner product ⟨x, Z y⟩, so neither a root of Z nor its
    inverse is needed. Block Lanczos of `count` rows, reorthogonalised against all rows
    twice: `count` · depth products with H, one after another, and with Z, and `count`
    more with Z; memory: 3 `count` depth vectors, 2 where Z = 1. A direction that the
    space holds already is dropped, so a space that is exhausted is exact. Images are
    kept, so the residual is measured at no further product, to rounding.

    Args:
        matvec: H, symmetric.
        metric: Z, symmetric and positive semi-definite; None is Z = 1.
        start: linearly independent rows.
        depth: d; clipped so that there are at most p rows.

    Source: Golub and Underwood 1977, Mathematical Software III, for blocks; Parlett
        1998, The Symmetric Eigenvalue Problem, chapter 15, for the metric.
    """
    count, size = start.shape
    rows = min(count * depth, size)

    def extend(row: jax.Array, space: _Space) -> _Space:
        parent = jnp.maximum(row - count, 0)
        earlier = space.images[parent]
        place = jnp.minimum(row, count - 1)
        given = start[place]
        candidate = jnp.where(row < count, given, earlier)
        direction, scaled, length = _orthonormal(candidate, space, metric)
        kept = None if metric is None else scaled
        added = _Space(direction, matvec(scaled), kept, length)

        def with_row(rows: jax.Array, new: jax.Array) -> jax.Array:
            return rows.at[row].set(new)

        return jax.tree.map(with_row, space, added)

    empty = jnp.zeros((rows, size), start.dtype)
    scaled = None if metric is None else empty
    lengths = jnp.zeros(rows, start.dtype)
    nothing = _Space(empty, empty, scaled, lengths)
    with jax.default_matmul_precision("highest"):
        space = jax.lax.fori_loop(0, rows, extend, nothing)
        return _pairs(space, metric, count)


def _orthonormal(
    candidate: jax.Array, space: _Space, metric: FlatMap | None
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """The part of a candidate that is new to the space, of length 1, Z times it, and
    its length; zeros where nothing is new.
    """
    known = _scaled(space) @ candidate
    rest = candidate - known @ space.basis
    again = _scaled(space) @ rest
    rest = rest - again @ space.basis
    scaled = rest if metric is None else metric(rest)
    measured = jnp.vdot(rest, scaled)
    square = jnp.maximum(measured, 0)
    rounding = 10 * jnp.finfo(candidate.dtype).eps
    whole = jnp.vdot(known, known) + square
    dropped = square <= rounding**2 * whole
    divisor = jnp.where(dropped, 1, square)
    length = jnp.sqrt(divisor)
    inverse = jnp.where(dropped, 0, 1 / length)
    return inverse * rest, inverse * scaled, inverse * length


def _pairs(space: _Space, metric: FlatMap | None, count: int) -> RitzPairs:
    values, rotation, held = _eigenpairs(space)
    found = jnp.arange(count) < held
    highest = values[:count]
    values = jnp.where(found, highest, 0)
    rows = rotation[:count]
    weights = jnp.where(found[:, None], rows, 0)
    covectors = weights @ space.basis
    images = weights @ space.images
    apart = images - values[:, None] * covectors
    measured = apart if metric is None else jax.lax.map(metric, apart)
    squares = jax.vmap(jnp.vdot)(apart, measured)
    return RitzPairs(
        values=values,
        covectors=covectors,
        vectors=covectors if metric is None else weights @ _scaled(space),
        residuals=jnp.sqrt(jnp.where(squares < 0, 0, squares)),
    )


def _eigenpairs(space: _Space) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Of H in the space, the highest first: eigenvalues, eigenvectors in rows, and how
    many rows the space holds; the eigenvalues of dropped rows come after all others.
    """
    projected = _scaled(space) @ space.images.T
    symmetric = (projected + projected.T) / 2
    held = space.lengths > 0.5
    beneath_all = 1 + 2 * tree.norm(symmetric)
    shift = jnp.where(held, 0, beneath_all)
    shifted = symmetric - jnp.diag(shift)
    values, columns = jnp.linalg.eigh(shifted)
    descending = jnp.flip(values)
    rows = jnp.flip(columns.T, axis=0)
    return descending, rows, jnp.sum(held)


def random_start(params: Params, count: int) -> Float[jax.Array, "count p"]:
    """Normal rows, the same for all runs: where the first call starts.

    Raises:
        InputError: the parameters are empty, or not of one precision, or fewer than
            `count`.
    """
    dtype = check_space(params)
    size = tree.size(params)
    if not 1 <= count <= size:
        raise InputError(
            f"{count} eigenvalues cannot be watched over {size} parameters: take 1 to "
            f"{size}."
        )
    key = jax.random.key(0)
    draw = jax.random.normal(key, (count, size), jnp.float32)
    return draw.astype(dtype)


def next_start(
    pairs: RitzPairs, start: Float[jax.Array, "count p"]
) -> Float[jax.Array, "count p"]:
    """The Ritz covectors, or the last start where these are not finite or one vanishes,
    as where a run has diverged.
    """
    squares = jax.vmap(jnp.vdot)(pairs.covectors, pairs.covectors)
    good = jnp.isfinite(squares) & (squares > 0)
    usable = jnp.all(good)
    return jnp.where(usable, pairs.covectors, start)


def check_depth(depth: int) -> None:
    """Two products or more for each vector.

    Raises:
        InputError: fewer, with which a vector would never move.
    """
    if depth < 2:
        raise InputError(
            f"A depth of {depth} leaves every vector where it is: take 2 or more."
        )
