"""The programs of a segmented sweep: begin a chunk of runs, advance it by any number of
blocks, finish it.
"""

import operator
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import SingleDeviceSharding

from jaxml import memory, parallel
from jaxml.learn.optimizers.evaluation import evaluation_params
from jaxml.learn.segmented.blocks import Blocks
from jaxml.learn.training import gathering
from jaxml.learn.training.grid import require_precision, runs_of
from jaxml.learn.training.state import Trace, Training, TrainState
from jaxml.learn.training.sweep import Beginnings, Outputs, _keys
from jaxml.types import Device, InputError


class Carry(NamedTuple):
    """What goes from call to call, each leaf with a leading axis of runs unless all
    share it.

    Attributes:
        state: of the runs.
        trace: as in `Runs`, filled as far as they have come.
    """

    state: TrainState
    trace: Trace


class Carried(NamedTuple):
    """What a chunk carries.

    Attributes:
        shapes: each with a leading axis of runs.
        shared: of each leaf, whether one array serves all runs of the chunk and has no
            such axis, as the number of the update.
    """

    shapes: Carry
    shared: Carry


class Programs(NamedTuple):
    """Compiled for one device.

    Attributes:
        begin: `Beginnings -> Carry`.
        advance: `(carry, data, first, last) -> carry` after the blocks from `first` on
            and before `last`; the given carry's buffers are reused, and gone.
        finish: `carry -> Outputs`.
        place: the device.
    """

    begin: Any
    advance: Any
    finish: Any
    place: Device


class Compiled(NamedTuple):
    """The programs of all devices.

    Attributes:
        each: one for each chunk that is computed at once.
        carried: what a chunk carries.
        outputs: shapes of a chunk's outputs.
        width: runs in a chunk.
        bytes: what a chunk takes at its peak.
    """

    each: Sequence[Programs]
    carried: Carried
    outputs: Outputs
    width: int
    bytes: int


class _Chunk(NamedTuple):
    """The functions of a chunk, as `Programs` names them, and shapes of what they are
    given.
    """

    begin: Callable[..., Any]
    advance: Callable[..., Any]
    finish: Callable[..., Any]
    beginnings: Beginnings
    carry: Carry
    data: Any


def compiled(
    training: Training, parts: Blocks, hypers: Any, *, lanes: int, devices: int | None
) -> Compiled:
    """Three programs for each kind of device, compiled once, whatever the grid and
    however many blocks a call runs.

    Raises:
        InputError: as `learn.sweep` says of lanes, devices, precision and memory.
    """
    if lanes < 1:
        raise InputError(f"{lanes} lanes cannot advance together: choose 1 or more.")
    total = runs_of(hypers)
    width = min(lanes, total)
    places = parallel.devices(devices)[: -(-total // width)]
    first = parallel.rows(hypers, np.arange(width))
    started = jax.eval_shape(jax.vmap(training.start), _keys(first.seed))
    beginnings = Beginnings(first, *started)
    carried = _carried(training, beginnings, width)
    chunk = _chunk(training, parts, beginnings, carried)
    programs = [_compiled_for(place, chunk) for place in dict.fromkeys(places)]
    advance = programs[0].advance
    plan = advance.memory_analysis()
    needed = parallel.bytes_of(advance) - plan.alias_size_in_bytes
    parallel._require_room(needed, width, training.data, places, "A program")
    outputs = programs[0].finish.out_info
    require_precision(hypers, outputs.params)
    if places[0].platform == "cpu":
        at_once = max(1, memory.available_bytes(places) // max(needed, 1))
        programs = programs * len(places[:at_once])
    return Compiled(programs, carried, outputs, width, needed)


def _carried(training: Training, beginnings: Beginnings, width: int) -> Carried:
    """What the whole of a run leaves of each array, and which of them are one for all
    runs.

    It is asked of the program that `sweep` would compile, so that a product of a batch
    that all runs share is formed as there.
    """
    shared: list[Any] = []

    @jax.custom_batching.custom_vmap
    def looked_at(data: Any) -> Any:
        return data

    @looked_at.def_vmap
    def looked_at_runs(size: int, batched: Any, data: Any) -> tuple[Any, Any]:
        del size
        (flags,) = batched
        shared.append(jax.tree.map(operator.not_, flags))
        return data, flags

    def one(beginning: Beginnings, data: Any) -> Carry:
        carry = Carry(*training.run(training.init(*beginning), data))
        looked_at(jax.tree.map(gathering._data, carry))
        return carry

    if width == 1:
        shapes = jax.eval_shape(_alone(one), beginnings, training.data)
        return Carried(shapes, jax.tree.map(lambda leaf: False, shapes))
    runs = jax.vmap(one, in_axes=(0, None))
    shapes = jax.eval_shape(runs, beginnings, training.data)
    state, trace = shared[-1]
    return Carried(shapes, Carry(state, jax.tree.map(lambda flag: False, trace)))


def _chunk(
    training: Training, parts: Blocks, beginnings: Beginnings, carried: Carried
) -> _Chunk:
    """The functions of a chunk: each is that of a run, vmapped as `sweep` does."""
    trace = jax.tree.map(_of_one_run, carried.shapes.trace)
    begin = partial(_begun, training, trace)
    advance = partial(_advanced, parts)
    data = jax.eval_shape(lambda data: data, training.data)
    if len(beginnings.hyper[0]) == 1:
        functions = _alone(begin), _alone(advance), _alone(_finished)
        return _Chunk(*functions, beginnings, carried.shapes, data)
    axes = jax.tree.map(lambda flag: None if flag else 0, carried.shared)
    return _Chunk(
        jax.vmap(begin, out_axes=axes),
        jax.vmap(advance, in_axes=(axes, None, None, None), out_axes=axes),
        jax.vmap(_finished, in_axes=(axes,)),
        beginnings,
        jax.tree.map(
            lambda leaf, flag: _of_one_run(leaf) if flag else leaf,
            carried.shapes,
            carried.shared,
        ),
        data,
    )


def _compiled_for(place: Device, chunk: _Chunk) -> Programs:
    """The programs of one device, compiled side by side."""
    number = jax.ShapeDtypeStruct((), np.int32)
    there = SingleDeviceSharding(place)
    options = parallel.compiler_options(place.platform)
    made = partial(jax.jit, in_shardings=there, out_shardings=there)
    lowered = (
        made(chunk.begin).lower(chunk.beginnings),
        made(chunk.advance, donate_argnums=0).lower(
            chunk.carry, chunk.data, number, number
        ),
        made(chunk.finish).lower(chunk.carry),
    )
    with ThreadPoolExecutor(len(lowered)) as compilers:
        begun = [compilers.submit(each.compile, options) for each in lowered]
    begin, advance, finish = [each.result() for each in begun]
    return Programs(begin, advance, finish, place)


def _begun(training: Training, trace: Any, beginning: Beginnings) -> Carry:
    """One run before its first update, with an empty trace."""
    return Carry(training.init(*beginning), jax.tree.map(_zeros, trace))


def _advanced(parts: Blocks, carry: Carry, data: Any, first: Any, last: Any) -> Carry:
    """One run, some blocks on."""
    own = parts.own(carry.state, data)

    def block(number: jax.Array, progress: tuple[TrainState, Trace]) -> Any:
        return parts.advance(number, progress, own)

    return Carry(*jax.lax.fori_loop(first, last, block, tuple(carry)))


def _finished(carry: Carry) -> Outputs:
    state, trace = carry
    params = evaluation_params(state.opt_state, state.params)
    return Outputs(params, state.model_state, state.diverged_at, trace)


def _alone(one: Callable[..., Any]) -> Callable[..., Any]:
    """The function of a chunk of one run, without `vmap`."""

    def alone(first: Any, *others: Any) -> Any:
        found = one(jax.tree.map(lambda leaf: leaf[0], first), *others)
        return jax.tree.map(lambda leaf: leaf[None], found)

    return alone


def _of_one_run(leaf: Any) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(leaf.shape[1:], leaf.dtype)


def _zeros(shape: Any) -> jax.Array:
    """Zeros, or typed keys whose data are zeros."""
    if not jnp.issubdtype(shape.dtype, jax.dtypes.prng_key):
        return jnp.zeros(shape.shape, shape.dtype)
    implementations: list[Any] = []
    data = jax.eval_shape(
        lambda keys: (
            implementations.append(jax.random.key_impl(keys))
            or jax.random.key_data(keys)
        ),
        shape,
    )
    raw = jnp.zeros(data.shape, data.dtype)
    return jax.random.wrap_key_data(raw, impl=implementations[0])
