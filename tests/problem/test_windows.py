"""Windows of drawn series and of pages, and what is fitted within them."""

import os
from itertools import pairwise

import numpy as np
import pytest

from jaxml import problem
from jaxml.problem import Causes, Span
from jaxml.types import InputError

DRAWN = problem.drawn_windows(Causes(), [3, 4], before=9, fitted=60, tested=11)
ON_THIS_MACHINE = pytest.mark.skipif(
    "JAXML_DATA_DIR" not in os.environ, reason="the views are not on this machine"
)


@pytest.mark.identity
def test_a_drawn_window_is_its_series_to_the_last_day():
    for seed, window in zip((3, 4), DRAWN, strict=True):
        views = problem.caused_views(80, Causes(), seed=seed)
        np.testing.assert_array_equal(window.views.thousands, views.thousands)
        first = int(views.days[0])
        assert window.train == Span(first + 9, first + 68)
        assert window.test == Span(first + 69, int(views.days[-1]))


@ON_THIS_MACHINE
@pytest.mark.identity
def test_tests_of_a_page_follow_each_other():
    windows = problem.page_windows("R", "2012-03-01", fitted=50, tested=20, count=3)
    assert windows[0].test.first == problem.span("2012-03-01", "2012-03-01").first
    for before, after in pairwise(windows):
        assert after.test.first == before.test.last + 1
    for window in windows:
        train, test = window.train, window.test
        assert train.last + 1 == test.first and test.last - test.first == 19
        assert train.last - train.first == 49
        assert np.all(np.diff(window.views.days) == 1)
    for date in ("2008-01-15", "2015-11-15"):
        with pytest.raises(InputError, match="do not fit the views of R"):
            problem.page_windows("R", date, fitted=50, tested=20, count=3)


@pytest.mark.identity
def test_a_fitted_line_says_its_errors_in_thousands():
    window = DRAWN[0]
    fitted = problem.fitted_line(window, 2)
    w_1, w_2, b = fitted.weights
    views, first = window.views.thousands, int(window.views.days[0])
    for (begin, end), error in (
        (window.train, fitted.train),
        (window.test, fitted.test),
    ):
        days = np.arange(begin, end + 1) - first
        forecasts = w_1 * views[days - 1] + w_2 * views[days - 2] + b
        np.testing.assert_allclose(error, np.mean(np.abs(forecasts - views[days])))


@pytest.mark.identity
def test_scaled_windows_are_padded_and_return_to_thousands():
    [short] = problem.drawn_windows(Causes(), [5], before=9, fitted=40, tested=11)
    scaled = problem.scaled_windows([*DRAWN, short], 3)
    assert scaled.train.inputs.shape == (3, 60, 3)
    assert scaled.train.inputs.dtype == np.float32
    assert scaled.fitted.tolist() == [60, 60, 40]
    assert scaled.train.weights.sum(axis=1).tolist() == [60, 60, 40]
    rows = scaled.train.targets[2, :40, 0]
    views = short.views.thousands[9:49]
    expected = (views - views.mean()) / views.std()
    np.testing.assert_allclose(rows, expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(scaled.deviation[2], views.std())
