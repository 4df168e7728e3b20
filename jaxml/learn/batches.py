"""Which examples an update sees: a pure function of (data, key, step), so a resume
needs only the step.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Int

from jaxml.types import Batch, Dataset, InputError, Key

ROUNDS = 10
"""Of the Feistel network that shuffles, of two keyed half-rounds each: with few of them
some orders of few positions come more often (`pytest tests/learn/test_batches.py`)."""

GOLDEN = 0x9E3779B9
"""2³² over the golden ratio: its multiples are far apart modulo 2³²."""


def all_of_it(data: Any, key: Key) -> Any:
    """What a run sees where all runs see the same."""
    del key
    return data


class Batches(NamedTuple):
    """A stream of batches.

    Attributes:
        data: all examples. They travel as an argument of the compiled program, never as
            a constant.
        draw: `(own data, key, step) -> Batch`.
        per_epoch: updates in one pass over the data.
        own: `(data, key) -> own data`, what one run sees of the data; made once, before
            its first update.
    """

    data: Batch
    draw: Callable[[Any, Key, Any], Batch]
    per_epoch: int
    own: Callable[[Batch, Key], Any] = all_of_it


def updates_per_epoch(examples: int, size: int) -> int:
    """⌈examples / size⌉: the last batch may be ragged.

    >>> updates_per_epoch(20, 1), updates_per_epoch(20, 20)
    (20, 1)
    >>> updates_per_epoch(60_000, 1_000)
    60
    """
    return math.ceil(examples / size)


def permuted(
    position: Int[jax.Array, " b"], length: int, *, key: Key, epoch: Any = 0
) -> Int[jax.Array, " b"]:
    """Where a random permutation of {0, ..., length - 1} sends each position, without
    forming it.

    A Feistel network over a grid of ⌈√n⌉ rows that just covers the range; what falls
    outside is sent through it again (cycle walking), which keeps it a bijection. Cost:
    O(1) a position, where sorting costs O(n log n) an epoch, and no draw from JAX's
    generator. Of up to six positions all orders come equally often, as far as a test
    tells; of many they are not a uniform draw among all n!, as of no 64-bit key.

    Args:
        position: where to look, each in {0, ..., length - 1}.
        length: of the permutation, below 2³².
        key: of a family of permutations.
        epoch: which of the family, an integer that may be traced.

    Source: Black and Rogaway 2002, "Ciphers with arbitrary finite domains", method 3.
    """
    rows = math.isqrt(length - 1) + 1
    columns = math.ceil(length / rows)
    first, second = _words(key, jnp.asarray(epoch).astype(jnp.uint32))

    def round_of(
        number: jax.Array, sides: tuple[jax.Array, jax.Array]
    ) -> tuple[jax.Array, jax.Array]:
        left, right = sides
        shift = number.astype(jnp.uint32) * jnp.uint32(GOLDEN)
        drawn = _hash(right, first + shift, second + shift)
        left = _sum_below(left, _scaled(drawn, rows), rows)
        drawn = _hash(left, second ^ shift, first ^ shift)
        return left, _sum_below(right, _scaled(drawn, columns), columns)

    def encrypt(x: jax.Array) -> jax.Array:
        sides = x // jnp.uint32(columns), x % jnp.uint32(columns)
        left, right = jax.lax.fori_loop(0, ROUNDS, round_of, sides)
        return left * jnp.uint32(columns) + right

    def outside(x: jax.Array) -> jax.Array:
        return x >= jnp.uint32(length)

    def walk(carry: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        x, going = carry
        x = jnp.where(going, encrypt(x), x)
        return x, outside(x)

    start = position.astype(jnp.uint32), jnp.ones(position.shape, bool)
    sent, _ = jax.lax.while_loop(lambda carry: jnp.any(carry[1]), walk, start)
    return sent.astype(jnp.int32)


def _words(key: Key, epoch: jax.Array) -> tuple[jax.Array, jax.Array]:
    """64 bits of a key and an epoch."""
    first, second = jnp.uint32(0), epoch
    for word in jnp.ravel(jax.random.key_data(key)):
        first, second = _hash(word, first, second), _hash(second, word, first)
    return first, second


def _hash(x: jax.Array, first: jax.Array, second: jax.Array) -> jax.Array:
    """The 32-bit finaliser of MurmurHash3, with a key before and one between its
    products.
    """
    x = x + first
    x = (x ^ (x >> jnp.uint32(16))) * jnp.uint32(0x85EBCA6B)
    x = (x ^ (x >> jnp.uint32(13))) + second
    x = x * jnp.uint32(0xC2B2AE35)
    return x ^ (x >> jnp.uint32(16))


def _scaled(bits: jax.Array, size: int) -> jax.Array:
    """Random bits as an integer below `size`, which is at most 2¹⁶."""
    return ((bits >> jnp.uint32(16)) * jnp.uint32(size)) >> jnp.uint32(16)


def _sum_below(x: jax.Array, y: jax.Array, size: int) -> jax.Array:
    """(x + y) mod size of two integers below it."""
    total = x + y
    over = jnp.where(total >= jnp.uint32(size), jnp.uint32(size), jnp.uint32(0))
    return total - over


def _take(data: Batch, index: jax.Array, present: jax.Array) -> Batch:
    inputs, targets, weights = jax.tree.map(
        lambda leaf: jnp.asarray(leaf)[index], tuple(data)
    )
    return Batch(inputs, targets, jnp.where(present, weights, jnp.zeros_like(weights)))


def _by_epoch(
    data: Batch, size: int, order: Callable[[jax.Array, Key, jax.Array], jax.Array]
) -> Batches:
    length = _checked(data, size)
    per_epoch = updates_per_epoch(length, size)

    def draw(data: Batch, key: Key, step: Any) -> Batch:
        epoch, turn = jnp.divmod(jnp.asarray(step, jnp.int32), jnp.int32(per_epoch))
        position = turn * jnp.int32(size) + jnp.arange(size, dtype=jnp.int32)
        index = order(jnp.minimum(position, jnp.int32(length - 1)), key, epoch)
        return _take(data, index, position < length)

    return Batches(data, draw, per_epoch)


def shuffled(data: Batch, size: int) -> Batches:
    """Every example once an epoch, in an order drawn anew for each epoch; the last
    batch is padded.
    """
    length = _length(data)

    def order(position: jax.Array, key: Key, epoch: jax.Array) -> jax.Array:
        return permuted(position, length, key=key, epoch=epoch)

    return _by_epoch(data, size, order)


def in_order(data: Batch, size: int) -> Batches:
    """Every example once an epoch, always in the order of the data; the last batch is
    padded.
    """
    return _by_epoch(data, size, lambda position, key, epoch: position)


def split_anew(data: Batch, *, train: int, test: int, size: int) -> Batches:
    """Each run trains on examples of its own and holds out others, drawn by its key.

    A run's own data is a `Dataset` of `train` and `test` examples without a common one;
    its batches are those of `shuffled` over the first. Runs of one seed see the same
    examples, whatever their optimizer. Memory: a copy of the run's own examples.

    Args:
        data: all examples.
        train: how many train a run.
        test: how many others judge it.
        size: of a batch.

    Raises:
        InputError: there are fewer examples than both parts need, a part is empty, or a
            batch is larger than the first.
    """
    return split_blocks_anew(data, block=1, train=train, test=test, size=size)


def split_blocks_anew(
    data: Batch, *, block: int, train: int, test: int, size: int
) -> Batches:
    """As `split_anew`, by whole blocks of neighbours, such as windows of a text: no
    block that a run trains on is held out.

    Within its own blocks a run's batches are shuffled example by example.

    Args:
        data: all examples, block after block.
        block: examples of each.
        train: how many examples train a run, whole blocks of them.
        test: how many others judge it, whole blocks too.
        size: of a batch, in examples.

    Raises:
        InputError: as `split_anew`, and a number of examples that is no multiple of the
            block.
    """
    length = _length(data)
    if min(train, test) < 1 or train + test > length:
        raise InputError(
            f"{train} examples to train on and {test} to judge by cannot be drawn from "
            f"{length}: choose positive numbers of at most that many together."
        )
    if block < 1 or any(count % block for count in (length, train, test)):
        raise InputError(
            f"{length} examples, {train} to train on and {test} to judge by are not "
            f"all whole blocks of {block}: choose multiples of it."
        )

    def own(data: Batch, key: Key) -> Dataset:
        places = jnp.arange((train + test) // block, dtype=jnp.int32)
        drawn = permuted(places, length // block, key=key)
        within = jnp.arange(block, dtype=jnp.int32)
        index = jnp.ravel(drawn[:, None] * jnp.int32(block) + within[None])
        return Dataset(_rows(data, index[:train]), _rows(data, index[train:]))

    first = jax.tree.map(lambda leaf: leaf[:train], data)
    shown = shuffled(first, size)

    def draw(own: Dataset, key: Key, step: Any) -> Batch:
        return shown.draw(own.train, key, step)

    return Batches(data, draw, shown.per_epoch, own)


def _rows(data: Batch, index: jax.Array) -> Batch:
    return jax.tree.map(lambda leaf: jnp.asarray(leaf)[index], data)


def with_replacement(data: Batch, size: int) -> Batches:
    """Examples drawn independently and uniformly, so that an epoch is only a count of
    updates.
    """
    length = _checked(data, size)

    def draw(data: Batch, key: Key, step: Any) -> Batch:
        index = jax.random.randint(
            jax.random.fold_in(key, step), (size,), 0, length, jnp.int32
        )
        return _take(data, index, jnp.ones(size, bool))

    return Batches(data, draw, updates_per_epoch(length, size))


def full(data: Batch) -> Batches:
    """All examples at every update: gradient descent."""
    _length(data)
    return Batches(data, lambda data, key, step: data, 1)


def _checked(data: Batch, size: int) -> int:
    length = _length(data)
    if not 1 <= size <= length or int(size) != size:
        raise InputError(
            f"a batch of {size} cannot be taken from {length} examples: choose between "
            f"1 and {length}."
        )
    return length


def _length(data: Batch) -> int:
    """How many examples there are, if there is one, and each has inputs, targets and a
    weight.
    """
    length = len(data.weights)
    if length < 1:
        raise InputError("There are no examples to train on: give at least one.")
    for path, leaf in jax.tree_util.tree_leaves_with_path(data):
        if np.ndim(leaf) < 1 or len(leaf) != length:
            raise InputError(
                f"data{jax.tree_util.keystr(path)} has the shape {np.shape(leaf)} and "
                f"there are {length} weights: give each example inputs, targets and a "
                "weight."
            )
    return length
