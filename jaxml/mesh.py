"""A batch over devices: each computes on its own examples, and they add up what they
found.

The devices lie on one axis, `examples`. With `jax.distributed` they may be those of
several machines. Lanes need no axis: `parallel` gives each device, or each group of
devices, chunks of its own, and nothing passes between groups.
"""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AbstractMesh, AxisType, Mesh, NamedSharding, PartitionSpec

from jaxml.types import Batch, Device, InputError

EXAMPLES = "examples"
"""The axis of the mesh over which the examples of a batch are divided."""

EVERYWHERE = PartitionSpec()
"""Of a value that each device holds whole."""

DIVIDED = PartitionSpec(EXAMPLES)
"""Of arrays whose leading axis is divided among the devices."""


def of(devices: int | Sequence[Device] | None = None) -> Mesh:
    """A mesh of one axis, `examples`.

    Args:
        devices: how many, as many of each machine; or which; all when not given.

    Raises:
        InputError: JAX has fewer, none is asked for, or they are no multiple of the
            processes of this job.
    """
    if devices is None or isinstance(devices, int):
        devices = _first(devices)
    return Mesh(np.asarray(devices, object), (EXAMPLES,), axis_types=(AxisType.Auto,))


def groups(size: int, limit: int | None = None) -> list[Mesh]:
    """This machine's devices in groups of one size, each a mesh of its own; what is
    left over stands idle.

    Args:
        size: devices of a group.
        limit: how many devices are divided; all of this machine when not given.

    Raises:
        InputError: there are not enough for one group.
    """
    found = jax.local_devices()[:limit]
    if not 1 <= size <= len(found):
        raise InputError(
            f"A group of {size} devices cannot be made of {len(found)}: choose between "
            f"1 and {len(found)}."
        )
    last = len(found) - size
    return [of(found[start : start + size]) for start in range(0, last + 1, size)]


def current(devices: int | None) -> Mesh | AbstractMesh:
    """The mesh of the program that is being traced where that has the axis `examples`,
    as within a group, else a mesh of that many devices.
    """
    traced = jax.sharding.get_abstract_mesh()
    return traced if EXAMPLES in traced.axis_names else of(devices)


def replicated(tree: Any, over: Mesh) -> Any:
    """The arrays on every device of the mesh; every machine must hold the same."""
    everywhere = NamedSharding(over, EVERYWHERE)
    return jax.tree.map(lambda leaf: _placed(leaf, everywhere), tree)


def divided(batch: Batch, over: Mesh) -> Batch:
    """The examples divided among the devices of the mesh, each in one device's memory
    alone; padding of weight 0 makes them a multiple of the devices.
    """
    whole = padded(jax.tree.map(np.asarray, batch), over.size)
    apart = NamedSharding(over, DIVIDED)
    return jax.tree.map(lambda leaf: _placed(leaf, apart), whole)


def padded(batch: Batch, parts: int) -> Batch:
    """The batch with its last example repeated at weight 0 until the parts are equal.

    >>> batch = Batch(np.ones((3, 1)), np.arange(3), np.ones(3))
    >>> padded(batch, 2).weights.tolist(), padded(batch, 2).targets.tolist()
    ([1.0, 1.0, 1.0, 0.0], [0, 1, 2, 2])
    """
    missing = -len(batch.weights) % parts
    if not missing:
        return batch
    repeated = jax.tree.map(lambda leaf: _extended(leaf, leaf[-1:], missing), batch)
    nothing = batch.weights[-1:] * 0
    return repeated._replace(weights=_extended(batch.weights, nothing, missing))


def whole_parts(batch: Any, over: Mesh | AbstractMesh) -> Batch:
    """Within a program, the batch padded to a multiple of the mesh's devices.

    Without the constraint the compiler would divide the padding itself too, and
    exchange examples.

    Raises:
        InputError: it is no `Batch`.
    """
    if not isinstance(batch, Batch):
        raise InputError(
            f"A {type(batch).__name__} cannot be divided by examples: give a Batch of "
            "inputs, targets and weights."
        )
    batch = jax.tree.map(jnp.asarray, batch)
    parts = over.shape[EXAMPLES]
    if len(batch.weights) % parts == 0:
        return batch
    everywhere = NamedSharding(over, EVERYWHERE)
    return jax.lax.with_sharding_constraint(padded(batch, parts), everywhere)


def part(batch: Batch, index: Any, parts: int) -> Batch:
    """One of equal parts of a padded batch, neighbours together; the index may be
    traced.
    """
    length = len(batch.weights) // parts

    def cut(leaf: Any) -> jax.Array:
        return jax.lax.dynamic_slice_in_dim(leaf, index * length, length)

    return jax.tree.map(cut, batch)


def _first(count: int | None) -> list[Device]:
    """That many devices, as many of each machine."""
    found = jax.devices()
    if count is None:
        return found
    machines = jax.process_count()
    each, left = divmod(count, machines)
    if left or not machines <= count <= len(found):
        raise InputError(
            f"A batch cannot be divided over {count} of {len(found)} devices in "
            f"{machines} processes: choose a multiple of {machines} up to "
            f"{len(found)}, or ask for virtual CPU devices by "
            "XLA_FLAGS=--xla_force_host_platform_device_count=8."
        )
    by_machine = [
        [device for device in found if device.process_index == machine]
        for machine in range(machines)
    ]
    return [device for devices in by_machine for device in devices[:each]]


def _placed(leaf: Any, where: NamedSharding) -> jax.Array:
    """An array on the devices of a sharding; what other machines hold of it comes from
    there.
    """
    if where.is_fully_addressable:
        return jax.device_put(leaf, where)
    if jnp.issubdtype(jnp.result_type(leaf), jax.dtypes.prng_key):
        data = _placed(jax.random.key_data(leaf), where)
        return jax.random.wrap_key_data(data, impl=str(jax.random.key_impl(leaf)))
    return jax.device_put(np.asarray(leaf), where)


def _extended(leaf: Any, last: Any, missing: int) -> Any:
    """An array with `missing` copies of `last` after it; NumPy's stays NumPy's."""
    library = np if isinstance(leaf, np.ndarray) else jnp
    return library.concatenate([leaf, *[last] * missing])
