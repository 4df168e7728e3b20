"""An objective whose examples are divided over devices."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from jaxml import mesh, tree
from jaxml.mesh import DIVIDED, EVERYWHERE
from jaxml.types import Batch, Objective, Params, Scalar


def data_parallel(objective: Objective, devices: int | None = None) -> Objective:
    """Σₛ wₛ objectiveₛ / Σₛ wₛ over devices s, where objectiveₛ is the objective on the
    examples of device s, and wₛ their total weight.

    For a weighted mean over the batch plus a penalty of the parameters, this is the
    objective of the whole batch up to rounding, to any derivative: gradients, Hessian
    and Gauss-Newton products, spectra and searches take it as it is, under `jit` or by
    `curvature.hessian_product`. What is kept between products is divided as the
    examples are. A gradient and a product need one all-reduce of one vector each; what
    all examples weigh together is another, of two numbers.

    Batches from `jaxml.mesh.divided` lie in the memory of their devices alone; others
    are divided when they are used.

    Args:
        objective: `(params, batch) -> scalar`.
        devices: how many, of all machines; all when not given.

    Raises:
        InputError: JAX has fewer devices; at a call, the batch is no `Batch`.
    """

    def whole(params: Params, batch: Any) -> Scalar:
        over = mesh.current(devices)
        batch = mesh.whole_parts(batch, over)
        flat, unravel = tree.ravel(params)
        parts = jax.shard_map(
            partial(_of_part, objective, unravel),
            mesh=over,
            in_specs=(EVERYWHERE, DIVIDED),
            out_specs=DIVIDED,
            check_vma=False,
        )(flat, batch)
        weighted, weights = jnp.sum(parts, axis=0)
        return weighted / weights

    return whole


def _of_part(
    objective: Objective, unravel: Any, flat: jax.Array, own: Batch
) -> jax.Array:
    """`[1, 2]`: the objective on a part times the part's weight, and that weight.

    A part without weight is computed with weights of one, whose derivatives are finite,
    and counts for nothing.
    """
    weight = jnp.sum(own.weights)
    empty = weight <= 0
    counted = jnp.where(empty, jnp.ones_like(own.weights), own.weights)
    value = objective(unravel(flat), own._replace(weights=counted))
    return jnp.stack([weight.astype(value.dtype) * value, weight.astype(value.dtype)])[
        None
    ]
