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


def tilted(params, _):
    """(x² - 1)² + x / 10 + 1: the minimum near 1 lies above the one near -1."""
    return (params[0] ** 2 - 1) ** 2 + params[0] / 10 + 1


@pytest.mark.oracle
@pytest.mark.parametrize(("ratio", "stuck"), [(1.1, True), (1.3, False)])
def test_the_stuck_minimum_is_the_first_that_is_higher(ratio, stuck):
    """By the roots of 4x³ - 4x + 1/10; the maximum between them counts as neither."""
    highest, lowest = (np.sort(np.roots([4, 0, -4, 0.1]))[k] for k in (2, 0))
    starts = np.array([[-0.9], [0.025], [1.1], [0.9]])
    with jax.enable_x64(True):
        found = curvature.stuck_minimum(tilted, starts, None, ratio=ratio)
    np.testing.assert_allclose(found.lowest, tilted([lowest], None), rtol=1e-12)
    expected = tilted([highest], None) if stuck else np.nan
    np.testing.assert_allclose(found.loss, expected, rtol=1e-12)
    if stuck:
        np.testing.assert_allclose(found.params, [highest], rtol=1e-9)
