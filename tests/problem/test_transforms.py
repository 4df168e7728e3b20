"""Pictures moved, rotated, scaled and scrambled, against SciPy and NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import ndimage

from jaxml.problem import digits, rotated_by, scaled_by, scrambled, translated
from jaxml.types import InputError

IMAGES = np.random.default_rng(0).normal(size=(3, 8, 8, 2)).astype(np.float32)
AMOUNTS = np.array([0.0, 1.0, -2.25], np.float32)


def _by_scipy(image, back, move, mode):
    """SciPy's output at o is the input at matrix · o + offset."""
    middle = (np.array(image.shape[:2]) - 1) / 2
    matrix = np.asarray(back, np.float64)
    offset = middle - matrix @ (middle + move)
    planes = [
        ndimage.affine_transform(plane, matrix, offset, order=1, mode=mode)
        for plane in np.moveaxis(image.astype(np.float64), -1, 0)
    ]
    return np.stack(planes, axis=-1)


def _all_by_scipy(images, backs, moves, mode="grid-constant"):
    parts = zip(images, backs, moves, strict=True)
    return np.stack([_by_scipy(*part, mode) for part in parts])


def _rotations(degrees):
    """From a target back to its source, in rows and columns: rows count down."""
    angles = np.deg2rad(degrees)
    return [
        [[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]]
        for angle in angles
    ]


STILL = np.zeros((3, 2))
CASES = {
    "translated": (
        lambda x: translated(x, AMOUNTS, 1.5),
        [np.eye(2)] * 3,
        [(amount, 1.5) for amount in AMOUNTS],
    ),
    "rotated_by": (
        lambda x: rotated_by(x, 20 * AMOUNTS),
        _rotations(20 * AMOUNTS),
        STILL,
    ),
    "scaled_by": (
        lambda x: scaled_by(x, AMOUNTS + 2.5),
        [np.eye(2) / (amount + 2.5) for amount in AMOUNTS],
        STILL,
    ),
}


@pytest.mark.oracle
@pytest.mark.parametrize("name", CASES)
def test_transforms_are_scipys(name):
    transform, backs, moves = CASES[name]
    found = transform(IMAGES)
    assert found.shape == IMAGES.shape and found.dtype == np.float32
    np.testing.assert_allclose(found, _all_by_scipy(IMAGES, backs, moves), atol=2e-5)


@pytest.mark.oracle
def test_pictures_with_a_black_border_need_no_rule_for_it():
    framed = np.pad(IMAGES[:, 1:-1, 1:-1], ((0, 0), (1, 1), (1, 1), (0, 0)))
    transform, backs, moves = CASES["rotated_by"]
    expected = _all_by_scipy(framed, backs, moves, mode="constant")
    np.testing.assert_allclose(transform(framed), expected, atol=2e-5)


@pytest.mark.identity
def test_whole_amounts_only_move_pixels():
    square = np.asarray(rotated_by(IMAGES, 90.0))
    np.testing.assert_allclose(square, np.rot90(IMAGES, axes=(1, 2)), atol=1e-5)
    moved = np.asarray(translated(IMAGES, -1, 2))
    np.testing.assert_array_equal(moved[:, :-1, 2:], IMAGES[:, 1:, :-2])
    assert not moved[:, -1].any() and not moved[:, :, :2].any()


@pytest.mark.compiles_once
def test_digits_under_traced_amounts_are_one_program():
    pictures = digits().inputs[:3].reshape(3, 8, 8, 1)
    traces = []

    @jax.jit
    @jax.vmap
    def brightness(amount):
        traces.append(0)
        images = jnp.asarray(pictures)
        changed = (
            translated(images, amount, 0),
            rotated_by(images, amount),
            scaled_by(images, 1 + amount),
        )
        return jnp.stack([jnp.sum(image) for image in changed])

    for amounts in (np.array([0.0, 1.0]), np.array([2.0, 90.0])):
        found = brightness(amounts.astype(np.float32))
    assert len(traces) == 1 and found.shape == (2, 3)
    np.testing.assert_allclose(found[1, 1], pictures.sum(), rtol=1e-5)  # by 90 degrees


@pytest.mark.identity
def test_a_scrambled_picture_has_its_pixels_in_another_order():
    order = np.random.default_rng(1).permutation(64)
    found = np.asarray(scrambled(IMAGES, order))
    flat = IMAGES.reshape(3, 64, 2)
    np.testing.assert_array_equal(found.reshape(3, 64, 2), flat[:, order])
    back = scrambled(found, np.argsort(order))
    np.testing.assert_array_equal(back, IMAGES)


@pytest.mark.identity
@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: translated(IMAGES[..., 0], 1, 1), r"images\[\.\.\., None\]"),
        (lambda: rotated_by(IMAGES[..., 0], 1), r"images\[\.\.\., None\]"),
        (lambda: scaled_by(IMAGES[0, ..., 0], 1), r"images\[\.\.\., None\]"),
        (lambda: scrambled(IMAGES[..., 0], np.arange(64)), r"\[\.\.\., None\]"),
        (lambda: rotated_by(IMAGES, AMOUNTS[:2]), "do not fit 3 pictures"),
        (lambda: scaled_by(IMAGES, 0.0), "give a factor above 0"),
        (lambda: scrambled(IMAGES, np.arange(63)), "permutation of 0 to 63"),
        (lambda: scrambled(IMAGES, np.zeros(64, int)), "some pixel twice"),
    ],
)
def test_what_does_not_fit_is_refused(call, message):
    with pytest.raises(InputError, match=message):
        call()
