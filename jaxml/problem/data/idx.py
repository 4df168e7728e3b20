"""The IDX format, gzip-compressed or not: a magic number, the dimensions, the values,
all big-endian.
"""

import math
import struct
from pathlib import Path

import numpy as np

from jaxml.problem.data.content import REMEDY, decompress
from jaxml.provenance import Reading, contents, report, sha256
from jaxml.types import InputError

__all__ = ["read_idx"]

_TYPES = {
    0x08: ">u1",
    0x09: ">i1",
    0x0B: ">i2",
    0x0C: ">i4",
    0x0D: ">f4",
    0x0E: ">f8",
}


def read_idx(path: str | Path) -> np.ndarray:
    """The array in an IDX file, gzip-compressed or not, in the machine's byte order; it
    is reported.

    Raises:
        InputError: unreadable, corrupt or truncated gzip; a wrong magic number; a size
            other than the header promises; more dimensions than an array can have.

    Source: LeCun, Cortes and Burges 1998, "The MNIST database", file format.
    """
    path = Path(path)
    packed = contents(path)
    content = decompress(packed, path)
    array = parse(content, path)
    place = str(path.absolute())
    report(Reading(path.name, sha256(content), place, sha256(packed)))
    return array


def parse(content: bytes, path: Path) -> np.ndarray:
    """The array that IDX bytes describe; `path` is for messages only."""
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] not in _TYPES:
        raise InputError(
            f"{path} begins with 0x{content[:4].hex()}, which is no IDX magic number: "
            f"{REMEDY}."
        )
    dtype = np.dtype(_TYPES[content[2]])
    dimensions = content[3]
    start = 4 + 4 * dimensions
    if len(content) < start:
        raise InputError(f"{path} ends within the IDX header: {REMEDY}.")
    shape = struct.unpack(f">{dimensions}I", content[4:start])
    promised = start + math.prod(shape) * dtype.itemsize
    if len(content) != promised:
        raise InputError(
            f"{path} holds {len(content)} bytes, its header says {promised}: {REMEDY}."
        )
    values = np.frombuffer(content, dtype, offset=start)
    try:
        array = values.reshape(shape)
    except ValueError as reason:
        raise InputError(
            f"{path} has dimensions that no array has ({reason}): {REMEDY}."
        ) from reason
    return array.astype(dtype.newbyteorder("="))
