"""Does a training loss that no longer falls mean that the gradient is small?

Each network trains at a constant rate, once by gradient descent on all its examples and
once in batches of 50, at the rate whose final training loss is lowest: as one trains.
Where the last half of the updates makes less than a tenth of the loss' whole fall, its
plot looks flat. Then:

- Along its path gradient descent in small steps lowers the loss by η‖∇L‖² an update,
  on a parabola by no less than half of that. So the part of Σ η‖∇L‖² over the last
  half by which the loss really falls tells, without a unit, whether the gradient is
  as small as the flat loss suggests: then it lies between 1/2 and 1. If the weights
  bounce between the walls of a valley it is near 0. Below a tenth, C057 holds.
- Bouncing weights meet gradients that point back: the cosine between the gradients
  before and after a step of gradient descent is near -1, and near 1 where weights glide
  along a valley. Below 0, beyond a tenth, the second half of C057 holds.

The gradient norm over the first one, which the course's plot shows as 0.1 to 0.6 of
it, only supports, since the first one depends on the initial weights. Negative control:
gradient descent at a tenth or less of the usual rates, which glides towards a critical
point, so that loss and gradient both fall; its part must not be below a tenth. The
claim fails if the gradient has vanished with the loss, as it may where examples are
told apart with certainty and cross-entropy tends to 0.

For C058, which `ordinary_training` judges on 61 weights alone: the least gradient norm
on all examples, as a fraction of the first, in log10. It supports only: with 800
updates the budget decides too.

Units draw initial weights, examples and order anew; 3 tune, 10 judge, and tuning is
resampled. Short runs at seed 70 of other numbers of updates placed rates and margins;
the first outcomes of the cosine and of Σ η‖∇L‖² were seen there. 800 updates are
several times what the loss needs to look flat in these. Evaluations come every 25
updates, an odd number, since bouncing weights alternate. Not tested: convolution,
momentum, normalisation, rates that fall.

Claims: C057, C058.
Sources: Cohen et al. 2021, arXiv:2103.00065; Hung-yi Lee 2021, "Training stuck ≠ small
    gradient".
Cost: two minutes on 2 cores.
Expect: on clothing and with squared error weights bounce; on digits with cross-entropy
the gradient vanishes with the loss.
Run: jaxml run stuck
"""

from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Float

from jaxml import learn, problem, randomness, record, tree
from jaxml.record import Arm, Assertion
from jaxml.record.comparisons import at_tuned, dots
from jaxml.record.figures import Figure, label, panels, shared_legend
from jaxml.types import Array, Batch, Keep, Objective, Params, Workload

EVERY = 25  # updates between evaluations
SMALL = 50  # examples in a batch
DESCENT, BATCHES = range(2)
METHODS = ("gradient descent on all examples", f"batches of {SMALL}")
CONTROL = 0  # the point of the grid whose rate is far below the others
STEPS = 1.5 ** np.arange(6)


class Setting(NamedTuple):
    """What is trained, and the lowest rates of both methods' grids."""

    name: str
    examples: int
    squared: bool
    lowest: tuple[float, float]
    control: float


SETTINGS = (
    Setting("8x8 digits, cross-entropy", 500, False, (0.45, 0.2), 0.05),
    Setting("8x8 digits, squared error", 500, True, (2 / 3, 0.45), 0.1),
    Setting("clothing of 7x7 pixels, cross-entropy", 5000, False, (0.45, 0.2), 0.03),
    Setting("clothing of 7x7 pixels, squared error", 5000, True, (2 / 3, 0.45), 0.1),
)


@dataclass(frozen=True, kw_only=True)
class Config:
    """Settings are the first ones."""

    settings: int = len(SETTINGS)
    updates: int = 800
    tuning: int = 3
    judging: int = 10
    lanes: int = 13
    seed: int = 0


SMOKE = Config(settings=1, updates=2 * EVERY, tuning=1, judging=1, lanes=7)


class Seen(NamedTuple):
    """On all examples of a run.

    Attributes:
        loss: its mean.
        norm: of the gradient.
        cosine: between the gradients before and after a step of gradient descent.
    """

    loss: Array
    norm: Array
    cosine: Array


class Result(NamedTuple):
    """Units that tune come first; the grids' first rate is the control's.

    Attributes:
        seen: as `[setting, method, point, unit, evaluation]`.
        first_loss: before the first update.
        first_norm: likewise.
        rates: of the grids.
        tuning: how many of the units tune.
        updates: of each run.
    """

    seen: Seen
    first_loss: Float[np.ndarray, "setting unit"]
    first_norm: Float[np.ndarray, "setting unit"]
    rates: Float[np.ndarray, "setting method point"]
    tuning: np.ndarray
    updates: np.ndarray


def _rates(setting: Setting, method: int) -> np.ndarray:
    return np.array([setting.control, *(setting.lowest[method] * STEPS)])


def _work(setting: Setting) -> Workload:
    """32 ReLUs."""
    clothing = setting.name.startswith("clothing")
    data = problem.small_clothing(60_000) if clothing else problem.digits()
    loss = problem.cross_entropy
    if setting.squared:
        loss = problem.mse
        data = data._replace(targets=np.eye(10, dtype=np.float32)[data.targets])
    model = problem.mlp((32, 10), jax.nn.relu)
    return problem.workload(model, loss, data, train=setting.examples, test=1)


def _probe(objective: Objective) -> learn.Probe:
    """What is seen of the run's own examples."""

    def gradient(params: Params, data: Batch) -> tuple[Array, Params]:
        return jax.value_and_grad(objective)(params, data)

    def apply(state: Any, train: learn.TrainState) -> tuple[Any, Seen]:
        data = train.data.train
        loss, here = gradient(train.params, data)
        after = tree.axpy(-train.hyper.lr, here, train.params)
        _, there = gradient(after, data)
        norm = tree.norm(here)
        cosine = tree.vdot(here, there) / (norm * tree.norm(there))
        return state, Seen(loss, norm, cosine)

    return learn.Probe(lambda params: (), apply)


def _all_own(own: Any, key: Any, step: Any) -> Batch:
    """Every update sees all of a run's own examples."""
    del key, step
    return own.train


def study(config: Config, keep: Keep) -> Result:
    """One program a setting and method."""
    seen, first = [], []
    for setting in SETTINGS[: config.settings]:
        both = [_runs(config, keep, setting, method) for method in (DESCENT, BATCHES)]
        seen.append(jax.tree.map(lambda *each: np.stack(each), *[s for s, _ in both]))
        first.append(both[DESCENT][1])
    losses, norms = np.moveaxis(np.array(first), 1, 0)
    rates = [
        [_rates(setting, method) for method in (DESCENT, BATCHES)]
        for setting in SETTINGS[: config.settings]
    ]
    return Result(
        seen=jax.tree.map(lambda *each: np.stack(each), *seen),
        first_loss=losses,
        first_norm=norms,
        rates=np.array(rates),
        tuning=np.array(config.tuning),
        updates=np.array(config.updates),
    )


def _runs(
    config: Config, keep: Keep, setting: Setting, method: int
) -> tuple[Seen, np.ndarray]:
    """What was seen, and loss and gradient norm before the first update."""
    work = _work(setting)
    units = config.tuning + config.judging
    size = (setting.examples, SMALL)[method]
    batches = learn.split_anew(work.data, train=work.train, test=work.test, size=size)
    if method == DESCENT:
        batches = batches._replace(draw=_all_own)
    training = learn.training(
        work.start,
        work.loss,
        learn.sgd,
        batches,
        steps=config.updates,
        every=EVERY,
        probe=_probe(problem.mean_loss(work)),
    )
    grid = learn.grid(
        learn.Hyper,
        lr=_rates(setting, method),
        seed=randomness.seeds(config.seed, units),
    )
    name = f"{setting.name}, {METHODS[method]}"
    runs = learn.sweep(training, grid, lanes=config.lanes, name=name, keep=keep)

    def by_unit(values: Array) -> np.ndarray:
        return np.reshape(values, (-1, units, np.shape(values)[-1]))

    first = [runs.trace.loss[:units, 0], runs.trace.gradient_norm[:units, 0]]
    return jax.tree.map(by_unit, runs.trace.probed), np.stack(first)


class Late(NamedTuple):
    """The last half of all runs of a setting and method, `[point, unit]`.

    Attributes:
        part: of what the gradients promise, by which the loss falls, between -1 and 1;
            1 where they promise nothing.
        fall: of the loss, as a fraction of its whole fall.
        cosine: its mean.
        norm: of the gradient, the median, as a fraction of the first.
        least: of all evaluations, log10 of the gradient norm over the first.
        scores: the loss at the end.
    """

    part: np.ndarray
    fall: np.ndarray
    cosine: np.ndarray
    norm: np.ndarray
    least: np.ndarray
    scores: np.ndarray


def _late(result: Result, place: int, method: int) -> Late:
    loss, norm, cosine = (
        np.asarray(leaf[place, method], np.float64) for leaf in result.seen
    )
    half = loss.shape[-1] // 2
    rates = result.rates[place, method][:, None]
    with np.errstate(all="ignore"):
        fall = loss[..., half - 1] - loss[..., -1]
        promised = EVERY * rates * np.sum(norm[..., half - 1 : -1] ** 2, axis=-1)
        relative = norm / result.first_norm[place][:, None]
        return Late(
            part=np.clip(np.where(promised > 0, fall / promised, 1.0), -1, 1),
            fall=fall / (result.first_loss[place] - loss[..., -1]),
            cosine=np.mean(cosine[..., half:], axis=-1),
            norm=np.median(relative[..., half:], axis=-1),
            least=np.log10(np.min(relative, axis=-1)),
            scores=loss[..., -1],
        )


TENTH = record.below(
    0.1, margin=0.05, reason="half of it; a gliding run's part is 1/2 to 1"
)
BACK = record.below(0.0, margin=0.1, reason="a tenth of what is possible")
FAR = record.above(
    -3.0, margin=0.3, reason="a factor of 2; a thousandth looks like 0 on a plot"
)
FLAT = record.below(0.1, margin=0.02, reason="a fifth of it")
LARGE = record.above(0.1, margin=0.05, reason="half of it; the course's plot shows 0.1")


def findings(result: Result) -> tuple[Assertion, ...]:
    """Of each setting."""
    found: list[Assertion] = []
    for place, setting in enumerate(SETTINGS[: len(result.first_loss)]):
        found += _of_setting(result, place, setting)
    return tuple(found)


def _of_setting(
    result: Result, place: int, setting: Setting
) -> tuple[Assertion, ...]:
    """C057 decided by two quantities; what supports it; C058."""
    descent, batches = (_late(result, place, method) for method in (DESCENT, BATCHES))

    def mean(late: Late, values: np.ndarray) -> record.Interval:
        edges = np.isin(np.arange(len(values)), [CONTROL, 1, len(values) - 1])
        arm = Arm(values, late.scores, edges)
        return record.tuned(np.mean, arm, tuning=int(result.tuning))

    control = descent.part[CONTROL, int(result.tuning) :]
    where = (
        f"{setting.name}, dense network with 32 ReLUs, {setting.examples:,} examples, "
        f"{result.updates:,} updates at a constant rate, tuned by the final loss"
    )
    decided = partial(record.deciding, "C057", setting=where)
    supported = partial(record.supporting, setting=where)
    far = (
        "{} never comes to a gradient norm below a thousandth of its first (in powers "
        "of ten)."
    )
    return (
        decided(
            f"Over the last half of gradient descent {PROMISED}.",
            mean(descent, descent.part),
            TENTH,
            unit="ratio",
            figure="part",
        ),
        decided(
            "Over the last half of gradient descent successive gradients point against "
            "each other (their mean cosine).",
            mean(descent, descent.cosine),
            BACK,
            unit="ratio",
        ),
        supported(
            "C057",
            "The last half of gradient descent makes less than a tenth of the loss' "
            "whole fall.",
            mean(descent, descent.fall),
            FLAT,
            unit="ratio",
        ),
        supported(
            "C057",
            "Over the last half of gradient descent the median gradient norm is above "
            "a tenth of the first.",
            mean(descent, descent.norm),
            LARGE,
            unit="ratio",
            figure="loss_and_gradient",
        ),
        supported(
            "C057",
            f"Over the last half of training in batches of {SMALL} {PROMISED}.",
            mean(batches, batches.part),
            TENTH,
            unit="ratio",
            figure="part",
        ),
        supported(
            "C057",
            f"Over the last half of gradient descent at the low rate of "
            f"{setting.control:g} {PROMISED} (negative control).",
            record.bootstrap(np.mean, control),
            TENTH,
            unit="ratio",
            figure="part",
        ),
        supported(
            "C058",
            far.format("Gradient descent on all examples"),
            mean(descent, descent.least),
            FAR,
            unit="log ratio",
        ),
        supported(
            "C058",
            far.format(f"Training in batches of {SMALL}"),
            mean(batches, batches.least),
            FAR,
            unit="log ratio",
        ),
    )


PROMISED = "the loss falls by less than a tenth of Σ η‖∇L‖², which its gradients promise"


def figures(result: Result) -> dict[str, Figure]:
    """The course's plot, and the part of what gradients promise, unit by unit."""
    count = len(result.first_loss)
    paths, axes = panels(count, 2, width=4.6, height=2.8)
    for place, (left, right) in enumerate(zip(axes[::2], axes[1::2], strict=True)):
        _paths(result, place, (left, right))
    shared_legend(paths)
    parts, axes = panels(count, 1, width=6.5, height=2.2)
    for place, axis in enumerate(axes):
        _parts(result, place, axis)
    shared_legend(parts)
    return {"loss_and_gradient": paths, "part": parts}


def _paths(result: Result, place: int, axes: tuple[Any, Any]) -> None:
    """Loss and gradient norm over updates, a line a judged unit."""
    seen = result.seen
    updates = EVERY * (1 + np.arange(seen.loss.shape[-1]))
    tuning = int(result.tuning)
    scores = _late(result, place, DESCENT).scores
    tuned = learn.chosen(scores, tuning)
    first = result.first_norm[place][:, None]
    for point, colour, name in (
        (tuned, "#994455", "gradient descent, tuned rate"),
        (CONTROL, "#003366", "gradient descent, low rate (control)"),
    ):
        values = (seen.loss[place, DESCENT, point], seen.norm[place, DESCENT, point])
        for axis, lines in zip(axes, (values[0], values[1] / first), strict=True):
            drawn = axis.plot(updates, lines[tuning:].T, "-", color=colour, marker="")
            drawn[0].set_label(name)
            for line in drawn:
                line.set(alpha=0.6, linewidth=0.9)
    name = SETTINGS[place].name
    label(axes[0], name, "update", "loss")
    label(axes[1], name, "update", "‖∇L‖ over its first")
    axes[1].set_yscale("log")


def _parts(result: Result, place: int, axis: Any) -> None:
    """A point a unit, and the tenth below which the claim holds."""
    tuning = int(result.tuning)
    rows: dict[str, np.ndarray] = {}
    for method, name in enumerate(METHODS):
        late = _late(result, place, method)
        rows[name] = at_tuned(Arm(late.part, late.scores), tuning)
    rows["low rate (control)"] = _late(result, place, DESCENT).part[CONTROL, tuning:]
    dots(axis, rows)
    axis.axvline(0.1, color="0.4", linestyle=":", label="a tenth")
    label(axis, SETTINGS[place].name, "fall of the loss over Σ η‖∇L‖²", "")
