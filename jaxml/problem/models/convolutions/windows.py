"""Where a kernel is laid on a picture: sizes, strides, dilations and padding."""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxml.problem.models.adapters import require_floating
from jaxml.types import Array, InputError

__all__ = ["SlidingWindow", "sliding_window"]

Pair = tuple[int, int]
Sizes = int | Pair
"""Of rows and columns; one number is for both."""

Padding = str | tuple[Pair, Pair]
"""Same, valid, or how many pixels before and behind, of rows and columns."""


class SlidingWindow(NamedTuple):
    """How one layer looks at a picture, each number for rows and for columns.

    Output i sees the pixels i stride - before + r dilation of r = 0, ..., kernel - 1.

    Attributes:
        kernel: how many pixels it takes.
        stride: from one output to the next, in pixels.
        dilation: from one pixel that it takes to the next.
        padding: how many pixels are put before and behind the picture.
    """

    kernel: Pair
    stride: Pair
    dilation: Pair
    padding: tuple[Pair, Pair]


def sliding_window(
    kernel: Sizes = 3,
    stride: Sizes = 1,
    dilation: Sizes = 1,
    padding: Padding = "same",
) -> SlidingWindow:
    """A window whose padding is known in pixels.

    Under "same", with E = (kernel - 1) dilation + 1, ⌊(E - 1) / 2⌋ pixels are put
    before and ⌊E / 2⌋ behind, whatever the stride: the outputs are every stride-th one
    of stride 1, ⌈size / stride⌉ of them. So has PyTorch with `padding=E // 2` of odd E;
    Flax and TensorFlow shift a strided window by the size of the picture.

    Raises:
        InputError: a number below 1, a negative padding, or an unknown one.

    >>> sliding_window(3).padding
    ((1, 1), (1, 1))
    """
    sizes = _pair("kernel", kernel)
    strides = _pair("stride", stride)
    dilations = _pair("dilation", dilation)
    if padding == "valid":
        return SlidingWindow(sizes, strides, dilations, ((0, 0), (0, 0)))
    if padding == "same":
        rows, columns = map(_same, sizes, dilations)
        return SlidingWindow(sizes, strides, dilations, (rows, columns))
    return SlidingWindow(sizes, strides, dilations, _pairs(padding))


def extent(size: int, dilation: int) -> int:
    """From the first to the last pixel that a kernel takes, both counted.

    >>> extent(3, 2)
    5
    """
    return (size - 1) * dilation + 1


def output_shape(at: SlidingWindow, height: int, width: int) -> Pair:
    """How many rows and columns come out.

    Raises:
        InputError: none, or some weights of the kernel meet nothing but padding.
    """
    shape = []
    for axis, size in enumerate((height, width)):
        before, behind = at.padding[axis]
        reach = extent(at.kernel[axis], at.dilation[axis])
        count = (size + before + behind - reach) // at.stride[axis] + 1
        if count < 1 or not _all_used(at, axis, size, count):
            raise InputError(
                f"A kernel of {at.kernel}, dilated by {at.dilation}, is larger than a "
                f"picture of {height} x {width}, so that some of its weights meet no "
                "pixel: give a smaller kernel, larger pictures, or fewer strides "
                "before it."
            )
        shape.append(count)
    return shape[0], shape[1]


def shifts(pictures: Array, at: SlidingWindow, fill: float = 0.0) -> list[jax.Array]:
    """What each place of the kernel sees, row by row: kernel rows times columns arrays
    `[n, rows, columns, channels]` of the outputs' size.
    """
    values = jnp.asarray(pictures)
    rows, columns = output_shape(at, *values.shape[1:3])
    margins = ((0, 0), *at.padding, (0, 0))
    padded = jnp.pad(values, margins, constant_values=fill)
    seen = []
    for row, column in np.ndindex(*at.kernel):
        down = _strided(row, at, axis=0, count=rows)
        across = _strided(column, at, axis=1, count=columns)
        seen.append(padded[:, down, across])
    return seen


def require_pictures(pictures: Array) -> None:
    """Passes pictures `[n, height, width, channels]` of floating point.

    Raises:
        InputError: others.
    """
    require_floating(pictures)
    shape = tuple(pictures.shape)
    if len(shape) == 3:
        raise InputError(
            f"Pictures {shape} have no axis of channels: give them as "
            "[n, height, width, channels], with pictures[..., None] for one channel."
        )
    if len(shape) != 4 or 0 in shape[1:]:
        raise InputError(
            f"Inputs {shape} are no pictures [n, height, width, channels]: reshape "
            "them first."
        )


def _all_used(at: SlidingWindow, axis: int, size: int, count: int) -> bool:
    """Whether each place of the kernel meets a pixel at some output."""
    places = np.arange(at.kernel[axis]) * at.dilation[axis]
    firsts = np.arange(count) * at.stride[axis] - at.padding[axis][0]
    seen = firsts[:, None] + places
    inside = (seen >= 0) & (seen < size)
    return bool(inside.any(axis=0).all())


def _strided(place: int, at: SlidingWindow, *, axis: int, count: int) -> slice:
    """The padded pixels that one place of the kernel sees along an axis."""
    stride = at.stride[axis]
    first = place * at.dilation[axis]
    return slice(first, first + (count - 1) * stride + 1, stride)


def _pair(name: str, given: Sizes) -> Pair:
    pair = (given, given) if isinstance(given, int) else tuple(given)
    if len(pair) != 2 or min(pair) < 1:
        raise InputError(
            f"A {name} of {given} fits no picture: give 1 or more, or such a pair for "
            "rows and columns."
        )
    return pair


def _same(size: int, dilation: int) -> Pair:
    reach = extent(size, dilation)
    return (reach - 1) // 2, reach // 2


def _pairs(padding: str | Sequence[Pair]) -> tuple[Pair, Pair]:
    numbers = np.array(() if isinstance(padding, str) else padding)
    if numbers.shape != (2, 2) or numbers.min() < 0:
        raise InputError(
            f'A padding of {padding!r} is unknown: give "same", "valid", or '
            "((above, below), (left, right)) in pixels."
        )
    rows, columns = ((int(before), int(behind)) for before, behind in padding)
    return rows, columns
