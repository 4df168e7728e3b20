"""Do layers without activations between them amount to one linear map?

The notes say so, and it is mathematics: W₃(W₂(W₁x + b₁) + b₂) + b₃ is affine in x. Here
three instruments ask. The outputs of networks of `problem.mlp` without activations are
compared with the product of their matrices and the biases that it carries along. The
midpoint of two inputs must give the midpoint of the outputs, of which the network alone
is asked. And the least squares of one layer must be a floor under the training loss of
three, which they reach, so that the two have the same functions to choose from. If an
activation mattered nowhere, the networks with ReLUs between their layers, the control,
would pass the second and end at the same floor; they must not. A layer of two units in
between bounds the rank: the singular value after the second is 0.

Errors are relative to the largest output, and rounding if below 1e-12 in float64: ten
products of 16 terms leave 10 · 16 · 2.2e-16 = 4e-14. Nothing in the identity hangs on
the draws. Nothing says that three layers learn as one does, as the claim's caveat has
it. So a supporting finding compares gradient descent of one layer and of three from
small weights, to targets that a line gives, plus noise: the fraction of the updates to
99 % of the drop that pass before the first half of it. One layer with white inputs
falls exponentially, and needs ln 2 / ln 100 = 0.15 of them whatever the rate; three
begin near a saddle, where all gradients are small.

A unit draws inputs, targets and initial weights. Rates are 0.05, with curvatures near 1
far below 2/curvature; 3,000 updates are 150 time constants of one layer.

Claims: C026.
Sources: Saxe, McClelland and Ganguli 2014, arXiv:1312.6120.
Cost: ten seconds on 2 cores.
Expect: equal to rounding, and the same floor; three layers first wait, then fall.
Run: jaxml run depth_without_activation
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from jaxml import learn, problem, randomness, record
from jaxml.record import Assertion
from jaxml.record.figures import Figure, band, label, legend_below, panels, strips
from jaxml.types import Array, Keep, Key, Params

ROUNDING = record.at_most(1e-12)
SIDES, EXAMPLES, OUTPUTS = 8, 64, 4  # numbers in an input, inputs, numbers out
DEPTHS = (2, 3, 5, 10)
NARROW = (16, 2, 16, OUTPUTS)  # widths with two units in between
RATE, SCALE, NOISE = 0.05, 0.1, 0.1
ONE = (OUTPUTS,)
THREE = (16, 16, OUTPUTS)
KINDS = ("one layer", "three layers", "three layers, ReLUs")
SINGLE, DEEP, BENT = range(len(KINDS))
DROP = (0.5, 0.99)
EVERY = 10  # updates between points of the figure


@dataclass(frozen=True, kw_only=True)
class Config:
    """Draws of each kind, and updates of gradient descent."""

    draws: int = 20
    steps: int = 3000
    seed: int = 0


SMOKE = Config(draws=2, steps=40)


class Result(NamedTuple):
    """Relative errors, and losses.

    Attributes:
        product: of the network against one affine map.
        midpoint: of outputs at midpoints against midpoints of outputs.
        bent: the same with ReLUs.
        rank: the third singular value of the product over its first, of NARROW.
        losses: of KINDS in training.
        floor: the least squares of one layer.
    """

    product: Float[np.ndarray, "depth draw"]
    midpoint: Float[np.ndarray, "depth draw"]
    bent: Float[np.ndarray, "depth draw"]
    rank: Float[np.ndarray, " draw"]
    losses: Float[np.ndarray, "kind draw step"]
    floor: Float[np.ndarray, " draw"]


def study(config: Config, keep: Keep) -> Result:
    """Float64 throughout; a program a network."""
    keys = jax.random.split(randomness.key(config.seed), config.draws)
    with jax.enable_x64(True):
        inputs = np.asarray(jax.vmap(_white)(keys))
        errors = keep("errors", partial(_errors, keys, inputs))
        rank = keep("rank", partial(_ranks, keys, inputs))
        targets = np.asarray(jax.vmap(_targets)(keys, inputs))
        runs = partial(_losses, config.steps, keys, inputs, targets)
        losses = keep("losses", runs)
    floors = [_floor(*pair) for pair in zip(inputs, targets, strict=True)]
    product, midpoint, bent = np.moveaxis(errors, 1, 0)
    return Result(product, midpoint, bent, rank, losses, np.array(floors))


def _white(key: Key) -> Float[jax.Array, "example side"]:
    """Inputs of mean 0 and covariance 1, exactly."""
    own = jax.random.fold_in(key, 1)
    drawn = jax.random.normal(own, (EXAMPLES, SIDES), jnp.float64)
    columns, _ = jnp.linalg.qr(drawn - drawn.mean(axis=0, keepdims=True))
    return columns * jnp.sqrt(1.0 * EXAMPLES)


def _targets(key: Key, inputs: jax.Array) -> Float[jax.Array, "example output"]:
    """A linear map of norm 1 for each output, and noise."""
    own, noise = jax.random.split(jax.random.fold_in(key, 2))
    drawn = jax.random.normal(own, (SIDES, OUTPUTS), jnp.float64)
    teacher, _ = jnp.linalg.qr(drawn)
    return inputs @ teacher + NOISE * jax.random.normal(
        noise, (EXAMPLES, OUTPUTS), jnp.float64
    )


def _drawn(widths: tuple[int, ...], key: Key, inputs: Array) -> Params:
    """The kernels of `mlp`, and normal biases, that none may be forgotten."""
    params, _ = problem.mlp(widths, jax.nn.identity).init(key, inputs)
    own = jax.random.fold_in(key, 3)
    for index, name in enumerate(sorted(params)):
        shape = params[name]["bias"].shape
        bias = jax.random.normal(jax.random.fold_in(own, index), shape, jnp.float64)
        params[name] = {**params[name], "bias": bias}
    return params


def _output(
    widths: tuple[int, ...], activation: Callable, params: Params, inputs: Array
) -> jax.Array:
    model = problem.mlp(widths, activation)
    return model.apply(params, {}, inputs, train=False, key=None)[0]


def _affine(params: Params) -> tuple[jax.Array, jax.Array]:
    """The product of the kernels, and the bias that it carries along."""
    kernel, bias = jnp.eye(SIDES, dtype=jnp.float64), jnp.zeros(SIDES, jnp.float64)
    for name in sorted(params):
        layer = params[name]
        kernel, bias = kernel @ layer["kernel"], bias @ layer["kernel"] + layer["bias"]
    return kernel, bias


def _errors(keys: Key, inputs: Array) -> Float[np.ndarray, "depth error draw"]:
    """Of each depth, by one program."""
    found = []
    for depth in DEPTHS:
        widths = (*[16] * (depth - 1), OUTPUTS)
        of_draw = jax.jit(jax.vmap(partial(_of_depth, widths)))
        found.append(np.asarray(of_draw(keys, inputs)).T)
    return np.stack(found)


def _of_depth(widths: tuple[int, ...], key: Key, inputs: jax.Array) -> jax.Array:
    """Of the product, of midpoints, and of midpoints with ReLUs."""
    params = _drawn(widths, key, inputs)
    kernel, bias = _affine(params)
    linear = partial(_output, widths, jax.nn.identity, params)
    outputs = linear(inputs)
    size = jnp.abs(outputs).max()
    product = jnp.abs(outputs - inputs @ kernel - bias[None]).max() / size
    relu = partial(_output, widths, jax.nn.relu, params)
    off = [_off_midpoint(network, inputs) for network in (linear, relu)]
    return jnp.stack([product, *off])


def _off_midpoint(network: Callable, inputs: jax.Array) -> jax.Array:
    """How far outputs at midpoints of neighbours are from their mean, over the largest
    output.
    """
    outputs = network(inputs)
    middles = network((inputs[1:] + inputs[:-1]) / 2)
    off = jnp.abs(middles - (outputs[1:] + outputs[:-1]) / 2)
    return off.max() / jnp.abs(outputs).max()


def _ranks(keys: Key, inputs: Array) -> Float[np.ndarray, " draw"]:
    """The first singular value that two units in between leave no room for."""

    def product(key: Key, inputs: jax.Array) -> jax.Array:
        return _affine(_drawn(NARROW, key, inputs))[0]

    sizes = np.linalg.svd(np.asarray(jax.vmap(product)(keys, inputs)), compute_uv=False)
    return sizes[:, 2] / sizes[:, 0]


def _losses(
    steps: int, keys: Key, inputs: Array, targets: Array
) -> Float[np.ndarray, "kind draw step"]:
    """Before each update, of KINDS."""
    kinds = ((ONE, jax.nn.identity), (THREE, jax.nn.identity), (THREE, jax.nn.relu))
    found = []
    for widths, activation in kinds:
        one = partial(_trained, steps, widths, activation)
        found.append(np.asarray(jax.jit(jax.vmap(one))(keys, inputs, targets)))
    return np.stack(found)


def _trained(
    steps: int,
    widths: tuple[int, ...],
    activation: Callable,
    key: Key,
    inputs: jax.Array,
    targets: jax.Array,
) -> Float[jax.Array, " step"]:
    model = problem.mlp(widths, activation)
    drawn, _ = model.init(key, inputs)
    small = jax.tree.map(lambda leaf: SCALE * leaf, drawn)

    def loss(params: Params, batch: None) -> jax.Array:
        del batch
        errors = _output(widths, activation, params, inputs) - targets
        return jnp.sum(errors**2) / (2 * EXAMPLES)

    sgd = learn.sgd(learn.Hyper(lr=jnp.float64(RATE)))
    return learn.descend(loss, sgd, small, None, steps=steps).loss


def _floor(inputs: np.ndarray, targets: np.ndarray) -> np.float64:
    """Half the least squares of an affine map, a mean over examples."""
    design = np.column_stack([inputs, np.ones(EXAMPLES)])
    weights = np.linalg.lstsq(design, targets, rcond=None)[0]
    return np.square(design @ weights - targets).sum() / (2 * EXAMPLES)


def _waited(losses: Float[np.ndarray, "draw step"], floor: np.ndarray) -> np.ndarray:
    """Updates to the first half of the drop over those to 99 % of it; nan without."""
    left = (losses - floor[:, None]) / (losses[:, :1] - floor[:, None])
    half, most = (left <= 1 - part for part in DROP)
    ratio = half.argmax(axis=1) / np.maximum(most.argmax(axis=1), 1)
    return np.where(most.any(axis=1), ratio, np.nan)


def findings(result: Result) -> tuple[Assertion, ...]:
    """Largest errors, and fractions of the updates."""
    depths = ", ".join(str(depth) for depth in DEPTHS)
    draws, steps = result.losses.shape[1:]
    setting = f"{depths} layers of 16 units, {draws} draws of weights, float64"
    run = (
        f"{EXAMPLES} white inputs of {SIDES} numbers, {OUTPUTS} noisy linear targets, "
        f"gradient descent from small weights, rate {RATE:g}, {steps:,} updates"
    )
    deciding = partial(record.deciding, "C026", unit="relative error")
    supporting = partial(record.supporting, "C026", unit="relative error")
    ends = result.losses[:, :, -1] / result.floor - 1
    waited = partial(_waited, floor=result.floor)
    return (
        deciding(
            "A network without activations is one affine map, the product of its "
            "matrices: largest error over the largest output.",
            record.largest(result.product),
            ROUNDING,
            setting=setting,
        ),
        deciding(
            "A network without activations maps a midpoint to the midpoint of the "
            "outputs, as an affine map does: error over the largest output.",
            record.largest(result.midpoint),
            ROUNDING,
            setting=setting,
        ),
        supporting(
            "So does a network with ReLUs between its layers, the control: least error "
            "of a network.",
            record.certain(result.bent.min()),
            ROUNDING,
            setting=setting,
        ),
        supporting(
            "Two units in between leave the product of the matrices a rank of 2: third "
            "singular value over the first.",
            record.largest(result.rank),
            ROUNDING,
            setting=f"layers of 16, 2 and 16 units, {draws} draws of weights, float64",
        ),
        supporting(
            "Three layers without activations end at the least squares of one layer: "
            "distance over them.",
            record.largest(ends[DEEP]),
            record.at_most(1e-3),
            setting=run,
        ),
        supporting(
            "So do three layers of ReLUs, the control: distance over them.",
            record.largest(ends[BENT]),
            record.at_most(1e-3),
            setting=run,
        ),
        record.supporting(
            "C026",
            "Three layers without activations spend a larger fraction of the updates "
            "to 99 % of the drop on its first half than one layer does.",
            record.paired(waited(result.losses[DEEP]), waited(result.losses[SINGLE])),
            record.above(0.0, margin=0.1, reason="a tenth of a run"),
            unit="fraction difference",
            setting=run,
        ),
    )


def figures(result: Result) -> dict[str, Figure]:
    """Errors of every network, and losses of every kind."""
    figure, (errors, losses) = panels(1, 2, width=5.4, height=4.0)
    samples = {
        "against the product": result.product,
        "midpoints": result.midpoint,
        "midpoints, ReLUs (control)": result.bent,
        "third singular value": result.rank,
    }
    seen = {name: np.maximum(each.ravel(), 1e-18) for name, each in samples.items()}
    strips(errors, seen)
    errors.axhline(ROUNDING.threshold, color="0.4", linestyle=":", label="rounding")
    errors.set_yscale("log")
    label(errors, "Error of every network", "instrument", "relative error")
    steps = np.arange(0, result.losses.shape[2], EVERY)
    for name, of_kind in zip(KINDS, result.losses, strict=True):
        band(losses, steps, of_kind[:, ::EVERY].T, name)
    floor = np.median(result.floor)
    losses.axhline(floor, color="0.4", linestyle=":", label="least squares, one layer")
    losses.set_yscale("log")
    label(losses, "Training by gradient descent", "updates", "squared error / 2")
    for axis in (errors, losses):
        legend_below(axis)
    return {"depth": figure}
