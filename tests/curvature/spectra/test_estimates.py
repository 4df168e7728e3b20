"""Diagonals and traces from random signs, within their own standard errors."""

import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from jaxml import curvature
from jaxml.types import InputError

matrices = sys.modules["spectra_matrices"]  # of conftest.py

SIZE, SPECTRA = matrices.SIZE, matrices.SPECTRA
UNITS, PROBES, RANK = 200, 10, 8
KEYS = jax.random.split(jax.random.key(2), UNITS)


@jax.jit
def traces(matrix):
    """Of all units, by 2 · 8 + 10 products each."""
    product, space = matrices.product(matrix, matrix.dtype), jnp.zeros_like(matrix[0])

    def one(key):
        counts = {"rank": RANK, "probes": PROBES}
        return curvature.hutch_plus_plus(product, space, **counts, key=key)

    return jax.lax.map(one, KEYS)


def estimates(name):
    with jax.enable_x64(True):
        matrix = jnp.asarray(matrices.matrix_of(name))
        return jax.tree.map(np.asarray, traces(matrix))


@pytest.mark.statistics
@pytest.mark.parametrize("name", ["generic", "network", *matrices.SLOW])
def test_hutch_plus_plus_is_unbiased_and_its_errors_cover_at_their_rate(name):
    plus = estimates(name)
    distance = plus.value - np.trace(matrices.matrix_of(name))
    assert abs(distance.mean()) < 4 * distance.std() / np.sqrt(UNITS)
    inside = np.abs(distance) <= scipy.stats.t.ppf(0.975, PROBES - 1) * plus.error
    rate = 0.95
    assert abs(inside.mean() - rate) < 4 * np.sqrt(rate * (1 - rate) / UNITS)


@pytest.mark.oracle
def test_hutch_plus_plus_is_exact_where_the_rank_is_low_and_beats_hutchinson():
    """Whose variance by as many products is 2 Σᵢ≠ⱼ Aᵢⱼ² over their number."""
    plus = estimates("zero block")
    np.testing.assert_allclose(plus.value, SPECTRA["zero block"].sum(), rtol=1e-12)
    assert plus.error.max() < 1e-10
    plus, matrix = estimates("network"), matrices.matrix_of("network")
    spread = np.sqrt(np.mean((plus.value - np.trace(matrix)) ** 2))
    off = matrix - np.diag(np.diag(matrix))
    plain = np.sqrt(2 * np.sum(off**2) / (2 * RANK + PROBES))
    assert spread < 0.2 * plain


@pytest.mark.statistics
@pytest.mark.parametrize("name", ["generic", *matrices.SLOW])
def test_diagonal_entries_and_their_errors_are_those_of_the_matrix(name):
    """The variance of a probe is Σⱼ≠ᵢ Aᵢⱼ²."""
    matrix, probes = matrices.matrix_of(name), 400
    with jax.enable_x64(True):
        found = curvature.diagonal(
            matrices.product(matrix),
            jnp.zeros(SIZE),
            probes=probes,
            key=jax.random.key(0),
        )
    off = matrix - np.diag(np.diag(matrix))
    errors = np.sqrt(np.sum(off**2, 1) / probes)
    values, measured = np.asarray(found.values), np.asarray(found.errors)
    assert (np.abs(values - np.diag(matrix)) <= 4 * errors + 1e-12).all()
    np.testing.assert_allclose(measured, errors, rtol=0.3, atol=1e-12)


@pytest.mark.stress
@pytest.mark.identity
def test_a_diagonal_matrix_is_exact_with_one_probe_and_its_error_is_unknown():
    diagonal = {"a": jnp.array([1.0, -2.0]), "b": jnp.array(4.0)}

    def scaled(vector):
        return jax.tree.map(jnp.multiply, diagonal, vector)

    key = jax.random.key(1)
    found = curvature.diagonal(scaled, diagonal, probes=1, key=key)
    assert found.values["a"].tolist() == [1.0, -2.0] and found.values["b"] == 4.0
    assert all(np.isnan(leaf).all() for leaf in jax.tree.leaves(found.errors))


@pytest.mark.invariance
@pytest.mark.parametrize("rank", [0, 5])
def test_an_impossible_rank_is_refused(rank):
    with pytest.raises(InputError, match="take 1 to 4"):
        curvature.hutch_plus_plus(
            lambda v: v, jnp.ones(4), rank=rank, probes=1, key=jax.random.key(0)
        )
