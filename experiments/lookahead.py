"""Does Lookahead make training steadier, and does it end flatter and better?

On few digits SGD with momentum and Adam are tuned over the rate with and without Lookahead, k = 5 and α =
1/2, and judged on seeds and digits that tuning has not seen. Sharpness is the highest eigenvalue of the
Hessian of the training loss, by Lanczos.

Claims: C120.
Sources: Zhang, Lucas, Hinton and Ba 2019, arXiv:1907.08610.
Cost: 30 seconds on 2 cores.
Expect: tuned, no difference that matters.
Run: jaxml run lookahead
"""

from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import numpy as np

from jaxml import curvature, learn, problem, record
from jaxml.record.figures import label, panels
from jaxml.types import Array

RATES = np.geomspace(1e-4, 0.1, 7)
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
    lanes: int = 21
    dtype: str = "float32"


SMOKE = Config(width=4, train=60, steps=4, every=1, depth=2, tuning_seeds=1, seeds=2, lanes=7)


class Result(NamedTuple):
    """By method of METHODS and kind of KINDS."""

    tuning: Array  # [method, kind, rate, tuning seed], last loss in tuning, inf where it diverged
    curves: Array  # [method, kind, seed, look], test loss, nan where it diverged
    sharpness: Array  # [method, kind, seed], the Hessian's highest eigenvalue at the end


def study(config, keep):
    """One program a method and kind, and one for the sharpness."""
    parts = problem.split(problem.digits(), config.train, key=jax.random.key(0))
    tuning, test = problem.split(parts.test, len(parts.test.weights) // 2, key=jax.random.key(1))
    model, loss = problem.mlp((config.width, 10), jax.nn.relu), problem.cross_entropy
    objective, look = problem.objective(model, loss), partial(problem.evaluation, model, loss)
    probe = learn.measuring({"loss": look(tuning), "test": look(test)})
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

    def sharpness(params):
        product = curvature.hessian_product(objective, params, parts.train)
        return curvature.extremes(product, params, count=1, depth=config.depth, key=jax.random.key(0)).values[
            1
        ]

    runs = jax.tree.map(lambda *leaves: np.concatenate(leaves), *(each.params for each in contests))
    sharp = keep("sharpness", partial(jax.jit(partial(jax.lax.map, sharpness)), runs))
    pairs = lambda values, *axes: np.stack(list(values)).reshape(2, 2, *axes)  # noqa: E731
    return Result(
        pairs((each.tuning for each in contests), len(RATES), -1),
        pairs((each.curves["test"] for each in contests), config.seeds, -1),
        sharp.reshape(2, 2, -1),
    )


def findings(result):
    """Lookahead less plain, both tuned, paired by seed; a seed of which one diverged is left out."""
    below = partial(record.below, dtype="float32")
    late = result.curves[..., result.curves.shape[-1] // 2 :]
    wobble, last = np.abs(np.diff(late)).mean(axis=-1), late[..., -1]

    def less(k, pair):
        return record.bootstrap(record.mean_difference, *pair[k][::-1, np.isfinite(last[k]).all(axis=0)])

    return tuple(finding for k, name in enumerate(METHODS) for finding in (
        below("C120", f"With {name} it is steadier: difference of the late steps of the test loss.",
              less(k, wobble), 0.0, unit="nats"),
        below("C120", f"With {name} it ends lower: difference of test losses.",
              less(k, last), 0.0, unit="nats"),
        below("C120", f"With {name} it ends flatter: difference of the Hessian's highest eigenvalues.",
              less(k, result.sharpness), 0.0, unit="nats"),
    ))  # fmt: skip


def figures(result):
    """Tuning by rate, the loss by looks, and sharpness against it."""
    figure, axes = panels(1, 3, width=5.0)
    names = [(name, k, kind, row) for k, name in enumerate(METHODS) for row, kind in enumerate(KINDS)]
    for name, k, kind, row in names:
        losses, curves = np.median(result.tuning[k, row], axis=1), result.curves[k, row]
        shown = np.where(losses < 10, losses, np.nan)
        axes[0].loglog(METHODS[name] * RATES, shown, label=f"{name} {kind}", markevery=1)
        axes[1].semilogy(np.linspace(0, 1, curves.shape[1] + 1)[1:], np.median(curves, axis=0))
        place, style = (result.sharpness[k, row], curves[:, -1]), "osD^"[2 * k + row]
        axes[2].scatter(*place, label=f"{name} {kind}", marker=style, color=str(0.3 * row))
    axes[0].legend(fontsize=8)
    axes[2].legend(fontsize=8)
    label(axes[0], "At every rate", "rate η", "median loss in tuning (nats)")
    label(axes[1], "Tuned", "share of the updates", "median test loss (nats)")
    label(axes[2], "A point a seed", "highest eigenvalue of the Hessian", "test loss (nats)")
    return {"lookahead": figure}
