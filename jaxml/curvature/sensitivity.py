"""How strongly the loss of an example depends on its input."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxml import tree
from jaxml.curvature.programs import run
from jaxml.curvature.space import check_leaves
from jaxml.types import Batch, InputError, Objective, Params, Scalar


def input_sensitivity(
    objective: Objective, params: Params, batch: Batch, *, chunk: int = 64
) -> Scalar:
    """Σᵢ wᵢ ‖∂Lᵢ/∂xᵢ‖_F / Σᵢ wᵢ, Lᵢ the loss of example i as a batch of its own.

    Cost: one gradient of every example, `chunk` at a time. Examples of weight 0 are
    padding, and do not count.

    Args:
        objective: `(params, batch) -> scalar`.
        params: the point, a pytree.
        batch: examples with floating-point inputs.
        chunk: examples at once.

    Raises:
        InputError: inputs of whole numbers, a chunk below 1, or parameters that are no
            floating-point arrays.

    Source: Novak et al. 2018, arXiv:1802.08760, section 3, of the loss in place of the
    outputs.

    >>> pull = lambda w, batch: jnp.mean(batch.inputs @ w)
    >>> examples = Batch(jnp.ones((5, 2)), jnp.zeros(5), jnp.ones(5))
    >>> float(input_sensitivity(pull, jnp.array([3.0, 4.0]), examples))
    5.0
    """
    check_leaves(params)
    kind = jnp.result_type(batch.inputs)
    if not jnp.issubdtype(kind, jnp.floating):
        raise InputError(
            f"Inputs of {kind} have no derivative: give floating-point inputs, such as "
            "the embedded tokens."
        )
    if chunk < 1:
        raise InputError(f"A chunk of {chunk} examples is none: take 1 or more.")
    chunk = min(chunk, np.shape(batch.inputs)[0])
    return run(_sensitivity, (objective, chunk), params, batch)


def _sensitivity(
    objective: Objective, chunk: int, params: Params, batch: Any
) -> Scalar:
    def norm(example: Batch) -> Scalar:
        alone = jax.tree.map(lambda leaf: leaf[None], example)

        def loss(inputs: jax.Array) -> Scalar:
            counted = jnp.ones_like(alone.weights)
            return objective(params, alone._replace(inputs=inputs, weights=counted))

        return tree.norm(jax.grad(loss)(alone.inputs))

    with jax.default_matmul_precision("highest"):
        norms = jax.lax.map(norm, batch, batch_size=chunk)
        weights = jnp.asarray(batch.weights, norms.dtype)
        counted = jnp.where(weights > 0, norms, 0)
        return tree.vdot(weights, counted) / jnp.sum(weights)
