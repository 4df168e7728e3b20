"""Blocks of the Hessian of three networks against differences of gradients."""

import importlib.util
import re
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxml.curvature import (
    dense,
    hessian_product,
    leaf_paths,
    restricted,
    restricted_product,
)
from jaxml.types import InputError


def loaded(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


oracles = loaded(Path(__file__).with_name("oracles.py"))
networks = loaded(Path(__file__).parents[1] / "networks.py")
SELECTED = {"mlp": "first|second", "cnn": "kernel", "attention": "query|value"}
TRACES = []


def counted(params, batch):
    TRACES.append(None)
    return oracles.objective(params, batch)


def unraveled(vector, like):
    """The vector in the shapes of a pytree, leaf by leaf."""
    leaves, structure = jax.tree.flatten(like)
    ends = np.cumsum([leaf.size for leaf in leaves])
    parts = np.split(vector, ends[:-1])
    shaped = [part.reshape(x.shape) for part, x in zip(parts, leaves, strict=True)]
    return jax.tree.unflatten(structure, shaped)


def raveled(x):
    return np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(x)])


@pytest.mark.oracle
def test_a_layer_is_a_block_of_the_hessian():
    with jax.enable_x64(True):
        params, batch = oracles.at(np.float64)
        inside = np.arange(oracles.THETA.size) < params["first"].size
        check_block((counted, params, batch), oracles.hessian(), inside, "first")


@pytest.mark.stress
@pytest.mark.oracle
@pytest.mark.parametrize("name", SELECTED)
def test_several_layers_are_a_block_of_the_hessian(name):
    with jax.enable_x64(True):
        problem = _, params, _ = networks.NETWORKS[name]()
        sizes = [leaf.size for leaf in jax.tree.leaves(params)]
        select = re.compile(SELECTED[name]).match
        inside = np.repeat([bool(select(path)) for path in leaf_paths(params)], sizes)
        whole = oracles.by_differences(*problem)
        check_block(problem, whole, inside, SELECTED[name])


def check_block(problem, whole, inside, pattern):
    objective, params, batch = problem
    select = re.compile(pattern).match
    assert 0 < inside.sum() < len(inside)
    vector = np.random.default_rng(0).normal(size=inside.sum())
    expected = whole[inside][:, inside] @ vector
    function, at = restricted(objective, params, select)
    own = hessian_product(function, at, batch)(unraveled(vector, at))
    all_leaves = hessian_product(objective, params, batch)
    block = restricted_product(all_leaves, params, select)
    cut_out = block.product(unraveled(vector, block.params))
    error = 1e-8 * np.abs(expected).max()
    np.testing.assert_allclose(raveled(own), expected, rtol=0, atol=error)
    np.testing.assert_allclose(raveled(cut_out), expected, rtol=0, atol=error)


@pytest.mark.compiles_once
def test_blocks_at_another_point_trace_nothing():
    with jax.enable_x64(True):
        params, batch = oracles.at(np.float64)
        found, traces = [], []
        for point in (params, jax.tree.map(np.negative, params)):
            product = hessian_product(counted, point, batch)
            at = restricted_product(product, point, "first".__eq__)
            found.append(np.asarray(dense(*at)))
            traces.append(len(TRACES))
    assert traces[0] == traces[1] > 0
    np.testing.assert_allclose(*found, rtol=1e-9)  # tanh is odd


@pytest.mark.identity
def test_leaves_outside_may_be_integers():
    params = {"steps": jnp.arange(3), "w": jnp.ones(2)}
    at = restricted(lambda p, _: jnp.sum(p["w"]), params, "w".__eq__)
    assert float(at.function(at.params, None)) == 2
    with pytest.raises(InputError, match="int32"):
        restricted(lambda p, _: jnp.sum(p["w"]), params, "steps".__eq__)


@pytest.mark.invariance
def test_no_leaf_and_a_direction_of_another_shape_are_refused():
    params, _ = oracles.at(np.float32)
    with pytest.raises(InputError, match="select some of first, second"):
        restricted(oracles.objective, params, "third".__eq__)
    at = restricted_product(lambda v: v, params, "first".__eq__)
    with pytest.raises(InputError, match="not a pytree like"):
        at.product(params)
