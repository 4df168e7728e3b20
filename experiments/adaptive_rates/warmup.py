"""What does a warm-up buy at a fixed budget?

A dense and a convolutional network on digits, by SGD with momentum and by Adam, at
rates that fall linearly to 0, with a warm-up over the first tenth and without. Each is
run at every rate of a grid; the first seeds and some digits tune, the other seeds and
digits judge: at the tuned rate, and at the two rates above what is best without
warm-up. Neither network is residual or a Transformer, of which the claims speak, the
distribution of gradients is not looked at, and all seeds share one split: nothing here
decides.

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

from jaxml import learn, problem, randomness, record, tree
from jaxml.record.figures import label, panels
from jaxml.types import Array

NETWORKS = "dense", "convolutional"
METHODS = {
    "momentum": ("C086", 1.0),
    "adam": ("C117", 30.0),
}  # and what divides the rates
NAMES = {"momentum": "SGD with momentum", "adam": "Adam"}
WARMUPS = "without", "with"
RATES = np.geomspace(1e-3, 10.0, 9)
CHANCE = float(np.log(10))  # the loss of guessing among ten

LOWER = record.below(
    0.0, margin=0.01, reason="0.01 nats is 1 % in the probability of the right class"
)
LOWERED = record.above(
    0.0, margin=0.05, reason="5 % of the loss is less than what seeds move"
)


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
    seed: int = 0


SMOKE = Config(
    width=4, channels=2, train=60, steps=4, warmup=1.0, tuning_seeds=1, seeds=2, lanes=9
)


class Result(NamedTuple):
    """By network of NETWORKS, method of METHODS, and warm-up of WARMUPS; losses at most
    CHANCE.
    """

    # [network, method, warm-up, rate, tuning seed], last loss on digits that tune
    tuning: Array
    loss: (
        Array  # [network, method, warm-up, rate, seed], last loss on digits that judge
    )
    examples: Array  # [], that are trained on
    weights: Array  # [network]
    updates: Array  # [], of each run
    warmup: Array  # [], updates of the warm-up


def _runs(config, network, model, data, keep):
    """Last losses of one network on the digits that tune and that judge.

    Returns:
        `[tuning or test, method, warm-up, rate, seed]`.
    """
    parts = problem.split(data, config.train, key=randomness.key(config.seed))
    half = len(parts.test.weights) // 2
    tuning, test = problem.split(parts.test, half, key=randomness.key(config.seed, 1))
    look = partial(problem.evaluation, model, problem.cross_entropy)
    probe = learn.measuring({"tuning": look(tuning), "test": look(test)})
    start, judge = (
        problem.start(model, data.inputs),
        problem.training_loss(model, problem.cross_entropy),
    )
    batches = learn.shuffled(parts.train, config.batch)
    seeds = randomness.seeds(config.seed, config.tuning_seeds + config.seeds)

    def runs(method, warmup):
        family = partial(learn.OPTIMIZERS[method], shape=learn.linear)
        training = learn.training(
            start, judge, family, batches, steps=config.steps, probe=probe
        )
        length = {"horizon": [config.steps], "warmup": [warmup]}
        grid = learn.grid(
            learn.Hyper, lr=RATES / METHODS[method][1], seed=seeds, **length
        )
        name = f"{network}, {method}, warm-up {warmup:g}"
        found = learn.sweep(training, grid, lanes=config.lanes, name=name, keep=keep)
        last = np.stack(
            [found.trace.probed[part][:, -1] for part in ("tuning", "test")]
        )
        losses = np.minimum(np.where(found.diverged_at < 0, last, CHANCE), CHANCE)
        return losses.reshape(2, len(RATES), len(seeds))

    by_method = []
    for method in METHODS:
        by_method.append(
            np.stack([runs(method, warmup) for warmup in (0.0, config.warmup)], axis=1)
        )
    return np.stack(by_method, axis=1)


def study(config, keep):
    """One program for each network, method and warm-up."""
    pixels = problem.digits()
    images = pixels._replace(inputs=pixels.inputs.reshape(-1, 8, 8, 1))
    models = (
        problem.mlp((config.width, 10), jax.nn.relu),
        problem.cnn((config.channels,), 10),
    )
    found, weights = [], []
    for network, model, data in zip(NETWORKS, models, (pixels, images), strict=True):
        found.append(_runs(config, network, model, data, keep))
        start = problem.start(model, data.inputs)
        weights.append(tree.size(jax.eval_shape(start, randomness.key(config.seed))[0]))
    tuning, test = np.stack(found, axis=1)
    return Result(
        tuning=tuning[..., : config.tuning_seeds],
        loss=test[..., config.tuning_seeds :],
        examples=np.array(config.train),
        weights=np.array(weights),
        updates=np.array(config.steps),
        warmup=np.array(config.warmup),
    )


def findings(result):
    """With a warm-up and without, paired by seed; what diverged counts as guessing."""
    found = []
    for network in NETWORKS:
        for method in METHODS:
            found += _verdicts(result, network, method)
    return tuple(found)


def _setting(result, network, method):
    weights = result.weights[NETWORKS.index(network)]
    return (
        f"8x8 digits ({result.examples:,} for training), {network} network of "
        f"{weights:,} weights, {result.updates:,} updates, {NAMES[method]}, warm-up "
        f"over {result.warmup:g} updates"
    )


def _verdicts(result, network, method):
    place = NETWORKS.index(network), list(METHODS).index(method)
    without, warm = result.loss[place]  # [rate, seed] each
    best, best_warm = np.median(result.tuning[place], axis=-1).argmin(axis=-1)
    higher = [min(best + more, len(RATES) - 1) for more in (1, 2)]
    gain = np.log(without[higher] / warm[higher]).mean(axis=0)
    claim, _ = METHODS[method]
    setting = _setting(result, network, method)
    return (
        record.supporting(
            claim,
            "With a warm-up training ends at a lower test loss than without, both at "
            "tuned rates.",
            record.paired(warm[best_warm], without[best]),
            LOWER,
            unit="nats",
            setting=setting,
        ),
        record.supporting(
            claim,
            "At rates above the best one without a warm-up, a warm-up lowers the last "
            "test loss.",
            record.bootstrap(np.mean, gain),
            LOWERED,
            unit="log ratio",
            setting=setting,
        ),
    )


def figures(result):
    """Loss against the rate."""
    figure, axes = panels(1, 2, width=5.0)
    for axis, network, by_method in zip(
        axes, NETWORKS, np.median(result.loss, axis=-1), strict=True
    ):
        for (method, (_, scale)), pair in zip(METHODS.items(), by_method, strict=True):
            for losses, kind in zip(pair, ("no", "a"), strict=True):
                axis.loglog(
                    RATES / scale,
                    losses,
                    label=f"{method}, {kind} warm-up",
                    markevery=1,
                )
        axis.legend(fontsize=8)
        label(
            axis, f"{network}, linear decay", "peak rate η", "median test loss (nats)"
        )
    return {"warmup": figure}
