"""Both ends of the spectrum against dense float64 spectra and SciPy: what is found,
what it costs, and what its bounds promise.
"""

import functools
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.sparse.linalg

from jaxml import curvature, memory, tree
from jaxml.types import InputError

matrices = sys.modules["spectra_matrices"]  # of conftest.py

SIZE, SPECTRA = matrices.SIZE, matrices.SPECTRA
START = np.random.default_rng(1).normal(size=SIZE)
TOLERANCE = {np.float32: 1e-5, np.float64: 1e-9}


TRACES = []


def quadratic(params, matrix):
    TRACES.append(1)
    point, _ = tree.ravel(params)
    return 0.5 * point @ matrix @ point


def as_tree(vector, dtype):
    vector = np.asarray(vector, dtype)
    return {"a": vector[:20].reshape(4, 5), "b": vector[20:]}


def found(matrix, *, dtype=np.float64, start=START, lowest=2, highest=2, **limits):
    """The ends as NumPy arrays, by the Hessian of a quadratic of a pytree."""
    with matrices.in_precision(dtype):
        origin, start = as_tree(0 * START, dtype), as_tree(start, dtype)
        matrix = np.asarray(matrix, dtype)
        product = curvature.hessian_product(quadratic, origin, matrix)
        limits = {"basis": 12, "tolerance": TOLERANCE[dtype], **limits}
        count = {"lowest": lowest, "highest": highest}
        ends = curvature.ends(product, start, **count, **limits)
        summed = curvature.warm_start(ends)
    ends = jax.tree.map(np.asarray, ends)
    assert [x.shape[1:] for x in ends.vectors.values()] == [(4, 5), (SIZE - 20,)]
    leaves = [leaf.reshape(len(leaf), -1) for leaf in jax.tree.leaves(ends.vectors)]
    ends = ends._replace(vectors=np.concatenate(leaves, 1))
    summed = np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(summed)])
    np.testing.assert_allclose(summed, ends.vectors.sum(0), atol=1e-5)
    assert ends.values.dtype == ends.residuals.dtype == dtype
    return ends


NAMES = ["generic", "zero block", "clusters", "network", *matrices.SLOW]


@pytest.mark.device
@pytest.mark.oracle
@pytest.mark.parametrize(
    "dtype", [pytest.param(np.float32, marks=pytest.mark.stress), np.float64]
)
@pytest.mark.parametrize("name", NAMES)
def test_both_ends_are_those_of_the_spectrum(name, dtype):
    matrix, spectrum = matrices.matrix_of(name), matrices.spectrum_of(name)
    ends = found(matrix, dtype=dtype)
    assert ends.converged and ends.values.dtype == dtype
    largest = np.abs(spectrum).max()
    limit = 2 * TOLERANCE[dtype] * largest
    np.testing.assert_allclose(
        ends.values, spectrum[[0, 1, -2, -1]], rtol=0, atol=limit
    )
    images = ends.vectors @ matrix - ends.values[:, None] * ends.vectors
    true = np.linalg.norm(images, axis=1)
    assert (true <= ends.residuals).all()
    assert (ends.residuals <= limit).all()
    np.testing.assert_allclose(
        ends.vectors @ ends.vectors.T, np.eye(4), rtol=0, atol=1e2 * np.finfo(dtype).eps
    )


@pytest.mark.identity
@pytest.mark.parametrize("name", ["generic", "multiple", "network"])
@pytest.mark.parametrize("products", [4, 7, 13, 30])
def test_bounds_hold_before_the_search_has_converged(name, products):
    """Some eigenvalue lies within each residual, and no Ritz value beyond its own."""
    spectrum = SPECTRA[name]
    ends = found(matrices.with_spectrum(spectrum), products=products, tolerance=0.0)
    assert ends.products <= products
    distances = np.abs(ends.values[:, None] - spectrum).min(1)
    assert (distances <= ends.residuals).all()
    slack = 1e-12
    assert (ends.values[:2] >= spectrum[:2] - slack).all()
    assert (ends.values[2:] <= spectrum[-2:] + slack).all()
    if name == "generic":
        assert not ends.converged


@pytest.mark.oracle
@pytest.mark.parametrize("values", ["multiple", "scalar", "zero"])
def test_multiple_eigenvalues_are_found_and_none_that_is_not_there(values):
    spectrum = SPECTRA.get(values, np.full(SIZE, 0.3 if values == "scalar" else 0.0))
    ends = found(matrices.with_spectrum(spectrum))
    assert ends.converged
    assert np.abs(ends.values[:, None] - spectrum).min(1).max() < 1e-12
    np.testing.assert_allclose(ends.values[[0, -1]], spectrum[[0, -1]], atol=1e-12)


@pytest.mark.oracle
def test_one_end_alone_is_found():
    spectrum = SPECTRA["generic"]
    matrix = matrices.with_spectrum(spectrum)
    highest = found(matrix, lowest=0, highest=2).values
    np.testing.assert_allclose(highest, np.sort(spectrum)[-2:], rtol=1e-8)


@pytest.mark.stress
@pytest.mark.oracle
def test_one_end_alone_with_a_basis_of_the_whole_space_has_every_copy():
    spectrum = SPECTRA["multiple"]
    wanted = {"lowest": 0, "highest": 20, "basis": 100}
    ends = found(matrices.with_spectrum(spectrum), tolerance=0.0, **wanted)
    assert ends.converged and ends.products <= SIZE
    np.testing.assert_allclose(ends.values, spectrum[-20:], rtol=0, atol=1e-12)


@pytest.mark.stress
@pytest.mark.oracle
def test_products_are_counted_and_not_many_more_than_those_of_scipy(monkeypatch):
    """To 1e-3 of the norm, where SciPy asks for 1e-3 of each eigenvalue, and to the
    residual that it reached. Inside `jit`, in the memory that was estimated.
    """
    draw, size = np.random.default_rng(3), 1000
    bulk = np.minimum(0.01 * np.abs(draw.standard_cauchy(size - 16)), 1.5)
    spectrum = np.r_[np.linspace(-0.5, -0.2, 6), bulk, 10 ** draw.uniform(0.3, 1.7, 10)]
    start, largest = draw.normal(size=size), spectrum.max()
    calls = []

    def ours(spectrum, vector):
        jax.debug.callback(lambda: calls.append(1))
        return spectrum * vector

    def theirs(vector):
        calls.append(1)
        return spectrum * vector.ravel()

    operator = scipy.sparse.linalg.LinearOperator((size, size), theirs, dtype=float)
    values, vectors = scipy.sparse.linalg.eigsh(
        operator, k=4, which="BE", tol=1e-3, v0=start
    )
    budget = 1.2 * len(calls)
    images = spectrum[:, None] * vectors - vectors * values
    reached = np.linalg.norm(images, axis=0).max() / largest
    assert reached < 1e-3, "SciPy has not done what it is compared for"
    needed = []
    monkeypatch.setattr(memory, "require", lambda amount, *_: needed.append(amount))

    @jax.jit
    def search(spectrum, start, tolerance):
        limits = {"basis": 20, "tolerance": tolerance}
        product = functools.partial(ours, spectrum)
        return curvature.ends(product, start, lowest=2, highest=2, **limits)

    with jax.enable_x64(True):
        program = search.lower(spectrum, start, 1e-3).compile()
        plan = program.memory_analysis()
        reserved = plan.temp_size_in_bytes + plan.output_size_in_bytes
        assert 0.8 < needed[0] / reserved < 1.25
        for tolerance in (1e-3, float(reached)):
            calls.clear()
            ends = jax.block_until_ready(program(spectrum, start, tolerance))
            jax.effects_barrier()
            assert int(ends.products) == len(calls) <= budget
            assert ends.converged
    np.testing.assert_allclose(ends.values, values, rtol=0, atol=2 * reached * largest)


@pytest.mark.identity
def test_a_warm_start_meets_the_ends_of_a_matrix_nearby_in_fewer_products():
    matrix = matrices.with_spectrum(SPECTRA["network"])
    draw = np.random.default_rng(4)
    step = BEND @ np.diag(draw.normal(size=SIZE)) @ BEND
    first = found(matrix, tolerance=1e-4)
    summed = first.vectors.sum(0)  # as `found` has seen
    cold = found(matrix + step, tolerance=1e-4)
    warm = found(matrix + step, tolerance=1e-4, start=summed)
    assert warm.products < 0.8 * cold.products
    np.testing.assert_allclose(warm.values, cold.values, rtol=0, atol=1e-2)


BEND = 0.03 * matrices.with_spectrum(np.sqrt(np.abs(SPECTRA["network"])))
"""Moves directions in proportion to how curved they are."""


@pytest.mark.compiles_once
def test_a_hessian_products_program_is_kept():
    found(matrices.with_spectrum(SPECTRA["generic"]))
    seen = len(TRACES)
    found(matrices.with_spectrum(SPECTRA["network"]))
    assert len(TRACES) == seen > 0


def asked(**changed):
    wanted = {"lowest": 1, "highest": 1, "basis": 8, **changed}
    return curvature.ends(lambda v: v, jnp.ones(9), **wanted)


@pytest.mark.invariance
@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"lowest": 0, "highest": 0}, "ask for 1 to 9"),
        ({"lowest": -1}, "ask for 1 to 9"),
        ({"lowest": 9}, "ask for 1 to 9"),
        ({"lowest": 4, "highest": 4}, "no room"),
        ({"products": 1}, "allow more"),
    ],
)
def test_impossible_requests_are_refused(changed, message):
    with pytest.raises(InputError, match=message):
        asked(**changed)


@pytest.mark.invariance
def test_products_that_are_not_finite_are_refused_outside_jit():
    matrix = np.full((SIZE, SIZE), np.nan)
    with pytest.raises(InputError, match="not finite"):
        found(matrix)


@pytest.mark.invariance
def test_basis_that_does_not_fit_is_refused(monkeypatch):
    monkeypatch.setattr(memory, "available_bytes", lambda: 100)
    with pytest.raises(InputError, match="lower basis"):
        asked()
