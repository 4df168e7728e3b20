"""Both ends of a spectrum, and how many eigenvalues are negative, copies included."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Float, Int

from jaxml import tree
from jaxml.curvature.lanczos import lanczos
from jaxml.curvature.points.krylov import Product
from jaxml.types import InputError, Key, Scalar

MISSED = 1e-3
"""The probability with which an eigenvalue may lie below `Ends.bound`."""


class Ends(NamedTuple):
    """Both ends of a spectrum.

    Attributes:
        values: `[2 count]`, ascending: the lowest, then the highest.
        residuals: ‖Hv - λv‖, `[2 count]`, as measured at the low end, and as the
            Lanczos recurrence has it at the high one.
        lowest: the vectors of the low end, `[count, p]`, orthonormal.
        images: of vectors that were given, `[n, p]`.
        norm: ‖H‖, the largest |Ritz value|.
        surely: how many eigenvalues are below -zero at least: as many as a projection
            of H on orthonormal vectors has (Cauchy's interlacing theorem).
        possibly: how many at most: `surely` where the lowest Ritz value beside those
            found is above -zero by more than its residual, else p.
        open: by how much that value may lie below -zero, as a part of the norm; 0 where
            it does not.
        bound: with probability 0.999 no eigenvalue lies below it.
    """

    values: Float[jax.Array, " ends"]
    residuals: Float[jax.Array, " ends"]
    lowest: Float[jax.Array, "count p"]
    images: Float[jax.Array, "n p"]
    norm: Scalar
    surely: Int[jax.Array, ""]
    possibly: Int[jax.Array, ""]
    open: Scalar
    bound: Scalar


class _Ritz(NamedTuple):
    """Ritz values and their residuals."""

    values: jax.Array
    residuals: jax.Array


class _Found(NamedTuple):
    """Orthonormal vectors, the first `negative` of which bend down; the runs' news.

    Attributes:
        basis: `[2 count, p]`.
        negative: vectors that bend down.
        news: those that the last run has added.
        full: whether that were more than there is room for.
        next: the lowest Ritz pair that the last run left, `[1]`.
        first: the lowest and the highest Ritz pairs of the first run, `[1 + count]`.
        norm: the largest |Ritz value| of the first run.
        runs: of Lanczos.
    """

    basis: jax.Array
    negative: jax.Array
    news: jax.Array
    full: jax.Array
    next: _Ritz
    first: _Ritz
    norm: Scalar
    runs: jax.Array


class Plan(NamedTuple):
    """Eigenvalues at each end, and Lanczos vectors: static."""

    each: int
    depth: int


def planned(count: int, depth: int, size: int) -> Plan:
    """The depth clipped to the number of parameters.

    Raises:
        InputError: the count does not fit.
    """
    depth = min(depth, size)
    if not 1 <= count <= depth // 2:
        raise InputError(
            f"{count} eigenvalues at each end do not fit in a depth of {depth} (at "
            "most the number of parameters): lower count, raise depth, or take "
            "`certify`."
        )
    return Plan(count, depth)


def both_ends(
    product: Product, vectors: jax.Array, zero: Scalar, plan: Plan, key: Key
) -> Ends:
    """Lanczos from a random start, and again beside the negative directions that were
    found, until a run finds none, or more than there is room for.

    A Lanczos run shows a multiple eigenvalue once. Each further run starts at random
    orthogonal to the negative Ritz vectors V, on (I - VVᵀ)H(I - VVᵀ). That map has at
    least n₋ - |V| negative eigenvalues, since the Schur complement of the block VᵀHV
    lies above it, and none is missed by deflation.

    Args:
        product: v ↦ Hv, on flat vectors.
        vectors: `[n, p]`, whose images are wanted as well.
        zero: eigenvalues within this part of ‖H‖ are zero.
        plan: counts.
        key: of the starts.
    """
    size, dtype = vectors.shape[1], vectors.dtype
    nothing, none = jnp.zeros((), dtype), jnp.int32(0)
    one, more = jnp.zeros(1, dtype), jnp.zeros(1 + plan.each, dtype)
    begin = _Found(
        basis=jnp.zeros((2 * plan.each, size), dtype),
        negative=none,
        news=none,
        full=jnp.bool_(False),
        next=_Ritz(one, one),
        first=_Ritz(more, more),
        norm=nothing,
        runs=none,
    )

    def goes_on(found: _Found) -> jax.Array:
        return (found.runs == 0) | ((found.news > 0) & ~found.full)

    def run_beside(found: _Found) -> _Found:
        return _beside(product, found, zero, plan, key)

    found = jax.lax.while_loop(goes_on, run_beside, begin)
    return _ended(product, vectors, found, zero, plan)


def _ended(
    product: Product, vectors: jax.Array, found: _Found, zero: Scalar, plan: Plan
) -> Ends:
    """Values, vectors and measured residuals in the span of all that was found."""
    count, size = plan.each, vectors.shape[1]
    basis = found.basis[:count]
    with jax.default_matmul_precision("highest"):
        images = jax.lax.map(product, jnp.concatenate([basis, vectors]))
        matrix = images[:count] @ basis.T
        values, rotation = jnp.linalg.eigh((matrix + matrix.T) / 2)
        lowest, turned = rotation.T @ basis, rotation.T @ images[:count]
    misfit = turned - values[:, None] * lowest
    surely = jnp.sum(values < -zero * found.norm, dtype=jnp.int32)
    norm = jnp.where(found.norm > 0, found.norm, 1)
    nearest = (found.next.values[0] - found.next.residuals[0]) / norm
    below = jnp.maximum(-zero - nearest, 0)
    closed = (found.news == 0) & (below == 0) & (surely == found.negative)
    residuals = jnp.linalg.norm(misfit, axis=1)
    still = jnp.where(found.news == 0, below, 0)
    possibly = jnp.where(closed, surely, size)
    return Ends(
        values=jnp.concatenate([values, found.first.values[1:]]),
        residuals=jnp.concatenate([residuals, found.first.residuals[1:]]),
        lowest=lowest,
        images=images[count:],
        norm=found.norm,
        surely=surely,
        possibly=possibly,
        open=still,
        bound=_bound(found.first, size, plan.depth),
    )


def _beside(
    product: Product, found: _Found, zero: Scalar, plan: Plan, key: Key
) -> _Found:
    """A Lanczos run in the complement of the negative directions, which are moved to
    the upper end.
    """
    count = plan.each
    rows = jnp.arange(count, dtype=jnp.int32) < found.negative
    known = jnp.where(rows[:, None], found.basis[:count], 0)

    def outside(vector: jax.Array) -> jax.Array:
        return vector - (known @ vector) @ known

    def deflated(vector: jax.Array) -> jax.Array:
        moved = found.norm * (known @ vector) @ known
        return outside(product(outside(vector))) + moved

    draw = tree.random_like(known[0], jax.random.fold_in(key, found.runs))
    with jax.default_matmul_precision("highest"):
        krylov = lanczos(deflated, outside(draw), depth=plan.depth)
        values, rotation = jnp.linalg.eigh(krylov.tridiagonal)
        vectors = rotation[:, :count].T @ krylov.basis
    begins = found.runs == 0
    norm = jnp.where(begins, jnp.max(jnp.abs(values)), found.norm)
    residuals = tree.norm(krylov.remainder) * jnp.abs(rotation[-1])
    news = jnp.sum(values[:count] < -zero * norm, dtype=jnp.int32)
    left = jnp.minimum(news, count - 1)[None]
    ends = jnp.r_[0, plan.depth - count : plan.depth]
    first = _Ritz(values[ends], residuals[ends])
    corner = (found.negative, jnp.zeros_like(found.negative))
    return _Found(
        jax.lax.dynamic_update_slice(found.basis, vectors, corner),
        jnp.minimum(found.negative + news, count),
        news,
        found.negative + news > count,
        _Ritz(values[left], residuals[left]),
        tree.where(begins, first, found.first),
        norm,
        found.runs + 1,
    )


def _bound(ends: _Ritz, size: int, depth: int) -> Scalar:
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
