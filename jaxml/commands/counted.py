"""Which runs of this machine count: whole, up to date, made under usual settings."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from jaxml.errors import InputError
from jaxml.freshness import stale, told
from jaxml.record.finding import Finding
from jaxml.record.runs.folder import load_findings
from jaxml.record.runs.listing import Listed

_ROUNDING = ({"lanes"},)
"""Fields that change rounding alone."""

_USUAL = {
    "jax_enable_x64": False,
    "jax_default_matmul_precision": None,
    "jax_disable_most_optimizations": False,
    "jax_random_seed_offset": 0,
    "XLA_FLAGS": "",
}
"""The settings of runs that enter tables, on a CPU; studies in float64 switch it on
themselves.
"""

Announce = Callable[[str], None]


class Counted(NamedTuple):
    """A run that may enter a table, with its findings."""

    folder: Path
    manifest: Mapping[str, Any]
    findings: tuple[Finding, ...]


def counted(
    study: str, path: Path, listed: Sequence[Listed], announce: Announce
) -> Iterator[Counted]:
    """The runs of a study that may enter a table."""
    for each in listed:
        if each.folder.parent.name != study or kind(each.manifest) == "other":
            continue
        reasons = stale(each.manifest, path)
        if reasons:
            announce(
                f"note: {each.folder} is stale ({told(reasons)}) and left out: run "
                f"{study} again."
            )
            continue
        try:
            yield Counted(*each, load_findings(each.folder))
        except InputError as reason:
            announce(f"note: passed over, {reason}")


def kind(manifest: Mapping[str, Any]) -> str:
    """What a run is to the tables: "default", "replicate", or "other", which never
    enters them.
    """
    differing = set(manifest["differs"])
    if manifest["smoke"] or not _usual(manifest):
        return "other"
    if not differing:
        return "default"
    return "replicate" if differing in ({"seed"}, *_ROUNDING) else "other"


def _usual(manifest: Mapping[str, Any]) -> bool:
    """Whether a run was made under the usual settings; on accelerators precision and
    flags may differ.
    """
    free = (
        ()
        if str(manifest["platform"]).startswith("cpu")
        else ("jax_default_matmul_precision", "XLA_FLAGS")
    )
    settings = manifest["settings"]
    return all(
        settings.get(name, usual) == usual
        for name, usual in _USUAL.items()
        if name not in free
    )
