"""Augmentation, smoothing, penalties and masks: closed forms, and refusals."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxml import problem
from jaxml.types import Batch, InputError, Model

KEY = jax.random.key(0)
IMAGES = np.random.default_rng(0).normal(size=(40, 4, 5)).astype(np.float32)


@pytest.mark.oracle
def test_each_picture_is_moved_by_at_most_so_many_pixels_and_zeros_enter() -> None:
    moved = np.asarray(problem.shifted(IMAGES, 1, key=KEY))
    seen = set()
    padded = np.pad(IMAGES, ((0, 0), (1, 1), (1, 1)))
    for old, new in zip(padded, moved, strict=True):
        fits = [
            (down, right)
            for down in range(3)
            for right in range(3)
            if np.array_equal(new, old[down : down + 4, right : right + 5])
        ]
        assert len(fits) == 1
        seen.update(fits)
    assert len(seen) == 9


@pytest.mark.identity
def test_flips_are_numpys_and_their_chance_is_that_of_each_picture() -> None:
    mirrored = problem.flipped(IMAGES, 1.0, key=KEY)
    np.testing.assert_array_equal(mirrored, IMAGES[:, :, ::-1])
    overturned = problem.upside_down(IMAGES, 1.0, key=KEY)
    np.testing.assert_array_equal(overturned, IMAGES[:, ::-1])
    half = np.asarray(problem.flipped(IMAGES, 0.5, key=KEY))
    kept = np.all(half == IMAGES, axis=(1, 2))
    assert 8 <= kept.sum() <= 32
    np.testing.assert_array_equal(half[~kept], IMAGES[~kept, :, ::-1])


@pytest.mark.identity
def test_a_rotation_keeps_the_centre_and_colours_apart() -> None:
    colours = np.stack([IMAGES[:3, :3, :3], -IMAGES[:3, :3, :3]], axis=-1)
    turned = problem.rotated(colours, 30.0, key=KEY)
    np.testing.assert_allclose(turned[:, 1, 1], colours[:, 1, 1], atol=1e-6)
    np.testing.assert_allclose(turned[..., 0], -turned[..., 1], atol=1e-6)


@pytest.mark.stress
@pytest.mark.identity
def test_mixtures_lie_between_two_examples_and_their_labels_too() -> None:
    batch = Batch(jnp.eye(4), jnp.arange(4), jnp.ones(4))
    mixed = problem.mixed(batch, 1.0, classes=4, key=KEY)
    np.testing.assert_allclose(mixed.inputs, mixed.targets, rtol=1e-6)
    np.testing.assert_allclose(jnp.sum(mixed.targets, axis=1), np.ones(4), rtol=1e-6)


@pytest.mark.identity
def test_an_augmented_loss_is_the_loss_of_changed_pictures() -> None:
    def loss(params, state, batch, key):
        return jnp.sum(params * batch.inputs), state

    batch = Batch(IMAGES.reshape(40, -1), np.zeros(40, int), np.ones(40, np.float32))
    params = np.arange(20, dtype=np.float32)[None]
    changed = partial(problem.flipped, chance=1.0)
    value, _ = problem.augmented(loss, changed, shape=(4, 5))(params, (), batch, KEY)
    expected = np.sum(params * IMAGES[:, :, ::-1].reshape(40, -1))
    np.testing.assert_allclose(value, expected, rtol=1e-4)
    with pytest.raises(InputError, match="shape of one picture"):
        problem.augmented(loss, changed, shape=(5, 5))(params, (), batch, KEY)


@pytest.mark.oracle
def test_a_smoothed_label_is_that_mixture_of_targets() -> None:
    logits = np.random.default_rng(1).normal(size=(3, 4)).astype(np.float32)
    labels = jnp.array([0, 3, 1])
    targets = 0.8 * np.eye(4)[np.asarray(labels)] + 0.2 / 4
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    expected = -np.sum(targets * np.log(probabilities), axis=1)
    ours = problem.smoothed_cross_entropy(0.2)(jnp.asarray(logits), labels)
    np.testing.assert_allclose(ours, expected, rtol=1e-5)
    soft = problem.soft_cross_entropy(logits, targets.astype(np.float32))
    np.testing.assert_allclose(soft, expected, rtol=1e-5)


@pytest.mark.identity
def test_a_masked_network_is_the_smaller_one() -> None:
    shapes = ((5, 6), (6, 4), (4, 2))
    whole = {
        f"layer_{place:02}": {
            "kernel": jnp.full(shape, 2.0),
            "bias": jnp.ones(shape[1]),
        }
        for place, shape in enumerate(shapes)
    }

    def init(key, inputs):
        return whole, {}

    seen = []

    def apply(params, state, inputs, *, train, key):
        seen.append(params)
        return inputs, state

    kept = jnp.array([True, False, True, True, False])
    few = problem.masked(Model(init, apply), problem.fewer_units(3))
    small = problem.masked(few, problem.fewer_inputs(kept))
    params, state = small.init(KEY, jnp.ones((1, 5)))
    small.apply(whole, state, jnp.ones((1, 5)), train=False, key=None)
    (used,) = seen
    rows = (np.asarray(kept), np.arange(6) < 3, np.arange(4) < 3)
    columns = (np.arange(6) < 3, np.arange(4) < 3, np.ones(2, bool))
    for name, row, column in zip(sorted(whole), rows, columns, strict=True):
        expected = 2.0 * np.outer(row, column)
        np.testing.assert_array_equal(used[name]["kernel"], expected)
        np.testing.assert_array_equal(used[name]["bias"], column)
        scale = np.sqrt(len(row) / row.sum())
        begun = params[name]["kernel"]
        np.testing.assert_allclose(begun, scale * expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (partial(problem.shifted, IMAGES, -1, key=KEY), "0 or more"),
        (partial(problem.flipped, IMAGES, 1.5, key=KEY), "from 0 to 1"),
        (partial(problem.smoothed_cross_entropy, 1.0), "below 1"),
        (
            partial(problem.without_biases(problem.l2(1.0)), {"b": jnp.ones(2)}),
            "give the penalty itself",
        ),
        (
            partial(
                problem.mixed,
                Batch(jnp.eye(2), jnp.arange(2), jnp.ones(2)),
                0.0,
                classes=2,
                key=KEY,
            ),
            "above 0",
        ),
    ],
)
@pytest.mark.identity
def test_a_wrong_amount_is_refused_in_a_sentence(call, words) -> None:
    with pytest.raises(InputError, match=words):
        call()


@pytest.mark.identity
def test_the_scaled_network_is_the_mean_over_masks_unless_two_layers_bend() -> None:
    rng = np.random.default_rng(0)
    kernels = [rng.normal(size=(4, 4)) for _ in range(3)]
    inputs = rng.normal(size=(5, 4))

    def relu(values: np.ndarray) -> np.ndarray:
        return np.maximum(values, 0)

    for used, activation, equal in (
        (kernels, np.positive, True),
        (kernels[:2], relu, True),
        (kernels, relu, False),
    ):
        mean = problem.mean_over_masks(used, inputs, 0.3, activation=activation)
        scaled = problem.scaled_by_rest(used, inputs, 0.3, activation=activation)
        assert np.allclose(mean, scaled, rtol=1e-12, atol=1e-12) == equal


@pytest.mark.oracle
def test_ridge_solves_the_normal_equations() -> None:
    points = problem.cubic_points(9, offset=3.0, seed=1)
    design = problem.legendre(points.inputs, 4)
    added = np.diag([0.5, 2.0, 2.0, 2.0, 2.0])
    expected = np.linalg.solve(design.T @ design + added, design.T @ points.targets)
    found = problem.ridge(points, 4, 2.0, bias=0.5)
    np.testing.assert_allclose(found, expected, rtol=1e-9)


@pytest.mark.statistics
def test_labels_are_drawn_anew_as_often_as_asked() -> None:
    zeros = np.zeros(2000, np.int32)
    batch = Batch(np.ones((2000, 1), np.float32), zeros, np.ones(2000, np.float32))
    changed = problem.relabelled(batch, 0.4, classes=4, key=KEY).targets != 0
    assert abs(np.mean(changed) - 0.3) < 4 * np.sqrt(0.3 * 0.7 / 2000)
