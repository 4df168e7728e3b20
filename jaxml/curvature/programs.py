"""Compiled programs that are kept, so that another call of the same kind compiles nothing."""

from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any

import jax
from jax.core import Tracer

KEPT = 64
"""Programs that are kept; the least recently used one goes first, and with it its memory."""


def run(function: Callable[..., Any], fixed: tuple[Any, ...], *operands: Any) -> Any:
    """`function(*fixed, *operands)`, compiled, by the program of the last such call if there was one.

    Fixed arguments are told apart by hash and equality, so functions by identity; what cannot be hashed
    gets a program of its own. Inside another program the function becomes part of that.

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


def traced(operands: Any) -> bool:
    """Whether any leaf is a tracer, so that a program is being built around this call."""
    return any(isinstance(leaf, Tracer) for leaf in jax.tree.leaves(operands))


@lru_cache(maxsize=KEPT)
def _kept(function: Callable[..., Any], *fixed: Any) -> Callable[..., Any]:
    return jax.jit(partial(function, *fixed))
