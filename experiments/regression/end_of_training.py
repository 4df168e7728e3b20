"""What ends gradient descent on a network: too few updates, or a local minimum?

Networks are trained by gradient descent on all their examples in float64, each from
weights of its own, and on digits on examples of its own. Two questions are asked of a
training that has ended:

- *Has the gradient vanished*, its norm being at most 1e-8? Along an eigenvector of
  eigenvalue λ a gradient of 1 falls so far in ln(1e8)/(ηλ) updates. On the curve 80,000
  updates of rate 0.1 suffice for λ ≥ 0.0023; on digits 20,000 of rate 0.5 for λ ≥
  0.0018, which is less than the 0.002 by which the penalty alone bends the loss. Beside
  it stands whether three quarters of the updates lowered the loss by 1 % or more.
- *Is it held up*, its loss being more than twice the lowest of all networks? Either its
  loss fell by less than 1 % in three quarters of the updates, which needs no
  derivative; or its gradient has vanished and no eigenvalue of its Hessian lies below
  -1e-8 of the largest, which needs no past. Both must say so before the course is
  contradicted.

The claim holds where most gradients have not vanished and fewer than 1 training in 20
is held up; it fails where most have vanished or more are held up. The control is a
straight line, whose loss is convex: there all gradients must vanish and no training be
held up. Units are networks. "Fewer than 1 in 20" can be found from 107 of them on, with
six findings that share an error of 5 %: there are 120 on digits. Of ReLU networks there
are 360, by which a fraction of 0.42 still differs from a half.

A first version counted the gradients of ReLU networks after 5,000 updates, which are
enough for λ ≥ 0.037 only; it had no digits and no eigenvalues. A second had 120 ReLU
networks, of which about 0.37 had not arrived: at one seed refuted, at another
undecided.

Claims: C013.
Cost: 20 seconds on 2 cores once compiled.
Expect: updates run out; networks of 8 ReLUs are held up, those on digits are not.
Run: jaxml run end_of_training
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Float, Int

from jaxml import curvature, learn, parallel, problem, randomness, record, tree
from jaxml.record import Assertion
from jaxml.record.figures import Axes, Figure, label, legend_below, panels
from jaxml.types import Batch, Keep, Params

EVALUATIONS = 16  # of each training, equally far apart; the first quarter is FIRST
FIRST = EVALUATIONS // 4
VANISHED = 1e-8  # the norm of a gradient that counts as zero
LITTLE = 0.01  # the fraction of the loss by which a training that stands still falls
POOR = 2.0  # the loss of a training that ends badly, in those of the best


@dataclass(frozen=True, kw_only=True)
class Config:
    """How many networks are trained, how long, and on how many digits."""

    networks: int = 360
    updates: int = 80_000
    digit_networks: int = 120
    digit_updates: int = 20_000
    digits: int = 100
    lanes: int = 15
    seed: int = 0


SMOKE = Config(
    networks=4, updates=160, digit_networks=4, digit_updates=32, digits=20, lanes=2
)


class Setting(NamedTuple):
    """What is trained.

    Attributes:
        task: the network, its loss, and all examples.
        networks: how many are trained.
        examples: how many of them a network is trained on.
        rate: η.
        updates: of each training.
    """

    task: problem.Task
    networks: int
    examples: int
    rate: float
    updates: int


class Runs(NamedTuple):
    """What is drawn anew for each network.

    Attributes:
        params: initial weights.
        rows: which examples it is trained on.
    """

    params: Params
    rows: Int[np.ndarray, "network example"]


class Ends(NamedTuple):
    """What becomes of the networks of one setting.

    Attributes:
        loss: on the examples that are trained on.
        gradient: its norm.
        lowest: eigenvalue of the Hessian at the end.
        highest: eigenvalue of the Hessian at the end.
        updates: of each training.
    """

    loss: Float[np.ndarray, "network evaluation"]
    gradient: Float[np.ndarray, "network evaluation"]
    lowest: Float[np.ndarray, " network"]
    highest: Float[np.ndarray, " network"]
    updates: Int[np.ndarray, ""]


class Result(NamedTuple):
    """The ends of trainings by setting: a straight line and 8 ReLUs on one curve, tanh
    units on digits.
    """

    line: Ends
    relu: Ends
    digits: Ends


def study(config: Config, keep: Keep) -> Result:
    """One program a setting."""
    with jax.enable_x64(True):
        curve = problem.relu_sinc(8)
        straight = curve._replace(model=problem.linear(1))
        images = problem.softmax_digits(4, examples=1797)
        line = Setting(straight, config.digit_networks, 64, 0.1, config.updates)
        relu = Setting(curve, config.networks, 64, 0.1, config.updates)
        digits = Setting(
            images,
            config.digit_networks,
            config.digits,
            rate=0.5,
            updates=config.digit_updates,
        )
        return Result(
            line=keep("line", partial(_ends, config, line)),
            relu=keep("relu", partial(_ends, config, relu)),
            digits=keep("digits", partial(_ends, config, digits)),
        )


def _ends(config: Config, setting: Setting) -> Ends:
    """The ends of all trainings of one setting."""
    batch = setting.task.batch
    seeds = randomness.seeds(config.seed, setting.networks)
    params = problem.networks(setting.task, seeds)
    rows = _draws(len(batch.weights), setting.examples, seeds)
    runs = Runs(jax.device_get(params), rows)
    program = parallel.compiled(
        partial(_trained, setting),
        parallel.rows(runs, np.arange(config.lanes)),
        batch,
        chunks=-(-setting.networks // config.lanes),
        purpose="Training",
    )
    loss, gradient, hessian = parallel.gathered(program, runs, batch)
    eigenvalues = np.linalg.eigvalsh(hessian)
    return Ends(
        loss,
        gradient,
        lowest=eigenvalues[:, 0],
        highest=eigenvalues[:, -1],
        updates=np.array(setting.updates),
    )


def _draws(total: int, count: int, seeds: Sequence[int]) -> np.ndarray:
    """The rows of each network, drawn by its seed without replacement, in order."""
    orders = [np.random.default_rng(seed).permutation(total) for seed in seeds]
    return np.sort(np.stack(orders)[:, :count], axis=1)


def _trained(setting: Setting, runs: Runs, batch: Batch) -> tuple[jax.Array, ...]:
    """By run: losses and gradient norms at every evaluation, and the Hessian at the
    end.
    """
    task = setting.task
    objective = problem.objective(task.model, task.loss, task.penalty)
    sgd = learn.sgd(learn.Hyper(lr=setting.rate))
    descend = partial(
        learn.descend, objective, sgd, steps=setting.updates // EVALUATIONS
    )

    def train(run: Runs) -> tuple[jax.Array, ...]:
        own = jax.tree.map(lambda field: field[run.rows], batch)

        def evaluate(
            params: Params, _: None
        ) -> tuple[Params, tuple[jax.Array, jax.Array]]:
            params = descend(params, own).params
            loss, gradient = jax.value_and_grad(objective)(params, own)
            return params, (loss, tree.norm(gradient))

        params, (losses, norms) = jax.lax.scan(evaluate, run.params, length=EVALUATIONS)
        product = curvature.hessian_product(objective, params, own)
        return losses, norms, curvature.dense(product, params)

    return jax.vmap(train)(runs)


def findings(result: Result) -> tuple[Assertion, ...]:
    """Fractions of networks, with exact intervals."""
    relu = _on_the_curve("networks of 8 ReLUs", result.relu)
    line = _on_the_curve("straight lines, a convex loss as control", result.line)
    digits = (
        f"8x8 digits, {len(result.digits.loss)} dense networks of 310 weights with l2 "
        f"penalty, each on examples of its own, {result.digits.updates:,} full-batch "
        "updates of rate 0.5"
    )
    return (
        *_asked(record.deciding, relu, result.relu),
        *_asked(record.deciding, digits, result.digits),
        *_asked(record.supporting, line, result.line),
        _early(relu, result.relu),
    )


def _on_the_curve(what: str, ends: Ends) -> str:
    return (
        f"sin(5πx)/(5πx) at 64 points, {len(ends.loss)} {what}, "
        f"{ends.updates:,} full-batch updates of rate 0.1"
    )


def _asked(
    role: Callable[..., Assertion], setting: str, ends: Ends
) -> tuple[Assertion, ...]:
    """Whether updates run out, and whether trainings are held up, seen in two ways."""
    finding = partial(role, "C013", unit="fraction", setting=setting, figure="ends")
    minimum = _vanished(ends) & _no_way_down(ends)
    return (
        finding(
            "Most trainings by gradient descent end because the updates run out: "
            "the norm of the gradient is still above 1e-8.",
            record.proportion(~_vanished(ends), of=ends.gradient),
            record.above(0.5),
        ),
        finding(
            "Fewer than 1 training in 20 is held up by a local minimum or a plateau: "
            "its loss is more than twice the lowest, and fell by less than 1 % in "
            "three quarters of the updates.",
            record.proportion(_poor(ends) & _idle(ends), of=ends.loss),
            record.below(0.05),
        ),
        finding(
            "Fewer than 1 training in 20 ends at a local minimum whose loss is more "
            "than twice the lowest: its gradient has a norm of at most 1e-8, its "
            "Hessian no negative eigenvalue.",
            record.proportion(_poor(ends) & minimum, of=ends.loss),
            record.below(0.05),
        ),
        record.supporting(
            "C013",
            "In most trainings three quarters of the updates lower the loss by 1 % or "
            "more.",
            record.proportion(~_idle(ends), of=ends.loss),
            record.above(0.5),
            unit="fraction",
            setting=setting,
            figure="ends",
        ),
    )


def _early(setting: str, ends: Ends) -> Assertion:
    """What an earlier end would have shown."""
    return record.supporting(
        "C013",
        "After a sixteenth of the updates most norms of the gradient are above 1e-8.",
        record.proportion(ends.gradient[:, 0] > VANISHED, of=ends.gradient),
        record.above(0.5),
        unit="fraction",
        setting=setting,
        figure="ends",
    )


def _vanished(ends: Ends) -> np.ndarray:
    """Whether the gradient has vanished at the end."""
    return ends.gradient[:, -1] <= VANISHED


def _idle(ends: Ends) -> np.ndarray:
    """Whether the last three quarters of the updates lowered the loss by less than
    LITTLE.
    """
    return ends.loss[:, -1] > (1 - LITTLE) * ends.loss[:, FIRST - 1]


def _poor(ends: Ends) -> np.ndarray:
    """Whether the last loss is more than POOR times the lowest of all networks."""
    final = ends.loss[:, -1]
    return final > POOR * final.min()


def _no_way_down(ends: Ends) -> np.ndarray:
    """Whether no eigenvalue of the Hessian is negative beyond rounding."""
    return ends.lowest >= -VANISHED * ends.highest


def figures(result: Result) -> dict[str, Figure]:
    """Where each training ends, and how many gradients have vanished by when."""
    figure, (relu, digits, time) = panels(1, 3, height=3.8)
    _scatter(relu, result.relu, "8 ReLUs on sin(5πx)/(5πx)", "mean squared error")
    _scatter(
        digits, result.digits, "4 tanh units on digits", "loss with penalty (nats)"
    )
    relu.set_yscale("log")
    settings = {
        "straight lines (control)": result.line,
        "8 ReLUs": result.relu,
        "digits": result.digits,
    }
    for name, ends in settings.items():
        updates = np.arange(1, EVALUATIONS + 1) / EVALUATIONS
        vanished = np.mean(ends.gradient <= VANISHED, axis=0)
        time.plot(updates, vanished, label=f"{name}, of {ends.updates:,}")
    time.axhline(0.5, color="0.4", linestyle=":", label="most: a half")
    legend_below(time)
    label(
        time,
        "Gradients that have vanished",
        "fraction of the updates",
        "fraction of networks",
    )
    return {"ends": figure}


def _scatter(axis: Axes, ends: Ends, title: str, loss: str) -> None:
    """Loss against gradient norm, a point a network; those above the line end badly."""
    final = ends.loss[:, -1]
    norms = ends.gradient[:, -1]
    idle = _idle(ends)
    axis.scatter(norms[~idle], final[~idle], s=14, marker="^", label="loss falls")
    axis.scatter(norms[idle], final[idle], s=14, marker="o", label="loss stands still")
    poor = "poor: twice the lowest"
    axis.axhline(POOR * final.min(), color="0.4", linestyle="--", label=poor)
    axis.axvline(VANISHED, color="0.4", linestyle=":", label="vanished: 1e-8")
    axis.set_xscale("log")
    legend_below(axis)
    label(axis, f"{title}, a point a network", "norm of the gradient at the end", loss)
