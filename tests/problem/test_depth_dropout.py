"""Deep networks with dropout: against loops written out, and what is drawn."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxml import problem

KEY = jax.random.key(3)
INPUTS = np.linspace(-1, 1, 12, dtype=np.float32).reshape(4, 3)
P = 0.75
"""Of dropout; 1 / (1 - p) is 4."""


def network(layers: int, width: int = 5):
    return problem.deep_mlp_with_dropout(
        width, 3, 2, jnp.tanh, layers=layers, dropout=P
    )


def affine(layer, values):
    return values @ layer["kernel"] + layer["bias"]


@pytest.mark.oracle
@pytest.mark.parametrize("layers", [1, 3])
def test_evaluation_passes_the_first_layers_and_drops_nothing(layers: int) -> None:
    model = network(layers)
    params, state = model.init(KEY, INPUTS)
    params = jax.tree.map(lambda leaf: np.asarray(leaf + 0.1, np.float64), params)
    found = [
        model.apply(params, state, INPUTS, train=train, key=key)[0]
        for train, key in ((False, KEY), (True, None))
    ]
    values = np.tanh(affine(params["first"], INPUTS))
    for place in range(layers - 1):
        own = {name: leaf[place] for name, leaf in params["hidden"].items()}
        values = np.tanh(affine(own, values))
    for each in found:
        np.testing.assert_allclose(each, affine(params["last"], values), rtol=1e-5)


@pytest.mark.statistics
@pytest.mark.parametrize("layers", [1, 2])
def test_training_drops_values_of_each_passed_layer_and_scales_the_rest(
    layers: int,
) -> None:
    """A sum of the last layer's values tells how many stayed: each is 4 tanh(b)."""
    width, rows = 40, 400
    model = network(layers, width)
    inputs = np.zeros((rows, 3), np.float32)
    params, state = model.init(KEY, inputs)
    params = jax.tree.map(jnp.zeros_like, params)
    params["first"]["bias"] += 0.5
    params["hidden"]["bias"] += 0.5
    params["last"]["kernel"] += 1.0
    train = jax.jit(partial(model.apply, train=True))
    sums = np.asarray(train(params, state, inputs, key=KEY)[0])[:, 0]
    stayed = sums / (4 * np.tanh(0.5))
    np.testing.assert_allclose(stayed, np.round(stayed), atol=1e-4)
    error = np.sqrt(P * (1 - P) / (width * rows))
    assert abs(stayed.mean() / width - (1 - P)) < 4 * error
    assert len(np.unique(np.round(stayed))) > 5, "each example has masks of its own"


@pytest.mark.statistics
def test_values_between_layers_are_dropped_too() -> None:
    """Two layers, the second of which repeats the first: what passes both masks."""
    width, rows = 40, 400
    model = problem.deep_mlp_with_dropout(
        width, 2, 2, lambda values: values, layers=2, dropout=P
    )
    inputs = np.ones((rows, 3), np.float32)
    params, state = model.init(KEY, inputs)
    params = jax.tree.map(jnp.zeros_like, params)
    params["first"]["bias"] += 1.0
    params["hidden"]["kernel"] += jnp.eye(width)[None]
    params["last"]["kernel"] += 1.0
    train = jax.jit(partial(model.apply, train=True))
    sums = np.asarray(train(params, state, inputs, key=KEY)[0])[:, 0]
    both = sums / 16
    np.testing.assert_allclose(both, np.round(both), atol=1e-4)
    chance = (1 - P) ** 2
    error = np.sqrt(chance * (1 - chance) / (width * rows))
    assert abs(both.mean() / width - chance) < 4 * error


@pytest.mark.invariance
def test_depth_and_dropout_may_be_traced() -> None:
    params, state = network(2).init(KEY, INPUTS)

    @jax.jit
    def traced(layers, dropout):
        model = problem.deep_mlp_with_dropout(
            5, 3, 2, jnp.tanh, layers=layers, dropout=dropout
        )
        return model.apply(params, state, INPUTS, train=True, key=KEY)[0]

    plain = network(2).apply(params, state, INPUTS, train=True, key=KEY)[0]
    np.testing.assert_allclose(traced(2, P), plain, rtol=1e-5, atol=1e-6)
