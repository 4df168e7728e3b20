"""A training loss whose batch is divided over devices: one all-reduce an update."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxml import mesh, tree
from jaxml.mesh import EVERYWHERE, EXAMPLES
from jaxml.types import Batch, Key, Params, Scalar, TrainingLoss


def data_parallel(loss: TrainingLoss, devices: int | None = None) -> TrainingLoss:
    """Σₛ wₛ lossₛ / Σₛ wₛ over devices s, where lossₛ is the loss on the part of the
    batch that device s is given, and wₛ the part's total weight.

    For a loss that is a weighted mean over the batch, plus a penalty of the parameters,
    this is the loss of the whole batch up to rounding, and so is its gradient. Both are
    computed at once and, with the model's next state, summed by one all-reduce: it is
    the only communication of an update, for parameters, optimizer and data are held by
    every device. A batch that is no multiple of the devices is padded.

    What is not as on one device: what the model computes over a batch, such as
    BatchNorm's statistics, is of each part alone (ghost batches), and its next state is
    averaged with the weights wₛ, but for integers, which must be the same everywhere.
    The loss on device s is given `fold_in(key, s)`, so that examples on
    different devices meet different dropout masks.

    Use it under `jax.jit`, as in `jax.jit(training.run)`; runs side by side, each over
    several devices, are `learn.grouped_sweep`. It can be differentiated once, with
    respect to the parameters.

    Args:
        loss: `(params, model_state, batch, key) -> (loss, model_state)`.
        devices: how many, of all machines; all when not given. Within
            `learn.grouped_sweep` the group decides.

    Raises:
        InputError: JAX has fewer devices, or the batch is no `Batch`.
    """

    def whole(params: Params, state: Any, batch: Any, key: Key) -> tuple[Scalar, Any]:
        over = mesh.current(devices)
        parts = over.shape[EXAMPLES]
        batch = mesh.whole_parts(batch, over)
        summed = jax.shard_map(
            partial(_summed, loss, parts),
            mesh=over,
            in_specs=EVERYWHERE,
            out_specs=EVERYWHERE,
            check_vma=False,
        )
        return _with_gradient(lambda point: summed(point, state, batch, key))(params)

    return whole


def _summed(
    loss: TrainingLoss, parts: int, params: Params, state: Any, batch: Batch, key: Key
) -> tuple[tuple[Scalar, Any], Params]:
    """Loss, next state and gradient of all parts, on the device of one of them."""
    index = jax.lax.axis_index(EXAMPLES)
    own = mesh.part(batch, index, parts)
    value_and_grad = jax.value_and_grad(loss, has_aux=True)
    found = value_and_grad(params, state, own, jax.random.fold_in(key, index))
    numbers = jax.tree.map(lambda leaf: leaf if _floating(leaf) else None, found)
    means = _means(numbers, jnp.sum(own.weights))
    return jax.tree.map(
        lambda mean, leaf: leaf if mean is None else mean,
        means,
        found,
        is_leaf=lambda leaf: leaf is None,
    )


def _means(numbers: Any, weight: jax.Array) -> Any:
    """Each number's mean over the devices by the weight of their parts: one all-reduce
    of one vector, in the widest dtype. A part without weight counts for nothing,
    whatever its values.
    """
    dtypes = [leaf.dtype for leaf in jax.tree.leaves(numbers)]
    widest = np.result_type(np.float32, *dtypes)
    wide = jax.tree.map(lambda leaf: leaf.astype(widest), numbers)
    vector, unravel = tree.ravel(wide)
    weight = weight.astype(widest)
    weighted = jnp.where(weight > 0, weight * vector, jnp.zeros_like(vector))
    total = jax.lax.psum(jnp.append(weighted, weight), EXAMPLES)
    means = unravel(total[:-1] / total[-1])
    return jax.tree.map(lambda mean, leaf: mean.astype(leaf.dtype), means, numbers)


def _floating(leaf: jax.Array) -> bool:
    return jnp.issubdtype(leaf.dtype, jnp.floating)


def _with_gradient(
    function: Callable[[Params], tuple[tuple[Scalar, Any], Params]],
) -> Callable[[Params], tuple[Scalar, Any]]:
    """A function of the parameters whose gradient comes with its value, as
    `((value, auxiliary), gradient)`.
    """

    @jax.custom_vjp
    def value(params: Params) -> tuple[Scalar, Any]:
        return function(params)[0]

    def forward(params: Params) -> tuple[tuple[Scalar, Any], Params]:
        return function(params)

    def backward(gradient: Params, cotangents: tuple[Scalar, Any]) -> tuple[Params]:
        scale, _ = cotangents
        return (jax.tree.map(lambda leaf: leaf * scale.astype(leaf.dtype), gradient),)

    value.defvjp(forward, backward)
    return value
