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

from jaxml import curvature, learn, problem, randomness, record
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
    seed: int = 0


SMOKE = Config(looks=4, saddles=4)


class Result(NamedTuple):
    """Escapes, one start that chooses rates and one that judges."""

    found: Array  # [], certified strict saddles
    loss: Array  # [saddle], all different in 6 digits
    steepness: Array  # [saddle], the lowest eigenvalue over ‖H‖
    updates: Array  # [batch, saddle, start, β, rate], until it has left, or the budget
    left: Array  # the same axes, whether it has
    budget: Array  # [], updates of a run at most


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


def _distinct_saddles(candidates, most):
    """How many certified saddles there are, and the rows of those whose losses differ in 6 digits."""
    certificate = candidates.certificate
    strict = np.flatnonzero(curvature.signs(certificate).negative > 0)
    losses = np.round(certificate.loss[strict], 6)
    _, first = np.unique(losses, return_index=True)
    return len(strict), strict[np.sort(first)][:most]


def study(config, keep, critical_points):
    """All saddles, starts, momenta and rates as lanes of one program a batch."""
    certified = curvature.certified(critical_points.tanh)
    found, chosen = _distinct_saddles(certified, config.saddles)
    values, loss = certified.certificate.eigenvalues[chosen], certified.certificate.loss[chosen]
    steepest = np.abs(values).max(axis=1)
    with jax.enable_x64(True):
        task = problem.tanh_sinc(5, decay=1e-3, scale=2.0)
        unravel, of_params = problem.unravel(task), problem.objective(*task[:3])
        keys = jax.random.split(randomness.key(config.seed), (len(chosen), 2))

        def objective(x, batch):
            return of_params(unravel(x), batch)

        def cell(size):
            run = partial(_leave, config, objective, size)
            # rates innermost, then momenta, starts, saddles; the axes of (saddle, key, (β, rate), data)
            for axes in ((None, None, (None, 0)), (None, None, (0, None)), (None, 0, None), (0, 0, None)):
                run = jax.vmap(run, (*axes, None))
            saddles, grid = (certified.params[chosen], steepest), (np.array(BETAS), RATES)
            return partial(jax.jit(run), saddles, keys, grid, task.batch)

        cells = [keep(f"{size} examples", cell(size)) for size in BATCHES]
    updates, left = map(np.stack, zip(*cells, strict=True))
    budget = np.array(LOOK * config.looks)
    return Result(np.array(found), loss, values[:, 0] / steepest, updates, left, budget)


def _at(judged, momentum, rates):
    """Log updates [batch, saddle] of one β, each batch at a rate of its own."""
    return np.stack([judged[batch, :, momentum, rate] for batch, rate in enumerate(rates)])


def _contrasts(result):
    """Log ratios of updates [saddle that any cell leaves], by what they say."""
    leaves = result.left[:, :, 1].any(axis=(0, 2, 3))
    tuning, judged = np.moveaxis(np.log(result.updates[:, leaves]), 2, 0)  # [batch, saddle, β, rate]
    best_plain, best_heavy = tuning.sum(axis=1).argmin(axis=-1).T  # [batch], rates
    tenfold = np.minimum(best_plain + 2, len(RATES) - 1)
    plain, heavy = _at(judged, 0, best_plain), _at(judged, 1, best_heavy)
    batch = (plain[0] + heavy[0] - plain[1] - heavy[1]) / 2
    examples = batch + np.log(BATCHES[0] / BATCHES[1])
    momentum = (plain - heavy).mean(axis=0)
    together = plain[1] + heavy[0] - plain[0] - heavy[1]
    at_effective = (plain - _at(judged, 1, best_plain)).mean(axis=0)
    at_same = (plain - _at(judged, 1, tenfold)).mean(axis=0)
    return {
        "Batches of 8 leave a saddle in fewer updates than all 64 examples": batch,
        "Batches of 8 leave a saddle after fewer examples than all 64 examples": examples,
        "Momentum 0.9 leaves a saddle in fewer updates than none, each at its best rate": momentum,
        "Batches of 8 and momentum 0.9 together save more updates than the product of each alone": together,
        "Momentum 0.9 leaves a saddle in fewer updates than none at the same η/(1-β)": at_effective,
        "Momentum 0.9 leaves a saddle in fewer updates than none at the same η": at_same,
    }


def findings(result):
    """Supporting all: batch noise does not see these saddles, and all share the cells' rates."""
    setting = (
        "sin(5πx)/(5πx) at 64 points, 5 tanh units, weight decay 0.001, saddles of different loss, starts "
        f"{OFF:g} of the weights' norm off, {result.budget:,} updates, rates tuned"
    )
    rows = []
    for statement, ratios in _contrasts(result).items():
        rows.append(
            record.supporting(
                "C076",
                f"{statement}.",
                record.bootstrap(np.mean, ratios),
                record.above(0.0),
                unit="log ratio",
                setting=setting,
            )
        )
    return rows


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
