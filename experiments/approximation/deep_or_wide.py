"""With as many parameters, does a deep network fit a curve better than a wide one?

The course's homework fits sin(5πx)/(5πx) by networks of SELUs with one hidden layer of
190 units, four of 10, 18, 15 and 4, and seven of 5, 10, 10, 10, 10, 10 and 5: 571, 572
and 571 parameters. It prints final squared errors of 2.6e-5, 1.8e-6 and 7.6e-7 after
20,000 epochs by Adam at one rate, from kernels of N(0, 0.05), one network each. That
many epochs cost too much here, so its errors are only drawn beside ours; the numbers of
parameters are the same. Here each network has 800 updates of all its 64 points, and a
second curve with jumps, sgn(sin 5πx).

What each outcome would look like. Deep networks fit better if the loss of seven hidden
layers ends at half that of one or lower, each at the rate and the initial scale that
are best for it; worse if at twice or higher; no different if between. A factor of two
matters to a user: the course's own are 14 and 34. What ends is the median loss of the
last tenth of the updates, since Adam's jumps at a constant rate. Held equal: numbers of
parameters, points, updates, and what is tuned over, nine rates in steps of 1.5 at first
kernels of 1 and of 4 times LeCun's scale. So that the wide network can bend where
it must, first biases put the units' bends all over the interval, in every network.
Control: without SELUs every network is a line, so that the losses on the first curve
must not differ.

A unit draws weights and points anew: 14, of which four tune. Four units of the seed
7700 placed rates and scales, at 1,500 updates: seven layers ended at a fifth of the
wide network's loss on the first curve and at a hundredth or less on the second, with
standard deviations over units of 0.2 to 0.5 in log₁₀, so that ten units give a
half-width of 0.2 to 0.4 around leads of 0.9 and of 3, beside a margin of 0.3.

Not tested: speech, pictures, networks of other sizes, longer training.

Claims: C022.
Sources: the course's homework 1-1 of 2018; Seide et al. 2011; Ba and Caruana 2014,
    arXiv:1312.6184.
Cost: not measured yet.
Expect: seven layers lead on both curves.
Run: jaxml run deep_or_wide
"""

from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from jaxml import learn, problem, randomness, record
from jaxml.record import Arm, Assertion
from jaxml.record.comparisons import compared
from jaxml.record.figures import Figure, label, panels, shared_legend
from jaxml.types import Array, Batch, Keep, Key, Model, Params

NETWORKS = {
    "1 hidden layer": (190,),
    "7 hidden layers": (5, 10, 10, 10, 10, 10, 5),
    "4 hidden layers": (10, 18, 15, 4),
}
WIDE, DEEP, MIDDLE = range(3)
PRINTED = np.array([571, 571, 572])
COURSE = np.array([2.6e-5, 7.6e-7, 1.8e-6])
POOL = 512  # points of a curve, of which each unit draws its own
HALF_LENGTH = 3**0.5  # inputs lie within, so that their variance is 1
SCALES = (1.0, 4.0)
STEPS = 1.5 ** np.arange(9)
TWICE = "a factor of two in the loss; the course's are 14 and more"
LOWER = record.below(0.0, margin=float(np.log10(2)), reason=TWICE)


CURVES = {
    "sin(5πx)/(5πx)": 1.3e-3,
    "sgn(sin 5πx)": 4e-3,
    "sin(5πx)/(5πx), linear units": 1.3e-3,
}
"""Curves on [0, 1], and the lowest of their rates."""

SINC, SQUARE, LINEAR = range(3)


@dataclass(frozen=True, kw_only=True)
class Config:
    """Points, units and length of training; of curves and networks the first."""

    curves: int = 3
    networks: int = 3
    points: int = 64
    tuning: int = 4
    judging: int = 10
    steps: int = 800
    lanes: int = 42
    seed: int = 0


SMOKE = Config(curves=1, networks=2, points=16, tuning=1, judging=2, steps=10, lanes=27)


class Run(NamedTuple):
    """A rate, the scale of the first kernel, a curve, and what Adam reads."""

    lr: Any
    scale: Any = 1.0
    curve: int = 0
    momentum: Any = 0.9
    second_moment: Any = 0.999
    epsilon: Any = 1e-8
    weight_decay: Any = 0.0
    warmup: Any = 0.0
    seed: int = 0


class Result(NamedTuple):
    """By curve and network; points are those tuned over, scales before rates.

    Attributes:
        loss: log₁₀ of the median squared error over the last tenth of the updates, nan
            where a run diverged. Units that tune come first.
        tuning: how many of the units tune.
        points: that each unit fits.
        steps: updates.
    """

    loss: Float[np.ndarray, "curve network point unit"]
    tuning: Int[np.ndarray, ""]
    points: Int[np.ndarray, ""]
    steps: Int[np.ndarray, ""]


def study(config: Config, keep: Keep) -> Result:
    """One program a network, for all curves."""
    losses = []
    for name, widths in list(NETWORKS.items())[: config.networks]:
        losses.append(keep(name, partial(_losses, config, widths)))
    return Result(
        loss=np.stack(losses, axis=1),
        tuning=np.array(config.tuning),
        points=np.array(config.points),
        steps=np.array(config.steps),
    )


def _parameters(widths: tuple[int, ...]) -> int:
    """Weights and biases from one input to one output."""
    sizes = np.array((1, *widths, 1))
    return int(np.sum((sizes[:-1] + 1) * sizes[1:]))


def _losses(
    config: Config, widths: tuple[int, ...]
) -> Float[np.ndarray, "curve point unit"]:
    """log₁₀ of what the runs of a network end at."""
    seeds = randomness.seeds(config.seed, config.tuning + config.judging)
    grids = []
    for curve, lowest in enumerate(list(CURVES.values())[: config.curves]):
        rates = lowest * STEPS
        grids.append(learn.grid(Run, curve=curve, scale=SCALES, lr=rates, seed=seeds))
    runs = learn.joined(grids)
    begin = partial(_begun, widths)
    training = _training(config, widths)
    execute = learn.begun_at(training, begin, runs, (), lanes=config.lanes)
    ended = execute(runs, ())
    last = np.median(ended.loss[:, -max(config.steps // 10, 1) :], axis=1)
    loss = np.where(ended.diverged_at < 0, last, np.nan)
    return np.log10(loss).reshape(config.curves, -1, len(seeds))


def _training(config: Config, widths: tuple[int, ...]) -> learn.Training:
    """Training on the curve that a run says, at points of its own."""
    x = (np.arange(POOL)[:, None] + 0.5) / POOL
    sinc, square = np.sinc(5 * x), np.sign(np.sin(5 * np.pi * x))
    targets = np.hstack([sinc, square, sinc]).astype(np.float32)
    inputs = (HALF_LENGTH * (2 * x - 1)).astype(np.float32)
    data = problem.examples(inputs, targets)

    def loss(
        params: Params, curve: jax.Array, batch: Batch, key: Key
    ) -> tuple[jax.Array, jax.Array]:
        own = batch._replace(targets=jnp.asarray(batch.targets)[:, curve][:, None])
        of_model = problem.training_loss(_model(widths, curve), problem.mse)
        return of_model(params, {}, own, key)[0], curve

    return learn.training(
        lambda key: _begun(widths, Run(0.0), ()),
        loss,
        learn.adam,
        learn.split_anew(data, train=config.points, test=1, size=config.points),
        steps=config.steps,
    )


def _model(widths: tuple[int, ...], curve: Array) -> Model:
    """All layers as wide as the widest; SELUs, or nothing for the control."""

    def activation(values: jax.Array) -> jax.Array:
        return jnp.where(curve == LINEAR, values, jax.nn.selu(values))

    return problem.deep_mlp(max(widths), len(widths), 1, activation)


def _begun(widths: tuple[int, ...], run: Run, given: Any) -> tuple[Params, jax.Array]:
    """LeCun's initial values of the units in use, first ones scaled and spread.

    The others' weights are 0, and stay so, since SELU is 0 at 0.
    """
    del given
    curve = jnp.asarray(run.curve)
    key = jax.random.key(run.seed)
    params, _ = _model(widths, curve).init(key, jnp.zeros((1, 1)))
    counts = np.array(widths, np.float32)[:, None]
    used = jnp.asarray(np.arange(max(widths)) < counts, jnp.float32)
    by_inputs = used * jnp.asarray(np.sqrt(max(widths) / counts))
    between = by_inputs[:-1, :, None] * used[1:, None]
    first = run.scale * params["first"]["kernel"] * used[:1]
    own = jax.random.fold_in(key, 4)
    bends = jax.random.uniform(own, first.shape, minval=-1.0, maxval=1.0)
    kernels = {
        "first": first,
        "hidden": params["hidden"]["kernel"] * between,
        "last": params["last"]["kernel"] * by_inputs[-1][:, None],
    }
    begun = {name: {**params[name], "kernel": each} for name, each in kernels.items()}
    begun["first"]["bias"] = -first[0] * HALF_LENGTH * bends[0]
    return begun, curve


def findings(result: Result) -> tuple[Assertion, ...]:
    """Deep against wide on each curve, seven layers and four."""
    found = [_counted()]
    for curve, network in np.ndindex(*result.loss.shape[:2]):
        if network != WIDE:
            found.append(_compared(result, curve, network))
    return tuple(found)


def _compared(result: Result, curve: int, network: int) -> Assertion:
    """Deciding of seven layers; without SELUs a control."""
    control = curve == LINEAR
    deciding = network == DEEP and not control
    role = record.deciding if deciding else record.supporting
    layers = "Seven" if network == DEEP else "Four"
    return role(
        "C022",
        f"{'Control: ' if control else ''}{layers} hidden layers end at a lower "
        "training loss than one, as the difference of log₁₀ losses.",
        record.tuned(
            record.mean_difference,
            _arm(result, curve, network),
            _arm(result, curve, WIDE),
            tuning=int(result.tuning),
        ),
        LOWER,
        unit="log ratio",
        setting=(
            f"{list(CURVES)[curve]} at {result.points} points drawn from [0, 1], dense "
            f"SELU networks of 571 or 572 parameters, {result.steps:,} updates by Adam "
            "of all points, rate and initial scale tuned for each"
        ),
    )


def _counted() -> Assertion:
    parameters = np.array([_parameters(widths) for widths in NETWORKS.values()])
    return record.supporting(
        "C022",
        "Networks of 190, of 10-18-15-4 and of 5-10-10-10-10-10-5 hidden units have "
        "the 571, 572 and 571 parameters that the course prints.",
        record.largest(parameters - PRINTED),
        record.at_most(0.0),
        unit="mismatches",
        setting="one input, one output, weights and biases",
    )


def _arm(result: Result, curve: int, network: int) -> Arm:
    """Its tuning may not stop at an end of the rates, at either scale."""
    ends = np.isin(np.arange(len(STEPS)), [0, len(STEPS) - 1])
    edges = (curve != LINEAR) & np.tile(ends, len(SCALES))  # lines fit at all rates
    return Arm(result.loss[curve, network], edges=edges)


def figures(result: Result) -> dict[str, Figure]:
    """Deep minus wide in each unit, and the course's differences beside them."""
    figure, axes = panels(1, len(result.loss), width=4.8)
    for place, (axis, curve) in enumerate(zip(axes, CURVES, strict=False)):
        pairs = {}
        for network, name in enumerate(list(NETWORKS)[: result.loss.shape[1]]):
            if network != WIDE:
                arms = _arm(result, place, network), _arm(result, place, WIDE)
                pairs[f"{name} minus 1"] = arms
        compared(axis, pairs, LOWER, tuning=int(result.tuning))
        if place == SINC:
            printed = np.log10(COURSE[1:] / COURSE[WIDE])[: len(pairs)]
            axis.scatter(printed, range(len(pairs)), marker="x", label="the course's")
        label(axis, curve, "difference of log₁₀ training losses", "networks")
    shared_legend(figure)
    return {"deep_or_wide": figure}
