"""Compiled programs that are kept, so that another call of the same kind compiles
nothing.
"""

from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from jaxml import parallel
from jaxml.parallel import Program

KEPT = 64
"""Programs that are kept; the least recently used one goes first, and with it its
memory.
"""


def run(function: Callable[..., Any], fixed: tuple[Any, ...], *operands: Any) -> Any:
    """`function(*fixed, *operands)`, compiled, by the program of the last such call if
    there was one.

    Fixed arguments are told apart by hash and equality, so functions by identity; what
    cannot be hashed gets a program of its own. Inside another program the function
    becomes part of that.

    >>> double, triple = (lambda x: 2 * x), (lambda x: 3 * x)
    >>> [float(run(lambda f, x: f(x), (f,), 5.0)) for f in (double, triple, double)]
    [10.0, 15.0, 10.0]
    """
    if traced(operands):
        return function(*fixed, *operands)
    try:
        program = _kept(function, *fixed)
    except TypeError:
        program = jax.jit(partial(function, *fixed))
    return program(*operands)


def mapped(
    function: Callable[..., Any], fixed: tuple[Any, ...], runs: Any, shared: Any
) -> Any:
    """`function(*fixed, run, shared)` of every run, each by itself, as many at once as
    there are devices.

    The program is kept as that of `run`. Inside another program the runs follow one
    another.

    Args:
        function: of the fixed arguments, one run, and what all share.
        fixed: told apart as `run` does.
        runs: arrays with a leading axis of runs.
        shared: arrays that every run is given.

    >>> affine = lambda scale, run, shift: scale * run + shift
    >>> mapped(affine, (2.0,), jnp.arange(3.0), 1.0).tolist()
    [1.0, 3.0, 5.0]
    """
    if traced((runs, shared)):
        return jax.lax.map(lambda run: function(*fixed, run, shared), runs)
    signature = _Signature.of(parallel.rows(runs, np.arange(1)), shared)
    try:
        program = _kept_program(function, fixed, signature)
    except TypeError:
        program = _program(function, fixed, signature)
    return jax.tree.map(jnp.asarray, parallel.gathered(program, runs, shared))


class _Signature(NamedTuple):
    """All that a program of one run depends on beside its function: hashable."""

    structure: Any
    shapes: tuple[jax.ShapeDtypeStruct, ...]
    devices: tuple[Any, ...]
    settings: tuple[Any, ...]

    @staticmethod
    def of(*operands: Any) -> "_Signature":
        shapes, structure = jax.tree.flatten(
            jax.eval_shape(lambda *operands: operands, *operands)
        )
        settings = tuple(jax.config.values[name] for name in _SETTINGS)
        return _Signature(structure, tuple(shapes), tuple(parallel.devices()), settings)


_SETTINGS = (
    "jax_enable_x64",
    "jax_default_matmul_precision",
    "jax_numpy_dtype_promotion",
)
"""The settings of JAX that a `with` statement changes and that a program depends on."""


def _program(
    function: Callable[..., Any], fixed: tuple[Any, ...], signature: _Signature
) -> Program:
    one, shared = jax.tree.unflatten(signature.structure, signature.shapes)

    def chunk(runs: Any, shared: Any) -> Any:
        alone = jax.tree.map(lambda leaf: leaf[0], runs)
        return jax.tree.map(lambda leaf: leaf[None], function(*fixed, alone, shared))

    return parallel.compiled(chunk, one, shared, chunks=len(signature.devices))


_kept_program = lru_cache(maxsize=KEPT)(_program)


def traced(operands: Any) -> bool:
    """Whether any leaf is a tracer, so that a program is being built around this
    call.
    """
    return any(isinstance(leaf, Tracer) for leaf in jax.tree.leaves(operands))


@lru_cache(maxsize=KEPT)
def _kept(function: Callable[..., Any], *fixed: Any) -> Callable[..., Any]:
    return jax.jit(partial(function, *fixed))
