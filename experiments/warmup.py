"""What does a warm-up buy at a fixed budget?

A dense and a convolutional network on digits, by SGD with momentum and by Adam, at rates that fall linearly
to 0, with a warm-up over the first tenth and without. Every entrant is tuned over one grid of rates, and
judged on seeds and digits that tuning has not seen; differences are paired by seed.

Claims: C086, C117.
Sources: Liu et al. 2020, arXiv:1908.03265; Ma and Yarats 2021, arXiv:1910.04209.
Cost: 30 seconds on 2 cores.
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
RATES = np.geomspace(1e-3, 10.0, 9)


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
    """By network of NETWORKS, method of METHODS, and without or with a warm-up."""

    tuning: Array  # [network, method, warm-up, rate, tuning seed], loss in tuning, inf where it diverged
    loss: Array  # [network, method, warm-up, seed], test loss at the best rate, nan where it diverged


def study(config, keep):
    """One program an entrant."""
    pixels = problem.digits()
    images = pixels._replace(inputs=pixels.inputs.reshape(-1, 8, 8, 1))
    models = problem.mlp((config.width, 10), jax.nn.relu), problem.cnn((config.channels,), 10)
    counts = {"lanes": config.lanes, "tuning_seeds": config.tuning_seeds, "seeds": config.seeds}

    def contests(network, model, data):
        parts = problem.split(data, config.train, key=jax.random.key(0))
        tuning, test = problem.split(parts.test, len(parts.test.weights) // 2, key=jax.random.key(1))
        look = partial(problem.evaluation, model, problem.cross_entropy)
        probe = learn.measuring({"loss": look(tuning), "test": look(test)})
        start, judge = problem.start(model, data.inputs), problem.training_loss(model, problem.cross_entropy)
        batches = learn.shuffled(parts.train, config.batch)
        experiment = partial(learn.training, start, judge, batches=batches, steps=config.steps, probe=probe)
        entrants = {}
        for method, (_, scale) in METHODS.items():
            for warmup in (0.0, config.warmup):
                grid = learn.grid(learn.Hyper, lr=RATES / scale, horizon=[config.steps], warmup=[warmup])
                family = partial(learn.OPTIMIZERS[method], shape=learn.linear)
                entrants[f"{network}, {method}, warm-up {warmup:g}"] = learn.Entrant(family, grid)
        return learn.compare(experiment, entrants, target=0.2, keep=keep, **counts).values()

    found = [
        each for given in zip(NETWORKS, models, (pixels, images), strict=True) for each in contests(*given)
    ]
    tuning, loss = np.stack([each.tuning for each in found]), np.stack([each.final["test"] for each in found])
    return Result(tuning.reshape(2, 2, 2, *tuning.shape[1:]), loss.reshape(2, 2, 2, -1))


def findings(result):
    """With a warm-up less without, paired by seed; a seed that diverged at the tuned rate is left out."""
    above, below = (partial(rule, dtype="float32") for rule in (record.above, record.below))
    lost = lambda losses: np.mean(losses > 2 * losses.min(), axis=0)  # noqa: E731  # of the rates, by seed

    def less(*pair):
        return record.bootstrap(record.mean_difference, *np.stack(pair)[:, np.isfinite(pair).all(axis=0)])

    return tuple(
        finding
        for n, network in enumerate(NETWORKS)
        for k, (method, (claim, _)) in enumerate(METHODS.items())
        for finding in (
            below(claim, f"{network}, {method}: a warm-up ends lower, both tuned: difference in test loss.",
                  less(*result.loss[n, k, ::-1]), 0.0, unit="nats"),
            above(claim, f"{network}, {method}: a warm-up bears higher rates: share of the rates won.",
                  less(*(lost(losses) for losses in result.tuning[n, k])), 0.0, unit="1"),
        )
    )  # fmt: skip


def figures(result):
    """Loss against the rate."""
    figure, axes = panels(1, 2, width=5.0)
    for axis, network, by_method in zip(axes, NETWORKS, np.median(result.tuning, axis=-1), strict=True):
        for (method, (_, scale)), pair in zip(METHODS.items(), by_method, strict=True):
            for losses, kind in zip(pair, ("no", "a"), strict=True):
                shown = np.where(losses < 1e3, losses, np.nan)
                axis.loglog(RATES / scale, shown, label=f"{method}, {kind} warm-up", markevery=1)
        axis.legend(fontsize=8)
        label(axis, f"{network}, linear decay", "peak rate η", "median loss in tuning (nats)")
    return {"warmup": figure}
