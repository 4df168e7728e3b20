"""The dense matrix of a product: exact columns, one program, an honest preflight."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxml import memory
from jaxml.curvature import dense, hessian_product
from jaxml.types import InputError

SIZE = 11
MATRIX = np.random.default_rng(0).normal(
    size=(SIZE, SIZE)
)  # not symmetric: a transpose would show
WIDTHS = (1, 10, 10, 1)
INPUTS = np.linspace(-1, 1, 20, dtype=np.float32)[:, None]


def unraveled(vector):
    return {"a": vector[:2], "b": {"c": vector[2:8].reshape(3, 2), "d": vector[8:]}}


def flat(tree):
    return jnp.concatenate([tree["a"], tree["b"]["c"].reshape(-1), tree["b"]["d"]])


def networks(count):
    draw = np.random.default_rng(1)
    shapes = itertools.pairwise(WIDTHS)
    layers = [
        (draw.normal(size=(count, i, o)) / np.sqrt(i), draw.normal(size=(count, o)))
        for i, o in shapes
    ]
    return jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float32), layers)


def one_of(many, index):
    return jax.tree.map(lambda leaf: leaf[index], many)


def loss(params, inputs):
    x = inputs
    for kernel, bias in params[:-1]:
        x = jnp.tanh(x @ kernel + bias[None])
    kernel, bias = params[-1]
    return jnp.mean((x @ kernel + bias[None] - jnp.sinc(5 * inputs)) ** 2)


def hessian(params, chunk=32):
    return dense(hessian_product(loss, params, INPUTS), params, chunk=chunk)


@pytest.mark.device
@pytest.mark.oracle
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("chunk", [1, 4, 10, 11, 32])
def test_columns_are_images_of_unit_vectors(chunk, dtype):
    with jax.enable_x64(dtype is np.float64):
        matrix = jnp.asarray(MATRIX, dtype)
        found = np.asarray(
            dense(
                lambda v: unraveled(matrix @ flat(v)), unraveled(matrix[0]), chunk=chunk
            )
        )
    assert found.dtype == dtype
    np.testing.assert_array_equal(found, MATRIX.astype(dtype))


@pytest.mark.device
@pytest.mark.invariance
def test_a_hundred_networks_in_one_program():
    many = networks(100)
    mapped = jax.jit(lambda each: jax.lax.map(hessian, each))(many)
    vmapped = jax.jit(jax.vmap(lambda one: hessian(one, chunk=47)))(
        one_of(many, slice(10))
    )
    alone = hessian(one_of(many, 7))
    assert mapped.shape == (100, 141, 141)
    np.testing.assert_allclose(
        vmapped, mapped[:10], rtol=0, atol=1e-5 * float(jnp.abs(mapped[:10]).max())
    )
    np.testing.assert_allclose(
        mapped[7], alone, rtol=0, atol=1e-5 * float(jnp.abs(alone).max())
    )


@pytest.mark.compiles_once
@pytest.mark.parametrize(("size", "chunk"), [(7, 7), (7, 3), (64, 3)])
def test_product_is_traced_once(size, chunk):
    traces = []

    def double(vector):
        traces.append(None)
        return 2 * vector

    np.testing.assert_array_equal(
        dense(double, jnp.ones(size), chunk=chunk), 2 * np.eye(size)
    )
    assert len(traces) == 1


@pytest.mark.identity
@pytest.mark.parametrize("examples", [20, 2000])
def test_estimate_is_what_the_compiler_reserves(examples, monkeypatch):
    estimates = []
    monkeypatch.setattr(memory, "require", lambda needed, *_: estimates.append(needed))
    inputs = jnp.linspace(-1, 1, examples)[:, None]
    build = jax.jit(lambda params: dense(hessian_product(loss, params, inputs), params))
    reserved = build.lower(one_of(networks(1), 0)).compile().memory_analysis()
    measured = reserved.temp_size_in_bytes + reserved.output_size_in_bytes
    assert 0.6 < estimates[0] / measured < 1.6


@pytest.mark.invariance
def test_what_does_not_fit_is_refused_with_a_remedy(monkeypatch):
    monkeypatch.setattr(memory, "available_bytes", lambda: 141**2 * 4)
    with pytest.raises(InputError, match=r"141 x 141 matrix needs .* `extremes`"):
        hessian(one_of(networks(1), 0))
