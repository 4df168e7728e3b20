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
rate that falls from there in a straight line to 0, as the papers train. Each has 12
rates at each size. Single techniques are judged in `large_batch_techniques`, ghost
batch normalisation in `ghost_batches`.

What decides, at equal epochs, on digits and on clothing: the best recipe at batches of
50 minus the best of the same recipes at batches of 5, in held-out accuracy, above minus
one point. A point is one picture in a hundred, and what is allowed to be lost; a tenth
of it is the margin. Recipe and rate are chosen together, by 20 units, and judged by 44
others, in every resample anew; so the choice among 60 points flatters nobody, and what
helps a small batch as much is no remedy for large ones. Both findings are of one
setting, so that the claim is answered only where the data sets agree. It holds where
both intervals lie above minus one point, and fails where both lie below: there small
batches are better by more than what recipes give. Negative control: batches of 50 at
the constant rate that is best for batches of 5, which must come out below.

Beside that, supporting: each recipe compared with itself at the small batch, which is
open where one of its own best rates stands on an edge. The figure of recipes shows the
small batch by momentum with warm-up and falling rate too, the baseline of Goyal et al.

A unit draws its initial weights, its examples and their order anew; of digits, the
units' draws of 1,500 from 1,797 overlap. 1,000 pictures are held out, twice those of
`batch_size`, since one picture has to be a tenth of the point that is asked. Rates step
by 1.5 and move with the square root of the size. A diverged run counts as accuracy 0.1,
a guess.

An earlier design took batches of 250 and 500 as the large ones, beside 25, and single
techniques without recipes; it was not run in full. This one was placed by 16 units of
seed 100, which put the rates. There the best recipe at batches of 50 lay 0.2 points
below that of 5 on both data sets, which is 0.7 from where it would be open, with
deviations of 0.5 and 1.0 points between units. Resamples of these units to 20 and 44
give intervals of 0.3 to 0.5 points to either side on digits and 0.5 to 0.8 on clothing.

Not tested: accuracy on the training set, which `batch_size` compares; recipes that
exempt biases from the scaling by layers, as those of LARS and LAMB do; weight decay;
techniques whose second number is tuned too; Muon and other methods that transform whole
matrices; weights averaged over replicas; thousands of examples a batch; time.

Claims: C072.
Sources: You et al. 2017, arXiv:1708.03888; You et al. 2020, arXiv:1904.00962; Goyal et
    al. 2017, arXiv:1706.02677, for the 5 epochs.
Cost: three minutes on 2 cores, compilation included.
Expect: batches of 50 lose less than a point, and those of 500 more.
Run: jaxml run large_batch
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

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
STEPS = 1.5 ** np.arange(12)
GUESS = 0.1  # accuracy of a run that diverged
NO_WORSE = record.above(-0.01, margin=0.001, reason="a tenth of what may be lost")
RECIPES = (
    "momentum at a constant rate",
    "momentum with warm-up and falling rate",
    "Adam with warm-up and falling rate",
    "LARS with warm-up and falling rate",
    "LAMB with warm-up and falling rate",
)
X = f"held-out accuracy minus that of batches of {SMALL} by their best recipe"
Y = "held-out accuracy"


LOWEST = 3e-3  # rate of momentum at batches of 5
OPTIMIZERS = {
    "Adam": (learn.adam, 1.5e-3),
    "LARS": (learn.lars, 3.4e-4),
    "LAMB": (learn.lamb, 7e-4),
}
"""In the place of momentum, with their lowest rates at batches of 5."""


@dataclass(frozen=True, kw_only=True)
class Config:
    """Sizes and units; of data sets and optimizers the first ones."""

    data: int = len(DATA)
    optimizers: int = len(OPTIMIZERS)
    sizes: tuple[int, ...] = (SMALL, LARGE, EXAMPLES)
    test: int = 1000
    tuning: int = 20
    judging: int = 44
    lanes: int = 24
    seed: int = 0


SMOKE = Config(
    data=1, optimizers=0, sizes=(125, EXAMPLES), test=20, tuning=1, judging=1
)


class Result(NamedTuple):
    """Held-out accuracies after 20 epochs. Units that tune come first.

    Attributes:
        held_out: of the recipes.
        unscaled: of batches of the second size by momentum at the constant
            rates of the small ones.
        sizes: of batches, the small one first, then the large one that decides.
        weights: of the networks.
        tuning: how many of the units tune.
    """

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
        every = [_runs(config, keep, work, data, size) for size in config.sizes]
        unscaled.append(every[1][0])
        every[1] = every[1][1:]
        found.append(every)
    return Result(
        held_out=np.array(found),
        unscaled=np.array(unscaled),
        sizes=np.array(config.sizes),
        weights=np.array(list(map(problem.weights, works))),
        tuning=np.array(config.tuning),
    )


def _updates(size: int) -> int:
    """In 20 epochs."""
    return 20 * learn.updates_per_epoch(EXAMPLES, size)


def _runs(
    config: Config, keep: Keep, work: Workload, data: str, size: int
) -> Float[np.ndarray, "contender rate unit"]:
    """Of the entrants at one size."""
    steps, found = _updates(size), []
    for name, entrant in _entrants(config, size).items():
        stage = f"{data}, {name}, batches of {size}"
        final = learn.compare(
            learn.experiment(work, batch=size, steps=steps),
            {stage: entrant},
            lanes=config.lanes,
            units=learn.Units(config.tuning, config.judging),
            seed=config.seed,
            keep=keep,
        )[stage].final["accuracy"]
        found.append(final.reshape(-1, len(STEPS), final.shape[-1]))
    return np.nan_to_num(np.concatenate(found), nan=GUESS)


def _entrants(config: Config, size: int) -> dict[str, learn.Entrant]:
    """The recipes at one size, those of momentum in one program; at the second size
    first of all the constant rates of the small one.
    """
    steps = _updates(size)
    scaled = partial(learn.scaled, size=size, reference=SMALL, power=0.5)
    lengths = {"horizon": steps, "warmup": steps // 4}
    constant = learn.grid(learn.Variant, lr=LOWEST * STEPS, horizon=steps)
    falling = learn.grid(learn.Variant, lr=LOWEST * STEPS, fall=1.0, **lengths)
    grids = [scaled(constant), scaled(falling)]
    if size == config.sizes[1]:
        grids.insert(0, constant)
    joined = learn.joined(grids)
    entrants = {"momentum": learn.Entrant(learn.varied_momentum, joined)}
    for name in list(OPTIMIZERS)[: config.optimizers]:
        family, lowest = OPTIMIZERS[name]
        grid = learn.grid(learn.Hyper, lr=lowest * STEPS, trust=1.0, **lengths)
        falls = partial(family, shape=learn.linear)
        entrants[name] = learn.Entrant(falls, scaled(grid))
    return entrants


class Case(NamedTuple):
    """What is compared with what, and in which words."""

    place: int
    ours: Arm
    theirs: Arm
    method: str = "with the best of several recipes"
    reference: str = "with the best of the same recipes"


def findings(result: Result) -> tuple[Assertion, ...]:
    """On each data set: what decides, larger batches, each recipe, and the control."""
    found = []
    for data in range(len(result.weights)):
        cases = _of_best(result, data) + _of_each(result, data)
        for index, case in enumerate(cases):
            make = record.supporting if index else record.deciding
            found.append(_judged(result, data, case, make))
    return tuple(found)


def _arm(held_out: np.ndarray) -> Arm:
    """One recipe, or the choice among several: `[..., rate, unit]`."""
    values = held_out.reshape(-1, held_out.shape[-1])
    place = np.arange(len(values)) % len(STEPS)
    return Arm(values, -values, np.isin(place, [0, len(STEPS) - 1]))


def _of_best(result: Result, data: int) -> list[Case]:
    """The best recipe at each larger size, the one that decides first."""
    small, *larger = map(_arm, result.held_out[data])
    return [Case(place, arm, small) for place, arm in enumerate(larger, start=1)]


def _of_each(result: Result, data: int) -> list[Case]:
    """Each recipe compared with itself at the small size, and the control."""
    small, large = result.held_out[data, :2]
    plain, same = _arm(small[0]), "by the same"
    cases = [
        Case(1, _arm(ours), _arm(theirs), f"by {name}", same)
        for name, ours, theirs in zip(RECIPES, large, small, strict=False)
    ]
    control = _arm(result.unscaled[data])._replace(scores=plain.scores)
    rate = f"by momentum at the constant rate best for {result.sizes[0]}, the control,"
    return [*cases, Case(1, control, plain, rate, same)]


def _judged(
    result: Result, data: int, case: Case, make: Callable[..., Assertion]
) -> Assertion:
    """A case as a finding, in one setting for all data sets, so that an answer needs
    both.
    """
    small, size = int(result.sizes[0]), int(result.sizes[case.place])
    weights = " and ".join(f"{each:,}" for each in result.weights)
    tuning = int(result.tuning)
    statement = (
        f"On {DATA[data]} batches of {size} ({_updates(size):,} updates) {case.method} "
        f"end less than a point of held-out accuracy below batches of {small} "
        f"({_updates(small):,} updates) {case.reference}."
    )
    return make(
        "C072",
        statement,
        record.tuned(record.mean_difference, case.ours, case.theirs, tuning=tuning),
        NO_WORSE,
        unit="accuracy difference",
        setting=f"dense network of {weights} weights, {EXAMPLES} examples, 20 epochs, "
        f"rates tuned at each size; recipes: {', '.join(RECIPES)}",
    )


def figures(result: Result) -> dict[str, Figure]:
    """The best of each size and every recipe minus the small batch's best, unit by
    unit; and accuracy by rate.
    """
    tuning, count = int(result.tuning), len(result.weights)
    beside, rows = panels(count, 1, width=9.0, height=4.8)
    tuned, axes = panels(count, 2)
    for data, row in enumerate(rows):
        held_out = result.held_out[data]
        small, pairs = _arm(held_out[0]), {}
        for size, values in zip(result.sizes[1:], held_out[1:], strict=True):
            pairs[f"{size}, best recipe"] = _arm(values), small
        for place in (1, 0):
            size, axis = result.sizes[place], axes[2 * data + 1 - place]
            for name, values in zip(RECIPES, held_out[place], strict=False):
                pairs[f"{size}, {name}"] = _arm(values), small
                best = learn.chosen(-values, tuning)
                by_rate(axis, STEPS, values[:, tuning:], best, name)
            label(axis, f"{DATA[data]}, batches of {size}", "rate over the lowest", Y)
        compared(row, pairs, NO_WORSE, tuning=tuning)
        label(row, DATA[data], X, "size and recipe")
    shared_legend(beside)
    shared_legend(tuned, columns=2)
    return {"recipes": beside, "rates": tuned}
