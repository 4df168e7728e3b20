"""Do small batches and momentum both help, at one learning rate, to leave saddles?

The lecture changes one thing and leaves the rest as it is. So all four cells, batches
of 10 or all 100 examples, β of 0 or 0.9 in m ← βm + g, have one learning rate,
η = 1/(40‖H‖). With momentum η/(1-β) is then 1/(4‖H‖), where `escape` and
`saddle_batches` run, since a batch bends more steeply than all examples. Judged are the
updates until a run has left, and of them both main effects: each factor's, the mean
over the other. `batch_and_momentum` asks the same with each cell at its best rate; what
it finds was seen before, so there it supports.

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
there, so that batches may not help. The negative control of momentum, the same η/(1-β),
where no larger rate is behind it, stands in `batch_and_momentum` and `plateaus`. Near a
saddle it must help at one η if all is quadratic; whether a run settles thereafter, that
does not say.

If the claim holds, both log ratios are below -ln 1.25, a quarter, since less would not
matter to a user: the margin of `batch_and_momentum`. One above it refutes, one within
is no effect. Budget: from 1e-6 off it takes 14 e-folds of the lowest eigenvalue, a few
more for a random direction, and the fall; a run has 40, and one that stays counts with
them. At |λ| of 1e-3 ‖H‖, the flattest that counts, they are 1,600,000 updates. In
probes at seed 7 fourteen of 24 networks gave a saddle that decides, on either data set,
so 60 should give 35. There η was 1/(4‖H‖), and half of the runs by batches with
momentum hung above the first level to the end; so now η/(1-β) is at most that. Seen
were these fractions and which cell was slowest, not the ratios.

Not tested: momentum that arrives with speed, as the lecture's ball does (`barriers`),
minima (`stuck_batches`), other rates, large networks.

Claims: C076.
Sources: Polyak 1964; Jin et al. 2017, arXiv:1703.00887; Sutskever et al. 2013.
Cost: two to three minutes on 2 cores.
Expect: momentum helps, tenfold, all of it by its larger effective rate; batches help
    near a saddle, less farther off, by what they see of the way down.
Run: jaxml run two_by_two
"""

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
TRANSITION = 0  # of KINDS
EXAMPLES, SIZE = 100, 10
DISTANCES = np.array([1e-3, 1e-6])  # of ‖θ‖: where runs start
WHOLE_OR_SMALL = np.arange(2, dtype=np.int32)  # what a gradient is of
BETAS = np.array([0, 0.9])
LEFT = ("half of the drop", "half of the way")
RATE = 0.025  # η in 1/‖H‖
SIDE = 1e-2  # of ‖θ‖: where gradient descent starts along the lowest eigenvector
STRIDE = 10  # updates between two evaluations
MINIMISE = 300  # updates of Adam before the search
FLATTEST = 1e-3  # of ‖H‖: the least |λ| of a saddle that counts
SEEN = 1e-3  # of the examples' gradients: what is seen of the way down


@dataclass(frozen=True, kw_only=True)
class Config:
    """Data sets, networks of each kind, and e-folds of a run."""

    data: int = len(DATA)
    networks: int = 60
    folds: int = 40
    seed: int = 0


SMOKE = Config(data=1, networks=2, folds=1)


class Unit(NamedTuple):
    """Where a search starts, and the key of all else."""

    begun: Array
    seen: Array  # whether batches shall see the way down
    key: Key


class Cell(NamedTuple):
    """One run from a saddle."""

    distance: Array
    small: Array  # batches, or all examples
    beta: Array


class Plan(NamedTuple):
    """What all runs from a saddle share."""

    data: Batch
    saddle: TransitionState
    sides: Sides
    budget: Array  # updates
    key: Key


class Result(NamedTuple):
    """By data set and kind of saddle.

    Attributes:
        counts: whether a network has a saddle that counts.
        updates: until a run has left, or the budget, by instrument.
        folds: the budget, in e-folds of the lowest eigenvalue.
    """

    counts: Bool[np.ndarray, "data kind network"]
    updates: Float[np.ndarray, "data kind network distance batch beta instrument"]
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
    begun = learn.minimiser(adam, steps=MINIMISE)(objective, unit.begun, data)
    saddle = curvature.transition_state(objective, begun, data)
    seen = curvature.seen_by_examples(objective, saddle, data) > SEEN
    steep = saddle.lowest < -FLATTEST * saddle.largest
    counts = saddle.certified & steep & (seen == unit.seen)
    growth = jnp.log1p(RATE * jnp.abs(saddle.lowest) / saddle.largest)
    updates = jnp.where(counts, jnp.ceil(config.folds / growth), STRIDE)
    budget = updates.astype(jnp.int32)
    sides = curvature.both_sides(
        objective,
        saddle,
        data,
        distance=SIDE * jnp.linalg.norm(saddle.params),
        rate=RATE / saddle.largest,
        updates=budget,
    )
    plan = Plan(data, saddle, sides, budget, unit.key)
    made = jax.lax.map(partial(_updates, objective, plan), _cells())
    return counts & sides.two, made


GRID = (len(DISTANCES), 2, len(BETAS), len(LEFT))


def _cells() -> Cell:
    """A run a row."""
    axes = np.meshgrid(DISTANCES, WHOLE_OR_SMALL, BETAS, indexing="ij")
    return Cell(*(axis.ravel() for axis in axes))


def _updates(objective: Objective, plan: Plan, cell: Cell) -> Array:
    """Until one run has left, by instrument."""
    data, saddle, sides, limit, key = plan
    order, direction = jax.random.split(key)
    draw = learn.shuffled(data, SIZE).draw
    first = curvature.beside(saddle.params, relative=cell.distance, key=direction)
    gradients = curvature.noisy_gradients(objective, data, draw, size=SIZE, key=order)
    both = (gradients.whole, gradients.batches)

    def update(step: Array, carry: tuple[Array, Array]) -> tuple[Array, Array]:
        x, velocity = carry
        gradient = jax.lax.switch(cell.small, both, x, step)
        velocity = cell.beta * velocity + gradient
        return x - RATE / saddle.largest * velocity, velocity

    def left(carry: tuple[Array, Array]) -> Array:
        x, _ = carry
        return curvature.left_state(objective, x, data, state=saddle, sides=sides)

    at_rest = (first, jnp.zeros_like(first))
    passed = learn.first_passages(update, left, at_rest, limit=limit, every=STRIDE)
    return passed.astype(first.dtype)


def _effect(logs: np.ndarray, factor: int) -> np.ndarray:
    """The second level of a factor, an axis, minus its first; the mean over the other,
    [saddle].
    """
    return np.mean(np.diff(logs, axis=factor), axis=(1, 2))


HALVES = {
    "Batches of 10 leave a saddle after fewer updates than all 100 examples.": 1,
    "Momentum of 0.9 leaves a saddle after fewer updates than none.": 2,
}
NAMES = ("batches of 10", "momentum of 0.9")
SETTING = (
    "parity of 100 random pictures from 8 whitened principal components, 3 tanh units, "
    "decay 0.001, all at one η = 1/(40‖H‖)"
)
SOONER = record.below(
    0.0, margin=0.223, reason="less than a quarter would not matter to a user"
)


def _logs(result: Result, data: int, kind: int) -> np.ndarray:
    """Of updates, [distance, instrument, saddle, batch, beta]."""
    own = result.counts[data, kind]
    logs = np.log(result.updates[data, kind][own])
    return np.moveaxis(logs, [1, 4], [0, 1])


def findings(result: Result) -> tuple[Assertion, ...]:
    """Both halves of the claim in every setting."""
    found = []
    for data, kind in np.ndindex(result.counts.shape[:2]):
        logs = _logs(result, data, kind)
        role = record.deciding if kind == TRANSITION else record.supporting
        for distance, left in np.ndindex(logs.shape[:2]):
            setting = (
                f"{SETTING}, {result.folds} e-folds of the lowest eigenvalue, "
                f"{DATA[data]}, {KINDS[kind]}, {DISTANCES[distance]:g} of ‖θ‖ off, "
                f"left: {LEFT[left]}"
            )
            for statement, factor in HALVES.items():
                measured = record.bootstrap(
                    np.mean, _effect(logs[distance, left], factor)
                )
                asserted = partial(role, "C076", statement, measured, SOONER)
                found.append(asserted(unit="log ratio", setting=setting))
    return tuple(found)


def figures(result: Result) -> dict[str, Figure]:
    """Both effects at every saddle, by distance and instrument; a row a data set, the
    negative control on the right.
    """
    kinds = result.counts.shape[:2]
    figure, axes = panels(*kinds, width=6.8, height=4.4)
    for (data, kind), axis in zip(np.ndindex(kinds), axes, strict=True):
        logs = _logs(result, data, kind)
        rows = {}
        for name, factor in zip(NAMES, HALVES.values(), strict=True):
            for distance, left in np.ndindex(logs.shape[:2]):
                row = f"{name}, {DISTANCES[distance]:g} off, {LEFT[left]}"
                rows[row] = _effect(logs[distance, left], factor)
        dots(axis, rows, "a saddle")
        margins(axis, SOONER)
        title = f"{logs.shape[2]} {KINDS[kind]}"
        label(axis, title, "log ratio of updates (negative: sooner)", DATA[data])
    shared_legend(figure)
    return {"effects": figure}
