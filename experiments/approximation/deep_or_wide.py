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
from jaxml.record.figures import Figure, label, panels, shared_legend, strips
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


class Curve(NamedTuple):
    """A target on [0, 1], and the lowest of its rates."""

    name: str
    points: Batch
    lowest: float


def _curves() -> tuple[Curve, ...]:
    sinc = problem.sinc(POOL, dtype=np.float32)
    square = problem.square_wave(POOL, dtype=jnp.float32)
    return (
        Curve("sin(5πx)/(5πx)", sinc, 1.3e-3),
        Curve("sgn(sin 5πx)", square, 4e-3),
        Curve("linear units on sin(5πx)/(5πx)", sinc, 1.3e-3),
    )


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


class Start(NamedTuple):
    """A rate, the scale of the first kernel, the curve, and what Adam reads."""

    lr: Any
    scale: float = 1.0
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
        parameters: of each network.
        tuning: how many of the units tune.
        points: that each unit fits.
        steps: updates.
    """

    loss: Float[Array, "curve network point unit"]
    parameters: Int[Array, " network"]
    tuning: Int[Array, ""]
    points: Int[Array, ""]
    steps: Int[Array, ""]


def study(config: Config, keep: Keep) -> Result:
    """One program a network, for all curves."""
    losses, parameters = [], []
    for name in list(NETWORKS)[: config.networks]:
        training = _training(config, NETWORKS[name])
        found = learn.sweep(
            training, _grid(config), lanes=config.lanes, name=name, keep=keep
        )
        shape = (config.curves, len(SCALES) * len(STEPS), -1)
        last = found.trace.loss[:, -max(config.steps // 10, 1) :]
        ended = np.where(found.diverged_at < 0, np.median(last, axis=1), np.nan)
        losses.append(np.log10(ended).reshape(shape))
        parameters.append(_parameters(NETWORKS[name]))
    return Result(
        loss=np.stack(losses, axis=1),
        parameters=np.array(parameters),
        tuning=np.array(config.tuning),
        points=np.array(config.points),
        steps=np.array(config.steps),
    )


def _parameters(widths: tuple[int, ...]) -> int:
    """Weights and biases from one input to one output."""
    sizes = np.array((1, *widths, 1))
    return int(np.sum((sizes[:-1] + 1) * sizes[1:]))


def _grid(config: Config) -> Start:
    """Of each curve all scales, rates and units."""
    seeds = randomness.seeds(config.seed, config.tuning + config.judging)
    grids = []
    for place, curve in enumerate(_curves()[: config.curves]):
        rates = curve.lowest * STEPS
        grids.append(learn.grid(Start, curve=place, scale=SCALES, lr=rates, seed=seeds))
    return learn.joined(grids)


def _training(config: Config, widths: tuple[int, ...]) -> learn.Training:
    """Training on the curve that a run says, at points of its own."""
    curves = [curve.points for curve in _curves()]
    targets = np.concatenate([curve.targets for curve in curves], axis=1)
    inputs = HALF_LENGTH * (2 * np.asarray(curves[SQUARE].inputs) - 1)
    data = curves[SQUARE]._replace(inputs=inputs, targets=targets)

    def model(curve: jax.Array) -> Model:
        activation = partial(_activation, curve)
        return problem.deep_mlp(max(widths), len(widths), 1, activation)

    def start(key: Key) -> tuple[Params, jax.Array]:
        zero = jnp.int32(0)
        params, _ = model(zero).init(key, jnp.asarray(inputs))
        return _narrowed(widths, params), zero

    def loss(
        params: Params, curve: jax.Array, batch: Batch, key: Key
    ) -> tuple[jax.Array, jax.Array]:
        own = batch._replace(targets=jnp.asarray(batch.targets)[:, curve][:, None])
        of_model = problem.training_loss(model(curve), problem.mse)
        return of_model(params, {}, own, key)[0], curve

    batches = learn.split_anew(data, train=config.points, test=1, size=config.points)
    training = learn.training(start, loss, learn.adam, batches, steps=config.steps)

    def init(hyper: Start, params: Params, curve: Any) -> learn.TrainState:
        del curve
        state = training.init(hyper, params, jnp.asarray(hyper.curve))
        return state._replace(params=_spread(state, params))

    def check(hypers: Start) -> Start:
        """The optimizer need not read the curve and the scale, since `init` does."""
        same = hypers._replace(
            curve=np.zeros_like(hypers.curve), scale=np.ones_like(hypers.scale)
        )
        training.check(same)
        return hypers

    return training._replace(init=init, check=check)


def _narrowed(widths: tuple[int, ...], params: Params) -> Params:
    """A network of one width of which each layer uses its own number of units.

    The others' weights are 0 and stay so, since SELU is 0 at 0. Kernels start with
    variance one over the units that are used.
    """
    widest = max(widths)
    counts = np.array(widths, np.float32)
    used = jnp.asarray(np.arange(widest)[None] < counts[:, None], jnp.float32)
    larger = jnp.asarray(np.sqrt(widest / counts))
    from_used = used * larger[:, None]
    masks = {
        "first": used[:1],
        "hidden": from_used[:-1, :, None] * used[1:, None],
        "last": from_used[-1][:, None],
    }
    narrowed = {}
    for name, layer in params.items():
        narrowed[name] = {**layer, "kernel": layer["kernel"] * masks[name]}
    return narrowed


def _activation(curve: jax.Array, values: jax.Array) -> jax.Array:
    """SELU, or nothing for the control."""
    return jnp.where(curve == LINEAR, values, jax.nn.selu(values))


def _spread(state: learn.TrainState, params: Params) -> Params:
    """First kernels scaled, and first biases with which a unit bends at its own x."""
    kernel = state.hyper.scale * params["first"]["kernel"]
    bends = jax.random.uniform(
        jax.random.fold_in(state.key, 4),
        (kernel.shape[1],),
        minval=-HALF_LENGTH,
        maxval=HALF_LENGTH,
    )
    return {**params, "first": {"kernel": kernel, "bias": -kernel[0] * bends}}


def findings(result: Result) -> tuple[Assertion, ...]:
    """Deep against wide on each curve."""
    found = [_counted(result)]
    for place, curve in enumerate(_curves()[: len(result.loss)]):
        setting = (
            f"{curve.name} at {result.points} points drawn from [0, 1], dense networks "
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
    curves = _curves()[: len(result.loss)]
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
        label(own, curve.name, "network", "log₁₀ training loss")
        wide = _arm(result, place, WIDE)
        pairs = {
            f"{name} minus 1": (_arm(result, place, network), wide)
            for network, name in enumerate(judged)
            if network != WIDE
        }
        compared(leads, pairs, LOWER, tuning=tuning)
        label(leads, curve.name, "difference of log₁₀ losses", "networks")
    shared_legend(figure)
    return {"deep_or_wide": figure}
