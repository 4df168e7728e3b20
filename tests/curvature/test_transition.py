"""Transition states in closed form; what gradient descent makes beside them."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxml import curvature

TILT = 0.2


def tilted(params, _):
    """(x² - 1)² + τx + (y - x)²: a saddle near 0 between two unequal wells."""
    x, y = params["x"], params["y"]
    return (x**2 - 1) ** 2 + TILT * x + (y - x) ** 2


@pytest.fixture(scope="module")
def saddle():
    with jax.enable_x64(True):
        start = {"x": jnp.array(0.1), "y": jnp.array(-0.2)}
        search = partial(curvature.transition_state, tilted, batch=None, iterations=20)
        return jax.jit(search)(start)


@pytest.fixture(scope="module")
def sides(saddle):
    with jax.enable_x64(True):
        return descended(saddle, 3000)


@jax.jit
def descended(saddle, updates):
    sides = partial(curvature.both_sides, tilted, batch=None, distance=0.05, rate=0.02)
    return sides(state=saddle, updates=updates)


def wells():
    """Left, saddle, right: the roots of 4x³ - 4x + τ."""
    return np.sort(np.roots([4, 0, -4, TILT]))


def along(saddle):
    return np.array([saddle.down["x"], saddle.down["y"]])


@pytest.mark.oracle
def test_the_saddle_between_two_wells(saddle):
    root = wells()[1]
    values, vectors = np.linalg.eigh([[12 * root**2 - 4 + 2, -2], [-2, 2]])
    np.testing.assert_allclose([saddle.params["x"], saddle.params["y"]], root)
    np.testing.assert_allclose(saddle.lowest, values[0])
    np.testing.assert_allclose(saddle.largest, abs(values).max())
    np.testing.assert_allclose(abs(along(saddle) @ vectors[:, 0]), 1)
    assert saddle.certified


@pytest.mark.oracle
def test_both_sides_end_in_the_wells(saddle, sides):
    left, root, right = wells()
    order = [right, left] if along(saddle)[0] > 0 else [left, right]
    ends = np.array(order)
    loss = (ends**2 - 1) ** 2 + TILT * ends
    before = (root**2 - 1) ** 2 + TILT * root
    np.testing.assert_allclose(sides.drop, before - loss)
    np.testing.assert_allclose(sides.way, (ends - root) * along(saddle).sum())
    assert sides.two


@pytest.mark.oracle
def test_half_of_the_way_is_left(saddle, sides):
    ways = np.asarray(sides.way)
    point = np.array([saddle.params["x"], saddle.params["y"]])
    before = tilted({"x": point[0], "y": point[1]}, None)
    judged = jax.jit(partial(curvature.left_state, tilted, batch=None))
    for part, way in ((0.4, 0), (0.6, 0), (0.4, 1), (0.6, 1)):
        x, y = point + part * ways[way] * along(saddle)
        with jax.enable_x64(True):
            place = {"x": jnp.array(x), "y": jnp.array(y)}
            left = judged(params=place, state=saddle, sides=sides)
        fall = float(before) - tilted({"x": x, "y": y}, None)
        fallen = fall >= np.asarray(sides.drop).min() / 2
        assert left.tolist() == [bool(fallen), part > 0.5]


@pytest.mark.oracle
def test_a_zero_unit_is_seen_by_no_example():
    """Against NumPy: f = v tanh(w x), squared error, at w = v = 0 and beside it."""
    inputs, targets = np.array([1.0, -2.0, 0.5]), np.array([0.3, 1.0, -0.7])

    def objective(params, batch):
        x, y = batch
        return jnp.mean((params[0] + params[1] * jnp.tanh(params[2] * x) - y) ** 2)

    judged = jax.jit(partial(curvature.seen_by_examples, objective))
    down = np.array([0.0, 0.6, 0.8])
    with jax.enable_x64(True):
        for point in (np.array([0.1, 0.0, 0.0]), np.array([0.1, 0.4, 0.3])):
            state = curvature.TransitionState(
                jnp.asarray(point),
                jnp.asarray(down),
                jnp.array(-1.0),
                jnp.array(1.0),
                jnp.array(True),
            )
            seen = judged(state=state, batch=(inputs, targets))
            bias, v, w = point
            hidden = np.tanh(w * inputs)
            error = 2 * (bias + v * hidden - targets)
            inner = v * inputs * (1 - hidden**2)
            gradients = error[:, None] * np.stack([1 + 0 * hidden, hidden, inner], 1)
            expected = np.linalg.norm(gradients @ down) / np.linalg.norm(gradients)
            np.testing.assert_allclose(seen, expected, atol=1e-15)


@pytest.mark.statistics
def test_directions_beside_a_point_are_even():
    point = jnp.array([3.0, 4.0])

    @jax.jit
    def beside(number):
        key = jax.random.fold_in(jax.random.key(0), number)
        return curvature.beside(point, relative=0.1, key=key)

    off = [beside(number) for number in range(400)]
    moved = np.asarray(off, np.float64) - np.array([3.0, 4.0])
    np.testing.assert_allclose(np.linalg.norm(moved, axis=1), 0.5, rtol=1e-4)
    deviation = 0.5 / np.sqrt(2 * 400)
    assert np.all(abs(moved.mean(axis=0)) < 4 * deviation)


@pytest.mark.oracle
def test_a_way_is_at_least_twice_its_start(saddle):
    with jax.enable_x64(True):
        both = descended(saddle, 1)
    np.testing.assert_allclose(np.abs(both.way), 0.1)
    assert both.two


@pytest.mark.oracle
def test_a_departure_is_of_its_transition_state(saddle, sides):
    """The same tilted wells: its sides, and what is too flat."""
    departure = partial(curvature.departure, tilted, flattest=0.995)
    with jax.enable_x64(True):
        start = {"x": jnp.array(0.1), "y": jnp.array(-0.2)}
        flat = jax.jit(departure)(start, jnp.ones(1))
        found = flat._replace(sides=sides)
        place = {"x": found.state.params["x"] + 1, "y": found.state.params["y"] + 1}
        judged = jax.jit(partial(curvature.departed, tilted, batch=None))
        departed = judged(params=place, start=found)
        growth = jax.jit(partial(curvature.growth_updates, rate=0.5, folds=3.0))
        updates = growth(saddle)
    np.testing.assert_allclose(flat.state.params["x"], wells()[1])
    assert flat.state.certified and not flat.leaves
    assert departed.tolist() == [True, True]
    ratio = abs(float(saddle.lowest)) / float(saddle.largest)
    assert int(updates) == np.ceil(3 / np.log1p(0.5 * ratio))
