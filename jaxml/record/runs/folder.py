"""The folder of a run: what lies in it, and whether two hold the same bits."""

import json
import os
from collections import namedtuple
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, get_type_hints

import numpy as np

from jaxml.provenance import sha256
from jaxml.record.finding import Finding
from jaxml.record.runs.archive import load_arrays, replacing, save_arrays
from jaxml.record.runs.form import manifest_fault, read_json
from jaxml.record.verdicts import finding_from_json, finding_to_json
from jaxml.text import made_plain
from jaxml.types import InputError


class Run(NamedTuple):
    """A run, as its folder holds it.

    Attributes:
        folder: `<runs>/<study>/<hash>`.
        manifest: what ran, and how.
        result: the arrays of the study's Result, as `flat` names them.
        timings: the fields of its Timings, or None.
        findings: the verdicts.
    """

    folder: Path
    manifest: dict[str, Any]
    result: Mapping[str, np.ndarray]
    timings: Mapping[str, np.ndarray] | None
    findings: tuple[Finding, ...]


def flat(result: tuple) -> dict[str, np.ndarray]:
    """The arrays of a NamedTuple by name, those of a NamedTuple within it as
    `outer.inner`.
    """
    arrays: dict[str, np.ndarray] = {}
    for name, value in result._asdict().items():  # type: ignore[attr-defined]  # a NamedTuple
        inner = flat(value) if hasattr(value, "_asdict") else {"": value}
        arrays |= {f"{name}.{key}".rstrip("."): array for key, array in inner.items()}
    return arrays


def restored(
    kind: type[Any], arrays: Mapping[str, np.ndarray], prefix: str = ""
) -> Any:
    """The NamedTuple that `flat` took apart.

    Raises:
        InputError: an array that it needs is missing.
    """
    values = {}
    for name, hint in get_type_hints(kind).items():
        full = prefix + name
        within = f"{full}."
        if hasattr(hint, "_fields"):
            values[name] = restored(hint, arrays, within)
        elif any(key.startswith(within) for key in arrays):
            values[name] = _untyped(name, arrays, within)
        elif full in arrays:
            values[name] = arrays[full]
        else:
            raise InputError(
                f"The run has no array {full}: run the study again with --again."
            )
    return kind(**values)


def _untyped(name: str, arrays: Mapping[str, np.ndarray], prefix: str) -> Any:
    """What a field held that is annotated as `Any`: a NamedTuple of the same fields."""
    keys = [key.removeprefix(prefix) for key in arrays if key.startswith(prefix)]
    fields = list(dict.fromkeys(key.partition(".")[0] for key in keys))
    values = []
    for field in fields:
        full = prefix + field
        values.append(
            arrays[full] if full in arrays else _untyped(field, arrays, f"{full}.")
        )
    kind = namedtuple(name, fields)  # type: ignore[misc]  # fields of the file
    return kind(*values)


def save_run(run: Run) -> None:
    """Writes everything but figures and report into the run's folder.

    Raises:
        InputError: the folder cannot be written, or a field is no array of numbers or
            text.
    """
    save_arrays(run.folder / "result.npz", run.result)
    if run.timings is not None:
        save_arrays(run.folder / "timings.npz", run.timings)
    save_findings(run.folder, run.findings)
    save_manifest(run.folder, {**run.manifest, "digests": _digests(run.folder)})


def _digests(folder: Path) -> dict[str, str]:
    """SHA-256 of the files that no later judgement writes again."""
    paths = [folder / name for name in ("result.npz", "timings.npz")]
    return {path.name: sha256(path.read_bytes()) for path in paths if path.exists()}


def altered(run: Run) -> tuple[str, ...]:
    """The files that are not the ones that the run wrote; of a run older than their
    digests nothing is known.
    """
    now = _digests(run.folder)
    written = run.manifest.get("digests", now)
    return tuple(name for name in written if written[name] != now.get(name))


def save_findings(folder: Path, findings: Sequence[Finding]) -> None:
    """Writes a run's findings.

    Raises:
        InputError: the folder cannot be written.
    """
    _write_json(
        folder / "findings.json", [finding_to_json(finding) for finding in findings]
    )


def save_manifest(folder: Path, manifest: Mapping[str, Any]) -> None:
    """Writes a run's manifest.

    Raises:
        InputError: the folder cannot be written.
    """
    _write_json(folder / "manifest.json", dict(manifest))


def _write_json(path: Path, value: Any) -> None:
    text = json.dumps(made_plain(value), indent=1, ensure_ascii=False)
    with replacing(path) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")


def load_run(folder: str | Path, *, judged: bool = True) -> Run:
    """Reads a run's folder.

    Args:
        folder: of the run.
        judged: whether its findings are read too; without them a run can be judged
            anew.

    Raises:
        InputError: there is no such folder, or a file in it is missing or damaged.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"{folder} is no run: name a folder <runs>/<study>/<hash>.")
    timings = folder / "timings.npz"
    return Run(
        folder,
        load_manifest(folder),
        load_arrays(folder / "result.npz"),
        load_arrays(timings) if timings.exists() else None,
        load_findings(folder) if judged else (),
    )


def load_manifest(folder: Path) -> dict[str, Any]:
    """A run's manifest alone.

    Raises:
        InputError: it is missing or damaged.
    """
    path = folder / "manifest.json"
    manifest = _json(path)
    wrong = manifest_fault(manifest)
    if wrong is not None:
        raise _damaged(path, wrong)
    return manifest


def load_findings(folder: Path) -> tuple[Finding, ...]:
    """A run's findings alone.

    Raises:
        InputError: they are missing or damaged.
    """
    path = folder / "findings.json"
    entries = _json(path)
    if not isinstance(entries, list):
        raise _damaged(path, "it is no list")
    try:
        return tuple(finding_from_json(entry) for entry in entries)
    except ValueError as error:
        raise _damaged(path, str(error)) from error


def compare(first: Run | str | Path, second: Run | str | Path) -> tuple[str, ...]:
    """The names of the result arrays that differ in dtype, in shape or in any bit; NaNs
    are compared as bits.

    Raises:
        InputError: a folder that is no run.
    """
    a, b = (
        (run if isinstance(run, Run) else load_run(run)).result
        for run in (first, second)
    )
    return tuple(
        name for name in sorted({*a, *b}) if _bits(a.get(name)) != _bits(b.get(name))
    )


def _bits(array: np.ndarray | None) -> Any:
    return None if array is None else (str(array.dtype), array.shape, array.tobytes())


def _json(path: Path) -> Any:
    if not os.path.exists(path):
        raise InputError(f"{path} is missing: run the study again with --again.")
    try:
        return read_json(path)
    except InputError:
        raise
    except ValueError as error:
        raise _damaged(path, str(error)) from error


def _damaged(path: Path, reason: str) -> InputError:
    return InputError(
        f"{path} is damaged ({reason}): run the study again with --again."
    )
