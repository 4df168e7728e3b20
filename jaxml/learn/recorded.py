"""The weights of runs at regular times, their start included."""

from typing import Any

import jax
import numpy as np
from jaxtyping import Float

from jaxml import parallel, tree
from jaxml.learn.batches import shuffled, updates_per_epoch
from jaxml.learn.optimizers.rates import Family
from jaxml.learn.training.probes import measuring
from jaxml.learn.training.state import Training, start_key
from jaxml.learn.training.sweep import run
from jaxml.learn.training.train import training
from jaxml.parallel import Program
from jaxml.types import Workload

WEIGHTS = "weights"


def recording(
    workload: Workload,
    family: Family,
    *,
    examples: int,
    batch: int,
    every: int,
    records: int,
) -> Training:
    """Training whose probe is the vector of all parameters, as `jaxml.tree.ravel`
    orders them; of those to evaluate, where an optimizer has others.

    Its data are the workload's first examples. Runs on others, as many, are those of
    `training._replace(data=others)`, by the same program.

    Args:
        workload: the network, its loss and data.
        family: an optimizer.
        examples: how many train a run.
        batch: their number in a batch; each epoch has its own order.
        every: epochs between two records.
        records: of each run, its start not counted.

    Raises:
        InputError: a number is not positive, or a batch is larger than the examples.
    """
    first = jax.tree.map(lambda field: field[:examples], workload.data)
    updates = every * updates_per_epoch(examples, batch)
    return training(
        workload.start,
        workload.loss,
        family,
        shuffled(first, batch),
        steps=records * updates,
        every=updates,
        probe=measuring({WEIGHTS: _vector}),
    )


def recorded_weights(
    program: Program, recorded: Training, hypers: Any
) -> Float[np.ndarray, "run point p"]:
    """θ₀, and θ after every `recorded.every` updates, of each run of a grid.

    Memory: so many copies of the parameters of all runs, on the host.

    Args:
        program: of `learn.compiled`.
        recorded: of `recording`; its data may be others than those that the program
            was compiled for, of the same shapes.
        hypers: a grid, as `learn.grid` gives it.

    Raises:
        InputError: as `learn.run`.
    """
    options = parallel.compiler_options(program.places[0].platform)
    begin = jax.jit(recorded.start, compiler_options=options)
    starts = [begin(start_key(seed)) for seed in np.asarray(hypers.seed)]
    each = [_vector(jax.device_get(params)) for params, _ in starts]
    found = run(program, recorded, hypers).trace.probed[WEIGHTS]
    return np.concatenate([np.stack(each)[:, None], found], axis=1)


def _vector(params: Any) -> jax.Array:
    return tree.ravel(params)[0]
