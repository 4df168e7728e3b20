"""A sweep that is interrupted between two blocks and goes on there, with equal bits."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from threading import Event, Lock
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxml.learn.segmented.blocks import blocks
from jaxml.learn.segmented.checkpoints import Opened, checkpoints_of
from jaxml.learn.segmented.programs import Carry, Compiled, Programs, compiled
from jaxml.learn.training import gathering
from jaxml.learn.training.state import Training
from jaxml.learn.training.sweep import (
    Outputs,
    Runs,
    _beginnings,
    _checked,
    _run,
)
from jaxml.parallel import Program
from jaxml.types import InputError, Keep, compute_now

UPDATES = "updates"
"""The name under which a checkpoint says how many updates its runs have made."""


class AbandonedError(Exception):
    """A chunk was given up, because the sweep has failed or was interrupted."""


class Stages(NamedTuple):
    """The stages of a sweep, one a chunk.

    Attributes:
        name: of the sweep.
        total: runs.
        opened: the checkpoints of a stage.
        abandoned: set once nobody waits for a stage any more.
    """

    name: str
    total: int
    opened: Opened
    abandoned: Event


class _Plan(NamedTuple):
    """What every chunk of a sweep shares.

    Attributes:
        programs: compiled.
        steps: updates of a run.
        blocks: of a run.
        stages: what the chunks are called, and where their states are stored.
        wide: whether `enable_x64` held where the programs were compiled.
    """

    programs: Compiled
    steps: int
    blocks: int
    stages: Stages
    wide: bool


def segmented_sweep(
    training: Training,
    hypers: Any,
    *,
    lanes: int,
    devices: int | None = None,
    name: str = "runs",
    keep: Keep = compute_now,
    block: Training | None = None,
) -> Runs:
    """As `sweep`, bit for bit, for trainings that take longer than one may lose.

    A run is cut into blocks of up to 32 updates, none longer than the interval of the
    probe. The program advances a chunk by as many blocks as it is asked to, and between
    its calls the states of the runs can be stored: parameters, optimizer, model and
    probe, keys, and the trace so far. Batches and keys depend on the number of the
    update alone, so what goes on from a stored state is what would have come anyway.

    A `keep` that has an attribute `checkpoints` says when to store, and where; that of
    `jaxml run` does, and the same command resumes within a chunk. Any other `keep`
    stores finished chunks alone, as in `sweep`.

    Memory: as `sweep`, and the chunk's optimizer states. The program's buffers are
    reused from call to call. Cost: the loop's bookkeeping once a block, and what of the
    data a run sees is drawn once a call.

    Args:
        training: the experiment, as `learn.training` makes it, or any with a `block`.
        hypers: a grid, as `learn.grid` gives it.
        lanes: how many runs advance together on a device.
        devices: how many compute at once; all that there are when not given.
        name: of the stages that `keep` is given; each sweep of a study needs its own.
        keep: as `sweep` takes it.
        block: the same experiment with fewer steps, such as `learn.accumulated` over
            one epoch, where `training` is not of `learn.training`. Its `run` must go on
            from a state that has been run.

    Raises:
        InputError: as `sweep`; blocks are not known, or do not divide the run; or a
            checkpoint is of another sweep.
    """
    swept = segmenting(training, hypers, lanes=lanes, devices=devices, block=block)
    return swept(name, keep)


def segmenting(
    training: Training,
    hypers: Any,
    *,
    lanes: int,
    devices: int | None = None,
    block: Training | None = None,
) -> Callable[[str, Keep], Runs]:
    """As `segmented_sweep`, with its programs compiled: call what is returned,
    `(name, keep) -> Runs`, to run them.

    Raises:
        InputError: as `segmented_sweep`, some of them at the call.
    """
    total = _checked(training, hypers)
    parts = blocks(training, block)
    programs = compiled(training, parts, hypers, lanes=lanes, devices=devices)
    beginnings = _beginnings(training, hypers, lanes, devices)
    state = (np.arange(total), beginnings.model_state)
    numbered = beginnings._replace(model_state=state)
    wide = jax.config.values["jax_enable_x64"]

    def swept(name: str, keep: Keep) -> Runs:
        lengths = (training.steps, parts.total)
        stages = Stages(name, total, checkpoints_of(keep), Event())
        plan = _Plan(programs, *lengths, stages, wide)
        with _executing(plan) as program:
            return _run(program, training, numbered, name, keep)

    return swept


@contextmanager
def _executing(plan: _Plan) -> Iterator[Program]:
    """The program of a chunk from its beginnings to its outputs. When the block ends
    early, chunks that are being computed are stored, and waited for.
    """
    programs = plan.programs
    locks = [Lock() for _ in programs.each]
    executables = [
        partial(_computed, plan, each, lock)
        for each, lock in zip(programs.each, locks, strict=True)
    ]
    places = [each.place for each in programs.each]
    try:
        yield Program(
            executables, places, programs.outputs, programs.width, programs.bytes
        )
    finally:
        plan.stages.abandoned.set()
        for lock in locks:
            with lock:
                pass


def _computed(
    plan: _Plan, programs: Programs, lock: Lock, chunk: Any, data: Any
) -> Outputs:
    """The outputs of a chunk, from its latest checkpoint on."""
    with lock, jax.enable_x64(plan.wide):
        numbers, model_state = chunk.model_state
        stage = _stage(plan, int(numbers[0]))
        begun = programs.begin(chunk._replace(model_state=model_state))
        with plan.stages.opened(stage) as checkpoints:
            stored = checkpoints.latest()
            carry, done = _resumed(plan, begun, stored, stage)
            carry = jax.device_put(carry, programs.place, may_alias=False)
            del begun
            while done < plan.blocks:
                last = done + checkpoints.turn(plan.blocks - done)
                carry = _advanced(programs, carry, data, (done, last))
                done = last
                abandoned = plan.stages.abandoned.is_set()
                if abandoned or checkpoints.due():
                    checkpoints.save(_stored(plan, carry, done), done / plan.blocks)
                if abandoned:
                    raise AbandonedError(stage)
            return programs.finish(carry)


def _stage(plan: _Plan, start: int) -> str:
    """The name of the chunk that begins with this run, as `sweep` calls it."""
    stop = min(start + plan.programs.width, plan.stages.total)
    return f"{plan.stages.name} {start}-{stop - 1}"


def _advanced(
    programs: Programs, carry: Carry, data: Any, bounds: tuple[int, int]
) -> Carry:
    """The carry some blocks on, once it is computed."""
    first, last = bounds
    advanced = programs.advance(carry, data, np.int32(first), np.int32(last))
    return jax.block_until_ready(advanced)


def _stored(plan: _Plan, carry: Carry, done: int) -> dict[str, np.ndarray]:
    """The carry as plain arrays, and how far it has come."""
    updates = np.int64(done * (plan.steps // plan.blocks))
    whole = jax.tree.map(
        lambda leaf, flag: leaf if not flag else _repeated(leaf, plan.programs.width),
        carry,
        plan.programs.carried.shared,
    )
    return {UPDATES: np.asarray(updates), **gathering.plain(whole)}


def _repeated(leaf: jax.Array, width: int) -> jax.Array:
    return jnp.broadcast_to(leaf, (width, *leaf.shape))


def _resumed(
    plan: _Plan,
    begun: Carry,
    stored: Mapping[str, np.ndarray] | None,
    stage: str,
) -> tuple[Carry, int]:
    """The stored carry, and the blocks that it has behind it; or that which has just
    begun.

    Raises:
        InputError: it is of other runs, or of another program.
    """
    if stored is None:
        return begun, 0
    arrays = dict(stored)
    updates = int(arrays.pop(UPDATES, -1))
    shapes, shared = plan.programs.carried
    found = gathering.empty(shapes, plan.programs.width)
    gathering.place(found, arrays, shapes, 0, stage)
    carry = jax.tree.map(
        lambda leaf, flag: leaf[0] if flag else leaf,
        gathering.restored(found, shapes),
        shared,
    )
    done, rest = divmod(updates, plan.steps // plan.blocks)
    if rest or not 0 <= done <= plan.blocks or not _same_runs(begun, carry):
        raise InputError(
            f"The checkpoint of {stage!r} is of other runs: give each sweep a name of "
            "its own, or run again with --again."
        )
    return carry, done


def _same_runs(begun: Carry, carry: Carry) -> bool:
    """Whether hyperparameters and seeds are the same, bit for bit."""
    before, after = [
        gathering.plain((each.state.hyper, each.state.key)) for each in (begun, carry)
    ]
    return all(before[name].tobytes() == after[name].tobytes() for name in before)
