"""What ran: the identity of a run, and the record of the circumstances."""

import hashlib
import importlib.metadata
import json
import os
import platform
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax

from jaxml.record.config import config_to_json
from jaxml.record.stages import Stage
from jaxml.record.study import Study
from jaxml.source import code_digest, describe

_IDENTITY = ("study", "config", "dtype", "platform", "code", "needs")
_VERSIONS = ("jax", "jaxlib", "numpy", "flax", "optax", "scipy", "jaxml")
_SETTINGS = (
    "jax_enable_x64", "jax_default_matmul_precision", "jax_numpy_dtype_promotion", "jax_default_prng_impl",
    "jax_threefry_partitionable",
)  # fmt: skip


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


def identity(study: Study, config: Any, needed: Sequence[Mapping[str, Any]] = ()) -> dict[str, Any]:
    """All that decides the bits of a result on one platform, as JSON values.

    Args:
        study: what runs.
        config: with what.
        needed: the manifests of the runs whose results it receives; their identities become part of its own.

    Raises:
        InputError: a value of the config has the wrong type.
    """
    values = config_to_json(config)
    return {
        "study": study.name,
        "config": values,
        "dtype": values.get("dtype", "float32"),
        "platform": jax.default_backend(),
        "code": code_digest(study.path),
        "needs": [{name: each[name] for name in _IDENTITY} for each in needed],
    }


def run_hash(marks: Mapping[str, Any]) -> str:
    """Twelve hexadecimal digits of the SHA-256 of an identity, whatever the order of its keys.

    >>> run_hash({"study": "a", "code": "b"}) == run_hash({"code": "b", "study": "a"})
    True
    """
    return hashlib.sha256(json.dumps(marks, sort_keys=True).encode()).hexdigest()[:12]


def manifest(
    study: Study, config: Any, marks: Mapping[str, Any], spent: Spent, checksums: Mapping[str, str]
) -> dict[str, Any]:
    """The identity of a run and its circumstances, as JSON values.

    Args:
        study: what ran.
        config: with what.
        marks: their `identity` when the run began, whatever has happened to the code since.
        spent: when, and for how long.
        checksums: of the data that were read, by name.
    """
    return {
        **marks,
        "hash": run_hash(marks),
        "smoke": config == study.smoke,
        "about": _about(study.path),
        "seeds": {name: value for name, value in marks["config"].items() if name in ("seed", "seeds")},
        **_commit(study.path.parent),
        "versions": {name: importlib.metadata.version(name) for name in _VERSIONS}
        | {"python": platform.python_version()},
        "device": {"kind": jax.devices()[0].device_kind, "count": jax.device_count()},
        "flags": {"XLA_FLAGS": os.environ.get("XLA_FLAGS", "")}
        | {name: getattr(jax.config, name) for name in _SETTINGS},
        "started": spent.started,
        "finished": spent.finished,
        "wall_seconds": spent.wall,
        "compile_seconds": spent.compilation,
        "stages": {name: stage._asdict() for name, stage in spent.stages.items()},
        "checksums": dict(checksums),
        "command": shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]]),
    }


def _about(path: Path) -> dict[str, str]:
    description = describe(path)
    notes = {label.lower(): text for label, text in description.notes.items()}
    return {"summary": description.summary} | notes


def _commit(folder: Path) -> dict[str, Any]:
    """The commit that the folder stands at and whether its tree differs; "unknown" where git cannot say."""
    commit, changes = _git(folder, "rev-parse", "HEAD"), _git(folder, "status", "--porcelain")
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
