"""From a module to products, spectra and layers: NNX, Equinox and hand-written
networks, against a float64 Hessian by differences.
"""

import importlib.util
from functools import partial
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from jaxml import curvature, problem

_spec = importlib.util.spec_from_file_location(
    "oracles", Path(__file__).with_name("oracles.py")
)
oracles = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(oracles)
KEY = jax.random.key(0)


class Net(nnx.Module):
    """Dense layers with batch normalisation and dropout between them."""

    def __init__(self, *, rngs):
        self.first = nnx.Linear(oracles.INPUTS, oracles.HIDDEN, rngs=rngs)
        self.norm = nnx.BatchNorm(oracles.HIDDEN, epsilon=1e-12, rngs=rngs)
        self.dropout = nnx.Dropout(0.2, rngs=rngs)
        self.last = nnx.Linear(oracles.HIDDEN, oracles.CLASSES, rngs=rngs)

    def __call__(self, inputs):
        return self.last(self.dropout(jnp.tanh(self.norm(self.first(inputs)))))


def started(model, batch):
    """Parameters and averages of the model's shapes, from NumPy."""
    draw = np.random.default_rng(1)

    def drawn(leaf):
        return draw.uniform(0.5, 1.5, leaf.shape)

    return jax.tree.map(drawn, jax.eval_shape(model.init, KEY, batch.inputs))


def in_nnx(batch):
    model = problem.from_nnx(Net)
    params, state = started(model, batch)
    objective = problem.objective(model, problem.cross_entropy, state=state)
    return objective, params, batch, "first/kernel"


def in_nnx_training(batch):
    model = problem.from_nnx(Net)
    params, state = started(model, batch)
    loss = problem.training_loss(model, problem.cross_entropy)
    seen = curvature.Seen(batch, state, jax.random.key(1))
    return curvature.in_training(loss), params, seen, "first/kernel"


class Perceptron(eqx.Module):
    """One of Equinox's modules, and a function that is no array."""

    first: jax.Array
    second: jax.Array
    activation: object

    def __call__(self, x):
        return self.activation(x @ self.first) @ self.second


def in_equinox(batch):
    first, second = oracles.PARAMS.values()
    module = Perceptron(jnp.asarray(first), jnp.asarray(second), jnp.tanh)
    params, static = eqx.partition(module, eqx.is_inexact_array)

    def objective(params, batch):
        outputs = jax.vmap(eqx.combine(params, static))(batch.inputs)
        return oracles.mean_loss(outputs, batch)

    return objective, params, batch, "first"


def by_hand(batch):
    params = [jnp.asarray(leaf) for leaf in oracles.PARAMS.values()]

    def objective(params, batch):
        first, second = params
        outputs = jnp.tanh(batch.inputs @ first) @ second
        return oracles.mean_loss(outputs, batch)

    return objective, params, batch, "0"


ENTRANCES = {
    "nnx": in_nnx,
    "nnx in training": in_nnx_training,
    "equinox": in_equinox,
    "by hand": by_hand,
}
MODULES = ["nnx", "nnx in training", "equinox"]
MATTERS = {"nnx": True, "nnx in training": False}
"""Whether the loss depends on the length of the kernel before the normalisation."""


@pytest.fixture(autouse=True)
def double():
    with jax.enable_x64(True):
        yield


@pytest.mark.stress
@pytest.mark.oracle
@pytest.mark.parametrize("name", MODULES)
def test_from_a_module_to_a_hessian_product(name):
    objective, params, batch, layer = ENTRANCES[name](oracles.at(float)[1])
    product = curvature.hessian_product(objective, params, batch)
    gradient = jax.jit(jax.grad(objective))
    direction = jax.tree.map(lambda leaf: np.cos(np.asarray(leaf) * 9), params)

    def moved(leaf, along):
        return leaf + oracles.STEP * along

    def difference(right, left):
        return (right - left) / (2 * oracles.STEP)

    back = jax.tree.map(np.negative, direction)
    right, left = (
        gradient(jax.tree.map(moved, params, along), batch)
        for along in (direction, back)
    )
    expected = jax.tree.map(difference, right, left)
    image = product(direction)
    jax.tree.map(partial(np.testing.assert_allclose, atol=1e-8), image, expected)
    if name in MATTERS:
        assert (left_over(product, gradient(params, batch), params, layer) > 0.1) == (
            MATTERS[name]
        )


def left_over(product, gradient, params, layer):
    """‖H_kk k + g_k‖ / ‖g_k‖ of a kernel k: 0 where its length does not matter."""
    block = curvature.restricted_product(product, params, layer.__eq__)
    (image,) = jax.tree.leaves(block.product(block.params))
    at = curvature.leaf_paths(params).index(layer)
    own = np.asarray(jax.tree.leaves(gradient)[at])
    left = np.linalg.norm(np.asarray(image) + own) / np.linalg.norm(own)
    assert left > 0.1 or left < 1e-8
    return left


@pytest.mark.stress
@pytest.mark.oracle
@pytest.mark.parametrize("name", ENTRANCES)
def test_from_a_module_to_the_spectra_of_all_and_of_a_layer(name):
    objective, params, batch, layer = ENTRANCES[name](oracles.at(float)[1])
    product = curvature.hessian_product(objective, params, batch)
    ends = curvature.extremes(product, params, count=1, depth=16, key=KEY)
    part = curvature.restricted_product(product, params, layer.__eq__)
    of_layer = curvature.extremes(*part, count=1, depth=8, key=KEY)

    matrix = oracles.by_differences(objective, params, batch)
    matrix = (matrix + matrix.T) / 2
    leaves, paths = jax.tree.leaves(params), curvature.leaf_paths(params)
    inside = np.repeat([path == layer for path in paths], [x.size for x in leaves])
    spectrum = np.linalg.eigvalsh(matrix)
    of_block = np.linalg.eigvalsh(matrix[inside][:, inside])
    error = 1e-7 * np.abs(spectrum).max()
    for found, expected in ((ends, spectrum), (of_layer, of_block)):
        np.testing.assert_allclose(found.values, expected[[0, -1]], atol=error)
