"""A deeper network with the function of a shallow one."""

from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxml.problem import (
    before_the_block,
    deepened,
    mlp,
    residual,
    with_zero_blocks,
)
from jaxml.types import InputError

pytestmark = pytest.mark.invariance

INPUTS = np.random.default_rng(0).normal(size=(7, 4)).astype(np.float32)


def _drawn(*sizes):
    """Normal parameters of `mlp`, inputs first."""
    draws = np.random.default_rng(1)
    params = {}
    for index, (rows, columns) in enumerate(pairwise(sizes)):
        kernel = draws.normal(size=(rows, columns)).astype(np.float32)
        bias = draws.normal(size=columns).astype(np.float32)
        params[f"layer_{index:02}"] = {
            "kernel": jnp.asarray(kernel),
            "bias": jnp.asarray(bias),
        }
    return params


def _outputs(model, params):
    return model.apply(params, {}, INPUTS, train=False, key=None)[0]


@pytest.mark.parametrize(
    ("shallow", "deep"),
    [
        ((5, 3), (5, 5, 3)),
        ((6, 5, 3), (8, 5, 7, 6, 3)),
        ((3,), (6, 3)),
        ((3,), (9, 7, 6, 3)),
    ],
)
def test_the_deeper_network_has_the_same_function(shallow, deep):
    params = _drawn(4, *shallow)
    deeper = deepened(params, deep)
    expected = _outputs(mlp(shallow, jax.nn.relu), params)
    outputs = _outputs(mlp(deep, jax.nn.relu), deeper)
    np.testing.assert_allclose(outputs, expected, atol=1e-5)


def test_a_linear_network_is_deepened_by_layers_that_do_nothing():
    params = _drawn(4, 5, 3)
    deeper = deepened(params, (5, 6, 3), jax.nn.identity)
    expected = _outputs(mlp((5, 3), jax.nn.identity), params)
    outputs = _outputs(mlp((5, 6, 3), jax.nn.identity), deeper)
    np.testing.assert_allclose(outputs, expected, atol=1e-5)


def test_blocks_that_add_nothing_change_no_bit():
    shallow, deep = (
        residual(6, blocks, 3, normalise=before_the_block) for blocks in (1, 3)
    )
    ends = {"first": _drawn(4, 6), "last": _drawn(6, 3)}
    params = {**ends, "block_00": _drawn(6, 6, 6)}
    deeper = with_zero_blocks(params, 2, key=jax.random.key(2))
    np.testing.assert_array_equal(_outputs(deep, deeper), _outputs(shallow, params))
    added = deeper["block_02"]
    assert np.any(added["layer_00"]["kernel"]) and not np.any(
        added["layer_01"]["kernel"]
    )


def test_what_cannot_be_deepened_is_refused():
    params = _drawn(4, 5, 3)
    with pytest.raises(InputError, match="tanh changes"):
        deepened(params, (5, 5, 3), jnp.tanh)
    with pytest.raises(InputError, match="Layer 1 of width 4"):
        deepened(params, (5, 4, 3))
    with pytest.raises(InputError, match="outputs"):
        deepened(params, (5, 5, 2))
    with pytest.raises(InputError, match="outputs"):
        deepened(params, (3,))
    with pytest.raises(InputError, match="Layer 0 of width 5"):
        deepened(_drawn(4, 3), (5, 3))
    with pytest.raises(InputError, match="residual"):
        with_zero_blocks(params, 1, key=jax.random.key(0))
