"""Further losses of labels, class weights and evaluations against float64 loops over
examples and classes.
"""

import math
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxml.problem import (
    accuracy,
    calibration_error,
    class_weighted,
    confusion_matrix,
    cross_entropy,
    focal,
    logit_mse,
    mse,
    multi_margin,
    smoothed_cross_entropy,
    softmax_mse,
    squared_multi_margin,
    weighted_by_class,
    weighted_mean,
)
from jaxml.types import Batch, InputError

K = 4
OUTPUTS = np.random.default_rng(0).normal(size=(12, K)) * 2
LABELS = np.random.default_rng(2).integers(0, K, 12).astype(np.int32)
WEIGHTS = np.array([0.5, 2.0, 0.0, 3.0])
PRECISIONS = pytest.mark.parametrize(
    ("dtype", "tolerance"), [(np.float32, 5e-6), (np.float64, 1e-13)]
)


def _probabilities(z):
    powers = [math.exp(value) for value in z]
    return [power / sum(powers) for power in powers]


def _focal(z, y):
    p = _probabilities(z)[y]
    return -((1 - p) ** 1.5) * math.log(p)


def _margins(z, y, margin, power):
    return sum(max(0, margin - z[y] + z[j]) ** power for j in range(K) if j != y) / K


def _rescaled(z, y):
    others = sum(z[j] ** 2 for j in range(K) if j != y)
    return (15 * (z[y] - 30) ** 2 + others) / K


LOSSES = {
    "focal": (focal(1.5), _focal),
    "multi_margin": (multi_margin, lambda z, y: _margins(z, y, 1, 1)),
    "wide multi_margin": (
        partial(multi_margin, margin=2.5),
        lambda z, y: _margins(z, y, 2.5, 1),
    ),
    "squared_multi_margin": (squared_multi_margin, lambda z, y: _margins(z, y, 1, 2)),
    "logit_mse": (
        partial(logit_mse, label_weight=15.0, label_value=30.0),
        _rescaled,
    ),
}


@jax.jit
def _all_losses(outputs):
    return {name: loss(outputs, LABELS) for name, (loss, _) in LOSSES.items()}


@pytest.mark.oracle
@PRECISIONS
def test_losses(dtype, tolerance):
    with jax.enable_x64(dtype is np.float64):
        found = jax.device_get(_all_losses(jnp.asarray(OUTPUTS, dtype)))
    pairs = list(zip(OUTPUTS.tolist(), LABELS.tolist(), strict=True))
    for name, (_, term) in LOSSES.items():
        expected = [term(z, y) for z, y in pairs]
        assert found[name].dtype == dtype
        np.testing.assert_allclose(
            found[name], expected, rtol=tolerance, atol=tolerance, err_msg=name
        )


@pytest.mark.identity
def test_special_cases_are_the_losses_they_generalise():
    logits = OUTPUTS.astype(np.float32)

    @jax.jit
    def both():
        plain = (cross_entropy(logits, LABELS), mse(logits, jnp.eye(K)[LABELS]))
        return plain, (focal(0.0)(logits, LABELS), logit_mse(logits, LABELS))

    plain, special = both()
    np.testing.assert_allclose(special, plain, rtol=1e-6)


@pytest.mark.identity
def test_focal_is_finite_with_its_gradient_on_large_logits():
    logits = jnp.array([[200.0, 0.0, 0.0], [0.0, 200.0, 0.0]])
    labels = np.array([0, 0])

    @jax.jit
    @jax.value_and_grad
    def total(z, gamma):
        return jnp.sum(focal(gamma)(z, labels))

    for gamma in (0.0, 0.5, 2.0):
        value, slope = total(logits, gamma)
        np.testing.assert_allclose(value, 200.0)  # right at no cost, wrong at full
        np.testing.assert_allclose(slope, [[0, 0, 0], [-1, 1, 0]], atol=1e-6)


SIMPLE = {
    "focal": focal(2.0),
    "multi_margin": multi_margin,
    "squared_multi_margin": squared_multi_margin,
    "logit_mse": logit_mse,
    "weighted": class_weighted(lambda z, y: accuracy(z, y) + 1, np.ones(3, np.float32)),
}


@pytest.mark.identity
@pytest.mark.parametrize("name", SIMPLE)
@pytest.mark.parametrize("label", [3, -1])
def test_a_label_out_of_range_is_refused_where_known_and_nan_where_not(name, label):
    outputs = jnp.array([[5.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    labels = np.array([0, label], np.int32)
    with pytest.raises(InputError, match=rf"Label {label} in row 1 .* outside 0\.\.2"):
        SIMPLE[name](outputs, labels)
    found = jax.jit(SIMPLE[name])(outputs, labels)
    assert np.isfinite(found[0]) and np.isnan(found[1])


def _batch(dtype, weights=None):
    given = np.ones(12) if weights is None else weights
    return Batch(np.zeros((12, 1), dtype), LABELS, np.asarray(given, dtype))


WEIGHTED = (cross_entropy, softmax_mse, smoothed_cross_entropy(0.1))


@jax.jit
def _by_both_conventions(outputs, batch, weights):
    """Of each loss its values, those with class weights, and PyTorch's mean."""
    heavy = weighted_by_class(batch, weights).weights
    found = []
    for loss in WEIGHTED:
        values = loss(outputs, LABELS)
        plain = class_weighted(loss, weights)(outputs, LABELS)
        found.append((values, plain, weighted_mean(values, heavy)))
    return found


@pytest.mark.oracle
@PRECISIONS
def test_class_weights_by_both_conventions(dtype, tolerance):
    own, factors = np.linspace(0, 1, 12), WEIGHTS[LABELS]
    with jax.enable_x64(dtype is np.float64):
        given = (OUTPUTS.astype(dtype), _batch(dtype, own), WEIGHTS.astype(dtype))
        found = jax.device_get(_by_both_conventions(*given))
    for values, plain, mean in found:
        assert plain.dtype == mean.dtype == dtype
        np.testing.assert_allclose(plain, factors * values, rtol=tolerance)
        expected = (own * factors) @ values / (own @ factors)
        np.testing.assert_allclose(mean, expected, rtol=tolerance)


@pytest.mark.identity
@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (np.ones((2, 2), np.float32), "one floating-point number a class"),
        (np.array([1, 2]), "one floating-point number a class"),
        (np.array([1.0, -1.0]), "finite and 0 or more"),
        (np.array([1.0, np.nan]), "finite and 0 or more"),
    ],
)
def test_class_weights_that_are_none_are_refused(weights, message):
    with pytest.raises(InputError, match=message):
        class_weighted(cross_entropy, weights)
    with pytest.raises(InputError, match=message):
        weighted_by_class(_batch(np.float32), weights)


@pytest.mark.identity
def test_class_weights_that_do_not_fit_are_refused():
    three = np.ones(3, np.float32)
    with pytest.raises(InputError, match="3 class weights but 4 outputs"):
        class_weighted(cross_entropy, three)(jnp.zeros((12, K)), LABELS)
    with pytest.raises(InputError, match=r"Label 3 in row .* outside 0\.\.2"):
        weighted_by_class(_batch(np.float32), three)
    with pytest.raises(InputError, match="gamma of 0 or more"):
        focal(-1.0)


@pytest.mark.compiles_once
def test_traced_settings_compile_once():
    traces = []
    logits = jnp.asarray(OUTPUTS, jnp.float32)

    @jax.jit
    def total(value, weights):
        traces.append(0)
        parts = (
            class_weighted(focal(value), weights),
            partial(multi_margin, margin=value),
            partial(logit_mse, label_weight=value, label_value=value),
        )
        return [jnp.sum(part(logits, LABELS)) for part in parts]

    for value in (0.5, 2.0):
        found = total(value, jnp.asarray(WEIGHTS, jnp.float32))
        assert np.all(np.isfinite(found))
    assert len(traces) == 1


def _expected_calibration(outputs, labels, weights, bins):
    """Guo's equation 3, bin by bin; bin m is ((m - 1)/M, m/M]."""
    p = np.exp(outputs) / np.exp(outputs).sum(1, keepdims=True)
    confidence, right = p.max(1), p.argmax(1) == labels
    error = 0.0
    for m in range(1, bins + 1):
        inside = ((m - 1) / bins < confidence) & (confidence <= m / bins)
        mass = weights[inside].sum()
        if mass:
            hit = weights[inside] @ right[inside] / mass
            sure = weights[inside] @ confidence[inside] / mass
            error += mass / weights.sum() * abs(hit - sure)
    return error


_calibration = jax.jit(calibration_error, static_argnames="bins")


@pytest.mark.oracle
@pytest.mark.parametrize(
    ("bins", "dtype", "tolerance"),
    [(1, np.float32, 5e-6), (15, np.float32, 5e-6), (6, np.float64, 1e-13)],
)
def test_calibration_error(bins, dtype, tolerance):
    weights = np.linspace(0, 2, 12)
    with jax.enable_x64(dtype is np.float64):
        logits, batch = OUTPUTS.astype(dtype), _batch(dtype, weights)
        found = np.asarray(_calibration(logits, batch, bins=bins))
    expected = _expected_calibration(OUTPUTS, LABELS, weights, bins)
    assert found.dtype == dtype
    np.testing.assert_allclose(found, expected, rtol=tolerance)


@pytest.mark.identity
def test_calibration_error_has_closed_forms():
    batch = _batch(np.float32)._replace(targets=np.repeat([0, 1], [9, 3]))
    tied = np.zeros((12, K), np.float32)  # confidence 1/4, right in 9 of 12
    np.testing.assert_allclose(_calibration(tied, batch, bins=15), 0.5)
    sure = np.tile(np.log([9, 1, 1, 1]), (12, 1)).astype(np.float32)  # 9/12
    np.testing.assert_allclose(_calibration(sure, batch, bins=15), 0.0, atol=1e-6)
    edge = np.array([0, 0, -1000, -1000])  # confidence 1/2, in the bin of 0.4
    within = np.log([1, 2, 1, 1])  # confidence 0.4, and wrong
    both = np.repeat([edge, within], 6, axis=0).astype(np.float32)
    batch = batch._replace(targets=np.zeros(12, np.int32))
    np.testing.assert_allclose(_calibration(both, batch, bins=4), 0.05, rtol=1e-5)
    with pytest.raises(InputError, match="give 1 or more"):
        calibration_error(tied, batch, bins=0)


_confusion = jax.jit(confusion_matrix)


@pytest.mark.oracle
@PRECISIONS
def test_confusion_matrix(dtype, tolerance):
    weights = np.linspace(0, 2, 12)
    with jax.enable_x64(dtype is np.float64):
        logits, batch = OUTPUTS.astype(dtype), _batch(dtype, weights)
        found = np.asarray(_confusion(logits, batch))
    hits = (weights * (OUTPUTS.argmax(1) == LABELS)).sum() / weights.sum()
    expected = np.zeros((K, K))
    for label, row, weight in zip(LABELS, OUTPUTS, weights, strict=True):
        expected[label, row.argmax()] += weight
    assert found.dtype == dtype
    np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(np.trace(found) / found.sum(), hits, rtol=tolerance)


@pytest.mark.identity
@pytest.mark.parametrize("evaluate", [_calibration, _confusion])
def test_evaluations_leave_padding_out_and_show_unknown_labels(evaluate):
    logits = jnp.asarray(OUTPUTS, jnp.float32)
    kept = np.repeat([1.0, 0.0], 6)
    padded = _batch(np.float32, kept)
    other = padded._replace(targets=np.where(kept > 0, LABELS, 0).astype(np.int32))
    found = evaluate(logits, padded)
    np.testing.assert_array_equal(found, evaluate(logits, other))
    wrong = padded._replace(targets=np.append(LABELS[1:], 7).astype(np.int32)[::-1])
    assert np.all(np.isnan(evaluate(logits, wrong)))
    with pytest.raises(InputError, match=r"outside 0\.\.3"):
        evaluate.__wrapped__(logits, wrong)
