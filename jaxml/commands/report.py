"""`jaxml report`: the page of all claims, and the tables that documents quote."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from jaxml import bench
from jaxml.commands import pages
from jaxml.commands.catalogue import known
from jaxml.commands.collected import Collected, collected, outdated, refresh_findings
from jaxml.commands.run import short
from jaxml.commands.runs import note
from jaxml.record.answers import Answer, answers
from jaxml.record.finding import Finding
from jaxml.record.pages.report import write_ledger
from jaxml.record.pages.tables import (
    markdown_answers,
    markdown_tally,
    replace_between,
    row,
)
from jaxml.record.pages.topics import markdown_index, markdown_verdicts
from jaxml.record.runs.archive import writing
from jaxml.record.runs.folder import load_findings
from jaxml.record.runs.listing import Listed
from jaxml.record.verdicts import FOLDER, Verdicts, save_verdicts
from jaxml.types import InputError

Table = Callable[[Collected, Mapping[str, Answer]], str]


def report(runs: Path, document: Path | None) -> None:
    """Writes `<runs>/report.html` and, in a named document, the tables for which it
    holds markers.

    Markers are pairs such as `<!-- answers --> <!-- /answers -->`: `tally`, one
    sentence; `answers`, a line a claim that has been tested; `index`, a line a claim;
    `studies`, a line a study; `verdicts`, every finding under its claim; `speed`, the
    committed benchmarks. With a document, what the tables are made from is written into
    `experiments/verdicts/` as well, and the page of each topic of the ledger in
    `experiments/`.

    Raises:
        InputError: there are neither runs nor committed verdicts, or the document has
            no markers or cannot be written.
    """
    refresh_findings(runs, note)
    everything = collected(runs, note)
    if document is not None and everything.damaged:
        raise InputError(
            f"{everything.damaged[0]} No table is written before that is mended."
        )
    if not (everything.found or everything.others):
        raise InputError(
            f"{runs} holds no runs: make one by `jaxml run STUDY`, or name another "
            "folder."
        )
    replies = answers(everything.claims, list(everything.found.values()))
    page = runs / "report.html"
    with writing(runs):
        runs.mkdir(parents=True, exist_ok=True)
    found, folders = _with_others(everything)
    others = {study: _columns(listed) for study, listed in everything.others.items()}

    def stale_verdicts(verdicts: Verdicts) -> bool:
        return outdated(verdicts, everything.files.get(verdicts.study))

    write_ledger(page, replies, found, folders, others=others, stale=stale_verdicts)
    print(f"Report: {page}")
    if document is not None:
        _fill(document, everything, replies)
        _commit(everything)
        pages.write(Path.cwd() / "experiments", everything, replies)


def _with_others(everything: Collected) -> tuple[dict[str, Verdicts], dict[str, Path]]:
    """What the page shows: studies without a run of the default config have no
    findings, but a section.
    """
    found, folders = dict(everything.found), dict(everything.folders)
    for study, listed in everything.others.items():
        if study not in found:
            newest = listed[-1]
            found[study] = Verdicts(
                study, newest.manifest["about"]["title"], newest.manifest, (), ()
            )
            folders[study] = newest.folder
    return found, folders


def _columns(listed: Sequence[Listed]) -> list[tuple[str, tuple[Finding, ...]]]:
    """Each run's title, what sets its config apart, and its findings."""
    columns = []
    for folder, manifest in listed:
        title = "smoke" if manifest["smoke"] else short(manifest["differs"])
        try:
            columns.append((title, load_findings(folder)))
        except InputError as reason:
            note(f"note: passed over, {reason}")
    return columns


def _fill(document: Path, everything: Collected, replies: Mapping[str, Answer]) -> None:
    """Puts each table between its markers in the document."""
    text = _text(document)
    topics = pages.pages(Path.cwd() / "experiments")
    folder = document.resolve().parent
    tables: dict[str, Table] = {
        "tally": lambda _, replies: markdown_tally(replies.values()),
        "answers": lambda _, replies: markdown_answers(replies),
        "index": lambda _, replies: markdown_index(
            replies, pages.links(topics, folder)
        ),
        "studies": lambda everything, _: markdown_studies(everything.found),
        "verdicts": lambda _, replies: markdown_verdicts(replies),
        "speed": lambda *_: bench.markdown(),
    }
    wanted = [marker for marker in tables if f"<!-- {marker} -->" in text]
    for marker in wanted or ["verdicts"]:
        if table := tables[marker](
            everything, replies
        ):  # without committed benchmarks the old table stays
            replace_between(document, marker, table)
    print(f"Tables in {document}: {', '.join(wanted)}")


def _text(document: Path) -> str:
    try:
        return document.read_text(encoding="utf-8") if document.is_file() else ""
    except (OSError, UnicodeDecodeError) as reason:
        raise InputError(
            f"{document} cannot be read as text ({reason}): save it as UTF-8."
        ) from reason


def _commit(everything: Collected) -> None:
    """Writes the verdicts of the studies of this folder's `experiments/`, where they
    have changed.
    """
    here = Path.cwd() / "experiments"
    if not here.is_dir():
        return
    for name, found in everything.found.items():
        path = known().get(name)
        if path is not None and path.is_relative_to(here):
            _save_if_changed(here / FOLDER, found)


def _save_if_changed(folder: Path, found: Verdicts) -> None:
    path = folder / f"{found.study}.json"
    before = path.read_bytes() if path.exists() else b""
    save_verdicts(folder, found)
    if path.read_bytes() != before:
        print(f"Verdicts: {path.relative_to(Path.cwd())}")


def markdown_studies(found: Mapping[str, Verdicts]) -> str:
    """One line a study: its question, and the claims on which it has findings."""
    lines = ["| Study | Asks | Claims |", "|-|-|-|"]
    for name, each in found.items():
        claims = dict.fromkeys(finding.claim for finding in each.findings)
        lines.append(row([name, each.question, ", ".join(claims)]))
    return "\n".join(lines)
