"""What each study found, small enough to be committed: its findings, and how they held
when it ran again.
"""

import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from jaxml.record.finding import Finding
from jaxml.record.rule import SIGNS, Rule, verdict
from jaxml.record.runs.archive import replacing, writing
from jaxml.record.runs.form import (
    committed_fault,
    fault,
    is_count,
    is_finite,
    is_number,
    is_table,
    is_text,
    list_of,
    read_json,
)
from jaxml.types import InputError

FOLDER = "verdicts"
"""The folder beside the studies that holds one file a study."""

_NUMBERS = ("measured", "low", "high")


class Replicate(NamedTuple):
    """A further run of a study: from another seed, or with another number of runs side
    by side.

    Attributes:
        differs: the fields in which its config differs from the default, with their
            values.
        hash: of the run.
        findings: of it.
    """

    differs: Mapping[str, Any]
    hash: str
    findings: tuple[Finding, ...]


class Verdicts(NamedTuple):
    """What a study found.

    Attributes:
        study: its name.
        question: the first line of its docstring.
        manifest: the circumstances of the run: hash, code, config, platform, versions,
            finished.
        findings: of the default config at seed 0.
        replicates: of the same code.
    """

    study: str
    question: str
    manifest: Mapping[str, Any]
    findings: tuple[Finding, ...]
    replicates: tuple[Replicate, ...]


class Held(NamedTuple):
    """How one finding fared in the replicates.

    Attributes:
        held: in how many the verdict was the same.
        overlapping: in how many the intervals overlapped.
        times: how many there are.
    """

    held: int
    overlapping: int
    times: int


def held(finding: Finding, replicates: Iterable[Replicate]) -> Held:
    """How often a verdict held; a replicate that lacks the finding is one in which it
    did not.
    """
    others = [counterpart(finding, each.findings) for each in replicates]
    found = [other for other in others if other is not None]
    same = sum(other.verdict == finding.verdict for other in found)
    overlapping = sum(
        other.low <= finding.high and finding.low <= other.high for other in found
    )
    return Held(same, overlapping, len(others))


def counterpart(finding: Finding, findings: Iterable[Finding]) -> Finding | None:
    """The finding of another run with the same claim, statement and setting, if there
    is one.
    """
    key = (finding.claim, finding.statement, finding.setting)
    for other in findings:
        if (other.claim, other.statement, other.setting) == key:
            return other
    return None


def save_verdicts(folder: Path, found: Verdicts) -> Path:
    """Writes `<folder>/<study>.json`, whole or not at all.

    Raises:
        InputError: the folder cannot be written.
    """
    path = folder / f"{found.study}.json"
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    content = {
        "study": found.study,
        "question": found.question,
        "manifest": dict(found.manifest),
        "findings": [finding_to_json(finding) for finding in found.findings],
        "replicates": [
            each._asdict()
            | {"findings": [finding_to_json(finding) for finding in each.findings]}
            for each in found.replicates
        ],
    }
    with replacing(path) as temporary:
        temporary.write_text(
            json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8"
        )
    return path


def load_verdicts(path: Path) -> Verdicts:
    """Reads one study's file.

    Raises:
        InputError: it is damaged, or a verdict in it does not follow from its interval.
    """
    try:
        content = read_json(path)
        wrong = fault(content, _CONTENT, {})
        if wrong is None and content["study"] != path.stem:
            wrong = f"it is of {content['study']!r}"
        wrong = wrong or committed_fault(content["manifest"])
        if wrong is not None:
            raise ValueError(wrong)
        return Verdicts(
            content["study"],
            content["question"],
            content["manifest"],
            tuple(finding_from_json(entry) for entry in content["findings"]),
            tuple(_replicate(entry) for entry in content["replicates"]),
        )
    except ValueError as error:
        raise InputError(
            f"{path} is damaged ({error}): restore it, or run the study again."
        ) from error


def _replicate(entry: Any) -> Replicate:
    wrong = fault(entry, _REPLICATE, {})
    if wrong is not None:
        raise ValueError(f"in a replicate {wrong}")
    findings = tuple(finding_from_json(finding) for finding in entry["findings"])
    return Replicate(entry["differs"], entry["hash"], findings)


def finding_to_json(finding: Finding) -> dict[str, Any]:
    """The finding as strict JSON; NaN and infinity, which it lacks, become text that
    `float` reads.
    """
    entry = finding._asdict() | {"rule": finding.rule._asdict()}
    numbers = {name: _plain(getattr(finding, name)) for name in _NUMBERS}
    return entry | numbers


def _plain(value: float) -> float | str:
    return value if math.isfinite(value) else str(value)


def finding_from_json(entry: Any) -> Finding:
    """The finding that `finding_to_json` wrote.

    Raises:
        InputError: the verdict does not follow from the interval and the rule, or the
            role is none.
        ValueError: the entry has another form.
    """
    _check(entry)
    numbers = {name: float(entry[name]) for name in _NUMBERS}
    finding = Finding(**{**entry, **numbers, "rule": Rule(**entry["rule"])})
    implied = verdict(finding.low, finding.high, finding.rule)
    if finding.verdict != implied:
        raise InputError(
            f"the verdict {finding.verdict!r} on {finding.claim} contradicts its "
            f"interval, which says {implied!r}: make the findings again"
        )
    return finding


def _check(entry: Any) -> None:
    wrong = fault(entry, _FINDING, {})
    if wrong is None and len(entry) > len(_FINDING):
        wrong = f"it has no field {next(iter(entry.keys() - _FINDING.keys()))}"
    if wrong is not None:
        raise ValueError(f"in a finding {wrong}")
    if entry["role"] not in ("deciding", "supporting"):
        raise InputError(
            f"{entry['role']!r} on {entry['claim']} is no role: make the findings again"
        )


def _is_measured(value: Any) -> bool:
    """A number, or the text that stands for one which JSON lacks."""
    return is_number(value) or value in ("nan", "inf", "-inf")


def _is_level(value: Any) -> bool:
    return value is None or (is_finite(value) and 0 < value < 1)


def _is_rule(value: Any) -> bool:
    whole = fault(value, _RULE, {}) is None and len(value) == len(_RULE)
    return whole and value["sign"] in SIGNS and value["margin"] >= 0


_RULE = {
    "sign": is_text,
    "threshold": is_finite,
    "margin": is_finite,
    "reason": is_text,
}

_FINDING = {
    **dict.fromkeys(Finding._fields, is_text),
    **dict.fromkeys(_NUMBERS, _is_measured),
    "level": _is_level,
    "n": is_count,
    "rule": _is_rule,
}
"""What each field of a finding is in JSON."""

_REPLICATE = {
    "differs": is_table,
    "hash": is_text,
    "findings": list_of(is_table),
}

_CONTENT = {
    "study": is_text,
    "question": is_text,
    "manifest": is_table,
    "findings": list_of(is_table),
    "replicates": list_of(is_table),
}
