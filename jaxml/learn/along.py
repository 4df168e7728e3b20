"""Losses of several sets of examples along one training on batches that are drawn."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Float

from jaxml import parallel
from jaxml.learn.optimizers.door import begin, update
from jaxml.types import Array, InputError, Params


def losses_along(
    objective: Callable[[Params, Any], jax.Array],
    optimizer: optax.GradientTransformation,
    params: Params,
    draw: Callable[[jax.Array], Any],
    sets: Sequence[Any],
    *,
    updates: int,
    evaluations: int,
) -> Float[jax.Array, "evaluation set"]:
    """Σ w loss / Σ w of each set of examples after every `updates / evaluations`
    updates, each on a batch drawn for it; the last row is the end of the training.

    For runs that each have examples of their own: `jax.vmap` it. Validation examples
    among the sets tell afterwards where such a training would have been stopped.

    Args:
        objective: the loss, of parameters and a batch.
        optimizer: any chain.
        params: initial ones.
        draw: the batch of an update, by its number from 1 on.
        sets: that are evaluated.
        updates: of the training.
        evaluations: at equal distances.

    Raises:
        InputError: evaluations that do not divide the updates.

    >>> def square(params, batch):
    ...     return params**2
    >>> losses = losses_along(
    ...     square, optax.sgd(0.25), jnp.array(1.0), lambda number: None, [None],
    ...     updates=2, evaluations=2,
    ... )
    >>> losses.tolist()
    [[0.25], [0.0625]]
    """
    if evaluations < 1 or updates % evaluations:
        raise InputError(
            f"{updates} updates have no {evaluations} evaluations at equal distances: "
            "choose a number that divides them."
        )

    def step(carry: Any, number: jax.Array) -> tuple[Any, None]:
        params, state = carry
        value, grads = jax.value_and_grad(objective)(params, draw(number))
        after = update(optimizer, grads, state, params, value=value, value_fn=None)
        return after, None

    def evaluate(carry: Any, numbers: jax.Array) -> tuple[Any, jax.Array]:
        carry, _ = jax.lax.scan(step, carry, numbers)
        params, _ = carry
        return carry, jnp.stack([objective(params, each) for each in sets])

    numbers = jnp.arange(1, updates + 1).reshape(evaluations, -1)
    _, seen = jax.lax.scan(evaluate, (params, begin(optimizer, params)), numbers)
    return seen


def drawn_rows(
    batch: Any, key: jax.Array, *, count: int | Array, size: int
) -> Callable[[jax.Array], Any]:
    """The batch of an update, by its number: `size` rows drawn with replacement from
    the first `count`, anew for each number.

    >>> draw = drawn_rows(np.arange(9), jax.random.key(0), count=2, size=5)
    >>> sorted(set(draw(jnp.array(1)).tolist()))
    [0, 1]
    """

    def draw(number: jax.Array) -> Any:
        chosen = jax.random.randint(jax.random.fold_in(key, number), (size,), 0, count)
        return jax.tree.map(lambda field: jnp.asarray(field)[chosen], batch)

    return draw


def each_run(
    train: Callable[[Any, Any], Any], runs: Any, shared: Any, *, lanes: int
) -> Any:
    """`train(shared, run)` of every run, `lanes` of them at once on each device.

    Args:
        train: of what all runs share, and of one run.
        runs: arrays with a leading axis of runs.
        shared: what every run is given.
        lanes: runs of a chunk.

    >>> each_run(lambda shared, run: shared * run, np.arange(3.0), 2.0, lanes=2)
    array([0., 2., 4.], dtype=float32)
    """
    total = len(jax.tree.leaves(runs)[0])

    def chunk(runs: Any, shared: Any) -> Any:
        return jax.vmap(lambda run: train(shared, run))(runs)

    program = parallel.compiled(
        chunk,
        parallel.rows(runs, np.arange(lanes) % total),
        shared,
        chunks=-(-total // lanes),
        purpose="Training",
    )
    return parallel.gathered(program, runs, shared)


def at_least(values: np.ndarray, badness: np.ndarray) -> np.ndarray:
    """The values `[..., column]` of that row of the last axis but one at which
    `badness` is least.

    Args:
        values: `[..., row, column]`.
        badness: `[..., row]`.

    >>> at_least(np.array([[1, 2], [3, 4]]), np.array([0.5, 0.1])).tolist()
    [3, 4]
    """
    best = np.argmin(badness, axis=-1)[..., None, None]
    return np.take_along_axis(values, best, axis=-2)[..., 0, :]
