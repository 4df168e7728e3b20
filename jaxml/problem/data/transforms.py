"""Pictures moved, rotated, scaled or scrambled by stated amounts, which may be traced.

Nothing is drawn here, unlike in `augmentation`: a study names how far a picture is
changed. Each transform takes `[n, rows, columns, channels]`, one amount for all or one
a picture, `[n]`; `problem.digits()` becomes such by `.reshape(-1, 8, 8, 1)`.

Values between pixels are bilinear, and outside the picture all is 0, as of SciPy's
`affine_transform(order=1, mode="grid-constant")`. Cost: four reads a pixel.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.scipy.ndimage import map_coordinates
from jax.typing import ArrayLike
from jaxtyping import Float, Int

from jaxml.types import Array, InputError

__all__ = ["rotated_by", "scaled_by", "scrambled", "translated"]


def translated(
    images: Float[Array, "..."], down: ArrayLike, right: ArrayLike
) -> Float[jax.Array, "n rows columns channels"]:
    """Each picture moved by so many pixels, fractions too; what leaves is lost, and
    zeros enter.

    Args:
        images: pictures.
        down: pixels, up if negative.
        right: pixels, left if negative.

    Raises:
        InputError: no channel axis, or another number of amounts than of pictures. So
            do `rotated_by` and `scaled_by`.

    >>> row = jnp.array([4.0, 2.0, 0.0]).reshape(1, 1, 3, 1)
    >>> translated(row, 0, 0.5).ravel().tolist()
    [2.0, 3.0, 1.0]
    """
    images = _pictures(images)
    moves = jnp.stack([_amounts(down, images), _amounts(right, images)], axis=1)
    same = jnp.broadcast_to(jnp.eye(2, dtype=images.dtype), (len(images), 2, 2))
    return _resampled(images, same, moves)


def rotated_by(
    images: Float[Array, "..."], degrees: ArrayLike
) -> Float[jax.Array, "n rows columns channels"]:
    """Each picture rotated about its centre, counter-clockwise as `np.rot90`; corners
    leave, and zeros enter.
    """
    images = _pictures(images)
    angles = jnp.deg2rad(_amounts(degrees, images))
    cosine, sine = jnp.cos(angles), jnp.sin(angles)
    first = jnp.stack([cosine, sine], axis=1)
    second = jnp.stack([-sine, cosine], axis=1)
    back = jnp.stack([first, second], axis=1)
    return _resampled(images, back, _no_moves(images))


def scaled_by(
    images: Float[Array, "..."], factor: ArrayLike
) -> Float[jax.Array, "n rows columns channels"]:
    """Each picture enlarged about its centre by a factor, below 1 made smaller, in a
    frame of the same size.

    Making smaller skips pixels rather than averaging them: for whole factors see
    `shrunk`.

    Raises:
        InputError: besides, a known factor that is not above 0.
    """
    images = _pictures(images)
    if not isinstance(factor, Tracer) and not np.all(np.asarray(factor) > 0):
        raise InputError(
            f"Pictures cannot be scaled by {factor}: give a factor above 0, 1 to leave "
            "them."
        )
    back = 1 / _amounts(factor, images)
    same = jnp.eye(2, dtype=images.dtype)
    return _resampled(images, back[:, None, None] * same[None], _no_moves(images))


def scrambled(
    images: Float[Array, "..."], order: Int[Array, "..."]
) -> Float[jax.Array, "n rows columns channels"]:
    """Every picture's pixels in one other order, the channels of a pixel together: the
    same information, without neighbourhoods.

    Args:
        images: pictures.
        order: where each pixel comes from, counted row by row: a permutation of
            rows · columns numbers, such as `jax.random.permutation(key, 784)`; may be
            traced.

    Raises:
        InputError: no channel axis; another length, or a known order that names a pixel
            twice.

    >>> row = jnp.array([5.0, 6.0, 7.0]).reshape(1, 1, 3, 1)
    >>> scrambled(row, jnp.array([2, 0, 1])).ravel().tolist()
    [7.0, 5.0, 6.0]
    """
    images = _pictures(images)
    n, rows, columns, channels = images.shape
    _require_order(order, rows * columns)
    pixels = images.reshape(n, rows * columns, channels)
    return pixels[:, jnp.asarray(order)].reshape(images.shape)


def _pictures(images: Array) -> jax.Array:
    if images.ndim != 4:
        raise InputError(
            f"The pictures have the shape {images.shape}: give [n, rows, columns, "
            "channels], grey ones by images[..., None]."
        )
    return jnp.asarray(images)


def _amounts(amount: ArrayLike, images: jax.Array) -> Float[jax.Array, " n"]:
    """One a picture."""
    values = jnp.asarray(amount).astype(images.dtype)
    if values.shape not in ((), (len(images),)):
        raise InputError(
            f"Amounts of the shape {values.shape} do not fit {len(images)} pictures: "
            "give one for all, or one each."
        )
    return jnp.broadcast_to(values, (len(images),))


def _no_moves(images: jax.Array) -> Float[jax.Array, "n axis"]:
    return jnp.zeros((len(images), 2), images.dtype)


def _require_order(order: Array, pixels: int) -> None:
    if order.shape != (pixels,):
        raise InputError(
            f"An order of the shape {order.shape} does not fit {pixels} pixels: give a "
            f"permutation of 0 to {pixels - 1}."
        )
    if isinstance(order, Tracer):
        return
    if not np.array_equal(np.sort(np.asarray(order)), np.arange(pixels)):
        raise InputError(
            f"The order names some pixel twice or none: give a permutation of 0 to "
            f"{pixels - 1}."
        )


@jax.jit
def _resampled(
    images: Float[jax.Array, "n rows columns channels"],
    back: Float[jax.Array, "n axis axis"],
    move: Float[jax.Array, "n axis"],
) -> Float[jax.Array, "n rows columns channels"]:
    return jax.vmap(_resampled_one)(images, back, move)


def _resampled_one(
    image: Float[jax.Array, "rows columns channels"],
    back: Float[jax.Array, "axis axis"],
    move: Float[jax.Array, " axis"],
) -> Float[jax.Array, "rows columns channels"]:
    """The picture whose pixel at c + v is the given one's at c + back · (v - move), for
    its centre c.
    """
    rows, columns, _ = image.shape
    middle = (jnp.array([rows, columns], image.dtype) - 1) / 2
    down = jnp.arange(rows, dtype=image.dtype) - middle[0]
    right = jnp.arange(columns, dtype=image.dtype) - middle[1]
    places = jnp.stack(jnp.meshgrid(down, right, indexing="ij"))
    moved = places - move[:, None, None]
    turned = jnp.einsum("ab,bij->aij", back, moved, precision="highest")
    source = turned + middle[:, None, None]
    at_source = partial(map_coordinates, coordinates=list(source), order=1)
    return jax.vmap(at_source, in_axes=-1, out_axes=-1)(image)
