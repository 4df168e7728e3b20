"""Does one hidden neuron fail, and do three succeed, on the toy sets of ConvNetJS?

The notes say so of an interactive demonstration whose classes are a disc and a ring
about it. Its units are tanh. One of them, whatever its weights, sees one direction of
the plane. With nothing behind it, it parts the points by a straight line; with a second
layer of two units, as the demonstration has, a sum of two tanh and a constant decides,
which has three zeros at most, since times both cosh it is a sum of four exponentials.
So the points are sorted along every direction in which their order differs, and changes
of class are counted: one is a line, two are a band, and with more than three no weights
separate them. If some direction had three or fewer, one unit might.

That three can has two meanings, and both decide. Weights exist: some of several starts
finds them; if none did, it would be undecided whether they exist. And training finds
them, which is what the demonstration shows: of each draw the first start, which is all
that its viewer sees. If only lucky starts found them, the second would fail.

The set is drawn as the demonstration does: 50 points of radius below 2, and 50 at equal
angles with radii from 3 to 5. Nine draws in ten are the thresholds: who says "cannot"
or "can" means the set, not a lucky draw of it. The controls are sets on which one unit
suffices: two discs side by side by a line, four corners (exclusive or) by a band. Other
sets show that three is no law: circles of radii 1 and ½, the corners, two spirals.

Training is Adam at rate 0.05, 600 updates of all points, initial weights as of
`problem.mlp` of that many units. Rate and budget were placed by twelve draws of the
seed 77, of whose runs none separated a set after 300 updates that it had not separated
by then. Forty draws of that seed, two starts each, all separated the ring with three
units and none with two; of its directions none had fewer than 14 changes. So of 60 the
intervals will end at 0.08 or begin at 0.92.

A unit is a draw of the points, with starts of its own. Not tested: other activations,
training of two hidden layers, the demonstration's own optimizer, points that were not
trained on.

Claims: C027.
Source: Karpathy 2014, ConvNetJS, the demonstration classify2d.
Cost: 9 seconds on 2 cores, compilation included.
Expect: one cannot, three can; a few starts of three units fail on circles.
Run: jaxml run separating_units
"""

from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from jaxml import learn, parallel, problem, randomness, record
from jaxml.record import Assertion
from jaxml.record.figures import Figure, label, panels, strips
from jaxml.types import Keep, Key

POINTS = 100
COUNTS = (1, 2, 3, 4, 6)  # hidden units
MOST = COUNTS[-1]
RATE = 0.05
SETS = (
    "disc and ring of ConvNetJS",
    "two discs side by side",
    "circles of radii 1 and ½, noise 0.05",
    "four corners (±1, ±1), noise 0.2",
    "two spirals, noise 0.02",
)
RING, DISCS, CIRCLES, CORNERS, SPIRALS = range(len(SETS))
PLANAR = {
    CIRCLES: (problem.circles, 0.05),
    CORNERS: (problem.xor, 0.2),
    SPIRALS: (problem.spirals, 0.02),
}
SORTED = (RING, DISCS, CORNERS)
CHANGES = 3  # of class along a direction, at most, by one unit
NEVER = record.below(0.1)
ALWAYS = record.above(0.9)


@dataclass(frozen=True, kw_only=True)
class Config:
    """Draws of each set, starts on each, and updates."""

    draws: int = 60
    starts: int = 4
    steps: int = 600
    lanes: int = 15
    seed: int = 0


SMOKE = Config(draws=2, starts=1, steps=20, lanes=5)


class Result(NamedTuple):
    """Of each set.

    Attributes:
        changes: of class along the direction that has fewest, of SORTED sets.
        accuracy: on its points, at the end of training.
        steps: updates.
    """

    changes: Int[np.ndarray, "set draw"]
    accuracy: Float[np.ndarray, "set count draw start"]
    steps: Int[np.ndarray, ""]


class Draw(NamedTuple):
    """Points of one set with their labels, and the seed of its starts."""

    points: Any
    labels: Any
    seed: Any


def study(config: Config, keep: Keep) -> Result:
    """One program for all sets and counts, for units that are too many are masked."""
    seeds = randomness.seeds(config.seed, config.draws)
    draws = [_drawn(kind, seed) for kind in range(len(SETS)) for seed in seeds]
    stacked = Draw(*map(np.stack, zip(*draws, strict=True)))
    accuracy = keep("accuracy", partial(_trained, config, stacked))
    by_set = accuracy.reshape(len(SETS), config.draws, len(COUNTS), config.starts)
    sorted_sets = [
        [_fewest_changes(_drawn(kind, seed)) for seed in seeds] for kind in SORTED
    ]
    return Result(
        changes=np.array(sorted_sets),
        accuracy=np.moveaxis(by_set, 2, 1),
        steps=np.array(config.steps),
    )


def _drawn(kind: int, seed: int) -> Draw:
    """One set."""
    if kind in PLANAR:
        draw, noise = PLANAR[kind]
        points, labels, _ = draw(POINTS, noise=noise, key=jax.random.key(seed))
    else:
        points, labels = (_ring if kind == RING else _discs)(seed)
    single = np.asarray(points, np.float32)
    return Draw(single, np.asarray(labels, np.int32), np.array(seed))


def _ring(seed: int) -> tuple[np.ndarray, np.ndarray]:
    draws, half = np.random.default_rng(seed), POINTS // 2
    radius = np.append(draws.uniform(0, 2, half), draws.uniform(3, 5, half))
    angle = 2 * np.pi * np.append(draws.uniform(size=half), np.arange(half) / half)
    points = radius[:, None] * np.stack([np.sin(angle), np.cos(angle)], axis=1)
    return points, np.repeat([1, 0], half)


def _discs(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """The disc, and again six to the right."""
    points, labels = _ring(seed)
    disc = points[labels == 1]
    return np.concatenate([disc, disc + np.array([[6.0, 0.0]])]), labels


def _fewest_changes(draw: Draw) -> int:
    """Of class, along the direction in which there are fewest.

    The count differs only where two points of unlike class change places; between two
    such directions one is tried.
    """
    points, labels = np.asarray(draw.points, np.float64), draw.labels
    apart = points[labels == 1][:, None] - points[labels == 0]
    swaps = np.sort(
        (np.arctan2(apart[..., 1], apart[..., 0]) + np.pi / 2) % np.pi, None
    )
    tried = (swaps + np.append(swaps[1:], swaps[0] + np.pi)) / 2
    along = np.stack([np.cos(tried), np.sin(tried)], axis=1) @ points.T
    classes = labels[np.argsort(along, axis=1)]
    return int(np.abs(np.diff(classes, axis=1)).sum(axis=1).min())


def _trained(config: Config, draws: Draw) -> np.ndarray:
    """Accuracies, by draw, count and start."""

    def of_chunk(chunk: Draw, shared: tuple[()]) -> jax.Array:
        del shared
        return jax.vmap(partial(_of_draw, config))(chunk)

    first = parallel.rows(draws, np.arange(config.lanes))
    chunks = len(draws.seed) // config.lanes
    program = parallel.compiled(of_chunk, first, (), chunks=chunks)
    return parallel.gathered(program, draws, ())


def _of_draw(config: Config, draw: Draw) -> jax.Array:
    """By count and start."""
    own = jax.random.fold_in(jax.random.key(draw.seed), 1)  # not that of the points
    keys = jax.random.split(own, config.starts)
    one = partial(_accuracy, config.steps, draw)
    by_start = jax.vmap(one, (None, 0))
    by_count = jax.vmap(by_start, (0, None))
    return by_count(jnp.asarray(COUNTS), keys)


def _accuracy(steps: int, draw: Draw, count: jax.Array, key: Key) -> jax.Array:
    """After training of a network whose units beyond `count` are silent, and whose last
    kernel is as large as that of a network without them.
    """
    model = problem.mlp((MOST, 2), jnp.tanh)
    params, _ = model.init(key, draw.points)
    scale = jnp.sqrt(MOST / count.astype(jnp.float32))
    heard = jnp.where(jnp.arange(MOST) < count, scale, 0)

    def masked(params: dict) -> dict:
        last = params["layer_01"]
        kernel = last["kernel"] * heard[:, None]
        return {**params, "layer_01": {**last, "kernel": kernel}}

    def logits(params: dict) -> jax.Array:
        own = masked(params)
        return model.apply(own, {}, draw.points, train=False, key=None)[0]

    def objective(params: dict, batch: None) -> jax.Array:
        del batch
        return jnp.mean(problem.cross_entropy(logits(params), draw.labels))

    adam = learn.adam(learn.Hyper(lr=jnp.float32(RATE)))
    end = learn.descended(objective, adam, params, None, steps=steps)
    return jnp.mean(problem.accuracy(logits(end), draw.labels))


def findings(result: Result) -> tuple[Assertion, ...]:
    """Of draws, whether one neuron can separate them, and what training does."""
    return (*_one_neuron(result), *_trained_units(result))


def _one_neuron(result: Result) -> list[Assertion]:
    """Draws whose class changes seldom enough; all but the first are controls."""
    roles = (record.deciding, record.supporting, record.supporting)
    return [
        role(
            "C027",
            "Whatever its weights, one hidden neuron separates all points in fewer "
            "than one draw in ten: draws whose class changes at most three times along "
            "some direction.",
            record.proportion(changes <= CHANGES, of=result.accuracy),
            NEVER,
            unit="fraction",
            setting=f"{SETS[kind]}, {POINTS} points, every direction",
        )
        for role, kind, changes in zip(roles, SORTED, result.changes, strict=True)
    ]


def _trained_units(result: Result) -> list[Assertion]:
    """Draws that some start separates, and that the first does."""
    budget = f"{result.accuracy.shape[-1]} starts, {result.steps:,} updates by Adam"
    layer = f"{POINTS} points, one hidden layer of tanh units, {budget}"
    found = []
    for kind, count in ((RING, 3), (RING, 2), (CIRCLES, 3), (CORNERS, 3), (SPIRALS, 3)):
        separated = result.accuracy[kind, COUNTS.index(count)] == 1
        asserted = partial(
            record.deciding if (kind, count) == (RING, 3) else record.supporting,
            "C027",
            rule=ALWAYS,
            unit="fraction",
            setting=f"{SETS[kind]}, {layer}",
        )
        exist = asserted(
            f"Weights with which {count} hidden neurons separate all points exist in "
            "more than nine draws in ten: draws that some start separates.",
            record.proportion(separated.any(axis=1), of=result.accuracy),
        )
        trained = asserted(
            f"Training from one start ends at weights with which {count} hidden "
            "neurons separate all points in more than nine draws in ten.",
            record.proportion(separated[:, 0], of=result.accuracy),
        )
        found += [exist, trained]
    return found


def figures(result: Result) -> dict[str, Figure]:
    """Above each count the accuracy of every run."""
    figure, axes = panels(1, len(SETS), width=3.3, height=3.3)
    for kind, axis in enumerate(axes):
        runs = zip(COUNTS, result.accuracy[kind], strict=True)
        strips(axis, {f"{count}": accuracy.ravel() for count, accuracy in runs})
        label(axis, SETS[kind], "hidden units", "training accuracy of a run")
    return {"units": figure}
