"""`jaxml report`: the ledger of all runs, and the tables that documents quote."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jaxml import bench
from jaxml.commands.catalogue import known
from jaxml.record import load_run
from jaxml.record.report import markdown_verdicts, replace_between, write_ledger
from jaxml.record.runs import newest_runs
from jaxml.source import code_digest, describe

VERDICTS = ("supported", "refuted", "undecided")


def report(runs: Path, document: Path | None) -> None:
    """Writes `<runs>/report.html` and, in a named document, the tables for which it holds markers.

    Markers are `<!-- studies --> <!-- /studies -->`, a line a study; likewise `verdicts`, a line a finding,
    and `speed`, the committed benchmarks.

    Raises:
        InputError: there are no runs, one is damaged, or the document has no markers or cannot be written.
    """
    write_ledger(runs, runs / "report.html", stale=stale)
    print(f"Report: {runs / 'report.html'}")
    if document is None:
        return
    text = document.read_text(encoding="utf-8") if document.is_file() else ""
    tables = {"studies": markdown_studies, "verdicts": markdown_verdicts, "speed": lambda _: bench.markdown()}
    wanted = [marker for marker in tables if f"<!-- {marker} -->" in text]
    for marker in wanted or ["verdicts"]:
        if table := tables[marker](runs):  # without committed benchmarks the old table stays
            replace_between(document, marker, table)
    print(f"Tables in {document}: {', '.join(wanted)}")


def markdown_studies(runs: Path) -> str:
    """One line a study: its question, and how many of its findings came out which way."""
    lines = ["| Study | Asks | Claims | ✓ | ✗ | ? |", "|-|-|-|-|-|-|"]
    for folder in newest_runs(runs):
        run = load_run(folder)
        name = str(run.manifest["study"])
        path = known().get(name)
        title = describe(path).title if path else "(not here)"
        claims = sorted(
            {finding.claim for finding in run.findings}, key=lambda claim: (claim[0], _number(claim))
        )
        counts = (sum(finding.verdict == verdict for finding in run.findings) for verdict in VERDICTS)
        cells = (name, title.replace("|", r"\|"), ", ".join(claims), *map(str, counts))
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _number(claim: str) -> int:
    return int(claim[1:].rstrip("a"))


def stale(manifest: Mapping[str, Any]) -> bool:
    """Whether other code than today's made the run; so it is if its study is not found here."""
    name = str(manifest["study"])
    path = known().get(name, Path(f"{Path(name).name}.py"))
    return not path.is_file() or code_digest(path) != manifest["code"]
