"""Does a training loss that no longer falls mean that the gradient is small?

Networks train at a constant rate, by gradient descent on all examples and in batches of
50, at the rate whose final training loss is lowest: as one trains. In the last half of
the updates the loss makes a few hundredths of its whole fall, so that its plot looks
flat. Is the gradient then as small as the loss suggests?

In small steps gradient descent lowers the loss by η‖∇L‖² an update, and on a parabola
that it does not overshoot by half of that or more. So the part of Σ η‖∇L‖² over the
last half by which the loss really falls needs no unit and no initial weights to be
compared with: it lies between 1/2 and 1 if weights glide along a valley, and near 0 if
they bounce between its walls. Below a tenth, C057 holds. It fails above, if the
gradient vanishes with the loss, as it may where cross-entropy tends to 0. The gradient
norm over that after 25 updates, of which the course's plot keeps a tenth or more, only
supports: it says how steep the walls are and nothing about the way down. So do batches,
whose noise is another reason to bounce. That the weights bounce because the sharpness
is at 2/η, and gradients point back, asks `edge_of_stability`.

Negative control: gradient descent at a ninth or less of the tuned rate, which
glides, so that loss and gradient fall together; its part must not be below a tenth.

For C058, which `ordinary_training` judges on 61 weights: how far the gradient norm on
all examples ever falls. It only supports, since 800 updates decide it
too.

Units draw initial weights, examples and order anew; 5 tune, 10 judge, and tuning is
resampled. Five units each of the seeds 70 and 71 placed rates and margins, and showed
gliding on digits with cross-entropy and bouncing elsewhere; with squared error both
data sets are there since it tells whether loss or pictures make the difference.
Evaluations come every 25 updates, an odd number, since bouncing weights alternate. Not
tested: convolution, momentum, normalisation, rates that fall.

Claims: C057, C058.
Sources: Cohen et al. 2021, arXiv:2103.00065; Hung-yi Lee 2021, "Training stuck ≠ small
    gradient"; homework 1-2 of 2018, gradient norm beside loss.
Cost: two minutes on 2 cores.
Expect: on clothing and with squared error weights bounce; on digits with cross-entropy
the gradient vanishes with the loss.
Run: jaxml run stuck
"""

from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Float

from jaxml import learn, problem, record, tree
from jaxml.record import Arm, Assertion, Interval
from jaxml.record.comparisons import dots, margins
from jaxml.record.figures import Figure, band, label, panels, shared_legend
from jaxml.types import Array, Dataset, Keep, Params, Workload

EVERY = 25  # updates between evaluations
SMALL = 50  # examples in a batch
TINY = 1e-5  # far above a loss' rounding: of networks that died, which stand still
DIGITS, CLOTHING = "500 8x8 digits", "5,000 pictures of clothing of 7x7 pixels"
ENTROPY, SQUARED = "cross-entropy", "squared error"


class Setting(NamedTuple):
    """What is trained, and at which rates; the grid begins with the control's."""

    data: str
    loss: str
    batch: int
    lowest: float
    control: float


SETTINGS = (
    Setting(DIGITS, ENTROPY, 500, 0.45, 0.05),
    Setting(DIGITS, ENTROPY, SMALL, 0.2, 0.05),
    Setting(DIGITS, SQUARED, 500, 0.67, 0.1),
    Setting(DIGITS, SQUARED, SMALL, 0.45, 0.1),
    Setting(CLOTHING, ENTROPY, 5000, 0.45, 0.03),
    Setting(CLOTHING, ENTROPY, SMALL, 0.2, 0.03),
    Setting(CLOTHING, SQUARED, 5000, 0.67, 0.1),
    Setting(CLOTHING, SQUARED, SMALL, 0.45, 0.1),
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


SMOKE = Config(settings=1, updates=4 * EVERY, tuning=1, judging=1, lanes=7)


class Result(NamedTuple):
    """On all examples of a run. Units that tune come first; the grids' first point is
    the control's.

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


def _named(setting: Setting) -> str:
    batch = "all examples" if setting.batch > SMALL else f"batches of {SMALL}"
    return f"{setting.data}, {setting.loss}, {batch}"


def study(config: Config, keep: Keep) -> Result:
    """One program a setting."""
    curves, rates = [], []
    for setting in SETTINGS[: config.settings]:
        name = _named(setting)
        tried = np.array([setting.control, *(setting.lowest * 1.5 ** np.arange(6))])
        grid = learn.grid(learn.Hyper, lr=tried)
        contests = learn.compare(
            learn.experiment(
                _work(setting), batch=setting.batch, steps=config.updates, every=EVERY
            ),
            {name: learn.Entrant(learn.sgd, grid)},
            lanes=config.lanes,
            units=learn.Units(config.tuning, config.judging),
            seed=config.seed,
            keep=keep,
        )
        curves.append(contests[name].curves)
        rates.append(tried)
    return Result(
        loss=np.stack([each["loss"] for each in curves]),
        norm=np.stack([each["norm"] for each in curves]),
        rates=np.array(rates),
        tuning=np.array(config.tuning),
    )


def _parts(result: Result, place: int) -> np.ndarray:
    """The part of what the gradients of the last half promise, by which the loss falls,
    `[point, unit]`, between -1 and 1; 1 where they promise nothing to speak of.
    """
    loss, norm = result.loss[place], result.norm[place]
    last = loss.shape[-1] // 2 - 1
    squares = np.sum(norm[..., last:-1] ** 2, axis=-1, dtype=np.float64)
    promised = EVERY * result.rates[place][:, None] * squares
    fall = loss[..., last] - loss[..., -1]
    return np.clip((fall + TINY) / (promised + TINY), -1, 1)


PROMISED = (
    "Over the last half of training{} the loss falls by less than a tenth of "
    "Σ η‖∇L‖², which its gradients promise."
)
LATE = (
    "Over the last half of training the median gradient norm is above a tenth of that "
    f"after {EVERY} updates."
)
NEVER = (
    "Training never comes to a gradient norm below a thousandth of that after "
    f"{EVERY} updates."
)
TENTH = record.below(
    0.1, margin=0.05, reason="half of it; a gliding run's part is 1/2 to 1"
)
LARGE = record.above(0.1, margin=0.05, reason="half of it")
FAR = record.above(
    1e-3, margin=5e-4, reason="half of it; a thousandth looks like 0 on a plot"
)


def findings(result: Result) -> tuple[Assertion, ...]:
    """The part of gradient descent decides."""
    found: list[Assertion] = []
    for place, setting in enumerate(SETTINGS[: len(result.rates)]):
        evaluations = result.loss.shape[-1]
        where = (
            f"{_named(setting)}, dense network with 32 ReLUs, "
            f"{EVERY * evaluations:,} updates at a constant rate"
        )
        parts = _parts(result, place)
        norm = result.norm[place]
        relative = norm / norm[..., :1]
        late = np.median(relative[..., evaluations // 2 :], axis=-1)
        least = np.min(relative, axis=-1)
        full = setting.batch > SMALL
        tuned = partial(_tuned, result, place)
        at = f"{where}, tuned by the final loss"
        supporting = partial(record.supporting, unit="ratio", setting=at)
        decide = partial(record.deciding, unit="ratio", setting=at)
        first = decide if full else supporting
        found.append(first("C057", PROMISED.format(""), tuned(parts), TENTH))
        found.append(supporting("C057", LATE, tuned(late), LARGE))
        found.append(supporting("C058", NEVER, tuned(least), FAR))
        if full:
            glides = record.bootstrap(np.mean, parts[0, int(result.tuning) :])
            control = PROMISED.format(" at a low rate (negative control)")
            low = f"{where} of {setting.control}"
            found.append(supporting("C057", control, glides, TENTH, setting=low))
    return tuple(found)


def _tuned(result: Result, place: int, values: np.ndarray) -> Interval:
    """The mean at the tuned rate, which may be neither the control nor an edge."""
    edges = np.isin(np.arange(len(values)), [0, 1, len(values) - 1])
    arm = Arm(values, result.loss[place, ..., -1], edges)
    return record.tuned(np.mean, arm, tuning=int(result.tuning))


def figures(result: Result) -> dict[str, Figure]:
    """The course's plot of gradient descent, median and range; the parts."""
    full = range(0, len(result.rates), 2)
    tuning, rows = int(result.tuning), {}
    paths, axes = panels(len(full), 2, width=4.6, height=2.8)
    for place, left, right in zip(full, axes[::2], axes[1::2], strict=True):
        setting, loss = SETTINGS[place], result.loss[place]
        updates = EVERY * (1 + np.arange(loss.shape[-1]))
        best = learn.chosen(loss[..., -1], tuning)
        for point, name in ((best, "tuned rate"), (0, "low rate (control)")):
            for axis, values in ((left, loss), (right, result.norm[place])):
                band(axis, updates, values[point, tuning:].T, name, within=1.0)
        label(left, f"{setting.data}, {setting.loss}", "update", "loss")
        label(right, "on all examples", "update", "‖∇L‖")
        right.set_yscale("log")
    shared_legend(paths)
    for place, setting in enumerate(SETTINGS[: len(result.rates)]):
        parts = _parts(result, place)
        best = learn.chosen(result.loss[place, ..., -1], tuning)
        rows[_named(setting)] = parts[best, tuning:]
        rows[f"{_named(setting)}, low rate"] = parts[0, tuning:]
    drawn, (axis,) = panels(1, 1, width=8.0, height=1.2 + 0.45 * len(rows))
    dots(axis, rows)
    margins(axis, TENTH)
    label(axis, "gliding runs: 1/2 to 1", "fall of the loss over Σ η‖∇L‖²", "setting")
    shared_legend(drawn)
    return {"loss_and_gradient": paths, "part": drawn}
