"""Examples of one's own, drawn from all."""

import jax
import jax.numpy as jnp

from jaxml.learn.batches import permuted
from jaxml.types import Batch, Key


def subset(data: Batch, count: int, *, key: Key) -> Batch:
    """`count` different examples, drawn evenly, in an order drawn with them.

    Args:
        data: arrays with a leading axis of at least that many examples.
        count: how many.
        key: of the draw.

    >>> batch = Batch(jnp.arange(5.0)[:, None], jnp.arange(5), jnp.ones(5))
    >>> drawn = subset(batch, 5, key=jax.random.key(0))
    >>> sorted(drawn.targets.tolist()), drawn.inputs.shape
    ([0, 1, 2, 3, 4], (5, 1))
    """
    places = jnp.arange(count, dtype=jnp.int32)
    own = permuted(places, len(data.weights), key=key)
    return jax.tree.map(lambda leaf: leaf[own], data)
