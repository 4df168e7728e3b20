"""Gradient noise: how far the gradients of single examples are from their mean."""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial
from jaxtyping import Float

from jaxml import tree
from jaxml.curvature.programs import run
from jaxml.curvature.space import check_leaves
from jaxml.types import Array, InputError, Matvec, Objective, Params


class Noise(NamedTuple):
    """Unbiased estimates from the gradients gᵢ of n examples, ḡ their mean.

    In a metric A every ‖v‖² is vᵀAv, so tr Σ is tr AΣ, ‖G‖² is GᵀAG, and either may be
    negative where A is indefinite. What belongs to a leaf are its terms of that sum.

    Attributes:
        covariance_trace: tr Σ = Σᵢ ‖gᵢ - ḡ‖² / (n - 1), of one example's gradient.
        gradient_square: ‖G‖² = ‖ḡ‖² - tr Σ / n, of the gradient over all that examples
            are drawn from; it may come out negative where noise drowns it.
        traces: tr Σ by leaf of the parameters, a pytree of scalars.
        signals: ‖G‖² likewise.
        squares: `[n]`, ‖gᵢ‖².
        projections: `[n]`, ⟨gᵢ, ḡ⟩.
    """

    covariance_trace: Float[Array, ""]
    gradient_square: Float[Array, ""]
    traces: Any
    signals: Any
    squares: Float[Array, " n"]
    projections: Float[Array, " n"]


class _Moments(NamedTuple):
    """Of one example's gradient: ‖g - ḡ‖² by leaf, ‖g‖², and ⟨g, ḡ⟩."""

    distances: Any
    square: Any
    projection: Any


def gradient_noise(
    objective: Objective,
    params: Params,
    batch: Any,
    *,
    metric: Matvec | None = None,
    chunk: int = 64,
) -> Noise:
    """The noise of the gradients of a batch's examples at one point.

    With the Hessian H as the metric it is tr HΣ and GᵀHG, whose ratio is the critical
    noise scale of `noise_scale`. H is then held to be known: estimate it from other
    examples, or from many more.

    Cost: one gradient of every example, `chunk` at a time, and that of the batch;
    memory: `chunk` gradients. A metric is applied once to each of these. Compiled once
    for an objective and its shapes.

    Args:
        objective: `(params, batch) -> scalar`, a mean over the batch; a batch of one
            example is given as a batch of length 1.
        params: the point, a pytree.
        batch: a pytree of arrays with a leading axis of examples, no padding.
        metric: a symmetric linear map in which lengths are measured, such as
            `hessian_product(...)`; the identity when not given.
        chunk: examples whose gradients are held at once.

    Raises:
        InputError: fewer than two examples, leaves of unequal length, a chunk below 1,
            or parameters that are no floating-point arrays.

    Source: McCandlish et al. 2018, arXiv:1812.06162, appendix A; equation 2.8 for the
        metric.

    >>> pull = lambda w, x: jnp.mean(0.5 * (w - x) ** 2)
    >>> noise = gradient_noise(pull, jnp.zeros(()), jnp.array([1.0, 3.0]))
    >>> float(noise.covariance_trace), float(noise.gradient_square)
    (2.0, 3.0)
    """
    check_leaves(params)
    examples = count_examples(batch)
    if examples < 2 or chunk < 1:
        raise InputError(
            f"{examples} examples in chunks of {chunk} have no covariance: give two "
            "examples or more, and a chunk of 1 or more."
        )
    measure = metric or _identity
    operand = measure if isinstance(measure, Partial) else Partial(measure)
    return run(_noise, (objective, min(chunk, examples)), params, batch, operand)


def _identity(vector: Params) -> Params:
    return vector


def count_examples(batch: Any) -> int:
    """How many there are, if all arrays have as many."""
    lengths = {np.shape(leaf)[:1] for leaf in jax.tree.leaves(batch)}
    if len(lengths) != 1 or lengths == {()}:
        raise InputError(
            "A batch's arrays need one leading axis of examples: give all of them the "
            "same length."
        )
    ((examples,),) = lengths
    return examples


def _noise(
    objective: Objective, chunk: int, params: Params, batch: Any, metric: Matvec
) -> Noise:
    grad = jax.grad(objective)

    def moments(mean: Params, measured: Params, example: Any) -> _Moments:
        own = grad(params, jax.tree.map(lambda leaf: leaf[None], example))
        apart = jax.tree.map(jnp.subtract, own, mean)
        bent = metric(apart)
        return _Moments(
            distances=jax.tree.map(inner, apart, bent),
            square=tree.vdot(own, tree.axpy(1.0, bent, measured)),
            projection=tree.vdot(own, measured),
        )

    with jax.default_matmul_precision("highest"):
        mean = grad(params, batch)
        measured = metric(mean)
        found = jax.lax.map(partial(moments, mean, measured), batch, batch_size=chunk)
    n = len(found.square)
    traces = jax.tree.map(lambda leaf: jnp.sum(leaf) / (n - 1), found.distances)
    signals = signals_of(traces, jax.tree.map(inner, mean, measured), n)
    return Noise(
        *totals(traces, signals), traces, signals, found.square, found.projection
    )


def inner(u: Array, v: Array) -> jax.Array:
    """⟨u, v⟩ of two leaves."""
    return jnp.sum(u * v)


def signals_of(traces: Any, squares: Any, n: int) -> Any:
    """‖ḡ‖² - tr Σ / n by leaf."""
    return jax.tree.map(lambda trace, square: square - trace / n, traces, squares)


def totals(traces: Any, signals: Any) -> tuple[jax.Array, jax.Array]:
    """Both summed over the leaves."""
    return jax.tree.reduce(jnp.add, traces), jax.tree.reduce(jnp.add, signals)


def batch_covariance_trace(
    covariance_trace: float | Array, size: int, *, total: int | None = None
) -> Any:
    """tr Cov(g_B) = (tr Σ / B) (1 - B / N): the noise left in a batch of B examples.

    Without replacement from N examples the finite-population factor is 1 - B/N with
    tr Σ normalised by N - 1, as `gradient_noise` does; it is the (N - B)/(N - 1) of
    texts that normalise by N. With replacement, or from a stream, it is 1.

    Args:
        covariance_trace: tr Σ of one example's gradient.
        size: B.
        total: N; None draws with replacement.

    Raises:
        InputError: a size below 1, or above the total.

    >>> batch_covariance_trace(6.0, 2), batch_covariance_trace(6.0, 2, total=4)
    (3.0, 1.5)
    """
    if not 1 <= size <= (total or size):
        raise InputError(
            f"A batch of {size} cannot be drawn from {total} examples: choose a size "
            "from 1 to their number."
        )
    factor = 1.0 if total is None else 1 - size / total
    return covariance_trace / size * factor
