"""Receptive fields: the pixels that an output can see, computed and measured."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from jaxml.problem.models.convolutions.windows import (
    Pair,
    SlidingWindow,
    extent,
    require_pictures,
)
from jaxml.types import Array, InputError

__all__ = ["ReceptiveField", "measured_receptive_field", "receptive_field"]


class ReceptiveField(NamedTuple):
    """Output i sees the pixels start + i stride, ..., start + i stride + size - 1.

    Attributes:
        size: how many rows and columns of pixels an output sees.
        stride: by how many pixels two neighbouring outputs differ.
        start: the first pixel that output 0 sees; below 0 it is padding.
    """

    size: Pair
    stride: Pair
    start: Pair


def receptive_field(*windows: SlidingWindow) -> ReceptiveField:
    """Of layers in this order: size Σ_l (E_l - 1) S_1...S_{l-1} + 1, stride S_1...S_L
    and start -Σ_l P_l S_1...S_{l-1}.

    E is the extent of a layer's kernel, dilation included, S its stride, P its padding
    before. Convolutions and pools count, each by its `problem.sliding_window`; what is
    done to each pixel alone changes nothing, and a shortcut sees no more than its
    branch.

    Source: Araujo, Norris and Sim 2019, "Computing receptive fields of convolutional
    neural networks", Distill, equations 2 to 5.

    >>> from jaxml.problem.models.convolutions.windows import sliding_window
    >>> receptive_field(sliding_window(3), sliding_window(3)).size
    (5, 5)
    >>> receptive_field(sliding_window(3), sliding_window(2, 2, padding="valid")).stride
    (2, 2)
    """
    sizes, strides, starts = [], [], []
    for axis in range(2):
        size, stride, start = 1, 1, 0
        for at in windows:
            reach = extent(at.kernel[axis], at.dilation[axis])
            size += (reach - 1) * stride
            start -= at.padding[axis][0] * stride
            stride *= at.stride[axis]
        sizes.append(size)
        strides.append(stride)
        starts.append(start)
    return ReceptiveField(_pair(sizes), _pair(strides), _pair(starts))


def measured_receptive_field(
    apply: Callable[[jax.Array], jax.Array],
    pictures: Float[Array, "n height width channels"],
) -> ReceptiveField:
    """The pixels at which ∂y[n, i, j, o] / ∂x is not 0 for some n and o, of two
    neighbouring outputs in the middle.

    A pixel that reaches the output only through maxima that it does not win, or units
    that are off, is missed at these pictures: give several, drawn at random. Cost: two
    gradients for each channel of the outputs.

    Args:
        apply: from pictures to maps `[n, rows, columns, channels]`, as
            `lambda x: model.apply(params, state, x, train=False, key=None)[0]`.
        pictures: at which the gradient is taken.

    Raises:
        InputError: fewer than two rows or columns of outputs, or a field that reaches
            the edge of the pictures, where it may be cut off.
    """
    require_pictures(pictures)
    values = jnp.asarray(pictures)
    maps = jax.eval_shape(apply, values)
    if len(maps.shape) != 4 or min(maps.shape[1:3]) < 2:
        raise InputError(
            f"Outputs {maps.shape} have no two neighbours in rows and columns: measure "
            "before the pictures are flattened, on larger ones."
        )
    middle = maps.shape[1] // 2 - 1, maps.shape[2] // 2 - 1
    first = _seen(apply, values, middle)
    second = _seen(apply, values, (middle[0] + 1, middle[1] + 1))
    sizes, strides, starts = [], [], []
    for axis in range(2):
        pixels, later = first[axis], second[axis]
        if pixels[0] == 0 or later[-1] == values.shape[1 + axis] - 1:
            raise InputError(
                f"The receptive field reaches the edge of pictures {values.shape}: "
                "give larger ones, of which all of it can be seen."
            )
        stride = int(later[0] - pixels[0])
        sizes.append(int(pixels[-1] - pixels[0] + 1))
        strides.append(stride)
        starts.append(int(pixels[0]) - middle[axis] * stride)
    return ReceptiveField(_pair(sizes), _pair(strides), _pair(starts))


def _seen(
    apply: Callable[[jax.Array], jax.Array], pictures: jax.Array, place: Pair
) -> tuple[np.ndarray, np.ndarray]:
    """The rows and the columns of pixels that an output depends on, in order."""

    def channels(values: jax.Array) -> jax.Array:
        return jnp.sum(apply(values)[:, place[0], place[1]], axis=0)

    moved = np.asarray(jax.jacrev(channels)(pictures))
    depends = np.any(moved != 0, axis=(0, 1, 4))
    rows = np.flatnonzero(depends.any(axis=1))
    columns = np.flatnonzero(depends.any(axis=0))
    if not len(rows):
        raise InputError(
            "The output in the middle depends on no pixel of these pictures: give "
            "others, drawn at random, at which its units are on."
        )
    return rows, columns


def _pair(numbers: list[int]) -> Pair:
    rows, columns = numbers
    return rows, columns
