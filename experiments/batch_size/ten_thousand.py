"""Do small batches stay ahead of batches of all ten thousand pictures?

The course compares batches of 1 to all 60,000 pictures after equally many epochs, at
one rate, it is assumed: on MNIST those of 100 reach 0.992 in training, those of a sixth
of all 0.955, those of all 0.838. `batch_size` takes its question apart on 500 examples;
here 10,000 pictures of clothing train in batches of 10, 100, 1,000 and all 10,000, by
gradient descent and by Adam, at constant rates. Each size is evaluated after 20 epochs,
which are 20,000, 2,000, 200 and 20 updates, and where others have made as many: after
200 those of 100, 1,000 and 10,000, after 2,000 those of 10 and 100. Every accuracy is
one at its own best rate.

- C066: after 20 epochs batches of 100 are ahead of batches of all, in training and on
  held-out pictures. They are not if rates alone part them, and behind if 20 updates
  suffice. Beside: at one rate; in training at the rates that are best on held-out
  pictures; and batches of 10, which on the course's slide are not ahead of 100.
- A11, by two findings. 200 updates of 100 see a tenth of the examples of 20 updates of
  all: they are ahead if updates count, behind if examples do. And given 200 updates in
  place of 20, which show them ten times as many examples, batches of all make up for
  more than half of what they lack of batches of 1,000, which make 200 in 20 epochs.
  Where that is less than a point, in any resample, nothing is decided. Beside: half of
  what is lacking of batches of 100, which make 2,000 updates; how much of it, at one
  rate, a rate of their own makes up for; and what leads are left at equal updates. If
  small batches are better for their noise, 200 updates of 100 stay ahead of 200 of all;
  batches of 1,000, with little noise themselves, hardly test that.

A point of accuracy matters, one picture in a hundred. Control: batches of 100 must not
be ahead of 125, which make 1,600 updates. A unit draws its weights, 10,000 of 60,000
pictures, 5,000 others that judge, and the order; 10 units tune, 10 judge, and tuning is
resampled; units share pictures. All have ten rates in steps of 1.5, the same for all
sizes but 10, whose rates are lower. They were placed by four units of the seed 77, with
batches of 80 in place of 125, which also chose what decides: after 20 epochs each size
was ahead of the next, by 1 to 12 points, but batches of 10 by Adam; at equal updates
larger ones were not behind. Five such units then showed 200 updates of 100 ahead of 20
of all, by 11 points and by 3 with Adam, before that was made deciding, and a rate of
their own to make up for less than half. So the outcome of A11 was known: fresh seeds
confirm it, or fail to.

Not tested: overfitting, of which 1,930 weights on 10,000 pictures show little (training
and held-out accuracy were at most 2.5 points apart), 28x28 pixels, convolution, rates
that fall, 2,000 updates of 1,000 or 10,000 (for their cost), momentum and equal time
(`held_equal`), equal training loss.

Claims: C066, A11.
Sources: Shallue et al. 2019, arXiv:1811.03600; Geiping et al. 2022, arXiv:2109.14119.
Cost: seven minutes on 2 cores, compilation included.
Expect: as on 500 examples: at equal epochs small batches are ahead, at equal updates
    they are not.
Run: jaxml run ten_thousand
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from jaxml import learn, problem, record
from jaxml.record import Arm, Assertion
from jaxml.record.comparisons import at_tuned, compared
from jaxml.record.figures import Figure, band, label, panels, shared_legend
from jaxml.types import Keep, Workload

TRAIN = 10_000
EVALUATIONS = 10
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
    Size(1_000, 200),
    Size(10_000, 200),
)


class Point(NamedTuple):
    """A size and one of its evaluations, by their places."""

    size: int
    evaluation: int


FEW_TENS, FEW_HUNDREDS, _, _, ALL = (Point(place, 0) for place in range(len(SIZES)))
TENS, HUNDREDS, CONTROL, THOUSANDS, MANY_ALL = (
    Point(place, EVALUATIONS - 1) for place in range(len(SIZES))
)
BUDGETS = {
    "20 epochs": (TENS, HUNDREDS, THOUSANDS, ALL),
    "200 updates": (FEW_HUNDREDS, THOUSANDS, MANY_ALL),
    "2,000 updates": (FEW_TENS, HUNDREDS),
}


class Lead(NamedTuple):
    """What is compared with what, for a claim; and in words, whose rate the latter has
    if not its own, which is then that of the former.
    """

    claim: str
    ours: Point
    theirs: Point
    one_rate: str = ""


COURSE = Lead("C066", HUNDREDS, ALL)
ONE_RATE = Lead("C066", HUNDREDS, ALL, ", at the rate of the former")
THOUSAND = Lead("A11", THOUSANDS, ALL)
DECIDING = (COURSE, Lead("A11", FEW_HUNDREDS, ALL))
BESIDE = (
    ONE_RATE,
    THOUSAND,
    Lead("C066", TENS, HUNDREDS),
    Lead("C066", HUNDREDS, CONTROL),
    Lead("A11", FEW_HUNDREDS, MANY_ALL),
    Lead("A11", THOUSANDS, MANY_ALL),
    Lead("A11", FEW_TENS, HUNDREDS),
)


@dataclass(frozen=True, kw_only=True)
class Config:
    """Pictures, units, and updates; of methods the first ones."""

    methods: int = len(METHODS)
    test: int = 5_000
    train: int = TRAIN  # at most so many in a batch
    longest: int = 20_000  # updates
    tuning: int = 10
    judging: int = 10
    lanes: int = 5
    seed: int = 0


SMOKE = Config(
    methods=1,
    test=20,
    train=100,
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
    work = problem.small_clothing_workload(train=config.train, test=config.test)
    both = problem.judged_on_both(work)
    return Result(
        accuracies=np.stack([_runs(config, keep, both, each) for each in SIZES], 2),
        weights=np.array(problem.weights(work)),
        tuning=np.array(config.tuning),
    )


def _runs(
    config: Config, keep: Keep, work: Workload, size: Size
) -> Float[np.ndarray, "method accuracy evaluation rate unit"]:
    """Every unit at every rate, of all methods."""
    updates = min(size.updates, config.longest)
    entrants = {
        f"{method.name}, {updates} updates of {size.batch}": learn.Entrant(
            method.family,
            learn.grid(learn.Hyper, lr=method.lowest / size.lower * STEPS),
        )
        for method in METHODS[: config.methods]
    }
    found = learn.compare(
        learn.experiment(
            work,
            batch=min(size.batch, config.train),
            steps=updates,
            every=updates // EVALUATIONS,
        ),
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
    curves[:, contest.diverged_at >= 0] = np.nan
    return np.moveaxis(curves, -1, 1)


def findings(result: Result) -> tuple[Assertion, ...]:
    """Of each method, in both accuracies."""
    found: list[Assertion] = []
    for method, both in zip(METHODS, result.accuracies, strict=False):
        setting = (
            f"clothing of 7x7 pixels, dense network of {result.weights:,} weights, "
            f"{TRAIN:,} examples, {method.name}, a constant rate, tuned for each size, "
            "number of updates and accuracy unless another is stated; 20 epochs are "
            "20,000, 2,000, 1,600, 200 and 20 updates by batches of 10, 100, 125, "
            "1,000 and all 10,000"
        )
        judge = partial(_compared, int(result.tuning), setting)
        for name, seen in zip(ACCURACIES, both, strict=True):
            found += judge(f"{name} accuracy", seen, seen)
        by_held_out = judge(
            "training accuracy, at the rates best for held-out accuracy,", *both
        )
        found.append(next(by_held_out)._replace(role="supporting"))
    return tuple(found)


def _compared(
    tuning: int, setting: str, name: str, seen: np.ndarray, scores: np.ndarray
) -> Iterator[Assertion]:
    """What decides C066, first, and A11, and what stands beside."""
    tuned = partial(record.tuned, tuning=tuning)
    beyond_half = partial(record.beyond_half, least=HIGHER.margin)
    deciding = partial(record.deciding, unit="accuracy difference", setting=setting)
    supporting = partial(record.supporting, unit="accuracy difference", setting=setting)

    def lead(role: Role, each: Lead) -> Assertion:
        ours, theirs = _told(each)
        statement = f"{ours.capitalize()} are at a higher {name} than {theirs}."
        found = tuned(record.mean_difference, *_arms(each, seen, scores))
        return role(each.claim, statement, found, HIGHER)

    def closed(role: Role, given: str, before: Lead, after: Point) -> Assertion:
        statement = (
            f"Given {given}, batches of all 10,000 make up for more than half of what "
            f"they lack after 20 epochs (20 updates) of the {name} of "
            f"{_after(before.ours)}."
        )
        arms = *_arms(before, seen, scores), Arm(seen[after], -scores[after])
        return role("A11", statement, tuned(beyond_half, *arms), HALF)

    updates = "200 epochs (200 updates) in place of 20"
    rate = "a rate of their own in place of that of batches of 100"
    yield from map(partial(lead, deciding), DECIDING)
    yield closed(deciding, updates, THOUSAND, MANY_ALL)
    yield closed(supporting, updates, COURSE, MANY_ALL)
    yield closed(supporting, rate, ONE_RATE, ALL)
    yield from map(partial(lead, supporting), BESIDE)


def _told(lead: Lead) -> tuple[str, str]:
    """What is ahead, and of what."""
    return _after(lead.ours), f"{_after(lead.theirs)}{lead.one_rate}"


def _after(point: Point) -> str:
    batch, updates, _ = SIZES[point.size]
    reached = updates * (point.evaluation + 1) // EVALUATIONS
    size = "all 10,000" if batch == TRAIN else f"{batch:,}"
    epochs = reached * batch // TRAIN
    return f"batches of {size} after {epochs} epochs ({reached:,} updates)"


def _arms(lead: Lead, seen: np.ndarray, scores: np.ndarray) -> tuple[Arm, Arm]:
    """Accuracies, and those by which rates are chosen."""
    rate_of = lead.ours if lead.one_rate else lead.theirs
    ours = Arm(seen[lead.ours], -scores[lead.ours])
    return ours, Arm(seen[lead.theirs], -scores[rate_of])


def figures(result: Result) -> dict[str, Figure]:
    """Accuracies by batch size in bands of judged units, and leads unit by unit."""
    tuning = int(result.tuning)
    by_size, sizes = panels(len(result.accuracies), 2)
    by_unit, leads = panels(len(sizes), 1, width=9.0, height=4.4)
    places = np.ndindex(result.accuracies.shape[:2])
    for place, left, right in zip(places, sizes, leads, strict=True):
        method, accuracy = place
        title = f"{METHODS[method].name}, {ACCURACIES[accuracy]}"
        seen = result.accuracies[place]
        for name, points in BUDGETS.items():
            batches = np.array([SIZES[point.size].batch for point in points])
            arms = [Arm(seen[point], -seen[point]) for point in points]
            band(left, batches, np.stack([at_tuned(arm, tuning) for arm in arms]), name)
        left.set_xscale("log")
        label(left, title, "batch size", "accuracy")
        pairs = {
            "\n".join(_told(lead)): _arms(lead, seen, seen)
            for lead in (*DECIDING, *BESIDE)
        }
        compared(right, pairs, HIGHER, tuning=tuning)
        label(right, title, "difference in accuracy", "compared")
    shared_legend(by_size)
    shared_legend(by_unit)
    return {"sizes": by_size, "leads": by_unit}
