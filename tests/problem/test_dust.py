"""Readings of the air from a file, and windows that never look ahead."""

import numpy as np
import pytest

from jaxml import problem
from jaxml.problem.data import pm25
from jaxml.types import InputError

MEASURES = problem.MEASURES
DUST = MEASURES.index("PM2.5")


def written(months: int = 2, days: int = 1) -> list[list[str]]:
    """Rows of a file; the reading of an hour counts the hours from the first."""
    rows = [["date", "place", "measure", *map(str, range(24))]]
    for month in range(months):
        for day in range(days):
            first = 24 * (days * month + day)
            for measure in MEASURES:
                hours = [str(first + hour) for hour in range(24)]
                rows.append([f"2014/{month + 1}/{day + 1}", "here", measure, *hours])
    return rows


def read(rows: list[list[str]]) -> np.ndarray:
    text = "\n".join(",".join(row) for row in rows)
    return pm25.monthly_readings(text.encode("big5"), "a file")


@pytest.mark.oracle
def test_hours_of_a_month_follow_one_another() -> None:
    rows = written()
    rain = 1 + MEASURES.index("RAINFALL")
    rows[rain][3:5] = ["NR", "2.5"]
    rows[1 + DUST][4] = "-1"
    months = read(rows)
    assert months.shape == (2, 24, len(MEASURES))
    assert months[:, :, 0].ravel().tolist() == list(range(48))
    assert months[0, :2, MEASURES.index("RAINFALL")].tolist() == [0.0, 2.5]
    assert np.isnan(months[0, 1, DUST]) and np.isnan(months).sum() == 1


@pytest.mark.oracle
def test_a_window_ends_before_the_hour_that_it_forecasts() -> None:
    months = read(written())
    batch = problem.dust_windows(months, hours=3, measures=["PM2.5", "O3"])
    assert batch.inputs.shape == (2 * 21, 6) and batch.targets.shape == (42, 1)
    assert np.array_equal(batch.inputs[0], [0, 0, 1, 1, 2, 2])
    steps = np.asarray(batch.targets)[:, 0] - np.asarray(batch.inputs)[:, -1]
    assert np.all(steps == 1), "no window reaches over the end of a month"


@pytest.mark.oracle
def test_missing_readings_leave_windows_out_and_are_filled_in_tests() -> None:
    months = read(written(months=1))
    months[0, 5, DUST] = np.nan
    left = problem.dust_windows(months, hours=2, measures=["PM2.5"])
    assert len(left.weights) == 22 - 3, "its own hour and the two after it"
    test = np.arange(9.0 * len(MEASURES)).reshape(1, 9, -1)
    test[0, 8, DUST] = np.nan
    test[0, :2, 0] = np.nan
    air = problem.AirQuality(months, test, np.array([7.0]))
    data = problem.hourly_dust(air, hours=9)
    shown = np.asarray(data.test.inputs).reshape(9, -1)
    assert shown[8, DUST] == test[0, 7, DUST]
    assert shown[0, 0] == shown[1, 0] == test[0, 2, 0]
    assert data.test.targets.tolist() == [[7.0]]


def test_a_damaged_file_and_unknown_measures_are_sentences() -> None:
    rows = written(months=1)
    months = read(rows)
    air = problem.AirQuality(months, np.ones((1, 9, len(MEASURES))), np.ones(1))
    cases = [
        (lambda: read(rows[:-1]), "one for each of the 18"),
        (lambda: read([*rows[:-1], rows[-1][:-1]]), "intact copy"),
        (lambda: read([*rows[:-1], [*rows[-1][:-1], "x"]]), "give a number"),
        (lambda: problem.dust_windows(months, measures=["dust"]), "choose from"),
        (lambda: problem.dust_windows(months, hours=24), "take fewer hours"),
        (lambda: problem.hourly_dust(air, hours=10), "from 1 to as many"),
    ]
    for call, words in cases:
        with pytest.raises(InputError, match=words):
            call()


@pytest.mark.oracle
def test_the_published_files_have_their_months_and_tests() -> None:
    air = problem.air_quality()
    assert air.months.shape == (12, 480, 18)
    assert air.test.shape == (240, 9, 18) and air.answers.shape == (240,)
    assert air.months[0, :3, DUST].tolist() == [26, 39, 36]
    data = problem.hourly_dust(air)
    assert data.train.inputs.shape[1] == 162
    assert np.all(np.isfinite(data.train.inputs)) and np.all(
        np.isfinite(data.test.inputs)
    )
