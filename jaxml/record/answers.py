"""One answer a claim, by rule, from the deciding findings of all studies."""

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple, TypeAlias, get_args

from jaxml.claims import Claim
from jaxml.record.finding import Finding
from jaxml.record.rule import VERDICTS, Verdict
from jaxml.record.verdicts import Held, Verdicts, held

Reply: TypeAlias = Literal[
    "supported", "refuted", "no effect", "depends", "undecided", "not yet tested"
]

REPLIES: tuple[Reply, ...] = get_args(Reply)


class Evidence(NamedTuple):
    """A finding, the study that made it, and how it fared when the study ran again."""

    study: str
    finding: Finding
    held: Held


class Answer(NamedTuple):
    """What the studies say to one claim.

    Attributes:
        claim: the claim.
        reply: by `reply`; but undecided in place of supported or no effect where one of
            the statements that decide is decided in no setting.
        sides: the settings by what was found in each: verdict, or "depends" where one
            setting shows both.
        deciding: the evidence that the reply follows from.
        supporting: what was found beside it.
    """

    claim: Claim
    reply: Reply
    sides: Mapping[Reply, tuple[str, ...]]
    deciding: tuple[Evidence, ...]
    supporting: tuple[Evidence, ...]


def answers(
    claims: Mapping[str, Claim], found: Sequence[Verdicts]
) -> dict[str, Answer]:
    """The answer to each claim, in the ledger's order."""
    evidence: dict[str, list[Evidence]] = {name: [] for name in claims}
    for study in found:
        for finding in study.findings:
            if finding.claim in evidence:
                entry = Evidence(study.study, finding, held(finding, study.replicates))
                evidence[finding.claim].append(entry)
    return {name: _answer(claim, evidence[name]) for name, claim in claims.items()}


def _answer(claim: Claim, evidence: Sequence[Evidence]) -> Answer:
    deciding = tuple(each for each in evidence if each.finding.role == "deciding")
    supporting = tuple(each for each in evidence if each.finding.role == "supporting")
    sides = _sides(deciding)
    implied = reply(sides)
    if implied in ("supported", "no effect") and _open_statements(deciding):
        implied = "undecided"
    return Answer(claim, implied, sides, deciding, supporting)


def _open_statements(deciding: Sequence[Evidence]) -> tuple[str, ...]:
    """The statements that no setting decides.

    A claim may say several things, each of which is a statement of its own, and it is
    refuted by one of them, but holds only if all of them do.
    """
    stances: dict[str, set[Verdict]] = {}
    for each in deciding:
        stances.setdefault(each.finding.statement, set()).add(stance(each))
    return tuple(said for said, found in stances.items() if found == {"undecided"})


def stance(evidence: Evidence) -> Verdict:
    """The finding's verdict if it held whenever the study ran again, else undecided."""
    return (
        evidence.finding.verdict
        if evidence.held.held == evidence.held.times
        else "undecided"
    )


def _sides(deciding: Sequence[Evidence]) -> dict[Reply, tuple[str, ...]]:
    """The settings by what the deciding findings in each of them say together."""
    stances: dict[str, set[Verdict]] = {}
    for each in deciding:
        stances.setdefault(each.finding.setting, set()).add(stance(each))
    sides: dict[Reply, tuple[str, ...]] = {}
    for setting, verdicts in stances.items():
        side = _together(verdicts)
        sides[side] = (*sides.get(side, ()), setting)
    return sides


def _together(verdicts: set[Verdict]) -> Reply:
    """What one setting says: depends where two are decided and differ, whatever is open
    besides; undecided where one is open; else the verdict in which all agree.

    >>> _together({"supported"}), _together({"supported", "undecided"})
    ('supported', 'undecided')
    >>> _together({"supported", "refuted", "undecided"})
    'depends'
    """
    if len(verdicts - {"undecided"}) > 1:
        return "depends"
    if "undecided" in verdicts:
        return "undecided"
    agreed: list[Reply] = [each for each in VERDICTS if each in verdicts]
    return agreed[0]


def reply(sides: Mapping[Reply, Sequence[str]]) -> Reply:
    """The answer that the settings imply.

    Without a deciding finding the claim is not yet tested. Where the settings that are
    decided agree, theirs is the answer, for those settings; where they differ it
    depends; where none is decided it is open.

    >>> reply({}), reply({"undecided": ["a"]})
    ('not yet tested', 'undecided')
    >>> reply({"undecided": ["a"], "refuted": ["b"]})
    'refuted'
    >>> reply({"supported": ["a"], "refuted": ["b"]})
    'depends'
    """
    decided: list[Reply] = [side for side in sides if side != "undecided"]
    if len(decided) == 1:
        return decided[0]
    if decided:
        return "depends"
    return "undecided" if sides else "not yet tested"
