"""Sharpness in a box and in a ball: corners by enumeration, closed forms of quadratics,
and what rescaling the layers of a ReLU network changes.
"""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from jaxml import curvature
from jaxml.types import InputError

RNG = np.random.default_rng(5)
FACTOR = RNG.normal(size=(6, 6))
HESSIAN = FACTOR @ FACTOR.T
LINEAR = RNG.normal(size=6)
POINT = RNG.normal(size=6)
KEY = jax.random.key(4)


def bowl(x, batch):
    hessian, linear = batch
    return 0.5 * x @ hessian @ x + linear @ x + 10.0


def value(x):
    return 0.5 * x @ HESSIAN @ x + LINEAR @ x + 10.0


@pytest.mark.oracle
@pytest.mark.parametrize("dimension", [None, 3])
def test_a_convex_quadratic_is_highest_at_a_corner_of_keskars_box(dimension):
    """Equations 3 and 4, over all corners; A is what `normal` draws from the key."""
    epsilon = 0.3
    subspace = np.eye(6)
    if dimension is not None:
        of_subspace, _ = jax.random.split(KEY)
        subspace = np.asarray(jax.random.normal(of_subspace, (6, 3), jnp.float32))
    sides = epsilon * (np.abs(np.linalg.pinv(subspace) @ POINT) + 1)
    corners = itertools.product(*([-side, side] for side in sides))
    highest = max(value(POINT + subspace @ np.array(corner)) for corner in corners)
    expected = 100 * (highest - value(POINT)) / (1 + value(POINT))
    with jax.enable_x64(True):
        found = curvature.box_sharpness(
            bowl,
            POINT,
            (HESSIAN, LINEAR),
            epsilon=epsilon,
            dimension=dimension,
            iterations=50,
            key=KEY,
        )
    np.testing.assert_allclose(found.sharpness, expected, rtol=1e-7)
    np.testing.assert_allclose(found.highest, highest, rtol=1e-7)
    np.testing.assert_allclose(found.loss, value(POINT), rtol=1e-12)


@pytest.mark.compiles_once
def test_the_box_of_another_point_compiles_nothing():
    traces = []

    def counted(x, batch):
        traces.append(1)
        return bowl(x, batch)

    batch = jnp.asarray(HESSIAN), jnp.asarray(LINEAR)
    for point in (POINT, POINT + 1):
        curvature.box_sharpness(
            counted, jnp.asarray(point), batch, epsilon=0.1, iterations=2, key=KEY
        )
    assert len(traces) == 1


@pytest.mark.oracle
def test_ascent_in_a_ball_at_a_minimum_is_half_the_top_eigenvalue_times_its_square():
    with jax.enable_x64(True):
        found = curvature.ascent_sharpness(
            bowl,
            np.zeros(6),
            (HESSIAN, np.zeros(6)),
            radius=0.3,
            steps=100,
            key=KEY,
        )
    values, vectors = np.linalg.eigh(HESSIAN)
    np.testing.assert_allclose(found.rise, 0.5 * values[-1] * 0.3**2, rtol=1e-9)
    along = np.abs(vectors[:, -1] @ np.asarray(found.displacement))
    np.testing.assert_allclose(along, 0.3, rtol=1e-6)


@pytest.mark.oracle
def test_adaptive_ascent_is_that_of_the_scaled_hessian():
    """max ½uᵀSHSu over ‖u‖ ≤ ρ, S = diag(s)."""
    scale = np.arange(1.0, 7.0)
    with jax.enable_x64(True):
        found = curvature.ascent_sharpness(
            bowl,
            np.zeros(6),
            (HESSIAN, np.zeros(6)),
            radius=0.3,
            steps=100,
            key=KEY,
            scale=scale,
        )
    scaled = scale[:, None] * HESSIAN * scale
    expected = 0.5 * np.linalg.eigvalsh(scaled)[-1] * 0.3**2
    np.testing.assert_allclose(found.rise, expected, rtol=1e-9)


@pytest.mark.identity
def test_where_nothing_is_higher_the_rise_is_zero():
    def dome(x, _):
        return -jnp.sum(x**2)

    found = curvature.ascent_sharpness(
        dome, jnp.zeros(3), None, radius=1.0, steps=2, key=KEY
    )
    assert float(found.rise) == 0
    assert np.asarray(found.displacement).tolist() == [0, 0, 0]


INPUTS, TARGETS = RNG.normal(size=(7, 4)), RNG.normal(size=(7, 2))
NETWORK = {
    "first": RNG.normal(size=(4, 3)),
    "bias": RNG.normal(size=3),
    "second": RNG.normal(size=(3, 2)),
}


def network_loss(params, batch):
    inputs, targets = batch
    hidden = jax.nn.relu(inputs @ params["first"] + params["bias"][None])
    return jnp.mean((hidden @ params["second"] - targets) ** 2)


def rescaled(params, by):
    """Dinh et al. 2017, section 4: the same function of the inputs."""
    return {
        "first": params["first"] * by,
        "bias": params["bias"] * by,
        "second": params["second"] / by,
    }


def measured(params, batch):
    flat, unravel = ravel_pytree(params)
    hessian = jax.hessian(lambda x: network_loss(unravel(x), batch))(flat)
    ascent = {"radius": 0.1, "steps": 60, "key": KEY}
    adaptive = {**ascent, "scale": jax.tree.map(jnp.abs, params)}
    return {
        "loss": network_loss(params, batch),
        "hessian": hessian,
        "ball": curvature.ascent_sharpness(network_loss, params, batch, **ascent).rise,
        "adaptive": curvature.ascent_sharpness(
            network_loss, params, batch, **adaptive
        ).rise,
        "relative": curvature.relative_flatness(
            network_loss, params, batch, layer="first"
        ),
    }


@pytest.mark.invariance
def test_rescaling_layers_changes_some_measures_and_not_others():
    by = 5.0
    with jax.enable_x64(True):
        batch = jnp.asarray(INPUTS), jnp.asarray(TARGETS)
        networks = [NETWORK, rescaled(NETWORK, by)]
        found = [jax.jit(measured)(network, batch) for network in networks]
        before, after = jax.device_get(found)
        boxes = [
            curvature.box_sharpness(
                network_loss, network, batch, epsilon=1e-2, iterations=10, key=KEY
            ).sharpness
            for network in networks
        ]
    for name in ("loss", "relative"):
        np.testing.assert_allclose(after[name], before[name], rtol=1e-9, err_msg=name)
    np.testing.assert_allclose(after["adaptive"], before["adaptive"], rtol=0.02)
    assert after["ball"] > 1.5 * before["ball"]
    assert boxes[1] > 1.3 * boxes[0]
    for measure in (np.trace, lambda matrix: np.linalg.eigvalsh(matrix)[-1]):
        assert measure(after["hessian"]) > 2 * measure(before["hessian"])


@pytest.mark.identity
@pytest.mark.parametrize(
    ("choice", "word"),
    [
        ({"epsilon": 0.0}, "positive"),
        ({"epsilon": 0.1, "iterations": 0}, "positive"),
        ({"epsilon": 0.1, "dimension": 7}, "take 1 to 6"),
    ],
)
def test_no_box(choice, word):
    batch = jnp.asarray(HESSIAN), jnp.asarray(LINEAR)
    with pytest.raises(InputError, match=word):
        curvature.box_sharpness(bowl, jnp.asarray(POINT), batch, **choice, key=KEY)


@pytest.mark.identity
def test_what_is_no_point_of_a_box_or_ball():
    def low(x, _):
        return jnp.sum(x) - 2.0

    def boxed(x):
        return curvature.box_sharpness(low, x, None, epsilon=0.1, key=KEY)

    point = jnp.zeros(2)
    with pytest.raises(InputError, match="above -1"):
        boxed(point)
    with pytest.raises(InputError, match="outside"):
        jax.jit(boxed)(point)
    ball = {"radius": 1.0, "key": KEY}
    with pytest.raises(InputError, match="take 1 or more"):
        curvature.ascent_sharpness(low, point, None, steps=0, **ball)
    with pytest.raises(InputError, match="scale"):
        curvature.ascent_sharpness(low, point, None, steps=1, scale=jnp.ones(3), **ball)
