"""Do Adam's successors keep what they promise?

AMSGrad, AdaBound, SWATS, RAdam and Nadam against Adam and SGD with momentum, on few digits: each is tuned
over as many rates, and judged on seeds and digits that tuning has not seen. It is watched whether AdaBound
holds the rates of coordinates together, and whether SWATS switches to SGD.

Claims: C110, C112, C113, C118, C122.
Sources: Reddi, Kale and Kumar 2018, arXiv:1904.09237; Luo et al. 2019, arXiv:1902.09843; Keskar and Socher
    2017, arXiv:1712.07628; Liu et al. 2020, arXiv:1908.03265; Dozat 2016.
Cost: 1 minute on 2 cores.
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

RATES = np.geomspace(1e-4, 0.1, 7)
METHODS = {"adam": 1, "amsgrad": 1, "adabound": 1, "swats": 1, "radam": 1, "nadam": 1, "momentum": 30}
CLAIMS = {"amsgrad": "C112", "adabound": "C113", "swats": "C110", "radam": "C118", "nadam": "C122"}
TOLERANCES = np.geomspace(1e-9, 1e-3, 7)


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
    lanes: int = 21
    dtype: str = "float32"


SMOKE = Config(width=4, train=60, steps=4, every=2, tuning_seeds=1, seeds=2, lanes=7)


class Result(NamedTuple):
    """What tuned methods reach, by method of METHODS, and whether they do what they are meant to."""

    tuning: Array  # [method, rate, tuning seed], last loss in tuning, inf where it diverged
    loss: Array  # [method, seed], test loss at the best rate, nan where it diverged
    spread: Array  # [adam or adabound, seed], last rates where gradients were, 99th percentile over first
    switched: Array  # [tolerance, seed, look], whether SWATS has switched, at its best rate
    switched_loss: Array  # [tolerance, seed], its test loss


def _watched(method, measures):
    """The measures, how far apart the rates of coordinates are, and whether SWATS has switched."""
    measured, watched = learn.measuring(measures), optax.tree_utils.tree_get

    def spread(train):
        square = jnp.concatenate([jnp.ravel(v) for _, (v,) in watched(train.opt_state, "memory")])
        hyper, speed = train.hyper, (1 - train.hyper.second_moment) * train.step.astype(float)
        rates = hyper.lr / (jnp.sqrt(square) + hyper.epsilon)
        if method == "adabound":
            rates = jnp.clip(rates, hyper.final_lr * (1 - 1 / (speed + 1)), hyper.final_lr * (1 + 1 / speed))
        low, high = jnp.nanquantile(jnp.where(square > 0, rates, jnp.nan), jnp.array([0.01, 0.99]))
        return high / low

    def apply(state, train):
        state, seen = measured.apply(state, train)
        if method == "swats":
            seen["switched"] = watched(train.opt_state, "switched")
        return state, seen | ({"spread": spread(train)} if method in ("adam", "adabound") else {})

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

    contests = {}
    for method, scale in METHODS.items():
        entrant = {method: learn.Entrant(learn.OPTIMIZERS[method], learn.grid(learn.Hyper, lr=scale * RATES))}
        given = {"lanes": config.lanes, "tuning_seeds": config.tuning_seeds, "seeds": config.seeds}
        contests |= learn.compare(partial(experiment, method), entrant, target=0.2, keep=keep, **given)
    seeds = range(config.tuning_seeds, config.tuning_seeds + config.seeds)  # that have not tuned it
    grid = learn.grid(learn.Hyper, lr=[contests["swats"].hyper.lr], tolerance=TOLERANCES, seed=seeds)
    runs = learn.sweep(experiment("swats", learn.swats), grid, lanes=config.lanes, name="switch", keep=keep)
    seen = {name: each.reshape(len(TOLERANCES), len(seeds), -1) for name, each in runs.trace.probed.items()}
    ends = lambda name, *methods: np.stack([contests[m].final[name] for m in methods])  # noqa: E731
    tuned, spread = np.stack([each.tuning for each in contests.values()]), ends("spread", "adam", "adabound")
    return Result(tuned, ends("test", *METHODS), spread, seen["switched"], seen["test"][..., -1])


def findings(result):
    """Differences in test loss, paired by seed; a seed of which one diverged is left out."""
    above, below = (partial(rule, dtype="float32") for rule in (record.above, record.below))
    loss = dict(zip(METHODS, result.loss, strict=True))

    def less(*pair):
        return record.bootstrap(record.mean_difference, *np.stack(pair)[:, np.isfinite(pair).all(axis=0)])

    return (
        *(below(claim, f"{name} ends lower than Adam, both tuned: difference in test loss.",
                less(loss[name], loss["adam"]), 0.0, unit="nats") for name, claim in CLAIMS.items()),
        below("C110", "SWATS ends lower than SGD with momentum: difference in test loss.",
              less(loss["swats"], loss["momentum"]), 0.0, unit="nats"),
        above("C110", "At its tolerance of 1e-9 SWATS switches within the run: share of seeds.",
              record.proportion(result.switched[0, :, -1]), 0.5, unit="1"),
        below("C110", "Switching early helps: difference in test loss at tolerances 1e-3 and 1e-9.",
              less(result.switched_loss[-1], result.switched_loss[0]), 0.0, unit="nats"),
        above("C113", "Adam's rates end far apart: the 99th percentile over the first.",
              record.bootstrap(np.median, result.spread[0]), 100.0, unit="1"),
        below("C113", "AdaBound's end close together: the same ratio over Adam's.",
              record.bootstrap(np.median, result.spread[1] / result.spread[0]), 0.1, unit="1"),
    )  # fmt: skip


def figures(result):
    """Tuning by rate, test losses by seed, and the switch by tolerance."""
    figure, axes = panels(1, 3, width=5.0)
    for (name, scale), losses in zip(METHODS.items(), np.median(result.tuning, axis=2), strict=True):
        axes[0].loglog(scale * RATES, np.where(losses < 10, losses, np.nan), label=name, markevery=1)
    for place, losses in enumerate(result.loss):
        axes[1].scatter(np.full(len(losses), place), losses, color="black", s=12)
    axes[1].set_xticks(range(len(METHODS)), list(METHODS), rotation=30)
    axes[2].semilogx(TOLERANCES, result.switched.mean(axis=2).mean(axis=1), markevery=1)
    axes[0].legend(fontsize=8)
    label(axes[0], "At every rate", "rate η", "median loss in tuning (nats)")
    label(axes[1], "A point a seed", "method", "test loss (nats)")
    label(axes[2], "SWATS", "tolerance", "share of the run after the switch")
    return {"successors": figure}
