"""Quadrature from random directions: exact moments, fractions of clusters and zeros,
and errors that cover at their rate.
"""

import functools
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from jaxml import curvature
from jaxml.curvature.spectra.density import _normal_like
from jaxml.types import InputError

matrices = sys.modules["spectra_matrices"]  # of conftest.py

SIZE, SPECTRA = matrices.SIZE, matrices.SPECTRA
DEPTH, UNITS, PROBES = 6, 200, 10


@functools.cache
def density(name, *, depth=DEPTH, probes=PROBES * UNITS):
    with jax.enable_x64(True):
        found = curvature.spectral_density(
            matrices.product(matrices.matrix_of(name)),
            jnp.zeros(SIZE),
            depth=depth,
            probes=probes,
            key=jax.random.key(0),
        )
        assert found.nodes.dtype == found.weights.dtype == np.float64
        return curvature.Density(*map(np.asarray, found))


def moments(found, count):
    powers = np.arange(count)[:, None, None]
    return np.sum(found.weights * found.nodes**powers, 2)


@jax.jit
def normals(keys):
    return jax.lax.map(lambda key: _normal_like(jnp.zeros(SIZE, "float32"), key), keys)


def directions(probes):
    """z, `[probe, p]`, of unit length."""
    keys = jax.random.split(jax.random.key(0), PROBES * UNITS)[:probes]
    drawn = np.asarray(normals(keys), np.float64)
    return drawn / np.linalg.norm(drawn, axis=1, keepdims=True)


@pytest.mark.device
@pytest.mark.oracle
@pytest.mark.parametrize("name", ["generic", "clusters", *matrices.SLOW])
def test_moments_are_exact_to_twice_the_depth(name):
    """zᵀAʲz for j < 2 depth, and not for the next."""
    matrix, units = matrices.matrix_of(name), directions(3)
    found = curvature.Density(*(x[:3] for x in density(name)))
    powers = [np.linalg.matrix_power(matrix, j) for j in range(2 * DEPTH + 1)]
    true = np.einsum("pi,jik,pk->jp", units, np.asarray(powers), units)
    close = np.isclose(moments(found, 2 * DEPTH + 1), true, rtol=1e-5, atol=1e-6)
    assert close[:-1].all()
    if name == "generic":
        assert not close[-1].any()


@pytest.mark.identity
@pytest.mark.parametrize("name", ["zero block", "multiple", *matrices.SLOW])
def test_weights_of_a_probe_sum_to_one_and_nodes_lie_within_the_spectrum(name):
    found, spectrum = density(name), matrices.spectrum_of(name)
    slack = 1e-12 * np.abs(spectrum).max()
    assert (found.weights >= 0).all()
    np.testing.assert_allclose(found.weights.sum(1), 1, rtol=0, atol=1e-12)
    assert (found.nodes >= spectrum.min() - slack).all()
    assert (found.nodes <= spectrum.max() + slack).all()


@pytest.mark.statistics
@pytest.mark.parametrize("name", ["generic", "zero block", *matrices.SLOW])
def test_variance_of_a_probe_is_that_of_the_sphere(name):
    """Of a mean of f: 2 Var f(λ) / (p + 2), whatever the eigenvectors are."""
    means, spectrum = moments(density(name), 2)[1], matrices.spectrum_of(name)
    expected = 2 * np.var(spectrum) / (SIZE + 2)
    kurtosis = scipy.stats.kurtosis(means)
    error = np.sqrt((kurtosis + 2) / len(means))
    assert abs(np.var(means) / expected - 1) < 4 * error
    assert abs(means.mean() - spectrum.mean()) < 4 * np.sqrt(expected / len(means))


@jax.jit
def fractions_below(units, threshold):
    return jax.vmap(lambda unit: curvature.fraction_below(unit, threshold))(units)


@pytest.mark.statistics
@pytest.mark.parametrize("name", ["clusters", "multiple"])
def test_fractions_and_their_errors_cover_at_their_rate(name):
    """200 units of 10 probes: the 95 % interval of Student's law holds the truth in 90
    % of them or more, four standard errors of 200 units below 95.
    """
    found, threshold = density(name), -0.7
    truth = np.mean(SPECTRA[name] < threshold)
    cut = (UNITS, PROBES, DEPTH)
    units = curvature.Density(found.nodes.reshape(cut), found.weights.reshape(cut))
    with jax.enable_x64(True):
        below = fractions_below(units, threshold)
    value, error = np.asarray(below.value), np.asarray(below.error)
    inside = np.abs(value - truth) <= scipy.stats.t.ppf(0.975, PROBES - 1) * error
    rate = 0.95
    assert abs(inside.mean() - rate) < 4 * np.sqrt(rate * (1 - rate) / UNITS)


@pytest.mark.oracle
def test_exact_zeros_are_one_node_of_their_fraction():
    found = density("zero block")
    at_zero = np.where(np.abs(found.nodes) < 1e-9, found.weights, 0).sum(1)
    truth = np.mean(SPECTRA["zero block"] == 0)
    error = at_zero.std() / np.sqrt(len(at_zero))
    assert abs(at_zero.mean() - truth) < 4 * error


@pytest.mark.oracle
def test_smoothed_density_is_the_spectrum_seen_through_a_gaussian():
    grid, width = np.linspace(-3, 3, 13), 0.7
    with jax.enable_x64(True):
        seen = curvature.smoothed_density(density("generic"), grid, width=width)
    kernels = scipy.stats.norm.pdf(grid[:, None], SPECTRA["generic"], width)
    value, error = np.asarray(seen.value), np.asarray(seen.error)
    assert value.shape == error.shape == grid.shape
    assert (np.abs(value - kernels.mean(1)) < 4 * error + 1e-3).all()


@pytest.mark.stress
@pytest.mark.identity
def test_a_density_keeps_to_seventy_vectors():
    size, vector = 20000, jnp.ones(20000)

    def search(vector):
        return curvature.spectral_density(
            lambda v: 2 * v, vector, depth=64, probes=4, key=jax.random.key(0)
        )

    plan = jax.jit(search).lower(vector).compile().memory_analysis()
    small = 64 * 64 * 8
    assert plan.temp_size_in_bytes <= 70 * size * 4 + 4 * small


@pytest.mark.invariance
def test_one_probe_has_no_error_and_bad_requests_are_refused():
    one = jax.tree.map(lambda x: x[:1], density("generic"))
    with jax.enable_x64(True):
        assert np.isnan(curvature.fraction_below(one, 1.0).error)
    for changed, message in (({"depth": 0}, "depth"), ({"probes": 0}, "probes")):
        with pytest.raises(InputError, match=message):
            density("generic", **changed)
