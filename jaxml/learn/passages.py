"""How many updates a run needs until something first holds."""

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
from jaxtyping import Bool, Float, Int

from jaxml import tree
from jaxml.types import Array, InputError, Params

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


class Passage(NamedTuple):
    """Of one run.

    Attributes:
        updates: until all events have held, or the limit.
        stayed: whether it was the limit.
    """

    updates: Float[Array, ""]
    stayed: Bool[Array, ""]


def heavy_ball_passage(
    gradient: Callable[[Params, Array], Params],
    passed: Callable[[Params], Bool[Array, " event"]],
    params: Params,
    *,
    rate: Any,
    beta: Any,
    limit: Any,
    every: int,
) -> Passage:
    """The last of the `first_passages` of m ← βm + g, w ← w - ηm, from rest.

    Args:
        gradient: `(params, step) -> g`.
        passed: `params -> [event]` of bool.
        params: where the run starts.
        rate: η; may be traced.
        beta: β; may be traced.
        limit: updates at most; may be traced.
        every: updates between two looks, 1 or more.

    Source: Polyak 1964, USSR Computational Mathematics and Mathematical Physics 4.

    >>> grow, above = (lambda w, _: -w), (lambda w: w[None] > 4.0)
    >>> run = heavy_ball_passage(
    ...     grow, above, jnp.array(1.0), rate=1.0, beta=0.0, limit=9, every=1
    ... )
    >>> float(run.updates), bool(run.stayed)
    (3.0, False)
    """

    def update(step: Array, run: tuple[Params, Params]) -> tuple[Params, Params]:
        place, velocity = run
        velocity = tree.axpy(beta, velocity, gradient(place, step))
        return tree.axpy(-rate, velocity, place), velocity

    def held(run: tuple[Params, Params]) -> Bool[Array, " event"]:
        place, _ = run
        return passed(place)

    at_rest = (params, jax.tree.map(jnp.zeros_like, params))
    first = first_passages(update, held, at_rest, limit=limit, every=every)
    last = jnp.max(first)
    return Passage(last.astype(jnp.result_type(rate)), last == limit)
