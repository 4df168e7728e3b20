"""What a reader sees: the report of a run, the ledger of all claims, and the README's table."""

import base64
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias
from urllib.parse import unquote

import jinja2

from jaxml.record.archive import replacing
from jaxml.record.figures import DPI
from jaxml.record.finding import Finding
from jaxml.record.runs import load_findings, load_manifest, newest_runs
from jaxml.types import InputError

_ENVIRONMENT = jinja2.Environment(
    loader=jinja2.FileSystemLoader(Path(__file__).parent),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
Stale: TypeAlias = Callable[[Mapping[str, Any]], bool]
"""Whether a manifest's run was made by other code than today's."""

_MARKS = {"supported": "✓", "refuted": "✗", "undecided": "?"}


class _Row(NamedTuple):
    """One line of the ledger."""

    finding: Finding
    interval: str
    rule: str
    mark: str
    study: str
    run: str
    stale: bool


class _Picture(NamedTuple):
    """A PNG: its name, its bytes in base64, and its width on the page."""

    name: str
    data: str
    width: int


class _Section(NamedTuple):
    """One study of a page."""

    manifest: Mapping[str, Any]
    figures: list[_Picture]
    stale: bool


def write_report(folder: Path) -> None:
    """Writes `report.html` into a run's folder: its verdicts, figures and circumstances, in one file.

    Raises:
        InputError: the manifest or the findings are missing or damaged, or the folder cannot be written.
    """
    manifest = load_manifest(folder)
    _write(folder / "report.html", manifest["study"], [folder], lambda _: False)


def write_ledger(runs: str | Path, path: str | Path, *, stale: Stale) -> None:
    """Writes one self-contained page about the newest run of each study.

    Args:
        runs: the folder of all runs.
        path: of the page.
        stale: whether a manifest was made by other code than today's.

    Raises:
        InputError: there are no runs, one is damaged, or the page cannot be written.
    """
    folders = newest_runs(runs)
    if not folders:
        raise InputError(f"{runs} holds no runs: make one by `jaxml run STUDY`, or name another folder.")
    _write(Path(path), "Ledger of claims", folders, stale)


def markdown_verdicts(runs: str | Path) -> str:
    """The README's table: one line a finding, from the newest run of each study, in the order of the claims.

    Raises:
        InputError: a run is damaged.
    """
    lines = ["| Claim | Statement | Measured | Held against | Verdict | Study |", "|-|-|-|-|-|-|"]
    for row in _rows(newest_runs(runs), lambda _: False):
        finding = row.finding
        cells = (
            finding.claim,
            finding.statement,
            f"{row.interval} {finding.unit} (n = {finding.n}, {finding.dtype})",
            row.rule,
            f"{row.mark} {finding.verdict}",
            row.study,
        )
        lines.append("| " + " | ".join(" ".join(cell.replace("|", r"\|").split()) for cell in cells) + " |")
    return "\n".join(lines)


def replace_between(path: str | Path, marker: str, text: str) -> None:
    """Puts a text between `<!-- marker -->` and `<!-- /marker -->` in a file.

    Raises:
        InputError: the file or the pair of markers is missing, or the file cannot be written.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path} is missing: name the file that holds <!-- {marker} -->.")
    opening, closing = f"<!-- {marker} -->", f"<!-- /{marker} -->"
    before, opened, rest = path.read_text(encoding="utf-8").partition(opening)
    _, closed, after = rest.partition(closing)
    if not (opened and closed):
        raise InputError(f"{path} lacks the pair {opening} {closing}: write both where the text belongs.")
    with replacing(path) as temporary:
        temporary.write_text(f"{before}{opening}\n{text}\n{closing}{after}", encoding="utf-8")


def _write(path: Path, title: str, folders: Sequence[Path], stale: Stale) -> None:
    rows = _rows(folders, stale)
    page = _ENVIRONMENT.get_template("report.html").render(
        title=title,
        rows=rows,
        counts={verdict: sum(row.finding.verdict == verdict for row in rows) for verdict in _MARKS},
        marks=_MARKS,
        sections=[_section(folder, stale) for folder in folders],
    )
    with replacing(path) as temporary:
        temporary.write_text(page, encoding="utf-8")


def _rows(folders: Sequence[Path], stale: Stale) -> list[_Row]:
    rows = []
    for folder in folders:
        manifest = load_manifest(folder)
        origin = (manifest["study"], manifest["hash"], stale(manifest))
        rows += [
            _Row(finding, *_held(finding), _MARKS[finding.verdict], *origin)
            for finding in load_findings(folder)
        ]
    return sorted(rows, key=lambda row: _order(row.finding.claim))


def _section(folder: Path, stale: Stale) -> _Section:
    manifest = load_manifest(folder)
    figures = [_picture(path) for path in sorted((folder / "figures").glob("*.png"))]
    return _Section(manifest, figures, stale(manifest))


def _picture(path: Path) -> _Picture:
    """The width is that at which a point of the figure's type is a point of the page: 96 pixels an inch."""
    data = path.read_bytes()
    pixels = int.from_bytes(data[16:20], "big")
    return _Picture(unquote(path.stem), base64.b64encode(data).decode(), round(pixels * 96 / DPI))


def _order(claim: str) -> tuple[str, int, str]:
    """Sorts A2 before A10, and C150 before C150a."""
    number = re.sub(r"\D", "", claim)
    return claim[:1], int(number or 0), claim


def _held(finding: Finding) -> tuple[str, str]:
    """The measured interval and its rule, in as many digits as tell the numbers apart; at least 3.

    >>> _held(Finding("C001", "", 0.99996, 0.99991, 0.99998, "1", 9, "supported", "float32", "< 1.0"))
    ('0.99996 [0.99991, 0.99998]', '< 1')
    """
    sign, bound = finding.rule.split()
    numbers = (finding.measured, finding.low, finding.high, float(bound))
    texts: list[str] = []
    for digits in range(3, 18):
        texts = [f"{number:.{digits}g}" for number in numbers]
        if len(set(texts)) == len(set(numbers)):
            break
    measured, low, high, limit = texts
    return f"{measured} [{low}, {high}]", f"{sign} {limit}"
