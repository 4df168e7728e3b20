"""Hourly readings of the air at one place, of which the course's first homework
forecasts fine dust.
"""

import csv
import io
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from jaxml.problem.data.files import FileSet, published
from jaxml.types import InputError

__all__ = [
    "MEASURES",
    "AirQuality",
    "air_quality",
    "monthly_readings",
    "windows_to_test",
]

MEASURES = (
    *("AMB_TEMP", "CH4", "CO", "NMHC", "NO", "NO2", "NOx", "O3", "PM10"),
    *("PM2.5", "RAINFALL", "RH", "SO2", "THC"),
    *("WD_HR", "WIND_DIREC", "WIND_SPEED", "WS_HR"),
)
"""What is measured each hour, in the order of the files; PM2.5 in µg/m³."""

AIR = FileSet(
    "pm25-fengyuan",
    (),
    {
        "train.csv": "5916c36e98528936076eae69fae8225337bf387a4081b2066f1a7cb6ea1fe6fc",
        "test.csv": "9b1bf753d7c6439cc2000e2c30ed03cbe5d010f4b80751b5cb0e27ecdfcd8290",
        "ans.csv": "0f12c563b5e9ba63af1e455f3f5222f07a1cf869b4e5104771b2f1868a7d94f0",
    },
)

NO_RAIN = "NR"


class AirQuality(NamedTuple):
    """Readings in the order of MEASURES; NaN where an instrument gave none.

    Attributes:
        months: the first 20 days of each month of 2014, hour by hour.
        test: nine hours in a row, from the other days.
        answers: PM2.5 of the hour after each of these.
    """

    months: Float[np.ndarray, "month hour measure"]
    test: Float[np.ndarray, "window nine measure"]
    answers: Float[np.ndarray, " window"]


def air_quality() -> AirQuality:
    """The readings of Fengyuan, Taiwan: 12 months of 480 hours, and 240 tests.

    The files are `train.csv`, `test.csv` and `ans.csv` (660 kB) in a folder called
    `pm25-fengyuan`, looked for as those of `fashion_mnist` are. No address is known
    that keeps them, so they are not downloaded.

    Raises:
        InputError: a file is not here, or holds something else.

    Source: Taiwan's Environmental Protection Administration, as prepared for the first
        homework of the course.
    """
    content = {name: published(AIR, name) for name in AIR.digests}
    answers = _rows(content["ans.csv"], "ans.csv")[1:]
    return AirQuality(
        monthly_readings(content["train.csv"], "train.csv"),
        windows_to_test(content["test.csv"], "test.csv"),
        np.array([_reading(row[1], "PM2.5", "ans.csv") for row in answers]),
    )


def monthly_readings(
    content: bytes, name: str
) -> Float[np.ndarray, "month hour measure"]:
    """A row a day and measure, below a header: date, place, measure and 24 readings.

    No rain is 0. Negative readings are none: the instruments give -1 where they fail.

    Args:
        content: of the file, in Big5.
        name: of the file, for messages.

    Raises:
        InputError: a row is short, a reading is no number, the measures come in another
            order, or months have not equally many days.
    """
    _, *rows = _rows(content, name, encoding="big5")
    days = _by_measure([row[2:] for row in rows], name, readings=24)
    months = [row[0].rpartition("/")[0] for row in rows[:: len(MEASURES)]]
    count = len(dict.fromkeys(months))
    if len(days) % count:
        raise InputError(
            f"{name} has {len(days)} days in {count} months: give equally many of each."
        )
    return days.transpose(0, 2, 1).reshape(count, -1, len(MEASURES))


def windows_to_test(
    content: bytes, name: str
) -> Float[np.ndarray, "window nine measure"]:
    """A row a window and measure, without a header: number, measure and 9 readings."""
    rows = [row[1:] for row in _rows(content, name)]
    return _by_measure(rows, name, readings=9).transpose(0, 2, 1)


def _rows(content: bytes, name: str, *, encoding: str = "utf-8") -> list[list[str]]:
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as reason:
        raise InputError(
            f"{name} is no text in {encoding} ({reason}): put an intact copy in its "
            "place."
        ) from reason
    rows = list(csv.reader(io.StringIO(text)))
    if len(rows) < 2:
        raise InputError(f"{name} has no rows: put an intact copy in its place.")
    return rows


def _by_measure(
    rows: Sequence[Sequence[str]], name: str, *, readings: int
) -> Float[np.ndarray, "block measure reading"]:
    """Blocks of a row a measure, each its name and so many readings."""
    if len(rows) % len(MEASURES):
        raise InputError(
            f"{name} has {len(rows)} rows of readings: give one for each of the "
            f"{len(MEASURES)} measures."
        )
    values = np.empty((len(rows), readings))
    for number, row in enumerate(rows):
        measure = MEASURES[number % len(MEASURES)]
        if len(row) != 1 + readings or row[0] != measure:
            raise InputError(
                f"Row {number + 1} of the readings in {name} is not {measure} and "
                f"{readings} readings: put an intact copy of the file in its place."
            )
        values[number] = [_reading(word, measure, name) for word in row[1:]]
    return values.reshape(-1, len(MEASURES), readings)


def _reading(word: str, measure: str, name: str) -> float:
    """A number, 0 for no rain, NaN for a reading that is none."""
    if word == NO_RAIN and measure == "RAINFALL":
        return 0.0
    try:
        value = float(word)
    except ValueError as reason:
        raise InputError(
            f"{word!r} in {name} is no reading of {measure}: give a number."
        ) from reason
    return value if 0 <= value < np.inf else np.nan
