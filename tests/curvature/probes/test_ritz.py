"""Ritz pairs of Z H against SciPy's, for prescribed spectra and metrics."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg

from jaxml.curvature import probes
from jaxml.curvature.probes.ritz import ritz_pairs
from jaxml.types import InputError

SIZE, COUNT = 12, 2
DRAW = np.random.default_rng(0)
BASIS, _ = np.linalg.qr(DRAW.normal(size=(SIZE, SIZE)))
START = DRAW.normal(size=(COUNT, SIZE))
SPECTRA = {
    "generic": DRAW.normal(size=SIZE),
    "clusters and zeros": np.r_[-2.0, -1.0, np.zeros(SIZE - 6), 1.0, 3.0, 3.0, 3.0],
    "negative": -np.arange(1.0, SIZE + 1),
    "zero": np.zeros(SIZE),
}
FACTOR = DRAW.normal(size=(SIZE, SIZE))
METRICS = {
    "one": np.eye(SIZE),
    "diagonal": np.diag(10.0 ** np.linspace(-2, 2, SIZE)),
    "dense": FACTOR @ FACTOR.T + np.eye(SIZE),
}


@functools.partial(jax.jit, static_argnames="depth")
def pairs_of(matrix, metric, start, depth):
    return ritz_pairs(lambda v: matrix @ v, lambda v: metric @ v, start, depth)


def in_precision(dtype, *arrays, depth):
    with jax.enable_x64(dtype is np.float64):
        found = pairs_of(*[jnp.asarray(x, dtype) for x in arrays], depth=depth)
        return type(found)(*[np.asarray(x, np.float64) for x in found])


@pytest.mark.oracle
@pytest.mark.parametrize(
    "dtype", [pytest.param(np.float32, marks=pytest.mark.stress), np.float64]
)
@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("spectrum", SPECTRA)
def test_a_whole_space_is_exact(spectrum, metric, dtype):
    matrix, scaling, exact = problem(spectrum, metric)
    rounding = 200 * np.finfo(dtype).eps * max(1.0, np.max(np.abs(exact)))
    whole = in_precision(dtype, matrix, scaling, START, depth=SIZE)
    # three copies of one eigenvalue may show as two, for the start has two rows
    np.testing.assert_allclose(whole.values, exact[:COUNT], rtol=0, atol=rounding)
    assert np.all(whole.residuals < 10 * rounding)
    gram = whole.covectors @ whole.vectors.T
    np.testing.assert_allclose(gram, np.eye(COUNT), rtol=0, atol=1e3 * rounding)


@pytest.mark.stress
@pytest.mark.oracle
@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("spectrum", SPECTRA)
def test_a_part_of_the_space_is_bounded(spectrum, metric):
    matrix, scaling, exact = problem(spectrum, metric)
    rounding = 200 * np.finfo(float).eps * max(1.0, np.max(np.abs(exact)))
    part = in_precision(np.float64, matrix, scaling, START, depth=2)
    assert np.all(part.values <= exact[:COUNT] + rounding)
    nearest = np.min(np.abs(part.values[:, None] - exact), axis=1)
    assert np.all(nearest <= part.residuals + rounding)
    gram = part.covectors @ part.vectors.T
    np.testing.assert_allclose(gram, np.eye(COUNT), rtol=0, atol=1e3 * rounding)


def problem(spectrum, metric):
    """H, Z, and the eigenvalues of Z H, the highest first."""
    matrix, scaling = (BASIS * SPECTRA[spectrum]) @ BASIS.T, METRICS[metric]
    root = scipy.linalg.sqrtm(scaling).real
    return matrix, scaling, scipy.linalg.eigvalsh(root @ matrix @ root)[::-1]


@pytest.mark.identity
def test_a_metric_that_vanishes_has_no_sharpness():
    matrix = (BASIS * SPECTRA["generic"]) @ BASIS.T
    none = in_precision(np.float64, matrix, np.zeros((SIZE, SIZE)), START, depth=SIZE)
    assert all(np.all(leaf == 0) for leaf in none)


@pytest.mark.stress
@pytest.mark.invariance
def test_no_metric_is_the_metric_one():
    matrix, one = (jnp.asarray(x, jnp.float32) for x in (BASIS, METRICS["one"]))
    matrix, start = matrix + matrix.T, jnp.asarray(START, jnp.float32)
    plain = jax.jit(lambda s: ritz_pairs(lambda v: matrix @ v, None, s, 2))(start)
    unit = pairs_of(matrix, one, start, depth=2)
    for ours, theirs in zip(plain, unit, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-5)


@pytest.mark.identity
def test_bad_input_is_refused():
    params = jnp.ones(3)
    with pytest.raises(InputError, match="take 2 or more"):
        probes.sharpness(bowl, probes.own_data, depth=1)
    with pytest.raises(InputError, match="take 1 to 3"):
        probes.top_subspace(bowl, probes.own_data, count=4).init(params)
    with pytest.raises(InputError, match="has no derivative"):
        probes.sharpness(bowl, probes.own_data).init(jnp.arange(3))
    with pytest.raises(InputError, match="one probe or more"):
        probes.together({})


def bowl(params, batch):
    del batch
    return jnp.sum(params**2)
