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

import itertools
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from jaxml import learn, parallel, problem, randomness, record
from jaxml.record import Arm, Assertion
from jaxml.record.comparisons import compared
from jaxml.record.figures import Figure, label, panels, shared_legend, strips
from jaxml.types import Batch, Keep, Key, Model, Params

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
    networks: int = len(NETWORKS)
    points: int = 64
    tuning: int = 4
    judging: int = 10
    steps: int = 800
    lanes: int = 42
    seed: int = 0


SMOKE = Config(curves=1, networks=2, points=16, tuning=1, judging=2, steps=10, lanes=27)


class Run(NamedTuple):
    """A rate, the scale of the first kernel, a curve, the unit whose weights and points
    it has, and what Adam reads.
    """

    lr: Any
    scale: Any
    curve: Any
    unit: Any
    seed: Any
    momentum: Any = 0.9
    second_moment: Any = 0.999
    epsilon: Any = 1e-8
    weight_decay: Any = 0.0
    warmup: Any = 0.0


class Result(NamedTuple):
    """By curve and network; points are those tuned over, scales before rates.

    Attributes:
        loss: log₁₀ of the median squared error over the last tenth of the updates, nan
            where a run diverged. Units that tune come first.
        parameters: of each network.
        tuning: how many of the units tune.
        points: that each unit fits.
        steps: updates.
    """

    loss: Float[np.ndarray, "curve network point unit"]
    parameters: Int[np.ndarray, " network"]
    tuning: Int[np.ndarray, ""]
    points: Int[np.ndarray, ""]
    steps: Int[np.ndarray, ""]


def study(config: Config, keep: Keep) -> Result:
    """One program a network, for all curves."""
    units = config.tuning + config.judging
    seeds = np.array(randomness.seeds(config.seed, units), np.int32)
    names = list(NETWORKS)[: config.networks]
    losses = [keep(name, partial(_losses, config, name, seeds)) for name in names]
    shape = (config.curves, len(SCALES) * len(STEPS), units)
    return Result(
        loss=np.stack([loss.reshape(shape) for loss in losses], axis=1),
        parameters=np.array([_parameters(NETWORKS[name]) for name in names]),
        tuning=np.array(config.tuning),
        points=np.array(config.points),
        steps=np.array(config.steps),
    )


def _parameters(widths: tuple[int, ...]) -> int:
    """Weights and biases from one input to one output."""
    sizes = np.array((1, *widths, 1))
    return int(np.sum((sizes[:-1] + 1) * sizes[1:]))


def _losses(config: Config, name: str, seeds: np.ndarray) -> Float[np.ndarray, " run"]:
    """Of all runs of a network, log₁₀ of what they end at."""
    widths = NETWORKS[name]
    training = _training(config, widths)
    shared = (_tables(widths, seeds), training.data)
    last = max(config.steps // 10, 1)

    def one(shared: Any, run: Run) -> tuple[jax.Array, jax.Array]:
        tables, data = shared
        bends, params = jax.tree.map(lambda leaf: leaf[run.unit], tables)
        kernel = run.scale * params["first"]["kernel"]
        first = {"kernel": kernel, "bias": -kernel[0] * bends}
        begun = training.init(run, {**params, "first": first}, run.curve)
        ended, trace = training.run(begun, data)
        return jnp.median(trace.loss[-last:]), ended.diverged_at < 0

    def of_chunk(chunk: Run, shared: Any) -> tuple[jax.Array, jax.Array]:
        return jax.vmap(partial(one, shared))(chunk)

    runs = _runs(config, seeds)
    first = parallel.rows(runs, np.arange(config.lanes))
    chunks = len(runs.lr) // config.lanes
    program = parallel.compiled(of_chunk, first, shared, chunks=chunks)
    loss, ended = parallel.gathered(program, runs, shared)
    return np.log10(np.where(ended, loss, np.nan))


def _runs(config: Config, seeds: np.ndarray) -> Run:
    """Of each curve all scales, rates and units, in that order."""
    curves, units = np.arange(config.curves), np.arange(len(seeds))
    lowest = np.array(list(CURVES.values()))
    axes = np.meshgrid(curves, SCALES, STEPS, units, indexing="ij")
    curve, scale, step, unit = (np.ravel(axis) for axis in axes)
    run = Run(
        lr=(lowest[curve] * step).astype(np.float32),
        scale=scale.astype(np.float32),
        curve=curve.astype(np.int32),
        unit=unit.astype(np.int32),
        seed=seeds[unit],
    )
    given = {"lr", "scale", "curve", "unit", "seed"}
    rest = {}
    for name, value in run._asdict().items():
        if name not in given:
            rest[name] = np.full(len(run.lr), value, np.float32)
    return run._replace(**rest)


def _training(config: Config, widths: tuple[int, ...]) -> learn.Training:
    """Training on the curve that a run says, at points of its own."""
    x = (np.arange(POOL)[:, None] + 0.5) / POOL
    sinc, square = np.sinc(5 * x), np.sign(np.sin(5 * np.pi * x))
    data = Batch(
        inputs=(HALF_LENGTH * (2 * x - 1)).astype(np.float32),
        targets=np.hstack([sinc, square, sinc]).astype(np.float32),
        weights=np.ones(POOL, np.float32),
    )

    def model(curve: jax.Array) -> Model:
        activation = partial(_activation, curve)
        return problem.deep_mlp(max(widths), len(widths), 1, activation)

    def loss(
        params: Params, curve: jax.Array, batch: Batch, key: Key
    ) -> tuple[jax.Array, jax.Array]:
        own = batch._replace(targets=jnp.asarray(batch.targets)[:, curve][:, None])
        of_model = problem.training_loss(model(curve), problem.mse)
        return of_model(params, {}, own, key)[0], curve

    return learn.training(
        problem.start(model(jnp.int32(0)), data.inputs),
        loss,
        learn.adam,
        learn.split_anew(data, train=config.points, test=1, size=config.points),
        steps=config.steps,
    )


def _activation(curve: jax.Array, values: jax.Array) -> jax.Array:
    """SELU, or nothing for the control."""
    return jnp.where(curve == LINEAR, values, jax.nn.selu(values))


def _tables(widths: tuple[int, ...], seeds: np.ndarray) -> tuple[np.ndarray, Params]:
    """Of each unit where first units bend, and parameters at LeCun's scale.

    All layers are as wide as the widest. The units that a layer does not use have
    weights of 0, which stay so, since SELU is 0 at 0.
    """
    widest, depth = max(widths), len(widths)
    shape = (len(seeds), depth - 1, widest, widest)
    first, last = np.zeros((len(seeds), 1, widest)), np.zeros((len(seeds), widest, 1))
    hidden, bends = np.zeros(shape), np.zeros((len(seeds), widest))
    for unit, seed in enumerate(seeds):
        rng = np.random.default_rng(seed)
        bends[unit] = rng.uniform(-HALF_LENGTH, HALF_LENGTH, widest)
        first[unit, 0, : widths[0]] = rng.normal(size=widths[0])
        for place, (before, after) in enumerate(itertools.pairwise(widths)):
            kernel = rng.normal(size=(before, after)) / np.sqrt(before)
            hidden[unit, place, :before, :after] = kernel
        last[unit, : widths[-1], 0] = rng.normal(size=widths[-1]) / widths[-1] ** 0.5
    params = {}
    for name, kernel in (("first", first), ("hidden", hidden), ("last", last)):
        bias = np.zeros((*kernel.shape[:-2], kernel.shape[-1]))
        params[name] = {"kernel": kernel, "bias": bias}
    return jax.tree.map(lambda leaf: leaf.astype(np.float32), (bends, params))


def findings(result: Result) -> tuple[Assertion, ...]:
    """Deep against wide on each curve."""
    found = [_counted(result)]
    for place, name in zip(range(len(result.loss)), CURVES, strict=False):
        setting = (
            f"{name} at {result.points} points drawn from [0, 1], dense networks "
            f"of SELUs, 571 or 572 parameters, {result.steps:,} updates by Adam of all "
            "points, rate and initial scale tuned for each"
        )
        lead = partial(_lead, result, place)
        control = place == LINEAR
        role = record.supporting if control else record.deciding
        told = "Control: " if control else ""
        found.append(
            role(
                "C022",
                f"{told}Seven hidden layers end at a lower training loss than one, as "
                "the difference of log₁₀ losses.",
                lead(DEEP),
                LOWER,
                unit="log ratio",
                setting=setting,
            )
        )
        if not control and len(result.parameters) > MIDDLE:
            found.append(
                record.supporting(
                    "C022",
                    "Four hidden layers end at a lower training loss than one, as the "
                    "difference of log₁₀ losses.",
                    lead(MIDDLE),
                    LOWER,
                    unit="log ratio",
                    setting=setting,
                )
            )
    return tuple(found)


def _counted(result: Result) -> Assertion:
    return record.supporting(
        "C022",
        "Networks of 190, of 10-18-15-4 and of 5-10-10-10-10-10-5 hidden units have "
        "the 571, 572 and 571 parameters that the course prints.",
        record.largest(result.parameters - PRINTED[: len(result.parameters)]),
        record.at_most(0.0),
        unit="mismatches",
        setting="one input, one output, weights and biases",
    )


def _arm(result: Result, curve: int, network: int) -> Arm:
    """Its tuning may not stop at an end of the rates, at either scale."""
    ends = np.isin(np.arange(len(STEPS)), [0, len(STEPS) - 1])
    return Arm(result.loss[curve, network], edges=np.tile(ends, len(SCALES)))


def _lead(result: Result, curve: int, network: int) -> record.Interval:
    return record.tuned(
        record.mean_difference,
        _arm(result, curve, network),
        _arm(result, curve, WIDE),
        tuning=int(result.tuning),
    )


def figures(result: Result) -> dict[str, Figure]:
    """Each unit's loss at its tuned point, the course's beside it, and the leads."""
    curves = list(CURVES)[: len(result.loss)]
    figure, axes = panels(2, len(curves), width=4.8)
    tuning = int(result.tuning)
    for place, curve in enumerate(curves):
        own, leads = axes[place], axes[len(curves) + place]
        judged = {}
        for name, values in zip(NETWORKS, result.loss[place], strict=False):
            judged[name] = values[learn.chosen(values, tuning), tuning:]
        strips(own, judged)
        if place == SINC:
            printed = np.log10(COURSE[: len(judged)])
            own.scatter(range(len(judged)), printed, marker="x", label="the course's")
        label(own, curve, "network", "log₁₀ training loss")
        wide = _arm(result, place, WIDE)
        pairs = {
            f"{name} minus 1": (_arm(result, place, network), wide)
            for network, name in enumerate(judged)
            if network != WIDE
        }
        compared(leads, pairs, LOWER, tuning=tuning)
        label(leads, curve, "difference of log₁₀ losses", "networks")
    shared_legend(figure)
    return {"deep_or_wide": figure}
