"""How much of the lead of small batches is the rate, and how much the updates?

The course's figures hold the number of epochs and, it is assumed, one rate for all
sizes of batches. There `batch_size` compares batches of 25 with batches of all 500
examples at rates of their own. Here the whole lead, at one rate, is taken apart, method
by method, in accuracy on the training set and on held-out pictures:

- the rate: what batches of 500 gain from a rate of their own at 20 epochs;
- the updates: what they gain beyond it from 400 updates in place of 20;
- what is left: by how much batches of 25 are then still ahead.

The three sum to the lead. If batches of 25 are better for their noise, as the course
says, most is left; if the figures compare numbers of updates, the updates make up more
than half; if they compare an ill-suited rate, the rate does. A tenth is the margin of
a fraction, as a tenth of a lead would change no choice.

Two more ways to be fair stand beside: rates scaled by the batch's size or its root,
which practice uses in place of tuning; and equal time. Time depends on the device. The
course's own slide gives 6 ms + 0.157 ms B for an update on its device (A6), where 400
updates of 25 last as long as 47 of 500. On a device that computes all examples at once
equal time is 400 updates, on one that computes them one by one it is 20.

A point of accuracy matters, one picture in a hundred. All findings support: the answer
to C066 and A11 is `batch_size`'s, whose units, rates and tuning are taken over, so that
all differences are within units, and so is the control.

Not tested: as there; sizes between 25 and 500, of which its figure shows some.

Claims: C066, C071, A11.
Sources: Goyal et al. 2017, arXiv:1706.02677; Krizhevsky 2014, arXiv:1404.5997; Shallue
    et al. 2019, arXiv:1811.03600.
Cost: 30 seconds on 2 cores, after `batch_size`.
Expect: the updates are the larger part; nothing is left.
Run: jaxml run batch_size_parts
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
SMALL, LARGE = 25, 500  # sizes of batches; large are all examples
EPOCHS, UPDATES = range(2)  # budgets of `batch_size`
FEW, SAME_TIME, MANY = 20, 47, 400  # updates of large batches
RATIO = LARGE / SMALL
HIGHER = record.above(0.0, margin=0.01, reason="one picture in a hundred")
MORE_THAN_HALF = record.above(0.5, margin=0.1, reason="a tenth of the lead")
NOTHING = record.below(0.1, margin=0.1, reason="a tenth of the lead")


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
BY_ROOT, BY_SIZE, TIMED = range(len(BUDGETS))


class Result(NamedTuple):
    """Accuracies at the end, nan where a run diverged. Units that tune come first.

    Attributes:
        small: of batches of 25 at 20 epochs.
        few: of batches of 500 at 20 epochs, which are 20 updates.
        many: likewise at 400 updates.
        budgets: likewise at the BUDGETS; a scaled one has the same base rates.
        weights: of the networks.
        tuning: how many of the units tune.
    """

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
    small, large = (batch_size.sizes.tolist().index(size) for size in (SMALL, LARGE))
    return Result(
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


class Arms(NamedTuple):
    """What is compared; all but the scaled ones at rates of their own."""

    small: Arm
    one_rate: Arm
    few: Arm
    many: Arm
    by_root: Arm
    by_size: Arm
    timed: Arm


def _arms(result: Result, data: int, method: int, accuracy: int) -> Arms:
    """Scaled rates are those that are best for batches of 25, scaled."""
    place = (data, method, accuracy)
    best_for_small = -result.small[place]
    few, many = result.few[place], result.many[place]
    budgets = result.budgets[data, method, :, accuracy]
    return Arms(
        small=Arm(result.small[place], best_for_small),
        one_rate=Arm(few, best_for_small),
        few=Arm(few, -few),
        many=Arm(many, -many),
        by_root=Arm(budgets[BY_ROOT], best_for_small),
        by_size=Arm(budgets[BY_SIZE], best_for_small),
        timed=Arm(budgets[TIMED], -budgets[TIMED]),
    )


def _of_rate(small: np.ndarray, one_rate: np.ndarray, few: np.ndarray) -> float:
    """The part of the lead that a rate of their own makes up."""
    return _part(few - one_rate, small - one_rate)


def _of_updates(
    small: np.ndarray, one_rate: np.ndarray, few: np.ndarray, many: np.ndarray
) -> float:
    """The part that equally many updates make up beyond it."""
    return _part(many - few, small - one_rate)


def _left(small: np.ndarray, one_rate: np.ndarray, many: np.ndarray) -> float:
    """The part that neither makes up."""
    return _part(small - many, small - one_rate)


def _part(gain: np.ndarray, lead: np.ndarray) -> float:
    """Of a lead of 0, which has no parts, nan."""
    whole = float(np.mean(lead))
    return float(np.mean(gain)) / whole if whole else float("nan")


def findings(result: Result) -> tuple[Assertion, ...]:
    """On each data set, of each method, in both accuracies."""
    found: list[Assertion] = []
    for place in product(*map(range, result.small.shape[:3])):
        data, method, accuracy = place
        setting = (
            f"{DATA[data]}, dense network of {result.weights[data]:,} weights, {LARGE} "
            f"examples, {METHODS[method]}, constant rate"
        )
        arms, name = _arms(result, *place), ACCURACIES[accuracy]
        found += _parts(arms, name, setting, int(result.tuning))
        found += _leads(arms, name, setting, int(result.tuning))
    return tuple(found)


def _parts(arms: Arms, name: str, setting: str, tuning: int) -> list[Assertion]:
    """What makes up the lead at one rate."""
    lead = (
        f"Of the {name} accuracy by which batches of {SMALL} are ahead of batches of "
        f"{LARGE} after 20 epochs at the rate that is best for {SMALL},"
    )
    small, one_rate, few, many, *_ = arms
    supporting = partial(record.supporting, setting=setting, unit="fraction")
    return [
        supporting(
            "C066",
            f"{lead} a rate of their own makes up more than half.",
            record.tuned(_of_rate, small, one_rate, few, tuning=tuning),
            MORE_THAN_HALF,
        ),
        supporting(
            "A11",
            f"{lead} 400 updates in place of 20 make up more than half, beyond a rate "
            "of their own.",
            record.tuned(_of_updates, small, one_rate, few, many, tuning=tuning),
            MORE_THAN_HALF,
        ),
        supporting(
            "A11",
            f"{lead} less than a tenth is left at rates of their own and equally many "
            "updates.",
            record.tuned(_left, small, one_rate, many, tuning=tuning),
            NOTHING,
        ),
    ]


def _leads(arms: Arms, name: str, setting: str, tuning: int) -> list[Assertion]:
    """At one rate, at scaled rates, and in equal time."""
    better = (
        f"Batches of {SMALL} end at a higher {name} accuracy than batches of {LARGE}"
    )
    supporting = partial(record.supporting, unit="accuracy difference")
    found = [
        supporting(
            "C066",
            f"{better} {rate}, after 20 epochs.",
            _ahead(arms.small, arm, tuning),
            HIGHER,
            setting=f"{setting} that is best for {SMALL}",
        )
        for rate, arm in (
            ("at the same rate", arms.one_rate),
            ("whose rate is scaled by the root of the size", arms.by_root),
            ("whose rate is scaled by the size", arms.by_size),
        )
    ]
    timed = supporting(
        "C071",
        f"{better} in equal time.",
        _ahead(arms.small, arms.timed, tuning),
        HIGHER,
        setting=f"{setting} tuned for each, 400 updates in the time of 47, "
        "as an update takes 6 ms + 0.157 ms an example",
    )
    return [*found, timed]


def _ahead(ours: Arm, theirs: Arm, tuning: int) -> record.Interval:
    return record.tuned(record.mean_difference, ours, theirs, tuning=tuning)


def figures(result: Result) -> dict[str, Figure]:
    """The parts of the lead in points of accuracy, unit by unit."""
    settings = list(product(*map(range, result.small.shape[:3])))
    figure, axes = panels(-(-len(settings) // 2), 2, width=5.2)
    for panel, place in zip(axes, settings, strict=False):
        data, method, accuracy = place
        arms = _arms(result, *place)
        small, one_rate, few, many = (
            100 * at_tuned(arm, int(result.tuning)) for arm in arms[:4]
        )
        dots(
            panel,
            {
                "the lead at one rate": small - one_rate,
                "the rate": few - one_rate,
                "the updates": many - few,
                "left": small - many,
            },
        )
        panel.axvline(0, color="0.5", linestyle=":", marker="")
        title = f"{DATA[data]}, {METHODS[method]}, {ACCURACIES[accuracy]}"
        label(panel, title, "points of accuracy", "part")
    shared_legend(figure)
    return {"batch_size_parts": figure}
