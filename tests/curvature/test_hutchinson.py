"""Traces and norms from random signs: exact where the matrix is diagonal, and within
their own standard error.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxml import curvature
from jaxml.types import InputError

RNG = np.random.default_rng(8)
FACTOR = RNG.normal(size=(5, 5))
MATRIX = (FACTOR + FACTOR.T).astype(np.float32)
KEY = jax.random.key(1)


def product(vector):
    return jnp.asarray(MATRIX) @ vector


@pytest.mark.identity
def test_a_diagonal_is_exact_with_one_probe_and_its_error_is_unknown():
    diagonal = {"a": jnp.array([1.0, -2.0]), "b": jnp.array(4.0)}

    def scaled(vector):
        return jax.tree.map(jnp.multiply, diagonal, vector)

    found = curvature.trace(scaled, diagonal, key=KEY, probes=1)
    assert float(found.value) == 3.0
    assert np.isnan(found.error)


@pytest.mark.statistics
def test_estimates_and_their_errors_are_those_of_the_matrix():
    """400 probes; the variance of one is 2 Σᵢ≠ⱼ Aᵢⱼ²."""
    found = curvature.trace(product, jnp.ones(5), key=KEY, probes=400)
    off = MATRIX - np.diag(np.diag(MATRIX))
    error = np.sqrt(2 * np.sum(off**2) / 400)
    assert abs(float(found.value) - np.trace(MATRIX)) < 4 * error
    np.testing.assert_allclose(found.error, error, rtol=0.2)
    norm = curvature.frobenius_norm(product, jnp.ones(5), key=KEY, probes=400)
    assert abs(float(norm.value) - np.linalg.norm(MATRIX)) < 4 * float(norm.error)


@pytest.mark.compiles_once
def test_a_hessian_products_program_is_kept_and_jit_changes_nothing():
    traces = []

    def counted(x, matrix):
        traces.append(1)
        return 0.5 * x @ matrix @ x

    def traced(point):
        product = curvature.hessian_product(counted, point, jnp.asarray(MATRIX))
        return curvature.trace(product, point, key=KEY, probes=3)

    first = traced(jnp.ones(5))
    seen = len(traces)
    traced(jnp.zeros(5))
    assert len(traces) == seen
    inside = jax.jit(traced)(jnp.ones(5))
    np.testing.assert_allclose(inside.value, first.value, rtol=1e-5)


@pytest.mark.identity
def test_no_probes():
    with pytest.raises(InputError, match="take 1 or more"):
        curvature.trace(product, jnp.ones(5), key=KEY, probes=0)
