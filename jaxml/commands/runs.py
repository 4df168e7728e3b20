"""`jaxml runs`: which runs there are, and their findings and numbers for a notebook."""

import csv
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from jaxml.commands.catalogue import known
from jaxml.commands.run import short, wide_console
from jaxml.freshness import stale, told
from jaxml.record.runs.archive import replacing
from jaxml.record.runs.folder import Run, load_run
from jaxml.record.runs.listing import readable_runs
from jaxml.text import plain
from jaxml.types import InputError

COLUMNS: tuple[str, ...] = (
    "study",
    "run",
    "seed",
    "differs",
    "smoke",
    "finished",
    "kind",
    "claim",
    "role",
    "name",
    "setting",
    "value",
    "low",
    "high",
    "unit",
    "n",
    "dtype",
    "verdict",
)
"""Of an export: one row a finding (`kind` "finding") and one a number of the result
(`kind` "scalar").
"""


def show(runs: Path) -> None:
    """Prints one line a run: study, what sets it apart, when, how long, and whether it
    is up to date.
    """
    table = Table("study", "run", "config", "finished (UTC)", "seconds", "state")
    paths = known()
    for folder, manifest in readable_runs(runs, note):
        study = folder.parent.name
        path = paths.get(study, Path(manifest.get("file", "")))
        table.add_row(
            study,
            folder.name,
            "smoke" if manifest["smoke"] else short(manifest["differs"]),
            str(manifest["finished"])[:16].replace("T", " "),
            f"{manifest.get('wall_seconds', float('nan')):.1f}",
            told(stale(manifest, path)) or "up to date",
        )
    if not table.row_count:
        raise InputError(
            f"{runs} holds no runs: make one by `jaxml run STUDY`, or name another "
            "folder."
        )
    wide_console().print(table)


def export(runs: Path, *, as_csv: Path | None, as_json: Path | None) -> None:
    """Writes findings and scalars of all runs, a row each, for pandas and its like; `-`
    is standard output.

    A complex scalar has two rows, NAME.real and NAME.imag. A damaged run is announced
    and passed over.

    Raises:
        InputError: there are no runs, or a file cannot be written.
    """
    rows = _readable_rows(runs)
    if not rows:
        raise InputError(
            f"{runs} holds no runs: make one by `jaxml run STUDY`, or name another "
            "folder."
        )
    if as_csv is not None:
        _write_csv(as_csv, rows)
    if as_json is not None:
        _write_json(as_json, rows)


def _readable_rows(runs: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for listed in readable_runs(runs, note):
        try:
            rows += list(_rows(load_run(listed.folder)))
        except InputError as reason:
            note(f"note: passed over, {reason}")
    return rows


def _rows(run: Run) -> Iterator[dict[str, Any]]:
    manifest = run.manifest
    common = {
        "study": run.folder.parent.name,
        "run": run.folder.name,
        "seed": manifest["config"].get("seed", ""),
        "differs": json.dumps(manifest["differs"]),
        "smoke": manifest["smoke"],
        "finished": manifest["finished"],
    }
    for finding in run.findings:
        yield common | {
            "kind": "finding",
            "claim": finding.claim,
            "role": finding.role,
            "name": finding.statement,
            "setting": finding.setting,
            "value": finding.measured,
            "low": finding.low,
            "high": finding.high,
            "unit": finding.unit,
            "n": finding.n,
            "dtype": finding.dtype,
            "verdict": finding.verdict,
        }
    for name, array in run.result.items():
        for part, value in _scalars(array).items():
            scalar = {
                "kind": "scalar",
                "name": name + part,
                "value": value,
                "dtype": str(array.dtype),
            }
            yield common | scalar


def _scalars(array: np.ndarray) -> dict[str, int | float]:
    """A lone number by the ending that its name takes: two of a complex one, none of a
    larger array.
    """
    if array.size != 1 or not np.issubdtype(array.dtype, np.number):
        return {}
    value = array.item()
    if isinstance(value, complex):
        return {".real": value.real, ".imag": value.imag}
    return {"": value}


def _write_csv(path: Path, rows: list[dict[str, Any]]) -> None:
    if str(path) == "-":
        _csv(sys.stdout, rows)
        return
    with (
        replacing(path) as temporary,
        temporary.open("w", newline="", encoding="utf-8") as file,
    ):
        _csv(file, rows)


def _csv(file: Any, rows: list[dict[str, Any]]) -> None:
    writer = csv.DictWriter(file, COLUMNS, restval="")
    writer.writeheader()
    writer.writerows(rows)


def _write_json(path: Path, rows: list[dict[str, Any]]) -> None:
    complete = [{column: _plain(row.get(column)) for column in COLUMNS} for row in rows]
    text = json.dumps(complete, indent=1, ensure_ascii=False) + "\n"
    if str(path) == "-":
        sys.stdout.write(text)
        return
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _plain(value: Any) -> Any:
    """NaN and infinity, which JSON lacks, become null."""
    return None if isinstance(value, float) and not np.isfinite(value) else value


def note(line: str) -> None:
    """Prints a remark on standard error."""
    Console(stderr=True, markup=False, highlight=False).print(
        plain(line), soft_wrap=True
    )
