"""Ghost batches: what a model computes over a batch, computed over parts of it."""

import inspect
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

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
        present = np.ones(count, bool) if mask is None else mask

        def one(
            inputs: jax.Array, present: jax.Array, number: jax.Array
        ) -> tuple[jax.Array, Any]:
            drawn = None if key is None else jax.random.fold_in(key, number)
            # A ghost of padding alone, which counts nothing, is normalised by itself.
            given = {"mask": present | ~jnp.any(present)} if masked else {}
            return model.apply(params, state, inputs, train=True, key=drawn, **given)

        ghosts = _cut(inputs, size)
        own = np.arange(ghosts.shape[0] * size) < count
        counted = _cut(present, size) & own.reshape(-1, size)
        numbers = jnp.arange(len(ghosts), dtype=jnp.int32)
        outputs, states = jax.vmap(one)(ghosts, counted, numbers)
        joined = outputs.reshape(-1, *outputs.shape[2:])
        mean = partial(_mean, jnp.sum(counted, axis=1))
        return joined[:count], jax.tree.map(mean, states)

    return Model(model.init, apply)


def _require_whole(count: int, size: int, masked: bool) -> None:
    """Refuses a smaller last ghost of a model that cannot leave out its padding."""
    if count % size and not masked:
        raise InputError(
            f"A batch of {count} is no multiple of ghost batches of {size}, and the "
            "model takes no mask to leave out padding: choose a divisor, or a model "
            "whose `apply` names `mask`."
        )


def _cut(rows: Array, size: int) -> jax.Array:
    """`[ghost, size, ...]`, the last one filled up by copies of the last row."""
    length = len(rows)
    ghosts = -(-length // size)
    places = np.minimum(np.arange(ghosts * size), length - 1)
    taken = jnp.asarray(rows)[places]
    return taken.reshape(ghosts, size, *taken.shape[1:])


def _mean(weights: jax.Array, states: jax.Array) -> jax.Array:
    """The mean over ghosts by their weights; the first where there are no numbers."""
    if not jnp.issubdtype(states.dtype, jnp.floating):
        return states[0]
    counts = weights.astype(states.dtype)
    total = jnp.tensordot(counts, states, axes=1)
    return total / jnp.sum(counts)
