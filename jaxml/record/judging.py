"""Findings, figures and report of a run, from its arrays: at first, and again when only
they changed.
"""

import json
import os
import shutil
from collections import namedtuple
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jaxml.provenance import collecting
from jaxml.record.figures import save
from jaxml.record.finding import Assertion, Finding, judged
from jaxml.record.pages.report import write_report
from jaxml.record.runs.archive import writing
from jaxml.record.runs.folder import (
    Run,
    load_run,
    restored,
    save_findings,
    save_manifest,
)
from jaxml.record.runs.lock import locked
from jaxml.record.runs.manifest import own_claims, readings_to_json
from jaxml.record.study import Study
from jaxml.text import is_plain
from jaxml.types import InputError

FIGURES = "figures"
"""The folder in a run that holds its figures."""


def findings_of(study: Study, measured: tuple[Any, ...]) -> tuple[Finding, ...]:
    """The study's assertions, judged together, each of a claim that it announces.

    Raises:
        InputError: one is no assertion, or of a claim that the study does not announce.
    """
    assertions = study.findings(*measured)
    for each in assertions if isinstance(assertions, tuple | list) else (assertions,):
        if not isinstance(each, Assertion):
            raise InputError(
                f"{study.name} found {each!r}: make each finding by record.deciding or "
                "record.supporting."
            )
        if each.claim not in study.announced:
            raise InputError(
                f"{study.name} has a finding on {each.claim}, which its `Claims:` line "
                "leaves out: add it."
            )
        _require_plain(each)
    return judged(assertions)


def _require_plain(assertion: Assertion) -> None:
    """Passes if what a finding says can be shown on a terminal and written to a file.

    Raises:
        InputError: it has control characters.
    """
    said = (assertion.statement, assertion.setting, assertion.rule.reason)
    if not all(map(is_plain, said)):
        raise InputError(
            f"A finding on {assertion.claim} holds control characters: leave them out "
            "of its statement, setting and reason."
        )


def draw(figures: Any, folder: Path) -> None:
    """Saves named figures into a folder.

    Raises:
        InputError: they are no dict of figures, or the folder cannot be written.
    """
    if not (
        isinstance(figures, Mapping)
        and all(hasattr(figure, "savefig") for figure in figures.values())
    ):
        raise InputError(f"{figures!r} is no dict of figures: make each by `panels`.")
    with writing(folder):
        folder.mkdir(exist_ok=True)
        for name, figure in figures.items():
            save(figure, folder / f"{quote(name, safe='')}.png")


def refresh(study: Study, folder: Path) -> None:
    """Makes findings, figures and report of a run again from its stored arrays.

    Raises:
        InputError: a file of the run is damaged, an array is missing, or the study
            breaks its contract.
    """
    run = load_run(folder, judged=False)
    measured = _restored(study, run)
    with collecting() as readings:
        findings = findings_of(study, measured)
        drawings = study.figures(*measured)
    known = run.manifest["data"]
    unknown = [
        name
        for name, each in readings_to_json(readings).items()
        if known.get(name) != each
    ]
    if unknown:
        raise InputError(
            f"{study.name} judges by {unknown[0]}, which its run did not read: run it "
            "again with --again."
        )
    with locked(folder.with_name(f"{folder.name}.refresh")) as work:
        drawn = work / FIGURES
        draw(drawings, drawn)
        with writing(folder):
            shutil.rmtree(folder / FIGURES, ignore_errors=True)
            os.replace(drawn, folder / FIGURES)
        save_findings(folder, findings)
        current = {**run.manifest, **_words(study)}
        write_report(folder, current)
        save_manifest(
            folder, current
        )  # last: until then the run is outdated and this is done again
        shutil.rmtree(work)


def restudied(study: Study, run: Run) -> tuple[Finding, ...]:
    """The findings that the stored arrays of a run give now.

    Raises:
        InputError: an array is missing, or the study breaks its contract.
    """
    return findings_of(study, _restored(study, run))


def outdated(study: Study, manifest: Mapping[str, Any]) -> bool:
    """Whether findings and figures were made by other code, or under other claims, than
    the study has now.
    """
    words = json.loads(json.dumps(_words(study)))  # as a manifest holds them
    return any(manifest.get(name) != words[name] for name in ("judging", "own_claims"))


def _words(study: Study) -> dict[str, Any]:
    """What a manifest holds of a study's judging code and words, which change without a
    new computation.
    """
    return {
        "judging": dict(study.judging),
        "asserting": study.asserting,
        "about": dict(study.about),
        "own_claims": own_claims(study),
    }


def _restored(study: Study, run: Run) -> tuple[Any, ...]:
    """What findings and figures receive, from the stored arrays."""
    timings = None
    if run.timings is not None:
        kind = namedtuple("Timings", list(run.timings))  # type: ignore[misc]  # fields of the file
        timings = kind(**run.timings)
    return measured_by(restored(study.Result, run.result), timings)


def measured_by(result: Any, timings: Any) -> tuple[Any, ...]:
    """What findings and figures receive."""
    return (result,) if timings is None else (result, timings)
