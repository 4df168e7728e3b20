"""Arrays, and pytrees of them, in .npz files: written whole or not at all, and never by
pickle.
"""

import errno
import json
import os
import sys
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxml.record.runs.members import members
from jaxml.types import InputError

_STRUCTURE = "structure"


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turns the operating system's refusal to write under `path` into a sentence.

    Raises:
        InputError: an OSError within: no space, no permission, not a folder.
    """
    try:
        yield
    except OSError as error:
        raise InputError(
            f"{path} cannot be written ({error.strerror or error}): make room or name "
            "another by --runs."
        ) from error


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A name to write to, which takes the place of `path` once the block has ended
    well and its content has reached the disk, so that no loss of power leaves a file
    of that name empty.

    Raises:
        InputError: an OSError within; what stood at `path` before still does.
    """
    temporary = path.with_name(path.name + ".tmp")
    with writing(path):
        try:
            yield temporary
            settle(temporary)
            os.replace(temporary, path)
        except OSError:
            temporary.unlink(missing_ok=True)
            raise


def settle(path: Path) -> None:
    """Waits until a file, or the list of names in a folder, has reached the disk.

    Raises:
        OSError: it cannot.
    """
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as reason:
        if reason.errno != errno.EINVAL:  # a file system that knows no such order
            raise
    finally:
        os.close(handle)


def host(tree: Any) -> Any:
    """The same pytree with its arrays on the host: read-only, C-ordered NumPy arrays;
    typed keys stay keys.

    What `load_tree` returns for a stored tree is equal to this bit for bit.

    Raises:
        InputError: something other than dict, list, tuple, NamedTuple, None, numbers,
            strings and arrays.
    """
    leaves: list[np.ndarray] = []
    return _unfold(_fold(tree, leaves), leaves)


def save_tree(path: Path, tree: Any) -> None:
    """Stores a pytree: its arrays as members of an .npz file, its structure as JSON
    beside them.

    Raises:
        InputError: as `host`, or the file cannot be written; what stood there before
            still does.
    """
    leaves: list[np.ndarray] = []
    text = json.dumps(_fold(tree, leaves)).encode()
    arrays = {str(i): leaf for i, leaf in enumerate(leaves)}
    save_arrays(path, arrays | {_STRUCTURE: np.frombuffer(text, np.uint8)})


def load_tree(path: Path) -> Any:
    """The pytree that `save_tree` stored.

    Raises:
        InputError: the file is missing, truncated or damaged, or a NamedTuple in it is
            of no loaded module.
    """
    arrays = load_arrays(path)
    with _reading(path):
        structure = json.loads(arrays.pop(_STRUCTURE).tobytes())
        return _unfold(structure, [arrays[str(i)] for i in range(len(arrays))])


def save_arrays(path: Path, arrays: Mapping[str, Any]) -> None:
    """Stores named arrays where `numpy.load` finds them; bfloat16 and its like as
    `name:dtype`, in raw bits.

    Raises:
        InputError: an entry is no array of numbers or text, or the file cannot be
            written.
    """
    named = dict(_member(name, value) for name, value in arrays.items())
    with replacing(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for name, array in named.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, array, allow_pickle=False)


def load_arrays(path: Path) -> dict[str, np.ndarray]:
    """The named arrays that `save_arrays` stored, read-only.

    Nothing is unpickled, unpacked or written, and no more memory is taken than the file
    is long: what the headers promise is compared with it first.

    Raises:
        InputError: the file is missing, no regular file, truncated or damaged.
    """
    with _reading(path):
        return {name: _array(array) for name, array in members(path)}


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        yield
    except InputError:
        raise
    except FileNotFoundError:
        raise InputError(
            f"{path} is missing: run the study again with --again."
        ) from None
    # damage makes zipfile, NumPy and JSON raise almost anything
    except Exception as error:
        raise InputError(
            f"{path} is damaged ({error}): run the study again with --again."
        ) from error


def _array(leaf: Any) -> np.ndarray:
    array = np.asarray(leaf, order="C").view()
    if array.dtype.hasobject:
        raise InputError(
            "An array of Python objects cannot be stored without pickle: use numbers "
            "or text."
        )
    array.flags.writeable = False
    return array


def _member(name: str, value: Any) -> tuple[str, np.ndarray]:
    try:
        array = _array(value)
    except (InputError, TypeError, ValueError) as error:
        raise InputError(
            f"{name} cannot be stored ({error}): make it an array of numbers."
        ) from error
    if array.dtype.isbuiltin == 2:
        return f"{name}:{array.dtype.name}", array.view(f"u{array.dtype.itemsize}")
    return name, array


def _fold(tree: Any, leaves: list[np.ndarray]) -> dict[str, Any]:
    if tree is None or type(tree) in (bool, int, float, str):
        return {"value": tree}
    fields = getattr(tree, "_fields", None)
    if isinstance(tree, tuple) and fields is not None:
        label = [type(tree).__module__, type(tree).__qualname__, list(fields)]
        _class(*label)
        return {"class": label, "items": [_fold(item, leaves) for item in tree]}
    if type(tree) in (list, tuple):
        return {type(tree).__name__: [_fold(item, leaves) for item in tree]}
    if type(tree) is dict and all(
        key is None or type(key) in (bool, int, float, str) for key in tree
    ):
        return {"dict": [[key, _fold(item, leaves)] for key, item in tree.items()]}
    if isinstance(tree, jax.Array) and jnp.issubdtype(tree.dtype, jax.dtypes.prng_key):
        leaves.append(_array(jax.random.key_data(tree)))
        return {"key": str(jax.random.key_impl(tree)), "data": len(leaves) - 1}
    if isinstance(tree, jax.Array | np.ndarray | np.generic):
        leaves.append(_array(tree))
        return {"array": len(leaves) - 1}
    raise InputError(_unstorable(tree))


def _unstorable(tree: Any) -> str:
    """Why, in a sentence: no container that a file can name, or one that only its own
    class can make.
    """
    name = type(tree).__name__
    plain = "dicts, lists, tuples, NamedTuples, numbers, strings and arrays"
    if jax.tree_util.all_leaves([tree]):
        return f"An object of type {name} cannot be stored: use {plain}."
    return (
        f"A pytree of the class {name} cannot be stored, for no file can make that "
        f"class again: keep `jax.tree.leaves` of it, or {plain}."
    )


def _unfold(structure: dict[str, Any], leaves: list[np.ndarray]) -> Any:
    match structure:
        case {"value": value}:
            return value
        case {"class": label, "items": items}:
            return _class(*label)._make(_unfold(item, leaves) for item in items)
        case {"list": items}:
            return [_unfold(item, leaves) for item in items]
        case {"tuple": items}:
            return tuple(_unfold(item, leaves) for item in items)
        case {"dict": items}:
            return {key: _unfold(item, leaves) for key, item in items}
        case {"key": implementation, "data": index}:
            return jax.random.wrap_key_data(leaves[index], impl=implementation)
        case {"array": index}:
            return leaves[index]
    raise ValueError(f"unknown structure {list(structure)}")


def _class(module: str, name: str, fields: list[str]) -> Any:
    """The NamedTuple of that name in a module that is already loaded; nothing is
    imported to find it.
    """
    found: Any = sys.modules.get(module)
    for part in name.split("."):
        found = vars(found).get(part) if hasattr(found, "__dict__") else None
    is_tuple = isinstance(found, type) and issubclass(found, tuple)
    if is_tuple and getattr(found, "_fields", None) == tuple(fields):
        return found
    raise InputError(
        f"{module}.{name} is no NamedTuple of a loaded module: define it at the top "
        "level of the study."
    )
