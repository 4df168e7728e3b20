"""What a run says about a claim: a measured quantity, and the verdict that its interval
implies.

A study *asserts* (`deciding`, `supporting`); `judged` turns its assertions into
findings, together, because the deciding ones share one error of 5 %.
"""

import math
from collections.abc import Sequence
from difflib import get_close_matches
from typing import Literal, NamedTuple, TypeAlias

from jaxml.record.rule import Rule, Verdict, verdict
from jaxml.record.statistics import Interval
from jaxml.types import InputError

Role: TypeAlias = Literal["deciding", "supporting"]

ERROR = 0.05
"""The probability that any deciding finding of a study is decided wrongly, and one
minus the level of supporting intervals.
"""


class Assertion(NamedTuple):
    """A claim compared with a measurement, not yet judged. Make one by `deciding` or
    `supporting`.

    Attributes:
        role: whether the claim's answer hangs on it.
        claim: the claim's id in the ledger.
        statement: the claim, or a part of it, as a directional sentence that stands
            alone, fixed before the run.
        measured: the quantity.
        rule: what it is compared with.
        unit: of the quantity, one of UNITS.
        setting: on what it was measured: data, model, budget.
        figure: the name of the study's figure that shows it; "" is its first.
    """

    role: Role
    claim: str
    statement: str
    measured: Interval
    rule: Rule
    unit: str
    setting: str
    figure: str


class Finding(NamedTuple):
    """A claim compared with what was measured, with the verdict that follows.

    Attributes:
        claim: the claim's id in the ledger.
        role: "deciding" where the claim's answer hangs on it, else "supporting".
        statement: as the study asserted it.
        setting: on what it was measured.
        measured: the quantity.
        low: lower end of its interval.
        high: upper end of its interval.
        level: of confidence; deciding findings of a study share one error by Holm's
            procedure, so theirs is 0.95 or more. None where nothing random entered.
        unit: of the quantity.
        n: independent units behind it.
        dtype: of the arrays that it was computed from.
        rule: what the interval was compared with.
        verdict: as `verdict` says.
        figure: the name of the figure that shows it; "" is the study's first.
    """

    claim: str
    role: Role
    statement: str
    setting: str
    measured: float
    low: float
    high: float
    level: float | None
    unit: str
    n: int
    dtype: str
    rule: Rule
    verdict: Verdict
    figure: str


_FRACTIONS = ("fraction", "accuracy")
_SIGNED_FRACTIONS = ("fraction difference", "accuracy difference", "correlation")
_UNBOUNDED = (
    "ratio",
    "log ratio",
    "difference",
    "updates",
    "epochs",
    "nats",
    "loss",
    "squared error",
    "weight",
    "rate",
    "eigenvalue",
    "‖H‖",
)
_NOT_NEGATIVE = (
    "error",
    "relative error",
    "distance",
    "mismatches",
    "count",
    "seconds",
    "bytes",
)

UNITS: dict[str, tuple[float, float]] = {
    **dict.fromkeys(_FRACTIONS, (0, 1)),
    **dict.fromkeys(_SIGNED_FRACTIONS, (-1, 1)),
    **dict.fromkeys(_UNBOUNDED, (-math.inf, math.inf)),
    **dict.fromkeys(_NOT_NEGATIVE, (0, math.inf)),
    "degrees": (-360, 360),
    "radians": (-math.tau, math.tau),
}
"""The units of findings, and the values that each can take."""


def deciding(
    claim: str,
    statement: str,
    measured: Interval,
    rule: Rule,
    *,
    unit: str,
    setting: str,
    figure: str = "",
) -> Assertion:
    """An assertion on which the answer of its claim hangs: the claim as the course says
    it.

    Raises:
        InputError: an unknown unit, or one that does not fit the quantity; an empty
            statement or setting.
    """
    return _checked(
        Assertion("deciding", claim, statement, measured, rule, unit, setting, figure)
    )


def supporting(
    claim: str,
    statement: str,
    measured: Interval,
    rule: Rule,
    *,
    unit: str,
    setting: str,
    figure: str = "",
) -> Assertion:
    """An assertion beside the claim: weaker, easier or neighbouring. It is shown and
    decides nothing.

    Raises:
        InputError: as `deciding`.
    """
    return _checked(
        Assertion("supporting", claim, statement, measured, rule, unit, setting, figure)
    )


def _checked(assertion: Assertion) -> Assertion:
    claim, measured, unit = assertion.claim, assertion.measured, assertion.unit
    if not (assertion.statement.strip() and assertion.setting.strip()):
        raise InputError(
            f"A finding of {claim} lacks its statement or its setting: write both."
        )
    if unit not in UNITS:
        similar = get_close_matches(unit, UNITS, n=1)
        proposal = (
            f"did you mean {similar[0]!r}?"
            if similar
            else f"choose from {', '.join(UNITS)}."
        )
        raise InputError(f"{unit!r} is no unit of a finding on {claim}: {proposal}")
    if measured.unit and unit != measured.unit:
        raise InputError(
            f"A finding on {claim} says {unit!r} of what was measured as "
            f"{measured.unit!r}: write the latter."
        )
    if assertion.rule.sign == "≤" and measured.at is not None:
        raise InputError(
            f"A finding on {claim} holds a random quantity against a tolerance: use "
            "record.below, which can leave it undecided."
        )
    lowest, highest = UNITS[unit]
    if not (math.isnan(measured.estimate) or lowest <= measured.estimate <= highest):
        raise InputError(
            f"A finding on {claim} measures {measured.estimate:g}, which no {unit} can "
            "be: correct the unit."
        )
    return assertion


def judged(assertions: Sequence[Assertion]) -> tuple[Finding, ...]:
    """The findings of one study: verdicts by rule, the deciding ones at one error of 5
    % together.

    Holm's step-down procedure on intervals: of the m deciding assertions with a random
    quantity, those whose interval at level 1 - 0.05/m decides are decided; with the k
    that are left it goes on at 1 - 0.05/k, until none is decided any more. What nothing
    random entered costs no error.

    Raises:
        InputError: two assertions of one claim, statement and setting, which replicates
            could not tell apart.

    Source: Holm 1979, Scandinavian Journal of Statistics 6.
    """
    keys = [(each.claim, each.statement, each.setting) for each in assertions]
    twice = [key for key in keys if keys.count(key) > 1]
    if twice:
        raise InputError(
            f"Two findings say of {twice[0][0]} the same in one setting: tell them "
            "apart."
        )
    levels = _levels(assertions)
    return tuple(
        _finding(each, levels.get(index)) for index, each in enumerate(assertions)
    )


def _levels(assertions: Sequence[Assertion]) -> dict[int, float]:
    """The level at which each random assertion is judged, by index."""
    random = [
        index for index, each in enumerate(assertions) if each.measured.at is not None
    ]
    levels = dict.fromkeys(random, 1 - ERROR)
    remaining = [index for index in random if assertions[index].role == "deciding"]
    while remaining:
        level = 1 - ERROR / len(remaining)
        levels |= dict.fromkeys(remaining, level)
        open_ones = [
            index
            for index in remaining
            if _decision(assertions[index], level) == "undecided"
        ]
        if len(open_ones) == len(remaining):
            break
        remaining = open_ones
    return levels


def _decision(assertion: Assertion, level: float) -> Verdict:
    return verdict(*_ends(assertion.measured, level), assertion.rule)


def _ends(measured: Interval, level: float | None) -> tuple[float, float]:
    if measured.at is None or level is None:
        return measured.low, measured.high
    return measured.at(level)


def _finding(assertion: Assertion, level: float | None) -> Finding:
    measured = assertion.measured
    low, high = (float(end) for end in _ends(measured, level))
    return Finding(
        claim=assertion.claim,
        role=assertion.role,
        statement=assertion.statement,
        setting=assertion.setting,
        measured=float(measured.estimate),
        low=low,
        high=high,
        level=level,
        unit=assertion.unit,
        n=int(measured.n),
        dtype=measured.dtype,
        rule=assertion.rule,
        verdict=verdict(low, high, assertion.rule),
        figure=assertion.figure,
    )
