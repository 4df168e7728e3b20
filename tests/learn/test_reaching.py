"""Runs that stop at a level are the beginnings of runs that go on."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxml import learn
from jaxml.types import Batch, InputError

DATA = Batch(
    inputs=np.random.default_rng(0).normal(size=(12, 2)).astype(np.float32),
    targets=np.zeros(12, np.float32),
    weights=np.ones(12, np.float32),
)
BATCHES = learn.split_anew(DATA, train=8, test=4, size=2)
STEPS = 40


def start(key):
    return jax.random.normal(key, (2,)) + 3.0, ()


def squared(params, batch):
    return jnp.mean((batch.inputs @ params - batch.targets) ** 2)


def loss(params, state, batch, key):
    return squared(params, batch), state


def on_train(params, own):
    return squared(params, own.train)


def norm(params, own):
    return jnp.sum(params**2)


TRAINING = learn.training(
    start,
    loss,
    learn.sgd,
    BATCHES,
    steps=STEPS,
    every=2,
    probe=learn.evaluating({"train": on_train}),
)
GRID = learn.grid(learn.Hyper, lr=[0.05, 1e-6], seed=[1, 2])
LEVEL = 0.5
STOP = learn.Stop("train", LEVEL, every=2, limit=STEPS)
MEASURES = {"train": on_train, "norm": norm}


def reach(lanes=4, **choice):
    stop = STOP._replace(**choice)
    return learn.trained_to(
        TRAINING, BATCHES, GRID, measures=MEASURES, stop=stop, lanes=lanes
    )


@pytest.mark.invariance
def test_a_run_stops_at_the_first_measurement_below_and_is_what_training_makes_of_it():
    found = reach()
    assert found.reached.tolist() == [True, True, False, False]
    runs = learn.sweep(TRAINING, GRID, lanes=4)
    for run, (updates, value) in enumerate(
        zip(found.updates, found.seen["train"], strict=True)
    ):
        losses = runs.trace.probed["train"][run, : updates // 2]
        assert np.all(losses[:-1] > LEVEL)
        np.testing.assert_allclose(losses[-1], value, rtol=1e-4)
    assert found.updates[2:].tolist() == [STEPS, STEPS]
    np.testing.assert_allclose(found.params[2:], runs.params[2:], rtol=1e-6)
    squares = np.sum(found.params**2, axis=1)
    np.testing.assert_allclose(found.seen["norm"], squares, rtol=1e-5)
    value = on_train(jnp.asarray(found.params[1]), learn.own_data(BATCHES, 2))
    np.testing.assert_allclose(value, found.seen["train"][1], rtol=1e-5)


@pytest.mark.identity
@pytest.mark.parametrize(
    "choice", [{"every": 3, "limit": 40}, {"every": 0, "limit": 4}]
)
def test_lengths_that_do_not_fit(choice):
    with pytest.raises(InputError, match="multiple"):
        reach(**choice)


@pytest.mark.identity
def test_a_run_stops_by_what_is_measured():
    with pytest.raises(InputError, match="choose from train, norm"):
        reach(measure="test")
