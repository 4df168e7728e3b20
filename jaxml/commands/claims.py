"""`jaxml claims`: what the course claims, what the studies say to it, and what waits to
be tested.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from jaxml.commands.catalogue import claims_named
from jaxml.commands.collected import Collected, collected, outdated
from jaxml.commands.run import COLOURS, wide_console
from jaxml.commands.runs import note
from jaxml.record.answers import Answer, Evidence, answers, stance
from jaxml.record.pages.tables import (
    MARKS,
    by_topic,
    compared_with,
    held_in,
    markdown_tally,
    measured,
    scope,
)

REPLY_COLOURS = {**COLOURS, "depends": "magenta", "not yet tested": "dim"}


def show(words: Sequence[str], runs: Path) -> None:
    """Prints all topics, or the claims and topics that are named.

    Raises:
        InputError: a word that is neither an id nor a topic; proposes the nearest.
    """
    console = wide_console()
    known = collected(runs, note)
    replies = answers(known.claims, list(known.found.values()))
    topics = by_topic(replies)
    if not words:
        _overview(console, replies, topics)
    for name in claims_named(words, [*known.claims, *topics]):
        if name in topics:
            _topic(console, name, topics[name])
        else:
            _claim(console, replies[name], known)


def _overview(
    console: Console,
    replies: Mapping[str, Answer],
    topics: Mapping[str, Sequence[Answer]],
) -> None:
    table = Table("topic", "claims", "answered", "answers")
    for topic, members in topics.items():
        tested = [answer for answer in members if answer.reply != "not yet tested"]
        marks = ", ".join(
            f"{answer.claim.id} {MARKS[answer.reply]}" for answer in tested
        )
        table.add_row(topic, str(len(members)), str(len(tested)), marks)
    console.print(table)
    console.print(markdown_tally(replies.values()))
    console.print("See one by `jaxml claims C048`, a topic by `jaxml claims momentum`.")


def _topic(console: Console, name: str, members: Sequence[Answer]) -> None:
    table = Table("claim", "answer", "the claim", title=name)
    for answer in members:
        reply = Text(answer.reply, REPLY_COLOURS.get(answer.reply, ""))
        table.add_row(answer.claim.id, reply, answer.claim.claim)
    console.print(table)


def _claim(console: Console, answer: Answer, known: Collected) -> None:
    claim = answer.claim
    console.print(f"{claim.id}  {claim.claim}\n", soft_wrap=False)
    console.print(
        Text(
            f"{MARKS[answer.reply]} {answer.reply}", REPLY_COLOURS.get(answer.reply, "")
        )
    )
    if answer.sides:
        console.print(scope(answer))
    if not answer.deciding:
        console.print("No study has a deciding finding on it.")
    facts = {
        "Topic": f"{claim.topic} ({claim.kind})",
        "Said in": claim.where,
        "Figures": "; ".join(claim.figures),
        "Caveat": claim.caveat,
        "To measure": claim.measure,
    }
    console.print()
    for label, text in facts.items():
        if text:
            console.print(f"{label}: {text}")
    _findings(console, "Deciding findings", answer.deciding)
    _findings(console, "Supporting findings, which decide nothing", answer.supporting)
    _note_stale(console, answer, known)
    console.print()


def _findings(console: Console, title: str, evidence: Sequence[Evidence]) -> None:
    """Prints findings under the study and the setting that they share, a line each
    where it fits.
    """
    if not evidence:
        return
    console.print(f"\n{title}", style="bold")
    settings: dict[tuple[str, str], list[Evidence]] = {}
    for each in evidence:
        settings.setdefault((each.study, each.finding.setting), []).append(each)
    for (study, setting), members in settings.items():
        console.print(f"{study}: {setting}", style="dim")
        for each in members:
            finding = each.finding
            verdict = Text(f"  {MARKS[stance(each)]} ", COLOURS.get(stance(each), ""))
            number = (
                f"{measured(finding)} {finding.unit}, compared with "
                f"{compared_with(finding)}"
            )
            again = f", held again {held_in(each)}" if each.held.times else ""
            console.print(
                Text.assemble(verdict, f"{finding.statement} {number}{again}")
            )


def _note_stale(console: Console, answer: Answer, known: Collected) -> None:
    studies = dict.fromkeys(
        each.study for each in (*answer.deciding, *answer.supporting)
    )
    for study in studies:
        if outdated(known.found[study], known.files.get(study)):
            console.print(
                f"The findings of {study} were made by other code: `jaxml run {study}` "
                "again."
            )
