"""Does a training loss that no longer falls mean that the gradient is small?

Networks train by gradient descent on all examples at a constant rate η, the one whose
final training loss is lowest: as one trains. In the last half of the 800 updates the
loss makes a few hundredths of its whole fall, so that its plot looks flat. Is the
gradient then as small as the loss suggests?

Two measures, on clothing, decide C057:

- "Bounces between the walls": the median gradient norm of the last 100 updates, over
  that after 100 more at η/20. The 100 move a run that glides along a valley no further
  than 5 updates at η, 5 of 800, so that its gradient stays nearly as it is; a run that
  bounces falls to the bottom, where the walls' gradient is gone. More than 2 is asked:
  most of the gradient is the walls'. A small gradient has no walls to lose.
- "The loss no longer falls by its gradient": the loss over the last half of the updates
  falls by less than a tenth of Σ η‖∇L‖². In small steps it falls by all of that, and on
  a parabola of curvature λ by 1 - ηλ/2 of it: by 1/2 to 1 without overshooting. Alone
  this does not tell bouncing from a gradient that vanishes, since a parabola near
  ηλ = 2 gives little too while both vanish; that is what the first measure is for.

The claim fails where the gradient vanishes with the loss: both ratios are then near 1.

Its premise is measured too: over the last half of the updates the loss falls by less
than a fifth, L(half) / L(end) < 1.25. That it does not hold on digits, where the loss
falls on by a third to a half and more, was seen in pilots; so clothing decides, and
digits support. That the weights bounce because the sharpness is at 2/η, and gradients
point back, asks `edge_of_stability`.

Negative control: a tenth or less of the tuned rate, at which gradient descent glides.
Its first ratio must not be above 2; that its second is near 1 is Taylor's theorem, and
tests the measure.

Units draw initial weights and examples anew; 5 tune, 10 judge by their median, since
near a tie of two rates parts have two modes, and tuning is resampled. Runs that
diverge, or whose network dies, so that gradients promise nothing, count for neither
measure: n and the figure of ratios tell how many. Five units each of the seeds 70 and
71 placed rates and margins. Seed 73 was looked at in review, after which the ratio of
walls replaced the gradient norm over that after 25 updates, clothing alone decides, and
the premise is measured; seeds 74 and 75 showed that this runs. Squared error is there
since it tells whether loss or pictures make the difference. Evaluations come every 25
updates, an odd number, since bouncing weights alternate. Not tested: batches, whose
noise is another reason for a large gradient that a lower rate removes; convolution,
momentum, normalisation.

Claims: C057.
Sources: Cohen et al. 2021, arXiv:2103.00065; Hung-yi Lee 2021, "Training stuck ≠ small
    gradient"; homework 1-2 of 2018, gradient norm beside loss.
Cost: two minutes on 2 cores.
Expect: on clothing and with squared error weights bounce; on digits with cross-entropy
the gradient vanishes with the loss.
Run: jaxml run stuck
"""

from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from jaxml import learn, problem, record, tree
from jaxml.record import Arm, Assertion, Rule
from jaxml.record.comparisons import dots, margins
from jaxml.record.figures import Figure, band, label, panels, shared_legend
from jaxml.types import Array, Dataset, Keep, Params, Scalar, Workload

EVERY = 25  # updates between evaluations
AFTER = 4  # evaluations of the updates at a rate 20 times lower
RATES = 0.67 * 1.5 ** np.arange(5)
TINY = 1e-5  # far above a loss' rounding: less is promised to networks that died
DIGITS, CLOTHING = "500 8x8 digits", "5,000 pictures of clothing of 7x7 pixels"
ENTROPY, SQUARED = "cross-entropy", "squared error"


class Setting(NamedTuple):
    """What is trained, and the rate of the control, with which the grid begins."""

    data: str
    loss: str
    control: float


SETTINGS = (
    Setting(DIGITS, ENTROPY, 0.05),
    Setting(DIGITS, SQUARED, 0.1),
    Setting(CLOTHING, ENTROPY, 0.03),
    Setting(CLOTHING, SQUARED, 0.1),
)


@dataclass(frozen=True, kw_only=True)
class Config:
    """Settings are the first ones."""

    settings: int = len(SETTINGS)
    updates: int = 800
    tuning: int = 5
    judging: int = 10
    lanes: int = 15
    seed: int = 0


SMOKE = Config(settings=1, updates=4 * EVERY, tuning=1, judging=1, lanes=6)


class Result(NamedTuple):
    """On all examples of a run; nan where it diverged. Units that tune come first; the
    grids' first point is the control's, the last evaluations are AFTER.

    Attributes:
        loss: its mean.
        norm: of the gradient.
        rates: of the grids.
        tuning: how many of the units tune.
    """

    loss: Float[np.ndarray, "setting point unit evaluation"]
    norm: Float[np.ndarray, "setting point unit evaluation"]
    rates: Float[np.ndarray, "setting point"]
    tuning: np.ndarray


def _work(setting: Setting) -> Workload:
    """32 ReLUs, and what is measured."""
    data, train = problem.digits(), 500
    if setting.data == CLOTHING:
        data, train = problem.small_clothing(60_000), 5000
    loss = problem.cross_entropy
    if setting.loss == SQUARED:
        loss = problem.mse
        data = data._replace(targets=np.eye(10, dtype=np.float32)[data.targets])
    model = problem.mlp((32, 10), jax.nn.relu)
    work = problem.workload(model, loss, data, train=train, test=1)
    gradient = jax.grad(work.measures["train"])

    def norm(params: Params, own: Dataset) -> Array:
        return tree.norm(gradient(params, own))

    return work._replace(measures={"loss": work.measures["train"], "norm": norm})


def _held(step: Any, horizon: Any) -> Scalar:
    """The whole rate until the horizon, and a twentieth of it afterwards."""
    return jnp.where(jnp.float32(step) < horizon, 1.0, jnp.float32(1 / 20))


def study(config: Config, keep: Keep) -> Result:
    """One program a setting."""
    losses, norms, rates = [], [], []
    family = partial(learn.sgd, shape=_held)
    steps = config.updates + AFTER * EVERY
    for setting in SETTINGS[: config.settings]:
        work = _work(setting)
        name = f"{setting.data}, {setting.loss}"
        tried = np.append(setting.control, RATES)
        grid = learn.grid(learn.Hyper, lr=tried, horizon=config.updates)
        contests = learn.compare(
            learn.experiment(work, batch=work.train, steps=steps, every=EVERY),
            {name: learn.Entrant(family, grid)},
            lanes=config.lanes,
            units=learn.Units(config.tuning, config.judging),
            seed=config.seed,
            keep=keep,
        )
        contest = contests[name]
        ended = contest.diverged_at[..., None] < 0
        losses.append(np.where(ended, contest.curves["loss"], np.nan))
        norms.append(np.where(ended, contest.curves["norm"], np.nan))
        rates.append(tried)
    return Result(
        loss=np.stack(losses),
        norm=np.stack(norms),
        rates=np.array(rates),
        tuning=np.array(config.tuning),
    )


def _ratios(result: Result, place: int) -> dict[str, np.ndarray]:
    """What is judged, `[point, unit]`, nan where a run diverged or a network died, and
    the final loss.

    walls: the median gradient norm of the last updates at the rate, over that after.
    part: of what the gradients of the last half promise, by which the loss falls.
    premise: the loss at half of the updates over that at the end.
    """
    loss, norm = result.loss[place, ..., :-AFTER], result.norm[place, ..., :-AFTER]
    last = loss.shape[-1] // 2 - 1
    squares = np.sum(norm[..., last:-1] ** 2, axis=-1, dtype=np.float64)
    promised = EVERY * result.rates[place][:, None] * squares
    promised = np.where(promised > TINY, promised, np.nan)
    before = np.where(promised > 0, np.median(norm[..., -AFTER:], axis=-1), np.nan)
    return {
        "walls": before / result.norm[place, ..., -1],
        "part": (loss[..., last] - loss[..., -1]) / promised,
        "premise": loss[..., last] / loss[..., -1],
        "final": loss[..., -1],
    }


class Asked(NamedTuple):
    """A statement about one of the ratios, with a place for the rate, and its rule."""

    quantity: str
    statement: str
    rule: Rule


ASKED = (
    Asked(
        "walls",
        "After training{}, the gradient norm falls to less than a half in 100 more "
        "updates at a rate 20 times lower: the weights were bouncing.",
        record.above(2.0, margin=0.5, reason="gliding runs stay below 1.5"),
    ),
    Asked(
        "part",
        "Over the last half of training{} the loss falls by less than a tenth of "
        "Σ η‖∇L‖², which its gradients promise.",
        record.below(0.1, margin=0.05, reason="half of it; gliding gives 1/2 to 1"),
    ),
    Asked(
        "premise",
        "Over the last half of training{} the loss hardly falls, by less than a fifth.",
        record.below(1.25, margin=0.05, reason="a fifth of the fall that is allowed"),
    ),
)


def findings(result: Result) -> tuple[Assertion, ...]:
    """Clothing decides."""
    found: list[Assertion] = []
    updates = EVERY * (result.loss.shape[-1] - AFTER)
    network = f"dense network with 32 ReLUs, {updates} updates of gradient descent"
    tuned = partial(record.tuned, np.median, tuning=int(result.tuning))
    for place, setting in enumerate(SETTINGS[: len(result.rates)]):
        where = f"{setting.data}, {setting.loss}, {network}"
        ratios = _ratios(result, place)
        at = f"{where} at the rate tuned by the final loss"
        low = f"{where} at a rate of {setting.control}"
        for quantity, statement, rule in ASKED:
            values = ratios[quantity]
            measured = tuned(Arm(values[1:], ratios["final"][1:]))
            premise = quantity == "premise"
            supports = premise or setting.data == DIGITS
            make = record.supporting if supports else record.deciding
            text = statement.format("")
            found.append(make("C057", text, measured, rule, unit="ratio", setting=at))
            if not premise:
                text = statement.format(" at a low rate (negative control)")
                glides = tuned(Arm(values[:1]))
                make = partial(record.supporting, unit="ratio", setting=low)
                found.append(make("C057", text, glides, rule))
    return tuple(found)


def figures(result: Result) -> dict[str, Figure]:
    """The course's plot, median and range; the ratios."""
    tuning = int(result.tuning)
    rows: tuple[dict[str, np.ndarray], ...] = ({}, {})
    paths, axes = panels(len(result.rates), 2, width=4.6, height=2.8)
    updates = EVERY * (1 + np.arange(result.loss.shape[-1]))
    for place, setting in enumerate(SETTINGS[: len(result.rates)]):
        ratios = _ratios(result, place)
        best = 1 + learn.chosen(ratios["final"][1:], tuning)
        title = f"{setting.data}, {setting.loss}"
        left, right = axes[2 * place : 2 * place + 2]
        for point, name in ((best, "tuned rate"), (0, "low rate (control)")):
            for axis, values in ((left, result.loss), (right, result.norm)):
                band(axis, updates, values[place, point, tuning:].T, name, within=1.0)
            for row, asked in zip(rows, ASKED, strict=False):
                row[f"{title}, {name}"] = ratios[asked.quantity][point, tuning:]
        label(left, title, "update", "loss")
        label(right, "η/20 in the end", "update", "‖∇L‖ on all examples")
        right.set_yscale("log")
    shared_legend(paths)
    drawn, both = panels(2, 1, width=8.0, height=1.2 + 0.45 * len(rows[0]))
    names = ("‖∇L‖ over that at η/20", "fall of the loss over Σ η‖∇L‖²")
    for axis, row, name, asked in zip(both, rows, names, ASKED, strict=False):
        dots(axis, row)
        margins(axis, asked.rule)
        label(axis, "judged units", name, "setting")
    shared_legend(drawn)
    return {"loss_and_gradient": paths, "ratios": drawn}
