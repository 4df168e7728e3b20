"""The convolutional network: its function, its pools, and what its compiled program
holds.
"""

import re
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxml import problem
from jaxml.types import Batch, InputError

pytestmark = pytest.mark.oracle

PRECISIONS = pytest.mark.parametrize(
    ("dtype", "tolerance"), [(np.float32, 3e-6), (np.float64, 1e-13)]
)


def _pooled(images):
    n, height, width, channels = images.shape
    maps = np.zeros((n, height // 2, width // 2, channels))
    for i, j in np.ndindex(height // 2, width // 2):
        maps[:, i, j] = images[:, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2].max((1, 2))
    return maps


def _convolved(images, kernel, bias):
    padded = np.pad(images, ((0, 0), (1, 1), (1, 1), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), (1, 2))
    return np.einsum("nijcrs,rsco->nijo", windows, kernel) + bias


def _network(params, x):
    params = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), params)
    for name in ("layer_00", "layer_01"):
        x = _pooled(np.maximum(_convolved(x, **params[name]), 0))
    return x.reshape(len(x), -1) @ params["output"]["kernel"] + params["output"]["bias"]


def _drawn(model, inputs):
    """Normal parameters of the model's shapes and dtype: a zero bias would hide a
    forgotten one.
    """
    shapes, _ = jax.eval_shape(model.init, jax.random.key(0), inputs)
    draws = np.random.default_rng(1)
    return jax.tree.map(
        lambda leaf: jnp.asarray(draws.normal(size=leaf.shape) / 2, leaf.dtype), shapes
    )


@PRECISIONS
def test_the_function(dtype, tolerance):
    model = problem.cnn((3, 4), 5)
    x = np.random.default_rng(0).normal(size=(3, 7, 10, 2))
    with jax.enable_x64(dtype is np.float64):
        params = _drawn(model, x.astype(dtype))
        apply = jax.jit(model.apply, static_argnames="train")
        outputs, after = apply(
            params, {}, x.astype(dtype), train=True, key=jax.random.key(1)
        )
        found, expected = np.asarray(outputs), _network(params, x)
    assert found.dtype == dtype and found.shape == (3, 5) and after == {}
    np.testing.assert_allclose(
        found, expected, rtol=10 * tolerance, atol=10 * tolerance
    )


@pytest.mark.parametrize("shape", [(2, 4, 6, 3), (1, 5, 7, 2), (1, 2, 3, 1)])
def test_max_pool_takes_the_largest_of_each_block(shape):
    images = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    np.testing.assert_array_equal(
        problem.max_pool(images), _pooled(images).astype(np.float32)
    )


@pytest.mark.identity
def test_the_gradient_of_a_pool_goes_to_its_largest_entry():
    images = jnp.array([[1.0, 5.0], [2.0, 3.0]]).reshape(1, 2, 2, 1)
    gradient = jax.grad(lambda x: jnp.sum(problem.max_pool(x)))(images)
    assert gradient[0, :, :, 0].tolist() == [[0.0, 1.0], [0.0, 0.0]]


@pytest.mark.oracle
def test_the_derivatives_of_a_pool_are_those_of_a_maximum_with_equal_maxima_too():
    images = np.random.default_rng(0).integers(0, 3, (2, 6, 5, 3)).astype(np.float32)
    moved = np.random.default_rng(1).normal(size=images.shape).astype(np.float32)

    def plain(images):
        return jnp.max(images[:, :, :4].reshape(2, 3, 2, 2, 2, 3), axis=(2, 4))

    for mode in (jax.jvp, lambda f, x, t: jax.vjp(f, x[0])[1](f(t[0]))):
        found = mode(problem.max_pool, (images,), (moved,))
        expected = mode(plain, (images,), (moved,))
        rounding = 4 * float(np.finfo(np.float32).eps * np.max(np.abs(moved)))
        near = partial(np.testing.assert_allclose, rtol=0, atol=rounding)
        jax.tree.map(near, found, expected)


@pytest.mark.statistics
def test_both_precisions_start_from_the_same_lecun_normal_network():
    model, images = problem.cnn((32,), 2), np.zeros((1, 2, 2, 16))
    single, state = model.init(jax.random.key(0), images.astype(np.float32))
    with jax.enable_x64(True):
        double, _ = model.init(jax.random.key(0), images)
        assert {leaf.dtype for leaf in jax.tree.leaves(double)} == {
            np.dtype(np.float64)
        }
    jax.tree.map(np.testing.assert_array_equal, single, double)
    kernel, bias = (
        np.asarray(single["layer_00"]["kernel"]),
        np.asarray(single["layer_00"]["bias"]),
    )
    assert abs(kernel.var() * 9 * 16 - 1) < 4 * np.sqrt(2 / kernel.size)
    assert not bias.any() and state == {}


def _descend(loss):
    """Three steps of gradient descent in a scan, for each of a stack of parameters."""

    def step(params, batch):
        gradient = jax.grad(loss)(params, batch)
        return jax.tree.map(lambda p, g: p - jnp.float32(0.1) * g, params, gradient)

    def run(params, batch):
        return jax.lax.scan(
            lambda carry, _: (step(carry, batch), None), params, length=3
        )[0]

    return jax.vmap(run, (0, None))


@pytest.mark.identity
def test_no_native_convolution_reaches_the_cpu_program():
    model = problem.cnn((4, 4), 3)
    batch = Batch(jnp.ones((2, 8, 8, 1)), jnp.array([0, 1]), jnp.ones(2))
    params = jax.tree.map(
        lambda leaf: jnp.stack([leaf, -leaf]), _drawn(model, batch.inputs)
    )
    loss = problem.objective(model, problem.cross_entropy)
    traced = jax.jit(_descend(loss)).trace(params, batch)
    program = traced.lower().compile().as_text()
    assert " dot(" in program or "custom-call" in program
    assert not re.search(r" convolution\(", program)
    assert (
        "stablehlo.convolution" in traced.lower(lowering_platforms=("cuda",)).as_text()
    )


@pytest.mark.identity
@pytest.mark.parametrize("shape", [(3, 64), (3, 3, 8, 1), (3, 8, 3, 1)])
def test_inputs_that_are_no_images_are_refused(shape):
    with pytest.raises(InputError, match="4 x 4 pixels or more"):
        problem.cnn((2, 2), 3).init(jax.random.key(0), np.zeros(shape, np.float32))


@pytest.mark.identity
def test_a_network_without_classes_is_refused():
    with pytest.raises(InputError, match="1 or more of each"):
        problem.cnn((2,), 0)
