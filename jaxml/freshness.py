"""Whether a stored run is what the same command would give now, and what has changed. No JAX is imported."""

import importlib.metadata
import platform
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from jaxml import closure
from jaxml.provenance import Reading, unchanged

PACKAGES = ("jax", "jaxlib", "numpy", "scipy", "flax", "optax", "scikit-learn")
"""The packages whose version can change the bits of a result."""


def versions() -> dict[str, str]:
    """The versions that belong to a run's identity: those of PACKAGES, and of Python."""
    found = {name: importlib.metadata.version(name) for name in PACKAGES}
    return found | {"python": platform.python_version()}


def stale(manifest: Mapping[str, Any], path: Path) -> tuple[str, ...]:
    """What has changed since a run was made: nothing if it is up to date.

    Args:
        manifest: of the run.
        path: the study's file; those that it needs lie beside it.

    >>> stale({}, Path(closure.__file__))
    ('its manifest is of an older form',)
    """
    if not {"code", "versions", "data"} <= manifest.keys() or not isinstance(manifest["code"], Mapping):
        return ("its manifest is of an older form",)
    if not path.is_file():
        return (f"{path.name} is gone",)
    return (
        *closure.changes(manifest["code"], closure.computing(path).parts),
        *_other_versions(manifest["versions"]),
        *_other_data(manifest["data"]),
        *_other_needs(manifest.get("needs", ()), path),
    )


def judging_changed(manifest: Mapping[str, Any], path: Path) -> tuple[str, ...]:
    """What has changed in the code of findings and figures, which are made again from the stored arrays."""
    before = manifest.get("judging")
    if not isinstance(before, Mapping):
        return ("its manifest is of an older form",)
    return closure.changes(before, closure.judging(path).parts)


def _other_versions(before: Mapping[str, str]) -> Iterator[str]:
    for name, now in versions().items():
        if before.get(name) != now:
            yield f"{name} was {before.get(name, 'not recorded')} and is {now}"


def _other_data(data: Mapping[str, Any]) -> Iterator[str]:
    for name, entry in data.items():
        reading = Reading(name, entry["digest"], entry.get("path"), entry.get("file_digest"))
        if not unchanged(reading):
            yield f"the data {name} changed"


def _other_needs(needs: Any, path: Path) -> Iterator[str]:
    for each in needs:
        need = path.with_name(f"{each['study']}.py")
        for change in closure.changes(each["code"], closure.computing(need).parts):
            yield f"{change}, for {each['study']}"
