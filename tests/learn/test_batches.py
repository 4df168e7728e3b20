"""Batches: every example once an epoch, padding of weight 0, an order of key and epoch
only.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

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
    fraction = np.stack([(sent == value).mean(axis=0) for value in range(length)])
    error = np.sqrt((1 / length) * (1 - 1 / length) / draws)
    assert np.abs(fraction - 1 / length).max() < 4 * error


@pytest.mark.statistics
@pytest.mark.parametrize("length", [2, 4, 5, 6])
@pytest.mark.parametrize("source", ["key", "epoch"])
def test_all_orders_of_few_positions_come_equally_often(source, length):
    draws = 200 * math.factorial(length)

    def order(number):
        seed, epoch = (number, 0) if source == "key" else (7, number)
        key = jax.random.key(seed)
        return learn.permuted(jnp.arange(length), length, key=key, epoch=epoch)

    orders = np.asarray(jax.jit(jax.vmap(order))(jnp.arange(draws)))
    _, counts = np.unique(orders, axis=0, return_counts=True)
    assert len(counts) == math.factorial(length)
    assert stats.chisquare(counts).pvalue > 6e-5  # four standard errors


@pytest.mark.statistics
def test_neighbours_in_an_order_are_as_far_apart_as_chance_has_them():
    length, draws = 61, 20_000

    def first_two(epoch):
        key = jax.random.key(3)
        return learn.permuted(jnp.arange(2), length, key=key, epoch=epoch)

    first, second = np.asarray(jax.jit(jax.vmap(first_two))(jnp.arange(draws))).T
    apart = np.bincount((second - first) % length, minlength=length)
    again = np.bincount((first[1:] - first[:-1]) % length, minlength=length)
    assert apart[0] == 0 and stats.chisquare(apart[1:]).pvalue > 6e-5
    assert stats.chisquare(again).pvalue > 6e-5


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
    fraction = (
        np.bincount(np.asarray(drawn).astype(int).ravel(), minlength=ROWS) / drawn.size
    )
    assert np.abs(fraction - 1 / ROWS).max() < 4 * np.sqrt(
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


NUMBERED = Batch(
    np.arange(40, dtype=np.float32)[:, None], np.arange(40), np.ones(40, np.float32)
)


@pytest.mark.identity
def test_a_run_s_own_examples_are_parts_of_all_without_a_common_one():
    batches = learn.split_anew(NUMBERED, train=20, test=12, size=6)
    seen = []
    for seed in range(8):
        own = batches.own(NUMBERED, jax.random.key(seed))
        train, test = np.asarray(own.train.targets), np.asarray(own.test.targets)
        assert len(set(train)) == 20 and len(set(test)) == 12
        assert not set(train) & set(test) and {*train, *test} <= set(range(40))
        np.testing.assert_array_equal(own.train.inputs[:, 0], train)
        seen.append(tuple(train))
    assert len(set(seen)) == 8


@pytest.mark.identity
def test_an_epoch_of_a_run_shows_each_of_its_own_examples_once():
    batches = learn.split_anew(NUMBERED, train=20, test=12, size=6)
    own = batches.own(NUMBERED, jax.random.key(3))
    assert batches.per_epoch == 4
    shown = []
    for step in range(4):
        batch = batches.draw(own, jax.random.key(5), step)
        shown += np.asarray(batch.targets)[np.asarray(batch.weights) > 0].tolist()
    assert sorted(shown) == sorted(np.asarray(own.train.targets).tolist())


@pytest.mark.identity
def test_a_probe_sees_what_its_run_trains_on_and_holds_out():
    """The loss of a constant model is a function of the examples alone."""

    def loss(params, state, batch, key):
        return params["x"] * jnp.sum(batch.weights), state

    quantities = {
        "train": lambda params, own: jnp.sum(own.train.targets),
        "test": lambda params, own: jnp.sum(own.test.targets),
    }
    batches = learn.split_anew(NUMBERED, train=20, test=12, size=5)
    training = learn.training(
        lambda key: ({"x": jnp.zeros(())}, {}),
        loss,
        learn.sgd,
        batches,
        steps=4,
        every=2,
        probe=learn.evaluating(quantities),
    )
    grid = learn.grid(learn.Hyper, lr=[0.0, 0.1], seed=range(3))
    runs = learn.sweep(training, grid, lanes=2)
    for row, seed in enumerate(grid.seed):
        key = jax.random.fold_in(jax.random.key(seed), 3)
        own = batches.own(NUMBERED, key)
        for part in ("train", "test"):
            expected = int(np.sum(getattr(own, part).targets))
            assert runs.trace.probed[part][row].tolist() == [expected, expected]


@pytest.mark.identity
@pytest.mark.parametrize("parts", [(0, 5), (30, 11), (5, 0)])
def test_parts_that_cannot_be_drawn_are_refused(parts):
    with pytest.raises(InputError, match="cannot be drawn"):
        learn.split_anew(NUMBERED, train=parts[0], test=parts[1], size=2)


@pytest.mark.identity
def test_a_run_s_own_blocks_are_whole_and_have_no_common_one():
    batches = learn.split_blocks_anew(NUMBERED, block=4, train=20, test=12, size=6)
    seen = []
    for seed in range(8):
        own = batches.own(NUMBERED, jax.random.key(seed))
        train = np.asarray(own.train.targets).reshape(-1, 4)
        test = np.asarray(own.test.targets).reshape(-1, 4)
        for blocks in (train, test):
            assert (blocks == blocks[:, :1] + np.arange(4)).all()
            assert (blocks[:, 0] % 4 == 0).all()
        starts = [*train[:, 0], *test[:, 0]]
        assert len(set(starts)) == 8
        np.testing.assert_array_equal(own.train.inputs[:, 0], own.train.targets)
        seen.append(tuple(starts))
    assert len(set(seen)) == 8


@pytest.mark.identity
def test_blocks_of_one_are_examples():
    blocks = learn.split_blocks_anew(NUMBERED, block=1, train=20, test=12, size=6)
    single = learn.split_anew(NUMBERED, train=20, test=12, size=6)
    key = jax.random.key(4)
    own = blocks.own(NUMBERED, key)
    for one, other in zip(own, single.own(NUMBERED, key), strict=True):
        np.testing.assert_array_equal(one.targets, other.targets)
    shown, expected = blocks.draw(own, key, 3), single.draw(own, key, 3)
    np.testing.assert_array_equal(shown.targets, expected.targets)


@pytest.mark.identity
@pytest.mark.parametrize("parts", [(0, 20, 12), (3, 20, 12), (4, 18, 12), (4, 20, 10)])
def test_parts_that_are_no_whole_blocks_are_refused(parts):
    block, train, test = parts
    with pytest.raises(InputError, match="choose multiples of it"):
        learn.split_blocks_anew(NUMBERED, block=block, train=train, test=test, size=2)
