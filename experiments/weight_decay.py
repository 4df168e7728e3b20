"""Is decaying the weights the same as penalising their squares, and which of the two generalises better?

For descent at a constant rate the two are one method. Adam divides the penalty's gradient by the size of the
loss's, so under a penalty the weights depend on the scale of the loss, and under decay they do not. On few
digits both are tuned over one grid of rates and decays, and judged on seeds and digits that tuning never saw.

Claims: C123.
Sources: Loshchilov and Hutter 2019, arXiv:1711.05101.
Cost: 10 seconds on 2 cores.
Expect: equal for SGD, unequal for Adam; after tuning their test accuracies differ little.
Run: jaxml run weight_decay
"""

from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxml import learn, problem, record, tree
from jaxml.record.figures import label, panels
from jaxml.types import Array

SCALES = np.array([0.01, 1.0, 100.0])  # of the loss
DECAYS = np.array([0.0, 1e-3, 1e-2, 1e-1, 1.0])
RATES = np.array([1e-3, 3e-3, 1e-2, 3e-2])
METHODS = {
    "sgd": learn.sgd,
    "sgd_decoupled": learn.decoupled(learn.by()),
    "adam": learn.adam,
    "adamw": learn.adamw,
}


@dataclass(frozen=True, kw_only=True)
class Config:
    """The network, how few digits it sees, and how long."""

    width: int = 32
    train: int = 200
    steps: int = 1000
    batch: int = 20
    tuning_seeds: int = 3
    seeds: int = 12
    lanes: int = 30
    dtype: str = "float32"


SMOKE = Config(width=8, train=60, steps=20, tuning_seeds=1, seeds=2, lanes=20)


class Result(NamedTuple):
    """Weights by method and scale of the loss, then what the tuned methods reach."""

    paths: Array  # [method, scale, step, 6], of full-batch training on a small quadratic, float64
    tuning: Array  # [adam or adamw, rate, decay], median last loss on the digits for tuning
    accuracy: Array  # [adam or adamw, seed], on digits that neither trained nor tuned
    loss: Array  # [adam or adamw, seed], on the same
    norm: Array  # [adam or adamw, seed], of all parameters


def _paths():
    """Two hundred steps on scale times an ill-conditioned quadratic, with a decay of 0.1."""
    curvature, best = jnp.logspace(-2, 0, 6), jnp.linspace(-2, 2, 6)

    def path(family, scale):
        objective = lambda x, _: 0.5 * scale * jnp.sum(curvature * (x - best) ** 2)  # noqa: E731
        hyper = learn.Hyper(lr=0.01, weight_decay=0.1, epsilon=0.0)
        observe = lambda params: params  # noqa: E731
        run = learn.descend(objective, family(hyper), jnp.ones(6), None, steps=200, observe=observe)
        return run.observed

    return np.stack([jax.jit(jax.vmap(partial(path, family)))(SCALES) for family in METHODS.values()])


def study(config, keep):
    """The quadratics in float64, then one program a method on digits."""
    with jax.enable_x64(True):
        paths = keep("paths", _paths)
    parts = problem.split(problem.digits(), config.train, key=jax.random.key(0))
    tuning, test = problem.split(parts.test, len(parts.test.weights) // 2, key=jax.random.key(1))
    model, loss = problem.mlp((config.width, 10), jax.nn.relu), problem.cross_entropy
    measures = {
        "loss": problem.evaluation(model, loss, tuning),
        "test": problem.evaluation(model, loss, test),
        "accuracy": problem.evaluation(model, problem.accuracy, test),
        "norm": tree.norm,
    }

    def experiment(family):
        start, batches = problem.start(model, parts.train.inputs), learn.shuffled(parts.train, config.batch)
        objective, probe = problem.training_loss(model, loss), learn.measuring(measures)
        return learn.training(start, objective, family, batches, steps=config.steps, probe=probe)

    grid = learn.grid(learn.Hyper, lr=RATES, weight_decay=DECAYS)
    contests = learn.compare(
        experiment,
        {name: learn.Entrant(METHODS[name], grid) for name in ("adam", "adamw")},
        target=0.2,
        lanes=config.lanes,
        tuning_seeds=config.tuning_seeds,
        seeds=config.seeds,
        keep=keep,
    ).values()
    tuned = [np.median(each.tuning, axis=1).reshape(len(RATES), len(DECAYS)) for each in contests]
    ends = {name: np.stack([each.final[name] for each in contests]) for name in measures}
    return Result(paths, np.stack(tuned), ends["accuracy"], ends["test"], ends["norm"])


def findings(result):
    """Paired by seed; the quadratics have nothing random."""
    exact, above, below = record.exact, record.above, record.below
    sgd, decoupled, adam, adamw = result.paths
    spread = lambda path: np.abs(path[[0, 2]] - path[1]).max() / np.abs(path[1]).max()  # noqa: E731  # over scales
    better, lower = record.paired(*result.accuracy[::-1]), record.paired(*result.loss[::-1])
    return (
        exact("C123", "For SGD at a constant rate the two are one: distance of the paths.",
              sgd[1] - decoupled[1], 1e-14, unit="1", dtype="float64"),
        above("C123", "For Adam they are not: distance of the paths.",
              record.certain(np.abs(adam[1] - adamw[1]).max()), 0.1, unit="1", dtype="float64"),
        below("C123", "AdamW does not feel the scale of the loss: change of its path.",
              record.certain(spread(adamw)), 1e-9, unit="1", dtype="float64"),
        above("C123", "Adam with a penalty does: change of its path.",
              record.certain(spread(adam)), 0.01, unit="1", dtype="float64"),
        above("C123", "Tuned, AdamW's test accuracy is higher than that of Adam with a penalty: difference.",
              better, 0.0, unit="1", dtype="float32"),
        below("C123", "Tuned, AdamW's test loss is lower: difference.", lower, 0.0, unit="nats",
              dtype="float32"),
    )  # fmt: skip


def figures(result):
    """The paths of one weight by the scale of the loss, and the tuning grids."""
    figure, axes = panels(2, 2)
    for axis, name, paths in zip(axes, ("adam", "adamw"), result.paths[2:], strict=False):
        for scale, path in zip(SCALES, paths, strict=True):
            axis.plot(path[:, -1], label=f"loss × {scale:g}")
        axis.legend(fontsize=8)
        label(axis, f"{name}, decay 0.1", "step", "weight of the steepest coordinate (1)")
    for axis, name, losses in zip(axes[2:], ("adam", "adamw"), result.tuning, strict=True):
        for rate, row in zip(RATES, losses, strict=True):
            axis.loglog(np.maximum(DECAYS, 1e-4), row, label=f"η = {rate:g}", markevery=1)
        axis.legend(fontsize=8)
        label(axis, f"{name} on few digits", "decay (0 at the left)", "median loss in tuning (nats)")
    return {"weight_decay": figure}
