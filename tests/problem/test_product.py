"""The product of examples and a kernel: X W under every transformation, and how the
gradient in W is compiled.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxml.problem.models.product import product

EXAMPLES = np.random.default_rng(0).normal(size=(6, 4))
KERNEL = np.random.default_rng(1).normal(size=(4, 3))
DIMENSIONS = (((1,), (0,)), ((), ()))


def _ours(examples, kernel):
    return product(examples, kernel, DIMENSIONS)


def _gradients(multiply):
    return jax.grad(lambda x, w: jnp.sum(jnp.sin(multiply(x, w))), (0, 1))


TRANSFORMED = {
    "itself": lambda multiply: multiply,
    "jvp": lambda multiply: lambda x, w: jax.jvp(multiply, (x, w), (x[::-1], w[::-1])),
    "grad": _gradients,
    "Hessian multiply": lambda multiply: (
        lambda x, w: jax.jvp(_gradients(multiply), (x, w), (x[::-1], w[::-1]))
    ),
    "vmap of grad": lambda multiply: (
        lambda x, w: jax.vmap(_gradients(multiply))(
            jnp.stack([x, x[::-1]]), jnp.stack([w, w[::-1]])
        )
    ),
}


@pytest.mark.oracle
@pytest.mark.parametrize("name", TRANSFORMED)
def test_every_transformation_is_that_of_a_plain_product(name):
    with jax.enable_x64(True):
        x, w = jnp.asarray(EXAMPLES), jnp.asarray(KERNEL)
        found = jax.jit(TRANSFORMED[name](_ours))(x, w)
        expected = jax.jit(TRANSFORMED[name](jnp.matmul))(x, w)
        found, expected = jax.device_get((found, expected))
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-13, atol=1e-14),
        found,
        expected,
    )


def _lowered(platform):
    x, w = np.zeros((8, 32, 64), np.float32), np.zeros((8, 64, 32), np.float32)
    traced = jax.jit(jax.vmap(_gradients(_ours))).trace(x, w)
    return traced.lower(lowering_platforms=(platform,))


@pytest.mark.identity
def test_on_a_cpu_no_product_sums_over_the_rows_of_its_left_matrix():
    text = _lowered("cpu").compile().as_text()
    assert "lhs_contracting_dims={2}" in text
    assert "lhs_contracting_dims={1}" not in text


@pytest.mark.identity
def test_an_accelerator_is_given_no_copy():
    assert "optimization_barrier" in _lowered("cpu").as_text()
    for platform in ("cuda", "tpu"):
        assert "optimization_barrier" not in _lowered(platform).as_text()
