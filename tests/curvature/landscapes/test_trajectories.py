"""Principal planes compared with NumPy's SVD, and random walks with closed forms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxml import curvature
from jaxml.types import InputError

POINTS, SIZE = 10, 2000
WEIGHTS = np.random.default_rng(6).normal(size=(POINTS, SIZE)).astype(np.float32)


def walks(points, runs):
    """Walks from 0 whose unit steps are orthogonal to all others: what random walks
    become in infinitely many dimensions.
    """
    steps = np.eye(runs * (points - 1)).reshape(runs, points - 1, -1)
    start = np.zeros((runs, 1, steps.shape[-1]))
    return np.concatenate([start, np.cumsum(steps, axis=1)], axis=1)


def decomposed(weights):
    """Left vectors times singular values, fractions of variance, right vectors."""
    points = weights.reshape(-1, weights.shape[-1])
    centred = points - points.mean(axis=0)
    u, s, rows = np.linalg.svd(centred, full_matrices=False)
    return u * s, s**2 / np.sum(s**2), rows, centred


@pytest.mark.oracle
@pytest.mark.parametrize(
    "dtype", [pytest.param(np.float32, marks=pytest.mark.stress), np.float64]
)
def test_components_are_those_of_the_singular_value_decomposition(dtype):
    scales = 2.0 ** -np.arange(9)
    weights = np.random.default_rng(5).normal(size=(3, 4, 9)) * scales + 1
    with jax.enable_x64(dtype == np.float64):
        found = curvature.principal_plane(weights.astype(dtype), count=3)
    scores, fractions, rows, centred = decomposed(weights)
    signs = np.where(scores[0, :3] < 0, -1, 1)
    tolerance = {"rtol": 0, "atol": 2000 * np.finfo(dtype).eps}
    np.testing.assert_allclose(found.mean, weights.mean(axis=(0, 1)), **tolerance)
    np.testing.assert_allclose(found.explained, fractions[:3], **tolerance)
    np.testing.assert_allclose(found.components, signs[:, None] * rows[:3], **tolerance)
    coordinates = (signs * scores[:, :3]).reshape(3, 4, 3)
    np.testing.assert_allclose(found.projections, coordinates, **tolerance)
    beyond = centred - scores[:, :3] @ rows[:3]
    outside = np.sum(beyond**2, axis=1) / np.sum(centred**2, axis=1)
    np.testing.assert_allclose(found.residuals, outside.reshape(3, 4), **tolerance)


@pytest.mark.identity
def test_what_a_plane_shows_and_what_it_does_not_are_the_whole():
    plane = curvature.principal_plane(WEIGHTS)
    distance = np.sum((WEIGHTS - WEIGHTS.mean(axis=0)) ** 2, axis=1)
    outside = np.sum(plane.residuals * distance) / np.sum(distance)
    np.testing.assert_allclose(outside, 1 - np.sum(plane.explained), rtol=1e-5)
    coordinates, residuals = curvature.projected(plane, WEIGHTS)
    np.testing.assert_array_equal(coordinates, plane.projections)
    np.testing.assert_array_equal(residuals, plane.residuals)


@pytest.mark.identity
def test_points_of_a_line_have_one_component():
    direction = np.arange(SIZE) / SIZE
    weights = np.outer(np.arange(POINTS), direction).astype(np.float32)
    plane = curvature.principal_plane(weights)
    np.testing.assert_allclose(plane.explained, [1, 0], atol=1e-6)
    np.testing.assert_array_equal(plane.components[1], np.zeros(SIZE))
    np.testing.assert_allclose(plane.residuals, np.zeros(POINTS), atol=1e-6)
    still = curvature.principal_plane(np.ones_like(WEIGHTS))
    assert all(np.all(np.isfinite(leaf)) for leaf in jax.tree.leaves(still))


@pytest.mark.oracle
@pytest.mark.parametrize(("points", "runs"), [(2, 1), (9, 1), (6, 4)])
def test_variances_of_random_walks(points, runs):
    _, fractions, _, _ = decomposed(walks(points, runs))
    count = runs * (points - 1)
    found = curvature.random_walk_variances(points, count=count, runs=runs)
    np.testing.assert_allclose(found, fractions[:count], rtol=1e-9)


@pytest.mark.oracle
def test_many_steps_leave_six_over_pi_k_squared():
    found = curvature.random_walk_variances(100_000, count=3)
    np.testing.assert_allclose(found, 6 / (np.pi * np.arange(1, 4)) ** 2, rtol=1e-8)


@pytest.mark.oracle
def test_a_random_walk_in_its_plane_is_a_lissajous_curve():
    scores, _, _, _ = decomposed(walks(8, 1))
    found = curvature.random_walk_projections(8, count=3)
    signs = np.sign(scores[0, :3])
    np.testing.assert_allclose(found, signs * scores[:, :3], atol=1e-12)
    x, y, _ = (found / found[0]).T
    x, y = x * np.cos(np.pi / 16), y * np.cos(np.pi / 8)
    np.testing.assert_allclose(y, 2 * x**2 - 1, atol=1e-12)


@pytest.mark.statistics
def test_walks_in_many_dimensions_approach_the_closed_form():
    steps = np.random.default_rng(7).normal(size=(8, POINTS, SIZE))
    walks = np.cumsum(steps.astype(np.float32), axis=1)
    planes = map(curvature.principal_plane, walks)
    shown = [plane.explained for plane in planes]
    wanted = curvature.random_walk_variances(POINTS, count=2)
    error = np.std(shown, axis=0, ddof=1) / np.sqrt(len(shown))
    assert np.all(np.abs(np.mean(shown, axis=0) - wanted) < 4 * error)
    assert np.all(error < 0.02)


@pytest.mark.compiles_once
def test_other_weights_of_one_shape_compile_nothing(caplog):
    curvature.principal_plane(WEIGHTS)
    with jax.log_compiles():
        curvature.principal_plane(2 * WEIGHTS)
        assert not caplog.records
        jax.jit(lambda x: x + 1)(1.0)
        assert caplog.records
    jaxpr = jax.make_jaxpr(curvature.principal_plane)(WEIGHTS)
    assert [out.shape for out in jaxpr.out_avals][1] == (2, SIZE)


@pytest.mark.identity
def test_what_is_no_trajectory():
    with pytest.raises(InputError, match=r"give \[point, p\]"):
        curvature.principal_plane(jnp.ones(3))
    with pytest.raises(InputError, match="no 2 principal"):
        curvature.principal_plane(jnp.ones((2, 5)))
    with pytest.raises(InputError, match="space of 2000 parameters"):
        curvature.projected(curvature.principal_plane(WEIGHTS), np.ones((4, 3)))
    with pytest.raises(InputError, match="no 4 components"):
        curvature.random_walk_variances(4, count=4)
    with pytest.raises(InputError, match="no 0 components"):
        curvature.random_walk_projections(4, count=0)
