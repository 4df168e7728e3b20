"""The tables that documents quote: numbers told apart, and words left as they are."""

import math

import pytest

from jaxml.claims import Claim
from jaxml.record.answers import answers
from jaxml.record.finding import Finding
from jaxml.record.pages.tables import (
    capitalised,
    compared_with,
    markdown_answers,
    measured,
)
from jaxml.record.pages.topics import markdown_verdicts
from jaxml.record.rule import Rule
from jaxml.record.verdicts import Verdicts

pytestmark = pytest.mark.identity


def finding(value, low, high, rule):
    return Finding(
        claim="C1",
        role="deciding",
        statement="It is.",
        setting="toy",
        measured=value,
        low=low,
        high=high,
        level=0.95,
        unit="ratio",
        n=9,
        dtype="float32",
        rule=rule,
        verdict="supported",
        figure="",
    )


CASES = [
    ((0.3, 0.1, 0.7), Rule(">", 0.3), "0.3 [0.1, 0.7]", "> 0.3"),
    ((math.nan, math.nan, math.nan), Rule("<", 1 / 3), "nan [nan, nan]", "< 0.333"),
    ((math.nan, -math.inf, math.inf), Rule("<", 1 / 3), "nan [-inf, inf]", "< 0.333"),
    ((0.0, -0.0, 1 / 3), Rule(">", 0.0), "0 [0, 0.333]", "> 0"),
    ((-0.0, -0.3, 0.3), Rule(">", -0.0), "0 [-0.3, 0.3]", "> 0"),
    ((0.5, 0.3, 0.7), Rule(">", 0.3001), "0.5 [0.3, 0.7]", "> 0.3001"),
    ((0.3, 0.1 + 0.2, 1.0), Rule(">", 0.1), "0.3 [0.30000000000000004, 1]", "> 0.1"),
    ((1234.0, 1000.0, 2000.0), Rule("<", 1234.5), "1234 [1000, 2000]", "< 1234.5"),
]


@pytest.mark.parametrize(("numbers", "rule", "quantity", "against"), CASES)
def test_numbers_have_as_many_digits_as_tell_them_apart(
    numbers, rule, quantity, against
):
    value, low, high = numbers
    one = finding(value, low, high, rule)
    assert measured(one) == quantity
    assert compared_with(one) == against


NEIGHBOURS = [1.0, 0.3, 1e-300, 5e-324, 123456789.0, -0.7, 1e22, -2.5e17]


@pytest.mark.parametrize("value", NEIGHBOURS)
@pytest.mark.parametrize("steps", [1, 7, 10**7])
def test_texts_of_neighbouring_numbers_differ_and_keep_their_order(value, steps):
    higher = value + steps * math.ulp(value)
    one = finding(value, value, higher, Rule(">", 0.0))
    low, high = measured(one).partition("[")[2].rstrip("]").split(", ")
    assert float(low) < float(high)
    assert float(low) == pytest.approx(value, rel=5e-3, abs=0)
    assert float(high) == pytest.approx(higher, rel=5e-3, abs=0)


def test_only_the_first_character_is_capitalised():
    assert capitalised("my ReLU Topic") == "My ReLU Topic"
    assert capitalised("") == ""


def test_own_topics_keep_their_words_and_end_no_cell():
    claim = Claim("C1", "the Adam | ReLU\nTopic", "empirical", "A claim.")
    one = finding(2.0, 1.5, 2.5, Rule(">", 1.0))
    replies = answers({"C1": claim}, [Verdicts("toy", "Does it?", {}, (one,), ())])
    assert "## The Adam | ReLU Topic\n" in markdown_verdicts(replies)
    assert (
        "| **the Adam \\| ReLU Topic** | 1 of 1 tested, 0 not yet | | | |"
        in markdown_answers(replies)
    )
