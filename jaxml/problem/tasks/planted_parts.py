"""What planted cases are made of: a case, its law in orthonormal features, its plan."""

from collections.abc import Callable
from typing import NamedTuple
from zlib import crc32

import numpy as np

from jaxml.problem.data.examples import examples
from jaxml.problem.losses import mse
from jaxml.problem.objectives import Loss
from jaxml.problem.tasks.planted_spaces import Family, Space
from jaxml.problem.tasks.workloads import workload
from jaxml.types import Array, Batch, Model, Workload

__all__ = [
    "BIAS",
    "FINE",
    "LATER",
    "MISMATCH",
    "NOISE",
    "OPTIMIZATION",
    "OVERFITTING",
    "Drawn",
    "Label",
    "Parts",
    "Plan",
    "PlantedCase",
    "Setting",
    "drawn_case",
    "generator",
    "linear_case",
    "normal_loss",
    "planted",
    "unchanged",
]

BIAS, OPTIMIZATION, OVERFITTING = "model bias", "optimization", "overfitting"
MISMATCH, NOISE, FINE = "mismatch", "noise floor", "fine"
LATER = 1000  # examples of a later test: a mean square to 4.5 % (normal residuals)


class PlantedCase(NamedTuple):
    """A user's training, and what is wrong with it by construction.

    Attributes:
        name: of the label.
        causes: the true ones, the larger first; ("fine",) where the goal is met.
        workload: size -> workload; a larger size contains the smaller ones. Its data
            are the user's, of which a part is held out in each run.
        sizes: a simpler one, the user's, a larger one.
        test: later examples, none of them in the workload's data.
        optimizer: the user's, a name in `learn.OPTIMIZERS`.
        rate: the user's learning rate.
        updates: of the user's training.
        batch: examples an update.
        goal: the mean loss that would content the user.
        floor: the mean loss of the true law on data like the user's, which no model
            beats.
        why: the reason for which the causes are true.
    """

    name: str
    causes: tuple[str, ...]
    workload: Callable[[int], Workload]
    sizes: tuple[int, int, int]
    test: Batch
    optimizer: str
    rate: float
    updates: int
    batch: int
    goal: float
    floor: float
    why: str


class Label(NamedTuple):
    """What a case is called, its causes, the reason, and its goal."""

    name: str
    causes: tuple[str, ...]
    why: str
    goal: float


class Plan(NamedTuple):
    """How the user trains."""

    optimizer: str
    rate: float
    updates: int = 1000
    batch: int = 32


class Setting(NamedTuple):
    """The sizes, how many examples train and are held out, and the loss."""

    sizes: tuple[int, int, int]
    train: int = 512
    held_out: int = 256
    loss: Loss = mse


class Parts(NamedTuple):
    """Variances that add up to the target's.

    Attributes:
        near: of what the simpler family can say.
        middle: of what only the user's family and the larger can.
        far: of what only the larger family can.
        noise: of what nobody can.
    """

    near: float
    middle: float
    far: float
    noise: float


Shift = Callable[[Array, Array, Array], tuple[Array, Array]]
"""(inputs, features, weights) -> (inputs as they are seen, values of the law)."""


def unchanged(inputs: Array, features: Array, weights: Array) -> tuple[Array, Array]:
    """The later examples obey the law of the training examples."""
    return inputs, features @ weights


def generator(seed: int, name: str) -> np.random.Generator:
    """The random numbers of one case, which no other case moves."""
    return np.random.default_rng((seed, crc32(name.encode())))


def linear_case(
    label: Label,
    plan: Plan,
    setting: Setting,
    space: Space,
    parts: Parts,
    *,
    shift: Shift = unchanged,
    seed: int,
) -> PlantedCase:
    """A law that is linear in orthonormal features, with normal noise.

    Mean square, in the limit of many examples: the best simpler model has middle + far
    + noise, the best of the user's size far + noise, the best larger one the noise.

    Args:
        label: name, causes, reason, goal.
        plan: of the user's training.
        setting: sizes, counts of examples, loss.
        space: the features and their models.
        parts: of the target's variance.
        shift: what has changed in the later test.
        seed: of all draws.
    """
    random = generator(seed, label.name)
    counts = [space.width(size) for size in setting.sizes]
    weights = _weights(random, counts, parts)
    batches = []
    pairs = ((setting.train + setting.held_out, unchanged), (LATER, shift))
    for rows, seen in pairs:
        drawn = space.draw(random, rows)
        features = space.features(drawn)[:, : counts[-1]]
        inputs, values = seen(drawn, features, weights)
        noise = np.sqrt(parts.noise) * random.standard_normal(rows)
        targets = (values + noise)[:, None]
        batches.append(examples(inputs.astype(np.float32), targets.astype(np.float32)))
    data, test = batches
    floor = normal_loss(setting.loss, parts.noise)
    return planted(label, plan, setting, space.model, (data, test), floor=floor)


class Drawn(NamedTuple):
    """Examples by two laws, each (generator, count) -> examples, and the mean loss that
    is least on the first.
    """

    own: Callable[[np.random.Generator, int], Batch]
    later: Callable[[np.random.Generator, int], Batch]
    floor: float


def drawn_case(
    label: Label,
    plan: Plan,
    setting: Setting,
    family: Family,
    drawn: Drawn,
    *,
    seed: int,
) -> PlantedCase:
    """A case of the user's law and the law of the later test."""
    random = generator(seed, label.name)
    data = drawn.own(random, setting.train + setting.held_out)
    test = drawn.later(random, LATER)
    return planted(label, plan, setting, family, (data, test), floor=drawn.floor)


def planted(
    label: Label,
    plan: Plan,
    setting: Setting,
    family: Family,
    batches: tuple[Batch, Batch],
    *,
    floor: float,
) -> PlantedCase:
    """The case of given examples: the user's, and those of the later test."""
    data, test = batches

    def of_size(size: int) -> Workload:
        return _workload(family(size), setting, data)

    return PlantedCase(
        name=label.name,
        causes=label.causes,
        workload=of_size,
        sizes=setting.sizes,
        test=test,
        optimizer=plan.optimizer,
        rate=plan.rate,
        updates=plan.updates,
        batch=plan.batch,
        goal=label.goal,
        floor=floor,
        why=label.why,
    )


def _workload(model: Model, setting: Setting, data: Batch) -> Workload:
    return workload(
        model, setting.loss, data, train=setting.train, test=setting.held_out
    )


def normal_loss(loss: Loss, variance: float) -> float:
    """E loss(r, 0) of a normal residual r, by a sum over 8 standard deviations."""
    grid = np.linspace(-8, 8, 4001)
    density = np.exp(-np.square(grid) / 2)
    residuals = (np.sqrt(variance) * grid)[:, None].astype(np.float32)
    values = np.asarray(loss(residuals, np.zeros_like(residuals)), np.float64)
    return float(values @ density / density.sum())


def _weights(
    random: np.random.Generator, counts: list[int], parts: Parts
) -> np.ndarray:
    """Directions drawn anew in the features of each family; lengths as `parts` says."""
    blocks = []
    starts = [0, *counts[:-1]]
    variances = (parts.near, parts.middle, parts.far)
    for begin, end, variance in zip(starts, counts, variances, strict=True):
        direction = random.standard_normal(end - begin)
        blocks.append(np.sqrt(variance) * direction / np.linalg.norm(direction))
    return np.concatenate(blocks)
