"""`jaxml report`: the ledger of all runs, and the tables that the README quotes."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jaxml import bench
from jaxml.commands.catalogue import known
from jaxml.record.report import markdown_verdicts, replace_between, write_ledger
from jaxml.source import code_digest


def report(runs: Path, readme: Path | None) -> None:
    """Writes `<runs>/report.html` and, if named, the README's tables.

    Raises:
        InputError: there are no runs, one is damaged, or a file cannot be written.
    """
    write_ledger(runs, runs / "report.html", stale=stale)
    print(f"Report: {runs / 'report.html'}")
    if readme is not None:
        replace_between(readme, "verdicts", markdown_verdicts(runs))
        speed = bench.markdown()
        if speed:
            replace_between(readme, "speed", speed)
        print(f"Tables: {readme}")


def stale(manifest: Mapping[str, Any]) -> bool:
    """Whether other code than today's made the run; so it is if its study is not found here."""
    name = str(manifest["study"])
    path = known().get(name, Path(f"{Path(name).name}.py"))
    return not path.is_file() or code_digest(path) != manifest["code"]
