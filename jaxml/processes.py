"""Several processes that run one program: what they tell one another, and how they
divide chunks of runs.

JAX's runtime joins them (`jax.distributed`). All execute the same Python in the same
order, so each exchange meets its counterpart on every other process; what is exchanged
are bytes, so no bit of a result depends on how many processes there are.
"""

import contextlib
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import multihost_utils

from jaxml import parallel
from jaxml.parallel import Program
from jaxml.types import InputError

EXIT_PATIENCE = 10
"""Seconds that a process which ends waits for the others to end as well."""

SHORTEST = 2**14
"""Bytes that a broadcast takes at least."""

_Computing = Callable[
    [Program, Any, Any, int], contextlib.AbstractContextManager[Callable[[int], Any]]
]


def join() -> None:
    """Joins the processes of this job, before JAX has started its devices.

    JAX finds the others by what Slurm, Open MPI, Kubernetes and TPU pods tell each
    process.

    Raises:
        InputError: JAX finds no such job, or cannot reach it.
    """
    try:
        jax.distributed.initialize(shutdown_timeout_seconds=EXIT_PATIENCE)
    except (ValueError, RuntimeError, KeyError) as error:
        raise InputError(
            f"--distributed finds no job of several processes ({error}): start the "
            "command by srun, mpirun or on every host of a TPU pod, or leave the "
            "option out."
        ) from error


def broadcast(data: bytes) -> bytes:
    """The bytes of process 0, on every process; those of the others are ignored.

    Raises:
        InputError: another process has ended. So does `exchanged`.
    """
    with _answered():
        length = int(multihost_utils.broadcast_one_to_all(np.int32(len(data))))
    # few lengths, for each is a program of its own
    room = np.zeros(max(SHORTEST, 1 << length.bit_length()), np.uint8)
    if jax.process_index() == 0:
        room[:length] = np.frombuffer(data, np.uint8)
    with _answered():
        sent = multihost_utils.broadcast_one_to_all(room)
    return np.asarray(sent).tobytes()[:length]


def exchanged(tree: Any) -> list[Any]:
    """The pytrees of all processes, in their order; shapes and dtypes are the same on
    each, and all is on the host.
    """
    leaves, structure = jax.tree.flatten(tree)
    arrays = [np.asarray(_raw(leaf)) for leaf in leaves]
    data = b"".join(array.tobytes() for array in arrays)
    with _answered():
        sent = multihost_utils.process_allgather(np.frombuffer(data, np.uint8))
    found = []
    for row in np.asarray(sent).reshape(jax.process_count(), len(data)):
        parts = np.split(row, np.cumsum([array.nbytes for array in arrays])[:-1])
        values = [
            _restored(part, array, leaf)
            for part, array, leaf in zip(parts, arrays, leaves, strict=True)
        ]
        found.append(jax.tree.unflatten(structure, values))
    return found


@contextlib.contextmanager
def dividing() -> Iterator[None]:
    """Within it the processes divide the chunks of every sweep and mapped program:
    chunk i is computed by process i modulo their number, and given to all.

    The place of `parallel.computing` is taken, through which all chunks pass, so that
    neither a study nor the library needs to know of processes.
    """
    alone = parallel.computing
    parallel.computing = partial(_divided, alone)
    try:
        yield
    finally:
        parallel.computing = alone


@contextlib.contextmanager
def _divided(
    alone: _Computing, program: Program, runs: Any, shared: Any, total: int
) -> Iterator[Callable[[int], Any]]:
    """As `parallel.computing`; the processes compute a chunk each at a time."""
    count, width = jax.process_count(), program.width
    turns = -(-total // (count * width))
    chunks = np.arange(turns) * count + jax.process_index()
    positions = np.add.outer(chunks * width, np.arange(width)).ravel()
    own = parallel.rows(runs, np.minimum(positions, total - 1))
    known: dict[int, list[Any]] = {}
    with alone(program, own, shared, turns * width) as mine:

        def outputs(index: int) -> Any:
            turn, process = divmod(index, count)
            if turn not in known:
                known.clear()
                known[turn] = exchanged(mine(turn))
            return known[turn][process]

        yield outputs


@contextlib.contextmanager
def _answered() -> Iterator[None]:
    """Turns the failure of an exchange into a sentence."""
    try:
        yield
    except (jax.errors.JaxRuntimeError, ValueError) as error:
        raise InputError(
            "Another process of this job does not answer: look for its message, and "
            "start the whole job again; it resumes from the stages that are kept."
        ) from error


def _raw(leaf: Any) -> Any:
    is_key = jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
    return jax.random.key_data(leaf) if is_key else leaf


def _restored(part: np.ndarray, array: np.ndarray, leaf: Any) -> Any:
    """Bytes as the array that they were, or as the keys whose data that is."""
    value = np.frombuffer(part.tobytes(), np.uint8).view(array.dtype)
    value = value.reshape(array.shape)
    if not jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        return value
    return jax.random.wrap_key_data(
        jnp.asarray(value), impl=str(jax.random.key_impl(leaf))
    )
