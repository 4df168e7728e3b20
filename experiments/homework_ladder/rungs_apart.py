"""Does what a rung of the demonstration does depend on the rungs before it?

The lecture changes one thing after another (`nine_rungs`), so that each change is seen
after those above it alone. Here some are made in another order, in the networks, units
and digits of `nine_rungs` and at its rates; accuracies are those of training at the
end. What a change brings is compared where another one has been made and where it has
not, one difference minus the other. If rungs were independent, all of these would be 0,
and their order would not matter; an order matters where one is beyond a tenth, one
picture in ten, which is also what `nine_rungs` takes for an improvement.

- ReLUs in place of sigmoids: more in thirteen layers than in three?
- Adam in place of SGD: less with ReLUs than with sigmoids, in three layers?
- Ten more layers of sigmoids: do they take less under Adam?
- Cross-entropy in place of squared error: less once there are ReLUs and Adam?

Nothing of it decides the claim, which is about one ladder, so that all findings are
supporting. Control, which must show no effect: whether ten more layers take more from
initial weights of other signs, for which change no rung stands.

Not tested: all orders, for inputs times 255, noise and dropout have no place in others;
other rates, which are the course's for each optimizer, whatever the network.

Claims: C187.
Source: Lee, "Hello world of deep learning" and "Tips for deep learning".
Cost: not yet run in full; about six minutes on 2 cores, after `nine_rungs`.
Expect: the order matters in all four, for one remedy makes others superfluous.
Run: jaxml run rungs_apart
"""

from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from jaxml import learn, problem, randomness, record
from jaxml.learn import Family, Training
from jaxml.record import Assertion, Rule
from jaxml.record.comparisons import dots, margins
from jaxml.record.figures import Figure, label, panels, shared_legend
from jaxml.types import Array, Dataset, Keep, Params

NEEDS = ("nine_rungs",)
LADDER = {  # places in `nine_rungs`
    "sigmoids, squared error": 0,
    "sigmoids": 1,
    "deep sigmoids": 2,
    "deep ReLUs": 3,
    "ReLUs, Adam": 6,
    "sigmoids, other signs": 8,
}
APART: dict[str, dict[str, int]] = {  # in no place there
    "ReLUs": {"relu": 1},
    "deep sigmoids, other signs": {"deep": 1, "signs": 1},
    "sigmoids, Adam": {},
    "deep sigmoids, Adam": {"deep": 1},
    "ReLUs, Adam, squared error": {"relu": 1, "squared": 1},
}
NAMES = (*LADDER, *APART)
SHALLOW, CLASSES, TEST = 3, 10, 500
SGD = learn.fixed(learn.sgd, learn.Hyper(lr=0.1))
ADAM = learn.fixed(learn.adam, learn.Hyper(lr=0.001))
MORE = record.above(0.0, margin=0.1, reason="one picture in ten")
LESS = record.below(0.0, margin=0.1, reason="one picture in ten")


@dataclass(frozen=True, kw_only=True)
class Config:
    """The seed of the units of `nine_rungs`."""

    seed: int = 0


SMOKE = Config()


class Point(NamedTuple):
    """What is changed in a run."""

    squared: Any = 0
    relu: Any = 0
    deep: Any = 0
    signs: Any = 0
    seed: Any = 0


class Result(NamedTuple):
    """Networks in the order of NAMES.

    Attributes:
        accuracy: on training pictures in the end.
        examples: that train.
        updates: of a run.
        width: of layers.
        depth: of deep networks.
    """

    accuracy: Float[np.ndarray, "network unit"]
    examples: Array
    updates: Array
    width: Array
    depth: Array


def study(config: Config, keep: Keep, nine_rungs: Any) -> Result:
    """A program for each optimizer, beside the runs that the ladder has."""
    rungs = nine_rungs
    ladder = rungs.accuracy[list(LADDER.values()), :, -1, -1]
    changes = list(APART.values())
    accuracies = partial(_accuracies, config, keep, rungs)
    apart = (
        accuracies("SGD", SGD, changes[:2]),
        accuracies("Adam", ADAM, changes[2:]),
    )
    accuracy = np.concatenate([ladder, *apart])
    return Result(accuracy, rungs.examples, rungs.updates, rungs.width, rungs.depth)


def _accuracies(
    config: Config,
    keep: Keep,
    rungs: Any,
    name: str,
    family: Family,
    networks: list[dict[str, int]],
) -> Float[np.ndarray, "network unit"]:
    """Of networks that one optimizer trains."""
    units = rungs.accuracy.shape[1]
    seeds = randomness.seeds(config.seed, units)
    points = [learn.grid(Point, **changes, seed=seeds) for changes in networks]
    runs = learn.sweep(
        learn.at_each_point(partial(_training, rungs, family), Point()),
        learn.joined(points),
        lanes=units,
        name=name,
        keep=keep,
    )
    seen = runs.trace.probed["accuracy"][:, -1]
    guessed = np.where(np.isfinite(seen), seen, 1 / CLASSES)
    return guessed.reshape(len(networks), units)


def _training(rungs: Any, family: Family, point: Point) -> Training:
    """Training of one network as in `nine_rungs`, from the same initial weights."""
    depth, steps = int(rungs.depth), int(rungs.updates)

    def activation(sums: jax.Array) -> jax.Array:
        return jnp.where(point.relu, jax.nn.relu(sums), jax.nn.sigmoid(sums))

    def loss(outputs: Array, targets: Array) -> jax.Array:
        square = problem.softmax_mse(outputs, targets) / CLASSES
        return jnp.where(point.squared, square, problem.cross_entropy(outputs, targets))

    network = problem.deep_mlp_with_dropout(
        int(rungs.width),
        depth,
        CLASSES,
        activation,
        layers=jnp.where(point.deep, depth, SHALLOW),
        dropout=0.0,
    )
    model = problem.chain(problem.chain(), network)  # inputs times 1, as there
    accuracy = problem.objective(model, problem.accuracy)

    def fitted(params: Params, own: Dataset) -> Array:
        return accuracy(params, own.train)

    data, train, size = problem.digits(), int(rungs.examples), int(rungs.batch)
    training = learn.training(
        problem.start(model, data.inputs),
        problem.training_loss(model, loss),
        family,
        learn.split_anew(data, train=train, test=TEST, size=size),
        steps=steps,
        probe=learn.evaluating({"accuracy": fitted}),
    )
    return learn.starting_from(
        training, partial(problem.other_signs, number=point.signs)
    )


class Order(NamedTuple):
    """What a change brings to a network, minus what it brings to another one."""

    name: str
    statement: str
    rule: Rule
    brings: tuple[str, str]
    elsewhere: tuple[str, str]


ORDERS = (
    Order(
        "ReLUs, in thirteen layers",
        "ReLUs in place of sigmoids bring more training accuracy in thirteen layers "
        "than in three.",
        MORE,
        ("deep ReLUs", "deep sigmoids"),
        ("ReLUs", "sigmoids"),
    ),
    Order(
        "Adam, with ReLUs",
        "Adam in place of SGD brings less training accuracy to three layers of ReLUs "
        "than to three of sigmoids.",
        LESS,
        ("ReLUs, Adam", "ReLUs"),
        ("sigmoids, Adam", "sigmoids"),
    ),
    Order(
        "ten more layers, under Adam",
        "Ten more layers of sigmoids take less training accuracy under Adam than under "
        "SGD.",
        MORE,
        ("deep sigmoids, Adam", "sigmoids, Adam"),
        ("deep sigmoids", "sigmoids"),
    ),
    Order(
        "cross-entropy, with ReLUs and Adam",
        "Cross-entropy in place of squared error brings less training accuracy to "
        "three layers of ReLUs under Adam than to three of sigmoids under SGD.",
        LESS,
        ("ReLUs, Adam", "ReLUs, Adam, squared error"),
        ("sigmoids", "sigmoids, squared error"),
    ),
    Order(
        "control: ten more layers, other signs",
        "Control: ten more layers of sigmoids take less training accuracy from initial "
        "weights of other signs.",
        MORE,
        ("deep sigmoids, other signs", "sigmoids, other signs"),
        ("deep sigmoids", "sigmoids"),
    ),
)


def findings(result: Result) -> tuple[Assertion, ...]:
    """Every pair of changes, and the control."""
    return tuple(_judged(result, order) for order in ORDERS)


def _judged(result: Result, order: Order) -> Assertion:
    return record.supporting(
        "C187",
        order.statement,
        record.sample_mean(_values(result, order)),
        order.rule,
        unit="accuracy difference",
        setting=f"8x8 digits, {result.examples} for training, dense network of "
        f"3 or {result.depth} layers of {result.width} units, SGD at rate 0.1 or Adam "
        f"at 0.001, {result.updates} updates by small batches",
    )


def _values(result: Result, order: Order) -> Float[np.ndarray, " unit"]:
    """What the change brings minus what it brings elsewhere, of every unit."""
    ours, theirs = _brought(result, order.brings), _brought(result, order.elsewhere)
    return ours - theirs


def _brought(result: Result, pair: tuple[str, str]) -> Float[np.ndarray, " unit"]:
    after, before = (result.accuracy[NAMES.index(name)] for name in pair)
    return after.astype(np.float64) - before


def figures(result: Result) -> dict[str, Figure]:
    """Accuracies of all networks, and what each change brings beyond elsewhere."""
    figure, (left, right) = panels(1, 2, width=6.4, height=4.6)
    dots(left, dict(zip(NAMES, result.accuracy, strict=True)))
    label(left, "Networks", "training accuracy at the end", "network")
    dots(right, {order.name: _values(result, order) for order in ORDERS})
    margins(right, *[order.rule for order in ORDERS])
    told = "accuracy that it brings, minus what it brings without"
    label(right, "A change where another was made", told, "change")
    shared_legend(figure)
    return {"orders": figure}
