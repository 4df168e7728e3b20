"""Daily views in a file of one's own."""

import csv
import io
from collections.abc import Iterator
from pathlib import Path

from jaxml.problem.data.bounded import check_fits
from jaxml.problem.data.content import REMEDY
from jaxml.problem.data.views import DailyViews, logarithms
from jaxml.provenance import read
from jaxml.types import InputError

__all__ = ["read_views"]

_DATE = len("2008-01-31")


def read_views(path: str | Path) -> DailyViews:
    """Thousands of views by day from a file of comma-separated values, with columns
    `ds`, a date such as 2008-01-31, and `y`, the natural logarithm of the views; it is
    reported.

    Raises:
        InputError: the file cannot be read or is no table in UTF-8; a row has no such
            date or no finite number, a date comes twice, or there is no row.

    Source: Taylor and Letham 2018, "Forecasting at scale", The American Statistician
        72, the form of its program's tables.
    """
    check_fits(Path(path).expanduser())
    content = read(path)
    name = str(path)
    try:
        dates = list(_dates(content.decode()))
    except (UnicodeDecodeError, csv.Error) as reason:
        raise InputError(
            f"{name} is no table of comma-separated values ({reason}): {REMEDY}."
        ) from reason
    for number, date in enumerate(dates, start=1):
        if not _is_date(date):
            raise InputError(
                f"Row {number} of {name} has no date: give one such as 2008-01-31."
            )
    return logarithms(content, name)


def _dates(text: str) -> Iterator[str]:
    for row in csv.DictReader(io.StringIO(text)):
        yield row.get("ds") or ""


def _is_date(text: str) -> bool:
    """Whether it has the form of a date; whether the calendar has it is asked later."""
    year, *rest = text.split("-")
    digits = (year, *rest)
    return len(text) == _DATE and len(digits) == 3 and all(map(_is_number, digits))


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit()
