"""Batches: every example once an epoch, padding of weight 0, an order of key and epoch
only.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxml import learn
from jaxml.types import Batch, InputError

ROWS = 11


def rows(count=ROWS):
    index = np.arange(count, dtype=np.float32)
    return Batch(index[:, None], index[:, None], np.ones(count, np.float32))


def seen(batches, epochs, key):
    """The rows that carry weight, in the order in which they are drawn, [epoch,
    row].
    """
    drawn = [
        batches.draw(batches.data, key, step)
        for step in range(epochs * batches.per_epoch)
    ]
    kept = np.concatenate(
        [np.asarray(b.inputs)[np.asarray(b.weights) > 0, 0] for b in drawn]
    )
    return kept.reshape(epochs, -1).astype(int)


@pytest.mark.device
@pytest.mark.identity
@pytest.mark.parametrize("length", [1, 2, 3, 10, 64, 1797])
def test_permuted_is_a_bijection(length):
    keys = jax.random.split(jax.random.key(length), 20)
    sent = jax.jit(
        jax.vmap(lambda key: learn.permuted(jnp.arange(length), length, key=key))
    )(keys)
    assert (np.sort(sent, axis=1) == np.arange(length)).all()


@pytest.mark.statistics
def test_permuted_sends_every_position_everywhere_equally_often():
    length, draws = 6, 4000
    keys = jax.random.split(jax.random.key(0), draws)
    sent = np.asarray(
        jax.vmap(lambda key: learn.permuted(jnp.arange(length), length, key=key))(keys)
    )
    share = np.stack([(sent == value).mean(axis=0) for value in range(length)])
    error = np.sqrt((1 / length) * (1 - 1 / length) / draws)
    assert np.abs(share - 1 / length).max() < 4 * error


@pytest.mark.identity
@pytest.mark.parametrize("size", [1, 4, ROWS])
def test_an_epoch_holds_every_example_once(size):
    orders = seen(learn.shuffled(rows(), size), 3, jax.random.key(1))
    assert (np.sort(orders, axis=1) == np.arange(ROWS)).all()
    assert not (orders[0] == orders[1]).all()


@pytest.mark.identity
def test_fixed_order_repeats_and_ignores_the_key():
    orders = seen(learn.in_order(rows(), 4), 2, jax.random.key(2))
    assert (orders == np.arange(ROWS)).all()


@pytest.mark.identity
def test_a_ragged_batch_is_padded_with_weight_zero():
    batches = learn.in_order(rows(), 4)
    last = batches.draw(batches.data, jax.random.key(0), batches.per_epoch - 1)
    assert last.weights.tolist() == [1, 1, 1, 0]


@pytest.mark.statistics
def test_with_replacement_draws_uniformly():
    batches = learn.with_replacement(rows(), 10)
    drawn = jax.vmap(
        lambda step: batches.draw(batches.data, jax.random.key(3), step).inputs
    )(jnp.arange(2000))
    share = (
        np.bincount(np.asarray(drawn).astype(int).ravel(), minlength=ROWS) / drawn.size
    )
    assert np.abs(share - 1 / ROWS).max() < 4 * np.sqrt(
        1 / ROWS * (1 - 1 / ROWS) / drawn.size
    )


@pytest.mark.device
@pytest.mark.invariance
def test_the_order_is_a_function_of_key_and_step():
    batches = learn.shuffled(rows(), 4)
    key, step = jax.random.key(5), jnp.int32(7)
    plain = batches.draw(batches.data, key, step)
    jitted = jax.jit(batches.draw)(batches.data, key, step)
    assert all(
        (np.asarray(a) == np.asarray(b)).all()
        for a, b in zip(plain, jitted, strict=True)
    )


@pytest.mark.identity
@pytest.mark.parametrize(
    ("examples", "size", "updates"),
    [(10_000, 10, 1000), (1000, 100, 10), (20, 1, 20), (20, 20, 1), (11, 4, 3)],
)
def test_updates_per_epoch_of_c061(examples, size, updates):
    assert learn.updates_per_epoch(examples, size) == updates


@pytest.mark.identity
@pytest.mark.parametrize("size", [0, ROWS + 1])
def test_a_batch_that_cannot_be_taken_is_named(size):
    with pytest.raises(InputError, match=f"choose between 1 and {ROWS}"):
        learn.shuffled(rows(), size)
