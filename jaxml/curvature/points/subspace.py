"""Searches within a Krylov space of the gradient: saddle-free Newton, and the descent
of the gradient norm.
"""

from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp

from jaxml import memory, tree
from jaxml.curvature.lanczos import Krylov, krylov_bytes, lanczos
from jaxml.curvature.methods import Search, _tolerance, _unit
from jaxml.curvature.points.flat import (
    FlatProblem,
    Progress,
    begun,
    check_counts,
    ended,
    flat_problem,
    shortened,
)
from jaxml.curvature.programs import run
from jaxml.curvature.space import check_space
from jaxml.types import Objective, Params, Scalar

DAMPINGS = 16
"""Steps that are tried in an iteration."""


class _Limits(NamedTuple):
    """What may change without another program."""

    iterations: jax.Array
    radius: jax.Array
    tolerance: jax.Array


class _Steps(NamedTuple):
    """Steps `[damping, depth]` in the basis of a Krylov space; ‖H‖ as seen there."""

    coordinates: jax.Array
    norm: Scalar


class _Tried(NamedTuple):
    """Loss, gradient norm, of every step."""

    losses: jax.Array
    norms: jax.Array


Model: TypeAlias = Callable[[Krylov, Scalar], _Steps]
"""`(krylov, ‖∇L‖) -> steps`, the first row of the basis being the gradient's."""

Choice: TypeAlias = Callable[[Progress, _Tried], tuple[jax.Array, jax.Array]]
"""`(state, tried) -> (which step, whether it is better)`."""


def saddle_free_newton(
    objective: Objective,
    params: Params,
    batch: Any,
    *,
    iterations: int = 100,
    depth: int = 50,
    radius: float = 1.0,
    tolerance: float = 1e-13,
) -> Search:
    """δ = -(|H| + μI)⁻¹∇L in the Krylov space of the gradient: no saddle attracts it.

    |H| is that of the tridiagonal matrix of `depth` Lanczos vectors, started at the
    gradient. Of 16 dampings μ, spread over the spectrum, the one with the lowest loss
    is taken; where losses differ by rounding alone, the one with the lowest gradient
    norm. It ends where ‖∇L‖ is at most `tolerance` times ‖H‖, where no step is better,
    or when the iterations are spent. Started exactly on a saddle it stays there.

    Cost: `depth` products and 17 gradients an iteration; memory of `depth` vectors.
    The last digits come at a linear rate if the depth is below the number of
    eigenvalues that differ. Works inside `jit`; outside, its program is kept.

    Args:
        objective: `(params, batch) -> scalar`.
        params: the start.
        batch: passed to the objective.
        iterations: at most.
        depth: of the Krylov space; clipped to the number of parameters.
        radius: of a step.
        tolerance: below 4 eps it is 4 eps.

    Raises:
        InputError: the parameters are no space (`certify`); no iteration or depth; the
            basis does not fit in memory.

    Source: Dauphin et al. 2014, arXiv:1406.2572, algorithm 1.
    """
    return _kept(
        (objective, _absolute, _lower_loss),
        params,
        batch,
        iterations,
        depth,
        (radius, tolerance),
    )


def gradient_norm_minimisation(
    objective: Objective,
    params: Params,
    batch: Any,
    *,
    iterations: int = 200,
    depth: int = 50,
    radius: float = 1.0,
    tolerance: float = 1e-13,
) -> Search:
    """Levenberg-Marquardt on ‖∇L‖² in a Krylov space: δ = -(H² + μI)⁻¹H∇L.

    The space of `depth` Lanczos vectors, started at the gradient, contains what
    conjugate gradients on these normal equations would find, for all dampings at once:
    of 16, spread over the squared spectrum, the one with the smallest new gradient norm
    is taken. With the full depth this is `gradient_norm_descent`. It prescribes no
    index, and ends where ‖∇L‖ is at most `tolerance` times ‖H‖, where no damping helps
    any more (a kink, a gradient that is merely flat), or when the iterations are spent.

    Cost, memory and arguments as `saddle_free_newton`.

    Raises:
        InputError: as `saddle_free_newton`.

    Source: Levenberg 1944; Marquardt 1963; for networks, Frye et al. 2021,
    arXiv:2003.10397; least squares from one Lanczos run, Paige and Saunders 1975, SIAM
    J. Numer. Anal. 12.
    """
    return _kept(
        (objective, _least_squares, _lower_norm),
        params,
        batch,
        iterations,
        depth,
        (radius, tolerance),
    )


def _kept(
    method: tuple[Objective, Model, Choice],
    params: Params,
    batch: Any,
    iterations: int,
    depth: int,
    lengths: tuple[float, float],
) -> Search:
    check_counts(iterations=iterations, depth=depth)
    dtype, size = check_space(params), tree.size(params)
    depth = min(depth, size)
    memory.require(
        krylov_bytes(size, depth + 6, dtype),
        f"A Krylov basis of depth {depth}",
        "lower the depth",
    )
    radius, tolerance = (jnp.asarray(length, dtype) for length in lengths)
    limits = _Limits(jnp.int32(iterations), radius, tolerance)
    return run(_search, (*method, depth), params, batch, limits)


def _search(
    objective: Objective,
    model: Model,
    choose: Choice,
    depth: int,
    params: Params,
    batch: Any,
    limits: _Limits,
) -> Search:
    problem, point = flat_problem(objective, params, batch)
    least = jnp.maximum(limits.tolerance, _tolerance(0.0, point))

    def going(state: Progress) -> jax.Array:
        return state.going & (state.iterations < limits.iterations)

    def iterate(state: Progress) -> Progress:
        krylov = lanczos(problem.hessian(state.point), state.gradient, depth=depth)
        steps = model(krylov, tree.norm(state.gradient))
        moved = _best(problem, state, krylov, steps, choose, limits.radius)
        enough = least * steps.norm * _unit(moved.point)
        return moved._replace(
            going=moved.going & (tree.norm(moved.gradient) > enough),
            iterations=state.iterations + 1,
        )

    start = begun(problem, point)
    return ended(problem, jax.lax.while_loop(going, iterate, start))


def _best(
    problem: FlatProblem,
    state: Progress,
    krylov: Krylov,
    steps: _Steps,
    choose: Choice,
    radius: jax.Array,
) -> Progress:
    """The chosen step, if it is better; else none, and no more going."""

    def reached(coordinates: jax.Array) -> jax.Array:
        with jax.default_matmul_precision("highest"):
            return state.point + shortened(coordinates @ krylov.basis, radius)

    def attempt(coordinates: jax.Array) -> _Tried:
        loss, gradient = problem.both(reached(coordinates))
        return _Tried(loss, tree.norm(gradient))

    best, better = choose(state, jax.lax.map(attempt, steps.coordinates))
    point = reached(steps.coordinates[best])
    loss, gradient = problem.both(point)
    moved = state._replace(point=point, loss=loss, gradient=gradient)
    return tree.where(better, moved, state)._replace(going=better)


def _absolute(krylov: Krylov, size: Scalar) -> _Steps:
    """-(|T| + μI)⁻¹ ‖∇L‖ e₁, μ from eps^(3/4) to 10 times ‖T‖."""
    values, vectors = jnp.linalg.eigh(krylov.tridiagonal)
    norm = jnp.max(jnp.abs(values))
    dampings = _dampings(values.dtype) * _positive(norm)
    filtered = vectors[:1] / (jnp.abs(values)[None] + dampings[:, None])
    with jax.default_matmul_precision("highest"):
        return _Steps(-size * filtered @ vectors.T, norm)


def _least_squares(krylov: Krylov, size: Scalar) -> _Steps:
    """argmin ‖T̲y + ‖∇L‖ e₁‖² + μ²‖y‖², T̲ with the row of the remainder below, μ from
    eps^(3/4) to 10 times ‖T̲‖.
    """
    below = jnp.zeros_like(krylov.tridiagonal[:1])
    below = below.at[0, -1].set(tree.norm(krylov.remainder))
    tall = jnp.concatenate([krylov.tridiagonal, below])
    left, singular, right = jnp.linalg.svd(tall, full_matrices=False)
    norm = singular[0]
    dampings = _dampings(norm.dtype) * _positive(norm)
    filters = singular[None] / (singular[None] ** 2 + dampings[:, None] ** 2)
    with jax.default_matmul_precision("highest"):
        return _Steps(-size * (filters * left[:1]) @ right, norm)


def _lower_norm(state: Progress, tried: _Tried) -> tuple[jax.Array, jax.Array]:
    norms = jnp.where(jnp.isfinite(tried.norms), tried.norms, jnp.inf)
    best = jnp.argmin(norms)
    return best, norms[best] < tree.norm(state.gradient)


def _lower_loss(state: Progress, tried: _Tried) -> tuple[jax.Array, jax.Array]:
    """The lowest loss; among losses that rounding may have made, the lowest gradient
    norm.
    """
    losses = jnp.where(jnp.isfinite(tried.losses), tried.losses, jnp.inf)
    rounding = 16 * float(jnp.finfo(losses.dtype).eps) * jnp.abs(state.loss)
    lowest = jnp.argmin(losses)
    equal = losses <= state.loss + rounding
    best, lower = _lower_norm(
        state, _Tried(losses, jnp.where(equal, tried.norms, jnp.inf))
    )
    falls = losses[lowest] < state.loss - rounding
    return jnp.where(falls, lowest, best), falls | lower


def _dampings(dtype: Any) -> jax.Array:
    """`[damping]`, from eps^(3/4) to 10, geometrically."""
    lowest = float(jnp.finfo(dtype).eps) ** 0.75
    return jnp.geomspace(lowest, 10.0, DAMPINGS, dtype=dtype)


def _positive(x: jax.Array) -> jax.Array:
    return x + jnp.asarray(jnp.finfo(x.dtype).tiny, x.dtype)
