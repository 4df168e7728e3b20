"""What all studies found: the committed verdicts, and over them the runs of this
machine.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from jaxml import claims, closure
from jaxml.claims import Claim
from jaxml.commands.catalogue import known, places
from jaxml.commands.counted import Announce, Counted, counted, kind
from jaxml.errors import InputError
from jaxml.freshness import code_changes, judging_changed, stale
from jaxml.record.judging import refresh
from jaxml.record.runs.listing import Listed, readable_runs
from jaxml.record.study import load
from jaxml.record.verdicts import FOLDER, Replicate, Verdicts, load_verdicts

_KEPT = (
    "hash",
    "code",
    "asserting",
    "config",
    "platform",
    "settings",
    "versions",
    "device",
    "dtype",
    "finished",
    "wall_seconds",
    "own_claims",
)
"""What of a manifest is committed: nothing in it names the machine."""


class Collected(NamedTuple):
    """Everything that a table or a page is made from.

    Attributes:
        claims: the ledger, with the claims that studies bring.
        found: by study.
        folders: by study, the run here that `found` was made from, where there is one.
        others: by study, its runs here that enter no answer: smoke runs, and runs that
            flags changed.
        files: by study, its file, where it is known.
        damaged: what could not be read of the committed verdicts, a sentence each.
    """

    claims: Mapping[str, Claim]
    found: Mapping[str, Verdicts]
    folders: Mapping[str, Path]
    others: Mapping[str, Sequence[Listed]]
    files: Mapping[str, Path]
    damaged: Sequence[str]


def collected(runs: Path, announce: Announce) -> Collected:
    """The committed verdicts of all known studies, replaced by the runs that may
    replace them.

    A run counts if it is whole, up to date, of the default config, and made under the
    usual settings; one that differs in the seed or in the number of lanes alone counts
    as a replicate. Every other run is left out, and it is announced why.

    Raises:
        InputError: `runs` is a file, or a ledger of claims breaks its format.
    """
    damaged: list[str] = []
    found = committed(damaged.append)
    for sentence in damaged:
        announce(f"note: passed over, {sentence}")
    listed = readable_runs(runs, announce)
    files = {**known(), **_files(listed)}
    folders: dict[str, Path] = {}
    others: dict[str, list[Listed]] = {}
    for each in listed:
        if kind(each.manifest) == "other":
            others.setdefault(each.folder.parent.name, []).append(each)
    for study in sorted({each.folder.parent.name for each in listed}):
        mine = tuple(counted(study, files[study], listed, announce))
        updated = _updated(study, found.get(study), mine, announce)
        if updated is not None:
            found[study] = updated
        for each in mine:
            if not each.manifest["differs"]:
                folders[study] = each.folder
    ordered = dict(sorted(found.items()))
    return Collected(
        _claims(ordered, announce), ordered, folders, others, files, damaged
    )


def committed(announce: Announce) -> dict[str, Verdicts]:
    """The verdicts that lie in files beside the studies; a damaged file is announced
    and passed over.
    """
    found: dict[str, Verdicts] = {}
    for folder in places():
        for path in sorted((folder / FOLDER).glob("*.json")):
            try:
                found.setdefault(path.stem, load_verdicts(path))
            except InputError as reason:
                announce(str(reason))
    return found


def _claims(found: Mapping[str, Verdicts], announce: Announce) -> dict[str, Claim]:
    """The ledger, and what the studies of these verdicts bring with them."""
    everything = claims.ledger(*places())
    for each in found.values():
        brought = claims.parse(
            each.manifest.get("own_claims", {}), f"the verdicts of {each.study}"
        )
        for name, claim in brought.items():
            if everything.setdefault(name, claim) != claim:
                announce(
                    f"note: two studies bring a claim {name!r}; {each.study}'s is not "
                    "the one shown."
                )
    return everything


def _files(listed: Sequence[Listed]) -> dict[str, Path]:
    """The files that the newest runs of studies outside the known folders name; they
    are read, never run.
    """
    here = known()
    named = {
        each.folder.parent.name: Path(str(each.manifest.get("file", "")))
        for each in listed
    }
    return {study: path for study, path in named.items() if study not in here}


def _updated(
    study: str, before: Verdicts | None, mine: Sequence[Counted], announce: Announce
) -> Verdicts | None:
    """The verdicts of a study with what its runs here add; None where they add
    nothing.
    """
    defaults = [each for each in mine if not each.manifest["differs"]]
    if defaults:
        newest = defaults[-1]
        question = newest.manifest["about"]["title"]
        before = Verdicts(
            study,
            question,
            _kept(newest.manifest),
            newest.findings,
            _earlier(before, newest),
        )
    further = [each for each in mine if each.manifest["differs"]]
    if before is None:
        if further:
            announce(
                f"note: {study} has runs from other seeds alone: `jaxml run {study}` "
                "makes the first."
            )
        return None
    fitting = [each for each in further if _same_code(before, each.manifest)]
    if len(fitting) < len(further):
        announce(
            f"note: replicates of {study} by other code than its verdicts are left out."
        )
    if not (defaults or fitting):
        return None
    return before._replace(
        replicates=_joined(before.replicates, [_replicate(each) for each in fitting])
    )


def _earlier(before: Verdicts | None, newest: Counted) -> tuple[Replicate, ...]:
    """The committed replicates, if they are of the same code, or of code that gave the
    same arrays and findings.
    """
    if before is None:
        return ()
    same = _same_code(before, newest.manifest) or _same_bits(before, newest)
    return before.replicates if same else ()


def _same_bits(before: Verdicts, newest: Counted) -> bool:
    """Whether the code of today gives the arrays and findings that other code gave.

    Then that code was rewritten and computes the same, so that what it gave from other
    seeds holds of today's. Of verdicts without a digest of their arrays findings must
    do, one of which hangs on numbers that were drawn.
    """
    if before.findings != newest.findings:
        return False
    committed = before.manifest.get("digests")
    if committed:
        return committed == newest.manifest.get("digests")
    return any(
        each.level is not None and each.measured not in (0.0, 1.0)
        for each in newest.findings
    )


def _same_code(before: Verdicts, manifest: Mapping[str, Any]) -> bool:
    """Whether arrays and findings were made by the same code."""
    return all(
        before.manifest.get(name) == manifest[name] for name in ("code", "asserting")
    )


def _kept(manifest: Mapping[str, Any]) -> dict[str, Any]:
    data = {name: entry["digest"] for name, entry in manifest["data"].items()}
    digests = manifest.get("digests", {})
    return {name: manifest[name] for name in _KEPT} | {"data": data, "digests": digests}


def _replicate(each: Counted) -> Replicate:
    return Replicate(each.manifest["differs"], each.manifest["hash"], each.findings)


def _joined(
    earlier: Sequence[Replicate], further: Sequence[Replicate]
) -> tuple[Replicate, ...]:
    """One replicate for each way of differing; those of this machine replace earlier
    ones.
    """
    by_difference = {
        str(sorted(each.differs.items())): each for each in (*earlier, *further)
    }
    return tuple(by_difference[key] for key in sorted(by_difference))


def outdated(found: Verdicts, path: Path | None) -> bool:
    """Whether other code than today's made verdicts; so it is if their study is not
    found here.
    """
    if path is None or code_changes(found.manifest["code"], path):
        return True
    return _asserted_otherwise(found.manifest, path)


def _asserted_otherwise(manifest: Mapping[str, Any], path: Path) -> bool:
    """Whether other code than today's asserted findings."""
    return closure.asserting(path).digest != manifest.get("asserting")


def _judged_otherwise(manifest: Mapping[str, Any], path: Path) -> bool:
    """Whether other code than today's made findings or figures."""
    changed = judging_changed(manifest, path)
    return bool(changed) or _asserted_otherwise(manifest, path)


def refresh_findings(runs: Path, announce: Announce) -> None:
    """Makes the findings and figures of up-to-date runs again where only their code has
    changed.

    Only studies in the known folders are imported; a manifest never says which file to
    run. What cannot be made again is announced.
    """
    paths = known()
    for folder, manifest in readable_runs(runs):
        path = paths.get(folder.parent.name)
        if (
            path is None
            or stale(manifest, path)
            or not _judged_otherwise(manifest, path)
        ):
            continue
        announce(
            f"{folder.parent.name}: findings and figures are made again, from the "
            "stored arrays"
        )
        try:
            refresh(load(path), folder)
        except InputError as reason:
            announce(f"note: {folder} keeps its findings, {reason}")
