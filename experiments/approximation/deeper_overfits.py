"""Does a deeper network overfit more, so that its layers must be few?

So say the notes (C024), without figures. Networks of one, three and eight hidden layers
of 32 ReLUs are trained on 200 pictures, 8x8 digits or clothing of 7x7 pixels, whose
labels are right, or of which a fifth is drawn anew among all classes, so that there is
something wrong to learn by heart. Held-out labels are right.

What each outcome would look like. Deeper networks overfit more if eight layers end at
an accuracy on held-out pictures that is lower than that of one by more than a picture
in a hundred; they do not if it is higher by that, or differs by less. That this is
overfitting and no failure of training takes a second number, which supports: their
accuracy in training must not be lower. Supporting as well: three layers against one and
eight against three, for the harm may begin late; and the same with rates that are tuned
by the loss in training, as by someone who holds nothing out. Control: eight layers from
other initial weights must not differ from eight.

Held equal: width, so that parameters grow with depth, as the notes have it; pictures,
300 updates of 50, which are 75 epochs; and rates of Adam, 18 in steps of 1.5, since
accuracy has two maxima by the rate where labels are wrong, one of rates that learn
little by heart and one of rates so high that noise keeps weights from it. Rates are
tuned by what is judged, on other units; resamples tune anew. Initial weights are He's.
A unit draws pictures, labels, weights and order anew: of 48, eight tune.

A first design had 500 pictures, rates from 6e-4 to 0.01, and judged the distance of
accuracy in training from that on held-out pictures, which is larger for whoever fits
more. A sketch of it in NumPy, with three to five units a rate, had maxima outside these
rates, and eight layers below one by 0.01 in digits, 0.015 in clothing, and 0.08 with
wrong labels. So the rates are more; pictures are fewer, for overfitting is a matter of
few.

Not tested: widths that shrink with depth (`deep_or_wide` matches numbers of parameters,
in training), convolution, early stopping and penalties (`remedies`), depths at which
training fails (`plain_depth`), series (`relu_depth`).

Claims: C024.
Sources: Belkin et al. 2019, arXiv:1812.11118; Nakkiran et al. 2019, arXiv:1912.02292;
    Zhang et al. 2017, arXiv:1611.03530.
Cost: four minutes on 2 cores, compilation included.
Expect: a point or two with right labels, and more with wrong ones.
Run: jaxml run deeper_overfits
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Float

from jaxml import learn, problem, record
from jaxml.learn import Family, Training
from jaxml.record import Arm, Assertion
from jaxml.record.comparisons import compared
from jaxml.record.figures import Figure, label, panels, shared_legend
from jaxml.types import Batch, Dataset, Keep, Key, Model, Params

DATA = ("8x8 digits", "clothing of 7x7 pixels")
POOL = 20_000  # pictures of clothing that units draw from
WRONG = (0.0, 0.2)  # of training labels, those drawn anew
LABELS = ("right labels", "a fifth of training labels drawn anew")
SHORT = ("right", "some wrong")
WIDTH, CLASSES, BATCH = 32, 10, 50
NETWORKS = (
    "1 hidden layer",
    "3 hidden layers",
    "8 hidden layers",
    "8 hidden layers, other weights",
)
SHALLOW, MIDDLE, DEEP, AGAIN = range(len(NETWORKS))
DEPTHS = (1, 3, 8, 8)
RATES = 1e-4 * 1.5 ** np.arange(18)
HELD_OUT, TRAINING, LOSS = range(3)  # what is measured
POINT = "one picture in a hundred"
LOWER = record.below(0.0, margin=0.01, reason=POINT)


@dataclass(frozen=True, kw_only=True)
class Config:
    """Pictures that train and that judge, updates and units; of data the first."""

    data: int = len(DATA)
    pictures: int = 200
    held_out: int = 1000
    steps: int = 300
    tuning: int = 8
    judging: int = 40
    lanes: int = 108
    seed: int = 0


SMOKE = Config(data=1, pictures=200, held_out=4, steps=2, tuning=1, judging=2, lanes=60)


class Point(NamedTuple):
    """The rate, and the fraction of labels that are drawn anew."""

    lr: Any
    wrong: Any = 0.0
    seed: Any = 0


class Result(NamedTuple):
    """At the end of runs. Units that tune come first.

    Attributes:
        measured: accuracy on held-out pictures, accuracy and loss in training, these by
            the labels that were learned.
        pictures: that train a run.
        tuning: how many of the units tune.
        updates: of a run.
    """

    measured: Float[np.ndarray, "data network measure labels rate unit"]
    pictures: np.ndarray
    tuning: np.ndarray
    updates: np.ndarray


def study(config: Config, keep: Keep) -> Result:
    """One program for each network and kind of pictures."""
    cases = np.ndindex(config.data, len(NETWORKS))
    found = [_ended(config, keep, *case) for case in cases]
    measured = np.reshape(found, (config.data, len(NETWORKS), *found[0].shape))
    setting = (config.pictures, config.tuning, config.steps)
    return Result(measured, *map(np.array, setting))


def _pictures(data: int) -> Batch:
    """All that units draw from."""
    if DATA[data] == "8x8 digits":
        return problem.digits()
    return problem.shrunk(problem.fashion_mnist(train=POOL, test=1).train, 4)


def _network(number: int) -> Model:
    """One of NETWORKS."""
    widths = (WIDTH,) * DEPTHS[number] + (CLASSES,)
    model = problem.mlp(widths, jax.nn.relu, scale=2**0.5)
    if number != AGAIN:
        return model

    def init(key: Key, inputs: jax.Array) -> tuple[Params, Any]:
        return model.init(jax.random.fold_in(key, 1), inputs)

    return model._replace(init=init)


def _ended(
    config: Config, keep: Keep, data: int, number: int
) -> Float[np.ndarray, "measure labels rate unit"]:
    """What all labels, rates and units of a network end at."""
    name = f"{DATA[data]}, {NETWORKS[number]}"
    pictures, network = _pictures(data), _network(number)

    def of_family(family: Family) -> Training:
        of_point = partial(_training, config, pictures, network, family)
        return learn.at_each_point(of_point, Point(lr=0.0))

    points = learn.grid(Point, wrong=WRONG, lr=RATES)
    found = learn.compare(
        of_family,
        {name: learn.Entrant(learn.by_rate_alone(learn.adam), points)},
        lanes=config.lanes,
        units=learn.Units(config.tuning, config.judging),
        seed=config.seed,
        keep=keep,
    )
    final = found[name].final
    measures = np.stack([final["held out"], final["training"], final["loss"]])
    return measures.reshape(3, len(WRONG), len(RATES), -1)


def _training(
    config: Config, pictures: Batch, network: Model, family: Family, point: Point
) -> Training:
    """Training of a network at one point."""
    accuracy = problem.objective(network, problem.accuracy)
    loss = problem.objective(network, problem.cross_entropy)
    split = learn.split_anew(
        pictures, train=config.pictures, test=config.held_out, size=BATCH
    )

    def relabelled(own: Dataset, key: Key) -> Dataset:
        train = problem.relabelled(own.train, point.wrong, classes=CLASSES, key=key)
        return own._replace(train=train)

    def on_held_out(params: Params, own: Dataset) -> Any:
        return accuracy(params, own.test)

    def on_train(params: Params, own: Dataset) -> Any:
        return accuracy(params, own.train)

    def loss_on_train(params: Params, own: Dataset) -> Any:
        return loss(params, own.train)

    measures = {"held out": on_held_out, "training": on_train, "loss": loss_on_train}
    return learn.training(
        problem.start(network, pictures.inputs),
        problem.training_loss(network, problem.cross_entropy),
        family,
        learn.changed_once(split, relabelled),
        steps=config.steps,
        probe=learn.evaluating(measures),
    )


def findings(result: Result) -> tuple[Assertion, ...]:
    """Of all pictures and labels."""
    cases = np.ndindex(len(result.measured), len(WRONG))
    return tuple(each for case in cases for each in _of_setting(result, *case))


def _of_setting(result: Result, data: int, labels: int) -> tuple[Assertion, ...]:
    """Eight layers against one, what belongs to it, and the control."""
    judged = partial(_judged, result, data, labels)
    arm = partial(_arm, result, data, labels)
    shallow, middle, deep, again = (arm(network) for network in range(len(NETWORKS)))
    in_training = [arm(network, TRAINING) for network in (DEEP, SHALLOW)]
    by_loss = [arm(network, score=LOSS) for network in (DEEP, SHALLOW)]
    less = "are less accurate on held-out pictures than"
    return (
        judged(record.deciding, f"Eight hidden layers {less} one.", deep, shallow),
        judged(
            record.supporting,
            "Eight hidden layers are less accurate in training than one.",
            *in_training,
        ),
        judged(record.supporting, f"Three hidden layers {less} one.", middle, shallow),
        judged(record.supporting, f"Eight hidden layers {less} three.", deep, middle),
        judged(
            record.supporting,
            f"Tuned by the loss in training, eight hidden layers {less} one.",
            *by_loss,
        ),
        judged(
            record.supporting,
            f"Control: eight hidden layers from other weights {less} eight.",
            *(again, deep),
        ),
    )


def _judged(
    result: Result,
    data: int,
    labels: int,
    role: Callable[..., Assertion],
    statement: str,
    ours: Arm,
    theirs: Arm,
) -> Assertion:
    """One network minus another, each at the rate that is best by its score."""
    setting = (
        f"{DATA[data]}, {result.pictures} for training, {LABELS[labels]}, dense "
        f"networks of {WIDTH} ReLUs a layer, {result.updates:,} updates of {BATCH} by "
        "Adam, rate tuned for each"
    )
    return role(
        "C024",
        statement,
        record.tuned(record.mean_difference, ours, theirs, tuning=int(result.tuning)),
        LOWER,
        unit="accuracy difference",
        setting=setting,
    )


def _arm(
    result: Result,
    data: int,
    labels: int,
    network: int,
    measure: int = HELD_OUT,
    score: int = HELD_OUT,
) -> Arm:
    """A measure at all rates, and the score by which they are tuned."""
    values = result.measured[data, network, :, labels]
    return Arm(values[measure], values[LOSS] if score == LOSS else -values[score])


def figures(result: Result) -> dict[str, Figure]:
    """Accuracies by depth over those of one layer, held out and in training."""
    figure, axes = panels(1, 2, width=5.6, height=4.0)
    names = ("on held-out pictures", "in training")
    for measure, (axis, name) in enumerate(zip(axes, names, strict=True)):
        pairs = {}
        for data, labels in np.ndindex(len(result.measured), len(WRONG)):
            arms = [
                _arm(result, data, labels, network, measure)
                for network in (SHALLOW, MIDDLE, DEEP)
            ]
            for depth, arm in zip((3, 8), arms[MIDDLE:], strict=True):
                key = f"{DATA[data]}, {SHORT[labels]}: {depth} layers"
                pairs[key] = arm, arms[SHALLOW]
        compared(axis, pairs, LOWER, tuning=int(result.tuning))
        label(axis, f"Accuracy {name}", "minus that of one layer", "network")
    shared_legend(figure)
    return {"overfitting": figure}
