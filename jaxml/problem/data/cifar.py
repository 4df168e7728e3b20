"""CIFAR-10 in its binary form: rows of one byte of label and 3,072 bytes of pixels.

A row's pixels are 32 rows of 32 reds, then as many greens and blues. The form for
Python is a pickle, which can run code when it is read, and is not read here.
"""

import os
import secrets
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jax.typing import DTypeLike
from jaxtyping import Int, UInt8

from jaxml.problem.data.content import REMEDY, verify
from jaxml.problem.data.download import download_packed, make_folder
from jaxml.problem.data.examples import examples
from jaxml.problem.data.files import FileSet, _cache, _forms, published
from jaxml.problem.labels import check_labels
from jaxml.provenance import Reading, contents, report, sha256
from jaxml.types import Batch, Dataset, InputError

__all__ = ["cifar10", "read_cifar10"]

CLASSES, SIDE, COLOURS = 10, 32, 3
ROW = 1 + COLOURS * SIDE * SIDE


class Archive(NamedTuple):
    """A data set that is published as one compressed archive of its folder.

    Attributes:
        name: of the archive.
        digest: SHA-256 of the archive as published, compressed.
        files: the folder, addresses of folders that publish the archive, and what each
            of its files holds: those that train, and last the one that tests.
    """

    name: str
    digest: str
    files: FileSet


CIFAR_10 = Archive(
    "cifar-10-binary.tar.gz",
    "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
    FileSet(
        "cifar-10-batches-bin",
        (
            "https://www.cs.toronto.edu/~kriz/",
            "https://storage.googleapis.com/s4tf-hosted-binaries/datasets/CIFAR10/",
        ),
        {
            "data_batch_1.bin": "cee916563c9f80d84e3cc88e17fdc0941787f1244f00a67874d45b261883ada5",
            "data_batch_2.bin": "a591ca11fa1708a91ee40f54b3da4784ccd871ecf2137de63f51ada8b3fa57ed",
            "data_batch_3.bin": "bbe8596564c0f86427f876058170b84dac6670ddf06d79402899d93ceea26f67",
            "data_batch_4.bin": "014e562d6e23c72197cc727519169a60359f5eccd8945ad5a09d710285ff4e48",
            "data_batch_5.bin": "755304fc0b379caeae8c14f0dac912fbc7d6cd469eb67a1029a08a39453a9add",
            "test_batch.bin": "8e2eb146ae340b09e24670f29cabc6326dba54da8789dab6768acf480273f65b",
        },
    ),
)


class Rows(NamedTuple):
    """What a binary file holds.

    Attributes:
        pixels: channels last.
        labels: from 0 to 9.
    """

    pixels: UInt8[np.ndarray, "n 32 32 3"]
    labels: Int[np.ndarray, " n"]


def cifar10(
    *, train: int = 50_000, test: int = 10_000, dtype: DTypeLike = np.float32
) -> Dataset:
    """Ten kinds of things in colour: the first `train` training and the first `test`
    test images.

    The six files are looked for in `$JAXML_DATA_DIR/cifar-10-batches-bin/`, as
    `tar -xf cifar-10-binary.tar.gz` leaves them, then in
    `$XDG_CACHE_HOME/jaxml/cifar-10-batches-bin/` (without the variable, under
    `~/.cache`). Where one is missing, the archive is looked for beside either folder,
    otherwise downloaded (170 MB), and unpacked into the latter. Every read verifies the
    checksums of the content, and only files that are needed are read. In float32 all
    images take 737 MB.

    Returns:
        Inputs `[n, 32, 32, 3]` in [0, 1], targets int32 `[n]`: airplane, automobile,
        bird, cat, deer, dog, frog, horse, ship, truck.

    Raises:
        InputError: a file is corrupt, or neither here nor to be had; a count is out of
            range.

    Source: Krizhevsky 2009, "Learning multiple layers of features from tiny images".
    """
    return load(CIFAR_10, train=train, test=test, dtype=dtype)


def read_cifar10(path: str | Path, *, dtype: DTypeLike = np.float32) -> Batch:
    """The images of one binary file, all of them and in its order; the file is
    reported.

    Raises:
        InputError: a file that is not there, is not whole rows of 3,073 bytes, or has a
            label beyond 9.
    """
    path = Path(path)
    if path.is_file():
        _require_rows(path.stat().st_size, path)
    content = contents(path)
    rows = parse(content, path)
    digest = sha256(content)
    report(Reading(path.name, digest, str(path.absolute()), digest))
    return _batch([rows], len(rows.labels), dtype)


def parse(content: bytes, path: Path) -> Rows:
    """The rows that bytes describe; `path` is for messages only."""
    _require_rows(len(content), path)
    rows = np.frombuffer(content, np.uint8).reshape(-1, ROW)
    labels = rows[:, 0].astype(np.int32)
    try:
        check_labels(labels, CLASSES)
    except InputError as reason:
        raise InputError(
            f"{path} is no file of CIFAR-10, for a row has the label "
            f"{labels.max()}, beyond 9: {REMEDY}."
        ) from reason
    planes = rows[:, 1:].reshape(-1, COLOURS, SIDE, SIDE)
    return Rows(np.moveaxis(planes, 1, -1), labels)


def load(archive: Archive, *, train: int, test: int, dtype: DTypeLike) -> Dataset:
    """The first `train` and the first `test` examples of a set."""
    unpack(archive)
    *training, last = archive.files.digests
    return Dataset(
        _part(archive.files, training, train, dtype),
        _part(archive.files, [last], test, dtype),
    )


def unpack(archive: Archive) -> None:
    """Sees to it that every file of the set is in one of its folders.

    Raises:
        InputError: the archive is neither here nor to be had, or a found one holds
            other content than was published.
    """
    files = archive.files
    if all(_is_somewhere(files, name) for name in files.digests):
        return
    path = _archive(archive)
    verify(contents(path), archive.digest, path)
    folder = _cache() / files.folder
    make_folder(folder)
    with tarfile.open(path, "r:gz") as opened:
        for name in files.digests:
            member = opened.extractfile(f"{files.folder}/{name}")
            partial = _partial(folder / name)
            partial.write_bytes(b"" if member is None else member.read())
            os.replace(partial, folder / name)


def _places() -> list[Path]:
    """The folders in which the set's folder and its archive may lie."""
    given = os.environ.get("JAXML_DATA_DIR")
    return [Path(given).expanduser(), _cache()] if given else [_cache()]


def _is_somewhere(files: FileSet, name: str) -> bool:
    paths = [
        place / files.folder / form for place in _places() for form in _forms(name)
    ]
    return any(path.exists() for path in paths)


def _archive(archive: Archive) -> Path:
    """Its path, after a download if need be."""
    for place in _places():
        if (place / archive.name).exists():
            return place / archive.name
    path = _cache() / archive.name
    download_packed(archive.files.mirrors, path, archive.digest)
    return path


def _partial(path: Path) -> Path:
    return path.with_name(f".{path.name}.{secrets.token_hex(4)}.partial")


def _part(files: FileSet, names: Sequence[str], count: int, dtype: DTypeLike) -> Batch:
    """The first `count` images of the named files, of which no more are read than
    needed.
    """
    parts: list[Rows] = []
    known = 0
    for name in names:
        parts.append(parse(published(files, name), Path(files.folder) / name))
        known += len(parts[-1].labels)
        if 0 < count <= known:
            break
    if not 0 < count <= known:
        raise InputError(
            f"{', '.join(names)} cannot give {count} images: ask for 1 to {known}."
        )
    return _batch(parts, count, dtype)


def _batch(parts: Sequence[Rows], count: int, dtype: DTypeLike) -> Batch:
    pixels = np.concatenate([part.pixels for part in parts])[:count]
    labels = np.concatenate([part.labels for part in parts])[:count]
    floating = np.dtype(dtype).type
    return examples(np.divide(pixels, floating(255), dtype=dtype), labels)


def _require_rows(size: int, path: Path) -> None:
    if size == 0 or size % ROW:
        raise InputError(
            f"{path} holds {size} bytes, which are no whole rows of {ROW}: {REMEDY}."
        )
