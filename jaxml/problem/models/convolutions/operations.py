"""The convolution of pictures, and its matrix.

On a CPU, XLA's own convolution is many times slower inside a scan than outside, and
vmapped over kernels it becomes a grouped one, slower again. There the pictures are laid
out as patches and multiplied by a matrix, at the price of memory: whole patches take
kernel rows x columns times the pictures, strips of one row each kernel columns times
them, and the outputs of every kernel row besides.
"""

from functools import partial, reduce
from operator import add

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from jaxml.problem.models.convolutions.windows import (
    Padding,
    Sizes,
    SlidingWindow,
    output_shape,
    shifts,
    sliding_window,
)
from jaxml.types import Array, InputError

__all__ = ["toeplitz"]

Pictures = Float[Array, "n height width channels"]
Kernel = Float[Array, "rows columns inner outputs"]
Maps = Float[jax.Array, "n _ _ outputs"]


def correlate(
    pictures: Pictures, kernel: Kernel, at: SlidingWindow, groups: int = 1
) -> Maps:
    """Σ_{r,s,c} K[r, s, c, o] x[n, iS + rD - P, jS + sD - P', c], zero outside, of
    stride S, dilation D and padding P.

    With groups, output o is of group ⌊o groups / outputs⌋ and sees the channels of its
    group alone: the inner axis of K is channels / groups long. By patches in a program
    compiled for the CPU, by XLA's convolution in any other.

    Raises:
        InputError: channels or outputs that the groups do not divide, a kernel for
            other channels, or larger than the picture.
    """
    require_groups(pictures.shape[-1], kernel.shape, groups)
    output_shape(at, *pictures.shape[1:3])
    return jax.lax.platform_dependent(
        pictures,
        kernel,
        cpu=partial(by_patches, at=at, groups=groups),
        default=partial(by_xla, at=at, groups=groups),
    )


def by_patches(
    pictures: Pictures, kernel: Kernel, at: SlidingWindow, groups: int = 1
) -> Maps:
    """`correlate` as patches times a matrix, one a group; without groups as strips,
    where these are clearly smaller.
    """
    if groups == 1 and _strips_are_smaller(pictures.shape, kernel.shape, at):
        return by_strips(pictures, kernel, at)
    outputs = kernel.shape[-1]
    seen = shifts(pictures, at)
    n, rows, columns, _ = seen[0].shape
    if groups == 1:
        # Of a product over four axes, XLA transposes the cotangent in memory.
        patches = jnp.concatenate(seen, axis=-1).reshape(n * rows * columns, -1)
        product = patches @ kernel.reshape(-1, outputs)
    else:
        inner = kernel.shape[2]
        stacked = jnp.stack([each.reshape(-1, groups, inner) for each in seen])
        matrices = kernel.reshape(len(seen), inner, groups, -1)
        product = jnp.einsum("tpgc,tcgo->pgo", stacked, matrices)
    return product.reshape(n, rows, columns, outputs)


def by_strips(pictures: Pictures, kernel: Kernel, at: SlidingWindow) -> Maps:
    """`correlate` of row stride 1: what a kernel row sees, times all rows of the kernel
    at once, and the products added where they meet.
    """
    rows, columns, inner, outputs = kernel.shape
    one_row = at._replace(kernel=(1, columns), dilation=(1, at.dilation[1]))
    strips = jnp.concatenate(shifts(pictures, one_row), axis=-1)
    n, height, width, seen = strips.shape
    matrix = jnp.transpose(kernel, (1, 2, 0, 3)).reshape(columns * inner, -1)
    products = (strips.reshape(-1, seen) @ matrix).reshape(
        n, height, width, rows, outputs
    )
    count = height - (rows - 1) * at.dilation[0]
    summands = []
    for row in range(rows):
        first = row * at.dilation[0]
        summands.append(products[:, first : first + count, :, row])
    return reduce(add, summands)


def by_xla(
    pictures: Pictures, kernel: Kernel, at: SlidingWindow, groups: int = 1
) -> Maps:
    """`correlate` by `lax.conv_general_dilated`."""
    return jax.lax.conv_general_dilated(
        jnp.asarray(pictures),
        jnp.asarray(kernel),
        at.stride,
        at.padding,
        rhs_dilation=at.dilation,
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        feature_group_count=groups,
    )


def toeplitz(
    kernel: Kernel,
    shape: tuple[int, int],
    *,
    stride: Sizes = 1,
    dilation: Sizes = 1,
    padding: Padding = "same",
    groups: int = 1,
) -> Float[jax.Array, "positions values"]:
    """T of `problem.convolution`: T vec(x) is vec of its outputs, without the bias.

    vec goes through rows, columns and channels, the last fastest, as `reshape` does.
    T[(i, j, o), (y, x, c)] = K[r, s, c, o] where y = iS + rD - P and x likewise, else
    0: most of T is zero, and its rows hold the same weights.

    Args:
        kernel: K `[rows, columns, channels / groups, outputs]`.
        shape: rows and columns of a picture.
        stride: S, as of `problem.convolution`; so are the others.
        dilation: D.
        padding: P of each side.
        groups: into which channels and outputs are divided.

    >>> toeplitz(jnp.ones((1, 2, 1, 1)), (1, 3), padding="valid").tolist()
    [[1.0, 1.0, 0.0], [0.0, 1.0, 1.0]]
    """
    weights = jnp.asarray(kernel)
    channels, outputs = weights.shape[2] * groups, weights.shape[3]
    require_groups(channels, weights.shape, groups)
    at = sliding_window((weights.shape[0], weights.shape[1]), stride, dilation, padding)
    counts = output_shape(at, *shape)
    down, across = (
        jnp.asarray(_meetings(at, axis, shape[axis], counts[axis]), weights.dtype)
        for axis in range(2)
    )
    whole = _ungrouped(weights, groups)
    # At most one summand is not zero, so that nothing is rounded.
    entries = jnp.einsum(
        "iyr,jxs,rsco->ijoyxc", down, across, whole, precision="highest"
    )
    return entries.reshape(
        counts[0] * counts[1] * outputs, shape[0] * shape[1] * channels
    )


def require_groups(channels: int, kernel: tuple[int, ...], groups: int) -> None:
    """Passes groups that divide the channels, of a kernel that is as deep as they are.

    Raises:
        InputError: others.
    """
    inner, outputs = kernel[2:]
    if channels % groups or outputs % groups:
        raise InputError(
            f"{groups} groups do not divide {channels} channels and {outputs} outputs "
            "into equal parts: choose a divisor of both."
        )
    if inner * groups != channels:
        raise InputError(
            f"A kernel for {inner * groups} channels meets pictures of {channels}: "
            "initialise the layer on such pictures."
        )


def _strips_are_smaller(
    pictures: tuple[int, ...], kernel: tuple[int, ...], at: SlidingWindow
) -> bool:
    """Whether strips and their products hold five sixths of the patches' numbers or
    less, as measured to be faster.
    """
    if at.stride[0] > 1:
        return False
    rows, columns, inner, outputs = kernel
    count, _ = output_shape(at, *pictures[1:3])
    padded = pictures[1] + sum(at.padding[0])
    patches = count * rows * columns * inner
    return 6 * padded * (columns * inner + rows * outputs) < 5 * patches


def _meetings(at: SlidingWindow, axis: int, size: int, count: int) -> np.ndarray:
    """1 where output i sees pixel y by place r of the kernel, `[i, y, r]`."""
    outputs, pixels, places = np.ogrid[:count, :size, : at.kernel[axis]]
    first = outputs * at.stride[axis] - at.padding[axis][0]
    return pixels == first + places * at.dilation[axis]


def _ungrouped(kernel: jax.Array, groups: int) -> jax.Array:
    """The kernel over all channels, zero at those of other groups."""
    inner, outputs = kernel.shape[2:]
    channel, output = np.ogrid[: inner * groups, :outputs]
    same_group = channel // inner == output // (outputs // groups)
    deep = jnp.tile(kernel, (1, 1, groups, 1))
    return jnp.where(same_group[None, None], deep, jnp.zeros_like(deep))
