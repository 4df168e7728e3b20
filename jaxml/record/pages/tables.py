"""The tables that documents quote, and the words and numbers in them."""

import math
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import takewhile
from pathlib import Path

from jaxml.record.answers import REPLIES, Answer, Evidence, stance
from jaxml.record.finding import Finding
from jaxml.record.runs.archive import replacing
from jaxml.types import InputError

MARKS = {
    "supported": "✓",
    "refuted": "✗",
    "no effect": "=",
    "depends": "±",
    "undecided": "?",
    "not yet tested": "–",
}
"""A mark for each reply; words always stand beside it."""

NAMED = 2
"""Settings of a side that the README names; its topic's page names all."""


def capitalised(text: str) -> str:
    """The text with its first character in upper case, and all others as they are.

    >>> capitalised("slide 12 on ReLU")
    'Slide 12 on ReLU'
    """
    return text[:1].upper() + text[1:]


def measured(finding: Finding) -> str:
    """The quantity with its interval, in as many digits as tell the numbers apart; at
    least 3.

    Of the errors of an equation, the largest alone.

    >>> from jaxml.record.rule import Rule
    >>> numbers = 0.99996, 0.99991, 0.99998, 0.95
    >>> judged = "ratio", 9, "float32", Rule("<", 1.0), "supported", ""
    >>> one = Finding("C001", "deciding", "s", "t", *numbers, *judged)
    >>> measured(one), compared_with(one)
    ('0.99996 [0.99991, 0.99998]', '< 1')
    """
    value, low, high, _, _ = _digits(finding)
    if finding.low == finding.high or finding.rule.sign == "≤":
        return value
    return f"{value} [{low}, {high}]"


def compared_with(finding: Finding) -> str:
    """The rule: sign, threshold, and the margin around it."""
    _, _, _, threshold, margin = _digits(finding)
    around = f" ± {margin}" if finding.rule.margin else ""
    return f"{finding.rule.sign} {threshold}{around}"


def _digits(finding: Finding) -> tuple[str, ...]:
    """Value, ends, threshold and margin in equally many digits; the margin in 3.

    Up to 15 digits a decimal number comes back as it was written. Numbers that differ
    only beyond them are given by the shortest texts that read back as the same numbers.
    """
    rule = finding.rule
    measured = (finding.measured, finding.low, finding.high, rule.threshold)
    numbers = [number + 0.0 for number in measured]  # -0.0 becomes 0.0
    distinct = {number for number in numbers if math.isfinite(number)}
    for digits in range(3, 16):
        if len({f"{number:.{digits}g}" for number in distinct}) == len(distinct):
            texts = [f"{number:.{digits}g}" for number in numbers]
            return (*texts, f"{rule.margin:.3g}")
    return (
        *(repr(number).removesuffix(".0") for number in numbers),
        f"{rule.margin:.3g}",
    )


def units(finding: Finding) -> str:
    """Unit, number of independent units, and how sure: "nats, n = 12 at 97.5 %,
    float32".
    """
    sure = (
        "deterministic"
        if finding.level is None
        else f"n = {finding.n} at {100 * finding.level:.3g} %"
    )
    return f"{finding.unit}, {sure}, {finding.dtype}"


def held_in(evidence: Evidence) -> str:
    """In how many replicates the verdict held."""
    return (
        f"{evidence.held.held}/{evidence.held.times}"
        if evidence.held.times
        else "not run again"
    )


def scope(answer: Answer) -> str:
    """The settings behind an answer, on each side; where one shows both, what is found
    on each.

    >>> from jaxml.claims import Claim
    >>> claim = Claim("C001", "topic", "empirical", "A claim.")
    >>> scope(Answer(claim, "supported", {"supported": ("digits",)}, (), ()))
    'digits'
    >>> sides = {"supported": ("digits",), "refuted": ("text", "toys")}
    >>> scope(Answer(claim, "depends", sides, (), ()))
    'supported: digits; refuted: text | toys'
    """
    sides = {side: " | ".join(settings) for side, settings in answer.sides.items()}
    if "depends" in sides:
        sides["depends"] = " | ".join(
            parts(answer, setting) for setting in answer.sides["depends"]
        )
    if len(sides) == 1:
        (only,) = sides.values()
        return only
    return "; ".join(f"{side}: {sides[side]}" for side in REPLIES if side in sides)


def brief(answer: Answer) -> str:
    """The scope in fewer words: what all settings begin with is said once, and of each
    side at most two are named; findings that disagree in one setting are counted.

    >>> from jaxml.claims import Claim
    >>> claim = Claim("C001", "topic", "empirical", "A claim.")
    >>> sides = {"supported": ("digits, Adam",), "refuted": ("digits, SGD", "digits")}
    >>> brief(Answer(claim, "depends", sides, (), ()))
    'digits: supported: Adam; refuted: SGD | digits'
    >>> brief(Answer(claim, "supported", {"supported": ("a", "b", "c", "d")}, (), ()))
    'a | b | and 2 more'
    """
    settings = [setting for named in answer.sides.values() for setting in named]
    shared = shared_beginning(settings)
    told = []
    for side in REPLIES:
        named = [_beyond(shared, setting) for setting in answer.sides.get(side, ())]
        if side == "depends":
            counts = [
                _counted(answer, setting) for setting in answer.sides.get(side, ())
            ]
            named = [
                f"{name} ({count})" for name, count in zip(named, counts, strict=True)
            ]
        if len(named) > NAMED:
            named[NAMED:] = [f"and {len(named) - NAMED} more"]
        if named:
            told.append((side, " | ".join(named)))
    if len(told) == 1:
        ((_, only),) = told
        return f"{shared}: {only}" if shared else only
    sides = "; ".join(f"{side}: {named}" for side, named in told)
    return f"{shared}: {sides}" if shared else sides


def shared_beginning(settings: Sequence[str]) -> str:
    """The leading parts, between commas, that two or more settings have in common.

    >>> shared_beginning(["digits, 500 updates, Adam", "digits, 500 updates, SGD"])
    'digits, 500 updates'
    >>> shared_beginning(["digits, 500 updates"])
    ''
    """
    if len(settings) < 2:
        return ""
    columns = zip(*(setting.split(", ") for setting in settings), strict=False)
    common = takewhile(lambda parts: len(set(parts)) == 1, columns)
    return ", ".join(first for first, *_ in common)


def _beyond(shared: str, setting: str) -> str:
    """What a setting says beyond a shared beginning, or all of it."""
    return setting.removeprefix(shared).removeprefix(", ") or setting


def _counted(answer: Answer, setting: str) -> str:
    """How many deciding findings in one setting have which verdict."""
    members = [each for each in answer.deciding if each.finding.setting == setting]
    stances = [stance(each) for each in members]
    counts = [f"{stances.count(each)} {each}" for each in REPLIES if each in stances]
    return "of what was asked there, " + ", ".join(counts)


def parts(answer: Answer, setting: str) -> str:
    """What the deciding findings in one setting say, verdict by verdict."""
    members = [each for each in answer.deciding if each.finding.setting == setting]
    said = [f"{stance(each)}: {each.finding.statement}" for each in members]
    return f"{setting} ({' '.join(said)})" if said else setting


def tally(answers: Iterable[Answer]) -> dict[str, int]:
    """How many claims have which reply."""
    replies = [answer.reply for answer in answers]
    return {reply: replies.count(reply) for reply in REPLIES}


def by_topic(answers: Mapping[str, Answer]) -> dict[str, list[Answer]]:
    """The answers of each topic, in the ledger's order."""
    topics: dict[str, list[Answer]] = {}
    for answer in answers.values():
        topics.setdefault(answer.claim.topic, []).append(answer)
    return topics


def markdown_answers(answers: Mapping[str, Answer]) -> str:
    """The README's table: by topic each claim that has been tested, its answer and its
    scope.

    Claims that wait are counted a topic.
    """
    lines = ["| Claim | | Answer | In which setting | Studies |", "|-|-|-|-|-|"]
    for topic, members in by_topic(answers).items():
        tested = [answer for answer in members if answer.reply != "not yet tested"]
        waiting = len(members) - len(tested)
        lines.append(
            f"| **{_cell(topic)}** | {len(tested)} of {len(members)} tested, {waiting} "
            "not yet | | | |"
        )
        lines += [_answer_line(answer) for answer in tested]
    return "\n".join(lines)


def _answer_line(answer: Answer) -> str:
    studies = dict.fromkeys(each.study for each in answer.deciding)
    cells = (
        answer.claim.id,
        answer.claim.claim,
        f"{MARKS[answer.reply]} {answer.reply}",
        brief(answer),
        ", ".join(studies),
    )
    return row(cells)


def markdown_tally(answers: Collection[Answer]) -> str:
    """One sentence: how many claims have which answer."""
    counts = tally(answers)
    tested = sum(counts.values()) - counts["not yet tested"]
    parts = ", ".join(
        f"{MARKS[reply]} {counts[reply]} {reply}" for reply in REPLIES[:-1]
    )
    return f"{tested} of {len(answers)} claims are tested: {parts}."


def row(cells: Sequence[str]) -> str:
    """A line of a table."""
    return f"| {' | '.join(map(_cell, cells))} |"


def _cell(text: str) -> str:
    r"""One line that cannot end a cell."""
    return plain(text).replace("|", r"\|")


def plain(text: str) -> str:
    r"""One line that cannot end a comment of the document, nor begin an emphasis.

    >>> print(plain("θ'_t <!-- θ_t"))
    θ'\_t <! -- θ_t
    """
    line = " ".join(text.split()).replace("<!--", "<! --").replace("-->", "-- >")
    return re.sub(r"(?<=\W)_(?=\w)", r"\_", line)


def replace_between(path: str | Path, marker: str, text: str) -> None:
    """Puts a text between `<!-- marker -->` and `<!-- /marker -->` in a file.

    Raises:
        InputError: the file or the pair of markers is missing, or the file cannot be
            written.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(
            f"{path} is missing: name the file that holds <!-- {marker} -->."
        )
    opening, closing = f"<!-- {marker} -->", f"<!-- /{marker} -->"
    before, opened, rest = path.read_text(encoding="utf-8").partition(opening)
    _, closed, after = rest.partition(closing)
    if f"<!-- {marker} -->" in after or f"<!-- /{marker} -->" in after:
        raise InputError(f"{path} has the pair {opening} {closing} twice: leave one.")
    if not (opened and closed):
        raise InputError(
            f"{path} lacks the pair {opening} {closing}: write both where the text "
            "belongs."
        )
    with replacing(path) as temporary:
        temporary.write_text(
            f"{before}{opening}\n{text}\n{closing}{after}", encoding="utf-8"
        )
