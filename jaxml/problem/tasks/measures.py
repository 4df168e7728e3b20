"""Measures of a workload beyond those that it comes with."""

from collections.abc import Callable
from typing import Any

from jaxml.types import Batch, Dataset, InputError, Objective, Params, Workload

__all__ = ["judged_on_both", "mean_loss"]


def mean_loss(workload: Workload) -> Objective:
    """`(params, batch)` ↦ a batch's mean loss, without the penalty: what `curvature`
    sees of a workload.
    """
    loss = workload.measures["train"]

    def objective(params: Params, batch: Batch) -> Any:
        return loss(params, Dataset(train=batch, test=batch))

    return objective


def judged_on_both(workload: Workload, name: str = "accuracy") -> Workload:
    """The workload with one held-out measure alone, taken of the training examples too.

    Its measures are then "training" and "held-out".

    Args:
        workload: such as `problem.digits_workload()`.
        name: of one of its measures, of held-out examples.

    Raises:
        InputError: no measure of that name.
    """
    if name not in workload.measures:
        raise InputError(
            f"The workload has no measure {name!r}: choose from "
            f"{', '.join(workload.measures)}."
        )
    held_out = workload.measures[name]
    return workload._replace(
        measures={"training": _on_training(held_out), "held-out": held_out}
    )


def _on_training(
    held_out: Callable[[Params, Dataset], Any],
) -> Callable[[Params, Dataset], Any]:
    """The same measure, given the training examples in place of the held-out ones."""

    def measure(params: Params, own: Dataset) -> Any:
        return held_out(params, own._replace(test=own.train))

    return measure
