"""A run's log while it grows."""

import os
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from jaxml.record.runs.log import LOG, Entry, entries
from jaxml.types import InputError

ENDS = ("finished", "stopped")
"""The last event of an attempt that could still speak."""


def log_of(place: Path) -> Path:
    """The log in a run's folder, or the log below a folder of runs that was written to
    last.

    Raises:
        InputError: there is none.
    """
    logs = [*place.glob(LOG), *place.glob(f"*/{LOG}"), *place.glob(f"*/*/{LOG}")]
    if not logs:
        raise InputError(
            f"No run in {place} has a log: start one by `jaxml run STUDY`, or name "
            "another folder."
        )
    return max(logs, key=lambda path: path.stat().st_mtime)


def followed(
    log: Path, pause: Callable[[], None] = lambda: time.sleep(0.5)
) -> Iterator[Entry]:
    """The entries of a log, then each further one as it is written, until the attempt
    has ended: it said so, or its process is no more.

    Args:
        log: from `log_of`; that its folder is renamed meanwhile does not matter.
        pause: what is done between two looks.
    """
    with log.open("rb") as file:
        half, started, last = b"", {}, ""
        while True:
            gone = not works(started)  # asked first: what it still wrote is then read
            *lines, half = (half + file.read()).split(b"\n")
            for entry in entries(b"\n".join(lines).decode(errors="replace")):
                last = entry["event"]
                started = entry if last == "started" else started
                yield entry
            if last in ENDS or (gone and not works(started)):
                return
            pause()


def works(started: dict[str, Any]) -> bool:
    """Whether the process that began an attempt still exists; taken for granted on
    another host, whose processes cannot be seen.
    """
    process = started.get("process")
    if started.get("host") != socket.gethostname() or not isinstance(process, int):
        return bool(started)
    try:
        os.kill(process, 0)
    except (OverflowError, ProcessLookupError):
        return False
    except PermissionError:
        return True  # another user's
    return True
