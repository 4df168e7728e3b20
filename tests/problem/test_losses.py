"""Losses and penalties against float64 loops over examples and classes, and the
lecture's numbers.
"""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxml.problem import (
    accuracy,
    cross_entropy,
    hinge,
    huber,
    l1,
    l2,
    mae,
    mse,
    none,
    softmax_mse,
    weighted_mean,
)
from jaxml.types import InputError

pytestmark = pytest.mark.oracle

PRECISIONS = pytest.mark.parametrize(
    ("dtype", "tolerance"), [(np.float32, 3e-6), (np.float64, 1e-13)]
)


def _huber(r):
    return r * r / 2 if abs(r) <= 0.7 else 0.7 * (abs(r) - 0.35)


REGRESSION = {
    "mse": (mse, lambda r: r * r),
    "mae": (mae, abs),
    "huber": (functools.partial(huber, delta=0.7), _huber),
}


def _softmax(z):
    weights = [math.exp(value - max(z)) for value in z]
    return [weight / sum(weights) for weight in weights]


CLASSIFICATION = {
    "cross_entropy": (cross_entropy, lambda z, y: -math.log(_softmax(z)[y])),
    "softmax_mse": (
        softmax_mse,
        lambda z, y: sum((p - (j == y)) ** 2 for j, p in enumerate(_softmax(z))),
    ),
    "hinge": (
        hinge,
        lambda z, y: sum(max(0, 1 + z[j] - z[y]) for j in range(len(z)) if j != y),
    ),
    "accuracy": (
        accuracy,
        lambda z, y: float(max(range(len(z)), key=lambda j: z[j]) == y),
    ),
}
OUTPUTS = np.random.default_rng(0).normal(size=(12, 4)) * 2
TARGETS = np.random.default_rng(1).normal(size=(12, 4))
LABELS = np.random.default_rng(2).integers(0, 4, 12).astype(np.int32)


@pytest.mark.device
@PRECISIONS
@pytest.mark.parametrize("name", REGRESSION)
def test_regression_losses(name, dtype, tolerance):
    loss, term = REGRESSION[name]
    with jax.enable_x64(dtype is np.float64):
        found = np.asarray(loss(jnp.asarray(OUTPUTS, dtype), TARGETS.astype(dtype)))
    expected = [sum(term(r) for r in row) / 4 for row in (OUTPUTS - TARGETS).tolist()]
    assert found.dtype == dtype
    np.testing.assert_allclose(found, expected, rtol=tolerance)


@pytest.mark.device
@PRECISIONS
@pytest.mark.parametrize("name", CLASSIFICATION)
def test_classification_losses(name, dtype, tolerance):
    loss, expected = CLASSIFICATION[name]
    with jax.enable_x64(dtype is np.float64):
        found = np.asarray(loss(jnp.asarray(OUTPUTS, dtype), LABELS))
    assert found.dtype == dtype
    pairs = zip(OUTPUTS.tolist(), LABELS.tolist(), strict=True)
    np.testing.assert_allclose(
        found, [expected(z, y) for z, y in pairs], rtol=tolerance, atol=tolerance
    )


@pytest.mark.parametrize("loss", [mse, mae, huber])
def test_targets_that_would_broadcast_are_refused(loss):
    with pytest.raises(InputError, match=r"Outputs \(3, 1\) and targets \(3,\) differ"):
        loss(jnp.zeros((3, 1)), jnp.zeros(3))


LABELLED = [cross_entropy, softmax_mse, hinge, accuracy]


@pytest.mark.parametrize("loss", LABELLED)
@pytest.mark.parametrize(
    ("outputs", "targets", "message"),
    [
        ((3, 4), np.array([[0], [2], [1]]), r"shape \(3, 1\), not \[n\]"),
        ((3, 4), np.eye(3, 4, dtype=np.int32), r"shape \(3, 4\), not \[n\]"),
        (
            (3, 4),
            np.array([0.0, 1.0, 2.0], np.float32),
            "labels are float32: cast them to int32",
        ),
        ((3, 4), np.array([True, False, True]), "labels are bool: cast them to int32"),
        ((3, 4), np.array([0, 1]), "3 outputs but 2 labels"),
        (
            (3, 2, 4),
            np.array([0, 1, 2]),
            r"outputs have the shape \(3, 2, 4\): reshape",
        ),
    ],
)
def test_what_are_no_labels_is_refused_when_traced(loss, outputs, targets, message):
    with pytest.raises(InputError, match=message):
        loss(jnp.zeros(outputs), targets)
    with pytest.raises(InputError, match=message):
        jax.eval_shape(loss, jnp.zeros(outputs), targets)


@pytest.mark.parametrize("loss", LABELLED)
@pytest.mark.parametrize(
    ("label", "dtype"), [(3, np.int32), (-1, np.int32), (3, np.uint8), (-3, np.int8)]
)
def test_a_label_out_of_range_is_refused_where_known_and_nan_where_not(
    loss, label, dtype
):
    outputs, labels = (
        jnp.array([[5.0, 0.0, 0.0], [0.0, 1.0, 0.0]]),
        np.array([0, label], dtype),
    )
    for targets in (labels, jnp.asarray(labels)):
        with pytest.raises(
            InputError, match=rf"Label {label} in row 1 \(from 0\) is outside 0\.\.2"
        ):
            loss(outputs, targets)
    found = jax.jit(loss)(outputs, labels)
    assert np.isfinite(found[0]) and np.isnan(found[1])


@pytest.mark.parametrize("loss", LABELLED)
def test_more_classes_than_a_byte_counts(loss):
    outputs = np.random.default_rng(0).normal(size=(2, 300)).astype(np.float32)
    small, wide = (np.array([44, 200], dtype) for dtype in (np.uint8, np.int32))
    for function in (loss, jax.jit(loss)):
        np.testing.assert_array_equal(function(outputs, small), function(outputs, wide))


@pytest.mark.parametrize("loss", LABELLED)
@pytest.mark.parametrize("dtype", [np.int64, np.uint64])
def test_labels_of_64_bits_need_no_64_bit_mode(loss, dtype):
    outputs, labels = jnp.array([[5.0, 0.0, 0.0], [0.0, 1.0, 0.0]]), np.array([0, 2])
    np.testing.assert_array_equal(
        loss(outputs, labels.astype(dtype)), loss(outputs, labels.astype(np.int32))
    )


@pytest.mark.parametrize("delta", [0.0, -1.0, np.nan])
def test_a_huber_loss_bends_above_zero(delta):
    with pytest.raises(InputError, match="give a delta above 0"):
        huber(jnp.ones((2, 1)), jnp.zeros((2, 1)), delta=delta)


def test_training_on_labels_one_too_high_cannot_look_like_success():
    outputs, labels = jnp.zeros((4, 3)), jnp.array([1, 2, 3, 1])
    value, gradient = jax.jit(
        jax.value_and_grad(lambda z, y: jnp.mean(cross_entropy(z, y)))
    )(outputs, labels)
    assert np.isnan(value) and np.all(np.isfinite(gradient))


def test_the_cat_car_frog_example_of_the_lecture():
    scores = jnp.array([[3.2, 5.1, -1.7], [1.3, 4.9, 2.0], [2.2, 2.5, -3.1]])
    labels = jnp.array([0, 1, 2])
    np.testing.assert_allclose(
        hinge(scores, labels), [2.9, 0.0, 12.9], rtol=1e-6, atol=1e-6
    )
    np.testing.assert_allclose(cross_entropy(scores, labels)[0], 2.04, atol=5e-3)


@pytest.mark.parametrize(
    ("logits", "cross", "cross_norm", "square", "square_norm"),
    [
        ((-10, 10), 20.0, 1.414, 2.0, 1.17e-8),
        ((-5, 5), 10.0, 1.414, 2.0, 2.6e-4),
        ((0, 0), 0.693, 0.707, 0.5, 0.707),
    ],
)
def test_square_error_is_flat_where_the_lecture_says(
    logits, cross, cross_norm, square, square_norm
):
    for loss, value, norm in (
        (cross_entropy, cross, cross_norm),
        (softmax_mse, square, square_norm),
    ):
        with jax.enable_x64(True):
            at = jnp.asarray([[*logits, -1000.0]], jnp.float64)
            found, gradient = jax.value_and_grad(
                lambda z, loss=loss: loss(z, np.array([0]))[0]
            )(at)
            gradient = np.asarray(gradient)
        np.testing.assert_allclose(np.asarray(found), value, rtol=1e-3)
        np.testing.assert_allclose(np.linalg.norm(gradient), norm, rtol=2e-2)


@pytest.mark.device
@PRECISIONS
def test_cross_entropy_is_stable_and_its_gradient_is_softmax_minus_label(
    dtype, tolerance
):
    z = np.array([[1e4, -1e4, 0.0], [-80.0, 80.0, 79.0], [0.1, -0.2, 0.3]])
    y = np.array([1, 0, 2], np.int32)
    with jax.enable_x64(dtype is np.float64):
        logits = jnp.asarray(z, dtype)
        found = np.asarray(cross_entropy(logits, y))
        gradient = np.asarray(jax.grad(lambda a: jnp.sum(cross_entropy(a, y)))(logits))
    shifted = np.exp(z - z.max(1, keepdims=True))
    expected = np.log(shifted.sum(1)) + z.max(1) - z[np.arange(3), y]
    np.testing.assert_allclose(found, expected, rtol=tolerance)
    softmax = shifted / shifted.sum(1, keepdims=True)
    np.testing.assert_allclose(gradient, softmax - np.eye(3)[y], atol=tolerance)


def test_gradients_at_a_zero_residual_and_in_the_tail():
    residuals = jnp.array([[-3.0], [-0.2], [0.0], [0.2], [3.0]])
    gradients = {
        loss: jax.grad(lambda r, loss=loss: jnp.sum(loss(r, jnp.zeros((5, 1)))))(
            residuals
        )[:, 0]
        for loss in (mse, mae, huber)
    }
    np.testing.assert_allclose(gradients[mse], [-6.0, -0.4, 0.0, 0.4, 6.0])
    np.testing.assert_allclose(gradients[mae], [-1.0, -1.0, 0.0, 1.0, 1.0])
    np.testing.assert_allclose(gradients[huber], [-1.0, -0.2, 0.0, 0.2, 1.0])
    bend = jax.vmap(jax.hessian(lambda r: huber(r[None, None], jnp.zeros((1, 1)))[0]))(
        residuals[:, 0]
    )
    np.testing.assert_allclose(bend, [0.0, 1.0, 1.0, 1.0, 0.0])


@pytest.mark.device
@PRECISIONS
def test_penalties_and_their_curvature(dtype, tolerance):
    values = np.random.default_rng(3).normal(size=7)
    with jax.enable_x64(dtype is np.float64):
        params = {
            "a": jnp.asarray(values[:6].reshape(2, 3), dtype),
            "b": jnp.asarray(values[6:], dtype),
        }
        found = [np.asarray(penalty(params)) for penalty in (l1(0.3), l2(0.3), none)]
        hessian = np.asarray(jax.jit(jax.hessian(l2(0.3)))(jnp.asarray(values, dtype)))
        gradient = np.asarray(jax.grad(l1(0.3))(jnp.asarray([-2.0, 0.0, 2.0], dtype)))
    assert all(value.dtype == dtype for value in found)
    np.testing.assert_allclose(
        found[:2], [0.3 * np.abs(values).sum(), 0.3 * (values**2).sum()], rtol=tolerance
    )
    assert found[2] == 0
    np.testing.assert_allclose(gradient, [-0.3, 0.0, 0.3], rtol=tolerance)
    np.testing.assert_allclose(hessian, 0.6 * np.eye(7), rtol=tolerance)


@pytest.mark.compiles_once
def test_a_traced_coefficient_compiles_once():
    traces = []

    @jax.jit
    def penalised(coefficient):
        traces.append(0)
        return l1(coefficient)(jnp.ones(2)) + l2(coefficient)(jnp.ones(2))

    assert [float(penalised(c)) for c in (0.0, 0.5, 1.0)] == [0.0, 2.0, 4.0]
    assert len(traces) == 1


@PRECISIONS
def test_weighted_mean_is_the_quotient_of_sums(dtype, tolerance):
    values, weights = np.random.default_rng(4).uniform(0.1, 2.0, (2, 9))
    with jax.enable_x64(dtype is np.float64):
        found = np.asarray(
            weighted_mean(jnp.asarray(values, dtype), weights.astype(dtype))
        )
    np.testing.assert_allclose(
        found, (values @ weights) / weights.sum(), rtol=tolerance
    )


@pytest.mark.parametrize("values", [(3, 1), (1,), ()])
def test_losses_and_weights_do_not_broadcast(values):
    with pytest.raises(InputError, match="give one of each an example"):
        weighted_mean(jnp.ones(values), jnp.ones(3))


def test_no_weight_has_no_mean():
    assert np.isnan(weighted_mean(jnp.ones(3), jnp.zeros(3)))
