"""The trainings that a diagnosis compares, and the losses that they end with."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from jaxml import randomness
from jaxml.learn.batches import Batches, split_anew
from jaxml.learn.diagnosis.asked import Budget
from jaxml.learn.optimizers.rates import Family
from jaxml.learn.training.grid import grid
from jaxml.learn.training.probes import evaluating
from jaxml.learn.training.state import Training
from jaxml.learn.training.sweep import Program, Runs, compiled, run
from jaxml.learn.training.train import training
from jaxml.types import Batch, Dataset, Keep, Params, Workload

BLOCKS = 10
"""Parts of the test set, whose spread says how far its mean loss can be trusted."""


class Own(NamedTuple):
    """What one run sees.

    Attributes:
        train: examples that it trains on.
        held_out: others of the same data.
        blocks: the test set in interleaved blocks, `[block, example, ...]`.
    """

    train: Batch
    held_out: Batch
    blocks: Batch


class Losses(NamedTuple):
    """Mean losses of the runs of one model. A run that diverged, or that is worse than
    untrained, has the loss that it started with.

    Attributes:
        train: on the examples of the run.
        held_out: on others of the same data.
        test: on each block of the test set.
        diverged: whether the run did.
        params: where each run ended, leading axes `[factor, seed]`.
    """

    train: Float[np.ndarray, "factor time seed"]
    held_out: Float[np.ndarray, "factor time seed"]
    test: Float[np.ndarray, "factor time seed block"]
    diverged: np.ndarray
    params: Params


class Plan(NamedTuple):
    """What all trainings of a diagnosis share."""

    family: Family
    hyper: Any
    test: Batch
    budget: Budget
    seed: int


class Compiled(NamedTuple):
    """A model's trainings as one program, whatever the rates and the examples.

    Attributes:
        program: as `learn.compiled` gives it.
        training: what it runs.
        workload: the model and its data.
    """

    program: Program
    training: Training
    workload: Workload


def prepared(plan: Plan, workload: Workload) -> Compiled:
    """The trainings of a model, compiled."""
    experiment = experiment_of(plan, workload, longer=plan.budget.longer)
    hypers = points(plan, plan.budget.factors)
    program = compiled(experiment, hypers, lanes=plan.budget.lanes)
    return Compiled(program, experiment, workload)


def trained(
    plan: Plan,
    each: Compiled,
    keep: Keep,
    *,
    factors: Sequence[float | int],
    train: int,
    name: str,
) -> Losses:
    """The losses of a model at every factor of the rate, time and seed.

    Args:
        plan: what all share.
        each: the model, compiled.
        keep: as `sweep`.
        factors: of the learning rate.
        train: different examples that a run trains on; fewer come again and again.
        name: of the stages that are kept.
    """
    data = data_of(plan, each.workload, train=train)
    experiment = each.training._replace(data=data)
    hypers = points(plan, factors)
    runs = run(each.program, experiment, hypers, name=name, keep=keep)
    return _losses(runs, (len(factors), plan.budget.seeds))


def experiment_of(plan: Plan, workload: Workload, *, longer: int) -> Training:
    """One training of a model, evaluated after every length of the diagnosed one."""
    every = plan.budget.updates
    return training(
        workload.start,
        workload.loss,
        plan.family,
        batches_of(plan, workload),
        steps=longer * every,
        every=every,
        probe=evaluating(_measures(workload)),
    )


def batches_of(plan: Plan, workload: Workload) -> Batches:
    """Those of `split_anew`, with the test set beside each run's own data."""
    train = workload.train
    split = split_anew(
        workload.data, train=train, test=workload.test, size=plan.budget.batch
    )

    def own(data: Any, key: Any) -> Own:
        examples, blocks, different = data
        drawn = split.own(examples, key)
        place = jnp.arange(train, dtype=jnp.int32) % different
        shown = jax.tree.map(lambda leaf: leaf[place], drawn.train)
        return Own(shown, drawn.test, blocks)

    def draw(own: Own, key: Any, step: Any) -> Batch:
        return split.draw(Dataset(own.train, own.held_out), key, step)

    return Batches(data_of(plan, workload, train=train), draw, split.per_epoch, own)


def data_of(plan: Plan, workload: Workload, *, train: int) -> Any:
    """All examples, the test set in blocks, and how many different examples train."""
    return workload.data, in_blocks(plan.test), np.int32(train)


def in_blocks(test: Batch) -> Batch:
    """Ten blocks of every tenth example, padded by rows of weight 0.

    >>> batch = Batch(np.zeros((12, 1)), np.zeros(12), np.ones(12))
    >>> in_blocks(batch).weights.sum(axis=1).tolist()
    [2.0, 2.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]
    """
    count = len(test.weights)
    length = -(-count // BLOCKS)
    place = np.arange(BLOCKS)[:, None] + BLOCKS * np.arange(length)[None]
    present = place < count
    place = np.minimum(place, count - 1)
    inputs, targets, weights = (np.asarray(leaf)[place] for leaf in test)
    return Batch(inputs, targets, np.where(present, weights, np.zeros_like(weights)))


def points(plan: Plan, factors: Sequence[float | int]) -> Any:
    """The diagnosed hyperparameters at every factor of the rate and every seed."""
    seeds = randomness.seeds(plan.seed, plan.budget.seeds)
    rates = plan.hyper.lr * np.asarray(factors)
    axes = plan.hyper._asdict()
    del axes["lr"], axes["seed"]
    return grid(type(plan.hyper), **axes, lr=rates, seed=seeds)


def _measures(workload: Workload) -> dict[str, Callable[[Params, Own], Any]]:
    """The mean losses on each part of a run's own data."""
    mean = partial(_mean_loss, workload.measures["train"])
    return {
        "train": lambda params, own: mean(params, own.train),
        "held out": lambda params, own: mean(params, own.held_out),
        "test": lambda params, own: jax.vmap(partial(mean, params))(own.blocks),
    }


def _mean_loss(measure: Any, params: Params, batch: Batch) -> Any:
    return measure(params, Dataset(batch, batch))


def _losses(runs: Runs, shape: tuple[int, int]) -> Losses:
    seen = runs.trace.probed
    untrained = np.asarray(runs.trace.loss)[:, 0]

    def at_worst_untrained(values: Any) -> np.ndarray:
        numbers = np.asarray(values, np.float64)
        start = untrained.reshape(-1, *([1] * (numbers.ndim - 1)))
        least = np.where(np.isfinite(numbers), numbers, np.inf)
        by_seed = np.minimum(least, start).reshape(*shape, *numbers.shape[1:])
        return np.swapaxes(by_seed, 1, 2)  # time before seed

    return Losses(
        train=at_worst_untrained(seen["train"]),
        held_out=at_worst_untrained(seen["held out"]),
        test=at_worst_untrained(seen["test"]),
        diverged=np.asarray(runs.diverged_at).reshape(shape) >= 0,
        params=jax.tree.map(
            lambda leaf: leaf.reshape(*shape, *leaf.shape[1:]), runs.params
        ),
    )
