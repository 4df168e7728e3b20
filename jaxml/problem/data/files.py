"""Data sets in files: in a folder on this machine, else in the cache, else downloaded
into it once.
"""

import os
from pathlib import Path
from typing import NamedTuple

from jaxml.problem.data.content import decompress, verify
from jaxml.problem.data.download import download
from jaxml.provenance import Reading, contents, report, sha256


class FileSet(NamedTuple):
    """Where the files of a data set are found, and what they must hold.

    Attributes:
        folder: the folder's name under `$JAXML_DATA_DIR` and in the cache.
        mirrors: addresses of folders that publish the files, in the order of trial.
        digests: file name to SHA-256 of the uncompressed content.
    """

    folder: str
    mirrors: tuple[str, ...]
    digests: dict[str, str]


def published(files: FileSet, name: str) -> bytes:
    """The uncompressed content of a file of the set, verified and reported, after a
    download if need be.

    Raises:
        InputError: the file is corrupt, holds other content, or is neither here nor to
            be had.
    """
    path = found(files, name)
    packed = contents(path)
    content = decompress(packed, path)
    digest = files.digests[name]
    verify(content, digest, path)
    report(
        Reading(f"{files.folder}/{name}", digest, str(path.absolute()), sha256(packed))
    )
    return content


def found(files: FileSet, name: str) -> Path:
    """The file's path, after a download if need be; a compressed file comes before an
    unpacked one.
    """
    cache = _cache() / files.folder
    folder = os.environ.get("JAXML_DATA_DIR")
    places = (
        [cache] if not folder else [Path(folder).expanduser() / files.folder, cache]
    )
    for place in places:
        for form in _forms(name):
            if (place / form).exists():
                return place / form
    download(files.mirrors, cache / name, files.digests[name])
    return cache / name


def _cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "jaxml"


def _forms(name: str) -> list[str]:
    """The names under which tools save a file: as published, unpacked, and unpacked
    with a dot.
    """
    plain = name.removesuffix(".gz")
    return list(dict.fromkeys([name, plain, plain.replace("-idx", ".idx")]))
