"""Tuned comparisons whose truth is known: what the intervals cover, and what is
refused.
"""

import numpy as np
import pytest

from jaxml import record
from jaxml.record.tuning import Arm, tuned
from jaxml.types import InputError

TUNING, JUDGING = 4, 12
NO_EDGES = np.zeros(7, bool)
CURVES = {
    "flat": np.zeros(7),
    "sharp": np.array([9.0, 6.0, 3.0, 0.0, 3.0, 6.0, 9.0]),
    "two good rates": np.array([9.0, 0.5, 0.0, 0.5, 0.0, 0.5, 9.0]),
}


def contest(curve, rng, units=TUNING + JUDGING):
    """`[point, unit]`: the curve, what a unit does at all points, and noise of its
    own.
    """
    shared = 0.5 * rng.normal(size=units)
    return curve[:, None] + shared + 0.5 * rng.normal(size=(len(curve), units))


def truth(curve, rng, tuning=TUNING):
    """The curve at the chosen point, averaged over 1,000 tunings."""
    chosen = []
    for _ in range(1000):
        scores = contest(curve, rng, tuning)
        chosen.append(curve[np.argmin(scores.mean(axis=1))])
    return float(np.mean(chosen))


def covered(curve, rng, tuning, judging, expected):
    """By the interval that contains the tuning, and by one of the chosen rate alone."""
    ours = contest(curve, rng, tuning + judging)
    theirs = contest(np.zeros(1), rng, tuning + judging)
    arms = Arm(ours, edges=NO_EDGES), Arm(theirs)
    whole = tuned(record.mean_difference, *arms, tuning=tuning, resamples=100)
    point = np.argmin(ours[:, :tuning].mean(axis=1))
    judged = ours[point, tuning:], theirs[0, tuning:]
    fixed = record.bootstrap(record.mean_difference, *judged, resamples=100)
    return [each.low <= expected <= each.high for each in (whole, fixed)]


@pytest.mark.statistics
@pytest.mark.parametrize("shape", CURVES)
def test_intervals_cover_what_tuning_gives_at_their_stated_rate(shape):
    """Against an opponent of one point; 120 contests, so four standard errors are
    0.08.
    """
    rng = np.random.default_rng(0)
    curve = CURVES[shape]
    expected = truth(curve, rng)
    contests = [covered(curve, rng, TUNING, JUDGING, expected) for _ in range(120)]
    whole, _ = np.mean(contests, axis=0)
    assert whole >= 0.95 - 0.08


@pytest.mark.statistics
def test_an_interval_that_takes_the_rate_for_granted_covers_less():
    """Two units choose between two good rates and three worse ones, forty judge."""
    rng = np.random.default_rng(0)
    curve = CURVES["two good rates"]
    expected = truth(curve, rng, tuning=2)
    contests = [covered(curve, rng, 2, 40, expected) for _ in range(120)]
    whole, fixed = np.mean(contests, axis=0)
    assert whole >= 0.95 - 0.08
    assert fixed < 0.95 - 0.08


@pytest.mark.identity
def test_without_a_choice_it_is_the_bootstrap():
    rng = np.random.default_rng(0)
    ours, theirs = rng.normal(size=(2, 1, 9))
    found = tuned(record.mean_difference, Arm(ours), Arm(theirs), tuning=0)
    expected = record.bootstrap(record.mean_difference, ours[0], theirs[0])
    assert found[:4] == expected[:4]
    assert found.at is not None and expected.at is not None
    assert found.at(0.99) == expected.at(0.99)


@pytest.mark.identity
def test_a_point_on_an_edge_decides_nothing():
    falling = np.array([3.0, 2.0, 1.0])[:, None] + np.zeros(8)
    found = tuned(lambda a: float(np.mean(a)), Arm(falling), tuning=4)
    assert (found.estimate, found.low, found.high) == (1.0, -np.inf, np.inf)
    natural = Arm(falling, edges=np.array([True, False, False]))
    assert tuned(lambda a: float(np.mean(a)), natural, tuning=4).high == 1.0


@pytest.mark.identity
def test_a_point_at_which_a_tuning_run_diverged_is_not_chosen():
    values = np.array([5.0, 4.0, 0.0, 5.0])[:, None] + np.zeros(8)
    values[2, 1] = np.nan
    found = tuned(lambda a: float(np.mean(a)), Arm(values), tuning=4)
    assert found.estimate == 4.0


@pytest.mark.identity
def test_judging_runs_that_diverged_are_left_out_in_pairs():
    ours, theirs = np.ones((1, 6)), np.zeros((1, 6))
    ours[0, 2], theirs[0, 3] = np.nan, np.inf
    found = tuned(record.mean_difference, Arm(ours), Arm(theirs), tuning=0)
    assert (found.estimate, found.low, found.high) == (1.0, 1.0, 1.0)
    nothing = tuned(record.mean_difference, Arm(ours * np.nan), Arm(theirs), tuning=0)
    assert np.isnan(nothing.estimate) and nothing.high == np.inf


@pytest.mark.identity
def test_scores_choose_and_values_are_judged():
    accuracy = np.array([0.5, 0.9, 0.7])[:, None] + np.zeros(8)
    found = tuned(
        lambda a: float(np.mean(a)), Arm(accuracy, scores=-accuracy), tuning=4
    )
    assert found.estimate == pytest.approx(0.9)


@pytest.mark.identity
@pytest.mark.parametrize(
    ("arms", "tuning", "word"),
    [
        ([], 0, "one arm or more"),
        ([Arm(np.zeros(4))], 0, r"\[point, unit\]"),
        ([Arm(np.zeros((2, 4)), scores=np.zeros((3, 4)))], 2, "scores"),
        ([Arm(np.zeros((1, 4))), Arm(np.zeros((1, 5)))], 0, "same units"),
        ([Arm(np.zeros((2, 4)))], 0, "cannot tune"),
        ([Arm(np.zeros((2, 4)))], 4, "leave one or more"),
    ],
)
def test_what_cannot_be_compared_is_refused(arms, tuning, word):
    with pytest.raises(InputError, match=word):
        tuned(record.mean_difference, *arms, tuning=tuning)
