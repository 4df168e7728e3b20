"""Do small random weights keep signals and gradients of a deep tanh network apart?

Kernels are normal (cut at 2σ) and biases 0. σ is absolute, as in 0.01·randn, or by
fan-in H: 1/√H is the course's Xavier, √(2/H) He's. Ten hidden layers of width 64 keep
the 64 inputs of a digit; 0.01·randn is 0.08/√H here and 0.22/√H at the lecture's width
of 500, where its own figures are reproduced on normal inputs. Signals are standard
deviations over 500 digits and all units of a layer, and over all entries of ∂L/∂W.

The course says that small random numbers such as 0.01·randn keep the spread of weights
limited. That is worth something if activations and gradients keep their size: the
course is wrong if less than a tenth of the spread of the first layer is left in the
tenth, or if the first layer's gradient is less than a hundredth of that of the same
kernels at Xavier's scale; a factor of two is no difference beside that. Controls:
Xavier's kernels must keep the spread, and zero kernels get no gradient anywhere. Large
weights, 1.0·randn, should saturate the units, most of whose outputs then lie beyond
0.95. Twenty networks, each with weights and digits of its own.

A first version compared the gradients of layers with each other. At small scales all
are alike, for each is a product of all other layers.

Claims: C162.
Sources: Glorot and Bengio 2010; He et al. 2015, arXiv:1502.01852.
Cost: 5 seconds on 2 cores, compilation included.
Expect: 0.01·randn collapses in ten layers; 1.0·randn saturates, yet passes gradients.
Run: jaxml run initial_signals
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from jaxml import problem, randomness, record
from jaxml.record import Assertion
from jaxml.record.figures import Axes, band, label, legend_below, panels
from jaxml.types import Array, Batch, Keep, Params

WIDTH = 64  # of every layer, and of the input: one fan-in, so one scale of all kernels
ROOT = WIDTH**0.5
SCALES = {
    "zero": 0.0,
    "0.01·randn": 0.01 * ROOT,
    "0.1·randn": 0.1 * ROOT,
    "1.0·randn": ROOT,
    "Xavier's": 1.0,
    "He's": 2**0.5,
}
ZERO, SMALL, _, LARGE, XAVIER, _ = SCALES
COURSES_WIDTH = 500
COURSES = {"0.01·randn": 0.01, "Xavier's": COURSES_WIDTH**-0.5, "1.0·randn": 1.0}
PRINTED = {"0.01·randn": 2.9e-7, "Xavier's": 0.23, "1.0·randn": 0.98}
SATURATED = 0.95
TWICE = "a factor of two is little beside the range of float32"


@dataclass(frozen=True, kw_only=True)
class Config:
    """Hidden layers, digits of each network, networks, and inputs of the course's."""

    hidden: int = 10
    digits: int = 500
    networks: int = 20
    inputs: int = 1000
    seed: int = 0


SMOKE = Config(hidden=3, digits=50, networks=3, inputs=20)


class Network(NamedTuple):
    """What is drawn anew for each network: its weights' seed, and its digits."""

    seed: Int[Array, ""]
    rows: Int[Array, " digit"]


class Result(NamedTuple):
    """Signals of untrained networks, by initialisation of SCALES or of COURSES.

    Attributes:
        activation: standard deviation of each hidden layer.
        saturated: fraction of the last hidden layer's outputs beyond SATURATED.
        gradient: standard deviation of the entries of ∂L/∂W; the output's is the last.
        courses: standard deviation of each layer of the course's network.
        digits: of each network.
    """

    activation: Float[Array, "initialisation network hidden"]
    saturated: Float[Array, "initialisation network"]
    gradient: Float[Array, "initialisation network layer"]
    courses: Float[Array, "initialisation network hidden"]
    digits: Int[Array, ""]


def study(config: Config, keep: Keep) -> Result:
    """The course's network in one program, the one on digits in another."""
    seeds = np.array(randomness.seeds(config.seed, config.networks))
    scales = np.array(list(SCALES.values()), np.float32)
    data = problem.digits()
    over_scales = jax.vmap(partial(_signals, config, data), (0, None))
    signals = jax.jit(partial(jax.lax.map, partial(over_scales, scales)))
    networks = Network(seeds, _rows(config, seeds, len(data.weights)))
    of_networks = keep("digits", partial(signals, networks))
    signals_by_scale = [np.swapaxes(signal, 0, 1) for signal in of_networks]
    deviations = np.array(list(COURSES.values()), np.float32)
    over_deviations = jax.vmap(partial(_courses, config), (0, None))
    courses = jax.jit(partial(jax.lax.map, partial(over_deviations, deviations)))
    return Result(
        *signals_by_scale,
        courses=np.swapaxes(keep("course", partial(courses, seeds)), 0, 1),
        digits=np.array(config.digits),
    )


def _rows(config: Config, seeds: np.ndarray, total: int) -> np.ndarray:
    """The digits of each network, drawn without replacement."""
    orders = [np.random.default_rng(seed).permutation(total) for seed in seeds]
    return np.stack(orders)[:, : config.digits]


def _signals(
    config: Config, data: Batch, scale: Array, network: Network
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """One network's; its kernels are those of scale 1, scaled."""
    model = problem.mlp((WIDTH,) * config.hidden + (10,), jnp.tanh)
    params, _ = model.init(jax.random.key(network.seed), data.inputs)
    params = jax.tree.map(lambda leaf: scale * leaf, params)  # biases are 0
    own = jax.tree.map(lambda field: jnp.asarray(field)[network.rows], data)
    values = own.inputs
    activation = []
    for layer in _layers(params)[:-1]:
        values = jnp.tanh(values @ layer["kernel"])
        activation.append(jnp.std(values))
    objective = problem.objective(model, problem.cross_entropy)
    grads = jax.grad(objective)(params, own)
    gradient = [jnp.std(layer["kernel"]) for layer in _layers(grads)]
    saturated = jnp.mean(jnp.abs(values) > SATURATED)
    return jnp.stack(activation), saturated, jnp.stack(gradient)


def _layers(params: Params) -> list[Params]:
    """The layers in their order."""
    return [layer for _, layer in sorted(params.items())]


def _courses(config: Config, deviation: Array, seed: jax.Array) -> jax.Array:
    """Standard deviations of the layers of a network of the lecture's width."""
    keys = jax.random.split(jax.random.key(seed), 11)
    inputs = jax.random.normal(keys[0], (config.inputs, COURSES_WIDTH))

    def layer(values: jax.Array, key: jax.Array) -> tuple[jax.Array, jax.Array]:
        kernel = jax.random.normal(key, (COURSES_WIDTH, COURSES_WIDTH))
        values = jnp.tanh(values @ (deviation * kernel))
        return values, jnp.std(values)

    return jax.lax.scan(layer, inputs, keys[1:])[1]


def findings(result: Result) -> tuple[Assertion, ...]:
    """Means over networks."""
    activation = dict(zip(SCALES, result.activation, strict=True))
    gradient = dict(zip(SCALES, result.gradient, strict=True))
    return (
        _spread(result, activation[SMALL], SMALL, record.deciding),
        _spread(result, activation[XAVIER], XAVIER, record.supporting),
        _passing(result, SMALL, record.deciding),
        _passing(result, LARGE, record.supporting),
        _nothing(result, gradient[ZERO]),
        _saturation(result),
        *_figures_of_the_course(result),
    )


def _setting(result: Result) -> str:
    hidden = result.activation.shape[-1]
    tanh = f"dense tanh network of {hidden} hidden layers of {WIDTH} units"
    return f"8x8 digits ({result.digits:,} drawn anew), untrained {tanh}"


def _spread(
    result: Result, activation: Array, name: str, role: Callable[..., Assertion]
) -> Assertion:
    left = np.log(activation[:, -1] / activation[:, 0])
    control = "Control: " if role is record.supporting else ""
    return role(
        "C162",
        f"{control}First kernels of {name} keep the spread of activations: more than a "
        "tenth of the first hidden layer's is left in the last, as logarithm.",
        record.bootstrap(np.mean, left),
        record.above(np.log(0.1), margin=np.log(2), reason=TWICE),
        unit="log ratio",
        setting=_setting(result),
    )


def _passing(result: Result, name: str, role: Callable[..., Assertion]) -> Assertion:
    gradient = dict(zip(SCALES, result.gradient, strict=True))
    left = np.log(gradient[name][:, 0] / gradient[XAVIER][:, 0])
    return role(
        "C162",
        f"First kernels of {name} pass gradients on to the first layer: more than a "
        "hundredth of what Xavier's pass on, as logarithm.",
        record.bootstrap(np.mean, left),
        record.above(np.log(0.01), margin=np.log(2), reason=TWICE),
        unit="log ratio",
        setting=_setting(result),
    )


def _nothing(result: Result, gradient: Array) -> Assertion:
    return record.supporting(
        "C162",
        "Control: zero first kernels get no gradient in any layer.",
        record.largest(gradient),
        record.at_most(0.0),
        unit="error",
        setting=_setting(result),
    )


def _saturation(result: Result) -> Assertion:
    saturated = dict(zip(SCALES, result.saturated, strict=True))
    return record.supporting(
        "C162",
        "First kernels of 1.0·randn saturate most units of the last hidden layer: the "
        f"fraction of outputs beyond {SATURATED}.",
        record.bootstrap(np.mean, saturated[LARGE]),
        record.above(0.5),
        unit="fraction",
        setting=_setting(result),
    )


def _figures_of_the_course(result: Result) -> tuple[Assertion, ...]:
    setting = f"normal inputs, untrained tanh network of 10 layers of {COURSES_WIDTH}"
    found = []
    for (name, printed), spread in zip(PRINTED.items(), result.courses, strict=True):
        found.append(
            record.supporting(
                "C162",
                f"With kernels of {name} the spread of the tenth layer is {printed:g}: "
                "the measured one over it.",
                record.bootstrap(np.mean, spread[:, -1] / printed),
                record.near(1.0, margin=0.1, reason="one network is printed"),
                unit="ratio",
                setting=setting,
            )
        )
    return tuple(found)


def figures(result: Result) -> dict:
    """Signals by layer, the median and 8 of 10 networks."""
    figure, (left, middle, right) = panels(1, 3, height=3.8)
    names = list(SCALES)[1:]
    _draw(left, names, result.activation[1:])
    _draw(middle, names, result.gradient[1:])
    _draw(right, COURSES, result.courses)
    right.scatter([10, 10, 10], list(PRINTED.values()), marker="x")
    label(left, "Activations (tanh units)", "hidden layer", "standard deviation")
    label(
        middle,
        "Gradients ∂L/∂W (nats)",
        "layer, the output's last",
        "standard deviation",
    )
    label(right, "Width 500; crosses: ledger", "hidden layer", "standard deviation")
    return {"signals": figure}


def _draw(axis: Axes, names: Iterable, signals: Array) -> None:
    for name, signal in zip(names, signals, strict=True):
        band(axis, 1 + np.arange(signal.shape[1]), signal.T, name)
    axis.set_yscale("log")
    legend_below(axis)
