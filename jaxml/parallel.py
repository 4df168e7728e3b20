"""Runs over devices: each computes one chunk at a time, and all compute at once.

Every device executes the same program, compiled for one device and one chunk, in a
thread of its own: how many devices there are changes no bit, nothing is exchanged
between them, and a device that has finished its chunk takes the next. On a CPU a core
counts as a device, for its one program can be executed by several threads at once.
"""

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import ContextVar
from queue import SimpleQueue
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import SingleDeviceSharding

from jaxml import memory
from jaxml.types import Device, InputError

_limit: ContextVar[int | None] = ContextVar("limit", default=None)
"""How many devices compute at once within `limited`; None for all."""

_LEVEL = "xla_backend_optimization_level"


class Program(NamedTuple):
    """A function of a chunk of runs, compiled.

    Attributes:
        executables: one for each device, `(chunk, shared) -> outputs`.
        places: the device of each.
        outputs: shapes of one chunk's outputs.
        width: runs in a chunk.
        bytes: what a chunk takes at its peak, arguments and outputs included.
    """

    executables: Sequence[Any]
    places: Sequence[Device]
    outputs: Any
    width: int
    bytes: int


def devices(limit: int | None = None) -> list[Device]:
    """The devices that compute at once; a CPU device stands in it once for each core.

    They are `jax_default_device` where that is set, else all that JAX has. More than
    one CPU device, which the user must have asked JAX for, count in place of the cores.

    Args:
        limit: how many; that of `limited` when not given. CPU cores may be fewer.

    Raises:
        InputError: a limit that is not positive, or above the number of accelerators.
    """
    limit = _limit.get() if limit is None else limit
    if limit is not None and limit < 1:
        raise InputError(f"{limit} devices cannot compute: ask for 1 or more.")
    default = jax.config.values["jax_default_device"]
    found = (
        [default]
        if isinstance(default, jax.Device)
        else jax.local_devices(backend=default)
    )
    if found[0].platform == "cpu":
        usual = cores() if len(found) == 1 else len(found)
        return [found[0]] * (limit or usual)
    if limit is not None and limit > len(found):
        raise InputError(
            f"{limit} devices were asked for and JAX has {len(found)} "
            f"({found[0].device_kind}): ask for at most {len(found)}."
        )
    return found[:limit]


def cores() -> int:
    """Processor cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


_compilers = ThreadPoolExecutor(cores(), thread_name_prefix="jaxml-compiler")


@contextlib.contextmanager
def limited(limit: int | None) -> Iterator[None]:
    """Within it no more devices compute at once by default; None limits nothing.

    Raises:
        InputError: as `devices`.
    """
    devices(limit)
    token = _limit.set(limit)
    try:
        yield
    finally:
        _limit.reset(token)


def compiled(
    function: Callable[[Any, Any], Any],
    chunk: Any,
    shared: Any,
    *,
    chunks: int,
    limit: int | None = None,
    purpose: str = "A program",
) -> Program:
    """Compiles a function of a chunk of runs for all devices that have one to compute.

    CPU cores share the host's memory, so only as many compute at once as fit in it.

    Args:
        function: `(chunk, shared) -> outputs`; only `shared` has no axis of runs.
        chunk: arrays, or their shapes, of one chunk.
        shared: arrays that every run is given.
        chunks: how many there will be.
        limit: on the number of devices, as `devices` takes it.
        purpose: the program's name in the sentence that says it does not fit.

    Raises:
        InputError: a chunk does not fit in the memory of a device; or as `devices`.
    """
    return compiling(
        function, chunk, shared, chunks=chunks, limit=limit, purpose=purpose
    )()


def compiling(
    function: Callable[[Any, Any], Any],
    chunk: Any,
    shared: Any,
    *,
    chunks: int,
    limit: int | None = None,
    purpose: str = "A program",
) -> Callable[[], Program]:
    """As `compiled`, in the background: call what is returned to wait for the program.

    The function is traced at once. Several programs compile on several cores.

    Raises:
        InputError: as `devices` at once, and what `compiled` raises when it is waited
            for.
    """
    places = devices(limit)[:chunks]
    chunk, shared = _shapes(chunk), _shapes(shared)
    lowered = [
        _lowered(function, (chunk, shared), place) for place in dict.fromkeys(places)
    ]
    options = compiler_options(places[0].platform)
    first = _compilers.submit(lowered[0].compile, compiler_options=options)
    width = len(jax.tree.leaves(chunk)[0])

    def program() -> Program:
        executables = [first.result()]
        needed = bytes_of(executables[0])
        _require_room(needed, width, shared, places, purpose)
        # Once the first is compiled, JAX's cache has the others.
        executables += [each.compile(compiler_options=options) for each in lowered[1:]]
        outputs = executables[0].out_info
        if places[0].platform != "cpu":
            return Program(executables, places, outputs, width, needed)
        at_once = max(1, memory.available_bytes(places) // max(needed, 1))
        together = places[:at_once]
        return Program(executables * len(together), together, outputs, width, needed)

    return program


@contextlib.contextmanager
def computing(
    program: Program, runs: Any, shared: Any, total: int
) -> Iterator[Callable[[int], Any]]:
    """Within it, a function of a chunk's index gives the chunk's outputs on the host.

    A chunk that is asked for is computed, and those after it are begun, so that no
    device stands idle when they are asked for in turn. The last run is repeated where
    the runs have ended. Leaving it drops the chunks that were not yet begun.

    Args:
        program: from `compiled`.
        runs: arrays with a leading axis of all runs.
        shared: arrays that every run is given; they are copied to each device once.
        total: how many runs there are.
    """
    chunks = -(-total // program.width)
    ahead = 2 * len(program.places)
    copies = {
        place: jax.device_put(shared, place) for place in dict.fromkeys(program.places)
    }
    free: SimpleQueue[tuple[Any, Device]] = SimpleQueue()
    for slot in zip(program.executables, program.places, strict=True):
        free.put(slot)
    begun: dict[int, Future[Any]] = {}

    def compute(chunk: Any) -> Any:
        slot = free.get()
        execute, place = slot
        try:
            return jax.device_get(execute(jax.device_put(chunk, place), copies[place]))
        finally:
            free.put(slot)

    def outputs(index: int) -> Any:
        for each in range(index, min(index + ahead, chunks)):
            if each not in begun:
                begun[each] = workers.submit(
                    compute, _chunk(program, runs, each, total)
                )
        return begun.pop(index).result()

    workers = ThreadPoolExecutor(len(program.places), thread_name_prefix="jaxml")
    try:
        yield outputs
    finally:
        workers.shutdown(wait=False, cancel_futures=True)


def gathered(program: Program, runs: Any, shared: Any) -> Any:
    """The outputs of all runs on the host: `computing`, chunk after chunk."""
    total = len(jax.tree.leaves(runs)[0])
    chunks = -(-total // program.width)
    with computing(program, runs, shared, total) as outputs:
        computed = [outputs(index) for index in range(chunks)]
    return jax.tree.map(lambda *parts: np.concatenate(parts)[:total], *computed)


def rows(runs: Any, index: np.ndarray) -> Any:
    """Some runs of a pytree of arrays with a leading axis of runs."""
    return jax.tree.map(lambda column: _host(column)[index], runs)


def compiler_options(platform: str) -> dict[str, Any]:
    """On a CPU the second level of LLVM's optimization, for the third takes longer to
    compile; one that the user sets in XLA_FLAGS stands.
    """
    chosen = _LEVEL in os.environ.get("XLA_FLAGS", "")
    return {} if platform != "cpu" or chosen else {_LEVEL: 2}


def bytes_of(executable: Any) -> int:
    """The bytes that a program takes at its peak with its arguments, as XLA plans."""
    plan = executable.memory_analysis()
    return (
        plan.temp_size_in_bytes
        + plan.output_size_in_bytes
        + plan.argument_size_in_bytes
    )


def _lowered(function: Callable[..., Any], shapes: Sequence[Any], place: Device) -> Any:
    """The function lowered for one device."""
    there = SingleDeviceSharding(place)
    return jax.jit(function, in_shardings=there, out_shardings=there).lower(*shapes)


def _shapes(tree: Any) -> Any:
    """Shapes and dtypes of a pytree."""
    return jax.eval_shape(lambda tree: tree, tree)


def _chunk(program: Program, runs: Any, index: int, total: int) -> Any:
    """A chunk's runs as JAX's arrays, since its thread knows of no `enable_x64`."""
    start = index * program.width
    chosen = np.minimum(np.arange(start, start + program.width), total - 1)
    return jax.device_put(rows(runs, chosen), program.places[0])


def _host(column: Any) -> Any:
    """The array, in NumPy unless it holds keys."""
    return (
        column
        if jnp.issubdtype(column.dtype, jax.dtypes.prng_key)
        else np.asarray(column)
    )


def _require_room(
    needed: int, width: int, shared: Any, places: Sequence[Device], purpose: str
) -> None:
    """Refuses what does not fit in a device's memory, with the number that fits."""
    free = memory.available_bytes(places)
    fixed = sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(shared))
    each = max((needed - fixed) // width, 1)
    fits = (free - fixed) // each
    remedy = f"let at most {fits} of them advance together"
    if fits < 1:
        remedy = "record less, or train a smaller model"
    memory.require(needed, f"{purpose} of {width} runs", remedy, free=free)
