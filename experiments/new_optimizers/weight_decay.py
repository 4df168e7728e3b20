"""Is decaying the weights the same as penalising their squares, and which of the two
generalises better?

For descent at a constant rate the two are one method. Adam divides the penalty's
gradient by the size of the loss's, so under a penalty the weights depend on the scale
of the loss, and under decay they do not. On few digits both are tuned over one grid of
rates and decays, and judged on seeds and digits that tuning never saw; all seeds share
one tuned point and one split, so that part does not decide.

Claims: C123.
Sources: Loshchilov and Hutter 2019, arXiv:1711.05101.
Cost: 10 seconds on 2 cores.
Expect: equal for SGD, unequal for Adam; after tuning their test accuracies differ
little.
Run: jaxml run weight_decay
"""

from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxml import learn, problem, randomness, record, tree
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
TUNED = "adam", "adamw"

QUADRATIC = (
    "quadratic of 6 weights and condition 100, rate 0.01, decay 0.1, 200 full-batch "
    "updates"
)
SCALED = f"{QUADRATIC}, loss times 0.01, 1 and 100"


@dataclass(frozen=True, kw_only=True)
class Config:
    """The network, how few digits it sees, and how long."""

    width: int = 32
    train: int = 200
    steps: int = 1000
    batch: int = 20
    tuning_seeds: int = 3
    seeds: int = 12
    lanes: int = 6
    seed: int = 0


SMOKE = Config(width=8, train=60, steps=20, tuning_seeds=1, seeds=2, lanes=20)


class Result(NamedTuple):
    """Weights by method and scale of the loss, then what the tuned methods reach."""

    # [method, scale, step, 6], of full-batch training on a small quadratic, float64
    paths: Array
    tuning: (
        Array  # [adam or adamw, rate, decay], median last loss on the digits for tuning
    )
    accuracy: Array  # [adam or adamw, seed], on digits that neither trained nor tuned
    loss: Array  # [adam or adamw, seed], on the same
    norm: Array  # [adam or adamw, seed], of all parameters
    examples: Array  # [], digits that are trained on
    weights: Array  # [], of the network on digits
    updates: Array  # [], of each run on digits


def _paths():
    """Two hundred steps on scale times an ill-conditioned quadratic, with a decay of
    0.1.
    """
    curvature, best = jnp.logspace(-2, 0, 6), jnp.linspace(-2, 2, 6)
    hyper = learn.Hyper(lr=0.01, weight_decay=0.1, epsilon=0.0)

    def path(family, scale):
        def objective(x, _):
            return 0.5 * scale * jnp.sum(curvature * (x - best) ** 2)

        start, watch = jnp.ones(6), {"steps": 200, "observe": lambda params: params}
        return learn.descend(objective, family(hyper), start, None, **watch).observed

    paths = []
    for family in METHODS.values():
        paths.append(jax.jit(jax.vmap(partial(path, family)))(SCALES))
    return np.stack(paths)


def study(config, keep):
    """The quadratics in float64, then one program a method on digits."""
    with jax.enable_x64(True):
        paths = keep("paths", _paths)
    parts = problem.split(
        problem.digits(), config.train, key=randomness.key(config.seed)
    )
    half = len(parts.test.weights) // 2
    tuning, test = problem.split(parts.test, half, key=randomness.key(config.seed, 1))
    model, loss = problem.mlp((config.width, 10), jax.nn.relu), problem.cross_entropy
    measures = {
        "loss": problem.evaluation(model, loss, tuning),
        "test": problem.evaluation(model, loss, test),
        "accuracy": problem.evaluation(model, problem.accuracy, test),
        "norm": tree.norm,
    }
    start, batches = (
        problem.start(model, parts.train.inputs),
        learn.shuffled(parts.train, config.batch),
    )
    objective, probe = problem.training_loss(model, loss), learn.measuring(measures)

    def experiment(family):
        return learn.training(
            start, objective, family, batches, steps=config.steps, probe=probe
        )

    grid = learn.grid(learn.Hyper, lr=RATES, weight_decay=DECAYS)
    found = learn.compare(
        experiment,
        {name: learn.Entrant(METHODS[name], grid) for name in TUNED},
        target=0.2,
        lanes=config.lanes,
        tuning_seeds=config.tuning_seeds,
        seeds=config.seeds,
        seed=config.seed,
        keep=keep,
    )
    contests = found.values()
    tuned = [
        np.median(each.tuning, axis=1).reshape(len(RATES), len(DECAYS))
        for each in contests
    ]
    return Result(
        paths=paths,
        tuning=np.stack(tuned),
        accuracy=_last(contests, "accuracy"),
        loss=_last(contests, "test"),
        norm=_last(contests, "norm"),
        examples=np.array(config.train),
        weights=np.array(
            tree.size(jax.eval_shape(start, randomness.key(config.seed))[0])
        ),
        updates=np.array(config.steps),
    )


def _last(contests, quantity):
    """What the judged runs end at, `[method, seed]`."""
    return np.stack([contest.final[quantity] for contest in contests])


def findings(result):
    """The quadratics, where nothing is random; the digits, paired by seed."""
    return (*_quadratics(result), *_scales(result), *_digits(result))


def _quadratics(result):
    plain = list(SCALES).index(1.0)
    sgd, decoupled, adam, adamw = result.paths[:, plain]
    return (
        record.deciding(
            "C123",
            "For SGD at a constant rate an ℓ₂ penalty and weight decay take the same "
            "path.",
            record.largest(sgd - decoupled),
            record.at_most(1e-14),
            unit="distance",
            setting=QUADRATIC,
        ),
        record.deciding(
            "C123",
            "For Adam an ℓ₂ penalty and weight decay (AdamW) take different paths.",
            record.certain(np.abs(adam - adamw).max()),
            record.above(
                0.0, margin=0.1, reason="a tenth of what each weight starts with"
            ),
            unit="distance",
            setting=QUADRATIC,
        ),
    )


def _spread(paths):
    """The largest change of a path with the scale of the loss, over its largest
    weight.
    """
    small, plain, large = paths
    changes = np.abs(np.stack([small, large]) - plain)
    return changes.max() / np.abs(plain).max()


def _scales(result):
    _, _, adam, adamw = result.paths
    return (
        record.deciding(
            "C123",
            "The path of Adam with an ℓ₂ penalty, which passes through the moments, "
            "changes with the scale of the loss.",
            record.certain(_spread(adam)),
            record.above(0.0, margin=0.05, reason="5 % of the largest weight"),
            unit="ratio",
            setting=SCALED,
        ),
        record.deciding(
            "C123",
            "The path of AdamW, which shrinks the weights outside the moments, does "
            "not change with the scale of the loss.",
            record.certain(_spread(adamw)),
            record.at_most(1e-9),
            unit="relative error",
            setting=SCALED,
        ),
    )


def _digits(result):
    setting = (
        f"8x8 digits ({result.examples:,} for training), dense network of "
        f"{result.weights:,} weights, {result.updates:,} updates, rates and decays "
        "tuned"
    )
    adam, adamw = range(len(TUNED))
    return (
        record.supporting(
            "C123",
            "AdamW reaches a higher test accuracy than Adam with an ℓ₂ penalty.",
            record.paired(result.accuracy[adamw], result.accuracy[adam]),
            record.above(
                0.0, margin=0.005, reason="half a point: less than what seeds move"
            ),
            unit="accuracy difference",
            setting=setting,
        ),
        record.supporting(
            "C123",
            "AdamW reaches a lower test loss than Adam with an ℓ₂ penalty.",
            record.paired(result.loss[adamw], result.loss[adam]),
            record.below(
                0.0,
                margin=0.01,
                reason="0.01 nats is 1 % in the probability of the right class",
            ),
            unit="nats",
            setting=setting,
        ),
    )


def figures(result):
    """The paths of one weight by the scale of the loss, and the tuning grids."""
    figure, axes = panels(2, 2)
    for axis, name, paths in zip(
        axes, ("adam", "adamw"), result.paths[2:], strict=False
    ):
        for scale, path in zip(SCALES, paths, strict=True):
            axis.plot(path[:, -1], label=f"loss × {scale:g}")
        axis.legend(fontsize=8)
        label(
            axis, f"{name}, decay 0.1", "step", "weight of the steepest coordinate (1)"
        )
    for axis, name, losses in zip(
        axes[2:], ("adam", "adamw"), result.tuning, strict=True
    ):
        for rate, row in zip(RATES, losses, strict=True):
            axis.loglog(
                np.maximum(DECAYS, 1e-4), row, label=f"η = {rate:g}", markevery=1
            )
        axis.legend(fontsize=8)
        label(
            axis,
            f"{name} on few digits",
            "decay (0 at the left)",
            "median loss in tuning (nats)",
        )
    return {"weight_decay": figure}
