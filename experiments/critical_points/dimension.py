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
a search that meets a few. The same is asked of the third of points with the lowest
loss, width by width, since height and index go together. Negative control: the inputs
of a network are written six times, divided by √6, so that it has more parameters, the
same functions and decay, and critical points of the same indices. There the fraction
must not move by more than the margin.

Units: data sets, 16. Each is searched 16 times, and is 64 points of SINC or 200 digits
drawn anew; points are distinct where loss or index differ on one data set. Counts are
summed over data sets, which the bootstrap draws, for points of one data set are not
independent. Budget: 200 steps of Levenberg and Marquardt, several times what is usual.

Claims: C052.
Sources: Dauphin et al. 2014, arXiv:1406.2572; Frye et al. 2021, arXiv:2003.10397.
Cost: two minutes on 2 cores: 4,096 searches in eleven compiled programs.
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
from jaxml.curvature import FLAT, MINIMUM, OUTCOMES, SADDLE, Certificate
from jaxml.parallel import rows
from jaxml.problem import Task
from jaxml.record import Assertion
from jaxml.record.figures import (
    Axes,
    Figure,
    label,
    panels,
    stacked_shares,
    symmetric_log,
)
from jaxml.types import Array, Batch, Keep, Key, Objective

DECAY = 1e-3
POINTS, DIGITS = 64, 200  # of a data set
RATE = 0.02  # of Adam


@dataclass(frozen=True, kw_only=True)
class Config:
    """Networks, data sets, searches on each, and how long they are."""

    widths: tuple[int, ...] = (1, 2, 3, 4, 6)
    datasets: int = 16
    searches: int = 16
    updates: int = 1000  # of Adam, at most
    iterations: int = 200
    copies: int = 6  # of the control's inputs
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


class Landscapes(NamedTuple):
    """A network on all examples, of which data sets are drawn."""

    task: Task
    objective: Objective
    examples: int  # of a data set


def study(config: Config, keep: Keep) -> Result:
    """Each width in one program, with Adam and without."""

    def found(name: str, widths: list[Landscapes], updates: int) -> Found:
        columns = []
        for place, each in enumerate(widths):
            search = partial(_searched, config, each, updates)
            columns.append(keep(f"{name} {place}", search))
        return Found(*(np.stack(column) for column in zip(*columns, strict=True)))

    with jax.enable_x64(True):
        tasks = [_sinc(width) for width in config.widths]
        sinc = [_landscapes(task, POINTS) for task in tasks]
        parity = [_landscapes(_parity(width), DIGITS) for width in config.widths]
        copied = _landscapes(_copied(config, tasks[len(tasks) // 2]), POINTS)
        return Result(
            sinc=found("sinc", sinc, config.updates),
            parity=found("parity", parity, config.updates),
            untrained=found("untrained", sinc, 0),
            control=found("control", [copied], config.updates),
            widths=np.array(config.widths),
        )


def _sinc(width: int) -> Task:
    return problem.tanh_sinc(width, decay=DECAY, scale=2.0, points=1000)


def _parity(width: int) -> Task:
    return problem.parity_digits(width, components=6, decay=DECAY)


def _landscapes(task: Task, examples: int) -> Landscapes:
    return Landscapes(task, jax.jit(problem.objective_of_vector(task)), examples)


def _copied(config: Config, task: Task) -> Task:
    """Inputs x/√c, c times over, and kernels that start as those of one input do."""
    root = np.sqrt(config.copies)
    inputs = np.tile(task.batch.inputs, config.copies) / root

    def init(key: Key, inputs: Array) -> tuple[Any, Any]:
        params, state = task.model.init(key, inputs)
        params["layer_00"]["kernel"] *= root
        return params, state

    model = task.model._replace(init=init)
    return task._replace(model=model, batch=task.batch._replace(inputs=inputs))


def _starts(config: Config, landscapes: Landscapes, updates: int) -> Start:
    """Data sets one after another; a network has one seed at all widths."""
    batch, count = landscapes.task.batch, config.datasets * config.searches
    seeds = randomness.seeds(config.seed, count)
    networks = problem.networks(landscapes.task, seeds)
    vectors = jax.vmap(lambda params: tree.ravel(params)[0])(networks)
    draw = np.random.default_rng(config.seed)
    orders = [draw.permutation(len(batch.weights)) for _ in range(config.datasets)]
    chosen = np.stack(orders)[:, : landscapes.examples]
    data = rows(batch, np.repeat(chosen, config.searches, axis=0))
    drawn = np.expm1(draw.uniform(0, np.log1p(updates), count))
    return Start(np.asarray(vectors), drawn.astype(np.int32), data)


def _searched(config: Config, landscapes: Landscapes, updates: int) -> Found:
    """All searches of one width, each by itself."""
    starts, fixed = _starts(config, landscapes, updates), (config, landscapes.objective)
    measured = curvature.mapped(_search, fixed, starts, None)
    certificate = jax.tree.map(np.asarray, measured)
    values = certificate.eigenvalues
    columns = Found(
        outcome=curvature.outcome(certificate),
        distinct=_distinct(config, certificate),
        loss=certificate.loss,
        lowest=values[:, 0] / np.max(np.abs(values), axis=1),
    )
    shape = config.datasets, config.searches
    return Found(*(column.reshape(shape) for column in columns))


def _distinct(config: Config, certificate: Certificate) -> Bool[np.ndarray, " search"]:
    """The first certified search to find a point of its data set."""
    outcome = curvature.outcome(certificate)
    negative = np.asarray(curvature.signs(certificate).negative)
    dataset = np.repeat(np.arange(config.datasets), config.searches)
    distinct = np.zeros(len(outcome), bool)
    for each in range(config.datasets):
        certified = np.isin(outcome, (MINIMUM, SADDLE, FLAT)) & (dataset == each)
        sure = np.flatnonzero(certified)
        first = curvature.distinct(certificate.loss[sure], negative[sure])
        distinct[sure[first]] = True
    return distinct


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


def _counts(found: Found, part: float = 1.0) -> Counts:
    """Of the points whose loss is in the lowest part of those of their width."""
    low = found.distinct.copy()
    for width, loss in enumerate(found.loss):
        losses = loss[low[width]]
        if len(losses):
            low[width] &= loss <= np.quantile(losses, part)
    minima = low & (found.outcome == MINIMUM)
    return Counts(np.sum(minima, axis=2).T, np.sum(low, axis=2).T)


def _fraction(minima: Array, points: Array) -> float:
    """Minima among all points; 0 where there are none."""
    return float(np.sum(minima) / max(np.sum(points), 1))


def _change(minima: Array, points: Array) -> float:
    """The fraction in the wider half of networks less that in the narrower."""
    end = _end(minima.shape[1])
    wide = _fraction(minima[:, -end:], points[:, -end:])
    return wide - _fraction(minima[:, :end], points[:, :end])


def _end(widths: int) -> int:
    """How many widths are at either end, the middle one left out."""
    return max(1, widths // 2)


REASON = "one point in ten changes little for a search that meets a few"
RARER = record.below(0.0, margin=0.1, reason=REASON)
SINC = f"sin(5πx)/(5πx) at {POINTS} random points, decay {DECAY}"
PARITY = f"parity of {DIGITS} random 8x8 digits from 6 components, decay {DECAY}"
DESCENT = "descent on the gradient norm"
PARTLY = f"{DESCENT} after up to 1,000 updates of Adam at {RATE}"
SETTINGS = {
    "sinc": f"{SINC}, {PARTLY}",
    "parity": f"{PARITY}, {PARTLY}",
    "untrained": f"{SINC}, {DESCENT} from random weights",
}
THIRD = 1 / 3


def findings(result: Result) -> tuple[Assertion, ...]:
    """Searches that begin at all heights decide; all else supports."""
    found: list[Assertion] = []
    for name in SETTINGS:
        found += _rarer(result, name)
    return (*found, _control(result))


def _rarer(result: Result, name: str) -> tuple[Assertion, ...]:
    """All points of one way to search, and the lowest third."""
    found, end = getattr(result, name), _end(len(result.widths))
    wide = " or ".join(map(str, result.widths[-end:]))
    narrow = " or ".join(map(str, result.widths[:end]))
    than = f"in networks of {wide} tanh units than of {narrow}."
    role = record.supporting if name == "untrained" else record.deciding
    return (
        role(
            "C052",
            "Of distinct critical points that a search finds, a smaller fraction are "
            f"minima {than}",
            record.bootstrap(_change, *_counts(found)),
            RARER,
            unit="fraction difference",
            setting=SETTINGS[name],
        ),
        record.supporting(
            "C052",
            "Of the third of lowest losses among the distinct critical points that a "
            f"search finds at one width, a smaller fraction are minima {than}",
            record.bootstrap(_change, *_counts(found, THIRD)),
            RARER,
            unit="fraction difference",
            setting=SETTINGS[name],
        ),
    )


def _control(result: Result) -> Assertion:
    """More parameters, and the same critical points."""
    units = result.widths[len(result.widths) // 2]
    return record.supporting(
        "C052",
        "Copies of the inputs, which add parameters and leave the indices of critical "
        "points as they are, do not change the fraction of minima among the distinct "
        "points that a search finds (negative control).",
        record.bootstrap(_change, *_both(result)),
        record.near(0.0, margin=0.1, reason=REASON),
        unit="fraction difference",
        setting=f"{SINC}, {units} tanh units, {PARTLY}",
    )


def _both(result: Result) -> Counts:
    """The inputs once, and the inputs copied, as two widths."""
    middle = len(result.widths) // 2
    once = Found(*(column[middle : middle + 1] for column in result.sinc))
    counts = zip(_counts(once), _counts(result.control), strict=True)
    return Counts(*(np.hstack(each) for each in counts))


TITLES = {
    "sinc": "SINC, after up to 1,000 updates",
    "parity": "parity, after up to 1,000 updates",
    "untrained": "SINC, from random weights",
}


def figures(result: Result) -> dict[str, Figure]:
    """The fraction of minima, the lowest eigenvalues, and how the searches ended."""
    return {
        "fractions": _drawn(result, _draw_fractions, "fraction of minima"),
        "lowest": _drawn(result, _draw_lowest, "lowest eigenvalue (‖H‖)"),
        "outcomes": _outcomes(result),
    }


def _drawn(
    result: Result, draw: Callable[[Axes, Found, Array], None], measured: str
) -> Figure:
    """A panel for each way to search."""
    figure, axes = panels(1, 3)
    for axis, name in zip(axes, SETTINGS, strict=True):
        draw(axis, getattr(result, name), result.widths)
        axis.set_xticks(result.widths)
        label(axis, TITLES[name], "tanh units", measured)
    handles = axes[0].get_legend_handles_labels()
    figure.legend(*handles, loc="outside upper center", ncols=2, fontsize=9)
    return figure


def _draw_fractions(axis: Axes, found: Found, widths: Array) -> None:
    """Of all points and of the lowest third, with 95 % over data sets."""
    for name, part in {"all distinct points": 1.0, "lowest third": THIRD}.items():
        counts = _counts(found, part)
        columns = zip(counts.minima.T, counts.points.T, strict=True)
        spread = [record.bootstrap(_fraction, *column) for column in columns]
        middle = np.array([each.estimate for each in spread])
        ends = np.array([(each.low, each.high) for each in spread]).clip(0, 1).T
        axis.errorbar(widths, middle, np.abs(ends - middle), capsize=3, label=name)
    axis.set_ylim(-0.03, 1.03)


def _draw_lowest(axis: Axes, found: Found, widths: Array) -> None:
    """Every distinct point, by its data set from left to right."""
    width, dataset, _ = np.nonzero(found.distinct)
    aside = 0.6 * dataset / found.distinct.shape[1] - 0.3
    lowest = found.lowest[found.distinct]
    x = np.asarray(widths)[width] + aside
    axis.scatter(x, lowest, s=6, color="black", alpha=0.4, label="a distinct point")
    symmetric_log(axis, 1e-4)


def _outcomes(result: Result) -> Figure:
    """The fraction of searches by how they ended, by width."""
    figure, axes = panels(1, 3, height=4.0)
    for axis, name in zip(axes, SETTINGS, strict=True):
        fractions = {}
        outcomes = getattr(result, name).outcome
        for width, ended in zip(result.widths, outcomes, strict=True):
            count = np.bincount(ended.ravel(), minlength=len(OUTCOMES))
            fractions[f"{width} units"] = count / np.sum(count)
        stacked_shares(axis, fractions, OUTCOMES)
        label(axis, "", "fraction of searches", TITLES[name])
    return figure
