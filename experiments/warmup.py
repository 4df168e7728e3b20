"""What does a warm-up buy at a fixed budget?

A dense and a convolutional network on digits, by SGD with momentum and by Adam, at rates that fall linearly
to 0, with a warm-up over the first tenth and without. Each is run at every rate of a grid; the first seeds
and some digits tune, the other seeds and digits judge: at the tuned rate, and at the two rates above what is
best without warm-up.

Claims: C086, C117.
Sources: Liu et al. 2020, arXiv:1908.03265; Ma and Yarats 2021, arXiv:1910.04209.
Cost: 45 seconds on 2 cores.
Expect: it is not needed here, but forgives high rates.
Run: jaxml run warmup
"""

from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import numpy as np

from jaxml import learn, problem, record
from jaxml.record.figures import label, panels
from jaxml.types import Array

NETWORKS = "dense", "convolutional"
METHODS = {"momentum": ("C086", 1.0), "adam": ("C117", 30.0)}  # and what divides the rates
RATES, CHANCE = np.geomspace(1e-3, 10.0, 9), float(np.log(10))  # the loss of guessing among ten


@dataclass(frozen=True, kw_only=True)
class Config:
    """The networks, their data, and how long every run lasts."""

    width: int = 32
    channels: int = 8
    train: int = 500
    steps: int = 500
    batch: int = 20
    warmup: float = 50.0
    tuning_seeds: int = 5
    seeds: int = 10
    lanes: int = 15
    dtype: str = "float32"


SMOKE = Config(width=4, channels=2, train=60, steps=4, warmup=1.0, tuning_seeds=1, seeds=2, lanes=9)


class Result(NamedTuple):
    """By network of NETWORKS, method of METHODS, and without or with a warm-up; losses at most CHANCE."""

    tuning: Array  # [network, method, warm-up, rate, tuning seed], last loss on digits that tune
    loss: Array  # [network, method, warm-up, rate, seed], last loss on digits that judge


def study(config, keep):
    """One program for each network, method and warm-up."""
    pixels = problem.digits()
    images = pixels._replace(inputs=pixels.inputs.reshape(-1, 8, 8, 1))
    models = problem.mlp((config.width, 10), jax.nn.relu), problem.cnn((config.channels,), 10)
    seeds = config.tuning_seeds + config.seeds

    def runs(network, model, data, method, warmup):
        parts = problem.split(data, config.train, key=jax.random.key(0))
        tuning, test = problem.split(parts.test, len(parts.test.weights) // 2, key=jax.random.key(1))
        look = partial(problem.evaluation, model, problem.cross_entropy)
        probe = learn.measuring({"tuning": look(tuning), "test": look(test)})
        start, judge = problem.start(model, data.inputs), problem.training_loss(model, problem.cross_entropy)
        family = partial(learn.OPTIMIZERS[method], shape=learn.linear)
        batches = learn.shuffled(parts.train, config.batch)
        training = learn.training(start, judge, family, batches, steps=config.steps, probe=probe)
        rates, length = RATES / METHODS[method][1], {"horizon": [config.steps], "warmup": [warmup]}
        grid = learn.grid(learn.Hyper, lr=rates, seed=range(seeds), **length)
        name = f"{network}, {method}, warm-up {warmup:g}"
        found = learn.sweep(training, grid, lanes=config.lanes, name=name, keep=keep)
        ended = found.diverged_at < 0
        losses = (np.where(ended, found.trace.probed[part][:, -1], CHANCE) for part in ("tuning", "test"))
        return [np.minimum(loss, CHANCE).reshape(len(RATES), -1) for loss in losses]

    lengths = 0.0, config.warmup
    networks = zip(NETWORKS, models, (pixels, images), strict=True)
    found = [[[runs(*network, m, length) for length in lengths] for m in METHODS] for network in networks]
    tuning, test = np.moveaxis(np.array(found), 3, 0)
    return Result(tuning[..., : config.tuning_seeds], test[..., config.tuning_seeds :])


def findings(result):
    """With a warm-up and without, paired by seed; what diverged counts as guessing."""
    above, below = (partial(rule, dtype="float32") for rule in (record.above, record.below))
    best = np.median(result.tuning, axis=-1).argmin(axis=-1)  # [network, method, warm-up]

    def verdicts(n, k, network, method, claim):
        (without, with_one), (plain, warm) = result.loss[n, k], best[n, k]
        higher = [min(plain + more, len(RATES) - 1) for more in (1, 2)]
        gain = np.log(without[higher] / with_one[higher]).mean(axis=0)
        return (
            below(claim, f"{network}, {method}: a warm-up ends lower, both tuned: difference in test loss.",
                  record.paired(with_one[warm], without[plain]), 0.0, unit="nats"),
            above(claim, f"{network}, {method}: above the best rate a warm-up lowers the loss: log ratio.",
                  record.bootstrap(np.mean, gain), 0.0, unit="1"),
        )  # fmt: skip

    pairs = [(n, k) for n in range(len(NETWORKS)) for k in range(len(METHODS))]
    names, claims = list(METHODS), [claim for claim, _ in METHODS.values()]
    return sum((verdicts(n, k, NETWORKS[n], names[k], claims[k]) for n, k in pairs), ())


def figures(result):
    """Loss against the rate."""
    figure, axes = panels(1, 2, width=5.0)
    for axis, network, by_method in zip(axes, NETWORKS, np.median(result.loss, axis=-1), strict=True):
        for (method, (_, scale)), pair in zip(METHODS.items(), by_method, strict=True):
            for losses, kind in zip(pair, ("no", "a"), strict=True):
                axis.loglog(RATES / scale, losses, label=f"{method}, {kind} warm-up", markevery=1)
        axis.legend(fontsize=8)
        label(axis, f"{network}, linear decay", "peak rate η", "median test loss (nats)")
    return {"warmup": figure}
