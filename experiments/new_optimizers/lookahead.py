"""Does Lookahead make training steadier, and does it end flatter and better?

On few digits SGD with momentum and Adam are tuned over the rate with and without
Lookahead, k = 5 and α = 1/2, and judged on seeds and digits that tuning has not seen.
Sharpness is the highest eigenvalue of the Hessian of the training loss, by Lanczos; it
falls with that loss, so it is compared at the end and where the losses are equal.
Steadier is what rises less in the second half of the run. All seeds share one tuned
rate and one split of the digits, so nothing here decides.

Claims: C120.
Sources: Zhang, Lucas, Hinton and Ba 2019, arXiv:1907.08610.
Cost: 20 seconds on 2 cores.
Expect: tuned, no difference that matters.
Run: jaxml run lookahead
"""

from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import numpy as np

from jaxml import curvature, learn, problem, randomness, record, tree
from jaxml.record.figures import label, panels
from jaxml.types import Array

RATES = np.geomspace(3e-4, 0.1, 11)
METHODS = {"momentum": 30.0, "adam": 1.0}  # and what multiplies the rates
NAMES = {"momentum": "SGD with momentum", "adam": "Adam"}
KINDS = "plain", "in Lookahead"

NATS = "0.01 nats is 1 % in the probability of the right class"
LOWER = record.below(0.0, margin=0.01, reason=NATS)
FLATTER = record.below(
    1.0, margin=0.05, reason="5 % of sharpness is less than what seeds move"
)


@dataclass(frozen=True, kw_only=True)
class Config:
    """The network, how few digits it sees, and how long."""

    width: int = 32
    train: int = 500
    steps: int = 800
    every: int = 40
    batch: int = 20
    depth: int = 12  # of Lanczos' iteration for the sharpness
    tuning_seeds: int = 3
    seeds: int = 10
    lanes: int = 6
    seed: int = 0


SMOKE = Config(
    width=4, train=60, steps=4, every=1, depth=2, tuning_seeds=1, seeds=2, lanes=11
)


class Result(NamedTuple):
    """By method of METHODS and kind of KINDS."""

    # [method, kind, rate, tuning seed], last loss in tuning, inf where it diverged
    tuning: Array
    train: Array  # [method, kind, seed, look], training loss, nan where it diverged
    test: Array  # [method, kind, seed, look], test loss, nan where it diverged
    sharpness: Array  # [method, kind, seed, look], the Hessian's highest eigenvalue
    examples: Array  # [], that are trained on
    weights: Array  # [], of the network
    updates: Array  # [], of each run


def _family(method, kind):
    family = learn.OPTIMIZERS[method]
    return learn.lookahead(family) if kind == "in Lookahead" else family


def _contests(config, experiment, keep):
    """Each method, plain and in Lookahead, tuned and judged."""
    entrants = {}
    for method, scale in METHODS.items():
        grid = learn.grid(learn.Hyper, lr=scale * RATES, period=[5], pull=[0.5])
        for kind in KINDS:
            entrants[f"{method} {kind}"] = learn.Entrant(_family(method, kind), grid)
    found = learn.compare(
        experiment,
        entrants,
        target=0.2,
        lanes=config.lanes,
        tuning_seeds=config.tuning_seeds,
        seeds=config.seeds,
        seed=config.seed,
        keep=keep,
    )
    return list(found.values())


def _sharpness(config, task, points):
    """The highest eigenvalue of the Hessian of the training loss at each of
    `[point, weight]`.
    """
    objective, fold = problem.objective(task.model, task.loss), problem.unravel(task)
    key = randomness.key(config.seed)

    def sharpness(vector):
        params = fold(vector)
        product = curvature.hessian_product(objective, params, task.batch)
        _, highest = curvature.extremes(
            product, params, count=1, depth=config.depth, key=key
        ).values
        return highest

    return jax.jit(partial(jax.lax.map, sharpness))(points)


def study(config, keep):
    """One program a method and kind, and one for the sharpness."""
    parts = problem.split(
        problem.digits(), config.train, key=randomness.key(config.seed)
    )
    half = len(parts.test.weights) // 2
    tuning, test = problem.split(parts.test, half, key=randomness.key(config.seed, 1))
    model, loss = problem.mlp((config.width, 10), jax.nn.relu), problem.cross_entropy
    measures = {
        "loss": problem.evaluation(model, loss, tuning),
        "test": problem.evaluation(model, loss, test),
        "train": problem.evaluation(model, loss, parts.train),
        "params": lambda params: tree.ravel(params)[0],
    }
    start, judge = (
        problem.start(model, parts.train.inputs),
        problem.training_loss(model, loss),
    )
    batches, probe = (
        learn.shuffled(parts.train, config.batch),
        learn.measuring(measures),
    )
    length = {"steps": config.steps, "every": config.every}

    def experiment(family):
        return learn.training(start, judge, family, batches, probe=probe, **length)

    contests = _contests(config, experiment, keep)
    params = _seen(contests, "params")
    points = params.reshape(-1, params.shape[-1])
    task = problem.Task(model, loss, problem.none, parts.train)
    sharp = keep("sharpness", partial(_sharpness, config, task, points))
    by_arm = len(METHODS), len(KINDS), config.seeds, -1
    tuned = np.stack([each.tuning for each in contests])
    return Result(
        tuning=tuned.reshape(len(METHODS), len(KINDS), len(RATES), -1),
        train=_seen(contests, "train").reshape(by_arm),
        test=_seen(contests, "test").reshape(by_arm),
        sharpness=np.asarray(sharp).reshape(by_arm),
        examples=np.array(config.train),
        weights=np.array(points.shape[-1]),
        updates=np.array(config.steps),
    )


def _seen(contests, quantity):
    """What was seen along the judged runs, `[arm, seed, look, ...]`."""
    return np.stack([contest.curves[quantity] for contest in contests])


def findings(result):
    """In Lookahead against plain, both tuned, paired by seed; a seed of which one
    diverged is left out.
    """
    found = []
    for method in METHODS:
        found += [*_losses(result, method), *_flatness(result, method)]
    return tuple(found)


def _setting(result, method):
    return (
        f"8x8 digits ({result.examples:,} for training), dense network of "
        f"{result.weights:,} weights, {result.updates:,} updates, {NAMES[method]}, "
        "rates tuned, k = 5 and α = 1/2"
    )


def _losses(result, method):
    """The rises of the training loss in the second half, and the last test loss."""
    k = list(METHODS).index(method)
    setting = _setting(result, method)
    late = result.train.shape[-1] // 2
    rises = np.maximum(np.diff(result.train[k, ..., late:]), 0).mean(axis=-1)
    plain, ahead = result.test[k, ..., -1]
    return (
        record.supporting(
            "C120",
            "With Lookahead the training loss rises less between evaluations in the "
            "second half of the run than without.",
            record.paired(rises[1], rises[0]),
            LOWER,
            unit="nats",
            setting=setting,
        ),
        record.supporting(
            "C120",
            "With Lookahead training ends at a lower test loss than without.",
            record.paired(ahead, plain),
            LOWER,
            unit="nats",
            setting=setting,
        ),
    )


def _flatness(result, method):
    """The Hessian's highest eigenvalue at the end, and where both runs of a seed have
    one training loss.
    """
    k = list(METHODS).index(method)
    setting = _setting(result, method)
    train = result.train[k]  # [kind, seed, look]
    sharpness = np.where(np.isfinite(train), result.sharpness[k], np.nan)
    level = train[..., -1].max(axis=0)  # that both reach
    passage = np.vectorize(record.first_passage, signature="(n),(n),()->()")
    equal = passage(train, sharpness, level).astype(train.dtype)
    last = sharpness[..., -1]
    return (
        record.supporting(
            "C120",
            "With Lookahead training ends at a lower highest eigenvalue of the "
            "Hessian than without.",
            record.paired(last[1], last[0], statistic=record.ratio_of_means),
            FLATTER,
            unit="ratio",
            setting=setting,
        ),
        record.supporting(
            "C120",
            "At equal training loss the Hessian's highest eigenvalue is lower with "
            "Lookahead than without.",
            record.paired(equal[1], equal[0], statistic=record.ratio_of_means),
            FLATTER,
            unit="ratio",
            setting=setting,
        ),
    )


def figures(result):
    """Tuning by rate, the loss by looks, and sharpness by training loss."""
    figure, axes = panels(1, 3, width=5.0)
    arms = [
        (name, k, kind, row)
        for k, name in enumerate(METHODS)
        for row, kind in enumerate(KINDS)
    ]
    for name, k, kind, row in arms:
        losses, train, sharp = (
            each[k, row] for each in (result.tuning, result.train, result.sharpness)
        )
        axes[0].loglog(
            METHODS[name] * RATES,
            np.minimum(np.median(losses, axis=1), 3),
            label=f"{name} {kind}",
        )
        axes[1].semilogy(
            np.linspace(0, 1, train.shape[1] + 1)[1:], np.median(train, axis=0)
        )
        axes[2].loglog(np.median(train, axis=0), np.median(sharp, axis=0))
    axes[0].legend(fontsize=8)
    label(axes[0], "At every rate", "rate η", "median loss in tuning (nats)")
    label(axes[1], "Tuned", "share of the updates", "median training loss (nats)")
    label(
        axes[2],
        "Tuned",
        "median training loss (nats)",
        "median highest eigenvalue (nats)",
    )
    return {"lookahead": figure}
