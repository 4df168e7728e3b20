"""From a module to products, spectra and layers: NNX, Equinox and hand-written
networks, against a float64 Hessian by differences.
"""

import importlib.util
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from jaxml import curvature, problem
from jaxml.types import Batch

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


def in_nnx(batch):
    model = problem.from_nnx(Net)
    params, state = model.init(KEY, batch.inputs)
    objective = problem.objective(model, problem.cross_entropy, state=state)
    return objective, params, batch, "first/kernel"


def in_nnx_training(batch):
    model = problem.from_nnx(Net)
    params, state = model.init(KEY, batch.inputs)
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
HESSIANS = {}


@pytest.fixture(autouse=True)
def double():
    with jax.enable_x64(True):
        yield


@pytest.mark.oracle
@pytest.mark.parametrize("name", ENTRANCES)
def test_from_a_module_to_spectra(name):
    objective, params, batch, layer = ENTRANCES[name](Batch(*oracles.at(float)[1]))
    product = curvature.hessian_product(objective, params, batch)
    ends = curvature.extremes(product, params, count=1, depth=16, key=KEY)
    part = curvature.restricted_product(product, params, layer.__eq__)
    of_layer = curvature.extremes(*part, count=1, depth=8, key=KEY)

    matrix = oracles.by_differences(objective, params, batch)
    HESSIANS[name] = matrix
    leaves = jax.tree.leaves(params)
    paths = curvature.leaf_paths(params)
    inside = np.repeat([path == layer for path in paths], [x.size for x in leaves])
    spectrum = np.linalg.eigvalsh((matrix + matrix.T) / 2)
    block = (matrix + matrix.T)[inside][:, inside] / 2
    scale = np.abs(spectrum).max()
    for found, expected in ((ends, spectrum), (of_layer, np.linalg.eigvalsh(block))):
        np.testing.assert_allclose(found.values, expected[[0, -1]], atol=1e-7 * scale)


@pytest.mark.identity
def test_the_modes_of_batch_normalisation_bend_otherwise():
    """In training mode the length of the normalised kernel does not matter, so that its
    block of the Hessian takes it to minus its gradient.
    """
    entrances = {name: ENTRANCES[name] for name in ("nnx", "nnx in training")}
    left = {}
    for name, entrance in entrances.items():
        objective, params, batch, layer = entrance(oracles.at(float)[1])
        at = curvature.restricted(objective, params, layer.__eq__)
        gradient, image = jax.jvp(
            lambda p: jax.grad(at.function)(p, batch), (at.params,), (at.params,)
        )
        sums = jax.tree.map(jnp.add, gradient, image)
        left[name] = float(
            jnp.linalg.norm(jax.tree.leaves(sums)[0])
            / jnp.linalg.norm(jax.tree.leaves(gradient)[0])
        )
    assert left["nnx in training"] < 1e-8
    assert left["nnx"] > 0.1
