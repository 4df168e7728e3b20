"""How large is a linear classifier of small pictures, and what are its losses?

The notes count: a picture of 32x32 pixels in three colours is 3,072 numbers, so scores
of ten classes need a matrix of 10x3,072 and ten biases, of three classes 3x3,072. The
library's layer is made and counted. Then the worked example: a cat, a car and a frog
with three scores each, of which the cat's, 3.2, 5.1 and -1.7, have a hinge loss of 2.9
and a cross-entropy of 2.04 nats. The course is wrong where a count differs, or a loss
by more than half a unit of its last digit. Control: with the car for the label the
cat's scores must have other losses. The other two pictures, and the cross-entropy in
decimal logarithms, .89 on the slide, stand beside it.

Nothing is random, and arithmetic on the printed scores is all that is tested.

Claims: C094, C095.
Cost: 5 seconds on 2 cores, compilation included.
Expect: as the course says.
Run: jaxml run linear_scores
"""

from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from jaxml import problem, randomness, record, tree
from jaxml.record import Assertion
from jaxml.record.figures import Figure, label, legend_below, panels
from jaxml.types import Array, Keep, Params

SCORES = ((3.2, 5.1, -1.7), (1.3, 4.9, 2.0), (2.2, 2.5, -3.1))
PICTURES = ("cat", "car", "frog")  # in the order of their labels
CAT, CAR, FROG = range(3)
HALF_A_DIGIT = "half a unit of the last digit that is printed"
HINGE = record.near(2.9, margin=0.05, reason=HALF_A_DIGIT)
ENTROPY = record.near(2.04, margin=0.005, reason=HALF_A_DIGIT)
INPUTS = 3072  # 32x32x3


@dataclass(frozen=True, kw_only=True)
class Config:
    """Numbers of classes; the course's are ten, and three in its drawing."""

    classes: tuple[int, ...] = (10, 3)


SMOKE = Config()


class Result(NamedTuple):
    """A linear layer of pictures of 32x32x3, and the losses of SCORES.

    Attributes:
        classes: as asked for.
        inputs: numbers in a picture.
        kernel: entries of the layer's matrix.
        biases: how many.
        parameters: all of them.
        hinge: under every label.
        cross_entropy: under every label, in nats.
    """

    classes: Int[Array, " layer"]
    inputs: Int[Array, ""]
    kernel: Int[Array, " layer"]
    biases: Int[Array, " layer"]
    parameters: Int[Array, " layer"]
    hinge: Float[Array, "picture label"]
    cross_entropy: Float[Array, "picture label"]


def study(config: Config, keep: Keep) -> Result:
    """Shapes alone of the layers; losses in float64."""
    del keep  # all of it takes seconds
    pictures = jax.ShapeDtypeStruct((1, 32, 32, 3), jnp.float32)
    flat = jax.eval_shape(lambda x: x.reshape(1, -1), pictures)
    layers = [_layer(classes, flat) for classes in config.classes]
    with jax.enable_x64(True):
        hinge, entropy = jax.jit(_losses)()
        losses = np.asarray(hinge), np.asarray(entropy)
    return Result(
        classes=np.array(config.classes),
        inputs=np.array(flat.shape[1]),
        kernel=np.array([_entries(layer, axes=2) for layer in layers]),
        biases=np.array([_entries(layer, axes=1) for layer in layers]),
        parameters=np.array([tree.size(layer) for layer in layers]),
        hinge=losses[0],
        cross_entropy=losses[1],
    )


def _layer(classes: int, inputs: jax.ShapeDtypeStruct) -> Params:
    """Its parameters' shapes; the key draws nothing."""
    model = problem.linear(classes)
    params, _ = jax.eval_shape(model.init, randomness.key(0), inputs)
    return params


def _entries(layer: Params, *, axes: int) -> int:
    """Of the layer's arrays that have so many axes."""
    return sum(leaf.size for leaf in jax.tree.leaves(layer) if leaf.ndim == axes)


def _losses() -> tuple[jax.Array, jax.Array]:
    """Both losses of each picture under each label."""
    scores = jnp.repeat(jnp.array(SCORES), len(PICTURES), axis=0)
    labels = np.tile(np.arange(len(PICTURES)), len(SCORES))
    shape = (len(SCORES), len(PICTURES))
    hinge = problem.hinge(scores, labels).reshape(shape)
    return hinge, problem.cross_entropy(scores, labels).reshape(shape)


def findings(result: Result) -> tuple[Assertion, ...]:
    """Counts, then the cat; car and frog beside it."""
    return (*_counts(result), *_cat(result), *_beside(result))


def _counts(result: Result) -> list[Assertion]:
    inputs = record.deciding(
        "C094",
        "A picture of 32x32 pixels in three colours is 3,072 inputs: difference.",
        record.certain(abs(result.inputs - INPUTS), of=result.inputs),
        record.at_most(0.0),
        unit="count",
        setting="32x32 pixels, 3 colours",
    )
    found = [inputs]
    for layer, classes in enumerate(result.classes):
        finding = partial(
            record.deciding,
            "C094",
            rule=record.at_most(0.0),
            unit="count",
            setting=f"linear layer of 3,072 inputs and {classes} outputs",
        )
        counts = (
            ("entries of the matrix", result.kernel, classes * INPUTS),
            ("biases", result.biases, classes),
            ("parameters in all", result.parameters, classes * (INPUTS + 1)),
        )
        for what, counted, expected in counts:
            apart = abs(counted[layer] - expected)
            statement = f"The layer has {expected:,} {what}: difference."
            found.append(finding(statement, measured=record.certain(apart, of=counted)))
    return found


def _cat(result: Result) -> list[Assertion]:
    found = []
    for label_, role, control in (
        (CAT, record.deciding, ""),
        (CAR, record.supporting, "Control, the car for the label: "),
    ):
        rows = (
            ("hinge loss", "2.9", result.hinge, HINGE),
            ("cross-entropy in nats", "2.04", result.cross_entropy, ENTROPY),
        )
        for what, printed, losses, rule in rows:
            finding = role(
                "C095",
                f"{control}The {what} is {printed}, as printed.",
                record.certain(losses[CAT, label_]),
                rule,
                unit="loss",
                setting="scores 3.2, 5.1 and -1.7 of a picture of a cat",
            )
            found.append(finding)
    return found


def _beside(result: Result) -> tuple[Assertion, ...]:
    """The other pictures, and the other logarithm."""
    hinges = np.diag(result.hinge)[[CAR, FROG]]
    decimal = result.cross_entropy[CAT, CAT] / np.log(10)
    return (
        record.supporting(
            "C095",
            "The hinge losses of the car and the frog are 0 and 12.9.",
            record.largest(hinges - np.array([0.0, 12.9])),
            record.at_most(0.05),
            unit="error",
            setting="scores 1.3, 4.9, 2.0 of a car and 2.2, 2.5, -3.1 of a frog",
        ),
        record.supporting(
            "C095",
            "In decimal logarithms the cross-entropy is 0.89.",
            record.certain(decimal),
            record.near(0.89, margin=0.005, reason=HALF_A_DIGIT),
            unit="loss",
            setting="scores 3.2, 5.1 and -1.7 of a picture of a cat",
        ),
    )


def figures(result: Result) -> dict[str, Figure]:
    """Both losses of each picture under its own label."""
    figure, (axis,) = panels(width=5.5, height=3.4)
    places = np.arange(len(PICTURES))
    hinge, entropy = np.diag(result.hinge), np.diag(result.cross_entropy)
    axis.bar(places - 0.2, hinge, 0.4, color="0.75", hatch="//", label="hinge")
    axis.bar(places + 0.2, entropy, 0.4, color="0.25", label="cross-entropy (nats)")
    axis.set_xticks(places, PICTURES)
    label(axis, "The notes' three pictures", "picture, and its label", "loss")
    legend_below(axis)
    return {"losses": figure}
