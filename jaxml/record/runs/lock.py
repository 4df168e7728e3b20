"""One process at a time in one folder."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from jaxml.record.runs.archive import writing
from jaxml.types import InputError

LOCK = "lock"
"""The file in the folder that is locked; it names the process that holds it."""


@contextmanager
def locked(folder: Path, *, wait: bool = False) -> Iterator[Path]:
    """Makes the folder, which it yields, and holds it alone until the block ends.

    The kernel releases the lock of a process that dies, however it dies, so a stale
    lock file is simply taken over, and a recycled process number cannot be mistaken for
    its owner. The folder may be renamed within the block.

    Args:
        folder: what is held.
        wait: until whoever holds it has ended, or refuse at once.

    Raises:
        InputError: another process, or another thread of this one, holds it and
            nothing waits for it; or it cannot be made.
    """
    with writing(folder):
        handle = _acquire(folder, wait)
    try:
        yield folder
    finally:
        os.close(handle)


def _acquire(folder: Path, wait: bool) -> int:
    while True:
        folder.mkdir(parents=True, exist_ok=True)
        with suppress(FileNotFoundError), ExitStack() as opened:
            handle = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o644)
            opened.callback(os.close, handle)
            if _owns(handle, folder, wait):
                os.ftruncate(handle, 0)
                os.write(handle, str(os.getpid()).encode())
                opened.pop_all()
                return handle


def _owns(handle: int, folder: Path, wait: bool) -> bool:
    """Locks an open file; false where it stands no longer in the folder, which was
    renamed meanwhile.
    """
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        process = os.read(handle, 20).decode() or "another"
        raise InputError(
            f"{folder} is being worked on by process {process}: wait for it or stop "
            "it, then run again."
        ) from None
    return os.path.samestat(os.fstat(handle), os.stat(folder / LOCK))
