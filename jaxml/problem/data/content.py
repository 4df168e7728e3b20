"""What a file of data holds, decompressed, and whether it is what was published."""

import gzip
import hashlib
import zlib
from pathlib import Path

from jaxml.types import InputError

REMEDY = "delete it, or put an intact copy in its place"


def contents(path: Path) -> bytes:
    """The bytes of a file."""
    try:
        return path.read_bytes()
    except OSError as reason:
        raise InputError(
            f"{path} cannot be read ({reason.strerror}): make it a file you may read."
        ) from reason


def decompress(path: Path) -> bytes:
    """The content of a gzip file, its checksum verified."""
    try:
        return gzip.decompress(contents(path))
    except EOFError as reason:
        raise InputError(f"{path} ends before its gzip stream does: {REMEDY}.") from reason
    except (gzip.BadGzipFile, zlib.error) as reason:
        raise InputError(f"{path} is not an intact gzip file ({reason}): {REMEDY}.") from reason


def verify(content: bytes, digest: str, path: Path) -> None:
    """Passes if the SHA-256 of `content`, what `path` holds once decompressed, is `digest`.

    Raises:
        InputError: it is another.
    """
    found = hashlib.sha256(content).hexdigest()
    if found != digest:
        raise InputError(
            f"{path} holds other content than was published (SHA-256 {found[:12]}..., not {digest[:12]}...): "
            f"{REMEDY}."
        )
