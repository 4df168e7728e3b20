"""Are standardised features the form to train a network on?

The notes draw a cloud of data off the origin, stretched along one axis, and say: less
its mean and over its deviation it lies around the origin, as wide along every axis, and
is the form to train on (C163). `standardised_cloud` is of the cloud, `feature_scale` of
quadratics. Here are networks of two hidden layers of 32 ReLUs, and three tables: 13
measurements of wines and 30 of tumours, whose deviations differ by factors of 2,500 and
215,000, and the pixels of 8x8 digits, which have one unit already.

Each is trained on in three forms: as given, centred, and standardised. The first two
are divided by one number, their root mean square over all features, so that they are as
large as standardised ones: what is asked is not whether rates and initial weights fit
the unit of the table. Means and deviations are those of a unit's training examples. A
constant feature, as a pixel in the corner, is centred only.

What decides, for each table, by SGD and by Adam: the updates until the training loss is
a fiftieth of ln K, the loss of a guess among K classes, on standardised features over
features as given, each at the rate that is best for this. The claim holds below 1 /
1.25, less than a step of a usual grid of rates; above 1.25 it is refuted, and between
them the form does not matter. A run that misses the target, or diverges before it,
counts with all its updates: where given features do, a ratio is an upper bound.

Control, which must show no effect: standardised features, from other signs of the
initial weights. Supporting: centred over given and standardised over centred features,
which part the claim; left out where no run of either comes to the target.

Changed in review, before the first full run: the target was a fifth of ln K, which the
fastest came to after 6 updates, of which every fifth was looked at; and the control was
of given features, of which most runs miss any target.

A unit draws examples, initial weights and order anew; the first ones tune, and
resamples tune anew. Units of seed 100, judged nowhere, placed rates and budget. Not
tested: how well networks do on other examples, signs of gradients, convolution, deeper
networks, whitening, and tables other than these, of which units share most examples.

Claims: C163.
Source: LeCun, Bottou, Orr and Müller 1998, "Efficient BackProp", section 4.3.
Cost: four minutes on 2 cores, compilation included.
Expect: far fewer updates on wines and tumours; on digits by centring alone.
Run: jaxml run standardised_inputs
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from jaxml import learn, problem, record
from jaxml.learn import Family, Training
from jaxml.record import Arm, Assertion
from jaxml.record.comparisons import compared
from jaxml.record.figures import Figure, by_rate, label, legend_below, panels
from jaxml.types import Array, Batch, Dataset, Keep, Key

GIVEN, CENTRED, STANDARDISED, OTHER = range(4)
FORMS = ("as given", "centred", "standardised", "standardised, other signs")
OPTIMIZERS: dict[str, tuple[Family, float]] = {  # with the lowest rate
    "SGD": (learn.sgd, 0.03),
    "Adam": (learn.adam, 0.002),
}
STEP, BATCH, PART = 1.5, 20, 0.02
FASTER = record.below(
    0.0,
    margin=float(np.log(1.25)),
    reason="a factor of 1.25, less than a step of a usual grid of rates",
)


class Table(NamedTuple):
    """Data, in words, how many classes they have, and how many examples train."""

    read: Callable[[], Batch]
    words: str
    classes: int
    train: int


TABLES = (
    Table(problem.wine, "13 measurements of wines", 3, 120),
    Table(problem.breast_cancer, "30 measurements of tumours", 2, 400),
    Table(problem.digits, "8x8 digits", 10, 500),
)


@dataclass(frozen=True, kw_only=True)
class Config:
    """Tables, the first ones; updates and those between two looks; rates and units."""

    tables: int = len(TABLES)
    updates: int = 800
    every: int = 4
    rates: int = 14
    tuning: int = 8
    judging: int = 12
    lanes: int = 40
    seed: int = 0


SMOKE = Config(tables=1, updates=2, every=1, rates=1, tuning=1, judging=2, lanes=12)


class Point(NamedTuple):
    """A rate, the form of the features, and the signs of the initial weights."""

    lr: Any
    form: Any = 0
    signs: Any = 0
    seed: Any = 0


class Result(NamedTuple):
    """Units that tune come first.

    Attributes:
        loss: in training; infinite once a run has diverged.
        rates: of each optimizer.
        updates: after how many there was a look.
        tuning: how many of the units tune.
    """

    loss: Float[np.ndarray, "table optimizer form rate unit look"]
    rates: Float[np.ndarray, "optimizer rate"]
    updates: Array
    tuning: Array


def study(config: Config, keep: Keep) -> Result:
    """One program a table and optimizer; forms are traced."""
    steps = STEP ** np.arange(config.rates)
    rates = np.stack([lowest * steps for _, lowest in OPTIMIZERS.values()])
    found = [
        _curves(config, keep, table, name, own)
        for table in TABLES[: config.tables]
        for name, own in zip(OPTIMIZERS, rates, strict=True)
    ]
    (updates, *_), losses = zip(*found, strict=True)
    shape = (config.tables, len(OPTIMIZERS), len(FORMS), config.rates)
    loss = np.reshape(losses, (*shape, *losses[0].shape[1:]))
    return Result(loss, rates, updates, np.array(config.tuning))


def _curves(
    config: Config, keep: Keep, table: Table, name: str, rates: Array
) -> tuple[Array, Float[np.ndarray, "point unit look"]]:
    """Updates and training losses, of all forms and rates by one optimizer."""
    grids = [
        learn.grid(
            Point,
            lr=rates,
            form=[min(form, STANDARDISED)],
            signs=[int(form == OTHER)],
        )
        for form in range(len(FORMS))
    ]

    def of_family(family: Family) -> Training:
        return learn.at_each_point(partial(_training, config, table, family), Point(0))

    family = learn.by_rate_alone(OPTIMIZERS[name][0])
    contest = f"{name}, {table.words}"
    found = learn.compare(
        of_family,
        {contest: learn.Entrant(family, learn.joined(grids))},
        lanes=config.lanes,
        units=learn.Units(config.tuning, config.judging),
        seed=config.seed,
        keep=keep,
    )[contest]
    diverged_at = found.diverged_at[..., None]
    lost = (diverged_at >= 0) & (found.updates > diverged_at)
    return found.updates, np.where(lost, np.inf, found.curves["loss"])


def _training(config: Config, table: Table, family: Family, point: Point) -> Training:
    """Training on the features of one form."""
    data = table.read()
    model = problem.mlp((32, 32, table.classes), jax.nn.relu, scale=float(np.sqrt(2)))
    loss = problem.objective(model, problem.cross_entropy)

    def formed(own: Dataset, _: Key) -> Dataset:
        inputs = _form(own.train.inputs, point.form)
        return own._replace(train=own.train._replace(inputs=inputs))

    split = learn.split_anew(data, train=table.train, test=1, size=BATCH)
    training = learn.training(
        problem.start(model, data.inputs),
        problem.training_loss(model, problem.cross_entropy),
        family,
        learn.changed_once(split, formed),
        steps=config.updates,
        every=config.every,
        probe=learn.evaluating({"loss": lambda params, own: loss(params, own.train)}),
    )
    begun = partial(problem.other_kernel_signs, number=point.signs)
    return learn.starting_from(training, begun)


def _form(features: Any, form: Any) -> jax.Array:
    """Features `[example, feature]` in one of FORMS."""
    centred = features - jnp.mean(features, axis=0, keepdims=True)
    deviations = jnp.std(features, axis=0, keepdims=True)
    kinds = jnp.stack([features, centred, centred])
    mean_squares = jnp.mean(jnp.square(kinds), axis=(1, 2), keepdims=True)
    sizes = jnp.sqrt(mean_squares)
    own = jnp.where(deviations > 0, deviations, 1)
    return kinds[form] / jnp.where(form == STANDARDISED, own, sizes[form])


def findings(result: Result) -> tuple[Assertion, ...]:
    """Of each table by each optimizer."""
    found = []
    for table in range(len(result.loss)):
        for optimizer in range(len(OPTIMIZERS)):
            found += _speeds(result, table, optimizer)
    return tuple(found)


def _speeds(result: Result, table: int, optimizer: int) -> Iterator[Assertion]:
    pairs = (
        (STANDARDISED, GIVEN, "on standardised features than on features as given"),
        (CENTRED, GIVEN, "on centred features than on features as given"),
        (STANDARDISED, CENTRED, "on standardised features than on centred ones"),
        (OTHER, STANDARDISED, "(control) from other signs of the initial weights"),
    )
    tuning = int(result.tuning)
    for form, other, words in pairs:
        ours, theirs = (_arm(result, table, optimizer, each) for each in (form, other))
        whole = (form, other) == (STANDARDISED, GIVEN)
        if not whole and np.ptp([ours.values, theirs.values]) == 0:
            continue  # neither comes there at any rate
        role = record.deciding if whole else record.supporting
        yield role(
            "C163",
            "Networks come to a fiftieth of the loss of a guess in fewer updates "
            f"{words}, each at its best rate, and a run that misses it counted with "
            "all of its updates.",
            record.tuned(record.mean_difference, ours, theirs, tuning=tuning),
            FASTER,
            unit="log ratio",
            setting=_setting(result, table, optimizer),
        )


def _setting(result: Result, table: int, optimizer: int) -> str:
    own = TABLES[table]
    return (
        f"{own.words}, {own.train} of them for training, dense network of 2 hidden "
        f"layers of 32 ReLUs, {tuple(OPTIMIZERS)[optimizer]} in batches of {BATCH}, "
        f"{result.updates[-1]} updates; features not standardised are divided by one "
        "number"
    )


def _arm(result: Result, table: int, optimizer: int, form: int) -> Arm:
    """Logarithms of the updates until the target. Where all runs miss it the nearest
    rate is best, and no rate is an edge.
    """
    target = PART * np.log(TABLES[table].classes)
    loss = result.loss[table, optimizer, form]
    loss = np.where(np.isfinite(loss), loss, np.inf)
    reached = loss <= target
    first = result.updates[np.argmax(reached, axis=-1)]
    counts = np.where(np.any(reached, axis=-1), first, result.updates[-1])
    values = np.log(counts.astype(np.float64))
    missed = np.maximum(np.min(loss, axis=-1) / target - 1, 0)
    edges = None if np.any(reached) else np.zeros(len(values), bool)
    return Arm(values, values + missed, edges)


def figures(result: Result) -> dict[str, Figure]:
    """Updates by rate of each table, and their ratios unit by unit."""
    tables = len(result.loss)
    figure, axes = panels(len(OPTIMIZERS), tables + 1, width=4.6, height=3.4)
    tuning = int(result.tuning)
    for optimizer, name in enumerate(OPTIMIZERS):
        *of_tables, last = axes[optimizer * (tables + 1) :][: tables + 1]
        pairs = {}
        for table, axis in enumerate(of_tables):
            words = TABLES[table].words
            arms = [_arm(result, table, optimizer, form) for form in range(len(FORMS))]
            for arm, told in zip(arms, FORMS, strict=True):
                best = learn.chosen(np.asarray(arm.scores), tuning)
                by_rate(axis, result.rates[optimizer], np.exp(arm.values), best, told)
            axis.set_yscale("log")
            label(axis, f"{words}, {name}", "rate (line: tuned)", "updates to target")
            pairs[f"{words}: standardised"] = (arms[STANDARDISED], arms[GIVEN])
        compared(last, pairs, FASTER, tuning=tuning)
        label(last, name, "log of the ratio to as given", "features")
    for axis in axes[-tables - 1 :]:
        legend_below(axis)
    return {"speed": figure}
