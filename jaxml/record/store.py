"""The store of runs: each is computed once, survives interruption, and appears only
when whole.
"""

import math
import os
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from jaxml.provenance import Reading, collecting, unchanged
from jaxml.record.judging import (
    FIGURES,
    draw,
    findings_of,
    measured_by,
    outdated,
    refresh,
)
from jaxml.record.pages.report import write_report
from jaxml.record.runs.archive import host, settle, writing
from jaxml.record.runs.clock import compilation
from jaxml.record.runs.folder import Run as Run
from jaxml.record.runs.folder import compare as compare
from jaxml.record.runs.folder import flat, load_manifest, restored, save_run
from jaxml.record.runs.folder import load_run as load_run
from jaxml.record.runs.listing import list_runs as list_runs
from jaxml.record.runs.listing import readable_runs
from jaxml.record.runs.lock import LOCK, locked
from jaxml.record.runs.log import Write, logged
from jaxml.record.runs.manifest import (
    Spent,
    identity,
    manifest,
    readings_to_json,
    run_hash,
)
from jaxml.record.runs.stages import plain_keep as plain_keep
from jaxml.record.runs.stages import storing
from jaxml.record.study import Study
from jaxml.types import InputError

_STAGES = "stages"


class Needed(NamedTuple):
    """A study whose result another one receives, and the folder of its run."""

    study: Study
    folder: Path


def execute(
    study: Study,
    config: Any,
    needed: Sequence[Needed] = (),
    *,
    runs: str | Path,
    again: bool = False,
    wait: bool = False,
    announce: Callable[[str], None] | None = None,
) -> Path:
    """The folder `<runs>/<study>/<hash>` of the study's run with this config, computed
    unless it exists.

    Work happens in `<hash>.partial`, whose stages outlive an interruption, and which is
    renamed when whole. The name of the partial folder covers all that is known before
    the data are read; the final one covers what the loaders report to have read as
    well. Where only the code of findings or figures has changed, they are made again
    from the stored arrays.

    Args:
        study: from `load`.
        config: an instance of its Config.
        needed: a run of each study that it needs, in the order of `study.needs`.
        runs: the folder of all runs.
        again: compute even if it exists; the old run becomes `<hash>.<n>` once the new
            one is whole.
        wait: for another process that is at this run, and take what it leaves.
        announce: receives short lines of progress.

    Raises:
        InputError: another process is at this run and `wait` is false, the folder
            cannot be written, or the study breaks its contract.
    """
    announce = announce or _silent
    earlier = [load_run(each.folder) for each in needed]
    marks = identity(study, config, [run.manifest for run in earlier])
    results = [
        restored(each.study.Result, run.result)
        for each, run in zip(needed, earlier, strict=True)
    ]
    data = _data_of([run.manifest for run in earlier])
    place = Path(runs) / study.name
    partial = place / f"{run_hash(marks)}.partial"
    final = None if again else standing(place, marks)
    if final is None:
        with locked(partial, wait=wait):
            final = (
                None if again else standing(place, marks)
            )  # by the process that held the lock until now
            if final is not None:
                _abandon(partial)
            else:
                given = _Given(config, results, data)
                final = _attempt(study, given, marks, partial, announce)
    else:
        _tidy(final)
        _brought_up_to_date(study, final, announce)
    announce(f"{study.name}: {final}")
    return final


def _brought_up_to_date(
    study: Study, final: Path, announce: Callable[[str], None]
) -> None:
    """Judges and draws a run again if only that code has changed."""
    if outdated(study, load_manifest(final)):
        announce(
            f"{study.name}: findings and figures are made again, from the stored arrays"
        )
        refresh(study, final)


def _data_of(manifests: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What the needed runs read, so that this run is stale when it changes."""
    found: dict[str, Any] = {}
    for each in manifests:
        found |= {
            f"{each['study']}: {name}": entry for name, entry in each["data"].items()
        }
    return found


def standing(place: Path, marks: Mapping[str, Any]) -> Path | None:
    """The newest run under `place` of this identity whose data still are what it
    read.
    """
    before = run_hash(marks)
    found = None
    for each in readable_runs(place.parent):
        if (
            each.folder.parent == place
            and each.manifest["before"] == before
            and _same_data(each.manifest)
        ):
            found = each.folder
    return found


def _same_data(manifest: Mapping[str, Any]) -> bool:
    entries = manifest["data"].items()
    return all(unchanged(Reading(name, **entry)) for name, entry in entries)


def _silent(line: str) -> None:
    del line


class _Given(NamedTuple):
    """What a study computes from: its config, the results that it needs, and what was
    read for those.
    """

    config: Any
    results: Sequence[Any]
    read: Mapping[str, Any]


def _attempt(
    study: Study,
    given: _Given,
    marks: Mapping[str, Any],
    partial: Path,
    announce: Callable[[str], None],
) -> Path:
    """Computes in the partial folder, logs what passes there, and publishes it; returns
    the folder of the run.
    """
    with logged(partial, announce) as write:
        made = partial.with_name(
            _made(study, given, marks, partial, announce=announce, write=write)
        )
        _publish(partial, made)
        write("finished", {"run": made.name})
    return made


def _made(
    study: Study,
    given: _Given,
    marks: Mapping[str, Any],
    folder: Path,
    *,
    announce: Callable[[str], None],
    write: Write,
) -> str:
    """Computes, judges and draws into the folder, and returns the run's hash."""
    config, results, needed = given
    started, start = _now(), time.perf_counter()
    with compilation() as compiled, collecting() as readings:
        keep, stages = storing(folder / _STAGES, announce, readings, write)
        result = _hosted(study.study(config, keep, *results), study.Result)
        timings = (
            None if study.timings is None else _hosted(study.timings(config), tuple)
        )
    earlier = sum(stage.seconds for stage in stages.values() if stage.kept)
    passed = time.perf_counter() - start
    spent = Spent(
        started, _now(), passed + earlier, _compiling(compiled, passed), stages
    )
    arrays = flat(result)
    measured = measured_by(result, timings)
    with collecting() as later:
        findings = findings_of(study, measured)
        draw(study.figures(*measured), folder / FIGURES)
    data = {**needed, **readings_to_json([*study.readings, *readings, *later])}
    run = Run(
        folder,
        manifest(study, config, marks, spent, data, arrays),
        arrays,
        None if timings is None else timings._asdict(),
        findings,
    )
    save_run(run)
    write_report(folder)
    return run.manifest["hash"]


def _compiling(durations: Sequence[float], passed: float) -> float:
    """The seconds of all compilations, of which JAX measures each by the clock of the
    machine: that may be set meanwhile, and none took less than 0 or more than the
    attempt.
    """
    return math.fsum(min(max(duration, 0.0), passed) for duration in durations)


def _hosted(values: Any, kind: type[tuple]) -> Any:
    """A NamedTuple with its fields as host arrays, in the form in which they are
    stored.
    """
    if not (isinstance(values, kind) and hasattr(values, "_fields")):
        raise InputError(
            f"The study returned a {type(values).__name__}: return its Result or its "
            "Timings."
        )
    return host(values)


def _publish(partial: Path, final: Path) -> None:
    """Gives a whole run its name, once all its files have reached the disk."""
    with writing(final):
        for path in partial.rglob("*"):
            settle(path)
        if final.exists():
            os.replace(final, _unused(final))
        os.replace(partial, final)
        settle(final.parent)
    _tidy(final)


def _tidy(final: Path) -> None:
    """Removes what a whole run needs no longer, also where the process that published
    it was killed before it could; what cannot be removed harms nothing and stays.
    """
    with suppress(OSError):
        (final / LOCK).unlink(missing_ok=True)
    shutil.rmtree(final / _STAGES, ignore_errors=True)


def _unused(final: Path) -> Path:
    n = 1
    while (path := final.with_name(f"{final.name}.{n}")).exists():
        n += 1
    return path


def _abandon(partial: Path) -> None:
    """Removes an attempt's folder unless it holds stages."""
    (partial / LOCK).unlink()
    if not any(partial.iterdir()):
        partial.rmdir()


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
