"""Symmetric systems from products, compared with SciPy and dense solves."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.tree_util import Partial
from scipy.sparse import linalg

from jaxml.curvature.points.krylov import minres
from jaxml.curvature.points.truncated import truncated_cg
from jaxml.types import InputError

SIZE = 24
DRAW = np.random.default_rng(0)
ROTATION, _ = np.linalg.qr(DRAW.normal(size=(SIZE, SIZE)))
RIGHT = DRAW.normal(size=SIZE)
SPECTRA = {
    "clusters": np.repeat([-3.0, -1.0, 2.0, 5.0], 6),
    "indefinite": np.linspace(-3, 4, SIZE) + 0.05,
    "singular": np.concatenate([np.zeros(6), np.linspace(-2, 3, SIZE - 6) + 0.04]),
    "definite": np.geomspace(0.05, 5, SIZE),
}


def with_spectrum(name):
    return (ROTATION * SPECTRA[name]) @ ROTATION.T


def times(matrix, vector):
    image = matrix @ jnp.concatenate([*vector.values()])
    return {"a": image[:5], "b": image[5:]}


def as_tree(vector):
    return {"a": jnp.asarray(vector[:5]), "b": jnp.asarray(vector[5:])}


def flat(vector):
    return np.concatenate([np.asarray(leaf) for leaf in vector.values()])


def residuals_solved(name, right, **settings):
    """Minimal residuals on a pytree, by a map that is one itself: one program."""
    matrix = Partial(times, jnp.asarray(with_spectrum(name)))
    return minres(matrix, as_tree(right), **settings)


@pytest.fixture(autouse=True)
def double():
    with jax.enable_x64(True):
        yield


@pytest.mark.device
@pytest.mark.oracle
@pytest.mark.parametrize("name", SPECTRA)
def test_consistent_systems_have_the_solution_of_least_norm(name):
    matrix = with_spectrum(name)
    right = matrix @ RIGHT
    found = residuals_solved(name, right, iterations=90, tolerance=1e-12)
    expected = np.linalg.pinv(matrix, rcond=1e-10) @ right
    np.testing.assert_allclose(flat(found.x), expected, atol=1e-9)
    np.testing.assert_allclose(
        flat(found.residual), right - matrix @ flat(found.x), atol=1e-9
    )
    assert found.residual_norm <= 1e-12 * np.linalg.norm(right)
    assert (found.curvature < 0) == (SPECTRA[name].min() < 0)
    assert (
        0.4 * np.abs(SPECTRA[name]).max()
        < found.norm
        < 1.5 * np.abs(SPECTRA[name]).max()
    )
    if name == "clusters":
        assert found.iterations == 4


@pytest.mark.oracle
def test_inconsistent_systems_are_solved_by_least_squares():
    matrix = with_spectrum("singular")
    found = residuals_solved("singular", RIGHT, iterations=90)
    inside = ROTATION[:, 6:]
    expected = RIGHT - inside @ (inside.T @ RIGHT)
    np.testing.assert_allclose(flat(found.residual), expected, atol=1e-6)
    assert np.linalg.norm(matrix @ flat(found.residual)) < 1e-6
    assert found.iterations < 90


@pytest.mark.oracle
@pytest.mark.parametrize("iterations", [1, 3, 10])
def test_iterates_are_those_of_scipy(iterations):
    matrix = with_spectrum("indefinite")
    found = residuals_solved("indefinite", RIGHT, iterations=iterations)
    expected, _ = linalg.minres(matrix, RIGHT, maxiter=iterations, rtol=0)
    np.testing.assert_allclose(flat(found.x), expected, rtol=1e-9, atol=1e-12)
    assert found.iterations == iterations


@pytest.mark.oracle
@pytest.mark.parametrize("iterations", [2, 60])
def test_conjugate_gradients_inside_the_ball_are_those_of_scipy(iterations):
    matrix = with_spectrum("definite")
    product = Partial(times, jnp.asarray(matrix))
    found = truncated_cg(
        product, as_tree(RIGHT), radius=1e4, iterations=iterations, tolerance=1e-10
    )
    expected, _ = linalg.cg(matrix, -RIGHT, rtol=1e-10, maxiter=iterations)
    np.testing.assert_allclose(flat(found.step), expected, rtol=1e-7, atol=1e-9)
    assert not found.truncated
    np.testing.assert_allclose(
        found.residual_norm,
        np.linalg.norm(matrix @ flat(found.step) + RIGHT),
        rtol=1e-6,
        atol=1e-9,
    )


@pytest.mark.identity
@pytest.mark.parametrize(("name", "radius"), [("definite", 0.5), ("indefinite", 7.0)])
def test_truncated_steps_end_on_the_ball_and_lower_the_model(name, radius):
    matrix = with_spectrum(name)
    product = Partial(times, jnp.asarray(matrix))
    found = truncated_cg(
        product, as_tree(RIGHT), radius=radius, iterations=60, tolerance=1e-10
    )
    step = flat(found.step)
    assert found.truncated
    np.testing.assert_allclose(np.linalg.norm(step), radius, rtol=1e-12)
    slope = RIGHT / np.linalg.norm(RIGHT)
    cauchy = -slope * min(radius, 1e9)
    if (bend := slope @ matrix @ slope) > 0:
        cauchy = -slope * min(radius, np.linalg.norm(RIGHT) / bend)
    model = [RIGHT @ s + s @ matrix @ s / 2 for s in (step, cauchy)]
    assert model[0] <= model[1] + 1e-12


@pytest.mark.oracle
def test_curvature_of_rounding_moves_nothing_along_flat_directions():
    """A gradient with a part of 1e-12 in the kernel: Newton's step in the range."""
    matrix = with_spectrum("singular") @ with_spectrum("singular")
    inside = ROTATION[:, 6:]
    gradient = inside @ (inside.T @ RIGHT) + 1e-12 * ROTATION[:, 0]
    product = Partial(times, jnp.asarray(matrix))
    found = truncated_cg(
        product,
        as_tree(gradient),
        radius=1e6,
        iterations=200,
        tolerance=1e-9,
        kernel=1e-8,
    )
    expected = -np.linalg.pinv(matrix, rcond=1e-10) @ gradient
    np.testing.assert_allclose(flat(found.step), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.invariance
def test_nothing_to_solve_is_solved_or_refused():
    found = residuals_solved("definite", np.zeros(SIZE), iterations=90)
    assert found.iterations == 0 and not flat(found.x).any()
    with pytest.raises(InputError, match="0 iterations"):
        residuals_solved("definite", RIGHT, iterations=0)
    with pytest.raises(InputError, match="radius"):
        truncated_cg(lambda v: v, jnp.ones(2), radius=0.0, iterations=1)


@pytest.mark.compiles_once
def test_another_system_compiles_nothing(caplog):
    with jax.log_compiles(), caplog.at_level("WARNING"):
        residuals_solved("definite", RIGHT, iterations=90)
        caplog.clear()
        residuals_solved("clusters", 2 * RIGHT, iterations=90, tolerance=1e-3)
    assert "Finished XLA compilation" not in caplog.text
