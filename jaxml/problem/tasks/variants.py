"""What studies vary: small pictures, their difficulty, and parts of dense networks."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike, DTypeLike

from jaxml.problem.data.image_sets import fashion_mnist, shrunk
from jaxml.problem.models.dense import linear, mlp
from jaxml.types import Array, Batch, Key, Model, Params

__all__ = [
    "after_the_sum",
    "before_the_block",
    "difficulty",
    "layer_normalised",
    "residual",
    "small_clothing",
    "switched_mlp",
]

Block = Callable[[jax.Array], jax.Array]


def small_clothing(
    count: int, *, block: int = 4, dtype: DTypeLike = np.float32
) -> Batch:
    """The first `count` pictures of clothing, as means over squares of `block` pixels.

    Rows of (28 / block)² numbers: as cheap as 8x8 digits, and harder to tell apart.

    Args:
        count: how many.
        block: a divisor of 28.
        dtype: of the inputs, and so of the parameters.
    """
    images = shrunk(fashion_mnist(train=count, test=1, dtype=dtype).train, block)
    return images._replace(inputs=np.reshape(images.inputs, (count, -1)))


def difficulty(batch: Batch, *, classes: int) -> jax.Array:
    """The fraction of the examples of its class that are easier than an example, `[n]`.

    The less the distance to the mean of its class exceeds that to the nearest mean of
    another, the easier. Cost: O(n²).

    Args:
        batch: rows of numbers and labels, as they are trained on.
        classes: how many.
    """
    inputs, labels = jnp.asarray(batch.inputs), jnp.asarray(batch.targets)
    member = labels[:, None] == jnp.arange(classes, dtype=labels.dtype)[None]
    indicator = member.astype(inputs.dtype)
    size = jnp.maximum(jnp.sum(indicator, axis=0), 1.0)
    means = (indicator.T @ inputs) / size[:, None]
    distance = jnp.linalg.norm(inputs[:, None] - means[None], axis=-1)
    own = jnp.sum(indicator * distance, axis=1)
    excess = own - jnp.min(jnp.where(member, jnp.inf, distance), axis=1)
    alike = labels[:, None] == labels[None]
    easier = (alike & (excess[None] < excess[:, None])).astype(inputs.dtype)
    return jnp.sum(easier, axis=1) / (indicator @ size)


def switched_mlp(
    widths: tuple[int, ...], *, dropout: ArrayLike, normalised: ArrayLike
) -> Model:
    """`mlp` of ReLUs whose dropout and layer normalisation are numbers, perhaps traced.

    Initial values and the number of parameters are those of `mlp`, whatever is switched
    on.

    Args:
        widths: of the hidden layers, then of the output.
        dropout: the probability with which a hidden value is 0 in training, below 1;
            the others are divided by the probability that they stay.
        normalised: above 0 where hidden layers are normalised before their ReLUs.
    """

    def apply(
        params: Params, state: Any, inputs: Array, *, train: bool, key: Key | None
    ) -> tuple[jax.Array, Any]:
        on = jnp.asarray(normalised) > 0
        *hidden, last = sorted(params)
        values = jnp.asarray(inputs)
        for index, name in enumerate(hidden):
            values = _affine(params[name], values)
            switched = jnp.where(on, layer_normalised(values), values)
            values = jax.nn.relu(switched)
            if train and key is not None:
                own = jax.random.fold_in(key, index)
                chance = jax.random.uniform(own, values.shape, values.dtype)
                values = jnp.where(chance < dropout, 0, values / (1 - dropout))
        return _affine(params[last], values), state

    return mlp(widths, jax.nn.relu)._replace(apply=apply)


def _affine(layer: Params, values: jax.Array) -> jax.Array:
    return values @ layer["kernel"] + layer["bias"][None]


def residual(
    width: int,
    blocks: int,
    classes: int,
    *,
    normalise: Callable[[Block, jax.Array], jax.Array],
) -> Model:
    """A first layer, blocks of two dense layers that add to their input, and logits.

    Kernels and biases start as those of `mlp`; a layer normalisation, without
    parameters of its own, comes before the logits, and in each block as `normalise`
    says.

    Args:
        width: of all hidden layers.
        blocks: how many.
        classes: outputs.
        normalise: `after_the_sum` or `before_the_block`.

    Source: Xiong et al. 2020, arXiv:2002.04745, post- and pre-normalised blocks,
        without attention.
    """
    inner = mlp((width, width), jax.nn.relu)
    ends = {"first": linear(width), "last": linear(classes)}

    def init(key: Key, inputs: Array) -> tuple[Params, Any]:
        keys = jax.random.split(key, blocks + 2)
        hidden = jnp.zeros((1, width), inputs.dtype)
        params = {"first": ends["first"].init(keys[-1], inputs)[0]}
        params["last"] = ends["last"].init(keys[-2], hidden)[0]
        for index in range(blocks):
            params[f"block_{index:02}"] = inner.init(keys[index], hidden)[0]
        return params, {}

    def apply(
        params: Params, state: Any, inputs: Array, *, train: bool, key: Key | None
    ) -> tuple[jax.Array, Any]:
        def layer(model: Model, name: str, values: Array) -> jax.Array:
            return model.apply(params[name], {}, values, train=train, key=key)[0]

        values = layer(ends["first"], "first", inputs)
        for index in range(blocks):
            block = partial(layer, inner, f"block_{index:02}")
            values = normalise(block, values)
        return layer(ends["last"], "last", layer_normalised(values)), state

    return Model(init, apply)


def after_the_sum(block: Block, values: jax.Array) -> jax.Array:
    """norm(h + f(h)), the first Transformer's."""
    return layer_normalised(values + block(values))


def before_the_block(block: Block, values: jax.Array) -> jax.Array:
    """h + f(norm(h)), later Transformers'."""
    return values + block(layer_normalised(values))


def layer_normalised(values: jax.Array) -> jax.Array:
    """Mean 0 and variance 1 over the units of each example, without parameters.

    Source: Ba, Kiros and Hinton 2016, arXiv:1607.06450.
    """
    centred = values - jnp.mean(values, axis=-1, keepdims=True)
    variance = jnp.mean(jnp.square(centred), axis=-1, keepdims=True)
    return centred / jnp.sqrt(variance + 1e-5)
