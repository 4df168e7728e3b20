"""Is minimising the cross-entropy the same as maximising the likelihood?

The likelihood of labels is the product of the probabilities that a classifier gives
them. Here it is that product itself, without a logarithm: softmax, one factor for each
example, multiplied. If the claim holds, three things do, the first two to the ledger's
1e-12 and the third exactly:

- the mean cross-entropy of n examples is the likelihood's logarithm over -n;
- by the classifier's weights their gradients point in opposite directions, so that
  descending the one ascends the other;
- where descent on the cross-entropy ends, no step that is tried raises the likelihood.

Rounding leaves the first two far from the tolerance: 40 factors and a logarithm err by
some 1e-14. Each has a control, which must come out the other way in every draw: the
labels of other examples have another likelihood; the gradient of the squared error of
the same probabilities points elsewhere; and where descent on that ends, steps raise the
likelihood. What is left of both gradients there says that descent has ended.

Values and gradients are of an untrained linear classifier on 40 digits. Descent is on
three overlapping clouds in the plane, since digits can be separated, and then have no
lowest cross-entropy. A draw has digits, weights and clouds of its own.

Claims: C091.
Cost: 7 seconds on 2 cores, compilation included.
Expect: the same.
Run: jaxml run maximum_likelihood
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from jaxml import learn, problem, randomness, record
from jaxml.record import Assertion
from jaxml.record.comparisons import dots
from jaxml.record.figures import Figure, label, panels, shared_legend
from jaxml.types import Array, Keep

DIGITS = 40
STEPS = 10_000  # of descent, at rate 2
EACH = 30  # examples of a cloud
DIRECTIONS = 200  # tried around the end of descent
CENTRES = np.array([[0.0, 0.6], [-0.5, -0.3], [0.5, -0.3]])
SHOWN = np.linspace(-1, 1, 41)  # steps of one weight
LENGTHS = np.array([1e-3, 1e-2, 1e-1, 1.0])  # of the steps that are tried
LOSSES = (problem.cross_entropy, problem.softmax_mse)
NAMES = ("cross-entropy", "squared error")
STYLES = ("k-", "b:")
DRAWN = 3
SAME = record.at_most(1e-12)
NONE = record.at_most(0.0)


@dataclass(frozen=True, kw_only=True)
class Config:
    """Draws."""

    draws: int = 20
    seed: int = 0


SMOKE = Config(draws=2)


class Result(NamedTuple):
    """Likelihoods as products, and what LOSSES make of them.

    Attributes:
        value: the mean cross-entropy plus the logarithm of the likelihood over the
            number of digits; and with the likelihood of the labels of other digits.
        direction: the length of the gradient of each loss plus that of the likelihood,
            each divided by its own length.
        raised: how many steps raise the likelihood from where descent on each ends.
        left: the length of the gradient of each there.
        profile: the likelihood along one weight from there, over the largest.
    """

    value: Float[Array, "labels draw"]
    direction: Float[Array, "loss draw"]
    raised: Float[Array, "loss draw"]
    left: Float[Array, "loss draw"]
    profile: Float[Array, "loss draw step"]


class Data(NamedTuple):
    """Inputs with a constant, and labels."""

    inputs: Float[Array, "*draw example feature"]
    labels: Int[Array, "*draw example"]


class Draws(NamedTuple):
    """What is drawn anew.

    Attributes:
        digits: with their labels.
        weights: of their classifier.
        clouds: three, in the plane.
        directions: of length 1, of the weights of a classifier of clouds.
    """

    digits: Data
    weights: Float[Array, "*draw feature class"]
    clouds: Data
    directions: Float[Array, "*draw direction feature class"]


def study(config: Config, keep: Keep) -> Result:
    """One program, in float64."""
    seeds = randomness.seeds(config.seed, config.draws)
    draws = [_draws(np.random.default_rng(seed)) for seed in seeds]
    stacked = jax.tree.map(lambda *leaves: np.stack(leaves), *draws)
    with jax.enable_x64(True):
        measured = keep("measured", lambda: jax.jit(jax.vmap(_measured))(stacked))
    return Result(**{name: np.moveaxis(measured[name], 0, 1) for name in measured})


def _draws(random: np.random.Generator) -> Draws:
    """Digits with replacement, weights of deviation 1/√65, clouds of deviation 1."""
    pixels = problem.digits(dtype=np.float64)
    inputs = _with_constant(np.asarray(pixels.inputs))
    chosen = random.integers(len(inputs), size=DIGITS)
    features = inputs.shape[1]
    labels = np.repeat(np.arange(len(CENTRES)), EACH)
    noise = random.normal(size=(len(labels), 2))
    directions = random.normal(size=(DIRECTIONS, 3, len(CENTRES) - 1))
    lengths = np.linalg.norm(directions, axis=(1, 2), keepdims=True)
    return Draws(
        digits=Data(inputs[chosen], np.asarray(pixels.targets)[chosen]),
        weights=random.normal(size=(features, 10)) / features**0.5,
        clouds=Data(_with_constant(CENTRES[labels] + noise), labels),
        directions=directions / lengths,
    )


def _with_constant(inputs: np.ndarray) -> np.ndarray:
    return np.column_stack([inputs, np.ones(len(inputs))])


def _measured(draws: Draws) -> dict[str, jax.Array]:
    """Of one draw, by the name of the attribute of Result."""
    weights, digits = draws.weights, draws.digits
    others = digits._replace(labels=jnp.roll(digits.labels, 1))
    entropy = _mean(weights, problem.cross_entropy, digits)
    likelihoods = jnp.stack([_likelihood(weights, each) for each in (digits, others)])
    rising = jax.grad(_likelihood)(weights, digits)
    falling = [jax.grad(_mean)(weights, loss, digits) for loss in LOSSES]
    around = partial(_around, draws.clouds, draws.directions)
    raised, left, profile = map(jnp.stack, zip(*map(around, LOSSES), strict=True))
    return {
        "value": entropy + jnp.log(likelihoods) / DIGITS,
        "direction": jnp.stack([_apart(each, rising) for each in falling]),
        "raised": raised,
        "left": left,
        "profile": profile,
    }


def _likelihood(weights: Array, data: Data) -> jax.Array:
    """The product of the labels' probabilities, written out."""
    powers = jnp.exp(data.inputs @ weights)
    labelled = jnp.take_along_axis(powers, data.labels[:, None], axis=1)[:, 0]
    factors = labelled / jnp.sum(powers, axis=1)
    one = jnp.ones((), factors.dtype)
    return jax.lax.scan(lambda made, factor: (made * factor, None), one, factors)[0]


def _mean(weights: Array, loss: Callable[..., jax.Array], data: Data) -> jax.Array:
    return jnp.mean(loss(data.inputs @ weights, data.labels))


def _apart(falling: jax.Array, rising: jax.Array) -> jax.Array:
    """0 where they point in opposite directions."""
    down, up = (each / jnp.linalg.norm(each) for each in (falling, rising))
    return jnp.linalg.norm(down + up)


def _around(
    data: Data, directions: Array, loss: Callable[..., jax.Array]
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Steps that raise the likelihood from where descent on the loss ends, what is left
    of the gradient there, and the likelihood along the first weight.

    The last class has weights of 0, for the same number added to all changes nothing.
    """

    def objective(free: jax.Array, data: Data) -> jax.Array:
        return _mean(_with_last(free), loss, data)

    def likelihood(free: jax.Array) -> jax.Array:
        return _likelihood(_with_last(free), data)

    begin = jnp.zeros_like(directions[0])
    descent = learn.sgd(learn.Hyper(lr=2.0))
    end = learn.descend(objective, descent, begin, data, steps=STEPS).params
    steps = jnp.asarray(LENGTHS)[:, None, None, None] * directions[None]
    tried = jax.vmap(jax.vmap(lambda step: likelihood(end + step)))(steps)
    one = begin.at[0, 0].set(1.0)
    along = jax.vmap(lambda step: likelihood(end + step * one))(jnp.asarray(SHOWN))
    raised = jnp.sum(tried > likelihood(end), dtype=end.dtype)
    left = jnp.linalg.norm(jax.grad(objective)(end, data))
    return raised, left, along / jnp.max(along)


def _with_last(free: jax.Array) -> jax.Array:
    return jnp.pad(free, ((0, 0), (0, 1)))


def findings(result: Result) -> tuple[Assertion, ...]:
    """Of the cross-entropy, with controls, and that both descents have ended."""
    draws = result.value.shape[1]
    digits = f"{DIGITS} 8x8 digits, an untrained linear classifier, {draws} draws"
    clouds = (
        f"three overlapping clouds of {EACH} examples in the plane, a linear "
        f"classifier, {STEPS:,} updates of gradient descent; {DIRECTIONS} directions, "
        f"lengths of 0.001 to 1, {draws} draws"
    )
    error = {"rule": SAME, "unit": "error"}
    count = {"rule": NONE, "unit": "count"}
    return (
        *_with_control(
            "The mean cross-entropy of n examples is the logarithm of their likelihood "
            "over -n: how far off.",
            "Control, the likelihood of the labels of other examples: the mean "
            "cross-entropy is its logarithm over -n in some draw; how far off.",
            result.value,
            setting=digits,
            **error,
        ),
        *_with_control(
            "The gradient of the cross-entropy by the weights points opposite to that "
            "of the likelihood: the length of the sum of both, each of length 1.",
            "Control, the squared error of the probabilities: its gradient points "
            "opposite to that of the likelihood in some draw; the length of the sum.",
            result.direction,
            setting=digits,
            **error,
        ),
        *_with_control(
            "Where descent on the cross-entropy ends, no step that is tried raises the "
            "likelihood: steps that do.",
            "Control, the squared error of the probabilities: where descent on it "
            "ends, no step raises the likelihood in some draw; steps that do.",
            result.raised,
            setting=clouds,
            **count,
        ),
        *(
            record.supporting(
                "C091",
                f"Descent on the {name} has ended: the length of the gradient.",
                record.largest(left),
                setting=clouds,
                **error,
            )
            for name, left in zip(NAMES, result.left, strict=True)
        ),
    )


def _with_control(
    statement: str, control: str, measured: Array, **about: Any
) -> tuple[Assertion, Assertion]:
    """Of what decides the draw that is farthest off, of the control the nearest."""
    claimed, swapped = np.abs(measured)
    nearest = record.certain(np.min(swapped))
    return (
        record.deciding("C091", statement, record.largest(claimed), **about),
        record.supporting("C091", control, nearest, **about),
    )


def figures(result: Result) -> dict[str, Figure]:
    """The likelihood around the end of either descent, and steps that raise it."""
    figure, (along, raised) = panels(1, 2, width=4.4, height=3.4)
    for loss, style in enumerate(STYLES):
        first, *others = result.profile[loss, :DRAWN]
        along.plot(SHOWN, first, style, label=f"after the {NAMES[loss]}")
        along.plot(SHOWN, np.transpose(others), style)
    along.set_xticks(SHOWN[::10])
    title = f"Around the end of descent, {DRAWN} draws of clouds"
    label(along, title, "step of one weight", "likelihood / largest shown")
    dots(raised, dict(zip(NAMES, result.raised, strict=True)))
    label(raised, "Steps that raise the likelihood", "count, a point a draw", "loss")
    shared_legend(figure)
    return {"likelihood": figure}
