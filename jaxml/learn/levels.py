"""What is measured wherever a loss is first at a level, within one program."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import jax
import jax.numpy as jnp
import optax

from jaxml.learn.optimizers.door import update
from jaxml.types import InputError, Key, Objective, Params, Scalar

State = Any


def at_levels(
    step: Callable[[jax.Array, State], State],
    loss: Callable[[State], Scalar],
    measure: Callable[[State], Any],
    start: State,
    *,
    levels: Sequence[float],
    every: int,
    limit: int,
) -> Any:
    """The measure of a run wherever its loss is first at each of some levels or below.

    One run passes all levels: it goes on from each to the next, so that what differs
    between two of them is training, not another draw. The loss is looked at before the
    first update and after every `every`, so a run stops up to that many late. Cost: one
    loss a look, and one measure a level, whether it is reached or not. Made for `jit`
    and `vmap`: it is a scan over levels around a loop; under `vmap` the loops go on for
    the slowest run.

    Args:
        step: `(age, state) -> state`, one update; its number comes first.
        loss: of a state.
        measure: of a state, a pytree of floating-point arrays.
        start: a pytree, such as parameters and an optimizer's state.
        levels: falling; infinity is the state at the start.
        every: updates between two looks.
        limit: updates at most, rounded up to a multiple of `every`.

    Returns:
        The measures with a leading axis of levels; nan where one was not reached.

    Raises:
        InputError: no levels, levels that rise, or counts below 1.

    >>> halved = lambda age, x: x / 2
    >>> same = lambda x: x
    >>> levels = [float("inf"), 1.5, 0.3, 1e-9]
    >>> found = at_levels(
    ...     halved, same, same, jnp.array(4.0), levels=levels, every=1, limit=6
    ... )
    >>> found.tolist()
    [4.0, 1.0, 0.25, nan]
    """
    falling = all(one >= two for one, two in pairwise(levels))
    if not levels or not falling or min(every, limit) < 1:
        raise InputError(
            f"Levels {list(levels)}, looked at every {every} of {limit} updates, are "
            "none that a falling loss passes: give falling levels and positive counts."
        )

    def stretch(carry: tuple[jax.Array, State]) -> tuple[jax.Array, State]:
        age, state = carry
        return age + every, jax.lax.fori_loop(age, age + every, step, state)

    def at(carry: tuple[jax.Array, State], level: jax.Array) -> tuple[Any, Any]:
        def going(carry: tuple[jax.Array, State]) -> jax.Array:
            age, state = carry
            return (age < limit) & ~(loss(state) <= level)

        after = jax.lax.while_loop(going, stretch, carry)
        _, state = after
        reached = loss(state) <= level

        def seen(leaf: jax.Array) -> jax.Array:
            return jnp.where(reached, leaf, jnp.full_like(leaf, jnp.nan))

        return after, jax.tree.map(seen, measure(state))

    value = jax.eval_shape(loss, start)
    _, found = jax.lax.scan(at, (jnp.int32(0), start), jnp.array(levels, value.dtype))
    return found


def stochastic(
    objective: Objective,
    optimizer: optax.GradientTransformation,
    examples: Any,
    *,
    batch: int,
    key: Key,
) -> Callable[[jax.Array, tuple[Params, Any]], tuple[Params, Any]]:
    """`(age, (params, optimizer's state))` ↦ the latter after one update, by the
    gradient of examples that are drawn with replacement.

    Args:
        objective: `(params, examples) -> scalar`, a mean over examples.
        optimizer: any chain.
        examples: a pytree of arrays `[n, ...]`.
        batch: examples an update.
        key: of all draws; an update's own follows from its number.

    Raises:
        InputError: a batch below 1.
    """
    if batch < 1:
        raise InputError(f"A batch of {batch} has no gradient: take 1 or more.")
    count = len(jax.tree.leaves(examples)[0])

    def one(age: jax.Array, state: tuple[Params, Any]) -> tuple[Params, Any]:
        params, memory = state
        rows = jax.random.randint(jax.random.fold_in(key, age), (batch,), 0, count)
        drawn = jax.tree.map(lambda leaf: leaf[rows], examples)
        gradient = jax.grad(objective)(params, drawn)
        return update(optimizer, gradient, memory, params)

    return one
