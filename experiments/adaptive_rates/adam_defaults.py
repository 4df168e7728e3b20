"""Are Adam's default settings good enough, with a tuned rate and without?

Adam's paper gives β₁ = 0.9, β₂ = 0.999, ε = 1e-8 and η = 0.001. Dense networks are
trained by it on three kinds of data: 8x8 digits, two spirals to tell apart, and a noisy
curve, sin(5πx)/(5πx), to fit. Beside the default setting run five that change one of
its constants, β₁ to 0.5 or 0.99, β₂ to 0.9 or 0.99, ε to 1e-2; each at 15 rates in
steps of 1.5.

The course says that the defaults are usually good enough. Good enough is a loss on
unseen examples at most 10 % above that of the setting and rate that tuning chooses,
which a user would not tune for. Of η = 0.001 with all other defaults the course is
wrong on data where the loss is more than 10 % higher; of β₁, β₂ and ε alone where it is
so although the rate of the default setting is tuned too. A unit is two runs with
examples, weights and order of their own: one chooses, the other is judged. Twelve units
are compared in pairs, by the logarithm of the ratio of losses. The loss is the lowest
of 16 looks, for the last would punish whoever learns fast and then overfits.

Control: η = 0.001 with ε = 1e-2, which slows Adam down, must not be good enough. That
Adam is RMSProp with momentum is an identity, which the library's tests hold.

A first version had 1,024 updates, in which η = 0.001 had not begun to learn spirals,
and rates up to 0.038, of which the largest was the best on the curve.

Claims: C084.
Sources: Kingma and Ba 2015, arXiv:1412.6980, algorithm 1.
Cost: about two minutes on 2 cores.
Expect: β₁, β₂ and ε need no tuning, η does on some data.
Run: jaxml run adam_defaults
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from jaxml import learn, problem, randomness, record
from jaxml.record import Assertion
from jaxml.record.figures import Figure, label, panels
from jaxml.types import Array, Batch, Dataset, Keep, Model, Params


class Setting(NamedTuple):
    """β₁, β₂ and ε; the rate comes from the grid."""

    momentum: float = 0.9
    second_moment: float = 0.999
    epsilon: float = 1e-8


SETTINGS = {
    "default": Setting(),
    "β₁ = 0.5": Setting(momentum=0.5),
    "β₁ = 0.99": Setting(momentum=0.99),
    "β₂ = 0.9": Setting(second_moment=0.9),
    "β₂ = 0.99": Setting(second_moment=0.99),
    "ε = 1e-2": Setting(epsilon=1e-2),
}
DEFAULT, *_, WORST = range(len(SETTINGS))
RATES = 0.001 * 1.5 ** np.arange(-1, 14)
DEFAULT_RATE = 1  # place of 0.001
ENOUGH = record.below(
    np.log(1.1), margin=np.log(1.02), reason="a fiftieth of a loss is never noticed"
)


class Task(NamedTuple):
    """Data, a network, and the loss of an example."""

    data: Batch
    model: Model
    loss: Callable[..., jax.Array]


@dataclass(frozen=True, kw_only=True)
class Config:
    """Units, examples of each run and of all, and length of training."""

    units: int = 12
    train: int = 512
    examples: int = 1500
    batch: int = 32
    steps: int = 2048
    looks: int = 16
    lanes: int = 60
    seed: int = 0


SMOKE = Config(units=2, train=64, examples=100, steps=8, looks=2, lanes=90)


class Result(NamedTuple):
    """Lowest losses on unseen examples, by task and setting of SETTINGS.

    Attributes:
        tuning: of the runs that choose.
        judged: of the runs that are judged.
        train: examples of each run.
        steps: updates.
    """

    tuning: Float[Array, "task setting rate unit"]
    judged: Float[Array, "task setting rate unit"]
    train: Int[Array, ""]
    steps: Int[Array, ""]


TITLES = (
    "8x8 digits, dense network 64-16-10",
    "two spirals, dense network 2-32-32-2",
    "noisy sin(5πx)/(5πx), tanh network 1-32-1",
)


def study(config: Config, keep: Keep) -> Result:
    """One program a task."""
    found = []
    for title, task in zip(TITLES, _tasks(config), strict=True):
        found.append(_losses(config, task, title, keep))
    tuning, judged = np.moveaxis(np.stack(found), 3, 0)
    return Result(tuning, judged, np.array(config.train), np.array(config.steps))


def _tasks(config: Config) -> tuple[Task, ...]:
    key = randomness.key(config.seed, 2 * config.units)
    spirals = problem.spirals(config.examples, noise=0.05, key=key)
    curve = problem.sinc(config.examples)
    noise = 0.1 * jax.random.normal(key, curve.targets.shape)
    noisy = curve._replace(targets=curve.targets + np.asarray(noise))
    relu = partial(problem.mlp, activation=jax.nn.relu)
    tanh = partial(problem.mlp, activation=jnp.tanh)
    return (
        Task(problem.digits(), relu((16, 10)), problem.cross_entropy),
        Task(spirals, relu((32, 32, 2)), problem.cross_entropy),
        Task(noisy, tanh((32, 1)), problem.mse),
    )


def _losses(
    config: Config, task: Task, title: str, keep: Keep
) -> Float[np.ndarray, "setting rate half unit"]:
    """The lowest loss of each run, the largest of all where it diverged."""
    judge = problem.objective(task.model, task.loss)

    def unseen(params: Params, own: Dataset) -> jax.Array:
        return judge(params, own.test)

    test = len(task.data.weights) - config.train
    batches = learn.split_anew(
        task.data, train=config.train, test=test, size=config.batch
    )
    training = learn.training(
        problem.start(task.model, task.data.inputs),
        problem.training_loss(task.model, task.loss),
        learn.adam,
        batches,
        steps=config.steps,
        every=config.steps // config.looks,
        probe=learn.evaluating({"loss": unseen}),
    )
    grid = _grid(randomness.seeds(config.seed, 2 * config.units))
    runs = learn.sweep(training, grid, lanes=config.lanes, name=title, keep=keep)
    lowest = np.min(np.nan_to_num(runs.trace.probed["loss"], nan=np.inf), axis=1)
    finite = np.where(np.isfinite(lowest), lowest, np.max(lowest[np.isfinite(lowest)]))
    return finite.reshape(len(SETTINGS), len(RATES), 2, config.units)


def _grid(seeds: range) -> learn.Hyper:
    """Every setting at every rate with every seed, in this order."""
    grids = []
    for setting in SETTINGS.values():
        fixed = {name: [value] for name, value in setting._asdict().items()}
        grids.append(learn.grid(learn.Hyper, lr=RATES, seed=seeds, **fixed))
    return jax.tree.map(lambda *columns: np.concatenate(columns), *grids)


class Chosen(NamedTuple):
    """Judged losses of one task, by unit.

    Attributes:
        tuned: at the setting and the rate that the other run of the unit chose.
        rate_tuned: at the default setting, and its best rate by the other run.
        default: at the default setting and rate.
        slow: at the default rate, with the largest ε.
    """

    tuned: Float[Array, " unit"]
    rate_tuned: Float[Array, " unit"]
    default: Float[Array, " unit"]
    slow: Float[Array, " unit"]


def _chosen(tuning: Array, judged: Array) -> Chosen:
    """From losses `[setting, rate, unit]`."""
    units = np.arange(tuning.shape[-1])
    setting, rate = np.unravel_index(
        np.argmin(tuning.reshape(-1, len(units)), axis=0), tuning.shape[:2]
    )
    own_rate = np.argmin(tuning[DEFAULT], axis=0)
    return Chosen(
        tuned=judged[setting, rate, units],
        rate_tuned=judged[DEFAULT, own_rate, units],
        default=judged[DEFAULT, DEFAULT_RATE],
        slow=judged[WORST, DEFAULT_RATE],
    )


def findings(result: Result) -> tuple[Assertion, ...]:
    """Losses in those of a tuned setting and rate, in pairs."""
    found = []
    for title, tuning, judged in zip(TITLES, result.tuning, result.judged, strict=True):
        setting = (
            f"{title}, {result.train:,} drawn examples, {result.steps:,} updates, "
            "loss on unseen ones"
        )
        found += _compared(_chosen(tuning, judged), setting)
    return tuple(found)


def _compared(losses: Chosen, setting: str) -> tuple[Assertion, ...]:
    finding = partial(_finding, losses.tuned, setting)
    return (
        finding(
            record.deciding,
            "Adam at all its defaults, the rate of 0.001 included, ends at most 10 % "
            "above the loss of Adam with everything tuned.",
            losses.default,
        ),
        finding(
            record.deciding,
            "Adam with the default β₁, β₂ and ε and a tuned rate ends at most 10 % "
            "above the loss of Adam with everything tuned.",
            losses.rate_tuned,
        ),
        finding(
            record.supporting,
            "Control: Adam with ε = 1e-2 and the rate of 0.001 ends at most 10 % above "
            "the loss of Adam with everything tuned.",
            losses.slow,
        ),
    )


def _finding(
    tuned: Array,
    setting: str,
    role: Callable[..., Assertion],
    statement: str,
    losses: Array,
) -> Assertion:
    ratio = np.log(losses / tuned)
    return role(
        "C084",
        statement,
        record.bootstrap(np.mean, ratio),
        ENOUGH,
        unit="log ratio",
        setting=setting,
    )


def figures(result: Result) -> dict[str, Figure]:
    """Losses by rate and setting, and of each unit."""
    figure, axes = panels(1, len(TITLES), width=4.4, height=3.6)
    for axis, title, losses in zip(axes, TITLES, result.judged, strict=True):
        for name, by_rate in zip(SETTINGS, losses, strict=True):
            axis.loglog(RATES, np.median(by_rate, axis=1), markevery=1, label=name)
        rates = np.broadcast_to(RATES[:, None], losses[DEFAULT].shape)
        axis.scatter(rates, losses[DEFAULT], s=4, color="black")
        axis.axvline(RATES[DEFAULT_RATE], color="0.6", linestyle=":")
        what = "lowest unseen loss, median"
        label(axis, title.split(",")[0], "rate η", what)
    axes[0].legend(fontsize=7)
    return {"defaults": figure}
