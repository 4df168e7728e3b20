"""Do training and test loss name the trouble with a model, and does the guide's tree?

Trainings are made up whose trouble is known by construction (`problem.planted_cases`):
model bias, failed optimization, overfitting, mismatch, noise beyond the goal, none, and
two at once. Their author had not seen the tool that diagnoses them. Goals come from the
construction.

*The two losses alone*, as the course's tree begins: a training loss above the goal
means model bias or failed optimization, one at the goal with a test loss above it means
overfitting or mismatch, and both at the goal mean success. The goal counts as exceeded
by a quarter of it, the margin of the tool. Scored on the cases with one of the five
troubles that the tree knows: the fraction named rightly. If the two losses name the
trouble it is above 0.8, by which a reader is misled less than once in five; guessing
among the three groups would score a third. 45 of 49 cases suffice to say so, and 32
or fewer refute it.

*The tree with its comparisons*, `learn.diagnose`: a simpler and a larger model, other
rates, longer training, held-out examples. Scored on all cases with one trouble, noise
included, by the confusion matrix; of two troubles either is right. What was asked of it
is 0.9.

Control: noise beyond the goal, of which the course's tree does not speak. There the two
losses must point to model bias or optimization, since the training loss is large, and
that is wrong.

Cases of one kind are alike in construction, so the interval over cases says how often
the tree errs on such cases as these, not on the trainings of the world.

Claims: C029.
Cost: 3.5 minutes on 2 cores, compilation included.
Expect: the two losses name the group of causes; the comparisons name the cause.
Run: jaxml run planted
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from jaxml import learn, problem, randomness, record
from jaxml.record import Assertion
from jaxml.record.figures import Axes, Figure, label, panels
from jaxml.types import Keep

KINDS = (
    "model bias",
    "optimization",
    "overfitting",
    "mismatch",
    "noise floor",
    "fine",
)
TOLD = (*KINDS, "undecided")
UNFITTED, UNCARRIED, SUCCESS = 0, 1, 2  # the groups that the two losses tell apart
GROUP = (UNFITTED, UNFITTED, UNCARRIED, UNCARRIED, UNFITTED, SUCCESS)  # of each kind
GROUPS = ("bias or optimization", "overfitting or mismatch", "success")
NOISE = KINDS.index("noise floor")


@dataclass(frozen=True, kw_only=True)
class Config:
    """How many cases of each name are left out, and what each diagnosis may spend."""

    every: int = 1
    seeds: int = 6
    longer: int = 4
    seed: int = 0


SMOKE = Config(every=40, seeds=2, longer=1)


class Result(NamedTuple):
    """What was planted, and what was found.

    Attributes:
        planted: whether a case has the trouble, by KINDS.
        told: the verdict, by TOLD.
        train: mean training loss of the diagnosed training.
        test: its mean test loss.
        goal: of each case.
        parts: of the test loss, by KINDS without "fine".
    """

    planted: Bool[np.ndarray, "case kind"]
    told: Int[np.ndarray, " case"]
    train: Float[np.ndarray, " case"]
    test: Float[np.ndarray, " case"]
    goal: Float[np.ndarray, " case"]
    parts: Float[np.ndarray, "case cause"]


class Case(NamedTuple):
    """What one diagnosis found, as `Result` without its first axis."""

    told: Int[np.ndarray, ""]
    train: Float[np.ndarray, ""]
    test: Float[np.ndarray, ""]
    parts: Float[np.ndarray, " cause"]


def study(config: Config, keep: Keep) -> Result:
    """One diagnosis a case."""
    cases = problem.planted_cases(config.seed)[:: config.every]
    found = []
    for index, case in enumerate(cases):
        diagnosed = partial(_diagnosed, case, config, index)
        found.append(Case(*keep(f"{case.name}, case {index}", diagnosed)))
    planted = [[kind in case.causes for kind in KINDS] for case in cases]
    return Result(
        planted=np.array(planted),
        told=np.stack([each.told for each in found]),
        train=np.stack([each.train for each in found]),
        test=np.stack([each.test for each in found]),
        goal=np.array([case.goal for case in cases]),
        parts=np.stack([each.parts for each in found]),
    )


def _diagnosed(case: problem.PlantedCase, config: Config, index: int) -> Case:
    (seed,) = randomness.seeds(0, 1, skip=64 * config.seed + index)
    budget = learn.Budget(
        updates=case.updates,
        batch=case.batch,
        seeds=config.seeds,
        longer=config.longer,
    )
    found = learn.diagnose(
        learn.Models(case.workload, case.sizes),
        learn.OPTIMIZERS[case.optimizer],
        learn.Hyper(lr=case.rate, seed=seed),
        case.test,
        budget=budget,
        goal=learn.Goal(case.goal),
    )
    seen = found.evidence
    parts = [found.causes[kind].loss for kind in KINDS if kind in found.causes]
    return Case(
        told=np.array(TOLD.index(found.verdict)),
        train=np.mean(seen.diagnosed.train[seen.own, 0]),
        test=np.array(found.test.loss),
        parts=np.array(parts),
    )


def _two_losses(result: Result) -> Int[np.ndarray, " case"]:
    """The group that training and test loss name, by GROUPS."""
    content = 1.25 * result.goal
    carried = np.where(result.test > content, UNCARRIED, SUCCESS)
    return np.where(result.train > content, UNFITTED, carried)


def _pure(result: Result) -> Bool[np.ndarray, " case"]:
    return np.sum(result.planted, axis=1) == 1


def findings(result: Result) -> tuple[Assertion, ...]:
    """Fractions of cases that are named rightly."""
    pure = _pure(result)
    kind = np.argmax(result.planted, axis=1)
    known = pure & (kind != NOISE)
    named = _two_losses(result) == np.array(GROUP)[kind]
    truths = np.hstack([result.planted, np.zeros((len(kind), 1), bool)])
    right = truths[np.arange(len(kind)), result.told]
    of = result.train
    finding = partial(record.supporting, "C029", unit="fraction", figure="confusion")
    return (
        record.deciding(
            "C029",
            "Training and test loss together name the trouble with a training: model "
            "bias or optimization, overfitting or mismatch, or none: fraction of "
            "cases.",
            record.proportion(named[known], of=of),
            record.above(0.8),
            unit="fraction",
            setting=_setting(known, "one of the five troubles that the tree knows"),
            figure="two_losses",
        ),
        finding(
            "Control, noise beyond the goal, which the course's tree does not know: "
            "the two losses name model bias or optimization: fraction of cases.",
            record.proportion(named[kind == NOISE], of=of),
            record.above(0.5),
            setting=_setting(pure & (kind == NOISE), "noise beyond the goal"),
        ),
        finding(
            "The guide's comparisons (a simpler and a larger model, other rates, "
            "longer training, held-out examples) name the trouble: fraction of cases.",
            record.proportion(right[pure], of=of),
            record.above(0.9),
            setting=_setting(pure, "one trouble or none"),
        ),
        finding(
            "The guide's comparisons name one of two troubles: fraction of cases.",
            record.proportion(right[~pure], of=of),
            record.above(0.9),
            setting=_setting(~pure, "two troubles"),
        ),
    )


def _setting(chosen: Bool[np.ndarray, " case"], what: str) -> str:
    return (
        f"{np.sum(chosen)} made-up trainings with {what}, of small networks and "
        "polynomials on drawn data and 8x8 digits"
    )


def figures(result: Result) -> dict[str, Figure]:
    """What was told against what was planted."""
    return {"confusion": _confusion(result), "two_losses": _losses(result)}


def _confusion(result: Result) -> Figure:
    figure, (axes,) = panels(1, 1, width=6.6, height=4.2)
    pure = _pure(result)
    kind = np.argmax(result.planted, axis=1)
    counts = np.zeros((len(KINDS), len(TOLD)))
    np.add.at(counts, (kind[pure], result.told[pure]), 1)
    _table(axes, counts, KINDS, TOLD)
    label(axes, "Cases with one trouble", "told by the comparisons", "planted")
    return figure


def _table(
    axes: Axes, counts: np.ndarray, rows: Sequence[str], columns: Sequence[str]
) -> None:
    """Counts as numbers on a grey grid."""
    axes.imshow(counts, cmap="Greys", vmin=0, vmax=2 * max(np.max(counts), 1))
    axes.set_xticks(range(len(columns)), columns, rotation=30, ha="right", fontsize=8)
    axes.set_yticks(range(len(rows)), rows, fontsize=8)
    axes.grid(visible=False)
    for place, count in np.ndenumerate(counts):
        row, column = place
        axes.text(column, row, f"{count:.0f}", ha="center", va="center", fontsize=9)


def _losses(result: Result) -> Figure:
    """Training and test loss of each case, in its goal."""
    figure, (axes,) = panels(1, 1, width=6.0, height=4.2)
    pure = _pure(result)
    kind = np.argmax(result.planted, axis=1)
    for place, name in enumerate(KINDS):
        chosen = pure & (kind == place)
        axes.plot(
            result.train[chosen] / result.goal[chosen],
            result.test[chosen] / result.goal[chosen],
            linestyle="",
            label=name,
        )
    axes.axvline(1.25, color="0.4", linestyle="--", marker="")
    axes.axhline(1.25, color="0.4", linestyle="--", marker="")
    axes.set_xscale("log")
    axes.set_yscale("log")
    label(
        axes,
        "The two losses of each case with one trouble",
        "training loss, in goals (dashed: goal and margin)",
        "test loss, in goals",
    )
    axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), fontsize=8, frameon=False)
    return figure
