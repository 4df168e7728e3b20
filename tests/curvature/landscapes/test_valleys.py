"""Valleys of quadratics whose eigenvectors are known, and corners of drawn paths."""

import numpy as np
import pytest

from jaxml import curvature
from jaxml.types import InputError


@pytest.mark.oracle
@pytest.mark.parametrize("degrees", [-80, -30, 0, 12, 44, 46, 90])
def test_a_rotated_valley_is_found(degrees):
    angle = np.radians(degrees)
    axis = np.array([np.cos(angle), np.sin(angle)])
    wall = np.array([-axis[1], axis[0]])
    hessian = 2 * np.outer(axis, axis) + 98 * np.outer(wall, wall)
    found = curvature.valley(hessian)
    np.testing.assert_allclose(found.length, 7.0)
    np.testing.assert_allclose(abs(found.axis @ axis), 1.0)
    assert found.axis[0] >= 0
    nearest = min(abs(degrees), abs(abs(degrees) - 90))
    np.testing.assert_allclose(found.tilt, nearest, atol=1e-6)


@pytest.mark.oracle
def test_the_shortest_valley_is_that_of_the_best_unit():
    hessian = np.array([[26.0, 5.0], [5.0, 1.0]])
    units = np.geomspace(0.01, 100, 20_001)
    scaled = hessian * np.stack(
        [
            np.stack([np.ones_like(units), units], axis=-1),
            np.stack([units, units**2], axis=-1),
        ],
        axis=-2,
    )
    values = np.linalg.eigvalsh(scaled)
    least = np.min(np.sqrt(values[:, 1] / values[:, 0]))
    np.testing.assert_allclose(curvature.valley(hessian).shortest, least, rtol=1e-6)


@pytest.mark.identity
def test_a_path_turns_at_its_corner_and_a_line_nowhere():
    leg = np.linspace(0, 1, 20)[:, None]
    path = np.concatenate([leg * [[3.0, 0.0]], [[3.0, 0.0]] + leg[1:] * [[1.0, 1.0]]])
    found = curvature.corner(path)
    assert found.point == 19
    np.testing.assert_allclose(found.turn, 45.0)
    assert curvature.corner(leg * [[1.0, 2.0]]).turn < 1e-5
    assert curvature.angle(np.zeros(2), np.ones(2)) == 0.0
    level = np.array([[0.0, 0.0], [1.0, 2.0], [2.0, 0.5], [4.0, 0.0]])
    assert curvature.corner(level).point == 1


@pytest.mark.identity
@pytest.mark.parametrize(
    "hessian", [np.eye(3), np.diag([1.0, -1.0]), np.array([[1.0, 0.5], [0.0, 1.0]])]
)
def test_no_valley_is_refused(hessian):
    with pytest.raises(InputError, match="no symmetric positive definite"):
        curvature.valley(hessian)
    with pytest.raises(InputError, match="has no corner"):
        curvature.corner(np.zeros((2, 2)))
