"""Layers without weights that make pictures smaller, or compare their channels."""

import math
from functools import partial, reduce
from operator import add

import jax
import jax.numpy as jnp
import numpy as np

from jaxml.problem.models.chain import elementwise
from jaxml.problem.models.convolutions.windows import (
    Padding,
    Sizes,
    SlidingWindow,
    output_shape,
    require_pictures,
    shifts,
    sliding_window,
)
from jaxml.problem.models.image import max_pool
from jaxml.types import InputError, Model

__all__ = [
    "blur_pooling",
    "global_mean",
    "max_pooling",
    "maxout",
    "mean_pooling",
    "subsampling",
]

_HALVES = sliding_window(2, 2, padding="valid")


def max_pooling(
    size: Sizes = 2, stride: Sizes | None = None, padding: Padding = "valid"
) -> Model:
    """max of each channel over a window of pixels; the stride is the size when not
    given.

    Equal maxima share the gradient. Padding is never a maximum; a last row or column
    that fills no window is dropped. At stride 1 nothing is subsampled: that is the
    first half of an anti-aliased pool, of which `blur_pooling` is the second.

    Raises:
        InputError: a number below 1, or a padding as wide as the window; at a call,
            inputs that are no pictures, or a window larger than they are.
    """
    return elementwise(partial(_largest, at=_pool(size, stride, padding)))


def mean_pooling(
    size: Sizes = 2, stride: Sizes | None = None, padding: Padding = "valid"
) -> Model:
    """The mean of each channel over a window of pixels, of those in the picture where
    it is padded; the rest as in `max_pooling`.
    """
    return elementwise(partial(_mean, at=_pool(size, stride, padding)))


def subsampling(stride: Sizes = 2) -> Model:
    """Every stride-th pixel of rows and of columns, from the first on.

    After a layer of stride 1 it is that layer with this stride.
    """
    at = sliding_window(1, stride, padding="valid")
    return elementwise(partial(_taken, at=at))


def blur_pooling(stride: Sizes = 2, taps: int = 3) -> Model:
    """Every stride-th pixel of the picture blurred by a binomial filter.

    Of `taps` 3 the filter is [1, 2, 1] / 4 along rows and along columns. Borders are
    reflected, and ⌈size / stride⌉ rows and columns come out. A max pool without
    aliasing is `chain(max_pooling(2, 1), blur_pooling(2))`, and a strided convolution
    without it a convolution of stride 1, its activation and this.

    Raises:
        InputError: a number below 1; at a call, inputs that are no pictures, or have
            fewer pixels than the reflected border.

    Source: Zhang 2019, arXiv:1904.11486, section 3.
    """
    at = sliding_window(taps, stride)
    return elementwise(partial(_blurred, at=at))


def global_mean() -> Model:
    """The mean of each channel over the whole picture, `[n, channels]`.

    Source: Lin et al. 2013, arXiv:1312.4400, section 3.2.
    """
    return elementwise(_mean_of_all)


def maxout(pieces: int = 2) -> Model:
    """max of every `pieces` neighbouring channels, the last axis: after a layer of
    `pieces` times as many outputs, an activation that is learned.

    Raises:
        InputError: no piece; at a call, channels that are no multiple of the pieces.

    Source: Goodfellow et al. 2013, arXiv:1302.4389, section 2.
    """
    if pieces < 1:
        raise InputError(f"A maximum of {pieces} pieces is none: give 1 or more.")
    return elementwise(partial(_largest_piece, pieces=pieces))


def _pool(size: Sizes, stride: Sizes | None, padding: Padding) -> SlidingWindow:
    """The window of a pool, each of whose places holds a pixel of the picture."""
    at = sliding_window(size, size if stride is None else stride, padding=padding)
    for count, margin in zip(at.kernel, at.padding, strict=True):
        if max(margin) >= count:
            raise InputError(
                f"A pool of {at.kernel} padded by {at.padding} has windows of padding "
                "alone: pad by less than its size."
            )
    return at


def _largest(pictures: jax.Array, *, at: SlidingWindow) -> jax.Array:
    require_pictures(pictures)
    output_shape(at, *pictures.shape[1:3])
    if at == _HALVES:
        return max_pool(pictures)
    seen = shifts(pictures, at, fill=-math.inf)
    return jnp.max(jnp.stack(seen), axis=0)


def _mean(pictures: jax.Array, *, at: SlidingWindow) -> jax.Array:
    require_pictures(pictures)
    sums = reduce(add, shifts(pictures, at))
    present = jnp.ones((1, *pictures.shape[1:3], 1), pictures.dtype)
    return sums / reduce(add, shifts(present, at))


def _taken(pictures: jax.Array, *, at: SlidingWindow) -> jax.Array:
    require_pictures(pictures)
    return shifts(pictures, at)[0]


def _blurred(pictures: jax.Array, *, at: SlidingWindow) -> jax.Array:
    require_pictures(pictures)
    if min(pictures.shape[1:3]) <= at.padding[0][1]:
        raise InputError(
            f"Pictures {pictures.shape} have no pixels to reflect for a blur of "
            f"{at.kernel[0]} taps: give larger pictures, or fewer taps."
        )
    padded = jnp.pad(pictures, ((0, 0), *at.padding, (0, 0)), mode="reflect")
    unpadded = sliding_window(at.kernel, at.stride, padding="valid")
    weights = _binomial(at.kernel[0])
    summands = [
        float(weight) * seen
        for weight, seen in zip(
            np.outer(weights, weights).ravel(), shifts(padded, unpadded), strict=True
        )
    ]
    return reduce(add, summands)


def _mean_of_all(pictures: jax.Array) -> jax.Array:
    require_pictures(pictures)
    return jnp.mean(pictures, axis=(1, 2))


def _largest_piece(values: jax.Array, *, pieces: int) -> jax.Array:
    channels = values.shape[-1]
    if channels % pieces:
        raise InputError(
            f"{channels} channels are no multiple of {pieces} pieces: give the layer "
            f"before {pieces} times as many outputs as shall remain."
        )
    grouped = values.reshape(*values.shape[:-1], channels // pieces, pieces)
    return jnp.max(grouped, axis=-1)


def _binomial(taps: int) -> np.ndarray:
    """Binomial coefficients that sum to 1.

    >>> _binomial(3).tolist()
    [0.25, 0.5, 0.25]
    """
    counts = [math.comb(taps - 1, place) for place in range(taps)]
    return np.array(counts) / 2 ** (taps - 1)
