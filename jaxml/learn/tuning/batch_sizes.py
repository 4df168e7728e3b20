"""Batch sizes compared: a grid of runs of each, as one call.

Two ways lead there. One program a size computes each batch whole; one program for all
sizes accumulates the gradients of micro-batches.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxml import parallel
from jaxml.learn.optimizers.rates import Family
from jaxml.learn.training.accumulation import (
    Epochs,
    accumulated,
    updates_at,
    with_period,
)
from jaxml.learn.training.grid import joined, runs_of
from jaxml.learn.training.probes import evaluating, nothing
from jaxml.learn.training.state import Trace, Training, TrainState
from jaxml.learn.training.sweep import Runs, _checked, sweeping
from jaxml.learn.training.train import training
from jaxml.learn.tuning import batch_plan
from jaxml.learn.tuning.batch_plan import BatchSizes
from jaxml.types import Keep, Workload, compute_now

WHOLE = (
    "One program a batch size, for no `micro` was given: each batch is computed whole, "
    "and what a model computes over a batch sees all of it."
)
ACCUMULATED = (
    "One program for all batch sizes, for `micro` = {micro} was given: gradients of "
    "micro-batches are accumulated, and what a model computes over a batch, such as "
    "batch normalisation, sees {micro} examples."
)


class BatchSweep(NamedTuple):
    """What a sweep of batch sizes leaves.

    Attributes:
        runs: by size, with the runs in the order of that size's grid; traces are
            `[run, update]`, and the workload's measures `[run, evaluation]`.
        updates: by size `[evaluation]`, after how many updates each was made: at the
            end of each epoch and of the run; none of a workload without measures.
        way: a sentence, which of the two ways was taken and why.
    """

    runs: dict[int, Runs]
    updates: dict[int, np.ndarray]
    way: str


def batch_sweep(
    workload: Workload,
    family: Family,
    plan: BatchSizes,
    hypers: Any,
    *,
    lanes: int,
    name: str = "batch",
    keep: Keep = compute_now,
) -> BatchSweep:
    """Every batch size at every point of a grid, each run on examples of its own.

    Without `plan.micro` each size is a program of its own, with its exact shapes, and
    all compile at once in the background, on as many cores. With it the sizes are runs
    of one program, which adds up the gradients of micro-batches, each weighted by its
    examples' weights, until a batch is complete or the epoch ends. Both make the same
    updates up to rounding, of a model that computes nothing over a batch and draws
    nothing. A seed has the same initial weights, split and order at all sizes, so
    differences are paired. A run that diverges is a result.

    Cost: of a size one gradient an update, and one compilation a size; or, accumulated,
    one compilation, and for every micro-batch a gradient and an optimizer's update: the
    work of the smallest size, `micro`, for all. That pays where compiling outweighs
    running, or where the model is normalised over micro-batches.
    Memory: as `sweep`, of each size in turn; accumulated, of all runs at once, with
    traces of one entry a micro-batch until they are sorted.

    Args:
        workload: such as `problem.digits_workload()`.
        family: `(hyper, shape) -> GradientTransformation`, or
            `hyper -> GradientTransformation`.
        plan: sizes and lengths.
        hypers: a grid for all sizes, as `learn.grid` gives it, or `size -> grid`, for
            rates that are scaled or tuned with the size.
        lanes: how many runs advance together on a device.
        name: of the stages that `keep` is given; each batch sweep of a study needs its
            own.
        keep: `(name, compute) -> value`, called once a chunk.

    Raises:
        InputError: no sizes, one twice, below 1 or above the training examples of a
            run; lengths below 1; a size that is no multiple of `micro`; `updates`
            together with `micro`, or an optimizer that then asks for the loss as a
            function; grids of several kinds with `micro`; or as `sweep`.
    """
    plan = batch_plan.checked(plan, workload.train)
    grids = {size: hypers(size) if callable(hypers) else hypers for size in plan.sizes}
    trainings = {size: _whole(workload, family, plan, size) for size in plan.sizes}
    for size in plan.sizes:
        _checked(trainings[size], grids[size])
    evaluated = {
        size: batch_plan.evaluations(workload, plan, size) for size in plan.sizes
    }
    if plan.micro is not None:
        runs = _accumulating(workload, family, plan, grids, lanes)(name, keep)
        return BatchSweep(runs, evaluated, ACCUMULATED.format(micro=plan.micro))
    waited_for = {
        size: sweeping(trainings[size], grids[size], lanes=lanes) for size in plan.sizes
    }
    runs = {size: swept(f"{name} {size}", keep) for size, swept in waited_for.items()}
    return BatchSweep(runs, evaluated, WHOLE)


def _whole(workload: Workload, family: Family, plan: BatchSizes, size: int) -> Training:
    """Training of one size by whole batches, evaluated as epochs and the run end."""
    probe = evaluating(workload.measures) if workload.measures else nothing
    of_length = partial(
        training,
        workload.start,
        workload.loss,
        family,
        batch_plan.stream(workload, plan, size),
        probe=probe,
    )
    total, each = batch_plan.updates(workload, plan, size)
    if not workload.measures:
        return of_length(steps=total)
    in_epochs = total // each * each
    if in_epochs in (0, total):
        return of_length(steps=total, every=min(each, total))
    head = of_length(steps=in_epochs, every=each)
    return _followed(head, of_length(steps=total - in_epochs))


def _followed(head: Training, tail: Training) -> Training:
    """One run after the other as one."""

    def run(state: TrainState, data: Any) -> tuple[TrainState, Trace]:
        state, earlier = head.run(state, data)
        state, later = tail.run(state, data)
        trace = jax.tree.map(lambda *parts: jnp.concatenate(parts), earlier, later)
        return state, trace

    return head._replace(run=run, steps=head.steps + tail.steps)


def _accumulating(
    workload: Workload,
    family: Family,
    plan: BatchSizes,
    grids: dict[int, Any],
    lanes: int,
) -> Callable[[str, Keep], dict[int, Runs]]:
    """All sizes as runs of one program, size after size."""
    micro = plan.micro or 1
    stream = batch_plan.stream(workload, plan, micro)
    experiment = accumulated(
        workload.start,
        workload.loss,
        family,
        stream,
        epochs=Epochs(plan.epochs, plan.drop_remainder),
        probe=evaluating(workload.measures) if workload.measures else nothing,
    )
    hypers, sizes = _with_sizes(grids, micro)
    swept = sweeping(experiment, hypers, lanes=lanes)

    def by_size(name: str, keep: Keep) -> dict[int, Runs]:
        runs, found = swept(name, keep), {}
        for size, grid in grids.items():
            within = updates_at(
                stream.per_epoch, size // micro, drop_remainder=plan.drop_remainder
            )
            begins = np.arange(plan.epochs)[:, None] * stream.per_epoch
            of_size = parallel.rows(runs, np.flatnonzero(sizes == size))
            found[size] = _of_updates(of_size, grid, np.ravel(begins + within[None]))
        return found

    return by_size


def _of_updates(runs: Runs, grid: Any, places: np.ndarray) -> Runs:
    """Runs whose traces have an entry an update in place of one a micro-batch."""
    losses, norms = runs.trace.loss[:, places], runs.trace.gradient_norm[:, places]
    trace = runs.trace._replace(loss=losses, gradient_norm=norms)
    return runs._replace(hyper=grid, trace=trace)


def _with_sizes(grids: dict[int, Any], micro: int) -> tuple[Any, np.ndarray]:
    """The grids of all sizes as one, with the micro-batches of an update; and the size
    of each run.
    """
    counts = [runs_of(grid) for grid in grids.values()]
    sizes = np.repeat(np.array(list(grids), np.int32), counts)
    together = joined(list(grids.values()))
    return with_period(together, sizes // np.int32(micro)), sizes
