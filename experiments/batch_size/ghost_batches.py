"""Does ghost batch normalisation give large batches the accuracy of small ones?

Batch normalisation takes its mean and variance over the batch, so a large batch changes
two things: it makes fewer updates, and its statistics are less noisy. Ghost batch
normalisation takes the statistics over parts of the batch, and so changes the second
alone. Here 500 examples train a network with one normalised layer for 20 epochs, by
gradient descent with momentum at a tuned rate: by batches of 25, by batches of 500, and
by these with ghosts of 25.

All are measured by the mean and variance of all training examples under the final
weights, so that only training differs. If large batches lack the noise of small
statistics, ghosts end at a higher held-out accuracy than batches normalised as a whole,
by more than a point, and less than a point below batches of 25. If they lack updates,
ghosts end with those normalised as a whole. Control: batches of 500 normalised as a
whole, which must end a point or more below batches of 25, or there is nothing to make
up for.

A unit draws its initial weights, its examples and their order anew; 30 units tune the
rate, in steps of 1.5, 40 others judge, and the tuning is resampled. Of digits, the
units' draws of 1,500 from 1,797 overlap. A point is one picture in a hundred, as in
`large_batch`; the range of the rates was placed by 16 units of seed 100. All findings
support: this is one technique, on a network of its own.

Not tested: other sizes of ghosts, several layers, running averages, training longer.

Claims: C072.
Sources: Hoffer, Hubara and Soudry 2017, arXiv:1705.08741; Ioffe and Szegedy 2015,
    arXiv:1502.03167; Wu and Johnson 2021, arXiv:2105.07576.
Cost: a minute on 2 cores, compilation included.
Expect: ghosts do not help, for it is updates that are lacking.
Run: jaxml run ghost_batches
"""

from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Float, Int

from jaxml import learn, problem, record
from jaxml.record import Arm, Assertion
from jaxml.record.comparisons import at_tuned
from jaxml.record.figures import Figure, by_rate, label, panels, shared_legend, strips
from jaxml.types import Keep

DATA = ("8x8 digits", "clothing of 7x7 pixels")
WORKLOADS = (problem.digits_workload, problem.small_clothing_workload)
EXAMPLES, SMALL = 500, 25  # that train, and of a small batch
EPOCHS = 20
RATES = 2.2e-3 * 1.5 ** np.arange(16)  # at batches of 25
GUESS = 0.1  # accuracy of a run that diverged
TRAINING, HELD_OUT = "training", "held-out"
HIGHER = record.above(0.0, margin=0.01, reason="one picture in a hundred")
NO_WORSE = record.above(-0.01, margin=0.001, reason="one of 1,000 held-out pictures")


class Kind(NamedTuple):
    """What an update sees, and over how much of it is normalised."""

    name: str
    size: int
    ghost: int | None


KINDS = (
    Kind(f"batches of {SMALL}", SMALL, None),
    Kind(f"batches of {EXAMPLES}", EXAMPLES, None),
    Kind(f"ghosts of {SMALL} in batches of {EXAMPLES}", EXAMPLES, SMALL),
)


@dataclass(frozen=True, kw_only=True)
class Config:
    """Sizes and units; of data sets the first ones."""

    data: int = len(DATA)
    width: int = 32
    test: int = 1000
    tuning: int = 30
    judging: int = 40
    lanes: int = 20
    seed: int = 0


SMOKE = Config(data=1, width=8, test=20, tuning=2, judging=2)


class Result(NamedTuple):
    """Accuracies after 20 epochs. Units that tune come first.

    Attributes:
        training: on the training set.
        held_out: on other pictures.
        weights: of the networks.
        tuning: how many of the units tune.
    """

    training: Float[np.ndarray, "data kind rate unit"]
    held_out: Float[np.ndarray, "data kind rate unit"]
    weights: Int[np.ndarray, " data"]
    tuning: Int[np.ndarray, ""]


def study(config: Config, keep: Keep) -> Result:
    """One program a data set and kind."""
    model = problem.batch_normalised((config.width, 10), jax.nn.relu)
    found, weights = [], []
    for of, data in zip(WORKLOADS[: config.data], DATA, strict=False):
        normalised = partial(
            problem.normalised_workload,
            model,
            problem.cross_entropy,
            of(train=EXAMPLES, test=config.test).data,
            train=EXAMPLES,
            test=config.test,
        )
        weights.append(problem.weights(normalised()))
        for kind in KINDS:
            work = normalised(ghost=kind.ghost)
            steps = EPOCHS * learn.updates_per_epoch(EXAMPLES, kind.size)
            grid = learn.grid(learn.Hyper, lr=RATES)
            scaled = learn.scaled(grid, kind.size, reference=SMALL, power=0.5)
            name = f"{data}, {kind.name}"
            both = problem.judged_on_both(work)
            contest = learn.compare(
                learn.experiment(both, batch=kind.size, steps=steps),
                {name: learn.Entrant(learn.momentum, scaled)},
                lanes=config.lanes,
                units=learn.Units(config.tuning, config.judging),
                seed=config.seed,
                keep=keep,
            )[name]
            ended = contest.final[TRAINING], contest.final[HELD_OUT]
            found.append(np.nan_to_num(np.stack(ended), nan=GUESS))
    every = np.array(found).reshape(config.data, len(KINDS), *found[0].shape)
    training, held_out = np.moveaxis(every, 2, 0)
    return Result(training, held_out, np.array(weights), np.array(config.tuning))


def findings(result: Result) -> tuple[Assertion, ...]:
    """On each data set, in both accuracies."""
    found: list[Assertion] = []
    for data, weights in enumerate(result.weights):
        setting = (
            f"{DATA[data]}, dense network of {weights:,} weights with batch "
            f"normalisation, {EXAMPLES} examples, momentum, rate tuned for each, "
            f"{EPOCHS} epochs (20 and 400 updates)"
        )
        held_out = result.held_out[data]
        for quantity, judged in (
            (HELD_OUT, held_out),
            (TRAINING, result.training[data]),
        ):
            arms = [Arm(*each) for each in zip(judged, -held_out, strict=True)]
            tuning = int(result.tuning)
            found += _compared(arms, quantity, setting, tuning=tuning)
    return tuple(found)


def _compared(
    arms: list[Arm], quantity: str, setting: str, *, tuning: int
) -> list[Assertion]:
    """Ghosts beside batches normalised as a whole, and both beside small ones."""
    small, large, ghosts = arms
    minus = partial(record.tuned, record.mean_difference, tuning=tuning)
    supporting = partial(
        record.supporting, "C072", unit="accuracy difference", setting=setting
    )
    name = f"Batches of {EXAMPLES} normalised over ghosts of {SMALL}"
    whole = f"Batches of {EXAMPLES} normalised as a whole"
    below = f"end less than a point of {quantity} accuracy below batches of {SMALL}"
    return [
        supporting(
            f"{name} end at a higher {quantity} accuracy than those normalised as a "
            "whole.",
            minus(ghosts, large),
            HIGHER,
        ),
        supporting(f"{name} {below}.", minus(ghosts, small), NO_WORSE),
        supporting(f"{whole} {below}, the control.", minus(large, small), NO_WORSE),
    ]


def figures(result: Result) -> dict[str, Figure]:
    """Judged units at their tuned rates, and all rates."""
    tuning, count = int(result.tuning), len(result.weights)
    figure, axes = panels(count, 2)
    for data, held_out in enumerate(result.held_out):
        left, right = axes[2 * data : 2 * data + 2]
        samples = {}
        for kind, values in zip(KINDS, held_out, strict=True):
            samples[kind.name] = at_tuned(Arm(values, -values), tuning)
            best = learn.chosen(-values, tuning)
            rates = RATES * (kind.size / SMALL) ** 0.5
            by_rate(right, rates, values[:, tuning:], best, kind.name)
        strips(left, samples)
        label(left, DATA[data], "at the tuned rate", "held-out accuracy")
        label(right, DATA[data], "rate", "held-out accuracy")
    shared_legend(figure)
    return {"ghosts": figure}
