"""What was read: each loader reports the data that it gives out, and whoever asks
collects the reports.

Standard library only, so that a stored reading is compared with its file without JAX.
"""

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import NamedTuple

from jaxml.errors import InputError


class Reading(NamedTuple):
    """Data that a loader gave out.

    Attributes:
        name: of the data, such as `digits` or `mnist/train-images-idx3-ubyte.gz`.
        digest: SHA-256 of the uncompressed content.
        path: the file it came from, absolute; None for data that lie in no file.
        file_digest: SHA-256 of the file's bytes as they lie on disk; None without a
            file.
    """

    name: str
    digest: str
    path: str | None = None
    file_digest: str | None = None


_lock = threading.Lock()
_open: dict[int, list[Reading]] = {}
_here: ContextVar[tuple[int, ...]] = ContextVar("collectors", default=())


def report(reading: Reading) -> None:
    """Tells every collector that is open here; without one, nothing happens.

    A loader reports at every call, also where a cache answers. A thread that knows no
    collector, because it was started without its parent's context, tells all that are
    open: a reading too many makes a result stale too early, one too few would never do
    so.
    """
    with _lock:
        known = [key for key in _here.get() if key in _open]
        for key in known or list(_open):
            readings = _open[key]
            if reading not in readings:
                readings.append(reading)


@contextmanager
def collecting() -> Iterator[list[Reading]]:
    """The list of all distinct readings while the context is open, in the order of
    their first report.

    Collectors nest: an outer one sees what inner ones see. The list keeps what it holds
    afterwards.

    >>> with collecting() as readings:
    ...     report(Reading("mine", "ab12"))
    ...     report(Reading("mine", "ab12"))
    >>> [reading.name for reading in readings]
    ['mine']
    """
    readings: list[Reading] = []
    key = id(readings)
    with _lock:
        _open[key] = readings
    token = _here.set((*_here.get(), key))
    try:
        yield readings
    finally:
        _here.reset(token)
        with _lock:
            del _open[key]


def read(path: str | Path, *, name: str | None = None) -> bytes:
    """The bytes of a file of your own, reported: a result that was made from it knows
    when it changes.

    Nothing is decompressed; the digest is that of the bytes. A leading `~` is your
    home.

    Args:
        path: the file.
        name: what the reading is called; the file's name when not given.

    Raises:
        InputError: the file is not there, is no regular file, or may not be read.
    """
    file = Path(path).expanduser().absolute()
    content = contents(file)
    digest = sha256(content)
    report(Reading(name or file.name, digest, str(file), digest))
    return content


def unchanged(reading: Reading) -> bool:
    """Whether the file still holds what was read; always so for data that lie in no
    file.

    An uncompressed copy in the place of a compressed file counts as the same; one that
    was compressed anew counts as changed, and so does a file that is gone or may not be
    read. Cost: one pass over the file.
    """
    if reading.path is None:
        return True
    try:
        found = sha256(contents(Path(reading.path)))
    except InputError:
        return False
    return found in (reading.file_digest, reading.digest)


def contents(path: Path) -> bytes:
    """The bytes of a regular file, reported to nobody.

    Raises:
        InputError: the file is not there, is no regular file, or may not be read.
    """
    try:
        if path.exists() and not path.is_file():
            raise InputError(
                f"{path} cannot be read (no regular file): make it a file you may read."
            )
        return path.read_bytes()
    except OSError as reason:
        raise InputError(
            f"{path} cannot be read ({reason.strerror}): make it a file you may read."
        ) from reason


def sha256(content: bytes) -> str:
    """SHA-256 in 64 hexadecimal digits.

    >>> sha256(b"")[:8]
    'e3b0c442'
    """
    return hashlib.sha256(content).hexdigest()
