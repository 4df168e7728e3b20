"""How close does ordinary training come to a critical point?

SGD and gradient descent, both with momentum, on ReLU networks that fit SINC: the
gradient norm on all data over training. What a method made for it reaches from there is
in `critical_points`.

Claims: C058.
Source: the lecture's remark that training stops long before the gradient vanishes.
Cost: 5 seconds on 2 cores: 160 runs in two compiled programs.
Expect: SGD stays away by its noise; gradient descent comes closer, and arrives in some
runs.
Run: jaxml run ordinary_training
"""

from dataclasses import dataclass
from typing import NamedTuple

import jax
import numpy as np

from jaxml import learn, problem, randomness, record
from jaxml.record.figures import label, panels, shared_legend
from jaxml.types import Array

METHODS = {"SGD, batches of 8": 8, "gradient descent": 64}
EVALUATIONS = 50  # of the gradient norm
CRITICAL = 1e-8  # a gradient norm that a certified critical point may have


@dataclass(frozen=True, kw_only=True)
class Config:
    """Runs of each method and their length."""

    seeds: int = 100
    steps: int = 10000
    lr: float = 0.02
    lanes: int = 25
    seed: int = 0


SMOKE = Config(seeds=4, steps=100, lanes=4)


class Result(NamedTuple):
    """‖∇L‖ on all data; infinite or NaN from where a run diverged."""

    gradient_norms: Array  # [method, seed, evaluation]
    updates: Array  # [], of each run


def study(config, keep):
    """Both methods on the same networks, each one program."""
    with jax.enable_x64(True):
        task = problem.relu_sinc(20)
        start, loss = (
            problem.start(task.model, task.batch.inputs),
            problem.training_loss(*task[:3]),
        )
        probe = learn.gradient_norm(problem.objective(*task[:3]), task.batch)
        grid = learn.grid(
            learn.Hyper,
            lr=[config.lr],
            seed=randomness.seeds(config.seed, config.seeds),
        )
        runs = []
        for name, size in METHODS.items():
            batches = learn.shuffled(task.batch, size)
            every = config.steps // EVALUATIONS
            training = learn.training(
                start,
                loss,
                learn.momentum,
                batches,
                steps=config.steps,
                every=every,
                probe=probe,
            )
            runs.append(
                learn.sweep(training, grid, lanes=config.lanes, name=name, keep=keep)
            )
    norms = np.stack([run.trace.probed for run in runs])
    return Result(norms, np.array(config.steps))


def findings(result):
    """A run arrives where ‖∇L‖ on all data falls to 1e-8, as a certified critical point
    demands.
    """
    stochastic, full = result.gradient_norms
    setting = (
        "sin(5πx)/(5πx) at 64 points, network of 20 ReLUs, 61 weights, "
        f"{result.updates:,} updates"
    )
    return (
        record.deciding(
            "C058",
            "Mini-batch training with momentum stops before a critical point: fewer "
            "than 1 run in 20 comes to a gradient norm of 1e-8.",
            _arrived(stochastic),
            record.below(0.05),
            unit="fraction",
            setting=f"{setting}, batches of 8",
        ),
        record.deciding(
            "C058",
            "Full-batch training with momentum stops before a critical point: fewer "
            "than 1 run in 20 comes to a gradient norm of 1e-8.",
            _arrived(full),
            record.below(0.05),
            unit="fraction",
            setting=f"{setting}, all examples at once",
        ),
    )


def _arrived(norms):
    """The fraction of runs [seed, probe] that are ever seen at a critical point."""
    return record.proportion(np.nanmin(norms, axis=1) <= CRITICAL, of=norms)


def figures(result):
    """The gradient norm over training, every run a line."""
    figure, axes = panels(1, 2)
    for axis, name, norms in zip(axes, METHODS, result.gradient_norms, strict=True):
        updates = np.linspace(0, float(result.updates), norms.shape[1] + 1)[1:]
        axis.plot(updates, norms.T, "-", color="black", alpha=0.2, linewidth=0.8)
        middle = np.nanmedian(norms, axis=0)
        axis.plot(updates, middle, "-", color="#994455", marker="", label="median run")
        axis.axhline(CRITICAL, color="black", linestyle="--", label=ARRIVED)
        axis.set_yscale("log")
        axis.set_ylim(1e-18, 10)
        title = f"{name}, momentum, a line a run"
        label(axis, title, "update", "‖∇L‖ on all data")
    axes[1].axhline(1e-17, color="#003366", linestyle=":", label="ledger: 1e-17")
    shared_legend(figure)
    return {"gradient_norm": figure}


ARRIVED = "a critical point: 1e-8"
