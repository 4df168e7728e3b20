"""Does an ℓ₂ penalty help softmax regression until it is too large?

The course's table of λ is of polynomials, which `ridge` has; this is its shape on
pictures: softmax regression of 100 8x8 digits, a fifth of whose labels are drawn anew,
judged by cross-entropy on 600 others with right labels. It is trained by 1,000 updates
of Nesterov's gradient descent from 0, for without a penalty there is no minimum. With
right labels and 300 updates a first look at seed 50 found little to gain.

Two parts of C038 decide: the penalty *lowers the test error*, at its best λ, tuned on
other units; and that *until it becomes too large*, at 10, where the error exceeds that
at the best λ. If a penalty does not help, the best λ ties with none, which is not in
its grid. The control, a λ of a thousandth of the best, must lower nothing.

Whether the bias is better left out is measured beside it and supports, for the course
claims no loss; digits are about as frequent as each other, so that it has little to do.

A unit draws its digits and labels anew; 10 tune, 20 judge. A twentieth of the error is
what half as many digits again would change by much more. Units of the seeds 50 and 66
placed the λ, in steps of 1.5: the best lies near 0.0025, amid the grid.

Not tested: other pictures; smoothness, which `ridge` measures of a curve.

Claims: C038.
Source: Hoerl and Kennard 1970, Technometrics 12.
Cost: 25 seconds on 2 cores, compilation included.
Expect: both as the course says; the bias does not matter.
Run: jaxml run softmax_penalty
"""

from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from jaxml import learn, problem, randomness, record
from jaxml.record import Arm, Assertion
from jaxml.record.figures import Figure, band, label, legend_below, panels
from jaxml.types import Batch, Keep, Params

SPARED, PENALISED = range(2)  # the bias
NEGLIGIBLE, TOO_LARGE = 2e-6, 10.0
PENALTIES = 5e-4 * 1.5 ** np.arange(9)
NOISE = 0.2  # fraction of training labels that are drawn anew among all classes
SMALLER = record.below(0.0, margin=0.05, reason="a twentieth of the error")
LARGER = record.above(0.0, margin=0.05, reason="a twentieth of the error")


@dataclass(frozen=True, kw_only=True)
class Config:
    """Digits, the descent, and units."""

    digits: int = 100
    held_out: int = 600
    steps: int = 1000
    tuning: int = 10
    judging: int = 20
    seed: int = 0


SMOKE = Config(digits=20, held_out=20, steps=5, tuning=1, judging=2)


class Result(NamedTuple):
    """The λ are none, a negligible one, those of the grid, and one too large.

    Attributes:
        training: cross-entropy.
        test: likewise.
        penalties: the λ.
        examples: that are trained on.
        tuning: how many of the units tune.
    """

    training: Float[np.ndarray, "bias penalty unit"]
    test: Float[np.ndarray, "bias penalty unit"]
    penalties: Float[np.ndarray, " penalty"]
    examples: np.ndarray
    tuning: np.ndarray


def study(config: Config, keep: Keep) -> Result:
    """One program."""
    penalties = np.concatenate([[0.0, NEGLIGIBLE], PENALTIES, [TOO_LARGE]])
    training, test = keep("digits", partial(_digits, config, penalties))
    return Result(
        training=training,
        test=test,
        penalties=penalties,
        examples=np.array(config.digits),
        tuning=np.array(config.tuning),
    )


def _pairs(penalties: np.ndarray) -> np.ndarray:
    """λ of the weights and of the bias, which is spared first, then not."""
    spared = np.stack([penalties, np.zeros_like(penalties)], axis=1)
    penalised = np.stack([penalties, penalties], axis=1)
    return np.concatenate([spared, penalised])


def _parts_of(batch: Batch, count: int) -> tuple[Batch, Batch]:
    """The first examples, which train, and the others."""
    train = jax.tree.map(lambda field: field[:count], batch)
    return train, jax.tree.map(lambda field: field[count:], batch)


def _digits(
    config: Config, penalties: np.ndarray
) -> Float[np.ndarray, "quantity bias penalty unit"]:
    """Training and held-out cross-entropy of every unit, by one program."""
    seeds = np.array(randomness.seeds(config.seed, config.tuning + config.judging))
    pairs = _pairs(penalties).astype(np.float32)

    def of_unit(seed: jax.Array, data: Batch) -> jax.Array:
        key = jax.random.key(seed)
        own = learn.subset(data, config.digits + config.held_out, key=key)
        train, test = _parts_of(own, config.digits)
        other = jax.random.fold_in(key, 1)
        noisy = problem.relabelled(train, NOISE, classes=10, key=other)
        return jax.vmap(partial(_softmax, noisy, test, config.steps))(
            jnp.asarray(pairs)
        )

    run = jax.jit(jax.vmap(of_unit, in_axes=(0, None)))
    each = np.asarray(run(seeds, problem.digits()))
    return np.moveaxis(each, (0, 2), (-1, 0)).reshape(2, 2, len(penalties), -1)


def _softmax(train: Batch, test: Batch, steps: int, penalties: jax.Array) -> jax.Array:
    """Nesterov's gradient descent from 0, at a rate of one over a bound of the
    curvature.
    """
    penalty, bias = penalties
    loss = problem.objective(problem.linear(10), problem.cross_entropy)

    def objective(params: Params, batch: Batch) -> jax.Array:
        squares = jax.tree.map(lambda leaf: jnp.sum(leaf**2), params["layer_00"])
        added = penalty * squares["kernel"] + bias * squares["bias"]
        return loss(params, batch) + added

    # Of softmax the curvature is at most half the mean squared input, bias included.
    largest = jnp.mean(jnp.sum(train.inputs**2, axis=1)) + 1
    rate = 1 / (largest / 2 + 2 * penalty)
    kernel = jnp.zeros((train.inputs.shape[1], 10))
    params = {"layer_00": {"kernel": kernel, "bias": jnp.zeros(10)}}
    nag = learn.nag(learn.Hyper(lr=rate, momentum=0.95))
    found = learn.descend(objective, nag, params, train, steps=steps).params
    return jnp.stack([loss(found, train), loss(found, test)])


def findings(result: Result) -> tuple[Assertion, ...]:
    """What the penalty brings, and what too large and too small ones do."""
    ratio = partial(record.tuned, record.mean_difference, tuning=int(result.tuning))
    spared, penalised = (_arms(values) for values in result.test)
    none, negligible, best, large = spared
    setting = (
        f"softmax regression of {result.examples} 8x8 digits, a fifth of whose labels "
        "are drawn anew, cross-entropy"
    )
    about = {"unit": "log ratio", "setting": setting}
    finding = partial(record.deciding, "C038", **about)
    supporting = partial(record.supporting, "C038", **about)
    return (
        finding(
            "An L2 penalty without the bias, its weight tuned, lowers the test error: "
            "log of it over that without a penalty.",
            ratio(best, none),
            SMALLER,
        ),
        finding(
            f"An L2 penalty of weight {TOO_LARGE:g} has a higher test error than one "
            "of tuned weight: log of the first over the second.",
            ratio(large, best),
            LARGER,
        ),
        supporting(
            f"Control: an L2 penalty of weight {NEGLIGIBLE:g} lowers the test error: "
            "log of it over that without a penalty.",
            ratio(negligible, none),
            SMALLER,
        ),
        supporting(
            "With the bias in an L2 penalty of tuned weight the test error is higher "
            "than with the bias left out: log of the first over the second.",
            ratio(penalised[2], best),
            LARGER,
        ),
    )


def _arms(values: np.ndarray) -> tuple[Arm, Arm, Arm, Arm]:
    """Logs of errors without a penalty, at a negligible λ, at those of the grid, and at
    one too large.
    """
    logs = np.log(values)
    return Arm(logs[:1]), Arm(logs[1:2]), Arm(logs[2:-1]), Arm(logs[-1:])


def figures(result: Result) -> dict[str, Figure]:
    """Errors by λ."""
    figure, (axis,) = panels(1, 1, width=5.0, height=3.8)
    drawn = partial(band, axis, result.penalties[1:])
    drawn(result.training[SPARED, 1:], "training")
    drawn(result.test[SPARED, 1:], "test")
    drawn(result.test[PENALISED, 1:], "test, bias penalised")
    none = np.median(result.test[SPARED, 0])
    axis.axhline(none, color="0.4", linestyle=":", marker="", label="test, λ = 0")
    label(axis, "100 digits, a fifth of the labels drawn anew", "λ", "cross-entropy")
    axis.set_xscale("log")
    axis.set_yscale("log")
    legend_below(axis)
    return {"softmax_penalty": figure}
