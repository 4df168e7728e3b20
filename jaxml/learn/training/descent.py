"""Descent on one fixed batch, for closed-form surfaces and before a search for critical
points.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import optax

from jaxml.learn.optimizers.door import begin, update
from jaxml.types import Objective, Params


class Descent(NamedTuple):
    """Where a descent ended, and per step the loss before it and what was observed."""

    params: Params
    loss: jax.Array
    observed: Any


def descend(
    objective: Objective,
    optimizer: optax.GradientTransformation,
    params: Params,
    batch: Any,
    *,
    steps: int,
    observe: Callable[[Params], Any] = lambda params: (),
) -> Descent:
    """`steps` updates on one fixed batch, as a scan: gradient descent, where the
    optimizer is SGD.

    For closed-form surfaces and for the minimisation that precedes a critical-point
    search; nothing is frozen, so a divergence shows as the infinities that it is.
    `observe(params)` is stacked over the steps, before each update:
    `observe=lambda params: params` records the path.
    """
    one = _update(objective, optimizer, batch)

    def observed(
        carry: tuple[Params, Any], _: None
    ) -> tuple[tuple[Params, Any], tuple[jax.Array, Any]]:
        after, value = one(carry)
        params, _ = carry
        return after, (value, observe(params))

    (params, _), (losses, seen) = jax.lax.scan(
        observed, (params, begin(optimizer, params)), length=steps
    )
    return Descent(params, losses, seen)


def descended(
    objective: Objective,
    optimizer: optax.GradientTransformation,
    params: Params,
    batch: Any,
    *,
    steps: Any,
) -> Params:
    """The parameters after `steps` updates of `descend`; their number may be traced."""
    one = _update(objective, optimizer, batch)
    first = (params, begin(optimizer, params))
    params, _ = jax.lax.fori_loop(0, steps, lambda _, carry: one(carry)[0], first)
    return params


def _update(
    objective: Objective, optimizer: optax.GradientTransformation, batch: Any
) -> Callable[[tuple[Params, Any]], tuple[tuple[Params, Any], jax.Array]]:
    """One update of parameters and optimizer state, and the loss before it."""

    def loss(params: Params) -> jax.Array:
        return objective(params, batch)

    def one(carry: tuple[Params, Any]) -> tuple[tuple[Params, Any], jax.Array]:
        params, opt_state = carry
        value, grads = jax.value_and_grad(loss)(params)
        after = update(optimizer, grads, opt_state, params, value=value, value_fn=loss)
        return after, value

    return one


def minimiser(
    optimizer: optax.GradientTransformation, *, steps: int
) -> Callable[[Objective, Params, Any], Params]:
    """`(objective, params, batch) -> params` after `steps` updates of `descend`."""
    return lambda objective, params, batch: (
        descend(objective, optimizer, params, batch, steps=steps).params
    )
