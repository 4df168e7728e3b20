"""Is a model overfitted that does well on the test set and poorly later?

Notes of the course say so (X2). Overfitting parts training from testing. So, of what a
model errs more later than in training, the fraction is taken that shows on the test set
already: more than a half if it is overfitted, little if what came later was of another
kind. Models are the ridge regressions of 1,400 pictures of the study `mismatch`; what
comes later is inverted, or rotated by 90 degrees. The notes' sentence is about all such
models, so that one which is not overfitted contradicts it; there are two data sets. On
clothing "well" is about as well as in training.

The control is an overfitted model, the nearest neighbour of 100 pictures, judged later
on more pictures of the same kind: it must be found overfitted.

Units redraw 1,797 digits and 60,000 pictures of clothing; intervals speak of redraws of
these. Not tested: a test set that was chosen by, of which `leaderboard` tells.

Claims: X2.
Sources: Quiñonero-Candela et al. 2009, Dataset Shift in Machine Learning, MIT Press.
Cost: 2 seconds on 2 cores, compilation included.
Expect: not overfitted; the control is.
Run: jaxml run later_prediction
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from jaxml import record
from jaxml.record import Assertion, Interval
from jaxml.record.figures import Figure, label, panels, strips
from jaxml.types import Array, Keep

NEEDS = ("mismatch",)
DATA = ("8x8 digits redrawn from 1,797", "clothing of 7x7 pixels redrawn from 60,000")
TRAINING, TEST, SAME, INVERTED, ROTATED = range(5)  # places in `mismatch`
KINDS = (
    "training",
    "test",
    "more pictures of the same kind",
    "inverted pictures",
    "rotated pictures",
)
SHORT = ("training", "test", "later", "inverted", "rotated")
NEIGHBOUR, RIDGE = range(2)  # places in `mismatch`
SHOWN = record.above(0.5, margin=0.1, reason="less parts no two readings of a half")
WELL = (
    "A model that does about as well on the test set as in training and poorly later "
    "is overfitted: more than half of the rise of its error above that in training "
    "shows on the test set."
)
CONTROL = (
    "Control: a nearest neighbour of few examples is overfitted: more than half of the "
    "rise of its error above that in training shows on the test set."
)


@dataclass(frozen=True, kw_only=True)
class Config:
    """Which pictures the study `mismatch` draws."""

    seed: int = 0


SMOKE = Config()


class Result(NamedTuple):
    """Fractions of wrong answers, by kind of KINDS.

    Attributes:
        ours: of ridge regression on most examples.
        theirs: of the nearest neighbour of few.
        sizes: how many examples are most, and few.
        seed: of the pictures.
    """

    ours: Float[np.ndarray, "data kind unit"]
    theirs: Float[np.ndarray, "data kind unit"]
    sizes: Int[np.ndarray, " size"]
    seed: Int[np.ndarray, ""]


class Case(NamedTuple):
    """A model, and what it is asked about later."""

    make: Callable[..., Assertion]
    statement: str
    errors: Float[np.ndarray, "kind unit"]
    kind: int
    model: str


def study(config: Config, keep: Keep, mismatch: Any) -> Result:
    """The classifiers have been asked."""
    del keep
    few = int(mismatch.few)
    return Result(
        ours=mismatch.errors[:, RIDGE, : len(KINDS), -1],
        theirs=mismatch.errors[:, NEIGHBOUR, : len(KINDS), few],
        sizes=mismatch.sizes[np.array([-1, few])],
        seed=np.array(config.seed),
    )


def findings(result: Result) -> tuple[Assertion, ...]:
    """Of each data set both changes, and the control."""
    most, few = result.sizes
    ridge = f"ridge regression of {most:,} examples"
    neighbour = f"nearest neighbour of {few} examples"
    found: list[Assertion] = []
    for data, ours in enumerate(result.ours):
        theirs = result.theirs[data]
        cases = (
            Case(record.deciding, WELL, ours, INVERTED, ridge),
            Case(record.deciding, WELL, ours, ROTATED, ridge),
            Case(record.supporting, CONTROL, theirs, SAME, neighbour),
        )
        found += [_shown(case, DATA[data]) for case in cases]
    return tuple(found)


def _shown(case: Case, data: str) -> Assertion:
    errors = case.errors
    measured = _fraction_shown(errors[TRAINING], errors[TEST], errors[case.kind])
    setting = f"{data}, {case.model}, later {KINDS[case.kind]}"
    return case.make(
        "X2", case.statement, measured, SHOWN, unit="ratio", setting=setting
    )


def _fraction_shown(training: Array, test: Array, later: Array) -> Interval:
    """Of the way from the training error to the later one."""

    def shown(first: Array, second: Array, third: Array) -> float:
        whole = record.mean_difference(third, first)
        return record.mean_difference(second, first) / whole

    return record.bootstrap(shown, training, test, later)


def figures(result: Result) -> dict[str, Figure]:
    """Errors of both models on all kinds, a point a unit."""
    most, few = result.sizes
    models = (f"ridge regression of {most:,}", f"nearest neighbour of {few}")
    count = len(result.ours)
    figure, axes = panels(count, 2, width=5.0, height=3.6)
    for data in range(count):
        for place, errors in enumerate((result.ours[data], result.theirs[data])):
            axis = axes[2 * data + place]
            strips(axis, dict(zip(SHORT, errors, strict=True)))
            title = f"{DATA[data]}\n{models[place]}"
            label(axis, title, "pictures", "fraction of errors, a point a unit")
    return {"kinds": figure}
