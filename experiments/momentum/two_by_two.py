"""Do small batches and momentum both help at one learning rate to get away from saddles?

The lecture changes one thing and leaves the rest as it is. So all four cells, batches
of 10 or all 100 examples, β of 0 or 0.9 in m ← βm + g, have one learning rate,
η = 1/(4‖H‖), at which `escape` and `saddle_batches` run, since a batch bends more
steeply than all examples. Judged are the updates until a run has left, and of them both
main effects: each factor's, the mean over the other. `batch_and_momentum` asks the same
with each cell at its best rate; what it found was seen before, so it supports.

Two instruments say when a run has left. *Half of the drop*: the loss of all examples
has made half of what gradient descent makes from 0.01 of the weights' norm along the
lowest eigenvector, on the side where that is less. *Half of the way*: along that
eigenvector the weights are half as far as gradient descent comes on that side. The loss
of a run by batches may stay above the first level though it is long away, for the noise
lifts it; so that neither alone would do, and where they differ the answer depends. How
near training comes to saddles nobody knows: runs start at rest 1e-2, 1e-3 and 1e-6 of
the norm off, in one random direction for all cells. At 1e-3, the distance of
`batch_and_momentum`, and at 1e-6, where it matters more that noise replaces the offset,
the claim decides, on two data sets; each names a setting of its own, with both halves
in it, for the claim says "both".

Saddles are certified, of networks of 3 tanh units with weights and pictures of their
own, by Adam and eigenvector following: transition states, whose examples' gradients
have more than 1e-3 of their size along the lowest eigenvector. Negative control of
batches: saddles with a unit of zero weights, where they have nothing, so that batches
may not help. Negative control of momentum: the same η/(1-β), where a larger rate is no
longer behind it (`plateaus`). Both have the same rule.

If the claim holds, both logarithms of ratios are below -ln 1.25, a quarter, since less
would not matter to a user; one above it refutes, one within is no effect. That margin
is `batch_and_momentum`'s. Budget: from 1e-6 off it takes 14 e-folds of the lowest
eigenvalue, a few more for a random direction, and the fall; a run has 40, and one that
stays counts with them. At |λ| of 1e-3 ‖H‖, the flattest that counts, they are 160,000
updates. Sixty networks of a kind should give forty saddles (`negative_curvature`).

Not tested: momentum that arrives with speed, as the lecture's ball does (`barriers`),
minima (`stuck_batches`), other rates, large networks.

Claims: C076.
Sources: Polyak 1964; Jin et al. 2017, arXiv:1703.00887; Fukumizu and Amari 2000.
Cost: about two minutes on 2 cores.
Expect: momentum helps tenfold, all of it by its larger effective rate; batches help
    where they see the way down and start near, and not beyond.
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
from jaxml.curvature import SADDLE, Certificate
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
BETA = 0.9
DISTANCES = (1e-2, 1e-3, 1e-6)  # of ‖θ‖: where runs start
DECIDE = (1, 2)  # which of them
ALL, SMALL = range(2)  # examples an update
PLAIN, HEAVY, SLOWED = range(3)  # β of 0; of 0.9; of 0.9 at the same η/(1-β)
DROP, WAY = range(2)  # half of what a run has made when it has left
RATE = 0.25  # η in 1/‖H‖
SIDE = 1e-2  # of ‖θ‖: where gradient descent starts along the lowest eigenvector
STRIDE = 4  # updates between two evaluations
FLATTEST = 1e-3  # of ‖H‖: the least |λ| of a saddle that counts
SEEN = 1e-3  # of the examples' gradients: what transition states have on the way down


@dataclass(frozen=True, kw_only=True)
class Config:
    """Data sets, networks of each kind, the search, and e-folds of a run."""

    data: int = len(DATA)
    networks: int = 60
    minimise: int = 300
    iterations: int = 150
    folds: int = 40
    seed: int = 0


SMOKE = Config(data=1, networks=2, minimise=200, iterations=60, folds=1)


class Start(NamedTuple):
    """Where a search starts."""

    begun: Array
    free: Array  # 0 for weights that stay 0
    key: Key


class Point(NamedTuple):
    """Where it ended.

    Attributes:
        overlap: root mean square of the examples' gradients along the lowest
            eigenvector, over that of the whole gradients.
    """

    params: Array
    down: Array  # the lowest eigenvector
    certificate: Certificate
    overlap: Array


class Saddle(NamedTuple):
    """What all runs from a point share."""

    point: Array
    down: Array
    rate: Array
    budget: Array  # updates
    key: Key


class Cell(NamedTuple):
    """One run from a saddle."""

    distance: Array
    small: Array  # batches, or all examples
    beta: Array
    slower: Array  # the rate, in η


class Runs(NamedTuple):
    """What is kept of a saddle.

    Attributes:
        drop: of the loss, to where gradient descent ends, on either side.
        way: along the lowest eigenvector, likewise, negative on the second side.
        updates: until a run has left, or the budget, by instrument.
    """

    drop: Float[Array, "*saddle side"]
    way: Float[Array, "*saddle side"]
    updates: Float[Array, "*saddle cell instrument"]


class Result(NamedTuple):
    """By data set and kind of saddle.

    Attributes:
        counts: whether a network has a certified saddle of its kind.
        updates: until a run has left, or the budget.
        folds: the budget, in e-folds.
    """

    counts: Bool[np.ndarray, "data kind network"]
    updates: Float[np.ndarray, "data kind network distance batch form instrument"]
    folds: np.ndarray


def _cells() -> Cell:
    """A run a row: by distance, batch and form of momentum."""
    betas = np.array([0, BETA, BETA])
    scales = np.array([1, 1, 1 - BETA])
    forms = np.arange(len(betas), dtype=np.int32)
    sizes = np.arange(2, dtype=np.int32)
    grid = np.meshgrid(np.array(DISTANCES), sizes, forms, indexing="ij")
    distance, small, form = (axis.ravel() for axis in grid)
    return Cell(distance, small, betas[form], scales[form])


def _own(pictures: Batch, key: Key) -> Batch:
    """The pictures of one network."""
    places = jnp.arange(EXAMPLES, dtype=jnp.int32)
    chosen = learn.permuted(places, len(pictures.weights), key=key)
    return jax.tree.map(lambda leaf: leaf[chosen], pictures)


def _starts(config: Config, task: problem.Task) -> Start:
    """All networks, once a kind."""
    count = len(KINDS) * config.networks
    seeds = randomness.seeds(config.seed, count)
    networks = problem.networks(task, seeds)
    begun = jax.vmap(lambda params: tree.ravel(params)[0])(networks)
    free = np.ones(begun.shape)
    free[config.networks :] = _but_one_unit(networks)
    keys = jax.random.split(randomness.key(config.seed, count), count)
    return Start(np.asarray(begun), free, keys)


def _but_one_unit(networks: Any) -> Array:
    """0 for the weights of the last unit, 1 for all others."""
    ones = jax.tree.map(lambda leaf: jnp.ones_like(leaf[0]), networks)
    first, last = ones["layer_00"], ones["layer_01"]
    kept = first["bias"].at[-1].set(0)
    first = {"kernel": first["kernel"] * kept[None], "bias": kept}
    last = {"kernel": kept[:, None], "bias": last["bias"]}
    return tree.ravel({"layer_00": first, "layer_01": last})[0]


def _find(config: Config, objective: Objective, start: Start, pictures: Batch) -> Point:
    """Adam, then eigenvector following to index 1."""
    data = _own(pictures, start.key)
    adam = learn.adam(learn.Hyper(lr=0.01))
    minimise = learn.minimiser(adam, steps=config.minimise)
    begun = minimise(objective, start.free * start.begun, data)
    follow = partial(curvature.eigenvector_following, iterations=config.iterations)
    point = start.free * follow(objective, begun, data, index=1).params
    product = curvature.hessian_product(objective, point, data)
    _, vectors = jnp.linalg.eigh(curvature.dense(product, point))
    alone = jax.tree.map(lambda leaf: leaf[:, None], data)
    gradients = jax.lax.map(partial(jax.grad(objective), point), alone)
    seen = jnp.linalg.norm(gradients @ vectors[:, 0]) / jnp.linalg.norm(gradients)
    return Point(
        params=point,
        down=vectors[:, 0],
        certificate=curvature.certify(objective, point, data),
        overlap=seen,
    )


def _runs(objective: Objective, saddle: Saddle, pictures: Batch) -> Runs:
    """Gradient descent on both sides, and then all cells."""
    data, point = _own(pictures, saddle.key), saddle.point
    order, sideways = jax.random.split(saddle.key)
    size = jnp.linalg.norm(point)
    aside = tree.random_like(point, sideways)
    aside = size * aside / jnp.linalg.norm(aside)
    draw = learn.shuffled(data, SIZE).draw

    def of_all(x: Array, _: Array) -> Array:
        return jax.grad(objective)(x, data)

    def of_batch(x: Array, step: Array) -> Array:
        return jax.grad(objective)(x, draw(data, order, step))

    def ended(side: Array) -> Array:
        def update(step: Array, x: Array) -> Array:
            return x - saddle.rate * of_all(x, step)

        first = point + side * SIDE * size * saddle.down
        return jax.lax.fori_loop(0, saddle.budget, update, first)

    ends = jax.lax.map(ended, jnp.array([1.0, -1.0]))
    before = objective(point, data)
    drop = before - jax.lax.map(lambda end: objective(end, data), ends)
    way = (ends - point) @ saddle.down

    def beyond(x: Array) -> Array:
        """By instrument, whether a run has left."""
        along = jnp.dot(x - point, saddle.down)
        fallen = before - objective(x, data) >= jnp.min(drop) / 2
        return jnp.stack([fallen, (along >= way[0] / 2) | (along <= way[1] / 2)])

    def run(cell: Cell) -> Array:
        rate = saddle.rate * cell.slower

        def update(step: Array, carry: tuple[Array, Array]) -> tuple[Array, Array]:
            x, velocity = carry
            gradient = jax.lax.switch(cell.small, (of_all, of_batch), x, step)
            velocity = cell.beta * velocity + gradient
            return x - rate * velocity, velocity

        def staying(state: tuple[Array, Array, Any]) -> Array:
            age, left, _ = state
            return (age < saddle.budget) & jnp.any(left > saddle.budget)

        def stretch(state: tuple[Array, Array, Any]) -> tuple[Array, Array, Any]:
            age, left, carry = state
            carry = jax.lax.fori_loop(age, age + STRIDE, update, carry)
            age = age + STRIDE
            now = jnp.where(beyond(carry[0]), age, never)
            return age, jnp.minimum(left, now), carry

        never = saddle.budget + STRIDE
        first = point + cell.distance * aside
        begun = (jnp.int32(0), jnp.stack([never, never]), (first, 0 * first))
        _, left, _ = jax.lax.while_loop(staying, stretch, begun)
        return jnp.minimum(left, saddle.budget).astype(first.dtype)

    return Runs(drop, way, jax.lax.map(run, _cells()))


def _certified(found: Point, largest: np.ndarray) -> np.ndarray:
    """Which points are saddles of the kind that was sought, kind by kind."""
    sought = np.repeat(np.arange(len(KINDS)), len(largest) // len(KINDS))
    steep = found.certificate.eigenvalues[:, 0] < -FLATTEST * largest
    seen = found.overlap > SEEN
    outcome = curvature.outcome(found.certificate)
    return (outcome == SADDLE) & steep & (seen == (sought == TRANSITION))


def study(config: Config, keep: Keep) -> Result:
    """Two programs a data set, in float64."""
    counts, updates = [], []
    with jax.enable_x64(True):
        for make, name in zip(TASKS[: config.data], DATA, strict=False):
            task = make()
            objective = jax.jit(problem.objective_of_vector(task))
            starts = _starts(config, task)
            search = partial(mapped, _find, (config, objective), starts, task.batch)
            found = keep(f"saddles, {name}", search)
            values = found.certificate.eigenvalues
            largest = np.abs(values).max(axis=1)
            certified = _certified(found, largest)
            growth = np.log1p(RATE * np.abs(values[:, 0]) / largest)
            budget = np.ceil(config.folds / np.where(certified, growth, np.inf))
            saddles = Saddle(
                point=found.params,
                down=found.down,
                rate=RATE / largest,
                budget=np.maximum(budget, STRIDE).astype(np.int32),
                key=starts.key,
            )
            left = partial(mapped, _runs, (objective,), saddles, task.batch)
            runs = keep(f"runs, {name}", left)
            counts.append(certified & _two_sided(runs))
            updates.append(runs.updates)
    kinds = (config.data, len(KINDS), config.networks)
    cells = (len(DISTANCES), 2, 3, 2)
    return Result(
        counts=np.stack(counts).reshape(kinds),
        updates=np.stack(updates).reshape(kinds + cells),
        folds=np.array(config.folds),
    )


def _two_sided(runs: Runs) -> np.ndarray:
    """Whether gradient descent goes down, and away, on either side."""
    away = (runs.way[:, 0] > 0) & (runs.way[:, 1] < 0)
    return away & np.all(runs.drop > 0, axis=1)


def _batches(logs: np.ndarray) -> np.ndarray:
    """Small against all examples, the mean over β of 0 and 0.9, [saddle]."""
    return np.mean(logs[:, SMALL, :SLOWED] - logs[:, ALL, :SLOWED], axis=1)


def _momentum(logs: np.ndarray) -> np.ndarray:
    """β of 0.9 against 0 at one η, the mean over both sizes, [saddle]."""
    return np.mean(logs[:, :, HEAVY] - logs[:, :, PLAIN], axis=1)


def _momentum_alone(logs: np.ndarray) -> np.ndarray:
    """The same at one η/(1-β)."""
    return np.mean(logs[:, :, SLOWED] - logs[:, :, PLAIN], axis=1)


def _logs(result: Result, data: int, kind: int) -> np.ndarray:
    """Logarithms of updates at saddles, [distance, instrument, saddle, batch, form]."""
    own = result.counts[data, kind]
    logs = np.log(result.updates[data, kind][own])
    return np.moveaxis(logs, [1, 4], [0, 1])


HALVES = {
    "Batches of 10 leave a saddle after fewer updates than all 100 examples.": _batches,
    "Momentum of 0.9 leaves a saddle after fewer updates than none.": _momentum,
}
CONTROL = (
    "Momentum of 0.9 leaves a saddle after fewer updates than none at the same η/(1-β) "
    "(negative control)."
)
SOONER = record.below(
    0.0, margin=0.223, reason="less than a quarter would not matter to a user"
)
LEFT = ("half of the drop", "half of the way")


def findings(result: Result) -> tuple[Assertion, ...]:
    """Both halves of the claim in every setting; the controls."""
    found = []
    for data in range(len(result.counts)):
        for kind in range(len(KINDS)):
            logs = _logs(result, data, kind)
            for distance in range(len(DISTANCES)):
                for instrument in range(len(LEFT)):
                    place = (data, kind, distance, instrument)
                    setting = _setting(result, *place)
                    cells = logs[distance, instrument]
                    decides = kind == TRANSITION and distance in DECIDE
                    found += _asserted(cells, setting, decides)
    return tuple(found)


def _setting(
    result: Result, data: int, kind: int, distance: int, instrument: int
) -> str:
    return (
        f"parity of 100 random pictures from 8 whitened principal components, 3 tanh "
        f"units, decay 0.001, all at η = 1/(4‖H‖), {result.folds} e-folds, "
        f"{DATA[data]}, {KINDS[kind]}, {DISTANCES[distance]:g} of ‖θ‖ off, left: "
        f"{LEFT[instrument]}"
    )


def _asserted(cells: np.ndarray, setting: str, decides: bool) -> list[Assertion]:
    role = record.deciding if decides else record.supporting
    asserted = [
        role(
            "C076",
            statement,
            record.bootstrap(np.mean, effect(cells)),
            SOONER,
            unit="log ratio",
            setting=setting,
        )
        for statement, effect in HALVES.items()
    ]
    alone = record.supporting(
        "C076",
        CONTROL,
        record.bootstrap(np.mean, _momentum_alone(cells)),
        SOONER,
        unit="log ratio",
        setting=setting,
    )
    return [*asserted, alone]


EFFECTS = {
    "batches of 10": _batches,
    "momentum": _momentum,
    "the same, equal η/(1-β)": _momentum_alone,
}


def figures(result: Result) -> dict[str, Figure]:
    """Both effects at every saddle, by distance; a figure an instrument."""
    return {
        name.replace(" ", "_"): _figure(result, instrument)
        for instrument, name in enumerate(LEFT)
    }


def _figure(result: Result, instrument: int) -> Figure:
    count = len(result.counts)
    figure, axes = panels(count, len(KINDS), width=5.6, height=4.0)
    places = np.ndindex(count, len(KINDS))
    for (data, kind), axis in zip(places, np.ravel(axes), strict=True):
        logs = _logs(result, data, kind)[:, instrument]
        rows = {}
        for name, effect in EFFECTS.items():
            for distance, cells in zip(DISTANCES, logs, strict=True):
                rows[f"{name}, {distance:g} off"] = effect(cells)
        dots(axis, rows, "a saddle")
        margins(axis, SOONER)
        title = f"{DATA[data]}:\n{logs.shape[1]} {KINDS[kind]}"
        label(axis, title, "log ratio of updates (left of 0: sooner)", "")
    shared_legend(figure)
    return figure
