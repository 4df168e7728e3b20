"""The ledger: complete, of one form, and of ids that a study may name."""

import pytest

from jaxml import claims, shipped
from jaxml.errors import InputError

pytestmark = pytest.mark.identity

COURSE = [f"C{number:03d}" for number in range(1, 188) if number != 150] + [
    "C150a",
    "C150b",
]
EXPECTED = {
    *COURSE,
    *(f"A{number}" for number in range(1, 12)),
    *(f"X{number}" for number in range(1, 10)),
}


def test_every_claim_of_the_course_is_in_the_ledger():
    assert set(claims.ledger()) == EXPECTED


@pytest.mark.parametrize("claim", claims.ledger().values(), ids=lambda claim: claim.id)
def test_a_claim_is_one_sentence_that_stands_alone(claim):
    text = claim.claim
    assert text[0].isupper() or not text[0].isalpha() or text[0] in "ηλθσ"
    assert text.endswith(".") and ". " not in text.replace("e.g. ", "").replace(
        "i.e. ", ""
    ).replace("vs. ", "")
    assert text.split()[0] not in ("It", "This", "These", "They", "Here")
    assert claim.where and claim.measure and claim.topic


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[C001]\ntopic = 1", "cannot be read|needs at least|no text"),
        ("[C001", "cannot be read as TOML"),
        (
            '[mine]\ntopic = "t"\nkind = "empirical"',
            "needs at least a topic, a kind and a claim",
        ),
        ('[mine]\ntopic = "t"\nkind = "sure"\nclaim = "c"', "choose a kind"),
        (
            '[mine]\ntopic = "t"\nkind = "empirical"\nclaim = "c"\ncolour = "r"',
            "has no field 'colour'",
        ),
        ('[mine]\ntopic = "t"\nkind = "empirical"\nclaim = 3', "no text"),
        (
            '["my own"]\ntopic = "t"\nkind = "empirical"\nclaim = "c"',
            "leave out spaces",
        ),
        (
            '[C001]\ntopic = "t"\nkind = "empirical"\nclaim = "c"',
            "belongs to another claim",
        ),
    ],
)
def test_a_ledger_of_another_form_is_a_sentence(tmp_path, text, words):
    (tmp_path / "claims.toml").write_text(text)
    with pytest.raises(InputError, match=words):
        claims.ledger(tmp_path)


@pytest.mark.parametrize(
    ("wrong", "proposed"), [("C53", "C053"), ("c048", "C048"), ("C0123", "C123")]
)
def test_a_wrong_id_is_answered_with_the_nearest(wrong, proposed):
    with pytest.raises(InputError, match=f"is no claim: did you mean .*{proposed}"):
        claims.require([wrong], claims.ledger(), "A study")


def test_the_ledger_is_found_beside_the_package_or_within_it():
    assert (shipped.studies() / shipped.LEDGER).is_file()
