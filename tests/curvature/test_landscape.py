"""Losses along a line, and how a loss depends on the inputs."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxml import curvature
from jaxml.types import Batch, InputError

RNG = np.random.default_rng(9)
FIRST = {"w": RNG.normal(size=(3, 2)).astype(np.float32)}
SECOND = {"w": RNG.normal(size=(3, 2)).astype(np.float32)}
AT = np.linspace(-1, 2, 4, dtype=np.float32)
EXAMPLES = Batch(
    inputs=RNG.normal(size=(5, 3)).astype(np.float32),
    targets=RNG.normal(size=(5, 2)).astype(np.float32),
    weights=np.array([1, 2, 1, 0, 3], np.float32),
)


def squared(params, batch):
    distance = jnp.sum((batch.inputs @ params["w"] - batch.targets) ** 2, axis=1)
    return jnp.sum(batch.weights * distance) / jnp.sum(batch.weights)


def norm(params, batch):
    return jnp.sum(params["w"] ** 2)


@pytest.mark.oracle
def test_each_quantity_at_each_point_of_the_line():
    quantities = {"loss": squared, "norm": norm}
    found = curvature.interpolation(quantities, FIRST, SECOND, EXAMPLES, at=AT)
    for place, alpha in enumerate(AT):
        w = (1 - alpha) * FIRST["w"] + alpha * SECOND["w"]
        residual = np.sum((EXAMPLES.inputs @ w - EXAMPLES.targets) ** 2, axis=1)
        mean = EXAMPLES.weights @ residual / np.sum(EXAMPLES.weights)
        np.testing.assert_allclose(found["loss"][place], mean, rtol=1e-5)
        np.testing.assert_allclose(found["norm"][place], np.sum(w**2), rtol=1e-5)


@pytest.mark.oracle
@pytest.mark.parametrize("chunk", [2, 64])
def test_sensitivity_is_the_mean_norm_of_the_inputs_gradients(chunk):
    """∂/∂x ‖xW - t‖² = 2 (xW - t) Wᵀ; an example of weight 0 does not count."""
    found = curvature.input_sensitivity(squared, FIRST, EXAMPLES, chunk=chunk)
    gradients = 2 * (EXAMPLES.inputs @ FIRST["w"] - EXAMPLES.targets) @ FIRST["w"].T
    norms = np.linalg.norm(gradients, axis=1)
    expected = EXAMPLES.weights @ norms / np.sum(EXAMPLES.weights)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.identity
def test_what_is_no_line_and_no_input():
    with pytest.raises(InputError, match="vector"):
        curvature.interpolation({"n": norm}, FIRST, SECOND, None, at=AT[:, None])
    with pytest.raises(InputError, match="name one or more"):
        curvature.interpolation({}, FIRST, SECOND, None, at=AT)
    with pytest.raises(InputError, match="second point"):
        curvature.interpolation({"n": norm}, FIRST, {"v": AT}, None, at=AT)
    tokens = EXAMPLES._replace(inputs=np.ones((5, 3), np.int32))
    with pytest.raises(InputError, match="floating-point inputs"):
        curvature.input_sensitivity(squared, FIRST, tokens)
    with pytest.raises(InputError, match="take 1 or more"):
        curvature.input_sensitivity(squared, FIRST, EXAMPLES, chunk=0)
