"""How close does ordinary training come to a critical point?

SGD and gradient descent, both with momentum, on ReLU networks that fit SINC: the gradient norm on all data
over training. What a method made for it reaches from there is in `critical_points`.

Claims: C058.
Source: the lecture's remark that training stops long before the gradient vanishes.
Cost: 8 seconds on 2 cores: 160 runs in two compiled programs.
Expect: SGD stays away by its noise; gradient descent comes closer, and seldom arrives within the budget.
Run: jaxml run ordinary_training
"""

from dataclasses import dataclass
from typing import NamedTuple

import jax
import numpy as np

from jaxml import learn, problem, record
from jaxml.record.figures import label, panels
from jaxml.types import Array

METHODS = {"SGD, batches of 8": 8, "gradient descent": 64}


@dataclass(frozen=True, kw_only=True)
class Config:
    """Runs of each method and their length."""

    seeds: int = 80
    steps: int = 10000
    lr: float = 0.02
    dtype: str = "float64"


SMOKE = Config(seeds=4, steps=100)


class Result(NamedTuple):
    """‖∇L‖ on all data; infinite or NaN from where a run diverged."""

    gradient_norms: Array  # [method, seed, probe], at 50 moments


def study(config, keep):
    """Both methods on the same networks, each one program."""
    with jax.enable_x64(True):
        task = problem.relu_sinc(20)
        start, loss = problem.start(task.model, task.batch.inputs), problem.training_loss(*task[:3])
        probe = learn.gradient_norm(problem.objective(*task[:3]), task.batch)
        grid = learn.grid(learn.Hyper, lr=[config.lr], seed=range(config.seeds))
        runs = []
        for name, size in METHODS.items():
            batches, every = learn.shuffled(task.batch, size), config.steps // 50
            training = learn.training(
                start, loss, learn.momentum, batches, steps=config.steps, every=every, probe=probe
            )
            runs.append(learn.sweep(training, grid, lanes=config.seeds, name=name, keep=keep))
    return Result(np.stack([run.trace.probed for run in runs]))


def findings(result):
    """A run arrives where ‖∇L‖ on all data falls to 1e-8, as a certified critical point demands."""
    arrived = np.nanmin(result.gradient_norms, axis=2) <= 1e-8
    statement = "{} reaches no critical point: share of runs with ‖∇L‖ <= 1e-8."
    return tuple(
        record.below("C058", statement.format(name), record.proportion(came), 0.05, unit="1",
                     dtype="float64")
        for name, came in zip(METHODS, arrived, strict=True)
    )  # fmt: skip


def figures(result):
    """The gradient norm over training, every run a line."""
    figure, axes = panels(1, 2)
    for axis, name, norms in zip(axes, METHODS, result.gradient_norms, strict=True):
        axis.plot(np.linspace(0.02, 1, norms.shape[1]), norms.T, "-", color="black", alpha=0.2, linewidth=0.8)
        axis.axhline(1e-8, color="black", linestyle=":")
        axis.set_yscale("log")
        label(axis, name, "part of the training done", "‖∇L‖ on all data")
    return {"gradient_norm": figure}
