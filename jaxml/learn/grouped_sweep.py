"""A sweep whose every run is computed by several devices: lanes over groups of devices,
the examples of a batch over the devices of a group.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding

from jaxml import mesh, parallel
from jaxml.learn.optimizers.evaluation import evaluation_params
from jaxml.learn.training.grid import require_precision, runs_of
from jaxml.learn.training.state import Training, start_key
from jaxml.learn.training.sweep import Beginnings, Outputs, Runs, run
from jaxml.mesh import EVERYWHERE
from jaxml.parallel import Program
from jaxml.types import InputError, Keep, compute_now


def grouped_sweep(
    training: Training,
    hypers: Any,
    *,
    lanes: int,
    examples: int,
    name: str = "runs",
    keep: Keep = compute_now,
) -> Runs:
    """As `sweep`, on groups of devices: each group advances `lanes` runs together, and
    its devices divide the batches of a loss that is `data_parallel`.

    Eight devices with `examples` = 2 are four groups. Nothing passes between groups,
    and how many there are changes no bit; within a group an update needs one
    all-reduce. With another `examples` the runs are equal up to rounding, and resume
    from the stages that `keep` has stored.

    Args:
        training: the experiment; its loss is `data_parallel`.
        hypers: a grid.
        lanes: how many runs advance together in a group.
        examples: devices of a group, all of this machine. A CPU is one device unless
            XLA_FLAGS asks for more.
        name: of the stages.
        keep: called once a chunk.

    Raises:
        InputError: as `sweep`, or there are fewer devices than a group needs.
    """
    program = compiled_in_groups(training, hypers, lanes=lanes, examples=examples)
    return run(program, training, hypers, name=name, keep=keep)


def compiled_in_groups(
    training: Training, hypers: Any, *, lanes: int, examples: int
) -> Program:
    """The program of `grouped_sweep`, for `learn.run`.

    Raises:
        InputError: as `grouped_sweep`.
    """
    if lanes < 1:
        raise InputError(f"{lanes} lanes cannot advance together: choose 1 or more.")
    total = runs_of(hypers)
    width = min(lanes, total)
    groups = mesh.groups(examples)[: -(-total // width)]
    first = parallel.rows(hypers, np.arange(width))
    started = jax.eval_shape(jax.vmap(training.start), _keys(first.seed))
    shapes = Beginnings(first, *started), training.data
    compiled = [_compiled(partial(_chunk, training), shapes, group) for group in groups]
    require_precision(hypers, compiled[0].out_info.params)
    return Program(
        [
            partial(_executed, each, group)
            for each, group in zip(compiled, groups, strict=True)
        ],
        [group.devices.flat[0] for group in groups],
        compiled[0].out_info,
        width,
        parallel.bytes_of(compiled[0]),
    )


def _chunk(training: Training, beginnings: Beginnings, data: Any) -> Outputs:
    """What a chunk of runs leaves."""

    def one(beginning: Beginnings) -> Outputs:
        state, trace = training.run(training.init(*beginning), data)
        params = evaluation_params(state.opt_state, state.params)
        return Outputs(params, state.model_state, state.diverged_at, trace)

    return jax.vmap(one)(beginnings)


def _compiled(function: Callable[..., Any], shapes: Any, group: Mesh) -> Any:
    """The function for the devices of a group, each of which holds all arguments."""
    everywhere = NamedSharding(group, EVERYWHERE)
    platform = group.devices.flat[0].platform
    program = jax.jit(function, in_shardings=everywhere, out_shardings=everywhere)
    with jax.sharding.use_abstract_mesh(group.abstract_mesh):
        lowered = program.lower(*shapes)
    return lowered.compile(compiler_options=parallel.compiler_options(platform))


def _executed(compiled: Any, group: Mesh, chunk: Any, data: Any) -> Any:
    """A chunk on a group, from its first device's copies."""
    return compiled(*mesh.replicated((chunk, data), group))


def _keys(seeds: Any) -> jax.Array:
    return jax.vmap(start_key)(jax.numpy.asarray(seeds))
