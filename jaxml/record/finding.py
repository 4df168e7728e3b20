"""What a run says about a claim: a measured quantity, and the verdict that its interval implies."""

import math
import re
from typing import NamedTuple

import numpy as np
from jax.typing import DTypeLike

from jaxml.record.statistics import Interval
from jaxml.types import Array, InputError


class Finding(NamedTuple):
    """A claim held against what was measured. Make one by `above`, `below` or `exact`.

    Attributes:
        claim: its id, C001 to C187, A1 to A11 or X1 to X9.
        statement: the claim as a directional sentence, fixed before the run.
        measured: the quantity.
        low: lower end of its interval.
        high: upper end of its interval.
        unit: of the quantity; "1" for a pure number.
        n: independent units behind it.
        verdict: "supported", "refuted" or "undecided", as `verdict` says.
        dtype: in which the quantity was computed.
        rule: what the interval was held against, such as "> 0.5".
    """

    claim: str
    statement: str
    measured: float
    low: float
    high: float
    unit: str
    n: int
    verdict: str
    dtype: str
    rule: str


def verdict(low: float, high: float, rule: str) -> str:
    """The verdict that an interval implies under a rule.

    "> t" and "< t" are decided where the whole interval lies on one side of t. "<= t", a largest error
    against a tolerance, is always decided; what is not a number refutes it.

    >>> verdict(0.6, 0.9, "> 0.5"), verdict(0.4, 0.9, "> 0.5"), verdict(0.0, 1e-9, "<= 1e-12")
    ('supported', 'undecided', 'refuted')

    Raises:
        InputError: no such rule.
    """
    sign, _, bound = rule.partition(" ")
    if sign not in (">", "<", "<=") or not _is_number(bound):
        raise InputError(f'{rule!r} is no rule: use a finite bound, as in "> 0.5", "< 0.5" or "<= 1e-12".')
    threshold = float(bound)
    if sign == "<=":
        return "supported" if high <= threshold else "refuted"
    over, under = ("supported", "refuted") if sign == ">" else ("refuted", "supported")
    return over if low > threshold else under if high < threshold else "undecided"


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def above(
    claim: str, statement: str, interval: Interval, threshold: float, *, unit: str, dtype: DTypeLike
) -> Finding:
    """The claim that a quantity exceeds a threshold: supported if low > threshold, refuted if high < it.

    Raises:
        InputError: an unknown claim id or dtype, or a threshold that is not finite.
    """
    return _finding(claim, statement, interval, f"> {float(threshold)!r}", unit, dtype)


def below(
    claim: str, statement: str, interval: Interval, threshold: float, *, unit: str, dtype: DTypeLike
) -> Finding:
    """The claim that a quantity stays under a threshold: supported if high < threshold, refuted if low > it.

    Raises:
        InputError: an unknown claim id or dtype, or a threshold that is not finite.
    """
    return _finding(claim, statement, interval, f"< {float(threshold)!r}", unit, dtype)


def exact(
    claim: str, statement: str, errors: Array, tolerance: float, *, unit: str, dtype: DTypeLike
) -> Finding:
    """The claim that an equation holds: supported iff every |error| is finite and at most the tolerance.

    The interval runs from the smallest to the largest |error|, which is the measured one; n counts errors.

    Raises:
        InputError: an unknown claim id or dtype, no errors, or a tolerance that is not finite.
    """
    sizes = np.abs(np.asarray(errors))
    if sizes.size == 0:
        raise InputError(f"{claim} has no errors to judge: hand in at least one.")
    worst = float(np.max(sizes))
    span = Interval(worst, float(np.min(sizes)), worst, sizes.size)
    return _finding(claim, statement, span, f"<= {float(tolerance)!r}", unit, dtype)


def _finding(
    claim: str, statement: str, interval: Interval, rule: str, unit: str, dtype: DTypeLike
) -> Finding:
    if not is_claim(claim):
        raise InputError(f"{claim!r} is no claim id: use C001 to C187, C150a, A1 to A11 or X1 to X9.")
    measured, low, high = (float(number) for number in interval[:3])
    judged = verdict(low, high, rule)
    return Finding(claim, statement, measured, low, high, unit, int(interval.n), judged, _name(dtype), rule)


def is_claim(claim: str) -> bool:
    """Whether a text is the id of a claim.

    >>> [is_claim(text) for text in ("C048", "C150a", "A11", "X9", "C188", "C48", "A12")]
    [True, True, True, True, False, False, False]
    """
    found = re.fullmatch(r"([CAX])(\d+)(a?)", claim)
    if found is None:
        return False
    letter, digits, suffix = found.groups()
    if suffix:
        return claim == "C150a"
    width, last = {"C": (3, 187), "A": (0, 11), "X": (0, 9)}[letter]
    return 1 <= int(digits) <= last and digits == digits.lstrip("0").zfill(width)


def _name(dtype: DTypeLike) -> str:
    try:
        return np.dtype(dtype).name
    except TypeError:
        raise InputError(f'{dtype!r} is no dtype: write one such as "float32".') from None
