"""A run's log: what passes while it runs, a JSON object a line.

It is for those who watch. Nothing reads it to decide anything: no identity, no result
and no finding depends on it, and a run whose log cannot be written goes on without.
"""

import json
import os
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, TypeAlias

from jaxml.types import InputError

LOG = "log.jsonl"
"""The file in the folder of a run, and of one that is still worked on."""

Entry: TypeAlias = dict[str, Any]
"""A line of the log. `event` says what passed, `time` when (UTC, ISO 8601), `seconds`
how long after the attempt began, by a clock that never jumps.

`started` names `process` and `host`; `computing` and `stage` a `stage`, the latter with
what it `took` in seconds, whether it was `kept` by an earlier attempt, and its
`scalars`; `finished` the `run`; `stopped` the `reason`.
"""

Write: TypeAlias = Callable[[str, Mapping[str, Any]], None]
"""`(event, values)` appends a line."""


def unwritten(event: str, values: Mapping[str, Any]) -> None:
    """Logs nothing."""
    del event, values


@contextmanager
def logged(folder: Path, announce: Callable[[str], None]) -> Iterator[Write]:
    """Opens the log of an attempt in a folder, which may be renamed meanwhile.

    Each line is handed to the operating system before the attempt goes on. A line that
    a killed attempt left half written is ended first. What goes wrong is announced
    once, and then nothing more is logged. An exception within is logged as `stopped`
    and passed on.
    """
    start = time.perf_counter()
    opened = _opened(folder / LOG, announce)

    def write(event: str, values: Mapping[str, Any]) -> None:
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        seconds = round(time.perf_counter() - start, 3)
        entry = {"event": event, "time": now, "seconds": seconds, **values}
        if opened:
            try:
                _append(opened[-1], json.dumps(entry, allow_nan=False) + "\n")
            except OSError as reason:
                opened.pop().close()
                announce(_unlogged(reason))

    write("started", {"process": os.getpid(), "host": socket.gethostname()})
    try:
        yield write
    except BaseException as reason:
        write("stopped", {"reason": _reason(reason)})
        raise
    finally:
        for file in opened:
            file.close()


def _opened(path: Path, announce: Callable[[str], None]) -> list[IO[bytes]]:
    """The file, unbuffered and at its end; nothing where it cannot be opened."""
    try:
        file = path.open("ab+", buffering=0)
        if file.tell() and not _is_ended(path):
            _append(file, "\n")
    except OSError as reason:
        announce(_unlogged(reason))
        return []
    return [file]


def _is_ended(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"


def _append(file: IO[bytes], line: str) -> None:
    """Writes in one call, so that a reader rarely sees half a line."""
    content = line.encode()
    written = file.write(content)
    if written != len(content):
        raise OSError("half a line was written")


def _unlogged(reason: OSError) -> str:
    why = reason.strerror or reason
    return f"note: the log cannot be written ({why}): the run goes on without"


def _reason(reason: BaseException) -> str:
    if isinstance(reason, InputError):
        return str(reason)
    return "interrupted" if isinstance(reason, KeyboardInterrupt) else repr(reason)


def entries(text: str) -> tuple[Entry, ...]:
    r"""The whole lines of a log; what a killed process wrote by half is passed over.

    >>> [each["event"] for each in entries('{"event": "started"}\n{"event": "st')]
    ['started']
    """
    found = []
    for line in text.splitlines():
        try:
            entry = json.loads(line)
        except ValueError:
            continue  # half a line
        if isinstance(entry, dict) and isinstance(entry.get("event"), str):
            found.append(entry)
    return tuple(found)


def when(entry: Entry) -> float:
    """Seconds since 1970 at which an entry was written, by the clock of its machine.

    >>> when({"time": "1970-01-01T00:01:00.500+00:00"})
    60.5
    """
    return datetime.fromisoformat(entry["time"]).timestamp()
