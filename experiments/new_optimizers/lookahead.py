"""Does Lookahead make training steadier?

SGD with momentum and Adam, each plain and in Lookahead, k = 5 and α = 1/2, train a
small dense network on digits and on pictures of clothing, whose 4x4 blocks are averaged
to 7x7 pixels. (Plain is Lookahead with α = 1, so that both are one program.) All run
over one grid of rates, and are tuned by the last held-out loss, as a user would.
Networks are evaluated after every round of k updates, Lookahead's at its slow weights.

Steadier: the mean rise of the logarithm of the training loss from one evaluation to the
next, over the whole run. A loss that falls at each of them has none, however fast it
falls, and its size does not count. It is compared where wrapping is all that changes
(both at the rate that is best for the plain optimizer), as the claim has it, and where
both are tuned, which supports alone: it did not hold from other seeds. Since α = 1/2
halves the distance of a round, a further line gives the plain optimizer half of
Lookahead's rate. The control is the plain optimizer at half of its own rate, whose
shorter steps must be seen to be calmer.

Outcomes: a ratio below 0.9 supports, one above 1.1 refutes, one between is no effect;
the margin is a tenth, since a tenth of the rises cannot be seen in a curve. Units:
initial weights, order and split are drawn anew; twenty tune, twenty others judge, and
the tuning is resampled. Rates step by √2. Grids and lengths were placed by the losses
of coarse runs from another seed (100), which also showed rises: at equal rates they
were smaller. A first version took the absolute change of the loss, which counts falling
as unsteady, and all its units had one split and one tuned rate. Whether the minima are
flatter is asked by the study lookahead_flatness.

Claims: C120.
Sources: Zhang, Lucas, Hinton and Ba 2019, arXiv:1907.08610.
Cost: 24 seconds on 2 cores, compilation included.
Expect: steadier at one rate; tuned, less so.
Run: jaxml run lookahead
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from jaxml import learn, problem, record
from jaxml.record.comparisons import ratios
from jaxml.record.figures import Figure, by_rate, label, panels, shared_legend
from jaxml.types import Keep, Workload

LOWEST = {"momentum": 0.004, "adam": 0.001}  # rates of the grids
NAMES = {"momentum": "SGD with momentum", "adam": "Adam"}
PICTURES = {"digits": "8x8 digits", "clothing": "7x7 pictures of clothing"}
PULLS = {"plain": 1.0, "in Lookahead": 0.5}  # α; at 1 slow and fast weights are one
K = 5  # updates of a round, and between evaluations
HALF = 2  # steps of √2 down

CALMER = record.below(
    1.0, margin=0.1, reason="a tenth of the rises cannot be seen in a curve"
)


@dataclass(frozen=True, kw_only=True)
class Config:
    """The network, how few examples it sees, and for how long."""

    width: int = 32
    examples: int = 300  # to train on, and as many others to judge by
    clothing: int = 10_000  # pictures to draw from; 0 takes digits in their place
    steps: int = 600
    batch: int = 20
    methods: int = 2  # of LOWEST, the first ones
    rates: int = 11
    tuning: int = 20
    judging: int = 20
    lanes: int = 20
    seed: int = 0


SMOKE = Config(
    width=4,
    examples=40,
    clothing=0,
    steps=30,
    batch=1,
    methods=1,
    rates=6,
    tuning=2,
    judging=2,
    lanes=24,
)


class Found(NamedTuple):
    """What became of all runs on one data set, by method, in the order of LOWEST as far
    as they take part, and kind of PULLS.
    """

    train: Float[np.ndarray, "method kind rate unit round"]
    test: Float[np.ndarray, "method kind rate unit"]  # last, nan where it diverged
    weights: np.ndarray  # [], of the network


class Result(NamedTuple):
    """Both data sets, and what they have in common."""

    digits: Found
    clothing: Found
    rates: Float[np.ndarray, "method rate"]
    tuning: np.ndarray  # [], units that tune; the others judge
    setting: np.ndarray  # [2], examples to train on, updates


def study(config: Config, keep: Keep) -> Result:
    """One program a data set and method."""
    count = config.examples
    work = problem.digits_workload(train=count, test=count, width=config.width)
    digits = clothing = _found(config, "digits", work, keep)
    if config.clothing:
        work = problem.small_clothing_workload(
            pool=config.clothing, train=count, test=count, width=config.width
        )
        clothing = _found(config, "clothing", work, keep)
    return Result(
        digits=digits,
        clothing=clothing,
        rates=np.stack([_rates(config, method) for method in _methods(config)]),
        tuning=np.array(config.tuning),
        setting=np.array([config.examples, config.steps]),
    )


def _methods(config: Config) -> list[str]:
    return list(LOWEST)[: config.methods]


def _rates(config: Config, method: str) -> np.ndarray:
    return LOWEST[method] * np.sqrt(2) ** np.arange(config.rates)


def _found(config: Config, name: str, work: Workload, keep: Keep) -> Found:
    """All runs on one data set."""
    measures = {each: work.measures[each] for each in ("train", "test")}
    work = work._replace(measures=measures)
    entrants = {}
    for method in _methods(config):
        rates, pulls = _rates(config, method), list(PULLS.values())
        grid = learn.grid(learn.Hyper, pull=pulls, lr=rates, period=[K])
        family = learn.lookahead(learn.OPTIMIZERS[method])
        entrants[f"{name} {method}"] = learn.Entrant(family, grid)
    contests = learn.compare(
        learn.experiment(work, batch=config.batch, steps=config.steps, every=K),
        entrants,
        lanes=config.lanes,
        units=learn.Units(config.tuning, config.judging),
        seed=config.seed,
        keep=keep,
    )
    train = np.stack([each.curves["train"] for each in contests.values()])
    test = np.stack([each.final["test"] for each in contests.values()])
    by_arm = config.methods, len(PULLS), config.rates
    return Found(
        train=train.reshape(*by_arm, *train.shape[2:]),
        test=test.reshape(*by_arm, -1),
        weights=np.array(problem.weights(work)),
    )


class _Arm(NamedTuple):
    """A method, plain or in Lookahead, on one data set, `[rate, unit]` each."""

    test: np.ndarray
    rises: np.ndarray  # the mean rise of ln loss, nan where the run diverged


class _Pair(NamedTuple):
    """A method, plain and in Lookahead, and where."""

    plain: _Arm
    ahead: _Arm
    name: str  # of the method
    setting: str
    figure: str


def _pairs(result: Result) -> Iterator[_Pair]:
    """Both methods on both data sets."""
    examples, updates = result.setting
    found = {"digits": result.digits, "clothing": result.clothing}
    for name, seen in found.items():
        for method, train, test in zip(LOWEST, seen.train, seen.test, strict=False):
            rises = map(_rises, train, test)
            plain, ahead = map(_Arm, test, rises)
            words = NAMES[method]
            setting = (
                f"{PICTURES[name]} ({examples:,} for training), "
                f"dense network of {seen.weights:,} weights, {updates:,} updates, "
                f"{words}, k = 5 and α = 1/2"
            )
            yield _Pair(plain, ahead, words, setting, name)


def _rises(train: np.ndarray, test: np.ndarray) -> np.ndarray:
    changes = np.diff(np.log(train), axis=-1)
    rises = np.mean(np.maximum(changes, 0), axis=-1)
    return np.where(np.isfinite(test), rises, np.nan)


def findings(result: Result) -> tuple[record.Assertion, ...]:
    """In Lookahead against plain, by the same units; the tuning is resampled."""
    found: list[record.Assertion] = []
    for pair in _pairs(result):
        found += _wrapped(pair, int(result.tuning))
        found += _shorter(pair, int(result.tuning))
    return tuple(found)


def _ratio(ours: np.ndarray, theirs: np.ndarray) -> float:
    """Ratio of mean rises; nan where theirs never rise."""
    return record.ratio_of_means(ours, theirs) if np.any(theirs) else float("nan")


def _wrapped(pair: _Pair, tuning: int) -> tuple[record.Assertion, ...]:
    """At the plain optimizer's rate, and both tuned."""
    plain, ahead = pair.plain, pair.ahead
    without = record.Arm(plain.rises, scores=plain.test)
    unchanged = record.Arm(ahead.rises, scores=plain.test)
    tuned = record.Arm(ahead.rises, scores=ahead.test)
    ratio = partial(record.tuned, _ratio, tuning=tuning)
    decided = partial(record.deciding, "C120", unit="ratio", figure=pair.figure)
    beside = partial(record.supporting, "C120", unit="ratio", figure=pair.figure)
    return (
        decided(
            "Wrapped in Lookahead at an unchanged rate the optimizer has smaller rises "
            "of the logarithm of the training loss from round to round.",
            ratio(unchanged, without),
            CALMER,
            setting=f"{pair.setting}, both at the rate tuned for the plain optimizer",
        ),
        beside(
            "With Lookahead the logarithm of the training loss rises less from round "
            "to round than without.",
            ratio(tuned, without),
            CALMER,
            setting=f"{pair.setting}, both rates tuned",
        ),
    )


def _shorter(pair: _Pair, tuning: int) -> tuple[record.Assertion, ...]:
    """Against the plain optimizer at half of Lookahead's rate; the control."""
    plain, ahead = pair.plain, pair.ahead
    by_ahead, by_plain = ahead.test[HALF:], plain.test[HALF:]
    whole = record.Arm(ahead.rises[HALF:], scores=by_ahead)
    at_half = record.Arm(plain.rises[:-HALF], scores=by_ahead)
    usual = record.Arm(plain.rises[HALF:], scores=by_plain)
    slower = record.Arm(plain.rises[:-HALF], scores=by_plain)
    ratio = partial(record.tuned, _ratio, tuning=tuning)
    beside = partial(record.supporting, "C120", unit="ratio", figure=pair.figure)
    return (
        beside(
            "With Lookahead the logarithm of the training loss rises less from round "
            "to round than without at half the rate.",
            ratio(whole, at_half),
            CALMER,
            setting=f"{pair.setting}, Lookahead's rate tuned",
        ),
        beside(
            "Without Lookahead the logarithm of the training loss rises less from "
            "round to round at half the rate (the control).",
            ratio(slower, usual),
            CALMER,
            setting=f"{pair.setting}, the plain rate tuned",
        ),
    )


def figures(result: Result) -> dict[str, Figure]:
    """By rate, a data set each: rises, and the last test loss."""
    digits, clothing = _draw(result, "digits"), _draw(result, "clothing")
    return {"digits": digits, "clothing": clothing}


def _draw(result: Result, name: str) -> Figure:
    pairs = [pair for pair in _pairs(result) if pair.figure == name]
    figure, axes = panels(len(pairs), 3)
    tuning, where = int(result.tuning), "rate η (line: tuned)"
    for row, (pair, rates) in enumerate(zip(pairs, result.rates, strict=True)):
        rises, test, decides = axes[3 * row : 3 * row + 3]
        for kind, arm in zip(PULLS, (pair.plain, pair.ahead), strict=True):
            best = learn.chosen(arm.test, tuning)
            by_rate(rises, rates, arm.rises, best, kind)
            by_rate(test, rates, arm.test, best, kind)
        label(rises, pair.name, where, "mean rise of ln training loss a round")
        label(test, pair.name, where, "last test loss (nats)")
        scores = pair.plain.test
        arms = {
            "plain": record.Arm(pair.plain.rises, scores),
            "in\nLookahead": record.Arm(pair.ahead.rises, scores),
        }
        ratios(decides, arms, CALMER, tuning=tuning)
        shown = "rises of a run over the mean of plain ones"
        label(decides, "Both at the rate tuned for plain", shown, "optimizer")
    shared_legend(figure, columns=6)
    return figure
