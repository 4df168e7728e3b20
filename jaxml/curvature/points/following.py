"""Eigenvector following from products alone: towards critical points of a prescribed
index.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Float

from jaxml import memory, tree
from jaxml.curvature.certificate import zero_tolerance
from jaxml.curvature.lanczos import krylov_bytes, lanczos
from jaxml.curvature.methods import Search, _tolerance, _unit
from jaxml.curvature.points.flat import (
    FlatProblem,
    Progress,
    begun,
    check_counts,
    ended,
    flat_problem,
)
from jaxml.curvature.points.krylov import Product
from jaxml.curvature.points.truncated import flat_cg
from jaxml.curvature.programs import run
from jaxml.curvature.space import check_space
from jaxml.types import InputError, Objective, Params, Scalar

BESIDE = 4
"""Modes above those that are climbed whose negative curvature is turned up as well."""

STIR = 1e-2
"""Length of the random part of a warm start, compared with a mode's."""

EXACT = 1e-2
"""The relative residual of the first systems; later ones are solved more exactly."""


class Effort(NamedTuple):
    """How long a matrix-free search may go on.

    Attributes:
        iterations: at most.
        depth: Lanczos vectors an iteration; clipped to the number of parameters.
        inner: iterations of conjugate gradients in each, at most.
    """

    iterations: int = 200
    depth: int = 32
    inner: int = 100


class _Limits(NamedTuple):
    """What may change without another program."""

    iterations: jax.Array
    inner: jax.Array
    radius: jax.Array
    tolerance: jax.Array


class _Modes(NamedTuple):
    """The lowest Ritz pairs, and ‖H‖ as seen there."""

    values: Float[jax.Array, " modes"]
    vectors: Float[jax.Array, "modes p"]
    norm: Scalar


def mode_following(
    objective: Objective,
    params: Params,
    batch: Any,
    *,
    index: int,
    effort: Effort = Effort(),  # noqa: B008  # immutable
    radius: float = 0.3,
    tolerance: float = 1e-13,
) -> Search:
    """Climb the `index` lowest modes of the Hessian and descend all others, by Lanczos
    and conjugate gradients.

    V are the lowest Ritz vectors of `effort.depth` Lanczos steps, started each time
    from those of the iteration before, so that they converge as the search does. With
    the negative curvature in V turned up, F = H + V(|Λ| - Λ)Vᵀ, and the gradient in the
    climbed modes turned round, the step solves Fδ = -(I - 2VₖVₖᵀ)∇L by truncated
    conjugate gradients: Newton's step where V has converged. Negative curvature that V
    has missed is descended to the ball of the radius. With index 0 it is a Newton
    method which no saddle attracts. It ends where ‖∇L‖ is at most `tolerance` times
    ‖H‖, or when the iterations are spent; curvature below the certificate's tolerance
    for zero counts as that. That the index is prescribed says nothing about how common
    such points are, and modes of equal curvature are found one at a time.

    Cost: `depth` + `inner` products at most and a gradient an iteration; memory of
    `depth` + `index` vectors. Works inside `jit`; outside, its program is kept.

    Args:
        objective: `(params, batch) -> scalar`.
        params: the start.
        batch: passed to the objective.
        index: how many modes to climb; at most half the depth.
        effort: iterations, outer and inner.
        radius: of a step.
        tolerance: below 4 eps it is 4 eps.

    Raises:
        InputError: the index does not fit; the parameters are no space (`certify`); no
            iteration; the basis does not fit in memory.

    Source: Cerjan and Miller 1981, J. Chem. Phys. 75; lowest modes alone, Munro and
    Wales 1999, Phys. Rev. B 59, 3969.
    """
    check_counts(**effort._asdict())
    dtype, size = check_space(params), tree.size(params)
    depth = min(effort.depth, size)
    if not 0 <= index <= max(depth // 2, depth * (depth == size)):
        raise InputError(
            f"{index} modes to climb do not fit {depth} Lanczos vectors of {size} "
            "parameters: take 0 to half the depth, or raise the depth."
        )
    modes = min(index + BESIDE, depth)
    memory.require(
        krylov_bytes(size, depth + modes + 8, dtype),
        f"A Krylov basis of depth {depth}",
        "lower the depth",
    )
    limits = _Limits(
        jnp.int32(effort.iterations),
        jnp.int32(effort.inner),
        jnp.asarray(radius, dtype),
        jnp.asarray(tolerance, dtype),
    )
    return run(_follow, (objective, index, modes, depth), params, batch, limits)


class _Following(NamedTuple):
    """The search, and where the next Lanczos run starts."""

    progress: Progress
    start: jax.Array


def _follow(
    objective: Objective,
    index: int,
    count: int,
    depth: int,
    params: Params,
    batch: Any,
    limits: _Limits,
) -> Search:
    problem, point = flat_problem(objective, params, batch)
    least = jnp.maximum(limits.tolerance, _tolerance(0.0, point))
    begin = begun(problem, point)
    first = tree.norm(begin.gradient)

    def going(state: _Following) -> jax.Array:
        progress = state.progress
        return progress.going & (progress.iterations < limits.iterations)

    def iterate(state: _Following) -> _Following:
        old = state.progress
        product = problem.hessian(old.point)
        modes = _lowest(product, state.start, count, depth)
        exact = jnp.maximum(EXACT * jnp.sqrt(tree.norm(old.gradient) / first), least)
        step = _step(product, old.gradient, modes, index, (limits, exact))
        moved = _moved(problem, old, step)
        enough = least * modes.norm * _unit(moved.point)
        norm = tree.norm(moved.gradient)
        progress = moved._replace(going=(norm > enough) & jnp.isfinite(norm))
        return _Following(progress, _warm(modes.vectors, progress.iterations))

    start = _Following(begin, _draw(point, jnp.int32(-1)))
    found = jax.lax.while_loop(going, iterate, start)
    return ended(problem, found.progress)


def _lowest(product: Product, start: jax.Array, count: int, depth: int) -> _Modes:
    krylov = lanczos(product, start, depth=depth)
    values, rotation = jnp.linalg.eigh(krylov.tridiagonal)
    norm = jnp.max(jnp.abs(values))
    with jax.default_matmul_precision("highest"):
        return _Modes(values[:count], rotation[:, :count].T @ krylov.basis, norm)


def _step(
    product: Product,
    gradient: jax.Array,
    modes: _Modes,
    index: int,
    limits: tuple[_Limits, jax.Array],
) -> jax.Array:
    """-F⁻¹ (I - 2VₖVₖᵀ)∇L within the ball."""
    outer, exact = limits
    turned = jnp.abs(modes.values) - modes.values
    climbed = modes.vectors[:index]

    def safe(vector: jax.Array) -> jax.Array:
        return product(vector) + (turned * (modes.vectors @ vector)) @ modes.vectors

    with jax.default_matmul_precision("highest"):
        reflected = gradient - 2 * (climbed @ gradient) @ climbed
        kernel = zero_tolerance(gradient.dtype)
        found = flat_cg(safe, reflected, outer.inner, outer.radius, exact, kernel)
    return found.step


def _moved(problem: FlatProblem, state: Progress, step: jax.Array) -> Progress:
    point = state.point + step
    loss, gradient = problem.both(point)
    return Progress(point, loss, gradient, state.iterations + 1, state.going)


def _warm(vectors: jax.Array, count: jax.Array) -> jax.Array:
    """The sum of the modes, and a small random part, which sees what they miss."""
    total = jnp.sum(vectors, axis=0)
    return total + STIR * _draw(total, count)


def _draw(like: jax.Array, count: jax.Array) -> jax.Array:
    """A random unit vector, always the same one of a count."""
    draw = tree.random_like(like, jax.random.fold_in(jax.random.key(0), count))
    return draw / tree.norm(draw)
