"""What a file of data holds, decompressed, and whether it is what was published."""

import gzip
import zlib
from pathlib import Path

from jaxml.provenance import sha256
from jaxml.types import InputError

REMEDY = "delete it, or put an intact copy in its place"

_GZIP = b"\x1f\x8b"
"""How every gzip stream begins, and neither IDX nor text does."""


def decompress(packed: bytes, path: Path) -> bytes:
    """The content of gzip bytes, its checksum verified; any other bytes as they are.

    The bytes decide and not the file's name, for some tools unpack a file as they save
    it. `path` is for messages only.
    """
    if not packed.startswith(_GZIP):
        return packed
    try:
        return gzip.decompress(packed)
    except EOFError as reason:
        raise InputError(
            f"{path} ends before its gzip stream does: {REMEDY}."
        ) from reason
    except (gzip.BadGzipFile, zlib.error) as reason:
        raise InputError(
            f"{path} is not an intact gzip file ({reason}): {REMEDY}."
        ) from reason


def verify(content: bytes, digest: str, path: Path) -> None:
    """Passes if the SHA-256 of `content`, what `path` holds once decompressed, is
    `digest`.

    Raises:
        InputError: it is another.
    """
    found = sha256(content)
    if found != digest:
        raise InputError(
            f"{path} holds other content than was published (SHA-256 {found[:12]}..., "
            f"not {digest[:12]}...): {REMEDY}."
        )
