"""Do the inputs of ReLUs move more with noisy normalisation than without any?

That batch normalisation with noise behind it still speeds training up
(`noisy_normalisation`) says something of steadiness only if the noise does unsettle the
distributions. So the same runs are asked how far one update moves the mean of a ReLU's
inputs over all 500 training examples, with the noise of training, in deviations of
these inputs; the mean over units, at every tenth update until the training loss is
first at 0.1 nats, at each arm's best rate by the number of these updates. If noise
unsettles the inputs, they move more than without normalisation by at least a factor of
1.25; if they stay as steady, the course's account is not touched by its speed.

Control, which must not come out as more: batch normalisation without noise. A run that
diverged stands still, and its unit is left out. An earlier version took movements over
ten updates, in which those of weights add up and those of noise do not; four units of
seed 100, judged nowhere, saw both.

Not tested: variances and shapes of distributions; convolution.

Claims: C105.
Source: Santurkar et al. 2018, arXiv:1805.11604, section 2.2 and figure 2.
Cost: seconds, after `noisy_normalisation`.
Expect: noise moves them several times as far as updates do.
Run: jaxml run moving_inputs
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from jaxml import record
from jaxml.record import Arm, Assertion
from jaxml.record.comparisons import compared
from jaxml.record.figures import Figure, label, panels, shared_legend
from jaxml.types import Keep

NEEDS = ("noisy_normalisation",)
NONE, BATCH, NOISY = range(3)
MORE = record.above(0.0, margin=float(np.log(1.25)), reason="a factor of 1.25")


@dataclass(frozen=True, kw_only=True)
class Config:
    """The seed of those runs, and of intervals."""

    seed: int = 0


SMOKE = Config()


class Result(NamedTuple):
    """Networks without normalisation, with it, and with noise behind it. Units that
    tune come first.

    Attributes:
        moved: the logarithm of the mean movement of a ReLU's inputs by an update.
        scores: by which rates are chosen, the lower the better.
        tuning: how many of the units tune.
        layers: hidden ones.
        width: of each.
        seed: of intervals.
    """

    moved: Float[np.ndarray, "arm rate unit"]
    scores: Float[np.ndarray, "arm rate unit"]
    tuning: Int[np.ndarray, ""]
    layers: Int[np.ndarray, ""]
    width: Int[np.ndarray, ""]
    seed: Int[np.ndarray, ""]


def study(config: Config, keep: Keep, noisy_normalisation: Any) -> Result:
    """From the runs of `noisy_normalisation`."""
    del keep
    found, arms = noisy_normalisation, slice(NOISY + 1)
    moved = found.moved[arms]
    standing = (moved == 0) | ~np.isfinite(moved)
    return Result(
        moved=np.log(np.where(standing, np.nan, moved)),
        scores=found.scores[arms],
        tuning=found.tuning,
        layers=found.layers,
        width=found.width,
        seed=np.array(config.seed),
    )


def findings(result: Result) -> tuple[Assertion, ...]:
    """Log ratios of movements, with noise and without."""
    return (
        _judged(
            result,
            NOISY,
            record.deciding,
            "The inputs of the ReLUs move more in training with noisy batch "
            "normalisation than without normalisation.",
        ),
        _judged(
            result,
            BATCH,
            record.supporting,
            "Control, batch normalisation without noise: the inputs of the ReLUs move "
            "more in training than without normalisation.",
        ),
    )


def _judged(result: Result, arm: int, role: Any, statement: str) -> Assertion:
    arms = (_arm(result, arm), _arm(result, NONE))
    return role(
        "C105",
        statement,
        record.tuned(
            record.mean_difference,
            *arms,
            tuning=int(result.tuning),
            seed=int(result.seed),
        ),
        MORE,
        unit="log ratio",
        setting="8x8 digits (500 for training), dense network of "
        f"{result.layers} hidden layers of {result.width} ReLUs, SGD with momentum "
        "0.9, batches of 50, until a training loss of 0.1 nats, rates tuned",
    )


def _arm(result: Result, arm: int) -> Arm:
    return Arm(result.moved[arm], result.scores[arm])


def figures(result: Result) -> dict[str, Figure]:
    """Unit by unit: movements over those without normalisation."""
    figure, (axis,) = panels(1, 1, width=6.0, height=3.4)
    rows = {
        name: (_arm(result, arm), _arm(result, NONE))
        for arm, name in ((BATCH, "batch"), (NOISY, "noisy batch"))
    }
    compared(axis, rows, MORE, tuning=int(result.tuning))
    title = "Movement of the ReLUs' inputs by an update"
    label(axis, title, "log of the ratio to no normalisation", "normalisation")
    shared_legend(figure)
    return {"movement": figure}
