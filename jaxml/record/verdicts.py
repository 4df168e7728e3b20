"""What each study found, small enough to be committed: its findings, and how they held
when it ran again.
"""

import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from jaxml.record.finding import Finding
from jaxml.record.rule import Rule, verdict
from jaxml.record.runs.archive import replacing, writing
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
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["study"] != path.stem or not isinstance(content["manifest"], dict):
            raise ValueError(f"it is of {content['study']!r}")
        return Verdicts(
            content["study"],
            content["question"],
            content["manifest"],
            tuple(finding_from_json(entry) for entry in content["findings"]),
            tuple(_replicate(entry) for entry in content["replicates"]),
        )
    except (
        AttributeError,
        OSError,
        KeyError,
        RecursionError,
        TypeError,
        ValueError,
    ) as error:
        raise InputError(
            f"{path} is damaged ({error}): restore it, or run the study again."
        ) from error


def _replicate(entry: Mapping[str, Any]) -> Replicate:
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


def finding_from_json(entry: Mapping[str, Any]) -> Finding:
    """The finding that `finding_to_json` wrote.

    Raises:
        InputError: the verdict does not follow from the interval and the rule, or the
            role is none.
        KeyError, TypeError, ValueError: the entry has another form.
    """
    numbers = {name: float(entry[name]) for name in _NUMBERS}
    finding = Finding(**{**entry, **numbers, "rule": Rule(**entry["rule"])})
    if finding.role not in ("deciding", "supporting"):
        raise InputError(
            f"{finding.role!r} on {finding.claim} is no role: make the findings again"
        )
    implied = verdict(finding.low, finding.high, finding.rule)
    if finding.verdict != implied:
        raise InputError(
            f"the verdict {finding.verdict!r} on {finding.claim} contradicts its "
            f"interval, which says {implied!r}: make the findings again"
        )
    return finding
