import numpy as np
import pytest
from scipy import stats

from jaxml.record.statistics import (
    bootstrap,
    certain,
    proportion,
)
from jaxml.record.summaries import (
    correlation,
    first_passage,
    first_passages,
    mean_difference,
)
from jaxml.types import InputError

RNG = np.random.default_rng(7)


@pytest.mark.oracle
@pytest.mark.parametrize(("n", "level"), [(6, 0.95), (30, 0.9)])
def test_bootstrap_is_scipy_percentile_at_the_expanded_level(n, level):
    x, y = RNG.exponential(size=(2, n))
    got = bootstrap(lambda a, b: np.mean(a * b), x, y, resamples=20000, level=level)
    quantile = stats.t.ppf((1 + level) / 2, n - 1) * np.sqrt(n / (n - 1))
    reference = stats.bootstrap(
        (x, y),
        lambda a, b, axis: np.mean(a * b, axis=axis),
        paired=True,
        confidence_level=1 - 2 * stats.norm.sf(quantile),
        n_resamples=20000,
        method="percentile",
        rng=np.random.default_rng(1),
    )
    spread = reference.standard_error
    assert got.estimate == np.mean(x * y) and got.n == n
    assert abs(got.low - reference.confidence_interval.low) < 0.15 * spread
    assert abs(got.high - reference.confidence_interval.high) < 0.15 * spread


@pytest.mark.statistics
@pytest.mark.parametrize(
    ("n", "draw", "mean", "fraction"),
    [
        (3, "standard_normal", 0.0, 0.75),
        (5, "standard_normal", 0.0, 0.91),
        (8, "standard_exponential", 1.0, 0.9),
    ],
)
def test_bootstrap_covers_as_documented(n, draw, mean, fraction):
    samples = getattr(np.random.default_rng(n), draw)((400, n))
    intervals = [bootstrap(np.mean, sample, resamples=400) for sample in samples]
    covered = np.mean([interval.low <= mean <= interval.high for interval in intervals])
    assert abs(covered - fraction) < 4 * np.sqrt(
        fraction * (1 - fraction) / len(samples)
    )


@pytest.mark.invariance
def test_bootstrap_repeats_and_keeps_pairs():
    x = RNG.normal(size=(8, 3))
    assert bootstrap(np.mean, x)[:4] == bootstrap(np.mean, x)[:4]
    paired = bootstrap(mean_difference, x + 1, x)
    np.testing.assert_allclose(paired[:3], 1.0, rtol=0, atol=1e-12)
    assert bootstrap(np.mean, x, seed=1)[:4] != bootstrap(np.mean, x)[:4]


@pytest.mark.identity
def test_constant_samples_have_an_interval_of_no_width():
    assert bootstrap(np.mean, np.full(4, 0.25))[:4] == (0.25, 0.25, 0.25, 4)
    assert bootstrap(correlation, np.zeros(4), np.arange(4))[:4] == (0, 0, 0, 4)


@pytest.mark.oracle
@pytest.mark.parametrize(("k", "n"), [(0, 7), (7, 7), (1, 7), (30, 100)])
def test_proportion_is_the_exact_binomial_interval(k, n):
    got = proportion(np.arange(n) < k, of=np.ones(n), level=0.9)
    reference = stats.binomtest(k, n).proportion_ci(0.9, method="exact")
    np.testing.assert_allclose(got[1:3], (reference.low, reference.high), rtol=1e-9)
    assert got.estimate == k / n and got.n == n


@pytest.mark.oracle
def test_correlation_is_spearmans_with_ties():
    x, y = RNG.integers(0, 5, size=(2, 40))
    np.testing.assert_allclose(
        correlation(x, y), stats.spearmanr(x, y).statistic, rtol=1e-12
    )


@pytest.mark.identity
@pytest.mark.parametrize(
    "bad",
    [
        lambda: bootstrap(np.mean),
        lambda: bootstrap(mean_difference, np.ones(3), np.ones(4)),
        lambda: bootstrap(np.mean, np.array([1.0, np.nan])),
        lambda: bootstrap(lambda x: 0.0 if len(set(x)) > 1 else np.nan, np.arange(2.0)),
        lambda: bootstrap(np.mean, np.arange(3.0), level=1.0),
        lambda: bootstrap(np.mean, np.arange(3.0), resamples=0),
        lambda: proportion(np.array([1, 0]), of=np.ones(2)),
        lambda: proportion(np.ones((2, 2), bool), of=np.ones(2)),
        lambda: proportion(np.array([True]), of=np.ones(1), level=1.0),
    ],
)
def test_bad_input_is_refused(bad):
    with pytest.raises(InputError):
        bad()


@pytest.mark.identity
def test_too_few_units_tell_nothing():
    one = bootstrap(np.mean, np.array([3.0]))
    assert (one.estimate, one.low, one.high, one.n) == (3.0, -np.inf, np.inf, 1)
    none = bootstrap(np.mean, np.array([]))
    assert np.isnan(none.estimate) and (none.low, none.high, none.n) == (
        -np.inf,
        np.inf,
        0,
    )
    empty = proportion(np.array([], bool), of=np.ones(0))
    assert np.isnan(empty.estimate) and (empty.low, empty.high, empty.n) == (
        0.0,
        1.0,
        0,
    )


@pytest.mark.identity
def test_what_nothing_random_entered_is_a_point():
    assert certain(np.float64(0.25)) == (0.25, 0.25, 0.25, 1, "float64", "", None)


@pytest.mark.oracle
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_first_passage_reads_one_curve_where_another_falls_to_a_level(dtype):
    """Of exp(-t) and t², the second is log(level)² where the first has fallen to the
    level.
    """
    t = np.linspace(0, 5, 2001)
    falling, values = np.exp(-t).astype(dtype), (t**2).astype(dtype)
    for level in (0.5, 0.1, 0.01):
        found = first_passage(falling, values, dtype(level))
        np.testing.assert_allclose(found, np.log(level) ** 2, rtol=1e-4)
    assert first_passage(falling, values, 2.0) == 0.0
    assert np.isnan(first_passage(falling, values, 1e-9))
    bumpy = np.array([3.0, 1.0, 4.0, 0.5])
    assert (
        first_passage(bumpy, np.arange(4.0), 2.0) == 0.5
    )  # the first time, not the last


@pytest.mark.identity
def test_first_passages_are_those_of_each_curve():
    falling = np.exp(-np.random.default_rng(0).uniform(size=(3, 4, 5)).cumsum(axis=2))
    values = np.arange(5.0)
    found = first_passages(falling, values, 0.3)
    assert found.shape == (3, 4)
    for place in np.ndindex(3, 4):
        alone = first_passage(falling[place], values, 0.3)
        np.testing.assert_array_equal(found[place], alone)


@pytest.mark.identity
@pytest.mark.parametrize(
    "measure",
    [
        lambda level: bootstrap(np.mean, RNG_SAMPLE, level=level),
        lambda level: proportion(RNG_SAMPLE > 0, of=RNG_SAMPLE, level=level),
    ],
)
def test_an_interval_knows_itself_at_other_levels(measure):
    one, other = measure(0.9), measure(0.99)
    assert one.at(0.99) == (other.low, other.high) and other.at(0.9) == (
        one.low,
        one.high,
    )
    assert other.low <= one.low <= one.high <= other.high


RNG_SAMPLE = np.random.default_rng(3).normal(size=20)
