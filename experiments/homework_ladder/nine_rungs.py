"""Does each rung of the course's demonstration come out as it did there?

The lecture trains a network of sigmoids on digits, changes one thing after another, and
sees training fail or work (C187). It had 10,000 pictures of 784 pixels, 633 units a
layer, batches of 100 and 20 epochs. Here are 1,000 pictures of 64 pixels and batches of
10, so that the 2,000 updates are the same, and 200 units, for time. The rates are the
course's, 0.1 of SGD and 0.001 of Adam, the default of Keras, and nothing is tuned, for
that is what it showed. Initial weights have the variance of Keras' default, one over
the number of inputs of a square layer. Accuracies are those of training unless said
otherwise. What decides, each rung against the one before it:

1. Squared error, a mean over the classes as in Keras, fails: it ends below one half.
2. Cross-entropy in its place improves.
3. Batches of all pictures, at as many epochs, ruin.
4. Ten more layers of sigmoids ruin.
5. ReLUs in these thirteen layers improve.
6. Inputs times 255, as without the division, ruin.
7. Adam ends alike, and is ahead after two epochs.
8. Noise of deviation 1 ruins the test pictures.
9. Dropout of 0.7 lowers the training accuracy, and raises that on noisy pictures.

Rungs 6 and 7 have the thirteen layers; 8 and 9 have three of ReLUs and Adam, for so
stands dropout in the notes. To improve is a tenth of accuracy at least, and to ruin is
to take half of what there was; a rung contradicts the course where it does neither, or
the opposite. Where the course saw a little, one picture in fifty is the margin.

Controls: the sigmoids of rung 2 from initial weights of other signs must not improve;
they must not fail as in 1; and a tenth of the noise of 8 must not ruin.

A unit draws digits, noise, initial weights and order anew. A run that diverges stands
at its last finite weights, and where these have no accuracy, at that of a guess.

Two units of the seed 100, judged nowhere, saw the whole ladder: 0.11 by squared error,
then 0.36, 0.11, 0.11, 0.61, 0.13 and 0.98 to rung 7; three layers of ReLUs had 1.00 in
training, 0.93 on test pictures and 0.29 with noise, and with dropout 0.74 and 0.28. So
cross-entropy came to 0.36 where the course has 0.87: with fewer units one rate acts
less strongly. They had 50 units, in proportion to the pixels; 200 were taken since, as
many as ten minutes allow, and nine units in place of twelve, before the first full
run. The control of rung 1 says whether training has only begun.

Not tested: the course's own pictures and width; other rates; batches of one, which were
slow; as many updates of whole batches. Other orders of the rungs are `rungs_apart`.

Claims: C187.
Source: Lee, "Hello world of deep learning" and "Tips for deep learning".
Cost: ten minutes on 2 cores, compilation included.
Expect: rungs 1 to 6 as in the course, and dropout of 0.7 too much for 200 units.
Run: jaxml run nine_rungs
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from jaxml import learn, problem, randomness, record
from jaxml.learn import Training
from jaxml.record import Assertion, Rule
from jaxml.record.comparisons import dots, margins
from jaxml.record.figures import Figure, label, panels, shared_legend
from jaxml.types import Array, Dataset, Keep, Model, Params, Scalar

CLASSES, SHALLOW, WIDTH, TEST = 10, 3, 200, 500
SGD_RATE, ADAM_RATE, HUGE = 0.1, 0.001, 1e8
NOISE = (0.0, 0.1, 1.0)  # deviations, on test pictures
CLEAR, FAINT, NOISY, TRAIN = range(4)  # pictures
FAILS = record.below(0.5, margin=0.1, reason="one picture in ten")
IMPROVES = record.above(0.0, margin=0.1, reason="one picture in ten")
RUINS = record.below(0.0, margin=0.05, reason="a tenth of half of all pictures")
ALIKE = record.near(0.0, margin=0.02, reason="one picture in fifty")
HIGHER = record.above(0.0, margin=0.02, reason="one picture in fifty")


@dataclass(frozen=True, kw_only=True)
class Config:
    """Layers of the deep networks, examples, epochs, their batches, and units."""

    depth: int = 13
    train: int = 1000
    epochs: int = 20
    batch: int = 10
    units: int = 9
    seed: int = 0


SMOKE = Config(depth=4, train=20, epochs=2, units=2)


class Point(NamedTuple):
    """What is changed in a run."""

    adam: Any = 0
    cross_entropy: Any = 1
    relu: Any = 0
    deep: Any = 0
    factor: Any = 1.0
    dropped: Any = 0.0
    start: Any = 0
    seed: Any = 0


NETWORKS = (
    {"cross_entropy": 0},
    {},
    {"deep": 1},
    {"relu": 1, "deep": 1},
    {"relu": 1, "deep": 1, "factor": 255.0},
    {"relu": 1, "deep": 1, "adam": 1},
    {"relu": 1, "adam": 1},
    {"relu": 1, "adam": 1, "dropped": 0.7},
    {"start": 1},
)
"""Changes of those that small batches train; last comes that of whole batches."""


class Result(NamedTuple):
    """Networks in the order of NETWORKS.

    Attributes:
        accuracy: after every two epochs, on test pictures with each NOISE, and on
            training pictures.
        examples: that train.
        updates: by small batches.
        batch: examples of a small one.
        width: of layers.
        depth: of the deep networks.
    """

    accuracy: Float[np.ndarray, "network unit moment pictures"]
    examples: Array
    updates: Array
    batch: Array
    width: Array
    depth: Array


def study(config: Config, keep: Keep) -> Result:
    """A program for small batches, and one for whole ones, of rung 2's network."""
    small = _accuracies(config, config.batch, NETWORKS, keep)
    whole = _accuracies(config, config.train, NETWORKS[1:2], keep)
    updates = config.epochs * (config.train // config.batch)
    accuracy = np.concatenate([small, whole])
    setting = (config.train, updates, config.batch, WIDTH, config.depth)
    return Result(accuracy, *map(np.array, setting))


def _accuracies(
    config: Config, size: int, networks: Sequence[Mapping[str, Any]], keep: Keep
) -> Float[np.ndarray, "network unit moment pictures"]:
    """Of networks that batches of one size train."""
    seeds = randomness.seeds(config.seed, config.units)
    grids = [learn.grid(Point, **changes, seed=seeds) for changes in networks]
    runs = learn.sweep(
        learn.at_each_point(partial(_training, config, size), Point()),
        learn.joined(grids),
        lanes=config.units,
        name=f"batches of {size}",
        keep=keep,
    )
    seen = runs.trace.probed["accuracy"]
    guessed = np.where(np.isfinite(seen), seen, 1 / CLASSES)
    return guessed.reshape(len(networks), config.units, -1, 1 + len(NOISE))


def _training(config: Config, size: int, point: Point) -> Training:
    """Training of one network on digits of the run's own."""
    data = problem.digits()
    model = _network(config, point)
    accuracy = problem.objective(model, problem.accuracy)

    def loss(outputs: Array, targets: Array) -> jax.Array:
        square = problem.softmax_mse(outputs, targets) / CLASSES
        entropy = problem.cross_entropy(outputs, targets)
        return jnp.where(point.cross_entropy, entropy, square)

    def seen(params: Params, own: Dataset) -> jax.Array:
        clear = own.test.inputs
        noise = jax.random.normal(jax.random.key(point.seed), clear.shape)

        def noisy(deviation: Any) -> Scalar:
            pictures = own.test._replace(inputs=clear + deviation * noise)
            return accuracy(params, pictures)

        tests = jax.lax.map(noisy, jnp.array(NOISE))
        return jnp.append(tests, accuracy(params, own.train))

    per_epoch = config.train // size
    training = learn.training(
        problem.start(model, data.inputs),
        problem.training_loss(model, loss),
        _sgd_or_adam,
        learn.split_anew(data, train=config.train, test=TEST, size=size),
        steps=config.epochs * per_epoch,
        every=2 * per_epoch,
        probe=learn.evaluating({"accuracy": seen}),
    )
    signs = partial(problem.other_signs, number=point.start)
    return learn.starting_from(training, signs)


def _sgd_or_adam(point: Point) -> Any:
    """Adam; with an epsilon far beyond all gradients, and without momentum, it is SGD
    at that rate over epsilon.
    """
    adam = point.adam > 0
    epsilon = jnp.where(adam, 1e-8, HUGE)
    rate = jnp.where(adam, ADAM_RATE, SGD_RATE * HUGE)
    momentum = jnp.where(adam, 0.9, 0.0)
    return learn.adam(learn.Hyper(lr=rate, momentum=momentum, epsilon=epsilon))


def _network(config: Config, point: Point) -> Model:
    """Three layers or thirteen, of sigmoids or ReLUs, with dropout or without."""

    def activation(sums: jax.Array) -> jax.Array:
        return jnp.where(point.relu, jax.nn.relu(sums), jax.nn.sigmoid(sums))

    network = problem.deep_mlp_with_dropout(
        WIDTH,
        config.depth,
        CLASSES,
        activation,
        layers=jnp.where(point.deep, config.depth, SHALLOW),
        dropout=point.dropped,
    )
    times = problem.elementwise(lambda pixels: point.factor * pixels)
    return problem.chain(times, network)


class Seen(NamedTuple):
    """A network's accuracy, at which moment and on which pictures."""

    network: int
    moment: int = -1
    pictures: int = TRAIN


SQUARE, SIGMOIDS, DEEP_SIGMOIDS, DEEP_RELUS, UNSCALED = map(Seen, range(5))
DEEP_ADAM, RELUS, DROPPED, OTHER_SIGNS, WHOLE = map(Seen, range(5, 10))


class Rung(NamedTuple):
    """What is said of one accuracy, and of another if there is one."""

    name: str
    statement: str
    rule: Rule
    ours: Seen
    theirs: Seen | None = None


OF_SIGMOIDS = (
    Rung(
        "1 squared error fails",
        "Three layers of sigmoids under squared error end at a training accuracy below "
        "one half.",
        FAILS,
        SQUARE,
    ),
    Rung(
        "2 cross-entropy improves",
        "Under cross-entropy three layers of sigmoids end at a higher training "
        "accuracy than under squared error.",
        IMPROVES,
        SIGMOIDS,
        SQUARE,
    ),
    Rung(
        "3 whole batches ruin",
        "Batches of all examples, at as many epochs, end at less than half of the "
        "training accuracy of small ones.",
        RUINS,
        WHOLE,
        SIGMOIDS,
    ),
    Rung(
        "4 ten more layers ruin",
        "Thirteen layers of sigmoids end at less than half of the training accuracy of "
        "three.",
        RUINS,
        DEEP_SIGMOIDS,
        SIGMOIDS,
    ),
)
OF_THIRTEEN_LAYERS = (
    Rung(
        "5 ReLUs improve",
        "Thirteen layers of ReLUs end at a higher training accuracy than thirteen of "
        "sigmoids.",
        IMPROVES,
        DEEP_RELUS,
        DEEP_SIGMOIDS,
    ),
    Rung(
        "6 inputs times 255 ruin",
        "Inputs times 255 end at less than half of the training accuracy of inputs "
        "from 0 to 1, of thirteen layers of ReLUs.",
        RUINS,
        UNSCALED,
        DEEP_RELUS,
    ),
    Rung(
        "7 Adam ends alike",
        "Adam ends at the training accuracy of SGD, of thirteen layers of ReLUs.",
        ALIKE,
        DEEP_ADAM,
        DEEP_RELUS,
    ),
    Rung(
        "7 Adam starts faster",
        "After two epochs Adam is at a higher training accuracy than SGD, of thirteen "
        "layers of ReLUs.",
        HIGHER,
        DEEP_ADAM._replace(moment=0),
        DEEP_RELUS._replace(moment=0),
    ),
)
OF_NOISE_AND_DROPOUT = (
    Rung(
        "8 noise ruins",
        "Noise of deviation 1 leaves three layers of ReLUs less than half of their "
        "accuracy on test pictures.",
        RUINS,
        RELUS._replace(pictures=NOISY),
        RELUS._replace(pictures=CLEAR),
    ),
    Rung(
        "9 dropout, training",
        "Three layers of ReLUs end at a higher training accuracy without dropout than "
        "with dropout of 0.7.",
        HIGHER,
        RELUS,
        DROPPED,
    ),
    Rung(
        "9 dropout, noisy pictures",
        "Dropout of 0.7 raises the accuracy of three layers of ReLUs on noisy test "
        "pictures.",
        HIGHER,
        DROPPED._replace(pictures=NOISY),
        RELUS._replace(pictures=NOISY),
    ),
)
CONTROLS = (
    Rung(
        "control: cross-entropy fails",
        "Control: three layers of sigmoids under cross-entropy end at a training "
        "accuracy below one half.",
        FAILS,
        SIGMOIDS,
    ),
    Rung(
        "control: other signs improve",
        "Control: initial weights of other signs end at a higher training accuracy, of "
        "three layers of sigmoids.",
        IMPROVES,
        OTHER_SIGNS,
        SIGMOIDS,
    ),
    Rung(
        "control: faint noise ruins",
        "Control: noise of deviation 0.1 leaves three layers of ReLUs less than half "
        "of their accuracy on test pictures.",
        RUINS,
        RELUS._replace(pictures=FAINT),
        RELUS._replace(pictures=CLEAR),
    ),
)
RUNGS = (*OF_SIGMOIDS, *OF_THIRTEEN_LAYERS, *OF_NOISE_AND_DROPOUT, *CONTROLS)


def findings(result: Result) -> tuple[Assertion, ...]:
    """Every rung, and the controls."""
    return tuple(_judged(result, rung) for rung in RUNGS)


def _judged(result: Result, rung: Rung) -> Assertion:
    control = rung.name.startswith("control")
    role = record.supporting if control else record.deciding
    place = "" if control else f"rung {rung.name[0]}: "
    return role(
        "C187",
        rung.statement,
        record.sample_mean(_values(result, rung)),
        rung.rule,
        unit="accuracy" if rung.theirs is None else "accuracy difference",
        setting=f"{place}8x8 digits, {result.examples} for training, dense network of "
        f"3 or 13 layers of {WIDTH} units, SGD at rate 0.1 or Adam at 0.001, "
        f"{result.updates} updates by small batches",
    )


def _values(result: Result, rung: Rung) -> np.ndarray:
    """Of every unit one accuracy, minus the other, or half of it where it is ruined."""
    accuracy = np.moveaxis(result.accuracy.astype(np.float64), 1, -1)
    if rung.theirs is None:
        return accuracy[rung.ours]
    part = 0.5 if rung.rule == RUINS else 1.0
    return accuracy[rung.ours] - part * accuracy[rung.theirs]


def figures(result: Result) -> dict[str, Figure]:
    """Every rung and control, unit by unit."""
    figure, (axis,) = panels(1, 1, width=8.0, height=6.4)
    dots(axis, {rung.name: _values(result, rung) for rung in RUNGS})
    margins(axis, *[rung.rule for rung in RUNGS])
    told = "accuracy, minus another, or minus half of another where it ruins (fraction)"
    label(axis, "Each rung", told, "rung")
    shared_legend(figure)
    return {"rungs": figure}
