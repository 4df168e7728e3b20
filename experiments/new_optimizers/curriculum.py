"""Does it help to learn easy examples first, at short budgets and with wrong labels?

The course lists a curriculum from easy to hard among what helps optimisation, and
perhaps generalisation; Wu et al. find that one helps only where the budget is short or
labels are wrong. So a dense network learns from 500 pictures, digits or clothing, with
right labels or with two fifths of them drawn anew, for 400 updates (16 epochs) or for
50 (2 epochs), by SGD with momentum, whose rate falls linearly to 0. Its batches are
drawn with replacement from a beginning of the examples that grows from a fifth to all
of them in the first half of the run:

- easy first: in each class from the example nearest to the mean of its class, compared
  with the nearest other mean, to the farthest, by the labels that are trained on;
- hard first: the reverse;
- few first: in an order drawn anew for each unit;
- all at once: from all examples throughout, as usual.

Judged is the last loss on 1,000 held-out pictures with right labels. If a curriculum
helps, easy first ends below all at once; if it harms, as where the easy fifth teaches
little, above. Easy first against few first tells the order apart from the growing
number. The negative control is hard first, which must not end below all at once.

A unit draws its initial weights, its split, its wrong labels, its few and its batches
anew; 20 units tune the rate of each order of each setting by the judged loss, 40 others
judge. The margin is 5 % of the loss: a loss that falls with the inverse root of the
number of examples falls by as much with a tenth more of them. A coarse look at the
tuning units of seed 100, which is judged nowhere, placed the grid of rates. A first
version had half as many units, whose intervals at seed 0 were wider than the margin.

Not tested: the training loss, which is no merit where labels are wrong; tuning without
right labels; large networks; difficulty as another network scores it.

Claims: C124.
Sources: Bengio et al. 2009, "Curriculum learning"; Wu, Dyer and Neyshabur 2021,
arXiv:2012.03107.
Cost: 80 seconds on 2 cores, compilation included.
Expect: no help on right labels, some where labels are wrong, which are the hard ones.
Run: jaxml run curriculum
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from jaxml import learn, problem, record
from jaxml.learn import Family, Training, TrainState
from jaxml.record import Arm, Assertion
from jaxml.record.comparisons import compared as show_compared
from jaxml.record.figures import Figure, label, panels, shared_legend
from jaxml.types import Batch, Dataset, Keep, Key, Workload

RATES = 0.024 * 1.5 ** np.arange(10)
ALL, EASY, HARD, FEW = range(4)
DATA = {"digits": "8x8 digits", "clothing": "clothing of 7x7 pixels"}
WRONG = (0.0, 0.4)  # fractions of the labels that are drawn anew
LABELS = ("right labels", "two fifths of the labels random")
FIRST = 0.2  # the fraction of the examples with which a growing order begins
CLASSES = 10

BATCHES = (
    "batches of any examples",
    "batches that begin with the easiest examples",
    "batches that begin with the hardest examples",
    "batches that begin with a random few examples",
)
LOWER = record.below(
    0.0,
    margin=0.05,
    reason="5 % of the loss is what a tenth more examples would buy",
)


@dataclass(frozen=True, kw_only=True)
class Config:
    """The network, its data, its budgets in updates, and the units."""

    width: int = 32
    train: int = 500
    test: int = 1000
    clothing: int = 10_000  # pictures to draw from; 0 leaves clothing out
    budgets: tuple[int, ...] = (50, 400)
    batch: int = 20
    tuning: int = 20
    judging: int = 40
    lanes: int = 60
    seed: int = 0


SMOKE = Config(
    width=2,
    train=30,
    test=30,
    clothing=0,
    budgets=(2,),
    tuning=2,
    judging=2,
    lanes=160,
)


class Point(NamedTuple):
    """What SGD with momentum reads, and the order and labels of the examples.

    Attributes:
        lr: the peak of the rate.
        order: of BATCHES.
        wrong: of WRONG.
        horizon: updates of the run.
        momentum: of the optimizer.
        weight_decay: none.
        seed: of the unit.
    """

    lr: Any
    order: Any = 0
    wrong: Any = 0.0
    horizon: Any = 0.0
    momentum: Any = 0.9
    weight_decay: Any = 0.0
    seed: Any = 0


class Result(NamedTuple):
    """By data, the first or both of DATA, and budget.

    Attributes:
        test: last held-out loss, nan where a run diverged.
        examples: that are trained on.
        weights: of the network, by data.
        updates: of a run, by budget.
        tuning: how many units tune, the first ones.
    """

    test: Float[np.ndarray, "data budget wrong order rate unit"]
    examples: np.ndarray
    weights: np.ndarray
    updates: np.ndarray
    tuning: np.ndarray


def study(config: Config, keep: Keep) -> Result:
    """One program for each data set and budget."""
    sets = {"digits": problem.digits()}
    if config.clothing:
        sets["clothing"] = problem.small_clothing(config.clothing)
    model = problem.mlp((config.width, CLASSES), jax.nn.relu)
    loss = problem.cross_entropy
    test, weights = [], []
    for name, data in sets.items():
        work = problem.workload(model, loss, data, train=config.train, test=config.test)
        weights.append(problem.weights(work))
        test.append([_losses(config, work, k, name, keep) for k in config.budgets])
    return Result(
        test=np.array(test),
        examples=np.array(config.train),
        weights=np.array(weights),
        updates=np.array(config.budgets),
        tuning=np.array(config.tuning),
    )


def _losses(
    config: Config, work: Workload, steps: int, name: str, keep: Keep
) -> Float[np.ndarray, "wrong order rate unit"]:
    """Last held-out losses of every point and unit, nan where a run diverged."""
    axes = {"wrong": WRONG, "order": range(len(BATCHES)), "lr": RATES}
    grid = learn.grid(Point, **axes, horizon=[steps])
    family = partial(learn.momentum, shape=learn.linear)
    stage = f"{name}, {steps} updates"
    found = learn.compare(
        partial(_training, config, work, steps),
        {stage: learn.Entrant(family, grid)},
        lanes=config.lanes,
        units=learn.Units(config.tuning, config.judging),
        seed=config.seed,
        keep=keep,
    )
    return found[stage].final["test"].reshape(len(WRONG), len(BATCHES), len(RATES), -1)


def _training(config: Config, work: Workload, steps: int, family: Family) -> Training:
    """Training whose examples come in the order, and with the labels, of its point.

    Both are traced numbers, so that all orders are one program. The batches read the
    order, so a grid over it is right though the optimizer does not.
    """
    split = learn.split_anew(
        work.data, train=work.train, test=work.test, size=config.batch
    )
    probe = learn.evaluating(work.measures)
    of_batches = partial(
        learn.training, work.start, work.loss, family, steps=steps, probe=probe
    )

    def run(state: TrainState, data: Batch) -> Any:
        own = partial(_ordered, split, state.hyper)
        draw = partial(_growing, config, steps, state.hyper)
        return of_batches(split._replace(own=own, draw=draw)).run(state, data)

    return of_batches(split)._replace(run=run, check=learn.validate)


def _ordered(split: learn.Batches, point: Point, data: Batch, key: Key) -> Dataset:
    """The unit's split, its training examples with their labels and in their order."""
    own = split.own(data, key)
    count = len(own.train.weights)
    wrong, drawn, few = jax.random.split(jax.random.fold_in(key, 1), 3)
    mistaken = jax.random.uniform(wrong, (count,)) < point.wrong
    labels = jax.random.randint(drawn, (count,), 0, CLASSES, jnp.int32)
    labels = jnp.where(mistaken, labels, own.train.targets)
    train = own.train._replace(targets=labels)
    rank = problem.difficulty(train, classes=CLASSES)
    chance = jax.random.uniform(few, (count,))
    places = jnp.stack([chance, rank, -rank, chance])  # by BATCHES
    rows = jnp.argsort(places[point.order])
    return own._replace(train=jax.tree.map(lambda leaf: leaf[rows], train))


def _growing(
    config: Config, steps: int, point: Point, own: Dataset, key: Key, step: Any
) -> Batch:
    """A batch from a beginning of the examples that grows until half the run."""
    grown = jnp.minimum(2 * jnp.asarray(step, float) / steps, 1.0)
    fraction = jnp.where(point.order == ALL, 1.0, FIRST + (1 - FIRST) * grown)
    seen = (fraction * config.train).astype(jnp.int32)
    drawn = jax.random.fold_in(key, step)
    rows = jax.random.randint(drawn, (config.batch,), 0, seen)
    return jax.tree.map(lambda leaf: leaf[rows], own.train)


def findings(result: Result) -> tuple[Assertion, ...]:
    """By log ratios of the mean last losses, each order at its own tuned rate."""
    found: list[Assertion] = []
    for place in np.ndindex(result.test.shape[:3]):
        found.extend(_of_setting(result, place))
    return tuple(found)


def _of_setting(result: Result, place: tuple[int, ...]) -> tuple[Assertion, ...]:
    """The course's comparison, and two beside it."""
    compared = partial(_compared, result, place)
    return (
        compared(record.deciding, EASY, ALL),
        compared(record.supporting, EASY, FEW),
        compared(record.supporting, HARD, ALL),
    )


def _compared(
    result: Result,
    place: tuple[int, ...],
    role: Callable[..., Assertion],
    ours: int,
    theirs: int,
) -> Assertion:
    arms = (Arm(result.test[place][ours]), Arm(result.test[place][theirs]))
    better, worse = BATCHES[ours].capitalize(), BATCHES[theirs]
    return role(
        "C124",
        f"{better} end at a lower held-out loss than {worse}.",
        record.tuned(_log_of_means, *arms, tuning=int(result.tuning)),
        LOWER,
        unit="log ratio",
        setting=_setting(result, place),
    )


def _log_of_means(ours: np.ndarray, theirs: np.ndarray) -> float:
    return float(np.log(record.ratio_of_means(ours, theirs)))


def _setting(result: Result, place: tuple[int, ...]) -> str:
    data, budget, wrong = place
    images, labels = list(DATA.values())[data], LABELS[wrong]
    return (
        f"{images} ({result.examples:,} for training, {labels}), dense network of "
        f"{result.weights[data]:,} weights, {result.updates[budget]:,} updates, SGD "
        "with momentum, rates tuned"
    )


def figures(result: Result) -> dict[str, Figure]:
    """Last losses of two orders compared, unit by unit, a figure for each data set."""
    drawn = {}
    shown = "ln of held-out loss at tuned rates: difference"
    for name, losses in zip(DATA, result.test, strict=False):
        figure, axes = panels(len(losses), len(WRONG), width=5.0)
        for axis, (budget, wrong) in zip(
            axes, np.ndindex(losses.shape[:2]), strict=True
        ):
            ends = losses[budget, wrong]
            usual, easy, hard, few = map(Arm, np.log(ends), ends)
            pairs = {
                "easy first,\nnot all at once": (easy, usual),
                "easy first,\nnot few first": (easy, few),
                "hard first,\nnot all at once": (hard, usual),
            }
            show_compared(axis, pairs, LOWER, tuning=int(result.tuning))
            title = f"{result.updates[budget]:,} updates, {LABELS[wrong]}"
            label(axis, title, shown, "order of examples")
        shared_legend(figure)
        drawn[name] = figure
    return drawn
