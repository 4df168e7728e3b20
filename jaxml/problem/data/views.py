"""Daily views of two pages, such as the course forecasts of a channel."""

import csv
import io
import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from jaxml.problem.data.files import FileSet, published
from jaxml.types import InputError

__all__ = ["PAGES", "DailyViews", "page_views"]

R = "6be7cee8ce25f97e7bdf30444847e8fd36335c25611195b0bdc20f57ab06944e"
MANNING = "6b1383a6f458e317c5da0488abaf2cadccd7e80c84c7a543d084e1159d5bfa56"

PAGE_VIEWS = FileSet(
    "pageviews",
    ("https://raw.githubusercontent.com/facebook/prophet/main/examples/",),
    {
        "example_wp_log_R.csv": R,
        "example_wp_log_peyton_manning.csv": MANNING,
    },
)

PAGES = {
    "R": "example_wp_log_R.csv",
    "Peyton Manning": "example_wp_log_peyton_manning.csv",
}
"""Pages of Wikipedia, and the files that hold the logarithms of their views."""


class DailyViews(NamedTuple):
    """Views of one page by day, in the order of the days, some of which may be missing.

    Attributes:
        days: since 1 January 1970, which is day 0.
        thousands: views on that day.
    """

    days: Int[np.ndarray, " day"]
    thousands: Float[np.ndarray, " day"]


def page_views(page: str) -> DailyViews:
    """Thousands of views a day of a page of Wikipedia, 2008 to 2015.

    The file is looked for as those of `fashion_mnist` are, in folders called
    `pageviews` (90 kB). Of "R", the programming language, there are 2,863 days, of
    "Peyton Manning" 2,905, a month of them before 2008.

    Args:
        page: one of `PAGES`.

    Raises:
        InputError: another page; the file is corrupt, or neither here nor to be had.

    Source: Taylor and Letham 2018, "Forecasting at scale", The American Statistician
        72, the examples of its program; the file has natural logarithms.
    """
    if page not in PAGES:
        raise InputError(
            f"There are no views of {page!r}: choose from {', '.join(PAGES)}."
        )
    name = PAGES[page]
    return logarithms(published(PAGE_VIEWS, name), name)


def logarithms(content: bytes, name: str) -> DailyViews:
    r"""Thousands of views from a table of dates `ds` and logarithms of views `y`, in
    the order of the dates.

    Args:
        content: of a file of comma-separated values.
        name: of the file, for messages.

    Raises:
        InputError: a row has no date or no finite number, a date comes twice, or there
            is no row.

    >>> views = logarithms(b"ds,y\n2008-01-02,0\n2008-01-01,0\n", "two days")
    >>> views.days.tolist(), views.thousands.tolist()
    ([13879, 13880], [0.001, 0.001])
    """
    rows = csv.DictReader(io.StringIO(content.decode()))
    found: dict[int, float] = {}
    for number, row in enumerate(rows, start=1):
        day, views = _read(row, number, name)
        if day in found:
            raise InputError(
                f"Row {number} of {name} has the date of an earlier one: keep one row "
                "a day."
            )
        found[day] = views
    if not found:
        raise InputError(f"{name} has no rows: give one a day, below a header ds,y.")
    days = np.array(sorted(found))
    return DailyViews(days, np.array([found[int(day)] for day in days]))


def day_of(written: str) -> int:
    """Days since 1 January 1970 of a date such as 2008-01-31.

    Raises:
        ValueError: the calendar has no such date.

    >>> day_of("1970-02-01")
    31
    """
    return int(np.datetime64(written, "D").astype(np.int64))


def _read(row: dict[str, str], number: int, name: str) -> tuple[int, float]:
    """The day and the thousands of views of one row."""
    try:
        day = day_of(row["ds"])
        thousands = math.exp(float(row["y"])) / 1000
    except (KeyError, TypeError, ValueError, OverflowError) as reason:
        raise InputError(
            f"Row {number} of {name} is no date and logarithm ({reason}): give a date "
            "ds such as 2008-01-31, and a number y."
        ) from reason
    if not math.isfinite(thousands):
        raise InputError(
            f"Row {number} of {name} has no finite number of views: drop it."
        )
    return day, thousands
