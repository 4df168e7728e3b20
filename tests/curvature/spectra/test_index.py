"""The number of negative eigenvalues as an interval, exact and from Ritz values."""

import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxml import curvature
from jaxml.types import InputError

matrices = sys.modules["spectra_matrices"]  # of conftest.py

SIZE, SPECTRA = matrices.SIZE, matrices.SPECTRA


def index(name, *, tolerance=1e-2, lowest=12, **limits):
    with jax.enable_x64(True):
        found = curvature.index_interval(
            matrices.product(matrices.matrix_of(name)),
            jnp.zeros(SIZE),
            tolerance=tolerance,
            lowest=lowest,
            **{"key": jax.random.key(0), **limits},
        )
        return curvature.Index(*map(int, found))


def negative(name, tolerance=1e-2):
    return int(np.sum(matrices.spectrum_of(name) < -tolerance))


@pytest.mark.device
@pytest.mark.oracle
@pytest.mark.parametrize("name", [*SPECTRA, *matrices.SLOW])
def test_the_whole_matrix_counts_exactly(name):
    count = negative(name)
    assert index(name) == (count, count, count, 1)


@pytest.mark.identity
@pytest.mark.parametrize("name", SPECTRA)
def test_bounds_of_ritz_values_hold_whatever_subspace_they_are_of(name):
    """Of a random subspace of half the space, with NumPy's residuals."""
    matrix, draw = matrices.matrix_of(name), np.random.default_rng(7)
    basis, _ = np.linalg.qr(draw.normal(size=(SIZE, SIZE // 2)))
    values, rotation = np.linalg.eigh(basis.T @ matrix @ basis)
    vectors = (basis @ rotation).T
    residuals = np.linalg.norm(vectors @ matrix - values[:, None] * vectors, axis=1)
    found = values, vectors, residuals, np.array(SIZE), np.array(True)
    with jax.enable_x64(True):
        ends = curvature.Ends(*map(jnp.asarray, found))
        bounds = curvature.index_of_ends(ends, lowest=SIZE // 2, tolerance=1e-2)
    surely, likely, possibly, exact = map(int, bounds)
    assert np.sum(values < -1e-2) == surely <= negative(name) <= possibly
    assert possibly == SIZE - np.sum(values >= -1e-2)
    assert surely <= likely <= possibly and not exact


@pytest.mark.stress
@pytest.mark.oracle
@pytest.mark.parametrize("name", ["zero block", "network"])
def test_lanczos_counts_where_its_lowest_values_reach_zero(name):
    count = negative(name, 0.1)
    found = index(name, tolerance=0.1, largest=10)
    assert found.surely_negative == found.likely_negative == count
    assert count < found.possibly_negative < SIZE
    assert not found.exact


@pytest.mark.stress
@pytest.mark.identity
@pytest.mark.parametrize("name", [*SPECTRA, *matrices.NETWORKS])
@pytest.mark.parametrize("products", [12, 20, 2000])
def test_the_sure_bounds_hold_for_any_number_of_products(name, products):
    """Multiple eigenvalues included, of which Lanczos sees one copy."""
    found = index(name, largest=10, products=products)
    assert found.surely_negative <= negative(name) <= found.possibly_negative
    assert found.surely_negative <= found.likely_negative <= found.possibly_negative


@pytest.mark.stress
@pytest.mark.oracle
def test_too_few_values_leave_the_interval_open():
    found = index("generic", largest=10)
    assert found.surely_negative == 12 < negative("generic")
    assert found.likely_negative == found.possibly_negative == SIZE


@pytest.mark.invariance
def test_what_tells_no_signs_is_refused():
    with pytest.raises(InputError, match="above 0"):
        index("generic", tolerance=0.0)
    with pytest.raises(InputError, match="index_of_ends"):
        jax.jit(
            lambda x: curvature.index_interval(
                lambda v: v, x, tolerance=0.1, lowest=1, key=jax.random.key(0)
            )
        )(jnp.ones(3))
    ends = curvature.Ends(
        jnp.zeros(2), jnp.ones((2, 4)), jnp.zeros(2), jnp.array(1), jnp.array(True)
    )
    with pytest.raises(InputError, match="take 1 to 2"):
        curvature.index_of_ends(ends, lowest=3, tolerance=0.1)
