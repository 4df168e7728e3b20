"""The two convolutions: against a loop in float64, and against each other under every
transformation.
"""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxml.problem import convolve, convolve_native, convolve_patches

pytestmark = pytest.mark.oracle

METHODS = pytest.mark.parametrize(
    "method", [convolve, convolve_native, convolve_patches]
)
IMAGES = np.random.default_rng(0).normal(size=(2, 5, 6, 3))


def _kernel(rows, columns):
    return np.random.default_rng(1).normal(size=(rows, columns, 3, 4))


def _loop(images, kernel):
    """Σ kernel · images, pixel by pixel."""
    n, height, width, _ = images.shape
    rows, columns, _, outputs = kernel.shape
    maps = np.zeros((n, height, width, outputs))
    for i, j, r, s in np.ndindex(height, width, rows, columns):
        y, x = i + r - (rows - 1) // 2, j + s - (columns - 1) // 2
        if 0 <= y < height and 0 <= x < width:
            maps[:, i, j] += images[:, y, x] @ kernel[r, s]
    return maps


@pytest.mark.device
@METHODS
@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(np.float32, 3e-6), (np.float64, 1e-13)]
)
@pytest.mark.parametrize("shape", [(3, 3), (1, 1), (5, 3), (2, 4)])
def test_every_pixel(method, dtype, tolerance, shape):
    kernel = _kernel(*shape)
    with jax.enable_x64(dtype is np.float64):
        maps = np.asarray(
            method(jnp.asarray(IMAGES, dtype), jnp.asarray(kernel, dtype))
        )
    assert maps.dtype == dtype
    np.testing.assert_allclose(
        maps, _loop(IMAGES, kernel), rtol=tolerance, atol=10 * tolerance
    )


def _scanned(method):
    def step(carry, _):
        return method(carry, jnp.asarray(_kernel(3, 3)[..., :3], carry.dtype)), jnp.sum(
            carry
        )

    return lambda images, kernel: method(
        jax.lax.scan(step, images, length=3)[0], kernel
    )


def _gradients(method):
    return jax.grad(
        lambda images, kernel: jnp.sum(jnp.sin(method(images, kernel))), (0, 1)
    )


TRANSFORMED = {
    "jit": lambda method: method,
    "scan": _scanned,
    "vmap over kernels": lambda method: (
        lambda images, kernel: jax.vmap(method, (None, 0))(
            images, jnp.stack([kernel, kernel[::-1]])
        )
    ),
    "vmap over both": lambda method: (
        lambda images, kernel: jax.vmap(method)(
            jnp.stack([images, images[::-1]]), jnp.stack([kernel, kernel[::-1]])
        )
    ),
    "jvp": lambda method: (
        lambda images, kernel: jax.jvp(
            method, (images, kernel), (images[::-1], kernel[::-1])
        )
    ),
    "grad": _gradients,
    "grad of grad": lambda method: (
        lambda images, kernel: jax.jvp(
            lambda k: _gradients(method)(images, k), (kernel,), (kernel[::-1],)
        )
    ),
    "vmap of grad": lambda method: (
        lambda images, kernel: jax.vmap(_gradients(method), (None, 0))(
            images, jnp.stack([kernel, kernel[::-1]])
        )
    ),
}


@pytest.mark.invariance
@pytest.mark.parametrize("name", TRANSFORMED)
def test_both_methods_agree_and_the_cpu_takes_patches(name):
    with jax.enable_x64(True):
        images, kernel = (
            jnp.asarray(IMAGES, jnp.float64),
            jnp.asarray(_kernel(3, 3), jnp.float64),
        )
        chosen, native, patches = (
            jax.jit(TRANSFORMED[name](method)).lower(images, kernel).compile()
            for method in (convolve, convolve_native, convolve_patches)
        )
        results = [
            jax.tree.map(np.asarray, program(images, kernel))
            for program in (chosen, native, patches)
        ]
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-11),
        results[0],
        results[1],
    )
    jax.tree.map(np.testing.assert_array_equal, results[0], results[2])
    assert not re.search(r" convolution\(", chosen.as_text())
    assert re.search(r" convolution\(", native.as_text())


@pytest.mark.identity
def test_an_accelerator_takes_the_native_convolution():
    arguments = jnp.zeros((2, 5, 6, 3)), jnp.zeros((3, 3, 3, 4))
    traced = jax.jit(_gradients(convolve)).trace(*arguments)
    for platform in ("cuda", "tpu"):
        assert (
            "stablehlo.convolution"
            in traced.lower(lowering_platforms=(platform,)).as_text()
        )
    assert (
        "stablehlo.convolution"
        not in traced.lower(lowering_platforms=("cpu",)).as_text()
    )


@pytest.mark.identity
def test_two_layers_of_three_see_five_pixels():
    kernel = jnp.ones((3, 3, 1, 1))

    def centre(images):
        return convolve(convolve(images, kernel), kernel)[0, 4, 4, 0]

    seen = jax.jit(jax.grad(centre))(jnp.zeros((1, 9, 9, 1)))[0, :, :, 0] != 0
    assert (
        np.argwhere(seen).min() == 2
        and np.argwhere(seen).max() == 6
        and seen.sum() == 25
    )
