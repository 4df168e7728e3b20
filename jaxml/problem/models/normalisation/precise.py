"""Losses of batch-normalised networks by the statistics of all their examples."""

from typing import Any

import jax

from jaxml.problem.models.normalisation.several import with_precise_statistics
from jaxml.problem.objectives import Loss, objective
from jaxml.types import Batch, Model, Objective, Params, Scalar

__all__ = ["precise_objective"]


def precise_objective(
    model: Model, loss: Loss, state: Any, examples: Batch
) -> Objective:
    """Σᵢ wᵢ loss(f(xᵢ), yᵢ) / Σᵢ wᵢ in evaluation mode, where batch normalisation takes
    mean and variance of all the examples as one batch, in place of running averages.

    The statistics are those at the parameters of the call, and can be differentiated
    with respect to them. Cost: each call also passes the examples through the model
    once, in the memory of one batch of them.

    Args:
        model: with `batch_norm` layers.
        loss: of an example, such as `accuracy`.
        state: of the model; only its running statistics are replaced.
        examples: `[n, ...]`, such as all that train; one of weight 0 does not count.
            The batch of a call may be another.

    Raises:
        InputError: at a call, a state of no `batch_norm`.
    """
    one_batch = jax.tree.map(lambda field: field[None], examples)

    def evaluate(params: Params, batch: Batch) -> Scalar:
        exact = with_precise_statistics(model, params, state, one_batch)
        return objective(model, loss, state=exact)(params, batch)

    return evaluate
