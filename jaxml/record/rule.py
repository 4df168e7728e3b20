"""What a measured interval is compared with, and the verdict that follows."""

import math
from typing import Literal, NamedTuple, TypeAlias, get_args

from jaxml.types import InputError

Verdict: TypeAlias = Literal["supported", "refuted", "no effect", "undecided"]
Sign: TypeAlias = Literal[">", "<", "≈", "≤"]

SIGNS: tuple[Sign, ...] = get_args(Sign)
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)


class Rule(NamedTuple):
    """What an interval is compared with. Make one by `above`, `below`, `near` or
    `at_most`.

    Attributes:
        sign: ">" and "<" claim a side of the threshold, "≈" its neighbourhood, "≤" an
            equation's error.
        threshold: the border.
        margin: the smallest distance from it that would matter to a user; 0 where any
            excess matters.
        reason: why that margin.
    """

    sign: Sign
    threshold: float
    margin: float = 0.0
    reason: str = ""


def above(threshold: float, *, margin: float = 0.0, reason: str = "") -> Rule:
    """Supported beyond threshold + margin, refuted beneath threshold - margin, no
    effect within.

    Raises:
        InputError: a threshold or margin that is not finite, a negative margin, or a
            margin without reason.
    """
    return _rule(">", threshold, margin, reason)


def below(threshold: float, *, margin: float = 0.0, reason: str = "") -> Rule:
    """Supported beneath threshold - margin, refuted beyond threshold + margin, no
    effect within.

    Raises:
        InputError: as `above`.
    """
    return _rule("<", threshold, margin, reason)


def near(threshold: float, *, margin: float, reason: str) -> Rule:
    """Supported wholly within the margin around the threshold, refuted wholly outside.

    Raises:
        InputError: as `above`.
    """
    return _rule("≈", threshold, margin, reason)


def at_most(tolerance: float) -> Rule:
    """Supported iff the largest error is a number and at most the tolerance, else
    refuted.

    Raises:
        InputError: a tolerance that is not finite.
    """
    return _rule("≤", tolerance, 0.0, "")


def _rule(sign: Sign, threshold: float, margin: float, reason: str) -> Rule:
    if not (math.isfinite(threshold) and math.isfinite(margin) and margin >= 0):
        raise InputError(
            f"A threshold of {threshold} with a margin of {margin} is no rule: use "
            "finite numbers, and a margin of 0 or more."
        )
    if margin and not reason:
        raise InputError(
            f"The margin {margin} has no reason: say why less would not matter."
        )
    return Rule(sign, float(threshold), float(margin), reason)


def verdict(low: float, high: float, rule: Rule) -> Verdict:
    """The verdict that an interval implies under a rule.

    With margin m around the threshold t, an interval wholly beyond t ± m on the claimed
    side supports, on the other refutes, wholly within shows no effect, and else, or
    where an end is no number, leaves the claim undecided.

    >>> rule = above(0.5, margin=0.1, reason="less is noise")
    >>> verdict(0.7, 0.9, rule), verdict(0.1, 0.3, rule)
    ('supported', 'refuted')
    >>> verdict(0.45, 0.55, rule), verdict(0.4, 0.9, rule)
    ('no effect', 'undecided')
    >>> verdict(math.nan, 0.3, rule)
    'undecided'
    >>> verdict(0.0, 1e-9, at_most(1e-12))
    'refuted'

    Raises:
        InputError: no such sign, or a negative margin.

    Source: Kruschke 2018, Advances in Methods and Practices in Psychological Science 1,
        the region of practical equivalence.
    """
    if rule.sign not in SIGNS or rule.margin < 0:
        raise InputError(
            f"{rule!r} is no rule: make one by above, below, near or at_most."
        )
    if rule.sign == "≤":
        return "supported" if high <= rule.threshold else "refuted"
    if math.isnan(low) or math.isnan(high):
        return "undecided"
    lower, upper = rule.threshold - rule.margin, rule.threshold + rule.margin
    beneath, beyond = high < lower, low > upper
    within = lower <= low and high <= upper
    if rule.sign == "≈":
        return (
            "supported" if within else "refuted" if beneath or beyond else "undecided"
        )
    if within:
        return "no effect"
    if beyond:
        return "supported" if rule.sign == ">" else "refuted"
    if beneath:
        return "refuted" if rule.sign == ">" else "supported"
    return "undecided"
