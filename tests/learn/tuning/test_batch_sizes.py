"""Batch-size sweeps: both ways make the same updates, and what cannot run is refused
first.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxml import learn
from jaxml.learn.orders import split_in_order, whole_batches
from jaxml.types import Batch, InputError, Workload

TRAIN, TEST, EPOCHS = 10, 4, 2
SIZES = [8, 2, 4]
TRACES = []


def data():
    generator = np.random.default_rng(0)
    inputs = generator.normal(size=(20, 3)).astype(np.float32)
    targets = inputs @ np.ones((3, 1), np.float32) + 1
    return Batch(inputs, targets, np.linspace(0.5, 1.5, 20, dtype=np.float32))


def start(key):
    return {"w": jax.random.normal(key, (3, 1)), "b": jnp.zeros(1)}, {}


def mean_square(params, batch):
    residual = (batch.inputs @ params["w"] + params["b"][None] - batch.targets)[:, 0]
    return jnp.average(residual**2, weights=batch.weights)


def loss(params, state, batch, key):
    TRACES.append(1)
    return mean_square(params, batch), state


WORKLOAD = Workload(
    start=start,
    loss=loss,
    data=data(),
    train=TRAIN,
    test=TEST,
    measures={
        "test": lambda params, own: mean_square(params, own.test),
        "first": lambda params, own: own.train.inputs[0],
    },
)
GRID = learn.grid(learn.Hyper, lr=[0.02, 0.05], seed=range(2))


def swept(plan, hypers=GRID, **given):
    return learn.batch_sweep(WORKLOAD, learn.momentum, plan, hypers, lanes=4, **given)


@pytest.fixture(scope="module")
def whole():
    return swept(learn.BatchSizes(SIZES, EPOCHS))


def require_same(whole, parts, per_epoch):
    """Losses and weights of order one, at most ten updates: errors below 1e-5 in
    float32.
    """
    assert list(whole.runs) == list(parts.runs) == list(per_epoch)
    for size, each in per_epoch.items():
        ours, theirs = parts.runs[size], whole.runs[size]
        assert ours.trace.loss.shape == (4, EPOCHS * each)
        assert ours.trace.probed["test"].shape == (4, EPOCHS)
        assert list(whole.updates[size]) == [each, EPOCHS * each]
        assert list(parts.updates[size]) == [each, EPOCHS * each]
        np.testing.assert_array_equal(ours.hyper.lr, GRID.lr)
        for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)


@pytest.mark.invariance
def test_both_ways_make_the_same_updates_and_one_compiles_once(whole):
    TRACES.clear()
    parts = swept(learn.BatchSizes(SIZES, EPOCHS, micro=2))
    assert len(TRACES) <= 2  # of its shapes, and of its gradient
    require_same(whole, parts, {8: 2, 2: 5, 4: 3})
    assert "micro" in whole.way and "micro" in parts.way and whole.way != parts.way


@pytest.mark.stress
@pytest.mark.invariance
def test_both_ways_agree_in_one_order_without_the_remainder():
    plan = learn.BatchSizes(
        [4, 8], EPOCHS, order=learn.shuffled_once, drop_remainder=True
    )
    require_same(swept(plan), swept(plan._replace(micro=2)), {4: 2, 8: 1})


@pytest.mark.identity
def test_a_size_alone_is_its_experiment_and_a_seed_its_split(whole):
    experiment = learn.experiment(WORKLOAD, batch=4, steps=6, every=3)
    runs = learn.sweep(experiment(learn.momentum), GRID, lanes=4)
    ours = whole.runs[4]
    for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(runs), strict=True):
        np.testing.assert_array_equal(a, b)
    first = [runs.trace.probed["first"][:, 0] for runs in whole.runs.values()]
    for each in first:
        np.testing.assert_array_equal(each, first[0])
        np.testing.assert_array_equal(each[::2], each[[0, 0]])
    assert not np.array_equal(first[0][0], first[0][1])


@pytest.mark.identity
def test_updates_of_one_size_end_within_an_epoch(whole):
    """Evaluations come at the ends of epochs, and of the run."""
    kept = []

    def keep(name, compute):
        kept.append(name)
        return compute()

    plan = learn.BatchSizes([8], 1, updates=3)
    found = swept(plan, lambda size: GRID, name="sizes", keep=keep)
    assert kept == ["sizes 8 0-3"]
    assert list(found.updates[8]) == [2, 3]
    ours, theirs = found.runs[8].trace, whole.runs[8].trace
    np.testing.assert_allclose(ours.loss, theirs.loss[:, :3], rtol=1e-5)
    first = [trace.probed["test"][:, 0] for trace in (ours, theirs)]
    np.testing.assert_allclose(*first, rtol=1e-5)
    assert not np.allclose(ours.probed["test"][:, 1], first[0])


@pytest.mark.identity
def test_rates_may_follow_the_size_and_a_diverged_run_is_a_result():
    def scaled(size):
        return learn.grid(learn.Hyper, lr=[0.01 * size, 1e12], seed=[3])

    workload = WORKLOAD._replace(measures={})
    plan = learn.BatchSizes([2, 4], 9, micro=2)
    found = learn.batch_sweep(workload, learn.sgd, plan, scaled, lanes=4)
    for size, each in ((2, 5), (4, 3)):
        runs = found.runs[size]
        assert runs.hyper.lr[0] == np.float32(0.01 * size)
        assert runs.diverged_at[0] == -1 and 0 < runs.diverged_at[1] < 9 * each
        assert runs.trace.loss.shape == (2, 9 * each)
        assert np.isfinite(runs.trace.loss[0]).all()
        assert len(found.updates[size]) == 0


class Other(NamedTuple):
    lr: float
    momentum: float = 0.9
    weight_decay: float = 0.0
    seed: int = 0


def nothing_kept(name, compute):
    pytest.fail(f"{name} was computed")


def of_two_kinds(size):
    return learn.grid(learn.Hyper if size == 2 else Other, lr=[0.1])


@pytest.mark.identity
@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"sizes": []}, "at least one"),
        ({"sizes": [4, 2, 4]}, "4 is given twice"),
        ({"sizes": [0]}, "between 1 and 10"),
        ({"sizes": [11]}, "between 1 and 10"),
        ({"sizes": [2.5]}, "whole number"),
        ({"epochs": 0}, "epochs of 0"),
        ({"updates": 0}, "updates of 0"),
        ({"micro": 0}, "micro of 0"),
        ({"micro": 4}, "train with 4, or take micro-batches of 2"),
        ({"sizes": [2], "micro": 4}, "of 4: take micro-batches of 2"),
        ({"micro": 2, "updates": 5}, "give `epochs` alone"),
        ({"micro": 2, "hypers": of_two_kinds}, "2 kinds"),
        ({"hypers": {"lr": [0.1]}}, "no grid"),
        ({"hypers": lambda size: None}, "no grid"),
        (
            {"hypers": learn.grid(learn.Hyper, lr=[0.1], horizon=[4, 5])},
            "does not read",
        ),
        (
            {"hypers": learn.grid(learn.Hyper, lr=[0.1], horizon=9), "micro": 2},
            "outlasts the run of 6",
        ),
    ],
)
def test_what_cannot_run_is_refused_before_anything_is_computed(given, words):
    settings = {"sizes": [2, 4], "epochs": EPOCHS} | given
    hypers = settings.pop("hypers", GRID)
    with pytest.raises(InputError, match=words):
        swept(learn.BatchSizes(**settings), hypers, keep=nothing_kept)


def rows(stream, epochs, data, key):
    """The examples that carry weight in the order in which they are drawn, `[epoch,
    example]`.
    """
    found = []
    for step in range(epochs * stream.per_epoch):
        batch = stream.draw(data, key, step)
        found.append(np.asarray(batch.inputs)[np.asarray(batch.weights) > 0, 0])
    return np.concatenate(found).reshape(epochs, -1)


@pytest.mark.identity
def test_an_order_drawn_once_is_shuffleds_first_epoch_again_and_again():
    few, key = jax.tree.map(lambda leaf: leaf[:10], data()), jax.random.key(5)
    once = rows(learn.shuffled_once(few, 4), 3, few, key)
    assert (once == once[0]).all()
    np.testing.assert_array_equal(once[0], rows(learn.shuffled(few, 4), 1, few, key)[0])
    np.testing.assert_array_equal(np.sort(once[0]), np.sort(few.inputs[:, 0]))
    left = rows(whole_batches(learn.shuffled_once(few, 4), 10, 4), 3, few, key)
    np.testing.assert_array_equal(left, once[:, :8])


@pytest.mark.identity
def test_an_order_is_that_of_the_examples_that_a_run_drew():
    given, key = {"train": 10, "test": 4, "size": 4}, jax.random.key(2)
    streams = [
        split_in_order(data(), **given, order=order)
        for order in (learn.shuffled, learn.in_order)
    ]
    own = streams[1].own(data(), key)
    in_order = rows(streams[1], 2, own, key)
    np.testing.assert_array_equal(in_order, np.tile(own.train.inputs[:, 0], (2, 1)))
    anew = learn.split_anew(data(), **given)
    np.testing.assert_array_equal(
        rows(streams[0], 2, own, key), rows(anew, 2, own, key)
    )
