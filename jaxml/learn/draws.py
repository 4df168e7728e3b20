"""Which examples a batch holds, by number: what is said of batches in general, seen on
those that training draws.
"""

from collections.abc import Callable
from functools import lru_cache

import jax
import numpy as np
from jaxtyping import Int

from jaxml.learn.batches import Batches
from jaxml.types import Array, Batch, InputError, Key


def independent_batches(
    of: Callable[[Batch, int], Batches],
    examples: int,
    size: int,
    *,
    count: int,
    key: Key,
) -> Int[np.ndarray, "count size"]:
    """The numbers of the examples in batches that are drawn independently.

    Within an epoch batches are not independent, since they hold every example once.
    So these are of as many epochs, one of each: the first batch of the first, the
    second of the second, and so on.

    Args:
        of: the stream, such as `shuffled` or `with_replacement`.
        examples: how many there are.
        size: of a batch, a divisor of their number.
        count: of batches.
        key: of the stream.

    Raises:
        InputError: a size that leaves a ragged batch.

    >>> from jaxml.learn.batches import in_order
    >>> key = jax.random.key(0)
    >>> independent_batches(in_order, 6, 3, count=3, key=key).tolist()
    [[0, 1, 2], [3, 4, 5], [0, 1, 2]]
    """
    if size < 1 or examples % size:
        raise InputError(
            f"Batches of {size} do not divide {examples} examples: choose a divisor, "
            "so that none is ragged."
        )
    return np.asarray(_program(of, examples, size, count)(key))


@lru_cache(maxsize=32)
def _program(
    of: Callable[[Batch, int], Batches], examples: int, size: int, count: int
) -> Callable[[Key], Array]:
    """Kept, so that batches by another key compile nothing."""
    numbers = np.arange(examples, dtype=np.int32)
    batches = of(Batch(numbers, numbers, np.ones(examples, np.float32)), size)
    epochs = np.arange(count, dtype=np.int32)
    steps = epochs * batches.per_epoch + epochs % batches.per_epoch

    def drawn(key: Key) -> Array:
        def at(step: Array) -> Array:
            return batches.draw(batches.data, key, step).inputs

        return jax.vmap(at)(steps)

    return jax.jit(drawn)
