"""Does a plane of principal components show how training runs move apart?

A homework of the course records the weights of 8 runs of one network every 3 epochs
and draws them in the plane of their first two principal components, for one layer and
for the whole network. The picture is read as runs that begin together and move apart.
It is true to what it shows if two things hold of the root mean square distance between
runs, each about all weights:

- They *move apart*: that distance grows from the start to the end by a tenth or more.
  It fails if the runs come together, or move in one direction.
- The plane *shows by how much*: distances in the plane grow by the same factor as
  distances between the weights, to 1.5 either way. The plane is chosen after the runs,
  where the recorded weights differ most, and so where their ends do. If what is random
  in a start lies in all directions alike, the plane hides the starts more than the
  ends, and the factor that one sees is too large.

Controls. A softmax regression with an l2 penalty has one minimum, so its runs must come
together. A plane drawn at random is chosen by nothing, so it must show the true factor,
up to chance. Beside them a random walk stands for each run: from the same start, as
long in each layer between two records, in directions drawn anew. What the walks show
too is the projection's doing, not the training's. A single run alone is compared with
the closed form for walks of as many points: their plane holds about three quarters of
the variance, and their path is a Lissajous curve, an arc of which the second component
is a parabola in the first.

A unit is a group of 8 runs, with 500 examples of its own; starts and orders are drawn
anew for each run. Epochs are 10 updates. Rates are usual ones, not tuned: what is
compared is a group with itself. Which factor would be seen as wrong, 1.5, and how much
apart, a tenth, are choices; of variance a twentieth matters, less is not seen on an
axis. Single groups of the seed 77 were looked at for the cost.

Not tested: other networks, longer training, the homework's pictures of digits, other
projections.

Claims: C059.
Sources: Antognini and Sohl-Dickstein 2018, arXiv:1806.08805; Li et al. 2018,
    arXiv:1712.09913, section 7.
Cost: COST
Expect: runs move apart; the plane exaggerates it, of random walks too.
Run: jaxml run trajectories
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from jaxml import curvature, learn, parallel, problem, randomness, record, tree
from jaxml.record import Assertion
from jaxml.record.figures import (
    Axes,
    Figure,
    band,
    label,
    panels,
    shared_legend,
    strips,
)
from jaxml.record.surfaces import Shown, principal_paths
from jaxml.types import Array, Batch, Keep, Params, Workload

DATA = ("8x8 digits", "clothing of 7x7 pixels")
WORKLOADS = (problem.digits_workload, problem.small_clothing_workload)
RUNS = 8
EPOCHS = 3  # between two records, as the homework has it
SIZE = 50  # examples in a batch
PENALTY = 0.03  # of the softmax regression
TRAINING, WALK = range(2)
WHOLE, LAYER = range(2)
PARTS = ("all weights", "the weights of the first layer")
APART = record.above(0.0, margin=float(np.log(1.1)), reason="a tenth is hardly seen")
TRUE = record.near(
    0.0, margin=float(np.log(1.5)), reason="a picture that is out by half misleads"
)
MORE = record.above(0.0, margin=0.05, reason="a twentieth is not seen on an axis")
SAME = record.near(0.0, margin=0.05, reason="a twentieth is not seen on an axis")


class Method(NamedTuple):
    """A method, its rate, and its name."""

    family: learn.Family
    rate: float
    name: str


METHODS = (
    Method(learn.sgd, 0.1, "gradient descent of rate 0.1"),
    Method(learn.adam, 1e-3, "Adam of rate 0.001"),
)


@dataclass(frozen=True, kw_only=True)
class Config:
    """Groups of runs and records of each run; of data sets and methods the first."""

    data: int = len(DATA)
    methods: int = len(METHODS)
    groups: int = 20
    records: int = 30
    examples: int = 500
    lanes: int = 1
    seed: int = 0


SMOKE = Config(data=1, methods=1, groups=2, records=3, examples=50)


class Group(NamedTuple):
    """What is drawn anew for each group.

    Attributes:
        runs: the seeds of its runs.
        own: a seed of walks and of the plane drawn at random.
        rows: which examples its runs are trained on.
    """

    runs: Int[Array, "group run"]
    own: Int[Array, " group"]
    rows: Int[Array, "group example"]


class Seen(NamedTuple):
    """Groups of runs in a plane; further axes in front are data sets and methods.

    Attributes:
        between: root mean square distance between runs.
        shown: the same in the plane of the first two principal components.
        anywhere: the same in a plane drawn at random.
        explained: fractions of the variance along both axes.
        alone: the same of a single run in a plane of its own.
        bend: how much of the second coordinate of that run a parabola in the first
            explains, as a fraction.
        projections: coordinates in the plane.
        residuals: the fraction of a squared distance that is outside.
    """

    between: Float[Array, "*place group kind part record"]
    shown: Float[Array, "*place group kind part record"]
    anywhere: Float[Array, "*place group kind part record"]
    explained: Float[Array, "*place group kind part axis"]
    alone: Float[Array, "*place group kind part axis"]
    bend: Float[Array, "*place group kind part"]
    projections: Float[Array, "*place group kind part run record axis"]
    residuals: Float[Array, "*place group kind part run record"]


class Result(NamedTuple):
    """Networks beside walks, and the convex control.

    Attributes:
        networks: what is seen of them and of walks.
        convex: the distance between runs of the softmax regression.
        weights: of a network, by data set.
        examples: that each group is trained on.
    """

    networks: Seen
    convex: Float[np.ndarray, "data method group record"]
    weights: Int[np.ndarray, " data"]
    examples: Int[np.ndarray, ""]


def study(config: Config, keep: Keep) -> Result:
    """One program a data set, method and kind of model."""
    works = [of() for of in WORKLOADS[: config.data]]
    places = list(product(range(config.data), METHODS[: config.methods]))
    networks, convex = [], []
    for data, method in places:
        work = works[data]
        name = f"{DATA[data]}, {method.name}"
        groups = partial(_groups, config, method)
        seen = keep(f"{name}, networks", partial(groups, work, _seen))
        between = partial(groups, _regression(work), _between_alone)
        networks.append(seen)
        convex.append(keep(f"{name}, softmax regression", between))
    shape = config.data, config.methods
    return Result(
        networks=jax.tree.map(lambda *each: _stacked(shape, each), *networks),
        convex=_stacked(shape, convex),
        weights=np.array([problem.weights(work) for work in works]),
        examples=np.array(config.examples),
    )


def _stacked(shape: tuple[int, int], values: tuple[Array, ...] | list[Array]) -> Array:
    return np.reshape(np.stack(values), (*shape, *np.shape(values[0])))


def _regression(work: Workload) -> Workload:
    """A linear model of the same data, with a penalty: a convex loss."""
    return problem.workload(
        problem.linear(10),
        problem.cross_entropy,
        work.data,
        train=work.train,
        test=work.test,
        penalty=problem.l2(PENALTY),
    )


def _groups(
    config: Config,
    method: Method,
    work: Workload,
    measure: Callable[[Params, Array, Array], Seen | jax.Array],
) -> Seen | jax.Array:
    """What is measured of each group's recorded weights."""
    seeds = np.array(randomness.seeds(config.seed, config.groups * RUNS))
    own = np.array(randomness.seeds(config.seed, config.groups, skip=len(seeds)))
    rows = [
        np.random.default_rng(seed).permutation(len(work.data.weights)) for seed in own
    ]
    groups = Group(
        runs=seeds.reshape(-1, RUNS).astype(np.int32),
        own=own.astype(np.int32),
        rows=np.stack(rows)[:, : config.examples].astype(np.int32),
    )

    def one(group: Group, data: Batch) -> Seen | jax.Array:
        examples = jax.tree.map(lambda field: field[group.rows], data)
        params, weights = _recorded(config, method, work, group.runs, examples)
        return measure(params, weights, jax.random.key(group.own))

    def chunk(groups: Group, data: Batch) -> Seen | jax.Array:
        return jax.vmap(one, in_axes=(0, None))(groups, data)

    program = parallel.compiled(
        chunk,
        parallel.rows(groups, np.arange(config.lanes)),
        work.data,
        chunks=-(-config.groups // config.lanes),
        purpose="Training",
    )
    return parallel.gathered(program, groups, work.data)


def _recorded(
    config: Config,
    method: Method,
    work: Workload,
    seeds: Int[Array, " run"],
    examples: Batch,
) -> tuple[Params, Float[jax.Array, "run record p"]]:
    """The parameters of a run, for their structure, and the weights of all runs: at
    the start, and after every so many epochs.
    """

    def weights(params: Params) -> jax.Array:
        return tree.ravel(params)[0]

    few = jax.tree.map(lambda field: field[: config.examples], work.data)
    every = EPOCHS * learn.updates_per_epoch(config.examples, SIZE)
    training = learn.training(
        work.start,
        work.loss,
        method.family,
        learn.shuffled(few, SIZE),
        steps=config.records * every,
        every=every,
        probe=learn.measuring({"weights": weights}),
    )

    def run(seed: Array) -> tuple[Params, jax.Array]:
        first = learn.first_state(training, learn.Hyper(lr=method.rate, seed=seed))
        _, trace = training.run(first, examples)
        start = weights(first.params)
        return first.params, jnp.concatenate([start[None], trace.probed["weights"]])

    starts, recorded = jax.vmap(run)(seeds)
    return jax.tree.map(lambda leaf: leaf[0], starts), recorded


def _layers(params: Params) -> list[int]:
    """How many weights each layer has, in the order of the vector of all."""
    return [tree.size(layer) for layer in params.values()]


def _walks(
    layers: list[int], weights: Float[Array, "run record p"], key: Array
) -> Float[jax.Array, "run record p"]:
    """Random walks from the same starts, in each layer as long from record to record
    as the runs.
    """
    steps = jnp.diff(weights, axis=1)
    drawn = jax.random.normal(key, steps.shape, steps.dtype)
    ends = np.cumsum(layers)[:-1].tolist()
    moves = []
    for step, direction in zip(
        jnp.split(steps, ends, axis=-1), jnp.split(drawn, ends, axis=-1), strict=True
    ):
        scale = _length(step) / _length(direction)
        moves.append(direction * scale)
    places = jnp.cumsum(jnp.concatenate(moves, axis=-1), axis=1)
    start = weights[:, :1]
    return jnp.concatenate([start, start + places], axis=1)


def _length(vectors: jax.Array) -> jax.Array:
    return jnp.sqrt(jnp.sum(jnp.square(vectors), axis=-1, keepdims=True))


def _seen(params: Params, weights: Float[Array, "run record p"], key: Array) -> Seen:
    """Runs and walks, all weights and the first layer."""
    layers = _layers(params)
    walk_key, plane_key = jax.random.split(key)
    kinds = weights, _walks(layers, weights, walk_key)
    seen = []
    for kind in kinds:
        parts = kind, kind[..., : layers[0]]
        each = [_in_a_plane(part, plane_key) for part in parts]
        seen.append(jax.tree.map(lambda *fields: jnp.stack(fields), *each))
    return jax.tree.map(lambda *fields: jnp.stack(fields), *seen)


def _in_a_plane(weights: Float[Array, "run record p"], key: Array) -> Seen:
    """Runs in the plane of their principal components, and in one drawn at random."""
    plane = curvature.principal_plane(weights)
    alone = curvature.principal_plane(weights[0])
    random = jax.random.normal(key, (weights.shape[-1], 2), weights.dtype)
    return Seen(
        between=_between(weights),
        shown=_between(plane.projections),
        anywhere=_between(jnp.matmul(weights, random, precision="highest")),
        explained=plane.explained,
        alone=alone.explained,
        bend=_bend(alone.projections),
        projections=plane.projections,
        residuals=plane.residuals,
    )


def _between(points: Float[Array, "run record axis"]) -> Float[jax.Array, " record"]:
    """The root mean square distance between two runs, by record."""
    runs = len(points)
    centred = points - jnp.mean(points, axis=0, keepdims=True)
    squares = jnp.sum(jnp.square(centred), axis=(0, 2))
    return jnp.sqrt(squares * jnp.asarray(2 / (runs - 1), squares.dtype))


def _between_alone(
    params: Params, weights: Float[Array, "run record p"], key: Array
) -> Float[jax.Array, " record"]:
    del params, key
    return _between(weights)


def _bend(path: Float[Array, "record 2"]) -> Float[jax.Array, ""]:
    """R² of the second coordinate on a parabola in the first; both have mean 0 and are
    uncorrelated, as principal components are.
    """
    x, y = path.T
    square = jnp.square(x) - jnp.mean(jnp.square(x))
    arc = square - x * (jnp.vdot(square, x) / jnp.vdot(x, x))
    return jnp.square(jnp.vdot(arc, y)) / (jnp.vdot(arc, arc) * jnp.vdot(y, y))


def findings(result: Result) -> tuple[Assertion, ...]:
    """On each data set, by each method."""
    found: list[Assertion] = []
    for place in product(*map(range, result.convex.shape[:2])):
        found += _pictures(result, place)
        found += _artefacts(result, place)
    return tuple(found)


Place = tuple[int, ...]


def _setting(result: Result, place: Place) -> str:
    data, method = place
    records = result.convex.shape[-1] - 1
    return (
        f"{DATA[data]}, dense network of {result.weights[data]:,} weights, "
        f"{result.examples} examples, {METHODS[method].name}, batches of {SIZE}, "
        f"{EPOCHS * records} epochs, groups of {RUNS} runs"
    )


def _growth(distances: Float[np.ndarray, "group record"]) -> np.ndarray:
    """The logarithm of the factor by which they grow."""
    return np.log(distances[:, -1] / distances[:, 0])


def _too_large(seen: Seen, name: str, at: tuple[int, ...]) -> np.ndarray:
    """The logarithm of growth in a plane over growth in space, by group."""
    data, method, kind, part = at
    place = data, method, slice(None), kind, part
    return _growth(getattr(seen, name)[place]) - _growth(seen.between[place])


def _pictures(result: Result, place: Place) -> list[Assertion]:
    """Whether runs move apart, and whether the picture is true: of all weights and of
    one layer.
    """
    found = []
    seen = result.networks
    for part, role in enumerate((record.deciding, record.supporting)):
        own = (*place, slice(None), TRAINING, part)
        finding = partial(
            role,
            "C059",
            unit="log ratio",
            setting=f"{_setting(result, place)}, {PARTS[part]}",
            figure="distances",
        )
        found += [
            finding(
                "Runs from different starts end further apart than they start.",
                record.bootstrap(np.mean, _growth(seen.between[own])),
                APART,
            ),
            finding(
                "In the plane of their first two principal components distances "
                "between runs grow by the same factor as between their weights.",
                record.bootstrap(
                    np.mean, _too_large(seen, "shown", (*place, TRAINING, part))
                ),
                TRUE,
            ),
        ]
    return found


def _artefacts(result: Result, place: Place) -> list[Assertion]:
    """The controls, and what random walks show too; of all weights."""
    seen = result.networks
    setting = _setting(result, place)
    runs, walks = ((*place, slice(None), kind, WHOLE) for kind in (TRAINING, WALK))
    finding = partial(record.supporting, "C059", setting=setting, figure="distances")
    growth = partial(finding, unit="log ratio")
    fraction = partial(finding, unit="fraction difference", figure="variance")
    ends = seen.shown[runs][:, -1] ** 2 / seen.between[runs][:, -1] ** 2
    law = curvature.random_walk_variances(seen.between.shape[-1], count=2).sum()
    return [
        growth(
            "Control, a softmax regression with an l2 penalty: runs from different "
            "starts end further apart than they start.",
            record.bootstrap(np.mean, _growth(result.convex[place])),
            APART,
        ),
        growth(
            "Control, a plane drawn at random: distances between runs grow in it by "
            "the same factor as between their weights.",
            record.bootstrap(
                np.mean, _too_large(seen, "anywhere", (*place, TRAINING, WHOLE))
            ),
            TRUE,
        ),
        growth(
            "In the plane of their first two principal components distances between "
            "random walks, each from a run's start and as long, grow by the same "
            "factor as between all their coordinates.",
            record.bootstrap(np.mean, _too_large(seen, "shown", (*place, WALK, WHOLE))),
            TRUE,
        ),
        finding(
            "More than half of the squared distance between the ends of runs lies in "
            "the plane of their first two principal components.",
            record.bootstrap(np.mean, ends),
            record.above(0.5, margin=0.05, reason=MORE.reason),
            unit="fraction",
        ),
        fraction(
            "The plane of the first two principal components holds more of the "
            "variance of runs than of random walks, each from a run's start and as "
            "long.",
            record.bootstrap(
                np.mean, _held(seen.explained[runs]) - _held(seen.explained[walks])
            ),
            MORE,
        ),
        fraction(
            "The plane of its own first two principal components holds as much of the "
            "variance of a single run as a random walk of as many points in infinitely "
            "many dimensions has in its own.",
            record.bootstrap(np.mean, _held(seen.alone[runs]) - law),
            SAME,
        ),
        fraction(
            "In its own plane a single run is an arc as a random walk is: a parabola "
            "in the first coordinate explains 0.8 or more of the second.",
            record.bootstrap(np.mean, seen.bend[runs]),
            record.above(0.8, margin=0.05, reason=MORE.reason),
            unit="fraction",
        ),
    ]


def _held(explained: Float[np.ndarray, "group axis"]) -> np.ndarray:
    """The fraction of the variance that a plane holds, by group."""
    return np.sum(explained, axis=-1)


def figures(result: Result) -> dict[str, Figure]:
    """How far runs are apart by epoch; what planes hold; one group as it is drawn."""
    return {
        "distances": _distances(result),
        "variance": _variances(result),
        "paths": _paths(result),
    }


def _named(place: Place) -> str:
    data, method = place
    return f"{DATA[data]}, {METHODS[method].name}"


def _distances(result: Result) -> Figure:
    """Relative to the start; bands hold all groups."""
    places = list(product(*map(range, result.convex.shape[:2])))
    figure, axes = panels(len(places), 1, width=6.4, height=3.4)
    seen = result.networks
    epochs = EPOCHS * np.arange(result.convex.shape[-1])
    for place, axis in zip(places, axes, strict=True):
        runs, walks = ((*place, slice(None), kind, WHOLE) for kind in (TRAINING, WALK))
        for distances, name in (
            (seen.between[runs], "runs, all weights"),
            (seen.shown[runs], "runs, in their plane"),
            (seen.between[walks], "random walks, all coordinates"),
            (seen.shown[walks], "random walks, in their plane"),
            (seen.anywhere[runs], "runs, in a plane drawn at random"),
            (result.convex[place], "softmax regression, all weights"),
        ):
            relative = distances / distances[:, :1]
            band(axis, epochs, relative.T, name, within=1.0)
        axis.set_yscale("log")
        label(axis, _named(place), "epoch", "distance between runs, relative to start")
    shared_legend(figure, columns=2)
    return figure


def _variances(result: Result) -> Figure:
    """A point a group."""
    places = list(product(*map(range, result.convex.shape[:2])))
    figure, axes = panels(len(places), 1, width=6.4, height=3.2)
    seen = result.networks
    points = result.convex.shape[-1]
    for place, axis in zip(places, axes, strict=True):
        runs, walks = ((*place, slice(None), kind, WHOLE) for kind in (TRAINING, WALK))
        held = {
            f"{RUNS} runs": _held(seen.explained[runs]),
            f"{RUNS} random walks": _held(seen.explained[walks]),
            "one run": _held(seen.alone[runs]),
            "one random walk": _held(seen.alone[walks]),
        }
        strips(axis, held)
        law = curvature.random_walk_variances(points, count=2).sum()
        name = f"closed form, one walk of {points} points"
        axis.axhline(law, color="0.4", linestyle=":", label=name)
        axis.set_ylim(0, 1)
        label(axis, _named(place), "whose plane", "fraction of variance in the plane")
    shared_legend(figure)
    return figure


def _paths(result: Result) -> Figure:
    """The first group of each data set by the last method, and its random walks."""
    count = len(result.convex)
    figure, axes = panels(count, 2, width=5.0, height=4.6)
    last = result.convex.shape[1] - 1
    kinds = ("runs", "random walks from the same starts, as long")
    for axis, (data, kind) in zip(axes, product(range(count), (TRAINING, WALK))):
        _path(axis, result.networks, (data, last, 0, kind, WHOLE), kinds[kind])
    return figure


def _path(axis: Axes, seen: Seen, group: Place, name: str) -> None:
    data = group[0]
    principal_paths(
        axis,
        seen.projections[group],
        Shown(seen.explained[group], seen.residuals[group]),
        title=f"{DATA[data]}, {name}",
        names=[f"{number}" for number in range(1, RUNS + 1)],
    )
