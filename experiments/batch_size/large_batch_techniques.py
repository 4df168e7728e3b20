"""What is each technique for large batches worth by itself?

`large_batch` asks whether recipes make batches of 50, a tenth of the examples, as good
as batches of 5. Here single techniques are judged on the same units, by two yardsticks:

- The gap: what batches of 50 lack of the held-out accuracy of batches of 5, both by
  momentum at the constant rate that is best for these. A technique makes up for half of
  it or more where it ends above the middle, by half of one picture in a hundred; the
  gap is of two to five of them.
- The floor: batches of 50 at their own best rate. A technique adds to tuning where it
  ends half of one picture in a hundred above them.

Two rules say the rate without tuning: the small batch's rate times the ratio of sizes,
which is 10, at ten updates an epoch: at once, and after a warm-up over 5 epochs, that
is 50 updates. The small batch's rate is chosen anew in each resample, and the rules
follow it. The techniques are tuned, each over 12 rates: a warm-up; gradients clipped to
length 1; weights averaged over the second half; a rate that falls linearly; LARS, Adam
or LAMB in the place of momentum. Each is alone: the others' rates are constant.

Units are those of `large_batch`, which are seeds and hence the same here, and so are
grids and tuning. A run that diverged counts as accuracy 0.1, a guess. Everything
supports: what a technique is worth is no part of the claim, which asks for recipes that
suffice. An earlier design took all 500 examples as the large batch, and a ratio for
what is made up for, and trained longer too, which `batch_size` does; it was not run in
full. 16 units of seed 100 put the rates and showed the size of the gap.

Claims: C072.
Sources: Goyal et al. 2017, arXiv:1706.02677; You et al. 2017, arXiv:1708.03888; You et
    al. 2020, arXiv:1904.00962; Izmailov et al. 2018, arXiv:1803.05407.
Cost: half a minute on 2 cores, compilation included, after `large_batch`.
Expect: rates that are tuned or scaled make up for most of the gap, and a falling rate
and Adam for all of it.
Run: jaxml run large_batch_techniques
"""

from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from jaxml import learn, problem, record
from jaxml.record import Arm, Assertion
from jaxml.record.comparisons import compared
from jaxml.record.figures import Figure, label, panels, shared_legend
from jaxml.types import Keep

NEEDS = ("large_batch",)
DATA = ("8x8 digits", "clothing of 7x7 pixels")
WORKLOADS = (problem.digits_workload, problem.small_clothing_workload)
EXAMPLES, SMALL = 500, 5  # that train, and of a small batch
LOWEST = 3e-3  # rate of momentum at batches of 5
STEPS = 1.5 ** np.arange(12)
GUESS = 0.1  # accuracy of a run that diverged
RULES = ("the rate times the ratio", "the rate times the ratio, after a warm-up")
TECHNIQUES = (
    "tuning the rate",
    "a warm-up",
    "clipping",
    "averaging",
    "a falling rate",
    "LARS",
    "Adam",
    "LAMB",
)
X = f"held-out accuracy minus that of batches of {SMALL} by momentum"
PICTURE = "half of one picture in a hundred"
HALF = record.above(0.0, margin=0.005, reason=PICTURE)


OPTIMIZERS = {
    "LARS": (learn.lars, 2.25e-4),
    "Adam": (learn.adam, 1e-3),
    "LAMB": (learn.lamb, 3e-4),
}
"""In the place of momentum, with their lowest rates at batches of 5."""


@dataclass(frozen=True, kw_only=True)
class Config:
    """Of optimizers the first ones, and held-out examples."""

    optimizers: int = len(OPTIMIZERS)
    test: int = 1000
    lanes: int = 24
    seed: int = 0


SMOKE = Config(optimizers=0, test=20)


class Result(NamedTuple):
    """Held-out accuracies after 20 epochs. Units that tune come first.

    Attributes:
        small: of momentum at constant rates by small batches.
        unscaled: of momentum by large batches at the same rates.
        ruled: likewise at these times the ratio of sizes, then after a warm-up.
        large: of the techniques by large batches, each over its grid.
        sizes: of batches, the small and the large one.
        weights: of the networks.
        tuning: how many of the units tune.
    """

    small: Float[np.ndarray, "data rate unit"]
    unscaled: Float[np.ndarray, "data rate unit"]
    ruled: Float[np.ndarray, "data rule rate unit"]
    large: Float[np.ndarray, "data technique rate unit"]
    sizes: Int[np.ndarray, " size"]
    weights: Int[np.ndarray, " data"]
    tuning: Int[np.ndarray, ""]


def study(config: Config, keep: Keep, large_batch: Any) -> Result:
    """On the units and at the first two sizes of `large_batch`."""
    held_out, tuning = large_batch.held_out, int(large_batch.tuning)
    units = learn.Units(tuning, held_out.shape[-1] - tuning)
    found = []
    for of, data in zip(WORKLOADS[: len(held_out)], DATA, strict=False):
        experiment = learn.experiment(
            of(train=EXAMPLES, test=config.test),
            batch=int(large_batch.sizes[1]),
            steps=_updates(large_batch.sizes[1]),
        )
        ended = []
        for name, entrant in _entrants(config, int(large_batch.sizes[1])).items():
            stage = f"{data}, {name}"
            final = learn.compare(
                experiment,
                {stage: entrant},
                lanes=config.lanes,
                units=units,
                seed=config.seed,
                keep=keep,
            )[stage].final["accuracy"]
            ended.append(final.reshape(-1, len(STEPS), sum(units)))
        found.append(np.nan_to_num(np.concatenate(ended), nan=GUESS))
    ruled, alone = np.split(np.array(found), [len(RULES)], axis=1)
    return Result(
        small=held_out[:, 0, 0],
        unscaled=large_batch.unscaled,
        ruled=ruled,
        large=np.concatenate([held_out[:, 1, :1], alone], axis=1),
        sizes=large_batch.sizes[:2],
        weights=large_batch.weights,
        tuning=large_batch.tuning,
    )


def _updates(size: Any) -> int:
    """In 20 epochs."""
    return 20 * learn.updates_per_epoch(EXAMPLES, int(size))


def _entrants(config: Config, size: int) -> dict[str, learn.Entrant]:
    """Both rules and what changes one thing of momentum, in one program; and what takes
    its place.
    """
    steps = _updates(size)
    scaled = partial(learn.scaled, size=size, reference=SMALL)
    varied = partial(learn.grid, learn.Variant, lr=LOWEST * STEPS, horizon=steps)
    warmed = varied(warmup=steps // 4)
    grids = [scaled(varied()), scaled(warmed)]
    halved = varied(average_from=steps // 2)
    for grid in (warmed, varied(clip=1.0), halved, varied(fall=1.0)):
        grids.append(scaled(grid, power=0.5))
    joined = learn.joined(grids)
    entrants = {"momentum": learn.Entrant(learn.varied_momentum, joined)}
    for name in list(OPTIMIZERS)[: config.optimizers]:
        family, lowest = OPTIMIZERS[name]
        grid = learn.grid(learn.Hyper, lr=lowest * STEPS, trust=1.0)
        entrants[name] = learn.Entrant(family, scaled(grid, power=0.5))
    return entrants


def findings(result: Result) -> tuple[Assertion, ...]:
    """On each data set, what each technique makes up for, and what it adds."""
    places = range(len(result.weights))
    return tuple(each for data in places for each in _worth(result, data))


def _arm(accuracies: np.ndarray) -> Arm:
    return Arm(accuracies, -accuracies)


def _arms(result: Result, data: int) -> dict[str, Arm]:
    """Rules, at what the small batch's tuned rate makes of them, and techniques."""
    scores = -result.small[data]
    ruled, large = result.ruled[data], result.large[data]
    arms = {name: Arm(each, scores) for name, each in zip(RULES, ruled, strict=True)}
    tuned = {name: _arm(each) for name, each in zip(TECHNIQUES, large, strict=False)}
    return arms | tuned


def _worth(result: Result, data: int) -> list[Assertion]:
    """Whether each technique makes up for half of the gap, and adds to tuning."""
    small, size = result.sizes
    beyond_half = partial(record.beyond_half, least=2 * HALF.margin)
    tuned = partial(record.tuned, tuning=int(result.tuning))
    supporting = partial(
        record.supporting,
        "C072",
        rule=HALF,
        unit="accuracy difference",
        setting=f"{DATA[data]}, dense network of {result.weights[data]:,} weights, "
        f"{EXAMPLES} examples, 20 epochs of batches of {small} ({_updates(small):,} "
        f"updates) and of {size} ({_updates(size):,})",
    )
    plain, arms = _arm(result.small[data]), _arms(result, data)
    untuned, floor = Arm(result.unscaled[data], plain.scores), arms[TECHNIQUES[0]]
    found = []
    for name, arm in arms.items():
        statement = (
            f"By {name} batches of {size} make up for half or more of what they lack "
            f"of the held-out accuracy of batches of {small} at the rate of these."
        )
        found.append(supporting(statement, tuned(beyond_half, plain, untuned, arm)))
        if arm is not floor:
            statement = (
                f"By {name} batches of {size} end at a higher held-out accuracy than "
                "by momentum at their own best constant rate."
            )
            added = tuned(record.mean_difference, arm, floor)
            found.append(supporting(statement, added))
    return found


def figures(result: Result) -> dict[str, Figure]:
    """Each technique minus the small batch, unit by unit."""
    count = len(result.weights)
    figure, axes = panels(count, 1, width=9.0, height=3.8)
    for data, axis in enumerate(axes):
        small = _arm(result.small[data])
        untuned = Arm(result.unscaled[data], small.scores)
        arms = {"none": untuned, **_arms(result, data)}
        pairs = {name: (arm, small) for name, arm in arms.items()}
        compared(axis, pairs, HALF, tuning=int(result.tuning))
        title = f"{DATA[data]}, batches of {result.sizes[1]}, 20 epochs"
        label(axis, title, X, "technique")
    shared_legend(figure)
    return {"techniques": figure}
