"""What an .npz file holds, read with suspicion: sizes are compared with the file before
memory is taken, and nothing is ever unpickled or unpacked into a folder.
"""

import io
import math
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

_ENDING = ".npy"
_ENCRYPTED = 0x1

_HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}
"""How the header of each version of the format is read."""


def members(path: Path) -> Iterator[tuple[str, np.ndarray]]:
    """The arrays in an .npz file by name, as `save_arrays` wrote them: members that are
    stored as they are, each under one name.

    Cost: at most one copy of the file in memory.

    Raises:
        FileNotFoundError: there is none.
        ValueError: it is no regular file, or a member is compressed, encrypted, longer
            than the file, or there twice; a header promises another size than its
            member has, or objects of Python.
        zipfile.BadZipFile: it is no archive, or a checksum is wrong.
    """
    if path.exists() and not path.is_file():
        raise ValueError("no regular file")
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
        _check(entries, path.stat().st_size)
        for entry in entries:
            array = parsed(archive.read(entry))
            name, _, small = entry.filename.removesuffix(_ENDING).partition(":")
            yield name, array.view(_small_type(small, array)) if small else array


def parsed(content: bytes) -> np.ndarray:
    """The array in the bytes of an .npy file, as a view of them.

    Raises:
        ValueError: another version of the format, another size than the header
            promises, or objects of Python.

    Source: Kern 2007, NumPy Enhancement Proposal 1, "A simple file format for arrays".
    """
    file = io.BytesIO(content)
    version = np.lib.format.read_magic(file)
    if version not in _HEADERS:
        raise ValueError(f"version {version} of the format is not written here")
    shape, is_fortran, dtype = _HEADERS[version](file)
    if dtype.hasobject:
        raise ValueError("objects of Python, which only pickle could read")
    if any(length < 0 for length in shape):
        raise ValueError(f"a negative length in {shape}")
    promised = math.prod(shape) * dtype.itemsize
    held = len(content) - file.tell()
    if promised != held:
        raise ValueError(f"{held} bytes, where the header says {promised}")
    values = np.ndarray(shape, dtype, content, offset=file.tell())
    return values if not is_fortran else _transposed(values)


def _transposed(values: np.ndarray) -> np.ndarray:
    """The same bytes, the first axis running fastest."""
    flat = values.reshape(-1)
    return flat.reshape(values.shape[::-1]).transpose()


def _check(entries: Sequence[zipfile.ZipInfo], size: int) -> None:
    """Passes if the members of an archive can lie side by side in a file of so many
    bytes.
    """
    names = [entry.filename for entry in entries]
    if len(set(names)) < len(names):
        raise ValueError("a member is there twice")
    for entry in entries:
        is_stored = entry.compress_type == zipfile.ZIP_STORED
        if not is_stored or entry.flag_bits & _ENCRYPTED:
            raise ValueError(f"{entry.filename!r} is compressed or encrypted")
        if not entry.filename.endswith(_ENDING):
            raise ValueError(f"{entry.filename!r} is no array")
    if sum(max(entry.file_size, entry.compress_size) for entry in entries) > size:
        raise ValueError("its members are longer than the file")


def _small_type(name: str, array: np.ndarray) -> np.dtype:
    """The type of few bits, such as bfloat16, that raw bits stand for.

    Raises:
        TypeError: there is no type of that name.
        ValueError: it is one of NumPy's own, or of another size.
    """
    dtype = np.dtype(name)
    if dtype.isbuiltin != 2 or dtype.itemsize != array.itemsize:
        raise ValueError(f"{name!r} is no type of {array.itemsize} bytes")
    return dtype
