"""Are Adam's default settings good enough, or does tuning them pay?

The defaults are a rate of 0.001 in PyTorch 2 and Keras 3 (Optax 0.2 has none), β₁ = 0.9
and β₂ = 0.999 in all three, and ε = 1e-8 in PyTorch and Optax, 1e-7 in Keras; here ε =
1e-8. Dense networks learn digits and clothing under Adam, whose rate falls linearly to
0, in a short budget and in one six times as long: that a default rate is too low for a
short run and not for a long one is what would make both "good enough" and "must be
tuned" look right. Every unit has initial weights, an order and a split of its own.

All settings at their defaults are compared with the rate tuned over 14 values, in steps
of 1.5, and the rest at their defaults. In the short budget a tuned rate alone is
compared with a rate tuned together with β₁, or β₂, or ε, over seven rates each. Tuning
goes by the accuracy on held-out pictures, on units of its own, and so does judging.

Good enough is an accuracy within one point of the tuned one: about what another unit
changes. Farther off refutes the claim there; defaults that do better than what was
tuned are possible, and are the luck of few tuning units. The negative control is Adam
at a hundredth of the default rate, which must be farther off. β₁ = 0, β₂ = 0.9999,
where all gradients of the run weigh about the same, and ε = 1e-8 are natural ends of
their grids; the others are edges, at which nothing is decided.

The range of the rates was placed by a coarse grid at other seeds (100 and above, steps
of 2, three or four units). The first run had 10 units of each kind, with which five of
ten intervals were too wide to tell, and no β₂ below 0.9, which was best on clothing.

Claims: C084.
Sources: Kingma and Ba 2015, arXiv:1412.6980; Choi et al. 2019, arXiv:1910.05446.
Cost: 60 seconds on 2 cores, compilation included.
Expect: the rate must be tuned in a short run and not in a long one; the rest need not.
Run: jaxml run defaults
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from jaxml import learn, problem, record
from jaxml.record import Arm, Assertion
from jaxml.record.figures import Figure, band, label, panels, shared_legend
from jaxml.types import Keep, Workload

RATE = 0.001
BETA_1 = 0.9
BETA_2 = 0.999
EPSILON = 1e-8
RATES = RATE * 1.5 ** np.arange(-1, 13)
MIDDLE = RATES[5:12]  # tuned over together with another setting
DATA = ("8x8 digits", "14x14 pictures of clothing")

UNIT = "accuracy difference"
GOOD = record.near(
    0.0, margin=0.01, reason="a point of accuracy is about what another unit changes"
)


class Other(NamedTuple):
    """A setting beside the rate.

    Attributes:
        field: of `Point`.
        values: beside the default, the one that is an edge last.
    """

    field: str
    values: tuple[float, ...]


OTHERS = {
    "β₁": Other("beta_1", (0.0, 0.5, 0.95, 0.98)),
    "β₂": Other("beta_2", (0.9999, 0.99, 0.9, 0.5)),
    "ε": Other("epsilon", (1e-6, 1e-4, 1e-2)),
}


@dataclass(frozen=True, kw_only=True)
class Config:
    """Units and budgets; `clothing` examples of 0 repeat what became of digits.

    Units are of each kind: as many tune as judge. In `lanes` runs advance together.
    """

    digits: int = 500  # to train on
    clothing: int = 1000  # to train on
    test: int = 1000
    units: int = 20
    width: int = 32
    short: int = 500
    long: int = 3000
    batch: int = 20
    lanes: int = 10
    seed: int = 0


SMOKE = Config(
    clothing=0, digits=40, test=20, units=1, width=4, short=5, long=10, lanes=1
)


class Ends(NamedTuple):
    """How runs on one data set end: accuracy on held-out pictures, nan where a run
    diverged, by the points of `_points`. Units that tune come first.

    Attributes:
        short: in the short budget, at all points.
        long: in the long one, at the first points, whose rate alone differs.
        tuning: how many of the units tune.
        examples: that are trained on.
        weights: of the network.
        steps: updates of a short and of a long run.
    """

    short: Float[np.ndarray, "point unit"]
    long: Float[np.ndarray, "first unit"]
    tuning: Int[np.ndarray, ""]
    examples: Int[np.ndarray, ""]
    weights: Int[np.ndarray, ""]
    steps: Int[np.ndarray, " budget"]


class Result(NamedTuple):
    """How runs end, by data set in the order of DATA."""

    digits: Ends
    clothing: Ends


class Point(NamedTuple):
    """Adam's settings at one point of the grid.

    Attributes:
        rate: at first.
        beta_1: of the mean.
        beta_2: of the mean square.
        epsilon: added to its root.
        other: which setting beside the rate is not at its default, "" if none.
        edge: whether a better value of that one may lie beyond.
    """

    rate: float
    beta_1: float = BETA_1
    beta_2: float = BETA_2
    epsilon: float = EPSILON
    other: str = ""
    edge: bool = False


def _points() -> list[Point]:
    """The control and all rates, then the middle rates with one other setting."""
    points = [Point(RATE / 100)]
    points += [Point(rate) for rate in RATES]
    for name, other in OTHERS.items():
        for value in other.values:
            edge = value == other.values[-1]
            point = Point(RATE, other=name, edge=edge)._replace(**{other.field: value})
            points += [point._replace(rate=rate) for rate in MIDDLE]
    return points


POINTS = _points()
FIRST = 1 + len(RATES)  # points whose rate alone differs, the control included


class Untuned(NamedTuple):
    """A rate that is not tuned.

    Attributes:
        point: in POINTS.
        words: for it, in a sentence.
        decides: whether C084 hangs on it.
    """

    point: int
    words: str
    decides: bool


CONTROL = Untuned(0, "The control: Adam at a hundredth of its default rate", False)
DEFAULT = Untuned(
    POINTS.index(Point(RATE)),
    "Adam at all its defaults, a rate of 0.001 included,",
    True,
)


def study(config: Config, keep: Keep) -> Result:
    """One program a data set and budget."""
    work = problem.digits_workload(
        train=config.digits, test=config.test, width=config.width
    )
    digits = _ends(config, work, "digits", keep)
    if not config.clothing:
        return Result(digits, digits)
    clothing = _ends(config, _clothing(config), "clothing", keep)
    return Result(digits, clothing)


def _clothing(config: Config) -> Workload:
    """Clothing, its pixels averaged over blocks of 2 by 2."""
    return problem.small_clothing_workload(
        pool=20_000,
        train=config.clothing,
        test=config.test,
        width=config.width,
        block=2,
    )


def _ends(config: Config, work: Workload, name: str, keep: Keep) -> Ends:
    accuracy = partial(_accuracy, config, work, keep)
    return Ends(
        short=accuracy(f"{name}, short", config.short, POINTS),
        long=accuracy(f"{name}, long", config.long, POINTS[:FIRST]),
        tuning=np.array(config.units),
        examples=np.array(work.train),
        weights=np.array(problem.weights(work)),
        steps=np.array([config.short, config.long]),
    )


def _accuracy(
    config: Config,
    work: Workload,
    keep: Keep,
    name: str,
    steps: int,
    points: list[Point],
) -> np.ndarray:
    """The last accuracy, `[point, unit]`."""
    settings = np.array([point[:4] for point in points], np.float32)
    rate, beta_1, beta_2, epsilon = settings.T
    rates = learn.grid(learn.Hyper, lr=rate, horizon=[steps])
    grid = rates._replace(momentum=beta_1, second_moment=beta_2, epsilon=epsilon)
    adam = partial(learn.adam, shape=learn.linear)
    found = learn.compare(
        learn.experiment(work, batch=config.batch, steps=steps),
        {name: learn.Entrant(adam, grid)},
        lanes=config.lanes,
        units=learn.Units(config.units, config.units),
        seed=config.seed,
        keep=keep,
    )
    return found[name].final["accuracy"]


def findings(result: Result) -> tuple[Assertion, ...]:
    """The rate in both budgets, and each other setting in the short one, decide."""
    found = []
    for ends, data in zip(result, DATA, strict=True):
        short, long = (_setting(ends, data, int(steps)) for steps in ends.steps)
        found.append(_rate(ends, ends.short, DEFAULT, short))
        found.append(_rate(ends, ends.long, DEFAULT, long))
        found += [_other(ends, other, short) for other in OTHERS]
        found.append(_rate(ends, ends.short, CONTROL, short))
        found.append(_rate(ends, ends.long, CONTROL, long))
    return tuple(found)


def _setting(ends: Ends, data: str, steps: int) -> str:
    return (
        f"{data}, dense network of {ends.weights:,} weights, {ends.examples:,} "
        f"examples drawn anew in each unit, {steps:,} updates, a rate that falls "
        "linearly"
    )


def _rate(ends: Ends, accuracy: np.ndarray, kind: Untuned, setting: str) -> Assertion:
    """An untuned rate against all rates."""
    tuned, untuned = accuracy[1:FIRST], accuracy[[kind.point]]
    arms = (Arm(tuned, scores=-tuned), Arm(untuned))
    statement = (
        f"{kind.words} ends within a point of the accuracy that it reaches at a tuned "
        "rate: the difference by which the tuned one is better."
    )
    assertion = record.deciding if kind.decides else record.supporting
    return _compared(ends, statement, arms, setting, assertion)


def _other(ends: Ends, other: str, setting: str) -> Assertion:
    alone = [POINTS.index(Point(rate)) for rate in MIDDLE]
    both = _arm(ends.short, [*alone, *_together(other)])
    return _compared(
        ends,
        f"Adam with its rate tuned and {other} at its default ends within a point of "
        f"the accuracy that it reaches with both tuned: with {other} tuned minus "
        "without.",
        (both, _arm(ends.short, alone)),
        setting,
    )


def _together(other: str) -> list[int]:
    """Points at which this setting is not at its default."""
    return [point for point, each in enumerate(POINTS) if each.other == other]


def _arm(accuracy: np.ndarray, chosen: list[int]) -> Arm:
    """These points; edges are those of the middle rates and of the other setting."""
    points = [POINTS[point] for point in chosen]
    ends = (MIDDLE[0], MIDDLE[-1])
    edges = [point.edge or point.rate in ends for point in points]
    held_out = accuracy[chosen]
    return Arm(held_out, scores=-held_out, edges=np.array(edges))


def _compared(
    ends: Ends,
    statement: str,
    arms: tuple[Arm, Arm],
    setting: str,
    assertion: Callable[..., Assertion] = record.deciding,
) -> Assertion:
    measured = record.tuned(record.mean_difference, *arms, tuning=int(ends.tuning))
    return assertion("C084", statement, measured, GOOD, unit=UNIT, setting=setting)


def figures(result: Result) -> dict[str, Figure]:
    """Accuracy by rate: at the defaults in both budgets, with a band of four in five
    units, and at the best other values in the short one.
    """
    figure, axes = panels(1, 2, height=3.7)
    for panel, ends, data in zip(axes, result, DATA, strict=True):
        short, long = ends.steps
        at_rates = np.nan_to_num(ends.short[1:FIRST])
        band(panel, RATES, at_rates, f"{short:,} updates, defaults")
        at_rates = np.nan_to_num(ends.long[1:FIRST])
        band(panel, RATES, at_rates, f"{long:,} updates, defaults")
        for other in OTHERS:
            panel.plot(MIDDLE, _best(ends, other), label=f"short, best {other}")
        panel.axvline(RATE, color="0.4", linestyle="--", label="default rate")
        panel.set_xscale("log")
        label(panel, data, "rate η", "held-out accuracy (fraction)")
    shared_legend(figure)
    return {"defaults": figure}


def _best(ends: Ends, other: str) -> np.ndarray:
    """Mean accuracy at each middle rate, with the best value of one other setting."""
    means = np.mean(ends.short[_together(other)], axis=1)
    return np.max(means.reshape(-1, len(MIDDLE)), axis=0)
