"""IDX files of one's own, which nobody has vouched for: their headers are compared with
their length before memory is taken.
"""

import math
import struct
from pathlib import Path

import numpy as np

from jaxml.problem.data import idx
from jaxml.problem.data.bounded import check_fits, check_length, check_unpacked
from jaxml.provenance import contents

__all__ = ["read_idx"]

_BYTES = {0x08: 1, 0x09: 1, 0x0B: 2, 0x0C: 4, 0x0D: 4, 0x0E: 8}
"""Of a value, by the code of its type."""


def read_idx(path: str | Path) -> np.ndarray:
    """The array in an IDX file, gzip-compressed or not, in the machine's byte order; it
    is reported.

    No more is kept than the header promises, and where the file is too short for that,
    nothing at all. Cost: a compressed file is unpacked twice.

    Raises:
        InputError: unreadable, corrupt or truncated gzip; a wrong magic number; a size
            other than the header promises; more dimensions than an array can have.

    Source: LeCun, Cortes and Burges 1998, "The MNIST database", file format.
    """
    path = Path(path)
    check_length(path, promised)
    check_fits(path)
    check_unpacked(contents(path), path, promised)
    return idx.read_idx(path)


def promised(head: bytes) -> int:
    """The bytes of a file that begins so, as its header says; those that are given
    where they are no whole header.

    >>> promised(bytes([0, 0, 0x0D, 1, 0, 0, 0, 3])), promised(b"GIF8")
    (20, 4)
    """
    if len(head) < 4 or head[2] not in _BYTES:
        return len(head)
    dimensions = head[3]
    start = 4 + 4 * dimensions
    if len(head) < start:
        return len(head)
    shape = struct.unpack(f">{dimensions}I", head[4:start])
    return start + math.prod(shape) * _BYTES[head[2]]
