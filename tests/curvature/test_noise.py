"""Gradient noise: NumPy's covariance, the law of batches, and what cannot be told."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxml import curvature
from jaxml.types import InputError

RNG = np.random.default_rng(3)
INPUTS = RNG.normal(size=(9, 3)).astype(np.float32)
TARGETS = RNG.normal(size=9).astype(np.float32)
PARAMS = {"w": jnp.array([0.5, -1.0, 2.0]), "b": jnp.array(0.25)}


def squared(params, batch):
    inputs, targets = batch
    residual = inputs @ params["w"] + params["b"] - targets
    return jnp.mean(0.5 * residual**2)


def noise_of(batch):
    return curvature.gradient_noise(squared, PARAMS, batch)


def by_hand():
    """The gradients of the examples, (r x, r) for the residual r, in float64."""
    inputs, targets = INPUTS.astype(float), TARGETS.astype(float)
    residual = inputs @ np.array([0.5, -1.0, 2.0]) + 0.25 - targets
    return np.hstack([residual[:, None] * inputs, residual[:, None]])


@pytest.mark.oracle
@pytest.mark.parametrize("chunk", [1, 4, 64])
def test_noise_is_the_covariance_of_the_examples_gradients(chunk):
    noise = curvature.gradient_noise(squared, PARAMS, (INPUTS, TARGETS), chunk=chunk)
    gradients = by_hand()
    covariance = np.cov(gradients.T)
    mean = gradients.mean(axis=0)
    np.testing.assert_allclose(noise.covariance_trace, np.trace(covariance), rtol=1e-5)
    np.testing.assert_allclose(noise.traces["b"], covariance[3, 3], rtol=1e-5)
    signal = mean @ mean - np.trace(covariance) / 9
    np.testing.assert_allclose(noise.gradient_square, signal, rtol=1e-4)
    np.testing.assert_allclose(noise.squares, np.sum(gradients**2, axis=1), rtol=1e-5)
    np.testing.assert_allclose(noise.projections, gradients @ mean, rtol=1e-4)


@pytest.mark.identity
def test_two_batch_sizes_and_single_examples_agree():
    """With batches of one and of all, averaged, the two estimates are one."""
    noise = curvature.gradient_noise(squared, PARAMS, (INPUTS, TARGETS))
    gradients = by_hand()
    single = np.mean(np.sum(gradients**2, axis=1))
    whole = np.sum(gradients.mean(axis=0) ** 2)
    trace, signal = curvature.noise_of_batches(single, whole, (1, 9))
    np.testing.assert_allclose(noise.covariance_trace, trace, rtol=1e-5)
    np.testing.assert_allclose(noise.gradient_square, signal, rtol=1e-4)


@pytest.mark.identity
@pytest.mark.parametrize("size", [1, 2, 5, 8, 9])
def test_the_noise_of_a_batch_follows_the_law_over_all_batches(size):
    """Exactly, over every batch of that size that nine examples give."""
    gradients = by_hand()
    chosen = itertools.combinations(range(9), size)
    means = np.array([gradients[list(each)].mean(axis=0) for each in chosen])
    found = np.sum(means.var(axis=0))
    trace = np.trace(np.cov(gradients.T))
    expected = curvature.batch_covariance_trace(trace, size, total=9)
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.statistics
def test_the_interval_of_the_noise_scale_covers():
    """Gradients N(m, I) in ten dimensions: B = 10 / ‖m‖², 200 draws of 400 examples."""

    def pull(params, batch):
        return jnp.mean(0.5 * jnp.sum((params[None] - batch) ** 2, axis=1))

    rng = np.random.default_rng(0)
    mean = np.full(10, 0.5)
    covered = []
    for _ in range(200):
        data = (rng.normal(size=(400, 10)) + mean).astype(np.float32)
        noise = curvature.gradient_noise(pull, jnp.zeros(10), data)
        scale = curvature.simple_noise_scale(noise)
        covered.append(scale.low <= 10 / (mean @ mean) <= scale.high)
    assert abs(np.mean(covered) - 0.95) < 4 * np.sqrt(0.95 * 0.05 / 200)


@pytest.mark.identity
def test_a_gradient_that_is_zero_has_no_finite_noise_scale():
    data = np.array([[1.0], [-1.0], [1.0], [-1.0]], np.float32)

    def pull(params, batch):
        return jnp.mean(0.5 * (params[None] - batch) ** 2)

    noise = curvature.gradient_noise(pull, jnp.zeros(1), data)
    assert float(noise.gradient_square) < 0
    assert curvature.simple_noise_scale(noise) == (np.inf, 0.0, np.inf)


@pytest.mark.identity
@pytest.mark.parametrize(
    ("call", "word"),
    [
        (
            lambda: curvature.gradient_noise(
                squared, PARAMS, (INPUTS[:1], TARGETS[:1])
            ),
            "two",
        ),
        (
            lambda: curvature.gradient_noise(squared, PARAMS, (INPUTS, TARGETS[:4])),
            "same",
        ),
        (lambda: curvature.noise_of_batches(1.0, 1.0, (4, 4)), "smaller size first"),
        (lambda: curvature.batch_covariance_trace(1.0, 5, total=4), "from 1"),
    ],
)
def test_what_has_no_covariance_is_refused(call, word):
    with pytest.raises(InputError, match=word):
        call()


@pytest.mark.compiles_once
def test_a_second_call_of_the_same_shapes_traces_nothing():
    traces = []

    def counted(params, batch):
        traces.append(1)
        return squared(params, batch)

    curvature.gradient_noise(counted, PARAMS, (INPUTS, TARGETS))
    first = len(traces)
    moved = jax.tree.map(lambda leaf: leaf + 1, PARAMS)
    curvature.gradient_noise(counted, moved, (INPUTS, TARGETS))
    assert len(traces) == first
