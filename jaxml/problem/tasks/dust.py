"""Fine dust of the next hour from the hours before: the course's first homework."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from jaxml.problem.data.examples import examples
from jaxml.problem.data.pm25 import MEASURES, AirQuality
from jaxml.types import Batch, Dataset, InputError

__all__ = ["dust_windows", "hourly_dust"]

DUST = MEASURES.index("PM2.5")


def hourly_dust(
    air: AirQuality, *, hours: int = 9, measures: Sequence[str] = MEASURES
) -> Dataset:
    """Windows of all months to train on, and the published tests.

    Of the tests, a reading that is missing is that of the hour before (the next known
    one where it is the first, and 0 where there is none); windows to train on with a
    missing reading are left out.

    Args:
        air: the readings.
        hours: how many before the one that is forecast, at most the nine of the tests.
        measures: that are given, of `MEASURES`.

    Raises:
        InputError: hours outside 1 to 9, or an unknown measure.
    """
    if not 1 <= hours <= air.test.shape[1]:
        raise InputError(
            f"The tests show {air.test.shape[1]} hours: forecast from 1 to as many, "
            f"not {hours}."
        )
    chosen = _places(measures)
    train = dust_windows(air.months, hours=hours, measures=measures)
    shown = _carried_forward(air.test)[:, -hours:, chosen]
    test = examples(shown.reshape(len(shown), -1), air.answers[:, None])
    return Dataset(train, test)


def dust_windows(
    months: Float[np.ndarray, "month hour measure"],
    *,
    hours: int = 9,
    measures: Sequence[str] = MEASURES,
) -> Batch:
    """For each hour of a month the readings of the hours before it, the oldest first
    (inputs `[n, hours x measure]`), and its PM2.5 in µg/m³ (targets `[n, 1]`).

    No window reaches over the end of a month, for the next one begins ten days later.
    Windows with a missing reading are left out. In the order of time, so that
    `learn.folds_in_time` and a later test set are slices.

    Raises:
        InputError: an unknown measure, or no window without a missing reading.
    """
    chosen = _places(measures)
    seen, asked = [], []
    for month in months:
        for hour in range(hours, len(month)):
            seen.append(month[hour - hours : hour, chosen].ravel())
            asked.append(month[hour, DUST])
    inputs, targets = np.array(seen), np.array(asked)
    whole = np.isfinite(targets)
    if seen:
        whole &= np.all(np.isfinite(inputs), axis=1)
    if not np.any(whole):
        raise InputError(
            f"No {hours + 1} hours in a row have all readings: take fewer hours or "
            "measures."
        )
    return examples(inputs[whole], targets[whole, None])


def _places(measures: Sequence[str]) -> list[int]:
    unknown = [name for name in measures if name not in MEASURES]
    if unknown or not measures:
        raise InputError(
            f"There are no readings of {unknown}: choose from {', '.join(MEASURES)}."
        )
    return [MEASURES.index(name) for name in measures]


def _carried_forward(
    windows: Float[np.ndarray, "window hour measure"],
) -> Float[np.ndarray, "window hour measure"]:
    """Missing readings as the last known one, or else the next, or else 0."""
    filled = windows.copy()
    hours = windows.shape[1]
    for hour in range(1, hours):
        missing = np.isnan(filled[:, hour])
        filled[:, hour][missing] = filled[:, hour - 1][missing]
    for hour in reversed(range(hours - 1)):
        missing = np.isnan(filled[:, hour])
        filled[:, hour][missing] = filled[:, hour + 1][missing]
    return np.nan_to_num(filled, nan=0.0)
