"""What all studies found: the committed verdicts, and over them the runs of this machine."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from jaxml import claims, shipped
from jaxml.claims import Claim
from jaxml.commands.catalogue import known
from jaxml.errors import InputError
from jaxml.freshness import judging_changed, stale
from jaxml.record.runs import Listed, load_findings, readable_runs
from jaxml.record.store import refresh
from jaxml.record.study import load
from jaxml.record.verdicts import FOLDER, Replicate, Verdicts, load_verdicts
from jaxml.source import describe

_KEPT = ("hash", "code", "config", "platform", "versions", "device", "dtype", "finished", "wall_seconds")
"""What of a manifest is committed: nothing in it names the machine."""

_ROUNDING = ({"lanes"},)
"""Fields that change rounding alone."""

Announce = Callable[[str], None]


class Collected(NamedTuple):
    """Everything that a table or a page is made from.

    Attributes:
        claims: the ledger, with the claims that studies bring.
        found: by study.
        folders: by study, the run here that `found` was made from, where there is one.
        others: by study, its runs here with a smoke config or one that flags changed.
    """

    claims: Mapping[str, Claim]
    found: Mapping[str, Verdicts]
    folders: Mapping[str, Path]
    others: Mapping[str, Sequence[Listed]]


def collected(runs: Path, announce: Announce) -> Collected:
    """The committed verdicts of all known studies, replaced by the runs under `runs` that may replace them.

    A run counts if it is whole, up to date, and of the default config; one that differs in the seed or in the
    number of lanes alone counts as a replicate. Every other run is left out, and a stale one is announced.

    Raises:
        InputError: `runs` is a file, or a ledger of claims breaks its format.
    """
    found = committed(announce)
    folders: dict[str, Path] = {}
    listed = readable_runs(runs, announce)
    for study, path in _studies(listed).items():
        mine = tuple(_countable(study, path, listed, announce))
        updated = _updated(study, found.get(study), mine)
        if updated is not None:
            found[study] = updated
        for each in mine:
            if not each.manifest["differs"]:
                folders[study] = each.folder
    others: dict[str, list[Listed]] = {}
    for each in listed:
        if kind(each.manifest) == "other":
            others.setdefault(each.folder.parent.name, []).append(each)
    return Collected(_claims(found), dict(sorted(found.items())), folders, others)


def committed(announce: Announce) -> dict[str, Verdicts]:
    """The verdicts that lie in files beside the studies; a damaged file is announced and passed over."""
    found: dict[str, Verdicts] = {}
    for folder in _places():
        for path in sorted((folder / FOLDER).glob("*.json")):
            try:
                found.setdefault(path.stem, load_verdicts(path))
            except InputError as reason:
                announce(f"note: passed over, {reason}")
    return found


def _places() -> tuple[Path, ...]:
    here = Path.cwd() / "experiments"
    return tuple(dict.fromkeys((here, shipped.studies())))


def _claims(found: Mapping[str, Verdicts]) -> dict[str, Claim]:
    """The ledger, and what the studies of these verdicts bring with them."""
    known_claims = claims.ledger(*_places())
    own = [
        claims.parse(each.manifest.get("own_claims", {}), f"the verdicts of {each.study}")
        for each in found.values()
    ]
    for brought in own:
        known_claims = {**brought, **known_claims}
    return known_claims


def _studies(listed: Sequence[Listed]) -> dict[str, Path]:
    """The studies that have runs, with their files."""
    paths = known()
    names = sorted({each.folder.parent.name for each in listed})
    return {name: Path(_file(name, listed, paths)) for name in names}


def _file(name: str, listed: Sequence[Listed], paths: Mapping[str, Path]) -> str | Path:
    if name in paths:
        return paths[name]
    files = [each.manifest.get("file", "") for each in listed if each.folder.parent.name == name]
    return files[-1]


def _countable(study: str, path: Path, listed: Sequence[Listed], announce: Announce) -> Iterator[Listed]:
    """The runs of a study that may enter a table."""
    for each in listed:
        if each.folder.parent.name != study or kind(each.manifest) == "other":
            continue
        reasons = stale(each.manifest, path)
        if reasons:
            announce(f"note: {each.folder} is stale ({'; '.join(reasons)}) and left out: run {study} again.")
            continue
        yield each


def kind(manifest: Mapping[str, Any]) -> str:
    """What a run is to the tables: "default", "replicate", or "other", which never enters them."""
    differing = set(manifest["differs"])
    if manifest["smoke"]:
        return "other"
    if not differing:
        return "default"
    return "replicate" if differing in ({"seed"}, *_ROUNDING) else "other"


def _updated(study: str, before: Verdicts | None, mine: Sequence[Listed]) -> Verdicts | None:
    """The verdicts of a study with what its runs here add; None where they add nothing."""
    defaults = [each for each in mine if not each.manifest["differs"]]
    further = [_replicate(each) for each in mine if each.manifest["differs"]]
    if defaults:
        newest = defaults[-1]
        earlier = before.replicates if before is not None and _same_code(before, newest.manifest) else ()
        return Verdicts(
            study,
            newest.manifest["about"]["title"],
            _kept(newest.manifest),
            load_findings(newest.folder),
            _joined(earlier, further),
        )
    if before is None or not further:
        return None
    if not all(_same_code(before, each.manifest) for each in mine):
        return None
    return before._replace(replicates=_joined(before.replicates, further))


def _same_code(before: Verdicts, manifest: Mapping[str, Any]) -> bool:
    return before.manifest.get("code") == manifest["code"]


def _kept(manifest: Mapping[str, Any]) -> dict[str, Any]:
    data = {name: entry["digest"] for name, entry in manifest["data"].items()}
    kept = {name: manifest[name] for name in _KEPT}
    return kept | {"data": data, "own_claims": manifest.get("own_claims", {})}


def _replicate(each: Listed) -> Replicate:
    return Replicate(each.manifest["differs"], each.manifest["hash"], load_findings(each.folder))


def _joined(earlier: Sequence[Replicate], further: Sequence[Replicate]) -> tuple[Replicate, ...]:
    """One replicate for each way of differing; those of this machine replace earlier ones."""
    by_difference = {str(sorted(each.differs.items())): each for each in (*earlier, *further)}
    return tuple(by_difference[key] for key in sorted(by_difference))


def stale_verdicts(found: Verdicts) -> bool:
    """Whether other code than today's made committed verdicts; so it is if their study is not found here."""
    path = known().get(found.study)
    return path is None or bool(code_changes(found, path))


def code_changes(found: Verdicts, path: Path) -> tuple[str, ...]:
    """What has changed in the code since verdicts were made."""
    from_manifest = {"code": found.manifest["code"], "versions": {}, "data": {}}
    return tuple(each for each in stale(from_manifest, path) if "not recorded" not in each)


def refresh_findings(runs: Path, announce: Announce) -> None:
    """Makes the findings and figures of up-to-date runs again where only their code has changed.

    Raises:
        InputError: a study breaks its contract.
    """
    listed = readable_runs(runs)
    for study, path in _studies(listed).items():
        for each in listed:
            if each.folder.parent.name != study or not path.is_file() or stale(each.manifest, path):
                continue
            if judging_changed(each.manifest, path):
                announce(f"{study}: findings and figures are made again, from the stored arrays")
                refresh(load(path), each.folder)


def titles() -> dict[str, str]:
    """The question of each known study."""
    found = {}
    for name, path in known().items():
        try:
            found[name] = describe(path).title
        except InputError:
            continue
    return found
