"""A grid of hyperparameters and seeds as one compiled program, in chunks of lanes that fit in memory."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxml import memory
from jaxml.learn import gathering
from jaxml.learn.grid import lanes_of, require_precision
from jaxml.learn.hyper import validate
from jaxml.learn.optimizers import evaluation_params
from jaxml.learn.train import Trace, Training
from jaxml.types import InputError, Params


class Runs(NamedTuple):
    """What a sweep leaves: NumPy arrays whose leading axis is the lane, in the order of the grid.

    Attributes:
        hyper: the grid.
        params: the evaluation parameters at the end, or the last finite ones of a diverged lane.
        model_state: likewise.
        diverged_at: `[lanes]`, the step at which a lane diverged, or -1.
        trace: losses and gradient norms `[lanes, steps]`, and what the probe observed.
    """

    hyper: Any
    params: Params
    model_state: Any
    diverged_at: np.ndarray
    trace: Trace


class Program(NamedTuple):
    """A compiled sweep: `(hypers, data) -> outputs` of exactly `width` lanes."""

    run: Any
    width: int


def sweep(
    training: Training,
    hypers: Any,
    *,
    lanes: int,
    name: str = "lanes",
    keep: Callable[[str, Callable[[], Any]], Any] = lambda name, compute: compute(),
) -> Runs:
    """Runs every lane of a grid; one compilation, whatever the values in it.

    With `lanes` > 1 so many runs advance together under `vmap`, and a grid that is no multiple is
    padded with copies of its last lane, which are dropped. With `lanes` = 1 each runs alone under
    `lax.map`: the choice for code with early stopping. Initialisation is mapped, not vmapped, which
    compiles several times faster. The number of lanes changes rounding, so it belongs in a Config.

    Memory: one chunk at its peak, and the outputs of all lanes, which are gathered as the chunks end.

    Args:
        training: the experiment. Parameters, model state and probe may be any pytrees.
        hypers: a grid, as `learn.grid` gives it.
        lanes: how many lanes advance together.
        name: of the stages that `keep` is given; each sweep of a study needs its own.
        keep: `(name, compute) -> value`, called once a chunk: where storage, resuming and progress hang.
            The value is a dict of plain arrays by their place in the outputs, whatever the pytrees.

    Raises:
        InputError: `lanes` is not positive, `hypers` is no grid, a hyperparameter breaks its rule, a
            schedule outlasts the run, the grid is less precise than the parameters, the program or its
            gathered outputs do not fit in memory, or `keep` returns a chunk of another program.
    """
    total = _checked(training, hypers)
    first = _chunk(hypers, 0, min(lanes, total) if lanes > 1 else total)
    program = compiled(training, first, lanes=lanes)
    return run(program, training, hypers, name=name, keep=keep)


def run(
    program: Program,
    training: Training,
    hypers: Any,
    *,
    name: str = "lanes",
    keep: Callable[[str, Callable[[], Any]], Any] = lambda name, compute: compute(),
) -> Runs:
    """Runs every lane of a grid by a program that is compiled already, whatever grid that was for.

    Raises:
        InputError: as `sweep`.
    """
    total, width = _checked(training, hypers), program.width
    outputs = program.run.out_info
    _require_room(program, total)
    gathered = gathering.empty(outputs, total)
    for start in range(0, total, width):
        stop = min(start + width, total)
        stage = f"{name} {start}-{stop - 1}"
        compute = partial(_computed, program, training, hypers, start)
        gathering.place(gathered, keep(stage, compute), outputs, start, stage)
    return Runs(hypers, *gathering.restored(gathered, outputs))


def compiled(training: Training, hypers: Any, *, lanes: int) -> Program:
    """The program that initialises and runs as many lanes as `hypers` has, and fits in memory.

    Raises:
        InputError: `lanes` is not positive, `hypers` is no grid or less precise than the parameters,
            or the program does not fit in memory.
    """
    if lanes < 1:
        raise InputError(f"{lanes} lanes cannot advance together: choose 1 or more.")
    width = lanes_of(hypers)

    def program(hypers: Any, data: Any) -> tuple[Params, Any, Any, Trace]:
        states = jax.lax.map(training.init, hypers)
        if lanes == 1:
            states, trace = jax.lax.map(lambda state: training.run(state, data), states)
        else:
            states, trace = jax.vmap(training.run, in_axes=(0, None))(states, data)
        return (
            evaluation_params(states.opt_state, states.params),
            states.model_state,
            states.diverged_at,
            trace,
        )

    lowered = jax.jit(program).lower(hypers, training.data)
    require_precision(hypers, lowered.out_info[0])
    executable = lowered.compile()
    memory.require(
        bytes_of(executable),
        f"A program of {lanes} lanes",
        "let fewer lanes advance together, or record less",
    )
    return Program(executable, width)


def bytes_of(executable: Any) -> int:
    """The bytes that a compiled program takes at its peak, its arguments included, as XLA plans them."""
    plan = executable.memory_analysis()
    return plan.temp_size_in_bytes + plan.output_size_in_bytes + plan.argument_size_in_bytes


def _require_room(program: Program, total: int) -> None:
    """Refuses a sweep whose gathered outputs do not fit on the host beside the chunk that is computed."""
    outputs = program.run.out_info
    on_host = jax.local_devices()[0].platform == "cpu"
    chunk = bytes_of(program.run) if on_host else gathering.bytes_of(outputs, program.width)
    memory.require(
        chunk + gathering.bytes_of(outputs, total),
        f"A sweep of {total} lanes, whose outputs are gathered,",
        "sweep fewer lanes at a time, or record less",
        free=None if on_host else memory.host_bytes(),
    )


def _checked(training: Training, hypers: Any) -> int:
    """How many lanes a grid has, if it makes sense, is read, and its schedules end within the run."""
    total = lanes_of(hypers)
    validate(hypers)
    for field in ("horizon", "warmup"):
        length = np.max(getattr(hypers, field, 0))
        if length > training.steps:
            raise InputError(
                f"a {field} of {length:g} updates outlasts the run of {training.steps}: "
                "shorten it, or train longer."
            )
    training.check(hypers)
    return total


def _computed(program: Program, training: Training, hypers: Any, start: int) -> dict[str, np.ndarray]:
    """The outputs of the chunk that begins at lane `start`, as plain arrays on the host."""
    chunk = _chunk(hypers, start, program.width)
    return gathering.plain(jax.device_get(program.run(chunk, training.data)))


def _chunk(hypers: Any, start: int, width: int) -> Any:
    """Lanes start ... start + width - 1, the last lane repeated where the grid has ended."""
    index = np.minimum(np.arange(start, start + width), lanes_of(hypers) - 1)
    return type(hypers)(*(np.asarray(column)[index] for column in hypers))
