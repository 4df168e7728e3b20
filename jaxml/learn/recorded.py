"""The weights of runs at regular times, their start included."""

from typing import Any

import jax
import numpy as np
from jaxtyping import Float

from jaxml import parallel, tree
from jaxml.learn.training.probes import measuring
from jaxml.learn.training.state import Probe, Training, start_key
from jaxml.learn.training.sweep import run
from jaxml.parallel import Program

WEIGHTS = "weights"


def weight_probe() -> Probe:
    """The probe of all parameters in one vector, as `jaxml.tree.ravel` orders them;
    those to evaluate, where an optimizer has others.
    """
    return measuring({WEIGHTS: _vector})


def recorded_weights(
    program: Program, training: Training, hypers: Any
) -> Float[np.ndarray, "run point p"]:
    """θ₀, and θ after every `training.every` updates, of each run of a grid.

    Memory: so many copies of the parameters of all runs, on the host.

    Args:
        program: of `learn.compiled`.
        training: whose probe is `weight_probe()`; its data may be others than those
            that the program was compiled for, of the same shapes.
        hypers: a grid, as `learn.grid` gives it.

    Raises:
        InputError: as `learn.run`.
    """

    options = parallel.compiler_options(program.places[0].platform)
    begin = jax.jit(training.start, compiler_options=options)
    starts = [begin(start_key(seed)) for seed in np.asarray(hypers.seed)]
    each = [_vector(jax.device_get(params)) for params, _ in starts]
    found = run(program, training, hypers).trace.probed[WEIGHTS]
    return np.concatenate([np.stack(each)[:, None], found], axis=1)


def _vector(params: Any) -> jax.Array:
    return tree.ravel(params)[0]
