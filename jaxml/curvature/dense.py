"""The whole matrix, for when it fits."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import ShapedArray, eval_jaxpr
from jax.extend.core import ClosedJaxpr, Jaxpr, Literal, Var, jaxprs_in_params
from jax.tree_util import Partial
from jaxtyping import Float

from jaxml import memory, tree
from jaxml.curvature.programs import run
from jaxml.curvature.space import check_space
from jaxml.types import InputError, Matvec, Params


def dense(
    matvec: Matvec, params: Params, *, chunk: int = 32
) -> Float[jax.Array, "p p"]:
    """The matrix A of `matvec`: column j is A eⱼ, in the order in which `tree.ravel`
    lists the parameters.

    p products, `chunk` at a time, written in place. The last chunk overlaps the one
    before it instead of reaching beyond the matrix, so there is one program whatever p
    is and nothing to cut off. The peak is the matrix and the working memory of `chunk`
    products: 1.7 matrices in all at the default, for 4,810 parameters and 1,797
    examples in float64. Works inside `jit`, `vmap` and `lax.map`; outside, the program
    of a `hessian_product` is kept, and that of any other map compiled anew by each
    call.

    The result is not symmetrised: a Hessian's two triangles differ by rounding only,
    `eigenvalues` and `inertia` read one of them, and a transpose costs a second matrix.

    Args:
        matvec: a linear map; `hessian_product` keeps what its products share.
        params: the space it acts on; only shapes and dtype are read.
        chunk: products at a time. More of them fill a larger machine; fewer need less
            memory.

    Raises:
        InputError: the matrix and its working memory do not fit; `chunk` is below 1;
            the parameters are empty, or not of one precision; the map leads to another
            space.

    >>> def crossed(v):
    ...     return {"a": 2 * v["b"], "b": 3 * v["a"]}
    >>> dense(crossed, {"a": jnp.ones(1), "b": jnp.ones(1)}).tolist()
    [[0.0, 2.0], [3.0, 0.0]]
    """
    if chunk < 1:
        raise InputError(
            f"A chunk of {chunk} products fills no matrix: take 1 or more."
        )
    dtype, size = check_space(params), tree.size(params)
    chunk = min(chunk, size)
    program = _columns(matvec, params, chunk)
    (image,) = program.out_avals
    if (image.shape, image.dtype) != ((size, chunk), dtype):
        raise InputError(
            f"The map takes {size} numbers of {dtype} to {image.shape[0]} of "
            f"{image.dtype}: return a pytree like the parameters."
        )
    memory.require(
        size**2 * dtype.itemsize + working_bytes(program.jaxpr),
        f"The dense {size} x {size} matrix",
        "lower chunk, take fewer examples, or ask `extremes` for the ends of the "
        "spectrum",
    )
    if isinstance(matvec, Partial):
        residuals, structure = jax.tree.flatten(matvec)
        return run(_matrix, (structure, chunk), residuals, params)
    return jax.jit(partial(_fill, program.jaxpr, size, chunk, dtype))(program.consts)


def _matrix(
    structure: Any, chunk: int, residuals: list[Any], params: Params
) -> jax.Array:
    """The matrix of a product that is a pytree, in a program of its structure."""
    program = _columns(jax.tree.unflatten(structure, residuals), params, chunk)
    return _fill(
        program.jaxpr, tree.size(params), chunk, check_space(params), program.consts
    )


def _columns(matvec: Matvec, params: Params, chunk: int) -> ClosedJaxpr:
    """The program of `chunk` columns `[p, chunk]` from the first one's number."""
    flat, unravel = tree.ravel(params)

    def image(unit: jax.Array) -> jax.Array:
        return tree.ravel(matvec(unravel(unit)))[0]

    def columns(first: jax.Array) -> jax.Array:
        units = jax.nn.one_hot(first + jnp.arange(chunk), flat.size, dtype=flat.dtype)
        return jax.vmap(image, out_axes=1)(units)

    with jax.default_matmul_precision("highest"):
        return jax.make_jaxpr(columns)(0)


def _fill(
    program: Jaxpr, size: int, chunk: int, dtype: np.dtype, residuals: list[Any]
) -> jax.Array:
    def write(index: jax.Array, matrix: jax.Array) -> jax.Array:
        first = jnp.minimum(index * chunk, size - chunk)
        (block,) = eval_jaxpr(program, residuals, first)
        return jax.lax.dynamic_update_slice_in_dim(matrix, block, first, 1)

    return jax.lax.fori_loop(
        0, -(-size // chunk), write, jnp.zeros((size, size), dtype)
    )


def working_bytes(jaxpr: Jaxpr) -> int:
    """Bytes alive at the worst moment when the equations run one by one, beyond the
    arguments.
    """
    last = {
        v: i
        for i, e in enumerate(jaxpr.eqns)
        for v in e.invars
        if not isinstance(v, Literal)
    }
    kept = {v for v in jaxpr.outvars if not isinstance(v, Literal)}
    alive: dict[Var, int] = {}
    peak = 0
    for i, equation in enumerate(jaxpr.eqns):
        written = {v: _bytes(v.aval) for v in equation.outvars}
        inner = max(map(working_bytes, jaxprs_in_params(equation.params)), default=0)
        peak = max(peak, sum(alive.values()) + max(sum(written.values()), inner))
        alive = {
            v: n
            for v, n in (alive | written).items()
            if v in kept or last.get(v, -1) > i
        }
    return peak


def _bytes(value: Any) -> int:
    return value.size * value.dtype.itemsize if isinstance(value, ShapedArray) else 0
