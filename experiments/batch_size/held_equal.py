"""How far are small batches ahead, when rate, updates or time are held equal?

The course's figures hold the number of epochs and, it is assumed, one rate for all
sizes of batches. What batches of 25 are then ahead of batches of all 500 examples can
be due to the rate, to the number of updates, or to the batch. Here the large ones are
given, in turn, a rate of their own, a scaled rate, 400 updates in place of 20, both, or
equal time, and the lead that remains is told in accuracy on the training set and on
held-out pictures, method by method.

If batches of 25 are better for their noise, as the course says, the lead remains
whatever they are given; if the figures compare numbers of updates, 400 updates close
more than half of it; if they compare an ill-suited rate, a rate of their own does. The
two may each do so: then either would, and the figures cannot tell which is missing.

Scaled rates, by the size or its root, are the best ones for batches of 25 times 20 or
4.5, from the first update on: the published ones are warmed up (`large_batch`). Equal
time depends on the device. By the course's slide an update of its network on a V100
takes 6 ms + 0.157 ms B (A6): 400 updates of 25 last as long as 47 of 500. On a device
that computes all examples at once equal time is 400 updates, on one that computes them
in turn it is 20.

A point of accuracy matters, one picture in a hundred. All findings support: the answer
is that of `batch_size`, whose units, rates and tuning are taken over, so that all
differences are within units. Control: batches of 20 in place of 500, over which the
lead must be nothing at one rate and equally many epochs. Gradient descent and Adam at
one rate and at their own had run before this was written, for `batch_size`; momentum,
scaled rates and equal time had not.

Claims: C066, A11.
Sources: Goyal et al. 2017, arXiv:1706.02677; Krizhevsky 2014, arXiv:1404.5997; Shallue
    et al. 2019, arXiv:1811.03600.
Cost: 30 seconds on 2 cores, after `batch_size`.
Expect: 400 updates close the lead, a rate of their own a part of it.
Run: jaxml run held_equal
"""

from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from jaxml import learn, problem, record
from jaxml.record import Arm, Assertion
from jaxml.record.comparisons import at_tuned, dots
from jaxml.record.figures import Figure, label, panels, shared_legend
from jaxml.types import Keep, Workload

NEEDS = ("batch_size",)
DATA = ("8x8 digits", "clothing of 7x7 pixels")
WORKLOADS = (problem.digits_workload, problem.small_clothing_workload)
METHODS = ("gradient descent", "momentum", "Adam")
FAMILIES = (learn.sgd, learn.momentum, learn.adam)
ACCURACIES = ("training", "held-out")
CONTROL, SMALL, LARGE = 20, 25, 500  # sizes of batches; large are all examples
EPOCHS, UPDATES = range(2)  # budgets of `batch_size`
FEW, SAME_TIME, MANY = 20, 47, 400  # updates of large batches
RATIO = LARGE / SMALL
ONE_RATE = f"epochs at the rate that is best for {SMALL}"
OWN_RATE = "epochs, each at its own rate"
IN_SHORT = (
    "epochs and rate",
    "epochs, own rates",
    "epochs, rates by √size",
    "epochs, rates by size",
    "updates and rate",
    "updates, own rates",
    "time, own rates",
)
SAME_UPDATES = f"updates at the rate that is best for {SMALL}"
HIGHER = record.above(0.0, margin=0.01, reason="one picture in a hundred")
HALF = record.above(0.0, margin=0.005, reason="half of one picture in a hundred")


@dataclass(frozen=True, kw_only=True)
class Config:
    """Held-out examples and runs that advance together, as in `batch_size`."""

    test: int = 500
    lanes: int = 20
    seed: int = 0


SMOKE = Config(test=20)


class Budget(NamedTuple):
    """Of batches of 500: how many updates, and how their rates are scaled."""

    updates: int
    scale: float
    name: str


BUDGETS = (
    Budget(FEW, RATIO**0.5, "20 updates, rates scaled by the root of the size"),
    Budget(FEW, RATIO, "20 updates, rates scaled by the size"),
    Budget(SAME_TIME, 1.0, "47 updates"),
)


class Result(NamedTuple):
    """Accuracies at the end, nan where a run diverged. Units that tune come first.

    Attributes:
        control: of batches of 20 at 20 epochs, which are 500 updates.
        small: of batches of 25 at 20 epochs, which are 400 updates.
        few: of batches of 500 at 20 epochs, which are 20 updates.
        many: likewise at 400 updates.
        budgets: likewise at the BUDGETS; a scaled one has the same base rates.
        weights: of the networks.
        tuning: how many of the units tune.
    """

    control: Float[np.ndarray, "data method accuracy rate unit"]
    small: Float[np.ndarray, "data method accuracy rate unit"]
    few: Float[np.ndarray, "data method accuracy rate unit"]
    many: Float[np.ndarray, "data method accuracy rate unit"]
    budgets: Float[np.ndarray, "data method budget accuracy rate unit"]
    weights: np.ndarray
    tuning: np.ndarray


def study(config: Config, keep: Keep, batch_size: Any) -> Result:
    """One program a data set, method and budget; the rest has run."""
    data, methods = batch_size.training.shape[:2]
    works = [of(train=LARGE, test=config.test) for of in WORKLOADS[:data]]
    contest = partial(_contest, config, keep, batch_size)
    budgets = np.empty(
        (data, methods, len(BUDGETS), 2, *batch_size.training.shape[-2:]), np.float32
    )
    for place in product(range(data), range(methods), range(len(BUDGETS))):
        budgets[place] = contest(problem.judged_on_both(works[place[0]]), *place)
    ran = np.stack([batch_size.training, batch_size.held_out], axis=2)
    sizes = batch_size.sizes.tolist()
    control, small, large = (sizes.index(size) for size in (CONTROL, SMALL, LARGE))
    return Result(
        control=ran[:, :, :, EPOCHS, control],
        small=ran[:, :, :, EPOCHS, small],
        few=ran[:, :, :, EPOCHS, large],
        many=ran[:, :, :, UPDATES, large],
        budgets=budgets,
        weights=batch_size.weights,
        tuning=batch_size.tuning,
    )


def _contest(
    config: Config,
    keep: Keep,
    batch_size: Any,
    work: Workload,
    data: int,
    method: int,
    budget: int,
) -> Float[np.ndarray, "accuracy rate unit"]:
    """Both accuracies of batches of 500 on the units of `batch_size`."""
    updates, scale, name = BUDGETS[budget]
    named = f"{DATA[data]}, {METHODS[method]}, {name}"
    grid = learn.grid(learn.Hyper, lr=scale * batch_size.rates[method])
    units = batch_size.training.shape[-1]
    found = learn.compare(
        learn.experiment(work, batch=LARGE, steps=updates),
        {named: learn.Entrant(FAMILIES[method], grid)},
        lanes=config.lanes,
        units=learn.Units(int(batch_size.tuning), units - int(batch_size.tuning)),
        seed=config.seed,
        keep=keep,
    )
    return np.stack([found[named].final[accuracy] for accuracy in ACCURACIES])


def _arms(result: Result, data: int, method: int, accuracy: int) -> dict[str, Arm]:
    """What batches of 25 are compared with, by what is held equal."""
    place = (data, method, accuracy)
    best_for_small = -result.small[place]
    few, many = result.few[place], result.many[place]
    by_root, by_size, timed = result.budgets[data, method, :, accuracy]
    return {
        ONE_RATE: Arm(few, best_for_small),
        OWN_RATE: Arm(few, -few),
        "epochs, rates scaled by the root of the size": Arm(by_root, best_for_small),
        "epochs, rates scaled by the size": Arm(by_size, best_for_small),
        SAME_UPDATES: Arm(many, best_for_small),
        "updates, each at its own rate": Arm(many, -many),
        "time on the course's V100, each at its own rate": Arm(timed, -timed),
    }


def findings(result: Result) -> tuple[Assertion, ...]:
    """On each data set, of each method, in both accuracies."""
    found: list[Assertion] = []
    for place in product(*map(range, result.small.shape[:3])):
        data, method, accuracy = place
        setting = (
            f"{DATA[data]}, dense network of {result.weights[data]:,} weights, {LARGE} "
            f"examples, {METHODS[method]}, constant rate; 20 epochs of {SMALL} are 400 "
            f"updates, of {LARGE} 20"
        )
        found += _leads(result, place, f"{ACCURACIES[accuracy]} accuracy", setting)
    return tuple(found)


def _leads(
    result: Result, place: tuple[int, ...], name: str, setting: str
) -> list[Assertion]:
    """The lead that remains, which half closes it, and the control."""
    arms = _arms(result, *place)
    small = Arm(result.small[place], -result.small[place])
    control = Arm(result.control[place], small.scores)
    beyond_half = partial(record.beyond_half, least=HIGHER.margin)
    tuned = partial(record.tuned, tuning=int(result.tuning))
    supporting = partial(record.supporting, setting=setting, unit="accuracy difference")
    better = f"Batches of {SMALL} end at a higher {name} than batches of"
    leads = [
        supporting(
            "C066" if held == ONE_RATE else "A11",
            f"{better} {LARGE}, at equal {held}.",
            tuned(record.mean_difference, small, arm),
            HIGHER,
        )
        for held, arm in arms.items()
    ]
    closing = [
        supporting(
            "A11",
            f"Of the {name} by which batches of {SMALL} are ahead of batches of "
            f"{LARGE} at equal {ONE_RATE}, {what} closes more than half.",
            tuned(beyond_half, small, arms[ONE_RATE], arms[held]),
            HALF,
        )
        for what, held in (
            ("a rate of their own", OWN_RATE),
            ("400 updates in place of 20, at the same rate,", SAME_UPDATES),
        )
    ]
    same = supporting(
        "C066",
        f"{better} {CONTROL}, at equal {ONE_RATE}, the control.",
        tuned(record.mean_difference, small, control),
        HIGHER,
    )
    return [*leads, *closing, same]


def figures(result: Result) -> dict[str, Figure]:
    """The lead of batches of 25 unit by unit, by what is held equal."""
    places = list(product(*map(range, result.small.shape[:3])))
    figure, axes = panels(-(-len(places) // 2), 2, width=5.4, height=2.6)
    tuning = int(result.tuning)
    for panel, place in zip(axes, places, strict=False):
        data, method, accuracy = place
        small = at_tuned(Arm(result.small[place], -result.small[place]), tuning)
        arms = _arms(result, *place).values()
        rows = {
            held: 100 * (small - at_tuned(arm, tuning))
            for held, arm in zip(IN_SHORT, arms, strict=True)
        }
        dots(panel, rows)
        panel.set_xscale("symlog", linthresh=10)
        panel.axvline(0, color="0.5", linestyle=":", marker="")
        title = f"{DATA[data]}\n{METHODS[method]}, {ACCURACIES[accuracy]}"
        label(panel, title, "lead (points of accuracy)", "held equal")
    shared_legend(figure)
    return {"held_equal": figure}
