"""A study's side door: stages that outlive an interruption."""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote, unquote

from jaxml.provenance import Reading, report, unchanged
from jaxml.record.runs.archive import host, load_tree, save_tree, writing
from jaxml.record.runs.form import is_finite, is_nothing_or_text
from jaxml.record.runs.log import Write, unwritten
from jaxml.record.runs.scalars import scalars
from jaxml.types import InputError, Keep


class Stage(NamedTuple):
    """What a stage cost.

    Attributes:
        seconds: wall seconds of its computation, when it was computed.
        kept: whether an earlier attempt had computed it.
    """

    seconds: float
    kept: bool


def plain_keep(name: str, compute: Callable[[], Any]) -> Any:
    """Computes and stores nothing; the value has the form that a storing `keep`
    returns.

    >>> plain_keep("squares", lambda: [i * i for i in range(3)])
    [0, 1, 4]
    """
    del name
    return host(compute())


def storing(
    folder: Path,
    announce: Callable[[str], None],
    readings: Sequence[Reading] = (),
    write: Write = unwritten,
) -> tuple[Keep, dict[str, Stage]]:
    """A `keep` that stores under `folder`, and the record of its stages, which fills as
    they pass.

    Computed or loaded, a value comes back in the same form with the same bits. A
    damaged file is announced and computed again, and so is one whose data have changed
    since. A stage file is written whole or not at all; it holds all that the run had
    read by then, so that a resumed run knows it too.

    Args:
        folder: of the files.
        announce: receives a line a stage.
        readings: what the run has read so far, as `provenance.collecting` fills it.
        write: to the run's log: each stage as it begins and as it ends.
    """
    stages: dict[str, Stage] = {}
    used: set[str] = set()

    def keep(name: str, compute: Callable[[], Any]) -> Any:
        path = _path(folder, name)
        if name in used:
            raise InputError(
                f"The stage {name!r} is kept twice in one run: give each its own name."
            )
        used.add(name)
        stored = _stored(path, announce)
        kept = stored is not None
        if stored is None:
            write("computing", {"stage": name})
            stored = _computed(compute, readings)
            with writing(folder):
                folder.mkdir(parents=True, exist_ok=True)
            save_tree(path, stored)
        else:
            for reading in stored["readings"]:
                report(Reading(*reading))
        stages[name] = Stage(stored["seconds"], kept)
        numbers = scalars(stored["value"])
        passed = {"took": stored["seconds"], "kept": kept, "scalars": numbers}
        write("stage", {"stage": name, **passed})
        announce(stage_line(name, stages[name], numbers))
        return stored["value"]

    return keep, stages


def stage_line(
    name: str, stage: Stage, numbers: Mapping[str, float | None], most: int = 2
) -> str:
    """What is said of a stage that has passed.

    >>> stage_line("runs 0-7", Stage(1.25, False), {"trace.loss": 0.5, "diverged": 1.0})
    'runs 0-7: 1.2 s, trace.loss 0.5, diverged 1'
    """
    parts = [f"{stage.seconds:.1f} s{' in an earlier attempt, kept' * stage.kept}"]
    for title, value in list(numbers.items())[:most]:
        parts.append(f"{title} {'not finite' if value is None else f'{value:.4g}'}")
    return f"{name}: {', '.join(parts)}"


def _computed(
    compute: Callable[[], Any], readings: Sequence[Reading]
) -> dict[str, Any]:
    start = time.perf_counter()
    value = host(compute())
    seconds = time.perf_counter() - start
    return {
        "value": value,
        "seconds": seconds,
        "readings": [tuple(reading) for reading in readings],
    }


def _path(folder: Path, name: str) -> Path:
    file = f"{quote(name, safe='')}.npz"
    if not name or len(file) > 200:
        raise InputError(
            f"The stage name {name!r} makes no file name: use 1 to about 60 characters."
        )
    return folder / file


def _is_whole(stored: Any) -> bool:
    """Whether it is what `_computed` made."""
    if not isinstance(stored, dict) or "value" not in stored:
        return False
    readings = stored.get("readings")
    is_list = isinstance(readings, list) and all(map(_is_reading, readings))
    return is_list and is_finite(stored.get("seconds"))


def _is_reading(fields: Any) -> bool:
    of_text = isinstance(fields, tuple) and all(map(is_nothing_or_text, fields))
    return of_text and len(fields) == len(Reading._fields) and fields[0] is not None


def _stored(path: Path, announce: Callable[[str], None]) -> dict[str, Any] | None:
    """What an earlier attempt stored, if it can be read and its data still are what it
    read.
    """
    if not os.path.lexists(path):
        return None
    try:
        stored: Any = load_tree(path)
    except InputError:
        stored = None
    if not _is_whole(stored):
        announce(
            f"note: the stored {unquote(path.stem)} cannot be read and is computed "
            "again"
        )
        return None
    changed = [
        reading[0] for reading in stored["readings"] if not unchanged(Reading(*reading))
    ]
    if changed:
        announce(
            f"note: {changed[0]} has changed, and {unquote(path.stem)} is computed "
            "again"
        )
        return None
    return stored
