"""Download from mirrors in turn; a file appears under its name only when it is whole
and right.

No study counts this module as part of itself: what it leaves is compared with a pinned
checksum each time that it is read.
"""

import gzip
import hashlib
import os
import secrets
import time
import zlib
from collections.abc import Callable, Sequence
from contextlib import suppress
from http.client import HTTPException
from io import BufferedReader
from pathlib import Path
from urllib.request import urlopen

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)

from jaxml.problem.data.content import _GZIP
from jaxml.types import InputError

MOST = 1 << 28
"""Bytes beyond which nothing is fetched or unpacked; the largest set has 170 million,
packed.
"""

_TIMEOUT = 30.0  # seconds without an answer
_DEADLINE = 1800.0  # seconds for all that a mirror sends
_CHUNK = 1 << 16

_FAILURES = (OSError, HTTPException, ValueError)
"""How a mirror fails: ValueError where an address, as that of a redirect, or a header
is malformed, and, as InputError, beyond a bound.
"""


def download(mirrors: Sequence[str], path: Path, digest: str) -> None:
    """Fetches `path.name` from the first mirror that has it right, and moves it to
    `path` in one step.

    Cost: memory for a chunk, however long the content.

    Args:
        mirrors: addresses of folders, each ending in a slash.
        path: where the file goes; its folder is made.
        digest: SHA-256 of the uncompressed content, as mirrors compress differently.

    Raises:
        InputError: the folder cannot be made, or no mirror gave the file.
    """
    _fetch(mirrors, path, lambda partial: _unpacked(partial) == digest)


def download_packed(mirrors: Sequence[str], path: Path, digest: str) -> None:
    """As `download`, where `digest` is that of the file as it is published.

    Raises:
        InputError: as `download`.
    """
    _fetch(mirrors, path, lambda partial: _digest(partial.open("rb")) == digest)


def _fetch(
    mirrors: Sequence[str], path: Path, is_right: Callable[[Path], bool]
) -> None:
    """`download`, with any check of what a mirror sent."""
    make_folder(path.parent)
    _remove_abandoned(path)
    reasons = []
    for mirror in mirrors:
        partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}.partial")
        try:
            _stream(mirror + path.name, partial)
            if is_right(partial):
                os.replace(partial, path)
                return
            reasons.append(f"{mirror}: what it sent is not the published file")
        except _FAILURES as reason:
            reasons.append(f"{mirror}: {reason}")
        finally:
            partial.unlink(missing_ok=True)
    raise InputError(
        f"{path.name} is not on this machine and cannot be downloaded "
        f"({'; '.join(reasons)}): put it into {path.parent}."
    )


def make_folder(folder: Path) -> None:
    """A folder of the cache.

    Raises:
        InputError: it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as reason:
        raise InputError(
            f"The cache {folder} cannot be made ({reason.strerror}): set "
            "XDG_CACHE_HOME to another folder."
        ) from reason


def _remove_abandoned(path: Path) -> None:
    """Parts of this file that were left by downloads which were killed: a living one
    has written to its part since the time that it may take.
    """
    for part in path.parent.glob(f".{path.name}.*.partial"):
        with suppress(FileNotFoundError):  # another process removed it
            if time.time() - part.stat().st_mtime > _DEADLINE:
                part.unlink()


def _stream(url: str, path: Path) -> None:
    """Copies what is at `url` to `path`, with a progress bar on standard error."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TimeRemainingColumn(),
    )
    end = time.monotonic() + _DEADLINE
    with (
        urlopen(url, timeout=_TIMEOUT) as response,
        path.open("wb") as file,
        Progress(*columns, console=Console(stderr=True)) as progress,
    ):
        length = int(response.headers.get("Content-Length") or 0)
        _require_short(length, "it announces")
        task = progress.add_task(url.rsplit("/", 1)[-1], total=length or None)
        received = 0
        while chunk := response.read1(_CHUNK):
            received += len(chunk)
            _require_short(received, "it sends")
            if time.monotonic() > end:
                raise InputError(f"it was not done after {_DEADLINE / 60:.0f} minutes")
            file.write(chunk)
            progress.advance(task, len(chunk))


def _unpacked(path: Path) -> str:
    """The digest of what a file holds, decompressed; "" where its stream is damaged."""
    with path.open("rb") as file:
        is_packed = file.read(len(_GZIP)) == _GZIP
    try:
        return _digest(gzip.open(path) if is_packed else path.open("rb"))
    except (EOFError, gzip.BadGzipFile, zlib.error):
        return ""


def _digest(opened: gzip.GzipFile | BufferedReader) -> str:
    """SHA-256 of what is read, chunk by chunk, to the end."""
    found, length = hashlib.sha256(), 0
    with opened as file:
        while chunk := file.read(_CHUNK):
            length += len(chunk)
            _require_short(length, "its file holds")
            found.update(chunk)
    return found.hexdigest()


def _require_short(length: int, what: str) -> None:
    if length > MOST:
        raise InputError(f"{what} more than {MOST >> 20} MiB")
