"""Workloads that are judged on the examples that train them too."""

from typing import Any

from jaxml.types import Dataset, InputError, Params, Workload

__all__ = ["judged_twice"]


def judged_twice(workload: Workload, measure: str = "accuracy") -> Workload:
    """The workload with two measures alone: "training" and "held-out", the same one on
    both parts of a run's examples.

    Args:
        workload: such as `problem.digits_workload()`.
        measure: the name of one of its measures, of the held-out examples.

    Raises:
        InputError: it has no such measure.
    """
    if measure not in workload.measures:
        raise InputError(
            f"The workload has no measure {measure!r}: choose from "
            f"{', '.join(workload.measures)}."
        )
    held_out = workload.measures[measure]

    def training(params: Params, own: Dataset) -> Any:
        return held_out(params, own._replace(test=own.train))

    return workload._replace(measures={"training": training, "held-out": held_out})
