"""What makes up for half of a lead, and that there is no half of no lead."""

import numpy as np

from jaxml import record
from jaxml.record import Arm

FLAT = np.zeros((1, 10))
LEADING = FLAT + np.linspace(0.03, 0.05, 10)
RULE = record.above(0.0, margin=0.005, reason="half of a point")


def _verdict(ahead: np.ndarray, helped: np.ndarray) -> str:
    arms = [Arm(ahead), Arm(FLAT), Arm(helped)]

    def statistic(*samples: np.ndarray) -> float:
        return record.beyond_half(*samples, least=0.01)

    found = record.tuned(statistic, *arms, tuning=0)
    return record.verdict(found.low, found.high, RULE)


def test_it_is_above_the_middle_by_the_definition():
    ahead, behind, helped = np.random.default_rng(0).normal(size=(3, 7))
    ahead = ahead + 5
    middle = (ahead.mean() + behind.mean()) / 2
    measured = record.beyond_half(ahead, behind, helped, least=1.0)
    np.testing.assert_allclose(measured, helped.mean() - middle, rtol=1e-12)


def test_a_lead_is_made_up_for_or_not():
    assert _verdict(LEADING, LEADING) == "supported"
    assert _verdict(LEADING, FLAT) == "refuted"


def test_what_overshoots_without_a_lead_decides_nothing():
    assert _verdict(LEADING / 10, FLAT + 1) == "undecided"
    assert _verdict(-LEADING, FLAT + 1) == "undecided"


def test_a_lead_that_some_resample_lacks_decides_nothing():
    uncertain = FLAT + np.linspace(-0.05, 0.1, 10)
    assert _verdict(uncertain, FLAT + 1) == "undecided"


def test_units_of_which_nothing_is_known_have_no_half():
    unknown = np.array([np.nan])
    assert np.isnan(record.beyond_half(unknown, unknown, unknown, least=0.0))
