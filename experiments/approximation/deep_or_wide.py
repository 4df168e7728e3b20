"""With as many parameters, does a deep network fit a curve better than a wide one?

The course's homework fits sin(5πx)/(5πx) by networks of SELUs with one hidden layer of
190 units, four of 10, 18, 15 and 4, and seven of 5, 10, 10, 10, 10, 10 and 5: 571, 572
and 571 parameters. It prints final squared errors of 2.6e-5, 1.8e-6 and 7.6e-7 after
20,000 epochs by Adam at one rate, from kernels of N(0, 0.05), one network each. That
many epochs cost too much here, so its ratio is only drawn beside ours; the numbers of
parameters are the same. Here one and seven hidden layers have 1,500 updates of all
their 64 points, and a second curve, which jumps, sgn(sin 5πx).

What each outcome would look like. Deep networks fit better if the loss of seven hidden
layers ends at two thirds of that of one or lower, each at the rate that is best for it;
worse if at half as much again or higher; no different if between. That much changes
the error itself by a fifth, which matters to a user; the course's own factor is 34.
What ends is the median loss of the last tenth of the updates, since Adam's jumps at a
constant rate. Held equal: numbers of parameters, points, updates, and numbers of rates,
six in steps of 1.5, whose end is an edge only where the loss still falls towards it by
more than half the margin: the wide network fails at the jumps at all rates alike. So
that the wide network can bend where it must, first biases put the units' bends evenly
over the interval, in both. Control: without SELUs either network is a line, so that
their losses on the first curve must not differ.

A unit draws weights and points anew: 112, of which twelve tune. Twelve units of the
seed 76 sized this, and others of 77 to 79 and 7700 placed the rates: log₁₀ of the loss
was lower by 0.5 on the first curve, by 3.4 on the second, with standard deviations of
the differences of 0.4 and 0.5. Three of 992 moved the deep network's rates on the
second curve by one step. A first full run and its replicates had 24 units that judge
and eight that tune, and left the first curve undecided from each of three seeds, by
half-widths of 0.2 to 0.3 around -0.5 to -0.3, and the second from one, where the tuned
rate is not always the best. Nothing but the numbers of units was changed after that.

Not tested: four hidden layers, speech, pictures, other sizes, longer training, points
that are not trained on. So a lead may be one of speed, which the setting says.

Claims: C022.
Sources: the course's homework 1-1 of 2018; Seide et al. 2011; Ba and Caruana 2014,
    arXiv:1312.6184.
Cost: five minutes on 2 cores, compilation included.
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
}
WIDE, DEEP = range(2)
PRINTED = 571
COURSE = np.array([2.6e-5, 7.6e-7])
POINTS = 64
POOL = 512  # points of a curve, of which each unit draws its own
HALF_LENGTH = 3**0.5  # inputs lie within, so that their variance is 1
STEPS = 1.5 ** np.arange(6)
FIFTH = "errors larger by a fifth: squared ones half as large again"
LOWER = record.below(0.0, margin=float(np.log10(1.5)), reason=FIFTH)

CURVES = {
    "sin(5πx)/(5πx)": (2.3e-3, 2.3e-3),
    "sgn(sin 5πx)": (2.7e-3, 9e-3),
    "sin(5πx)/(5πx), linear units": (2.3e-3, 2.3e-3),
}
"""Curves on [0, 1], and the lowest rates of the wide network and of the deep one."""

SINC, SQUARE, LINEAR = range(3)


@dataclass(frozen=True, kw_only=True)
class Config:
    """Units and length of training; of the curves the first ones."""

    curves: int = 3
    tuning: int = 12
    judging: int = 100
    steps: int = 1500
    lanes: int = 56
    seed: int = 0


SMOKE = Config(curves=1, tuning=1, judging=2, steps=10, lanes=18)


class Run(NamedTuple):
    """A rate, a curve, and what Adam reads."""

    lr: Any
    curve: int = 0
    momentum: Any = 0.9
    second_moment: Any = 0.999
    epsilon: Any = 1e-8
    weight_decay: Any = 0.0
    warmup: Any = 0.0
    seed: int = 0


class Result(NamedTuple):
    """By curve and network; points are the rates tuned over.

    Attributes:
        loss: log₁₀ of the median squared error over the last tenth of the updates, nan
            where a run diverged. Units that tune come first.
        tuning: how many of the units tune.
        steps: updates.
    """

    loss: Float[np.ndarray, "curve network point unit"]
    tuning: Int[np.ndarray, ""]
    steps: Int[np.ndarray, ""]


def study(config: Config, keep: Keep) -> Result:
    """One program a network, for all curves."""
    losses = []
    for network, name in enumerate(NETWORKS):
        losses.append(keep(name, partial(_losses, config, network)))
    return Result(
        loss=np.stack(losses, axis=1),
        tuning=np.array(config.tuning),
        steps=np.array(config.steps),
    )


def _losses(config: Config, network: int) -> Float[np.ndarray, "curve point unit"]:
    """log₁₀ of what the runs of a network end at."""
    seeds = randomness.seeds(config.seed, config.tuning + config.judging)
    grids = []
    widths = list(NETWORKS.values())[network]
    for curve, lowest in enumerate(list(CURVES.values())[: config.curves]):
        rates = lowest[network] * STEPS
        grids.append(learn.grid(Run, curve=curve, lr=rates, seed=seeds))
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
        learn.split_anew(data, train=POINTS, test=1, size=POINTS),
        steps=config.steps,
    )


def _model(widths: tuple[int, ...], curve: Array) -> Model:
    """All layers as wide as the widest; SELUs, or nothing for the control."""

    def activation(values: jax.Array) -> jax.Array:
        return jnp.where(curve == LINEAR, values, jax.nn.selu(values))

    return problem.deep_mlp(max(widths), len(widths), 1, activation)


def _begun(widths: tuple[int, ...], run: Run, given: Any) -> tuple[Params, jax.Array]:
    """LeCun's initial values of the units in use, first ones bent evenly.

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
    first = params["first"]["kernel"] * used[:1]
    bends = jnp.asarray((2 * np.arange(widths[0]) + 1) / widths[0] - 1, jnp.float32)
    bends = jnp.pad(bends, (0, max(widths) - widths[0]))
    kernels = {
        "first": first,
        "hidden": params["hidden"]["kernel"] * between,
        "last": params["last"]["kernel"] * by_inputs[-1][:, None],
    }
    begun = {name: {**params[name], "kernel": each} for name, each in kernels.items()}
    begun["first"]["bias"] = -first[0] * HALF_LENGTH * bends
    return begun, curve


def findings(result: Result) -> tuple[Assertion, ...]:
    """Deep against wide on each curve; without SELUs a control."""
    found = []
    for curve, name in enumerate(list(CURVES)[: len(result.loss)]):
        control = curve == LINEAR
        role = record.supporting if control else record.deciding
        setting = (
            f"{name} at {POINTS} points drawn from [0, 1], dense SELU networks "
            f"of {PRINTED} parameters, {result.steps:,} updates by Adam of all points, "
            "rate tuned for each"
        )
        deep, wide = _arm(result, curve, DEEP), _arm(result, curve, WIDE)
        found.append(
            role(
                "C022",
                f"{'Control: seven' if control else 'Seven'} hidden layers end at a "
                "lower training loss than one, as the difference of log₁₀ losses.",
                record.tuned(
                    record.mean_difference,
                    deep,
                    wide,
                    tuning=int(result.tuning),
                ),
                LOWER,
                unit="log ratio",
                setting=setting,
            )
        )
    return tuple(found)


def _arm(result: Result, curve: int, network: int) -> Arm:
    """An end of the rates is an edge only where losses still fall towards it."""
    losses = result.loss[curve, network]
    means = np.mean(losses, axis=-1)
    edges = np.zeros(len(STEPS), bool)
    falls = means[[1, -2]] - means[[0, -1]]
    edges[[0, -1]] = falls > LOWER.margin / 2
    return Arm(losses, edges=edges)


def figures(result: Result) -> dict[str, Figure]:
    """Deep minus wide in each unit, and the course's difference beside them."""
    figure, (axis,) = panels(1, 1, width=7.0)
    pairs = {}
    for curve, name in enumerate(list(CURVES)[: len(result.loss)]):
        deep, wide = _arm(result, curve, DEEP), _arm(result, curve, WIDE)
        pairs[name] = deep, wide
    compared(axis, pairs, LOWER, tuning=int(result.tuning))
    printed = np.log10(COURSE[DEEP] / COURSE[WIDE])
    axis.scatter([printed], [SINC], marker="x", label="the course's")
    label(axis, "Seven hidden layers minus one", "difference of log₁₀ losses", "curve")
    shared_legend(figure)
    return {"deep_or_wide": figure}
