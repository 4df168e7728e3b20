"""How much of a lead something else makes up for."""

from jaxml.record.summaries import mean_difference
from jaxml.types import Array


def beyond_half(ahead: Array, behind: Array, helped: Array, *, least: float) -> float:
    """How far the mean of `helped` is above the middle between those of `behind` and
    `ahead`: above 0 where the help makes up for more than half of the lead.

    Where there is no lead to make up for, whatever ends higher would do so. So it is
    nan where the lead is below `least`; then `tuned` leaves the interval open, and
    decides nothing, if that is so in any resample.

    Args:
        ahead: `[unit]`, what leads.
        behind: `[unit]`, what it leads.
        helped: `[unit]`, the latter with what may make up for the lead.
        least: the smallest lead of which half can be told, such as the smallest that
            matters.

    >>> import numpy as np
    >>> ahead, behind, helped = np.array([9.0]), np.array([5.0]), np.array([8.0])
    >>> beyond_half(ahead, behind, helped, least=1.0)
    1.0
    >>> beyond_half(ahead, behind, helped, least=5.0)
    nan
    """
    lead = mean_difference(ahead, behind)
    if not lead >= least:
        return float("nan")
    return lead / 2 - mean_difference(ahead, helped)
