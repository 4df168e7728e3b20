"""What counts as the first change along a flat direction, and probes on a sphere."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxml.curvature.flat import _first
from jaxml.curvature.points.flat_fall import _along_sphere

LENGTHS = jnp.array([1.0, 2.0, 4.0])


@pytest.mark.oracle
@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ((0.1, 0.3, 0.2), 0.3),  # none beyond rounding: the largest
        ((0.5, 3.0, 9.0), 3.0),  # it grows from the point on, as a power below 9
        ((0.5, 0.25, 900.0), 0.5),  # it sets in at a kink: the largest before it
        ((0.5, np.nan, 3.0), 3.0),  # a longer length ran away
        ((np.nan, 0.5, 3.0), np.nan),  # the shortest did
    ],
)
def test_the_first_change_is_in_units_of_rounding(changes, expected):
    unit = 0.01
    found = _first(unit * jnp.array(changes), jnp.full(3, unit), LENGTHS)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.identity
@pytest.mark.parametrize("length", [1e-3, 0.5, 30.0])
def test_a_step_on_a_sphere_stays_on_it_and_goes_downhill(length):
    inside = length * jnp.array([0.6, 0.8, 0.0])
    slope = jnp.array([1.0, -2.0, 0.5])
    moved = _along_sphere(inside, slope, jnp.asarray(length))
    np.testing.assert_allclose(np.linalg.norm(moved), length, rtol=1e-6)
    assert float(slope @ (moved - inside)) < 0
    still = _along_sphere(inside, jnp.zeros(3), jnp.asarray(length))
    np.testing.assert_allclose(still, inside, rtol=1e-6)
