"""What does a schedule buy at a fixed budget, and does the range test find the rate?

A network on digits is trained for the same number of steps under each schedule, by SGD
with momentum. Every entrant is tuned over one grid of rates, and judged on seeds and
digits that tuning has not seen; differences are paired by seed. All seeds share one
tuned rate and one split of the digits, so nothing here decides.

Claims: C114, C115, C116.
Sources: Smith 2017, arXiv:1506.01186; Loshchilov and Hutter 2017, arXiv:1608.03983;
    Smith and Topin 2018, arXiv:1708.07120.
Cost: 40 seconds on 2 cores, most of it compilation.
Expect: every decay beats the constant rate in loss.
Run: jaxml run schedules
"""

from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import numpy as np

from jaxml import learn, problem, randomness, record, tree
from jaxml.record.figures import label, panels
from jaxml.types import Array

SCHEDULES = {  # claims, and how a sentence calls them
    "step": ("C116", "a decay by steps"),
    "exponential": ("C116", "an exponential decay"),
    "inverse_sqrt": ("C116", "a decay with the inverse root of time"),
    "linear": ("C116", "a linear decay"),
    "cosine": ("C116", "cosine annealing without restarts"),
    "stable_decay": ("C116", "a constant rate that decays at the end"),
    "triangular": ("C115", "a triangular cycle"),
    "exponential_triangular": (
        "C115",
        "a triangular cycle with exponentially falling peaks",
    ),
    "restarts": ("C116", "cosine annealing with warm restarts"),
    "one_cycle": ("C116", "the one-cycle policy"),
}
SHAPES = ("constant", *SCHEDULES)
RATES = np.geomspace(1e-3, 10.0, 9)
STRETCHES = 20  # of a range test, over each of which the loss of batches is averaged

LOWER = record.below(
    0.0, margin=0.01, reason="0.01 nats is 1 % in the probability of the right class"
)
RATIO = "5 % in a rate is less than a step of any grid"


@dataclass(frozen=True, kw_only=True)
class Config:
    """The network, its data, and how long every run lasts."""

    width: int = 32
    train: int = 500
    steps: int = 500
    batch: int = 20
    tuning_seeds: int = 5
    seeds: int = 10
    lanes: int = 9
    seed: int = 0


SMOKE = Config(width=8, train=60, steps=20, tuning_seeds=1, seeds=2, lanes=9)


class Result(NamedTuple):
    """By schedule of SHAPES, then what the range test saw."""

    tuning: (
        Array  # [schedule, rate, tuning seed], loss in tuning, inf where it diverged
    )
    loss: Array  # [schedule, seed], test loss of the best rate
    climbed: Array  # [step], rates of the range test
    seen: Array  # [step], its smoothed loss
    # [seed, step], the loss of its batches, not finite once a run has diverged
    climbs: Array
    recommended: Array  # [2], lowest and highest rate
    turn: Array  # [], the rate at which the smoothed loss is lowest
    examples: Array  # [], that are trained on
    weights: Array  # [], of the network
    updates: Array  # [], of each run


def study(config, keep):
    """One program an entrant."""
    parts = problem.split(
        problem.digits(), config.train, key=randomness.key(config.seed)
    )
    half = len(parts.test.weights) // 2
    tuning, test = problem.split(parts.test, half, key=randomness.key(config.seed, 1))
    model, loss = problem.mlp((config.width, 10), jax.nn.relu), problem.cross_entropy
    batches, looks = (
        learn.shuffled(parts.train, config.batch),
        {"loss": tuning, "test": test},
    )
    probe = learn.measuring(
        {name: problem.evaluation(model, loss, batch) for name, batch in looks.items()}
    )
    start, judge = (
        problem.start(model, parts.train.inputs),
        problem.training_loss(model, loss),
    )
    experiment = partial(
        learn.training, start, judge, batches=batches, steps=config.steps, probe=probe
    )

    grid = learn.grid(learn.Hyper, lr=RATES, horizon=[config.steps])
    entrants = {}
    for name in SHAPES:
        family = partial(learn.momentum, shape=learn.SHAPES[name])
        entrants[name] = learn.Entrant(family, grid)
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
    contests = found.values()
    counts = {"seeds": config.seeds, "seed": config.seed}
    ramp = partial(
        learn.range_test, experiment, learn.momentum, learn.Hyper(lr=1.0), **counts
    )
    climb = keep("range test", partial(ramp, low=1e-4, high=100.0))
    return Result(
        tuning=np.stack([each.tuning for each in contests]),
        loss=np.stack([each.final["test"] for each in contests]),
        climbed=climb.rates,
        seen=climb.smoothed,
        climbs=climb.loss.astype(np.float32),
        recommended=np.array([climb.low, climb.high]),
        turn=np.array(climb.turn),
        examples=np.array(config.train),
        weights=np.array(
            tree.size(jax.eval_shape(start, randomness.key(config.seed))[0])
        ),
        updates=np.array(config.steps),
    )


def findings(result):
    """Differences in test loss, paired by seed without seeds that diverged at the tuned
    rate; the test.
    """
    loss = dict(zip(SHAPES, result.loss, strict=True))
    setting = _setting(result)
    found = []
    for name, (claim, phrase) in SCHEDULES.items():
        finding = record.supporting(
            claim,
            f"SGD with momentum ends at a lower test loss under {phrase} than at a "
            "constant rate.",
            record.paired(loss[name], loss["constant"]),
            LOWER,
            unit="nats",
            setting=f"{setting}, rates tuned",
        )
        found.append(finding)
    return (*found, *_range_test(result))


def _setting(result):
    return (
        f"8x8 digits ({result.examples:,} for training), "
        f"dense network of {result.weights:,} weights, {result.updates:,} updates"
    )


def _turns(climbs):
    """Whether a run's loss at some time is half its first, and at last twice its least,
    `[seed]`.
    """
    losses = np.minimum(np.nan_to_num(climbs, nan=np.inf), 1e9)
    stretches = [
        part.mean(axis=1) for part in np.array_split(losses, STRETCHES, axis=1)
    ]
    first, least, last = stretches[0], np.min(stretches, axis=0), stretches[-1]
    return (least < first / 2) & (last > 2 * least)


def _range_test(result):
    setting = f"{_setting(result)}, SGD with momentum"
    best = RATES[np.argmin(result.tuning[0], axis=0)]
    low, _ = result.recommended
    return (
        record.supporting(
            "C114",
            "In most range tests the training loss falls to less than half of its "
            "first value, then rises to more than twice its lowest.",
            record.proportion(_turns(result.climbs), of=result.climbs),
            record.above(0.5),
            unit="fraction",
            setting=setting,
        ),
        record.supporting(
            "C114",
            "The best constant rate lies below the rate at which the loss of the "
            "range test is lowest.",
            record.bootstrap(np.median, best / result.turn),
            record.below(1.0, margin=0.05, reason=RATIO),
            unit="ratio",
            setting=setting,
        ),
        record.supporting(
            "C114",
            "The best constant rate lies above the lowest rate that the range test "
            "recommends.",
            record.bootstrap(np.median, best / low),
            record.above(1.0, margin=0.05, reason=RATIO),
            unit="ratio",
            setting=setting,
        ),
    )


def figures(result):
    """Loss against the rate by schedule, and the range test."""
    figure, axes = panels(1, 2, width=5.5)
    medians = np.median(result.tuning, axis=2)
    for name, losses in zip(
        SHAPES, np.where(medians < 1e3, medians, np.nan), strict=True
    ):
        axes[0].loglog(RATES, losses, label=name)
    figure.legend(
        *axes[0].get_legend_handles_labels(),
        loc="outside lower center",
        ncols=6,
        fontsize=8,
    )
    label(axes[0], "SGD with momentum", "peak rate η", "median loss in tuning (nats)")
    axes[1].loglog(result.climbed, np.where(result.seen < 1e3, result.seen, np.nan))
    for rate in result.recommended:
        axes[1].axvline(rate, color="black", linestyle=":")
    label(
        axes[1],
        "Range test (dotted: recommended)",
        "rate η",
        "smoothed training loss (nats)",
    )
    return {"schedules": figure}
