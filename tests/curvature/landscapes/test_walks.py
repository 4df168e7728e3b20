"""Matched walks, distances between runs and arcs, compared with their definitions."""

import numpy as np
import pytest

from jaxml import curvature
from jaxml.types import InputError

RUNS = np.random.default_rng(8).normal(size=(3, 6, 7)).cumsum(axis=1)


@pytest.mark.identity
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_walks_start_with_the_runs_and_are_as_long_in_each_layer(dtype):
    runs = RUNS.astype(dtype)
    walks = curvature.matched_walks(runs, sizes=[3, 4], seed=5)
    assert walks.dtype == dtype and walks.shape == runs.shape
    np.testing.assert_array_equal(walks[:, 0], runs[:, 0])
    for layer in (slice(3), slice(3, 7)):
        ours, theirs = (np.diff(each[..., layer], axis=1) for each in (walks, runs))
        lengths = np.linalg.norm(ours, axis=-1), np.linalg.norm(theirs, axis=-1)
        np.testing.assert_allclose(*lengths, rtol=50 * np.finfo(dtype).eps)


@pytest.mark.statistics
def test_directions_of_walks_are_uncorrelated_with_the_runs_and_each_other():
    runs = np.zeros((400, 3, 5))
    runs[:, 1:, 0] = [1.0, 2.0]  # unit steps along the first axis
    steps = np.diff(curvature.matched_walks(runs, sizes=[5], seed=6), axis=1)
    error = 4 / np.sqrt(400 * 5)  # of a mean of components of unit vectors
    assert np.all(np.abs(steps.mean(axis=0)) < error * np.sqrt(1))
    assert abs(np.mean(np.sum(steps[:, 0] * steps[:, 1], axis=-1))) < error
    np.testing.assert_allclose(np.mean(steps**2, axis=(0, 1)), 0.2, atol=0.05)


@pytest.mark.oracle
def test_distance_is_the_root_mean_square_over_pairs():
    pairs = [(0, 1), (0, 2), (1, 2)]
    squares = [np.sum((RUNS[i] - RUNS[j]) ** 2, axis=-1) for i, j in pairs]
    expected = np.sqrt(np.mean(squares, axis=0))
    np.testing.assert_allclose(curvature.distance_between_runs(RUNS), expected)


@pytest.mark.oracle
def test_a_random_walk_in_its_own_plane_is_a_parabola_and_a_circle_is_none():
    walk = curvature.random_walk_projections(30, count=2)
    assert curvature.parabola_fraction(walk) > 1 - 1e-12
    angles = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    circle = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    assert curvature.parabola_fraction(circle) < 1e-12


@pytest.mark.identity
def test_a_picture_shows_what_its_parts_say():
    found = curvature.picture(RUNS.astype(np.float32), seed=3)
    plane = curvature.principal_plane(RUNS.astype(np.float32))
    np.testing.assert_allclose(
        found.shown, curvature.distance_between_runs(plane.projections), rtol=1e-6
    )
    np.testing.assert_allclose(
        found.between, curvature.distance_between_runs(RUNS), rtol=1e-6
    )
    assert np.all(found.shown <= found.between)
    axes = np.asarray(plane.components, np.float64)
    centred = RUNS - np.mean(RUNS, axis=(0, 1))
    elsewhere = curvature.distance_between_runs(centred - centred @ axes.T @ axes)
    np.testing.assert_allclose(found.outside, elsewhere, rtol=1e-5)
    norms = np.linalg.norm(RUNS, axis=-1)
    np.testing.assert_allclose(found.norm, np.sqrt(np.mean(norms**2, axis=0)), 1e-6)
    np.testing.assert_array_equal(found.residuals, plane.residuals)


@pytest.mark.identity
def test_what_makes_no_sense_is_refused():
    with pytest.raises(InputError, match="do not make up 7"):
        curvature.matched_walks(RUNS, sizes=[3, 3], seed=0)
    with pytest.raises(InputError, match="no distance between them"):
        curvature.distance_between_runs(RUNS[:1])
    with pytest.raises(InputError, match="compared with no parabola"):
        curvature.parabola_fraction(RUNS[0, :3, :2])
