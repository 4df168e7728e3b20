"""How many updates a run needs until something first holds."""

from collections.abc import Callable
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
from jaxtyping import Bool, Int

from jaxml.types import Array, InputError

State = TypeVar("State")


def first_passages(
    update: Callable[[Array, State], State],
    passed: Callable[[State], Bool[Array, " event"]],
    state: State,
    *,
    limit: Any,
    every: int,
) -> Int[Array, " event"]:
    """Updates after which each of several events first holds, at most `limit`.

    Events are looked at after every `every` updates, so a passage is counted up to that
    many updates late, and one that is over before the next look is missed. The run ends
    where all events have held, at the limit, or where the state is no longer finite,
    so that a run that diverges costs no more. Cost: the updates until then.

    Args:
        update: `(step, state) -> state`, the step counted from 0.
        passed: `state -> [event]` of bool.
        state: where the run starts; it is not looked at.
        limit: updates at most, and what an event counts that did not hold; may be
            traced.
        every: updates between two looks, 1 or more.

    Raises:
        InputError: `every` is below 1.

    >>> double = lambda step, x: 2 * x
    >>> above = lambda x: x > jnp.array([3.0, 30.0, 1e9])
    >>> first_passages(double, above, jnp.array(1.0), limit=10, every=1).tolist()
    [2, 5, 10]
    """
    if every < 1:
        raise InputError(
            f"Events cannot be looked at every {every} updates: use 1 or more."
        )
    limit = jnp.asarray(limit, jnp.int32)
    never = limit + jnp.int32(every)

    def going(run: tuple[Array, Array, State]) -> Array:
        age, first, state = run
        return (age < limit) & jnp.any(first == never) & _finite(state)

    def stretch(run: tuple[Array, Array, State]) -> tuple[Array, Array, State]:
        age, first, state = run
        later = age + jnp.int32(every)
        state = jax.lax.fori_loop(age, later, update, state)
        now = jnp.where(passed(state), later, never)
        return later, jnp.minimum(first, now), state

    events = jax.eval_shape(passed, state)
    nothing = jnp.full(events.shape, never)
    _, first, _ = jax.lax.while_loop(going, stretch, (jnp.int32(0), nothing, state))
    return jnp.minimum(first, limit)


def _finite(state: Any) -> Bool[Array, ""]:
    """Whether all floating-point numbers of a state are."""
    finite = jnp.array(True)
    for leaf in jax.tree.leaves(state):
        if jnp.issubdtype(leaf.dtype, jnp.inexact):
            finite &= jnp.all(jnp.isfinite(leaf))
    return finite
