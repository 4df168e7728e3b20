"""Assertions, units, and the deciding findings' shared error."""

import numpy as np
import pytest
from scipy import stats

from jaxml.record.finding import UNITS, deciding, judged, supporting
from jaxml.record.rule import Rule, above, at_most, below, near, verdict
from jaxml.record.statistics import Interval, bootstrap, certain, largest, proportion
from jaxml.types import InputError

pytestmark = pytest.mark.identity
INTERVAL = Interval(0.5, 0.4, 0.6, 9, "float32")
WHERE = {"unit": "difference", "setting": "a bowl"}
REASON = "less would not matter"


@pytest.mark.parametrize(
    ("threshold", "margin", "over", "under"),
    [
        (0.3, 0.0, "supported", "refuted"),
        (0.4, 0.0, "undecided", "undecided"),
        (0.7, 0.0, "refuted", "supported"),
        (0.3, 0.05, "supported", "refuted"),
        (0.3, 0.2, "undecided", "undecided"),
        (0.5, 0.11, "no effect", "no effect"),
        (0.5, 0.09, "undecided", "undecided"),
        (0.7, 0.05, "refuted", "supported"),
    ],
)
def test_the_interval_decides_against_the_margin(threshold, margin, over, under):
    rules = (
        above(threshold, margin=margin, reason=REASON),
        below(threshold, margin=margin, reason=REASON),
    )
    assert [verdict(0.4, 0.6, rule) for rule in rules] == [over, under]


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (-0.05, 0.05, "supported"),
        (0.2, 0.3, "refuted"),
        (-0.3, -0.2, "refuted"),
        (0.05, 0.2, "undecided"),
    ],
)
def test_an_equality_is_supported_within_the_margin_alone(low, high, expected):
    assert verdict(low, high, near(0.0, margin=0.1, reason=REASON)) == expected


def test_exactly_the_threshold_is_no_effect():
    assert verdict(0.0, 0.0, above(0.0)) == verdict(0.0, 0.0, below(0.0)) == "no effect"


@pytest.mark.parametrize(
    ("errors", "expected"),
    [
        ([1e-13, -1e-12], "supported"),
        ([1e-13, -1.1e-12], "refuted"),
        ([0, np.nan], "refuted"),
        ([np.inf], "refuted"),
    ],
)
def test_an_equation_needs_every_error_within_the_tolerance(errors, expected):
    asserted = deciding(
        "X1", "s", largest(np.array(errors)), at_most(1e-12), unit="error", setting="t"
    )
    (finding,) = judged([asserted])
    assert (
        finding.verdict == expected
        and finding.n == len(errors)
        and finding.level is None
    )


def test_what_was_not_measured_is_undecided():
    assert verdict(np.nan, np.nan, above(0.0)) == "undecided"


def test_the_dtype_is_that_of_the_arrays():
    hits = np.arange(9, dtype=np.float32)
    for dtype in (np.float32, np.float64):
        sample = np.arange(9).astype(dtype)
        for measured in (
            bootstrap(np.mean, sample),
            proportion(sample > 3, of=sample),
            largest(sample),
        ):
            unit = measured.unit or "difference"
            found = judged(
                [supporting("A3", "s", measured, above(0.0), unit=unit, setting="t")]
            )
            assert found[0].dtype == np.dtype(dtype).name
    assert certain(hits.mean()).dtype == "float32"
    with pytest.raises(InputError, match="of="):
        certain(0.5)


@pytest.mark.parametrize(
    ("measured", "unit", "words"),
    [
        (INTERVAL, "1", "no unit"),
        (INTERVAL, "bananas", "no unit"),
        (INTERVAL, "nat", "did you mean 'nats'"),
        (INTERVAL._replace(estimate=1.5), "fraction", "no fraction can be"),
        (INTERVAL._replace(estimate=-0.5), "error", "no error can be"),
        (proportion(np.array([True]), of=np.ones(1)), "nats", "measured as 'fraction'"),
    ],
)
def test_units_are_compared_with_what_was_measured(measured, unit, words):
    with pytest.raises(InputError, match=words):
        deciding("C048", "s", measured, above(0.0), unit=unit, setting="t")


def test_every_unit_has_a_range():
    assert all(low < high for low, high in UNITS.values()) and "1" not in UNITS


@pytest.mark.parametrize(
    "bad",
    [
        lambda: above(np.nan),
        lambda: below(np.inf),
        lambda: at_most(np.nan),
        lambda: above(0.0, margin=-0.1, reason=REASON),
        lambda: above(0.0, margin=0.1),
        lambda: verdict(0.0, 1.0, Rule("~", 0.0)),
        lambda: verdict(0.0, 1.0, Rule(">", 0.0, -1.0)),
        lambda: deciding(
            "C048",
            "s",
            proportion(np.ones(9, bool), of=np.ones(9)),
            at_most(0.1),
            unit="fraction",
            setting="t",
        ),
        lambda: judged([deciding("C048", "s", INTERVAL, above(0.0), **WHERE)] * 2),
        lambda: deciding("C048", " ", INTERVAL, above(0.0), **WHERE),
        lambda: deciding(
            "C048", "s", INTERVAL, above(0.0), unit="difference", setting=""
        ),
    ],
)
def test_bad_input_is_refused(bad):
    with pytest.raises(InputError):
        bad()


def normal(mean, n=400):
    """A sample mean known to ±0.098 at 95 %, and its interval at any level."""
    error = 1 / np.sqrt(n)

    def at(level):
        half = stats.norm.ppf((1 + level) / 2) * error
        return mean - half, mean + half

    return Interval(mean, *at(0.95), n, "float64", "", at)


def p_value(mean, n=400):
    return 2 * stats.norm.sf(abs(mean) * np.sqrt(n))


@pytest.mark.oracle
@pytest.mark.parametrize("seed", range(5))
def test_deciding_findings_share_one_error_by_holms_procedure(seed):
    means = np.random.default_rng(seed).normal(0, 0.12, 8)
    assertions = [
        deciding("C048", f"{k}", normal(mean), above(0.0), **WHERE)
        for k, mean in enumerate(means)
    ]
    p = np.array([p_value(mean) for mean in means])
    order, rejected = np.argsort(p), np.zeros(8, bool)
    for rank, index in enumerate(order):
        if p[index] > 0.05 / (8 - rank):
            break
        rejected[index] = True
    decided = np.array(
        [finding.verdict != "undecided" for finding in judged(assertions)]
    )
    np.testing.assert_array_equal(decided, rejected)


def test_supporting_and_deterministic_findings_cost_no_error():
    alone = judged([deciding("C048", "a", normal(0.1), above(0.0), **WHERE)])
    others = [
        supporting("C048", f"b{k}", normal(0.1), above(0.0), **WHERE) for k in range(20)
    ]
    exact = [
        deciding("C048", f"c{k}", certain(np.float64(1)), above(0.0), **WHERE)
        for k in range(20)
    ]
    together = judged(
        [deciding("C048", "a", normal(0.1), above(0.0), **WHERE), *others, *exact]
    )
    assert (
        together[0] == alone[0]
        and alone[0].level == 0.95
        and alone[0].verdict == "supported"
    )
    assert {finding.level for finding in together[1:21]} == {0.95}
    assert {finding.level for finding in together[21:]} == {None}


def test_a_finding_records_all_that_it_was_compared_with():
    rule = above(0.1, margin=0.05, reason=REASON)
    (finding,) = judged(
        [deciding("A3", "s", INTERVAL, rule, unit="nats", setting="t", figure="paths")]
    )
    assert finding._asdict() == {
        "claim": "A3",
        "role": "deciding",
        "statement": "s",
        "setting": "t",
        "measured": 0.5,
        "low": 0.4,
        "high": 0.6,
        "level": None,
        "unit": "nats",
        "n": 9,
        "dtype": "float32",
        "rule": rule,
        "verdict": "supported",
        "figure": "paths",
    }


@pytest.mark.stress
@pytest.mark.statistics
def test_no_true_null_is_decided_more_often_than_in_one_study_of_twenty():
    rng, wrong = np.random.default_rng(0), 0
    for _ in range(1000):
        means = rng.normal(0, 1 / 20, 6)
        found = judged(
            [
                deciding("C048", f"{mean}", normal(mean), above(0.0), **WHERE)
                for mean in means
            ]
        )
        wrong += any(finding.verdict != "undecided" for finding in found)
    assert wrong / 1000 < 0.05 + 4 * np.sqrt(0.05 * 0.95 / 1000)
