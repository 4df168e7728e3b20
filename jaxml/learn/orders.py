"""In which order a run sees the examples that it drew for itself: orders beside
`shuffled` and `in_order`.
"""

from collections.abc import Callable
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp

from jaxml.learn.batches import (
    Batches,
    _by_epoch,
    _length,
    permuted,
    split_anew,
)
from jaxml.types import Batch, Dataset, Key

Order: TypeAlias = Callable[[Batch, int], Batches]
"""`(data, size) -> Batches`, such as `shuffled`, `shuffled_once` or `in_order`."""


def shuffled_once(data: Batch, size: int) -> Batches:
    """Every example once an epoch, in one order a run that each epoch repeats; the last
    batch is padded.

    It is the order in which `shuffled` runs through its first epoch.
    """
    length = _length(data)

    def order(position: jax.Array, key: Key, epoch: jax.Array) -> jax.Array:
        del epoch
        return permuted(position, length, key=key)

    return _by_epoch(data, size, order)


def split_in_order(
    data: Batch, *, train: int, test: int, size: int, order: Order
) -> Batches:
    """As `split_anew`, in any order: that of the examples with which a run trains.

    With `shuffled` it is `split_anew`; with `in_order` a run's own examples always come
    as its split drew them.

    Args:
        data: all examples.
        train: how many train a run.
        test: how many others judge it.
        size: of a batch.
        order: of a run's own examples.

    Raises:
        InputError: as `split_anew`.
    """
    split = split_anew(data, train=train, test=test, size=size)
    first = jax.tree.map(lambda leaf: leaf[:train], data)
    shown = order(first, size)

    def draw(own: Dataset, key: Key, step: Any) -> Batch:
        return shown.draw(own.train, key, step)

    return split._replace(draw=draw, per_epoch=shown.per_epoch)


def whole_batches(stream: Batches, examples: int, size: int) -> Batches:
    """The stream without the ragged last batch of each epoch: ⌊examples / size⌋ updates
    an epoch.

    The examples that an epoch leaves out are the last of its order.

    Args:
        stream: in epochs of ⌈examples / size⌉ updates.
        examples: of an epoch, at least `size`.
        size: of a batch.
    """
    whole = examples // size

    def draw(own: Any, key: Key, step: Any) -> Batch:
        epoch, turn = jnp.divmod(jnp.asarray(step, jnp.int32), jnp.int32(whole))
        return stream.draw(own, key, epoch * jnp.int32(stream.per_epoch) + turn)

    return stream._replace(draw=draw, per_epoch=whole)
