"""Data sets in files: in a folder on this machine, else in the cache, else downloaded into it once."""

import os
from pathlib import Path
from typing import NamedTuple

from jaxml.problem.data.download import download


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


def found(files: FileSet, name: str) -> Path:
    """The file's path, after a download if need be."""
    folder = os.environ.get("JAXML_DATA_DIR")
    if folder and (given := Path(folder).expanduser() / files.folder / name).exists():
        return given
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    cached = cache / "jaxml" / files.folder / name
    if not cached.exists():
        download(files.mirrors, cached, files.digests[name])
    return cached
