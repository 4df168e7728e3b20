"""Do small batches and momentum both help, at one learning rate, to leave saddles?

The lecture changes one thing and leaves the rest as it is. So all four cells, batches
of 10 or all 100 examples, β of 0 or 0.9 in m ← βm + g, have one learning rate,
η = 1/(4‖H‖), at which `escape` and `saddle_batches` run, since a batch bends more
steeply than all examples. Judged are the updates until a run has left, and of them both
main effects: each factor's, the mean over the other. `batch_and_momentum` asks the same
with each cell at its best rate; what it finds was seen before, so there it supports.

Two instruments say when a run has left. *Half of the drop*: the loss of all examples
has made half of what gradient descent makes from 0.01 of the weights' norm along the
lowest eigenvector, on the side where that is less. *Half of the way*: along that
eigenvector the weights are half as far as gradient descent comes on that side. The
noise of batches may hold the loss above the first level when the weights are long away,
and may for a moment carry them past the second; so neither alone would do, and where
they differ the answer depends. How near training comes to saddles nobody knows. So
runs start at rest, in one random direction for all cells, 1e-3 of the norm off, as in
`batch_and_momentum`, and 1e-6 off, where the noise replaces more of the offset. Both
halves decide in each of these settings, on two data sets, for the claim says "both".

Units are certified saddles of networks of 3 tanh units with weights and pictures of
their own, by Adam and eigenvector following. *Transition states* decide: there the
gradients of examples have more than 1e-3 of their size along the lowest eigenvector, so
that batches see the way down, as the claim needs. Negative control of batches: saddles
with a unit of zero weights, from networks of two units; the gradients have nothing
there, so that batches may not help. Negative control of momentum: the same η/(1-β), so
that no larger rate is behind it (`plateaus`). Both by the same rule.

If the claim holds, both log ratios are below -ln 1.25, a quarter, since less would not
matter to a user: the margin of `batch_and_momentum`. One above it refutes, one within
is no effect. Budget: from 1e-6 off it takes 14 e-folds of the lowest eigenvalue, a few
more for a random direction, and the fall; a run has 40, and one that stays counts with
them. At |λ| of 1e-3 ‖H‖, the flattest that counts, they are 160,000 updates. Sixty
networks should give forty saddles, as in `negative_curvature`.

Not tested: momentum that arrives with speed, as the lecture's ball does (`barriers`),
minima (`stuck_batches`), other rates, large networks.

Claims: C076.
Sources: Polyak 1964; Jin et al. 2017, arXiv:1703.00887; Sutskever et al. 2013.
Cost: about two minutes on 2 cores.
Expect: momentum helps, tenfold, all of it by its larger effective rate; batches help
    near a saddle, less farther off, by what they see of the way down.
Run: jaxml run two_by_two
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float

from jaxml import curvature, learn, problem, randomness, record, tree
from jaxml.curvature import Sides, TransitionState
from jaxml.curvature.programs import mapped
from jaxml.record import Assertion
from jaxml.record.comparisons import dots, margins
from jaxml.record.figures import Figure, label, panels, shared_legend
from jaxml.types import Array, Batch, Keep, Key, Objective

DATA = ("8x8 digits, digit odd", "clothing of 7x7 pixels, class number odd")
TASKS = (problem.parity_digits, problem.parity_clothing)
KINDS = ("saddles of index 1 between minima", "saddles with a unit of zero weights")
TRANSITION, ZERO_UNIT = range(len(KINDS))
EXAMPLES, SIZE = 100, 10
DISTANCES = np.array([1e-3, 1e-6])  # of ‖θ‖: where runs start
ALL, SMALL = range(2)  # what a gradient is of
PLAIN, HEAVY, SLOWED = range(3)  # β of 0; of 0.9; of 0.9 at the same η/(1-β)
BETAS = np.array([0, 0.9, 0.9])
SCALES = np.array([1, 1, 0.1])  # of η
LEFT = ("half of the drop", "half of the way")
RATE = 0.25  # η in 1/‖H‖
SIDE = 1e-2  # of ‖θ‖: where gradient descent starts along the lowest eigenvector
STRIDE = 4  # updates between two evaluations
FLATTEST = 1e-3  # of ‖H‖: the least |λ| of a saddle that counts
SEEN = 1e-3  # of the examples' gradients: what is seen of the way down


@dataclass(frozen=True, kw_only=True)
class Config:
    """Data sets, networks of each kind, their search, and e-folds of a run."""

    data: int = len(DATA)
    networks: int = 60
    minimise: int = 300
    iterations: int = 150
    folds: int = 40
    seed: int = 0


SMOKE = Config(data=1, networks=2, minimise=200, iterations=60, folds=1)


class Unit(NamedTuple):
    """Where a search starts, and the key of all else."""

    begun: Array
    seen: Array  # whether batches shall see the way down
    key: Key


class Cell(NamedTuple):
    """One run from a saddle."""

    distance: Array
    gradient: Array
    form: Array  # of momentum


class Plan(NamedTuple):
    """What all runs from a saddle share."""

    saddle: TransitionState
    sides: Sides
    rate: Array
    budget: Array  # updates
    aside: Array  # a random direction, of the length ‖θ‖


class Result(NamedTuple):
    """By data set and kind of saddle.

    Attributes:
        counts: whether a network has a saddle that counts.
        updates: until a run has left, or the budget, by instrument.
        folds: the budget, in e-folds of the lowest eigenvalue.
    """

    counts: Bool[np.ndarray, "data kind network"]
    updates: Float[np.ndarray, "data kind network distance gradient form instrument"]
    folds: np.ndarray


def study(config: Config, keep: Keep) -> Result:
    """A program a data set, in float64."""
    found = []
    with jax.enable_x64(True):
        for make, name in zip(TASKS[: config.data], DATA, strict=False):
            task = make()
            objective = jax.jit(problem.objective_of_vector(task))
            units = _units(config, task, make(2))
            run = partial(mapped, _unit, (config, objective), units, task.batch)
            found.append(keep(name, run))
    counts, updates = (np.stack(columns) for columns in zip(*found, strict=True))
    kinds = (config.data, len(KINDS), config.networks)
    return Result(
        counts.reshape(kinds), updates.reshape(kinds + GRID), np.array(config.folds)
    )


def _units(config: Config, task: problem.Task, narrow: problem.Task) -> Unit:
    """Networks of three units, and of two with a third one of zero weights."""
    count = config.networks
    layers = ("layer_00", "layer_01")

    def widened(params: Any) -> Array:
        return tree.ravel(curvature.zero_unit(params, *layers))[0]

    seeds = randomness.seeds(config.seed, 2 * count)
    wide = problem.initial_vectors(task, seeds[:count])
    zero = jax.vmap(widened)(problem.networks(narrow, seeds[count:]))
    return Unit(
        begun=np.concatenate([wide, zero]),
        seen=np.arange(2 * count) < count,
        key=jax.random.split(randomness.key(config.seed), 2 * count),
    )


def _unit(
    config: Config, objective: Objective, unit: Unit, pictures: Batch
) -> tuple[Array, Array]:
    """The saddle of one network, and all runs from it; hardly any if it is none."""
    places = jnp.arange(EXAMPLES, dtype=jnp.int32)
    own = learn.permuted(places, len(pictures.weights), key=unit.key)
    data = jax.tree.map(lambda leaf: leaf[own], pictures)
    adam = learn.adam(learn.Hyper(lr=0.01))
    minimise = learn.minimiser(adam, steps=config.minimise)
    begun = minimise(objective, unit.begun, data)
    search = partial(curvature.transition_state, iterations=config.iterations)
    saddle = search(objective, begun, data)
    seen = curvature.seen_by_examples(objective, saddle, data) > SEEN
    steep = saddle.lowest < -FLATTEST * saddle.largest
    counts = saddle.certified & steep & (seen == unit.seen)
    growth = jnp.log1p(RATE * jnp.abs(saddle.lowest) / saddle.largest)
    budget = jnp.where(counts, jnp.ceil(config.folds / growth), STRIDE)
    budget = budget.astype(jnp.int32)
    order, direction = jax.random.split(unit.key)
    size = jnp.linalg.norm(saddle.params)
    rate = RATE / saddle.largest
    sides = curvature.both_sides(
        objective, saddle, data, distance=SIDE * size, rate=rate, updates=budget
    )
    aside = tree.random_like(saddle.params, direction)
    aside = size * aside / jnp.linalg.norm(aside)
    plan = Plan(saddle, sides, rate, budget, aside)
    updates = jax.lax.map(partial(_updates, objective, data, order, plan), _cells())
    two_sided = (sides.way[0] > 0) & (sides.way[1] < 0) & jnp.all(sides.drop > 0)
    return counts & two_sided, updates.reshape(GRID)


GRID = (len(DISTANCES), 2, len(BETAS), len(LEFT))


def _cells() -> Cell:
    """A run a row."""
    sizes = np.arange(2, dtype=np.int32)
    forms = np.arange(len(BETAS), dtype=np.int32)
    axes = np.meshgrid(DISTANCES, sizes, forms, indexing="ij")
    return Cell(*(axis.ravel() for axis in axes))


def _updates(
    objective: Objective, data: Batch, order: Key, plan: Plan, cell: Cell
) -> Array:
    """Until one run has left, by instrument."""
    draw = learn.shuffled(data, SIZE).draw
    beta = jnp.asarray(BETAS)[cell.form]
    rate = plan.rate * jnp.asarray(SCALES)[cell.form]
    point, (drop, way) = plan.saddle.params, plan.sides
    level = objective(point, data) - jnp.min(drop) / 2

    def of_all(x: Array, _: Array) -> Array:
        return jax.grad(objective)(x, data)

    def of_batch(x: Array, step: Array) -> Array:
        return jax.grad(objective)(x, draw(data, order, step))

    def update(step: Array, carry: tuple[Array, Array]) -> tuple[Array, Array]:
        x, velocity = carry
        gradient = jax.lax.switch(cell.gradient, (of_all, of_batch), x, step)
        velocity = beta * velocity + gradient
        return x - rate * velocity, velocity

    def left(carry: tuple[Array, Array]) -> Array:
        x, _ = carry
        along = jnp.dot(x - point, plan.saddle.down)
        away = (along >= way[0] / 2) | (along <= way[1] / 2)
        return jnp.stack([objective(x, data) <= level, away])

    first = point + cell.distance * plan.aside
    at_rest = (first, jnp.zeros_like(first))
    passages = learn.first_passages(
        update, left, at_rest, limit=plan.budget, every=STRIDE
    )
    return passages.astype(first.dtype)


def _batches(logs: np.ndarray) -> np.ndarray:
    """Small against all examples, the mean over β of 0 and 0.9, [saddle]."""
    ratios = logs[:, SMALL] - logs[:, ALL]
    return np.mean(ratios[:, :SLOWED], axis=1)


def _momentum(logs: np.ndarray, form: int = HEAVY) -> np.ndarray:
    """β of 0.9 against 0, the mean over small and all, [saddle]."""
    return np.mean(logs[:, :, form] - logs[:, :, PLAIN], axis=1)


HALVES = {
    "Batches of 10 leave a saddle after fewer updates than all 100 examples.": _batches,
    "Momentum of 0.9 leaves a saddle after fewer updates than none.": _momentum,
}
CONTROL = {
    "Momentum of 0.9 leaves a saddle after fewer updates than none at the same η/(1-β) "
    "(negative control).": partial(_momentum, form=SLOWED)
}
NAMES = ("batches of 10", "momentum", "at the same η/(1-β)")
SOONER = record.below(
    0.0, margin=0.223, reason="less than a quarter would not matter to a user"
)


def _logs(result: Result, data: int, kind: int) -> np.ndarray:
    """Of updates, [distance, instrument, saddle, gradient, form]."""
    own = result.counts[data, kind]
    logs = np.log(result.updates[data, kind][own])
    return np.moveaxis(logs, [1, 4], [0, 1])


def findings(result: Result) -> tuple[Assertion, ...]:
    """Both halves of the claim in every setting, and the controls."""
    found = []
    for data, kind in np.ndindex(len(result.counts), len(KINDS)):
        logs = _logs(result, data, kind)
        for distance, left in np.ndindex(len(DISTANCES), len(LEFT)):
            setting = (
                "parity of 100 random pictures from 8 whitened principal components, 3 "
                f"tanh units, decay 0.001, all at η = 1/(4‖H‖), {result.folds} "
                f"e-folds, {DATA[data]}, {KINDS[kind]}, "
                f"{DISTANCES[distance]:g} of ‖θ‖ off, left: {LEFT[left]}"
            )
            asserted = partial(_asserted, setting, logs[distance, left])
            role = record.deciding if kind == TRANSITION else record.supporting
            found += asserted(role, HALVES)
            found += asserted(record.supporting, CONTROL)
    return tuple(found)


def _asserted(
    setting: str,
    logs: np.ndarray,
    role: Callable[..., Assertion],
    effects: dict[str, Callable],
) -> list[Assertion]:
    return [
        role(
            "C076",
            statement,
            record.bootstrap(np.mean, effect(logs)),
            SOONER,
            unit="log ratio",
            setting=setting,
        )
        for statement, effect in effects.items()
    ]


def figures(result: Result) -> dict[str, Figure]:
    """Every effect at every saddle, by distance and instrument; the negative control of
    batches apart.
    """
    return {"saddles": _figure(result, TRANSITION), "blind": _figure(result, ZERO_UNIT)}


def _figure(result: Result, kind: int) -> Figure:
    figure, axes = panels(1, len(result.counts), width=6.4, height=6.0)
    for data, axis in enumerate(axes):
        logs = _logs(result, data, kind)
        rows = {}
        for name, effect in zip(NAMES, (HALVES | CONTROL).values(), strict=True):
            for distance, left in np.ndindex(len(DISTANCES), len(LEFT)):
                row = f"{name}, {DISTANCES[distance]:g} off, {LEFT[left]}"
                rows[row] = effect(logs[distance, left])
        dots(axis, rows, "a saddle")
        margins(axis, SOONER)
        title = f"{DATA[data]}: {logs.shape[2]} {KINDS[kind]}"
        label(axis, title, "log ratio of updates (negative: sooner)", "compared")
    shared_legend(figure)
    return figure
