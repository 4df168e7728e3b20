"""Does a convolutional network recognise turned and enlarged copies of what it learned?

The course says that it does not by construction, and needs data augmentation or a
spatial transformer for such copies (C135). Digits of 8 x 8 pixels stand in the middle
of a frame of 14 x 14. In the test they are upright, or turned by 30 or by 60 degrees,
either way, or enlarged by 1.4 or by 1.75, at which they fill the frame. Larger angles
are left out, for there sixes and nines become alike.

Two networks, with a spatial transformer in front and without, are trained on digits
that are upright, or each in one pose, drawn once; the one without also on each in a
pose drawn anew at every update, which is augmentation. A pose is, by even chances, a
turn of up to 60 degrees or an enlargement of up to 1.75. What decides, for each of the
four copies:

- *Not by construction*: the network that learned upright digits is less accurate on
  copies than on upright digits by more than one in twenty. If it generalised to copies,
  both accuracies would be alike.
- *Augmentation suffices*: it regains more than half of this loss; where that is below
  one in twenty, there is little to regain, and nothing is decided.
- *A spatial transformer helps*: it has to see poses in order to learn what to undo, so
  that it is asked of digits that were learned in one pose each. In place of
  augmentation it must make the network more accurate on copies by more than a point.

Controls: a digit that is turned or enlarged and then back has lost more to
interpolation and stands upright, so that the loss must stay within its margin; and on
such digits a transformer that learned upright ones must add nothing. Supporting: that
such a transformer regains more than half of the loss on copies, which is the "or" of
the course taken literally.

Each network and training has its own rate of eight, on units of their own, and
resamples tune anew. Rates are tuned by the accuracy that is judged, but for training on
upright digits: there by the accuracy on these, for who has no copies cannot tune by
them. The ends of the grid lie far off, where training fails. A unit draws digits,
poses, initial weights and order anew.

Three units of the seed 100, judged nowhere, were seen at the rate 0.0034 and 600
updates. The plain network had 0.96 of upright digits and 0.49, 0.13, 0.60 and 0.39 of
the copies, in the order above, at least 0.93 of those turned or scaled back, and with
augmentation 0.88, 0.62, 0.94 and 0.90; learned in one pose, it had 0.85, 0.58, 0.92 and
0.85, and with a transformer 0.87, 0.74, 0.92 and 0.90. Updates and rates became fewer
after that, for the time that they take; copies, margins and findings stayed. A first
full run had three units that tune and ten that judge, and left undecided whether
transformers help: at high rates one network in ten with a transformer collapses,
and three units may not show it. After that the numbers of units were changed, and a
program was dropped of which nothing was asked; nothing else.

Not tested: angles beyond 60 degrees, digits made smaller, cluttered pictures, and a
network without transformer that has as many weights as the one with it.

Claims: C135.
Sources: Jaderberg et al. 2015, arXiv:1506.02025; Simard, Steinkraus and Platt 2003,
    ICDAR (augmentation of digits).
Cost: eight minutes on 2 cores, compilation included.
Expect: large losses, regained by augmentation; the transformer helps turned digits.
Run: jaxml run turned_digits
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
from jaxml.record import Arm, Assertion, Rule
from jaxml.record.comparisons import compared
from jaxml.record.figures import Figure, label, legend_below, panels
from jaxml.types import Array, Batch, Dataset, Keep, Key, Model, Params

CLASSES, SIDE = 10, 14
TURN, FACTOR = 60.0, 1.75
COPIES = (
    "turned by 30 degrees",
    "turned by 60 degrees",
    "enlarged by 1.4",
    "enlarged by 1.75",
)
DEGREES = np.array([0, 30, 60, 0, 0], np.float32)  # of upright digits, then of COPIES
FACTORS = np.array([1, 1, 1, 1.4, 1.75], np.float32)
PLAIN, TRANSFORMER = "plain", "transformer"
UPRIGHT, ONCE, ANEW = "upright", "in one pose each", "in poses drawn anew"
CASES = (  # networks, and the digits that they learn
    (PLAIN, UPRIGHT),
    (PLAIN, ONCE),
    (PLAIN, ANEW),
    (TRANSFORMER, UPRIGHT),
    (TRANSFORMER, ONCE),
)
RATES = np.array([1e-4, *1.5e-3 * 1.5 ** np.arange(6), 0.3])
BATCH = 25  # pictures of an update
LOST = record.above(
    0.0, margin=0.05, reason="one picture in twenty, for recognised copies lose few"
)
HIGHER = record.above(0.0, margin=0.01, reason="one picture in a hundred")
REGAINED = partial(record.beyond_half, least=LOST.margin)


@dataclass(frozen=True, kw_only=True)
class Config:
    """Digits that train and that judge, updates and units."""

    examples: int = 500
    test: int = 500
    steps: int = 400
    tuning: int = 6
    judging: int = 12
    lanes: int = 24
    seed: int = 0


SMOKE = Config(examples=25, test=2, steps=2, tuning=1, judging=2, lanes=12)


class Result(NamedTuple):
    """At the end of runs. Units that tune come first.

    Attributes:
        accuracy: of each of CASES, on upright digits and on COPIES; beside it on these
            turned or scaled back.
        examples: that train a run.
        tuning: how many of the units tune.
        updates: of a run.
    """

    accuracy: Float[np.ndarray, "case back copy rate unit"]
    examples: np.ndarray
    tuning: np.ndarray
    updates: np.ndarray


def study(config: Config, keep: Keep) -> Result:
    """One program for each of CASES."""
    pictures = problem.digit_pictures(SIDE)
    found = [_accuracies(config, keep, pictures, *case) for case in CASES]
    setting = (config.examples, config.tuning, config.steps)
    return Result(np.stack(found), *map(np.array, setting))


def _accuracies(
    config: Config, keep: Keep, pictures: Batch, network: str, way: str
) -> Float[np.ndarray, "back copy rate unit"]:
    """Of all rates and units of one network that is trained in one way."""
    name = f"{network}, {way}"
    found = learn.compare(
        partial(_training, config, pictures, _network(network), way),
        {name: learn.Entrant(learn.adam, learn.grid(learn.Hyper, lr=RATES))},
        lanes=config.lanes,
        units=learn.Units(config.tuning, config.judging),
        seed=config.seed,
        keep=keep,
    )
    return np.moveaxis(found[name].final["accuracy"], (-1, -2), (0, 1))


def _network(name: str) -> Model:
    """Filters and pools, with a spatial transformer in front or without."""
    relu, pool = problem.elementwise(jax.nn.relu), problem.max_pooling(2)
    first, second = problem.convolution(8), problem.convolution(16)
    layers = (first, relu, pool, second, relu, pool, problem.linear(CLASSES))
    if name == PLAIN:
        return problem.chain(*layers)
    found = problem.chain(first, relu, pool, problem.linear(32), relu)
    return problem.chain(problem.spatial_transformer(found), *layers)


def _training(
    config: Config, pictures: Batch, network: Model, way: str, family: Family
) -> Training:
    """Training of a network in one way."""
    accuracy = problem.objective(network, problem.accuracy)
    loss = problem.training_loss(network, problem.cross_entropy)
    if way == ANEW:
        loss = problem.augmented(loss, _in_a_pose, shape=(SIDE, SIDE, 1))

    def of_copies(params: Params, own: Dataset) -> Array:
        def of_one(inputs: Array) -> Array:
            return accuracy(params, own.test._replace(inputs=inputs))

        return jax.lax.map(jax.vmap(of_one), own.test.inputs)

    return learn.training(
        problem.start(network, pictures.inputs),
        loss,
        family,
        _batches(config, pictures, way),
        steps=config.steps,
        probe=learn.evaluating({"accuracy": of_copies}),
    )


def _posed(images: Array, degrees: Any, factors: Any) -> jax.Array:
    return problem.scaled_by(problem.rotated_by(images, degrees), factors)


def _in_a_pose(images: Array, *, key: Key) -> jax.Array:
    """Each picture turned or enlarged at random."""
    turn, size, which = jax.random.uniform(key, (3, len(images)))
    degrees = jnp.where(which < 0.5, TURN * (2 * turn - 1), 0)
    factors = jnp.where(which >= 0.5, 1 + (FACTOR - 1) * size, 1)
    return _posed(images, degrees, factors)


def _batches(config: Config, pictures: Batch, way: str) -> Batches:
    """Of digits drawn anew, those for training in one pose each or upright; held-out
    ones `[copy, back, n, ...]` as copies, and these turned or scaled back.
    """
    split = learn.split_anew(
        pictures, train=config.examples, test=config.test, size=BATCH
    )

    def changed(own: Dataset, key: Key) -> Dataset:
        first, second = jax.random.split(key)
        train = own.train
        if way == ONCE:
            train = train._replace(inputs=_in_a_pose(train.inputs, key=first))
        either_way = jax.random.rademacher(second, (config.test,), jnp.float32)

        def copied(pose: tuple[Array, Array]) -> Array:
            degrees, factor = pose[0] * either_way, pose[1]
            there = _posed(own.test.inputs, degrees, factor)
            return jnp.stack([there, _posed(there, -degrees, 1 / factor)])

        copies = jax.lax.map(copied, (DEGREES, FACTORS))
        test = own.test._replace(inputs=copies)
        return Dataset(train, test)

    return learn.changed_once(split, changed)


def findings(result: Result) -> tuple[Assertion, ...]:
    """Of each of COPIES."""
    copies = range(1, len(DEGREES))
    return tuple(each for copy in copies for each in _of_copies(result, copy))


def _arm(
    result: Result, copy: int, network: str = PLAIN, way: str = UPRIGHT, back: int = 0
) -> Arm:
    """Accuracy on copies, 0 being upright digits, by which the rate is tuned where
    training saw poses.
    """
    values = result.accuracy[CASES.index((network, way))]
    return Arm(values[back, copy], -values[0, 0 if way == UPRIGHT else copy])


def _judged(
    result: Result, copy: int, role: Any, statement: str, rule: Rule, *arms: Arm
) -> Assertion:
    """Two arms by their difference, three by what the last regains beyond half."""
    statistic = record.mean_difference if len(arms) == 2 else REGAINED
    setting = (
        f"8x8 digits in a frame of {SIDE}x{SIDE} pixels, {result.examples} for "
        f"training, copies {COPIES[copy - 1]}; 8 and 16 filters of 3 x 3, each with a "
        f"max pool, Adam, {result.updates} updates of {BATCH}, rate tuned for each"
    )
    return role(
        "C135",
        statement,
        record.tuned(statistic, *arms, tuning=int(result.tuning)),
        rule,
        unit="accuracy difference",
        setting=setting,
    )


def _of_copies(result: Result, copy: int) -> tuple[Assertion, ...]:
    """What is lost of one kind, and what augmentation and a transformer bring."""
    judged, arm = partial(_judged, result, copy), partial(_arm, result, copy)
    upright = _arm(result, 0)
    return (
        judged(
            record.deciding,
            "A convolutional network that learned upright digits is less accurate on "
            "turned or enlarged copies than on upright digits.",
            LOST,
            *(upright, arm()),
        ),
        judged(
            record.supporting,
            "Control, copies turned or scaled back: a convolutional network that "
            "learned upright digits is less accurate on them than on upright digits.",
            LOST,
            *(upright, arm(back=1)),
        ),
        judged(
            record.deciding,
            "Augmentation by turns and enlargements regains more than half of the "
            "accuracy that a convolutional network loses on copies.",
            HIGHER,
            *(upright, arm(), arm(way=ANEW)),
        ),
        judged(
            record.deciding,
            "A spatial transformer makes a convolutional network that learned each "
            "digit in one pose, without augmentation, more accurate on copies.",
            HIGHER,
            *(arm(TRANSFORMER, ONCE), arm(way=ONCE)),
        ),
        judged(
            record.supporting,
            "A spatial transformer that learned upright digits alone regains more than "
            "half of the accuracy that a convolutional network loses on copies.",
            HIGHER,
            *(upright, arm(), arm(TRANSFORMER)),
        ),
        judged(
            record.supporting,
            "Control, copies turned or scaled back: a spatial transformer that learned "
            "upright digits is more accurate on them than a network without.",
            HIGHER,
            *(arm(TRANSFORMER, back=1), arm(back=1)),
        ),
    )


def figures(result: Result) -> dict[str, Figure]:
    """What copies lose, also with augmentation, and what the transformer adds."""
    figure, (axis,) = panels(1, 1, width=7.6, height=6.0)
    upright, pairs = _arm(result, 0), {}
    for copy, name in enumerate(COPIES, start=1):
        arm = partial(_arm, result, copy)
        pairs |= {
            f"{name}: lost": (upright, arm()),
            f"{name}: lost in spite of augmentation": (upright, arm(way=ANEW)),
            f"{name} and back: lost": (upright, arm(back=1)),
            f"{name}: added by a transformer": (
                arm(TRANSFORMER, ONCE),
                arm(way=ONCE),
            ),
        }
    rules = (LOST, LOST, LOST, HIGHER) * len(COPIES)
    compared(axis, pairs, *rules, tuning=int(result.tuning))
    label(axis, "Copies", "difference of accuracies, in margins", "copies")
    legend_below(axis)
    return {"copies": figure}
