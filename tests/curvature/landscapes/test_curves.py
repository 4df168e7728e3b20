"""Bézier curves whose best control point, and barriers that, are known."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxml import curvature
from jaxml.types import InputError

T = np.linspace(0, 1, 5)
ADAM = optax.adam(0.05)
KEY = jax.random.key(0)


def bowl(w, _):
    return 0.5 * jnp.sum(w**2)


TRACES = []


def ring(w, _):
    TRACES.append(1)
    return (jnp.sum(w["w"] ** 2) - 1) ** 2


def vector(*numbers):
    return {"w": jnp.array(numbers)}


@pytest.mark.identity
def test_the_curve_and_its_middle():
    point = jax.jit(curvature.bezier_point)
    first, control, second = np.random.default_rng(1).normal(size=(3, 3))
    with jax.enable_x64(True):
        curve = curvature.Curve(*map(jnp.asarray, (first, control, second)))
        for t in T:
            wanted = (1 - t) ** 2 * first + 2 * t * (1 - t) * control + t**2 * second
            found = np.asarray(point(curve, t))
            np.testing.assert_allclose(found, wanted, rtol=1e-12)
        straight = curve._replace(control=(curve.first + curve.second) / 2)
        found = curvature.barriers(bowl, straight, None, at=T)
    np.testing.assert_allclose(found.curve, found.line, rtol=1e-12)
    assert found.curve.dtype == np.float64


@pytest.mark.statistics
def test_the_best_control_point_of_a_bowl():
    """E[L(φ(t))] of ½w² is least at -¾ (θ₁ + θ₂), where its second derivative is
    E[4t²(1 - t)²] = 2/15; steps of 15/2 over k average the draws.
    """
    optimizer = optax.sgd(lambda step: 7.5 / (step + 10.0))
    ends = jnp.array([1.5]), jnp.array([-0.5])
    keys = [jax.random.key(seed) for seed in range(8)]
    found = [
        curvature.bezier(bowl, ends, None, optimizer, steps=2000, key=key).control[0]
        for key in keys
    ]
    error = np.std(found, ddof=1) / np.sqrt(len(found))
    assert abs(np.mean(found) + 0.75) < 4 * error < 0.1


@pytest.mark.oracle
def test_round_a_ring_and_across_it():
    """Straight across a quarter the loss rises to (½ - 1)² = ¼; on the curve of control
    point (1, 1), at most to (2 (¾)² - 1)² = 1/64, and the best one is better.
    """
    ends = vector(1.0, 0.0), vector(0.0, 1.0)
    curve = curvature.bezier(ring, ends, None, ADAM, steps=300, key=KEY)
    found = curvature.barriers(ring, curve, None, at=T)
    np.testing.assert_allclose(found.line, (2 * (T - 0.5) ** 2 - 0.5) ** 2, atol=1e-6)
    np.testing.assert_allclose(found.line_barrier, 0.25, rtol=1e-6)
    assert 0 <= found.curve_barrier < 1 / 64
    assert jax.tree.structure(curve.control) == jax.tree.structure(ends[0])


@pytest.mark.oracle
def test_a_barrier_rises_above_the_higher_end():
    def steps(w, _):
        return w[0] + 4 * w[0] * (1 - w[0])

    def along(*weights):
        straight = curvature.Curve(*(jnp.array([w]) for w in weights))
        at = jnp.array([0.0, 0.5, 1.0])
        return curvature.barriers(steps, straight, None, at=at)

    found = along(0.0, 0.5, 1.0)
    np.testing.assert_allclose(found.line, [0, 1.5, 1])
    np.testing.assert_allclose(found.line_barrier, 0.5)
    np.testing.assert_allclose(found.curve_barrier, 0.5)
    assert along(1.0, 1.5, 2.0).line_barrier == 0
    assert np.isnan(along(0.0, 0.5, np.nan).line_barrier)


@pytest.mark.compiles_once
def test_other_ends_and_keys_compile_nothing():
    def once(scale):
        ends = vector(scale, 0.0), vector(0.0, scale)
        key = jax.random.key(int(scale))
        curve = curvature.bezier(ring, ends, None, ADAM, steps=300, key=key)
        return curvature.barriers(ring, curve, None, at=T)

    once(1.0)
    before = len(TRACES)
    once(2.0)
    assert len(TRACES) == before


@pytest.mark.identity
def test_what_has_no_curve():
    ends = vector(1.0, 0.0), vector(0.0, 1.0)
    with pytest.raises(InputError, match="take 1 or more"):
        curvature.bezier(ring, ends, None, ADAM, steps=0, key=KEY)
    with pytest.raises(InputError, match="second end"):
        curvature.bezier(ring, (ends[0], vector(1.0)), None, ADAM, steps=1, key=KEY)
    nowhere = vector(np.nan, 0.0), ends[1]
    with pytest.raises(InputError, match="not finite"):
        curvature.bezier(ring, nowhere, None, ADAM, steps=300, key=KEY)
    with pytest.raises(InputError, match="give a vector"):
        curvature.barriers(ring, curvature.Curve(*ends, ends[0]), None, at=jnp.ones(()))
