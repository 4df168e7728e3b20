"""Should the examples be shuffled anew in every epoch?

The course shuffles the examples into different batches in every epoch, and says no more
of why. A network is trained here on 500 examples in batches of 25 for 20 epochs, at a
rate that falls linearly to 0 and is tuned for each order and for what is judged, by
gradient descent and by Adam, on two data sets:

- C063: shuffled anew in every epoch against shuffled once, where each epoch repeats the
  batches of the first. If it matters that batches differ, training loss ends lower and
  held-out accuracy higher; if it only matters that the order is random, they end within
  the margins of each other; if repeated batches serve better, the other way round.
- Supporting: shuffled anew against drawn with replacement; and whether two draws of the
  order alone, of one split and one start, end nearer to each other when shuffled anew
  than when shuffled once.
- Controls: shuffled anew by other keys, which must be no better; and shuffled once
  against in the order of the classes, where a batch holds examples of one class or two,
  on which shuffling must show if it ever does.

Theory of strongly convex sums: the bounds of Mishchenko et al. are the same for both
shuffled orders, below that of drawing with replacement; but Safran and Shamir tell the
two apart, by lower bounds for any constant rate, after k epochs of n examples:
1/(nk)² + 1/(nk³) anew, 1/(nk²) once. `shuffled_quadratics` looks at them. Of a network
that fits its examples little noise is left, and orders can differ by less.

A fiftieth of a nat matters, 2 % of the probability given to the right class: a rate one
step off the best costs two fiftieths on clothing. On digits all loss that is left is
about that, so that clothing tells more. Of accuracy one picture in a hundred matters,
of the spread by the order a quarter. Differences of the loss are medians over units,
since just above the best rate single runs are lost and would carry a mean; those of
accuracy are means. A unit draws its initial weights, its examples and their orders
anew; 40 units tune, 40 others judge; of digits, the units' draws overlap. Held equal:
examples, epochs, updates, the number of rates.

What probes of seed 11 changed: a first version had a constant rate, on which the best
point stood one step from a cliff and paired differences of the logarithm of the loss
had a standard deviation of 0.7 to 1.6; it counted a tenth of the loss and batches of 5
too, which would have taken hundreds of units. With the falling rate 30 units judged
left half-widths, at the level that 8 findings share, of 0.013 nats at most and of
0.008; more units, and ranges of rates on whose edges no best point stands, for every
order, data set and method, follow from them.

Not tested: other sizes of batches, the same batches in another order, constant rates, a
single epoch, batch normalisation, and data too large to shuffle.

Claims: C063.
Sources: Mishchenko et al. 2020, arXiv:2006.05988; Safran and Shamir 2020,
    arXiv:1908.00045; Bottou 2009, "Curiously fast convergence of some stochastic
    gradient descent algorithms".
Cost: 130 seconds on 2 cores, compilation included.
Expect: anew and once are alike; the order of the classes is bad.
Run: jaxml run shuffling
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from jaxml import learn, problem, record
from jaxml.learn.orders import Order, split_in_order
from jaxml.record import Arm, Assertion
from jaxml.record.comparisons import compared
from jaxml.record.figures import Figure, label, panels, shared_legend
from jaxml.types import Batch, Dataset, Keep, Key, Workload

DATA = ("8x8 digits", "clothing of 7x7 pixels")
WORKLOADS = (problem.digits_workload, problem.small_clothing_workload)
EXAMPLES = 500  # that train, and as many that judge
SIZE = 25
EPOCHS = 20
STEPS = 1.5 ** np.arange(8)
SLOWER = 1.5**-4  # of the rates where batches are of one class


def _other_keys(order: Order, data: Batch, size: int) -> learn.Batches:
    """The order as other keys draw it."""
    stream = order(data, size)

    def draw(data: Batch, key: Key, step: Any) -> Batch:
        return stream.draw(data, jax.random.fold_in(key, 1), step)

    return stream._replace(draw=draw)


ORDERS: dict[str, Order] = {
    "shuffled anew in every epoch": learn.shuffled,
    "shuffled once": learn.shuffled_once,
    "shuffled anew by other keys, the control": partial(_other_keys, learn.shuffled),
    "shuffled once by other keys": partial(_other_keys, learn.shuffled_once),
    "drawn with replacement": learn.with_replacement,
    "in the order of their classes, the control": learn.in_order,
}
ANEW, ONCE, ANEW_AGAIN, ONCE_AGAIN, REPLACED, SORTED = ORDERS

PAIRS = {
    (ANEW, ONCE): "anew, once",
    (ANEW, REPLACED): "anew, with replacement",
    (ANEW_AGAIN, ANEW): "anew, anew",
    (ONCE, SORTED): "once, by class",
}
"""Of which the first shall be better, and their short names."""

DRAWS = (ANEW, ANEW_AGAIN, ONCE, ONCE_AGAIN)
SPREAD = record.below(0.0, margin=0.22, reason="a quarter of the spread")


class Method(NamedTuple):
    """A method, its name, and the lowest of its rates."""

    family: learn.Family
    name: str
    lowest: float


METHODS = (
    Method(partial(learn.sgd, shape=learn.linear), "gradient descent", 0.225),
    Method(partial(learn.adam, shape=learn.linear), "Adam", 0.0114),
)


class Quantity(NamedTuple):
    """What runs are judged by.

    Attributes:
        name: of it.
        better: what makes a run better.
        unit: of a difference.
        middle: of differences over units.
        rule: of the middle.
    """

    name: str
    better: str
    unit: str
    middle: Callable[..., Any]
    rule: record.Rule


QUANTITIES = (
    Quantity(
        "training loss",
        "a lower (median)",
        "nats",
        np.median,
        record.below(0.0, margin=0.02, reason="2 % of the right class's probability"),
    ),
    Quantity(
        "held-out accuracy",
        "a higher (mean)",
        "accuracy difference",
        np.mean,
        record.above(0.0, margin=0.01, reason="one picture in a hundred"),
    ),
)
_, ACCURACY = QUANTITIES


@dataclass(frozen=True, kw_only=True)
class Config:
    """Of data sets, methods and orders the first ones; units."""

    data: int = len(DATA)
    methods: int = len(METHODS)
    orders: int = len(ORDERS)
    tuning: int = 40
    judging: int = 40
    lanes: int = 20
    seed: int = 0


SMOKE = Config(data=1, methods=1, orders=2, tuning=2, judging=2, lanes=32)


class Result(NamedTuple):
    """What runs end at, nan where one diverged. Units that tune come first.

    Attributes:
        ended: the loss on all training examples, and the accuracy on held-out pictures.
        tuning: how many of the units tune.
    """

    ended: Float[np.ndarray, "data method order quantity rate unit"]
    tuning: Int[np.ndarray, ""]


def study(config: Config, keep: Keep) -> Result:
    """One program a data set, method and order."""
    works = [of(train=EXAMPLES, test=EXAMPLES) for of in WORKLOADS[: config.data]]
    cases = (config.data, config.methods, config.orders)
    axes = (len(QUANTITIES), len(STEPS), config.tuning + config.judging)
    ended = np.empty((*cases, *axes), np.float32)
    for place in product(*map(range, cases)):
        data, method, index = place
        name = list(ORDERS)[index]
        contest = partial(_contest, config, keep, works[data])
        ended[place] = contest(f"{_case((data, method))}, {name}", method, name)
    return Result(ended, np.array(config.tuning))


def _contest(
    config: Config, keep: Keep, work: Workload, stage: str, method: int, order: str
) -> Float[np.ndarray, "quantity rate unit"]:
    """Both quantities at the end of every unit at every rate."""
    family, _, lowest = METHODS[method]
    stream = _stream(work, order)
    steps = EPOCHS * stream.per_epoch
    rates = lowest * STEPS * (SLOWER if order == SORTED else 1.0)
    experiment = partial(
        learn.training,
        work.start,
        work.loss,
        batches=stream,
        steps=steps,
        probe=learn.evaluating(work.measures),
    )
    grid = learn.grid(learn.Hyper, lr=rates, horizon=[steps])
    found = learn.compare(
        experiment,
        {stage: learn.Entrant(family, grid)},
        lanes=config.lanes,
        units=learn.Units(config.tuning, config.judging),
        seed=config.seed,
        keep=keep,
    )
    final = found[stage].final
    return np.stack([final["train"], final["accuracy"]])


def _stream(work: Workload, order: str) -> learn.Batches:
    """Each run's own examples in that order."""
    stream = split_in_order(
        work.data, train=EXAMPLES, test=work.test, size=SIZE, order=ORDERS[order]
    )

    def by_class(data: Batch, key: Key) -> Dataset:
        drawn = stream.own(data, key)
        places = jnp.argsort(drawn.train.targets)
        train = jax.tree.map(lambda leaf: leaf[places], drawn.train)
        return drawn._replace(train=train)

    return stream._replace(own=by_class) if order == SORTED else stream


def findings(result: Result) -> tuple[Assertion, ...]:
    """On each data set, of each method, in both quantities."""
    found: list[Assertion] = []
    for place in product(*map(range, result.ended.shape[:2])):
        setting = (
            f"{_case(place)}, {EXAMPLES} examples in batches of {SIZE}, dense network "
            f"with 32 hidden ReLUs, {EPOCHS} epochs, rate that falls linearly to 0, "
            "tuned for each"
        )
        for quantity in QUANTITIES:
            arms = _arms(result, place, quantity)
            found += _compared(arms, int(result.tuning), quantity, setting)
    return tuple(found)


def _case(place: tuple[int, ...]) -> str:
    """Data and method."""
    data, method = place
    return f"{DATA[data]}, {METHODS[method].name}"


def _arms(result: Result, place: tuple[int, ...], quantity: Quantity) -> dict[str, Arm]:
    """The orders that were tried, each tuned by what is judged."""
    sign = -1 if quantity is ACCURACY else 1
    ended = result.ended[place][:, QUANTITIES.index(quantity)]
    return {
        name: Arm(values, sign * values)
        for name, values in zip(ORDERS, ended, strict=False)
    }


def _compared(
    arms: dict[str, Arm], tuning: int, quantity: Quantity, setting: str
) -> list[Assertion]:
    """Pairs of orders, and how far two draws of the order part, anew against once."""
    found = []
    for ours, theirs in _tried(arms):
        role = record.deciding if theirs == ONCE else record.supporting
        difference = partial(_difference, quantity)
        assertion = role(
            "C063",
            f"On examples {ours}, runs end at {quantity.better} {quantity.name} than "
            f"on examples {theirs}.",
            record.tuned(difference, arms[ours], arms[theirs], tuning=tuning),
            quantity.rule,
            unit=quantity.unit,
            setting=setting,
        )
        found.append(assertion)
    if arms.keys() >= set(DRAWS):
        drawn = [arms[name] for name in DRAWS]
        apart = record.supporting(
            "C063",
            f"Two draws of the order part runs less in {quantity.name} on examples "
            f"{ANEW} than on examples {ONCE}.",
            record.tuned(partial(_spread, quantity), *drawn, tuning=tuning),
            SPREAD,
            unit="log ratio",
            setting=setting,
        )
        found.append(apart)
    return found


def _tried(arms: dict[str, Arm]) -> list[tuple[str, str]]:
    """The pairs of which both were tried."""
    return [pair for pair in PAIRS if arms.keys() >= set(pair)]


def _difference(quantity: Quantity, ours: np.ndarray, theirs: np.ndarray) -> float:
    """Of paired units."""
    return float(quantity.middle(ours - theirs))


def _spread(quantity: Quantity, *ended: np.ndarray) -> float:
    """The logarithm of the ratio of middle distances of two pairs."""
    anew, anew_again, once, once_again = ended
    ours = quantity.middle(np.abs(anew - anew_again))
    return float(np.log(ours / quantity.middle(np.abs(once - once_again))))


def figures(result: Result) -> dict[str, Figure]:
    """Pairs of orders, unit by unit: the first minus the second."""
    places = list(product(*map(range, result.ended.shape[:2])))
    figure, axes = panels(len(places), len(QUANTITIES), width=5.0)
    for (place, quantity), axis in zip(product(places, QUANTITIES), axes, strict=True):
        arms = _arms(result, place, quantity)
        rows = {PAIRS[pair]: (arms[pair[0]], arms[pair[1]]) for pair in _tried(arms)}
        compared(axis, rows, quantity.rule, tuning=int(result.tuning))
        axis.set_xscale("symlog", linthresh=2 * quantity.rule.margin)
        what = f"difference in {quantity.name}"
        label(axis, _case(place), what, "first minus second")
    shared_legend(figure)
    return {"orders": figure}
