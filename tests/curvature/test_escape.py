"""A step along negative curvature, against the closed forms of the toy and of
quadratics.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxml import tree
from jaxml.curvature import escape
from jaxml.types import InputError

DRAW = np.random.default_rng(0)
ROTATION, _ = np.linalg.qr(DRAW.normal(size=(5, 5)))
EIGENVALUES = np.array([-3.0, -0.5, 0.0, 1.0, 4.0])
MATRIX = (ROTATION * EIGENVALUES) @ ROTATION.T
CENTRE = DRAW.normal(size=5)
LENGTHS = np.geomspace(1e-3, 2.0, 20)
LENGTHS = np.concatenate([-LENGTHS[::-1], LENGTHS])


def toy(params, batch):
    del batch
    return (1 - params["a"] * params["b"]) ** 2


def quadratic(point, matrix):
    away = point - jnp.asarray(CENTRE, point.dtype)
    return 7 + away @ matrix @ away / 2


def along(mode, dtype=np.float64, point=CENTRE, scale=1.0, objective=quadratic):
    """The escape along an eigenvector of the quadratic, as NumPy arrays."""
    with jax.enable_x64(dtype is np.float64):
        point, matrix, direction = (
            jnp.asarray(x, dtype) for x in (point, MATRIX, scale * ROTATION[:, mode])
        )
        found = jax.jit(
            lambda *args: escape(objective, *args, shortest=1e-3, longest=2.0, count=20)
        )(point, matrix, direction)
        assert all(leaf.dtype == dtype for leaf in found)
        return type(found)(*map(np.asarray, found))


@pytest.fixture(scope="module")
def saddle():
    """The escape from the toy's saddle along (1, 1), where L(ε) = (1 - ε²/2)²."""
    with jax.enable_x64(True):
        zero, one = jnp.zeros(()), jnp.ones(())
        found = escape(toy, {"a": zero, "b": zero}, None, {"a": one, "b": one})
        return jax.tree.map(np.asarray, found)


@pytest.mark.device
@pytest.mark.oracle
def test_losses_off_the_toys_saddle_are_those_of_the_closed_form(saddle):
    expected = np.geomspace(1e-4, 10.0, 32)
    np.testing.assert_allclose(
        saddle.lengths, np.concatenate([-expected[::-1], expected]), rtol=1e-12
    )
    np.testing.assert_allclose(
        saddle.losses, (1 - saddle.lengths**2 / 2) ** 2, rtol=1e-12
    )


@pytest.mark.device
@pytest.mark.oracle
def test_the_best_step_off_the_toys_saddle_is_the_one_nearest_the_valley(saddle):
    curve = (1 - saddle.lengths**2 / 2) ** 2  # lowest where ε² = 2
    assert abs(saddle.length) in np.abs(saddle.lengths[np.isclose(curve, curve.min())])
    np.testing.assert_allclose(saddle.drop, 1 - curve.min(), rtol=1e-12)
    np.testing.assert_allclose(
        saddle.params["a"], saddle.length / np.sqrt(2), rtol=1e-12
    )
    np.testing.assert_allclose(
        saddle.params["b"], saddle.length / np.sqrt(2), rtol=1e-12
    )


@pytest.mark.oracle
def test_short_steps_drop_the_toy_by_half_the_eigenvalue_times_the_square(saddle):
    short = np.abs(saddle.lengths) < 1e-2
    drops = (1 - saddle.losses)[short] / saddle.lengths[short] ** 2
    assert short.sum() >= 20
    np.testing.assert_allclose(drops, 2 / 2, rtol=0, atol=1e-2**2 / 4 + 4e-16 / 1e-4**2)


@pytest.mark.oracle
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("mode", [0, 1])
def test_quadratics_fall_furthest_at_the_longest_step(mode, dtype):
    found, rounding = along(mode, dtype), 100 * np.finfo(dtype).eps
    np.testing.assert_allclose(
        found.losses, 7 + EIGENVALUES[mode] * LENGTHS**2 / 2, rtol=rounding
    )
    np.testing.assert_allclose(abs(found.length), 2.0, rtol=rounding)
    np.testing.assert_allclose(
        found.drop, -EIGENVALUES[mode] * 2.0**2 / 2, rtol=10 * rounding
    )
    expected = CENTRE + found.length * ROTATION[:, mode]
    np.testing.assert_allclose(found.params, expected, rtol=0, atol=rounding)


@pytest.mark.oracle
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("mode", [2, 3, 4])
def test_where_nothing_bends_down_the_point_stays(mode, dtype):
    found = along(mode, dtype)
    assert (found.length, found.drop) == (0, 0)
    np.testing.assert_array_equal(found.params, CENTRE.astype(dtype))


@pytest.mark.oracle
def test_beside_a_saddle_the_better_side_is_taken():
    offset = 0.3  # ahead of the saddle along the mode: L = 7 + λ(ε + offset)²/2
    found = along(0, point=CENTRE + offset * ROTATION[:, 0])
    np.testing.assert_allclose(
        found.losses, 7 - 3 * (LENGTHS + offset) ** 2 / 2, rtol=1e-12
    )
    np.testing.assert_allclose(found.length, 2.0, rtol=1e-12)
    np.testing.assert_allclose(
        found.drop, 1.5 * ((2 + offset) ** 2 - offset**2), rtol=1e-12
    )


@pytest.mark.oracle
def test_lengths_at_which_the_loss_is_not_finite_are_passed_over():
    def walled(point, matrix):
        away = jnp.linalg.norm(point - CENTRE)
        return jnp.where(
            away > 1, jnp.where(away > 1.5, jnp.nan, -jnp.inf), quadratic(point, matrix)
        )

    found = along(0, objective=walled)
    within = np.abs(LENGTHS[np.abs(LENGTHS) <= 1]).max()
    np.testing.assert_allclose(abs(found.length), within, rtol=1e-12)
    np.testing.assert_allclose(found.drop, 3 * within**2 / 2, rtol=1e-12)


@pytest.mark.invariance
def test_the_length_of_the_direction_does_not_matter():
    short, long = along(0, scale=1e-3), along(0, scale=-1e3)
    np.testing.assert_allclose(short.losses, long.losses[::-1], rtol=1e-12)
    np.testing.assert_allclose(short.drop, long.drop, rtol=1e-12)


@pytest.mark.invariance
def test_a_direction_of_length_zero_leads_nowhere():
    found = along(0, scale=0.0)
    np.testing.assert_array_equal(found.params, CENTRE)
    assert (found.length, found.drop) == (0, 0)


@pytest.mark.invariance
def test_rounding_is_no_drop():
    with jax.enable_x64(True):
        tilt = jnp.array(
            [1e-16, 0.0, 0.0]
        )  # over the longest step less than an ulp of the loss
        found = escape(lambda x, _: 1 + tilt @ x - 1e-16, jnp.zeros(3), None, tilt)
        assert (float(found.length), float(found.drop)) == (0.0, 0.0)


@pytest.mark.invariance
def test_vmapped_escapes_are_those_of_each():
    with jax.enable_x64(True):
        modes = jnp.asarray(ROTATION.T[[0, 1, 3, 4]])
        points, matrix = (
            jnp.asarray(CENTRE + DRAW.normal(size=(4, 5))),
            jnp.asarray(MATRIX),
        )
        one = jax.jit(
            lambda point, mode: escape(quadratic, point, matrix, mode, count=8)
        )
        together = jax.jit(jax.vmap(one))(points, modes)
        for index, (point, mode) in enumerate(zip(points, modes, strict=True)):
            for ours, alone in zip(together, one(point, mode), strict=True):
                np.testing.assert_allclose(ours[index], alone, rtol=1e-12, atol=1e-14)


@pytest.mark.identity
def test_the_drop_is_the_loss_before_minus_the_loss_there():
    with jax.enable_x64(True):
        params = {"a": jnp.asarray(0.2), "b": jnp.asarray(-0.1)}
        found = escape(
            toy, params, None, {"a": jnp.asarray(1.0), "b": jnp.asarray(0.5)}
        )
        gone = tree.axpy(-1, params, found.params)
        np.testing.assert_allclose(
            found.drop, toy(params, None) - toy(found.params, None), rtol=1e-12
        )
        np.testing.assert_allclose(tree.norm(gone), abs(found.length), rtol=1e-12)


@pytest.mark.invariance
@pytest.mark.parametrize(
    "options", [{"count": 0}, {"shortest": 0.0}, {"shortest": 2.0, "longest": 1.0}]
)
def test_lengths_that_make_no_step_are_refused(options):
    with pytest.raises(InputError, match="0 < shortest <= longest"):
        escape(
            toy,
            {"a": jnp.zeros(()), "b": jnp.zeros(())},
            None,
            {"a": jnp.ones(()), "b": jnp.ones(())},
            **options,
        )


@pytest.mark.oracle
def test_the_change_is_honest_where_every_step_leads_up():
    up, down = along(4), along(0)
    assert (up.length, up.drop) == (0, 0)
    np.testing.assert_allclose(
        up.change, EIGENVALUES[4] * 1e-3**2 / 2, rtol=1e-6
    )  # of the shortest step
    np.testing.assert_allclose(down.change, -down.drop, rtol=1e-12)
    nowhere = along(
        0, objective=lambda x, matrix: jnp.where(x[0] == CENTRE[0], 1.0, jnp.nan)
    )
    assert (nowhere.length, nowhere.drop, nowhere.change) == (0, 0, np.inf)


@pytest.mark.invariance
@pytest.mark.parametrize(
    "direction", [jnp.ones((1, 1)), jnp.ones(3), {"a": jnp.ones((3, 1))}]
)
def test_directions_that_would_broadcast_are_refused(direction):
    with pytest.raises(InputError, match="direction"):
        escape(lambda w, _: -jnp.sum(w**2), jnp.zeros((3, 1)), None, direction)
