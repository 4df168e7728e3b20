"""Are critical points more rarely minima in networks of more parameters?

The lecture's argument: with more directions one of them almost always leads down. What
it says of random matrices is in `random_matrices`; here are tanh networks with decay,
of five widths, on SINC and on the parity of digits.

A search is Adam for a number of updates drawn anew, up to 1,000, even in its
logarithm, so that searches begin at all heights of the loss; then the gradient norm is
descended, which prescribes no index. From random weights, without Adam, SINC is
searched a second time. (A pilot at another seed, of which only the yields were read,
found from there nothing on parity but the origin, where all weights are zero.) The
searches favour points with a wide basin of the gradient norm, and those near the path
of Adam, which leads to low losses. A narrow network's few points are found over and
over, a wide one's are sampled, and the rarely found ones are missing. All is said of
points that are found, not of all that exist.

Outcomes: the claim is right where the fraction of minima, among distinct certified
points, is lower in the two widest networks than in the two narrowest; wrong where it is
higher; without effect within a margin of 0.1, since one point in ten changes little for
a search that meets a few. Negative control: the inputs of a network are written six
times, divided by √6, so that it has more parameters, the same functions and decay, and
critical points of the same indices. There the fraction must not move by more than the
margin. It is judged in `heights`, with the points of the lowest losses and the yields.

Units: data sets, 16. Each is searched 16 times, and is 100 points of SINC or 100 digits
drawn anew; points are distinct where loss or index differ on one data set. Counts are
summed over data sets, which the bootstrap draws, for points of one data set are not
independent. Budget: 200 steps of Levenberg and Marquardt, several times what is usual.
They are too few for two in five searches at 6 units on SINC. After the first full run,
1,500 steps were tried there at the pilot's seed: all 27 of 48 searches that had not
converged then did, and of 29 distinct points one was a minimum, of 10 none before, so
it is not a lack of steps that hides minima.

On SINC seeds 0 and 1 agree. On parity they do not: 16 data sets leave an interval of
±0.1, and more of them would be needed.

Claims: C052.
Sources: Dauphin et al. 2014, arXiv:1406.2572; Frye et al. 2021, arXiv:2003.10397.
Cost: 59 seconds on 2 cores, compilation included.
Expect: rarer, but not among the lowest points.
Run: jaxml run dimension
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Bool, Float, Int

from jaxml import curvature, learn, problem, randomness, record
from jaxml.curvature import MINIMUM, Certificate
from jaxml.parallel import rows
from jaxml.problem import Task
from jaxml.record import Assertion
from jaxml.record.figures import Axes, Figure, label, panels, shared_legend
from jaxml.types import Array, Batch, Keep, Objective

DECAY = 1e-3
EXAMPLES = 100  # of a data set
RATE = 0.02
ADAM = learn.adam(learn.Hyper(lr=RATE))


@dataclass(frozen=True, kw_only=True)
class Config:
    """Networks, data sets, searches on each, and how long they are.

    `inputs` are components of digits, and copies of the control's input.
    """

    widths: tuple[int, ...] = (1, 2, 3, 4, 6)
    inputs: int = 6
    datasets: int = 16
    searches: int = 16
    updates: int = 1000  # of Adam, at most
    iterations: int = 200
    seed: int = 0


SMOKE = Config(widths=(1,), inputs=1, datasets=3, searches=2, updates=20, iterations=20)


class Found(NamedTuple):
    """Where searches ended, of one kind of network and start.

    Attributes:
        outcome: as `curvature.outcome` codes it.
        distinct: the first certified search to find a point of its data set.
        loss: at the end.
        lowest: eigenvalue, in ‖H‖.
    """

    outcome: Int[np.ndarray, "width dataset search"]
    distinct: Bool[np.ndarray, "width dataset search"]
    loss: Float[np.ndarray, "width dataset search"]
    lowest: Float[np.ndarray, "width dataset search"]


class Result(NamedTuple):
    """By kind of network and start; the control has one width, the middle one."""

    sinc: Found
    parity: Found
    untrained: Found
    control: Found
    widths: Int[np.ndarray, " width"]
    inputs: Int[np.ndarray, ""]


class Start(NamedTuple):
    """Where one search begins: a vector, updates of Adam to come, and a data set."""

    params: Array
    updates: Array
    data: Batch


def study(config: Config, keep: Keep) -> Result:
    """Each width in one program, with Adam and without."""
    found = partial(_found, config, keep)
    middle = config.widths[len(config.widths) // 2]
    with jax.enable_x64(True):
        sinc = {width: _sinc(width) for width in config.widths}
        parity = {width: _parity(config.inputs, width) for width in config.widths}
        copied = problem.wider_inputs(sinc[middle], config.inputs)
        return Result(
            sinc=found("sinc", sinc, config.updates),
            parity=found("parity", parity, config.updates),
            untrained=found("untrained", sinc, 0),
            control=found("control", {middle: copied}, config.updates),
            widths=np.array(config.widths),
            inputs=np.array(config.inputs),
        )


def _sinc(width: int) -> Task:
    return problem.tanh_sinc(width, decay=DECAY, scale=2.0, points=1000)


def _parity(inputs: int, width: int) -> Task:
    return problem.parity_digits(width, components=inputs, decay=DECAY)


def _found(
    config: Config, keep: Keep, name: str, tasks: dict[int, Task], updates: int
) -> Found:
    """Searches of all widths."""
    found = []
    for width, task in tasks.items():
        inputs = task.batch.inputs.shape[1]
        objective = _objective(inputs, width)
        search = partial(_searched, config, task, objective, updates)
        found.append(keep(f"{name}, {width} units", search))
    return Found(*map(np.stack, zip(*found, strict=True)))


def _searched(config: Config, task: Task, objective: Objective, updates: int) -> Found:
    """All searches of one width, each by itself."""
    starts = _starts(config, task, updates)
    fixed = (config.iterations, objective)
    measured = curvature.mapped(_search, fixed, starts, None)
    return _judged(config, jax.tree.map(np.asarray, measured))


def _starts(config: Config, task: Task, updates: int) -> Start:
    """Data sets one after another; a network has one seed at all widths."""
    count = config.datasets * config.searches
    seeds = randomness.seeds(config.seed, count)
    vectors = problem.initial_vectors(task, seeds)
    draw = np.random.default_rng(config.seed)
    total = len(task.batch.weights)
    orders = [draw.permutation(total) for _ in range(config.datasets)]
    chosen = np.array(orders)[:, :EXAMPLES]
    each = np.repeat(chosen, config.searches, axis=0)
    logarithm = draw.uniform(0, np.log1p(updates), count)
    return Start(
        params=np.asarray(vectors),
        updates=np.expm1(logarithm).astype(np.int32),
        data=rows(task.batch, each),
    )


@cache
def _objective(inputs: int, width: int) -> Objective:
    """Networks of as many inputs and units share it, whatever their data, and so the
    program of their searches.
    """
    of_vector = problem.objective_of_vector(_parity(inputs, width))
    return jax.jit(of_vector)


def _search(
    iterations: int, objective: Objective, start: Start, _: None
) -> Certificate:
    """Adam, descent on the gradient norm, and what is measured there."""
    params = learn.descended(
        objective, ADAM, start.params, start.data, steps=start.updates
    )
    found = curvature.gradient_norm_descent(
        objective, params, start.data, iterations=iterations
    )
    return curvature.certify(objective, found.params, start.data)


def _judged(config: Config, certificate: Certificate) -> Found:
    """Outcomes, and which points are found for the first time on their data set."""
    shape = (config.datasets, config.searches)
    dataset, _ = np.indices(shape)
    values = certificate.eigenvalues
    largest = np.max(np.abs(values), axis=1)
    searches = Found(
        outcome=curvature.outcome(certificate),
        distinct=curvature.discoveries(certificate, dataset.ravel()),
        loss=certificate.loss,
        lowest=values[:, 0] / largest,
    )
    return jax.tree.map(lambda column: column.reshape(shape), searches)


class Counts(NamedTuple):
    """Of distinct points, and of the minima among them."""

    minima: Int[np.ndarray, "dataset width"]
    points: Int[np.ndarray, "dataset width"]


def _counts(found: Found) -> Counts:
    points = found.distinct
    minima = points & (found.outcome == MINIMUM)
    return Counts(minima.sum(axis=2).T, points.sum(axis=2).T)


def _fraction(minima: Array, points: Array) -> float:
    """Minima among all points; 0 where there are none."""
    return float(np.sum(minima) / max(np.sum(points), 1))


def _change(minima: Array, points: Array) -> float:
    """The fraction in the two widest networks minus that in the two narrowest."""
    wide = _fraction(minima[:, -END:], points[:, -END:])
    narrow = _fraction(minima[:, :END], points[:, :END])
    return wide - narrow


END = 2  # widths at either end
RARER = record.below(
    0.0,
    margin=0.1,
    reason="one point in ten changes little for a short search",
)
DESCENT = "descent on the gradient norm"
PARTLY = f"{DESCENT} after up to 1,000 updates of Adam at {RATE}"


def findings(result: Result) -> tuple[Assertion, ...]:
    """Searches that begin at all heights decide; those from random weights support."""
    sinc = f"sin(5πx)/(5πx) at {EXAMPLES} random points, decay {DECAY}"
    parity = (
        f"parity of {EXAMPLES} random 8x8 digits from {result.inputs} components, "
        f"decay {DECAY}"
    )
    rarer = partial(_rarer, result.widths)
    return (
        rarer(record.deciding, result.sinc, f"{sinc}, {PARTLY}"),
        rarer(record.deciding, result.parity, f"{parity}, {PARTLY}"),
        rarer(
            record.supporting,
            result.untrained,
            f"{sinc}, {DESCENT} from random weights",
        ),
    )


def _rarer(
    widths: Array, role: Callable[..., Assertion], found: Found, setting: str
) -> Assertion:
    names = [str(width) for width in widths]
    wide = " or ".join(names[-END:])
    narrow = " or ".join(names[:END])
    return role(
        "C052",
        "Of distinct critical points that a search finds, a smaller fraction are "
        f"minima in networks of {wide} tanh units than of {narrow}.",
        record.bootstrap(_change, *_counts(found)),
        RARER,
        unit="fraction difference",
        setting=setting,
    )


TITLES = {
    "sinc": "SINC, after up to 1,000 updates",
    "parity": "parity, after up to 1,000 updates",
    "untrained": "SINC, from random weights",
}


def figures(result: Result) -> dict[str, Figure]:
    """By width: each data set, and all of them with 95 %."""
    figure, axes = panels(1, 3)
    for axis, (name, title) in zip(axes, TITLES.items(), strict=True):
        _draw(axis, _counts(getattr(result, name)), result.widths)
        axis.set_xticks(result.widths)
        label(axis, title, "tanh units", "fraction of minima")
    shared_legend(figure)
    return {"fractions": figure}


def _draw(axis: Axes, counts: Counts, widths: Array) -> None:
    """A data set a grey dot, moved aside; all of them a line and a band."""
    each = counts.minima / np.maximum(counts.points, 1)
    moved = np.linspace(-0.25, 0.25, len(each))
    aside = np.add.outer(moved, widths)
    axis.scatter(aside, each, s=8, color="0.4", label="a data set")
    intervals = []
    for minima, points in zip(counts.minima.T, counts.points.T, strict=True):
        intervals.append(record.bootstrap(_fraction, minima, points))
    estimate = [interval.estimate for interval in intervals]
    low = [interval.low for interval in intervals]
    high = [interval.high for interval in intervals]
    axis.plot(widths, estimate, label="all data sets, with 95 %")
    axis.fill_between(widths, low, high, alpha=0.2)
    axis.set_ylim(-0.03, 1.03)
