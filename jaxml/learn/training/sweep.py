"""A grid of hyperparameters and seeds as one compiled program, in chunks of lanes that
fit in memory.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxml import memory, parallel
from jaxml.learn.optimizers.evaluation import evaluation_params
from jaxml.learn.optimizers.hyper import validate
from jaxml.learn.training import gathering
from jaxml.learn.training.grid import require_precision, runs_of
from jaxml.learn.training.state import Trace, Training, TrainState
from jaxml.parallel import Program
from jaxml.types import InputError, Keep, Params, compute_now


class Runs(NamedTuple):
    """What a sweep leaves: NumPy arrays whose leading axis is the run, in the order of
    the grid.

    Attributes:
        hyper: the grid.
        params: the evaluation parameters at the end, or the last finite ones of a
            diverged run.
        model_state: likewise.
        diverged_at: `[run]`, the step at which a run diverged, or -1.
        trace: losses and gradient norms `[run, step]`, and what the probe observed.
    """

    hyper: Any
    params: Params
    model_state: Any
    diverged_at: np.ndarray
    trace: Trace


class Outputs(NamedTuple):
    """What a chunk of runs leaves, as in `Runs`."""

    params: Params
    model_state: Any
    diverged_at: Any
    trace: Trace


def sweep(
    training: Training,
    hypers: Any,
    *,
    lanes: int,
    devices: int | None = None,
    name: str = "runs",
    keep: Keep = compute_now,
) -> Runs:
    """Trains every run of a grid; one compilation, whatever the values in it.

    A chunk of `lanes` runs advances together under `vmap` on one device, and all
    devices work at once, of which a CPU has one a core: in chunks of 32 or fewer, 64
    runs occupy two. A grid that is no multiple is padded with copies of its last run,
    which are dropped. With `lanes` = 1 a chunk is one run: right for code with early
    stopping. On a CPU initialisation is mapped, not vmapped, which compiles several
    times faster. The number of lanes changes rounding, so it belongs in a Config; the
    number of devices changes no bit.

    Memory: a chunk at its peak on each device, and the outputs of all runs, which are
    gathered as the chunks end. Cores share the host's memory, so as many compute at
    once as fit in it.

    Args:
        training: the experiment. Parameters, model state and probe may be any pytrees.
        hypers: a grid, as `learn.grid` gives it.
        lanes: how many runs advance together on a device.
        devices: how many compute at once; all that there are when not given.
        name: of the stages that `keep` is given; each sweep of a study needs its own.
        keep: `(name, compute) -> value`, called once a chunk: where storage, resuming
            and progress hang. The value is a dict of plain arrays by their place in the
            outputs, whatever the pytrees.

    Raises:
        InputError: `lanes` or `devices` is not positive, there are fewer accelerators,
            `hypers` is no grid, a hyperparameter breaks its rule, a schedule outlasts
            the run, the grid is less precise than the parameters, a chunk does not fit
            in a device's memory (the sentence says how many runs do) or the gathered
            outputs in the host's, or `keep` returns a chunk of another program.
    """
    _checked(training, hypers)
    program = compiled(training, hypers, lanes=lanes, devices=devices)
    return run(program, training, hypers, name=name, keep=keep)


def run(
    program: Program,
    training: Training,
    hypers: Any,
    *,
    name: str = "runs",
    keep: Keep = compute_now,
) -> Runs:
    """Trains every run of a grid by a program that is compiled already, whatever grid
    that was for.

    Raises:
        InputError: as `sweep`.
    """
    total, width = _checked(training, hypers), program.width
    _require_room(program, total)
    gathered = gathering.empty(program.outputs, total)
    with parallel.computing(program, hypers, training.data, total) as outputs:
        for index, start in enumerate(range(0, total, width)):
            stop = min(start + width, total)
            stage = f"{name} {start}-{stop - 1}"
            chunk = keep(stage, partial(_plain, outputs, index))
            gathering.place(gathered, chunk, program.outputs, start, stage)
    return Runs(hypers, *gathering.restored(gathered, program.outputs))


def compiled(
    training: Training, hypers: Any, *, lanes: int, devices: int | None = None
) -> Program:
    """The program that runs a grid in chunks of `lanes`, as many at once as there are
    devices.

    Raises:
        InputError: `lanes` or `devices` is not positive, there are fewer accelerators,
            `hypers` is no grid or less precise than the parameters, or a chunk does not
            fit in a device's memory.
    """
    if lanes < 1:
        raise InputError(f"{lanes} lanes cannot advance together: choose 1 or more.")
    total = runs_of(hypers)
    width = min(lanes, total)

    def one(state: Any, data: Any) -> Outputs:
        state, trace = training.run(state, data)
        params = evaluation_params(state.opt_state, state.params)
        return Outputs(params, state.model_state, state.diverged_at, trace)

    def begin(hypers: Any) -> TrainState:
        return initialise(training.init, hypers)

    def chunk(states: TrainState, data: Any) -> Outputs:
        if width > 1:
            return jax.vmap(one, in_axes=(0, None))(states, data)
        alone = jax.tree.map(lambda leaf: leaf[0], states)
        return jax.tree.map(lambda leaf: leaf[None], one(alone, data))

    on_cpu = parallel.devices(devices)[0].platform == "cpu"
    initialise = jax.lax.map if on_cpu else _vmapped
    first = parallel.rows(hypers, np.arange(width))
    program = parallel.compiled(
        chunk,
        first,
        training.data,
        chunks=-(-total // width),
        limit=devices,
        purpose="A program",
        begin=begin,
    )
    require_precision(hypers, program.outputs.params)
    return program


def _vmapped(function: Callable[[Any], Any], runs: Any) -> Any:
    """The function of all runs at once."""
    return jax.vmap(function)(runs)


def _require_room(program: Program, total: int) -> None:
    """Refuses a sweep whose gathered outputs do not fit on the host beside the chunks
    that are computed.

    Each device computes a chunk, and the outputs of another may wait.
    """
    waiting = gathering.bytes_of(program.outputs, program.width)
    on_host = program.places[0].platform == "cpu"
    computed = program.bytes if on_host else waiting
    memory.require(
        len(program.places) * (computed + waiting)
        + gathering.bytes_of(program.outputs, total),
        f"A sweep of {total} runs, whose outputs are gathered,",
        "sweep fewer runs at a time, or record less",
        free=memory.host_bytes(),
    )


def _checked(training: Training, hypers: Any) -> int:
    """How many runs a grid has, if it makes sense, is read, and its schedules end
    within the run.
    """
    total = runs_of(hypers)
    validate(hypers)
    for field in ("horizon", "warmup"):
        length = np.max(getattr(hypers, field, 0))
        if length > training.steps:
            raise InputError(
                f"a {field} of {length:g} updates outlasts the run of "
                f"{training.steps}: shorten it, or train longer."
            )
    training.check(hypers)
    return total


def _plain(outputs: Callable[[int], Any], index: int) -> dict[str, np.ndarray]:
    """The outputs of a chunk as plain arrays by their place."""
    return gathering.plain(outputs(index))
