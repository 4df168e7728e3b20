"""Should the examples be shuffled anew in every epoch?

The course shuffles the examples into different batches in every epoch, and says no more
of why. A network is trained here on 500 examples for 20 epochs, at a constant rate
tuned for each order and for what is judged, by gradient descent and by Adam, on two
data sets, in batches of 25 and of 5:

- C063: shuffled anew in every epoch against shuffled once, where each epoch repeats the
  batches of the first. If it matters that batches differ, training loss ends lower and
  held-out accuracy higher; if it only matters that the order is random, they end within
  the margins of each other; if repeated batches serve better, the other way round.
- Supporting: shuffled anew against drawn with replacement; shuffled once against in the
  order of the classes, where each batch of 25 holds examples of one class, on which
  shuffling must show if it ever does; and whether runs shuffled anew differ less from
  each other.
- Control: shuffled anew by other keys, which must be no better.

Theory of strongly convex sums (Mishchenko et al.) bounds the error of both shuffled
orders alike, below that of drawing with replacement at small rates, and that of a given
order far above; `shuffled_quadratics` shows it. Of a network that fits all its examples
there is no noise left at the end, and orders can differ by less.

A tenth of the loss matters, and a point of accuracy, one picture in a hundred; of the
spread between runs as much. A unit draws its initial weights, its examples and their
orders anew; 20 units tune, 20 others judge; of digits, the units' draws overlap. Held
equal: examples, epochs, updates, the number of rates. Means of the loss are of its
logarithm. The ranges of the rates were placed by runs of three units with seed 11, in
30 epochs.

Not tested: the same batches in another order, decaying rates, a single epoch, batch
normalisation, and data too large to shuffle.

Claims: C063.
Sources: Mishchenko et al. 2020, arXiv:2006.05988; Bottou 2009, "Curiously fast
    convergence of some stochastic gradient descent algorithms".
Cost: 150 seconds on 2 cores, compilation included.
Expect: anew and once are alike; the order of the classes is bad.
Run: jaxml run shuffling
"""

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
EPOCHS = 20
STEPS = 1.5 ** np.arange(14)


def _other_keys(data: Batch, size: int) -> learn.Batches:
    """As `shuffled`, in other orders."""
    stream = learn.shuffled(data, size)

    def draw(data: Batch, key: Key, step: Any) -> Batch:
        return stream.draw(data, jax.random.fold_in(key, 1), step)

    return stream._replace(draw=draw)


ORDERS: dict[str, Order] = {
    "shuffled anew in every epoch": learn.shuffled,
    "shuffled once": learn.shuffled_once,
    "drawn with replacement": learn.with_replacement,
    "shuffled anew by other keys, the control": _other_keys,
    "in the order of their classes": learn.in_order,
}
ANEW, ONCE, REPLACED, CONTROL, SORTED = ORDERS
TRIED = {25: tuple(ORDERS), 5: (ANEW, ONCE, REPLACED)}
"""Orders by batch size."""

PAIRS = {
    (ANEW, ONCE): "anew, once",
    (ANEW, REPLACED): "anew, with replacement",
    (CONTROL, ANEW): "anew, anew",
    (ONCE, SORTED): "once, by class",
}
"""Of which the first shall be better, and their short names."""


class Method(NamedTuple):
    """A method, its name, and the lowest of its rates by batch size."""

    family: learn.Family
    name: str
    lowest: dict[int, float]


METHODS = (
    Method(learn.sgd, "gradient descent", {25: 0.017, 5: 7.5e-3}),
    Method(learn.adam, "Adam", {25: 7e-4, 5: 2e-4}),
)


class Quantity(NamedTuple):
    """What runs are judged by.

    Attributes:
        name: of it.
        better: what makes a run better.
        unit: of a difference.
        rule: of the difference of two means; its margin holds for standard deviations.
    """

    name: str
    better: str
    unit: str
    rule: record.Rule


QUANTITIES = (
    Quantity(
        "training loss",
        "a lower",
        "log ratio",
        record.below(0.0, margin=0.1, reason="a tenth of the loss"),
    ),
    Quantity(
        "held-out accuracy",
        "a higher",
        "accuracy difference",
        record.above(0.0, margin=0.01, reason="one picture in a hundred"),
    ),
)
_, ACCURACY = QUANTITIES


@dataclass(frozen=True, kw_only=True)
class Config:
    """Of data sets, methods and batch sizes the first ones; units."""

    data: int = len(DATA)
    methods: int = len(METHODS)
    sizes: int = len(TRIED)
    tuning: int = 20
    judging: int = 20
    lanes: int = 20
    seed: int = 0


SMOKE = Config(data=1, methods=1, sizes=1, tuning=2, judging=2, lanes=28)


class Result(NamedTuple):
    """What runs end at, nan where one diverged or was not tried. Units that tune come
    first.

    Attributes:
        ended: the logarithm of the loss on all training examples, and the accuracy on
            held-out pictures.
        weights: of the networks.
        tuning: how many of the units tune.
    """

    ended: Float[np.ndarray, "data method size order quantity rate unit"]
    weights: Int[np.ndarray, " data"]
    tuning: Int[np.ndarray, ""]


def study(config: Config, keep: Keep) -> Result:
    """One program a data set, method, size and order."""
    works = [of(train=EXAMPLES, test=EXAMPLES) for of in WORKLOADS[: config.data]]
    cases = (config.data, config.methods, config.sizes)
    axes = (len(ORDERS), len(QUANTITIES), len(STEPS), config.tuning + config.judging)
    ended = np.full((*cases, *axes), np.nan, np.float32)
    for place in product(*map(range, cases)):
        data, method, index = place
        size = list(TRIED)[index]
        for order, name in enumerate(TRIED[size]):
            stage = f"{_case(place)}, {name}"
            stream = _stream(works[data], size, name)
            rates = METHODS[method].lowest[size] * STEPS
            contest = partial(_contest, config, keep, stage, works[data], stream)
            ended[*place, order] = contest(METHODS[method].family, rates)
    return Result(
        ended=ended,
        weights=np.array([problem.weights(work) for work in works]),
        tuning=np.array(config.tuning),
    )


def _contest(
    config: Config,
    keep: Keep,
    stage: str,
    work: Workload,
    stream: learn.Batches,
    family: learn.Family,
    rates: np.ndarray,
) -> Float[np.ndarray, "quantity rate unit"]:
    """Both quantities at the end of every unit at every rate."""
    experiment = partial(
        learn.training,
        work.start,
        work.loss,
        batches=stream,
        steps=EPOCHS * stream.per_epoch,
        probe=learn.evaluating(work.measures),
    )
    found = learn.compare(
        experiment,
        {stage: learn.Entrant(family, learn.grid(learn.Hyper, lr=rates))},
        lanes=config.lanes,
        units=learn.Units(config.tuning, config.judging),
        seed=config.seed,
        keep=keep,
    )
    final = found[stage].final
    return np.stack([np.log(final["train"]), final["accuracy"]])


def _stream(work: Workload, size: int, order: str) -> learn.Batches:
    """Each run's own examples in that order."""
    stream = split_in_order(
        work.data, train=EXAMPLES, test=work.test, size=size, order=ORDERS[order]
    )

    def by_class(data: Batch, key: Key) -> Dataset:
        drawn = stream.own(data, key)
        places = jnp.argsort(drawn.train.targets)
        train = jax.tree.map(lambda leaf: leaf[places], drawn.train)
        return drawn._replace(train=train)

    return stream._replace(own=by_class) if order == SORTED else stream


def findings(result: Result) -> tuple[Assertion, ...]:
    """On each data set, of each method and size, in both quantities."""
    found: list[Assertion] = []
    for place in product(*map(range, result.ended.shape[:3])):
        data, _, _ = place
        setting = (
            f"{_case(place)}, {EXAMPLES} examples, dense network of "
            f"{result.weights[data]:,} weights, constant rate tuned for each, "
            f"{EPOCHS} epochs"
        )
        for quantity in QUANTITIES:
            found += _compared(result, place, quantity, setting)
    return tuple(found)


def _case(place: tuple[int, ...]) -> str:
    """Data, method and batch size."""
    data, method, size = place
    return f"{DATA[data]}, {METHODS[method].name}, batches of {list(TRIED)[size]}"


def _compared(
    result: Result, place: tuple[int, ...], quantity: Quantity, setting: str
) -> list[Assertion]:
    """Pairs of orders, and the spread between runs of the first pair."""
    judged = partial(record.tuned, tuning=int(result.tuning))
    about = {"claim": "C063", "unit": quantity.unit, "setting": setting}
    pairs = _pairs(result, place, quantity)
    found = []
    for (ours, theirs), arms in pairs.items():
        role = record.deciding if theirs == ONCE else record.supporting
        statement = (
            f"On examples {ours}, runs end at {quantity.better} {quantity.name} than "
            f"on examples {theirs}."
        )
        difference = judged(record.mean_difference, *arms)
        assertion = role(
            statement=statement, measured=difference, rule=quantity.rule, **about
        )
        found.append(assertion)
    less = record.below(0.0, margin=quantity.rule.margin, reason=quantity.rule.reason)
    spread = record.supporting(
        statement=f"On examples {ANEW}, runs differ less in {quantity.name} than on "
        f"examples {ONCE}.",
        measured=judged(_spread, *pairs[ANEW, ONCE]),
        rule=less,
        **about,
    )
    return [*found, spread]


def _pairs(
    result: Result, place: tuple[int, ...], quantity: Quantity
) -> dict[tuple[str, str], tuple[Arm, Arm]]:
    """The pairs that were tried, each order tuned by what is judged."""
    sign = -1 if quantity is ACCURACY else 1
    ended = result.ended[place][:, QUANTITIES.index(quantity)]
    *_, size = place
    tried = list(TRIED.values())[size]
    arms = {
        name: Arm(values, sign * values)
        for name, values in zip(tried, ended, strict=False)
    }
    pairs = [pair for pair in PAIRS if arms.keys() >= set(pair)]
    return {(ours, theirs): (arms[ours], arms[theirs]) for ours, theirs in pairs}


def _spread(ours: np.ndarray, theirs: np.ndarray) -> float:
    """The difference of the standard deviations over units."""
    return float(np.std(ours) - np.std(theirs))


def figures(result: Result) -> dict[str, Figure]:
    """Pairs of orders, unit by unit: the first minus the second."""
    places = list(product(*map(range, result.ended.shape[:3])))
    figure, axes = panels(len(places), len(QUANTITIES), width=5.4)
    for (place, quantity), axis in zip(product(places, QUANTITIES), axes, strict=True):
        pairs = _pairs(result, place, quantity)
        rows = {PAIRS[pair]: arms for pair, arms in pairs.items()}
        compared(axis, rows, quantity.rule, tuning=int(result.tuning))
        what = f"{quantity.name}, {quantity.unit}"
        label(axis, _case(place), what, "first minus second")
    shared_legend(figure)
    return {"orders": figure}
