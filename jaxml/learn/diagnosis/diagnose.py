"""The course's general guide to training as a function of a user's own model."""

from functools import partial
from typing import Any, NamedTuple

import numpy as np

from jaxml.learn.diagnosis.advice import Evidence, advice
from jaxml.learn.diagnosis.asked import (
    Budget,
    Goal,
    Models,
    margin,
    require_budget,
    require_data,
    require_hyper,
    require_sizes,
)
from jaxml.learn.diagnosis.causes import (
    Cause,
    Part,
    Verdict,
    compared,
    parts,
    test_loss,
    verdict,
)
from jaxml.learn.diagnosis.embedded import continued
from jaxml.learn.diagnosis.shift import shift
from jaxml.learn.diagnosis.trained import BLOCKS, Plan, prepared, trained
from jaxml.learn.optimizers.rates import Family
from jaxml.types import Batch, InputError, Keep, compute_now

FRACTIONS = (0.25, 0.5)
"""Of the training examples, for the learning curve."""


class Diagnosis(NamedTuple):
    """Why a training's test loss is what it is.

    Attributes:
        verdict: the largest cause, "fine", or "undecided".
        causes: every part of the test loss with its interval, by cause.
        test: the mean test loss.
        goal: what was asked for, and the margin.
        advice: the next thing to try.
        evidence: the losses of all trainings, and the shift of the inputs.
    """

    verdict: Verdict
    causes: dict[Cause, Part]
    test: Part
    goal: Goal
    advice: str
    evidence: Evidence


def diagnose(
    models: Models,
    family: Family,
    hyper: Any,
    test: Batch,
    *,
    budget: Budget,
    goal: Goal,
    keep: Keep = compute_now,
) -> Diagnosis:
    """The cause of a large test loss: model bias, optimization, overfitting, mismatch,
    or a noise floor.

    The diagnosed training is repeated for several seeds, each with examples of its own
    held out, at other rates and for longer; so are a simpler and a larger model; and
    it is repeated on fewer examples. `causes` splits the test loss by what they show:
    what is not fitted (by the guide: a model no larger that fits better proves an
    optimization failure, a larger one that is also better on held-out examples proves a
    model bias, and what none removes is the noise floor), what does not carry over
    to held-out examples (overfitting), and what does not carry over from those to the
    test set (mismatch). The verdict is the largest part whose interval lies beyond the
    margin.

    Cost: three programs, and the runs that `Budget` states. The intervals are Student's
    over seeds; they contain the test set's own sampling error, not that of the data
    as a whole, which all seeds share. The best of several trainings is chosen by the
    losses that it is compared by, which favours it by less than a margin should be.

    Args:
        models: by size, the second of which is diagnosed.
        family: the optimizer.
        hyper: its hyperparameters, as `learn.Hyper(lr=...)`; the seed moves all seeds.
        test: later examples, none of which is trained on.
        budget: what may be spent.
        goal: which losses matter.
        keep: `(name, compute) -> value`, where storage, resuming and progress hang.

    Raises:
        InputError: models that do not grow with their size, equal targets, test rows
            that are training rows, fewer than ten test rows, fewer than four training
            examples, hyperparameters without a rate or a seed, a budget or goal that
            makes no sense, or as `sweep`.

    Source: Lee 2021, "General guide" of the course's second lecture; the split of the
        training data into two parts after Ng 2018, "Machine learning yearning", 40.
    """
    require_budget(budget, goal)
    require_hyper(hyper)
    simpler, diagnosed, larger = require_sizes(models)
    require_data(diagnosed, test)
    _require_examples(diagnosed.train, test)
    plan = Plan(family, hyper, test, budget, int(hyper.seed))
    names = ("simpler", "diagnosed", "larger")
    ready = [prepared(plan, each) for each in (simpler, diagnosed, larger)]
    every_factor = partial(trained, plan, factors=budget.factors)
    found = [
        every_factor(each, keep, train=each.workload.train, name=name)
        for each, name in zip(ready, names, strict=True)
    ]
    on_fewer = partial(trained, plan, ready[1], keep, factors=(1.0,))
    fewer = tuple(
        on_fewer(train=count, name=f"{count} examples")
        for count in _counts(diagnosed.train)
    )
    embedded = continued(plan, models, diagnosed, found[0], found[1], keep)
    moved = shift(diagnosed.data.inputs, test.inputs)
    seen = Evidence(
        sizes=models.sizes,
        rates=hyper.lr * np.asarray(budget.factors),
        updates=budget.updates * np.arange(1, budget.longer + 1),
        own=list(budget.factors).index(1.0),
        simpler=found[0],
        diagnosed=found[1],
        larger=found[2],
        fractions=FRACTIONS,
        fewer=fewer,
        embedded=embedded,
        shift=moved,
    )
    return judged(seen, goal)


def judged(seen: Evidence, goal: Goal) -> Diagnosis:
    """The verdict that the evidence implies, by arithmetic alone."""
    losses = compared(seen.simpler, seen.diagnosed, seen.larger, factor=seen.own)
    if seen.embedded is not None:
        losses = losses._replace(reached=_lower(losses.reached, seen.embedded))
    causes = parts(losses, goal.loss)
    of_test = test_loss(losses)
    least = margin(goal)
    found = verdict(causes, of_test, goal=goal.loss, margin=least)
    told = advice(found, seen, margin=least)
    return Diagnosis(found, causes, of_test, goal, told, seen)


def _lower(reached: np.ndarray, embedded: np.ndarray) -> np.ndarray:
    """The lower in the mean of what was reached and of the embedded solution's end."""
    last = embedded[-1]
    return last if np.mean(last) < np.mean(reached) else reached


def _counts(train: int) -> list[int]:
    """Training examples of the learning curve."""
    return [int(train * fraction) for fraction in FRACTIONS]


def _require_examples(train: int, test: Batch) -> None:
    if _counts(train)[0] < 1:
        raise InputError(
            f"{train} training examples have no quarter to begin a learning curve "
            "with: give 4 or more."
        )
    if len(test.weights) < BLOCKS:
        raise InputError(
            f"{len(test.weights)} test rows have no spread: give {BLOCKS} or more."
        )
