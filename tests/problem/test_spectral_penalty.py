"""The penalty of singular values against NumPy's decomposition in float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxml.problem import spectral_penalty
from jaxml.types import InputError

pytestmark = pytest.mark.oracle


def network(seed: int) -> dict[str, np.ndarray]:
    """A convolution's kernel, a dense one and a bias, of singular values far apart."""
    rng = np.random.default_rng(seed)
    decaying = 0.6 ** np.arange(4)
    return {
        "convolution": rng.normal(size=(3, 3, 2, 4)) * decaying,
        "dense": rng.normal(size=(5, 4)) * decaying,
        "bias": rng.normal(size=4),
    }


@pytest.mark.parametrize("seed", range(4))
def test_it_and_its_gradient_are_those_of_the_decomposition(seed: int) -> None:
    params = network(seed)
    expected, gradients = 0.0, {"bias": np.zeros(4)}
    for name in ("convolution", "dense"):
        matrix = params[name].reshape(-1, 4)
        left, values, right = np.linalg.svd(matrix, full_matrices=False)
        expected += 0.3 * values[0] ** 2 / 2
        outer = 0.3 * values[0] * np.outer(left[:, 0], right[0])
        gradients[name] = outer.reshape(params[name].shape)
    with jax.enable_x64(True):
        penalty = spectral_penalty(0.3, iterations=200)
        value, gradient = jax.jit(jax.value_and_grad(penalty))(params)
        np.testing.assert_allclose(value, expected, rtol=1e-10)
        for name, known in gradients.items():
            np.testing.assert_allclose(gradient[name], known, atol=1e-7)


def test_it_is_never_above_the_true_one_and_a_strength_of_zero_is_none() -> None:
    params = jax.tree.map(jnp.float32, network(9))
    rough = spectral_penalty(1.0, iterations=1)(params)
    fine = spectral_penalty(1.0)(params)
    assert float(rough) <= float(fine) * (1 + 1e-6)
    assert float(spectral_penalty(jnp.float32(0.0))(params)) == 0


def test_what_has_no_singular_value_is_refused() -> None:
    with pytest.raises(InputError, match="1 or more"):
        spectral_penalty(1.0, iterations=0)
    with pytest.raises(InputError, match="no singular value"):
        spectral_penalty(1.0)({"bias": jnp.ones(3)})
