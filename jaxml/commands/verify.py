"""`jaxml verify`: the same manifest, the same bits?"""

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxml.commands.catalogue import known
from jaxml.commands.run import fulfil, progress
from jaxml.freshness import stale
from jaxml.record import Study, compare, load, load_run
from jaxml.record.finding import Finding
from jaxml.record.judging import outdated, restudied
from jaxml.record.runs.circumstances import hardware, platform, settings, threads
from jaxml.record.runs.config import config_from_json
from jaxml.record.runs.folder import Run, altered
from jaxml.record.runs.manifest import is_consistent
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
    changes = differences(first.manifest, study.path)
    if changes:
        print(f"Bits may differ, since {folder} was made: {'; '.join(changes)}.")
    found = [*_tampered(first), *_misjudged(study, first), *_recomputed(study, first)]
    for each in found:
        print(f"Different: {each}.")
    if found:
        return 1
    print(f"Equal: all {len(first.result)} arrays in {folder}, bit for bit.")
    return 0


def _tampered(run: Run) -> Iterator[str]:
    """What was written into the folder by someone else than the run."""
    if not is_consistent(run.manifest):
        yield (
            f"the manifest in {run.folder} is not the one from which its hash was made"
        )
    for name in altered(run):
        yield f"{name} in {run.folder} is not the file that the run wrote"


def _misjudged(study: Study, run: Run) -> Iterator[str]:
    """Findings that the stored arrays do not give, where they are made by the same
    code.
    """
    if outdated(study, run.manifest):
        print(
            "Findings are not compared: their code has changed, and `jaxml run` makes "
            "them again."
        )
    elif _written(restudied(study, run)) != _written(run.findings):
        yield f"the findings in {run.folder} are not those that its arrays give"


def _recomputed(study: Study, run: Run) -> Iterator[str]:
    """The arrays that come out otherwise when the run's config is computed again, with
    every program compiled anew: a damaged one in JAX's cache would give the same wrong
    bits twice.

    Raises:
        InputError: the study needs another one now, which it did not.
    """
    config = config_from_json(study.Config, run.manifest["config"])
    kept = _configs(run.manifest)

    def same(need: Study) -> Any:
        if need.name not in kept:
            raise InputError(
                f"{study.name} needs {need.name} now, and did not when {run.folder} "
                "was made: run it."
            )
        return config_from_json(need.Config, kept[need.name])

    with (
        tempfile.TemporaryDirectory() as elsewhere,
        progress(study.name) as announce,
        compiled_anew(),
    ):
        needed = fulfil(study, same, runs=Path(elsewhere), announce=announce)
        again = load_run(
            execute(study, config, needed, runs=elsewhere, announce=announce)
        )
    differing = compare(run, again)
    if differing:
        those = ", ".join(_how(run, again, name) for name in differing)
        yield f"{those} of {len(run.result)} arrays in {run.folder}"


@contextmanager
def compiled_anew() -> Iterator[None]:
    """Within it no compiled program is read from disk, and none is kept there."""
    used = bool(jax.config.values["jax_enable_compilation_cache"])
    jax.config.update("jax_enable_compilation_cache", False)
    try:
        yield
    finally:
        jax.config.update("jax_enable_compilation_cache", used)


def _how(run: Run, again: Run, name: str) -> str:
    """An array's name, and by how much it differs where that can be said."""
    ours, theirs = run.result.get(name), again.result.get(name)
    if ours is None or theirs is None:
        return f"{name} (of one run alone)"
    if ours.shape != theirs.shape or ours.dtype != theirs.dtype:
        return f"{name} ({ours.dtype} {ours.shape}, now {theirs.dtype} {theirs.shape})"
    if ours.dtype.kind not in "iufc":
        return name
    unlike = (ours != theirs) & ~(np.isnan(ours) & np.isnan(theirs))
    apart = ours[unlike].astype(complex) - theirs[unlike].astype(complex)
    largest = np.max(np.abs(apart), initial=0.0)
    return f"{name} ({np.sum(unlike)} of {ours.size} values, by up to {largest:.2g})"


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
    device = manifest["device"]
    for name, value in hardware().items():  # of an older run it is not known
        here[name], there[name] = value, device.get(name, value)
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
