"""Does a layer that is restricted to a convolution overfit pictures less?

A convolutional layer is a fully connected one restricted by receptive fields and shared
weights, has a larger model bias therefore, and overfits pictures less; so says the
course (C128), and that its functions are a subset and yet it does better on pictures
(C036). That it is a subset is shown by `convolution_matrix`; from it follows the bias,
for the best of a subset fits no better than the best of all. Here three networks differ
in one layer, whose outputs are as many: 4 filters at each pixel, the same with weights
of their own at each pixel, and as many fully connected neurons. ReLUs, a max pool of
2 x 2 and a dense layer follow. What each outcome would look like:

- *Overfits less*: the accuracy on the pictures that are learned exceeds that on others
  by less, by more than a point (C128). A network that has learned less of its pictures
  would pass as well, so that this counts beside the next.
- *Does better*: it is more accurate on other pictures by more than a point (C036).

Supporting, *by what it assumes of pictures*: when all pixels are scrambled, which a
fully connected layer cannot notice, the convolution's lead shrinks by more than a
point. Control: the fully connected network must stay as accurate as it was, within a
point. That decided in the first runs, at three seeds, in which the lead itself stayed
open: that scrambles cost a convolution more does not say that it leads.

Receptive fields without sharing stand between both and support as well. There are two
data sets, for 8x8 digits fill their frame and stand in its middle, and pilots showed no
lead there. Six units of the seed 50, judged nowhere, learned 300 pictures: digits 0.944
by 8 filters without a pool and 0.949 by 256 neurons, MNIST of 14x14 pixels 0.865 by 4
filters and 0.846 by 256 neurons. MNIST was taken for what they showed; the digits stay
for the same reason. Filters are of 3 x 3 and of 5 x 5 pixels.

Each network has its own rate of ten, tuned by the accuracy on other pictures, in
other units; resamples tune anew. The ends of the grid lie far off, where training
fails, for between them the accuracy is flat. A unit draws its pictures, the scramble of
training and test, initial weights and order anew. The number of pictures is a traced
number: the first ones are repeated till they are as many as the most.

Not tested: deep networks; dense ones with as few weights, without a pool, which here
takes the largest of four neurons, or with other remedies; more than 800 pictures; that
the bias shows in a higher training loss.

Claims: C128, C036.
Source: LeCun 1989, "Generalization and network design strategies".
Cost: eleven minutes on 2 cores, beside other work.
Expect: as the course says on MNIST, and little difference on 8x8 digits.
Run: jaxml run restricted_layers
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
from jaxml.learn import Batches, Family, Training
from jaxml.record import Arm, Assertion, Rule
from jaxml.record.comparisons import compared
from jaxml.record.figures import Figure, label, legend_below, panels
from jaxml.types import Batch, Dataset, Keep, Key, Model, Params

CLASSES, FILTERS = 10, 4
DATA = ("8x8 digits", "MNIST of 14x14 pixels")
SIDES, KERNELS = (8, 14), (3, 5)  # pixels of a side, of pictures and of filters
TEST, BATCH = 700, 25  # others that judge a run, and pictures of an update
POOL = 20_000  # pictures of MNIST that units draw from
NETWORKS = ("dense", "convolution", "unshared")
LOWEST = (1e-3, 3e-3, 3e-3)  # rates of each, but for the far ends of the grid
RATES = np.array([0.1, *1.5 ** np.arange(8), 100])
POINT = "one picture in a hundred"
HIGHER = record.above(0.0, margin=0.01, reason=POINT)
SAME = record.near(0.0, margin=0.01, reason=POINT)
OVERFITS_LESS = partial(record.deciding, "C128")
DOES_BETTER = partial(record.deciding, "C036")
BESIDE = partial(record.supporting, "C128")


@dataclass(frozen=True, kw_only=True)
class Config:
    """Pictures, training and units; of data sets and networks the first ones."""

    data: int = len(DATA)
    networks: int = len(NETWORKS)
    examples: tuple[int, ...] = (100, 800)
    steps: int = 250
    tuning: int = 4
    judging: int = 10
    lanes: int = 14
    seed: int = 0


SMOKE = Config(
    data=1,
    networks=2,
    examples=(25, 50),
    steps=2,
    tuning=1,
    judging=2,
)


class Point(NamedTuple):
    """The rate, how many pictures train a run, and whether their pixels are scrambled
    (1) or not (0).
    """

    lr: Any
    pictures: int = 1
    scrambled: int = 0
    seed: Any = 0


class Result(NamedTuple):
    """At the end of runs. Units that tune come first.

    Attributes:
        accuracy: on the pictures that train a run, and on others, of pixels as they
            are and scrambled.
        examples: numbers of pictures.
        tuning: how many of the units tune.
        updates: of a run.
    """

    accuracy: Float[np.ndarray, "data network part count scrambled rate unit"]
    examples: np.ndarray
    tuning: np.ndarray
    updates: np.ndarray


def study(config: Config, keep: Keep) -> Result:
    """One program a network and data set."""
    indices = np.ndindex(config.data, config.networks)
    found = [_accuracies(config, keep, *index) for index in indices]
    accuracy = np.reshape(found, (config.data, config.networks, *found[0].shape))
    setting = (config.examples, config.tuning, config.steps)
    return Result(accuracy, *map(np.array, setting))


def _pictures(place: int) -> Batch:
    """Of one channel."""
    if place:
        return problem.shrunk(problem.mnist(train=POOL, test=1).train, 2)
    return problem.digit_pictures()


def _network(number: int, place: int) -> Model:
    """The layer that is restricted or not, ReLU, pool and dense layer."""
    maps = (SIDES[place], SIDES[place], FILTERS)
    layers = (
        problem.chain(
            problem.linear(int(np.prod(maps))),
            problem.elementwise(lambda values: values.reshape(-1, *maps)),
        ),
        problem.convolution(FILTERS, KERNELS[place]),
        problem.locally_connected(FILTERS, KERNELS[place]),
    )
    return problem.chain(
        layers[number],
        problem.elementwise(jax.nn.relu),
        problem.max_pooling(2),
        problem.linear(CLASSES),
    )


def _accuracies(
    config: Config, keep: Keep, place: int, number: int
) -> Float[np.ndarray, "part count scrambled rate unit"]:
    """Of all points and units of a network."""
    network, pictures = _network(number, place), _pictures(place)
    rates = LOWEST[number] * RATES
    points = learn.grid(Point, pictures=config.examples, scrambled=(0, 1), lr=rates)
    accuracy = problem.objective(network, problem.accuracy)

    def both(params: Params, own: Dataset) -> jax.Array:
        return jnp.stack([accuracy(params, part) for part in own])

    def of_family(family: Family) -> Training:
        def of_point(point: Point) -> Training:
            return learn.training(
                problem.start(network, pictures.inputs),
                problem.training_loss(network, problem.cross_entropy),
                family,
                _batches(config, pictures, point),
                steps=config.steps,
                probe=learn.evaluating({"accuracy": both}),
            )

        return learn.at_each_point(of_point, Point(lr=0.0))

    known = f"{NETWORKS[number]}, {DATA[place]}"
    contests = learn.compare(
        of_family,
        {known: learn.Entrant(learn.by_rate_alone(learn.adam), points)},
        lanes=config.lanes,
        units=learn.Units(config.tuning, config.judging),
        seed=config.seed,
        keep=keep,
    )
    final = np.moveaxis(contests[known].final["accuracy"], -1, 0)
    return final.reshape(2, len(config.examples), 2, len(RATES), -1)


def _batches(config: Config, pictures: Batch, point: Point) -> Batches:
    """Of pictures drawn anew, the first ones repeated, scrambled or not."""
    most = max(config.examples)
    split = learn.split_anew(pictures, train=most, test=TEST, size=BATCH)
    pixels = jnp.arange(pictures.inputs[0].size)

    def changed(own: Dataset, key: Key) -> Dataset:
        mixed = learn.permuted(pixels, len(pixels), key=key)
        order = jnp.where(point.scrambled > 0, mixed, pixels)
        rows = jnp.arange(most) % point.pictures
        train = jax.tree.map(lambda field: field[rows], own.train)
        parts = [
            part._replace(inputs=problem.scrambled(part.inputs, order))
            for part in (train, own.test)
        ]
        return Dataset(*parts)

    return learn.changed_once(split, changed)


def findings(result: Result) -> tuple[Assertion, ...]:
    """Of every data set, by number of pictures."""
    cases = np.ndindex(len(result.accuracy), len(result.examples))
    return tuple(each for case in cases for each in _of_case(result, *case))


def _arms(result: Result, place: int, case: int, scrambled: int = 0) -> list[Arm]:
    """Accuracies on other pictures, by which a rate is tuned."""
    held_out = result.accuracy[place, :, 1, case, scrambled]
    return [Arm(each, -each) for each in held_out]


def _gaps(result: Result, place: int, case: int) -> list[Arm]:
    """Accuracies on the pictures that train minus those on others."""
    parts = result.accuracy[place, :, :, case, 0]
    return [Arm(fitted - held_out, -held_out) for fitted, held_out in parts]


def _shrinks(
    restricted: np.ndarray, dense: np.ndarray, mixed: np.ndarray, same: np.ndarray
) -> float:
    """What a scramble takes of a lead."""
    lead = record.mean_difference(restricted, dense)
    return lead - record.mean_difference(mixed, same)


def _judged(
    result: Result,
    place: int,
    case: int,
    role: Callable[..., Assertion],
    statement: str,
    rule: Rule,
    arms: tuple[Arm, ...],
) -> Assertion:
    """Two arms by their difference, four by what a scramble takes of it."""
    statistic = record.mean_difference if len(arms) == 2 else _shrinks
    return role(
        statement,
        record.tuned(statistic, *arms, tuning=int(result.tuning)),
        rule,
        unit="accuracy difference",
        setting=_setting(result, place, case),
    )


def _of_case(result: Result, place: int, case: int) -> tuple[Assertion, ...]:
    """What the restrictions bring, what of it a scramble takes, and controls."""
    judged = partial(_judged, result, place, case)
    dense, restricted, *unshared = _arms(result, place, case)
    same, mixed, *_ = _arms(result, place, case, scrambled=1)
    dense_gap, gap, *_ = _gaps(result, place, case)
    fields = [
        judged(
            BESIDE,
            "Receptive fields alone, without sharing, are more accurate on other "
            "pictures than a fully connected layer.",
            HIGHER,
            (arm, dense),
        )
        for arm in unshared
    ]
    return (
        judged(
            OVERFITS_LESS,
            "A convolution overfits less than a fully connected layer: accuracy on "
            "training pictures minus that on others, of the second minus of the first.",
            HIGHER,
            (dense_gap, gap),
        ),
        judged(
            DOES_BETTER,
            "A convolution is more accurate on other pictures than the fully connected "
            "layer of which it is a restriction.",
            HIGHER,
            (restricted, dense),
        ),
        judged(
            BESIDE,
            "A convolution leads by what it assumes of pictures: its lead over a fully "
            "connected layer shrinks when all pixels are scrambled.",
            HIGHER,
            (restricted, dense, mixed, same),
        ),
        judged(
            BESIDE,
            "Control: to a fully connected layer, scrambled pixels are the same.",
            SAME,
            (same, dense),
        ),
        *fields,
    )


def _setting(result: Result, place: int, case: int) -> str:
    kernel, neurons = KERNELS[place], FILTERS * SIDES[place] ** 2
    return (
        f"{DATA[place]}, {result.examples[case]} for training, {FILTERS} filters of "
        f"{kernel} x {kernel} or {neurons} neurons, ReLU, max pool of 2 x 2 and a "
        f"dense layer, Adam, {result.updates} updates of {BATCH}, rate tuned for each"
    )


def figures(result: Result) -> dict[str, Figure]:
    """Differences of accuracies, unit by unit."""
    figure, axes = panels(1, len(result.accuracy), width=5.8, height=4.4)
    for place, axis in enumerate(axes):
        pairs = {}
        for case, scrambled in np.ndindex(len(result.examples), 2):
            dense, *others = _arms(result, place, case, scrambled)
            order = ", scrambled" if scrambled else ""
            for name, arm in zip(NETWORKS[1:], others, strict=False):
                pairs[f"{name}, {result.examples[case]}{order}"] = (arm, dense)
        compared(axis, pairs, HIGHER, tuning=int(result.tuning))
        label(axis, DATA[place], "accuracy minus the dense one's", "layer, pictures")
        legend_below(axis)
    return {"layers": figure}
