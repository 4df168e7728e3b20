"""Are critical points more rarely minima in networks of more parameters?

The lecture's argument: with more directions one of them almost always leads down. What
it says of random matrices is in `random_matrices`; here are tanh networks with decay,
of five widths, on SINC and on the parity of digits.

A search is Adam for a number of updates drawn anew, up to 1,000, even in its
logarithm, so that searches begin at all heights; then descent on the gradient norm,
which prescribes no index. From random weights, without Adam, SINC is searched a second
time. (A pilot at another seed, of which only the yields were looked at, found from
there nothing on parity but the origin, where all weights are zero.) The searches favour
points with a wide basin of the gradient norm, and those near the path of Adam, which
leads to low losses. A narrow network's few points are found over and over, a wide one's
are sampled, and the rarely found ones are missing. All is said of points that are
found, not of all that exist.

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
from functools import partial
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Bool, Float, Int

from jaxml import curvature, learn, problem, randomness, record, tree
from jaxml.curvature import FLAT, MINIMUM, SADDLE, Certificate
from jaxml.parallel import rows
from jaxml.problem import Task
from jaxml.record import Assertion
from jaxml.record.figures import (
    Axes,
    Figure,
    label,
    panels,
)
from jaxml.types import Array, Batch, Keep, Key, Objective

DECAY = 1e-3
EXAMPLES = 100  # of a data set
INPUTS = 6  # components of digits, and copies of the control's input
RATE = 0.02  # of Adam


@dataclass(frozen=True, kw_only=True)
class Config:
    """Networks, data sets, searches on each, and how long they are."""

    widths: tuple[int, ...] = (1, 2, 3, 4, 6)
    datasets: int = 16
    searches: int = 16
    updates: int = 1000  # of Adam, at most
    iterations: int = 200
    seed: int = 0


SMOKE = Config(widths=(1,), datasets=3, searches=2, updates=20, iterations=20)


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


class Start(NamedTuple):
    """Where one search begins."""

    params: Array
    updates: Array
    data: Batch


def study(config: Config, keep: Keep) -> Result:
    """Each width in one program, with Adam and without."""

    def found(
        name: str, tasks: list[Task], objectives: list[Objective], updates: int
    ) -> Found:
        columns = []
        for task, objective in zip(tasks, objectives, strict=True):
            search = partial(_searched, config, task, objective, updates)
            columns.append(keep(f"{name} {len(columns)}", search))
        return Found(*(np.stack(column) for column in zip(*columns, strict=True)))

    with jax.enable_x64(True):
        sinc = [_sinc(width) for width in config.widths]
        parity = [_parity(width) for width in config.widths]
        of_sinc, of_parity = _objectives(sinc), _objectives(parity)
        middle = len(sinc) // 2
        alike = [of_parity[middle]]  # a function of as many inputs and units
        copied = [_copied(sinc[middle])]
        return Result(
            sinc=found("sinc", sinc, of_sinc, config.updates),
            parity=found("parity", parity, of_parity, config.updates),
            untrained=found("untrained", sinc, of_sinc, 0),
            control=found("control", copied, alike, config.updates),
            widths=np.array(config.widths),
        )


def _objectives(tasks: list[Task]) -> list[Objective]:
    return [jax.jit(problem.objective_of_vector(task)) for task in tasks]


def _sinc(width: int) -> Task:
    return problem.tanh_sinc(width, decay=DECAY, scale=2.0, points=1000)


def _parity(width: int) -> Task:
    return problem.parity_digits(width, components=INPUTS, decay=DECAY)


def _copied(task: Task) -> Task:
    """Inputs x/√6, six times over, and kernels that start as those of one input do."""
    root = np.sqrt(INPUTS)
    inputs = np.tile(task.batch.inputs, INPUTS) / root

    def init(key: Key, inputs: Array) -> tuple[Any, Any]:
        params, state = task.model.init(key, inputs)
        params["layer_00"]["kernel"] *= root
        return params, state

    model = task.model._replace(init=init)
    return task._replace(model=model, batch=task.batch._replace(inputs=inputs))


def _starts(config: Config, task: Task, updates: int) -> Start:
    """Data sets one after another; a network has one seed at all widths."""
    count, total = config.datasets * config.searches, len(task.batch.weights)
    networks = problem.networks(task, randomness.seeds(config.seed, count))
    vectors = jax.vmap(lambda params: tree.ravel(params)[0])(networks)
    draw = np.random.default_rng(config.seed)
    orders = [draw.permutation(total)[:EXAMPLES] for _ in range(config.datasets)]
    data = rows(task.batch, np.repeat(orders, config.searches, axis=0))
    drawn = np.expm1(draw.uniform(0, np.log1p(updates), count))
    return Start(np.asarray(vectors), drawn.astype(np.int32), data)


def _searched(config: Config, task: Task, objective: Objective, updates: int) -> Found:
    """All searches of one width, each by itself."""
    starts = _starts(config, task, updates)
    measured = curvature.mapped(_search, (config, objective), starts, None)
    certificate = jax.tree.map(np.asarray, measured)
    outcome, values = curvature.outcome(certificate), certificate.eigenvalues
    shape = config.datasets, config.searches
    dataset = np.repeat(np.arange(config.datasets), config.searches)
    negative = np.asarray(curvature.signs(certificate).negative)
    point = 1000 * dataset + negative  # no two data sets share any
    sure = np.flatnonzero(np.isin(outcome, (MINIMUM, SADDLE, FLAT)))
    first = sure[curvature.distinct(certificate.loss[sure], point[sure])]
    lowest = values[:, 0] / np.max(np.abs(values), axis=1)
    return Found(
        outcome=outcome.reshape(shape),
        distinct=np.isin(np.arange(len(outcome)), first).reshape(shape),
        loss=certificate.loss.reshape(shape),
        lowest=lowest.reshape(shape),
    )


def _search(config: Config, objective: Objective, start: Start, _: None) -> Certificate:
    """Adam, descent on the gradient norm, and what is measured there."""
    adam = learn.adam(learn.Hyper(lr=RATE))

    def loss(params: Array) -> Array:
        return objective(params, start.data)

    def step(_: Any, carry: tuple[Any, Any]) -> tuple[Any, Any]:
        params, state = carry
        value, gradient = jax.value_and_grad(loss)(params)
        return learn.update(adam, gradient, state, params, value=value, value_fn=loss)

    first = (start.params, learn.begin(adam, start.params))
    params, _ = jax.lax.fori_loop(0, start.updates, step, first)
    found = curvature.gradient_norm_descent(
        objective, params, start.data, iterations=config.iterations
    )
    return curvature.certify(objective, found.params, start.data)


class Counts(NamedTuple):
    """Of distinct points, and of the minima among them."""

    minima: Int[np.ndarray, "dataset width"]
    points: Int[np.ndarray, "dataset width"]


def _counts(found: Found) -> Counts:
    minima = found.distinct & (found.outcome == MINIMUM)
    return Counts(np.sum(minima, axis=2).T, np.sum(found.distinct, axis=2).T)


def _fraction(minima: Array, points: Array) -> float:
    """Minima among all points; 0 where there are none."""
    return float(np.sum(minima) / max(np.sum(points), 1))


def _change(minima: Array, points: Array) -> float:
    """The fraction in the two widest networks less that in the two narrowest."""
    wide = _fraction(minima[:, -END:], points[:, -END:])
    return wide - _fraction(minima[:, :END], points[:, :END])


END = 2  # widths at either end
RARER = record.below(
    0.0,
    margin=0.1,
    reason="one point in ten changes little for a short search",
)
SINC = f"sin(5πx)/(5πx) at {EXAMPLES} random points, decay {DECAY}"
PARITY = (
    f"parity of {EXAMPLES} random 8x8 digits from {INPUTS} components, decay {DECAY}"
)
DESCENT = "descent on the gradient norm"
PARTLY = f"{DESCENT} after up to 1,000 updates of Adam at {RATE}"
SETTINGS = {
    "sinc": f"{SINC}, {PARTLY}",
    "parity": f"{PARITY}, {PARTLY}",
    "untrained": f"{SINC}, {DESCENT} from random weights",
}


def findings(result: Result) -> tuple[Assertion, ...]:
    """Searches that begin at all heights decide; those from random weights support."""
    wide = " or ".join(map(str, result.widths[-END:]))
    narrow = " or ".join(map(str, result.widths[:END]))
    statement = (
        "Of distinct critical points that a search finds, a smaller fraction are "
        f"minima in networks of {wide} tanh units than of {narrow}."
    )
    judge = partial(_judged, result, statement)
    return (
        judge(record.deciding, "sinc"),
        judge(record.deciding, "parity"),
        judge(record.supporting, "untrained"),
    )


def _judged(
    result: Result, statement: str, role: Callable[..., Assertion], name: str
) -> Assertion:
    change = record.bootstrap(_change, *_counts(getattr(result, name)))
    return role(
        "C052",
        statement,
        change,
        RARER,
        unit="fraction difference",
        setting=SETTINGS[name],
    )


TITLES = {
    "sinc": "SINC, after up to 1,000 updates",
    "parity": "parity, after up to 1,000 updates",
    "untrained": "SINC, from random weights",
}


def figures(result: Result) -> dict[str, Figure]:
    """By width: each data set, and all of them with 95 %."""
    figure, axes = panels(1, 3)
    for axis, name in zip(axes, SETTINGS, strict=True):
        _draw(axis, _counts(getattr(result, name)), result.widths)
        axis.set_xticks(result.widths)
        label(axis, TITLES[name], "tanh units", "fraction of minima")
    handles = axes[0].get_legend_handles_labels()
    figure.legend(*handles, loc="outside upper center", ncols=2, fontsize=9)
    return {"fractions": figure}


def _draw(axis: Axes, counts: Counts, widths: Array) -> None:
    """A data set a grey dot, moved aside; all of them a line."""
    each = counts.minima / np.maximum(counts.points, 1)
    aside = np.linspace(-0.25, 0.25, len(each))[:, None] + widths[None]
    axis.scatter(aside, each, s=8, color="0.5", label="a data set")
    columns = zip(counts.minima.T, counts.points.T, strict=True)
    spread = [record.bootstrap(_fraction, *column) for column in columns]
    middle = np.array([each.estimate for each in spread])
    ends = np.array([(each.low, each.high) for each in spread]).clip(0, 1).T
    axis.errorbar(widths, middle, np.abs(ends - middle), capsize=3, label="all, 95 %")
    axis.set_ylim(-0.03, 1.03)
