"""Do Adam's successors keep what they promise?

AMSGrad, AdaBound, SWATS, RAdam and Nadam against Adam and SGD with momentum, on few digits: each is tuned
over as many rates, and judged on seeds and digits that tuning has not seen. SWATS takes part at its own
tolerance and at one a hundred thousand times looser, at which it switches to SGD within the run; AdaBound's
bounds close on a hundred times the rate, as in its paper.

Claims: C110, C112, C113, C118, C122.
Sources: Reddi, Kale and Kumar 2018, arXiv:1904.09237; Luo et al. 2019, arXiv:1902.09843; Keskar and Socher
    2017, arXiv:1712.07628; Liu et al. 2020, arXiv:1908.03265; Dozat 2016.
Cost: 25 seconds on 2 cores.
Expect: no successor differs from Adam by more than the seeds do; SWATS hardly ever switches.
Run: jaxml run successors
"""

from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxml import learn, problem, record
from jaxml.record.figures import label, panels
from jaxml.types import Array

RATES = np.geomspace(3e-4, 0.1, 11)
METHODS = {  # family, and what multiplies the rates
    "adam": (learn.adam, 1.0),
    "amsgrad": (learn.amsgrad, 1.0),
    "adabound": (learn.adabound, 0.1),
    "swats": (learn.swats, 1.0),
    "loose swats": (learn.swats, 1.0),
    "radam": (learn.radam, 1.0),
    "nadam": (learn.nadam, 1.0),
    "momentum": (learn.momentum, 30.0),
}
CLAIMS = {"amsgrad": "C112", "adabound": "C113", "loose swats": "C110", "radam": "C118", "nadam": "C122"}


@dataclass(frozen=True, kw_only=True)
class Config:
    """The network, how few digits it sees, and how long."""

    width: int = 32
    train: int = 500
    steps: int = 1000
    every: int = 50
    batch: int = 20
    tuning_seeds: int = 3
    seeds: int = 10
    lanes: int = 11
    dtype: str = "float32"


SMOKE = Config(width=4, train=60, steps=4, every=2, tuning_seeds=1, seeds=2, lanes=11)


class Result(NamedTuple):
    """What tuned methods reach, by method of METHODS, and whether they do what they are meant to."""

    tuning: Array  # [method, rate, tuning seed], last loss in tuning, inf where it diverged
    loss: Array  # [method, seed], test loss at the best rate, nan where it diverged
    spread: Array  # [seed, look], of Adam's rates where gradients were, highest over lowest coordinate
    switched: Array  # [swats or loose swats, seed, look], whether it has switched to SGD


def _watched(method, measures):
    """The measures, how far apart the rates of coordinates are, and whether SWATS has switched."""
    measured, watched = learn.measuring(measures), optax.tree_utils.tree_get

    def spread(train):  # a common factor, such as the rate and the correction of the bias, cancels
        roots = jnp.sqrt(jnp.concatenate([jnp.ravel(v) for _, (v,) in watched(train.opt_state, "memory")]))
        return (jnp.max(roots) + train.hyper.epsilon) / jnp.min(jnp.where(roots > 0, roots, jnp.inf))

    def apply(state, train):
        state, seen = measured.apply(state, train)
        if "swats" in method:
            seen["switched"] = watched(train.opt_state, "switched")
        return state, seen | ({"spread": spread(train)} if method == "adam" else {})

    return learn.Probe(measured.init, apply)


def study(config, keep):
    """One program a method, and one for the tolerances of SWATS."""
    parts = problem.split(problem.digits(), config.train, key=jax.random.key(0))
    tuning, test = problem.split(parts.test, len(parts.test.weights) // 2, key=jax.random.key(1))
    model, loss = problem.mlp((config.width, 10), jax.nn.relu), problem.cross_entropy
    look = partial(problem.evaluation, model, loss)
    measures = {"loss": look(tuning), "test": look(test)}
    start, judge = problem.start(model, parts.train.inputs), problem.training_loss(model, loss)
    batches = learn.shuffled(parts.train, config.batch)

    def experiment(method, family):
        watch = {"steps": config.steps, "every": config.every, "probe": _watched(method, measures)}
        return learn.training(start, judge, family, batches, **watch)

    counts = {"lanes": config.lanes, "tuning_seeds": config.tuning_seeds, "seeds": config.seeds}
    contests = {}
    for method, (family, scale) in METHODS.items():
        tolerance = [1e-4 if method == "loose swats" else 1e-9]
        grid = learn.grid(learn.Hyper, lr=scale * RATES, tolerance=tolerance)
        grid = grid._replace(final_lr=100 * grid.lr)
        entrant = {method: learn.Entrant(family, grid)}
        contests |= learn.compare(partial(experiment, method), entrant, target=0.2, keep=keep, **counts)
    loss = np.stack([each.final["test"] for each in contests.values()])
    switched = np.stack([contests[method].curves["switched"] for method in ("swats", "loose swats")])
    tuning = np.stack([each.tuning for each in contests.values()])
    return Result(tuning, loss, contests["adam"].curves["spread"], switched)


def findings(result):
    """Differences in test loss, paired by seed; a seed of which one diverged is left out."""
    above, below = (partial(rule, dtype="float32") for rule in (record.above, record.below))
    loss = dict(zip(METHODS, result.loss, strict=True))

    return (
        *(below(claim, f"{name} ends lower than Adam, both tuned: difference in test loss.",
                record.paired(loss[name], loss["adam"]), 0.0, unit="nats") for name, claim in CLAIMS.items()),
        below("C110", "Loose swats ends lower than SGD with momentum: difference in test loss.",
              record.paired(loss["loose swats"], loss["momentum"]), 0.0, unit="nats"),
        *(above("C110", f"{name} switches within the run, at its best rate: share of seeds.",
                record.proportion(switched[:, -1]), 0.5, unit="1")
          for name, switched in zip(("SWATS", "loose swats"), result.switched, strict=True)),
        above("C113", "Adam's rates end far apart: the highest coordinate's over the lowest.",
              record.bootstrap(np.median, result.spread[:, -1]), 100.0, unit="1"),
    )  # fmt: skip


def figures(result):
    """Tuning by rate, test losses by seed, and how far rates are apart."""
    figure, axes = panels(1, 3, width=5.0)
    for (name, (_, scale)), losses in zip(METHODS.items(), np.median(result.tuning, axis=2), strict=True):
        axes[0].loglog(scale * RATES, np.minimum(losses, 3), label=name, markevery=1)
    for place, losses in enumerate(result.loss):
        axes[1].scatter(np.full(len(losses), place), losses, color="black", s=12)
    axes[1].set_xticks(range(len(METHODS)), list(METHODS), rotation=30)
    axes[2].semilogy(np.linspace(0, 1, result.spread.shape[1] + 1)[1:], np.median(result.spread, axis=0))
    axes[0].legend(fontsize=8)
    label(axes[0], "At every rate", "rate η", "median loss in tuning (nats)")
    label(axes[1], "A point a seed", "method", "test loss (nats)")
    label(axes[2], "Adam's rates by coordinate", "share of the updates", "highest over lowest")
    return {"successors": figure}
