"""Does a plane of principal components show how training runs move apart?

A homework of the course records the weights of 8 runs of one network every 3 epochs
and draws them in the plane of their first two principal components, for one layer and
for the whole network. The picture is read as runs that begin together and move apart.
It is true if two things hold of the root mean square distance between runs:

- They *move apart*: that distance, in all weights, grows from the start to the end by a
  tenth or more. It fails if the runs come together, or move in one direction.
- The picture *could show otherwise*: where the runs come together, the distance in the
  plane falls as well, by a tenth or more. The plane is chosen after the runs, where the
  recorded weights differ most. If what is random in a start lies in all directions
  alike, the plane hides the starts more than the ends, and runs seem to move apart
  whatever they do. Then the picture does not show it.

The runs that come together are those of the same network, examples, batches and rate
with an l2 penalty, which draws all weights to few minima near 0. Supporting: that they
do so in all weights, without which the second finding says nothing; that the distance
outside of the plane falls; a plane drawn at random, which is chosen by nothing and must
show the true factor, up to chance; the size of the growth in the plane, by the same
factor as in all weights, to 1.5 either way; growth relative to the norm of the weights;
and the first layer alone, 2,080 of 2,410 weights of digits, 1,600 of 1,930 of clothing,
and so nearly all. `walks` compares the picture with that of random walks, which are
drawn here.

A unit is a group of 8 runs, with 500 examples of its own; starts, orders, walks and
planes are drawn anew. Epochs are 10 updates. Rates are usual ones, not tuned: what is
compared is a group with itself. That a tenth is apart, and a factor of 1.5 wrong, are
choices.

Changed after probes of the seed 77: the first version decided by the factor of 1.5, and
three groups came near to it, as runs moved apart by 1.9 and the plane showed 1.4 times
as much. Whether the plane shows the direction is what decides now. The outcome was seen
before that was written: two groups of each setting came together to between 0.59 and
0.78, while the plane showed 1.6 to 1.8 of digits and 1.1 to 1.4 of clothing. Logarithms
differed between groups by less than 0.1, so that 10 groups decide. Growth without the
penalty was that of the norm of the weights. A softmax regression with a penalty, the
first control, changed the model and the loss at once, and was left out.

Not tested: other networks, longer training, the homework's pictures of digits, other
projections; runs that differ by a permutation of hidden units count as apart.

Claims: C059.
Sources: Li et al. 2018, arXiv:1712.09913, section 7; Antognini and Sohl-Dickstein 2018,
    arXiv:1806.08805.
Cost: 38 seconds on 2 cores, compilation included.
Expect: runs move apart; the plane shows it of runs that come together too.
Run: jaxml run trajectories
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Float, Int

from jaxml import curvature, learn, problem, randomness, record, tree
from jaxml.parallel import rows
from jaxml.record import Assertion
from jaxml.record.figures import Figure, band, label, panels, shared_legend
from jaxml.types import Keep, Workload

DATA = ("8x8 digits", "clothing of 7x7 pixels")
WORKLOADS = (problem.digits_workload, problem.small_clothing_workload)
RUNS = 8
EPOCHS = 3  # between two records, as the homework has it
SIZE = 50  # examples in a batch
PENALTIES = (0.0, 0.03)  # coefficients of the sum of squares
PLAIN, PENALISED = range(2)
PENALTY = f"an l2 penalty of {PENALTIES[PENALISED]:g}"
WITH = ("no penalty", "penalty")
PARTS = ("all weights", "the weights of the first layer")
NETWORKS, WALKS = range(2)
TENTH = float(np.log(1.1))
SEEN = "a tenth is hardly seen"
APART = record.above(0.0, margin=TENTH, reason=SEEN)
TOGETHER = record.below(0.0, margin=TENTH, reason=SEEN)
TRUE = record.near(
    0.0, margin=float(np.log(1.5)), reason="a picture that is out by half misleads"
)


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
    groups: int = 10
    records: int = 30
    examples: int = 500
    lanes: int = 4
    seed: int = 0


SMOKE = Config(data=1, methods=1, groups=2, records=3, examples=50, lanes=8)


class Result(NamedTuple):
    """Groups of runs.

    Attributes:
        seen: `[data, method, penalty, group, kind, part]` in front: PENALTIES; networks
            and random walks that match them; PARTS.
        weights: of a network.
        examples: that each group is trained on.
    """

    seen: curvature.Picture
    weights: Int[np.ndarray, " data"]
    examples: Int[np.ndarray, ""]


def study(config: Config, keep: Keep) -> Result:
    """One program a data set, method and penalty; group after group."""
    chosen = list(enumerate(WORKLOADS[: config.data]))
    places = config.data, config.methods, len(PENALTIES), config.groups, 2, len(PARTS)
    found: list[curvature.Picture] = []
    for (data, of), method in product(chosen, METHODS[: config.methods]):
        for penalty in PENALTIES:
            name = f"{DATA[data]}, {method.name}, penalty {penalty}"
            work = of(penalty=problem.l2(penalty))
            found += _groups(config, method, keep, name, work)

    def by_place(*values: np.ndarray) -> np.ndarray:
        return np.reshape(values, (*places, *np.shape(values[0])))

    return Result(
        seen=jax.tree.map(by_place, *found),
        weights=np.array([problem.weights(of()) for _, of in chosen]),
        examples=np.array(config.examples),
    )


def _groups(
    config: Config, method: Method, keep: Keep, name: str, work: Workload
) -> list[curvature.Picture]:
    """What is measured of each group, on examples of its own: PARTS of runs and of
    walks.
    """
    training = learn.recording(
        work,
        method.family,
        examples=config.examples,
        batch=SIZE,
        every=EPOCHS,
        records=config.records,
    )
    hyper = partial(learn.grid, learn.Hyper, lr=[method.rate])
    some = hyper(seed=randomness.seeds(config.seed, RUNS))
    program = learn.compiled(training, some, lanes=config.lanes)
    params, _ = jax.eval_shape(work.start, randomness.key(config.seed))
    layers = [tree.size(layer) for layer in params.values()]

    def group(number: int) -> list[curvature.Picture]:
        seeds = randomness.seeds(config.seed, RUNS, skip=number * RUNS)
        later = config.groups * RUNS + 3 * number  # after the seeds of all runs
        drawn, walks, plane = randomness.seeds(config.seed, 3, skip=later)
        order = np.random.default_rng(drawn).permutation(len(work.data.weights))
        there = training._replace(data=rows(work.data, order[: config.examples]))
        weights = learn.recorded_weights(program, there, hyper(seed=seeds))
        kinds = weights, curvature.matched_walks(weights, sizes=layers, seed=walks)
        parts = [part for kind in kinds for part in (kind, kind[..., : layers[0]])]
        return [curvature.picture(part, seed=plane) for part in parts]

    found: list[curvature.Picture] = []
    for number in range(config.groups):
        found += keep(f"{name} {number}", partial(group, number))
    return found


def findings(result: Result) -> tuple[Assertion, ...]:
    """On each data set, by each method; of all weights the first two decide."""
    found: list[Assertion] = []
    for place in np.ndindex(result.seen.bend.shape[:2]):
        for part, role in enumerate((record.deciding, record.supporting)):
            plain = _seen(result, (*place, PLAIN), part)
            penalised = _seen(result, (*place, PENALISED), part)
            setting = _setting(result, place, part)
            found += _judged(role, _moving(plain, penalised), setting)
            found += _judged(record.supporting, _beside(plain, penalised), setting)
    return tuple(found)


def _seen(result: Result, place: tuple[int, ...], part: int) -> curvature.Picture:
    """Networks of one place, groups in front."""
    at = (*place, slice(None), NETWORKS, part)
    return jax.tree.map(lambda field: field[at], result.seen)


def _setting(result: Result, place: tuple[int, ...], part: int) -> str:
    data, method = place
    epochs = EPOCHS * (result.seen.norm.shape[-1] - 1)
    return (
        f"{DATA[data]}, dense network of {result.weights[data]:,} weights, "
        f"{result.examples} examples, {METHODS[method].name}, batches of {SIZE}, "
        f"{epochs} epochs, groups of {RUNS} runs, {PARTS[part]}"
    )


Asked = tuple[str, np.ndarray, record.Rule]


def _judged(
    role: Callable[..., Assertion], asked: Sequence[Asked], setting: str
) -> list[Assertion]:
    """Means over groups of the logarithms of factors."""
    finding = partial(role, "C059", unit="log ratio", setting=setting)
    return [
        finding(statement, record.bootstrap(np.mean, values), rule)
        for statement, values, rule in asked
    ]


def _growth(distances: Float[np.ndarray, "group record"]) -> np.ndarray:
    """The logarithm of the factor by which they grow."""
    return np.log(distances[:, -1] / distances[:, 0])


def _moving(plain: curvature.Picture, penalised: curvature.Picture) -> list[Asked]:
    """Whether runs move apart, and whether the plane could show otherwise."""
    return [
        (
            "Runs from different starts end further apart than they start.",
            _growth(plain.between),
            APART,
        ),
        (
            f"Runs with {PENALTY}, which come together, come together in the plane of "
            "their first two principal components too.",
            _growth(penalised.shown),
            TOGETHER,
        ),
    ]


def _beside(plain: curvature.Picture, penalised: curvature.Picture) -> list[Asked]:
    """What runs with a penalty do, and by how much a plane is out."""
    growth = _growth(plain.between)
    return [
        (
            f"Control, runs with {PENALTY}: they end nearer to each other than they "
            "start.",
            _growth(penalised.between),
            TOGETHER,
        ),
        (
            f"Runs with {PENALTY} come together in the directions outside of the plane "
            "of their first two principal components.",
            _growth(penalised.outside),
            TOGETHER,
        ),
        (
            "In the plane of their first two principal components distances between "
            "runs grow by the same factor as between their weights.",
            _growth(plain.shown) - growth,
            TRUE,
        ),
        (
            "Control, a plane drawn at random: distances between runs grow in it by "
            "the same factor as between their weights.",
            _growth(plain.anywhere) - growth,
            TRUE,
        ),
        (
            "Runs from different starts end further apart than they start, relative to "
            "the norm of their weights.",
            growth - _growth(plain.norm),
            APART,
        ),
    ]


def figures(result: Result) -> dict[str, Figure]:
    """Distances between runs relative to their start; bands hold all groups."""
    points = result.seen.norm.shape[-1]
    cells = list(np.ndindex(result.seen.bend.shape[:3]))
    figure, axes = panels(len(cells) // 2, 2, width=5.4, height=3.4)
    for (data, method, penalty), axis in zip(cells, axes, strict=True):
        seen = _seen(result, (data, method, penalty), part=0)
        for distances, name in (
            (seen.between, "all weights"),
            (seen.shown, "in the plane of principal components"),
            (seen.outside, "outside of that plane"),
            (seen.anywhere, "in a plane drawn at random"),
        ):
            relative = distances / distances[:, :1]
            band(axis, EPOCHS * np.arange(points), relative.T, name, within=1.0)
        axis.set_yscale("log")
        title = f"{DATA[data]}, {METHODS[method].name}, {WITH[penalty]}"
        label(axis, title, "epoch", "distance between runs, 1 at the start")
    shared_legend(figure, columns=2)
    return {"distances": figure}
