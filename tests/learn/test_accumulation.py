"""Accumulated gradients: an update is that of the whole batch, and ends with the
epoch.
"""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxml import learn
from jaxml.learn.accumulation import (
    Epochs,
    accumulated,
    updates_at,
    with_period,
)
from jaxml.learn.orders import whole_batches
from jaxml.learn.training.state import start_key
from jaxml.types import Batch, InputError

EXAMPLES, MICRO, EPOCHS = 10, 3, 3
LR, MOMENTUM, DECAY = 0.05, 0.8, 0.1
EPSILON = np.finfo(np.float64).eps


def data():
    generator = np.random.default_rng(0)
    inputs = generator.normal(size=(EXAMPLES, 4))
    targets = np.tanh(inputs @ generator.normal(size=(4, 4)))
    weights = generator.uniform(0.5, 2.0, EXAMPLES)
    weights[4] = 0
    return Batch(inputs, targets, weights)


def stream(size, drop=False):
    batches = learn.in_order(data(), size)
    return whole_batches(batches, EXAMPLES, size) if drop else batches


def run(training, hyper):
    state = learn.first_state(training, hyper)
    return jax.jit(training.run)(state, training.data)


def centred_start(key):
    del key
    return {"w": jnp.arange(4.0) / 4, "b": jnp.ones(())}, {"mean": jnp.zeros(())}


def centred_loss(params, state, batch, key):
    """A unit that subtracts its batch's mean, as batch normalisation does, and keeps a
    running one; a penalty that no example weighs.
    """
    unit = batch.inputs @ params["w"]
    mean = jnp.average(unit, weights=batch.weights)
    residual = unit - mean + params["b"] - batch.targets[:, 0]
    fit = jnp.average(residual**2, weights=batch.weights)
    penalty = 0.5 * DECAY * jnp.sum(params["w"] ** 2)
    return fit + penalty, {"mean": 0.9 * state["mean"] + 0.1 * mean}


def numpy_micro_batch(w, b, rows):
    """Loss, gradient, weight and mean of the same on some rows, by hand."""
    batch = data()
    x, y = batch.inputs[rows], batch.targets[rows, 0]
    p = batch.weights[rows] / batch.weights[rows].sum()
    residual = x @ w - p @ (x @ w) + b - y
    gradient = 2 * (p * residual) @ (x - p @ x) + DECAY * w, 2 * p @ residual
    loss = p @ residual**2 + 0.5 * DECAY * w @ w
    return loss, gradient, batch.weights[rows].sum(), p @ (x @ w)


def numpy_run(period, drop):
    """Gradient descent with momentum, from the definition: micro-batches are collected
    until there are `period` of them or the epoch ends; their weighted mean is stepped
    along.
    """
    w, b, mean = np.arange(4) / 4, 1.0, 0.0
    kept_mean, velocity, losses = 0.0, np.zeros(5), []
    length = EXAMPLES // MICRO if drop else -(-EXAMPLES // MICRO)
    for _ in range(EPOCHS):
        collected, mean = [], kept_mean
        for turn in range(length):
            rows = np.arange(turn * MICRO, min((turn + 1) * MICRO, EXAMPLES))
            loss, (for_w, for_b), weight, seen = numpy_micro_batch(w, b, rows)
            collected.append((weight, loss, np.append(for_w, for_b)))
            mean = 0.9 * mean + 0.1 * seen
            complete = len(collected) == period
            if complete or (turn == length - 1 and not drop):
                total = sum(weight for weight, _, _ in collected)
                gradient = sum(weight * part for weight, _, part in collected) / total
                losses.append(
                    sum(weight * loss for weight, loss, _ in collected) / total
                )
                velocity = MOMENTUM * velocity + gradient
                w, b = w - LR * velocity[:4], b - LR * velocity[4]
                collected, kept_mean = [], mean
    return w, b, kept_mean, np.array(losses)


@pytest.mark.oracle
@pytest.mark.parametrize("drop", [False, True])
def test_a_run_is_gradient_descent_by_weighted_means_of_micro_batches(drop):
    """All terms are of order one, sums have at most ten, and 12 updates at this rate
    contract: so the error is a few hundred roundings.
    """
    periods = np.array([1, 2, 3, 4, 50], np.int32)
    with jax.enable_x64(True):
        training = accumulated(
            centred_start,
            centred_loss,
            learn.momentum,
            stream(MICRO, drop),
            epochs=Epochs(EPOCHS, drop),
        )
        grid = learn.grid(learn.Hyper, lr=[LR] * 5, momentum=MOMENTUM)
        runs = learn.sweep(training, with_period(grid, periods), lanes=5)
    for row, period in enumerate(periods):
        w, b, mean, losses = numpy_run(period, drop)
        within = updates_at(
            stream(MICRO, drop).per_epoch, int(period), drop_remainder=drop
        )
        found = runs.trace.loss[row].reshape(EPOCHS, -1)[:, within].ravel()
        for ours, theirs in (
            (runs.params["w"][row], w),
            (runs.params["b"][row], b),
            (runs.model_state["mean"][row], mean),
            (found, losses),
        ):
            np.testing.assert_allclose(ours, theirs, rtol=0, atol=500 * EPSILON)


def net_start(key):
    first, second = jax.random.split(key)
    params = {
        "in": jax.random.normal(first, (4, 4)),
        "bias": jnp.full(4, 0.1),
        "out": jax.random.normal(second, (4, 4)),
    }
    return params, {}


def net_loss(params, state, batch, key):
    hidden = jnp.tanh(batch.inputs @ params["in"] + params["bias"][None])
    errors = jnp.sum((hidden @ params["out"] - batch.targets) ** 2, axis=1)
    return jnp.average(errors, weights=batch.weights), state


def whole(family, period, drop=False, loss=net_loss, start=net_start):
    batches = stream(MICRO * period, drop)
    steps = EPOCHS * batches.per_epoch
    return learn.training(start, loss, family, batches, steps=steps)


def in_parts(family, drop=False, loss=net_loss, start=net_start, epochs=EPOCHS):
    return accumulated(
        start, loss, family, stream(MICRO, drop), epochs=Epochs(epochs, drop)
    )


def farthest(one, other):
    """The largest difference of two pytrees."""
    differences = jax.tree.map(lambda a, b: np.max(np.abs(a - b)), one, other)
    return max(jax.tree.leaves(differences))


SOON = tuple(learn.OPTIMIZERS)[::3]
"""Families that `make test` asks; `make stress` asks all."""


@pytest.mark.invariance
@pytest.mark.parametrize(
    "name",
    [
        name if name in SOON else pytest.param(name, marks=pytest.mark.stress)
        for name in learn.OPTIMIZERS
    ],
)
def test_every_optimizer_moves_as_by_whole_batches(name):
    require_moved_as_by_whole_batches(name, drop=False)


@pytest.mark.stress
@pytest.mark.invariance
@pytest.mark.parametrize("name", learn.OPTIMIZERS)
def test_every_optimizer_moves_as_by_whole_batches_without_the_remainder(name):
    require_moved_as_by_whole_batches(name, drop=True)


def require_moved_as_by_whole_batches(name, *, drop):
    """A gradient here is exact to ten roundings. Roots of small mean squares, and of
    Shampoo's nearly singular statistics, amplify them up to 10⁴ times, so 10⁵ roundings
    are tolerated; a micro-batch weighed wrongly is a tenth of an update.
    """
    family, tolerance = learn.OPTIMIZERS[name], 1e5 * EPSILON
    with jax.enable_x64(True):
        hyper = learn.Hyper(lr=jnp.float64(0.05), seed=2)
        begun, _ = net_start(start_key(2))
        expected, whole_trace = run(whole(family, 2, drop), hyper)
        end, trace = run(in_parts(family, drop), with_period(hyper, 2))
    assert end.step == expected.step == EPOCHS * (1 if drop else 2)
    assert farthest(end.params, begun) > 1e4 * tolerance
    assert farthest(end.params, expected.params) < tolerance
    places = updates_at(3 if drop else 4, 2, drop_remainder=drop)
    losses = trace.loss.reshape(EPOCHS, -1)[:, places].ravel()
    assert farthest(losses, whole_trace.loss) < tolerance


def noisy_loss(params, state, batch, key):
    value, state = net_loss(params, state, batch, key)
    return value + 0.1 * jax.random.normal(key) * jnp.sum(params["out"]), state


@pytest.mark.identity
def test_micro_batches_that_are_whole_batches_draw_the_same_noise():
    hyper = learn.Hyper(lr=0.05, seed=1)
    expected, _ = run(whole(learn.sgd, 1, loss=noisy_loss), hyper)
    found, _ = run(in_parts(learn.sgd, loss=noisy_loss), with_period(hyper, 1))
    assert farthest(found.params, expected.params) < 1e-5  # float32, nine updates


@pytest.mark.invariance
@pytest.mark.parametrize("drop", [False, True])
def test_a_run_continued_equals_the_uninterrupted_one_bit_for_bit(drop):
    hyper = with_period(learn.Hyper(lr=0.05, seed=1), 2)
    end, _ = run(in_parts(learn.adam, drop, epochs=4), hyper)
    half = in_parts(learn.adam, drop, epochs=2)
    state, _ = run(half, hyper)
    state, _ = jax.jit(half.run)(state, half.data)
    assert state.step == end.step == 4 * (1 if drop else 2)
    assert farthest((state.params, state.opt_state), (end.params, end.opt_state)) == 0


@pytest.mark.invariance
def test_a_diverged_run_is_frozen_at_an_update_and_its_neighbours_keep_their_bits():
    training = in_parts(learn.sgd, epochs=6)

    def swept(rate):
        grid = learn.grid(learn.Hyper, lr=[0.05, rate, 0.02])
        periods = np.array([1, 2, 3], np.int32)
        return learn.sweep(training, with_period(grid, periods), lanes=3)

    wild, tame = swept(1e9), swept(0.05)
    steps = [int(at) for at in wild.diverged_at]
    assert steps[0] == steps[2] == -1 and 0 < steps[1] < 12
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(wild.params))
    ours, theirs = (
        jax.tree.map(lambda leaf: leaf[::2], (runs.params, runs.trace))
        for runs in (wild, tame)
    )
    assert farthest(ours, theirs) == 0
    expected = learn.sweep(
        learn.training(net_start, net_loss, learn.sgd, stream(2 * MICRO), steps=12),
        learn.grid(learn.Hyper, lr=[1e9]),
        lanes=1,
    )
    assert steps[1] == expected.diverged_at[0]
    last_finite = expected.params["out"][0]
    np.testing.assert_allclose(wild.params["out"][1], last_finite, rtol=1e-4)


@pytest.mark.identity
def test_micro_batches_without_weight_count_for_nothing():
    """The whole batch's mean leaves them out too; a batch of nothing else has none."""
    light = data()._replace(weights=np.array([0.0] * 3 + [1.0] * 7))
    for first, lost in ((light, False), (light._replace(weights=np.zeros(10)), True)):
        with jax.enable_x64(True):
            few, many = (learn.in_order(first, size) for size in (MICRO, 2 * MICRO))
            hyper = learn.Hyper(lr=jnp.float64(0.05))
            found, _ = run(
                accumulated(net_start, net_loss, learn.sgd, few, epochs=Epochs(EPOCHS)),
                with_period(hyper, 2),
            )
            expected, _ = run(
                learn.training(net_start, net_loss, learn.sgd, many, steps=6), hyper
            )
        assert found.diverged_at == expected.diverged_at == (0 if lost else -1)
        assert farthest(found.params, expected.params) < 1e3 * EPSILON


@pytest.mark.identity
def test_an_optimizer_that_reads_the_loss_is_given_it_and_no_function():
    def with_value(transformation):
        return lambda hyper: optax.chain(transformation, optax.sgd(hyper.lr))

    plateau = optax.contrib.reduce_on_plateau(patience=1)
    hyper = learn.Hyper(lr=0.05)
    expected, _ = run(whole(with_value(plateau), 2), hyper)
    found, _ = run(in_parts(with_value(plateau)), with_period(hyper, 2))
    assert farthest(found.params, expected.params) < 1e-5  # float32, six updates
    searching = with_value(optax.scale_by_backtracking_linesearch(5))
    with pytest.raises(InputError, match="without `micro`"):
        run(in_parts(searching), with_period(hyper, 2))


@pytest.mark.identity
def test_a_grid_with_a_field_of_that_name_is_refused():
    grid = with_period(learn.grid(learn.Hyper, lr=[0.1]), np.ones(1, np.int32))
    with pytest.raises(InputError, match="another name"):
        with_period(grid, np.ones(1, np.int32))
