"""Daily views compared with their files, and the course's first model."""

import hashlib
import os
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import minimize

from jaxml import curvature, problem
from jaxml.problem.data import views
from jaxml.problem.data.files import FileSet
from jaxml.provenance import collecting
from jaxml.types import InputError

TABLE = b'"ds","y"\n"2008-02-28",0.5\n"2008-03-01",1.5\n"2008-02-29",1.0\n'
DRAWN = problem.drawn_views(730, seed=4)


@pytest.mark.oracle
def test_views_come_checked_in_the_order_of_days(tmp_path, monkeypatch):
    name = "table.csv"
    (tmp_path / "few").mkdir()
    (tmp_path / "few" / name).write_bytes(TABLE)
    monkeypatch.setenv("JAXML_DATA_DIR", str(tmp_path))
    digest = hashlib.sha256(TABLE).hexdigest()
    monkeypatch.setattr(views, "PAGE_VIEWS", FileSet("few", (), {name: digest}))
    monkeypatch.setattr(views, "PAGES", {"few": name})
    with collecting() as readings:
        found = problem.page_views("few")
    assert [reading.name for reading in readings] == ["few/table.csv"]
    assert found.days.tolist() == [views.day_of("2008-02-28") + k for k in range(3)]
    np.testing.assert_allclose(found.thousands, np.exp([0.5, 1.0, 1.5]) / 1000)
    (tmp_path / "few" / name).write_bytes(TABLE + b"\n")
    with pytest.raises(InputError, match="holds other content than was published"):
        problem.page_views("few")
    with pytest.raises(InputError, match="no views of 'R': choose from few"):
        problem.page_views("R")


@pytest.mark.skipif(
    "JAXML_DATA_DIR" not in os.environ, reason="the views are not on this machine"
)
@pytest.mark.oracle
@pytest.mark.parametrize("page", problem.PAGES)
def test_the_published_views_are_read(page):
    path = Path(os.environ["JAXML_DATA_DIR"]) / "pageviews" / problem.PAGES[page]
    rows = [line.split(",") for line in path.read_text().splitlines()[1:]]
    logs = {views.day_of(day.strip('"')): y for day, y in rows}
    found = problem.page_views(page)
    assert len(found.days) == len(rows) and np.all(np.diff(found.days) > 0)
    some = found.days[::500]
    expected = [float(logs[int(day)]) for day in some]
    np.testing.assert_allclose(np.log(1000 * found.thousands[::500]), expected)


@pytest.mark.identity
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"ds,y\n2008-02-30,1\n", "Row 1 of t is no date and logarithm"),
        (b"ds,y\n2008-02-01,many\n", "Row 1 of t is no date and logarithm"),
        (b"day,y\n2008-02-01,1\n", "Row 1 of t is no date and logarithm"),
        (b"ds,y\n2008-02-01\n", "Row 1 of t is no date and logarithm"),
        (b"ds,y\n2008-02-01,1e9\n", "Row 1 of t is no date and logarithm"),
        (b"ds,y\n2008-02-01,nan\n", "no finite number of views"),
        (b"ds,y\n2008-02-01,1\n2008-02-01,2\n", "Row 2 of t has the date"),
        (b"ds,y\n", "t has no rows"),
    ],
)
def test_a_table_that_is_none_is_refused(content, message):
    with pytest.raises(InputError, match=message):
        views.logarithms(content, "t")


@pytest.mark.identity
def test_a_pair_is_of_two_days_in_a_row():
    gap = problem.DailyViews(np.delete(DRAWN.days, 5), np.delete(DRAWN.thousands, 5))
    batch = problem.next_days(gap, "2008-01-01", "2008-01-10")
    kept = [day for day in range(10) if day not in (4, 5)]
    np.testing.assert_array_equal(batch.inputs[:, 0], DRAWN.thousands[kept])
    np.testing.assert_array_equal(batch.targets[:, 0], DRAWN.thousands[1:][kept])
    halves = problem.half_years(DRAWN, 2008, 1)
    assert sum(len(half.weights) for half in halves) == 366 - 2
    whole = problem.years_as_one(DRAWN, 2008, 1)
    assert len(whole.weights) == 366
    with pytest.raises(InputError, match="choose days from 2008-01-01 to 2009-12-30"):
        problem.next_days(DRAWN, "2011-01-01", "2012-01-01")


@pytest.mark.statistics
def test_drawn_views_have_two_low_days_and_persist():
    many = problem.drawn_views(20_000, seed=9)
    dates = [date(1970, 1, 1) + timedelta(int(day)) for day in many.days]
    weekdays = np.array([each.weekday() for each in dates])
    means = [np.mean(many.thousands[weekdays == day]) for day in range(7)]
    assert set(np.argsort(means)[:2]) == {4, 5}  # Friday and Saturday
    rest = many.thousands - np.array(means)[weekdays]
    rest = rest - np.polyval(np.polyfit(many.days, rest, 1), many.days)
    persistence = np.mean(rest[1:] * rest[:-1]) / np.mean(rest**2)
    assert abs(persistence - 0.9) < 4 * np.sqrt((1 - 0.9**2) / len(rest))
    with pytest.raises(InputError, match="draw 2 or more"):
        problem.drawn_views(1, seed=0)


@pytest.mark.oracle
def test_the_line_of_least_absolute_error_is_lowest():
    batch = problem.half_years(DRAWN, 2008, 1)[0]
    x, y = batch.inputs[:, 0], batch.targets[:, 0]

    def error(line):
        return np.mean(np.abs(y - line[0] * x - line[1]))

    best = problem.least_absolute_line(batch)
    searched = minimize(error, [1.0, 0.0], method="Nelder-Mead", tol=1e-10)
    np.testing.assert_allclose(error(best), searched.fun, rtol=1e-6)
    assert error(best) <= searched.fun + 1e-12
    np.testing.assert_allclose(problem.absolute_error(best, batch), error(best))
    moments = problem.second_moments(batch)
    np.testing.assert_allclose(moments, [[np.mean(x * x), x.mean()], [x.mean(), 1]])
    bad = batch._replace(inputs=np.ones((3, 2)))
    with pytest.raises(InputError, match="have no line"):
        problem.least_absolute_line(bad)


@pytest.mark.identity
def test_a_valley_is_a_closed_form_of_mean_and_deviation():
    batch = problem.next_days(DRAWN, "2008-01-01", "2008-12-31")
    mean, deviation = np.mean(batch.inputs), np.std(batch.inputs)
    trace, determinant = 1 + mean**2 + deviation**2, deviation**2
    gap = np.sqrt(trace**2 - 4 * determinant)
    found = curvature.valley(problem.second_moments(batch))
    expected = np.sqrt((trace + gap) / (trace - gap))
    np.testing.assert_allclose(found.length, expected)
    doubled = np.arctan2(2 * mean, mean**2 + deviation**2 - 1)
    degrees = np.degrees(doubled) / 2
    np.testing.assert_allclose(found.tilt, min(degrees, 90 - degrees))
