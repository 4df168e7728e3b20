"""What is each technique for large batches worth by itself?

`large_batch` asks whether the best of eight techniques makes batches of 500, that is of
all examples, as good as batches of 25. Here each is judged alone, on the same runs: how
much it makes up for of what the large batch lacks of the held-out accuracy of the small
one. The gap is that of momentum at the small batch's tuned rate, without any technique;
a part of 0 is no help, of 1 all of it, and above 1 the technique is the better method.
More than half is asked, by a margin of a tenth of the gap.

Three rules say the rate without tuning: the small batch's rate times the square root of
the ratio of sizes, times the ratio, and times the ratio after a warm-up over 5 epochs.
The small batch's rate is chosen anew in each resample, and the rules follow it.

Longer training has another yardstick, the small batch's accuracy itself, less one
point: after 80 and after 400 updates by tuned momentum, the latter as many as the small
batch makes, in 4 and 20 times as many epochs. It may reach the accuracy; of the speed
it keeps a factor of 5, or none.

Units, grids, tuning and the margin of one point are those of `large_batch`, whose units
are seeds and hence the same here. Everything supports: what a technique is worth is no
part of the claim, which asks for one that suffices.

Claims: C072.
Sources: Krizhevsky 2014, arXiv:1404.5997; Goyal et al. 2017, arXiv:1706.02677; Hoffer,
    Hubara and Soudry 2017, arXiv:1705.08741, for longer training.
Cost: a minute on 2 cores, compilation included, after `large_batch`.
Expect: rates that are tuned or scaled make up for most of the gap, Adam for more than
the others, and 80 updates for all of it.
Run: jaxml run large_batch_techniques
"""

from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from jaxml import learn, problem, record
from jaxml.record import Arm, Assertion
from jaxml.record.comparisons import at_tuned, compared
from jaxml.record.figures import Figure, band, label, panels, shared_legend
from jaxml.types import Keep, Workload

NEEDS = ("large_batch",)
DATA = ("8x8 digits", "clothing of 7x7 pixels")
WORKLOADS = (problem.digits_workload, problem.small_clothing_workload)
EXAMPLES, SMALL = 500, 25  # that train, and of a small batch
UPDATES = 20  # by all examples in 20 epochs
LOWEST = 7.6e-3  # rate at batches of 25
STEPS = 1.5 ** np.arange(12)
GUESS = 0.1  # accuracy of a run that diverged
UNTUNED, TUNED = range(2)  # the first contenders of `large_batch`
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
ROOT = "the rate times the root of the ratio"
RULES = ("the rate times the ratio", "the rate times the ratio, after a warm-up")
X = f"held-out accuracy minus that of batches of {SMALL} by momentum"
NO_WORSE = record.above(-0.01, margin=0.001, reason="one of 1,000 held-out pictures")
HALF = record.above(0.5, margin=0.1, reason="a tenth of the gap")


@dataclass(frozen=True, kw_only=True)
class Config:
    """Held-out examples, and stretches of 20 updates of a longer run."""

    test: int = 1000
    stretches: int = 20
    lanes: int = 20
    seed: int = 0


SMOKE = Config(test=20, stretches=2)


class Result(NamedTuple):
    """Held-out accuracies. Units that tune come first.

    Attributes:
        small: of momentum by batches of 25, after 20 epochs.
        large: of the contenders by batches of 500, likewise.
        scaled: of momentum by these at rates of batches of 25 times the ratio, then
            after a warm-up.
        longer: of momentum by these after every 20 updates.
        weights: of the networks.
        tuning: how many of the units tune.
    """

    small: Float[np.ndarray, "data rate unit"]
    large: Float[np.ndarray, "data contender rate unit"]
    scaled: Float[np.ndarray, "data rule rate unit"]
    longer: Float[np.ndarray, "data evaluation rate unit"]
    weights: Int[np.ndarray, " data"]
    tuning: Int[np.ndarray, ""]


class Setup(NamedTuple):
    """What all runs on one data set share."""

    config: Config
    keep: Keep
    units: learn.Units
    data: str


def study(config: Config, keep: Keep, large_batch: Any) -> Result:
    """On the units of `large_batch`: rules for the rate, and longer training."""
    small, large = large_batch.held_out[:, 0], large_batch.held_out[:, -1]
    tuning = int(large_batch.tuning)
    units = learn.Units(tuning, small.shape[-1] - tuning)
    scaled, longer = [], []
    for of, data in zip(WORKLOADS[: len(small)], DATA, strict=False):
        work = of(train=EXAMPLES, test=config.test)
        setup = Setup(config, keep, units, data)
        scaled.append(_scaled(setup, work))
        longer.append(_longer(setup, work))
    return Result(
        small=small[:, TUNED],
        large=large,
        scaled=np.array(scaled),
        longer=np.array(longer),
        weights=large_batch.weights,
        tuning=large_batch.tuning,
    )


def _grid(size: int, power: float, **changed: Any) -> learn.Variant:
    """Rates of batches of 25, scaled to a size, and what else is changed."""
    horizon = UPDATES * EXAMPLES // size
    grid = learn.grid(learn.Variant, lr=LOWEST * STEPS, horizon=horizon, **changed)
    return learn.scaled(grid, size, reference=SMALL, power=power)


def _scaled(setup: Setup, work: Workload) -> Float[np.ndarray, "rule rate unit"]:
    """At the small batch's rates times the ratio, at once and after a warm-up."""
    warmed = _grid(EXAMPLES, 1.0, warmup=UPDATES // 4)
    both = learn.joined([_grid(EXAMPLES, 1.0), warmed])
    ended = _contest(setup, "scaled", work, EXAMPLES, both)[-1]
    return ended.reshape(len(RULES), len(STEPS), -1)


def _longer(setup: Setup, work: Workload) -> Float[np.ndarray, "evaluation rate unit"]:
    """Momentum by all examples, beyond 20 epochs."""
    stretches = setup.config.stretches
    grid = _grid(EXAMPLES, 0.5)
    return _contest(setup, "longer", work, EXAMPLES, grid, stretches)


def _contest(
    setup: Setup,
    name: str,
    work: Workload,
    size: int,
    grid: learn.Variant,
    stretches: int = 1,
) -> Float[np.ndarray, "evaluation point unit"]:
    """Held-out accuracy of every unit at every point, after every 20 epochs."""
    config, steps = setup.config, UPDATES * EXAMPLES // size
    name = f"{setup.data}, {name}"
    found = learn.compare(
        learn.experiment(work, batch=size, steps=stretches * steps, every=steps),
        {name: learn.Entrant(learn.varied_momentum, grid)},
        lanes=config.lanes,
        units=setup.units,
        seed=config.seed,
        keep=setup.keep,
    )[name]
    ended = found.diverged_at[..., None] < 0
    return np.moveaxis(np.where(ended, found.curves["accuracy"], GUESS), -1, 0)


def findings(result: Result) -> tuple[Assertion, ...]:
    """On each data set, what each technique is worth."""
    found: list[Assertion] = []
    for data in range(len(result.weights)):
        found += _recovered(result, data)
        found += _longer_as_well(result, data)
    return tuple(found)


def _setting(result: Result, data: int) -> str:
    return (
        f"{DATA[data]}, dense network of {result.weights[data]:,} weights, {EXAMPLES} "
        "examples"
    )


def _arm(accuracies: np.ndarray) -> Arm:
    return Arm(accuracies, -accuracies)


def _arms(result: Result, data: int) -> dict[str, Arm]:
    """Rules, at what the small batch's tuned rate makes of them, and techniques."""
    scores = -result.small[data]
    large = result.large[data]
    followed = {
        ROOT: large[TUNED],
        **dict(zip(RULES, result.scaled[data], strict=True)),
    }
    arms = {name: Arm(each, scores) for name, each in followed.items()}
    for name, each in zip(TECHNIQUES, large[TUNED:], strict=False):
        arms[name] = _arm(each)
    return arms


def _recovered(result: Result, data: int) -> list[Assertion]:
    """What part of the gap each makes up for."""
    small = _arm(result.small[data])
    untuned = Arm(result.large[data, UNTUNED], small.scores)
    setting = f"{_setting(result, data)}, 20 epochs ({UPDATES} and 400 updates)"
    found = []
    for name, arm in _arms(result, data).items():
        tuning = int(result.tuning)
        part = record.tuned(_part, small, untuned, arm, tuning=tuning)
        statement = (
            f"By {name} batches of {EXAMPLES} make up for more than half of what they "
            f"lack of the held-out accuracy of batches of {SMALL} at the rate of these."
        )
        found.append(
            record.supporting(
                "C072", statement, part, HALF, unit="ratio", setting=setting
            )
        )
    return found


def _part(small: np.ndarray, untuned: np.ndarray, ours: np.ndarray) -> float:
    """How much of the way from `untuned` to `small` ours is; nan if there is none."""
    gap = record.mean_difference(small, untuned)
    return record.mean_difference(ours, untuned) / gap if gap > 0 else np.nan


def _longer_as_well(result: Result, data: int) -> list[Assertion]:
    """Batches of all examples for a fifth of the small ones' updates, and for all."""
    minus = partial(record.tuned, record.mean_difference, tuning=int(result.tuning))
    longer, found = result.longer[data], []
    for stretches in sorted({-(-len(longer) // 5), len(longer)}):
        statement = (
            f"After {UPDATES * stretches} updates by momentum batches of {EXAMPLES} "
            f"end less than a point of held-out accuracy below batches of {SMALL} "
            "after 400."
        )
        found.append(
            record.supporting(
                "C072",
                statement,
                minus(_arm(longer[stretches - 1]), _arm(result.small[data])),
                NO_WORSE,
                unit="accuracy difference",
                setting=f"{_setting(result, data)}, {20 * stretches} and 20 epochs",
                figure="updates",
            )
        )
    return found


def figures(result: Result) -> dict[str, Figure]:
    """Each technique, unit by unit; and accuracy by updates."""
    tuning, count = int(result.tuning), len(result.weights)
    alone, rows = panels(count, 1, width=9.0, height=3.8)
    for data, axis in enumerate(rows):
        small = _arm(result.small[data])
        untuned = Arm(result.large[data, UNTUNED], small.scores)
        arms = {"none": untuned, **_arms(result, data)}
        pairs = {name: (arm, small) for name, arm in arms.items()}
        compared(axis, pairs, NO_WORSE, tuning=tuning)
        label(axis, f"{DATA[data]}, batches of {EXAMPLES}, 20 epochs", X, "technique")
    shared_legend(alone)
    later, columns = panels(1, count)
    for data, axis in enumerate(columns):
        longer = [at_tuned(_arm(each), tuning) for each in result.longer[data]]
        updates = UPDATES * np.arange(1, len(longer) + 1)
        band(axis, updates, np.array(longer), f"batches of {EXAMPLES}")
        small = at_tuned(_arm(result.small[data]), tuning)
        level = np.stack([small, small])
        band(axis, updates[[0, -1]], level, f"batches of {SMALL} after 400 updates")
        axis.set_xscale("log")
        label(axis, DATA[data], "updates", "held-out accuracy at the best rate")
    shared_legend(later)
    return {"techniques": alone, "updates": later}
