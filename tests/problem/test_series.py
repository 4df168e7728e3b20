"""Series with known causes: each cause alone, and days that are missing."""

import numpy as np
import pytest

from jaxml import problem
from jaxml.problem import Causes, DailyViews
from jaxml.types import InputError

DAYS = 3000
EVEN = Causes(week=(1.0,) * 7)
FIRST, _ = problem.span("2008-01-01", "2008-01-01")


@pytest.mark.identity
def test_series_of_one_seed_differ_by_one_cause_alone():
    plain = problem.caused_views(40, Causes(), seed=3)
    again = problem.caused_views(40, Causes(), seed=3)
    np.testing.assert_array_equal(plain.thousands, again.thousands)
    holiday = Causes(holidays=(FIRST + 10,), length=2, dip=0.25)
    dipped = problem.caused_views(40, holiday, seed=3)
    factors = np.ones(40)
    factors[[10, 11]] = 0.75
    np.testing.assert_allclose(dipped.thousands, factors * plain.thousands)
    new = problem.caused_views(40, Causes(interventions=(FIRST + 5,)), seed=3)
    added = np.flatnonzero(new.thousands != plain.thousands)
    assert added.tolist() == [5]
    np.testing.assert_allclose(new.thousands[5] - plain.thousands[5], 2.6)
    even = problem.caused_views(40, EVEN, seed=3)
    week = np.tile(Causes().week, 6)[1:41]  # 1 January 2008 was a Tuesday
    np.testing.assert_allclose(plain.thousands, week * even.thousands)


@pytest.mark.statistics
def test_deviations_persist_as_asked():
    causes = EVEN._replace(persistence=0.8, noise=0.0, trend=0.0)
    views = problem.caused_views(20_000, causes, seed=5)
    deviations = np.log(views.thousands / causes.level)
    persistence = np.mean(deviations[1:] * deviations[:-1]) / np.mean(deviations**2)
    error = np.sqrt((1 - 0.8**2) / len(deviations))
    assert abs(persistence - 0.8) < 4 * error
    variance = causes.innovation**2 / (1 - 0.8**2)
    spread = np.sqrt(2 * (1 + 0.8**2) / (1 - 0.8**2) / len(deviations))
    assert abs(np.mean(deviations**2) / variance - 1) < 4 * spread


@pytest.mark.identity
def test_holidays_move_within_the_range_of_the_lunar_new_year():
    many = np.array(problem.moved_holidays(2001, 400, seed=1))
    years = many.astype("datetime64[D]").astype("datetime64[Y]")
    since = many - years.astype("datetime64[D]").astype(int)
    assert (since.min(), since.max()) == (20, 50)
    assert np.all(np.diff(years.astype(int)) == 1)


@pytest.mark.identity
def test_missing_days_repeat_the_week_before():
    days = np.array([0, 1, 2, 3, 4, 5, 6, 9, 17])
    views = DailyViews(days, days + 0.5)
    found = problem.filled(views)
    assert found.days.tolist() == list(range(18))
    expected = [0, 1, 2, 3, 4, 5, 6, 0, 1, 9, 3, 4, 5, 6, 0, 1, 9, 17]
    np.testing.assert_array_equal(found.thousands, np.array(expected) + 0.5)
    np.testing.assert_array_equal(problem.filled(found).thousands, found.thousands)


@pytest.mark.identity
def test_causes_that_make_no_series_are_refused():
    with pytest.raises(InputError, match="draw 2 or more"):
        problem.caused_views(1, Causes(), seed=0)
    with pytest.raises(InputError, match="give seven"):
        problem.caused_views(9, Causes(week=(1.0,)), seed=0)
    with pytest.raises(InputError, match="never settle"):
        problem.caused_views(9, Causes(persistence=1.0), seed=0)
    with pytest.raises(InputError, match="0 years have no holiday"):
        problem.moved_holidays(2008, 0, seed=0)
