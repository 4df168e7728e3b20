"""Networks normalised in front of each activation, against NumPy."""

import jax
import numpy as np
import pytest

from jaxml import problem
from jaxml.types import InputError


def test_values_in_training_are_those_of_the_equation():
    model = problem.normalised_dense(problem.batch_norm(), (5, 3), outputs=2)
    inputs = np.random.default_rng(0).normal(size=(7, 4)).astype(np.float32)
    params, state = model.init(jax.random.key(1), inputs)

    values = inputs.astype(np.float64)
    for linear, norm in (("layer_00", "layer_01"), ("layer_03", "layer_04")):
        kernel, bias = _weights(params[linear])
        values = values @ kernel + bias
        values = (values - values.mean(axis=0)) / np.sqrt(values.var(axis=0) + 1e-5)
        gamma, beta = params[norm]["scale"], params[norm]["bias"]
        values = np.maximum(np.asarray(gamma) * values + np.asarray(beta), 0)
    kernel, bias = _weights(params["layer_06"])
    expected = values @ kernel + bias

    found, _ = model.apply(params, state, inputs, train=True, key=None)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def _weights(layer):
    return [
        np.asarray(layer["layer_00"][name], np.float64) for name in ("kernel", "bias")
    ]


def test_scale_multiplies_hidden_kernels_alone():
    inputs = np.ones((2, 4), np.float32)
    plain, large = [
        problem.normalised_dense(problem.chain(), (3,), outputs=2, scale=scale).init(
            jax.random.key(0), inputs
        )[0]
        for scale in (1.0, 3.0)
    ]
    ratios = [
        _weights(large[name])[0] / _weights(plain[name])[0]
        for name in ("layer_00", "layer_03")
    ]
    np.testing.assert_allclose(ratios[0], 3, rtol=1e-6)
    np.testing.assert_array_equal(ratios[1], 1)


def test_activation_is_the_one_given():
    model = problem.normalised_dense(
        problem.chain(), (3,), outputs=1, activation=jax.nn.sigmoid
    )
    inputs = np.full((2, 2), 0.5, np.float32)
    params, state = model.init(jax.random.key(3), inputs)
    kernel, bias = _weights(params["layer_00"])
    hidden = 1 / (1 + np.exp(-(inputs @ kernel + bias)))
    kernel, bias = _weights(params["layer_03"])
    found, _ = model.apply(params, state, inputs, train=False, key=None)
    np.testing.assert_allclose(found, hidden @ kernel + bias, rtol=1e-5)


def test_a_width_below_one_is_refused():
    with pytest.raises(InputError, match="widths"):
        problem.normalised_dense(problem.batch_norm(), (3, 0), outputs=2)
