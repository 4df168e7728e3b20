"""Which runs there are."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from jaxml.record.runs.folder import load_manifest
from jaxml.types import InputError


def list_runs(runs: str | Path) -> tuple[Path, ...]:
    """The folders of all whole runs, sorted; unfinished and replaced ones are passed
    over.

    Raises:
        InputError: `runs` is a file.
    """
    runs = Path(runs)
    try:
        if runs.exists() and not runs.is_dir():
            raise InputError(f"{runs} is a file: name the folder of the runs.")
        folders = [
            path for path in runs.glob("*/*") if re.fullmatch("[0-9a-f]{12}", path.name)
        ]
        return tuple(sorted(path for path in folders if path.is_dir()))
    except OSError as error:
        raise InputError(
            f"{runs} cannot be read ({error.strerror}): name a folder that you may "
            "read."
        ) from error


class Listed(NamedTuple):
    """A run that can be read, by its manifest.

    Attributes:
        folder: of the run.
        manifest: of the run.
    """

    folder: Path
    manifest: dict[str, Any]


def readable_runs(
    runs: str | Path, announce: Callable[[str], None] | None = None
) -> tuple[Listed, ...]:
    """All whole runs, the one that finished last at the end; a damaged one is announced
    and passed over.

    Raises:
        InputError: `runs` is a file.
    """
    found = []
    for folder in list_runs(runs):
        try:
            found.append(Listed(folder, load_manifest(folder)))
        except InputError as reason:
            if announce is not None:
                announce(f"note: passed over, {reason}")
    return tuple(sorted(found, key=lambda each: str(each.manifest["finished"])))
