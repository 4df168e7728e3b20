"""What curvature can be measured of: parameters in one precision, and objectives that
do not draw.
"""

import re
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from jaxml import tree
from jaxml.types import InputError, Objective, Params

PRECISIONS = (np.dtype(np.float32), np.dtype(np.float64))


def check_space(params: Params) -> np.dtype:
    """The one precision of all leaves, float32 or float64.

    Raises:
        InputError: there is no entry; a leaf is no array, or not of floating point; the
            leaves differ in precision; LAPACK does not take the precision.
    """
    leaves = jax.tree.leaves(params)
    for leaf in leaves:
        _check_leaf(leaf)
    if tree.size(params) == 0:
        raise InputError(
            "There are no parameters to differentiate by: give at least one entry."
        )
    dtypes = {np.dtype(leaf.dtype) for leaf in leaves}
    if len(dtypes) > 1:
        names = " and ".join(sorted(map(str, dtypes)))
        raise InputError(
            f"The parameters mix {names}: cast every leaf to one precision."
        )
    (dtype,) = dtypes
    if dtype not in PRECISIONS:
        raise InputError(
            f"Spectra are not computed in {dtype}: cast the parameters to float32 or "
            "float64."
        )
    return dtype


def check_leaves(params: Params) -> None:
    """Something to differentiate by: floating-point arrays of any precision.

    Raises:
        InputError: there is no entry; a leaf is no array, or not of floating point.
    """
    for leaf in jax.tree.leaves(params):
        _check_leaf(leaf)
    if tree.size(params) == 0:
        raise InputError(
            "There are no parameters to differentiate by: give at least one entry."
        )


def _check_leaf(leaf: Any) -> None:
    if not isinstance(leaf, jax.Array | np.ndarray | np.generic):
        kind = type(leaf).__name__
        raise InputError(
            f"A leaf of the parameters is a {kind}, not an array: wrap numbers in "
            "jnp.asarray, and keep functions and settings out of the pytree."
        )
    if not jnp.issubdtype(leaf.dtype, jnp.floating):
        raise InputError(
            f"A leaf of the parameters is of {leaf.dtype}, which has no derivative: "
            "leave it out, or cast it to floating point."
        )


def check_like(vector: Params, params: Params, name: str) -> None:
    """A vector must have the structure, the shapes and the precision of the parameters.

    Raises:
        InputError: it has others, so that adding it would broadcast or fail.
    """
    if jax.tree.structure(vector) != jax.tree.structure(params):
        raise InputError(
            f"The {name} is not a pytree like the parameters: give one leaf for each "
            "of theirs."
        )
    for ours, theirs in zip(
        jax.tree.leaves(vector), jax.tree.leaves(params), strict=True
    ):
        if jnp.shape(ours) != jnp.shape(theirs) or ours.dtype != theirs.dtype:
            raise InputError(
                f"The {name} has a leaf {jnp.shape(ours)} of {ours.dtype} where the "
                f"parameters have {jnp.shape(theirs)} of {theirs.dtype}: give it their "
                "shapes and precision."
            )


def check_deterministic(objective: Objective, params: Params, batch: Any) -> None:
    """An objective must be the same function whenever it is traced: it is traced twice
    and compared.

    Costs two traces and no computation. What draws from a key in the batch is
    deterministic.

    Raises:
        InputError: the traces differ, as they do where random numbers are drawn by
            NumPy, or from a generator that keeps a state (dropout without a key).
    """
    first, second = (jax.make_jaxpr(_fresh(objective))(params, batch) for _ in range(2))
    same = _text(first.jaxpr) == _text(second.jaxpr) and len(first.consts) == len(
        second.consts
    )
    if not (same and all(map(_equal, first.consts, second.consts))):
        raise InputError(
            "The objective is another function each time it is traced: draw its random "
            "numbers from a key in the batch, or switch dropout off."
        )


def _fresh(objective: Objective) -> Objective:
    """The same function under a new identity, which no cache of traces knows."""

    def traced(params: Params, batch: Any) -> Any:
        return objective(params, batch)

    return traced


def _text(program: Any) -> str:
    """The program as it is printed, without the addresses of the functions in it."""
    return re.sub(r"0x[0-9a-f]+", "", str(program))


def _equal(ours: Any, theirs: Any) -> bool:
    """Whether two constants agree, as far as their values are known while tracing."""
    if ours is theirs or isinstance(ours, Tracer) or isinstance(theirs, Tracer):
        return True
    if not (hasattr(ours, "dtype") and hasattr(theirs, "dtype")):
        return bool(ours == theirs)
    if jnp.issubdtype(ours.dtype, jax.dtypes.prng_key):
        ours, theirs = jax.random.key_data(ours), jax.random.key_data(theirs)
    return np.array_equal(
        np.asarray(ours), np.asarray(theirs), equal_nan=ours.dtype.kind == "f"
    )
