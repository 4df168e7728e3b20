"""Constructed sums against NumPy's interpolation, and the bound of the stairs."""

import jax
import numpy as np
import pytest

from jaxml.problem import (
    hard_sigmoid,
    hard_sigmoids_of_curve,
    relus_of_curve,
    relus_of_hard_sigmoids,
    sigmoid_stairs,
    stairs_bound,
    units,
)
from jaxml.types import InputError

pytestmark = pytest.mark.oracle

KNOTS = np.array([-2.0, -0.5, 0.0, 1.0, 4.0])
VALUES = np.array([1.0, 3.0, -1.0, -1.0, 2.0])


def _outputs(params, activation, x):
    count = params["hidden"]["bias"].shape[0]
    model = units(count, activation)
    return np.asarray(model.apply(params, {}, x[:, None], train=False, key=None)[0])[
        :, 0
    ]


def test_hard_sigmoids_are_the_curve_between_its_ends_and_constant_beyond():
    with jax.enable_x64(True):
        params = hard_sigmoids_of_curve(KNOTS, VALUES)
        x = np.linspace(-5, 6, 111)
        outputs = _outputs(params, hard_sigmoid, x)
    np.testing.assert_allclose(outputs, np.interp(x, KNOTS, VALUES), atol=1e-14)


def test_relus_are_the_curve_and_go_on_after_it():
    with jax.enable_x64(True):
        x = np.linspace(-2, 6, 81)
        outputs = _outputs(relus_of_curve(KNOTS, VALUES), jax.nn.relu, x)
    expected = np.where(x > 4, 2 + (x - 4), np.interp(x, KNOTS, VALUES))
    np.testing.assert_allclose(outputs, expected, atol=1e-13)


def test_two_relus_are_a_hard_sigmoid_of_several_inputs():
    draws = np.random.default_rng(0)
    hidden = {"kernel": draws.normal(size=(3, 5)), "bias": draws.normal(size=5)}
    output = {"kernel": draws.normal(size=(5, 1)), "bias": draws.normal(size=1)}
    with jax.enable_x64(True):
        params = jax.tree.map(jax.numpy.asarray, {"hidden": hidden, "output": output})
        x = draws.normal(size=(50, 3))
        ours, _ = units(5, hard_sigmoid).apply(params, {}, x, train=False, key=None)
        pairs = relus_of_hard_sigmoids(params)
        theirs, _ = units(10, jax.nn.relu).apply(pairs, {}, x, train=False, key=None)
    z = x @ hidden["kernel"] + hidden["bias"]
    expected = np.clip(z + 0.5, 0, 1) @ output["kernel"] + output["bias"]
    np.testing.assert_allclose(ours, expected, atol=1e-14)
    np.testing.assert_allclose(theirs, expected, atol=1e-14)


@pytest.mark.parametrize("steepness", [2.0, 100.0])
def test_no_error_of_the_stairs_is_above_their_bound(steepness):
    points = np.linspace(-1, 3, 21)
    x = np.linspace(-1, 3, 1001)
    with jax.enable_x64(True):
        for curve in (np.abs, np.sin, lambda x: np.abs(x % 1 - 0.5)):
            params = sigmoid_stairs(curve(points), -1.0, 3.0, steepness=steepness)
            outputs = _outputs(params, jax.nn.sigmoid, x)
            bound = stairs_bound(1.0, 20, -1.0, 3.0, steepness=steepness)
            assert np.max(np.abs(outputs - curve(x))) <= bound


def test_the_bound_of_steep_stairs_is_reached_by_a_line():
    points, x = np.linspace(0, 1, 6), np.linspace(0, 1, 5001)
    with jax.enable_x64(True):
        params = sigmoid_stairs(points, 0.0, 1.0, steepness=1e4)
        error = np.max(np.abs(_outputs(params, jax.nn.sigmoid, x) - x))
    bound = stairs_bound(1.0, 5, 0.0, 1.0, steepness=1e4)
    np.testing.assert_allclose(error, bound, rtol=0.01)


@pytest.mark.parametrize(
    ("knots", "values"),
    [([0.0], [1.0]), ([0.0, 1.0], [1.0]), ([0.0, 0.0], [1.0, 2.0])],
)
def test_what_is_no_curve_is_refused(knots, values):
    for construct in (hard_sigmoids_of_curve, relus_of_curve):
        with pytest.raises(InputError, match="knots"):
            construct(np.array(knots), np.array(values))


def test_a_value_that_is_not_finite_is_refused():
    with pytest.raises(InputError, match="finite"):
        relus_of_curve(np.array([0.0, 1.0]), np.array([np.nan, 0.0]))


def test_stairs_that_are_none_are_refused():
    values = np.array([0.0, 1.0])
    with pytest.raises(InputError, match="steepness"):
        sigmoid_stairs(values, 0.0, 1.0, steepness=0.0)
    with pytest.raises(InputError, match="interval"):
        sigmoid_stairs(values, 1.0, 1.0)
    with pytest.raises(InputError, match="two knots"):
        sigmoid_stairs(values[:1], 0.0, 1.0)
    with pytest.raises(InputError, match="bound"):
        stairs_bound(1.0, 0, 0.0, 1.0)
