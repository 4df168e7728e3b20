from collections import OrderedDict
from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import optax
import pytest

from jaxml.record.runs.archive import (
    host,
    load_arrays,
    load_tree,
    save_arrays,
    save_tree,
)
from jaxml.types import InputError

pytestmark = pytest.mark.invariance


class Pair(NamedTuple):
    left: object
    right: object


TREES = {
    "nothing": None,
    "numbers": [True, 3, -0.0, float("inf"), 1e-320, 2**70, "π|\n", (), {}, []],
    "keys of a dict": {"a": 1, 2: (None,), None: [1], True: 0.1},
    "named": Pair(Pair(1, jnp.ones(2)), {"x": (np.int8(3), np.zeros((0, 3)))}),
    "scalars": [jnp.float32(1.5), np.float64(2.5), np.bool_(True), np.str_("text")],
    "nan bits": np.array([0x7FF8000000000123, 0xFFF0000000000001], np.uint64).view(
        np.float64
    ),
    "orders": [
        np.asfortranarray(np.ones((2, 3))),
        np.arange(10)[::3],
        np.arange(4, dtype=">i4"),
    ],
    "small": [
        jnp.ones(3, jnp.bfloat16),
        np.array(2, ml_dtypes.float8_e4m3fn),
        np.ones(2, ml_dtypes.int4),
    ],
    "keys": (
        jax.random.key(5),
        jax.random.split(jax.random.key(1, impl="rbg"), (2, 2)),
    ),
    "optimizer": optax.adam(0.1).init({"w": np.ones(3, np.float32)}),
    "times": np.array(["2020-01-01"], "M8[D]"),
}


def bits(tree):
    def leaf(x):
        if isinstance(x, jax.Array):
            assert jnp.issubdtype(x.dtype, jax.dtypes.prng_key)
            return (
                str(jax.random.key_impl(x)),
                np.asarray(jax.random.key_data(x)).tobytes(),
                x.shape,
            )
        if isinstance(x, np.ndarray):
            return (
                str(x.dtype),
                x.shape,
                x.flags.c_contiguous,
                x.tobytes(),
                x.flags.writeable,
            )
        return type(x), repr(x)

    leaves, structure = jax.tree.flatten(tree)
    return [leaf(x) for x in leaves], str(structure)


@pytest.mark.parametrize("name", [name for name in TREES if name != "keys of a dict"])
def test_a_stored_tree_is_the_computed_one(tmp_path, name):
    tree = TREES[name]
    save_tree(tmp_path / "tree.npz", tree)
    loaded = load_tree(tmp_path / "tree.npz")
    assert bits(loaded) == bits(host(tree))
    assert jax.tree.structure(loaded) == jax.tree.structure(tree)


def test_dicts_keep_the_type_and_the_order_of_their_keys(tmp_path):
    tree = TREES["keys of a dict"]
    save_tree(tmp_path / "tree.npz", tree)
    assert repr(load_tree(tmp_path / "tree.npz")) == repr(tree)


def test_keys_still_draw_the_same_numbers(tmp_path):
    key = jax.random.key(9)
    save_tree(tmp_path / "key.npz", key)
    np.testing.assert_array_equal(
        jax.random.normal(load_tree(tmp_path / "key.npz"), (3,)),
        jax.random.normal(key, (3,)),
    )


def test_float64_survives_where_jax_would_not_keep_it(tmp_path):
    with jax.enable_x64(True):
        save_tree(tmp_path / "x.npz", jnp.float64(1) / 3)
    assert (
        load_tree(tmp_path / "x.npz").dtype == np.float64
        and load_tree(tmp_path / "x.npz") == 1 / 3
    )


def test_numpy_reads_the_arrays_without_pickle(tmp_path):
    save_arrays(tmp_path / "x.npz", {"file": np.arange(3), "allow_pickle": 2.5})
    with np.load(tmp_path / "x.npz", allow_pickle=False) as archive:
        np.testing.assert_array_equal(archive["file"], [0, 1, 2])
        assert archive["allow_pickle"] == 2.5
    assert set(load_arrays(tmp_path / "x.npz")) == {"file", "allow_pickle"}


def test_damage_is_noticed_at_every_byte(tmp_path):
    path = tmp_path / "x.npz"
    save_tree(path, {"w": np.arange(3.0)})
    whole, expected = path.read_bytes(), bits(load_tree(path))
    refused = 0
    for i in range(len(whole)):
        for damaged in (
            whole[:i],
            whole[:i] + bytes([whole[i] ^ 0x21]) + whole[i + 1 :],
        ):
            path.write_bytes(damaged)
            try:
                assert bits(load_tree(path)) == expected
            except InputError:
                refused += 1
    assert refused > 1.5 * len(whole)


class Passing(NamedTuple):
    x: int


def test_a_named_tuple_is_found_in_loaded_modules_only(tmp_path, monkeypatch):
    path = tmp_path / "x.npz"
    save_tree(path, Passing(1))
    monkeypatch.delitem(globals(), "Passing")
    with pytest.raises(InputError, match="no NamedTuple of a loaded module"):
        load_tree(path)
    monkeypatch.setitem(globals(), "Passing", Pair)
    with pytest.raises(InputError):
        load_tree(path)


class Local:
    pass


def named(value):
    return type(value).__name__


@pytest.mark.parametrize(
    "tree",
    [
        Local(),
        np.array([object()]),
        {(1, 2): 3},
        {1, 2},
        1j,
        jax.sharding.PartitionSpec("x"),
    ],
    ids=named,
)
def test_what_cannot_be_stored_is_refused_when_computed(tmp_path, tree):
    with pytest.raises(InputError):
        host(tree)
    with pytest.raises(InputError):
        save_tree(tmp_path / "x.npz", tree)
    assert not list(tmp_path.iterdir())


@jax.tree_util.register_static
class Static:
    pass


@jax.tree_util.register_dataclass
@dataclass
class Registered:
    weight: object


def test_what_cannot_be_stored_is_refused_with_a_way_out(tmp_path):
    """A registered pytree is told apart from an object: its leaves can be stored."""
    module = Registered(np.ones(2))
    with pytest.raises(
        InputError,
        match=r"class Registered cannot be stored.*`jax\.tree\.leaves` of it",
    ):
        host({"params": [module]})
    for tree in (Static(), OrderedDict(a=1)):
        with pytest.raises(InputError, match=r"class .* cannot be stored"):
            host(tree)
    with pytest.raises(
        InputError, match="An object of type Local cannot be stored: use dicts"
    ):
        save_tree(tmp_path / "x.npz", Local())
    save_tree(tmp_path / "x.npz", jax.tree.leaves(module))
    (weight,) = load_tree(tmp_path / "x.npz")
    np.testing.assert_array_equal(weight, module.weight)


def test_a_local_named_tuple_is_refused():
    class Inside(NamedTuple):
        x: int

    with pytest.raises(InputError, match="top level"):
        host(Inside(1))


@pytest.mark.parametrize(
    "value", [[[1], [1, 2]], {"a": 1}, jax.random.key(0), object()], ids=named
)
def test_arrays_must_be_arrays(tmp_path, value):
    with pytest.raises(InputError, match="field"):
        save_arrays(tmp_path / "x.npz", {"field": value})


def test_missing_files_are_missing(tmp_path):
    with pytest.raises(InputError, match="missing"):
        load_arrays(tmp_path / "x.npz")
