"""How good does the best of many models look that all guess?

The course warns of the public part of a leaderboard: let a program submit random models
for long enough, 10¹² of them say, and one of them will look good. For K models that
guess one of two classes on n items the expected best score is exact, the sum over k of
P(best ≥ k)/n with binomial scores. It looks good if it is above what one such model
exceeds in less than 1 of 20 cases, 0.526 on 1,000 items; a fixed model would. So the
outcome depends on K: the control is K = 1, which must not look good. "Good" is then
better than chance; whether it is half of the way to perfect, 0.75, depends on the
number of items, which the course does not print, and stands beside for 1,000 and 50.

The ledger prints ½ + √(ln K / 2n), a bound from above, for three K; beside it stands
the exact value. Drawn are 100 models a unit, whose best must have a private score of ½.
Real models are the matter of `leaderboard`.

Claims: C042.
Sources: Blum and Hardt 2015, arXiv:1502.04585 (leaderboards); Massart 2007,
    Concentration Inequalities and Model Selection, lemma 2.3 (the bound).
Cost: 2 seconds on 2 cores, compilation included.
Expect: as the course says; the printed bound is too high by less than 0.01. Of 10¹²
    models on 1,000 items the best is far from 0.75.
Run: jaxml run guessing_models
"""

from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy import stats

from jaxml import randomness, record
from jaxml.record import Assertion
from jaxml.record.figures import Figure, label, legend_below, panels, strips
from jaxml.types import Keep

ITEMS = 1000  # of the public part, and of the private one
COUNTS = (1, 100, 10**4, 10**6, 10**12)  # of models that guess
DECIDE = (100, 10**12)  # the least of the ledger's, and the course's own
PRINTED = {100: 0.548, 10**4: 0.568, 10**6: 0.583}  # ½ + √(ln K / 2n)
CHANCE = 0.526  # on ITEMS, exceeded by less than 1 in 20 of models that guess
FEW_ITEMS = 50
HALFWAY = 0.75  # from chance to perfect
HUNDREDTH = "one item in a hundred"


@dataclass(frozen=True, kw_only=True)
class Config:
    """Leaderboards that are drawn, and models on each."""

    units: int = 400
    models: int = 100
    seed: int = 0


SMOKE = Config(units=3)


class Result(NamedTuple):
    """Fractions of right answers.

    Attributes:
        best: expected best public score of COUNTS models.
        few_items: the same on FEW_ITEMS.
        public: the best public score of each leaderboard that was drawn.
        private: that model's private score.
        models: on each leaderboard that was drawn.
    """

    best: Float[np.ndarray, " count"]
    few_items: Float[np.ndarray, " count"]
    public: Float[np.ndarray, " unit"]
    private: Float[np.ndarray, " unit"]
    models: np.ndarray


def study(config: Config, keep: Keep) -> Result:
    """Binomial scores, exact and drawn."""
    del keep  # all of it takes a second
    seeds = randomness.seeds(config.seed, config.units)
    public, private = np.array([_drawn(config.models, seed) for seed in seeds]).T
    return Result(
        best=np.array([_expected_best(count, ITEMS) for count in COUNTS]),
        few_items=np.array([_expected_best(count, FEW_ITEMS) for count in COUNTS]),
        public=public,
        private=private,
        models=np.array(config.models),
    )


def _expected_best(count: int, items: int) -> float:
    """The sum over k ≥ 1 of P(best ≥ k), over the items. Small upper tails do not round
    to 0, for 10¹² of them may add up.
    """
    scores = np.arange(items)
    above = stats.binom.sf(scores, items, 0.5)
    rounded = stats.binom.logcdf(scores, items, 0.5)
    below = np.where(above < 0.5, np.log1p(-np.minimum(above, 0.5)), rounded)
    return float(np.mean(-np.expm1(count * below)))


def _drawn(models: int, seed: int) -> tuple[float, float]:
    """The best public score of models that guess, and its private score."""
    random = np.random.default_rng(seed)
    public, private = random.binomial(ITEMS, 0.5, (2, models)) / ITEMS
    best = int(np.argmax(public))
    return public[best], private[best]


def findings(result: Result) -> tuple[Assertion, ...]:
    """The expected best exactly, beside the printed numbers; its private score."""
    decides = partial(record.deciding, "C042", unit="accuracy")
    finding = partial(record.supporting, "C042", unit="accuracy")
    found: list[Assertion] = []
    for count, best in zip(COUNTS, result.best, strict=True):
        make = decides if count in DECIDE else finding
        good = make(
            "The expected best public score is above 0.526, which a single model "
            "exceeds in less than 1 of 20 cases.",
            record.certain(best),
            record.above(CHANCE),
            setting=_setting(count),
        )
        found.append(good)
        if count not in PRINTED:
            continue
        near = finding(
            "The expected best public score is within a hundredth of "
            f"{PRINTED[count]}, its bound ½ + √(ln K / 2n).",
            record.certain(best),
            record.near(PRINTED[count], margin=0.01, reason=HUNDREDTH),
            setting=_setting(count),
        )
        found.append(near)
    found += _halfway(result)
    half = finding(
        "The model of the best public score has a private score of ½.",
        record.bootstrap(np.mean, result.private),
        record.near(0.5, margin=0.01, reason=HUNDREDTH),
        setting=_setting(int(result.models), "drawn"),
        figure="drawn",
    )
    return (*found, half)


def _halfway(result: Result) -> list[Assertion]:
    """The best of the course's 10¹² models, on many and on few items."""
    cases = ((ITEMS, result.best[-1]), (FEW_ITEMS, result.few_items[-1]))
    return [
        record.supporting(
            "C042",
            "The expected best public score is more than halfway from chance to "
            "perfect, above 0.75.",
            record.certain(best),
            record.above(HALFWAY),
            unit="accuracy",
            setting=_setting(COUNTS[-1], items=items),
        )
        for items, best in cases
    ]


def _setting(count: int, how: str = "exact", *, items: int = ITEMS) -> str:
    models = f"{count:,} models that guess one of two classes"
    return f"{models}, {items:,} public items, {how}"


def figures(result: Result) -> dict[str, Figure]:
    """The expected best by the number of models; those that were drawn."""
    figure, (axis,) = panels(1, 1, width=5.0, height=3.8)
    bound = 0.5 + np.sqrt(np.log(COUNTS) / (2 * ITEMS))
    axis.plot(COUNTS, result.best, label="expected best, exact")
    axis.plot(COUNTS, bound, label="½ + √(ln K / 2n)")
    axis.axhline(CHANCE, color="0.4", linestyle=":", label="1 model in 20", marker="")
    axis.set_xscale("log")
    label(axis, f"Guesses on {ITEMS:,} items", "models K", "public score")
    legend_below(axis)
    drawn, (points,) = panels(1, 1, width=4.6, height=3.4)
    strips(points, {"public": result.public, "private": result.private})
    label(points, f"The best of {result.models}", "score", "accuracy, a point a unit")
    return {"guesses": figure, "drawn": drawn}
