"""Curvature products against closed forms and float64 differences of hand-written
gradients.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from jaxml.curvature import gauss_newton_product, hessian_product, stacked
from jaxml.types import InputError

DRAW = np.random.default_rng(0)
EXAMPLES = 13
INPUTS = DRAW.normal(size=(EXAMPLES, 2))
TARGETS = DRAW.normal(size=(EXAMPLES, 2))
CLASSES = DRAW.integers(0, 3, EXAMPLES)
WEIGHTS = DRAW.uniform(0.5, 2.0, EXAMPLES) * (np.arange(EXAMPLES) % 5 != 1)
TOLERANCE = {np.float32: 3e-5, np.float64: 1e-8}


class Case(NamedTuple):
    objective: Callable[[Any, Any], jax.Array]
    params: Any
    batch: Any
    hessian: np.ndarray


def quadratic(params, batch):
    point, _ = ravel_pytree(params)
    matrix, gradient = batch
    return point @ matrix @ point / 2 + gradient @ point


def toy(params, _):
    return (1 - params["w1"] * params["w2"]) ** 2


def network(params, batch):
    inputs = batch[0]
    hidden = jnp.tanh(
        inputs @ params["first"]["kernel"] + params["first"]["bias"][None]
    )
    return hidden @ params["second"]["kernel"] + params["second"]["bias"][None]


def squared_error(outputs, batch):
    _, targets, weights = batch
    return jnp.sum(weights * jnp.sum((outputs - targets) ** 2, 1)) / jnp.sum(weights)


def cross_entropy(outputs, batch):
    _, classes, weights = batch
    chosen = jnp.take_along_axis(jax.nn.log_softmax(outputs), classes[:, None], 1)[:, 0]
    return -jnp.sum(weights * chosen) / jnp.sum(weights)


def linear(params, batch):
    return batch[0] @ params["kernel"]


def unfolded(theta):
    return theta[:3], theta[3:9].reshape(2, 3), theta[9:11], theta[11:17].reshape(3, 2)


def numpy_outputs(theta):
    bias1, kernel1, bias2, kernel2 = unfolded(theta)
    return np.tanh(INPUTS @ kernel1 + bias1) @ kernel2 + bias2


def numpy_gradient(theta):
    bias1, kernel1, _, kernel2 = unfolded(theta)
    hidden = np.tanh(INPUTS @ kernel1 + bias1)
    d_outputs = 2 * (numpy_outputs(theta) - TARGETS) * WEIGHTS[:, None] / WEIGHTS.sum()
    d_hidden = d_outputs @ kernel2.T * (1 - hidden**2)
    parts = d_hidden.sum(0), INPUTS.T @ d_hidden, d_outputs.sum(0), hidden.T @ d_outputs
    return np.concatenate([part.ravel() for part in parts])


def differences(function, theta, step=1e-5):
    """The Jacobian by central differences, [..., parameters]."""
    columns = [
        (function(theta + step * unit) - function(theta - step * unit)) / (2 * step)
        for unit in np.eye(theta.size)
    ]
    return np.stack(columns, -1)


def softmax_curvature(logits):
    """∂² of the weighted mean cross-entropy: [examples, classes, classes]."""
    odds = np.exp(logits - logits.max(1, keepdims=True))
    p = odds / odds.sum(1, keepdims=True)
    fractions = WEIGHTS / WEIGHTS.sum()
    return fractions[:, None, None] * (
        np.eye(p.shape[1]) * p[:, None, :] - p[:, :, None] * p[:, None, :]
    )


def unraveled(theta):
    bias1, kernel1, bias2, kernel2 = unfolded(theta)
    return {
        "first": {"bias": bias1, "kernel": kernel1},
        "second": {"bias": bias2, "kernel": kernel2},
    }


SYMMETRIC = (lambda a: a + a.T)(DRAW.normal(size=(6, 6)))
POINT = DRAW.normal(size=6)
THETA = DRAW.normal(size=17)
KERNEL = DRAW.normal(size=(2, 3))
BATCH = (INPUTS, TARGETS, WEIGHTS)
LABELLED = (INPUTS, CLASSES, WEIGHTS)
W1, W2 = 0.7, -1.3
CASES = {
    "quadratic": Case(
        quadratic,
        (POINT[:2], POINT[2:].reshape(2, 2)),
        (SYMMETRIC, DRAW.normal(size=6)),
        SYMMETRIC,
    ),
    "toy": Case(
        toy,
        {"w1": np.array(W1), "w2": np.array(W2)},
        None,
        np.array([[2 * W2**2, -2 + 4 * W1 * W2], [-2 + 4 * W1 * W2, 2 * W1**2]]),
    ),
    "network": Case(
        lambda params, batch: squared_error(network(params, batch), batch),
        unraveled(THETA),
        BATCH,
        differences(numpy_gradient, THETA),
    ),
    "softmax regression": Case(
        lambda params, batch: cross_entropy(linear(params, batch), batch),
        {"kernel": KERNEL},
        LABELLED,
        np.einsum(
            "ni,nj,nab->iajb", INPUTS, INPUTS, softmax_curvature(INPUTS @ KERNEL)
        ).reshape(6, 6),
    ),
}


def cast(x, dtype):
    """A copy in one precision; integers stay integers."""
    return jax.tree.map(
        lambda leaf: jnp.asarray(leaf, dtype if leaf.dtype.kind == "f" else jnp.int32),
        x,
    )


def columns(product, params, batch):
    """The matrix of `product(params, batch)`, from its images of the unit vectors."""
    flat, unravel = ravel_pytree(params)

    @jax.jit
    def images(at, data):
        matvec = product(at, data)
        return jax.vmap(lambda unit: ravel_pytree(matvec(unravel(unit)))[0])(
            jnp.eye(flat.size, dtype=flat.dtype)
        )

    return np.asarray(images(params, batch)).T


def of_hessian(objective):
    return functools.partial(hessian_product, objective)


def of_gauss_newton(outputs, criterion):
    return functools.partial(gauss_newton_product, outputs, criterion)


@pytest.mark.device
@pytest.mark.oracle
@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("name", CASES)
def test_hessian_product_is_the_hessian(name, dtype):
    case = CASES[name]
    with jax.enable_x64(dtype is np.float64):
        params, batch = cast(case.params, dtype), cast(case.batch, dtype)
        matrix = columns(of_hessian(case.objective), params, batch)
    scale = TOLERANCE[dtype] * np.abs(case.hessian).max()
    assert matrix.dtype == dtype
    np.testing.assert_allclose(matrix, case.hessian, rtol=0, atol=scale)


@pytest.mark.device
@pytest.mark.oracle
@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("criterion", [squared_error, cross_entropy])
def test_gauss_newton_product_is_its_matrix(criterion, dtype):
    jacobian = differences(numpy_outputs, THETA)
    fractions = WEIGHTS / WEIGHTS.sum()
    squared = 2 * fractions[:, None, None] * np.eye(2)
    bend = {
        squared_error: squared,
        cross_entropy: softmax_curvature(numpy_outputs(THETA)),
    }[criterion]
    expected = np.einsum("nai,nab,nbj->ij", jacobian, bend, jacobian)
    batch = {squared_error: BATCH, cross_entropy: (INPUTS, CLASSES % 2, WEIGHTS)}[
        criterion
    ]
    with jax.enable_x64(dtype is np.float64):
        params, batch = cast(unraveled(THETA), dtype), cast(batch, dtype)
        matrix = columns(of_gauss_newton(network, criterion), params, batch)
    assert matrix.dtype == dtype
    np.testing.assert_allclose(
        matrix, expected, rtol=0, atol=TOLERANCE[dtype] * np.abs(expected).max()
    )


@pytest.mark.device
@pytest.mark.identity
def test_gauss_newton_is_the_hessian_of_a_linear_network():
    params, batch = cast({"kernel": KERNEL}, np.float32), cast(LABELLED, np.float32)
    hessian = columns(of_hessian(CASES["softmax regression"].objective), params, batch)
    gauss_newton = columns(of_gauss_newton(linear, cross_entropy), params, batch)
    np.testing.assert_allclose(gauss_newton, hessian, rtol=0, atol=1e-6)


PRODUCTS = {
    "hessian": of_hessian(CASES["network"].objective),
    "gauss-newton": of_gauss_newton(network, squared_error),
}


@pytest.mark.device
@pytest.mark.invariance
@pytest.mark.parametrize("product", PRODUCTS.values(), ids=PRODUCTS.keys())
def test_product_inside_jit_and_map_is_the_product_outside(product):
    params, batch = cast(unraveled(THETA), np.float32), cast(BATCH, np.float32)
    outside = product(params, batch)(params)
    networks = jax.tree.map(lambda leaf: jnp.stack([leaf, 2 * leaf]), params)
    inside = jax.jit(
        lambda many: jax.lax.map(lambda one: product(one, batch)(one), many)
    )(networks)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a[0], b, rtol=1e-5, atol=1e-6),
        inside,
        outside,
    )


@pytest.mark.invariance
@pytest.mark.parametrize("product", PRODUCTS.values(), ids=PRODUCTS.keys())
def test_precision_does_not_depend_on_the_default(product):
    params, batch = cast(unraveled(THETA), np.float32), cast(BATCH, np.float32)
    with jax.default_matmul_precision("bfloat16"):
        program = str(jax.make_jaxpr(lambda p, v: product(p, batch)(v))(params, params))
    count = program.count("dot_general[")
    assert count > 4
    assert program.count("precision=(Precision.HIGHEST, Precision.HIGHEST)") == count


@pytest.mark.compiles_once
def test_objective_is_traced_once_for_all_products():
    traces = []

    def objective(params, batch):
        traces.append(None)
        return CASES["network"].objective(params, batch)

    params, batch = cast(unraveled(THETA), np.float32), cast(BATCH, np.float32)
    product = hessian_product(objective, params, batch)
    for _ in range(3):
        product(params)
    assert len(traces) == 1


def parts(count):
    """The examples in `count` batches, the last filled up with padding, and the
    batches' fractions.
    """
    size = -(-EXAMPLES // count)
    take = np.arange(count * size).reshape(count, size)
    real = take < EXAMPLES
    inputs, targets, weights = (leaf[np.minimum(take, EXAMPLES - 1)] for leaf in BATCH)
    batches = inputs, targets, weights * real
    return batches, batches[2].sum(1) / WEIGHTS.sum()


@pytest.mark.device
@pytest.mark.identity
@pytest.mark.parametrize("count", [1, 5])
def test_stacked_batches_are_the_whole_batch(count):
    case = CASES["network"]
    batches, fractions = parts(count)
    with jax.enable_x64(True):
        params, batches, fractions = cast((case.params, batches, fractions), np.float64)
        objective = stacked(case.objective, fractions)
        loss = np.asarray(objective(params, batches))
        whole = np.asarray(case.objective(params, cast(BATCH, np.float64)))
        matrix = columns(of_hessian(objective), params, batches)
    np.testing.assert_allclose(loss, whole, rtol=1e-14)
    np.testing.assert_allclose(
        matrix, case.hessian, rtol=0, atol=1e-8 * np.abs(case.hessian).max()
    )


@pytest.mark.compiles_once
def test_stacked_program_does_not_grow_with_the_batches():
    traces = []

    def objective(params, batch):
        traces.append(None)
        return CASES["network"].objective(params, batch)

    def program(count):
        batches = jax.tree.map(
            lambda leaf: jnp.stack([leaf] * count), cast(BATCH, np.float32)
        )
        product = of_hessian(stacked(objective, jnp.full(count, 1 / count)))
        return jax.jit(lambda at, data: product(at, data)(at)).lower(
            cast(unraveled(THETA), np.float32), batches
        )

    small, large = program(2), program(24)
    assert len(traces) == 2
    assert len(small.as_text().splitlines()) == len(large.as_text().splitlines())
    small_bytes, large_bytes = (
        p.compile().memory_analysis().temp_size_in_bytes for p in (small, large)
    )
    assert large_bytes < 1.1 * small_bytes


@pytest.mark.invariance
def test_stacked_refuses_fractions_that_do_not_fit():
    batches, fractions = parts(3)
    with pytest.raises(InputError, match="stack one batch for each fraction"):
        stacked(CASES["network"].objective, fractions[:2])(unraveled(THETA), batches)


@pytest.mark.device
@pytest.mark.oracle
def test_functions_with_a_rule_for_the_reverse_mode_alone_have_products():
    """tanh and the squared error as `custom_vjp`: forward mode is not defined for
    them.
    """

    @jax.custom_vjp
    def squash(z):
        return jnp.tanh(z)

    @jax.custom_vjp
    def half_square(z):
        return jnp.sum(z**2) / 2

    squash.defvjp(
        lambda z: (jnp.tanh(z), z), lambda z, g: ((1 - jnp.tanh(z) ** 2) * g,)
    )
    half_square.defvjp(lambda z: (jnp.sum(z**2) / 2, z), lambda z, g: (z * g,))
    point, inputs = jnp.array([0.3, -0.7]), jnp.array([1.0, 2.0])
    product = gauss_newton_product(
        lambda w, x: x * squash(w), lambda z, _: half_square(z), point, inputs
    )
    jacobian = inputs * (1 - np.tanh(np.asarray(point)) ** 2)
    np.testing.assert_allclose(
        product(jnp.array([1.0, 3.0])), jacobian**2 * np.array([1.0, 3.0]), rtol=1e-5
    )
