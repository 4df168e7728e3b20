"""What a diagnosis is asked: models by size, a budget, and the losses that matter."""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxml import tree
from jaxml.types import Batch, InputError, Params, Workload

DECADES = (1e-3, 1e-2, 1e-1, 1.0, 1e1, 1e2, 1e3)
"""Factors of the learning rate: a diagnosis must find one that works, however far."""


class Models(NamedTuple):
    """A family of models in which a larger one contains the smaller.

    Attributes:
        sized: `size -> Workload`, a model and what it is trained on; the data, and how
            many examples train and are held out, are the same for all sizes.
        sizes: a simpler model, the one that is diagnosed, and a larger or deeper one.
        embed: `(params of the simpler, params of the diagnosed) -> params` of the
            diagnosed, which then computes what the simpler one does; optional.
    """

    sized: Callable[[int], Workload]
    sizes: tuple[int, int, int]
    embed: Callable[[Params, Params], Params] | None = None


class Budget(NamedTuple):
    """What a diagnosis may spend: `(3 · len(factors) + 2) · seeds` runs of
    `longer · updates` updates.

    Attributes:
        updates: of the training that is diagnosed.
        batch: examples an update.
        seeds: of independent units: initial weights, order, and which examples are held
            out.
        longer: how many times as long a training may get better, at its own schedule.
        factors: of the learning rate at which every model is trained; 1 among them.
        lanes: runs that advance together on a device.
    """

    updates: int
    batch: int
    seeds: int = 6
    longer: int = 4
    factors: Sequence[float] = DECADES
    lanes: int = 21


class Goal(NamedTuple):
    """Which losses matter.

    Attributes:
        loss: the mean loss of test examples that would content the user.
        margin: the smallest difference of mean losses that would matter; a quarter of
            the goal when not given.
    """

    loss: float
    margin: float | None = None


def margin(goal: Goal) -> float:
    """The smallest difference that matters.

    >>> margin(Goal(0.4)), margin(Goal(0.4, 0.3))
    (0.1, 0.3)
    """
    return goal.loss / 4 if goal.margin is None else goal.margin


def require_budget(budget: Budget, goal: Goal) -> None:
    """Refuses what cannot be spent, and a goal that is none.

    Raises:
        InputError: counts that are not positive, one seed, factors without 1 or not
            positive, or a goal or margin that is not finite and positive.
    """
    counts = (budget.updates, budget.batch, budget.longer, budget.lanes)
    if min(counts) < 1 or budget.seeds < 2:
        raise InputError(
            f"{budget} cannot be spent: use positive counts, and two seeds or more."
        )
    factors = np.asarray(budget.factors)
    if factors.size < 1 or np.min(factors) <= 0 or 1.0 not in factors:
        raise InputError(
            f"The factors {tuple(budget.factors)} of the learning rate do not hold the "
            "training that is diagnosed: use positive ones, and 1 among them."
        )
    smallest = margin(goal)
    if not (math.isfinite(goal.loss) and math.isfinite(smallest) and smallest > 0):
        raise InputError(
            f"A goal of {goal.loss} with a margin of {smallest} decides nothing: give "
            "a finite loss, and a positive margin."
        )


def require_hyper(hyper: Any) -> None:
    """Refuses hyperparameters that name no rate to change or no seed to move.

    Raises:
        InputError: `hyper` has no field `lr` or no field `seed`.
    """
    fields = getattr(hyper, "_fields", ())
    if "lr" not in fields or "seed" not in fields:
        raise InputError(
            f"{type(hyper).__name__} has no lr and seed, which a diagnosis varies: "
            "give a NamedTuple with both, such as `learn.Hyper(lr=0.01)`."
        )


def require_sizes(models: Models) -> tuple[Workload, Workload, Workload]:
    """The workloads of the three sizes, if they grow.

    Raises:
        InputError: not three sizes, a simpler model with more parameters than the
            diagnosed one, or a larger one with no more.
    """
    if len(models.sizes) != 3:
        raise InputError(
            f"{len(models.sizes)} sizes were given: name a simpler, the diagnosed and "
            "a larger one."
        )
    simpler, diagnosed, larger = (models.sized(size) for size in models.sizes)
    counts = [_parameters(each) for each in (simpler, diagnosed, larger)]
    if not counts[0] <= counts[1] < counts[2]:
        raise InputError(
            f"The sizes {models.sizes} have {counts} parameters: give a simpler model "
            "that has no more than the diagnosed one, and a larger one that has more."
        )
    return simpler, diagnosed, larger


def _parameters(workload: Workload) -> int:
    return tree.size(jax.eval_shape(workload.start, jax.random.key(0))[0])


def require_data(workload: Workload, test: Batch) -> None:
    """Refuses targets without differences, and test rows that are trained on.

    Raises:
        InputError: all targets are equal, inputs of another shape, or rows that both
            sets share (the sentence says how many).
    """
    targets = np.asarray(workload.data.targets)
    if np.all(targets == targets[:1]):
        raise InputError(
            "All targets are equal, so there is nothing to learn: give data whose "
            "targets differ."
        )
    ours, theirs = np.asarray(workload.data.inputs), np.asarray(test.inputs)
    if ours.shape[1:] != theirs.shape[1:]:
        raise InputError(
            f"Inputs have the shape {ours.shape[1:]} and those of the test set "
            f"{theirs.shape[1:]}: give both alike."
        )
    known = set(_rows(workload.data))
    shared = sum(row in known for row in _rows(test))
    if shared:
        raise InputError(
            f"{shared} of {len(test.weights)} test rows are training rows as well: "
            "leave them out of one of the two."
        )


def _rows(batch: Batch) -> list[bytes]:
    """Each example as bytes."""
    inputs, targets = np.asarray(batch.inputs), np.asarray(batch.targets)
    rows = zip(inputs, targets, strict=True)
    return [values.tobytes() + target.tobytes() for values, target in rows]
