"""Convolutions of every kind against loops in float64, SciPy and their matrices."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.signal import correlate2d

from jaxml import problem
from jaxml.problem.models.convolutions.operations import (
    by_patches,
    by_strips,
    by_xla,
    correlate,
)
from jaxml.problem.models.convolutions.windows import output_shape
from jaxml.types import InputError

CASES = {
    "plain": {},
    "strided": {"stride": 2},
    "dilated": {"kernel": (3, 2), "dilation": 2, "padding": ((0, 3), (2, 1))},
    "grouped": {"kernel": (2, 3), "stride": (2, 1), "padding": "valid", "groups": 2},
    "depthwise": {"stride": (1, 2), "dilation": (2, 1), "groups": 4},
}
BY_CASE = pytest.mark.parametrize("name", CASES)
PICTURES = np.random.default_rng(0).normal(size=(2, 7, 6, 4))


def window_of(name):
    statics = {key: value for key, value in CASES[name].items() if key != "groups"}
    return problem.sliding_window(**statics), CASES[name].get("groups", 1)


def kernel_of(name, outputs=8):
    at, groups = window_of(name)
    shape = (*at.kernel, 4 // groups, outputs)
    return np.random.default_rng(1).normal(size=shape)


def patches_of(pictures, at):
    """What each output sees, `[n, rows, columns, r, s, channels]`, pixel by pixel."""
    padded = np.pad(pictures, ((0, 0), *at.padding, (0, 0)))
    places = []
    for axis in range(2):
        reach = (at.kernel[axis] - 1) * at.dilation[axis]
        firsts = range(0, padded.shape[1 + axis] - reach, at.stride[axis])
        steps = np.arange(at.kernel[axis]) * at.dilation[axis]
        places.append([first + steps for first in firsts])
    rows = [
        np.stack([padded[:, down][:, :, across] for across in places[1]], axis=1)
        for down in places[0]
    ]
    return np.stack(rows, axis=1)


def oracle(pictures, kernel, at, groups):
    """The sum, group by group."""
    patches = patches_of(pictures, at)
    parts = []
    for channels, weights in zip(
        np.split(patches, groups, axis=-1),
        np.split(kernel, groups, axis=-1),
        strict=True,
    ):
        parts.append(np.einsum("nijrsc,rsco->nijo", channels, weights))
    return np.concatenate(parts, axis=-1)


def applied(model, params, pictures):
    return model.apply(params, {}, pictures, train=False, key=None)[0]


@pytest.mark.device
@pytest.mark.oracle
@pytest.mark.parametrize(
    "name",
    [
        "strided",
        "grouped",
        pytest.param("dilated", marks=pytest.mark.stress),
        pytest.param("depthwise", marks=pytest.mark.stress),
    ],
)
def test_every_output_and_every_derivative(name):
    at, groups = window_of(name)
    kernel = kernel_of(name)
    expected = oracle(PICTURES, kernel, at, groups)
    weights = np.random.default_rng(2).normal(size=expected.shape)

    methods = (by_patches, by_xla, correlate)[: 3 if name == "strided" else 2]

    def found(pictures, kernel):
        everything = []
        for method in methods:

            def weighted(x, k, method=method):
                maps = method(x, k, at, groups)
                return jnp.sum(jnp.asarray(weights) * maps), maps

            derive = jax.grad(weighted, argnums=(0, 1), has_aux=True)
            everything.append(derive(pictures, kernel))
        return everything

    with jax.enable_x64(True):
        patches, native, *chosen = jax.tree.map(
            np.asarray, jax.jit(found)(PICTURES, kernel)
        )
    np.testing.assert_allclose(patches[1], expected, rtol=1e-12, atol=1e-12)
    if chosen and jax.default_backend() == "cpu":
        jax.tree.map(np.testing.assert_array_equal, chosen[0], patches)
    for ours, theirs in zip(
        jax.tree.leaves(patches), jax.tree.leaves(native), strict=True
    ):
        np.testing.assert_allclose(ours, theirs, rtol=1e-11, atol=1e-11)
    # <w, K(x)> is linear in x and in K: both gradients give it back.
    (to_pictures, to_kernel), _ = patches
    value = np.sum(weights * expected)
    assert np.sum(to_pictures * PICTURES) == pytest.approx(value, rel=1e-11)
    assert np.sum(to_kernel * kernel) == pytest.approx(value, rel=1e-11)


@pytest.mark.oracle
@pytest.mark.parametrize("name", ["plain", "dilated", "across"])
def test_strips_are_the_same(name):
    across = problem.sliding_window(3, (1, 2), padding=((0, 1), (2, 0)))
    at = across if name == "across" else window_of(name)[0]
    kernel = np.random.default_rng(1).normal(size=(*at.kernel, 4, 2))
    with jax.enable_x64(True):
        found = np.asarray(jax.jit(by_strips, static_argnums=2)(PICTURES, kernel, at))
    expected = oracle(PICTURES, kernel, at, 1)
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.identity
def test_thin_pictures_go_by_strips_and_deep_ones_by_patches():
    at, _ = window_of("plain")
    thin, deep, strided = (1, 28, 28, 16), (1, 7, 7, 64), window_of("strided")[0]
    for shape, window, taken in (
        (thin, at, True),
        (deep, at, False),
        (thin, strided, False),
    ):
        kernel = jax.ShapeDtypeStruct((3, 3, shape[-1], shape[-1]), np.float32)
        pictures = jax.ShapeDtypeStruct(shape, np.float32)
        ways = (by_patches, by_strips) if window is at else (by_patches,)
        texts = [
            str(jax.make_jaxpr(method, static_argnums=2)(pictures, kernel, window))
            for method in ways
        ]
        assert (len(set(texts)) == 1 and len(texts) == 2) is taken


@pytest.mark.oracle
def test_scipy_correlates_likewise():
    picture, kernel = PICTURES[0, :, :, 0], kernel_of("plain")[:, :, 0, 0]
    for padding, mode in (("same", "same"), ("valid", "valid")):
        at = problem.sliding_window(3, padding=padding)
        ours = oracle(picture[None, :, :, None], kernel[:, :, None, None], at, 1)
        theirs = correlate2d(picture, kernel, mode=mode)
        np.testing.assert_allclose(ours[0, :, :, 0], theirs, rtol=1e-12, atol=1e-13)


@pytest.mark.oracle
@pytest.mark.parametrize(
    ("kernel", "dilation", "rows", "columns"),
    [(3, 1, (1, 1), (1, 1)), ((2, 4), 1, (0, 1), (1, 2)), ((1, 3), 2, (0, 0), (2, 2))],
)
def test_the_same_size_pads_before_by_less(kernel, dilation, rows, columns):
    for stride in (1, 2):
        at = problem.sliding_window(kernel, stride, dilation)
        assert at.padding == (rows, columns)
        assert output_shape(at, 7, 8) == (-(-7 // stride), 8 // stride)


@pytest.mark.invariance
def test_kernels_are_vmapped_and_moved():
    at, groups = window_of("grouped")
    kernels = np.stack([kernel_of("grouped"), kernel_of("grouped")[::-1]])
    tangents = kernels[::-1]

    def moved(kernel, tangent):
        def maps(weights):
            return correlate(PICTURES, weights, at, groups)

        return jax.jvp(maps, (kernel,), (tangent,))

    with jax.enable_x64(True):
        values, moves = jax.jit(jax.vmap(moved))(kernels, tangents)
        found = [np.asarray(values), np.asarray(moves)]
    for maps, weights in zip(found, (kernels, tangents), strict=True):
        expected = [oracle(PICTURES, each, at, groups) for each in weights]
        np.testing.assert_allclose(maps, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.identity
def test_an_accelerator_takes_the_native_convolution():
    at, groups = window_of("depthwise")

    def loss(kernel):
        pictures = jnp.zeros((2, 7, 6, 4))
        return jnp.sum(correlate(pictures, kernel, at, groups) ** 2)

    traced = jax.jit(jax.grad(loss)).trace(jnp.zeros((3, 3, 1, 8)))
    for platform, native in (("cuda", True), ("tpu", True), ("cpu", False)):
        text = traced.lower(lowering_platforms=(platform,)).as_text()
        assert ("stablehlo.convolution" in text) is native


@pytest.mark.identity
@BY_CASE
def test_the_matrix_is_the_layer(name):
    at, groups = window_of(name)
    kernel = kernel_of(name, outputs=4).astype(np.float32)
    statics = dict(CASES[name])
    statics.pop("kernel", None)
    matrix = np.asarray(problem.toeplitz(kernel, (7, 6), **statics))
    units = np.eye(7 * 6 * 4, dtype=np.float32).reshape(-1, 7, 6, 4)
    columns = jax.jit(correlate, static_argnums=(2, 3))(units, kernel, at, groups)
    np.testing.assert_array_equal(matrix, np.asarray(columns).reshape(len(units), -1).T)
    expected = oracle(PICTURES, kernel, at, groups).reshape(2, -1)
    np.testing.assert_allclose(PICTURES.reshape(2, -1) @ matrix.T, expected, atol=1e-12)


@pytest.mark.identity
def test_a_layer_adds_its_bias_and_takes_the_dtype_of_its_pictures():
    layer = problem.convolution(8, (2, 3), stride=(2, 1), padding="valid", groups=2)
    kernel, bias = kernel_of("grouped"), np.arange(8.0)
    with jax.enable_x64(True):
        params, state = jax.eval_shape(layer.init, jax.random.key(0), PICTURES)
        maps = np.asarray(applied(layer, {"kernel": kernel, "bias": bias}, PICTURES))
    assert params["kernel"].shape == kernel.shape and state == {}
    assert {leaf.dtype for leaf in params.values()} == {np.dtype(np.float64)}
    expected = oracle(PICTURES, kernel, *window_of("grouped")) + bias
    np.testing.assert_allclose(maps, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.oracle
def test_without_sharing_each_place_has_weights_of_its_own():
    layer = problem.locally_connected(2, (2, 3), stride=2, padding="valid")
    pictures = PICTURES.astype(np.float32)
    kernel = np.random.default_rng(3).normal(size=(3, 2, 24, 2)).astype(np.float32)
    bias = np.arange(12.0, dtype=np.float32).reshape(3, 2, 2)
    at = problem.sliding_window((2, 3), 2, padding="valid")
    seen = patches_of(pictures, at).reshape(2, 3, 2, -1)
    expected = np.einsum("nijp,ijpo->nijo", seen, kernel) + bias
    params = {"kernel": kernel, "bias": bias}
    np.testing.assert_allclose(
        applied(layer, params, pictures), expected, rtol=0, atol=1e-5
    )
    shared = kernel_of("plain").astype(np.float32)
    local = np.broadcast_to(shared.reshape(1, 1, -1, 8), (7, 6, 36, 8))
    unshared = problem.locally_connected(8, bias=False)
    np.testing.assert_allclose(
        applied(unshared, {"kernel": local}, pictures),
        oracle(pictures, shared, *window_of("plain")),
        rtol=0,
        atol=1e-5,
    )


@pytest.mark.statistics
def test_weights_start_with_variance_one_over_their_number():
    layers = {
        problem.convolution(64): (np.zeros((1, 8, 8, 8), np.float32), 72),
        problem.locally_connected(64, 2): (np.zeros((1, 3, 3, 2), np.float32), 8),
    }
    for layer, (pictures, inputs) in layers.items():
        params, _ = layer.init(jax.random.key(0), pictures)
        kernel = np.asarray(params["kernel"])
        assert kernel.shape == (3, 3, 8, 64)
        spread = np.mean(kernel**2) * inputs
        assert spread == pytest.approx(1, abs=4 * np.sqrt(2 / kernel.size))


@pytest.mark.oracle
def test_the_lecture_counts_its_parameters():
    picture = jax.ShapeDtypeStruct((1, 100, 100, 3), np.float32)

    def count(model):
        params, _ = jax.eval_shape(model.init, jax.random.key(0), picture)
        return sum(leaf.size for leaf in jax.tree.leaves(params))

    dense = problem.convolution(1000, 100, padding="valid", bias=False)
    assert count(dense) == 3 * 10**7
    assert count(problem.convolution(1)) == 27 + 1
    assert count(problem.convolution(64)) == 1792
    local = problem.locally_connected(64, padding="valid", bias=False)
    assert count(local) == 98**2 * 64 * 27


@pytest.mark.parametrize(
    ("layer", "shape", "word"),
    [
        (problem.convolution(2, 9, padding="valid"), (1, 8, 8, 1), "larger"),
        (problem.convolution(2, 9), (1, 4, 4, 1), "larger"),
        (problem.convolution(2, 3, dilation=8), (1, 8, 8, 1), "larger"),
        (problem.locally_connected(2, 9, padding="valid"), (1, 8, 8, 1), "larger"),
        (problem.convolution(2), (1, 8, 8), "no axis of channels"),
        (problem.locally_connected(2), (1, 8, 8), "no axis of channels"),
        (problem.convolution(2), (1, 64), "no pictures"),
        (problem.convolution(6, groups=3), (1, 8, 8, 4), "3 groups do not divide"),
    ],
)
def test_pictures_that_do_not_fit_are_refused(layer, shape, word):
    pictures = np.zeros(shape, np.float32)
    with pytest.raises(InputError, match=word):
        layer.init(jax.random.key(0), pictures)


@pytest.mark.parametrize(
    ("make", "word"),
    [
        (lambda: problem.convolution(4, groups=3), "multiple of the groups"),
        (lambda: problem.convolution(0), "make no layer"),
        (lambda: problem.convolution(4, 0), "A kernel of 0"),
        (lambda: problem.convolution(4, stride=(1, 0)), "A stride of"),
        (lambda: problem.convolution(4, padding="some"), "padding of 'some'"),
        (lambda: problem.convolution(4, padding=((0, -1), (0, 0))), "padding of"),
    ],
)
def test_layers_that_cannot_be_are_refused(make, word):
    with pytest.raises(InputError, match=word):
        make()


def test_other_pictures_than_those_of_the_start_are_refused():
    deep = np.zeros((1, 5, 5, 2), np.float32)
    kernel = np.zeros((3, 3, 1, 2), np.float32)
    layer, local = problem.convolution(2), problem.locally_connected(2)
    with pytest.raises(InputError, match="kernel for 1 channels"):
        applied(layer, {"kernel": kernel}, deep)
    with pytest.raises(InputError, match="without sharing"):
        applied(local, {"kernel": kernel}, deep)
    with pytest.raises(InputError, match="cast them"):
        layer.init(jax.random.key(0), np.zeros((1, 4, 4, 1), np.uint8))
