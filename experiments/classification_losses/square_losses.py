"""Is it the square or the softmax that makes a loss flat?

The course maps two losses over logits y₁ and y₂ from -10 to 10, beside y₃ = -1000,
where class 1 is right: cross-entropy, and squared error of softmax probabilities. Here
a third stands beside them, squared error of the logits y₁ and y₂ themselves, which Hui
and Belkin (2020) train large networks with. If squares were to blame, it would be flat
too.

*The map.* Where the label's logit lies 5 or more below the other, the classifier is
wrong and sure. The course is right where the squared error of probabilities has no
gradient there that is a tenth as long as its longest on the map, and cross-entropy none
that is shorter than nine tenths of its longest. It is wrong where either fails. The
control is the squared error of logits, which must fail the first.

*Training* begins at (-10, 10). Gradient descent at rates of 0.01, 0.1 and 1 is given
5,000 updates: on cross-entropy it needs some 10 over the rate to make the label's logit
the largest, on the squared error of probabilities some e²⁰/8 over the rate, 6·10⁷ at
the largest. The course is right where the former arrives at every rate and the latter
at none. Momentum of 0.9 is ten times as fast, which is too little; Adam divides by the
gradient's size, which is enough. The probability is no measure here, for squared error
of logits asks for (1, 0), whose probability is 0.73.

All of it is arithmetic in float64; no network is trained.

Claims: C092.
Source: Hui and Belkin 2020, arXiv:2006.07322.
Cost: 40 seconds on 2 cores, compilation included.
Expect: the softmax is to blame; Adam escapes on all.
Run: jaxml run square_losses
"""

from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from jaxml import learn, problem, record
from jaxml.record import Assertion
from jaxml.record.figures import Figure, label, panels, shared_legend
from jaxml.types import Array, Keep

LOSSES = (
    "cross-entropy",
    "squared error of probabilities",
    "squared error of logits",
)
CE, SOFTMAX, LOGITS = range(len(LOSSES))
FAMILIES = (learn.sgd, learn.momentum, learn.adam)
OPTIMIZERS = ("gradient descent", "momentum of 0.9", "Adam")
DESCENT, MOMENTUM, ADAM = range(len(OPTIMIZERS))
RATES = (0.01, 0.1, 1.0)
START = (-10.0, 10.0)
SURE = 5.0  # logits by which the label's lies below
COLOURS = ("black", "#994455", "#003366")
STYLES = ("-", "--", ":")


@dataclass(frozen=True, kw_only=True)
class Config:
    """Logits on a side of the map, and updates from the corner."""

    side: int = 81
    steps: int = 5000


SMOKE = Config(side=9, steps=50)


class Result(NamedTuple):
    """Maps and paths of LOSSES.

    Attributes:
        side: logits on either axis of the map.
        norm: lengths of gradients by the logits, y₁ along the first axis.
        ahead: y₁ - y₂ by update, from START on.
    """

    side: Float[Array, " point"]
    norm: Float[Array, "loss point point"]
    ahead: Float[Array, "loss optimizer rate update"]


def study(config: Config, keep: Keep) -> Result:
    """One program, in float64."""
    with jax.enable_x64(True):
        return keep("measured", jax.jit(partial(_compute, config)))


def _compute(config: Config) -> Result:
    side = jnp.linspace(-10.0, 10.0, config.side)
    first, second = jnp.meshgrid(side, side, indexing="ij")
    points = jnp.stack([first.ravel(), second.ravel()], axis=1)
    copies = jnp.broadcast_to(points[:, None], (len(points), len(LOSSES), 2))
    slopes = jax.vmap(jax.grad(_sum_of_losses))(copies, None)
    norm = jnp.linalg.norm(slopes, axis=2)
    paths = jnp.stack([_paths(config, family) for family in FAMILIES])
    return Result(
        side=side,
        norm=norm.T.reshape(len(LOSSES), config.side, config.side),
        ahead=jnp.moveaxis(paths, -1, 0),
    )


def _sum_of_losses(logits: Float[jax.Array, "loss two"], batch: None) -> jax.Array:
    """Each loss of logits of its own, so that each gradient is that of one."""
    del batch
    label_ = jnp.zeros(1, int)
    third = jnp.pad(logits, ((0, 0), (0, 1)), constant_values=-1000)
    return (
        problem.cross_entropy(third[CE, None], label_)[0]
        + problem.softmax_mse(third[SOFTMAX, None], label_)[0]
        + problem.logit_mse(logits[LOGITS, None], label_)[0]
    )


def _paths(
    config: Config, family: learn.Family
) -> Float[jax.Array, "rate update loss"]:
    """All losses at once: optimizers act on each number by itself."""
    start = jnp.tile(jnp.array(START), (len(LOSSES), 1))

    def ahead(logits: jax.Array) -> jax.Array:
        return logits[:, 0] - logits[:, 1]

    def path(rate: jax.Array) -> jax.Array:
        optimizer = family(learn.Hyper(lr=rate))
        descent = learn.descend(
            _sum_of_losses, optimizer, start, None, steps=config.steps, observe=ahead
        )
        return descent.observed

    return jax.vmap(path)(jnp.array(RATES))


def findings(result: Result) -> tuple[Assertion, ...]:
    """The map, then the paths."""
    return (*_map(result), *_arrivals(result))


def _map(result: Result) -> list[Assertion]:
    """The longest and the shortest gradient where the classifier is wrong and sure,
    over the longest on the map.
    """
    first, second = np.meshgrid(result.side, result.side, indexing="ij")
    wrong = second - first >= SURE
    setting = "logits y₁, y₂ from -10 to 10, label 1, y₂ - y₁ of 5 or more"
    rows = (
        (record.deciding, SOFTMAX, "", np.max, record.below(0.1), "short, below 0.1"),
        (record.deciding, CE, "", np.min, record.above(0.9), "long, above 0.9"),
        (
            record.supporting,
            LOGITS,
            "Control, no softmax: ",
            np.max,
            record.below(0.1),
            "short, below 0.1",
        ),
    )
    found = []
    for role, loss, control, extreme, rule, word in rows:
        norm = result.norm[loss]
        finding = role(
            "C092",
            f"{control}Gradients of {LOSSES[loss]} where the classifier is wrong and "
            f"sure are {word} of the longest on the map.",
            record.certain(extreme(norm[wrong]) / np.max(norm)),
            rule,
            unit="ratio",
            setting=setting,
        )
        found.append(finding)
    return found


def _arrivals(result: Result) -> list[Assertion]:
    """How far the label's logit is ahead in the end: the most over the rates where it
    must not arrive, else the least.
    """
    steps = result.ahead.shape[-1]
    found = []
    for loss, optimizer in np.ndindex(len(LOSSES), len(OPTIMIZERS)):
        last = result.ahead[loss, optimizer, :, -1]
        stays = loss == SOFTMAX
        decides = optimizer == DESCENT and loss != LOGITS
        role = record.deciding if decides else record.supporting
        word = "below" if stays else "above"
        finding = role(
            "C092",
            f"{OPTIMIZERS[optimizer].capitalize()} on {LOSSES[loss]} ends with the "
            f"label's logit {word} the other at every rate: the "
            f"{'most' if stays else 'least'} it is ahead.",
            record.certain(np.max(last) if stays else np.min(last)),
            record.below(0.0) if stays else record.above(0.0),
            unit="difference",
            setting=f"from logits (-10, 10), rates 0.01 to 1, {steps:,} updates",
        )
        found.append(finding)
    return found


def figures(result: Result) -> dict[str, Figure]:
    """Gradients across the map, and the paths at the middle rate."""
    figure, (across, paths) = panels(1, 2, width=4.9, height=3.8)
    steps = np.arange(1, 1 + result.ahead.shape[-1])
    for loss, name in enumerate(LOSSES):
        diagonal = np.diag(result.norm[loss][:, ::-1])  # y₂ = -y₁
        across.plot(2 * result.side, diagonal, color=COLOURS[loss], label=name)
        for optimizer, style in enumerate(STYLES):
            paths.plot(
                steps,
                result.ahead[loss, optimizer, 1],
                style,
                color=COLOURS[loss],
                label=f"{name}, {OPTIMIZERS[optimizer]}",
            )
    across.set_yscale("log")
    across.axvline(-SURE, color="0.4", linestyle=":")
    title = "Gradients where y₂ = -y₁; left of the dotted line: wrong and sure"
    label(across, title, "y₁ - y₂", "‖gradient by the logits‖")
    paths.set_xscale("log")
    paths.axhline(0, color="0.4", linestyle=":")
    label(paths, "From (-10, 10) at a rate of 0.1", "update", "y₁ - y₂")
    shared_legend(figure, columns=2)
    return {"square_losses": figure}
