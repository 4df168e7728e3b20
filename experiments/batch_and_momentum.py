"""Do small batches and momentum both help to get away from saddles: two by two, at matched effective rates?

A run starts 1e-3 of the parameters' norm off a certified saddle of a tanh network on SINC, in a random
direction, and has left where the loss on all 64 examples is 1% below the saddle's. Every cell, all examples
or 8 random ones an update, β of 0 or 0.9, has one grid of effective rates η/(1-β) in 1/‖H‖. One start from
each saddle chooses a cell's rate, another judges. A run that stays counts as the budget. Most certified
saddles are images of one another with equal loss: one of each loss is taken, if any cell leaves it.

Claims: C076.
Sources: Polyak 1964; Jin et al. 2017, arXiv:1703.00887; Sutskever et al. 2013.
Cost: 25 seconds on 2 cores, after `critical_points`.
Expect: momentum helps by bearing larger effective rates, not at the same one; small batches help little.
Run: jaxml run batch_and_momentum
"""

from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxml import curvature, learn, problem, record
from jaxml.record.figures import label, panels
from jaxml.types import Array

NEEDS = ("critical_points",)
BATCHES, BETAS = (64, 8), (0.0, 0.9)
RATES = np.logspace(-1, 2, 7)  # η/(1-β) in 1/‖H‖, by √10: two on is tenfold, as is 1/(1-β) at 0.9
OFF, LOWER, LOOK = 1e-3, 0.99, 20  # updates between two looks at the loss


@dataclass(frozen=True, kw_only=True)
class Config:
    """The budget in looks, and how many saddles of different losses are taken at most."""

    looks: int = 1000
    saddles: int = 32
    dtype: str = "float64"


SMOKE = Config(looks=4, saddles=4)


class Result(NamedTuple):
    """Escapes, one start that chooses rates and one that judges."""

    found: Array  # [], certified strict saddles
    loss: Array  # [saddle], all different in 6 digits
    steepness: Array  # [saddle], the lowest eigenvalue over ‖H‖
    updates: Array  # [batch, saddle, start, β, rate], until it has left, or the budget
    left: Array  # the same axes, whether it has


def _leave(config, objective, size, saddle, key, pace, data):
    """Updates until the loss has fallen, and whether it has; from (point, ‖H‖), at (β, η/(1-β))."""
    (point, steepest), (beta, rate) = saddle, pace
    direction = jax.random.normal(key, point.shape)
    start = point + OFF * jnp.linalg.norm(point) * direction / jnp.linalg.norm(direction)
    optimizer = learn.momentum(learn.Hyper(lr=rate * (1 - beta) / steepest, momentum=beta))
    draw = (learn.full if size == BATCHES[0] else partial(learn.with_replacement, size=size))(data).draw

    def update(carry, step):
        slope = jax.grad(objective)(carry[0], draw(data, key, step))
        return learn.update(optimizer, slope, carry[1], carry[0]), None

    def look(carry, steps):
        carry, _ = jax.lax.scan(update, carry, steps)
        return carry, objective(carry[0], data) < LOWER * objective(point, data)

    steps = jnp.arange(LOOK * config.looks, dtype=jnp.int32).reshape(-1, LOOK)
    left = jax.lax.scan(look, (start, optimizer.init(start)), steps)[1]
    return LOOK * jnp.where(jnp.any(left), 1 + jnp.argmax(left), config.looks), jnp.any(left)


def study(config, keep, critical_points):
    """All saddles, starts, momenta and rates as lanes of one program a batch."""
    sure = curvature.certified(critical_points.tanh)
    strict = np.flatnonzero(curvature.signs(sure.certificate).negative > 0)
    losses = np.round(sure.certificate.loss[strict], 6)
    chosen = strict[np.sort(np.unique(losses, return_index=True)[1])][: config.saddles]
    values = sure.certificate.eigenvalues[chosen]
    steepest = np.abs(values).max(axis=1)
    with jax.enable_x64(True):
        task = problem.tanh_sinc(5, decay=1e-3, scale=2.0)
        fold, keys = problem.unravel(task), jax.random.split(jax.random.key(0), (len(chosen), 2))
        objective = lambda x, batch: problem.objective(*task[:3])(fold(x), batch)  # noqa: E731  # of a vector

        def cell(size):
            run = partial(_leave, config, objective, size)
            # rates innermost, then momenta, starts, saddles; the axes of (saddle, key, (β, rate), data)
            for axes in ((None, None, (None, 0)), (None, None, (0, None)), (None, 0, None), (0, 0, None)):
                run = jax.vmap(run, (*axes, None))
            saddles, grid = (sure.params[chosen], steepest), (np.array(BETAS), RATES)
            return partial(jax.jit(run), saddles, keys, grid, task.batch)

        cells = [keep(f"{size} examples", cell(size)) for size in BATCHES]
    updates, left = map(np.stack, zip(*cells, strict=True))
    return Result(
        np.array(len(strict)), sure.certificate.loss[chosen], values[:, 0] / steepest, updates, left
    )


def _contrasts(result):
    """Log ratios of updates [saddle that any cell leaves], by what they say."""
    leaves = result.left[:, :, 1].any(axis=(0, 2, 3))
    tuning, judged = np.moveaxis(np.log(result.updates[:, leaves]), 2, 0)  # [batch, saddle, β, rate]
    best = tuning.sum(axis=1).argmin(axis=-1)  # [batch, β]
    at = lambda m, rates: np.stack([judged[k, :, m, i] for k, i in enumerate(rates)])  # noqa: E731
    plain, heavy = at(0, best[:, 0]), at(1, best[:, 1])  # [batch, saddle], each cell at its own best rate
    batch = (plain[0] + heavy[0] - plain[1] - heavy[1]) / 2
    return {
        "Small batches leave in fewer updates": batch,
        "Small batches leave after fewer examples": batch + np.log(BATCHES[0] / BATCHES[1]),
        "Momentum leaves in fewer updates": (plain - heavy).mean(axis=0),
        "Together they do more than each times each": plain[1] + heavy[0] - plain[0] - heavy[1],
        "Momentum leaves sooner at descent's η/(1-β)": (plain - at(1, best[:, 0])).mean(axis=0),
        "Momentum leaves sooner at descent's η": (plain - at(1, np.minimum(best[:, 0] + 2, 6))).mean(axis=0),
    }


def findings(result):
    """Saddles of different losses that any cell leaves are the units, cells paired over them."""
    above = partial(record.above, "C076", unit="1", dtype="float64")
    ratios = _contrasts(result).items()
    return tuple(above(f"{what}: log ratio.", record.bootstrap(np.mean, each), 0.0) for what, each in ratios)


def figures(result):
    """Geometric mean of updates and shares that left, by effective rate, of every cell."""
    figure, (updates, shares) = panels(1, 2)
    names = [f"{size} examples, β = {beta:g}" for size in BATCHES for beta in BETAS]
    means = np.exp(np.log(result.updates).sum(axis=(1, 2)) / max(2 * len(result.loss), 1))
    updates.loglog(RATES, means.reshape(4, -1).T, label=names, markevery=1)
    left = result.left.sum(axis=(1, 2)) / max(2 * len(result.loss), 1)
    shares.semilogx(RATES, left.reshape(4, -1).T, label=names, markevery=1)
    title = f"{len(result.loss)} losses among {result.found} saddles"
    label(updates, title, "effective rate η/(1-β), in 1/‖H‖", "updates, geometric mean")
    label(shares, title, "effective rate η/(1-β), in 1/‖H‖", "share of runs that left")
    shares.legend(fontsize=8)
    return {"escapes": figure}
