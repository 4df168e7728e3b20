"""Workloads of models that keep a state, such as batch normalisation's statistics."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp

from jaxml.problem.losses import accuracy
from jaxml.problem.models.ghosts import in_ghosts
from jaxml.problem.objectives import Loss, objective, start, training_loss
from jaxml.types import Batch, Dataset, InputError, Model, Params, Workload

__all__ = ["normalised_workload"]

ACCURACY: Mapping[str, Loss] = {"accuracy": accuracy}


def normalised_workload(
    model: Model,
    loss: Loss,
    data: Batch,
    *,
    train: int,
    test: int,
    ghost: int | None = None,
    held_out: Mapping[str, Loss] = ACCURACY,
) -> Workload:
    """A workload whose model is measured in the state that the run's own training
    examples give, seen at once.

    What it measures so depends on the parameters and the examples alone, not on the
    batches of training: neither running averages nor ghosts enter, and averages of
    weights are measured by statistics of their own. Measures as `problem.workload`.
    Cost: a measurement applies the model to all training examples of the run first.

    Args:
        model: whose state, after one call in training, depends on that call's batch
            alone, as that of `problem.batch_normalised((32, 10), jax.nn.relu)` does.
        loss: of an example, in training and in both measures.
        data: all examples to draw from.
        train: how many train a unit.
        test: how many others judge it.
        ghost: examples of a ghost batch, over which training normalises; the whole
            batch when not given.
        held_out: further measures of the held-out examples, by name.

    Raises:
        InputError: a model that keeps no state; or as `problem.in_ghosts`.

    Source: Wu and Johnson 2021, arXiv:2105.07576, section 3, for statistics of all
        examples; Hoffer, Hubara and Soudry 2017, arXiv:1705.08741, for ghosts.
    """
    begin = start(model, data.inputs)
    _, shapes = jax.eval_shape(begin, jax.random.key(0))
    if not jax.tree.leaves(shapes):
        raise InputError(
            "The model keeps no state that training examples could give: take "
            "`problem.workload`."
        )

    def measured(params: Params, own: Dataset, measure: Loss, of: Batch) -> Any:
        before = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)
        inputs = own.train.inputs
        _, seen = model.apply(params, before, inputs, train=True, key=None)
        return objective(model, measure, state=seen)(params, of)

    def on_train(params: Params, own: Dataset) -> Any:
        return measured(params, own, loss, own.train)

    def on_test(measure: Loss) -> Callable[[Params, Dataset], Any]:
        return lambda params, own: measured(params, own, measure, own.test)

    trained = model if ghost is None else in_ghosts(model, ghost)
    named = {"test": loss, **held_out}
    tests = {name: on_test(measure) for name, measure in named.items()}
    return Workload(
        start=begin,
        loss=training_loss(trained, loss),
        data=data,
        train=train,
        test=test,
        measures={"train": on_train, **tests},
    )
