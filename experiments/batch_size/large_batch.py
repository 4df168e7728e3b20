"""Do the known recipes let large batches train as well as small ones?

The course ends its lecture on batch size with papers that train by batches of thousands
and lose no accuracy, so that the speed of large batches and the accuracy of small ones
seem to be had together. Here 500 examples train for 20 epochs, by batches of 5, which
are 2,000 updates, and by batches of 50, a tenth of the examples, which are 200. Speed
is the number of updates, which come one after another on whatever hardware; a clock is
not read. Batches of 500, that is of all examples, and 20 updates are beyond what those
papers promise; they show where it ends, and decide nothing.

Five recipes are tuned at each size: momentum 0.9 at a constant rate; and momentum,
Adam, LARS and LAMB, each with a warm-up over 5 epochs (500, 50 and 5 updates) and a
rate that falls from there in a straight line to 0, as the papers train. Each has 11
rates at each size. Single techniques are judged in `large_batch_techniques`, ghost
batch normalisation in `ghost_batches`.

What decides, at equal epochs, on digits and on clothing: the best recipe at batches of
50 minus the best of the same recipes at batches of 5, in held-out accuracy, above minus
one point. A point is one picture in a hundred, and what is allowed to be lost; a tenth
of it is the margin. Recipe and rate are chosen together, by 20 units, and judged by 36
others, in every resample anew; so the choice among 55 points flatters nobody, and what
helps a small batch as much is no remedy for large ones. Both findings are of one
setting, so that the claim is answered only where the data sets agree. It holds where
both intervals lie above minus one point, and fails where both lie below: there small
batches are better by more than what recipes give. Negative control: batches of 50 at
the constant rate that is best for batches of 5, which must come out below.

Beside that, supporting: the small batch by momentum with warm-up and falling rate, the
baseline of Goyal et al.; each recipe compared with itself at the small batch, which is
open where one of its own best rates stands on an edge; and the training accuracy of the
networks so chosen, whose height is no merit of a choice by held-out accuracy.

A unit draws its initial weights, its examples and their order anew; of digits, the
units' draws of 1,500 from 1,797 overlap. 1,000 pictures are held out, twice those of
`batch_size`, since one picture has to be a tenth of the point that is asked. Rates step
by 1.5 and move with the square root of the size. A diverged run counts as accuracy 0.1,
a guess.

An earlier design took batches of 250 and 500 as the large ones, beside 25, and single
techniques without recipes; it was not run in full. This one was placed by 16 units of
seed 100: it put the rates, and there the best recipe at batches of 50 lay 0.2
points below that of 5 on both data sets, with deviations of 0.5 and 1.0 points between
units. So 36 units give intervals of about half a point, of the 0.9 that are needed.

Not tested: recipes that exempt biases from the scaling by layers, as those of LARS and
LAMB do; weight decay; techniques whose second number is tuned too; Muon and other
methods that transform whole matrices; weights averaged over replicas; thousands of
examples a batch; time.

Claims: C072.
Sources: You et al. 2017, arXiv:1708.03888; You et al. 2020, arXiv:1904.00962; Goyal et
    al. 2017, arXiv:1706.02677, for the 5 epochs.
Cost: two minutes on 2 cores, compilation included.
Expect: batches of 50 lose less than a point, and those of 500 more.
Run: jaxml run large_batch
"""

from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from jaxml import learn, problem, record
from jaxml.record import Arm, Assertion
from jaxml.record.comparisons import compared
from jaxml.record.figures import Figure, by_rate, label, panels, shared_legend
from jaxml.types import Keep, Workload

DATA = ("8x8 digits", "clothing of 7x7 pixels")
WORKLOADS = (problem.digits_workload, problem.small_clothing_workload)
EXAMPLES, SMALL, LARGE = 500, 5, 50  # that train, and of a batch
STEPS = 1.5 ** np.arange(11)
TRAINING, HELD_OUT = "training", "held-out"
GUESS = 0.1  # accuracy of a run that diverged
NO_WORSE = record.above(-0.01, margin=0.001, reason="a tenth of what may be lost")
RECIPES = (
    "momentum at a constant rate",
    "momentum with warm-up and falling rate",
    "Adam with warm-up and falling rate",
    "LARS with warm-up and falling rate",
    "LAMB with warm-up and falling rate",
)
PLAIN, USUAL = range(2)  # of the recipes
X = f"held-out accuracy minus that of batches of {SMALL} by their best recipe"


class Layered(NamedTuple):
    """An optimizer in the place of momentum, and its lowest rate at batches of 5."""

    family: learn.ShapedFamily
    lowest: float
    trust: float = 1e-3


LOWEST = 4.5e-3  # rate of momentum at batches of 5
OPTIMIZERS = {
    "Adam": Layered(learn.adam, 2.3e-3),
    "LARS": Layered(learn.lars, 5e-4, trust=1.0),
    "LAMB": Layered(learn.lamb, 1e-3),
}


@dataclass(frozen=True, kw_only=True)
class Config:
    """Sizes and units; of data sets and optimizers the first ones."""

    data: int = len(DATA)
    optimizers: int = len(OPTIMIZERS)
    sizes: tuple[int, ...] = (SMALL, LARGE, EXAMPLES)
    test: int = 1000
    tuning: int = 20
    judging: int = 36
    lanes: int = 22
    seed: int = 0


SMOKE = Config(
    data=1, optimizers=0, sizes=(125, EXAMPLES), test=20, tuning=2, judging=2
)


class Result(NamedTuple):
    """Accuracies after 20 epochs. Units that tune come first.

    Attributes:
        training: on the training set.
        held_out: on other pictures.
        unscaled: likewise, of batches of the second size by momentum at the constant
            rates of the small ones.
        sizes: of batches, the small one first, then the large one that decides.
        weights: of the networks.
        tuning: how many of the units tune.
    """

    training: Float[np.ndarray, "data size recipe rate unit"]
    held_out: Float[np.ndarray, "data size recipe rate unit"]
    unscaled: Float[np.ndarray, "data rate unit"]
    sizes: Int[np.ndarray, " size"]
    weights: Int[np.ndarray, " data"]
    tuning: Int[np.ndarray, ""]


def study(config: Config, keep: Keep) -> Result:
    """One program a data set, size and optimizer."""
    works = [of(train=EXAMPLES, test=config.test) for of in WORKLOADS[: config.data]]
    found, unscaled = [], []
    for work, data in zip(works, DATA, strict=False):
        runs = partial(_runs, config, keep, problem.judged_on_both(work), data)
        every = [runs(size) for size in config.sizes]
        unscaled.append(every[1][1, 0])
        every[1] = every[1][:, 1:]
        found.append(every)
    training, held_out = np.moveaxis(np.array(found), 2, 0)
    return Result(
        training=training,
        held_out=held_out,
        unscaled=np.array(unscaled),
        sizes=np.array(config.sizes),
        weights=np.array([problem.weights(work) for work in works]),
        tuning=np.array(config.tuning),
    )


def _updates(size: int) -> int:
    """In 20 epochs."""
    return 20 * learn.updates_per_epoch(EXAMPLES, size)


def _runs(
    config: Config, keep: Keep, work: Workload, data: str, size: int
) -> Float[np.ndarray, "quantity contender rate unit"]:
    """Training and held-out accuracy of the entrants at one size."""
    steps, found = _updates(size), []
    for name, entrant in _entrants(config, size).items():
        stage = f"{data}, {name}, batches of {size}"
        contest = learn.compare(
            learn.experiment(work, batch=size, steps=steps),
            {stage: entrant},
            lanes=config.lanes,
            units=learn.Units(config.tuning, config.judging),
            seed=config.seed,
            keep=keep,
        )[stage]
        ended = np.stack([contest.final["training"], contest.final["held-out"]])
        found.append(ended.reshape(2, -1, len(STEPS), ended.shape[-1]))
    return np.nan_to_num(np.concatenate(found, axis=1), nan=GUESS)


def _entrants(config: Config, size: int) -> dict[str, learn.Entrant]:
    """The recipes at one size, those of momentum in one program; at the second size
    first of all the constant rates of the small one.
    """
    steps = _updates(size)
    warmup, lengths = steps // 4, {"horizon": steps}
    scaled = partial(learn.scaled, size=size, reference=SMALL, power=0.5)
    varied = partial(learn.grid, learn.Variant, lr=LOWEST * STEPS, **lengths)
    grids = [scaled(varied()), scaled(varied(warmup=warmup, fall=1.0))]
    if size == config.sizes[1]:
        grids.insert(0, varied())
    joined = learn.joined(grids)
    entrants = {"momentum": learn.Entrant(learn.varied_momentum, joined)}
    for name in list(OPTIMIZERS)[: config.optimizers]:
        family, lowest, trust = OPTIMIZERS[name]
        rates = {"lr": lowest * STEPS, "trust": trust, "warmup": warmup}
        grid = learn.grid(learn.Hyper, **rates, **lengths)
        falling = partial(family, shape=learn.linear)
        entrants[name] = learn.Entrant(falling, scaled(grid))
    return entrants


def findings(result: Result) -> tuple[Assertion, ...]:
    """On each data set: what decides, what else is asked of the best, each recipe, and
    the control.
    """
    found: list[Assertion] = []
    for data in range(len(result.weights)):
        found += _of_best(result, data)
        found += _of_each(result, data)
    return tuple(found)


def _arm(held_out: np.ndarray, judged: np.ndarray | None = None) -> Arm:
    """One recipe or the choice among several, by held-out accuracy.

    Args:
        held_out: `[..., rate, unit]`.
        judged: likewise, the same when not given.
    """
    units = held_out.shape[-1]
    scores = -held_out.reshape(-1, units)
    values = held_out if judged is None else judged
    place = np.arange(len(scores)) % len(STEPS)
    edges = np.isin(place, [0, len(STEPS) - 1])
    return Arm(values.reshape(-1, units), scores, edges)


def _named(result: Result, data: int, place: int) -> str:
    """Batches of a size, on a data set."""
    size = int(result.sizes[place])
    return f"On {DATA[data]} batches of {size} ({_updates(size):,} updates)"


def _minus(result: Result, ours: Arm, theirs: Arm) -> dict[str, Any]:
    """What all findings share but their sentence: one setting for all data sets, so
    that an answer needs both.
    """
    minus = partial(record.tuned, record.mean_difference, tuning=int(result.tuning))
    weights = " and ".join(sorted({f"{each:,}" for each in result.weights}))
    recipes = ", ".join(RECIPES[: result.held_out.shape[2]])
    return {
        "measured": minus(ours, theirs),
        "rule": NO_WORSE,
        "unit": "accuracy difference",
        "setting": f"dense network of {weights} weights, {EXAMPLES} examples, 20 "
        f"epochs, rates tuned at each size; recipes: {recipes}",
    }


def _of_best(result: Result, data: int) -> list[Assertion]:
    """The best recipe at both sizes, which decides; the same in training accuracy, the
    usual baseline, and sizes beyond.
    """
    training, held_out = result.training[data], result.held_out[data]
    small, best = _arm(held_out[0]), _arm(held_out[1])
    usual = _arm(held_out[0, USUAL])
    trained, taught = (_arm(held_out[place], training[place]) for place in (1, 0))
    same = "with the best of the same recipes"
    cases = [
        (record.deciding, 1, HELD_OUT, same, (best, small)),
        (record.supporting, 1, HELD_OUT, f"by {RECIPES[USUAL]}", (best, usual)),
        (record.supporting, 1, TRAINING, same, (trained, taught)),
    ]
    for place in range(2, len(result.sizes)):
        beyond = _arm(held_out[place]), small
        cases.append((record.supporting, place, HELD_OUT, same, beyond))
    found = []
    for make, place, quantity, reference, arms in cases:
        statement = (
            f"{_named(result, data, place)} with the best of several recipes end less "
            f"than a point of {quantity} accuracy below batches of {result.sizes[0]} "
            f"({_updates(int(result.sizes[0])):,} updates) {reference}."
        )
        found.append(make("C072", statement, **_minus(result, *arms)))
    return found


def _of_each(result: Result, data: int) -> list[Assertion]:
    """Each recipe compared with itself at the small size, and the control."""
    small, large = result.held_out[data, 0], result.held_out[data, 1]
    plain = _arm(small[PLAIN])
    pairs = {
        f"by {name}": (_arm(ours), _arm(theirs))
        for name, ours, theirs in zip(RECIPES, large, small, strict=False)
    }
    control = _arm(result.unscaled[data])._replace(scores=plain.scores)
    best = f"the constant rate that is best for batches of {result.sizes[0]}"
    pairs[f"by momentum at {best}, the control,"] = control, plain
    below = "end less than a point of held-out accuracy below batches of"
    return [
        record.supporting(
            "C072",
            f"{_named(result, data, 1)} {name} {below} {result.sizes[0]} by the same.",
            **_minus(result, *arms),
        )
        for name, arms in pairs.items()
    ]


def figures(result: Result) -> dict[str, Figure]:
    """Every recipe at all sizes minus the small batch's best, unit by unit; and
    accuracy by rate.
    """
    tuning, count = int(result.tuning), len(result.weights)
    beside, rows = panels(count, 1, width=9.0, height=4.8)
    for data, axis in enumerate(rows):
        small = _arm(result.held_out[data, 0])
        compared(axis, _rows(result, data, small), NO_WORSE, tuning=tuning)
        label(axis, DATA[data], X, "size and recipe")
    shared_legend(beside)
    tuned, axes = panels(count, 2, height=3.6)
    for axis, (data, place) in zip(axes, product(range(count), (0, 1)), strict=True):
        size = int(result.sizes[place])
        for name, values in zip(RECIPES, result.held_out[data, place], strict=False):
            best = learn.chosen(-values, tuning)
            by_rate(axis, STEPS, values[:, tuning:], best, name)
        title = f"{DATA[data]}, batches of {size}"
        label(axis, title, "rate over the lowest of its grid", "held-out accuracy")
    shared_legend(tuned, columns=2)
    return {"recipes": beside, "rates": tuned}


def _rows(result: Result, data: int, small: Arm) -> dict[str, tuple[Arm, Arm]]:
    """The best of each size, and each recipe at the large size and the small one."""
    held_out, sizes = result.held_out[data], result.sizes
    pairs = {}
    for place, size in enumerate(sizes[1:], start=1):
        pairs[f"{size}, best recipe"] = _arm(held_out[place]), small
    for place, size in ((1, sizes[1]), (0, sizes[0])):
        for name, values in zip(RECIPES, held_out[place], strict=False):
            pairs[f"{size}, {name}"] = _arm(values), small
    return pairs
