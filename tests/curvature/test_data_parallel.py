"""An objective over devices against logistic regression's Hessian in closed form."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxml import curvature, mesh
from jaxml.types import Batch

DRAW = np.random.default_rng(0)
DECAY = 0.1
WEIGHTS = np.where(np.arange(10) < 6, DRAW.random(10), 0.0)
"""On four devices, the last two parts have none."""

BATCH = Batch(
    DRAW.standard_normal((10, 3)), DRAW.integers(2, size=10).astype(float), WEIGHTS
)
POINT = {"b": np.array([0.4]), "w": np.array([0.3, -0.2, 0.5])}


def logistic(params, batch):
    inputs, weights = jnp.asarray(batch.inputs), jnp.asarray(batch.weights)
    logits = jnp.dot(inputs, params["w"]) + params["b"][0]
    losses = jax.nn.softplus(logits) - batch.targets * logits
    penalty = jnp.vdot(params["w"], params["w"]) + jnp.vdot(params["b"], params["b"])
    return jnp.vdot(weights, losses) / jnp.sum(weights) + DECAY * penalty


def exchanged(compiled):
    pattern = r" (all-reduce|all-gather|all-to-all|collective-permute)(?:-start)?\("
    return re.findall(pattern, compiled.as_text())


@pytest.mark.oracle
@pytest.mark.parametrize(("devices", "placed"), [(2, False), (4, True)])
def test_gradient_and_hessian_are_those_of_all_examples(devices, placed):
    features = np.column_stack([np.ones(10), BATCH.inputs])
    theta = np.append(POINT["b"], POINT["w"])
    probabilities = 1 / (1 + np.exp(-features @ theta))
    shares = WEIGHTS / WEIGHTS.sum()
    slope = features.T @ (shares * (probabilities - BATCH.targets)) + 2 * DECAY * theta
    bend = shares * probabilities * (1 - probabilities)
    hessian = features.T @ (bend[:, None] * features) + 2 * DECAY * np.eye(4)
    with jax.enable_x64(True):
        objective = curvature.data_parallel(logistic, devices)
        over = mesh.of(devices)
        batch = (mesh.divided if placed else mesh.replicated)(BATCH, over)
        point = mesh.replicated(POINT, over)
        gradient = jax.jit(jax.grad(objective)).lower(point, batch).compile()
        found = gradient(point, batch)
        matrix = curvature.dense(
            curvature.hessian_product(objective, point, batch), point
        )
        assert exchanged(gradient) == ["all-reduce"] * 2
    np.testing.assert_allclose(np.append(found["b"], found["w"]), slope, rtol=1e-12)
    np.testing.assert_allclose(matrix, hessian, rtol=1e-12)


@pytest.mark.identity
def test_divided_examples_lie_in_the_memory_of_one_device_each():
    batch = mesh.divided(BATCH, mesh.of(4))
    assert len(batch.weights) == 12 and batch.weights[10:].tolist() == [0.0, 0.0]
    assert [len(shard.data) for shard in batch.inputs.addressable_shards] == [3] * 4
