"""A deeper network with the function of a shallow one."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxml.problem import (
    before_the_block,
    deepened,
    linear,
    mlp,
    residual,
    with_zero_blocks,
)
from jaxml.types import InputError

pytestmark = pytest.mark.invariance

INPUTS = np.random.default_rng(0).normal(size=(7, 4)).astype(np.float32)


def _outputs(model, params):
    return model.apply(params, {}, INPUTS, train=False, key=None)[0]


@pytest.mark.parametrize(
    ("shallow", "deep"),
    [
        ((5, 3), (5, 5, 3)),
        ((5, 3), (8, 6, 5, 3)),
        ((6, 5, 3), (6, 5, 7, 9, 3)),
        ((5, 3), (5, 3)),
        ((3,), (6, 3)),
        ((3,), (9, 7, 6, 3)),
    ],
)
def test_the_deeper_network_has_the_same_function(shallow, deep):
    params, _ = mlp(shallow, jax.nn.relu).init(jax.random.key(1), INPUTS)
    params = jax.tree.map(lambda leaf: leaf + 0.1, params)
    model = mlp(deep, jax.nn.relu)
    deeper = deepened(params, deep)
    drawn, _ = jax.eval_shape(model.init, jax.random.key(0), INPUTS)
    assert jax.tree.map(jnp.shape, deeper) == jax.tree.map(
        lambda leaf: leaf.shape, drawn
    )
    expected = _outputs(mlp(shallow, jax.nn.relu), params)
    np.testing.assert_allclose(_outputs(model, deeper), expected, atol=3e-6)


def test_a_linear_network_is_deepened_by_layers_that_do_nothing():
    params, _ = mlp((5, 3), jax.nn.identity).init(jax.random.key(1), INPUTS)
    deeper = deepened(params, (5, 6, 3), jax.nn.identity)
    expected = _outputs(mlp((5, 3), jax.nn.identity), params)
    outputs = _outputs(mlp((5, 6, 3), jax.nn.identity), deeper)
    np.testing.assert_allclose(outputs, expected, atol=3e-6)


def test_blocks_that_add_nothing_change_no_bit_and_have_a_gradient():
    shallow, deep = (
        residual(6, blocks, 3, normalise=before_the_block) for blocks in (1, 3)
    )
    params, _ = shallow.init(jax.random.key(1), INPUTS)
    deeper = with_zero_blocks(params, 2, key=jax.random.key(2))
    np.testing.assert_array_equal(_outputs(deep, deeper), _outputs(shallow, params))
    gradient = jax.grad(lambda own: jnp.sum(_outputs(deep, own) ** 2))(deeper)
    assert jnp.any(gradient["block_02"]["layer_01"]["kernel"] != 0)


def test_what_cannot_be_deepened_is_refused():
    params, _ = mlp((5, 3), jnp.tanh).init(jax.random.key(1), INPUTS)
    with pytest.raises(InputError, match="tanh changes"):
        deepened(params, (5, 5, 3), jnp.tanh)
    with pytest.raises(InputError, match="Layer 1 of width 4"):
        deepened(params, (5, 4, 3))
    with pytest.raises(InputError, match="outputs"):
        deepened(params, (5, 5, 2))
    with pytest.raises(InputError, match="outputs"):
        deepened(params, (3,))
    line, _ = linear(3).init(jax.random.key(1), INPUTS)
    with pytest.raises(InputError, match="Layer 0 of width 5"):
        deepened(line, (5, 3))
    with pytest.raises(InputError, match="residual"):
        with_zero_blocks(params, 1, key=jax.random.key(0))
