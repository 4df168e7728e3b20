"""Networks for images."""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Float

from jaxml.problem.models.adapters import require_floating
from jaxml.problem.models.convolution import convolve
from jaxml.problem.models.linen import from_linen
from jaxml.types import Array, InputError, Model

__all__ = ["cnn", "max_pool"]


def cnn(channels: tuple[int, ...], classes: int) -> Model:
    """For each entry a 3 x 3 convolution, ReLU and 2 x 2 max pool; then one dense
    layer.

    Inputs are images `[n, height, width, colours]`, outputs logits `[n, classes]`.
    Kernels are LeCun normal, biases zero.

    Raises:
        InputError: a width below 1; at a call, inputs that are no images or vanish in
            the pools.
    """
    if min((*channels, classes)) < 1:
        raise InputError(
            f"Channels {channels} and {classes} classes make no network: give 1 or "
            "more of each."
        )
    return from_linen(_Cnn(tuple(channels), classes))


def max_pool(
    images: Float[Array, "n height width channels"],
) -> Float[jax.Array, "n _ _ channels"]:
    """The largest value of each 2 x 2 block; an odd last row or column is dropped.

    A reshape and a maximum, which XLA compiles better than a window. Equal maxima share
    the gradient.
    """
    n, height, width, channels = images.shape
    rows, columns = height // 2, width // 2
    kept = images[:, : 2 * rows, : 2 * columns]
    return _largest(jnp.asarray(kept).reshape(n, rows, 2, columns, 2, channels))


@jax.custom_jvp
def _largest(blocks: jax.Array) -> jax.Array:
    """max over the block of `[n, rows, 2, columns, 2, channels]`."""
    return jnp.max(blocks, axis=(2, 4))


@_largest.defjvp
def _largest_moved(
    primals: tuple[jax.Array], tangents: tuple[jax.Array]
) -> tuple[jax.Array, jax.Array]:
    """JAX's own derivative of a maximum, with the equal maxima of a block counted by
    three additions in place of a reduction, which XLA compiles worse on a CPU.
    """
    (blocks,), (moved,) = primals, tangents
    largest = _largest(blocks)
    hit = blocks == largest[:, :, None, :, None]
    corners = [hit[:, :, 0, :, 0], hit[:, :, 0, :, 1]]
    corners += [hit[:, :, 1, :, 0], hit[:, :, 1, :, 1]]
    upper_left, *others = (corner.astype(blocks.dtype) for corner in corners)
    count = sum(others, start=upper_left)
    followed = jnp.where(hit, moved, jnp.zeros_like(moved))
    return largest, jnp.sum(followed, axis=(2, 4)) / count


class _Layer(nn.Module):
    """pool(ReLU(K * x + b)), computed as ReLU(pool(K * x) + b).

    The two are equal, for bias and ReLU keep the order of numbers, and the second has a
    quarter of the additions.
    """

    outputs: int

    @nn.compact
    def __call__(self, images: jax.Array) -> jax.Array:
        shape = (3, 3, images.shape[-1], self.outputs)
        kernel = self.param(
            "kernel", nn.initializers.lecun_normal(), shape, jnp.float32
        )
        bias = self.param("bias", nn.initializers.zeros, (self.outputs,), jnp.float32)
        pooled = max_pool(convolve(images, kernel))
        return jax.nn.relu(pooled + bias.reshape(1, 1, 1, -1))


class _Cnn(nn.Module):
    channels: tuple[int, ...]
    classes: int

    @nn.compact
    def __call__(self, inputs: jax.Array, *, train: bool) -> jax.Array:
        del train
        require_floating(inputs)
        if inputs.ndim != 4 or min(inputs.shape[1:3]) < 2 ** len(self.channels):
            raise InputError(
                f"A cnn with {len(self.channels)} pools takes images [n, height, "
                f"width, colours] of {2 ** len(self.channels)} x "
                f"{2 ** len(self.channels)} pixels or more, not {inputs.shape}: "
                "reshape them, or give fewer channels."
            )
        values = inputs
        for index, outputs in enumerate(self.channels):
            values = _Layer(outputs, name=f"layer_{index:02}")(values)
        return nn.Dense(self.classes, name="output")(
            values.reshape(values.shape[0], -1)
        )
