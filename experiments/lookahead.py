"""Does Lookahead make training steadier, and does it end flatter and better?

On few digits SGD with momentum and Adam are tuned over the rate with and without Lookahead, k = 5 and α =
1/2, and judged on seeds and digits that tuning has not seen. Sharpness is the highest eigenvalue of the
Hessian of the training loss, by Lanczos; it falls with that loss, so it is compared at the end and where the
losses are equal.

Claims: C120.
Sources: Zhang, Lucas, Hinton and Ba 2019, arXiv:1907.08610.
Cost: 20 seconds on 2 cores.
Expect: tuned, no difference that matters.
Run: jaxml run lookahead
"""

from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import numpy as np

from jaxml import curvature, learn, problem, record, tree
from jaxml.record.figures import label, panels
from jaxml.types import Array

RATES = np.geomspace(3e-4, 0.1, 11)
METHODS = {"momentum": 30.0, "adam": 1.0}  # and what multiplies the rates
KINDS = {"plain": lambda family: family, "in Lookahead": learn.lookahead}


@dataclass(frozen=True, kw_only=True)
class Config:
    """The network, how few digits it sees, and how long."""

    width: int = 32
    train: int = 500
    steps: int = 800
    every: int = 40
    batch: int = 20
    depth: int = 12  # of Lanczos' iteration for the sharpness
    tuning_seeds: int = 3
    seeds: int = 10
    lanes: int = 11
    dtype: str = "float32"


SMOKE = Config(width=4, train=60, steps=4, every=1, depth=2, tuning_seeds=1, seeds=2, lanes=11)


class Result(NamedTuple):
    """By method of METHODS and kind of KINDS."""

    tuning: Array  # [method, kind, rate, tuning seed], last loss in tuning, inf where it diverged
    train: Array  # [method, kind, seed, look], training loss, nan where it diverged
    test: Array  # [method, kind, seed, look], test loss, nan where it diverged
    sharpness: Array  # [method, kind, seed, look], the Hessian's highest eigenvalue


def study(config, keep):
    """One program a method and kind, and one for the sharpness."""
    parts = problem.split(problem.digits(), config.train, key=jax.random.key(0))
    tuning, test = problem.split(parts.test, len(parts.test.weights) // 2, key=jax.random.key(1))
    model, loss = problem.mlp((config.width, 10), jax.nn.relu), problem.cross_entropy
    objective, look = problem.objective(model, loss), partial(problem.evaluation, model, loss)
    looks = {"loss": look(tuning), "test": look(test), "train": look(parts.train)}
    probe = learn.measuring(looks | {"params": lambda params: tree.ravel(params)[0]})
    start, judge = problem.start(model, parts.train.inputs), problem.training_loss(model, loss)
    batches, given = learn.shuffled(parts.train, config.batch), {"steps": config.steps, "every": config.every}
    entrants = {}
    for name, scale in METHODS.items():
        grid = learn.grid(learn.Hyper, lr=scale * RATES, period=[5], pull=[0.5])
        for kind, wrapper in KINDS.items():
            entrants[f"{name} {kind}"] = learn.Entrant(wrapper(learn.OPTIMIZERS[name]), grid)
    seeds = {"tuning_seeds": config.tuning_seeds, "seeds": config.seeds, "lanes": config.lanes}
    experiment = lambda family: learn.training(start, judge, family, batches, probe=probe, **given)  # noqa: E731
    contests = list(learn.compare(experiment, entrants, target=0.2, keep=keep, **seeds).values())

    fold = problem.unravel(problem.Task(model, loss, problem.none, parts.train))

    def sharpness(vector):
        params = fold(vector)
        product = curvature.hessian_product(objective, params, parts.train)
        return curvature.extremes(product, params, count=1, depth=config.depth, key=jax.random.key(0)).values[
            1
        ]

    seen = {name: np.stack([each.curves[name] for each in contests]) for name in (*looks, "params")}
    points = seen["params"].reshape(-1, seen["params"].shape[-1])
    sharp = keep("sharpness", partial(jax.jit(partial(jax.lax.map, sharpness)), points))
    arms = lambda values: np.asarray(values).reshape(2, 2, config.seeds, -1)  # noqa: E731
    tuned = np.stack([each.tuning for each in contests]).reshape(2, 2, len(RATES), -1)
    return Result(tuned, arms(seen["train"]), arms(seen["test"]), arms(sharp))


def findings(result):
    """Lookahead less plain, both tuned, paired by seed; a seed of which one diverged is left out."""
    below = partial(record.below, dtype="float32")
    late = result.train.shape[-1] // 2
    wobble = np.abs(np.diff(result.train[..., late:])).mean(axis=-1)
    level = (
        result.train[..., -1].max(axis=1, keepdims=True) + 0 * result.train[..., -1]
    )  # that both arms reach
    equal = np.vectorize(record.first_passage, signature="(n),(n),()->()")(
        result.train, result.sharpness, level
    )

    def verdicts(k, name):
        ended = np.isfinite(result.train[k, ..., -1]).all(axis=0)
        less = lambda pair: record.bootstrap(record.mean_difference, *pair[k][::-1, ended])  # noqa: E731
        return (
            below("C120", f"With {name} it is steadier: difference of the late steps of the training loss.",
                  less(wobble), 0.0, unit="nats"),
            below("C120", f"With {name} it ends lower: difference of test losses.",
                  less(result.test[..., -1]), 0.0, unit="nats"),
            below("C120", f"With {name} it ends flatter: difference of the Hessian's highest eigenvalues.",
                  less(result.sharpness[..., -1]), 0.0, unit="nats"),
            below("C120", f"With {name} it is flatter at equal training loss: difference of eigenvalues.",
                  less(equal), 0.0, unit="nats"),
        )  # fmt: skip

    return sum((verdicts(k, name) for k, name in enumerate(METHODS)), ())


def figures(result):
    """Tuning by rate, the loss by looks, and sharpness by training loss."""
    figure, axes = panels(1, 3, width=5.0)
    arms = [(name, k, kind, row) for k, name in enumerate(METHODS) for row, kind in enumerate(KINDS)]
    for name, k, kind, row in arms:
        losses, train, sharp = (each[k, row] for each in (result.tuning, result.train, result.sharpness))
        axes[0].loglog(
            METHODS[name] * RATES, np.minimum(np.median(losses, axis=1), 3), label=f"{name} {kind}"
        )
        axes[1].semilogy(np.linspace(0, 1, train.shape[1] + 1)[1:], np.median(train, axis=0))
        axes[2].loglog(np.median(train, axis=0), np.median(sharp, axis=0))
    axes[0].legend(fontsize=8)
    label(axes[0], "At every rate", "rate η", "median loss in tuning (nats)")
    label(axes[1], "Tuned", "share of the updates", "median training loss (nats)")
    label(axes[2], "Tuned", "median training loss (nats)", "median highest eigenvalue (nats)")
    return {"lookahead": figure}
