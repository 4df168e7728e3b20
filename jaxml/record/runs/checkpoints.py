"""The states of a chunk of runs on disk, between two finished stages.

The files are archives as those of stages: arrays by name, whole or not at all, no
pickle. Orbax would add what a chunk on one device does not need, arrays in shards of
many processes, and would bring its own layout of files; a checksum of the whole it has
not.
"""

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxml.provenance import Reading, report, unchanged
from jaxml.record.runs import stopping
from jaxml.record.runs.archive import load_tree, save_tree, settle, writing
from jaxml.record.runs.circumstances import difference
from jaxml.types import InputError

KEPT = 2
"""Checkpoints of a chunk that lie on disk: the latest, and one if that is damaged."""

RESPONSE = 2.0
"""Seconds of one call of the program, so that SIGTERM is answered within them."""

_GROWTH = 8
"""How many times as many blocks the next call may run, however short the last was."""


class Context(NamedTuple):
    """What all checkpoints of a run share.

    Attributes:
        seconds: between two savings.
        announce: receives a line where there is something to say.
        readings: what the run has read so far.
        here: the circumstances that must not change between two attempts.
        earlier: filled with the seconds that earlier attempts took, by stage.
    """

    seconds: float
    announce: Callable[[str], None]
    readings: Sequence[Reading]
    here: dict[str, Any]
    earlier: dict[str, float]


class Checkpoints(NamedTuple):
    """The stored states of one chunk of runs, as `learn.segmented_sweep` asks for
    them.

    Attributes:
        latest: the arrays that were saved last and can be read, or None.
        turn: `left -> blocks` to compute before it is asked again.
        due: whether to save now.
        save: `(arrays, progress)`.
    """

    latest: Callable[[], Mapping[str, np.ndarray] | None]
    turn: Callable[[int], int]
    due: Callable[[], bool]
    save: Callable[[Mapping[str, np.ndarray], float], None]


@dataclass
class _Clock:
    """How fast the chunk advances, and what is stored of it; times are monotonic.

    Attributes:
        began: when this attempt did.
        saved: when the state was saved last, or this attempt began.
        asked: when the turn began that is being computed.
        blocks: of that turn.
        took: seconds of the last turn.
        left: blocks after it.
        stored: how many checkpoints have been saved or found.
    """

    began: float
    saved: float
    asked: float = 0.0
    blocks: int = 0
    took: float = 0.0
    left: int = 0
    stored: int = 0


@contextmanager
def checkpointing(folder: Path, stage: str, context: Context) -> Iterator[Checkpoints]:
    """The checkpoints of a stage under `folder`; while they are open, a process that is
    asked to end waits until the state is saved.

    Raises:
        Stopped: the process has been asked to end; by `save`, once it has saved.
    """
    with stopping.unbroken():
        if stopping.asked():
            raise stopping.Stopped(stage)
        now = time.monotonic()
        clock = _Clock(began=now, saved=now)
        yield Checkpoints(
            latest=partial(_latest, folder, stage, context, clock),
            turn=partial(_turn, context, clock),
            due=partial(_due, context, clock),
            save=partial(_save, folder, stage, context, clock),
        )


def next_blocks(blocks: int, took: float, goal: float) -> int:
    """How many blocks take about `goal` seconds, after so many took so long.

    >>> [next_blocks(10, took, 2.0) for took in (0.5, 1e-6, 60.0)]
    [40, 80, 1]
    """
    fitting = blocks * goal / max(took, 1e-6)
    return max(1, int(min(fitting, _GROWTH * blocks)))


def _turn(context: Context, clock: _Clock, left: int) -> int:
    goal = min(RESPONSE, context.seconds)
    fitting = next_blocks(clock.blocks, clock.took, goal) if clock.blocks else 1
    clock.blocks = min(left, fitting)
    clock.left = left - clock.blocks
    clock.asked = time.monotonic()
    return clock.blocks


def _due(context: Context, clock: _Clock) -> bool:
    """Whether another turn would make it longer than one may lose; at the end, whether
    so long a chunk still waits for those before it.
    """
    now = time.monotonic()
    clock.took = now - clock.asked
    if stopping.asked():
        return True
    if not clock.left:
        return clock.stored > 0
    return now - clock.saved + clock.took > context.seconds


def _save(
    folder: Path,
    stage: str,
    context: Context,
    clock: _Clock,
    arrays: Mapping[str, np.ndarray],
    progress: float,
) -> None:
    before = context.earlier.get(stage, 0.0)
    content = {
        "arrays": dict(arrays),
        "progress": progress,
        "seconds": before + time.monotonic() - clock.began,
        "readings": [tuple(reading) for reading in context.readings],
        "circumstances": context.here,
    }
    found = _files(folder)
    number = 1 + max((_number(each) for each in found), default=0)
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        written = folder / "written.npz"
        save_tree(written, content)
        digest = _sha256(written)
        written.rename(folder / f"{number:06d}-{digest}.npz")
        settle(folder)
        for old in found[KEPT - 1 :]:
            old.unlink(missing_ok=True)
    clock.stored += 1
    clock.saved = time.monotonic()
    if stopping.asked():
        context.announce(f"{stage}: stored at {progress:.0%}")
        raise stopping.Stopped(stage)


def _latest(
    folder: Path, stage: str, context: Context, clock: _Clock
) -> Mapping[str, np.ndarray] | None:
    found = _files(folder)
    for index, file in enumerate(found):
        content = _read(file)
        last = index == len(found) - 1
        instead = "the stage begins anew" if last else "the one before is used"
        fault = "is damaged" if content is None else _outdated(content, context)
        if content is None or fault:
            context.announce(f"note: a checkpoint of {stage} {fault}, and {instead}")
            continue
        for reading in content["readings"]:
            report(Reading(*reading))
        clock.stored = len(found)
        context.earlier[stage] = content["seconds"]
        context.announce(f"{stage}: goes on at {content['progress']:.0%}")
        return content["arrays"]
    return None


def _read(file: Path) -> dict[str, Any] | None:
    """The content of a checkpoint, if its bytes are those that were written."""
    _, _, digest = file.stem.partition("-")
    try:
        if _sha256(file) != digest:
            return None
        return load_tree(file)
    except (OSError, InputError):
        return None


def _sha256(file: Path) -> str:
    """Of its bytes, read piece by piece."""
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def _outdated(content: Mapping[str, Any], context: Context) -> str:
    """What has changed since a checkpoint was made, or nothing."""
    for reading in content["readings"]:
        if not unchanged(Reading(*reading)):
            return f"was made before {reading[0]} changed"
    change = difference(content["circumstances"], context.here)
    return f"is of other circumstances ({change})" if change else ""


def _files(folder: Path) -> list[Path]:
    """The checkpoints in a folder, the latest first."""
    return sorted(folder.glob("*-*.npz"), key=_number, reverse=True)


def _number(file: Path) -> int:
    digits, _, _ = file.name.partition("-")
    return int(digits) if digits.isdigit() else 0
