"""Objectives: against NumPy, and the promises that weights, modes and state make."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxml import problem
from jaxml.types import Batch, Model

pytestmark = pytest.mark.identity

PRECISIONS = pytest.mark.parametrize(
    ("dtype", "tolerance"), [(np.float32, 2e-6), (np.float64, 1e-13)]
)
DRAWS = np.random.default_rng(0)
INPUTS, TARGETS = DRAWS.normal(size=(9, 4)), DRAWS.integers(0, 3, 9).astype(np.int32)
WEIGHTS = DRAWS.uniform(0.5, 2.0, 9)


def _batch(dtype, rows=slice(None)):
    return Batch(INPUTS[rows].astype(dtype), TARGETS[rows], WEIGHTS[rows].astype(dtype))


def _drawn(model, inputs):
    """Normal parameters of the model's shapes and dtype."""
    shapes, _ = jax.eval_shape(model.init, jax.random.key(0), inputs)
    draws = np.random.default_rng(1)
    return jax.tree.map(
        lambda leaf: jnp.asarray(draws.normal(size=leaf.shape) / 2, leaf.dtype), shapes
    )


@PRECISIONS
@pytest.mark.oracle
def test_the_objective_of_a_linear_model(dtype, tolerance):
    model = problem.linear(3)
    with jax.enable_x64(dtype is np.float64):
        params = _drawn(model, _batch(dtype).inputs)
        objective = problem.objective(model, problem.cross_entropy, problem.l2(0.1))
        loss = problem.training_loss(model, problem.cross_entropy, problem.l2(0.1))
        found = np.asarray(objective(params, _batch(dtype)))
        trained, after = loss(params, {}, _batch(dtype), jax.random.key(1))
        kernel, bias = (
            np.asarray(params["layer_00"][name], np.float64)
            for name in ("kernel", "bias")
        )
    logits = INPUTS @ kernel + bias
    log_softmax = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    each = -log_softmax[np.arange(9), TARGETS]
    expected = (WEIGHTS * each).sum() / WEIGHTS.sum() + 0.1 * (
        (kernel**2).sum() + (bias**2).sum()
    )
    assert found.dtype == dtype and after == {}
    np.testing.assert_allclose([found, np.asarray(trained)], expected, rtol=tolerance)


@PRECISIONS
@pytest.mark.invariance
def test_padding_changes_nothing_and_halves_add_up(dtype, tolerance):
    model = problem.mlp((5, 3), jnp.tanh)
    with jax.enable_x64(dtype is np.float64):
        whole = _batch(dtype)
        params = _drawn(model, whole.inputs)
        gradient = jax.jit(
            jax.value_and_grad(problem.objective(model, problem.cross_entropy))
        )
        rows = [0, 1, 2, 3, 4, 5, 6, 7, 8, 0, 3, 3]
        present = np.array([1] * 9 + [0] * 3, dtype)
        padded = _batch(dtype, rows)._replace(
            weights=present * WEIGHTS[rows].astype(dtype)
        )
        expected, found = gradient(params, whole), gradient(params, padded)
        early = np.arange(9) < 5
        first, second = (
            whole._replace(weights=whole.weights * half) for half in (early, ~early)
        )
        fraction = float(WEIGHTS[:5].sum() / WEIGHTS.sum())
        halves = jax.tree.map(
            lambda a, b: fraction * a + (1 - fraction) * b,
            gradient(params, first),
            gradient(params, second),
        )
        for other in (found, halves):
            jax.tree.map(
                lambda a, b: np.testing.assert_allclose(
                    a, b, rtol=10 * tolerance, atol=tolerance
                ),
                other,
                expected,
            )


def test_the_criterion_of_the_outputs_is_the_objective():
    model = problem.mlp((5, 3), jnp.tanh)
    batch = _batch(np.float32)
    params = _drawn(model, batch.inputs)
    predictions = problem.outputs(model)(params, batch)
    assert predictions.shape == (9, 3)
    expected = problem.objective(model, problem.hinge)(params, batch)
    assert problem.criterion(problem.hinge)(predictions, batch) == expected


class _Normalised(nn.Module):
    """Batch normalisation and dropout: a model with a state and with noise."""

    @nn.compact
    def __call__(self, inputs, *, train):
        values = nn.BatchNorm(use_running_average=not train, momentum=0.9)(
            nn.Dense(6)(inputs)
        )
        return nn.Dense(3)(nn.Dropout(0.5, deterministic=not train)(values))


@PRECISIONS
def test_state_and_noise_act_in_training_only(dtype, tolerance):
    model = problem.from_linen(_Normalised())
    with jax.enable_x64(dtype is np.float64):
        batch = _batch(dtype)
        params, state = jax.jit(model.init)(jax.random.key(0), batch.inputs)
        assert {leaf.dtype for leaf in jax.tree.leaves((params, state))} == {
            np.dtype(dtype)
        }
        loss = jax.jit(problem.training_loss(model, problem.cross_entropy))
        one, after = loss(params, state, batch, jax.random.key(1))
        same, _ = loss(params, state, batch, jax.random.key(1))
        other, _ = loss(params, state, batch, jax.random.key(2))
        assert one == same and one != other
        hidden = INPUTS @ np.asarray(params["Dense_0"]["kernel"], np.float64)
        statistics = after["batch_stats"]["BatchNorm_0"]
        np.testing.assert_allclose(
            statistics["mean"],
            0.1 * hidden.mean(0),
            rtol=10 * tolerance,
            atol=tolerance,
        )
        np.testing.assert_allclose(
            statistics["var"], 0.9 + 0.1 * hidden.var(0), rtol=10 * tolerance
        )
        before, later = (
            problem.objective(model, problem.hinge, state=s)(params, batch)
            for s in (state, after)
        )
        assert before != later
        kept = model.apply(params, after, batch.inputs, train=False, key=None)[1]
        jax.tree.map(np.testing.assert_array_equal, kept, after)


def test_a_model_written_by_hand_will_do():
    model = Model(
        init=lambda key, inputs: ({"w": jnp.zeros(inputs.shape[1:])}, {}),
        apply=lambda params, state, inputs, *, train, key: (
            (inputs @ params["w"])[:, None],
            state,
        ),
    )
    batch = Batch(jnp.ones((2, 3)), jnp.array([[1.0], [3.0]]), jnp.ones(2))
    params, _ = problem.start(model, batch.inputs)(jax.random.key(0))
    assert problem.objective(model, problem.mse)(params, batch) == 5.0


@pytest.mark.invariance
def test_start_is_the_same_alone_mapped_and_vmapped():
    model = problem.mlp((4, 2), jax.nn.relu)
    begin = problem.start(model, np.zeros((6, 3), np.float32))
    keys = jax.random.split(jax.random.key(0), 3)
    mapped, _ = jax.jit(lambda keys: jax.lax.map(begin, keys))(keys)
    vmapped, _ = jax.jit(jax.vmap(begin))(keys)
    for run in range(3):
        alone, _ = begin(keys[run])
        for together in (mapped, vmapped):
            jax.tree.map(
                lambda a, b, i=run: np.testing.assert_array_equal(a, b[i]),
                alone,
                together,
            )


@pytest.mark.identity
def test_an_evaluation_is_the_objective_of_one_batch():
    model, batch = (
        problem.mlp((3, 2), jnp.tanh),
        problem.examples(np.ones((4, 2), np.float32), np.zeros(4, np.int32)),
    )
    params, _ = model.init(jax.random.key(0), batch.inputs)
    judged = problem.evaluation(model, problem.cross_entropy, batch)(params)
    assert judged == problem.objective(model, problem.cross_entropy)(params, batch)
