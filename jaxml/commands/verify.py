"""`jaxml verify`: the same manifest, the same bits?"""

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jaxml.commands.catalogue import known
from jaxml.commands.run import fulfil, progress
from jaxml.freshness import stale
from jaxml.record import Study, compare, load, load_run
from jaxml.record.finding import Finding
from jaxml.record.judging import outdated, restudied
from jaxml.record.runs.config import config_from_json
from jaxml.record.runs.manifest import platform, settings, threads
from jaxml.record.store import execute
from jaxml.record.verdicts import finding_to_json
from jaxml.types import InputError


def verify(folder: Path, path: Path | None) -> int:
    """Runs a run's manifest again, apart, and compares every array; returns the exit
    code.

    The study is the one at `path`, or the known study of the manifest's name: a
    manifest never says which file to load.

    Raises:
        InputError: `folder` is no whole run, or its study is not known.
    """
    first = load_run(folder)
    study = load(path or _known(str(first.manifest["study"]), folder))
    if study.name != first.manifest["study"]:
        raise InputError(
            f"{folder} was made by {first.manifest['study']}, not by {study.name}: "
            "name its own study."
        )
    config = config_from_json(study.Config, first.manifest["config"])
    changes = differences(first.manifest, study.path)
    if changes:
        print(f"Bits may differ, since {folder} was made: {'; '.join(changes)}.")
    if outdated(study, first.manifest):
        print(
            "Findings are not compared: their code has changed, and `jaxml run` makes "
            "them again."
        )
    elif _written(restudied(study, first)) != _written(first.findings):
        print(
            f"Different: the findings in {folder} are not those that its arrays give."
        )
        return 1
    kept = _configs(first.manifest)
    with tempfile.TemporaryDirectory() as elsewhere, progress(study.name) as announce:

        def same(need: Study) -> Any:
            if need.name not in kept:
                raise InputError(
                    f"{study.name} needs {need.name} now, and did not when {folder} "
                    "was made: run it."
                )
            return config_from_json(need.Config, kept[need.name])

        needed = fulfil(study, same, runs=Path(elsewhere), announce=announce)
        differing = compare(
            first, execute(study, config, needed, runs=elsewhere, announce=announce)
        )
    if differing:
        print(
            f"Different: {', '.join(differing)} of {len(first.result)} arrays in "
            f"{folder}."
        )
        return 1
    print(f"Equal: all {len(first.result)} arrays in {folder}, bit for bit.")
    return 0


def _written(findings: Sequence[Finding]) -> list[dict[str, Any]]:
    """The findings as their file holds them, where one NaN equals another."""
    return [finding_to_json(finding) for finding in findings]


def _configs(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """The configs, by study, of all runs whose results went into this one."""
    found: dict[str, Any] = {}
    for each in manifest.get("needs", ()):
        found |= {each["study"]: each["config"]} | _configs(each)
    return found


def _known(name: str, folder: Path) -> Path:
    studies = known()
    if name not in studies:
        raise InputError(
            f"{folder} was made by {name!r}, which is not in experiments/: give its "
            "file with --study."
        )
    return studies[name]


def differences(manifest: Mapping[str, Any], path: Path) -> tuple[str, ...]:
    """What sets the circumstances of a manifest apart from those of here and now."""
    here = {"platform": platform(), **settings()}
    there = {"platform": manifest["platform"], **manifest["settings"]}
    circumstances = [
        f"{name} was {there.get(name)} and is {value}"
        for name, value in here.items()
        if there.get(name) != value
    ]
    counts = [
        f"{name} was {value or 'unset'} and is {current or 'unset'}"
        for name, value in manifest.get("threads", {}).items()
        if (current := threads().get(name)) != value
    ]
    return (*stale(manifest, path), *circumstances, *counts)
