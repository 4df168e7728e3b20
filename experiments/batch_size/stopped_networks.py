"""Networks that stop at one training loss: do small batches then generalise better?

Networks are trained by Adam in batches of 2, of 50 and of all 500 examples, and each
run ends where its training loss, on all its examples, taken after every 50 examples or
more often, first lies below a target: 0.02 nats on digits, 0.3 on clothing of 7x7
pixels. `generalisation_gap` reads runs that go on at such a loss, between two
evaluations; here are the weights themselves, of which `sharp_minima`,
`sharpness_and_gap`, `rescaled_minima` and `displaced_loss` measure more. Judged is the
held-out accuracy, batches of 2 minus those of 50 and of 500, each at the rate that
makes it highest. A point matters, one picture in a hundred; within it there is no
difference, beyond minus one the claim fails. It supports only, for the tuned comparison
with its control is the other study's.

How equal the losses are is stated too: a small batch's loss falls between two looks by
more, and a run stops at a favourable one, so its loss lies a little lower.

A unit draws its weights, examples and order anew; 20 tune, 20 judge, and the tuning is
resampled. Runs that do not reach the target are censored. Rates were placed by short
runs of 6 to 20 units from seeds 77, 78 and 900, in which accuracies were seen.

Claims: C068.
Sources: Keskar et al. 2017, arXiv:1609.04836, table 2.
Cost: two minutes on 2 cores, compilation included.
Expect: no difference.
Run: jaxml run stopped_networks
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Float

from jaxml import learn, problem, randomness, record
from jaxml.record import Arm, Assertion
from jaxml.record.comparisons import compared
from jaxml.record.figures import Figure, label, panels, shared_legend
from jaxml.types import Dataset, Keep, Workload

SMALL, TENTH, ALL = range(3)  # sizes of batches
STEPS = 1.5 ** np.arange(9)
EVERY = (25, 1, 1)  # updates between two looks at the training loss, by size
POINT = "one picture in a hundred"
HIGHER = record.above(0.0, margin=0.01, reason=POINT)
TWENTIETH = record.near(1.0, margin=0.05, reason="a fifth of what sharpness must show")


class Course(NamedTuple):
    """A data set; by size of batch the lowest rate, and the updates at most."""

    name: str
    workload: Callable[..., Workload]
    target: float
    lowest: tuple[float, ...]
    updates: tuple[int, ...]


DIGITS = Course(
    "8x8 digits",
    problem.digits_workload,
    0.02,
    (7.5e-4, 2.2e-3, 2e-3),
    (10_000, 1000, 500),
)
CLOTHING = Course(
    "clothing of 7x7 pixels",
    problem.small_clothing_workload,
    0.3,
    (1.1e-3, 1.5e-3, 2e-3),
    (15_000, 2000, 500),
)
COURSES = DIGITS, CLOTHING


@dataclass(frozen=True, kw_only=True)
class Config:
    """Sizes and units; of data sets the first ones."""

    data: int = len(COURSES)
    train: int = 500
    test: int = 1000
    sizes: tuple[int, ...] = (2, 50)  # and all of them
    tuning: int = 20
    judging: int = 20
    lanes: int = 20
    seed: int = 0


SMOKE = Config(data=1, train=20, test=20, sizes=(2, 10), tuning=2, judging=2)


class Weights(NamedTuple):
    """Of networks, in the order of the leaves of their parameters."""

    hidden_bias: np.ndarray
    hidden_kernel: np.ndarray
    output_bias: np.ndarray
    output_kernel: np.ndarray


class Found(NamedTuple):
    """Where networks on one data set stopped, nan where the target was not reached.
    Units that tune come first.

    Attributes:
        weights: of judging units, `[size, rate, judging, ...]`, in float32.
        own: the examples of judging units, `[judging, ...]`.
        accuracy: held out.
        train: loss.
        test: loss, held out.
    """

    weights: Weights
    own: Dataset
    accuracy: Float[np.ndarray, "size rate unit"]
    train: Float[np.ndarray, "size rate unit"]
    test: Float[np.ndarray, "size rate unit"]


class Result(NamedTuple):
    """By data set, and what they have in common; clothing are digits where there is
    but one.
    """

    digits: Found
    clothing: Found
    data: np.ndarray  # [], how many data sets
    sizes: np.ndarray  # [size]
    tuning: np.ndarray  # []


def study(config: Config, keep: Keep) -> Result:
    """One program a data set and size."""
    count = config.tuning + config.judging
    seeds = np.array(randomness.seeds(config.seed, count), np.int32)
    found = [_found(config, keep, each, seeds) for each in COURSES[: config.data]]
    return Result(
        digits=found[0],
        clothing=found[-1],
        data=np.array(config.data),
        sizes=np.array([*config.sizes, config.train]),
        tuning=np.array(config.tuning),
    )


def _found(config: Config, keep: Keep, course: Course, seeds: np.ndarray) -> Found:
    """All networks on one data set."""
    work = course.workload(train=config.train, test=config.test)
    runs = []
    for size, batch in enumerate((*config.sizes, config.train)):
        compute = partial(_trained, config, course, work, size, seeds)
        runs.append(keep(f"{course.name}, batches of {batch}", compute))
    judging = seeds[config.tuning :]
    own = jax.vmap(partial(learn.own_data, _batches(work, 1)))(judging)

    def shaped(*leaves: np.ndarray) -> np.ndarray:
        stacked = np.stack(leaves)
        return stacked.reshape(-1, len(STEPS), len(seeds), *stacked.shape[2:])

    seen = jax.tree.map(shaped, *runs)
    leaves = jax.tree.leaves(seen["params"])
    there = np.where(seen["reached"], 1.0, np.nan)
    return Found(
        weights=Weights(*(leaf[:, :, config.tuning :] for leaf in leaves)),
        own=jax.tree.map(np.asarray, own),
        accuracy=seen["accuracy"] * there,
        train=seen["train"] * there,
        test=seen["test"] * there,
    )


def _batches(work: Workload, size: int) -> learn.Batches:
    return learn.split_anew(work.data, train=work.train, test=work.test, size=size)


def _trained(
    config: Config, course: Course, work: Workload, size: int, seeds: np.ndarray
) -> dict[str, Any]:
    """Every unit at every rate, stopped at the target."""
    batches = _batches(work, (*config.sizes, config.train)[size])
    training = learn.training(work.start, work.loss, learn.adam, batches, steps=1)
    found = learn.trained_to(
        training,
        batches,
        learn.grid(learn.Hyper, lr=course.lowest[size] * STEPS, seed=seeds),
        measures=work.measures,
        stop=("train", course.target),
        every=EVERY[size],
        limit=course.updates[size],
        lanes=config.lanes,
    )
    return {**found.seen, "params": found.params, "reached": found.reached}


def _data(result: Result) -> list[tuple[Course, Found]]:
    """The data sets that there are."""
    found = (result.digits, result.clothing)
    return list(zip(COURSES, found, strict=True))[: int(result.data)]


def findings(result: Result) -> tuple[Assertion, ...]:
    """On each data set, against a tenth and all."""
    found: list[Assertion] = []
    for course, seen in _data(result):
        count = sum(leaf[0, 0, 0].size for leaf in seen.weights)
        setting = (
            f"{course.name}, dense network of {count:,} weights, {result.sizes[ALL]} "
            "examples, Adam, constant rate tuned for each, stopped where the training "
            f"loss is first below {course.target:g} nats"
        )
        for size in (TENTH, ALL):
            found += _compared(result, seen, size, setting)
    return tuple(found)


def _arm(values: np.ndarray, seen: Found, size: int) -> Arm:
    return Arm(values[size], -seen.accuracy[size])


def _compared(
    result: Result, seen: Found, size: int, setting: str
) -> tuple[Assertion, ...]:
    """Held-out accuracy, and how equal the losses are."""
    tuned = partial(record.tuned, tuning=int(result.tuning))
    small, large = result.sizes[[SMALL, size]]
    return (
        record.supporting(
            "C068",
            f"At equal training loss batches of {small} reach a higher held-out "
            f"accuracy than batches of {large}.",
            tuned(
                record.mean_difference,
                _arm(seen.accuracy, seen, SMALL),
                _arm(seen.accuracy, seen, size),
            ),
            HIGHER,
            unit="accuracy difference",
            setting=setting,
        ),
        record.supporting(
            "C068",
            f"Networks trained by batches of {small} and of {large} stop at the same "
            "training loss.",
            tuned(
                record.ratio_of_means,
                _arm(seen.train, seen, SMALL),
                _arm(seen.train, seen, size),
            ),
            TWENTIETH,
            unit="ratio",
            setting=setting,
        ),
    )


def figures(result: Result) -> dict[str, Figure]:
    """Differences of accuracies, unit by unit."""
    figure, axes = panels(int(result.data), 1, width=7.0, height=2.4)
    small, tenth, every = result.sizes
    for axis, (course, seen) in zip(axes, _data(result), strict=True):
        arms = [_arm(seen.accuracy, seen, size) for size in (SMALL, TENTH, ALL)]
        pairs = {
            f"{small} minus {tenth}": (arms[SMALL], arms[TENTH]),
            f"{small} minus {every}": (arms[SMALL], arms[ALL]),
        }
        compared(axis, pairs, HIGHER, tuning=int(result.tuning))
        label(axis, course.name, "difference of held-out accuracies", "batches of")
    shared_legend(figure)
    return {"differences": figure}
