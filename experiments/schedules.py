"""What does a schedule buy at a fixed budget, and does the range test find the rate?

A network on digits is trained for the same number of steps under each schedule, by SGD with momentum. Every
entrant is tuned over one grid of rates, and judged on seeds and digits that tuning has not seen; differences
are paired by seed.

Claims: C085, C114, C115, C116.
Sources: Smith 2017, arXiv:1506.01186; Loshchilov and Hutter 2017, arXiv:1608.03983; Smith and Topin 2018,
    arXiv:1708.07120.
Cost: 40 seconds on 2 cores, most of it compilation.
Expect: every decay beats the constant rate in loss.
Run: jaxml run schedules
"""

from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import numpy as np

from jaxml import learn, problem, record
from jaxml.record.figures import label, panels
from jaxml.types import Array

DECAYS = {
    "C085": ("step", "exponential", "inverse_sqrt", "linear", "cosine", "stable_decay"),
    "C115": ("triangular", "exponential_triangular"),
    "C116": ("restarts", "one_cycle"),
}
SHAPES = ("constant", *(name for names in DECAYS.values() for name in names))
RATES = np.geomspace(1e-3, 10.0, 9)


@dataclass(frozen=True, kw_only=True)
class Config:
    """The network, its data, and how long every run lasts."""

    width: int = 32
    train: int = 500
    steps: int = 500
    batch: int = 20
    tuning_seeds: int = 5
    seeds: int = 10
    lanes: int = 45
    dtype: str = "float32"


SMOKE = Config(width=8, train=60, steps=20, tuning_seeds=1, seeds=2, lanes=9)


class Result(NamedTuple):
    """By schedule of SHAPES, then what the range test saw."""

    tuning: Array  # [schedule, rate, tuning seed], loss in tuning, inf where it diverged
    loss: Array  # [schedule, seed], test loss of the best rate
    climbed: Array  # [step], rates of the range test
    seen: Array  # [step], its smoothed loss
    recommended: Array  # [2], lowest and highest rate


def study(config, keep):
    """One program an entrant."""
    parts = problem.split(problem.digits(), config.train, key=jax.random.key(0))
    tuning, test = problem.split(parts.test, len(parts.test.weights) // 2, key=jax.random.key(1))
    model, loss = problem.mlp((config.width, 10), jax.nn.relu), problem.cross_entropy
    batches, looks = learn.shuffled(parts.train, config.batch), {"loss": tuning, "test": test}
    probe = learn.measuring({name: problem.evaluation(model, loss, batch) for name, batch in looks.items()})
    start, judge = problem.start(model, parts.train.inputs), problem.training_loss(model, loss)
    experiment = partial(learn.training, start, judge, batches=batches, steps=config.steps, probe=probe)

    def entrant(name):
        grid = learn.grid(learn.Hyper, lr=RATES, horizon=[config.steps])
        return learn.Entrant(lambda hyper: learn.momentum(hyper, learn.SHAPES[name]), grid)

    entrants = {name: entrant(name) for name in SHAPES}
    given = {"lanes": config.lanes, "tuning_seeds": config.tuning_seeds, "seeds": config.seeds, "keep": keep}
    contests = learn.compare(experiment, entrants, target=0.2, **given).values()
    ramp = partial(learn.range_test, experiment, learn.momentum, learn.Hyper(lr=1.0), seeds=config.seeds)
    climb = keep("range test", partial(ramp, low=1e-4, high=100.0))
    return Result(
        np.stack([each.tuning for each in contests]),
        np.stack([each.final["test"] for each in contests]),
        climb.rates,
        climb.smoothed,
        np.array([climb.low, climb.high]),
    )


def findings(result):
    """Differences in test loss, paired by seed; a seed that diverged at the tuned rate is left out."""
    above, below = (partial(rule, dtype="float32") for rule in (record.above, record.below))

    loss = dict(zip(SHAPES, result.loss, strict=True))
    best, median = RATES[np.argmin(result.tuning[0], axis=0)], partial(record.bootstrap, np.median)
    return (
        *(below(claim, f"{name} ends lower than a constant rate, both tuned: difference in test loss.",
                record.paired(loss[name], loss["constant"]), 0.0, unit="nats")
          for claim, names in DECAYS.items() for name in names),
        above("C114", "As the rate climbs the loss falls and rises again: last over least.",
              record.certain(float(min(result.seen[-1] / result.seen.min(), 1e9))), 2.0, unit="1"),
        below("C114", "The best constant rate is at most the test's highest: ratio.",
              median(best / result.recommended[1]), 1.0, unit="1"),
        above("C114", "And at least its lowest: ratio.",
              median(best / result.recommended[0]), 1.0, unit="1"),
    )  # fmt: skip


def figures(result):
    """Loss against the rate by schedule, and the range test."""
    figure, axes = panels(1, 2, width=5.5)
    finite = lambda losses: np.where(np.median(losses, 1) < 1e3, np.median(losses, 1), np.nan)  # noqa: E731
    for name, losses in zip(SHAPES, result.tuning, strict=True):
        axes[0].loglog(RATES, finite(losses), label=name)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=6, fontsize=8)
    label(axes[0], "SGD with momentum", "peak rate η", "median loss in tuning (nats)")
    axes[1].loglog(result.climbed, np.where(result.seen < 1e3, result.seen, np.nan))
    for rate in result.recommended:
        axes[1].axvline(rate, color="black", linestyle=":")
    label(axes[1], "Range test (dotted: recommended)", "rate η", "smoothed training loss (nats)")
    return {"schedules": figure}
