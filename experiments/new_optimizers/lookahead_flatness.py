"""Does Lookahead end in flatter minima, and does it generalise better?

SGD with momentum and Adam, each plain and in Lookahead, k = 5 and α = 1/2, train a
small dense network on digits and on pictures of clothing, whose 4x4 blocks are averaged
to 7x7 pixels. (Plain is Lookahead with α = 1, so that both are one program.) All run
over one grid of rates, and are tuned by the last held-out loss, as a user would.

Flatter: the highest eigenvalue of the Hessian of the training loss at the weights that
are evaluated, Lookahead's slow ones, by Lanczos. It falls with the loss, so it is read
where the training loss first falls to a level, by lines between ten evaluations: 0.1
nats on digits and 0.7 on clothing, which all runs near the best rates reach. That is on
the way to a minimum, since the loss has none at a finite distance. The control is the
plain optimizer at twice its rate, which should be flatter if the instrument can tell;
in the first run it was for momentum alone, so Adam's rows decide nothing.

Outcomes: a ratio below 0.9 supports, one above 1.1 refutes, one between is no effect;
the margin is a tenth, since that moves the largest stable rate by a tenth, a quarter of
a step of the grid. Units: initial weights, order and split are drawn anew; twenty tune,
twenty others judge, and the tuning is resampled. Rates step by √2. Grids, levels and
lengths were placed by the losses of coarse runs from another seed (100), without any
eigenvalue. In a first version all units had one split and one tuned rate.

Claims: C120.
Sources: Zhang, Lucas, Hinton and Ba 2019, arXiv:1907.08610.
Cost: 43 seconds on 2 cores, compilation included.
Expect: no difference that matters.
Run: jaxml run lookahead_flatness
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from jaxml import curvature, learn, problem, randomness, record
from jaxml.record.comparisons import ratios
from jaxml.record.figures import Figure, by_rate, label, panels, shared_legend
from jaxml.types import Dataset, Keep, Params, Workload

Measure = Callable[[Params, Dataset], Any]

LOWEST = {"momentum": 0.004, "adam": 0.001}  # rates of the grids
NAMES = {"momentum": "SGD with momentum", "adam": "Adam"}
PICTURES = {"digits": "8x8 digits", "clothing": "7x7 pictures of clothing"}
PULLS = {"plain": 1.0, "in Lookahead": 0.5}  # α; at 1 slow and fast weights are one
DECIDING = ("momentum",)  # Adam at twice its rate is no flatter, so nothing tells there
K = 5  # updates of a round
TWICE = 2  # steps of √2 up

FLATTER = record.below(
    1.0, margin=0.1, reason="it moves the largest stable rate by a tenth"
)
LOWER = record.below(
    0.0, margin=0.01, reason="0.01 nats is 1 % in the probability of the right class"
)


@dataclass(frozen=True, kw_only=True)
class Config:
    """The network, how few examples it sees, and for how long."""

    width: int = 32
    examples: int = 300  # to train on, and as many others to judge by
    clothing: int = 10_000  # pictures to draw from; 0 takes digits in their place
    digits_level: float = 0.1  # training losses at which eigenvalues are compared
    clothing_level: float = 0.7
    steps: int = 600
    every: int = 60  # updates between evaluations
    depth: int = 12  # of Lanczos' iteration
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
    digits_level=2.2,
    steps=60,
    every=4,
    depth=2,
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

    test: Float[np.ndarray, "method kind rate unit"]  # last, nan where it diverged
    sharpness: Float[np.ndarray, "method kind rate unit"]  # at the level, nan if never
    level: np.ndarray  # []
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
    digits = clothing = _found(config, work, config.digits_level, keep)
    if config.clothing:
        work = problem.small_clothing_workload(
            pool=config.clothing, train=count, test=count, width=config.width
        )
        clothing = _found(config, work, config.clothing_level, keep)
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


def _found(config: Config, work: Workload, level: float, keep: Keep) -> Found:
    """All runs on one data set."""
    measures = {name: work.measures[name] for name in ("train", "test")}
    measures["sharpness"] = _sharpness(config, measures["train"])
    entrants = {}
    for method in _methods(config):
        rates, pulls = _rates(config, method), list(PULLS.values())
        grid = learn.grid(learn.Hyper, pull=pulls, lr=rates, period=[K])
        family = learn.lookahead(learn.OPTIMIZERS[method])
        entrants[f"{method} to {level}"] = learn.Entrant(family, grid)
    contests = learn.compare(
        learn.experiment(
            work._replace(measures=measures),
            batch=config.batch,
            steps=config.steps,
            every=config.every,
        ),
        entrants,
        lanes=config.lanes,
        units=learn.Units(config.tuning, config.judging),
        seed=config.seed,
        keep=keep,
    )
    by_arm = config.methods, len(PULLS), config.rates, -1
    sharpness = np.stack([_at(level, each) for each in contests.values()])
    test = np.stack([each.final["test"] for each in contests.values()])
    return Found(
        test=test.reshape(by_arm),
        sharpness=sharpness.reshape(by_arm),
        level=np.array(level),
        weights=np.array(problem.weights(work)),
    )


def _sharpness(config: Config, on_train: Measure) -> Measure:
    """The highest eigenvalue of the Hessian of the training loss."""
    key = randomness.key(config.seed)

    def sharpness(params: Params, own: Dataset) -> Any:
        product = curvature.hessian_product(on_train, params, own)
        ends = curvature.extremes(product, params, count=1, depth=config.depth, key=key)
        return ends.values[-1]

    return sharpness


def _at(level: float, contest: learn.Contest) -> np.ndarray:
    """Each run's sharpness where its training loss first falls to the level; nan where
    it never does, or did before the first evaluation.
    """
    train, sharpness = contest.curves["train"], contest.curves["sharpness"]
    passed = record.first_passages(train, sharpness, level)
    return np.where(train[..., 0] > level, passed, np.nan)


class _Arm(NamedTuple):
    """A method, plain or in Lookahead, on one data set, `[rate, unit]` each."""

    test: np.ndarray
    sharpness: np.ndarray


class _Pair(NamedTuple):
    """A method, plain and in Lookahead, and where."""

    plain: _Arm
    ahead: _Arm
    name: str  # of the method
    setting: str
    level: str
    figure: str
    decides: bool


def _pairs(result: Result) -> Iterator[_Pair]:
    """Both methods on both data sets."""
    examples, updates = result.setting
    found = {"digits": result.digits, "clothing": result.clothing}
    for name, seen in found.items():
        rows = zip(LOWEST, seen.test, seen.sharpness, strict=False)
        for method, test, sharpness in rows:
            plain, ahead = map(_Arm, test, sharpness)
            words = NAMES[method]
            setting = (
                f"{PICTURES[name]} ({examples:,} for training), "
                f"dense network of {seen.weights:,} weights, {updates:,} updates, "
                f"{words}, k = 5 and α = 1/2"
            )
            level = f"where the training loss is first at {seen.level:g} nats"
            yield _Pair(plain, ahead, words, setting, level, name, method in DECIDING)


def findings(result: Result) -> tuple[record.Assertion, ...]:
    """In Lookahead against plain, by the same units; the tuning is resampled."""
    found: list[record.Assertion] = []
    for pair in _pairs(result):
        found += _compared(pair, int(result.tuning))
        found.append(_control(pair, int(result.tuning)))
    return tuple(found)


def _compared(pair: _Pair, tuning: int) -> tuple[record.Assertion, ...]:
    """The highest eigenvalue at equal training loss, and the last test loss."""
    plain, ahead = pair.plain, pair.ahead
    compared = record.deciding if pair.decides else record.supporting
    at_level = f"{pair.setting}, both rates tuned, {pair.level}"
    sharp_plain = record.Arm(plain.sharpness, scores=plain.test)
    sharp_ahead = record.Arm(ahead.sharpness, scores=ahead.test)
    tuned = partial(record.tuned, tuning=tuning)
    return (
        compared(
            "C120",
            "At equal training loss the Hessian's highest eigenvalue is lower with "
            "Lookahead than without.",
            tuned(record.ratio_of_means, sharp_ahead, sharp_plain),
            FLATTER,
            unit="ratio",
            setting=at_level,
            figure=pair.figure,
        ),
        record.supporting(
            "C120",
            "With Lookahead training ends at a lower test loss than without.",
            tuned(
                record.mean_difference, record.Arm(ahead.test), record.Arm(plain.test)
            ),
            LOWER,
            unit="nats",
            setting=f"{pair.setting}, both rates tuned",
            figure=pair.figure,
        ),
    )


def _control(pair: _Pair, tuning: int) -> record.Assertion:
    """The plain optimizer at twice its rate."""
    sharpness, scores = pair.plain.sharpness, pair.plain.test[:-TWICE]
    return record.supporting(
        "C120",
        "Without Lookahead the Hessian's highest eigenvalue at equal training loss is "
        "lower at twice the rate (the control).",
        record.tuned(
            record.ratio_of_means,
            record.Arm(sharpness[TWICE:], scores=scores),
            record.Arm(sharpness[:-TWICE], scores=scores),
            tuning=tuning,
        ),
        FLATTER,
        unit="ratio",
        setting=f"{pair.setting}, the plain rate tuned, {pair.level}",
        figure=pair.figure,
    )


def figures(result: Result) -> dict[str, Figure]:
    """Sharpness at equal loss by rate, a data set each."""
    digits, clothing = _draw(result, "digits"), _draw(result, "clothing")
    return {"digits": digits, "clothing": clothing}


def _draw(result: Result, name: str) -> Figure:
    pairs = [pair for pair in _pairs(result) if pair.figure == name]
    figure, axes = panels(len(pairs), 2)
    rows = zip(pairs, result.rates, axes[::2], axes[1::2], strict=True)
    for pair, rates, curves, decides in rows:
        arms, tuning = {}, int(result.tuning)
        for kind, arm in zip(PULLS, (pair.plain, pair.ahead), strict=True):
            by_rate(curves, rates, arm.sharpness, learn.chosen(arm.test, tuning), kind)
            arms[kind] = record.Arm(arm.sharpness, arm.test)
        ratios(decides, arms, FLATTER, tuning=tuning)
        shown = "highest eigenvalue at equal loss (nats)"
        label(curves, pair.name, "rate η (line: tuned)", shown)
        label(decides, "At tuned rates", "over the mean of plain runs", "optimizer")
    shared_legend(figure)
    return figure
