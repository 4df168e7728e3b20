"""What makes networks overfit, and networks that share weights against it."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from jaxml import tree
from jaxml.problem.models.dense import linear
from jaxml.types import Array, Batch, InputError, Key, Model, Params

__all__ = ["other_signs", "patch_network", "relabelled"]


def relabelled(batch: Batch, fraction: ArrayLike, *, classes: int, key: Key) -> Batch:
    """Each label drawn anew among all classes with this probability.

    A network that fits them all has learned some by heart: in the mean a fraction of
    (1 - 1/classes) of those drawn anew are wrong.

    Args:
        batch: with integer labels.
        fraction: the probability, perhaps traced.
        classes: how many.
        key: of the draws.

    Source: Zhang et al. 2017, arXiv:1611.03530.

    >>> batch = Batch(jnp.ones((3, 1)), jnp.arange(3), jnp.ones(3))
    >>> relabelled(batch, 0.0, classes=3, key=jax.random.key(0)).targets.tolist()
    [0, 1, 2]
    """
    which, what = jax.random.split(key)
    shape = batch.targets.shape
    anew = jax.random.uniform(which, shape) < fraction
    labels = jax.random.randint(what, shape, 0, classes, batch.targets.dtype)
    return batch._replace(targets=jnp.where(anew, labels, batch.targets))


def other_signs(params: Params, number: ArrayLike) -> Params:
    """Initial parameters with signs drawn anew by a number, those given at number 0.

    Kernels are as probable with any signs, so that each number is another start, at
    the cost of random bits alone.

    >>> other_signs({"w": jnp.array([1.0, 2.0])}, 0)["w"].tolist()
    [1.0, 2.0]
    """
    number = jnp.asarray(number).astype(jnp.int32)
    vector, unravel = tree.ravel(params)
    key = jax.random.key(number)
    signs = jax.random.rademacher(key, vector.shape, vector.dtype)
    return unravel(jnp.where(number > 0, signs * vector, vector))


def patch_network(
    kinds: int, classes: int, *, side: int, patch: int = 3, used: ArrayLike
) -> Model:
    """Hidden ReLUs that look at patches of a picture, with the same weights in all
    places, and a dense layer above: a convolution without padding or pool.

    Its first layer has (patch² + 1) kinds parameters whatever the picture.

    Args:
        kinds: of units, each in (side - patch + 1)² places.
        classes: outputs.
        side: of the pictures, given as rows of side² numbers.
        patch: pixels on a side of what a unit sees.
        used: how many kinds are, perhaps traced; the others' output is 0.

    Raises:
        InputError: patches that are larger than the pictures.
    """
    if not 1 <= patch <= side:
        raise InputError(
            f"Patches of {patch} pixels do not fit into {side}: give at most {side}."
        )
    pixels = np.arange(side**2).reshape(side, side)
    seen = np.lib.stride_tricks.sliding_window_view(pixels, (patch, patch))
    places = seen.reshape(-1, patch**2)
    units, logits = linear(kinds), linear(classes)

    def init(key: Key, inputs: Array) -> tuple[Params, Any]:
        first, last = jax.random.split(key)
        below, _ = units.init(first, jnp.zeros((1, patch**2), inputs.dtype))
        hidden = jnp.zeros((1, len(places) * kinds), inputs.dtype)
        above, _ = logits.init(last, hidden)
        return {"units": below, "logits": above}, {}

    def apply(
        params: Params, state: Any, inputs: Array, *, train: bool, key: Key | None
    ) -> tuple[jax.Array, Any]:
        patches = jnp.asarray(inputs)[:, places].reshape(-1, patch**2)
        sums, _ = units.apply(params["units"], {}, patches, train=train, key=key)
        on = (jnp.arange(kinds) < used).astype(sums.dtype)
        hidden = jax.nn.relu(sums * on[None]).reshape(len(inputs), -1)
        return logits.apply(params["logits"], state, hidden, train=train, key=key)

    return Model(init, apply)
