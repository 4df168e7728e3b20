"""One answer a claim by rule, and the files and tables that carry it."""

import json
import re

import numpy as np
import pytest

from jaxml.claims import Claim
from jaxml.record.answers import REPLIES, answers
from jaxml.record.finding import deciding, judged, supporting
from jaxml.record.pages.tables import (
    MARKS,
    markdown_answers,
    markdown_tally,
    replace_between,
    scope,
)
from jaxml.record.pages.topics import markdown_verdicts
from jaxml.record.rule import above
from jaxml.record.statistics import Interval
from jaxml.record.verdicts import (
    Replicate,
    Verdicts,
    held,
    load_verdicts,
    save_verdicts,
)
from jaxml.types import InputError

pytestmark = pytest.mark.identity
CLAIMS = {
    name: Claim(name, topic, "empirical", f"{name} holds.")
    for name, topic in {"C001": "one", "C002": "one", "C003": "two"}.items()
}
ENDS = {
    "supported": (0.5, 0.9),
    "refuted": (-0.9, -0.5),
    "no effect": (-0.05, 0.05),
    "undecided": (-0.5, 0.5),
}
FACTS = {
    "hash": "0" * 12,
    "code": {},
    "config": {},
    "platform": "cpu: cpu",
    "versions": {},
    "device": {"kind": "cpu", "count": 1},
    "dtype": "float32",
    "finished": "2020-01-01",
    "wall_seconds": 1.0,
}
RULE = above(0.0, margin=0.1, reason="less is noise")


def assertion(
    verdict,
    *,
    claim="C001",
    setting="digits",
    role=deciding,
    statement="Adam | ends lower.",
):
    low, high = ENDS[verdict]
    measured = Interval((low + high) / 2, low, high, 12, "float32")
    return role(claim, statement, measured, RULE, unit="nats", setting=setting)


def found(*assertions, study="s", replicates=()):
    return Verdicts(study, "Why?", FACTS, judged(assertions), tuple(replicates))


def again(seed, *assertions):
    return Replicate({"seed": seed}, f"{seed:012x}", judged(assertions))


@pytest.mark.parametrize(
    ("verdicts", "reply"),
    [
        ({}, "not yet tested"),
        ({"digits": ["supported"]}, "supported"),
        ({"digits": ["refuted", "refuted"]}, "refuted"),
        ({"digits": ["no effect"], "text": ["no effect"]}, "no effect"),
        ({"digits": ["supported"], "text": ["refuted"]}, "depends"),
        ({"digits": ["supported"], "text": ["no effect"]}, "depends"),
        ({"digits": ["supported"], "text": ["undecided"]}, "supported"),
        ({"digits": ["undecided"], "text": ["undecided"]}, "undecided"),
        ({"digits": ["supported", "undecided"]}, "undecided"),
        ({"digits": ["supported", "refuted"]}, "depends"),
        ({"digits": ["supported", "refuted"], "text": ["supported"]}, "depends"),
    ],
)
def test_the_answer_follows_from_the_deciding_findings(verdicts, reply):
    asserted = [
        assertion(verdict, setting=setting, statement=f"{k}")
        for setting, each in verdicts.items()
        for k, verdict in enumerate(each)
    ]
    assert answers(CLAIMS, [found(*asserted)])["C001"].reply == reply


@pytest.mark.parametrize(
    ("first", "second", "elsewhere", "reply"),
    [
        ("supported", "undecided", "supported", "supported"),
        ("supported", "undecided", "undecided", "undecided"),
        ("no effect", "undecided", "undecided", "undecided"),
        ("refuted", "undecided", "undecided", "refuted"),
    ],
)
def test_a_claim_of_two_statements_holds_only_if_each_is_decided_somewhere(
    first, second, elsewhere, reply
):
    asserted = [
        assertion(first, statement="Small fields suffice."),
        assertion(second, statement="Shared weights suffice.", setting="text"),
        assertion(elsewhere, statement="Shared weights suffice.", setting="clothing"),
    ]
    assert answers(CLAIMS, [found(*asserted)])["C001"].reply == reply


def test_supporting_findings_are_shown_and_decide_nothing():
    answer = answers(CLAIMS, [found(assertion("refuted", role=supporting))])["C001"]
    assert (
        answer.reply == "not yet tested"
        and len(answer.supporting) == 1
        and not answer.deciding
    )


def test_studies_join_in_one_answer():
    both = [
        found(assertion("supported"), study="a"),
        found(assertion("refuted", setting="text"), study="b"),
    ]
    answer = answers(CLAIMS, both)["C001"]
    assert (
        answer.reply == "depends"
        and scope(answer) == "supported: digits; refuted: text"
    )
    assert [each.study for each in answer.deciding] == ["a", "b"]


def test_where_one_setting_shows_both_sides_each_is_told():
    both = found(
        assertion("supported", statement="It falls."),
        assertion("refuted", statement="It is low."),
    )
    answer = answers(CLAIMS, [both])["C001"]
    assert (
        answer.reply == "depends"
        and scope(answer) == "digits (supported: It falls. refuted: It is low.)"
    )


def test_a_verdict_that_did_not_hold_again_is_undecided():
    first = assertion("supported")
    kept, lost = again(1, first), again(2, assertion("undecided"))
    assert (
        answers(CLAIMS, [found(first, replicates=[kept])])["C001"].reply == "supported"
    )
    answer = answers(CLAIMS, [found(first, replicates=[kept, lost])])["C001"]
    assert answer.reply == "undecided" and answer.deciding[0].held[:3] == (1, 2, 2)


def test_replicates_are_matched_by_claim_statement_and_setting():
    (finding,) = judged([assertion("supported")])
    others = [
        again(1, assertion("refuted", setting="text")),
        again(2, assertion("refuted", statement="Another.")),
        again(3, assertion("refuted", claim="C002")),
    ]
    assert held(finding, others) == (0, 0, 3), (
        "a replicate that lacks the finding did not hold it"
    )
    assert held(finding, [again(4, assertion("refuted"))]) == (0, 0, 1)


def test_verdicts_survive_their_file(tmp_path):
    nan = deciding(
        "C002",
        "s",
        Interval(np.nan, np.nan, np.inf, 0, "float32"),
        RULE,
        unit="nats",
        setting="t",
    )
    before = found(
        assertion("supported"), nan, replicates=[again(1, assertion("refuted"))]
    )
    path = save_verdicts(tmp_path / "verdicts", before)
    assert path.name == "s.json" and repr(load_verdicts(path)) == repr(before)
    json.loads(path.read_text(), parse_constant=pytest.fail)


@pytest.mark.parametrize(
    ("old", "new"),
    [('"supported"', '"refuted"'), ('"low": 0.5', '"low": -2'), ("{", "")],
)
def test_a_damaged_file_or_a_typed_verdict_is_refused(tmp_path, old, new):
    path = save_verdicts(tmp_path, found(assertion("supported")))
    path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises(InputError, match=r"s\.json is damaged"):
        load_verdicts(path)


def test_the_tables_show_answers_by_topic_and_findings_under_claims():
    replies = answers(
        CLAIMS, [found(assertion("supported"), assertion("refuted", claim="C003"))]
    )
    assert markdown_tally(replies.values()).startswith(
        "2 of 3 claims are tested: ✓ 1 supported, ✗ 1 refuted"
    )
    lines = markdown_answers(replies).splitlines()
    assert [line.split("|")[1].strip() for line in lines[2:]] == [
        "**one**",
        "C001",
        "**two**",
        "C003",
    ]
    assert "1 of 2 tested, 1 not yet" in lines[2]
    verdicts = markdown_verdicts(replies)
    assert "</a>C001: ✓ supported" in verdicts and "C002" not in verdicts
    row = next(line for line in verdicts.splitlines() if "Adam" in line)
    assert r"| Adam \| ends lower.<br><sub>digits</sub> |" in row
    cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", row)[1:-1]]
    assert (
        cells[2] == "0.7 [0.5, 0.9] nats, deterministic, float32"
        and cells[3] == "> 0 ± 0.1"
    )


def test_a_finding_cannot_end_a_comment_of_the_document():
    replies = answers(
        CLAIMS, [found(assertion("supported", statement="<!-- /verdicts --> gone"))]
    )
    assert "<!--" not in markdown_verdicts(replies)


def test_every_reply_has_a_mark_of_its_own():
    assert set(MARKS) == set(REPLIES) and len(set(MARKS.values())) == len(MARKS)


def test_text_is_replaced_between_its_markers_only(tmp_path):
    path = tmp_path / "README.md"
    path.write_text("a\n<!-- verdicts -->\nold\n<!-- /verdicts -->\nz\n")
    for _ in range(2):
        replace_between(path, "verdicts", "new\nlines")
        assert (
            path.read_text()
            == "a\n<!-- verdicts -->\nnew\nlines\n<!-- /verdicts -->\nz\n"
        )


@pytest.mark.parametrize(
    "text",
    [
        "nothing",
        "<!-- verdicts -->",
        "<!-- /verdicts --><!-- verdicts -->",
        None,
        "<!-- verdicts --><!-- /verdicts --><!-- /verdicts -->",
    ],
)
def test_missing_or_doubled_markers_are_refused(tmp_path, text):
    if text is not None:
        (tmp_path / "README.md").write_text(text)
    with pytest.raises(InputError, match="<!-- verdicts -->"):
        replace_between(tmp_path / "README.md", "verdicts", "new")
    assert text is None or (tmp_path / "README.md").read_text() == text
