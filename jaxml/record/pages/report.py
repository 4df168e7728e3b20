"""What a reader sees: the page of one run, and the page of all claims, each one
self-contained file.
"""

import itertools
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias
from urllib.parse import quote

import jinja2

from jaxml import claims
from jaxml.record.answers import Answer, Evidence, answers, stance
from jaxml.record.finding import Finding
from jaxml.record.pages import tables
from jaxml.record.pages.pictures import Picture, pictures
from jaxml.record.runs.archive import replacing
from jaxml.record.runs.folder import load_findings, load_manifest
from jaxml.record.verdicts import Verdicts

_ENVIRONMENT = jinja2.Environment(
    loader=jinja2.FileSystemLoader(Path(__file__).parent),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
Column: TypeAlias = tuple[str, Sequence[Finding]]
"""A run that is compared: what sets it apart, and its findings."""

_PAGE_IDS = frozenset({"find", "hits", "studies"})
"""The ids that the page itself uses."""

_FILES = ("result.npz", "findings.json", "manifest.json", "report.html")


class _Section(NamedTuple):
    """One study of a page: what it found, its pictures, and links to the files of its
    run.
    """

    verdicts: Verdicts
    manifest: Mapping[str, Any]
    pictures: Mapping[str, Picture]
    links: Mapping[str, str]
    stale: bool
    others: "_Comparison"


class _Comparison(NamedTuple):
    """Runs of one study side by side.

    Attributes:
        titles: one a run.
        rows: by claim, statement and setting a cell for each run, "" where it has no
            such finding.
    """

    titles: Sequence[str]
    rows: Mapping[tuple[str, str, str], Sequence[str]]

    def titled(self, cells: Sequence[str]) -> Iterable[tuple[str, str]]:
        """Each cell of a row with the title of its run."""
        return zip(self.titles, cells, strict=True)


class _Anchors(NamedTuple):
    """The `id` of each claim, topic and study on a page, no two of them alike."""

    claims: Mapping[str, str]
    topics: Mapping[str, str]
    studies: Mapping[str, str]


def write_report(folder: Path, manifest: Mapping[str, Any] | None = None) -> None:
    """Writes `report.html` into a run's folder: its claims with what it found, figures,
    circumstances.

    Args:
        folder: of the run.
        manifest: its manifest, where the folder does not hold it yet.

    Raises:
        InputError: the manifest or the findings are missing or damaged, or the folder
            cannot be written.
    """
    manifest = load_manifest(folder) if manifest is None else manifest
    study, about = str(manifest["study"]), manifest["about"]
    found = Verdicts(study, about["title"], manifest, load_findings(folder), ())
    own = claims.parse(manifest.get("own_claims", {}), str(folder))
    known = {**claims.ledger(), **own}
    named = dict.fromkeys(finding.claim for finding in found.findings)
    replies = answers({name: known[name] for name in known if name in named}, [found])
    section = _section(found, folder, folder, stale=False)
    _write(
        folder / "report.html",
        about["title"],
        replies,
        {study: section},
        smoke=manifest["smoke"],
    )


def write_ledger(
    path: Path,
    replies: Mapping[str, Answer],
    found: Mapping[str, Verdicts],
    folders: Mapping[str, Path],
    *,
    stale: Callable[[Verdicts], bool],
    others: Mapping[str, Sequence[Column]] | None = None,
) -> None:
    """Writes one page about all claims: by topic each claim, its answer, its figure and
    its findings.

    Args:
        path: of the page; links to the files of runs are relative to its folder.
        replies: the answer to each claim.
        found: the verdicts behind them, by study.
        folders: by study the run that has its figures and data; a study without one has
            neither here.
        stale: whether verdicts were made by other code than today's.
        others: by study, further runs that are compared: what sets each apart, and its
            findings.

    Raises:
        InputError: a run is damaged, or the page cannot be written.
    """
    sections = {}
    for name, each in found.items():
        section = _section(each, folders.get(name), path.parent, stale=stale(each))
        sections[name] = section._replace(
            others=_compared((others or {}).get(name, ()))
        )
    title = "What the course claims, and what experiments answer"
    _write(path, title, replies, sections, smoke=False)


def _write(
    path: Path,
    title: str,
    replies: Mapping[str, Answer],
    sections: Mapping[str, _Section],
    *,
    smoke: bool,
) -> None:
    topics = tables.by_topic(replies)
    page = _ENVIRONMENT.get_template("report.html").render(
        title=title,
        smoke=smoke,
        tally=tables.tally(replies.values()),
        topics=topics,
        sections=sections,
        marks=tables.MARKS,
        scope=tables.scope,
        measured=tables.measured,
        compared_with=tables.compared_with,
        units=tables.units,
        held_in=tables.held_in,
        stance=stance,
        picture=_picture_of(sections),
        capitalised=tables.capitalised,
        anchors=_anchors(replies, topics, sections),
    )
    with replacing(path) as temporary:
        temporary.write_text(page, encoding="utf-8")


def _anchors(
    names: Iterable[str], topics: Iterable[str], studies: Iterable[str]
) -> _Anchors:
    """A claim's anchor is its id where that is plain and free, so that
    `report.html#C053` works.

    >>> _anchors(["C053", "find", "a/b", "a%b"], [], []).claims
    {'C053': 'C053', 'find': 'claim-find', 'a/b': 'claim-a-b', 'a%b': 'claim-a-b-2'}
    """
    ids = list(names)
    plain = [name for name in ids if _is_free(name)]
    others = [name for name in ids if not _is_free(name)]
    claimed = dict(zip(plain, plain, strict=True)) | _slugs("claim-", others, plain)
    return _Anchors(
        {name: claimed[name] for name in ids},
        _slugs("topic-", topics),
        _slugs("study-", studies),
    )


def _is_free(name: str) -> bool:
    """Whether an id can stand in an address as it is, and nothing else of the page can
    have it.
    """
    plain = re.fullmatch(r"[A-Za-z][\w.-]*", name) is not None
    return plain and name not in _PAGE_IDS and not name.startswith(("topic-", "study-"))


def _slugs(
    prefix: str, names: Iterable[str], taken: Iterable[str] = ()
) -> dict[str, str]:
    """By name the prefix and what is plain of the name, with a number behind it where
    that is taken.
    """
    used = set(taken)
    slugs: dict[str, str] = {}
    for name in names:
        slug = prefix + re.sub(r"[^\w.-]+", "-", name).strip("-")
        numbered = (f"{slug}-{number}" for number in itertools.count(2))
        slugs[name] = next(
            each for each in itertools.chain([slug], numbered) if each not in used
        )
        used.add(slugs[name])
    return slugs


def _picture_of(
    sections: Mapping[str, _Section],
) -> Callable[[Answer], tuple[str, Picture] | None]:
    """`answer -> (study, picture)`: the figure that its first finding names, or the
    study's first.
    """

    def picture(answer: Answer) -> tuple[str, Picture] | None:
        evidence: Sequence[Evidence] = (*answer.deciding, *answer.supporting)
        for each in evidence:
            pictures = sections[each.study].pictures if each.study in sections else {}
            if pictures:
                first = next(iter(pictures.values()))
                return each.study, pictures.get(each.finding.figure, first)
        return None

    return picture


def _section(
    found: Verdicts, folder: Path | None, page: Path, *, stale: bool
) -> _Section:
    if folder is None:
        return _Section(found, found.manifest, {}, {}, stale, _compared(()))
    by_name = {picture.name: picture for picture in pictures(folder / "figures")}
    links = {
        name: _link(folder / name, page) for name in _FILES if (folder / name).is_file()
    }
    return _Section(found, load_manifest(folder), by_name, links, stale, _compared(()))


def _compared(columns: Sequence[Column]) -> _Comparison:
    rows: dict[tuple[str, str, str], list[str]] = {}
    for index, (_, findings) in enumerate(columns):
        for finding in findings:
            key = (finding.claim, finding.statement, finding.setting)
            cells = rows.setdefault(key, [""] * len(columns))
            cell = f"{finding.verdict}: {tables.measured(finding)}"
            cells[index] = f"{cells[index]}; {cell}" if cells[index] else cell
    return _Comparison([title for title, _ in columns], rows)


def _link(path: Path, page: Path) -> str:
    """The file, seen from the page's folder."""
    return quote(Path(os.path.relpath(path, page)).as_posix())
