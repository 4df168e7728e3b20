"""Networks put together from parts, against networks written in one piece."""

from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxml import problem
from jaxml.types import InputError, Model


def noisy() -> Model:
    """Adds a standard normal number in training."""

    def init(key, inputs):
        return {}, {}

    def apply(params, state, inputs, *, train, key):
        drawn = jax.random.normal(key, inputs.shape, inputs.dtype) if train else 0.0
        return inputs + drawn, state

    return Model(init, apply)


def counting() -> Model:
    """The identity, whose state counts the examples that it has been told to count."""

    def init(key, inputs):
        return {}, {"seen": jnp.int32(0)}

    def apply(params, state, inputs, *, train, key, mask: Any = None):
        if train:
            state = {"seen": state["seen"] + jnp.sum(mask, dtype=jnp.int32)}
        return inputs, state

    return Model(init, apply)


def evaluated(model, own, inputs):
    params, state = own
    return model.apply(params, state, inputs, train=False, key=None)[0]


@pytest.mark.identity
def test_a_chain_is_the_network_written_in_one_piece():
    inputs = np.linspace(-1, 1, 12, dtype=np.float32).reshape(4, 3)
    parts = (problem.linear(5), problem.elementwise(jnp.tanh), problem.linear(2))
    network = problem.chain(*parts)
    params, state = network.init(jax.random.key(0), inputs)
    assert sorted(params) == ["layer_00", "layer_02"] and state == {}
    layers = [params[name]["layer_00"] for name in sorted(params)]
    first, last = (jax.tree.map(np.asarray, layer) for layer in layers)
    hidden = np.tanh(inputs @ first["kernel"] + first["bias"])
    expected = hidden @ last["kernel"] + last["bias"]
    found = evaluated(network, (params, state), inputs)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)


@pytest.mark.identity
def test_a_shortcut_adds_what_its_branch_gives():
    inputs = np.linspace(-1, 1, 12, dtype=np.float32).reshape(4, 3)
    block = problem.with_shortcut(problem.linear(3))
    own = block.init(jax.random.key(1), inputs)
    branch = evaluated(problem.linear(3), (own[0]["layer_00"], {}), inputs)
    assert np.array_equal(evaluated(block, own, inputs), inputs + branch)
    widened = problem.with_shortcut(problem.linear(5), problem.linear(5))
    params, state = widened.init(jax.random.key(1), inputs)
    assert sorted(params) == ["layer_00", "layer_01"]
    assert evaluated(widened, (params, state), inputs).shape == (4, 5)


@pytest.mark.invariance
def test_parts_draw_by_keys_of_their_own():
    inputs = np.zeros((2, 3), np.float32)
    network = problem.chain(noisy(), noisy())
    own = network.init(jax.random.key(0), inputs)
    keys = [jax.random.fold_in(jax.random.key(7), place) for place in range(2)]
    first, second = (jax.random.normal(key, (2, 3), jnp.float32) for key in keys)
    expected = first + second
    found, _ = network.apply(*own, inputs, train=True, key=jax.random.key(7))
    assert np.array_equal(found, expected)


@pytest.mark.identity
def test_a_part_within_parts_is_told_what_counts():
    inputs = np.zeros((3, 2), np.float32)
    network = problem.chain(
        problem.with_shortcut(problem.chain(counting())), counting()
    )
    params, state = network.init(jax.random.key(0), inputs)
    present = np.array([True, False, True])
    apply = cast(Any, network.apply)
    _, state = apply(params, state, inputs, train=True, key=None, mask=present)
    assert [int(count) for count in jax.tree.leaves(state)] == [2, 2]
    _, same = network.apply(params, state, inputs, train=False, key=None)
    assert jax.tree.map(int, same) == jax.tree.map(int, state)


def test_a_branch_of_another_shape_is_refused():
    inputs = np.zeros((4, 3), np.float32)
    block = problem.with_shortcut(problem.linear(2))
    own = block.init(jax.random.key(0), inputs)
    with pytest.raises(InputError, match="give a shortcut"):
        evaluated(block, own, inputs)
