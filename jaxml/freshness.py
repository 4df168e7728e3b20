"""Whether a stored run is what the same command would give now, and what has changed.
No JAX is imported.
"""

import importlib.metadata
import platform
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from jaxml import closure, shipped
from jaxml.errors import InputError
from jaxml.provenance import Reading, unchanged

PACKAGES = ("jax", "jaxlib", "numpy", "scipy", "flax", "optax", "scikit-learn")
"""The packages whose version can change the bits of a result."""


def versions() -> dict[str, str]:
    """The versions that belong to a run's identity: those of PACKAGES, and of
    Python.
    """
    found = {name: importlib.metadata.version(name) for name in PACKAGES}
    return found | {"python": platform.python_version()}


def stale(manifest: Mapping[str, Any], path: Path) -> tuple[str, ...]:
    """What has changed since a run was made: nothing if it is up to date. It never
    raises.

    Args:
        manifest: of the run.
        path: the study's file; those that it needs are found from there.

    >>> stale({}, Path(closure.__file__))
    ('its manifest is of an older form',)
    """
    if not _well_formed(manifest):
        return ("its manifest is of an older form",)
    return (
        *_other_code(manifest["code"], path),
        *_other_versions(manifest["versions"]),
        *_other_data(manifest["data"]),
        *_other_needs(manifest.get("needs", ()), path),
    )


def told(changes: Sequence[str], most: int = 2) -> str:
    """The first changes, and how many more there are.

    >>> told(("study changed", "jax was 1 and is 2", "tree changed", "learn is new"))
    'study changed; jax was 1 and is 2; and 2 more'
    """
    shown = "; ".join(changes[:most])
    left = len(changes) - most
    return f"{shown}; and {left} more" if left > 0 else shown


def _well_formed(manifest: Mapping[str, Any]) -> bool:
    """Whether code, versions, data and needs have the types that they are written
    in.
    """
    fields = [manifest.get(name) for name in ("code", "versions", "data")]
    if not all(isinstance(field, Mapping) for field in fields):
        return False
    needs = manifest.get("needs", [])
    if not isinstance(needs, list) or not all(
        isinstance(entry, Mapping) for entry in manifest["data"].values()
    ):
        return False
    return all(_is_need(each) for each in needs)


def _is_need(each: Any) -> bool:
    return (
        isinstance(each, Mapping)
        and isinstance(each.get("code"), Mapping)
        and "study" in each
    )


def code_changes(code: Mapping[str, str], path: Path) -> tuple[str, ...]:
    """What has changed in the code that computes a study's arrays. It never raises."""
    return tuple(_other_code(code, path))


def _other_code(code: Mapping[str, str], path: Path) -> Iterator[str]:
    if not path.is_file():
        yield f"{path.name} is gone"
        return
    try:
        yield from closure.changes(code, closure.computing(path).parts)
    except InputError as reason:
        yield f"{path.name} cannot be read: {reason}"


def judging_changed(manifest: Mapping[str, Any], path: Path) -> tuple[str, ...]:
    """What has changed in the code of findings and figures, which are made again from
    the stored arrays.
    """
    before = manifest.get("judging")
    if not isinstance(before, Mapping):
        return ("its manifest is of an older form",)
    try:
        return closure.changes(before, closure.judging(path).parts)
    except InputError as reason:
        return (f"{path.name} cannot be read: {reason}",)


def _other_versions(before: Mapping[str, str]) -> Iterator[str]:
    for name, now in versions().items():
        if before.get(name) != now:
            yield f"{name} was {before.get(name, 'not recorded')} and is {now}"


def _other_data(data: Mapping[str, Any]) -> Iterator[str]:
    for name, entry in data.items():
        reading = Reading(
            name, entry.get("digest", ""), entry.get("path"), entry.get("file_digest")
        )
        if not unchanged(reading):
            yield f"the data {name} changed"


def _other_needs(needs: Any, path: Path) -> Iterator[str]:
    """What has changed in the code of the runs whose results went into this one, and
    into those.
    """
    for each in needs:
        need = shipped.needed(path, str(each["study"]))
        for change in _other_code(each["code"], need):
            yield f"{change}, for {each['study']}"
        yield from _other_needs(each.get("needs", ()), need)
