"""Files whose own header says how long they are: compared with it before they are read
or unpacked, so that a small file cannot fill the memory.
"""

import gzip
import io
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

from jaxml.memory import require
from jaxml.problem.data.content import REMEDY
from jaxml.types import InputError

Promise: TypeAlias = Callable[[bytes], int]
"""`head -> bytes of the whole content`; at most the length of `head` where that is no
header.
"""

HEAD = 4096
"""Bytes that a header may be long."""

_GZIP = b"\x1f\x8b"
_CHUNK = 1 << 20

_MOST = 1032
"""Bytes that one byte of a DEFLATE stream can stand for.

Source: zlib, "Technical details": a match of 258 bytes in two bits.
"""


def check_length(path: Path, promised: Promise) -> None:
    """Passes if a file is as long as its header says; a compressed one if it can be.

    What cannot be opened passes as well: who reads it says why.

    Raises:
        InputError: the length is another.
    """
    if not path.is_file():
        return
    try:
        with path.open("rb") as file:
            head = file.read(HEAD)
        length = path.stat().st_size
    except OSError:
        return
    if head.startswith(_GZIP):
        return
    wanted = promised(head)
    if length > HEAD and length != wanted:
        raise InputError(
            f"{path} holds {length} bytes, its header says {wanted}: {REMEDY}."
        )


def check_fits(path: Path) -> None:
    """Passes if what a file holds fits into memory; what is no file passes as well.

    Raises:
        InputError: it does not.
    """
    if path.is_file():
        remedy = "read it in parts, or put an intact copy in its place"
        require(path.stat().st_size, str(path), remedy)


def check_unpacked(packed: bytes, path: Path, promised: Promise) -> None:
    """Passes if gzip bytes hold as much as the header within them says, or cannot be
    unpacked at all; any other bytes pass.

    Cost: one pass of unpacking, of which a mebibyte at most is kept.

    Args:
        packed: the bytes of a file.
        path: of the file, for messages.
        promised: how long the content is.

    Raises:
        InputError: the content is longer than the header says, or the stream too short
            for that.
    """
    if not packed.startswith(_GZIP):
        return
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(packed)) as stream:
            _check(stream, len(packed), path, promised)
    except (EOFError, gzip.BadGzipFile, zlib.error):
        return  # a short stream, which whoever unpacks it refuses by its own sentence


def _check(stream: gzip.GzipFile, packed: int, path: Path, promised: Promise) -> None:
    head = stream.read(HEAD)
    wanted = promised(head)
    if wanted > _MOST * packed:
        raise InputError(
            f"{path} has {packed} packed bytes, too few for the {wanted} that its "
            f"header says: {REMEDY}."
        )
    length = len(head)
    while length <= max(wanted, HEAD):
        piece = stream.read(_CHUNK)
        if not piece:
            return
        length += len(piece)
    raise InputError(
        f"{path} goes on behind the {wanted} bytes that its header says: {REMEDY}."
    )
