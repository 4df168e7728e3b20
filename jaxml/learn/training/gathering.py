"""Outputs of chunks of runs, whatever their pytrees, as plain arrays that can be
stored and joined.

A pytree of any class that is registered with JAX (an NNX State, an Equinox module, a
NamedTuple of a function's own) goes through storage as a dict of arrays, and gets its
structure back from the program.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxml.types import InputError


def plain(outputs: Any) -> dict[str, np.ndarray]:
    """The leaves by their place, such as "0 [0]['w']": arrays on the host; of typed
    keys, the data.
    """
    leaves, _ = jax.tree_util.tree_flatten_with_path(outputs)
    return {
        f"{index} {jax.tree_util.keystr(path)}": np.asarray(_data(leaf))
        for index, (path, leaf) in enumerate(leaves)
    }


def bytes_of(shapes: Any, runs: int) -> int:
    """Bytes of that many runs of a program's outputs.

    Args:
        shapes: of one chunk's outputs, a pytree of `jax.ShapeDtypeStruct` with a
            leading axis of runs.
        runs: how many.
    """
    each = (
        leaf.dtype.itemsize * int(np.prod(leaf.shape[1:]))
        for leaf in jax.tree.leaves(_raw(shapes))
    )
    return runs * sum(each)


def empty(shapes: Any, runs: int) -> dict[str, np.ndarray]:
    """Arrays by place for the outputs of that many runs, not yet filled."""
    return {
        place: np.empty((runs, *leaf.shape[1:]), leaf.dtype)
        for place, leaf in _places(shapes).items()
    }


def place(
    gathered: dict[str, np.ndarray], chunk: Any, shapes: Any, start: int, stage: str
) -> None:
    """Copies a chunk to its runs, from `start` on; runs beyond the last are padding,
    and dropped.

    Raises:
        InputError: the chunk is not of a program with outputs of these shapes.
    """
    expected = _places(shapes)
    found = (
        {name: np.asarray(value) for name, value in chunk.items()}
        if isinstance(chunk, dict)
        else {}
    )
    same = found.keys() == expected.keys() and all(
        (found[name].shape, found[name].dtype) == (leaf.shape, leaf.dtype)
        for name, leaf in expected.items()
    )
    if not same:
        raise InputError(
            f"What was kept as {stage!r} is of another program: give each sweep a name "
            "of its own, or run again with --again."
        )
    for name, whole in gathered.items():
        rows = whole[start : start + len(found[name])]
        rows[...] = found[name][: len(rows)]


def restored(gathered: dict[str, np.ndarray], shapes: Any) -> Any:
    """The gathered arrays in the structure of the program's outputs, typed keys as
    such.
    """
    leaves, structure = jax.tree.flatten(shapes)
    values = [
        _typed(array, leaf)
        for array, leaf in zip(gathered.values(), leaves, strict=True)
    ]
    return jax.tree.unflatten(structure, values)


def _places(shapes: Any) -> dict[str, jax.ShapeDtypeStruct]:
    """Shape and dtype by place."""
    leaves, _ = jax.tree_util.tree_flatten_with_path(_raw(shapes))
    return {
        f"{index} {jax.tree_util.keystr(path)}": leaf
        for index, (path, leaf) in enumerate(leaves)
    }


def _raw(shapes: Any) -> Any:
    """The shapes with those of typed keys replaced by their data's."""
    return jax.eval_shape(lambda tree: jax.tree.map(_data, tree), shapes)


def _data(leaf: Any) -> Any:
    return jax.random.key_data(leaf) if _is_key(leaf.dtype) else leaf


def _typed(array: np.ndarray, shape: Any) -> Any:
    """The array, as typed keys of the same implementation where the program gives
    such.
    """
    if not _is_key(shape.dtype):
        return array
    implementations: list[Any] = []
    jax.eval_shape(
        lambda keys: implementations.append(jax.random.key_impl(keys)), shape
    )
    return jax.random.wrap_key_data(jnp.asarray(array), impl=implementations[0])


def _is_key(dtype: Any) -> bool:
    return jnp.issubdtype(dtype, jax.dtypes.prng_key)
