"""Planted cases with labels: digits and planar sets, of which some labels are false."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import numpy as np

from jaxml.problem.data.embedded import circles, digits, moons, xor
from jaxml.problem.data.examples import examples
from jaxml.problem.losses import cross_entropy, softmax_mse
from jaxml.problem.objectives import Loss
from jaxml.problem.tasks.planted_parts import (
    LATER,
    Label,
    Plan,
    PlantedCase,
    Setting,
    generator,
    planted,
)
from jaxml.problem.tasks.planted_spaces import Family
from jaxml.types import Array, Batch

__all__ = [
    "CIRCLES",
    "CORNERS",
    "DIGITS",
    "MOONS",
    "Source",
    "as_they_are",
    "flip_loss",
    "labelled_case",
]

DIGITS_LATER = 497  # of 1,797 digits, for the later test; 1,300 are the user's


class Source(NamedTuple):
    """Examples whose true labels are certain.

    Attributes:
        draw: (generator, count) -> the user's examples, then those of a later test.
        classes: how many.
    """

    draw: Callable[[np.random.Generator, int], tuple[Batch, Batch]]
    classes: int


Change = Callable[[Array, Array], tuple[Array, Array]]
"""(inputs, labels) -> those of the later test."""


def as_they_are(inputs: Array, labels: Array) -> tuple[Array, Array]:
    """The later examples are like the user's."""
    return inputs, labels


def labelled_case(
    label: Label,
    plan: Plan,
    setting: Setting,
    source: tuple[Family, Source],
    *,
    flips: float = 0.0,
    change: Change = as_they_are,
    seed: int,
) -> PlantedCase:
    """Examples of certain classes, of which a fraction is given another label.

    Args:
        label: name, causes, reason, goal.
        plan: of the user's training.
        setting: sizes, counts of examples, loss.
        source: the family of models, and where examples come from.
        flips: the probability of a false label, each other class as likely.
        change: what has changed in the later test; before labels are flipped.
        seed: of all draws.
    """
    family, pool = source
    random = generator(seed, label.name)
    data, test = pool.draw(random, setting.train + setting.held_out)
    inputs, labels = change(test.inputs, test.targets)
    batches = (
        _flipped(random, data.inputs, data.targets, pool.classes, flips),
        _flipped(random, inputs, labels, pool.classes, flips),
    )
    floor = flip_loss(setting.loss, flips, pool.classes)
    return planted(label, plan, setting, family, batches, floor=floor)


def flip_loss(loss: Loss, flips: float, classes: int) -> float:
    """The least mean loss where a label is false with a known probability: the entropy
    of the label, or one minus the sum of squared probabilities.
    """
    chances = np.full(classes, flips / (classes - 1))
    chances[0] = 1 - flips
    if loss is cross_entropy:
        positive = chances[chances > 0]
        return float(np.sum(positive * np.log(1 / positive)))
    if loss is softmax_mse:
        return float(1 - np.sum(np.square(chances)))
    raise NotImplementedError("Only these two losses of labels are planted.")


def _flipped(
    random: np.random.Generator,
    inputs: Array,
    labels: Array,
    classes: int,
    flips: float,
) -> Batch:
    """The examples with another label where chance has it."""
    false = random.uniform(size=len(labels)) < flips
    moves = random.integers(1, classes, size=len(labels))
    given = np.where(false, (np.asarray(labels) + moves) % classes, labels)
    return examples(np.asarray(inputs), given.astype(np.int32), classes=classes)


def _digits(random: np.random.Generator, count: int) -> tuple[Batch, Batch]:
    """Digits of which the later test has 497 of its own; beyond 1,300 the user's come
    again, each time with a label of its own.
    """
    pixels = digits()
    order = random.permutation(len(pixels.targets))
    own, later = order[:-DIGITS_LATER], order[-DIGITS_LATER:]
    rows = own[:count] if count <= len(own) else random.choice(own, size=count)
    return _rows(pixels, rows), _rows(pixels, later)


def _rows(batch: Batch, rows: np.ndarray) -> Batch:
    return Batch(batch.inputs[rows], batch.targets[rows], batch.weights[rows])


def _planar(shape: Callable[..., Batch], *, noise: float) -> Source:
    """A planar set in random order."""

    def draw(random: np.random.Generator, count: int) -> tuple[Batch, Batch]:
        key = jax.random.key(int(random.integers(2**31)))
        points = shape(count + LATER, noise=noise, key=key)
        order = random.permutation(count + LATER)
        return _rows(points, order[:count]), _rows(points, order[count:])

    return Source(draw, 2)


DIGITS = Source(_digits, 10)

CORNERS = _planar(xor, noise=0.2)
"""Five standard deviations of noise from a corner to where classes meet."""

CIRCLES = _planar(circles, noise=0.05)
"""Five standard deviations of noise from a circle to halfway between both."""

MOONS = _planar(moons, noise=0.06)
