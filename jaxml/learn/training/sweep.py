"""A grid of hyperparameters and seeds as one compiled program, in chunks of lanes that
fit in memory.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np

from jaxml import memory, parallel
from jaxml.learn.optimizers.evaluation import evaluation_params
from jaxml.learn.optimizers.hyper import validate
from jaxml.learn.training import gathering
from jaxml.learn.training.grid import require_precision, runs_of
from jaxml.learn.training.state import Trace, Training, start_key
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


class Beginnings(NamedTuple):
    """What runs begin with: each field has a leading axis of runs."""

    hyper: Any
    params: Params
    model_state: Any


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
    stopping. Each seed is initialised once, by a program of its own that sweeps from
    one `start` share. The number of lanes changes rounding, so it belongs in a Config;
    the number of devices changes no bit.

    Memory: a chunk at its peak on each device, and the initial parameters and the
    outputs of all runs, which are gathered as the chunks end. Cores share the host's
    memory, so as many compute at once as fit in it.

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
    return sweeping(training, hypers, lanes=lanes, devices=devices)(name, keep)


def sweeping(
    training: Training, hypers: Any, *, lanes: int, devices: int | None = None
) -> Callable[[str, Keep], Runs]:
    """As `sweep`, with its program compiled in the background: call what is returned,
    `(name, keep) -> Runs`, to run it.

    Raises:
        InputError: as `sweep`, some of them at the call.
    """
    _checked(training, hypers)
    program = _compiling(training, hypers, lanes=lanes, devices=devices)

    def swept(name: str, keep: Keep) -> Runs:
        beginnings = _beginnings(training, hypers, lanes, devices)
        return _run(program(), training, beginnings, name, keep)

    return swept


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
    _checked(training, hypers)
    devices = len(program.places)
    beginnings = _beginnings(training, hypers, program.width, devices)
    return _run(program, training, beginnings, name, keep)


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
    return _compiling(training, hypers, lanes=lanes, devices=devices)()


def _compiling(
    training: Training, hypers: Any, *, lanes: int, devices: int | None
) -> Callable[[], Program]:
    """`compiled`, in the background."""
    if lanes < 1:
        raise InputError(f"{lanes} lanes cannot advance together: choose 1 or more.")
    total = runs_of(hypers)
    width = min(lanes, total)

    def one(beginning: Beginnings, data: Any) -> Outputs:
        state, trace = training.run(training.init(*beginning), data)
        params = evaluation_params(state.opt_state, state.params)
        return Outputs(params, state.model_state, state.diverged_at, trace)

    def chunk(beginnings: Beginnings, data: Any) -> Outputs:
        if width > 1:
            return jax.vmap(one, in_axes=(0, None))(beginnings, data)
        alone = jax.tree.map(lambda leaf: leaf[0], beginnings)
        return jax.tree.map(lambda leaf: leaf[None], one(alone, data))

    first = parallel.rows(hypers, np.arange(width))
    started = jax.eval_shape(jax.vmap(training.start), _keys(first.seed))
    waited_for = parallel.compiling(
        chunk,
        Beginnings(first, *started),
        training.data,
        chunks=-(-total // width),
        limit=devices,
        purpose="A program",
    )

    def program() -> Program:
        waited = waited_for()
        require_precision(hypers, waited.outputs.params)
        return waited

    return program


def _run(
    program: Program,
    training: Training,
    beginnings: Beginnings,
    name: str,
    keep: Keep,
) -> Runs:
    """All runs, chunk after chunk."""
    total, width = runs_of(beginnings.hyper), program.width
    _require_room(program, total)
    gathered = gathering.empty(program.outputs, total)
    with parallel.computing(program, beginnings, training.data, total) as outputs:
        for index, start in enumerate(range(0, total, width)):
            stop = min(start + width, total)
            stage = f"{name} {start}-{stop - 1}"
            chunk = keep(stage, partial(_plain, outputs, index))
            gathering.place(gathered, chunk, program.outputs, start, stage)
    return Runs(beginnings.hyper, *gathering.restored(gathered, program.outputs))


def _beginnings(
    training: Training, hypers: Any, lanes: int, devices: int | None
) -> Beginnings:
    """Initial parameters of all runs on the host; a seed is initialised once.

    On a CPU a program initialises one seed, for it is short; elsewhere one initialises
    as many as advance together, for it is launched as often.
    """
    seeds, place_of = np.unique(np.asarray(hypers.seed), return_inverse=True)
    shapes = jax.eval_shape(jax.vmap(training.start), _keys(seeds))
    memory.require(
        gathering.bytes_of(shapes, len(seeds) + len(place_of)),
        f"What {len(place_of)} runs begin with",
        "sweep fewer runs at a time, or train a smaller model",
        free=memory.host_bytes(),
    )
    platform = parallel.devices(devices)[0].platform
    options = parallel.compiler_options(platform)
    if platform == "cpu":
        begin = jax.jit(training.start, compiler_options=options)
        each = [begin(key) for key in _keys(seeds)]
        parts = [jax.tree.map(lambda leaf: leaf[None], one) for one in each]
    else:
        begin = jax.jit(jax.vmap(training.start), compiler_options=options)
        width = min(lanes, len(seeds))
        cuts = range(0, len(seeds), width)
        chunks = [np.arange(cut, cut + width) % len(seeds) for cut in cuts]
        parts = [begin(_keys(seeds[chunk])) for chunk in chunks]
    started = jax.tree.map(_joined, *parts)
    return Beginnings(hypers, *parallel.rows(started, place_of))


def _joined(*leaves: jax.Array) -> Any:
    """The arrays one after another, on the host unless they hold keys."""
    if jnp.issubdtype(leaves[0].dtype, jax.dtypes.prng_key):
        return jnp.concatenate(leaves)
    return np.concatenate([np.asarray(leaf) for leaf in leaves])


def _keys(seeds: Any) -> jaxtyping.Key[jax.Array, " run"]:
    """The keys that initialise runs of these seeds."""
    return jax.vmap(start_key)(jnp.asarray(seeds))


def _require_room(program: Program, total: int) -> None:
    """Refuses a sweep whose gathered outputs do not fit on the host beside the chunks
    that are computed.

    Each device computes a chunk, and the outputs of another may wait.
    """
    waiting = gathering.bytes_of(program.outputs, program.width)
    initial = gathering.bytes_of(program.outputs.params, total)
    on_host = program.places[0].platform == "cpu"
    computed = program.bytes if on_host else waiting
    memory.require(
        len(program.places) * (computed + waiting)
        + initial
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
