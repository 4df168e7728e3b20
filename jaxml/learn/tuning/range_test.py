"""The learning-rate range test: one run whose rate climbs from far too low to far too
high.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxml import randomness
from jaxml.learn.optimizers.rates import Family, as_family
from jaxml.learn.schedules import constant
from jaxml.learn.training.grid import grid, runs_of
from jaxml.learn.training.state import Training
from jaxml.learn.training.sweep import Runs, compiled, run, sweep
from jaxml.learn.tuning import smoothing
from jaxml.types import InputError, Params, Scalar


class RangeTest(NamedTuple):
    """What a range test saw.

    Attributes:
        rates: `[step]`, climbing geometrically from the first rate to the last.
        loss: `[seed, step]`, of the batches; nan once a run has diverged.
        smoothed: `[step]`, the median over seeds, capped at as much above its first
            value as its lowest lies below, then its average on both sides, whose
            weights fall by e over a tenth of a decade.
        low: the rate at which the smoothed loss has made a tenth of its fall, or `high`
            if that is less.
        high: the highest rate found that trains: half of `turn`, or a quarter, an
            eighth, and so on.
        turn: the rate at which the smoothed loss is lowest; at a rate held there
            training may diverge.
    """

    rates: np.ndarray
    loss: np.ndarray
    smoothed: np.ndarray
    low: float
    high: float
    turn: float


def range_test(
    experiment: Callable[[Family], Training],
    family: Family,
    hyper: Any,
    *,
    low: float = 1e-6,
    high: float = 10.0,
    seeds: int = 5,
    seed: int = 0,
) -> RangeTest:
    """Climbs the rate as η_i = low (high / low)^(i / (steps - 1)) and recommends where
    to train.

    The loss turns where the rate has become too high, but late: what was contracted by
    a factor of a million must first grow by as much, while the rate climbs on. So the
    search begins at half of the turn: constant rates are tried on the same seeds for as
    many updates, each half of the last, until no run diverges, none ends above its
    start, and the median run makes nine tenths of the fall that the climb made. That
    rate is recommended. Under gradient descent on L = λθ²/2, which converges below 2 /
    λ, it lies below 2 / λ.

    Any objective, and any chain whose rate is `hyper.lr`. Cost: one run a seed to
    climb, and one a trial, of which there are one or two, more where the turn is late;
    two compilations.

    Args:
        experiment: `family -> Training`.
        family: `(hyper, shape) -> GradientTransformation`, or
            `hyper -> GradientTransformation`.
        hyper: one point; its rate, horizon, warm-up and seed are replaced.
        low: the first rate.
        high: the last one.
        seeds: runs of one program.
        seed: moves all seeds, as `randomness.seeds` says.

    Raises:
        InputError: rates out of order, no seeds, fewer than two steps, data that are
            not finite, a family that does not read `hyper.lr`, a loss that is not
            finite at first or never falls, or no rate that trains.

    Source: Smith 2017, arXiv:1506.01186, section 3.3, reads base and maximum from where
        the accuracy begins to rise and where it turns ragged or falls, with rates that
        climb linearly. Geometric rates, the average without lag and the trials are
        ours.
    """
    if not 0 < low < high < math.inf or seeds < 1:
        raise InputError(
            f"A range test cannot climb from {low} to {high} over {seeds} seeds: "
            "give low < high, both positive, and 1 seed or more."
        )
    held = _held(family)
    training = experiment(held)
    steps = training.steps
    if steps < 2:
        raise InputError(
            "A rate cannot climb in one step: let the experiment make 2 updates or "
            "more."
        )
    _require_finite(training.data)
    _require_rate(hyper)
    climb = experiment(_climbing(held, low / high, steps))
    point = partial(_runs, hyper, steps, randomness.seeds(seed, seeds))
    training.check(_two_rates(point(low), point(high)))
    loss = _losses(sweep(climb, point(high), lanes=seeds))
    rates = np.geomspace(low, high, steps)
    capped = _capped(loss)
    smoothed = smoothing.two_sided(capped, _decay(rates))
    turn = int(np.argmin(smoothed))
    fall = smoothed[0] - smoothed[turn]
    if not (fall > 0 and np.min(capped) < capped[0]):
        raise InputError(
            f"The loss never fell between the rates {low:g} and {high:g}: begin lower, "
            "or train longer."
        )
    begins = int(np.argmax(smoothed <= smoothed[0] - 0.1 * fall))
    expected = _Fall(float(smoothed[0]), float(fall))
    recommended = _trained(training, point, float(rates[turn]), expected, low)
    begin = min(float(rates[begins]), recommended)
    return RangeTest(rates, loss, smoothed, begin, recommended, float(rates[turn]))


def _require_rate(hyper: Any) -> None:
    """Refuses a point without a rate."""
    if "lr" not in getattr(hyper, "_fields", ()):
        raise InputError(
            f"A {type(hyper).__name__} has no field lr, which a range test moves: give "
            "one, such as `learn.Hyper(lr=0.1)`."
        )


def _two_rates(low: Any, high: Any) -> Any:
    """The grid of the first run at both rates: a family that does not read the rate is
    to refuse it.
    """
    return type(low)(
        *(np.stack([first[0], last[0]]) for first, last in zip(low, high, strict=True))
    )


class _Fall(NamedTuple):
    """The loss from which the climb came, and how far it fell."""

    start: float
    length: float


class _ClimbState(NamedTuple):
    """The updates so far, and the state of the optimizer whose rate climbs."""

    step: jax.Array
    inner: Any


def _climbing(family: Family, ratio: float, steps: int) -> Family:
    """The family whose rate at update i is hyper.lr · ratio^(1 - i / (steps - 1))."""

    def climbing(hyper: Any) -> optax.GradientTransformationExtraArgs:
        def at(step: Any) -> optax.GradientTransformationExtraArgs:
            rate = jnp.asarray(hyper.lr)
            left = 1 - jnp.asarray(step, rate.dtype) / jnp.asarray(
                steps - 1, rate.dtype
            )
            climbed = hyper._replace(lr=rate * jnp.asarray(ratio, rate.dtype) ** left)
            return optax.with_extra_args_support(family(climbed))

        def init(params: Params) -> _ClimbState:
            return _ClimbState(jnp.zeros((), jnp.int32), at(0).init(params))

        def update(
            updates: Params, state: Any, params: Params | None = None, **extra: Any
        ) -> Any:
            updates, inner = at(state.step).update(
                updates, state.inner, params, **extra
            )
            return updates, _ClimbState(state.step + 1, inner)

        return optax.GradientTransformationExtraArgs(init, update)

    return climbing


def _held(family: Family) -> Family:
    """`hyper -> transformation` at the rate `hyper.lr` throughout, whatever shape the
    family has bound.
    """
    adapted = as_family(family)
    return lambda hyper: adapted(hyper, _flat)


def _flat(step: Any, horizon: Any) -> Scalar:
    """1: unlike `constant`, it takes the place of a bound shape."""
    return constant(step, horizon)


def _runs(hyper: Any, steps: int, seeds: range, rate: float) -> Any:
    """One point at that rate, on each seed."""
    fields = {name: [value] for name, value in hyper._asdict().items()}
    given = {"lr": [rate], "horizon": [steps], "warmup": [0.0], "seed": seeds}
    return grid(
        type(hyper),
        **fields | {name: value for name, value in given.items() if name in fields},
    )


def _trained(
    training: Training,
    point: Callable[[float], Any],
    turn: float,
    climb: _Fall,
    low: float,
) -> float:
    """The highest of turn/2, turn/4, ... that trains on every seed, down to `low`."""
    rate, program = max(turn / 2, low), None
    while True:
        hypers = point(rate)
        program = program or compiled(training, hypers, lanes=runs_of(hypers))
        loss = _losses(run(program, training, hypers))
        ends = np.mean(loss[:, -max(1, training.steps // 10) :], axis=1)
        if (
            np.all(ends < climb.start)
            and np.median(ends) <= climb.start - 0.9 * climb.length
        ):
            return rate
        if rate <= low:
            raise InputError(_untrained(loss, rate))
        rate = max(rate / 2, low)


def _untrained(loss: np.ndarray, rate: float) -> str:
    """Why not even the lowest rate trains, in a sentence."""
    for seed, row in enumerate(loss):
        lost = np.flatnonzero(~np.isfinite(row))
        if lost.size:
            return (
                f"The loss of seed {seed} is not finite at update {lost[0]} at the "
                f"rate {rate:g}, the lowest: look for an example whose loss is not "
                "finite, or begin lower."
            )
    return (
        f"No rate down to {rate:g} trains, held constant: begin lower, or train longer."
    )


def _losses(runs: Runs) -> np.ndarray:
    """`[seed, step]`, nan from the step on at which a run diverged."""
    loss = np.array(runs.trace.loss, float)
    diverged = runs.diverged_at[:, None]
    gone = (diverged >= 0) & (np.arange(loss.shape[1])[None, :] >= diverged)
    return np.where(gone, np.nan, loss)


def _capped(loss: np.ndarray) -> np.ndarray:
    """The median over seeds, a diverged run as infinite, no higher above its start than
    it fell below.
    """
    median = np.median(np.where(np.isfinite(loss), loss, np.inf), axis=0)
    if not np.isfinite(median[0]):
        raise InputError(
            "The loss is not finite before the first update: look for an example whose "
            "loss is not finite."
        )
    return np.minimum(median, 2 * median[0] - np.min(median))


def _decay(rates: np.ndarray) -> float:
    """What the weight of the average falls by in a step, if by e over a tenth of a
    decade.
    """
    decades = math.log10(rates[1] / rates[0])
    return math.exp(-decades / 0.1)


def _require_finite(data: Any) -> None:
    """Refuses data in which a number is not finite, and names the first."""
    for path, leaf in jax.tree_util.tree_leaves_with_path(data):
        values = np.asarray(leaf)
        if not jnp.issubdtype(values.dtype, jnp.floating):
            continue
        lost = np.argwhere(~np.isfinite(values))
        if len(lost):
            place = ", ".join(str(index) for index in lost[0])
            raise InputError(
                f"data{jax.tree_util.keystr(path)}[{place}] is "
                f"{values[tuple(lost[0])]}: leave that example out, or mend it."
            )
