"""The whole matrix, for when it fits."""

from typing import Any

import jax
import jax.numpy as jnp
from jax.core import ShapedArray, eval_jaxpr
from jax.extend.core import Jaxpr, Literal, Var, jaxprs_in_params
from jaxtyping import Float

from jaxml import memory, tree
from jaxml.types import Matvec, Params


def dense(matvec: Matvec, params: Params, *, chunk: int = 32) -> Float[jax.Array, "p p"]:
    """The matrix A of `matvec`: column j is A eⱼ, in the order in which `tree.ravel` lists the parameters.

    p products, `chunk` at a time, written in place. The last chunk overlaps the one before it instead
    of reaching beyond the matrix, so there is one program whatever p is and nothing to cut off. The peak
    is the matrix and the working memory of `chunk` products: 1.7 matrices in all at the default, for
    4,810 parameters and 1,797 examples in float64. Works inside `jit`, `vmap` and `lax.map`; outside,
    each call compiles anew.

    The result is not symmetrised: a Hessian's two triangles differ by rounding only, `eigenvalues` and
    `inertia` read one of them, and a transpose costs a second matrix.

    Args:
        matvec: a linear map; `hessian_product` keeps what its products share.
        params: the space it acts on; only shapes and dtype are read.
        chunk: products at a time. More of them fill a larger machine; fewer need less memory.

    Raises:
        InputError: the matrix and its working memory do not fit.

    >>> dense(lambda v: {"a": 2 * v["b"], "b": 3 * v["a"]}, {"a": jnp.ones(1), "b": jnp.ones(1)}).tolist()
    [[0.0, 2.0], [3.0, 0.0]]
    """
    flat, unravel = tree.ravel(params)
    size, chunk = flat.size, min(chunk, flat.size)

    def columns(first: jax.Array) -> jax.Array:
        units = jax.nn.one_hot(first + jnp.arange(chunk), size, dtype=flat.dtype)
        return jax.vmap(lambda unit: tree.ravel(matvec(unravel(unit)))[0], out_axes=1)(units)

    def fill(residuals: list[jax.Array]) -> jax.Array:
        def write(index: jax.Array, matrix: jax.Array) -> jax.Array:
            first = jnp.minimum(index * chunk, size - chunk)
            (block,) = eval_jaxpr(program.jaxpr, residuals, first)
            return jax.lax.dynamic_update_slice_in_dim(matrix, block, first, 1)

        return jax.lax.fori_loop(0, -(-size // chunk), write, jnp.zeros((size, size), flat.dtype))

    with jax.default_matmul_precision("highest"):
        program = jax.make_jaxpr(columns)(0)
    needed = size**2 * flat.dtype.itemsize + _working_bytes(program.jaxpr)
    memory.require(
        needed,
        f"The dense {size} x {size} matrix",
        "lower chunk, take fewer examples, or ask `extremes` for the ends of the spectrum",
    )
    return jax.jit(fill)(program.consts)


def _working_bytes(jaxpr: Jaxpr) -> int:
    """Bytes alive at the worst moment when the equations run one by one, beyond the arguments."""
    last = {v: i for i, e in enumerate(jaxpr.eqns) for v in e.invars if not isinstance(v, Literal)}
    kept = {v for v in jaxpr.outvars if not isinstance(v, Literal)}
    alive: dict[Var, int] = {}
    peak = 0
    for i, equation in enumerate(jaxpr.eqns):
        written = {v: _bytes(v.aval) for v in equation.outvars}
        inner = max(map(_working_bytes, jaxprs_in_params(equation.params)), default=0)
        peak = max(peak, sum(alive.values()) + max(sum(written.values()), inner))
        alive = {v: n for v, n in (alive | written).items() if v in kept or last.get(v, -1) > i}
    return peak


def _bytes(value: Any) -> int:
    return value.size * value.dtype.itemsize if isinstance(value, ShapedArray) else 0
