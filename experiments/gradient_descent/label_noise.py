"""Does an overfitted network learn the noise of its training labels?

Noise is put where it can be told from what is to be learned: into labels. A network
with one hidden layer is trained on 1,000 digits whose labels are right, of which a
fifth are moved to another class, or which are all drawn anew. The course is right where
the network reproduces nearly all moved labels, although nothing but the example itself
says what they are, where that costs accuracy on other digits at equal (full) training
accuracy, and where it learns random labels as well as the student's network of the
homework, 97.9 %, while it is right on other digits by chance. It is wrong where moved
labels are not reproduced, or where they cost less than one picture in fifty.

Control: a linear classifier, trained likewise, has too few weights to overfit 1,000
digits; it must not reproduce moved labels. What they cost it stands beside. A unit is a
split, the noise, and initial weights, which all three trainings of it share. Accuracy
after random labels deviates by some 0.02 in a unit, twice as much as if each digit were
answered by itself, for like digits are answered alike; so 30 units are needed to tell
it from chance by one picture in fifty.

Budget and rate come from one unit beyond the seeds used here, of which the network
fitted all three trainings with 300 updates by Adam at rate 0.01 of all examples.
The homework's MNIST and its 98 epochs are not repeated.

Claims: C164.
Sources: Zhang et al. 2017, arXiv:1611.03530.
Cost: 110 seconds on 2 cores, beside other work.
Expect: as the course says.
Run: jaxml run label_noise
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float, Int

from jaxml import learn, parallel, problem, randomness, record
from jaxml.record import Assertion
from jaxml.record.figures import Figure, label, panels, strips
from jaxml.types import Array, Batch, Keep, Model

CLASSES = 10
ARMS = ("right labels", "a fifth moved", "random labels")
RIGHT, MOVED, RANDOM = range(len(ARMS))
MOVED_PART = 0.2
MODELS = ("network", "linear classifier")
NETWORK, LINEAR = range(len(MODELS))
RATE = 0.01
HOMEWORK = 0.979  # training accuracy on random labels
COST = record.above(0.0, margin=0.02, reason="one picture in fifty")
CHANCE = record.near(1 / CLASSES, margin=0.02, reason="one picture in fifty")


@dataclass(frozen=True, kw_only=True)
class Config:
    """Units, examples that train each, and the network and its updates."""

    units: int = 30
    train: int = 1000
    width: int = 256
    steps: int = 300
    seed: int = 0


SMOKE = Config(units=2, train=50, width=8, steps=20)


class Result(NamedTuple):
    """Accuracies at the end of training.

    Attributes:
        train: on the labels trained on.
        test: on the right labels of all other digits.
        reproduced: on the moved labels alone.
        examples: that trained.
        width: of the network's hidden layer.
        steps: updates.
    """

    train: Float[np.ndarray, "model arm unit"]
    test: Float[np.ndarray, "model arm unit"]
    reproduced: Float[np.ndarray, "model unit"]
    examples: Int[np.ndarray, ""]
    width: Int[np.ndarray, ""]
    steps: Int[np.ndarray, ""]


class Training(NamedTuple):
    """One arm of a unit.

    Attributes:
        rows: of all digits, those that train first.
        labels: of those that train.
        seed: of the initial weights.
    """

    rows: Any
    labels: Any
    seed: Any


def study(config: Config, keep: Keep) -> Result:
    """One program trains both models on the three arms of a unit in turn."""
    digits = problem.digits()
    seeds = randomness.seeds(config.seed, config.units)
    trainings = [arm for seed in seeds for arm in _arms(config, digits, seed)]
    stacked = Training(*map(np.stack, zip(*trainings, strict=True)))
    predicted = keep("predicted", partial(_predicted, config, digits, stacked))
    return _judged(config, digits, stacked, np.moveaxis(predicted, 1, 0))


def _arms(config: Config, digits: Batch, seed: int) -> list[Training]:
    random = np.random.default_rng(seed)
    rows = random.permutation(len(digits.weights))
    right = np.asarray(digits.targets)[rows[: config.train]]
    chosen = random.permutation(config.train) < MOVED_PART * config.train
    step = random.integers(1, CLASSES, config.train)
    moved = np.where(chosen, (right + step) % CLASSES, right)
    drawn = random.integers(CLASSES, size=config.train)
    number = np.array(seed)
    return [
        Training(rows, labels.astype(np.int32), number)
        for labels in (right, moved, drawn)
    ]


def _predicted(config: Config, digits: Batch, trainings: Training) -> np.ndarray:
    """Classes of all digits, by training and model."""

    def of_chunk(chunk: Training, pixels: jax.Array) -> jax.Array:
        return jax.lax.map(partial(_of_training, config, pixels), chunk)

    first = parallel.rows(trainings, np.arange(len(ARMS)))
    program = parallel.compiled(of_chunk, first, digits.inputs, chunks=config.units)
    return parallel.gathered(program, trainings, digits.inputs)


def _of_training(config: Config, pixels: jax.Array, training: Training) -> jax.Array:
    network = problem.mlp((config.width, CLASSES), jax.nn.relu)
    ends = [
        _classes(config, model, pixels, training)
        for model in (network, problem.linear(CLASSES))
    ]
    return jnp.stack(ends)


def _classes(
    config: Config, model: Model, pixels: jax.Array, training: Training
) -> jax.Array:
    """What a model says of all digits after training."""
    inputs = pixels[training.rows]
    seen = inputs[: config.train]
    params, state = model.init(jax.random.key(training.seed), seen)

    def logits(params: Any, inputs: jax.Array) -> jax.Array:
        return model.apply(params, state, inputs, train=False, key=None)[0]

    def objective(params: Any, labels: jax.Array) -> jax.Array:
        return jnp.mean(problem.cross_entropy(logits(params, seen), labels))

    adam = learn.adam(learn.Hyper(lr=jnp.float32(RATE)))
    end = learn.descended(objective, adam, params, training.labels, steps=config.steps)
    return jnp.argmax(logits(end, inputs), axis=1).astype(jnp.int32)


def _judged(
    config: Config,
    digits: Batch,
    trainings: Training,
    predicted: Int[np.ndarray, "model training example"],
) -> Result:
    """Examples that train come first."""
    right = np.asarray(digits.targets)[trainings.rows]
    train = config.train
    seen = predicted[:, :, :train] == trainings.labels
    others = predicted[:, :, train:] == right[:, train:]
    axes = (len(MODELS), config.units, len(ARMS))
    noisy = trainings.labels != right[:, :train]
    reproduced = _fraction(seen[:, MOVED :: len(ARMS)], noisy[MOVED :: len(ARMS)])
    return Result(
        train=seen.mean(axis=2).reshape(axes).swapaxes(1, 2),
        test=others.mean(axis=2).reshape(axes).swapaxes(1, 2),
        reproduced=reproduced,
        examples=np.array(train),
        width=np.array(config.width),
        steps=np.array(config.steps),
    )


def _fraction(
    hits: Bool[np.ndarray, "model unit example"], of: Bool[np.ndarray, "unit example"]
) -> Float[np.ndarray, "model unit"]:
    """The hits among those examples, by model and unit."""
    return np.sum(hits & of, axis=2) / np.sum(of, axis=1)


def findings(result: Result) -> tuple[Assertion, ...]:
    """The network decides; the linear classifier is the control."""
    found: list[Assertion] = []
    budget = f"{result.steps} updates by Adam of all of {result.examples:,} 8x8 digits"
    network = f"{result.width} hidden ReLUs, {budget}"
    rows = (
        (record.deciding, NETWORK, "", network),
        (record.supporting, LINEAR, "Control, few weights: ", f"linear, {budget}"),
    )
    for role, model, control, setting in rows:
        finding = partial(role, "C164", setting=setting)
        found += _moved(finding, result, model, control)
        found += _random(finding, result, model, control)
    fitted = partial(record.supporting, "C164", setting=network)
    return (*found, *_fitted(fitted, result))


def _moved(
    finding: Callable[..., Assertion], result: Result, model: int, control: str
) -> tuple[Assertion, ...]:
    right, moved = result.test[model, RIGHT], result.test[model, MOVED]
    return (
        finding(
            f"{control}Of labels that were moved to another class nearly all, more "
            "than 95 %, are reproduced after training on them.",
            record.bootstrap(np.mean, result.reproduced[model]),
            record.above(0.95),
            unit="fraction",
        ),
        finding(
            f"{control}A fifth of moved labels costs accuracy on other digits: "
            "accuracy by right labels minus that.",
            record.paired(right, moved),
            COST,
            unit="accuracy difference",
        ),
    )


def _random(
    finding: Callable[..., Assertion], result: Result, model: int, control: str
) -> tuple[Assertion, ...]:
    return (
        finding(
            f"{control}Random labels are learned as well as by the homework's network, "
            "to 97.9 %: training accuracy.",
            record.bootstrap(np.mean, result.train[model, RANDOM]),
            record.above(HOMEWORK),
            unit="accuracy",
        ),
        finding(
            f"{control}After training on random labels other digits are right by "
            "chance, one in ten.",
            record.bootstrap(np.mean, result.test[model, RANDOM]),
            CHANCE,
            unit="accuracy",
        ),
    )


def _fitted(finding: Callable[..., Assertion], result: Result) -> list[Assertion]:
    """That both accuracies on other digits are compared at full training accuracy."""
    return [
        finding(
            f"Training accuracy is full, above 99 %, with {ARMS[arm]}.",
            record.bootstrap(np.mean, result.train[NETWORK, arm]),
            record.above(0.99),
            unit="accuracy",
        )
        for arm in (RIGHT, MOVED)
    ]


def figures(result: Result) -> dict[str, Figure]:
    """Both accuracies of each model and arm, a point a unit."""
    figure, axes = panels(1, len(MODELS), width=5.2, height=3.6)
    for model, axis in enumerate(axes):
        samples: dict[str, Array] = {}
        for arm, name in enumerate(ARMS):
            samples[f"{name}, training"] = result.train[model, arm]
            samples[f"{name}, others"] = result.test[model, arm]
        strips(axis, samples)
        axis.axhline(1 / CLASSES, color="0.4", linestyle=":")
        axis.set_ylim(0, 1.05)
        y = "accuracy, a point a unit (dotted: chance)"
        label(axis, MODELS[model], "labels, and digits that are judged", y)
    return {"label_noise": figure}
