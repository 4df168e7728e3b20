"""A problem as functions of one flat vector, which is what iterations work on."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxml import tree
from jaxml.curvature.methods import Search
from jaxml.curvature.points.krylov import Product, flattened
from jaxml.curvature.products import hessian_product
from jaxml.types import InputError, Objective, Params


class FlatProblem(NamedTuple):
    """An objective on flat vectors, its batch given.

    Attributes:
        both: `[p] -> (L, ∇L)`, at the highest matrix precision.
        hessian: `[p] -> (v ↦ Hv)`, linearised there once.
        unravel: `[p] ->` the parameters.
    """

    both: Callable[[jax.Array], tuple[jax.Array, jax.Array]]
    hessian: Callable[[jax.Array], Product]
    unravel: Callable[[jax.Array], Params]


def flat_problem(
    objective: Objective, params: Params, batch: Any
) -> tuple[FlatProblem, jax.Array]:
    """The objective on flat vectors, and the parameters as one."""
    point, unravel = tree.ravel(params)
    once = jax.jit(objective)  # traced once, though it is differentiated often

    def value(x: jax.Array) -> jax.Array:
        return jnp.asarray(once(unravel(x), batch), x.dtype)

    def both(x: jax.Array) -> tuple[jax.Array, jax.Array]:
        with jax.default_matmul_precision("highest"):
            return jax.value_and_grad(value)(x)

    def hessian(x: jax.Array) -> Product:
        return flattened(hessian_product(once, unravel(x), batch), unravel)

    return FlatProblem(both, hessian, unravel), point


class Progress(NamedTuple):
    """An iteration's state: the point with its loss and gradient, and how it goes on.

    Attributes:
        point: θ.
        loss: L(θ).
        gradient: ∇L(θ).
        iterations: that were made.
        going: whether another one may help.
    """

    point: jax.Array
    loss: jax.Array
    gradient: jax.Array
    iterations: jax.Array
    going: jax.Array


def begun(problem: FlatProblem, point: jax.Array) -> Progress:
    """The state before the first iteration."""
    loss, gradient = problem.both(point)
    norm = tree.norm(gradient)
    return Progress(
        point, loss, gradient, jnp.int32(0), (norm > 0) & jnp.isfinite(norm)
    )


def ended(problem: FlatProblem, state: Progress) -> Search:
    """The state after the last iteration."""
    return Search(
        problem.unravel(state.point), tree.norm(state.gradient), state.iterations
    )


def shortened(step: jax.Array, radius: jax.Array) -> jax.Array:
    """The step, no longer than the radius."""
    return step * (radius / jnp.maximum(tree.norm(step), radius))


def check_counts(**counts: int) -> None:
    """Each count is 1 or more.

    Raises:
        InputError: one is not; it is named.
    """
    for name, count in counts.items():
        if count < 1:
            raise InputError(f"{name} = {count} searches nothing: take 1 or more.")
