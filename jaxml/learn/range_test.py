"""The learning-rate range test: one run whose rate climbs from far too low to far too high."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from jaxml.learn.hyper import grid, validate
from jaxml.learn.rates import Family
from jaxml.learn.sweep import sweep
from jaxml.learn.train import Training
from jaxml.types import InputError, Scalar


class RangeTest(NamedTuple):
    """What a range test saw.

    Attributes:
        rates: `[step]`, climbing exponentially.
        loss: `[seed, step]`, of the batches; not finite once a run has diverged.
        smoothed: `[step]`, the median over seeds, then its exponential average.
        low: the rate at which the smoothed loss has made a tenth of its fall.
        high: the rate at which it is lowest: from here on a higher rate hurts.
    """

    rates: np.ndarray
    loss: np.ndarray
    smoothed: np.ndarray
    low: float
    high: float


def range_test(
    experiment: Callable[[Family], Training],
    family: Family,
    hyper: Any,
    *,
    low: float = 1e-6,
    high: float = 10.0,
    seeds: int = 5,
    memory: float = 0.95,
) -> RangeTest:
    """Climbs the learning rate from `low` to `high` over one run and recommends where to train.

    Any objective and any chain: the rate climbs by the schedule that the family is given.

    Args:
        experiment: `family -> Training`.
        family: `(hyper, shape) -> GradientTransformation`.
        hyper: one point; its rate, horizon, warm-up and seed are replaced.
        low: the first rate.
        high: the last one.
        seeds: runs, as lanes of one program.
        memory: how much of the last average the smoothing keeps.

    Raises:
        InputError: rates out of order, no seeds, or a loss that never falls.

    Source: Smith 2017, arXiv:1506.01186, section 3.3.
    """
    if not 0 < low < high or seeds < 1 or not 0 <= memory < 1:
        raise InputError(
            f"A range test cannot climb from {low} to {high} over {seeds} seeds with memory {memory}: "
            "give low < high, both positive, 1 seed or more, and a memory in [0, 1)."
        )
    training = experiment(lambda hyper: family(hyper, partial(_climb, ratio=low / high)))
    fields = {name: [value] for name, value in hyper._asdict().items()}
    climb = {"lr": [high], "horizon": [training.steps], "warmup": [0.0], "seed": range(seeds)}
    lanes = grid(type(hyper), **fields | {name: value for name, value in climb.items() if name in fields})
    runs = sweep(training, validate(lanes), lanes=seeds)
    rates = high * (low / high) ** (1 - np.arange(training.steps) / training.steps)
    loss = np.asarray(runs.trace.loss, float)
    smoothed = _smoothed(np.median(np.where(np.isfinite(loss), loss, np.inf), axis=0), memory)
    lowest = int(np.argmin(smoothed))
    fall = smoothed[0] - smoothed[lowest]
    if not fall > 0:
        raise InputError(
            f"The loss never fell between the rates {low:g} and {high:g}: begin lower, or train longer."
        )
    begins = int(np.argmax(smoothed <= smoothed[0] - 0.1 * fall))
    return RangeTest(rates, loss, smoothed, float(rates[begins]), float(rates[lowest]))


def _climb(step: Any, horizon: Any, *, ratio: float) -> Scalar:
    """ratio^(1 - step / horizon)."""
    real = jnp.result_type(float)
    return jnp.asarray(ratio, real) ** (1 - jnp.asarray(step, real) / jnp.asarray(horizon, real))


def _smoothed(values: np.ndarray, memory: float) -> np.ndarray:
    """The unbiased exponential average."""
    mean, averages = 0.0, []
    for count, value in enumerate(values, 1):
        mean = memory * mean + (1 - memory) * value
        averages.append(mean / (1 - memory**count))
    return np.array(averages)
