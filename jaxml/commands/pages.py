"""The page of each topic beside its studies, `experiments/<topic>/README.md`."""

import os
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

from jaxml import claims, shipped
from jaxml.commands.collected import Collected
from jaxml.record.answers import Answer
from jaxml.record.pages.tables import by_topic, capitalised, replace_between
from jaxml.record.pages.topics import markdown_topic
from jaxml.record.runs.archive import writing

MARKER = "topic"
"""What is generated stands between the markers of this name; text around it stays."""


def pages(place: Path) -> dict[str, Path]:
    """The page of each topic of the ledger in a folder of studies; none without a
    ledger.

    Raises:
        InputError: the ledger breaks its format.
    """
    known = claims.read(place / shipped.LEDGER).values()
    topics = dict.fromkeys(claim.topic for claim in known)
    return {topic: place / claims.folder(topic) / "README.md" for topic in topics}


def links(paths: Mapping[str, Path], folder: Path) -> dict[str, str]:
    """Each path, seen from a folder."""
    return {name: relative(path, folder) for name, path in paths.items()}


def relative(path: Path, folder: Path) -> str:
    """The path as a link of a document in a folder."""
    return quote(Path(os.path.relpath(path, folder)).as_posix())


def contents(
    place: Path, everything: Collected, replies: Mapping[str, Answer]
) -> dict[Path, str]:
    """What is generated of each topic's page."""
    answers = by_topic(replies)
    made = {}
    for topic, page in pages(place).items():
        files = {
            study: path
            for study, path in everything.files.items()
            if study in everything.found and path.is_relative_to(place)
        }
        questions = {
            study: everything.found[study].question
            for study, path in files.items()
            if path.parent == page.parent
        }
        shown = links(files, page.parent)
        made[page] = markdown_topic(answers[topic], questions, shown)
    return made


def write(place: Path, everything: Collected, replies: Mapping[str, Answer]) -> None:
    """Writes the page of each topic between its markers.

    Raises:
        InputError: a page lacks the markers, or cannot be written.
    """
    made = contents(place, everything, replies)
    for page, text in made.items():
        if not page.exists():
            title = capitalised(page.parent.name.replace("_", " "))
            with writing(page.parent):
                page.parent.mkdir(exist_ok=True)
                page.write_text(
                    f"# {title}\n\n<!-- {MARKER} -->\n<!-- /{MARKER} -->\n",
                    encoding="utf-8",
                )
        replace_between(page, MARKER, text)
    if made:
        print(f"Topics: {len(made)} pages in {place.relative_to(Path.cwd())}")
