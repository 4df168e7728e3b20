"""The lowest eigenvalues and how many are negative, copies included, from products
alone.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Bool, Float, Int

from jaxml import tree
from jaxml.curvature.lanczos import Extremes, lanczos
from jaxml.curvature.points.krylov import Product
from jaxml.types import Key, Scalar

MISSED = 1e-3
"""The probability with which an eigenvalue may lie below `LowEnd.bound`."""


class LowEnd(NamedTuple):
    """The low end of a spectrum.

    Attributes:
        values: `[count]`, ascending.
        vectors: `[count, p]`, orthonormal.
        residuals: ‖Hv - λv‖, `[count]`.
        surely: how many eigenvalues are below -zero at least: as many as a projection
            of H on orthonormal vectors has (Cauchy's interlacing theorem).
        possibly: how many at most: `surely` where the lowest Ritz value beside those
            found is above -zero by more than its residual, else p.
        open: by how much that value lies below -zero at most; 0 where it surely does
            not.
        bound: with probability 0.999 no eigenvalue lies below it.
    """

    values: Float[jax.Array, " count"]
    vectors: Float[jax.Array, "count p"]
    residuals: Float[jax.Array, " count"]
    surely: Int[jax.Array, ""]
    possibly: Int[jax.Array, ""]
    open: Scalar
    bound: Scalar


class _Found(NamedTuple):
    """Orthonormal vectors, the first `negative` of which bend down; the last run's
    news.

    Attributes:
        basis: `[2 count, p]`.
        negative: vectors that bend down.
        news: those that the last run has added.
        full: whether that were more than there is room for.
        lowest: the lowest Ritz value that the last run left, and its residual.
        runs: of Lanczos.
    """

    basis: jax.Array
    negative: jax.Array
    news: jax.Array
    full: jax.Array
    lowest: tuple[Scalar, Scalar]
    runs: jax.Array


def low_end(
    product: Product, ends: Extremes, zero: Scalar, depth: int, key: Key
) -> LowEnd:
    """The low end behind `extremes`: further Lanczos runs beside the negative
    directions that were found, until one finds none, or more than there is room for.

    A Lanczos run shows a multiple eigenvalue once. Each further run starts at random
    orthogonal to the negative Ritz vectors V, on (I - VVᵀ)H(I - VVᵀ). That map has at
    least n₋ - |V| negative eigenvalues, since the Schur complement of the block VᵀHV
    lies above it, and none is missed by deflation.

    Args:
        product: v ↦ Hv, on flat vectors.
        ends: of H, from the start `tree.random_like(point, key)`.
        zero: eigenvalues within this of 0 are zero.
        depth: of each run, `depth` products.
        key: of the starts.
    """
    count = ends.values.size // 2
    largest = jnp.max(jnp.abs(ends.values))
    low, vectors = ends.values[:count], ends.vectors[:count]
    begin = _Found(
        basis=jnp.concatenate([vectors, jnp.zeros_like(vectors)]),
        negative=jnp.sum(low < -zero),
        news=jnp.sum(low < -zero),
        full=jnp.bool_(False),
        lowest=(low[0], ends.residuals[0]),
        runs=jnp.int32(0),
    )

    def room(found: _Found) -> Bool[jax.Array, ""]:
        return (found.news > 0) & ~found.full

    def run_beside(found: _Found) -> _Found:
        return _beside(product, found, zero, largest, (depth, count), key)

    found = jax.lax.while_loop(room, run_beside, begin)
    values, basis, residuals = _rayleigh_ritz(product, found.basis[:count])
    surely = jnp.sum(values < -zero)
    value, residual = found.lowest
    below = jnp.maximum(residual - value - zero, 0)
    closed = (found.news == 0) & (below == 0) & (surely == found.negative)
    return LowEnd(
        values,
        basis,
        residuals,
        surely,
        jnp.where(closed, surely, jnp.asarray(basis.shape[1], surely.dtype)),
        jnp.where(found.news == 0, below, jnp.zeros_like(below)),
        _bound(ends, basis.shape[1], min(depth, basis.shape[1])),
    )


def _beside(
    product: Product,
    found: _Found,
    zero: Scalar,
    largest: Scalar,
    lengths: tuple[int, int],
    key: Key,
) -> _Found:
    """A Lanczos run in the complement of the negative directions, which are moved to
    the upper end.
    """
    depth, count = lengths
    rows = jnp.arange(count) < found.negative
    known = jnp.where(rows[:, None], found.basis[:count], 0)

    def outside(vector: jax.Array) -> jax.Array:
        return vector - (known @ vector) @ known

    def deflated(vector: jax.Array) -> jax.Array:
        return outside(product(outside(vector))) + largest * (known @ vector) @ known

    like = found.basis[0]
    draw = tree.random_like(like, jax.random.fold_in(key, found.runs))
    with jax.default_matmul_precision("highest"):
        krylov = lanczos(deflated, outside(draw), depth=min(depth, like.size))
        ritz, rotation = jnp.linalg.eigh(krylov.tridiagonal)
        vectors = rotation[:, :count].T @ krylov.basis
    news = jnp.sum(ritz[:count] < -zero)
    left = jnp.minimum(news, count - 1)
    residual = tree.norm(krylov.remainder) * jnp.abs(rotation[-1, left])
    start = (found.negative, jnp.zeros_like(found.negative))
    return _Found(
        jax.lax.dynamic_update_slice(found.basis, vectors, start),
        jnp.minimum(found.negative + news, count),
        news,
        found.negative + news > count,
        (ritz[left], residual),
        found.runs + 1,
    )


def _rayleigh_ritz(
    product: Product, basis: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Values, vectors and measured residuals of the map in the span of orthonormal
    rows.
    """
    with jax.default_matmul_precision("highest"):
        images = jax.lax.map(product, basis)
        matrix = images @ basis.T
        values, rotation = jnp.linalg.eigh((matrix + matrix.T) / 2)
        vectors, turned = rotation.T @ basis, rotation.T @ images
    return values, vectors, jnp.linalg.norm(turned - values[:, None] * vectors, axis=1)


def _bound(ends: Extremes, size: int, depth: int) -> Scalar:
    """λ₁ ≥ θ₁ - ε (λ_p - λ₁) unless the start was unlucky.

    P(fails) ≤ 1.648 √p exp(-√ε (2 depth - 1)) for a start uniform on the sphere; with
    the whole space the Ritz value is exact.

    Source: Kuczyński and Woźniakowski 1992, SIAM J. Matrix Anal. Appl. 13, theorem 4.2.
    """
    lowest, highest = ends.values[0], ends.values[-1]
    if depth == size:
        return lowest - ends.residuals[0]
    exponent = jnp.log(jnp.asarray(1.648 * size**0.5 / MISSED, lowest.dtype))
    part = (exponent / (2 * depth - 1)) ** 2
    spread = (highest - lowest) / jnp.where(part < 0.5, 1 - 2 * part, 1)
    return jnp.where(part < 0.5, lowest - part * spread, -jnp.inf)
