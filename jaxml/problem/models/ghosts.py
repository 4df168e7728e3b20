"""Ghost batches: what a model computes over a batch, computed over parts of it."""

import inspect
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from jaxml.types import Array, InputError, Key, Model, Params

__all__ = ["in_ghosts"]


def in_ghosts(model: Model, size: int) -> Model:
    """The model that in training sees a batch as ghost batches of `size` examples, each
    by itself.

    So batch normalisation takes its mean and variance over `size` examples, however
    many an update sees: ghost batch normalisation. Examples are taken in their order;
    the last ghost may be smaller. Each ghost draws by a key of its own. The next state
    is the mean of theirs by the number of their examples, and where it is no
    floating-point number that of the first; so running averages move once an update,
    where in the paper they move once a ghost. In evaluation it is the model itself.
    Cost: the model, mapped over the ghosts.

    Args:
        model: such as `problem.batch_normalised((32, 10), jax.nn.relu)`.
        size: examples of a ghost batch.

    Raises:
        InputError: a size below 1; at a call, a batch that is no multiple of it, for a
            model whose `apply` does not name `mask`.

    Source: Hoffer, Hubara and Soudry 2017, arXiv:1705.08741, algorithm 1.
    """
    if size < 1 or int(size) != size:
        raise InputError(
            f"A ghost batch of {size} examples is none: give a whole number, 1 or more."
        )
    masked = "mask" in inspect.signature(model.apply).parameters

    def apply(
        params: Params,
        state: Any,
        inputs: Any,
        *,
        train: bool,
        key: Key | None,
        mask: Array | None = None,
    ) -> tuple[jax.Array, Any]:
        if not train:
            return model.apply(params, state, inputs, train=False, key=key)
        count = len(inputs)
        _require_whole(count, size, masked)
        present = jnp.ones(count, bool) if mask is None else jnp.asarray(mask)

        def one(
            inputs: jax.Array, present: jax.Array, number: jax.Array
        ) -> tuple[jax.Array, Any]:
            own = None if key is None else jax.random.fold_in(key, number)
            # A ghost of padding alone, which counts nothing, is normalised by itself.
            given = {"mask": present | ~jnp.any(present)} if masked else {}
            return model.apply(params, state, inputs, train=True, key=own, **given)

        ghosts, counted = _cut(jnp.asarray(inputs), size), _cut(present, size)
        counted &= (jnp.arange(counted.size) < count).reshape(counted.shape)
        numbers = jnp.arange(len(ghosts), dtype=jnp.int32)
        outputs, states = jax.vmap(one)(ghosts, counted, numbers)
        weights = jnp.sum(counted, axis=1)
        joined = outputs.reshape(-1, *outputs.shape[2:])[:count]
        return joined, jax.tree.map(partial(_mean, weights), states)

    return Model(model.init, apply)


def _require_whole(count: int, size: int, masked: bool) -> None:
    """Refuses a smaller last ghost of a model that cannot leave out its padding."""
    if count % size and not masked:
        raise InputError(
            f"A batch of {count} is no multiple of ghost batches of {size}, and the "
            "model takes no mask to leave out padding: choose a divisor, or a model "
            "whose `apply` names `mask`."
        )


def _cut(rows: jax.Array, size: int) -> jax.Array:
    """`[ghost, size, ...]`, the last one filled up by copies of the last row."""
    missing = -len(rows) % size
    last = jnp.repeat(rows[-1:], missing, axis=0)
    return jnp.concatenate([rows, last]).reshape(-1, size, *rows.shape[1:])


def _mean(weights: jax.Array, states: jax.Array) -> jax.Array:
    """The mean over ghosts by their weights; the first where there are no numbers."""
    if not jnp.issubdtype(states.dtype, jnp.floating):
        return states[0]
    fractions = weights.astype(states.dtype) / jnp.sum(weights).astype(states.dtype)
    return jnp.tensordot(fractions, states, axes=1)
