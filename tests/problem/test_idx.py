"""The IDX reader against files written byte by byte."""

import gzip
import hashlib
import struct

import numpy as np
import pytest

from jaxml.problem import read_idx
from jaxml.provenance import collecting
from jaxml.types import InputError

pytestmark = pytest.mark.oracle

SQUARE = (
    b"\x00\x00\x08\x02"
    + b"\x00\x00\x00\x02\x00\x00\x00\x03"
    + bytes([1, 2, 3, 4, 5, 255])
)


def _written(folder, content):
    path = folder / "some-idx2-ubyte.gz"
    path.write_bytes(content)
    return path


def test_bytes_become_the_array(tmp_path):
    array = read_idx(_written(tmp_path, gzip.compress(SQUARE)))
    assert array.dtype == np.uint8 and array.tolist() == [[1, 2, 3], [4, 5, 255]]


def test_a_path_may_be_text_and_a_gzip_file_of_several_members(tmp_path):
    halves = gzip.compress(SQUARE[:9]) + gzip.compress(SQUARE[9:])
    assert read_idx(str(_written(tmp_path, halves))).tolist() == [
        [1, 2, 3],
        [4, 5, 255],
    ]


def test_an_unpacked_file_is_read_and_reported(tmp_path):
    path = _written(tmp_path, SQUARE)
    with collecting() as readings:
        assert read_idx(path).tolist() == [[1, 2, 3], [4, 5, 255]]
    digest = hashlib.sha256(SQUARE).hexdigest()
    assert readings == [(path.name, digest, str(path), digest)]


@pytest.mark.parametrize(
    ("code", "letter", "dtype"),
    [
        (9, "b", np.int8),
        (11, "h", np.int16),
        (12, "i", np.int32),
        (13, "f", np.float32),
        (14, "d", np.float64),
    ],
)
def test_every_type_is_read_in_native_order(tmp_path, code, letter, dtype):
    content = bytes([0, 0, code, 1]) + struct.pack(f">I3{letter}", 3, -2, 0, 5)
    array = read_idx(_written(tmp_path, gzip.compress(content)))
    assert array.dtype == np.dtype(dtype) and array.tolist() == [-2, 0, 5]


def _flipped(content, place):
    changed = bytearray(content)
    changed[place] ^= 0xFF
    return bytes(changed)


WHOLE = gzip.compress(SQUARE, mtime=0)
BROKEN = {
    "truncated": (WHOLE[:-9], "ends before its gzip stream does"),
    "truncated header": (gzip.compress(SQUARE[:9]), "ends within the IDX header"),
    "not gzip": (b"\x1f\x8b" + SQUARE, "not an intact gzip file"),
    "a page": (b"<html>please log in</html>", "begins with 0x3c68746d"),
    "wrong crc": (_flipped(WHOLE, -6), "not an intact gzip file"),
    "corrupt stream": (_flipped(WHOLE, 10), "not an intact gzip file"),
    "wrong magic": (gzip.compress(b"\x00\x01" + SQUARE[2:]), "begins with 0x00010802"),
    "wrong type": (
        gzip.compress(b"\x00\x00\x0a" + SQUARE[3:]),
        "begins with 0x00000a02",
    ),
    "empty": (gzip.compress(b""), "begins with 0x,"),
    "too short": (gzip.compress(SQUARE[:-1]), "holds 17 bytes, its header says 18"),
    "255 dimensions": (
        b"\x00\x00\x08\xff" + bytes(4 * 255),
        "dimensions that no array has",
    ),
    "65 ones": (
        b"\x00\x00\x08\x41" + b"\x00\x00\x00\x01" * 65 + b"\x07",
        "dimensions that no array has",
    ),
    "nothing of all": (
        b"\x00\x00\x08\x03" + b"\xff" * 8 + bytes(4),
        "dimensions that no array has",
    ),
    "too long": (gzip.compress(SQUARE + b"\x00"), "holds 19 bytes, its header says 18"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_file_is_refused_with_its_path_and_a_fix(tmp_path, case):
    content, message = BROKEN[case]
    path = _written(tmp_path, content)
    with pytest.raises(InputError, match=message) as caught:
        read_idx(path)
    assert str(path) in str(caught.value) and "delete it" in str(caught.value)


def test_an_absent_file_and_a_folder_are_refused(tmp_path):
    for path in (tmp_path, tmp_path / "absent.gz"):
        with pytest.raises(InputError, match="cannot be read"):
            read_idx(path)
