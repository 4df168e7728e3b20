"""Training and sweeps: scans equal loops, runs do not touch, a run continued is a run
uninterrupted.
"""

from functools import partial

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxml import learn, memory, tree
from jaxml.types import Batch, InputError

STEPS = 12


def data():
    generator = np.random.default_rng(0)
    inputs = generator.normal(size=(10, 3)).astype(np.float32)
    return Batch(
        inputs, inputs @ np.ones((3, 1), np.float32) + 1, np.ones(10, np.float32)
    )


def start(key):
    return {"w": jax.random.normal(key, (3, 1)), "b": jnp.zeros(1)}, {}


def loss(params, state, batch, key):
    residual = (batch.inputs @ params["w"] + params["b"][None] - batch.targets)[:, 0]
    return jnp.sum(batch.weights * residual**2) / jnp.sum(batch.weights), state


def experiment(**given):
    settings = {"steps": STEPS} | given
    return learn.training(
        start,
        loss,
        partial(learn.adam, shape=learn.cosine),
        learn.shuffled(data(), 4),
        **settings,
    )


def sweep(lanes, training=None, **axes):
    return learn.sweep(
        training or experiment(),
        learn.grid(learn.Hyper, horizon=[STEPS], **axes),
        lanes=lanes,
    )


def equal(a, b):
    return all(
        np.array_equal(x, y, equal_nan=True)
        for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    )


@pytest.mark.device
@pytest.mark.oracle
def test_gradient_descent_on_least_squares_follows_its_closed_recursion():
    x, y, w = (
        np.array([[1.0, 2.0], [3.0, -1.0], [0.5, 1.0]]),
        np.array([1.0, 0.0, 2.0]),
        np.zeros(2),
    )
    batch = Batch(*(a.astype(np.float32) for a in (x, y, np.ones(3))))

    def objective(params, batch):
        return jnp.mean((batch.inputs @ params - batch.targets) ** 2)

    descent = learn.descend(
        objective,
        learn.sgd(learn.Hyper(lr=0.05)),
        jnp.zeros(2),
        batch,
        steps=30,
        observe=lambda p: p,
    )
    for path in np.asarray(descent.observed):
        np.testing.assert_allclose(path, w, rtol=1e-5, atol=1e-6)
        w = w - 0.05 * 2 * x.T @ (x @ w - y) / 3
    np.testing.assert_allclose(descent.params, w, rtol=1e-5)


@pytest.mark.invariance
def test_descended_for_a_traced_number_of_steps_ends_where_descend_passes():
    def objective(params, scale):
        return jnp.sum(scale * params**4)

    momentum = learn.momentum(learn.Hyper(lr=0.1))
    first, scale = jnp.array([1.0, -0.5]), jnp.array([1.0, 2.0])

    def end(steps):
        return learn.descended(objective, momentum, first, scale, steps=steps)

    counts = jnp.array([0, 1, 7])
    path = learn.descend(
        objective, momentum, first, scale, steps=8, observe=lambda p: p
    ).observed
    np.testing.assert_allclose(jax.vmap(end)(counts), path[counts], rtol=1e-6)


@pytest.mark.device
@pytest.mark.invariance
def test_the_scan_equals_a_python_loop_of_steps():
    training = experiment(every=3)
    hyper = learn.Hyper(lr=0.1, horizon=float(STEPS), seed=3)
    begun = learn.first_state(training, hyper)
    end, trace = jax.jit(training.run)(begun, training.data)
    state, losses, batches = begun, [], learn.shuffled(data(), 4)
    for step in range(STEPS):
        batch = batches.draw(training.data, jax.random.fold_in(begun.key, 1), step)
        state, info = jax.jit(training.step)(state, batch)
        losses.append(info.loss)
    np.testing.assert_allclose(trace.loss, np.stack(losses), rtol=1e-5)
    chex.assert_trees_all_close(end.params, state.params, rtol=1e-5)


@pytest.mark.device
@pytest.mark.invariance
def test_a_run_continued_equals_the_uninterrupted_one_bit_for_bit():
    whole, half = experiment(every=3), experiment(steps=STEPS // 2, every=3)
    hyper = learn.Hyper(lr=0.1, horizon=float(STEPS), seed=1)
    begun = learn.first_state(whole, hyper)
    end, _ = jax.jit(whole.run)(begun, whole.data)
    resumed = begun
    for _ in range(2):
        resumed, _ = jax.jit(half.run)(resumed, half.data)
    assert equal(end.params, resumed.params) and equal(end.opt_state, resumed.opt_state)


@pytest.mark.device
@pytest.mark.invariance
def test_lanes_under_vmap_equal_runs_alone():
    together, alone = (
        sweep(6, lr=[0.01, 0.1], seed=range(3)),
        sweep(1, lr=[0.01, 0.1], seed=range(3)),
    )
    np.testing.assert_allclose(together.trace.loss, alone.trace.loss, rtol=2e-4)


@pytest.mark.device
@pytest.mark.invariance
def test_chunks_and_their_padding_do_not_change_a_run():
    chunked, whole = (
        sweep(4, lr=[0.01, 0.1], seed=range(3)),
        sweep(4, lr=[0.01], seed=range(3)),
    )
    assert chunked.trace.loss.shape == (6, STEPS)
    np.testing.assert_allclose(chunked.trace.loss[:3], whole.trace.loss, rtol=2e-4)


@pytest.mark.device
@pytest.mark.invariance
def test_a_diverged_run_is_frozen_and_its_neighbours_keep_their_bits():
    training = learn.training(
        start, loss, learn.sgd, learn.shuffled(data(), 4), steps=STEPS
    )
    with_it = learn.sweep(
        training, learn.grid(learn.Hyper, lr=[0.01, 1e18, 0.05]), lanes=3
    )
    without = learn.sweep(
        training, learn.grid(learn.Hyper, lr=[0.01, 0.02, 0.05]), lanes=3
    )
    assert with_it.diverged_at[0] == with_it.diverged_at[2] == -1
    assert 0 <= with_it.diverged_at[1] < STEPS
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(with_it.params))
    pick = [0, 2]
    assert equal(with_it.trace.loss[pick], without.trace.loss[pick])
    assert equal(
        jax.tree.map(lambda leaf: leaf[pick], with_it.params),
        jax.tree.map(lambda leaf: leaf[pick], without.params),
    )


def poisoned():
    """The data in order, four a batch, with one example of nan: each third batch, from
    step 1, is bad.
    """
    inputs, targets, weights = data()
    inputs = inputs[:12].copy()
    inputs[5] = np.nan
    return learn.in_order(Batch(inputs, targets[:12], weights[:12]), 4)


def skipping(family, steps=STEPS, batches=None):
    training = learn.training(start, loss, family, batches or poisoned(), steps=steps)
    return learn.sweep(training, learn.grid(learn.Hyper, lr=[0.05]), lanes=1)


def zeroing(hyper):
    return optax.chain(optax.zero_nans(), optax.sgd(hyper.lr))


def tolerant(hyper):
    return optax.apply_if_finite(optax.sgd(hyper.lr), 3)


@pytest.mark.device
@pytest.mark.oracle
@pytest.mark.parametrize("family", [zeroing, tolerant])
def test_a_chain_that_skips_bad_steps_goes_on(family):
    """Against gradient descent in NumPy that leaves out the bad batches."""
    runs = skipping(family)
    assert runs.diverged_at.tolist() == [-1]
    params = jax.tree.map(
        lambda leaf: np.asarray(leaf, float), start(initial_key(0))[0]
    )
    inputs, targets, _ = (np.asarray(field, float) for field in poisoned().data)
    for step in range(STEPS):
        index = step % 3 * 4 + np.arange(4)
        index = index[index < len(inputs)]
        x, y = inputs[index], targets[index]
        if np.isfinite(x).all():
            residual = x @ params["w"] + params["b"] - y
            gradients = {"w": 2 * x.T @ residual / len(x), "b": 2 * residual.mean(0)}
            params = {name: params[name] - 0.05 * gradients[name] for name in params}
    for name, leaf in params.items():
        np.testing.assert_allclose(runs.params[name][0], leaf, rtol=1e-4, atol=1e-6)


def initial_key(seed):
    return jax.random.fold_in(jax.random.key(seed), 0)


@pytest.mark.device
@pytest.mark.invariance
def test_a_plain_chain_is_frozen_at_the_first_bad_step():
    runs, before = skipping(learn.sgd), skipping(learn.sgd, steps=1)
    assert runs.diverged_at.tolist() == [1] and before.diverged_at.tolist() == [-1]
    assert equal(runs.params, before.params)


@pytest.mark.identity
def test_a_loss_that_stays_bad_for_good_has_diverged_where_it_became_bad():
    """The chain skips each step from 0 on, so the parameters are finite; yet nothing
    was learned.
    """
    inputs, targets, weights = data()
    everywhere = learn.full(Batch(np.full_like(inputs, np.nan), targets, weights))
    runs = skipping(zeroing, batches=everywhere)
    assert runs.diverged_at.tolist() == [0]
    assert equal(runs.params["w"][0], start(initial_key(0))[0]["w"])


@pytest.mark.identity
def test_a_finite_gradient_of_a_loss_that_is_not_finite_freezes_at_once():
    def overflowing(params, state, batch, key):
        return loss(params, state, batch, key)[0] + jnp.float32(np.inf), state

    training = learn.training(
        start, overflowing, learn.sgd, learn.full(data()), steps=3
    )
    runs = learn.sweep(training, learn.grid(learn.Hyper, lr=[0.05]), lanes=1)
    assert runs.diverged_at.tolist() == [0]
    assert equal(runs.params["w"][0], start(initial_key(0))[0]["w"])


@pytest.mark.identity
def test_a_run_that_diverges_at_its_very_first_step_is_frozen():
    """Its parameters overflow at step 0; what follows leaves them where they began."""
    training = learn.training(start, loss, learn.sgd, learn.full(data()), steps=4)
    runs = learn.sweep(training, learn.grid(learn.Hyper, lr=[3e38, 0.05]), lanes=2)
    assert runs.diverged_at.tolist() == [0, -1]
    assert equal(runs.params["w"][0], start(initial_key(0))[0]["w"])
    assert not equal(runs.params["w"][1], start(initial_key(0))[0]["w"])
    assert np.all(runs.trace.loss[0] == runs.trace.loss[0, 0])


@pytest.mark.invariance
def test_a_bad_step_that_is_skipped_leaves_the_state_of_the_model():
    """A running mean of the inputs, which one example of nan would spoil for ever."""

    def averaging(params, state, batch, key):
        return loss(params, {}, batch, key)[0], {
            "mean": 0.5 * state["mean"] + 0.5 * jnp.mean(batch.inputs)
        }

    def begin(key):
        return start(key)[0], {"mean": jnp.zeros(())}

    training = learn.training(begin, averaging, zeroing, poisoned(), steps=STEPS - 1)
    runs = learn.sweep(training, learn.grid(learn.Hyper, lr=[0.05]), lanes=1)
    assert np.isfinite(runs.model_state["mean"]).all()


@pytest.mark.device
@pytest.mark.identity
def test_hyperparameters_stay_float32_under_bfloat16():
    """β₂ = 0.999 is 1 in bfloat16, and Adam divides by 1 - β₂ᵗ."""
    narrow = Batch(*(jnp.asarray(field, jnp.bfloat16) for field in data()))

    def begin(key):
        return jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16), start(key)[0]), {}

    training = learn.training(begin, loss, learn.adam, learn.full(narrow), steps=40)
    begun = learn.first_state(training, learn.Hyper(lr=0.1))
    assert begun.hyper.second_moment == np.float32(0.999)
    runs = learn.sweep(training, learn.grid(learn.Hyper, lr=[0.05]), lanes=1)
    assert runs.diverged_at.tolist() == [-1]
    assert runs.params["w"].dtype == jnp.bfloat16
    assert runs.trace.loss[0, -1].astype(float) < 0.1 * runs.trace.loss[0, 0].astype(
        float
    )


@pytest.mark.identity
@pytest.mark.parametrize(
    ("axes", "sentence"),
    [
        (
            {"clip": [1e-9, 1e9]},
            "the grid varies clip, which the optimizer does not read",
        ),
        ({"horizon": [0.0]}, "reads the horizon, and none is given"),
    ],
)
def test_an_unread_hyperparameter_or_a_missing_horizon_is_refused(axes, sentence):
    grid = learn.grid(learn.Hyper, **{"lr": [0.1], "horizon": [STEPS]} | axes)
    with pytest.raises(InputError, match=sentence):
        experiment().check(grid)


@pytest.mark.identity
def test_a_grid_that_is_read_passes_also_where_only_the_probe_reads_it():
    def seen(state, train):
        return state, train.hyper.radius * train.params["b"]

    radii = learn.grid(
        learn.Hyper, lr=[0.1, 0.2], radius=[0.0, 1.0], horizon=[STEPS], seed=range(2)
    )
    assert experiment(probe=learn.Probe(lambda params: (), seen)).check(radii) is radii
    with pytest.raises(InputError, match="varies radius"):
        experiment().check(radii)


@pytest.mark.compiles_once
def test_a_grid_of_hyperparameters_traces_its_loss_once_a_program():
    traces = []

    def counted(*arguments):
        traces.append(None)
        return loss(*arguments)

    training = learn.training(
        start, counted, learn.momentum, learn.shuffled(data(), 4), steps=STEPS
    )
    sweep(4, training, lr=[0.01, 0.1, 0.2], momentum=[0.0, 0.9], seed=range(2))
    assert len(traces) == 1, (
        "12 runs in 3 chunks must share one trace: look for a Python number in the "
        "family"
    )


@pytest.mark.identity
def test_probes_run_after_every_k_steps_and_carry_their_state():
    counting = learn.Probe(
        lambda params: jnp.int32(0),
        lambda count, state: (count + 1, (count, state.step)),
    )
    training = experiment(every=4, probe=counting)
    _, trace = jax.jit(training.run)(
        learn.first_state(training, learn.Hyper(lr=0.1, horizon=float(STEPS))),
        training.data,
    )
    count, step = trace.probed
    assert count.tolist() == [0, 1, 2]
    assert step.tolist() == [4, 8, 12]


@pytest.mark.identity
def test_the_gradient_norm_probe_sees_all_data():
    def objective(params, batch):
        return loss(params, {}, batch, None)[0]

    training = experiment(every=STEPS, probe=learn.gradient_norm(objective, data()))
    begun = learn.first_state(training, learn.Hyper(lr=0.1, horizon=float(STEPS)))
    end, trace = jax.jit(training.run)(begun, training.data)
    np.testing.assert_allclose(
        trace.probed[0], tree.norm(jax.grad(objective)(end.params, data())), rtol=1e-5
    )


@pytest.mark.invariance
def test_both_precisions_start_from_the_same_network_and_run_alike():
    single = sweep(2, lr=[0.05], seed=range(2))
    with jax.enable_x64(True):
        wide = Batch(*(np.asarray(field, np.float64) for field in data()))
        training = learn.training(
            lambda key: (
                jax.tree.map(lambda leaf: leaf.astype(jnp.float64), start32(key)),
                {},
            ),
            loss,
            partial(learn.adam, shape=learn.cosine),
            learn.shuffled(wide, 4),
            steps=STEPS,
        )
        double = sweep(2, training, lr=[0.05], seed=range(2))
    assert double.trace.loss.dtype == np.float64
    np.testing.assert_allclose(single.trace.loss, double.trace.loss, rtol=1e-4)


def start32(key):
    return {
        "w": jax.random.normal(key, (3, 1), jnp.float32),
        "b": jnp.zeros(1, jnp.float32),
    }


@pytest.mark.identity
def test_every_chunk_passes_through_keep():
    names = []

    def keep(name, compute):
        names.append(name)
        return compute()

    grid = learn.grid(learn.Hyper, lr=[0.1], horizon=[STEPS], seed=range(5))
    learn.sweep(experiment(), grid, lanes=2, keep=keep)
    assert names == ["runs 0-1", "runs 2-3", "runs 4-4"]


@pytest.mark.identity
@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: experiment(every=5), "choose a divisor of 12"),
        (lambda: sweep(0, lr=[0.1]), "choose 1 or more"),
        (lambda: sweep(2, lr=[-0.1]), "lr must not be negative"),
        (lambda: sweep(2, lr=[np.nan]), "lr must be finite"),
        (lambda: sweep(2, lr=[0.1], momentum=[1.0]), r"momentum must lie in \[0, 1\)"),
        (
            lambda: sweep(2, lr=[0.1], warmup=[12.5]),
            "a warm-up of 12.5 updates outlasts the horizon of 12",
        ),
        (
            lambda: learn.sweep(
                experiment(), learn.grid(learn.Hyper, lr=[0.1], horizon=[13.0]), lanes=1
            ),
            "a horizon of 13 updates outlasts the run of 12",
        ),
        (
            lambda: learn.sweep(
                experiment(), learn.grid(learn.Hyper, lr=[0.1], warmup=[13.0]), lanes=1
            ),
            "a warmup of 13 updates outlasts the run of 12",
        ),
        (lambda: sweep(2, lr=[]), "the axis lr of the grid is empty"),
    ],
)
def test_what_cannot_run_is_refused_in_a_sentence(call, sentence):
    with pytest.raises(InputError, match=sentence):
        call()


@pytest.mark.identity
def test_a_sweep_too_large_for_memory_is_refused_before_it_starts(monkeypatch):
    monkeypatch.setattr(memory, "host_bytes", lambda: 2400)
    with pytest.raises(InputError, match="let at most 2 of them advance together"):
        sweep(4, lr=[0.1], seed=range(4))
