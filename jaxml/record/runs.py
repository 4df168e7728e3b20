"""The folder of a run: what lies in it, which ones there are, and whether two hold the same bits."""

import json
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, get_type_hints

import numpy as np

from jaxml.record.archive import load_arrays, replacing, save_arrays
from jaxml.record.finding import Finding
from jaxml.types import InputError

_NUMBERS = ("measured", "low", "high")
_REQUIRED = ("study", "config", "code", "hash", "finished")


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
    """The arrays of a NamedTuple by name, those of a NamedTuple within it as `outer.inner`."""
    arrays: dict[str, np.ndarray] = {}
    for name, value in result._asdict().items():  # type: ignore[attr-defined]  # a NamedTuple
        inner = flat(value) if hasattr(value, "_asdict") else {"": value}
        arrays |= {f"{name}.{key}".rstrip("."): array for key, array in inner.items()}
    return arrays


def restored(kind: type[Any], arrays: Mapping[str, np.ndarray], prefix: str = "") -> Any:
    """The NamedTuple that `flat` took apart.

    Raises:
        InputError: an array that it needs is missing.
    """
    values = {}
    for name, hint in get_type_hints(kind).items():
        nested = hasattr(hint, "_fields")
        if not nested and prefix + name not in arrays:
            raise InputError(f"The run has no array {prefix + name}: run the study again with --again.")
        values[name] = restored(hint, arrays, f"{prefix}{name}.") if nested else arrays[prefix + name]
    return kind(**values)


def save_run(run: Run) -> None:
    """Writes everything but figures and report into the run's folder.

    Raises:
        InputError: the folder cannot be written, or a field is no array of numbers or text.
    """
    save_arrays(run.folder / "result.npz", run.result)
    if run.timings is not None:
        save_arrays(run.folder / "timings.npz", run.timings)
    findings = [{name: _plain(value) for name, value in item._asdict().items()} for item in run.findings]
    for name, value in {"findings.json": findings, "manifest.json": run.manifest}.items():
        with replacing(run.folder / name) as path:
            path.write_text(json.dumps(value, indent=1) + "\n")


def load_run(folder: str | Path) -> Run:
    """Reads a run's folder.

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
        load_findings(folder),
    )


def load_manifest(folder: Path) -> dict[str, Any]:
    """A run's manifest alone.

    Raises:
        InputError: it is missing or damaged.
    """
    path = folder / "manifest.json"
    manifest = _json(path)
    if not (isinstance(manifest, dict) and all(name in manifest for name in _REQUIRED)):
        raise _damaged(path, "it lacks " + ", ".join(_REQUIRED))
    return manifest


def load_findings(folder: Path) -> tuple[Finding, ...]:
    """A run's findings alone.

    Raises:
        InputError: they are missing or damaged.
    """
    path = folder / "findings.json"
    entries = _json(path)
    try:
        return tuple(Finding(**entry | {name: float(entry[name]) for name in _NUMBERS}) for entry in entries)
    except (KeyError, TypeError, ValueError) as error:
        raise _damaged(path, str(error)) from error


def list_runs(runs: str | Path) -> tuple[Path, ...]:
    """The folders of all whole runs, sorted; unfinished and replaced ones are passed over.

    Raises:
        InputError: `runs` is a file.
    """
    runs = Path(runs)
    if runs.exists() and not runs.is_dir():
        raise InputError(f"{runs} is a file: name the folder of the runs.")
    return tuple(sorted(p for p in runs.glob("*/*") if re.fullmatch("[0-9a-f]{12}", p.name) and p.is_dir()))


def newest_runs(runs: str | Path) -> tuple[Path, ...]:
    """The run of each study that finished last; one with the smoke config counts only if there is no other.

    Raises:
        InputError: `runs` is a file, or a manifest is missing or damaged.
    """

    def rank(folder: Path) -> tuple[bool, str]:
        manifest = load_manifest(folder)
        return not manifest.get("smoke", False), manifest["finished"]

    newest: dict[str, Path] = {}
    for folder in sorted(list_runs(runs), key=rank):
        newest[folder.parent.name] = folder
    return tuple(newest[study] for study in sorted(newest))


def compare(first: Run | str | Path, second: Run | str | Path) -> tuple[str, ...]:
    """The names of the result arrays that differ in dtype, in shape or in any bit; NaNs are compared as bits.

    Raises:
        InputError: a folder that is no run.
    """
    a, b = ((run if isinstance(run, Run) else load_run(run)).result for run in (first, second))
    return tuple(name for name in sorted({*a, *b}) if _bits(a.get(name)) != _bits(b.get(name)))


def _bits(array: np.ndarray | None) -> Any:
    return None if array is None else (str(array.dtype), array.shape, array.tobytes())


def _plain(value: Any) -> Any:
    """The value as strict JSON, which knows neither NaN nor infinity: as the text that `float` reads."""
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text())
    except FileNotFoundError:
        raise InputError(f"{path} is missing: run the study again with --again.") from None
    except (OSError, ValueError) as error:
        raise _damaged(path, str(error)) from error


def _damaged(path: Path, reason: str) -> InputError:
    return InputError(f"{path} is damaged ({reason}): run the study again with --again.")
