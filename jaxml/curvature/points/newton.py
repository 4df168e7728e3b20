"""Newton's method by minimal residuals: towards critical points of any index."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxml import tree
from jaxml.curvature.certificate import zero_tolerance
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
from jaxml.curvature.points.krylov import Solution, flat_minres
from jaxml.curvature.programs import run
from jaxml.curvature.space import check_space
from jaxml.types import Objective, Params

HALVINGS = 20
"""Of a step, until it is given up."""

DECREASE = 1e-4
"""The part of the decrease which the linear model promises that a step must keep."""

LOOSE = 0.1
"""The relative residual to which the first systems are solved."""


class _Limits(NamedTuple):
    """What may change without another program."""

    iterations: jax.Array
    inner: jax.Array
    radius: jax.Array
    tolerance: jax.Array


def newton_minres(
    objective: Objective,
    params: Params,
    batch: Any,
    *,
    iterations: int = 100,
    inner: int = 200,
    radius: float = 1.0,
    tolerance: float = 1e-13,
) -> Search:
    """δ = -H⁺∇L by minimal residuals, with a line search on ‖∇L‖: it prescribes no
    index.

    ‖∇L‖ falls along δ whatever the signs of H: the derivative of its square is
    -2 (‖∇L‖² - ‖∇L + Hδ‖²). So minima and saddles attract alike, and so do points where
    the gradient is not 0 but in the kernel of H. Systems are solved more exactly as the
    gradient falls, to a relative residual of 0.1 (‖∇L‖ / ‖∇L₀‖)^(1/2). What the
    gradient has in the kernel of H, up to the certificate's tolerance for zero, moves
    nothing. It ends where ‖∇L‖ is at most `tolerance` times ‖H‖, where no step lowers
    it any more, or when the iterations are spent.

    Cost: `inner` products at most and two gradients or more an iteration; memory of
    some fifteen vectors. Works inside `jit`; outside, its program is kept.

    Args:
        objective: `(params, batch) -> scalar`.
        params: the start.
        batch: passed to the objective.
        iterations: at most.
        inner: iterations of minimal residuals in each, at most.
        radius: of a step.
        tolerance: below 4 eps it is 4 eps.

    Raises:
        InputError: the parameters are no space (`certify`); no iteration.

    Source: Roosta, Liu, Xu and Mahoney 2018, arXiv:1810.00303, algorithm 1.

    >>> saddle = lambda w, _: jnp.cos(w[0]) + w[1] ** 2
    >>> found = newton_minres(saddle, jnp.array([0.4, 1.0]), None)
    >>> bool(jnp.all(jnp.abs(found.params) < 1e-5))
    True
    """
    check_counts(iterations=iterations, inner=inner)
    dtype = check_space(params)
    limits = _Limits(
        jnp.int32(iterations),
        jnp.int32(inner),
        jnp.asarray(radius, dtype),
        jnp.asarray(tolerance, dtype),
    )
    return run(_newton, (objective,), params, batch, limits)


def _newton(
    objective: Objective, params: Params, batch: Any, limits: _Limits
) -> Search:
    problem, point = flat_problem(objective, params, batch)
    start = begun(problem, point)
    first = tree.norm(start.gradient)
    least = jnp.maximum(limits.tolerance, _tolerance(0.0, point))
    kernel = zero_tolerance(point.dtype)

    def going(state: Progress) -> jax.Array:
        return state.going & (state.iterations < limits.iterations)

    def iterate(state: Progress) -> Progress:
        norm = tree.norm(state.gradient)
        exact = jnp.maximum(LOOSE * jnp.sqrt(norm / first), least)
        product = problem.hessian(state.point)
        newton = flat_minres(product, -state.gradient, limits.inner, exact, kernel)
        moved = _searched(problem, state, newton, limits.radius)
        enough = least * newton.norm * _unit(moved.point)
        return moved._replace(
            going=moved.going & (tree.norm(moved.gradient) > enough),
            iterations=state.iterations + 1,
        )

    return ended(problem, jax.lax.while_loop(going, iterate, start))


def _searched(
    problem: FlatProblem, state: Progress, newton: Solution, radius: jax.Array
) -> Progress:
    """The first of the halved steps that lowers ‖∇L‖² by a part of what is promised; no
    step, and no more going, where none does.
    """
    step = shortened(newton.x, radius)
    square = tree.vdot(state.gradient, state.gradient)
    kept = tree.norm(step) / jnp.maximum(tree.norm(newton.x), tree.norm(step))
    promised = 2 * kept * (square - newton.residual_norm**2)

    def lower(part: jax.Array, moved: Progress) -> jax.Array:
        norm = tree.vdot(moved.gradient, moved.gradient)
        return (norm < square) & (norm <= square - DECREASE * part * promised)

    def at(part: jax.Array) -> Progress:
        point = state.point + part * step
        loss, gradient = problem.both(point)
        moved = state._replace(point=point, loss=loss, gradient=gradient)
        return moved._replace(going=lower(part, moved))

    def halving(carry: tuple[jax.Array, Progress]) -> jax.Array:
        part, moved = carry
        return ~moved.going & (part > 0.5**HALVINGS)

    def halved(carry: tuple[jax.Array, Progress]) -> tuple[jax.Array, Progress]:
        part, _ = carry
        return part / 2, at(part / 2)

    whole = jnp.ones_like(square)
    _, found = jax.lax.while_loop(halving, halved, (whole, at(whole)))
    return tree.where(found.going, found, state._replace(going=found.going))
