"""Sign counts against prescribed spectra and SciPy's eigenvalues."""

import tracemalloc

import hypothesis
import hypothesis.strategies as st
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg

from jaxml.curvature import Inertia, eigenvalues, inertia, inertia_from_eigenvalues
from jaxml.types import InputError

TOLERANCE = 1e-2
DTYPES = [np.float32, np.float64]


def with_spectrum(values, seed):
    """A symmetric float64 matrix with these eigenvalues, in a random orthonormal
    basis.
    """
    values = np.asarray(values, np.float64)
    basis, _ = np.linalg.qr(
        np.random.default_rng(seed).normal(size=(values.size, values.size))
    )
    matrix = (basis * values) @ basis.T
    return (matrix + matrix.T) / 2


@pytest.mark.oracle
@hypothesis.settings(deadline=None, max_examples=60, derandomize=True)
@hypothesis.given(
    positive=st.integers(0, 20),
    zero=st.integers(0, 20),
    negative=st.integers(0, 20),
    spread=st.floats(0, 2),
    seed=st.integers(0, 2**31),
    dtype=st.sampled_from(DTYPES),
)
def test_counts_are_those_prescribed(positive, zero, negative, spread, seed, dtype):
    hypothesis.assume(positive + zero + negative > 0)
    sizes = (
        10.0 ** np.random.default_rng(seed).uniform(0, spread, positive + negative)
        * 3
        * TOLERANCE
    )
    values = np.r_[sizes[:positive], np.zeros(zero), -sizes[positive:]]
    matrix = with_spectrum(values, seed).astype(dtype)
    assert inertia(matrix, tolerance=TOLERANCE) == (positive, zero, negative)
    assert inertia_from_eigenvalues(eigenvalues(matrix), tolerance=TOLERANCE) == (
        positive,
        zero,
        negative,
    )


@pytest.mark.device
@pytest.mark.oracle
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("tolerance", [0.0, 0.5])
def test_counts_where_every_pivot_is_two_by_two(dtype, tolerance):
    draw = np.random.default_rng(3)
    for size in (2, 3, 9, 60):
        matrix = draw.integers(-2, 3, size=(size, size)).astype(dtype)
        matrix = np.triu(matrix, 1) + np.triu(matrix, 1).T  # a zero diagonal
        values = scipy.linalg.eigvalsh(matrix.astype(np.float64))
        far = np.abs(np.abs(values) - tolerance) > 1e-3
        assert far.all(), (
            "choose another seed: an eigenvalue is too close to the tolerance"
        )
        above, below = np.sum(values > tolerance), np.sum(values < -tolerance)
        assert inertia(matrix, tolerance=tolerance) == (
            above,
            size - above - below,
            below,
        )


@pytest.mark.device
@pytest.mark.oracle
@pytest.mark.parametrize("dtype", DTYPES)
def test_ends_of_the_tolerance_count_as_zero(dtype):
    matrix = np.diag(np.array([-2, -1, 0, 0, 1, 2], dtype))
    for signs in (
        inertia(matrix, tolerance=1.0),
        inertia_from_eigenvalues(eigenvalues(matrix), tolerance=1.0),
    ):
        assert signs == (1, 4, 1)
    assert inertia(matrix, tolerance=0.0) == (2, 2, 2)
    assert inertia(np.zeros((3, 3), dtype), tolerance=0.0) == (0, 3, 0)


@pytest.mark.device
@pytest.mark.identity
@pytest.mark.parametrize(
    "seed", [0, 2498, 3170, 4083]
)  # the last three: found where no guard counts 6 of 5
def test_counts_add_up_below_rounding(seed):
    draw = np.random.default_rng(seed)
    factor = draw.normal(size=(5, 4)) * 10.0 ** draw.uniform(-2, 2, size=(5, 1))
    singular = ((factor * [1, 1, -1, -1]) @ factor.T).astype(np.float32)
    singular = (singular + singular.T) / 2
    for relative in (0.0, 3e-9, 1e-7):
        signs = inertia(singular, tolerance=float(np.abs(singular).max()) * relative)
        assert sum(signs) == 5
        assert min(signs) >= 0


@pytest.mark.device
@pytest.mark.oracle
@pytest.mark.parametrize("dtype", DTYPES)
def test_eigenvalues_are_ascending_in_the_matrix_precision(dtype):
    values = np.sort(np.random.default_rng(0).normal(size=30))
    found = eigenvalues(with_spectrum(values, seed=1).astype(dtype))
    assert found.dtype == dtype
    np.testing.assert_allclose(found, values, rtol=0, atol=50 * np.finfo(dtype).eps)


@pytest.mark.oracle
def test_counts_are_made_in_the_matrix_precision():
    matrix = with_spectrum(np.r_[np.full(30, 1e-9), 1.0], seed=2)
    assert inertia(matrix, tolerance=1e-10) == (31, 0, 0)
    assert inertia(matrix.astype(np.float32), tolerance=1e-10) != (31, 0, 0)


@pytest.mark.device
@pytest.mark.oracle
def test_counts_over_networks_with_a_tolerance_each():
    values = np.array([[-3.0, 0.1, 2.0, 5.0], [-0.1, -0.1, 0.0, 0.2]])
    signs = inertia_from_eigenvalues(
        jnp.asarray(values, jnp.float32), tolerance=np.array([0.0, 0.15])
    )
    assert all(isinstance(count, np.ndarray) for count in signs)
    np.testing.assert_array_equal(
        signs, Inertia(np.array([3, 1]), np.array([0, 3]), np.array([1, 0]))
    )


@pytest.mark.invariance
def test_matrix_is_left_alone_and_copied_once():
    matrix = with_spectrum(np.linspace(-1, 1, 500), seed=4)
    before = matrix.copy()
    tracemalloc.start()
    inertia(matrix, tolerance=1e-6)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    np.testing.assert_array_equal(matrix, before)
    assert peak < 1.5 * matrix.nbytes


@pytest.mark.invariance
@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        (np.ones((2, 3)), "square"),
        (np.ones(4), "square"),
        (np.ones((0, 0)), "square"),
        (np.full((2, 2), np.nan), "not finite"),
        (np.ones((2, 2), int), "cast"),
        (jnp.ones((2, 2), jnp.bfloat16), "cast"),
    ],
)
def test_what_has_no_signs_is_refused(matrix, message):
    with pytest.raises(InputError, match=message):
        inertia(matrix, tolerance=0.0)
    with pytest.raises(InputError, match=message):
        eigenvalues(matrix)


@pytest.mark.invariance
@pytest.mark.parametrize("tolerance", [-1e-3, np.inf, np.nan])
def test_what_is_no_tolerance_is_refused(tolerance):
    with pytest.raises(InputError, match="tolerance"):
        inertia(np.eye(2), tolerance=tolerance)
    with pytest.raises(InputError, match="tolerance"):
        inertia_from_eigenvalues(np.ones(2), tolerance=np.array([0.1, tolerance]))


@pytest.mark.invariance
def test_eigenvalues_of_a_diverged_network_are_refused():
    with pytest.raises(InputError, match="diverged"):
        inertia_from_eigenvalues(np.array([1.0, np.nan]), tolerance=0.0)
