"""A batch over devices: the gradient of all examples, by one all-reduce, on any number
of devices.
"""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxml import learn, mesh, parallel, problem
from jaxml.learn.training.sweep import Beginnings
from jaxml.record.runs.stages import storing
from jaxml.types import Batch, InputError

DRAW = np.random.default_rng(0)
DECAY = 0.1
WEIGHTS = np.array([1.0, 0.5, 2.0, 1.0, 0.25, 1.0, 0.0, 1.5, 0.0, 0.0])
"""Ragged, and on four devices the last part of three has none."""

LINE = Batch(DRAW.standard_normal((10, 3)), DRAW.standard_normal(10), WEIGHTS)
COLLECTIVE = re.compile(
    r"= .*? (all-reduce|all-gather|all-to-all|collective-permute|reduce-scatter"
    r"|collective-broadcast)(?:-start)?\("
)


def collectives(compiled):
    """The collective operations of a program; those of a scan's body count once."""
    return COLLECTIVE.findall(compiled.as_text())


def squares(params, state, batch, key):
    """Weighted least squares with decay; the state is a mean and a count, and the loss
    draws a number.
    """
    total = jnp.sum(batch.weights)
    residual = jnp.dot(jnp.asarray(batch.inputs), params) - batch.targets
    drawn = jax.random.uniform(key, dtype=params.dtype)
    value = jnp.vdot(batch.weights, jnp.square(residual)) / total
    state = {
        "mean": jnp.vdot(batch.weights, batch.targets) / total,
        "count": state["count"] + jnp.int32(1),
    }
    return value + DECAY * jnp.vdot(params, params) + drawn, state


@pytest.mark.oracle
@pytest.mark.parametrize("devices", [1, 2, 4])
def test_loss_gradient_and_state_are_those_of_all_examples(devices):
    params = np.array([0.3, -0.2, 0.5])
    key = jax.random.key(7)
    with jax.enable_x64(True):
        state = {"mean": jnp.float64(5.0), "count": jnp.int32(3)}
        divided = learn.data_parallel(squares, devices)
        function = jax.jit(jax.value_and_grad(divided, has_aux=True))
        (value, after), gradient = function(jnp.asarray(params), state, LINE, key)
        parts = np.array_split(np.append(WEIGHTS, [0.0] * (-10 % devices)), devices)
        shares = np.array([part.sum() for part in parts]) / WEIGHTS.sum()
        keys = [jax.random.fold_in(key, index) for index in range(devices)]
        drawn = [float(jax.random.uniform(each, dtype=np.float64)) for each in keys]
    residual = LINE.inputs @ params - LINE.targets
    squared = WEIGHTS @ residual**2 / WEIGHTS.sum() + DECAY * params @ params
    slope = 2 * LINE.inputs.T @ (WEIGHTS * residual) / WEIGHTS.sum()
    np.testing.assert_allclose(value, squared + shares @ drawn, rtol=1e-13)
    np.testing.assert_allclose(gradient, slope + 2 * DECAY * params, rtol=1e-12)
    mean = WEIGHTS @ LINE.targets / WEIGHTS.sum()
    np.testing.assert_allclose(after["mean"], mean, rtol=1e-13)
    assert after["count"] == 4


def convolved(params, state, batch, key):
    """A native convolution, averaged over its places, as logits."""
    shape = ("NHWC", "HWIO", "NHWC")
    inputs = jnp.asarray(batch.inputs)
    outputs = jax.lax.conv_general_dilated(
        inputs, params, (1, 1), "SAME", dimension_numbers=shape
    )
    losses = problem.cross_entropy(jnp.mean(outputs, axis=(1, 2)), batch.targets)
    return problem.losses.weighted_mean(losses, batch.weights), state


@pytest.mark.invariance
def test_an_update_needs_one_all_reduce_and_leaves_what_one_device_does():
    """All of training: shuffled batches, a ragged last one, a native convolution."""
    data = problem.examples(
        DRAW.standard_normal((12, 4, 4, 1), np.float32),
        DRAW.integers(3, size=12, dtype=np.int32),
    )

    def ran(loss, devices):
        def start(key):
            return jax.random.normal(key, (3, 3, 1, 3)), ()

        batches = learn.shuffled(data, 5)
        training = learn.training(start, loss, learn.sgd, batches, steps=6)
        state = learn.first_state(training, learn.Hyper(lr=0.1))
        given = mesh.replicated((state, data), mesh.of(devices))
        compiled = jax.jit(training.run).lower(*given).compile()
        return collectives(compiled), compiled(*given)

    _, (alone, trace) = ran(convolved, 1)
    exchanged, (together, other) = ran(learn.data_parallel(convolved, 4), 4)
    assert exchanged == ["all-reduce"]
    np.testing.assert_allclose(other.loss, trace.loss, rtol=1e-5)
    np.testing.assert_allclose(together.params, alone.params, atol=1e-5)


@pytest.mark.invariance
def test_a_checkpoint_of_four_devices_goes_on_with_two(tmp_path):
    data = jax.tree.map(np.float32, LINE)

    def start(key):
        state = {"mean": jnp.float32(0.0), "count": jnp.int32(0)}
        return jax.random.normal(key, (3,)), state

    def training(devices):
        loss = learn.data_parallel(squares, devices)
        return learn.training(start, loss, learn.sgd, learn.full(data), steps=1)

    def advancing(devices):
        step, over = jax.jit(training(devices).step), mesh.of(devices)

        def advanced(state):
            given = mesh.replicated(data, over)
            state = mesh.replicated(state, over)
            for _ in range(2):
                state, _ = step(state, given)
            return state

        return advanced

    four, two = advancing(4), advancing(2)
    half = four(learn.first_state(training(4), learn.Hyper(lr=0.05)))
    keep, _ = storing(tmp_path, lambda line: None)
    keep("half", lambda: half)
    keep, stages = storing(tmp_path, lambda line: None)
    restored = keep("half", lambda: pytest.fail("it was not stored"))
    assert stages["half"].kept
    ended, whole = two(restored), four(half)
    assert (int(ended.step), int(ended.model_state["count"])) == (4, 4)
    np.testing.assert_allclose(ended.params, whole.params, rtol=1e-5)


def plain(params, state, batch, key):
    residual = jnp.dot(jnp.asarray(batch.inputs), params) - batch.targets
    return problem.losses.weighted_mean(jnp.square(residual), batch.weights), state


def normal(key):
    return jax.random.normal(key, (3,)), ()


@pytest.mark.oracle
def test_lanes_and_examples_share_one_sweep():
    """Two groups of two devices, against gradient descent in NumPy; one all-reduce an
    update.
    """
    data = jax.tree.map(np.float32, LINE)
    loss = learn.data_parallel(plain)
    training = learn.training(normal, loss, learn.sgd, learn.full(data), steps=4)
    grid = learn.grid(learn.Hyper, lr=[0.1, 0.01], seed=range(2))
    program = learn.compiled_in_groups(training, grid, lanes=1, examples=2)
    found = learn.run(program, training, grid)
    assert [place.id for place in program.places] == [0, 2]
    assert collectives(program.executables[0].args[0]) == ["all-reduce"]
    for run, (rate, seed) in enumerate(zip(grid.lr, grid.seed, strict=True)):
        key = jax.random.fold_in(jax.random.key(seed), 0)
        params = np.asarray(jax.random.normal(key, (3,)), np.float64)
        for _ in range(4):
            residual = LINE.inputs @ params - LINE.targets
            slope = 2 * LINE.inputs.T @ (WEIGHTS * residual) / WEIGHTS.sum()
            params = params - rate * slope
        np.testing.assert_allclose(found.params[run], params, rtol=1e-4)


@pytest.mark.stress
@pytest.mark.invariance
def test_a_grouped_sweep_resumes_with_other_groups():
    """Chunks of two groups of two, the others of one group of four, and a sweep of one
    device each: equal up to rounding, and what was kept bit for bit.
    """
    data = jax.tree.map(np.float32, LINE)
    batches = learn.shuffled(data, 8)

    def training(loss):
        return learn.training(normal, loss, learn.momentum, batches, steps=4)

    grid = learn.grid(learn.Hyper, lr=[0.1, 0.01], seed=range(3))
    expected = learn.sweep(training(plain), grid, lanes=2)
    divided = training(learn.data_parallel(plain))
    stored = {}

    def keep(name, compute):
        if name not in stored:
            stored[name] = compute()
        return stored[name]

    found = learn.grouped_sweep(divided, grid, lanes=2, examples=2, keep=keep)
    assert len(stored) == 3
    del stored["runs 2-3"]
    resumed = learn.grouped_sweep(divided, grid, lanes=2, examples=4, keep=keep)
    for runs in (found, resumed):
        np.testing.assert_allclose(runs.params, expected.params, atol=1e-6)
        np.testing.assert_allclose(runs.trace.loss, expected.trace.loss, rtol=1e-5)
    kept = found.params[[0, 1, 4, 5]], resumed.params[[0, 1, 4, 5]]
    assert kept[0].tobytes() == kept[1].tobytes()


@pytest.mark.stress
@pytest.mark.invariance
def test_groups_that_compute_at_once_do_not_wait_for_one_another():
    """Fifty times ten chunks on two groups, whose devices meet in every update."""
    data = jax.tree.map(np.float32, LINE)
    loss = learn.data_parallel(plain)
    training = learn.training(normal, loss, learn.sgd, learn.full(data), steps=6)
    grid = learn.grid(learn.Hyper, lr=[0.1, 0.01], seed=range(5))
    program = learn.compiled_in_groups(training, grid, lanes=1, examples=2)
    params, state = jax.vmap(normal)(jax.random.split(jax.random.key(0), 10))
    beginnings = Beginnings(grid, params, state)
    found = [parallel.gathered(program, beginnings, data) for _ in range(50)]
    assert len({each.params.tobytes() for each in found}) == 1


@pytest.mark.identity
def test_what_cannot_be_divided_is_refused():
    divided = learn.data_parallel(squares, 2)
    with pytest.raises(InputError, match="A tuple cannot be divided"):
        divided(np.ones(3), {}, (1.0, 2.0), jax.random.key(0))
    with pytest.raises(InputError, match="over 64 of 4 devices in 1 processes"):
        mesh.of(64)
    with pytest.raises(InputError, match="A group of 5 devices cannot be made of 4"):
        mesh.groups(5)
    assert [group.size for group in mesh.groups(3)] == [3]
