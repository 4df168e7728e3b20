r"""Which part of a test loss has which cause.

With L̂ for the loss on the examples that are trained on, the test loss of the diagnosed
training is

    test = L̂ + (held out - L̂) + (test - held out):

what training does not fit, what does not carry over to other examples of the same data,
and what does not carry over to the later test set. Of the first part beyond the goal,
optimization takes what some other training of a model no larger than the diagnosed one
is lower by; model bias takes what a larger model is lower by, both on the examples that
it is trained on and on those held out (a larger model fits noise too, which helps no
held-out example); the noise floor is the rest.
"""

from collections.abc import Mapping
from typing import Literal, NamedTuple, TypeAlias

import numpy as np
from jaxtyping import Float
from scipy import special

from jaxml.learn.diagnosis.trained import BLOCKS, Losses

Cause: TypeAlias = Literal[
    "model bias", "optimization", "overfitting", "mismatch", "noise floor"
]
Verdict: TypeAlias = Cause | Literal["fine", "undecided"]

LEVEL = 0.95


class Part(NamedTuple):
    """A part of the mean test loss, and its interval at 95 %.

    Attributes:
        loss: its estimate.
        low: lower end.
        high: upper end.
    """

    loss: float
    low: float
    high: float


class Place(NamedTuple):
    """A factor of the rate and a time, by their places in the arrays of `Losses`."""

    factor: int
    time: int


class Compared(NamedTuple):
    """Losses of each seed that the tree compares.

    Attributes:
        train: of the diagnosed training.
        held_out: of it.
        test: of it, by block.
        reached: on training examples, by the best training of a model no larger.
        larger: on training examples, by the best training of the larger model.
        best: on held-out examples, by the best training of a model no larger.
        larger_best: on held-out examples, by the best of the larger model.
    """

    train: Float[np.ndarray, " seed"]
    held_out: Float[np.ndarray, " seed"]
    test: Float[np.ndarray, "seed block"]
    reached: Float[np.ndarray, " seed"]
    larger: Float[np.ndarray, " seed"]
    best: Float[np.ndarray, " seed"]
    larger_best: Float[np.ndarray, " seed"]


def lowest(losses: Float[np.ndarray, "factor time seed"]) -> Place:
    """Where the mean over seeds is lowest.

    >>> lowest(np.array([[[3.0, 3.0], [1.0, 2.0]]]))
    Place(factor=0, time=1)
    """
    means = np.mean(losses, axis=-1)
    factor, time = np.unravel_index(np.argmin(means), means.shape)
    return Place(int(factor), int(time))


def at_lowest(losses: Float[np.ndarray, "factor time seed"]) -> np.ndarray:
    """The losses of each seed there."""
    return losses[lowest(losses)]


def compared(
    simpler: Losses, diagnosed: Losses, larger: Losses, *, factor: int
) -> Compared:
    """What the tree compares.

    Args:
        simpler: of the simpler model.
        diagnosed: of the diagnosed one.
        larger: of the larger one.
        factor: the place of the user's own rate.
    """
    no_larger = (diagnosed, simpler)
    return Compared(
        train=diagnosed.train[factor, 0],
        held_out=diagnosed.held_out[factor, 0],
        test=diagnosed.test[factor, 0],
        reached=_best_of([at_lowest(each.train) for each in no_larger]),
        larger=at_lowest(larger.train),
        best=_best_of([at_lowest(each.held_out) for each in no_larger]),
        larger_best=at_lowest(larger.held_out),
    )


def _best_of(candidates: list[np.ndarray]) -> np.ndarray:
    """The candidate of the lowest mean."""
    return min(candidates, key=np.mean)


def parts(seen: Compared, goal: float) -> dict[Cause, Part]:
    """The parts of the test loss by their cause.

    Args:
        seen: losses of each seed.
        goal: the loss that would content the user; what training leaves below it has
            no cause.
    """
    unfitted = np.maximum(seen.train - goal, 0.0)
    optimization = np.clip(seen.train - seen.reached, 0.0, unfitted)
    left = unfitted - optimization
    gain = np.minimum(seen.reached - seen.larger, seen.best - seen.larger_best)
    bias = np.clip(gain, 0.0, left)
    test = np.mean(seen.test, axis=-1)
    return {
        "optimization": part(optimization),
        "model bias": part(bias),
        "noise floor": part(left - bias),
        "overfitting": part(seen.held_out - seen.train),
        "mismatch": part(test - seen.held_out, error=sampling_error(seen.test)),
    }


def test_loss(seen: Compared) -> Part:
    """The mean test loss."""
    return part(np.mean(seen.test, axis=-1), error=sampling_error(seen.test))


def sampling_error(test: Float[np.ndarray, "seed block"]) -> float:
    """The standard error of the test set's mean loss, from its blocks.

    >>> sampling_error(np.ones((3, BLOCKS)))
    0.0
    """
    return float(np.std(np.mean(test, axis=0), ddof=1) / np.sqrt(BLOCKS))


def part(values: Float[np.ndarray, " seed"], error: float = 0.0) -> Part:
    """The mean over seeds, with Student's interval.

    Args:
        values: one a seed.
        error: a standard error that all seeds share, such as that of one test set; the
            smaller number of degrees of freedom is taken.

    >>> part(np.array([1.0, 1.0, 1.0]))
    Part(loss=1.0, low=1.0, high=1.0)
    """
    n = len(values)
    mean = float(np.mean(values))
    spread = np.sqrt(np.var(values, ddof=1) / n + error**2)
    freedom = n - 1 if error == 0 else min(n, BLOCKS) - 1
    reach = float(special.stdtrit(freedom, (1 + LEVEL) / 2) * spread)
    return Part(mean, mean - reach, mean + reach)


def verdict(
    causes: Mapping[Cause, Part], test: Part, *, goal: float, margin: float
) -> Verdict:
    """The largest cause of which the interval lies beyond the margin; *fine* where the
    test loss is at the goal but for the margin, and undecided where neither holds.

    >>> verdict({"mismatch": Part(2, 1, 3)}, Part(3, 2, 4), goal=0.5, margin=0.1)
    'mismatch'
    >>> verdict({"mismatch": Part(2, -1, 5)}, Part(3, 0, 6), goal=0.5, margin=0.1)
    'undecided'
    >>> verdict({"mismatch": Part(0, 0, 0)}, Part(0, 0, 0.5), goal=0.5, margin=0.1)
    'fine'
    """
    if test.high <= goal + margin:
        return "fine"
    largest: Verdict = "undecided"
    loss = 0.0
    for name, each in causes.items():
        if each.low > margin and each.loss > loss:
            largest, loss = name, each.loss
    return largest
