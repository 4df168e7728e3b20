"""The spatial transformer: a layer that moves, turns and scales its pictures itself."""

from typing import Any

import jax
import jax.numpy as jnp
from jax.scipy.ndimage import map_coordinates
from jaxtyping import Float

from jaxml.problem.models.chain import chain, elementwise
from jaxml.problem.models.convolutions.windows import require_pictures
from jaxml.types import Array, Key, Model, Params

__all__ = ["spatial_transformer", "transformed"]


def spatial_transformer(localisation: Model) -> Model:
    """x sampled where A x' + t of each pixel x' lies, with A and t = I, 0 + W f(x) + c.

    f is the localisation, any network from the pictures to values `[n, ...]`, and W and
    c, six outputs that start at 0, so that the layer starts as the identity; its
    gradient reaches f from the second update on. Coordinates run from -1 to 1 over rows
    and over columns. Parameters are `localisation`, `kernel` and `bias`; the state is
    the localisation's.

    Raises:
        InputError: at a call, inputs that are no pictures.

    Source: Jaderberg et al. 2015, arXiv:1506.02025, equations 1 and 5.
    """
    features = chain(localisation, elementwise(_flattened))

    def init(key: Key, inputs: Array) -> tuple[Params, Any]:
        require_pictures(inputs)
        params, state = features.init(key, inputs)

        def made(own: tuple[Params, Any], inputs: Array) -> jax.Array:
            return features.apply(*own, inputs, train=False, key=None)[0]

        found = jax.eval_shape(made, (params, state), inputs)
        zeros = {
            "kernel": jnp.zeros((found.shape[1], 6), inputs.dtype),
            "bias": jnp.zeros(6, inputs.dtype),
        }
        return {"localisation": params, **zeros}, state

    def apply(
        params: Params,
        state: Any,
        inputs: Array,
        *,
        train: bool,
        key: Key | None,
        mask: Array | None = None,
    ) -> tuple[jax.Array, Any]:
        require_pictures(inputs)
        present = {} if mask is None else {"mask": mask}
        found, state = features.apply(
            params["localisation"], state, inputs, train=train, key=key, **present
        )
        moved = found @ params["kernel"] + params["bias"][None]
        return transformed(inputs, moved.reshape(-1, 2, 3)), state

    return Model(init, apply)


def transformed(
    pictures: Float[Array, "n height width channels"],
    moved: Float[Array, "n 2 3"],
) -> Float[jax.Array, "n height width channels"]:
    """Σ_{y,x} U[y, x] max(0, 1 - |p - x|) max(0, 1 - |q - y|): the picture at
    (p, q) = (I + M) (column, row, 1), zero outside.

    `moved` is M: the first row moves columns, the second rows, by fractions of half the
    picture. Positions are computed as a pixel's own and the move, so that no move gives
    the picture back exactly. At a pixel's centre the derivative in M is that to the
    next pixel.

    Source: Jaderberg et al. 2015, arXiv:1506.02025, equations 1 and 5.
    """
    values, moves = jnp.asarray(pictures), jnp.asarray(moved)
    height, width = values.shape[1:3]
    rows, columns = jnp.meshgrid(
        jnp.arange(height, dtype=values.dtype),
        jnp.arange(width, dtype=values.dtype),
        indexing="ij",
    )
    half_height, half_width = (height - 1) / 2, (width - 1) / 2
    down = rows / max(half_height, 0.5) - 1
    across = columns / max(half_width, 0.5) - 1
    grid = jnp.stack([across, down, jnp.ones_like(down)])

    def sampled(picture: jax.Array, move: jax.Array) -> jax.Array:
        sideways, downwards = jnp.einsum("ab,bij->aij", move, grid)
        places = [rows + half_height * downwards, columns + half_width * sideways]

        def channel(plane: jax.Array) -> jax.Array:
            return map_coordinates(plane, places, order=1, mode="constant")

        return jax.vmap(channel, in_axes=-1, out_axes=-1)(picture)

    return jax.vmap(sampled)(values, moves)


def _flattened(values: jax.Array) -> jax.Array:
    return values.reshape(values.shape[0], -1)
