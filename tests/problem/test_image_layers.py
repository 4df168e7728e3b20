"""Pools, receptive fields, the spatial transformer and networks of pictures."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import ndimage

from jaxml import problem
from jaxml.problem.models.convolutions.transformer import transformed
from jaxml.types import InputError

PICTURES = np.random.default_rng(0).normal(size=(2, 7, 6, 4)).astype(np.float32)


def applied(model, inputs, params=None):
    return model.apply(params or {}, {}, inputs, train=False, key=None)[0]


def windows_of(pictures, size, stride, margin=0):
    """The values of each window, NaN outside the picture: `[n, i, j, size²,
    channels]`.
    """
    margins = ((0, 0), (margin, margin), (margin, margin), (0, 0))
    padded = np.pad(pictures, margins, constant_values=np.nan)
    views = np.lib.stride_tricks.sliding_window_view(padded, (size, size), (1, 2))
    taken = np.moveaxis(views[:, ::stride, ::stride], 3, -1)
    return taken.reshape(*taken.shape[:3], size * size, -1)


@pytest.mark.oracle
@pytest.mark.parametrize(
    ("size", "stride", "margin"), [(2, 2, 0), (3, 2, 1), (2, 1, 0)]
)
def test_pools_take_the_largest_and_the_mean_of_each_window(size, stride, margin):
    padding = ((margin, margin),) * 2
    seen = windows_of(PICTURES, size, stride, margin)
    largest = applied(problem.max_pooling(size, stride, padding), PICTURES)
    np.testing.assert_array_equal(largest, np.nanmax(seen, axis=3))
    mean = applied(problem.mean_pooling(size, stride, padding), PICTURES)
    np.testing.assert_allclose(mean, np.nanmean(seen, axis=3), rtol=0, atol=1e-6)


@pytest.mark.identity
def test_equal_maxima_share_the_gradient():
    ones = jnp.ones((1, 6, 6, 1))
    for size in (2, 3):
        pool = problem.max_pooling(size)
        moved = jax.grad(lambda x, pool=pool: jnp.sum(applied(pool, x)))(ones)
        np.testing.assert_allclose(moved, np.full(ones.shape, size**-2), rtol=1e-6)


@pytest.mark.oracle
def test_a_blur_is_binomial_and_reflected():
    weights = np.outer([1, 2, 1], [1, 2, 1]) / 16
    blurred = np.stack(
        [
            ndimage.correlate(picture, weights[:, :, None], mode="mirror")
            for picture in PICTURES
        ]
    )
    found = applied(problem.blur_pooling(2), PICTURES)
    np.testing.assert_allclose(found, blurred[:, ::2, ::2], rtol=0, atol=1e-6)
    taken = applied(problem.subsampling((2, 3)), PICTURES)
    np.testing.assert_array_equal(taken, PICTURES[:, ::2, ::3])
    mean = applied(problem.global_mean(), PICTURES)
    np.testing.assert_allclose(mean, PICTURES.mean(axis=(1, 2)), rtol=0, atol=1e-6)


@pytest.mark.oracle
def test_maxout_takes_the_largest_of_neighbours():
    found = applied(problem.maxout(2), PICTURES)
    expected = np.maximum(PICTURES[..., ::2], PICTURES[..., 1::2])
    np.testing.assert_array_equal(found, expected)


@pytest.mark.identity
def test_stacked_layers_widen_the_field_as_computed():
    three = problem.sliding_window()
    threes = [problem.receptive_field(*[three] * count) for count in (1, 2, 5)]
    assert [field.size for field in threes] == [(3, 3), (5, 5), (11, 11)]
    windows = (
        problem.sliding_window((3, 2), dilation=(2, 1)),
        problem.sliding_window(2, 2, padding="valid"),
        problem.sliding_window(3, (2, 1), padding=((1, 1), (0, 2))),
    )
    first, last = np.ones((3, 2, 1, 2)), np.ones((3, 3, 2, 1))
    network = problem.chain(
        problem.convolution(2, (3, 2), dilation=(2, 1), bias=False),
        problem.mean_pooling(2),
        problem.convolution(1, 3, (2, 1), padding=((1, 1), (0, 2)), bias=False),
    )
    params = {
        "layer_00": {"kernel": first.astype(np.float32)},
        "layer_02": {"kernel": last.astype(np.float32)},
    }
    pictures = np.ones((1, 32, 24, 1), np.float32)
    measured = problem.measured_receptive_field(
        jax.jit(lambda x: applied(network, x, params)), pictures
    )
    assert measured == problem.receptive_field(*windows)
    assert measured.size == (10, 7) and measured.stride == (4, 2)


@pytest.mark.oracle
def test_pictures_are_sampled_where_the_matrix_says():
    moved = np.array([[[0.1, -0.2, 0.3], [0.2, 0.1, -0.4]]] * 2, np.float32)
    found = np.asarray(jax.jit(transformed)(PICTURES, moved))
    down, across = np.linspace(-1, 1, 7), np.linspace(-1, 1, 6)
    grid = np.stack([*np.meshgrid(across, down), np.ones((7, 6))])
    places = np.einsum("ab,bij->aij", moved[0] + np.eye(2, 3), grid)
    pixels = (places[1] + 1) * 3, (places[0] + 1) * 2.5
    for n, c in np.ndindex(2, 4):
        # A frame of zeros, for SciPy does not interpolate towards what is outside.
        framed = np.pad(PICTURES[n, :, :, c].astype(np.float64), 1)
        framed_pixels = [place + 1 for place in pixels]
        expected = ndimage.map_coordinates(framed, framed_pixels, order=1)
        np.testing.assert_allclose(found[n, :, :, c], expected, rtol=0, atol=1e-5)


@pytest.mark.identity
def test_a_transformer_starts_at_the_identity_and_can_move():
    layer = problem.spatial_transformer(problem.global_mean())
    params, state = layer.init(jax.random.key(0), PICTURES)
    assert (params["kernel"].shape, state) == ((4, 6), {})
    np.testing.assert_array_equal(applied(layer, PICTURES, params), PICTURES)
    params["bias"] = np.array([0, 0, 2 / 5, 0, 0, 0], np.float32)  # one column
    shifted = np.pad(PICTURES[:, :, 1:], ((0, 0), (0, 0), (0, 1), (0, 0)))
    np.testing.assert_allclose(
        applied(layer, PICTURES, params), shifted, rtol=0, atol=1e-5
    )


def relu(values):
    return np.maximum(values, 0)


def convolved(pictures, kernel, stride=1):
    """A 3 x 3 convolution with a frame of zeros, every stride-th output of it."""
    padded = np.pad(pictures, ((0, 0), (1, 1), (1, 1), (0, 0)))
    seen = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), (1, 2))
    return np.einsum("nijcrs,rsco->nijo", seen[:, ::stride, ::stride], kernel)


def by_hand(params, pictures, *, shortcuts):
    """The residual network of depth 8 as the paper draws it."""

    def block(values, own, stride):
        inner = own.get("layer_00", own)
        hidden = convolved(values, inner["layer_00"]["kernel"], stride)
        hidden = relu(hidden + inner["layer_01"]["bias"])
        outputs = convolved(hidden, inner["layer_03"]["kernel"])
        outputs = outputs + inner["layer_04"]["bias"]
        if shortcuts:
            new = outputs.shape[-1] - values.shape[-1]
            taken = values[:, ::stride, ::stride]
            outputs = outputs + np.pad(taken, ((0, 0), (0, 0), (0, 0), (0, new)))
        return relu(outputs)

    values = convolved(pictures, params["layer_00"]["kernel"])
    values = relu(values + params["layer_01"]["bias"])
    for name, stride in (("layer_03", 1), ("layer_05", 2), ("layer_07", 2)):
        values = block(values, params[name], stride)
    dense = params["layer_10"]["layer_00"]
    return values.mean(axis=(1, 2)) @ dense["kernel"] + dense["bias"]


@pytest.mark.oracle
@pytest.mark.parametrize(
    "make",
    [problem.resnet, pytest.param(problem.plain_net, marks=pytest.mark.stress)],
)
def test_the_network_is_the_papers(make):
    network = make(8, 2, 3)
    shapes, state = jax.eval_shape(network.init, jax.random.key(0), PICTURES)
    draw = np.random.default_rng(1)
    params = jax.tree.map(
        lambda leaf: draw.normal(size=leaf.shape).astype(np.float32) / 2, shapes
    )
    found = jax.jit(lambda own: applied(network, PICTURES, own))(params)
    expected = by_hand(params, PICTURES, shortcuts=make is problem.resnet)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)
    assert state == {}


def weights(network):
    """How many numbers its kernels have, for pictures of CIFAR-10."""
    pictures = jax.ShapeDtypeStruct((1, 32, 32, 3), np.float32)
    params, _ = jax.eval_shape(network.init, jax.random.key(0), pictures)
    return sum(leaf.size for leaf in jax.tree.leaves(params) if leaf.ndim > 1)


@pytest.mark.oracle
def test_a_small_vgg_has_the_weights_counted_by_hand():
    network = problem.vgg(((4, 4), (8,)), 10, hidden=(5,))
    kernels = 9 * (3 * 4 + 4 * 4 + 4 * 8)
    assert weights(network) == kernels + 8 * 8 * 8 * 5 + 5 * 10


@pytest.mark.stress
@pytest.mark.oracle
def test_networks_have_the_papers_numbers_of_weights():
    blocks = 9 * (16 * 16 + 16 * 32 + 32 * 32 + 32 * 64 + 64 * 64 + 16 * 16)
    assert weights(problem.resnet()) == 9 * 3 * 16 + blocks + 640
    assert weights(problem.plain_net()) == weights(problem.resnet())
    assert weights(problem.resnet(20)) == pytest.approx(0.27e6, rel=0.01)  # table 6
    sixteen = ((64,) * 2, (128,) * 2, (256,) * 3, (512,) * 3, (512,) * 3)
    kernels = 9 * (3 * 64 + 64 * 64 + 64 * 128 + 128**2 + 128 * 256 + 2 * 256**2)
    kernels += 9 * (256 * 512 + 5 * 512**2)
    last = 512 * 100 + 100 * 10
    assert weights(problem.vgg(sixteen, hidden=(100,))) == kernels + last


@pytest.mark.identity
def test_a_network_normalises_by_what_it_is_given():
    made = []

    def normaliser():
        made.append(problem.elementwise(lambda values: 0 * values))
        return made[-1]

    for make, layers in (
        (lambda: problem.resnet(8, 2, 3, normaliser=normaliser), 7),
        (lambda: problem.vgg(((2, 2), (3,)), 3, normaliser=normaliser), 3),
    ):
        network = make()
        assert len(made) == layers
        made.clear()
        params, _ = jax.eval_shape(network.init, jax.random.key(0), PICTURES)
        biases = [leaf for leaf in jax.tree.leaves(params) if leaf.ndim == 1]
        assert [bias.shape for bias in biases] == [(3,)]


@pytest.mark.parametrize(
    ("make", "word"),
    [
        (lambda: problem.resnet(9), "6n \\+ 2"),
        (lambda: problem.resnet(8, 0), "make no layer"),
        (lambda: problem.vgg(()), "make no network"),
        (lambda: problem.vgg(((2,), ())), "make no network"),
        (lambda: problem.maxout(0), "0 pieces"),
        (lambda: problem.max_pooling(0), "A kernel of 0"),
        (lambda: problem.max_pooling(2, padding=((2, 0), (0, 0))), "padding alone"),
        (lambda: applied(problem.max_pooling(8), PICTURES), "larger than a picture"),
        (lambda: applied(problem.max_pooling(), PICTURES[0]), "no axis of channels"),
        (lambda: applied(problem.maxout(3), PICTURES), "no multiple of 3"),
        (lambda: applied(problem.blur_pooling(2, 15), PICTURES), "larger|reflect"),
        (
            lambda: problem.measured_receptive_field(lambda x: x[:, :1], PICTURES),
            "two neighbours",
        ),
        (
            lambda: problem.measured_receptive_field(
                lambda x: x - jnp.mean(x, axis=(1, 2), keepdims=True), PICTURES
            ),
            "reaches the edge",
        ),
        (
            lambda: problem.measured_receptive_field(jnp.zeros_like, PICTURES),
            "depends on no pixel",
        ),
    ],
)
def test_what_cannot_be_is_refused(make, word):
    with pytest.raises(InputError, match=word):
        make()
