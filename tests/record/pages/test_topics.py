"""The page of a topic: answers first, then what was printed and what was measured."""

import pytest

from jaxml.claims import Claim
from jaxml.record.answers import answers
from jaxml.record.finding import deciding, judged, supporting
from jaxml.record.pages.topics import markdown_index, markdown_topic
from jaxml.record.rule import above
from jaxml.record.statistics import Interval
from jaxml.record.verdicts import Replicate, Verdicts

pytestmark = pytest.mark.identity
FIRST = Claim(
    "C001",
    "my topic",
    "empirical",
    "Adam ends lower.",
    where="lecture 1",
    figures=("loss 0.1", "recomputed: 0.2"),
    measure="The loss.",
    caveat="Rates differ.",
)
SECOND = FIRST._replace(id="C002", claim="Nobody looked.", figures=(), caveat="")
RULE = above(0.0, margin=0.1, reason="less is noise")


def assertion(role, low, high, setting):
    measured = Interval((low + high) / 2, low, high, 12, "float32")
    return role("C001", "Adam wins.", measured, RULE, unit="nats", setting=setting)


def replies():
    findings = judged(
        [
            assertion(deciding, 0.5, 0.9, "digits"),
            assertion(deciding, -0.9, -0.5, "text"),
            assertion(supporting, -0.5, 0.5, "toys"),
        ]
    )
    same = Replicate({"seed": 1}, "1" * 12, findings)
    facts = {"hash": "0" * 12, "config": {}}
    found = Verdicts("adam_study", "Why?", facts, findings, (same,))
    return answers({"C001": FIRST, "C002": SECOND}, [found])


def test_a_page_begins_with_the_answers_and_folds_what_decides_nothing():
    links = {"adam_study": "adam_study.py"}
    page = markdown_topic(list(replies().values()), {"adam_study": "Why?"}, links)
    wanted = [
        "1 of 2 claims are tested",
        "| ± depends | [C001](#C001): Adam ends lower. |",
        "| – not yet tested | [C002](#C002): Nobody looked. |",
        '### <a id="C001"></a>C001: ± depends',
        "- ✓ supported: digits",
        "- ✗ refuted: text",
        "- Said in: lecture 1",
        "- Bear in mind: Rates differ.",
        "- Computed anew: 0.2",
        "- Printed there: loss 0.1",
        "Measured by `jaxml run adam_study`:",
        "| ✓ supported | Adam wins.<br><sub>digits</sub> | 0.7 [0.5, 0.9] nats, ",
        "| > 0 ± 0.1 | 1/1 | [adam_study](adam_study.py) |",
        "<details>",
        "<summary>1 supporting finding</summary>",
        "| ? undecided | Adam wins.<br><sub>toys</sub> |",
        "</details>",
        '### <a id="C002"></a>C002: – not yet tested',
        "- To be measured: The loss.",
        "| [adam_study](adam_study.py) | Why? | `jaxml run adam_study` |",
        "A claim's answer follows by rule",
    ]
    places = [page.find(text) for text in wanted]
    assert -1 not in places, wanted[places.index(-1)]
    assert places == sorted(places)
    assert page.count("To be measured") == 1, "what was measured is no plan"


def test_the_index_has_a_line_a_claim_and_leads_to_its_page():
    lines = markdown_index(replies(), {"my topic": "my_topic/README.md"}).splitlines()
    assert lines[2:] == [
        "| **[my topic](my_topic/README.md)** | 1 of 2 tested |  |",
        "| [C001](my_topic/README.md#C001) | ± depends | Adam ends lower. |",
        "| [C002](my_topic/README.md#C002) | – not yet tested | Nobody looked. |",
    ]
    assert "| C001 | ± depends |" in markdown_index(replies(), {})
