"""Sweeps in segments: wherever they are interrupted, every bit is that of `sweep`."""

import threading
import time
from collections.abc import Callable
from contextlib import contextmanager
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxml import learn, problem
from jaxml.learn.accumulation import Epochs, accumulated, with_period
from jaxml.learn.segmented import blocks
from jaxml.learn.segmented.checkpoints import Checkpoints
from jaxml.learn.segmented.sweep import segmenting
from jaxml.record.runs.checkpoints import Checkpoints as OnDisk
from jaxml.types import Batch, InputError

pytestmark = pytest.mark.invariance

GENERATOR = np.random.default_rng(0)
INPUTS = GENERATOR.normal(size=(22, 4)).astype(np.float32)
DATA = Batch(INPUTS, np.tanh(INPUTS[:, :2]), np.ones(22, np.float32))
STEPS = 12


class Interruption(Exception):
    """The process is gone."""


FEW = ("adam", "averaged_nag", "swats")


def side_by_side(names):
    """Families side by side, each on parameters of its own."""

    def family(hyper):
        chains = {name: learn.OPTIMIZERS[name](hyper) for name in names}

        def init(params):
            return {name: chain.init(params[name]) for name, chain in chains.items()}

        def update(updates, state, params=None):
            assert params is not None
            found = {
                name: chain.update(updates[name], state[name], params[name])
                for name, chain in chains.items()
            }
            steps = {name: step for name, (step, _) in found.items()}
            return steps, {name: state for name, (_, state) in found.items()}

        return optax.GradientTransformation(init, update)

    return family


def started(names):
    """As many copies of one network as there are names; the model's state holds a
    typed key.
    """

    def start(key):
        weights = jax.random.normal(key, (4, 2), jnp.result_type(float))
        params = {"w": weights, "b": jnp.zeros(2)}
        return dict.fromkeys(names, params), {"mean": jnp.zeros(2), "key": key}

    return start


def loss(params, state, batch, key):
    """Least squares on units less a running mean, summed over the copies, with noise by
    the update's key.
    """
    copies = jax.tree.map(lambda *leaves: jnp.stack(leaves), *params.values())
    noise = (jax.random.key_data(key)[0] % 7).astype(batch.inputs.dtype) / 70

    def of_one(params):
        unit = batch.inputs @ params["w"] + params["b"][None]
        mean = jnp.average(unit, axis=0, weights=batch.weights)
        residual = jnp.tanh(unit - mean[None]) + noise - batch.targets
        squares = jnp.sum(residual**2, axis=1)
        return jnp.average(squares, weights=batch.weights), mean

    fits, means = jax.vmap(of_one)(copies)
    moved = 0.9 * state["mean"] + 0.1 * jnp.mean(means, axis=0)
    state = {"mean": moved, "key": jax.random.fold_in(state["key"], 1)}
    return jnp.sum(fits), state


def observe(state, train):
    """A warm state, which begins as the parameters and follows them."""
    state = jax.tree.map(lambda old, new: 0.5 * (old + new), state, train.params)
    return state, {"average": state, "step": train.step}


PROBE = learn.Probe(lambda params: params, observe)


def experiment(names, **given):
    """Families side by side under an average, so that what is evaluated is not what
    descends.
    """
    given = {"batches": learn.in_order(DATA, 5), "probe": PROBE} | given
    family = learn.averaged(side_by_side(names))
    return learn.training(started(names), loss, family, **given)


def bits(tree):
    def leaf(x):
        is_key = jnp.issubdtype(x.dtype, jax.dtypes.prng_key)
        raw = np.asarray(jax.random.key_data(x) if is_key else x)
        return str(x.dtype), raw.shape, raw.tobytes()

    return [leaf(x) for x in jax.tree.leaves(tree)], str(jax.tree.structure(tree))


class Memory(NamedTuple):
    """A `keep` whose process ends after each saving, and begins again."""

    saved: dict[str, list[dict[str, np.ndarray]]]
    turn: Callable[[int], int] = lambda left: 1

    def __call__(self, name, compute):
        while True:
            try:
                return compute()
            except Interruption:
                continue

    @contextmanager
    def checkpoints(self, stage):
        history = self.saved.setdefault(stage, [])

        def save(arrays, progress):
            assert 0 < progress <= 1
            history.append(jax.tree.map(np.array, arrays))
            if progress < 1:
                raise Interruption

        def latest():
            return history[-1] if history else None

        yield Checkpoints(latest, self.turn, lambda: True, save)


def interrupted_everywhere(training, hypers, block=None, **given):
    """Asserts that both are `sweep`: what is never interrupted, and what ends after
    each block; and returns the runs, and what was saved.
    """
    runs = learn.sweep(training, hypers, **given)
    expected = bits(runs)
    swept = segmenting(training, hypers, **given, block=block)
    assert bits(swept("runs", lambda name, compute: compute())) == expected
    memory = Memory({})
    assert bits(swept("runs", memory)) == expected
    return runs, memory.saved


def grid():
    """Three runs, the last of which diverges."""
    usual = learn.grid(learn.Hyper, lr=[0.1], seed=range(2))
    return learn.joined([usual, learn.grid(learn.Hyper, lr=[3e38], seed=[1])])


@pytest.fixture(scope="module")
def several():
    """A sweep of two chunks, the last padded, of runs of four blocks and two
    evaluations; and the same in segments.
    """
    training = experiment(FEW, steps=2 * 34, every=34)
    runs = learn.sweep(training, grid(), lanes=2)
    return runs, segmenting(training, grid(), lanes=2)


def test_a_sweep_that_ends_after_each_block_is_the_sweep_that_does_not(several):
    runs, swept = several
    memory = Memory({})
    assert bits(swept("runs", memory)) == bits(runs)
    saved = {stage: len(each) for stage, each in memory.saved.items()}
    assert saved == {"runs 0-1": 4, "runs 2-2": 4}
    assert (runs.diverged_at >= 0).tolist() == [False, False, True]


def test_how_many_blocks_a_call_computes_changes_no_bit(several):
    runs, swept = several
    assert bits(swept("runs", lambda name, compute: compute())) == bits(runs)
    assert bits(swept("runs", Memory({}, lambda left: min(left, 3)))) == bits(runs)


def changed(name, arrays):
    """The arrays, the one whose name holds the given part replaced by its negative."""
    (found,) = [key for key in arrays if name in key]
    return arrays | {found: -arrays[found]}


@pytest.mark.identity
@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda arrays: {}, "of another program"),
        (lambda arrays: arrays | {"more": np.ones(2)}, "of another program"),
        (lambda arrays: arrays | {"updates": np.int64(5)}, "is of other runs"),
        (lambda arrays: arrays | {"updates": np.int64(17 * 5)}, "is of other runs"),
        (partial(changed, ".hyper.lr"), "is of other runs"),
    ],
)
def test_a_checkpoint_of_another_sweep_is_refused_in_a_sentence(several, change, words):
    _, swept = several
    memory = Memory({})
    swept("runs", memory)
    first, *_ = memory.saved["runs 0-1"]
    other = Memory({"runs 0-1": [change(first)]})
    with pytest.raises(InputError, match=words):
        swept("runs", other)


class Failing(NamedTuple):
    """A `keep` whose first chunk fails as soon as the second has begun, which is slow
    and saves nothing unless it must.
    """

    saved: dict[str, list[dict[str, np.ndarray]]]
    begun: threading.Event

    def __call__(self, name, compute):
        return compute()

    @contextmanager
    def checkpoints(self, stage):
        def turn(left):
            if stage == "runs 0-1":
                assert self.begun.wait(60)
                raise Interruption
            self.begun.set()
            time.sleep(0.2)
            return 1

        def save(arrays, progress):
            assert progress < 1
            self.saved[stage] = [jax.tree.map(np.array, arrays)]

        yield Checkpoints(lambda: None, turn, lambda: False, save)


def test_where_a_chunk_fails_the_others_are_saved_and_waited_for(several):
    runs, swept = several
    failing = Failing({}, threading.Event())
    with pytest.raises(Interruption):
        swept("runs", failing)
    assert failing.saved.keys() == {"runs 2-2"}
    assert bits(swept("runs", Memory(failing.saved))) == bits(runs)


@pytest.mark.identity
def test_blocks_fit_between_two_probes():
    for every, length in ((4, 4), (34, 17), (37, 1), (64, 32), (100, 25)):
        training = experiment(("sgd",), steps=3 * every, every=every)
        assert blocks.blocks(training).total == 3 * every // length


@pytest.mark.identity
def test_blocks_that_are_not_known_or_do_not_fit_are_refused():
    training = experiment(("sgd",), steps=12, every=4)
    other = training._replace(run=lambda state, data: training.run(state, data))
    with pytest.raises(InputError, match="give `block=`"):
        blocks.blocks(other)
    for steps, every in ((8, 4), (6, 2), (16, 4)):
        with pytest.raises(InputError, match="give a divisor"):
            blocks.blocks(other, experiment(("sgd",), steps=steps, every=every))
    assert blocks.blocks(other, experiment(("sgd",), steps=4, every=4)).total == 3


@pytest.mark.identity
def test_what_is_asked_of_storage_is_what_storage_on_disk_offers():
    assert OnDisk._fields == Checkpoints._fields


def everywhere(training, hypers, block=None, **given):
    """Asserts that a sweep in segments, interrupted after each, is the sweep."""
    swept = segmenting(training, hypers, block=block, **given)
    runs = learn.sweep(training, hypers, **given)
    assert bits(swept("runs", Memory({}))) == bits(runs)


@pytest.mark.stress
def test_every_family_resumes_at_every_boundary():
    everywhere(experiment(tuple(learn.OPTIMIZERS), steps=12, every=4), grid(), lanes=2)


@pytest.mark.stress
def test_runs_alone_in_float64_on_data_of_their_own_resume():
    with jax.enable_x64(True):
        wide = Batch(*(leaf.astype(np.float64) for leaf in DATA))
        batches = learn.split_anew(wide, train=12, test=4, size=5)
        training = experiment(("adam", "muon"), batches=batches, steps=9, every=9)
        hypers = learn.grid(learn.Hyper, lr=[0.1], seed=range(2))
        everywhere(training, hypers, lanes=1)


@pytest.mark.stress
@pytest.mark.device  # in a hurry, the two programs share no bits
@pytest.mark.parametrize("lanes", [1, 3])
def test_accumulated_gradients_and_batch_normalisation_resume(lanes):
    """Periods differ from run to run, and the last update of an epoch is smaller."""
    model = problem.batch_normalised((4, 2), jax.nn.relu, kept=0.5)
    loss = problem.training_loss(model, problem.mse)
    make = partial(
        accumulated,
        problem.start(model, INPUTS[:5]),
        loss,
        learn.adam,
        learn.shuffled(DATA, 5),
        probe=PROBE,
    )
    hypers = learn.grid(learn.Hyper, lr=[0.1], seed=range(3))
    hypers = with_period(hypers, np.array([1, 2, 3], np.int32))
    training, block = (make(epochs=Epochs(passes)) for passes in (3, 1))
    everywhere(training, hypers, block, lanes=lanes)
