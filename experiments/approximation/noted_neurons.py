"""Does every further neuron help, and what does dropout take away?

Notes on the course say that adding neurons always helps, that dropout removes
parameters, and that it reduces the number of features (X6). "Always" is false if in one
case held-out error rises. So the neurons of `double_descent` are asked, whose last
layer is fitted by least squares: is its error on held-out pictures lower with 200
neurons, as many as examples, than with 50? If it is higher by more than 5 %, that is
such a case and refutes; if lower, this pair is none, and "always" stays open. C028 asks
the same of trained networks, where it depends on when training stops, and with ridge
there is no such case; "always" leaves no room for one exception, so this one decides.

What dropout takes away is looked at in an untrained network of two hidden layers of
tanh units with dropout of a half, in which a weight moves the output only while both of
its ends are kept. A weight rests where the gradient of an output is 0, and a unit where
those of all its outgoing weights are. One mask on one digit lets half of the units and
three quarters of the weights between them rest; each mask is another, so that hardly
any weight (0.75⁴⁰ = 1e-5 of them) rests under all masks of 40 digits. That nothing
rests at test time is how dropout is defined, so these findings support and decide
nothing.

That the sigmoid has fallen out of use, as these notes have it too, is a matter of
counting other people's networks, and not tested. Nor is whether training with dropout
leaves features unused.

A unit is a draw of weights and masks; the digits are the same in all. The outcomes of
`double_descent` at the seeds 0, 1 and 2 were known when this was written, those of 3
and 4 were not.

Claims: X6.
Sources: Belkin et al. 2019, arXiv:1812.11118; Srivastava et al. 2014, "Dropout".
Cost: 5 seconds on 2 cores, compilation included, after `double_descent`.
Expect: worse with 200 neurons; dropout lets units rest in turns and removes none.
Run: jaxml run noted_neurons
"""

from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from jaxml import problem, randomness, record
from jaxml.record import Assertion
from jaxml.record.figures import Figure, label, legend_below, panels, strips
from jaxml.types import Array, Keep, Key, Params

NEEDS = ("double_descent",)
DATA = ("8x8 digits", "clothing of 7x7 pixels")  # those of `double_descent`
NARROW, EXAMPLES = 50, 200  # neurons; as many as examples
HELD_OUT = 1  # of the parts of `double_descent`
DROPPED, LAYERS, CLASSES = 0.5, 2, 10
WHEN = ("one mask of training", "all masks of training", "at test time")
LOWER = record.below(
    0.0, margin=0.05, reason="5 % of a squared error changes no choice of a width"
)
REMOVED = record.above(0.25)  # half of what one mask lets rest of the units


@dataclass(frozen=True, kw_only=True)
class Config:
    """Hidden units a layer, digits and masks, and draws of weights."""

    width: int = 64
    digits: int = 40
    draws: int = 20
    seed: int = 0


SMOKE = Config(width=8, digits=4, draws=2)


class Result(NamedTuple):
    """Ratios of errors, and what rests.

    Attributes:
        logs: of held-out errors with EXAMPLES neurons over those with NARROW.
        weights: the fraction of those between the hidden layers that rest, of WHEN.
        units: the fraction of hidden units that rest, of WHEN.
        width: hidden units a layer.
        digits: that are looked at.
    """

    logs: Float[np.ndarray, "data unit"]
    weights: Float[Array, "draw when"]
    units: Float[Array, "draw when"]
    width: Array
    digits: Array


def study(config: Config, keep: Keep, descent: Any) -> Result:
    """One program; nothing is trained."""
    places = {width: place for place, width in enumerate(descent.widths.tolist())}
    errors = np.log(descent.errors[:, HELD_OUT])
    keys = jax.random.split(randomness.key(config.seed), config.draws)
    inputs = problem.digits().inputs[: config.digits]

    def resting() -> tuple[jax.Array, jax.Array]:
        return jax.jit(jax.vmap(partial(_resting, config.width, inputs)))(keys)

    return Result(
        errors[:, places[EXAMPLES]] - errors[:, places[NARROW]],
        *keep("dropout", resting),
        width=np.array(config.width),
        digits=np.array(config.digits),
    )


def _resting(width: int, inputs: Array, key: Key) -> tuple[jax.Array, jax.Array]:
    """Fractions of weights and of units that rest, of WHEN."""
    start, masks = jax.random.split(key)
    model = problem.deep_mlp_with_dropout(
        width, LAYERS, CLASSES, jnp.tanh, layers=LAYERS, dropout=DROPPED
    )
    params, _ = model.init(start, inputs)

    def output(params: Params, example: Array, train: bool, mask: Key) -> jax.Array:
        outputs, _ = model.apply(params, (), example[None], train=train, key=mask)
        return outputs[0, 0]

    keys = jax.random.split(masks, len(inputs))

    def rests(train: bool) -> tuple[jax.Array, jax.Array]:
        def by_example(example: Array, mask: Key) -> tuple[jax.Array, jax.Array]:
            moved = jax.grad(output)(params, example, train, mask)
            between = moved["hidden"]["kernel"][0] == 0
            second = moved["last"]["kernel"][:, 0] == 0
            return between, jnp.concatenate([jnp.all(between, axis=1), second])

        return jax.vmap(by_example)(jnp.asarray(inputs), keys)

    trained, tested = rests(True), rests(False)

    def fractions(training: jax.Array, test: jax.Array) -> jax.Array:
        each = (training[0], jnp.all(training, axis=0), jnp.all(test, axis=0))
        return jnp.stack([jnp.mean(part) for part in each])

    weights, units = map(fractions, trained, tested)
    return weights, units


def findings(result: Result) -> tuple[Assertion, ...]:
    """Neurons that are added, and what dropout removes."""
    return (*_added(result), *_removed(result))


def _added(result: Result) -> tuple[Assertion, ...]:
    return tuple(
        record.deciding(
            "X6",
            f"{EXAMPLES} neurons, as many as examples, have a lower held-out squared "
            f"error than {NARROW}, as they must if adding neurons always helps.",
            record.bootstrap(np.mean, logs),
            LOWER,
            unit="log ratio",
            setting=f"{data}, 200 examples with 20 % of labels drawn anew, random "
            "ReLUs, last layer by least squares, weights of least norm",
        )
        for data, logs in zip(DATA, result.logs, strict=False)
    )


def _removed(result: Result) -> tuple[Assertion, ...]:
    setting = (
        f"untrained, two hidden layers of {result.width} tanh units, dropout of "
        f"{DROPPED:g}, {result.digits} 8x8 digits"
    )
    shares = {
        "Dropout removes parameters: of the weights between hidden layers the "
        "fraction whose gradient is 0": result.weights,
        "Dropout reduces the number of features: of the hidden units the fraction "
        "whose outgoing gradients are 0": result.units,
    }
    return tuple(
        record.supporting(
            "X6",
            f"{statement}, {name}.",
            record.bootstrap(np.mean, np.asarray(seen)[:, when]),
            REMOVED,
            unit="fraction",
            setting=setting,
        )
        for statement, seen in shares.items()
        for when, name in enumerate(WHEN)
    )


def figures(result: Result) -> dict[str, Figure]:
    """Ratios of errors by unit, and what rests by draw."""
    figure, (errors, resting) = panels(1, 2, width=5.0, height=3.4)
    strips(errors, dict(zip(DATA, result.logs, strict=False)))
    errors.axhline(0, color="0.4", linestyle=":")
    label(errors, f"{EXAMPLES} neurons over {NARROW}", "data", "log ratio of errors")
    for name, seen in {"weights": result.weights, "units": result.units}.items():
        means = np.mean(np.asarray(seen), axis=0)
        resting.plot(means, range(len(WHEN)), linestyle="", label=name)
    resting.axvline(REMOVED.threshold, color="0.4", linestyle=":")
    resting.set_yticks(range(len(WHEN)), WHEN)
    legend_below(resting)
    label(resting, "What rests under dropout", "fraction", "when")
    return {"neurons": figure}
