"""Networks of equal training loss: do small batches then make fewer errors?

Networks are trained by Adam in batches of 2, of 50 and of all 500 examples, and, for a
control, of 40, all on one lattice of nine rates. A run stops where its training loss on
all its examples, taken after every 100 of them, is first below a target: 0.02 nats on
digits, 0.3 on clothing of 7x7 pixels, which batches of 2 do not get far below.
`generalisation_gap` judges the held-out errors there. For its other control units also
train on all of but 250 examples, at the middle rate.

A run in small batches stops at a favourable evaluation, where its gradient is still
large. So that networks are comparable points, each goes on by gradient descent on all
its examples, with momentum of 0.9 at the rate 0.05, which is stable up to a curvature
of 76, until one lower loss: 0.01 and 0.25 nats. `sharp_minima`, `sharpness_and_gap` and
`displaced_loss` measure those. Here the held-out errors there are compared, the
logarithm of the ratio of batches of 50, and of 500, to batches of 2. It supports only.
The margin is ln 1.1, for in five of the paper's six networks the large batch makes more
than a tenth more errors than the small one, 6 to 18 % in all. How equal the losses are
is stated too.

Each size has the rate whose held-out error, at the stop, is lowest. A rate at which any
unit missed a target is not chosen, and the first and the last of the others are edges
of the grid. A unit draws its weights, examples and order anew; 16 tune, 32 judge, and
the tuning is resampled.

Targets and rates were placed by short runs of 6 to 20 units from seeds 77, 78 and 900,
in which accuracies and curvatures were seen. A first version stopped at the target,
where most of Keskar's sharpness was gradient, on six rates for each size apart.

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
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from jaxml import curvature, learn, problem, randomness, record, tree
from jaxml.record import Arm, Assertion
from jaxml.record.comparisons import compared
from jaxml.record.figures import Figure, label, panels, shared_legend
from jaxml.types import Array, Batch, Dataset, Keep, Params, Workload

SMALL, TENTH, ALL, CONTROL = range(4)  # sizes of batches
KEPT = 3  # sizes whose networks go on
STEP = 1.5  # between two rates
RATE, BETA, LIMIT = 0.05, 0.9, 5000  # of gradient descent, and its updates at most
WORSE = record.above(
    0.0,
    margin=float(np.log(1.1)),
    reason="a tenth; five of the paper's six networks differ by more",
)
TWENTIETH = record.near(1.0, margin=0.05, reason="a fifth of what sharpness must show")


class Course(NamedTuple):
    """A data set; the loss at which its runs stop, and the one to which they go on."""

    name: str
    workload: Callable[..., Workload]
    lowest: float  # rate
    target: float
    lower: float


COURSES = (
    Course("8x8 digits", problem.digits_workload, 4.5e-4, 0.02, 0.01),
    Course("clothing of 7x7 pixels", problem.small_clothing_workload, 1e-3, 0.3, 0.25),
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
    fewer: int = 250
    test: int = 1250
    sizes: tuple[int, ...] = (2, 50, 500, 40)
    epochs: tuple[int, ...] = (60, 300, 2500, 300)
    rates: int = 9
    tuning: int = 16
    judging: int = 32
    lanes: int = 16
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


class Finished(NamedTuple):
    """Networks of judging units at the lower loss, `[size, rate, judging]`, nan where a
    target was missed.
    """

    train: Array  # loss
    test: Array  # loss, held out
    accuracy: Array  # held out


class Found(NamedTuple):
    """Networks on one data set, nan where the target was missed. Units that tune come
    first.

    Attributes:
        weights: at the lower loss, of judging units, `[size, rate, judging, ...]`.
        own: the training examples of judging units, `[judging, ...]`.
        finished: what was measured there.
        accuracy: held out, where runs stopped.
        training: accuracy on the training examples there.
        train: loss there.
        scores: held-out errors where runs stopped, by which rates are tuned; nan at a
            rate at which any unit missed a target.
        edges: the first and the last of the other rates.
        fewer: held-out accuracy after training on fewer examples.
        target: the loss at which runs stop.
        lower: the loss to which they go on.
    """

    weights: Weights
    own: Batch
    finished: Finished
    accuracy: Float[np.ndarray, "size rate unit"]
    training: Float[np.ndarray, "size rate unit"]
    train: Float[np.ndarray, "size rate unit"]
    scores: Float[np.ndarray, "size rate unit"]
    edges: np.ndarray  # [size, rate]
    fewer: Float[np.ndarray, " unit"]
    target: np.ndarray
    lower: np.ndarray


class Result(NamedTuple):
    """By data set, and what they have in common; clothing are digits where there is
    but one.
    """

    digits: Found
    clothing: Found
    data: np.ndarray  # [], how many data sets
    sizes: np.ndarray  # [size]
    rates: np.ndarray  # [data, rate]
    tuning: np.ndarray  # []


def study(config: Config, keep: Keep) -> Result:
    """One program a data set and size, and one that goes on."""
    count = config.tuning + config.judging
    seeds = np.array(randomness.seeds(config.seed, count), np.int32)
    found = [_found(config, keep, each, seeds) for each in COURSES[: config.data]]
    return Result(
        digits=found[0],
        clothing=found[-1],
        data=np.array(config.data),
        sizes=np.array(config.sizes),
        rates=np.stack([_rates(config, each) for each in COURSES[: config.data]]),
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
    judging = seeds[config.tuning :]
    own = jax.jit(jax.vmap(partial(learn.own_data, _batches(work, 1))))(judging)

    def shaped(*leaves: np.ndarray) -> np.ndarray:
        stacked = np.stack(leaves)
        return stacked.reshape(-1, config.rates, len(seeds), *stacked.shape[2:])

    seen = jax.tree.map(shaped, *(runs[each] for each in sizes))
    stopped = jax.tree.map(lambda leaf: leaf[:KEPT, :, config.tuning :], seen["params"])
    there = seen["reached"][:KEPT, :, config.tuning :]
    compute = partial(_gone_on, course, work, stopped, there, own)
    weights, finished = keep(f"{course.name}, gone on", compute)
    accuracy = _where(seen["reached"], seen["accuracy"])
    whole = np.all(seen["reached"], axis=2)
    whole[:KEPT] &= np.all(np.isfinite(finished[0]), axis=2)
    return Found(
        weights=Weights(*weights),
        own=jax.tree.map(np.asarray, own.train),
        finished=Finished(*finished),
        accuracy=accuracy,
        training=_where(seen["reached"], seen["training"]),
        train=_where(seen["reached"], seen["train"]),
        scores=_where(whole[..., None], 1 - accuracy),
        edges=_outermost(whole),
        fewer=_where(fewer["reached"], fewer["accuracy"]),
        target=np.array(course.target),
        lower=np.array(course.lower),
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
        stop=("train", course.target),
        every=every,
        limit=updates // every * every,
        lanes=config.lanes,
    )
    return {**found.seen, "params": found.params, "reached": found.reached}


def _gone_on(
    course: Course, work: Workload, stopped: Params, there: np.ndarray, own: Dataset
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Weights at the lower loss, and the measures there."""
    axes = there.shape

    def one(run: tuple[Params, Any, Any], own: Dataset) -> tuple[Params, Finished]:
        params, reached, unit = run
        mine = jax.tree.map(lambda leaf: leaf[unit], own)
        return _descended(course.lower, work, params, reached, mine)

    flat = jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[3:]), stopped)
    units = np.arange(there.size) % axes[-1]
    params, seen = curvature.mapped(one, (), (flat, there.ravel(), units), own)

    def shaped(leaf: np.ndarray) -> np.ndarray:
        return leaf.reshape(*axes, *leaf.shape[1:])

    both = jax.tree.map(shaped, (jax.tree.leaves(params), list(seen)))
    weights, measures = both
    return weights, measures


def _descended(
    lower: float, work: Workload, params: Params, reached: Any, own: Dataset
) -> tuple[Params, Finished]:
    """One network by gradient descent with momentum, if it had reached the target."""
    loss = problem.mean_loss(work)

    def going(state: tuple[Any, Params, Params, Any]) -> Any:
        age, _, _, value = state
        return reached & (age < LIMIT) & (value > lower)

    def update(
        state: tuple[Any, Params, Params, Any],
    ) -> tuple[Any, Params, Params, Any]:
        age, params, velocity, _ = state
        velocity = tree.axpy(BETA, velocity, jax.grad(loss)(params, own.train))
        params = tree.axpy(-RATE, velocity, params)
        return age + 1, params, velocity, loss(params, own.train)

    at_rest = jax.tree.map(jnp.zeros_like, params)
    first = (jnp.int32(0), params, at_rest, loss(params, own.train))
    _, params, _, value = jax.lax.while_loop(going, update, first)
    arrived = reached & (value <= lower)
    seen = Finished(
        train=value,
        test=work.measures["test"](params, own),
        accuracy=work.measures["accuracy"](params, own),
    )
    return params, jax.tree.map(lambda leaf: jnp.where(arrived, leaf, jnp.nan), seen)


def _data(result: Result) -> list[tuple[str, Found]]:
    """The data sets that there are."""
    names = [course.name for course in COURSES]
    found = (result.digits, result.clothing)
    return list(zip(names, found, strict=True))[: int(result.data)]


def findings(result: Result) -> tuple[Assertion, ...]:
    """On each data set, of a tenth and of all examples."""
    found: list[Assertion] = []
    for name, seen in _data(result):
        count = sum(leaf[0, 0, 0].size for leaf in seen.weights)
        setting = (
            f"{name}, dense network of {count:,} weights, {result.sizes[ALL]} "
            "examples, Adam, constant rate tuned for each"
        )
        for size in (TENTH, ALL):
            found += _compared(result, seen, size, setting)
    return tuple(found)


def _arm(seen: Found, size: int, values: np.ndarray) -> Arm:
    return Arm(values, seen.scores[size], seen.edges[size])


def _errors(seen: Found, size: int, tuning: int) -> Arm:
    """Logarithms of errors at the lower loss; of units that tune they are nan."""
    logs = np.full_like(seen.accuracy[size], np.nan)
    logs[:, tuning:] = np.log(1 - seen.finished.accuracy[size])
    return _arm(seen, size, logs)


def _compared(
    result: Result, seen: Found, size: int, setting: str
) -> tuple[Assertion, ...]:
    """Held-out errors at the lower loss, and how equal the losses are at the stop."""
    tuned = partial(record.tuned, tuning=int(result.tuning))
    small, tenth, every, _ = result.sizes
    large = f"batches of {tenth}" if size == TENTH else f"all {every} examples"
    return (
        record.supporting(
            "C068",
            f"Networks that go on until {seen.lower:g} nats make more held-out errors "
            f"after training by {large} than by batches of {small}.",
            tuned(
                record.mean_difference,
                _errors(seen, size, int(result.tuning)),
                _errors(seen, SMALL, int(result.tuning)),
            ),
            WORSE,
            unit="log ratio",
            setting=setting,
        ),
        record.supporting(
            "C068",
            f"Networks trained by batches of {small} and by {large} stop at the same "
            f"training loss, once below {seen.target:g} nats.",
            tuned(
                record.ratio_of_means,
                _arm(seen, SMALL, seen.train[SMALL]),
                _arm(seen, size, seen.train[size]),
            ),
            TWENTIETH,
            unit="ratio",
            setting=setting,
        ),
    )


def figures(result: Result) -> dict[str, Figure]:
    """Ratios of errors at the lower loss, unit by unit."""
    figure, axes = panels(int(result.data), 1, width=7.0, height=2.4)
    small, tenth, every, _ = result.sizes
    for axis, (name, seen) in zip(axes, _data(result), strict=True):
        arms = [_errors(seen, size, int(result.tuning)) for size in range(KEPT)]
        pairs = {
            f"{tenth} over {small}": (arms[TENTH], arms[SMALL]),
            f"all {every} over {small}": (arms[ALL], arms[SMALL]),
        }
        compared(axis, pairs, WORSE, tuning=int(result.tuning))
        label(axis, name, "logarithm of the ratio of held-out errors", "batches of")
    shared_legend(figure)
    return {"errors": figure}
