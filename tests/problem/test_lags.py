"""Lags compared with the days they stand for; fits with SciPy's; what is refused."""

import numpy as np
import pytest
from scipy.optimize import linprog

from jaxml import problem
from jaxml.problem import Causes, DailyViews, Span
from jaxml.types import InputError

VIEWS = problem.caused_views(400, Causes(), seed=8)
FIRST = int(VIEWS.days[0])
TRAIN, TEST = Span(FIRST + 20, FIRST + 299), Span(FIRST + 300, FIRST + 399)


@pytest.mark.oracle
def test_inputs_are_the_days_before_and_targets_the_day():
    data = problem.lagged_split(VIEWS, 20, TRAIN, TEST)
    assert data.train.inputs.shape == (280, 20) and data.test.inputs.shape == (100, 20)
    for batch, days in zip(data, (TRAIN, TEST), strict=True):
        for row in (0, 57, 99):
            place = days.first - FIRST + row
            assert batch.targets[row, 0] == VIEWS.thousands[place]
            for lag in (1, 7, 20):
                assert batch.inputs[row, lag - 1] == VIEWS.thousands[place - lag]


@pytest.mark.invariance
def test_nothing_of_the_test_leaks_into_the_fit():
    changed = VIEWS.thousands.copy()
    changed[300:] *= 3
    other = problem.lagged_split(VIEWS._replace(thousands=changed), 20, TRAIN, TEST)
    data = problem.lagged_split(VIEWS, 20, TRAIN, TEST)
    np.testing.assert_array_equal(other.train.inputs, data.train.inputs)
    np.testing.assert_array_equal(other.train.targets, data.train.targets)
    assert problem.rescaled(other)[1] == problem.rescaled(data)[1]
    np.testing.assert_array_equal(other.test.inputs[0], data.test.inputs[0])


@pytest.mark.identity
def test_scaled_errors_are_thousands_again():
    data = problem.lagged_split(VIEWS, 7, TRAIN, TEST)
    scaled, scale = problem.rescaled(data)
    np.testing.assert_allclose(np.mean(scaled.train.targets), 0, atol=1e-12)
    np.testing.assert_allclose(np.std(scaled.train.targets), 1)
    found, plain = (
        problem.forecast_errors(
            problem.linear_forecasts(problem.least_squares(each.train), test.inputs),
            test.targets,
        )
        for each, test in ((scaled, scaled.test), (data, data.test))
    )
    np.testing.assert_allclose(found.mae * scale.deviation, plain.mae, rtol=1e-9)
    np.testing.assert_allclose(found.mse * scale.deviation**2, plain.mse, rtol=1e-9)


@pytest.mark.oracle
def test_fits_agree_with_other_programs():
    batch = problem.lagged_split(VIEWS, 7, TRAIN, TEST).train
    design = np.hstack([batch.inputs, np.ones((280, 1))])
    expected, *_ = np.linalg.lstsq(design, batch.targets[:, 0], rcond=None)
    found = problem.least_squares(batch)
    np.testing.assert_allclose(found, expected, rtol=1e-7, atol=1e-9)

    eye = np.eye(280)
    costs = np.concatenate([np.zeros(8), np.ones(560)])
    bounds = [(None, None)] * 8 + [(0, None)] * 560
    equal = np.hstack([design, -eye, eye])
    exact = linprog(costs, A_eq=equal, b_eq=batch.targets[:, 0], bounds=bounds)
    absolute = problem.least_absolute(batch)
    residuals = batch.targets[:, 0] - problem.linear_forecasts(absolute, batch.inputs)
    total = np.sum(np.abs(residuals))
    assert exact.fun - 1e-9 <= total <= 1.001 * exact.fun


@pytest.mark.identity
def test_days_as_dates():
    found = problem.span("2008-01-01", "2008-01-31")
    assert found == Span(FIRST, FIRST + 30)


def gap():
    kept = np.delete(np.arange(400), 100)
    return DailyViews(VIEWS.days[kept], VIEWS.thousands[kept])


def broken():
    thousands = VIEWS.thousands.copy()
    thousands[7] = np.nan
    return VIEWS._replace(thousands=thousands)


CONSTANT = VIEWS._replace(thousands=np.full(400, 2.0))


@pytest.mark.identity
@pytest.mark.parametrize(
    ("views", "lags", "train", "test", "message"),
    [
        (gap(), 7, TRAIN, TEST, "The day after 2008-04-09 is missing"),
        (broken(), 7, TRAIN, TEST, "1 days have no finite number"),
        (VIEWS, 7, TEST, TRAIN, "begins before the training"),
        (VIEWS, 7, TRAIN, Span(TRAIN.last, TEST.last), "begins before the training"),
        (CONSTANT, 7, TRAIN, TEST, "All views of 2008-01-21 to 2008-10-26 are equal"),
        (VIEWS, 21, TRAIN, TEST, "with 21 lags do not fit a series"),
        (VIEWS, 279, TRAIN, TEST, "fit any 280 days: use fewer lags"),
        (VIEWS, 0, TRAIN, TEST, "0 lags are no input"),
        (VIEWS, 7, TRAIN, Span(TEST.first, TEST.last + 1), "do not fit a series"),
    ],
)
def test_what_cannot_be_forecast_is_refused(views, lags, train, test, message):
    with pytest.raises(InputError, match=message):
        problem.lagged_split(views, lags, train, test)
