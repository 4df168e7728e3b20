"""Dense networks: their function against NumPy, their initial distribution, both
precisions.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxml.problem import linear, mlp, polynomial, units
from jaxml.tree import size
from jaxml.types import InputError

pytestmark = pytest.mark.oracle

PRECISIONS = pytest.mark.parametrize(
    ("dtype", "tolerance"), [(np.float32, 3e-6), (np.float64, 1e-13)]
)


def _layer(params, name):
    return np.asarray(params[name]["kernel"], np.float64), np.asarray(
        params[name]["bias"], np.float64
    )


def _mlp(params, x):
    x = x.reshape(len(x), -1)
    for name in ("layer_00", "layer_01"):
        kernel, bias = _layer(params, name)
        x = np.tanh(x @ kernel + bias)
    kernel, bias = _layer(params, "layer_02")
    return x @ kernel + bias


def _linear(params, x):
    kernel, bias = _layer(params, "layer_00")
    return x.reshape(len(x), -1) @ kernel + bias


def _polynomial(params, x):
    kernel, bias = _layer(params, "layer_00")
    return sum(kernel[k] * x ** (k + 1) for k in range(4)) + bias


def _units(params, x):
    (kernel, shift), (height, bias) = _layer(params, "hidden"), _layer(params, "output")
    sums = [
        bias[0]
        + sum(
            height[i, 0] / (1 + np.exp(-(shift[i] + row @ kernel[:, i])))
            for i in range(7)
        )
        for row in x
    ]
    return np.array(sums)[:, None]


CASES = {
    "mlp": (mlp((5, 6, 3), jnp.tanh), (4, 2, 3), _mlp),
    "linear": (linear(2), (4, 2, 3), _linear),
    "polynomial": (polynomial(4), (6, 1), _polynomial),
    "units": (units(7, jax.nn.sigmoid), (5, 2), _units),
}


def _drawn(model, inputs):
    """Normal parameters of the model's shapes and dtype: a zero bias would hide a
    forgotten one.
    """
    shapes, _ = jax.eval_shape(model.init, jax.random.key(0), inputs)
    draws = np.random.default_rng(1)
    return jax.tree.map(
        lambda leaf: jnp.asarray(draws.normal(size=leaf.shape) / 2, leaf.dtype), shapes
    )


@pytest.mark.device
@PRECISIONS
@pytest.mark.parametrize("name", CASES)
def test_the_function(name, dtype, tolerance):
    model, shape, oracle = CASES[name]
    x = np.random.default_rng(0).normal(size=shape)
    with jax.enable_x64(dtype is np.float64):
        params = _drawn(model, x.astype(dtype))
        apply = jax.jit(model.apply, static_argnames="train")
        outputs, after = apply(
            params, {}, x.astype(dtype), train=True, key=jax.random.key(1)
        )
        still, _ = apply(params, {}, x.astype(dtype), train=False, key=None)
        found, expected = np.asarray(outputs), oracle(params, x)
        np.testing.assert_array_equal(found, np.asarray(still))
    assert found.dtype == dtype and after == {}
    np.testing.assert_allclose(found, expected, rtol=10 * tolerance, atol=tolerance)


@pytest.mark.invariance
@pytest.mark.parametrize("name", CASES)
def test_both_precisions_start_from_the_same_network(name):
    model, shape, _ = CASES[name]
    single, _ = jax.jit(model.init)(jax.random.key(3), np.zeros(shape, np.float32))
    with jax.enable_x64(True):
        double, _ = jax.jit(model.init)(jax.random.key(3), np.zeros(shape, np.float64))
        within, _ = jax.jit(model.init)(jax.random.key(3), np.zeros(shape, np.float32))
        jax.tree.map(np.testing.assert_array_equal, single, double)
        jax.tree.map(np.testing.assert_array_equal, single, within)
        assert {leaf.dtype for leaf in jax.tree.leaves(double)} == {
            np.dtype(np.float64)
        }
    assert {leaf.dtype for leaf in jax.tree.leaves((single, within))} == {
        np.dtype(np.float32)
    }


def test_parameters_are_plain_dicts_of_the_lecture_count():
    params, _ = linear(10).init(jax.random.key(0), np.zeros((1, 32, 32, 3), np.float32))
    assert type(params) is dict and type(params["layer_00"]) is dict
    assert size(params) == 30_730


@pytest.mark.statistics
def test_kernels_are_lecun_normal_and_biases_zero():
    params, _ = mlp((400, 50), jnp.tanh).init(
        jax.random.key(0), np.zeros((1, 100), np.float32)
    )
    for name, fan_in in (("layer_00", 100), ("layer_01", 400)):
        kernel, bias = _layer(params, name)
        error = 1 / np.sqrt(kernel.size)
        scaled = kernel * np.sqrt(fan_in)
        assert abs(scaled.mean()) < 4 * error
        # A normal truncated at 2 has less kurtosis than 3, so the normal's error is an
        # upper bound.
        assert abs(scaled.var() - 1) < 4 * np.sqrt(2) * error
        assert np.abs(scaled).max() <= 2 / 0.8796
        assert not bias.any()


@pytest.mark.identity
def test_one_unit_is_a_network():
    """w, b', c and b of one input."""
    init = units(1, jnp.tanh).init
    params, _ = jax.eval_shape(init, jax.random.key(0), jnp.zeros((1, 1)))
    assert [leaf.size for leaf in jax.tree.leaves(params)] == [1, 1, 1, 1]


@pytest.mark.statistics
def test_units_bend_at_different_places():
    params, _ = units(2000, jax.nn.relu).init(
        jax.random.key(0), np.zeros((1, 1), np.float32)
    )
    kernel, shift = _layer(params, "hidden")
    assert abs(shift.mean()) < 4 / np.sqrt(2000) and abs(shift.var() - 1) < 4 * np.sqrt(
        2 / 2000
    )
    height, bias = _layer(params, "output")
    assert abs(height.var() * 2000 - 1) < 4 * np.sqrt(2 / 2000) and bias == 0
    assert abs(kernel.var() - 1) < 4 * np.sqrt(2 / 2000)


@pytest.mark.identity
def test_scale_multiplies_the_kernels_even_when_traced():
    inputs = np.zeros((1, 3), np.float32)

    def kernel(scale):
        return mlp((4, 2), jnp.tanh, scale=scale).init(jax.random.key(0), inputs)[0][
            "layer_01"
        ]["kernel"]

    np.testing.assert_array_equal(kernel(4.0), 4 * kernel(1.0))
    np.testing.assert_array_equal(kernel(0.0), np.zeros((4, 2)))
    np.testing.assert_allclose(
        jax.jit(kernel)(jnp.float32(4.0)), kernel(4.0), rtol=1e-6
    )


@pytest.mark.identity
def test_dropout_empties_hidden_values_in_training_only():
    """Through an identity layer and a row of ones the output counts what stayed,
    divided by 1 - p.
    """
    width, p, draws = 400, 0.25, 50
    model, x = mlp((width, 1), jax.nn.identity, dropout=p), np.ones((1, width))
    params = {
        "layer_00": {"kernel": np.eye(width), "bias": np.zeros(width)},
        "layer_01": {"kernel": np.ones((width, 1)), "bias": np.zeros(1)},
    }
    with jax.enable_x64(True):
        apply = jax.jit(
            lambda key: model.apply(params, {}, x, train=True, key=key)[0][0, 0]
        )
        stayed = np.array([apply(jax.random.key(seed)) for seed in range(draws)]) * (
            1 - p
        )
        assert model.apply(params, {}, x, train=False, key=None)[0][0, 0] == width
    np.testing.assert_allclose(stayed, np.round(stayed), atol=1e-9)
    error = 4 * np.sqrt(width * p * (1 - p) / draws)
    assert abs(stayed.mean() - width * (1 - p)) < error and len(set(stayed.round())) > 5


def test_networks_that_cannot_be_are_refused():
    for make in (
        lambda: mlp((), jnp.tanh),
        lambda: mlp((3, 0), jnp.tanh),
        lambda: mlp((3, 2), jnp.tanh, dropout=1.0),
        lambda: units(0, jnp.tanh),
        lambda: polynomial(0),
        lambda: polynomial(2).init(jax.random.key(0), np.zeros((3, 2), np.float32)),
    ):
        with pytest.raises(InputError, match=r"give|ask for|choose|pass"):
            make()
