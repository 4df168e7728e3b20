"""The embedded sets against published figures and the equations of their curves."""

import jax
import numpy as np
import pytest

from jaxml.problem import circles, digits, moons, pokemon_cp, sinc, spirals, xor
from jaxml.types import InputError

pytestmark = pytest.mark.oracle

PRECISIONS = pytest.mark.parametrize("dtype", [np.float32, np.float64])
PLANAR = pytest.mark.parametrize("planar", [circles, moons, xor, spirals])


@PRECISIONS
def test_digits_are_eighths_of_the_published_counts(dtype):
    batch = digits(dtype=dtype)
    assert batch.inputs.shape == (1797, 64) and batch.inputs.dtype == dtype
    assert batch.targets.dtype == np.int32
    assert np.bincount(batch.targets).tolist() == [
        178,
        182,
        177,
        183,
        181,
        182,
        181,
        179,
        174,
        180,
    ]
    assert batch.inputs.min() == 0 and batch.inputs.max() == 1
    assert np.array_equal(batch.inputs * 16, np.round(batch.inputs * 16))


@PRECISIONS
def test_sinc_is_the_normalised_sinc_with_the_lecture_variance(dtype):
    batch = sinc(5000, dtype=dtype)
    assert batch.inputs.dtype == batch.targets.dtype == dtype
    x = 1e-4 + np.arange(5000)[:, None] * (1 - 1e-4) / 4999
    tolerance = 4 * np.finfo(dtype).eps
    np.testing.assert_allclose(batch.inputs, x, atol=tolerance)
    np.testing.assert_allclose(batch.targets, np.sinc(5 * x), atol=tolerance)
    assert abs(batch.targets.var() - 0.08715) < 1e-5


@PRECISIONS
def test_pokemon_has_the_lecture_optimum(dtype):
    batch = pokemon_cp(dtype=dtype)
    assert (
        batch.inputs.shape == (10, 1)
        and batch.inputs.dtype == batch.targets.dtype == dtype
    )
    x, y = batch.inputs[:, 0].astype(np.float64), batch.targets[:, 0].astype(np.float64)
    design = np.stack([np.ones(10), x], axis=1)
    solution, squares, _, _ = np.linalg.lstsq(design, y)
    np.testing.assert_allclose(solution, [-188.433, 2.66945], rtol=2e-6)
    np.testing.assert_allclose(squares, 101936.7, rtol=1e-6)
    np.testing.assert_allclose(
        np.linalg.eigvalsh(2 * design.T @ design), [5.573, 1.7468e6], rtol=1e-4
    )


def _off_circles(x, y, label):
    return np.hypot(x, y) - np.where(label == 0, 1.0, 0.5)


def _off_moons(x, y, label):
    radius = np.where(label == 0, np.hypot(x, y), np.hypot(x - 1, y - 0.5))
    right_half = np.where(label == 0, y >= -1e-6, y <= 0.5 + 1e-6)
    return np.where(right_half, radius - 1, np.inf)


def _off_xor(x, y, label):
    return np.maximum(np.abs(np.abs(x) - 1), np.abs((x * y < 0) - label))


def _off_spirals(x, y, label):
    radius = np.hypot(x, y)
    angle = 4 * np.pi * (radius - 0.25) + np.pi * label
    return np.hypot(x - radius * np.cos(angle), y - radius * np.sin(angle))


@pytest.mark.parametrize(
    ("planar", "distance"),
    [
        (circles, _off_circles),
        (moons, _off_moons),
        (xor, _off_xor),
        (spirals, _off_spirals),
    ],
)
def test_without_noise_points_lie_on_their_curve(planar, distance):
    batch = planar(41, noise=0.0, key=jax.random.key(0))
    assert batch.inputs.shape == (41, 2) and batch.targets.dtype == np.int32
    assert np.bincount(batch.targets).tolist() == [21, 20]
    x, y = batch.inputs.astype(np.float64).T
    assert np.abs(distance(x, y, batch.targets)).max() < 2e-6
    assert len(np.unique(batch.inputs.round(4), axis=0)) == (4 if planar is xor else 41)


@PLANAR
@pytest.mark.statistics
def test_noise_has_the_stated_deviation(planar):
    key = jax.random.key(1)
    clean, noisy = (planar(2000, noise=noise, key=key).inputs for noise in (0.0, 0.2))
    draws = (noisy - clean) / 0.2
    error = 1 / np.sqrt(draws.size)
    assert abs(draws.mean()) < 4 * error
    assert abs(draws.std() - 1) < 4 * error / np.sqrt(2)
    assert abs(np.corrcoef(draws.T)[0, 1]) < 4 / np.sqrt(2000)


@PLANAR
@pytest.mark.invariance
def test_planar_sets_agree_in_both_precisions(planar):
    single = planar(30, noise=0.1, key=jax.random.key(2))
    with jax.enable_x64(True):
        double = planar(30, noise=0.1, key=jax.random.key(2), dtype=np.float64)
    assert single.inputs.dtype == np.float32 and double.inputs.dtype == np.float64
    np.testing.assert_array_equal(single.inputs, double.inputs)


def test_too_few_examples_are_refused():
    with pytest.raises(InputError, match="2 or more"):
        sinc(1)
    with pytest.raises(InputError, match="2 or more"):
        xor(0, noise=0.0, key=jax.random.key(0))
