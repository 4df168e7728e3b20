"""Does a network with batch normalisation train at 5 and 30 times the plain one's rate?

From the runs of `faster_training`: dense networks of six hidden layers of ReLUs, with
batch normalisation and without, at eight base rates and at 5 and 30 times each, which
are constant or fall exponentially to a hundredth, as the paper's fall. The rate of a
plain network is the base rate at which it ends with the highest accuracy on held-out
digits, and that accuracy is what others are compared with.

What decides, at each multiple and schedule: the accuracy at which a normalised network
ends at that many times this rate, minus that of the plain network at it. The rate is
borne if the loss is below two points: less than one in a hundred supports the claim,
more than three refute it, since a rate that costs more is of no use. That both ends are
possible was seen in two units of seed 100, judged nowhere, at constant rates: 5 times
the rate cost nothing, 30 times a third of the accuracy. Falling rates were added after
them, since the paper has them; all four comparisons decide.

Negative control, which must be refuted: the plain network at 5 and 30 times its rate.
A network that diverged counts with the accuracy of a guess.

Supporting: the slide's remark that 30 times the rate is slower than 5 times, and that
it ends higher. Slower is here as in the paper: the updates until a normalised network
is first where the plain one of the same unit ends, all of them if it never is. And how
soon that is at 1, 5 and 30 times the rate, over when the plain network itself is first
there.

A unit draws weights, order and both parts of the digits anew; the first ones tune the
plain rate, and resamples tune anew.

Not tested: other multiples (`stable_rates` finds the largest rate), a warm-up,
convolution.

Claims: C103.
Source: Ioffe and Szegedy 2015, arXiv:1502.03167, section 4.2 and figures 2 and 3.
Cost: seconds, after `faster_training`.
Expect: 5 times is borne at both schedules, 30 times only where rates fall.
Run: jaxml run higher_rates
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from jaxml import learn, record
from jaxml.record import Arm, Assertion, Rule
from jaxml.record.comparisons import compared
from jaxml.record.figures import Figure, band, label, legend_below, panels
from jaxml.types import Array, Keep

NEEDS = ("faster_training",)
SCHEDULES = ("constant rates", "rates that fall to a hundredth")
SHORT = ("constant", "falling")
NONE, BATCH = range(2)
MULTIPLES = (1, 5, 30)
SAME, FIVE, THIRTY = range(len(MULTIPLES))
BORNE = record.above(
    -0.02, margin=0.01, reason="a picture in a hundred, around two that may be lost"
)
HIGHER = record.above(0.0, margin=0.01, reason="one picture in a hundred")
REASON = "a factor of 1.25, less than a step of a usual grid of rates"
SLOWER = record.above(0.0, margin=float(np.log(1.25)), reason=REASON)
FASTER = record.below(0.0, margin=float(np.log(1.25)), reason=REASON)


@dataclass(frozen=True, kw_only=True)
class Config:
    """The seed of those runs, and of intervals."""

    seed: int = 0


SMOKE = Config()


class Result(NamedTuple):
    """Networks without normalisation and with it. Units that tune come first.

    Attributes:
        accuracy: held out, in the course of training.
        log_updates: until a network is first where the plain one of its unit and base
            rate ends; of all updates if it never is.
        updates: after how many accuracy was looked at.
        widths: of the hidden layers.
        examples: that train.
        tuning: how many of the units tune.
        seed: of intervals.
    """

    accuracy: Float[np.ndarray, "schedule network multiple rate unit look"]
    log_updates: Float[np.ndarray, "schedule network multiple rate unit"]
    updates: Array
    widths: Array
    examples: Array
    tuning: Array
    seed: Array


def study(config: Config, keep: Keep, faster_training: Any) -> Result:
    """From the runs of `faster_training`."""
    del keep
    found, networks = faster_training, slice(BATCH + 1)
    curves = found.accuracy[:, networks]
    units = curves.shape[-2:]
    curves = curves.reshape(*curves.shape[:2], len(MULTIPLES), -1, *units)
    ends = curves[:, NONE, None, SAME, None, ..., -1:]
    reached = curves >= ends
    first = found.updates[np.argmax(reached, axis=-1)]
    counts = np.where(np.any(reached, axis=-1), first, found.updates[-1])
    return Result(
        accuracy=curves,
        log_updates=np.log(counts.astype(np.float64)),
        updates=found.updates,
        widths=found.widths,
        examples=found.examples,
        tuning=found.tuning,
        seed=np.array(config.seed),
    )


def findings(result: Result) -> tuple[Assertion, ...]:
    """At each schedule: what is borne, the control, the remark, and the curves."""
    found: list[Assertion] = []
    for schedule in range(len(SCHEDULES)):
        judge = partial(_judged, result, schedule)
        found += _borne(result, schedule, judge)
        found += _remark(result, schedule, judge)
        found += _sooner(result, schedule, judge)
    return tuple(found)


def _borne(
    result: Result, schedule: int, judge: Callable[..., Assertion]
) -> list[Assertion]:
    """5 and 30 times the rate, with normalisation and without."""
    ends = result.accuracy[schedule, ..., -1]
    kinds = (
        (BATCH, record.deciding, "A batch-normalised network"),
        (NONE, record.supporting, "Control: a network without normalisation"),
    )
    return [
        judge(
            role,
            f"{who} at {MULTIPLES[place]} times the rate that is best without "
            "normalisation ends less than two points of held-out accuracy below a "
            "plain one at that rate.",
            (ends[network, place], ends[NONE, SAME]),
            BORNE,
        )
        for network, role, who in kinds
        for place in (FIVE, THIRTY)
    ]


def _remark(
    result: Result, schedule: int, judge: Callable[..., Assertion]
) -> list[Assertion]:
    """30 times the rate against 5 times."""
    log_updates = result.log_updates[schedule, BATCH]
    ends = result.accuracy[schedule, BATCH, ..., -1]
    who = (
        "A batch-normalised network at 30 times the rate that is best without "
        "normalisation"
    )
    return [
        judge(
            record.supporting,
            f"{who} takes more updates than at 5 times to where a plain one ends.",
            (log_updates[THIRTY], log_updates[FIVE]),
            SLOWER,
        ),
        judge(
            record.supporting,
            f"{who} ends at a higher held-out accuracy than at 5 times.",
            (ends[THIRTY], ends[FIVE]),
            HIGHER,
        ),
    ]


def _sooner(
    result: Result, schedule: int, judge: Callable[..., Assertion]
) -> list[Assertion]:
    """Where the plain network ends, at each multiple, over the plain network."""
    plain = result.log_updates[schedule, NONE, SAME]
    ours = zip(MULTIPLES, result.log_updates[schedule, BATCH], strict=True)
    return [
        judge(
            record.supporting,
            f"A batch-normalised network at {multiple} times the rate that is best "
            "without normalisation takes fewer updates to the held-out accuracy at "
            "which a plain one ends at that rate than this takes.",
            (log_updates, plain),
            FASTER,
        )
        for multiple, log_updates in ours
    ]


def _arms(
    result: Result, schedule: int, pair: tuple[np.ndarray, np.ndarray]
) -> tuple[Arm, Arm]:
    """Two quantities `[rate, unit]` at the base rate that is best without
    normalisation.
    """
    scores = -result.accuracy[schedule, NONE, SAME, ..., -1]
    ours, theirs = pair
    return Arm(ours, scores), Arm(theirs, scores)


def _judged(
    result: Result,
    schedule: int,
    role: Callable[..., Assertion],
    statement: str,
    pair: tuple[np.ndarray, np.ndarray],
    rule: Rule,
) -> Assertion:
    layers, width = len(result.widths), result.widths[0]
    setting = (
        f"8x8 digits, {result.examples} of them for training, dense network of "
        f"{layers} hidden layers of {width} ReLUs, SGD with momentum 0.9 in batches of "
        f"50, {result.updates[-1]} updates at {SCHEDULES[schedule]}"
    )
    return role(
        "C103",
        statement,
        record.tuned(
            record.mean_difference,
            *_arms(result, schedule, pair),
            tuning=int(result.tuning),
            seed=int(result.seed),
        ),
        rule,
        unit="log ratio" if rule in (SLOWER, FASTER) else "accuracy difference",
        setting=setting,
        figure="rates",
    )


def figures(result: Result) -> dict[str, Figure]:
    """The paper's curves at each schedule, and what is lost, unit by unit."""
    figure, axes = panels(1, 3, width=5.0, height=3.8)
    tuning, pairs = int(result.tuning), {}
    names = {NONE: "none", BATCH: "normalised"}
    for schedule, when in enumerate(SCHEDULES):
        accuracy = result.accuracy[schedule]
        best = learn.chosen(-accuracy[NONE, SAME, ..., -1], tuning)
        for network, place in ((NONE, 0), (BATCH, 0), (BATCH, 1), (BATCH, 2)):
            units = accuracy[network, place, best, tuning:]
            name = f"{names[network]}, {MULTIPLES[place]} times"
            band(axes[schedule], result.updates, units.T, name)
        label(axes[schedule], when, "updates", "held-out accuracy")
        for network, place in ((BATCH, 1), (BATCH, 2), (NONE, 1), (NONE, 2)):
            name = f"{names[network]}, {MULTIPLES[place]} times, {SHORT[schedule]}"
            ends = accuracy[..., -1]
            pair = (ends[network, place], ends[NONE, SAME])
            pairs[name] = _arms(result, schedule, pair)
    compared(axes[-1], pairs, BORNE, tuning=tuning)
    label(axes[-1], "Minus none at its best", "difference of accuracies", "rate")
    for axis in axes:
        legend_below(axis)
    return {"rates": figure}
