"""`jaxml replicate`: the same study from fresh seeds and with other rounding; which
verdicts hold?
"""

import typing
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.table import Table
from rich.text import Text

from jaxml.commands.devices import backend
from jaxml.commands.run import COLOURS, run_once, short, wide_console
from jaxml.commands.variants import configured
from jaxml.record import Study, load, load_run
from jaxml.record.finding import Finding
from jaxml.record.pages.tables import measured
from jaxml.record.verdicts import Replicate, counterpart, held
from jaxml.source import Description
from jaxml.types import InputError


def replicate(
    descriptions: Sequence[Description], *, times: int, smoke: bool, runs: Path
) -> None:
    """Runs each study at seed 0, from `times` fresh seeds, and with other lanes, and
    compares verdicts.

    Raises:
        InputError: fewer than one time, a study with neither seed nor lanes, or as
            `run`.
    """
    if times < 1:
        raise InputError(f"--times {times} runs nothing again: use 1 or more.")
    backend()
    studies = [load(each.path) for each in descriptions]
    plans = {
        study.name: tuple(differences(study, times, smoke=smoke)) for study in studies
    }
    for study in studies:
        if not plans[study.name]:
            raise InputError(
                f"{study.name} has nothing to vary: give its Config a field `seed` "
                "that moves its randomness."
            )
    lost = 0
    for study in studies:
        first = load_run(run_once(study, {}, smoke=smoke, runs=runs))
        others = [
            _replicate(study, values, smoke, runs) for values in plans[study.name]
        ]
        lost += show(study.name, first.findings, others)
    plural = "verdict" if lost == 1 else "verdicts"
    further = (
        "A smoke config says nothing of the claims."
        if smoke
        else "`make tables` enters how often each held."
    )
    print(f"{lost or 'No'} deciding {plural} changed. {further}")


def differences(
    study: Study, times: int, *, smoke: bool
) -> Iterator[Mapping[str, Any]]:
    """What each replicate changes: the seed 1, 2, ..., then the number of lanes.

    Raises:
        InputError: the study's Config has a field without a default.
    """
    hints = typing.get_type_hints(study.Config)
    usual = configured(study, {}, smoke=smoke)
    if "seed" in hints:
        yield from ({"seed": seed} for seed in range(1, times + 1))
    if "lanes" in hints:
        yield {"lanes": other_lanes(usual.lanes)}


def other_lanes(lanes: int) -> int:
    """Another number of runs side by side, which changes rounding and nothing else:
    half as many, or two.

    >>> other_lanes(40), other_lanes(1)
    (20, 2)
    """
    return lanes // 2 if lanes > 1 else 2


def _replicate(
    study: Study, values: Mapping[str, Any], smoke: bool, runs: Path
) -> Replicate:
    run = load_run(run_once(study, values, smoke=smoke, runs=runs))
    return Replicate(values, run.manifest["hash"], run.findings)


def show(name: str, findings: Sequence[Finding], others: Sequence[Replicate]) -> int:
    """Prints how each finding fared, and returns how many deciding verdicts did not
    hold everywhere.
    """
    titles = [short(each.differs) for each in others]
    table = Table(
        "claim", "statement", "seed 0", *titles, "held", "overlap", title=name
    )
    lost = 0
    for finding in findings:
        fared = held(finding, others)
        changed = fared.held < fared.times
        lost += changed and finding.role == "deciding"
        cells = [_cell(finding, each) for each in others]
        claim = finding.claim if finding.role == "deciding" else f"({finding.claim})"
        counts = f"{fared.held}/{fared.times}", f"{fared.overlapping}/{fared.times}"
        table.add_row(claim, finding.statement, _shown(finding), *cells, *counts)
    wide_console().print(table)
    return lost


def _cell(finding: Finding, other: Replicate) -> Text:
    again = counterpart(finding, other.findings)
    return Text("not found") if again is None else _shown(again)


def _shown(finding: Finding) -> Text:
    return Text(
        f"{finding.verdict}\n{measured(finding)}", COLOURS.get(finding.verdict, "")
    )
