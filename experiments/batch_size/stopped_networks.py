"""Networks of equal training loss: how equal is it?

Networks are trained by Adam in batches of 2, of 50 and of all 500 examples, and, for a
control, of 40, all on one lattice of nine rates. A run stops where its training loss on
all its examples, taken after every 100 of them, is first below a target: 0.02 nats on
digits, 0.3 on clothing of 7x7 pixels, which batches of 2 do not get far below. For
another control units also train on 125 examples alone, at the middle rate.
`generalisation_gap` judges the held-out errors of these networks, `equal_epochs` what
they are worth beside those of equal epochs; `descended_networks` brings them to a lower
loss, for measures of sharpness.

Here is judged whether the losses of batches of 50, and of 500, and of batches of 2 are
the same within a twentieth, for a small batch's loss falls between two evaluations by
more, and a run stops at a favourable one. It supports only.

Each size has the rate whose held-out error is lowest. A rate at which any unit missed
the target is not chosen, and the first and the last of the others are edges of the
grid. A unit draws its weights, examples and order anew; 12 tune, 28 judge, and the
tuning is resampled. Targets and rates were placed by short runs of 6 to 20 units from
seeds 77, 78 and 900, in which accuracies were seen; a first version had six rates for
each size apart.

Claims: C068.
Sources: Keskar et al. 2017, arXiv:1609.04836, table 2.
Cost: two minutes on 2 cores, compilation included.
Expect: the same.
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
from jaxml.record.comparisons import at_tuned, dots
from jaxml.record.figures import Figure, label, panels, shared_legend
from jaxml.types import Keep, Workload

SMALL, TENTH, ALL, CONTROL = range(4)  # sizes of batches
KEPT = 3  # sizes whose networks are kept
STEP = 1.5  # between two rates
TWENTIETH = record.near(1.0, margin=0.05, reason="a fifth of what sharpness must show")


class Course(NamedTuple):
    """A data set, and the loss at which its runs stop."""

    name: str
    workload: Callable[..., Workload]
    lowest: float  # rate
    target: float


COURSES = (
    Course("8x8 digits", problem.digits_workload, 4.5e-4, 0.02),
    Course("clothing of 7x7 pixels", problem.small_clothing_workload, 1e-3, 0.3),
)


@dataclass(frozen=True, kw_only=True)
class Config:
    """Sizes and units; of data sets the first ones.

    Attributes:
        fewer: training examples of the control.
        sizes: of batches; of all examples the third.
        epochs: of training at most, by size.
        rates: in the lattice.
    """

    data: int = len(COURSES)
    train: int = 500
    fewer: int = 125
    test: int = 1250
    sizes: tuple[int, ...] = (2, 50, 500, 40)
    epochs: tuple[int, ...] = (60, 300, 2500, 300)
    rates: int = 9
    tuning: int = 12
    judging: int = 28
    lanes: int = 20
    seed: int = 0


SMOKE = Config(
    data=1,
    train=10,
    fewer=10,
    test=30,
    sizes=(10, 10, 10, 10),
    epochs=(3000, 3000, 3000, 3000),
    rates=3,
    tuning=2,
    judging=2,
    lanes=4,
)


class Weights(NamedTuple):
    """Of networks, in the order of the leaves of their parameters."""

    hidden_bias: np.ndarray
    hidden_kernel: np.ndarray
    output_bias: np.ndarray
    output_kernel: np.ndarray


class Found(NamedTuple):
    """Networks on one data set, nan where the target was missed. Units that tune come
    first.

    Attributes:
        weights: of judging units, `[size, rate, judging, ...]`.
        accuracy: held out, where runs stopped.
        training: accuracy on the training examples there.
        train: loss there.
        scores: held-out errors where runs stopped, by which rates are tuned; nan at a
            rate at which any unit missed a target.
        edges: the first and the last of the other rates.
        fewer: held-out accuracy after training on fewer examples.
        target: the loss at which runs stop.
    """

    weights: Weights
    accuracy: Float[np.ndarray, "size rate unit"]
    training: Float[np.ndarray, "size rate unit"]
    train: Float[np.ndarray, "size rate unit"]
    scores: Float[np.ndarray, "size rate unit"]
    edges: np.ndarray  # [size, rate]
    fewer: Float[np.ndarray, " unit"]
    target: np.ndarray


class Result(NamedTuple):
    """By data set, and what they have in common; clothing are digits where there is
    but one.
    """

    digits: Found
    clothing: Found
    data: np.ndarray  # [], how many data sets
    sizes: np.ndarray  # [size]
    rates: np.ndarray  # [data, rate]
    seeds: np.ndarray  # [unit]
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
        sizes=np.array(config.sizes),
        rates=np.stack([_rates(config, each) for each in COURSES[: config.data]]),
        seeds=seeds,
        tuning=np.array(config.tuning),
    )


def _rates(config: Config, course: Course) -> np.ndarray:
    return course.lowest * STEP ** np.arange(config.rates)


def _found(config: Config, keep: Keep, course: Course, seeds: np.ndarray) -> Found:
    """All networks on one data set."""
    work = course.workload(train=config.train, test=config.test)
    rates, run = _rates(config, course), partial(_trained, config, course, seeds)
    sizes = list(zip(config.sizes, config.epochs, strict=True))
    runs = {
        each: keep(
            f"{course.name}, batches of {each[0]}", partial(run, work, rates, *each)
        )
        for each in dict.fromkeys(sizes)
    }
    little = work._replace(train=config.fewer)
    middle = rates[[config.rates // 2]]
    compute = partial(run, little, middle, config.fewer, config.epochs[ALL])
    fewer = keep(f"{course.name}, fewer examples", compute)

    def shaped(*leaves: np.ndarray) -> np.ndarray:
        stacked = np.stack(leaves)
        return stacked.reshape(-1, config.rates, len(seeds), *stacked.shape[2:])

    seen = jax.tree.map(shaped, *(runs[each] for each in sizes))
    leaves = jax.tree.leaves(seen["params"])
    judging = Weights(*(leaf[:KEPT, :, config.tuning :] for leaf in leaves))
    accuracy = _where(seen["reached"], seen["accuracy"])
    whole = np.all(seen["reached"], axis=2)
    return Found(
        weights=judging,
        accuracy=accuracy,
        training=_where(seen["reached"], seen["training"]),
        train=_where(seen["reached"], seen["train"]),
        scores=_where(whole[..., None], 1 - accuracy),
        edges=_outermost(whole),
        fewer=_where(fewer["reached"], fewer["accuracy"]),
        target=np.array(course.target),
    )


def _outermost(whole: np.ndarray) -> np.ndarray:
    """The first and the last rates of each size; all where there are none."""
    count = np.cumsum(whole, axis=1)
    last = count[:, -1:]
    return (whole & ((count == 1) | (count == last))) | (last == 0)


def _where(there: np.ndarray, values: np.ndarray) -> np.ndarray:
    return np.where(there, values, np.nan)


def _batches(work: Workload, size: int) -> learn.Batches:
    return learn.split_anew(work.data, train=work.train, test=work.test, size=size)


def _trained(
    config: Config,
    course: Course,
    seeds: np.ndarray,
    work: Workload,
    rates: np.ndarray,
    batch: int,
    epochs: int,
) -> dict[str, Any]:
    """Every unit at every rate, stopped at the target."""
    batches = _batches(work, batch)
    every = max(config.train // 5 // batch, 1)
    updates = epochs * learn.updates_per_epoch(work.train, batch)
    on_training = problem.judged_on_both(work).measures["training"]
    found = learn.trained_to(
        learn.training(work.start, work.loss, learn.adam, batches, steps=1),
        batches,
        learn.grid(learn.Hyper, lr=rates, seed=seeds),
        measures={**work.measures, "training": on_training},
        stop=learn.Stop("train", course.target, every, updates // every * every),
        lanes=config.lanes,
    )
    return {**found.seen, "params": found.params, "reached": found.reached}


def _data(result: Result) -> list[tuple[str, Found]]:
    """The data sets that there are."""
    names = [course.name for course in COURSES]
    found = (result.digits, result.clothing)
    return list(zip(names, found, strict=True))[: int(result.data)]


def findings(result: Result) -> tuple[Assertion, ...]:
    """On each data set, of a tenth and of all examples."""
    return tuple(
        _same_loss(result, name, seen, size)
        for name, seen in _data(result)
        for size in (TENTH, ALL)
    )


def _losses(seen: Found, size: int) -> Arm:
    return Arm(seen.train[size], seen.scores[size], seen.edges[size])


def _named(result: Result, size: int) -> str:
    batch = result.sizes[size]
    return f"all {batch} examples" if size == ALL else f"batches of {batch}"


def _same_loss(result: Result, name: str, seen: Found, size: int) -> Assertion:
    count = sum(leaf[0, 0, 0].size for leaf in seen.weights)
    ours, theirs = _losses(seen, SMALL), _losses(seen, size)
    return record.supporting(
        "C068",
        f"Networks trained by {_named(result, SMALL)} and by {_named(result, size)} "
        f"stop at the same training loss, once below {seen.target:g} nats.",
        record.tuned(record.ratio_of_means, ours, theirs, tuning=int(result.tuning)),
        TWENTIETH,
        unit="ratio",
        setting=f"{name}, dense network of {count:,} weights, {result.sizes[ALL]} "
        "examples, Adam, constant rate tuned for each",
    )


def figures(result: Result) -> dict[str, Figure]:
    """Losses at which runs stopped, unit by unit."""
    figure, axes = panels(int(result.data), 1, width=7.0, height=2.4)
    for axis, (name, seen) in zip(axes, _data(result), strict=True):
        losses = {
            _named(result, size): at_tuned(_losses(seen, size), int(result.tuning))
            for size in range(KEPT)
        }
        dots(axis, losses)
        label(axis, name, "training loss (nats)", "trained by")
    shared_legend(figure)
    return {"losses": figure}
