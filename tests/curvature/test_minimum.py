"""The minimum that is near, in closed form; a saddle is none."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxml import curvature


def wells(params, _):
    """(x² - 1)² / 4 + y²: minima at (±1, 0), a saddle at 0."""
    return (params[0] ** 2 - 1) ** 2 / 4 + params[1] ** 2


@pytest.mark.oracle
@pytest.mark.parametrize(
    ("start", "end", "certified"),
    [((0.7, 0.2), (1.0, 0.0), True), ((0.0, 0.3), (0.0, 0.0), False)],
)
def test_the_nearest_minimum_of_two_wells(start, end, certified):
    with jax.enable_x64(True):
        found = curvature.nearest_minimum(wells, jnp.array(start), None)
    np.testing.assert_allclose(found.params, end, atol=1e-9)
    np.testing.assert_allclose(found.loss, 0.25 * (not certified), atol=1e-12)
    assert bool(found.certified) == certified
