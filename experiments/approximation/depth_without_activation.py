"""Do layers without activations between them amount to one linear map?

The notes say so, and it is mathematics: W₃(W₂(W₁x + b₁) + b₂) + b₃ is affine in x. Two
instruments ask. The outputs of networks of `problem.mlp` without activations are
compared with the product of their matrices and the biases that it carries along; and
the midpoint of two inputs must give the midpoint of the outputs, of which the network
alone is asked. With ReLUs between the layers, the control, it must not. "Linear" is
meant with a constant, which the biases leave; without biases the constant is 0.

Errors are relative to the largest output, and rounding if below 1e-12 in float64: ten
products of 16 terms leave 10 · 16 · 2.2e-16 = 4e-14. Nothing in the identity hangs on
the draws, so the largest error of all decides.

Nothing says that three layers learn as one does, as the claim's caveat has it. So a
supporting finding follows gradient descent of three layers from small weights, to
targets that are linear in white inputs, plus noise: first that it ends at the least
squares of one layer, then the fraction of its updates to 99 % of the drop that pass
before the first half of it. One layer falls exponentially there, and needs ln 2 /
ln 100 = 0.15 of them at any rate; three begin near a saddle, where gradients are small.
A rate of 0.05 is far below 2/curvature, which is near 1 at the end; 3,000 updates are
150 time constants of one layer. In eight draws of the seed 77 the fraction was 0.69,
with a half-width of 0.06. A unit draws inputs, targets and weights.

Not tested: that every affine map is one of the network's, which holds where no layer is
narrower than both inputs and outputs, and fails where one is.

Claims: C026.
Sources: Saxe, McClelland and Ganguli 2014, arXiv:1312.6120.
Cost: 3 seconds on 2 cores, compilation included.
Expect: equal to rounding, and the same floor; three layers first wait, then fall.
Run: jaxml run depth_without_activation
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from jaxml import learn, problem, randomness, record
from jaxml.record import Assertion
from jaxml.record.figures import Figure, band, label, legend_below, panels, strips
from jaxml.types import Array, Keep, Params

ROUNDING = record.at_most(1e-12)
SIDES, EXAMPLES, OUTPUTS = 8, 64, 4  # numbers in an input, inputs, numbers out
THREE = (16, 16, OUTPUTS)
TEN = (*[16] * 9, OUTPUTS)
RATE, SCALE, NOISE = 0.05, 0.1, 0.1
HALF, MOST = 0.5, 0.99  # parts of the drop of the loss
EXPONENTIAL = np.log(1 - HALF) / np.log(1 - MOST)  # of the updates, one layer's


@dataclass(frozen=True, kw_only=True)
class Config:
    """Draws of each kind, and updates of gradient descent."""

    draws: int = 20
    steps: int = 3000
    seed: int = 0


SMOKE = Config(draws=2, steps=400)


class Result(NamedTuple):
    """Relative errors, and losses.

    Attributes:
        product: of networks of ten layers against one affine map.
        midpoint: of outputs at midpoints against midpoints of outputs.
        bent: the same with ReLUs.
        losses: of three layers in training.
        floor: the least squares of one layer.
    """

    product: Float[np.ndarray, " draw"]
    midpoint: Float[np.ndarray, " draw"]
    bent: Float[np.ndarray, " draw"]
    losses: Float[np.ndarray, "draw step"]
    floor: Float[np.ndarray, " draw"]


class Draw(NamedTuple):
    """White inputs, noisy linear targets, and weights of two networks."""

    inputs: Array
    targets: Array
    three: Params
    ten: Params


def study(config: Config, keep: Keep) -> Result:
    """Float64 throughout."""
    draws = [_drawn(seed) for seed in randomness.seeds(config.seed, config.draws)]
    stacked = jax.tree.map(lambda *leaves: np.stack(leaves), *draws)
    with jax.enable_x64(True):
        of_draws = jax.jit(jax.vmap(_errors))
        errors = keep("errors", lambda: np.asarray(of_draws(stacked)))
        train = jax.jit(jax.vmap(partial(_losses, config.steps)))
        losses = keep("losses", lambda: np.asarray(train(stacked)))
    product, midpoint, bent = errors.T
    floors = np.array([_floor(draw.inputs, draw.targets) for draw in draws])
    return Result(product, midpoint, bent, losses, floors)


def _drawn(seed: int) -> Draw:
    """One unit; inputs have mean 0 and covariance 1, exactly."""
    draws = np.random.default_rng(seed)
    drawn = draws.normal(size=(EXAMPLES, SIDES))
    columns, _ = np.linalg.qr(drawn - drawn.mean(axis=0))
    inputs = columns * np.sqrt(EXAMPLES)
    teacher, _ = np.linalg.qr(draws.normal(size=(SIDES, OUTPUTS)))
    targets = inputs @ teacher + NOISE * draws.normal(size=(EXAMPLES, OUTPUTS))
    networks = [_network(widths, draws) for widths in (THREE, TEN)]
    return Draw(inputs, targets, *networks)


def _network(widths: tuple[int, ...], draws: np.random.Generator) -> Params:
    """Normal kernels of variance 1 / fan-in, and normal biases."""
    params = {}
    for index, (rows, columns) in enumerate(pairwise((SIDES, *widths))):
        kernel = draws.normal(size=(rows, columns)) / np.sqrt(rows)
        layer = {"kernel": kernel, "bias": draws.normal(size=columns)}
        params[f"layer_{index:02}"] = layer
    return params


def _output(
    widths: tuple[int, ...], activation: Callable, params: Params, inputs: Array
) -> jax.Array:
    model = problem.mlp(widths, activation)
    return model.apply(params, {}, inputs, train=False, key=None)[0]


def _errors(draw: Draw) -> Float[jax.Array, " error"]:
    """Of the product, of midpoints, and of midpoints with ReLUs."""
    linear = partial(_output, TEN, jax.nn.identity, draw.ten)
    relu = partial(_output, TEN, jax.nn.relu, draw.ten)
    outputs = linear(draw.inputs)
    kernel, bias = _affine(draw.ten)
    off = jnp.abs(outputs - draw.inputs @ kernel - bias[None]).max()
    middles = [_off_midpoint(network, draw.inputs) for network in (linear, relu)]
    return jnp.stack([off / jnp.abs(outputs).max(), *middles])


def _affine(params: Params) -> tuple[Array, Array]:
    """The product of the kernels, and the bias that it carries along."""
    first, *others = sorted(params)
    kernel, bias = params[first]["kernel"], params[first]["bias"]
    for name in others:
        layer = params[name]
        kernel, bias = kernel @ layer["kernel"], bias @ layer["kernel"] + layer["bias"]
    return kernel, bias


def _off_midpoint(network: Callable, inputs: Array) -> jax.Array:
    """How far outputs at midpoints of neighbours are from their mean, over the largest
    output.
    """
    outputs = network(inputs)
    middles = network((inputs[1:] + inputs[:-1]) / 2)
    off = jnp.abs(middles - (outputs[1:] + outputs[:-1]) / 2)
    return off.max() / jnp.abs(outputs).max()


def _losses(steps: int, draw: Draw) -> Float[jax.Array, " step"]:
    """Before each update of three layers."""

    def loss(params: Params, batch: None) -> jax.Array:
        del batch
        outputs = _output(THREE, jax.nn.identity, params, draw.inputs)
        return jnp.sum((outputs - draw.targets) ** 2) / (2 * EXAMPLES)

    small = jax.tree.map(lambda leaf: SCALE * leaf, draw.three)
    sgd = learn.sgd(learn.Hyper(lr=jnp.float64(RATE)))
    return learn.descend(loss, sgd, small, None, steps=steps).loss


def _floor(inputs: Array, targets: Array) -> float:
    """Half the least squares of an affine map, a mean over examples."""
    design = np.column_stack([inputs, np.ones(EXAMPLES)])
    weights = np.linalg.lstsq(design, np.asarray(targets), rcond=None)[0]
    return float(np.square(design @ weights - targets).sum() / (2 * EXAMPLES))


def _waited(result: Result) -> Float[np.ndarray, " draw"]:
    """Updates to the first half of the drop over those to 99 % of it, where it came."""
    above = result.losses - result.floor[:, None]
    left = above / above[:, :1]
    half, most = (left <= 1 - part for part in (HALF, MOST))
    came = most.any(axis=1)
    return half.argmax(axis=1)[came] / np.maximum(most.argmax(axis=1)[came], 1)


def findings(result: Result) -> tuple[Assertion, ...]:
    """Largest errors, and a fraction of the updates."""
    draws, steps = result.losses.shape
    setting = f"ten layers of 16 units, {draws} draws of weights, float64"
    run = (
        f"three layers without activations, {EXAMPLES} white inputs of {SIDES} "
        f"numbers, {OUTPUTS} noisy linear targets, gradient descent from small "
        f"weights, rate {RATE:g}, {steps:,} updates"
    )
    deciding = partial(record.deciding, "C026", unit="relative error")
    supporting = partial(record.supporting, "C026")
    return (
        deciding(
            "A network without activations is one linear map, the product of its "
            "matrices, plus a constant: largest error over the largest output.",
            record.largest(result.product),
            ROUNDING,
            setting=setting,
        ),
        deciding(
            "A network without activations maps a midpoint to the midpoint of the "
            "outputs, as a linear map with a constant does: error over the largest "
            "output.",
            record.largest(result.midpoint),
            ROUNDING,
            setting=setting,
        ),
        supporting(
            "A network with ReLUs maps a midpoint to the midpoint of the outputs, the "
            "control: least error of a network.",
            record.certain(result.bent.min()),
            ROUNDING,
            unit="relative error",
            setting=setting,
        ),
        supporting(
            "Three layers without activations end at the least squares of one layer: "
            "distance over them.",
            record.largest(result.losses[:, -1] / result.floor - 1),
            record.at_most(1e-3),
            unit="relative error",
            setting=run,
        ),
        supporting(
            "Three layers without activations spend a larger fraction of the updates "
            "to 99 % of the drop on its first half than one layer, which spends 0.15.",
            record.bootstrap(np.mean, _waited(result)),
            record.above(EXPONENTIAL, margin=0.1, reason="a tenth of a run"),
            unit="fraction",
            setting=run,
        ),
    )


def figures(result: Result) -> dict[str, Figure]:
    """Errors of every network, and the loss of three layers and of one."""
    figure, (errors, losses) = panels(1, 2, width=5.4, height=4.0)
    samples = {
        "against the product": result.product,
        "midpoints": result.midpoint,
        "midpoints, ReLUs (control)": result.bent,
    }
    strips(errors, samples)
    errors.axhline(ROUNDING.threshold, color="0.4", linestyle=":", label="rounding")
    label(errors, "Error of every network", "instrument", "relative error")
    above = result.losses - result.floor[:, None]
    left = np.maximum(above / above[:, :1], 1e-8)
    steps = np.arange(left.shape[1])
    band(losses, steps, left.T, "three layers")
    one = np.maximum((1 - RATE) ** (2 * steps), 1e-8)
    losses.plot(steps, one, marker="", label="one layer, closed form")
    label(losses, "Gradient descent", "updates", "loss above the least, over the first")
    for axis in (errors, losses):
        axis.set_yscale("log")
        legend_below(axis)
    return {"depth": figure}
