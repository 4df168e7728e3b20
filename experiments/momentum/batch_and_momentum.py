"""Do small batches and momentum both help to get away from saddles, two by two?

From saddles of `negative_curvature`, 1e-3 of the weights' norm off in a random
direction. A run has left where its loss on all examples has made half of the drop that
can be reached (`escape`). Every cell, all 100 examples or 12 an update, β of 0 or 0.9,
has one grid of effective rates η/(1-β) in 1/‖H‖. What is judged is the number of
updates until a run has left; one that stays, or diverges, counts with the budget.

One start from each saddle chooses a cell's rate, by the mean logarithm of updates;
another judges. The choice is made anew in every resample of saddles, so the interval
holds it.

Budget. At the least rate of the grid, 1/4, the flattest saddles (|λ| = 1e-3 ‖H‖) need
4,000 ln(1e3) = 28,000 updates, at 1, where plain gradient descent is stable, a quarter
of that; 12,000 let all runs leave at rates that may be chosen. The grid ends beyond 2
and 38, where on a quadratic gradient descent without and with momentum becomes
unstable.

If the claim holds, the logarithm of the ratio of updates is below -ln 1.25 for both; it
fails at 0 or above. A quarter, since less would not matter to a user. Negative control:
the same cells from the other start, which must come out within the margin. At
transition states the noise of batches sees the way down, at zero-unit saddles it does
not. Units are saddles of networks with weights and digits of their own.

All findings support; `two_by_two` decides. They were seen before there was a second
task, and at its best rate a run by batches is bound by the noise, which holds its loss
above the level when the weights are long away: it says how fast batches train there,
not only when they leave. What the noise of batches is worth nearer to a saddle than
1e-3, `escape_noise` shows.

A first version stood on saddles that batches cannot see, tuned once for all units, and
asked for a loss 1 % lower; a second grid ended at 32, on the best rate of momentum,
and 20 saddles of each kind left the control undecided.

Claims: C076.
Sources: Polyak 1964; Jin et al. 2017, arXiv:1703.00887; Sutskever et al. 2013.
Cost: half a minute on 2 cores once compiled, after `escape`.
Expect: momentum helps by bearing larger effective rates, not at the same one; small
batches help little.
Run: jaxml run batch_and_momentum
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from jaxml import learn, problem, randomness, record, tree
from jaxml.curvature.programs import mapped
from jaxml.parallel import rows
from jaxml.record import Assertion
from jaxml.record.figures import band, label, panels, shared_legend
from jaxml.types import Array, Batch, Key, Objective

NEEDS = ("negative_curvature", "escape")
KINDS = ("saddles of index 1 between minima", "saddles with a unit of zero weights")
SIZE = 12  # examples in a small batch
BETA = 0.9
RATES = 0.25 * 1.5 ** np.arange(14)  # η/(1-β) in 1/‖H‖
OFF = 1e-3  # of ‖θ‖: where runs start
STRIDE = 10  # updates between two evaluations
PLAIN, HEAVY = range(2)  # β of 0 and of 0.9
ALL, SMALL = range(2)  # examples an update


@dataclass(frozen=True, kw_only=True)
class Config:
    """How many saddles of each kind are taken at most, and the budget."""

    saddles: int = 40
    updates: int = 12_000
    seed: int = 0


SMOKE = Config(saddles=2, updates=200)


class Start(NamedTuple):
    """A saddle, and when a run has left it."""

    point: Array
    data: Batch
    largest: Array  # ‖H‖
    level: Array  # of the loss
    budget: Array  # updates
    key: Key


class Cell(NamedTuple):
    """One run from a saddle."""

    small: Array  # batches, or all examples
    beta: Array
    rate: Array  # effective, in 1/‖H‖
    start: Array  # which of two directions


class Result(NamedTuple):
    """Updates until a run has left, or the budget; the first start chooses rates."""

    kind: np.ndarray  # [saddle]
    counts: np.ndarray  # [saddle], whether it is one
    updates: Float[np.ndarray, "saddle batch beta rate start"]
    budget: np.ndarray


def _cells() -> Cell:
    """The grid, a run a row."""
    two = np.arange(2, dtype=np.int32)
    axes = np.meshgrid(two, BETA * two, RATES, two, indexing="ij")
    return Cell(*(axis.ravel() for axis in axes))


def _runs(objective: Objective, start: Start, _: None) -> Array:
    """Updates of every cell from one saddle."""
    draw = learn.shuffled(start.data, SIZE).draw

    def run(cell: Cell) -> Array:
        key = jax.random.fold_in(start.key, cell.start)
        aside = tree.random_like(start.point, key)
        length = OFF * jnp.linalg.norm(start.point)
        first = start.point + length * aside / jnp.linalg.norm(aside)
        rate = cell.rate * (1 - cell.beta) / start.largest

        def of_all(x: Array, _: Array) -> Array:
            return jax.grad(objective)(x, start.data)

        def of_batch(x: Array, step: Array) -> Array:
            return jax.grad(objective)(x, draw(start.data, key, step))

        def update(step: Array, carry: tuple[Array, Array]) -> tuple[Array, Array]:
            x, velocity = carry
            gradient = jax.lax.switch(cell.small, (of_all, of_batch), x, step)
            velocity = cell.beta * velocity + gradient
            return x - rate * velocity, velocity

        def stretch(state: tuple[Array, Any]) -> tuple[Array, Any]:
            age, carry = state
            return age + STRIDE, jax.lax.fori_loop(age, age + STRIDE, update, carry)

        def staying(state: tuple[Array, Any]) -> Array:
            age, (x, _) = state
            return (age < start.budget) & (objective(x, start.data) > start.level)

        at_rest = (first, jnp.zeros_like(first))
        age, (x, _) = jax.lax.while_loop(staying, stretch, (jnp.int32(0), at_rest))
        left = objective(x, start.data) <= start.level
        return jnp.where(left, age, start.budget).astype(first.dtype)

    return jax.lax.map(run, _cells())


def _taken(config: Config, kinds: np.ndarray) -> np.ndarray:
    """The rows of the first saddles of each kind; where there are too few, of
    others.
    """
    taken = []
    for kind in range(len(KINDS)):
        first = np.argsort(kinds != kind, kind="stable")
        taken.append(first[: config.saddles])
    return np.concatenate(taken)


def study(
    config: Config, keep: Callable[..., Any], negative_curvature: Any, escape: Any
) -> Result:
    """All cells from all saddles in one program."""
    taken = _taken(config, negative_curvature.kind)
    kind = np.repeat(np.arange(len(KINDS)), len(taken) // len(KINDS))
    counts = negative_curvature.kind[taken] == kind
    points = negative_curvature
    with jax.enable_x64(True):
        objective = jax.jit(problem.objective_of_vector(problem.parity_digits()))
        data, vectors = rows(points.data, taken), points.params[taken]
        before = jax.vmap(objective)(vectors, data)
        starts = Start(
            point=vectors,
            data=data,
            largest=points.largest[taken],
            level=np.asarray(before) - escape.drop[taken] / 2,
            budget=np.where(counts, config.updates, STRIDE).astype(np.int32),
            key=jax.random.split(randomness.key(config.seed), len(taken)),
        )
        updates = keep("runs", lambda: mapped(_runs, (objective,), starts, None))
    grid = (len(taken), 2, 2, len(RATES), 2)
    return Result(kind, counts, updates.reshape(grid), np.array(config.updates))


def _best(tuning: np.ndarray) -> np.ndarray:
    """The best rate of every cell, [batch, beta]."""
    return np.mean(tuning, axis=0).argmin(axis=-1)


def _at(logs: np.ndarray, rates: np.ndarray) -> np.ndarray:
    """Every cell at its own rate, [saddle, batch, beta]."""
    index = rates[None, :, :, None]
    return np.take_along_axis(logs, index, axis=3).squeeze(axis=3)


def _batches(tuning: np.ndarray, judged: np.ndarray) -> float:
    """Small against all examples, the mean over both β."""
    cells = _at(judged, _best(tuning))
    return float(np.mean(cells[:, SMALL] - cells[:, ALL]))


def _examples(tuning: np.ndarray, judged: np.ndarray) -> float:
    """The same in examples instead of updates."""
    return _batches(tuning, judged) + np.log(SIZE / 100)


def _heavier(cells: np.ndarray) -> float:
    """β of 0.9 against 0, the mean over both sizes."""
    return float(np.mean(cells[:, :, HEAVY] - cells[:, :, PLAIN]))


def _momentum(tuning: np.ndarray, judged: np.ndarray) -> float:
    """Each β at its own best rate."""
    return _heavier(_at(judged, _best(tuning)))


def _momentum_at_one_rate(tuning: np.ndarray, judged: np.ndarray) -> float:
    """Both at the effective rate that is best without momentum."""
    return _heavier(_at(judged, _best(tuning)[:, [PLAIN, PLAIN]]))


def _other_start(tuning: np.ndarray, judged: np.ndarray) -> float:
    """Every cell against itself."""
    rates = _best(tuning)
    return float(np.mean(_at(judged, rates) - _at(tuning, rates)))


SOONER_BY = {
    "Batches of 12 leave a saddle after fewer updates than all 100 examples, each at "
    "its best rate.": (_batches),
    "Batches of 12 leave a saddle after fewer examples than all 100, each at its best "
    "rate.": _examples,
    "Momentum 0.9 leaves a saddle after fewer updates than none, each at its best "
    "rate.": _momentum,
    "Momentum 0.9 leaves a saddle after fewer updates than none at the same η/(1-β).": (
        _momentum_at_one_rate
    ),
    "Every method leaves a saddle after fewer updates from a second random start "
    "(negative control).": (_other_start),
}
QUARTER = 0.223  # ln 1.25
SOONER = record.below(
    0.0, margin=QUARTER, reason="less than a quarter would not matter to a user"
)
SETTING = (
    "parity of random 8x8 digits from 8 whitened principal components, 3 tanh units, "
    "decay 0.001"
)


def findings(result: Result) -> tuple[Assertion, ...]:
    """Each kind of saddle alone; rates are chosen anew in every resample."""
    found = []
    for kind, name in enumerate(KINDS):
        own = result.counts & (result.kind == kind)
        tuning, judged = np.moveaxis(np.log(result.updates[own] + 1), -1, 0)
        for statement, statistic in SOONER_BY.items():
            found.append(
                record.supporting(
                    "C076",
                    statement,
                    record.bootstrap(statistic, tuning, judged),
                    SOONER,
                    unit="log ratio",
                    setting=f"{SETTING}, {result.budget:,} updates, 0.001 of ‖θ‖ off "
                    f"{name}",
                )
            )
    return tuple(found)


def figures(result: Result) -> dict[str, Any]:
    """Updates by effective rate: the median, and where half of the saddles lie."""
    figure, axes = panels(1, 2, width=5.0, height=3.6)
    for kind, axis in enumerate(axes):
        own = result.counts & (result.kind == kind)
        if np.any(own):
            _curves(axis, result.updates[own, ..., 1] + 1)
        axis.axhline(float(result.budget), color="0.4", linewidth=1, label="budget")
        axis.set_xscale("log")
        axis.set_yscale("log")
        axis.set_ylim(bottom=STRIDE)
        title = f"{np.sum(own)} {KINDS[kind]}"
        label(axis, title, "effective rate η/(1-β), in 1/‖H‖", "updates until it left")
    shared_legend(figure, columns=5)
    return {"escapes": figure}


def _curves(axis: Any, updates: Array) -> None:
    """A line and a band a cell."""
    for batch, size in enumerate(("all", SIZE)):
        for beta in (PLAIN, HEAVY):
            name = f"{size} examples, β = {BETA * beta:g}"
            band(axis, RATES, updates[:, batch, beta].T, name, within=0.5)
