import jax.numpy as jnp
import numpy as np
import pytest

from jaxml.record.finding import above, below, exact, is_claim, verdict
from jaxml.record.statistics import Interval
from jaxml.types import InputError

pytestmark = pytest.mark.identity
INTERVAL = Interval(0.5, 0.4, 0.6, 9)
NAMED = {"unit": "1", "dtype": "float32"}


@pytest.mark.parametrize(("threshold", "over", "under"), [
    (0.3, "supported", "refuted"),
    (0.4, "undecided", "undecided"),
    (0.5, "undecided", "undecided"),
    (0.6, "undecided", "undecided"),
    (0.7, "refuted", "supported"),
])  # fmt: skip
def test_the_whole_interval_decides(threshold, over, under):
    assert above("C048", "s", INTERVAL, threshold, **NAMED).verdict == over
    assert below("C048", "s", INTERVAL, threshold, **NAMED).verdict == under


def test_a_finding_records_what_it_was_held_against():
    finding = above("A3", "s", INTERVAL, 0.1, unit="nats", dtype=jnp.bfloat16)
    assert finding == ("A3", "s", 0.5, 0.4, 0.6, "nats", 9, "supported", "bfloat16", "> 0.1")
    assert below("A3", "s", INTERVAL, 1e-30, **NAMED).rule == "< 1e-30"


@pytest.mark.parametrize(("errors", "expected"), [
    ([1e-13, -1e-12], "supported"), ([1e-13, -1.1e-12], "refuted"),
    ([0, np.nan], "refuted"), ([np.inf], "refuted")
])  # fmt: skip
def test_exact_needs_every_error_within_the_tolerance(errors, expected):
    finding = exact("X1", "s", np.array(errors), 1e-12, **NAMED)
    assert finding.verdict == expected and finding.n == len(errors)
    np.testing.assert_equal((finding.low, finding.measured), (np.min(np.abs(errors)), np.max(np.abs(errors))))


def test_what_was_not_measured_is_undecided():
    assert above("C001", "s", Interval(np.nan, np.nan, np.nan, 0), 0.0, **NAMED).verdict == "undecided"


def test_claims_are_those_of_the_course():
    assert all(map(is_claim, ["C001", "C187", "C150a", "A1", "A11", "X1", "X9"]))
    assert not any(
        map(is_claim, ["C000", "C188", "C1", "C149a", "A0", "A01", "A12", "X0", "X10", "c048", "", "C048 "])
    )


@pytest.mark.parametrize("bad", [
    lambda: above("C48", "s", INTERVAL, 0.0, **NAMED),
    lambda: above("C048", "s", INTERVAL, np.nan, **NAMED),
    lambda: below("C048", "s", INTERVAL, np.inf, **NAMED),
    lambda: exact("C048", "s", np.zeros(0), 1e-3, **NAMED),
    lambda: exact("C048", "s", np.zeros(1), 1e-3, unit="1", dtype="float33"),
    lambda: verdict(0.0, 1.0, ">= 0.5"),
    lambda: verdict(0.0, 1.0, "> half"),
])  # fmt: skip
def test_bad_input_is_refused(bad):
    with pytest.raises(InputError):
        bad()
