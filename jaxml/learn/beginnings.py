"""Runs that begin where one says, such as at the solution of another network."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxml import parallel
from jaxml.learn.optimizers.hyper import validate
from jaxml.learn.training.grid import runs_of
from jaxml.learn.training.state import Training
from jaxml.types import Array, InputError, Params

__all__ = ["Ended", "begun_at"]

Begin = Callable[[Any, Any], tuple[Params, Any]]
"""`(hyper, given) -> (params, model_state)`, traced with the run."""


class Ended(NamedTuple):
    """What runs leave, each field with a leading axis of runs.

    Attributes:
        seen: what the probe saw last.
        loss: `[run, update]`, as in `Trace`.
        diverged_at: `[run]`, or -1.
        params: the last ones, or the last finite ones of a run that diverged.
    """

    seen: Any
    loss: Array
    diverged_at: Array
    params: Params


def begun_at(
    training: Training, begin: Begin, hypers: Any, given: Any, *, lanes: int
) -> Callable[[Any, Any], Ended]:
    """θ₀ = begin(hyper, given), then as `sweep`, whose runs all begin at their start.

    What is returned, `(hypers, given) -> Ended`, is compiled once and may be called
    with other grids and other arrays of the same shapes. So a solution that one call
    found can be where the next begins, and a field of the grid may say which network,
    activation or initial scale a run has. Fields that neither optimizer nor `begin`
    reads are not refused.

    Args:
        training: the experiment; its `start` is not used.
        begin: parameters and model state of a run.
        hypers: a grid, as `learn.grid` gives it.
        given: arrays that `begin` is given, with no axis of runs.
        lanes: how many runs advance together on a device.

    Raises:
        InputError: `lanes` is not positive, or as `validate` says of the grid.
    """
    total = runs_of(validate(hypers))
    if lanes < 1:
        raise InputError(f"{lanes} lanes advance no run: give 1 or more.")

    def one(shared: Any, hyper: Any) -> Ended:
        own, data = shared
        state, trace = training.run(training.init(hyper, *begin(hyper, own)), data)
        seen = jax.tree.map(lambda leaf: leaf[-1], trace.probed)
        return Ended(seen, trace.loss, state.diverged_at, state.params)

    def chunk(runs: Any, shared: Any) -> Ended:
        return jax.vmap(partial(one, shared))(runs)

    first = parallel.rows(hypers, np.arange(lanes) % total)
    shared = (given, training.data)
    chunks = -(-total // lanes)
    program = parallel.compiled(chunk, first, shared, chunks=chunks)

    def execute(hypers: Any, given: Any) -> Ended:
        return parallel.gathered(program, validate(hypers), (given, training.data))

    return execute
