"""Which arguments of a function its results depend on, by the flow of data through its
trace.
"""

from collections.abc import Callable
from typing import Any

import jax


def depends(function: Callable[..., Any], *arguments: Any) -> list[bool]:
    """For each array among the arguments, in the order of their leaves, whether a
    result depends on it.

    Cost: one trace. A function called within, such as a loop or a jitted one, counts as
    reading all that it is given, so that "no" is certain and "yes" is not.

    >>> import jax.numpy as jnp
    >>> depends(lambda x, y: x + 0 * jnp.ones(()), jnp.float32(1), jnp.float32(2))
    [True, False]
    """
    closed = jax.make_jaxpr(function)(*arguments)
    needed = {id(result) for result in closed.jaxpr.outvars}
    for equation in reversed(closed.jaxpr.eqns):
        if any(id(result) in needed for result in equation.outvars):
            needed.update(id(operand) for operand in equation.invars)
    return [id(argument) in needed for argument in closed.jaxpr.invars]
