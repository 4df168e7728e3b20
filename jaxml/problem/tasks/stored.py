"""Networks that a study has stored, as another takes them up again."""

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from jaxml.types import Array, Params, Workload

__all__ = ["in_float64", "stored_networks"]


def in_float64(values: Any) -> Any:
    """A pytree whose float32 arrays are float64; all others are as they were.

    >>> in_float64([np.float32([1.0]), np.int32([1])])[0].dtype
    dtype('float64')
    """

    def cast(leaf: np.ndarray) -> np.ndarray:
        return leaf.astype(np.float64) if leaf.dtype == np.float32 else leaf

    return jax.tree.map(cast, values)


def stored_networks(
    workload: Workload, leaves: Sequence[Array], *, axes: int
) -> Params:
    """The parameters of many networks from their leaves, in the order of the pytree.

    Args:
        workload: whose networks they are.
        leaves: one array for each leaf, with `axes` leading axes over networks.
        axes: how many; they become one, in C order.
    """
    structure = jax.tree.structure(jax.eval_shape(workload.start, jax.random.key(0))[0])
    flat = [np.reshape(leaf, (-1, *leaf.shape[axes:])) for leaf in leaves]
    return jax.tree.unflatten(structure, flat)
