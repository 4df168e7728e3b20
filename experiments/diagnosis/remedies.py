"""Does each of the course's remedies counter overfitting?

The course lists fewer parameters, shared parameters, fewer inputs, early stopping, a
penalty on the weights, and dropout; `early_stopping` has the fourth. A network overfits
here beyond doubt: of its training pictures, 200 digits or 100 of clothing, two fifths
have labels drawn anew, and Adam trains it until it fits more than nine tenths. Each is
applied alone, the rest is held equal: examples, optimizer, rate, updates. A remedy
counters overfitting if the accuracy on held-out pictures, whose labels are right, ends
higher, and does not if it ends within a point of the same, or lower. A point is one
picture in a hundred. Beside it stands the training accuracy, which a remedy is expected
to cost.

- *Fewer parameters*: hidden units; *fewer inputs*: the pixels that vary most over all
  pictures, whatever their labels. Both are masks, begun as the smaller network would.
- *Shared parameters*: units that look at 3x3 pixels, with the same weights in all
  places; their strength is how few kinds of unit there are. That a unit sees few
  pixels is part of it: sharing alone is not told apart.
- *Penalty*: ℓ₂, without biases. *Dropout*: of hidden values.

Strengths are tuned over five each by held-out accuracy, on other units than those that
judge; resamples tune anew. Over four, a first full run chose the smallest penalty on
clothing, an end of its grid. The negative control is as often tuned: no remedy, but the
best of five starts, which differ in the signs of the initial weights and must make no
difference. A unit draws its pictures, their labels, initial weights and order anew.
Units of the seeds 50 and 62 to 64, judged nowhere, placed rate, updates, strengths, the
fraction of labels drawn anew (a fifth, tried first, left too little to gain), and the
examples: of 200 pictures of clothing the network fitted 0.7 alone, which is no
overfitting to counter. The two numbers of examples were so chosen after a look at
outcomes: of 100 digits, which the network learned by heart, fewer units, fewer inputs
and sharing did not help at any strength (6 units), so that on digits what is found of
these three is of 200. With 200 pictures of clothing a penalty and dropout helped, less
than with 100, and the others did not (7 units). In the numbers that were taken the
differences of units had a deviation of 0.01 to 0.05; with 40 units that judge and 1,000
held-out pictures the interval reaches 0.5 to 2 points to each side, so that gains of
fewer inputs or units on clothing may stay undecided. No tuned strength may stand at an
end of its grid, but where the next one is the network without a remedy, or one kind.

Not tested: right labels, on which there is little to gain; remedies together; large
networks; remedies at rates of their own.

Claims: C035.
Sources: Zhang et al. 2017, arXiv:1611.03530 (labels drawn anew); Srivastava et al.
    2014, "Dropout".
Cost: 200 seconds on 2 cores, beside other work.
Expect: a penalty and dropout help most, fewer inputs least; sharing on digits alone.
Run: jaxml run remedies
"""

from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from jaxml import learn, problem, record
from jaxml.learn import Batches, Family, Training
from jaxml.record import Arm, Assertion
from jaxml.record.comparisons import compared
from jaxml.record.figures import Figure, label, legend_below, panels
from jaxml.types import Batch, Dataset, Keep, Key, Model, Params

CLASSES, WIDTH, KINDS = 10, 64, 5  # outputs, hidden units, kinds of shared units
DATA = ("8x8 digits", "clothing of 7x7 pixels")
RATE = 6e-3
ADAM = learn.fixed(learn.adam, learn.Hyper(lr=RATE))
NOISE = 0.4  # fraction of training labels that are drawn anew among all classes
CONTROL = "Control: no remedy, but the best of five starts,"


class Remedy(NamedTuple):
    """One of the course's list, by five strengths.

    Attributes:
        name: in the figure.
        subject: of the sentence that says that it helps.
        field: of Point.
        strengths: of it.
        ends: places of strengths beyond which others might do better.
    """

    name: str
    subject: str
    field: str
    strengths: Any
    ends: tuple[int, ...]


PENALTIES = 3e-3 * 1.5 ** np.arange(5)
DROPPED = [0.3, 0.45, 0.6, 0.7, 0.8]
DENSE = (
    Remedy("other starts", CONTROL, "start", [1, 2, 3, 4, 5], ()),
    Remedy(
        "fewer units",
        "A network of fewer hidden units",
        "units",
        [6, 9, 13, 19, 28],
        (0,),
    ),
    Remedy(
        "fewer inputs", "A network of fewer inputs", "inputs", [9, 13, 19, 26, 36], (0,)
    ),
    Remedy("penalty", "An L2 penalty without biases", "penalty", PENALTIES, (0, 4)),
    Remedy("dropout", "Dropout", "dropout", DROPPED, (0, 4)),
)
SHARING = "A network whose units share weights over places"
SHARED = (Remedy("sharing", SHARING, "units", [1, 2, 3, 4, 5], (4,)),)
REMEDIES = (*DENSE, *SHARED)
HIGHER = record.above(0.0, margin=0.01, reason="one picture in a hundred")
LOWER = record.below(0.0, margin=0.01, reason="one picture in a hundred")


@dataclass(frozen=True, kw_only=True)
class Config:
    """Pictures that train, of the first data sets; training and units."""

    train: tuple[int, ...] = (200, 100)
    test: int = 1000
    batch: int = 25
    steps: int = 400
    tuning: int = 8
    judging: int = 40
    lanes: int = 24
    seed: int = 0


SMOKE = Config(train=(20,), test=20, batch=10, steps=2, tuning=1, judging=2, lanes=78)


class Point(NamedTuple):
    """The strengths of the remedies.

    Attributes:
        units: hidden ones in use, or kinds of them.
        inputs: in use.
        penalty: coefficient of the squared weights.
        dropout: fraction of hidden values.
        start: which of a unit's starts.
    """

    units: Any = WIDTH
    inputs: Any = WIDTH
    penalty: Any = 0.0
    dropout: Any = 0.0
    start: Any = 0
    seed: Any = 0


class Result(NamedTuple):
    """Accuracies at the end, of held-out and of training pictures.

    Attributes:
        none: without a remedy.
        remedied: in the order of REMEDIES.
        tuning: how many of the units tune.
        examples: that are trained on, by data set.
        updates: of a run.
    """

    none: Float[np.ndarray, "data quantity unit"]
    remedied: Float[np.ndarray, "data quantity remedy point unit"]
    tuning: np.ndarray
    examples: np.ndarray
    updates: np.ndarray


def study(config: Config, keep: Keep) -> Result:
    """Two programs a data set."""
    none, remedied = [], []
    for place, train in enumerate(config.train):
        pictures = problem.small_clothing(60_000) if place else problem.digits()
        run = partial(_accuracies, config, pictures, train, keep)
        dense, shared = run(DATA[place], DENSE), run(f"{DATA[place]}, shared", SHARED)
        none.append(dense[:, -1])
        both = np.concatenate([dense[:, :-1], shared[:, :-1]], axis=1)
        remedied.append(both.reshape(2, len(REMEDIES), len(PENALTIES), -1))
    return Result(
        none=np.stack(none),
        remedied=np.stack(remedied),
        tuning=np.array(config.tuning),
        examples=np.array(config.train),
        updates=np.array(config.steps),
    )


def _accuracies(
    config: Config,
    pictures: Batch,
    train: int,
    keep: Keep,
    name: str,
    remedies: tuple[Remedy, ...],
) -> Float[np.ndarray, "quantity point unit"]:
    """Of all points of all remedies, then of one without."""
    grids = [learn.grid(Point, **{each.field: each.strengths}) for each in remedies]
    build = _shared if remedies is SHARED else _dense

    def of_family(family: Family) -> Training:
        of_point = partial(_training, config, pictures, train, build, family)
        return learn.at_each_point(of_point, Point())

    grid = learn.joined([*grids, learn.grid(Point)])
    found = learn.compare(
        of_family,
        {name: learn.Entrant(ADAM, grid)},
        lanes=config.lanes,
        units=learn.Units(config.tuning, config.judging),
        seed=config.seed,
        keep=keep,
    )
    final = found[name].final
    return np.stack([final["held-out"], final["training"]])


def _training(
    config: Config,
    pictures: Batch,
    train: int,
    build: Any,
    family: Family,
    point: Point,
) -> Training:
    """Training with the remedy of one point."""
    model, change = build(pictures, point)
    work = problem.workload(
        model,
        problem.cross_entropy,
        pictures,
        train=train,
        test=config.test,
        penalty=problem.without_biases(problem.l2(point.penalty)),
        held_out={"accuracy": problem.accuracy},
    )
    training = learn.training(
        work.start,
        work.loss,
        family,
        _batches(config, pictures, train),
        steps=config.steps,
        probe=learn.evaluating(problem.judged_on_both(work).measures),
    )
    return learn.starting_from(training, change)


def _batches(config: Config, pictures: Batch, train: int) -> Batches:
    """Of pictures drawn anew, as are two fifths of their labels."""

    def noisy(own: Dataset, key: Key) -> Dataset:
        labelled = problem.relabelled(own.train, NOISE, classes=CLASSES, key=key)
        return own._replace(train=labelled)

    split = learn.split_anew(pictures, train=train, test=config.test, size=config.batch)
    return learn.changed_once(split, noisy)


def _dense(pictures: Batch, point: Point) -> tuple[Model, Any]:
    """A hidden layer of ReLUs, of which some inputs and some units are in use; and how
    it starts.
    """
    order = np.argsort(-np.var(pictures.inputs, axis=0), kind="stable")
    rank = jnp.asarray(np.argsort(order))
    units = problem.fewer_units(point.units)
    inputs = problem.fewer_inputs(rank < point.inputs)

    def mask(params: Params) -> Params:
        return jax.tree.map(jnp.multiply, units(params), inputs(params))

    def change(params: Params) -> Params:
        return problem.narrowed(problem.other_signs(params, point.start), mask)

    model = problem.switched_mlp(
        (WIDTH, CLASSES), dropout=point.dropout, normalised=0.0
    )
    return problem.masked(model, mask)._replace(init=model.init), change


def _shared(pictures: Batch, point: Point) -> tuple[Model, Any]:
    """Units that share their weights over places; they start as they are made."""
    side = int(np.sqrt(pictures.inputs.shape[1]))
    model = problem.patch_network(KINDS, CLASSES, side=side, used=point.units)
    return model, partial(problem.other_signs, number=point.start)


def findings(result: Result) -> tuple[Assertion, ...]:
    """Of each remedy both accuracies, compared with the network without."""
    found: list[Assertion] = []
    for place in range(len(result.none)):
        for remedy in range(len(REMEDIES)):
            found += _remedy(result, place, remedy)
    return tuple(found)


def _arms(result: Result, place: int, remedy: int, judged: int = 0) -> tuple[Arm, Arm]:
    """With a remedy and without, in held-out accuracy (0), which tunes, or in training
    accuracy (1).
    """
    held_out = result.remedied[place, 0, remedy]
    ends = np.isin(np.arange(len(held_out)), REMEDIES[remedy].ends)
    values = result.remedied[place, judged, remedy]
    return Arm(values, -held_out, ends), Arm(result.none[place, judged][None])


def _remedy(result: Result, place: int, remedy: int) -> tuple[Assertion, Assertion]:
    setting = (
        f"{DATA[place]}, {result.examples[place]} of them for training, two fifths of "
        f"whose labels are drawn anew, dense network of {WIDTH} hidden ReLUs, "
        f"Adam at rate {RATE:g}, {result.updates} updates of 25; remedy: "
        f"{REMEDIES[remedy].name}"
    )
    subject = REMEDIES[remedy].subject
    judged = record.supporting if subject == CONTROL else record.deciding
    held_out, training = (
        record.tuned(
            record.mean_difference,
            *_arms(result, place, remedy, quantity),
            tuning=int(result.tuning),
        )
        for quantity in (0, 1)
    )
    about = {"unit": "accuracy difference", "setting": setting}
    higher = f"{subject} raises the held-out accuracy."
    lower = f"{subject} lowers the training accuracy."
    return (
        judged("C035", higher, held_out, HIGHER, **about),
        record.supporting("C035", lower, training, LOWER, **about),
    )


def figures(result: Result) -> dict[str, Figure]:
    """Each remedy minus none in held-out accuracy, unit by unit."""
    figure, axes = panels(1, len(result.none), width=5.6, height=4.2)
    for place, axis in enumerate(axes):
        pairs = {
            each.name: _arms(result, place, remedy)
            for remedy, each in enumerate(REMEDIES)
        }
        compared(axis, pairs, HIGHER, tuning=int(result.tuning))
        label(axis, DATA[place], "held-out accuracy minus that without", "remedy")
        legend_below(axis)
    return {"remedies": figure}
