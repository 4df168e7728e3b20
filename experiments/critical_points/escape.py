"""Do gradient descent and SGD leave saddles without the help of the Hessian?

From the saddles of `negative_curvature`: transition states, and *zero-unit saddles*,
where one unit has weights of zero. There the gradient of every example vanishes along
the lowest eigenvector, so the noise of SGD cannot see the way down: they are *blind*.

Budget. From ε off, the part along the lowest eigenvector grows by 1 + η|λ| an update,
so leaving takes ln(1/ε) e-folds of it, 18.4 at 1e-8, and a few more for a random
direction and the fall. A run has 40, at η = 1/(4‖H‖): a batch bends more steeply than
all examples, hence the quarter. At the flattest saddle that counts, |λ| = 1e-3 ‖H‖,
they are 160,000 updates.

A run has left where its loss on all its examples has made half of the drop that can be
reached: the smaller of the drops that gradient descent makes, in the same budget, from
0.01 of the weights' norm along the lowest eigenvector, on either side.

If the claim holds, more than 3/4 of saddles are left from 1e-4 off; it fails where runs
stay. Negative control: from minima, by the median drop and updates of the saddles, no
run may leave. Units are networks, each with weights and digits of its own; 18 can tell
a fraction from 3/4 with Holm's correction for four. `escape_noise` asks how the updates
depend on ε, and what SGD does on a saddle itself.

A first version started on the saddles themselves, all of them blind, stopped after 0.8
to 14 e-folds, and asked for a loss 1 % lower, which half of them cannot reach.

Claims: C051.
Sources: Lee et al. 2016, arXiv:1602.04915; Jin et al. 2017, arXiv:1703.00887; Fukumizu
and Amari 2000; Chen et al. 2023, arXiv:2306.04251.
Cost: 40 seconds on 2 cores, after `negative_curvature`: 8 runs from each of 180
points.
Expect: both leave both kinds of saddle, and no minimum.
Run: jaxml run escape
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from jaxml import curvature, learn, problem, randomness, record, tree
from jaxml.record import Assertion
from jaxml.record.figures import band, label, panels, shared_legend
from jaxml.types import Array, Batch, Key, Objective

NEEDS = ("negative_curvature",)
ALL, NOISY, BATCH = range(3)  # what a gradient is of
NOISE = 1e-3  # standard deviation
SIZE = 12  # examples in a batch
PER_FOLD = 4  # evaluations in an e-fold
KINDS = (
    "saddles of index 1 between minima",
    "saddles with a unit of zero weights",
    "minima",
)
TRANSITION, ZERO_UNIT, LOWEST = range(len(KINDS))


class Method(NamedTuple):
    """Where a run starts, and what its gradients are.

    Attributes:
        along: of the start, along the lowest eigenvector, in ‖θ‖.
        offset: of the start, in a random direction, in ‖θ‖.
        gradient: of ALL examples, of all with NOISE on each entry, or of a BATCH.
    """

    along: Any = 0.0
    offset: Any = 0.0
    gradient: Any = ALL


ONE_SIDE, OTHER_SIDE = Method(along=0.01), Method(along=-0.01)
GRADIENT_DESCENT = Method(offset=1e-4)
SGD = Method(offset=1e-4, gradient=BATCH)
ON_IT = Method(gradient=BATCH)
METHODS = [
    ONE_SIDE,
    OTHER_SIDE,
    GRADIENT_DESCENT,
    SGD,
    Method(offset=1e-8),
    Method(offset=1e-8, gradient=BATCH),
    ON_IT,
    Method(gradient=NOISY),
]


@dataclass(frozen=True, kw_only=True)
class Config:
    """How far a run goes."""

    folds: int = 40  # e-folds along the lowest eigenvector
    seed: int = 0


SMOKE = Config(folds=2)


class Result(NamedTuple):
    """Runs from all points; from those of no kind they are hardly moved.

    Attributes:
        kind: as in `negative_curvature`.
        methods: the METHODS, a column a field.
        fold: e-folds between two evaluations.
        drop: of the loss that can be reached; at a minimum that of the median
            transition state.
        change: of the loss on all examples since the point itself, in drops.
        left: e-folds until a run has left, infinite where it stays.
        folds: e-folds of a run.
    """

    kind: Int[np.ndarray, " point"]
    methods: Method
    fold: Float[np.ndarray, " point"]
    drop: Float[np.ndarray, " point"]
    change: Float[np.ndarray, "point method evaluation"]
    left: Float[np.ndarray, "point method"]
    folds: np.ndarray


class Start(NamedTuple):
    """A point, and what all runs from it share."""

    point: Array
    data: Batch
    rate: Array
    between: Array  # updates between two evaluations
    key: Key


def _runs(config: Config, objective: Objective, start: Start, _: None) -> Array:
    """The losses of all methods, one after another, [method, evaluation]."""
    product = curvature.hessian_product(objective, start.point, start.data)
    _, vectors = jnp.linalg.eigh(curvature.dense(product, start.point))
    aside = tree.random_like(start.point, start.key)

    def run(method: Method) -> Array:
        away = method.offset * aside / jnp.linalg.norm(aside)
        offset = away + method.along * vectors[:, 0]
        first = start.point + jnp.linalg.norm(start.point) * offset
        return _walk(config, objective, start, method, first)

    return jax.lax.map(run, _table())


def _table() -> Method:
    """The METHODS, a column a field."""
    columns = zip(*METHODS, strict=True)
    return Method(*(np.array(column) for column in columns))


def _walk(
    config: Config, objective: Objective, start: Start, method: Method, first: Array
) -> Array:
    """The loss on all examples before each stretch of a run, and at its end."""
    draw = learn.shuffled(start.data, SIZE).draw

    def of_all(x: Array, _: Array) -> Array:
        return jax.grad(objective)(x, start.data)

    def of_noisy(x: Array, step: Array) -> Array:
        kick = tree.random_like(x, jax.random.fold_in(start.key, step))
        return of_all(x, step) + NOISE * kick

    def of_batch(x: Array, step: Array) -> Array:
        return jax.grad(objective)(x, draw(start.data, start.key, step))

    def update(step: Array, x: Array) -> Array:
        kinds = (of_all, of_noisy, of_batch)
        return x - start.rate * jax.lax.switch(method.gradient, kinds, x, step)

    def stretch(x: Array, count: Array) -> tuple[Array, Array]:
        begin = count * start.between
        end = jax.lax.fori_loop(begin, begin + start.between, update, x)
        return end, objective(x, start.data)

    counts = jnp.arange(PER_FOLD * config.folds, dtype=jnp.int32)
    end, losses = jax.lax.scan(stretch, first, counts)
    return jnp.append(losses, objective(end, start.data))


def _between(kind: Array, growth: Array) -> Array:
    """Updates in a quarter of an e-fold; at minima as many as at the median saddle."""
    updates = np.ceil(1 / (PER_FOLD * growth))
    saddle = (kind == TRANSITION) | (kind == ZERO_UNIT)
    usual = np.ceil(np.median(updates[saddle])) if np.any(saddle) else 1
    between = np.select([saddle, kind == LOWEST], [updates, usual], 1)
    return between.astype(np.int32)


def _drops(kind: np.ndarray, before: np.ndarray, loss: np.ndarray) -> np.ndarray:
    """On the side of the lowest eigenvector where it is smaller."""
    sides = loss[:, [METHODS.index(ONE_SIDE), METHODS.index(OTHER_SIDE)], -1]
    drop = before - sides.max(axis=1)
    transition = drop[kind == TRANSITION]
    usual = np.median(transition) if len(transition) else 1.0
    return np.where(kind == LOWEST, usual, drop)


def study(config: Config, keep: Callable[..., Any], negative_curvature: Any) -> Result:
    """All runs from all points in one program."""
    points = negative_curvature
    rate = 1 / (4 * points.largest)
    growth = np.log1p(rate * np.abs(points.lowest))  # e-folds of an update
    between = _between(points.kind, growth)
    with jax.enable_x64(True):
        objective = jax.jit(problem.objective_of_vector(problem.parity_digits()))
        keys = jax.random.split(randomness.key(config.seed), len(between))
        starts = Start(points.params, points.data, rate, between, keys)
        loss = keep(
            "runs", lambda: curvature.mapped(_runs, (config, objective), starts, None)
        )
    fold = growth * between
    before = loss[:, METHODS.index(ON_IT), 0]
    drop = _drops(points.kind, before, loss)
    change = (loss - before[:, None, None]) / drop[:, None, None]
    half = change < -0.5
    first = np.where(np.any(half, axis=2), np.argmax(half, axis=2), np.inf)
    return Result(
        kind=points.kind,
        methods=_table(),
        fold=fold,
        drop=drop,
        change=change,
        left=first * fold[:, None],
        folds=np.array(config.folds),
    )


SETTING = (
    "parity of random 8x8 digits from 8 whitened principal components, 3 tanh units, "
    "decay 0.001"
)
MINIMA = "minima, the median drop and updates of the saddles (negative control)"
NAMES = {GRADIENT_DESCENT: "Gradient descent", SGD: f"SGD with batches of {SIZE}"}


def findings(result: Result) -> tuple[Assertion, ...]:
    """From both kinds of saddle, and from minima."""
    budget = f"rate 1/(4‖H‖), {result.folds} e-folds of the lowest eigenvalue"
    rows = []
    for method, name in NAMES.items():
        begins = f"{name} that starts 0.0001 of the weights' norm off"
        left = np.isfinite(result.left[:, METHODS.index(method)])
        for kind in (TRANSITION, ZERO_UNIT):
            rows.append(
                record.deciding(
                    "C051",
                    f"{begins} a saddle makes half of the drop that can be reached, at "
                    "more than 3/4 of saddles.",
                    record.proportion(left[result.kind == kind], of=result.change),
                    record.above(0.75),
                    unit="fraction",
                    setting=f"{SETTING}, {budget}, {KINDS[kind]}",
                )
            )
        rows.append(
            record.supporting(
                "C051",
                f"{begins} a minimum gets half of such a drop lower at fewer than 1/4 "
                "of minima.",
                record.proportion(left[result.kind == LOWEST], of=result.change),
                record.below(0.25),
                unit="fraction",
                setting=f"{SETTING}, {budget}, {MINIMA}",
            )
        )
    return tuple(rows)


def figures(result: Result) -> dict[str, Any]:
    """The loss on its way down: the median, and where 8 of 10 points lie; and by when
    how many have left.
    """
    figure, axes = panels(2, 3)
    for kind in (TRANSITION, ZERO_UNIT, LOWEST):
        own = result.kind == kind
        if np.any(own):
            _draw(axes[kind :: len(KINDS)], result, own)
        label(
            axes[kind],
            f"{np.sum(own)} {KINDS[kind]}",
            UPDATES,
            "loss minus the point's (drops)",
        )
        label(axes[kind + len(KINDS)], "", UPDATES, "fraction that has left")
    shared_legend(figure)
    return {"escapes": figure}


UPDATES = "updates (e-folds of the lowest eigenvalue)"


def _draw(axes: Any, result: Result, own: Array) -> None:
    """Both methods from one kind of point: their losses, and how many have left."""
    loss, left = axes
    for method, name in NAMES.items():
        column = METHODS.index(method)
        changes = result.change[own, column].T
        folds = np.arange(len(changes)) / PER_FOLD
        band(loss, folds, changes, name)
        gone = result.left[own, column] <= folds[:, None]
        left.plot(folds, np.mean(gone, axis=1))
    loss.axhline(-0.5, color="0.4", linestyle=":", label="left: half of the drop")
    left.axhline(0.75, color="0.4", linestyle="--", label="the claim: more than 3/4")
    loss.set_yscale("symlog", linthresh=1)
