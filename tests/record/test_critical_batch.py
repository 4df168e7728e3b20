"""Critical batch sizes whose truth is known: the fit, what its intervals cover, what is
left out, and what is refused.
"""

import numpy as np
import pytest
from scipy.optimize import least_squares

from jaxml import record
from jaxml.record.critical_batch import CENSORED, EDGE
from jaxml.record.figures import panels
from jaxml.record.hyperbola import Law, fit
from jaxml.record.steps_and_examples import steps_and_examples
from jaxml.types import InputError

SIZES = (1, 4, 16, 64, 256)
LAW = Law(fewest=100.0, examples=3000.0)
DETUNED = np.array([3.0, 1.5, 1.0, 1.5, 3.0])


def counted(rng, units=24, noise=0.2, sizes=SIZES):
    """Updates to the target by size, `[rate, unit]`: the third rate is the best."""
    found = {}
    for size in sizes:
        scatter = np.exp(noise * rng.standard_normal((len(DETUNED), units)))
        found[size] = LAW(size) * DETUNED[:, None] * scatter
    return found


@pytest.mark.oracle
def test_the_law_is_the_least_squares_fit_of_the_logarithms():
    rng = np.random.default_rng(0)
    sizes = np.array(SIZES)
    updates = LAW(sizes) * np.exp(0.3 * rng.standard_normal(len(sizes)))

    def residuals(logs):
        fewest, examples = np.exp(logs)
        return np.log(fewest + examples / sizes) - np.log(updates)

    expected = least_squares(residuals, np.log([50.0, 1000.0]), xtol=1e-14).x
    np.testing.assert_allclose(np.log(fit(sizes, updates)), expected, atol=2e-4)


@pytest.mark.parametrize(
    ("updates", "critical"),
    [(lambda size: 1000.0 / size, np.inf), (lambda size: 1000.0, 0.0)],
)
def test_where_larger_batches_always_or_never_save_updates_the_law_is_at_its_end(
    updates, critical
):
    counts = {size: np.full((1, 6), updates(size)) for size in SIZES}
    found = record.critical_batch(counts, tuning=3, resamples=20)
    assert found.critical[:3] == (critical, critical, critical)


@pytest.mark.stress
@pytest.mark.statistics
def test_intervals_cover_the_law_at_their_stated_rate():
    """120 experiments, so four standard errors of a coverage of 0.95 are 0.08."""
    covered = []
    for seed in range(120):
        counts = counted(np.random.default_rng(seed))
        found = record.critical_batch(counts, tuning=8, resamples=60)
        critical = found.critical.low <= 30 <= found.critical.high
        fewest = found.fewest_updates.low <= 100 <= found.fewest_updates.high
        covered.append((critical, fewest))
    assert np.all(np.mean(covered, axis=0) >= 0.87)


def test_each_size_is_judged_at_the_rate_that_its_tuning_units_choose():
    counts = counted(np.random.default_rng(1), noise=0.01)
    found = record.critical_batch(counts, tuning=8, resamples=10)
    assert found.points.tolist() == [2] * len(SIZES)
    np.testing.assert_array_equal(found.judged[1], counts[4][2, 8:])


@pytest.mark.invariance
def test_a_size_that_seldom_reaches_the_target_is_named_and_changes_nothing_else():
    counts = counted(np.random.default_rng(2))
    late = {1024: np.where(np.arange(24) % 3, np.inf, 100.0) * DETUNED[:, None]}
    without = record.critical_batch(counts, tuning=8, resamples=50)
    found = record.critical_batch(counts | late, tuning=8, resamples=50)
    assert found.left_out == {1024: CENSORED}
    assert np.isinf(found.updates[-1])
    assert found.critical.estimate == without.critical.estimate
    assert found.fewest_updates[:3] == without.fewest_updates[:3]


def test_a_size_tuned_to_an_edge_of_its_grid_is_named():
    counts = counted(np.random.default_rng(3), noise=0.01)
    counts[64] = counts[64][[2, 1, 0, 3, 4]]
    assert record.critical_batch(counts, tuning=8, resamples=10).left_out == {64: EDGE}


def test_a_target_that_no_size_reaches_leaves_nothing_estimated():
    counts = {size: np.full((5, 6), np.inf) for size in SIZES}
    found = record.critical_batch(counts, tuning=3, resamples=10)
    assert set(found.left_out.values()) == {CENSORED}
    assert np.isnan(found.critical.estimate)
    assert found.critical[1:3] == (-np.inf, np.inf)
    assert np.isnan(found.deviation)


def test_of_counts_that_follow_another_law_the_intervals_say_nothing():
    counts = {size: np.full((1, 6), 1000.0 / size**0.5) for size in SIZES}
    found = record.critical_batch(counts, tuning=3, resamples=10)
    assert found.deviation > 0.25
    assert found.critical[1:3] == (-np.inf, np.inf)


@pytest.mark.identity
def test_a_noise_scale_predicts_what_batches_without_replacement_need():
    """tr Cov(g_B) = tr Σ (1/B - 1/N), so S ∝ 1 + B_noise (1/B - 1/N)."""
    noise, total = 60.0, 512
    updates = {size: 1 + noise * (1 / size - 1 / total) for size in SIZES}
    counts = {size: np.full((1, 6), 100 * each) for size, each in updates.items()}
    known = record.bootstrap(np.mean, np.full(6, noise))
    found = record.critical_batch(
        counts, tuning=3, resamples=10, noise_scale=known, total=total
    )
    np.testing.assert_allclose(found.predicted[:3], 0.0, atol=1e-3)


def test_a_noise_scale_is_compared_with_both_intervals():
    counts = counted(np.random.default_rng(4))
    noise = record.bootstrap(np.mean, np.array([55.0, 60.0, 65.0, 58.0, 62.0]))
    found = record.critical_batch(counts, tuning=8, resamples=100, noise_scale=noise)
    ratio = np.exp(found.predicted[:3])
    np.testing.assert_allclose(ratio[0], noise.estimate / found.critical.estimate)
    assert ratio[1] < noise.low / found.critical.high
    assert ratio[2] > noise.high / found.critical.low
    assert 1.0 < ratio[1] < 2.0 < ratio[2]


def test_the_plot_shows_every_unit_that_reached_the_target_and_every_size():
    counts = counted(np.random.default_rng(5))
    counts[1][:, -1] = np.inf
    found = record.critical_batch(counts, tuning=8, resamples=10)
    _, (axes,) = panels()
    steps_and_examples(axes, found, "digits")
    (units,) = axes.collections
    assert len(units.get_offsets()) == 16 * len(SIZES) - 1
    assert [text.get_text() for text in axes.texts] == ["1", "4", "16", "64", "256"]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda counts: {8: counts[1]}, "three or more"),
        (lambda counts: counts | {0: counts[1]}, "each 1 or more"),
        (lambda counts: counts | {8: counts[1][:, :5]}, "the same units"),
        (lambda counts: counts | {8: counts[1][0]}, "[rate, unit]"),
        (lambda counts: counts | {8: np.zeros_like(counts[1])}, "never reached"),
        (lambda counts: counts | {8: counts[1] * np.nan}, "never reached"),
    ],
)
def test_counts_that_show_no_hyperbola_are_refused(change, told):
    counts = counted(np.random.default_rng(6))
    with pytest.raises(InputError) as refused:
        record.critical_batch(change(counts), tuning=8)
    assert told in str(refused.value)


@pytest.mark.parametrize("tuning", [0, 24])
def test_units_have_to_tune_and_to_judge(tuning):
    with pytest.raises(InputError, match="leave one or more"):
        record.critical_batch(counted(np.random.default_rng(7)), tuning=tuning)
