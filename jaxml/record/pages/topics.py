"""The page of a topic: its claims, each with its answer first and the findings behind
it; and the index of all topics.
"""

import html
from collections.abc import Mapping, Sequence

from jaxml.record.answers import REPLIES, Answer, Evidence, stance
from jaxml.record.pages.tables import (
    MARKS,
    by_topic,
    capitalised,
    compared_with,
    held_in,
    markdown_tally,
    measured,
    parts,
    plain,
    row,
    units,
)

Links = Mapping[str, str]
"""Of studies or topics: where their file or page lies, seen from the document."""

ANEW = "recomputed:"
"""What marks figures of the ledger that the course does not print."""

LEGEND = """\
A claim's answer follows by rule from its deciding findings; supporting findings are
shown and decide nothing. The measured number comes with its interval, its unit, the
count n of independent units behind it and the level of confidence, which exceeds 95 %
where several findings of a study decide together (Holm 1979); "deterministic" means
that nothing random entered. "Compared with" is the rule: `> t ± m` is supported where
the whole interval lies beyond t + m, refuted beneath t - m, without effect within, and
undecided otherwise; `< t ± m` likewise; `≈ t ± m` is supported within; `≤ t` holds the
largest error of an equation against a tolerance. "Held again" counts further runs from
fresh seeds, or with other rounding, in which the verdict was the same."""
"""How the tables of findings are read."""

_HEADER = (
    "| Verdict | Finding, and its setting | Measured | Compared with | Held again "
    "| Study |"
)


def markdown_topic(
    members: Sequence[Answer], questions: Mapping[str, str], links: Links
) -> str:
    """The page of one topic, without its title: the answers at a glance, then claim by
    claim what was measured.

    Args:
        members: the answers to the topic's claims, in the ledger's order.
        questions: of the topic's own studies, by name.
        links: the files of studies.
    """
    lines = [markdown_tally(members), "", "| Answer | Claim |", "|-|-|"]
    for answer in members:
        name = answer.claim.id
        claim = f"[{name}](#{name}): {answer.claim.claim}"
        lines.append(row([f"{MARKS[answer.reply]} {answer.reply}", claim]))
    lines += ["", "## Claim by claim", ""]
    for answer in members:
        lines += _section(answer, links)
    if questions:
        lines += ["## Studies", "", "| Study | Asks | Command |", "|-|-|-|"]
        for name, question in questions.items():
            lines.append(row([_linked(name, links), question, f"`jaxml run {name}`"]))
        lines.append("")
    return "\n".join([*lines, "## How to read the tables", "", LEGEND])


def markdown_verdicts(answers: Mapping[str, Answer]) -> str:
    """Every finding under its claim, the claims by topic."""
    lines: list[str] = []
    for topic, members in by_topic(answers).items():
        tested = [answer for answer in members if answer.deciding or answer.supporting]
        if tested:
            lines += [f"## {plain(capitalised(topic))}", ""]
        for answer in tested:
            lines += _section(answer, {})
    return "\n".join(lines).rstrip()


def markdown_index(answers: Mapping[str, Answer], pages: Links) -> str:
    """A line a claim, by topic: its answer, and where its evidence is."""
    lines = ["| Claim | Answer | |", "|-|-|-|"]
    for topic, members in by_topic(answers).items():
        waiting = sum(answer.reply == "not yet tested" for answer in members)
        tested = f"{len(members) - waiting} of {len(members)} tested"
        lines.append(row([f"**{_linked(topic, pages)}**", tested, ""]))
        for answer in members:
            name = answer.claim.id
            page = {name: f"{pages[topic]}#{name}"} if topic in pages else {}
            reply = f"{MARKS[answer.reply]} {answer.reply}"
            lines.append(row([_linked(name, page), reply, answer.claim.claim]))
    return "\n".join(lines)


def _section(answer: Answer, links: Links) -> list[str]:
    """One claim: its answer in which settings, what the course says, what was
    measured.
    """
    claim = answer.claim
    anchor = f'<a id="{html.escape(claim.id)}"></a>'
    title = f"### {anchor}{claim.id}: {MARKS[answer.reply]} {answer.reply}"
    lines = [title, "", plain(claim.claim), ""]
    for side in REPLIES:
        for setting in answer.sides.get(side, ()):
            said = parts(answer, setting) if side == "depends" else setting
            lines.append(f"- {MARKS[side]} {side}: {plain(said)}")
    anew = [text for text in claim.figures if text.startswith(ANEW)]
    printed = [text for text in claim.figures if text not in anew]
    facts = {
        "Said in": claim.where,
        "Bear in mind": claim.caveat,
        "Computed anew": "; ".join(text.removeprefix(ANEW).strip() for text in anew),
        "Printed there": "; ".join(printed),
        "To be measured": "" if answer.deciding else claim.measure,
    }
    lines += [f"- {label}: {plain(text)}" for label, text in facts.items() if text]
    lines.append("")
    if answer.deciding:
        studies = dict.fromkeys(each.study for each in answer.deciding)
        lines += [f"Measured by `jaxml run {' '.join(studies)}`:", ""]
        lines += [*_findings(answer.deciding, links), ""]
    if answer.supporting:
        count = len(answer.supporting)
        said = "1 supporting finding" if count == 1 else f"{count} supporting findings"
        lines += ["<details>", f"<summary>{said}</summary>", ""]
        lines += [*_findings(answer.supporting, links), "", "</details>", ""]
    return lines


def _findings(evidence: Sequence[Evidence], links: Links) -> list[str]:
    return [_HEADER, "|-|-|-|-|-|-|", *(_finding(each, links) for each in evidence)]


def _finding(evidence: Evidence, links: Links) -> str:
    finding = evidence.finding
    lost = "" if stance(evidence) == finding.verdict else ", so undecided"
    cells = (
        f"{MARKS[finding.verdict]} {finding.verdict}",
        f"{finding.statement}<br><sub>{finding.setting}</sub>",
        f"{measured(finding)} {units(finding)}",
        compared_with(finding),
        f"{held_in(evidence)}{lost}",
        _linked(evidence.study, links),
    )
    return row(cells)


def _linked(name: str, links: Links) -> str:
    return f"[{name}]({links[name]})" if name in links else name
