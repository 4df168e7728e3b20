"""The Krylov space and the ends of the spectrum, where it is generic and where it
breaks down.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.sparse.linalg
from matfree import decomp

from jaxml import memory, tree
from jaxml.curvature import extremes, lanczos
from jaxml.types import InputError

SIZE, DEPTH = 40, 30
DTYPES = [np.float32, np.float64]
DRAW = np.random.default_rng(0)
BASIS, _ = np.linalg.qr(DRAW.normal(size=(SIZE, SIZE)))
START = DRAW.normal(size=SIZE)
SPECTRA = {
    "generic": np.sort(DRAW.normal(size=SIZE)),
    "zero block": np.r_[-2.0, -1.0, np.zeros(SIZE - 5), 1.0, 2.0, 300.0],
    "multiple": np.repeat([-2.0, -1.0, 0.5, 3.0], SIZE // 4),
    "scalar": np.full(SIZE, 0.3),
    "zero": np.zeros(SIZE),
    "wide": np.r_[
        -(10.0 ** np.linspace(-12, 0, SIZE // 2)),
        10.0 ** np.linspace(-12, 3, SIZE // 2),
    ],
}


def with_spectrum(name):
    return (BASIS * SPECTRA[name]) @ BASIS.T


@functools.partial(jax.jit, static_argnames="depth")
def decomposed(matrix, start, depth=DEPTH):
    return lanczos(lambda v: matrix @ v, start, depth=depth)


@functools.partial(jax.jit, static_argnames=("count", "depth"))
def ends(matrix, count, depth, key):
    return extremes(lambda v: matrix @ v, matrix[0], count=count, depth=depth, key=key)


def in_precision(dtype, function, matrix, *rest):
    """The function's result as NumPy arrays, computed in one precision."""
    with jax.enable_x64(dtype is np.float64):
        rest = [jnp.asarray(x, dtype) if isinstance(x, np.ndarray) else x for x in rest]
        result = function(jnp.asarray(matrix, dtype), *rest)
        assert all(leaf.dtype == dtype for leaf in result)
        return type(result)(*map(np.asarray, result))


def check_identities(matrix, krylov, atol):
    basis, tridiagonal, remainder = (np.asarray(x, np.float64) for x in krylov)
    last = np.eye(len(tridiagonal))[-1]
    scale = np.linalg.norm(matrix, 2)
    np.testing.assert_allclose(basis @ basis.T, np.eye(len(basis)), rtol=0, atol=atol)
    np.testing.assert_allclose(basis @ remainder, 0 * last, rtol=0, atol=atol * scale)
    np.testing.assert_allclose(
        matrix @ basis.T,
        basis.T @ tridiagonal + np.outer(remainder, last),
        atol=atol * scale,
    )
    np.testing.assert_array_equal(tridiagonal, np.triu(np.tril(tridiagonal, 1), -1))
    np.testing.assert_array_equal(tridiagonal, tridiagonal.T)


@pytest.mark.device
@pytest.mark.identity
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", SPECTRA)
def test_matrix_times_basis_is_basis_times_tridiagonal_and_remainder(name, dtype):
    krylov = in_precision(dtype, decomposed, with_spectrum(name), START)
    check_identities(with_spectrum(name), krylov, 100 * np.finfo(dtype).eps)
    np.testing.assert_allclose(
        krylov.basis[0], START / np.linalg.norm(START), rtol=0, atol=1e-6
    )


@pytest.mark.device
@pytest.mark.identity
@pytest.mark.parametrize("start", ["in an invariant subspace", "zero"])
def test_basis_goes_on_where_the_start_cannot_lead(start):
    matrix = with_spectrum("generic")
    vector = {
        "in an invariant subspace": BASIS[:, :3] @ np.ones(3),
        "zero": np.zeros(SIZE),
    }[start]
    check_identities(
        matrix, in_precision(np.float64, decomposed, matrix, vector), 1e-13
    )


@pytest.mark.device
@pytest.mark.oracle
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", SPECTRA)
def test_full_depth_has_every_eigenvalue_as_often_as_the_matrix(name, dtype):
    full = functools.partial(decomposed, depth=SIZE)
    krylov = in_precision(dtype, full, with_spectrum(name), START)
    values = np.linalg.eigvalsh(krylov.tridiagonal.astype(np.float64))
    scale = np.abs(SPECTRA[name]).max()
    np.testing.assert_allclose(
        values, np.sort(SPECTRA[name]), rtol=0, atol=100 * np.finfo(dtype).eps * scale
    )


@pytest.mark.identity
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", SPECTRA)
def test_spectra_interlace_so_that_no_eigenvalue_has_a_ghost(name, dtype):
    tridiagonal = in_precision(
        dtype, decomposed, with_spectrum(name), START
    ).tridiagonal
    inner, outer = (
        np.linalg.eigvalsh(tridiagonal.astype(np.float64)),
        np.sort(SPECTRA[name]),
    )
    slack = 100 * np.finfo(dtype).eps * np.abs(outer).max()
    assert (outer[:DEPTH] - slack <= inner).all()
    assert (inner <= outer[SIZE - DEPTH :] + slack).all()


@pytest.mark.invariance
@pytest.mark.parametrize("name", ["generic", "multiple"])
def test_scaled_matrix_has_the_scaled_tridiagonal(name):
    power = 2.0**-60  # exact: every rounding scales with it
    plain = in_precision(np.float64, decomposed, with_spectrum(name), START)
    scaled = in_precision(np.float64, decomposed, power * with_spectrum(name), START)
    np.testing.assert_array_equal(scaled.tridiagonal, power * plain.tridiagonal)
    np.testing.assert_array_equal(scaled.basis, plain.basis)


@pytest.mark.device
@pytest.mark.oracle
def test_first_steps_are_those_of_matfree():
    matrix, steps = with_spectrum("generic"), 8
    ours = in_precision(np.float64, decomposed, matrix, START)
    with jax.enable_x64(True):
        theirs = decomp.tridiag_sym(steps)(
            lambda v: jnp.asarray(matrix) @ v, jnp.asarray(START)
        )
        basis, tridiagonal = np.asarray(theirs.Q_tall), np.asarray(theirs.J_small)
    np.testing.assert_allclose(
        ours.tridiagonal[:steps, :steps], tridiagonal, rtol=0, atol=1e-12
    )
    np.testing.assert_allclose(ours.basis[:steps], basis, rtol=0, atol=1e-12)


@pytest.mark.device
@pytest.mark.oracle
def test_extremes_are_both_ends_of_a_large_spectrum():
    size, count = 400, 4
    draw = np.random.default_rng(1)
    basis, _ = np.linalg.qr(draw.normal(size=(size, size)))
    outliers = [-9.0, -7.0, -5.5, -4.0, 5.0, 8.0, 20.0, 50.0]
    matrix = (basis * np.r_[outliers, draw.normal(size=size - 8) / 2]) @ basis.T
    matrix = (matrix + matrix.T) / 2
    found = in_precision(
        np.float64,
        functools.partial(ends, count=count, depth=60, key=jax.random.key(0)),
        matrix,
    )
    values, vectors = scipy.sparse.linalg.eigsh(matrix, k=2 * count, which="BE")
    np.testing.assert_allclose(found.values, values, rtol=0, atol=1e-11)
    np.testing.assert_allclose(
        np.abs(found.vectors @ vectors), np.eye(2 * count), rtol=0, atol=1e-11
    )
    assert found.residuals.max() < 1e-11


@pytest.mark.device
@pytest.mark.oracle
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", SPECTRA)
def test_extremes_at_full_depth_are_the_ends_of_the_spectrum(name, dtype):
    search = functools.partial(ends, count=3, depth=100, key=jax.random.key(1))
    found = in_precision(dtype, search, with_spectrum(name))
    ordered = np.sort(SPECTRA[name])
    atol = 100 * np.finfo(dtype).eps * np.abs(ordered).max()
    np.testing.assert_allclose(
        found.values, np.r_[ordered[:3], ordered[-3:]], rtol=0, atol=atol
    )
    np.testing.assert_allclose(
        found.vectors @ found.vectors.T,
        np.eye(6),
        rtol=0,
        atol=100 * np.finfo(dtype).eps,
    )
    assert (found.residuals <= atol).all()


@pytest.mark.device
@pytest.mark.identity
def test_residuals_are_those_of_the_remainder_and_bound_the_error():
    matrix, key, depth = with_spectrum("generic"), jax.random.key(2), 12
    found = in_precision(
        np.float64, functools.partial(ends, count=3, depth=depth, key=key), matrix
    )
    assert found.residuals.max() > 1e-3, "nothing is left to bound: lower the depth"
    with jax.enable_x64(True):
        start = np.asarray(tree.random_like(jnp.zeros(SIZE), key))
    tridiagonal = in_precision(np.float64, decomposed, matrix, start).tridiagonal
    _, rotation = np.linalg.eigh(tridiagonal[:depth, :depth])
    estimates = tridiagonal[depth, depth - 1] * np.abs(
        rotation[-1, [0, 1, 2, -3, -2, -1]]
    )
    np.testing.assert_allclose(found.residuals, estimates, rtol=1e-8)
    distances = np.abs(found.values[:, None] - SPECTRA["generic"]).min(1)
    assert (distances <= found.residuals).all()


@pytest.mark.invariance
def test_extremes_of_a_pytree_are_those_of_its_vector():
    matrix = with_spectrum("generic").astype(np.float32)
    params = {"a": jnp.zeros((4, 5)), "b": (jnp.zeros(19), jnp.zeros(()))}
    _, unravel = tree.ravel(params)

    @jax.jit
    def search(key):
        return extremes(
            lambda v: unravel(matrix @ tree.ravel(v)[0]),
            params,
            count=2,
            depth=SIZE,
            key=key,
        )

    found = search(jax.random.key(0))
    assert [leaf.shape for leaf in jax.tree.leaves(found.vectors)] == [
        (4, 4, 5),
        (4, 19),
        (4,),
    ]
    np.testing.assert_allclose(
        found.values, SPECTRA["generic"][[0, 1, -2, -1]], rtol=0, atol=1e-5
    )
    vectors = np.concatenate(
        [np.reshape(leaf, (4, -1)) for leaf in jax.tree.leaves(found.vectors)], 1
    )
    np.testing.assert_allclose(
        vectors @ matrix, found.values[:, None] * vectors, rtol=0, atol=1e-5
    )


@pytest.mark.device
@pytest.mark.invariance
def test_vmapped_lanczos_is_that_of_each():
    matrices = jnp.asarray(
        [with_spectrum(name) for name in ("generic", "multiple", "zero")], jnp.float32
    )
    start = jnp.asarray(START, jnp.float32)
    together = jax.jit(jax.vmap(lambda matrix: decomposed(matrix, start)))(matrices)
    for index, matrix in enumerate(matrices):
        alone = np.linalg.eigvalsh(decomposed(matrix, start).tridiagonal)
        np.testing.assert_allclose(
            np.linalg.eigvalsh(together.tridiagonal[index]), alone, rtol=0, atol=1e-4
        )


@pytest.mark.invariance
@pytest.mark.parametrize("depth", [0, 5])
def test_impossible_depth_is_refused(depth):
    with pytest.raises(InputError, match="take 1 to 4"):
        lanczos(lambda v: v, jnp.ones(4), depth=depth)


@pytest.mark.invariance
@pytest.mark.parametrize(("count", "depth"), [(0, 4), (3, 9), (2, 3)])
def test_more_ends_than_the_depth_has_are_refused(count, depth):
    with pytest.raises(InputError, match="lower count, raise depth"):
        extremes(
            lambda v: v, jnp.ones(5), count=count, depth=depth, key=jax.random.key(0)
        )


@pytest.mark.invariance
def test_basis_that_does_not_fit_is_refused(monkeypatch):
    monkeypatch.setattr(memory, "available_bytes", lambda: 100)
    with pytest.raises(InputError, match="lower the depth"):
        lanczos(lambda v: v, jnp.ones(20), depth=10)


@pytest.mark.identity
@pytest.mark.parametrize(("size", "depth", "count"), [(20000, 50, 2), (20000, 8, 1)])
def test_the_estimate_is_what_the_compiler_reserves(size, depth, count, monkeypatch):
    needed = []
    monkeypatch.setattr(memory, "require", lambda amount, *_: needed.append(amount))
    vector = jnp.ones(size, jnp.float32)

    def reserved(function):
        plan = jax.jit(function).lower(vector).compile().memory_analysis()
        return plan.temp_size_in_bytes + plan.output_size_in_bytes

    basis = reserved(lambda v: lanczos(lambda x: 2 * x, v, depth=depth))
    assert 0.8 < needed[0] / basis < 1.25
    both = reserved(
        lambda v: extremes(
            lambda x: 2 * x, v, count=count, depth=depth, key=jax.random.key(0)
        )
    )
    assert 0.8 < needed[1] / both < 1.25


@pytest.mark.oracle
def test_depth_one_is_the_rayleigh_quotient():
    krylov = in_precision(
        np.float64,
        functools.partial(decomposed, depth=1),
        with_spectrum("generic"),
        START,
    )
    unit = START / np.linalg.norm(START)
    np.testing.assert_allclose(
        krylov.tridiagonal, [[unit @ with_spectrum("generic") @ unit]], rtol=1e-12
    )
    check_identities(with_spectrum("generic"), krylov, 1e-13)


@pytest.mark.oracle
def test_count_may_be_half_the_depth_and_no_more():
    search = functools.partial(ends, count=SIZE // 2, depth=SIZE, key=jax.random.key(1))
    found = in_precision(np.float64, search, with_spectrum("generic"))
    np.testing.assert_allclose(found.values, SPECTRA["generic"], rtol=0, atol=1e-12)
    with pytest.raises(InputError, match="lower count"):
        extremes(
            lambda v: v,
            jnp.ones(SIZE),
            count=SIZE // 2 + 1,
            depth=SIZE,
            key=jax.random.key(1),
        )


@pytest.mark.statistics
def test_the_fresh_direction_has_no_preferred_sign_or_axis():
    """At A = 0 every direction but the first is fresh: its entries are as often below 0
    as above.
    """
    size = 4000
    krylov = lanczos(lambda v: 0 * v, jnp.eye(1, size)[0], depth=5)
    fresh = np.asarray(krylov.basis)[1:, 1:]
    for row in fresh:
        assert abs(np.mean(row > 0) - 0.5) < 4 * 0.5 / np.sqrt(size)
        assert np.abs(row).max() < 2 * np.sqrt(
            3 / size
        )  # uniform: no entry beyond √3 standard deviations
    np.testing.assert_allclose(fresh @ fresh.T, np.eye(4), atol=1e-5)
