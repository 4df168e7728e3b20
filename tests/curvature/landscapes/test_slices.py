"""Lines, planes and error surfaces compared with closed forms, and directions whose
filters are as long as the network's.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxml import curvature
from jaxml.types import InputError

RNG = np.random.default_rng(3)


def drawn(*shape):
    return RNG.normal(size=shape).astype(np.float32)


PARAMS = {
    "conv": {"kernel": drawn(3, 3, 2, 4), "bias": drawn(4)},
    "dense": {"kernel": drawn(5, 3), "bias": drawn(3)},
    "embed": {"embedding": drawn(7, 2)},
    "norm": {"scale": drawn(4), "bias": drawn(4)},
}
DIRECTION = jax.tree.map(lambda leaf: drawn(*leaf.shape), PARAMS)
SYMMETRIC = RNG.normal(size=(4, 4))
MATRIX = (SYMMETRIC + SYMMETRIC.T).astype(np.float32)
XS, YS = np.linspace(-1, 1, 3), np.linspace(-2, 1, 4)


def entries(params):
    leaves = jax.tree.leaves(params)
    return np.concatenate([np.ravel(leaf) for leaf in leaves])


def quadratic(w, batch):
    return 0.5 * jnp.vdot(w, jnp.matmul(batch, w))


@pytest.mark.oracle
def test_each_filter_of_a_direction_is_as_long_as_the_networks():
    found = curvature.filter_normalised(PARAMS, DIRECTION)
    for out in range(4):
        theta = PARAMS["conv"]["kernel"][:, :, :, out]
        d = DIRECTION["conv"]["kernel"][:, :, :, out]
        wanted = d / np.linalg.norm(d) * np.linalg.norm(theta)
        np.testing.assert_allclose(found["conv"]["kernel"][..., out], wanted, rtol=1e-5)
    for out in range(3):
        theta, d = PARAMS["dense"]["kernel"][:, out], DIRECTION["dense"]["kernel"]
        wanted = d[:, out] / np.linalg.norm(d[:, out]) * np.linalg.norm(theta)
        np.testing.assert_allclose(found["dense"]["kernel"][:, out], wanted, rtol=1e-5)
    rows = np.linalg.norm(found["embed"]["embedding"], axis=1)
    table = np.linalg.norm(PARAMS["embed"]["embedding"], axis=1)
    np.testing.assert_allclose(rows, table, rtol=1e-5)
    for layer, name in (("conv", "bias"), ("norm", "scale"), ("norm", "bias")):
        assert not np.any(found[layer][name])


@pytest.mark.oracle
def test_axes_are_an_argument():
    whole = curvature.filter_normalised(PARAMS, DIRECTION, axes=curvature.whole_layers)
    kernel = DIRECTION["conv"]["kernel"]
    scale = np.linalg.norm(PARAMS["conv"]["kernel"]) / np.linalg.norm(kernel)
    np.testing.assert_allclose(whole["conv"]["kernel"], scale * kernel, rtol=1e-5)

    def rows(path, leaf):
        return (1,) if path[0].key == "dense" and leaf.ndim == 2 else None

    torch_layout = curvature.filter_normalised(PARAMS, DIRECTION, axes=rows)
    lengths = np.linalg.norm(torch_layout["dense"]["kernel"], axis=1)
    wanted = np.linalg.norm(PARAMS["dense"]["kernel"], axis=1)
    np.testing.assert_allclose(lengths, wanted, rtol=1e-5)
    assert not np.any(torch_layout["conv"]["kernel"])


@pytest.mark.identity
def test_filters_without_length_stay_without():
    theta = np.float32([[0, 1, 3], [0, 2, 4]])
    d = np.float32([[1, 0, 3], [1, 0, 4]])
    found = curvature.filter_normalised(theta, d)
    np.testing.assert_allclose(found, [[0, 0, 3], [0, 0, 4]], rtol=1e-6)


@pytest.mark.invariance
def test_a_rescaled_relu_network_has_the_same_filter_normalised_slice():
    """c W₁ and W₂ / c compute the same; so they do along normalised directions."""

    def network(params, x):
        return jnp.sum(jax.nn.relu(x @ params["a"]) @ params["b"])

    inputs, factor = drawn(6, 3), np.float32(8)
    params, d = (
        {"a": drawn(3, 5), "b": drawn(5, 2)},
        {"a": drawn(3, 5), "b": drawn(5, 2)},
    )
    rescaled = {"a": factor * params["a"], "b": params["b"] / factor}
    slices = []
    for point in (params, rescaled):
        direction = curvature.filter_normalised(point, d)
        at = jnp.linspace(-1, 1, 3)
        found = curvature.line({"out": network}, point, direction, inputs, at=at)
        slices.append(found["out"])
    np.testing.assert_allclose(*slices, rtol=1e-4, atol=1e-4)


@pytest.mark.oracle
def test_a_line_along_an_eigenvector_is_its_parabola():
    values, vectors = np.linalg.eigh(np.asarray(MATRIX, np.float64))
    for value, vector in zip(values[[0, -1]], vectors.T[[0, -1]], strict=True):
        direction, origin = vector.astype(np.float32), np.zeros(4, np.float32)
        quantities = {"loss": quadratic}
        found = curvature.line(quantities, origin, direction, MATRIX, at=XS)
        np.testing.assert_allclose(
            found["loss"], 0.5 * value * XS**2, rtol=1e-4, atol=1e-6
        )


@pytest.mark.oracle
@pytest.mark.parametrize(
    "dtype", [pytest.param(np.float32, marks=pytest.mark.stress), np.float64]
)
def test_a_plane_is_what_numpy_computes_point_by_point(dtype):
    point, first, second = RNG.normal(size=(3, 4)).astype(dtype)
    matrix = MATRIX.astype(dtype)
    quantities = {"loss": quadratic, "point": lambda w, _: w}
    with jax.enable_x64(dtype == np.float64):
        arguments = point, first, second, matrix
        found = curvature.plane(quantities, *arguments, at=(XS, YS))
    assert found["point"].shape == (3, 4, 4) and found["loss"].dtype == dtype
    tolerance = 100 * np.finfo(dtype).eps
    for i, x in enumerate(XS):
        for j, y in enumerate(YS):
            w = point + x * first + y * second
            wanted = 0.5 * w @ matrix @ w
            np.testing.assert_allclose(
                found["loss"][i, j], wanted, rtol=tolerance, atol=tolerance
            )
            np.testing.assert_allclose(
                found["point"][i, j], w, rtol=tolerance, atol=tolerance
            )


@pytest.mark.oracle
def test_the_error_surface_of_a_straight_line():
    x, y = drawn(6), drawn(6)

    def squared(params, batch):
        inputs, targets = batch
        return jnp.mean((params["w"] * inputs + params["b"] - targets) ** 2)

    params = {"b": jnp.zeros((1,)), "w": jnp.zeros(())}

    def squared_of(params, batch):
        return squared({"b": params["b"][0], "w": params["w"]}, batch)

    found = curvature.error_surface(
        squared_of, params, (x, y), first_values=XS, second_values=YS
    )
    residual = YS[None, :, None] * x + XS[:, None, None] - y
    np.testing.assert_allclose(found, np.mean(residual**2, axis=-1), rtol=1e-5)


@pytest.mark.identity
def test_the_orthogonal_part_of_a_direction():
    at, direction = PARAMS["dense"], DIRECTION["dense"]
    found = curvature.orthogonalised(direction, at)
    theta, d, part = map(entries, (at, direction, found))
    assert abs(part @ theta) < 1e-4
    np.testing.assert_allclose(part, d - d @ theta / (theta @ theta) * theta, atol=1e-5)
    origin = jax.tree.map(np.zeros_like, at)
    nowhere = curvature.orthogonalised(direction, origin)
    np.testing.assert_array_equal(entries(nowhere), d)


@pytest.mark.compiles_once
def test_other_points_and_directions_compile_nothing():
    traces = []

    def counted(w, batch):
        traces.append(1)
        return jnp.sum(w) * batch

    quantities = {"loss": counted}
    for scale in (1.0, 2.0):
        w, d = np.full((2, 2), [[scale], [-scale]], np.float32)
        curvature.line(quantities, w, d, scale, at=XS)
        curvature.plane(quantities, w, d, w, scale, at=(XS, YS))
        curvature.error_surface(counted, w, scale, first_values=XS, second_values=YS)
    assert len(traces) == 2  # the surface is a plane
    inside = jax.jit(lambda w: curvature.line(quantities, w, w, 1.0, at=jnp.ones(2)))
    assert inside(jnp.ones(2))["loss"].shape == (2,)


@pytest.mark.identity
def test_what_is_no_slice():
    w, quantities = jnp.ones(2), {"loss": quadratic}
    with pytest.raises(InputError, match="name one or more"):
        curvature.line({}, w, w, None, at=XS)
    with pytest.raises(InputError, match="give a vector"):
        curvature.line(quantities, w, w, None, at=XS[:, None])
    with pytest.raises(InputError, match="values of y"):
        curvature.plane(quantities, w, w, w, None, at=(XS, XS[:0]))
    with pytest.raises(InputError, match="second direction"):
        curvature.plane(quantities, w, w, jnp.ones(3), None, at=(XS, YS))
    with pytest.raises(InputError, match="direction has a leaf"):
        curvature.filter_normalised(w, jnp.ones(3))
    with pytest.raises(InputError, match="model of 3 parameters"):
        curvature.error_surface(
            quadratic, jnp.ones(3), None, first_values=XS, second_values=YS
        )
