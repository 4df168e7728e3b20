"""Pictures changed at random as they are trained on, by amounts that may be traced.

Each transform takes `[n, rows, columns, ...]`, changes every picture by a draw of its
own, and keeps the labels. So it asserts a symmetry of the task: that the label of a
picture is that of the changed one. Where that is false it teaches errors.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.scipy.ndimage import map_coordinates
from jax.typing import ArrayLike
from jaxtyping import Float

from jaxml.types import Array, Batch, InputError, Key, TrainingLoss

__all__ = [
    "augmented",
    "flipped",
    "mixed",
    "rotated",
    "shifted",
    "speckled",
    "upside_down",
]

Transform = Callable[..., jax.Array]
"""`(images, *, key) -> images`, such as `partial(shifted, most=1)`."""


def shifted(
    images: Float[Array, "n rows columns *rest"], most: ArrayLike = 1, *, key: Key
) -> Float[jax.Array, "n rows columns *rest"]:
    """Each picture moved down and right by whole pixels, drawn evenly from -most to
    most; zeros enter.

    Assumes translation symmetry: where a thing stands does not change its label.

    Args:
        images: pictures whose border is 0.
        most: whole number of pixels, perhaps traced; 0 changes nothing.
        key: of the draws.

    >>> shifted(jnp.ones((1, 2, 2)), 0, key=jax.random.key(0)).tolist()
    [[[1.0, 1.0], [1.0, 1.0]]]
    """
    images = _pictures(images)
    most = _not_negative(most, "moved by", "pixels").astype(images.dtype)
    chance = jax.random.uniform(key, (2, len(images)), images.dtype)
    down, right = jnp.floor(chance * (2 * most + 1)) - most
    moved = jnp.einsum("nij,nj...->ni...", _moves(down, images.shape[1]), images)
    return jnp.einsum("nij,nkj...->nki...", _moves(right, images.shape[2]), moved)


def flipped(
    images: Float[Array, "n rows columns *rest"], chance: ArrayLike = 0.5, *, key: Key
) -> Float[jax.Array, "n rows columns *rest"]:
    """Each picture mirrored left to right with this probability.

    Assumes mirror symmetry: a thing and its mirror image have one label. It holds for
    cats, and not for letters and digits.

    >>> flipped(jnp.array([[[1.0, 2.0]]]), 1.0, key=jax.random.key(0)).tolist()
    [[[2.0, 1.0]]]
    """
    return _mirrored(_pictures(images), 2, chance, key)


def upside_down(
    images: Float[Array, "n rows columns *rest"], chance: ArrayLike = 0.5, *, key: Key
) -> Float[jax.Array, "n rows columns *rest"]:
    """Each picture mirrored top to bottom with this probability.

    Assumes that up and down are alike, as under a microscope or from the air.

    >>> upside_down(jnp.array([[[1.0], [2.0]]]), 1.0, key=jax.random.key(0)).tolist()
    [[[2.0], [1.0]]]
    """
    return _mirrored(_pictures(images), 1, chance, key)


def rotated(
    images: Float[Array, "n rows columns *rest"], degrees: ArrayLike, *, key: Key
) -> Float[jax.Array, "n rows columns *rest"]:
    """Each picture rotated about its centre by an angle drawn evenly from -degrees to
    degrees, by bilinear interpolation; zeros enter.

    Assumes rotation symmetry up to that angle: a tilted thing keeps its label.

    >>> half = jax.random.key(0)
    >>> rotated(jnp.eye(3)[None], 0.0, key=half).tolist()[0][1]
    [0.0, 1.0, 0.0]
    """
    images = _pictures(images)
    most = _not_negative(degrees, "rotated by", "degrees").astype(images.dtype)
    chance = jax.random.uniform(
        key, (len(images),), images.dtype, minval=-1.0, maxval=1.0
    )
    angles = jnp.deg2rad(most * chance)
    flat = images.reshape(*images.shape[:3], -1)
    return jax.vmap(_rotated)(flat, angles).reshape(images.shape)


def speckled(
    images: Float[Array, "n rows columns *rest"], deviation: ArrayLike, *, key: Key
) -> Float[jax.Array, "n rows columns *rest"]:
    """Each number plus normal noise of this standard deviation.

    Assumes smoothness: nearby inputs have one label. In the mean over draws it is an
    ℓ₂ penalty of the function's derivatives (Bishop 1995, Neural Computation 7).

    >>> speckled(jnp.ones((1, 1, 1)), 0.0, key=jax.random.key(0)).tolist()
    [[[1.0]]]
    """
    images = _pictures(images)
    scale = _not_negative(deviation, "noisy by", "as a deviation").astype(images.dtype)
    return images + scale * jax.random.normal(key, images.shape, images.dtype)


def mixed(batch: Batch, alpha: ArrayLike, *, classes: int, key: Key) -> Batch:
    """λ x + (1 - λ) x′ and the same of indicators of the labels, x′ another example of
    the batch and λ drawn once from Beta(α, α).

    Assumes that labels change in proportion on the line between two examples. Train on
    it by `soft_cross_entropy`.

    Args:
        batch: with integer labels; padding (weight 0) stays padding.
        alpha: above 0, perhaps traced; the smaller, the nearer λ is to 0 or 1.
        classes: how many.
        key: of λ and of the partners.

    Raises:
        InputError: a known α that is not above 0.

    Source: Zhang et al. 2018, arXiv:1710.09412, equation 2.
    """
    if not isinstance(alpha, Tracer) and not np.all(np.asarray(alpha) > 0):
        raise InputError(f"Beta({alpha}, {alpha}) is no law: give an alpha above 0.")
    inputs = jnp.asarray(batch.inputs)
    drawn, order = jax.random.split(key)
    shape = jnp.asarray(alpha, inputs.dtype)
    part = jax.random.beta(drawn, shape, shape, dtype=inputs.dtype)
    other = jax.random.permutation(order, len(inputs))
    indicators = jax.nn.one_hot(batch.targets, classes, dtype=inputs.dtype)

    def between(field: jax.Array) -> jax.Array:
        return part * field + (1 - part) * field[other]

    weights = jnp.asarray(batch.weights)
    weights = jnp.where(weights[other] > 0, weights, jnp.zeros_like(weights))
    return Batch(between(inputs), between(indicators), weights)


def augmented(
    loss: TrainingLoss, transform: Transform, *, shape: tuple[int, ...]
) -> TrainingLoss:
    """The training loss of a batch whose pictures are transformed, anew at each update.

    Args:
        loss: such as `training_loss(model, cross_entropy)` or a workload's.
        transform: `(images, *, key) -> images`, such as `partial(shifted, most=1)`;
            its amount may be traced.
        shape: of one picture, (rows, columns) or (rows, columns, colours), whatever the
            shape in which the batch holds its numbers.

    Raises:
        InputError: at a call, inputs of other sizes.
    """

    def transformed(
        params: Any, state: Any, batch: Batch, key: Key
    ) -> tuple[jax.Array, Any]:
        own, rest = jax.random.split(key)
        inputs = jnp.asarray(batch.inputs)
        if inputs[0].size != np.prod(shape):
            raise InputError(
                f"Inputs of {inputs.shape[1:]} are no pictures of {shape}: give the "
                "shape of one picture."
            )
        images = transform(inputs.reshape(-1, *shape), key=own)
        return loss(
            params, state, batch._replace(inputs=images.reshape(inputs.shape)), rest
        )

    return transformed


def _pictures(images: Array) -> jax.Array:
    return jnp.asarray(images)


def _not_negative(amount: ArrayLike, verb: str, unit: str) -> jax.Array:
    if not isinstance(amount, Tracer) and not np.all(np.asarray(amount) >= 0):
        raise InputError(
            f"Pictures cannot be {verb} {amount} {unit}: give 0 or more; the draw "
            "takes both signs."
        )
    return jnp.asarray(amount)


def _moves(by: jax.Array, length: int) -> Float[jax.Array, "n length length"]:
    """For each number the matrix that moves a vector by so many places."""
    place = jnp.arange(length, dtype=by.dtype)
    apart = place[:, None] - place[None, :]
    return (apart[None] == by[:, None, None]).astype(by.dtype)


def _mirrored(images: jax.Array, axis: int, chance: ArrayLike, key: Key) -> jax.Array:
    if not isinstance(chance, Tracer) and not np.all(
        (np.asarray(chance) >= 0) & (np.asarray(chance) <= 1)
    ):
        raise InputError(
            f"{chance} is no probability of a flip: give a number from 0 to 1."
        )
    drawn = jax.random.uniform(key, (len(images),), images.dtype)
    turned = drawn < jnp.asarray(chance, images.dtype)
    turned = turned.reshape(-1, *[1] * (images.ndim - 1))
    return jnp.where(turned, jnp.flip(images, axis), images)


def _rotated(image: jax.Array, angle: jax.Array) -> jax.Array:
    """One picture `[rows, columns, colour]`, each pixel from where it comes."""
    rows, columns, _ = image.shape
    down = jnp.arange(rows, dtype=image.dtype) - (rows - 1) / 2
    right = jnp.arange(columns, dtype=image.dtype) - (columns - 1) / 2
    y, x = jnp.meshgrid(down, right, indexing="ij")
    cosine, sine = jnp.cos(angle), jnp.sin(angle)
    source = [
        cosine * y - sine * x + (rows - 1) / 2,
        sine * y + cosine * x + (columns - 1) / 2,
    ]
    at_source = partial(map_coordinates, coordinates=source, order=1)
    return jax.vmap(at_source, in_axes=-1, out_axes=-1)(image)
