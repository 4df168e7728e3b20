"""The store of runs: each is computed once, survives interruption, and appears only when whole."""

import os
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

from jaxml.record.archive import host, writing
from jaxml.record.clock import compilation
from jaxml.record.figures import save
from jaxml.record.finding import Finding, verdict
from jaxml.record.lock import LOCK, locked
from jaxml.record.manifest import Spent, identity, manifest, run_hash
from jaxml.record.report import write_report
from jaxml.record.runs import Run as Run
from jaxml.record.runs import compare as compare
from jaxml.record.runs import flat, restored, save_run
from jaxml.record.runs import list_runs as list_runs
from jaxml.record.runs import load_run as load_run
from jaxml.record.stages import plain_keep as plain_keep
from jaxml.record.stages import storing
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
    announce: Callable[[str], None] | None = None,
    checksums: Mapping[str, str] | None = None,
) -> Path:
    """The folder `<runs>/<study>/<hash>` of the study's run with this config, computed unless it exists.

    Work happens in `<hash>.partial`, whose stages outlive an interruption, and which is renamed when whole.

    Args:
        study: from `load`.
        config: an instance of its Config.
        needed: a run of each study that it needs, in the order of `study.needs`.
        runs: the folder of all runs.
        again: compute even if it exists; the old run becomes `<hash>.<n>` once the new one is whole.
        announce: receives short lines of progress.
        checksums: of the data that the study reads, by name, for the manifest.

    Raises:
        InputError: another process is at this run, the folder cannot be written, or the study breaks its
            contract.
    """
    announce = announce or _silent
    earlier = [load_run(each.folder) for each in needed]
    marks = identity(study, config, [run.manifest for run in earlier])
    results = [restored(each.study.Result, run.result) for each, run in zip(needed, earlier, strict=True)]
    final = Path(runs) / study.name / run_hash(marks)
    partial = final.with_name(f"{final.name}.partial")
    if not _finished(final, again):
        with locked(partial):
            if _finished(final, again):  # by the process that held the lock until now
                _abandon(partial)
            else:
                _attempt(study, (config, results), marks, partial, announce, checksums or {})
                _publish(partial, final)
    announce(f"{study.name}: {final}")
    return final


def _silent(line: str) -> None:
    del line


def _finished(final: Path, again: bool) -> bool:
    return final.is_dir() and not again


def _attempt(
    study: Study,
    given: tuple[Any, Sequence[Any]],
    marks: Mapping[str, Any],
    folder: Path,
    announce: Callable[[str], None],
    checksums: Mapping[str, str],
) -> None:
    config, results = given
    started, start = _now(), time.perf_counter()
    keep, stages = storing(folder / _STAGES, announce)
    with compilation() as compiled:
        result = _hosted(study.study(config, keep, *results), study.Result)
        timings = None if study.timings is None else _hosted(study.timings(config), tuple)
    earlier = sum(stage.seconds for stage in stages.values() if stage.kept)
    spent = Spent(started, _now(), time.perf_counter() - start + earlier, sum(compiled), stages)
    measured = (result,) if timings is None else (result, timings)
    run = Run(
        folder,
        manifest(study, config, marks, spent, checksums),
        flat(result),
        None if timings is None else timings._asdict(),
        _judged(study.findings(*measured)),
    )
    save_run(run)
    _draw(study.figures(*measured), folder / "figures")
    write_report(folder)


def _hosted(values: Any, kind: type[tuple]) -> Any:
    """A NamedTuple with its fields as host arrays, in the form in which they are stored."""
    if not (isinstance(values, kind) and hasattr(values, "_fields")):
        raise InputError(f"The study returned a {type(values).__name__}: return its Result or its Timings.")
    return host(values)


def _judged(findings: Any) -> tuple[Finding, ...]:
    """The findings, if each verdict is what its interval implies."""
    items = findings if isinstance(findings, tuple | list) else (findings,)
    for item in items:
        if not isinstance(item, Finding) or item.verdict != verdict(item.low, item.high, item.rule):
            raise InputError(f"{item!r} does not follow by rule: make it by above, below or exact.")
    return tuple(items)


def _draw(figures: Any, folder: Path) -> None:
    if not (isinstance(figures, Mapping) and all(hasattr(figure, "savefig") for figure in figures.values())):
        raise InputError(f"{figures!r} is no dict of figures: make each by `panels`.")
    with writing(folder):
        folder.mkdir(exist_ok=True)
        for name, figure in figures.items():
            save(figure, folder / f"{quote(name, safe='')}.png")


def _publish(partial: Path, final: Path) -> None:
    with writing(final):
        if final.exists():
            os.replace(final, _unused(final))
        os.replace(partial, final)
        (final / LOCK).unlink()
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
