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
    blocks = images[:, : 2 * rows, : 2 * columns].reshape(
        n, rows, 2, columns, 2, channels
    )
    return jnp.max(blocks, axis=(2, 4))


class _Convolution(nn.Module):
    outputs: int

    @nn.compact
    def __call__(self, images: jax.Array) -> jax.Array:
        shape = (3, 3, images.shape[-1], self.outputs)
        kernel = self.param(
            "kernel", nn.initializers.lecun_normal(), shape, jnp.float32
        )
        bias = self.param("bias", nn.initializers.zeros, (self.outputs,), jnp.float32)
        return convolve(images, kernel) + bias.reshape(1, 1, 1, -1)


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
            values = max_pool(
                jax.nn.relu(_Convolution(outputs, name=f"layer_{index:02}")(values))
            )
        return nn.Dense(self.classes, name="output")(
            values.reshape(values.shape[0], -1)
        )
