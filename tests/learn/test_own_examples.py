"""Examples that are changed once, and optimizers that read a rate alone, or no grid."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxml import learn
from jaxml.types import Batch


class Point(NamedTuple):
    strength: Any = 0.0
    seed: Any = 0


def loss(params, state, batch, key):
    return jnp.mean((params - batch.targets) ** 2), state


def start(key):
    return jnp.zeros(1, jnp.float32), ()


@pytest.mark.invariance
def test_all_updates_see_the_change_that_the_key_made():
    data = Batch(np.zeros((8, 1)), np.arange(8.0), np.ones(8))

    def raised(own, key):
        train = own.train
        added = jax.random.normal(key, train.targets.shape, train.targets.dtype)
        return own._replace(train=train._replace(targets=train.targets + added))

    plain = learn.split_anew(data, train=4, test=4, size=2)
    changed = learn.changed_once(plain, raised)
    key = jax.random.key(3)
    before, after = plain.own(data, key), changed.own(data, key)
    added = jax.random.normal(
        jax.random.fold_in(key, 1), (4,), before.train.targets.dtype
    )
    assert np.array_equal(after.train.targets, before.train.targets + added)
    assert np.array_equal(after.test.targets, before.test.targets)
    first, second = (changed.draw(after, key, jnp.int32(step)) for step in (0, 1))
    seen = np.concatenate([first.targets, second.targets])
    assert np.array_equal(np.sort(seen), np.sort(after.train.targets))


@pytest.mark.oracle
def test_a_fixed_optimizer_moves_as_its_hyperparameters_say_at_every_point():
    data = Batch(
        np.zeros((1, 1), np.float32), np.ones(1, np.float32), np.ones(1, np.float32)
    )

    def of_point(point):
        descent = learn.fixed(learn.sgd, learn.Hyper(lr=0.25))
        batches = learn.full(data)
        training = learn.training(start, loss, descent, batches, steps=1)
        return learn.starting_from(training, lambda params: params + point.strength)

    training = learn.at_each_point(of_point, Point())
    runs = learn.sweep(training, learn.grid(Point, strength=[0.0, 0.5]), lanes=2)
    assert runs.params[:, 0].tolist() == [0.5, 0.75], "a rate of 1/4 halves the error"


@pytest.mark.invariance
def test_by_its_rate_alone_an_optimizer_moves_as_at_all_defaults():
    """A point without the fields that Adam reads, and a schedule handed on."""

    class Rate(NamedTuple):
        lr: Any

    theta = jnp.array([3.0, -1.0])
    gradient = jnp.array([0.5, 2.0])
    for shape in (learn.constant, learn.warmup(learn.constant, 2)):
        chains = (
            learn.by_rate_alone(learn.adam)(Rate(0.25), shape),
            learn.adam(learn.Hyper(lr=0.25), shape),
        )
        states = [chain.init(theta) for chain in chains]
        ours, theirs = (
            chain.update(gradient, state, theta)[0]
            for chain, state in zip(chains, states, strict=True)
        )
        np.testing.assert_array_equal(ours, theirs)
