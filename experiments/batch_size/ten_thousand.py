"""Do small batches stay ahead among ten thousand pictures, at the course's sizes?

The course compares batches of 1 to all 60,000 pictures after equally many epochs, at
one rate, it is assumed: on MNIST those of 100 reach 0.992 in training, those of 10,000
only 0.955. `batch_size` takes its question apart on 500 examples; here 10,000 pictures
of clothing train in batches of 10, 100, 1,000 and 10,000, by gradient descent and by
Adam, at constant rates. Each size is evaluated after 20 epochs, which are 20,000,
2,000, 200 and 20 updates, and where others have made as many: after 200 those of 100,
1,000 and 10,000, after 2,000 those of 10, 100 and 1,000. Every accuracy is one at its
own best rate.

- C066: after 20 epochs batches of 100 are ahead of batches of 10,000, in training and
  on held-out pictures. They are not if rates alone part them, and behind if 20 updates
  suffice. Beside: at one rate, and batches of 10, which on the course's slide are not
  ahead of 100.
- A11: given 200 updates in place of 20, batches of 10,000 make up for more than half of
  what they lack of batches of 1,000, which make 200 in 20 epochs. They stay below the
  middle if small batches are better for their noise; a lead below a point cannot
  decide, since its half is below the margin. What large batches see at equal updates is
  ten times as many examples. If examples and not updates count, 200 updates of 100 are
  behind 20 of 10,000, which see ten times as many. Beside: half of what is lacking of
  batches of 100, which make 2,000 updates; and what leads are left at equal updates.

A point of accuracy matters, one picture in a hundred. Control: batches of 100 must not
be ahead of 125, which make 1,600 updates. A unit draws its weights, 10,000 of 60,000
pictures, 5,000 others that judge, and the order; 10 units tune, 10 judge, and tuning is
resampled; units share pictures. All have ten rates in steps of 1.5, the same for all
sizes but 10, whose rates are lower. They were placed by four units of the seed 77, with
batches of 80 in place of 125, which also chose what decides: after 20 epochs each size
was ahead of the next, by 1 to 12 points, but batches of 10 by Adam; at equal updates
larger ones were not behind.

Not tested: 28x28 pixels, convolution, rates that fall, 2,000 updates of 10,000 (ten
times the cost), momentum and equal time (`held_equal`), equal training loss.

Claims: C066, A11.
Sources: Shallue et al. 2019, arXiv:1811.03600; Geiping et al. 2022, arXiv:2109.14119.
Cost: four minutes on 2 cores, compilation included.
Expect: as on 500 examples: at equal epochs small batches are ahead, at equal updates
    they are not.
Run: jaxml run ten_thousand
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from jaxml import learn, problem, record
from jaxml.record import Arm, Assertion
from jaxml.record.comparisons import at_tuned, compared
from jaxml.record.figures import Axes, Figure, band, label, panels, shared_legend
from jaxml.types import Keep, Workload

TRAIN = 10_000
EVALUATIONS = 10
FIRST, LAST = 0, EVALUATIONS - 1
ACCURACIES = ("training", "held-out")
Role = Callable[..., Assertion]
STEPS = 1.5 ** np.arange(10)
HIGHER = record.above(0.0, margin=0.01, reason="one picture in a hundred")
HALF = record.above(0.0, margin=0.005, reason="half of one picture in a hundred")


class Method(NamedTuple):
    """A method, the lowest of its rates, and its name."""

    family: learn.Family
    lowest: float
    name: str


METHODS = (
    Method(learn.sgd, 0.07, "gradient descent"),
    Method(learn.adam, 3.5e-3, "Adam"),
)


class Size(NamedTuple):
    """Examples in a batch, updates of a run, and by what its rates are divided."""

    batch: int
    updates: int
    lower: float = 1.0


SIZES = (
    Size(10, 20_000, 1.5**3),
    Size(100, 2_000),
    Size(125, 1_600),
    Size(1_000, 2_000),
    Size(10_000, 200),
)


class Point(NamedTuple):
    """A size and one of its evaluations, by their places."""

    size: int
    evaluation: int


FEW_TENS, FEW_HUNDREDS, _, THOUSANDS, ALL = (
    Point(place, FIRST) for place in range(len(SIZES))
)
TENS, HUNDREDS, CONTROL, MANY_THOUSANDS, MANY_ALL = (
    Point(place, LAST) for place in range(len(SIZES))
)
BUDGETS = {
    "20 epochs": (TENS, HUNDREDS, THOUSANDS, ALL),
    "200 updates": (FEW_HUNDREDS, THOUSANDS, MANY_ALL),
    "2,000 updates": (FEW_TENS, HUNDREDS, MANY_THOUSANDS),
}


class Lead(NamedTuple):
    """What is compared with what, for a claim; and whose rate the latter has."""

    claim: str
    ours: Point
    theirs: Point
    rate_of: Point


COURSE = Lead("C066", HUNDREDS, ALL, ALL)
BESIDE = (
    Lead("C066", HUNDREDS, ALL, HUNDREDS),
    Lead("C066", TENS, HUNDREDS, HUNDREDS),
    Lead("C066", HUNDREDS, CONTROL, CONTROL),
    Lead("A11", FEW_HUNDREDS, MANY_ALL, MANY_ALL),
    Lead("A11", HUNDREDS, MANY_THOUSANDS, MANY_THOUSANDS),
    Lead("A11", FEW_HUNDREDS, ALL, ALL),
)


@dataclass(frozen=True, kw_only=True)
class Config:
    """Pictures, units, and updates; of methods the first ones."""

    methods: int = len(METHODS)
    pool: int = 60_000
    test: int = 5_000
    smaller: int = 1  # divides batches and training set, for a trial
    longest: int = 20_000  # updates
    tuning: int = 10
    judging: int = 10
    lanes: int = 5
    seed: int = 0


SMOKE = Config(
    methods=1,
    pool=200,
    test=20,
    smaller=100,
    longest=EVALUATIONS,
    tuning=1,
    judging=1,
)


class Result(NamedTuple):
    """Accuracies, nan once a run has diverged. Units that tune come first.

    Attributes:
        accuracies: on the training set, and on other pictures.
        weights: of the network.
        tuning: how many of the units tune.
    """

    accuracies: Float[np.ndarray, "method accuracy size evaluation rate unit"]
    weights: Int[np.ndarray, ""]
    tuning: Int[np.ndarray, ""]


def study(config: Config, keep: Keep) -> Result:
    """One program a method and size."""
    work = problem.small_clothing_workload(
        pool=config.pool, train=TRAIN // config.smaller, test=config.test
    )
    both = problem.judged_on_both(work)
    sizes = [_runs(config, keep, both, size) for size in SIZES]
    return Result(
        accuracies=np.stack(sizes, axis=2),
        weights=np.array(problem.weights(work)),
        tuning=np.array(config.tuning),
    )


def _runs(
    config: Config, keep: Keep, work: Workload, size: Size
) -> Float[np.ndarray, "method accuracy evaluation rate unit"]:
    """Every unit at every rate, of all methods."""
    updates = min(size.updates, config.longest)
    batch = max(1, size.batch // config.smaller)
    entrants = {}
    for method in METHODS[: config.methods]:
        grid = learn.grid(learn.Hyper, lr=method.lowest / size.lower * STEPS)
        name = f"{method.name}, {updates} updates of {size.batch}"
        entrants[name] = learn.Entrant(method.family, grid)
    every = updates // EVALUATIONS
    found = learn.compare(
        learn.experiment(work, batch=batch, steps=updates, every=every),
        entrants,
        lanes=config.lanes,
        units=learn.Units(config.tuning, config.judging),
        seed=config.seed,
        keep=keep,
    )
    return np.stack([_seen(contest) for contest in found.values()])


def _seen(
    contest: learn.Contest,
) -> Float[np.ndarray, "accuracy evaluation rate unit"]:
    """Nothing of runs that ever diverged."""
    curves = np.stack([contest.curves[name] for name in ACCURACIES])
    kept = np.where(contest.diverged_at[..., None] < 0, curves, np.nan)
    return np.moveaxis(kept, -1, 1)


def findings(result: Result) -> tuple[Assertion, ...]:
    """Of each method, in both accuracies."""
    found: list[Assertion] = []
    for place in _places(result):
        method, accuracy = place
        setting = (
            f"clothing of 7x7 pixels, dense network of {result.weights:,} weights, "
            f"{TRAIN:,} examples, {METHODS[method].name}, constant rate, tuned for "
            "each (one rate: that of the former); 20 epochs are 20,000, 2,000, 200 and "
            "20 updates by batches of 10, 100, 1,000 and 10,000"
        )
        name = f"{ACCURACIES[accuracy]} accuracy"
        found += _compared(result, result.accuracies[place], name, setting)
    return tuple(found)


def _places(result: Result) -> list[tuple[int, ...]]:
    return list(product(*map(range, result.accuracies.shape[:2])))


def _compared(
    result: Result, seen: np.ndarray, name: str, setting: str
) -> list[Assertion]:
    """What decides C066 and A11, and what stands beside."""
    closing = (
        "Given 200 updates in place of 20, batches of 10,000 make up for more than "
        f"half of what they lack of the {name} of"
    )
    tuned = partial(record.tuned, tuning=int(result.tuning))
    deciding = partial(record.deciding, unit="accuracy difference", setting=setting)
    supporting = partial(record.supporting, unit="accuracy difference", setting=setting)

    def lead(each: Lead, role: Role) -> Assertion:
        ours, theirs = _told(each)
        statement = f"{ours.capitalize()} are at a higher {name} than {theirs}."
        found = tuned(record.mean_difference, *_arms(seen, each))
        return role(each.claim, statement, found, HIGHER)

    def closed(ours: Point, role: Role) -> Assertion:
        arms = [Arm(seen[point], -seen[point]) for point in (ours, ALL, MANY_ALL)]
        return role(
            "A11", f"{closing} {_after(ours)}.", tuned(_beyond_half, *arms), HALF
        )

    return [
        lead(COURSE, deciding),
        closed(THOUSANDS, deciding),
        closed(HUNDREDS, supporting),
        *[lead(each, supporting) for each in BESIDE],
    ]


def _told(lead: Lead) -> tuple[str, str]:
    """What is ahead, and of what."""
    one_rate = ", at one rate" if lead.rate_of == lead.ours else ""
    return _after(lead.ours), f"{_after(lead.theirs)}{one_rate}"


def _after(point: Point) -> str:
    batch, updates, _ = SIZES[point.size]
    reached = updates * (point.evaluation + 1) // EVALUATIONS
    return f"batches of {batch:,} after {reached:,} updates"


def _arms(seen: np.ndarray, lead: Lead) -> tuple[Arm, Arm]:
    """Accuracies, and those by which rates are chosen."""
    ours = seen[lead.ours]
    return Arm(ours, -ours), Arm(seen[lead.theirs], -seen[lead.rate_of])


def _beyond_half(ours: np.ndarray, few: np.ndarray, many: np.ndarray) -> float:
    """How far `many` is above the middle between `few` and `ours`."""
    return float(np.mean(many) - (np.mean(few) + np.mean(ours)) / 2)


def figures(result: Result) -> dict[str, Figure]:
    """Accuracies by batch size, and leads unit by unit."""
    tuning = int(result.tuning)
    by_size, sizes = panels(len(result.accuracies), 2)
    by_unit, leads = panels(len(result.accuracies), 2, width=6.8, height=4.4)
    for place, left, right in zip(_places(result), sizes, leads, strict=True):
        method, accuracy = place
        title = f"{METHODS[method].name}, {ACCURACIES[accuracy]}"
        seen = result.accuracies[place]
        _by_size(left, seen, tuning)
        label(left, title, "batch size", "accuracy")
        pairs = {
            "\n".join(_told(lead)): _arms(seen, lead) for lead in (COURSE, *BESIDE)
        }
        compared(right, pairs, HIGHER, tuning=tuning)
        label(right, title, "difference in accuracy", "compared")
    shared_legend(by_size)
    shared_legend(by_unit)
    return {"sizes": by_size, "leads": by_unit}


def _by_size(axis: Axes, seen: np.ndarray, tuning: int) -> None:
    """Bands of judged units, each size at its own rate."""
    for name, points in BUDGETS.items():
        arms = [Arm(seen[point], -seen[point]) for point in points]
        judged = [at_tuned(arm, tuning) for arm in arms]
        batches = np.array([SIZES[point.size].batch for point in points])
        band(axis, batches, np.stack(judged), name)
    axis.set_xscale("log")
