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
follow it. The techniques are tuned, each over 11 rates: a warm-up; gradients clipped to
length 1; weights averaged over the second half; a rate that falls linearly; LARS, Adam
or LAMB in the place of momentum. Each is alone: the others' rates are constant.

Longer training has another yardstick, the small batch's accuracy itself, less one
point: batches of 50 by tuned momentum for 40 and for 200 epochs, beside 20 of batches
of 5. The latter are as many updates as the small batch makes. It may reach the
accuracy; of the speed it keeps a factor of 5, or none.

Units are those of `large_batch`, which are seeds and hence the same here, and so are
grids and tuning. A run that diverges counts as a guess from then on. Everything
supports: what a technique is worth is no part of the claim, which asks for recipes that
suffice. An earlier design took all 500 examples as the large batch, and a ratio for
what is made up for; it was not run in full. 16 units of seed 100 put the rates and
showed the size of the gap.

Claims: C072.
Sources: Goyal et al. 2017, arXiv:1706.02677; You et al. 2017, arXiv:1708.03888; You et
    al. 2020, arXiv:1904.00962; Izmailov et al. 2018, arXiv:1803.05407; Hoffer, Hubara
    and Soudry 2017, arXiv:1705.08741, for longer training.
Cost: a minute on 2 cores, compilation included, after `large_batch`.
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
from jaxml.record.comparisons import at_tuned, compared
from jaxml.record.figures import Figure, band, label, panels, shared_legend
from jaxml.types import Keep, Workload

NEEDS = ("large_batch",)
DATA = ("8x8 digits", "clothing of 7x7 pixels")
WORKLOADS = (problem.digits_workload, problem.small_clothing_workload)
EXAMPLES, SMALL = 500, 5  # that train, and of a small batch
LOWEST = 4.5e-3  # rate of momentum at batches of 5
STEPS = 1.5 ** np.arange(11)
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
NO_WORSE = record.above(-0.01, margin=0.001, reason="a tenth of what may be lost")


class Layered(NamedTuple):
    """An optimizer in the place of momentum, and its lowest rate at batches of 5."""

    family: learn.Family
    lowest: float
    trust: float = 1e-3


OPTIMIZERS = (
    Layered(learn.lars, 2.25e-4, trust=1.0),
    Layered(learn.adam, 1e-3),
    Layered(learn.lamb, 3e-4),
)


@dataclass(frozen=True, kw_only=True)
class Config:
    """Of optimizers the first ones, held-out examples, and how many times 20 epochs a
    longer run takes.
    """

    optimizers: int = len(OPTIMIZERS)
    test: int = 1000
    stretches: int = 10
    lanes: int = 22
    seed: int = 0


SMOKE = Config(optimizers=0, test=20, stretches=2)


class Result(NamedTuple):
    """Held-out accuracies. Units that tune come first.

    Attributes:
        small: of momentum at constant rates by small batches, after 20 epochs.
        unscaled: of momentum by large batches at the same rates.
        ruled: likewise at these times the ratio of sizes, then after a warm-up.
        large: of the techniques by large batches, each over its grid.
        longer: of momentum by large batches after every 20 epochs.
        sizes: of batches, the small and the large one.
        weights: of the networks.
        tuning: how many of the units tune.
    """

    small: Float[np.ndarray, "data rate unit"]
    unscaled: Float[np.ndarray, "data rate unit"]
    ruled: Float[np.ndarray, "data rule rate unit"]
    large: Float[np.ndarray, "data technique rate unit"]
    longer: Float[np.ndarray, "data evaluation rate unit"]
    sizes: Int[np.ndarray, " size"]
    weights: Int[np.ndarray, " data"]
    tuning: Int[np.ndarray, ""]


class Setup(NamedTuple):
    """What all runs on one data set share."""

    config: Config
    keep: Keep
    units: learn.Units
    data: str
    work: Workload
    size: int


def study(config: Config, keep: Keep, large_batch: Any) -> Result:
    """On the units and at the first two sizes of `large_batch`: single techniques,
    rules for the rate, and longer training.
    """
    small, sizes = large_batch.held_out[:, 0, 0], large_batch.sizes[:2]
    tuning = int(large_batch.tuning)
    units = learn.Units(tuning, small.shape[-1] - tuning)
    ruled, large, longer = [], [], []
    for of, data in zip(WORKLOADS[: len(small)], DATA, strict=False):
        work = of(train=EXAMPLES, test=config.test)
        setup = Setup(config, keep, units, data, work, int(sizes[1]))
        of_momentum = _of_momentum(setup)
        ruled.append(of_momentum[: len(RULES)])
        large.append(np.concatenate([of_momentum[len(RULES) :], *_of_others(setup)]))
        longer.append(_longer(setup))
    tuned = large_batch.held_out[:, 1, :1]
    return Result(
        small=small,
        unscaled=large_batch.unscaled,
        ruled=np.array(ruled),
        large=np.concatenate([tuned, np.array(large)], axis=1),
        longer=np.array(longer),
        sizes=sizes,
        weights=large_batch.weights,
        tuning=large_batch.tuning,
    )


def _updates(size: int) -> int:
    """In 20 epochs."""
    return 20 * learn.updates_per_epoch(EXAMPLES, size)


def _varied(size: int, power: float, **changed: Any) -> learn.Variant:
    """Rates of small batches, scaled to a size, and what else is changed."""
    horizon = _updates(size)
    grid = learn.grid(learn.Variant, lr=LOWEST * STEPS, horizon=horizon, **changed)
    return learn.scaled(grid, size, reference=SMALL, power=power)


def _of_momentum(setup: Setup) -> Float[np.ndarray, "contender rate unit"]:
    """Both rules, then the techniques that change one thing of momentum."""
    varied, steps = partial(_varied, setup.size), _updates(setup.size)
    warmup = steps // 4
    grids = [
        varied(1.0),
        varied(1.0, warmup=warmup),
        varied(0.5, warmup=warmup),
        varied(0.5, clip=1.0),
        varied(0.5, average_from=steps // 2),
        varied(0.5, fall=1.0),
    ]
    entrant = learn.Entrant(learn.varied_momentum, learn.joined(grids))
    ended = _contest(setup, "momentum", entrant)[-1]
    return ended.reshape(len(grids), len(STEPS), -1)


def _of_others(setup: Setup) -> list[Float[np.ndarray, "one rate unit"]]:
    """The optimizers in the place of momentum."""
    found = []
    for layered, name in zip(
        OPTIMIZERS[: setup.config.optimizers], TECHNIQUES[-3:], strict=False
    ):
        rates = layered.lowest * STEPS
        grid = learn.grid(learn.Hyper, lr=rates, trust=layered.trust)
        scaled = learn.scaled(grid, setup.size, reference=SMALL, power=0.5)
        found.append(_contest(setup, name, learn.Entrant(layered.family, scaled))[-1:])
    return found


def _longer(setup: Setup) -> Float[np.ndarray, "evaluation rate unit"]:
    """Momentum by large batches, beyond 20 epochs."""
    entrant = learn.Entrant(learn.varied_momentum, _varied(setup.size, 0.5))
    return _contest(setup, "longer", entrant, setup.config.stretches)


def _contest(
    setup: Setup, name: str, entrant: learn.Entrant, stretches: int = 1
) -> Float[np.ndarray, "evaluation point unit"]:
    """Held-out accuracy of every unit at every point, after every 20 epochs."""
    config, steps = setup.config, _updates(setup.size)
    stage = f"{setup.data}, {name}"
    found = learn.compare(
        learn.experiment(
            setup.work, batch=setup.size, steps=stretches * steps, every=steps
        ),
        {stage: entrant},
        lanes=config.lanes,
        units=setup.units,
        seed=config.seed,
        keep=setup.keep,
    )[stage]
    lost = found.diverged_at[..., None]
    whole = (lost < 0) | (found.updates <= lost)
    return np.moveaxis(np.where(whole, found.curves["accuracy"], GUESS), -1, 0)


def findings(result: Result) -> tuple[Assertion, ...]:
    """On each data set, what each technique is worth."""
    found: list[Assertion] = []
    for data in range(len(result.weights)):
        found += _made_up(result, data)
        found += _added(result, data)
        found += _longer_as_well(result, data)
    return tuple(found)


def _setting(result: Result, data: int) -> str:
    small, large = (_updates(int(size)) for size in result.sizes)
    return (
        f"{DATA[data]}, dense network of {result.weights[data]:,} weights, {EXAMPLES} "
        f"examples, 20 epochs of batches of {result.sizes[0]} ({small:,} updates)"
        f" and of {result.sizes[1]} ({large:,})"
    )


def _arm(accuracies: np.ndarray) -> Arm:
    return Arm(accuracies, -accuracies)


def _arms(result: Result, data: int) -> dict[str, Arm]:
    """Rules, at what the small batch's tuned rate makes of them, and techniques."""
    scores = -result.small[data]
    arms = {
        name: Arm(each, scores)
        for name, each in zip(RULES, result.ruled[data], strict=True)
    }
    for name, each in zip(TECHNIQUES, result.large[data], strict=False):
        arms[name] = _arm(each)
    return arms


def _made_up(result: Result, data: int) -> list[Assertion]:
    """Whether each makes up for half of the gap."""
    small = _arm(result.small[data])
    untuned = Arm(result.unscaled[data], small.scores)
    tuning, found = int(result.tuning), []
    for name, arm in _arms(result, data).items():
        statement = (
            f"By {name} batches of {result.sizes[1]} make up for half or more of what "
            f"they lack of the held-out accuracy of batches of {result.sizes[0]} at "
            "the rate of these."
        )
        found.append(
            record.supporting(
                "C072",
                statement,
                record.tuned(_beyond_half, small, untuned, arm, tuning=tuning),
                HALF,
                unit="accuracy difference",
                setting=_setting(result, data),
            )
        )
    return found


def _beyond_half(small: np.ndarray, untuned: np.ndarray, ours: np.ndarray) -> float:
    """How far ours is above the middle between `untuned` and `small`."""
    return float(np.mean(ours) - (np.mean(untuned) + np.mean(small)) / 2)


def _added(result: Result, data: int) -> list[Assertion]:
    """What each adds to a tuned constant rate."""
    minus = partial(record.tuned, record.mean_difference, tuning=int(result.tuning))
    arms = _arms(result, data)
    floor = arms.pop(TECHNIQUES[0])
    return [
        record.supporting(
            "C072",
            f"By {name} batches of {result.sizes[1]} end at a higher held-out accuracy "
            "than by momentum at their own best rate.",
            minus(arm, floor),
            HALF,
            unit="accuracy difference",
            setting=_setting(result, data),
        )
        for name, arm in arms.items()
    ]


def _longer_as_well(result: Result, data: int) -> list[Assertion]:
    """Large batches for twice the epochs, and for as many updates as small ones."""
    minus = partial(record.tuned, record.mean_difference, tuning=int(result.tuning))
    longer, found = result.longer[data], []
    for stretches in sorted({2, len(longer)}):
        statement = (
            f"Tuned, {20 * stretches} against 20 epochs: batches of {result.sizes[1]} "
            f"end less than a point of held-out accuracy below batches of "
            f"{result.sizes[0]}, both by momentum at a constant rate."
        )
        found.append(
            record.supporting(
                "C072",
                statement,
                minus(_arm(longer[stretches - 1]), _arm(result.small[data])),
                NO_WORSE,
                unit="accuracy difference",
                setting=_setting(result, data),
                figure="updates",
            )
        )
    return found


def figures(result: Result) -> dict[str, Figure]:
    """Each technique, unit by unit; and accuracy by updates."""
    tuning, count = int(result.tuning), len(result.weights)
    size = int(result.sizes[1])
    alone, rows = panels(count, 1, width=9.0, height=3.8)
    for data, axis in enumerate(rows):
        small = _arm(result.small[data])
        untuned = Arm(result.unscaled[data], small.scores)
        arms = {"none": untuned, **_arms(result, data)}
        pairs = {name: (arm, small) for name, arm in arms.items()}
        compared(axis, pairs, NO_WORSE, tuning=tuning)
        label(axis, f"{DATA[data]}, batches of {size}, 20 epochs", X, "technique")
    shared_legend(alone)
    later, columns = panels(1, count)
    for data, axis in enumerate(columns):
        longer = [at_tuned(_arm(each), tuning) for each in result.longer[data]]
        updates = _updates(size) * np.arange(1, len(longer) + 1)
        band(axis, updates, np.array(longer), f"batches of {size}")
        small = at_tuned(_arm(result.small[data]), tuning)
        level = np.stack([small, small])
        band(axis, updates[[0, -1]], level, f"batches of {result.sizes[0]}, 20 epochs")
        axis.set_xscale("log")
        label(axis, DATA[data], "updates", "held-out accuracy at the best rate")
    shared_legend(later)
    return {"techniques": alone, "updates": later}
