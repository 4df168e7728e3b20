"""Does dropout fit less and generalise better, and is 1 - p the right factor?

The course drops a fraction p of the hidden units anew at every update, and scales the
weights by 1 - p when it tests; its example, 0.7 on a noisy test set, ends more
accurate. Three parts of C040 decide:

- dropout of a half *fits less well*: the training loss, without dropping, ends higher
  by more than a tenth; or it does not;
- dropout, its p tuned by held-out accuracy, *raises the accuracy* on held-out pictures;
  or not by a picture in a hundred;
- a ReLU network with two hidden layers, trained with p of a half and *scaled* by 1 - p,
  has a lower test loss than the same weights unscaled.

A dense network with two hidden layers of 64 ReLUs learns 300 pictures, by Adam at one
rate, 450 updates of 25. The course's own case comes first and supports: p = 0.7, and
noise on the held-out pictures. The negative control is p = 0 from six other starts,
which differ in the signs of the initial weights and are tuned as often; it must raise
nothing.

That the scaled network is the mean over all masks, of a linear network exactly and of
one with two bent layers not, is no finding but a test of `mean_over_masks`.

Each strength is run in all units, of which the first tune; resamples tune anew. A unit
draws pictures, noise, initial weights and order anew. Units of the seed 50, judged
nowhere, placed p and the number of updates. Accuracies and losses are settings apart,
for a gain of less than a point on right labels would else hide what the losses say.

Not tested: dropped inputs or single weights; large networks; rates of their own, of
which dropout may want a higher one.

Claims: C040.
Sources: Hinton et al. 2012, arXiv:1207.0580; Srivastava et al. 2014, "Dropout".
Cost: 100 seconds on 2 cores, beside other work.
Expect: all as the course says, the gain on right labels a small one.
Run: jaxml run dropout
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
from jaxml.types import Batch, Dataset, Keep, Key

CLASSES, WIDTH = 10, 64
DATA = ("8x8 digits", "clothing of 7x7 pixels")
RATE = 3e-3
ADAM = learn.fixed(learn.adam, learn.Hyper(lr=RATE))
DEVIATION = 0.3  # of the noise on held-out pictures, whose numbers are from 0 to 1
DROPPED = (0.1, 0.2, 0.3, 0.4, 0.5, 0.7)
HALF, COURSE = DROPPED.index(0.5), DROPPED.index(0.7)
STARTS = (1, 2, 3, 4, 5, 6)
MEASURES = ("training loss", "held-out", "noisy", "scaled loss", "unscaled loss")
HIGHER = record.above(0.0, margin=0.01, reason="one picture in a hundred")
FITS_LESS = record.above(
    0.0, margin=float(np.log(1.1)), reason="a tenth of the training loss"
)


@dataclass(frozen=True, kw_only=True)
class Config:
    """Pictures, training and units; of data sets the first ones."""

    data: int = len(DATA)
    train: int = 300
    test: int = 1000
    batch: int = 25
    steps: int = 450
    tuning: int = 10
    judging: int = 40
    lanes: int = 50
    seed: int = 0


SMOKE = Config(
    data=1,
    train=10,
    test=20,
    batch=5,
    steps=2,
    tuning=1,
    judging=2,
    lanes=39,
)


class Point(NamedTuple):
    """The fraction of units that is dropped, and which start."""

    dropped: Any = 0.0
    start: Any = 0
    seed: Any = 0


class Result(NamedTuple):
    """At the end of runs. Units that tune come first.

    Attributes:
        seen: quantities in the order of MEASURES; points are none, those of DROPPED,
            and other STARTS.
        tuning: how many of the units tune.
        examples: that are trained on.
        updates: of a run.
    """

    seen: Float[np.ndarray, "data quantity point unit"]
    tuning: np.ndarray
    examples: np.ndarray
    updates: np.ndarray


def study(config: Config, keep: Keep) -> Result:
    """One program a data set."""
    seen = []
    for place in range(config.data):
        pictures = problem.small_clothing(60_000) if place else problem.digits()
        final = _contest(config, pictures, DATA[place], keep).final
        seen.append(np.stack([final[name] for name in MEASURES]))
    return Result(
        seen=np.stack(seen),
        tuning=np.array(config.tuning),
        examples=np.array(config.train),
        updates=np.array(config.steps),
    )


def _contest(config: Config, pictures: Batch, name: str, keep: Keep) -> learn.Contest:
    dropped = learn.grid(Point, dropped=[0.0, *DROPPED])
    points = learn.joined([dropped, learn.grid(Point, start=STARTS)])

    def of_family(family: Family) -> Training:
        of_point = partial(_training, config, pictures, family)
        return learn.at_each_point(of_point, Point())

    found = learn.compare(
        of_family,
        {name: learn.Entrant(ADAM, points)},
        lanes=config.lanes,
        units=learn.Units(config.tuning, config.judging),
        seed=config.seed,
        keep=keep,
    )
    return found[name]


def _training(
    config: Config, pictures: Batch, family: Family, point: Point
) -> Training:
    """Training with the dropout of one point."""
    model = problem.switched_mlp(
        (WIDTH, WIDTH, CLASSES), dropout=point.dropped, normalised=0.0
    )
    accuracy = problem.objective(model, problem.accuracy)
    loss = problem.objective(model, problem.cross_entropy)

    measures = (
        lambda params, own: loss(params, own.train),
        lambda params, own: accuracy(params, _held_out(own, 0)),
        lambda params, own: accuracy(params, _held_out(own, 1)),
        lambda params, own: loss(params, _held_out(own, 0)),
        lambda params, own: loss(
            problem.unscaled(params, point.dropped), _held_out(own, 0)
        ),
    )
    training = learn.training(
        problem.start(model, pictures.inputs),
        problem.training_loss(model, problem.cross_entropy),
        family,
        _batches(config, pictures),
        steps=config.steps,
        probe=learn.evaluating(dict(zip(MEASURES, measures, strict=True))),
    )
    return learn.starting_from(
        training, partial(problem.other_signs, number=point.start)
    )


def _batches(config: Config, pictures: Batch) -> Batches:
    """Of pictures drawn anew, the held-out ones without and then with noise."""
    split = learn.split_anew(
        pictures, train=config.train, test=config.test, size=config.batch
    )

    def both(own: Dataset, key: Key) -> Dataset:
        clear = own.test
        noise = jax.random.normal(key, clear.inputs.shape)
        noisy = clear._replace(inputs=clear.inputs + jnp.float32(DEVIATION) * noise)
        return own._replace(test=jax.tree.map(_stacked, clear, noisy))

    return learn.changed_once(split, both)


def _stacked(first: jax.Array, second: jax.Array) -> jax.Array:
    return jnp.stack([jnp.asarray(first), second])


def _held_out(own: Dataset, noisy: int) -> Batch:
    """The held-out pictures without noise (0) or with it (1)."""
    return jax.tree.map(lambda field: field[noisy], own.test)


def findings(result: Result) -> tuple[Assertion, ...]:
    """On each data set what dropout costs and brings, and what the factor is worth."""
    found: list[Assertion] = []
    for place in range(len(result.seen)):
        found += (*_accuracies(result, place), *_losses(result, place))
    return tuple(found)


def _arms(result: Result, place: int, name: str) -> tuple[Arm, Arm, Arm]:
    """A quantity without dropout, at each p, and from other starts, tuned by the
    held-out accuracy on pictures without noise.
    """
    values = result.seen[place, MEASURES.index(name)]
    scores = -result.seen[place, MEASURES.index("held-out")]
    count = len(DROPPED) + 1
    edges = np.arange(len(DROPPED)) == COURSE  # below lies no dropout
    return (
        Arm(values[:1], scores[:1]),
        Arm(values[1:count], scores[1:count], edges),
        Arm(values[count:], scores[count:], np.zeros(len(STARTS), bool)),
    )


def _at(result: Result, place: int, name: str, dropped: int) -> Arm:
    """A quantity at one p of DROPPED, which nothing tuned."""
    values = result.seen[place, MEASURES.index(name)]
    return Arm(values[1 + dropped : 2 + dropped])


def _setting(result: Result, place: int) -> str:
    return (
        f"{DATA[place]}, {result.examples} of them for training, dense network of "
        f"two hidden layers of {WIDTH} ReLUs, Adam at rate {RATE:g}, "
        f"{result.updates} updates of 25"
    )


def _logs(arm: Arm) -> Arm:
    return arm._replace(values=np.log(arm.values))


def _differences(result: Result, place: int) -> dict[str, tuple[Arm, Arm]]:
    """Held-out accuracies: with dropout, or from other starts, and with none."""
    none, tuned, others = _arms(result, place, "held-out")
    clear, _, _ = _arms(result, place, "noisy")
    course = _at(result, place, "noisy", COURSE)
    return {
        "dropout": (tuned, none),
        "dropout of 0.7, noisy pictures": (course, clear),
        "six starts": (others, none),
    }


def _difference(result: Result, arms: tuple[Arm, Arm]) -> record.Interval:
    return record.tuned(record.mean_difference, *arms, tuning=int(result.tuning))


def _accuracies(result: Result, place: int) -> tuple[Assertion, ...]:
    """The course's own case, tuned dropout, and the control."""
    arms = _differences(result, place)
    setting = f"{_setting(result, place)}; accuracy"
    about = {"unit": "accuracy difference", "setting": setting}
    return (
        record.supporting(
            "C040",
            "The course's case: dropout of 0.7 raises the accuracy on held-out "
            "pictures with noise of deviation 0.3.",
            _difference(result, arms["dropout of 0.7, noisy pictures"]),
            HIGHER,
            **about,
        ),
        record.deciding(
            "C040",
            "Dropout of a tuned fraction raises the accuracy on held-out pictures.",
            _difference(result, arms["dropout"]),
            HIGHER,
            **about,
        ),
        record.supporting(
            "C040",
            "Control, no dropout: the best of six starts raises the accuracy on "
            "held-out pictures.",
            _difference(result, arms["six starts"]),
            HIGHER,
            **about,
        ),
    )


def _losses(result: Result, place: int) -> tuple[Assertion, ...]:
    """Of dropout of a half, in all judging units: nothing is tuned."""
    none, _, _ = _arms(result, place, "training loss")
    loose, scaled, unscaled = (
        _logs(_at(result, place, name, HALF))
        for name in ("training loss", "scaled loss", "unscaled loss")
    )
    setting = f"{_setting(result, place)}; loss"
    about = {"unit": "log ratio", "setting": setting}
    return (
        record.deciding(
            "C040",
            "Dropout of a half lets training end at a higher training loss: log of it "
            "over that without dropout.",
            _difference(result, (loose, _logs(none))),
            FITS_LESS,
            **about,
        ),
        record.deciding(
            "C040",
            "Weights that were trained with dropout of a half have a higher test loss "
            "unscaled than scaled by a half: log of the first over the second.",
            _difference(result, (unscaled, scaled)),
            record.above(0.0, margin=0.05, reason="a twentieth of the test loss"),
            **about,
        ),
    )


def figures(result: Result) -> dict[str, Figure]:
    """Dropout minus none, unit by unit."""
    figure, axes = panels(1, len(result.seen), width=5.8, height=3.8)
    for place, axis in enumerate(axes):
        compared(axis, _differences(result, place), HIGHER, tuning=int(result.tuning))
        label(axis, DATA[place], "held-out accuracy minus that without", "trained with")
        legend_below(axis)
    return {"dropout": figure}
