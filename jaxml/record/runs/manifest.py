"""What ran: the identity of a run, and the record of the circumstances."""

import hashlib
import json
import shlex
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

import jaxml
from jaxml import claims, parallel
from jaxml.freshness import versions
from jaxml.provenance import Reading
from jaxml.record.runs.circumstances import hardware
from jaxml.record.runs.circumstances import platform as platform
from jaxml.record.runs.circumstances import settings as settings
from jaxml.record.runs.circumstances import threads as threads
from jaxml.record.runs.config import config_to_json
from jaxml.record.runs.stages import Stage
from jaxml.record.study import Study
from jaxml.types import InputError

_IDENTITY = (
    "study",
    "config",
    "platform",
    "versions",
    "settings",
    "code",
    "imported",
    "needs",
)


class Spent(NamedTuple):
    """When a run was made and what it cost.

    Attributes:
        started: UTC, ISO 8601, of the attempt that finished.
        finished: UTC, ISO 8601.
        wall: seconds of that attempt, plus those of the stages kept from earlier ones.
        compilation: seconds that the backend compiled in that attempt.
        stages: each stage's cost.
    """

    started: str
    finished: str
    wall: float
    compilation: float
    stages: Mapping[str, Stage]


def identity(
    study: Study, config: Any, needed: Sequence[Mapping[str, Any]] = ()
) -> dict[str, Any]:
    """All that decides the bits of a result before the data are read, as JSON values.

    The seed is a field of the config. Code counts as far as `study` reaches it, without
    docstrings, comments, `findings` and `figures`.

    Args:
        study: what runs.
        config: with what.
        needed: the manifests of the runs whose results it receives; their identities
            become part of its own.

    Raises:
        InputError: a value of the config has the wrong type.
    """
    return {
        "study": study.name,
        "config": config_to_json(config),
        "platform": platform(),
        "versions": versions(),
        "settings": settings(),
        "code": dict(study.computing),
        "imported": {each.name: each.digest for each in study.readings},
        "needs": [_identity_of(each) for each in needed],
    }


def _identity_of(manifest: Mapping[str, Any]) -> dict[str, Any]:
    marks = {name: manifest[name] for name in _IDENTITY}
    return marks | {"data": contents(manifest["data"])}


def contents(data: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """What was read, by name: the part of a manifest's data that belongs to the
    identity.
    """
    return {name: entry["digest"] for name, entry in sorted(data.items())}


def run_hash(marks: Mapping[str, Any]) -> str:
    """Twelve hexadecimal digits of the SHA-256 of an identity, whatever the order of
    its keys.

    >>> run_hash({"study": "a", "code": "b"}) == run_hash({"code": "b", "study": "a"})
    True
    """
    return hashlib.sha256(json.dumps(marks, sort_keys=True).encode()).hexdigest()[:12]


def full_hash(marks: Mapping[str, Any], data: Mapping[str, Mapping[str, Any]]) -> str:
    """The name of a run: its identity, with what the loaders report to have read."""
    return run_hash({**marks, "data": contents(data)})


def is_consistent(manifest: Mapping[str, Any]) -> bool:
    """Whether a manifest still has the hash that was made from it."""
    marks = {name: manifest.get(name) for name in _IDENTITY}
    return manifest.get("hash") == full_hash(marks, manifest["data"])


def readings_to_json(readings: Iterable[Reading]) -> dict[str, dict[str, Any]]:
    """What was read, by name, as the manifest holds it.

    Raises:
        InputError: a file changed between two readings.
    """
    found: dict[str, dict[str, Any]] = {}
    for reading in readings:
        name, *_ = reading
        while name in found and found[name]["path"] != reading.path:
            name += "'"  # another file of the same name
        if name in found and found[name]["digest"] != reading.digest:
            raise InputError(
                f"{name} changed while the run read it: let it rest, and run again."
            )
        found[name] = {
            "digest": reading.digest,
            "path": reading.path,
            "file_digest": reading.file_digest,
        }
    return found


def manifest(
    study: Study,
    config: Any,
    marks: Mapping[str, Any],
    spent: Spent,
    data: Mapping[str, Mapping[str, Any]],
    arrays: Mapping[str, np.ndarray],
) -> dict[str, Any]:
    """The identity of a run and its circumstances, as JSON values.

    Args:
        study: what ran.
        config: with what.
        marks: their `identity` when the run began, whatever has happened to the code
            since.
        spent: when, and for how long.
        data: what was read, as `readings_to_json` gives it.
        arrays: of the result, for their precision.
    """
    return {
        **marks,
        "hash": full_hash(marks, data),
        "before": run_hash(marks),
        "data": dict(data),
        "judging": dict(study.judging),
        "asserting": study.asserting,
        "differs": differs(config),
        "smoke": config == study.smoke != study.Config(),
        "dtype": _dtypes(arrays.values()),
        "about": dict(study.about),
        "own_claims": own_claims(study),
        "file": str(study.path),
        **_commit(study.path.parent),
        "jaxml": jaxml.__version__,
        "device": {
            "kind": jax.devices()[0].device_kind,
            "count": len(parallel.devices()),
            **hardware(),
        },
        "threads": threads(),
        "started": spent.started,
        "finished": spent.finished,
        "wall_seconds": spent.wall,
        "compile_seconds": spent.compilation,
        "stages": {name: stage._asdict() for name, stage in spent.stages.items()},
        "command": shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]]),
    }


def own_claims(study: Study) -> dict[str, Any]:
    """The claims that the study brings itself, by id, as a claims.toml would hold
    them.
    """
    course = claims.ledger()
    found = {}
    for name, claim in study.announced.items():
        if name not in course:
            fields = claim._asdict()
            del fields["id"]
            found[name] = fields
    return found


def differs(config: Any) -> dict[str, Any]:
    """The fields in which a config is not the default one, with their values as
    JSON.
    """
    if not is_dataclass(config):
        return {}
    values = config_to_json(config)
    try:
        usual = config_to_json(type(config)())  # type: ignore[operator]  # an instance's class
    except TypeError:  # a field has no default: nothing is usual
        return values
    names = [field.name for field in fields(config)]
    return {name: values[name] for name in names if values[name] != usual[name]}


def _dtypes(arrays: Iterable[np.ndarray]) -> str:
    dtypes = {np.asarray(array).dtype for array in arrays}
    names = {str(dtype) for dtype in dtypes if np.issubdtype(dtype, np.inexact)}
    return ", ".join(sorted(names))


def _commit(folder: Path) -> dict[str, Any]:
    """The commit that the folder stands at and whether its tree differs; "unknown"
    where git cannot say.
    """
    commit, changes = (
        _git(folder, "rev-parse", "HEAD"),
        _git(folder, "status", "--porcelain"),
    )
    if commit is None or changes is None:
        return {"commit": "unknown", "dirty": "unknown"}
    return {"commit": commit, "dirty": bool(changes)}


def _git(folder: Path, *arguments: str) -> str | None:
    command = ["git", "-C", str(folder), *arguments]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return answer.stdout.strip() if answer.returncode == 0 else None
