"""What is measured wherever a loss is first at a level, within one program."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxml.learn.optimizers.door import update
from jaxml.types import InputError, Key, Objective, Params, Scalar

State = Any

LARGEST = 2**20
"""Examples to be drawn from: of 2²³ draws, an example has eight or one more or less."""


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

    value_of = jax.jit(loss)

    def stretch(passing: _Passing) -> _Passing:
        age, state, _ = passing
        moved = jax.lax.fori_loop(age, age + every, step, state)
        return _Passing(age + every, moved, value_of(moved))

    def at(passing: _Passing, level: jax.Array) -> tuple[_Passing, Any]:
        def going(passing: _Passing) -> jax.Array:
            return (passing.age < limit) & ~(passing.value <= level)

        after = jax.lax.while_loop(going, stretch, passing)
        reached = after.value <= level

        def seen(leaf: jax.Array) -> jax.Array:
            return jnp.where(reached, leaf, jnp.full_like(leaf, jnp.nan))

        return after, jax.tree.map(seen, measure(after.state))

    first = _Passing(jnp.int32(0), start, value_of(start))
    _, found = jax.lax.scan(at, first, jnp.array(levels, first.value.dtype))
    return found


class _Passing(NamedTuple):
    """A run between two looks: its updates, its state, and the loss there."""

    age: jax.Array
    state: State
    value: jax.Array


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
        InputError: a batch below 1, or more examples than float32 can tell apart.
    """
    if batch < 1:
        raise InputError(f"A batch of {batch} has no gradient: take 1 or more.")
    count = len(jax.tree.leaves(examples)[0])
    if count > LARGEST:
        raise InputError(
            f"{count} examples are too many to be drawn by float32: take {LARGEST} at "
            "most."
        )

    def one(age: jax.Array, state: tuple[Params, Any]) -> tuple[Params, Any]:
        params, memory = state
        draw = jax.random.uniform(jax.random.fold_in(key, age), (batch,), jnp.float32)
        rows = jnp.minimum(draw * count, count - 1).astype(jnp.int32)
        drawn = jax.tree.map(lambda leaf: leaf[rows], examples)
        gradient = jax.grad(objective)(params, drawn)
        return update(optimizer, gradient, memory, params)

    return one
