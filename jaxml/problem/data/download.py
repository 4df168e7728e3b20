"""Download from mirrors in turn; a file appears under its name only when it is whole
and right.
"""

import os
import secrets
from collections.abc import Sequence
from http.client import HTTPException
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

from jaxml.problem.data.content import decompress, verify
from jaxml.provenance import contents
from jaxml.types import InputError

_TIMEOUT = 30.0  # seconds without an answer
_CHUNK = 1 << 16


def download(mirrors: Sequence[str], path: Path, digest: str) -> None:
    """Fetches `path.name` from the first mirror that has it right, and moves it to
    `path` in one step.

    Args:
        mirrors: addresses of folders, each ending in a slash.
        path: where the file goes; its folder is made.
        digest: SHA-256 of the uncompressed content, as mirrors compress differently.

    Raises:
        InputError: the folder cannot be made, or no mirror gave the file.
    """
    _make_folder(path.parent)
    reasons = []
    for mirror in mirrors:
        partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}.partial")
        try:
            _stream(mirror + path.name, partial)
            verify(decompress(contents(partial), partial), digest, partial)
            os.replace(partial, path)
            return
        except (OSError, HTTPException) as reason:
            reasons.append(f"{mirror}: {reason}")
        except InputError:
            reasons.append(f"{mirror}: what it sent is not the published file")
        finally:
            partial.unlink(missing_ok=True)
    raise InputError(
        f"{path.name} is not on this machine and cannot be downloaded "
        f"({'; '.join(reasons)}): put it into {path.parent}."
    )


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as reason:
        raise InputError(
            f"The cache {folder} cannot be made ({reason.strerror}): set "
            "XDG_CACHE_HOME to another folder."
        ) from reason


def _stream(url: str, path: Path) -> None:
    """Copies what is at `url` to `path`, with a progress bar on standard error."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TimeRemainingColumn(),
    )
    with (
        urlopen(url, timeout=_TIMEOUT) as response,
        path.open("wb") as file,
        Progress(*columns, console=Console(stderr=True)) as progress,
    ):
        length = response.headers.get("Content-Length")
        task = progress.add_task(url.rsplit("/", 1)[-1], total=length and int(length))
        while chunk := response.read(_CHUNK):
            file.write(chunk)
            progress.advance(task, len(chunk))
