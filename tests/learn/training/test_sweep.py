"""Sweeps of any pytrees through storage, and the memory that they say and take."""

import subprocess
import sys
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from jaxml import learn, memory
from jaxml.learn.training import gathering
from jaxml.parallel import bytes_of
from jaxml.record.runs.stages import plain_keep, storing
from jaxml.types import Batch, InputError

STEPS = 8
INPUTS = np.random.default_rng(0).normal(size=(16, 3)).astype(np.float32)
DATA = Batch(INPUTS, INPUTS[:, :1], np.ones(16, np.float32))


@jax.tree_util.register_pytree_with_keys_class
class Layer:
    """A module of one's own, registered with JAX: arrays as children, the rest beside
    them.
    """

    def __init__(self, weight, bias, activation="tanh"):
        self.weight, self.bias, self.activation = weight, bias, activation

    def __call__(self, x):
        return getattr(jnp, self.activation)(x @ self.weight) + self.bias

    def tree_flatten_with_keys(self):
        key = jax.tree_util.GetAttrKey
        return ((key("weight"), self.weight), (key("bias"), self.bias)), self.activation

    @classmethod
    def tree_unflatten(cls, activation, children):
        return cls(*children, activation)


class Net(nnx.Module):
    def __init__(self, rngs):
        self.inner, self.outer = (
            nnx.Linear(3, 4, rngs=rngs),
            nnx.Linear(4, 1, rngs=rngs),
        )

    def __call__(self, x):
        return self.outer(jnp.tanh(self.inner(x)))


def modules(key):
    return Layer(jax.random.normal(key, (3, 1)), jnp.zeros((1, 1)))


def states(key):
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        return nnx.split(Net(nnx.Rngs(key)))[1]


def of_states(params, inputs):
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        graph = nnx.split(nnx.eval_shape(lambda: Net(nnx.Rngs(0))))[0]
        return nnx.merge(graph, params)(inputs)


NETWORKS = {
    "module": (modules, lambda params, x: params(x)),
    "state": (states, of_states),
}


def experiment(begin, apply, **given):
    """Least squares; the model's state holds typed keys, and the probe sees a record of
    its own.
    """

    class Seen(NamedTuple):
        loss: Any
        params: Any

    def loss(params, state, batch, key):
        residual = apply(params, batch.inputs) - batch.targets
        return jnp.mean(residual**2), {"keys": jax.random.split(state["keys"][0], 2)}

    def observe(state, train):
        return state, Seen(
            loss(train.params, train.model_state, DATA, None)[0], train.params
        )

    return learn.training(
        lambda key: (begin(key), {"keys": jax.random.split(key, 2)}),
        loss,
        learn.adam,
        learn.shuffled(DATA, 4),
        **{"steps": STEPS, "every": 4, "probe": learn.Probe(lambda params: (), observe)}
        | given,
    )


def bits(tree):
    def leaf(x):
        is_key = jnp.issubdtype(x.dtype, jax.dtypes.prng_key)
        raw = np.asarray(jax.random.key_data(x) if is_key else x)
        return str(x.dtype), raw.shape, raw.tobytes()

    return [leaf(x) for x in jax.tree.leaves(tree)], str(jax.tree.structure(tree))


def never():
    raise AssertionError("computed again")


@pytest.mark.invariance
@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.stress
def test_parameters_of_any_registered_class_pass_through_storage(tmp_path, name):
    """Stored and resumed, they are those of a sweep that stores nothing: class,
    structure and bits.
    """
    training = experiment(*NETWORKS[name])
    sweep = partial(
        learn.sweep,
        training,
        learn.grid(learn.Hyper, lr=[0.1, 0.01], seed=range(2)),
        lanes=3,
    )
    stored = sweep(keep=storing(tmp_path, lambda line: None)[0])
    keep, stages = storing(tmp_path, lambda line: None)
    resumed = sweep(keep=lambda name, compute: keep(name, never))
    assert all(stage.kept for stage in stages.values()) and len(stages) == 2
    plain = sweep()
    for runs in (stored, resumed, sweep(keep=plain_keep)):
        assert bits(runs) == bits(plain)
    begin, apply = NETWORKS[name]
    assert type(plain.params) is type(begin(jax.random.key(0)))
    alone = jax.tree.map(lambda leaf: leaf[2], plain.params)
    assert apply(alone, INPUTS).shape == (16, 1)
    assert type(plain.trace.probed).__name__ == "Seen"
    assert plain.trace.probed.loss.shape == (4, 2)


@pytest.mark.device
@pytest.mark.oracle
@pytest.mark.parametrize("implementation", ["threefry2x32", "rbg"])
def test_typed_keys_of_every_implementation_are_gathered(implementation):
    """A state of keys that each update leaves alone comes back as the seeds' own."""

    def derived(key):
        return jax.random.key(
            jax.random.bits(key, (), jnp.uint32).astype(jnp.int32), impl=implementation
        )

    training = learn.training(
        lambda key: (jnp.ones(2), derived(key)),
        lambda params, state, batch, key: (jnp.sum(params**2), state),
        learn.sgd,
        learn.full(DATA),
        steps=2,
    )
    found = learn.sweep(
        training, learn.grid(learn.Hyper, lr=[0.1], seed=range(5)), lanes=3
    ).model_state
    for seed in range(5):
        expected = derived(jax.random.fold_in(jax.random.key(seed), 0))
        assert jax.random.key_impl(found) == jax.random.key_impl(expected)
        np.testing.assert_array_equal(
            jax.random.key_data(found[seed]), jax.random.key_data(expected)
        )


@pytest.mark.identity
@pytest.mark.parametrize("stored", [None, {}, [1], {"0 [0]": np.ones(2)}])
def test_a_chunk_of_another_program_is_refused_in_a_sentence(stored):
    training = experiment(*NETWORKS["module"])
    with pytest.raises(InputError, match="'runs 0-1' is of another program"):
        learn.sweep(
            training,
            learn.grid(learn.Hyper, lr=[0.1, 0.2]),
            lanes=2,
            keep=lambda name, compute: stored,
        )


@pytest.mark.identity
def test_a_chunk_of_another_shape_or_dtype_is_refused_in_a_sentence():
    training = experiment(*NETWORKS["module"])
    for change in (lambda x: x[:, :1] if x.ndim > 1 else x, lambda x: x.view(np.int8)):

        def keep(name, compute, change=change):
            return {place: change(array) for place, array in compute().items()}

        with pytest.raises(InputError, match="is of another program"):
            learn.sweep(
                training, learn.grid(learn.Hyper, lr=[0.1, 0.2]), lanes=2, keep=keep
            )


@pytest.mark.identity
def test_a_sweep_over_what_is_not_read_is_refused():
    training = experiment(*NETWORKS["module"])
    with pytest.raises(InputError, match="clip, which the optimizer does not read"):
        learn.sweep(
            training, learn.grid(learn.Hyper, lr=[0.1], clip=[1e-9, 1e9]), lanes=2
        )


def recording(entries, steps=4):
    """A run that records so many float32 numbers at every step."""
    probe = learn.Probe(
        lambda params: (), lambda state, train: (state, jnp.full(entries, train.params))
    )

    def loss(params, state, batch, key):
        return params**2, state

    begin = lambda key: (jnp.ones(()), {})  # noqa: E731
    return learn.training(
        begin, loss, learn.sgd, learn.full(DATA), steps=steps, every=1, probe=probe
    )


def seeded(count):
    return learn.grid(learn.Hyper, lr=[0.1], seed=range(count))


@pytest.mark.oracle
def test_the_bytes_of_a_program_are_those_of_its_arrays():
    """x ↦ x + 1 of n float32 numbers: n in, n out, nothing between."""
    program = jax.jit(lambda x: x + 1).lower(np.ones(1000, np.float32)).compile()
    assert bytes_of(program) == 8000


@pytest.mark.oracle
def test_gathered_bytes_count_every_run():
    """Parameters, divergence, loss and gradient norm of 4 steps, and 4 x 100 numbers:
    of each run.
    """
    program = learn.compiled(recording(100), seeded(2), lanes=2)
    assert gathering.bytes_of(program.outputs, 10) == 10 * 4 * (1 + 1 + 4 + 4 + 4 * 100)


@pytest.mark.oracle
def test_a_sweep_needs_a_chunk_at_its_peak_one_that_waits_and_the_outputs_of_all(
    monkeypatch,
):
    """With a byte less it is refused, before the first chunk; with as much it runs. All
    initial parameters wait on the host too.
    """
    training, hypers = recording(1000), seeded(10)
    program = learn.compiled(training, hypers, lanes=2, devices=1)
    each = 4 * (1 + 1 + 4 + 4 + 4 * 1000)
    needed = program.bytes + 2 * each + 10 * (each + 4)
    assert needed > 2 * program.bytes
    monkeypatch.setattr(memory, "host_bytes", lambda: needed - 1)
    names = []

    def keep(name, compute):
        names.append(name)
        return compute()

    with pytest.raises(
        InputError, match=r"A sweep of 10 runs.*sweep fewer runs at a time"
    ):
        learn.run(program, training, hypers, keep=keep)
    assert names == []
    monkeypatch.setattr(memory, "host_bytes", lambda: needed)
    learn.run(program, training, hypers, keep=keep)
    assert len(names) == 5


MEASURED = """
import pathlib
import jax.numpy as jnp
import numpy as np
from jaxml import learn
from jaxml.learn.training import gathering
from jaxml.types import Batch

DATA = Batch(*(np.zeros((4, 1), np.float32),) * 2, np.ones(4, np.float32))
probe = learn.Probe(
    lambda params: (), lambda state, train: (state, jnp.full(2**20, train.params))
)
training = learn.training(
    lambda key: (jnp.ones(()), {}),
    lambda params, state, batch, key: (params**2, state),
    learn.sgd, learn.full(DATA), steps=4, every=1, probe=probe,
)
small = learn.grid(learn.Hyper, lr=[0.1], seed=range(4))
program = learn.compiled(training, small, lanes=4)
at_once = len(program.places)
waiting = gathering.bytes_of(program.outputs, 4)
said = at_once * (program.bytes + waiting) + gathering.bytes_of(program.outputs, 12)
def kernel(field):
    status = pathlib.Path("/proc/self/status").read_text()
    return 1024 * int(status.split(field)[1].split()[0])

before = kernel("VmRSS:")
runs = learn.run(program, training, learn.grid(learn.Hyper, lr=[0.1], seed=range(12)))
assert (runs.trace.probed[:, 0] != 0).all()
print(said, kernel("VmHWM:") - before)
"""


@pytest.mark.statistics
def test_the_memory_that_a_sweep_says_is_what_it_takes():
    """12 runs of 16 MiB in chunks of 4, in a process of its own: within a third of the
    kernel's peak.
    """
    command = [sys.executable, "-c", MEASURED]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    said, taken = map(int, output.split())
    assert taken > 192 * 2**20
    assert 0.75 < said / taken < 1.5
