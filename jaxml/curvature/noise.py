"""Gradient noise: how far the gradients of examples, or of parts of a batch, are from
their mean.
"""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial
from jaxtyping import Float, Int

from jaxml import tree
from jaxml.curvature.programs import run
from jaxml.curvature.space import check_leaves
from jaxml.types import Array, InputError, Matvec, Objective, Params


class Noise(NamedTuple):
    """Unbiased estimates from n gradients gᵢ, each over `size` examples, ḡ their mean.

    In a metric A every ‖v‖² is vᵀAv, so tr Σ is tr AΣ, ‖G‖² is GᵀAG, and either may be
    negative where A is indefinite. What belongs to a leaf are its terms of that sum.

    Attributes:
        covariance_trace: tr Σ = size · Σᵢ ‖gᵢ - ḡ‖² / (n - 1), of one example's
            gradient.
        gradient_square: ‖G‖² = ‖ḡ‖² - tr Σ / (n size), of the gradient over all that
            examples are drawn from; it may come out negative where noise drowns it.
        traces: tr Σ by leaf of the parameters, a pytree of scalars.
        signals: ‖G‖² likewise.
        squares: `[n]`, ‖gᵢ‖².
        projections: `[n]`, ⟨gᵢ, ḡ⟩.
        size: examples of each gradient.
    """

    covariance_trace: Float[Array, ""]
    gradient_square: Float[Array, ""]
    traces: Any
    signals: Any
    squares: Float[Array, " n"]
    projections: Float[Array, " n"]
    size: Int[Array, ""] | int = 1


class _Moments(NamedTuple):
    """Of one gradient: ‖g - ḡ‖² by leaf, ‖g‖², and ⟨g, ḡ⟩."""

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
    examples = _examples(batch)
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


def _examples(batch: Any) -> int:
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
        alone = jax.tree.map(lambda leaf: leaf[None], example)
        return _moments(grad(params, alone), mean, measured, metric)

    with jax.default_matmul_precision("highest"):
        mean = grad(params, batch)
        measured = metric(mean)
        of_examples = partial(moments, mean, measured)
        found = jax.lax.map(of_examples, batch, batch_size=chunk)
    return _estimates(found, mean, measured, size=1)


def _moments(own: Params, mean: Params, measured: Params, metric: Matvec) -> _Moments:
    """Of one gradient; `measured` is the metric times the mean."""
    apart = jax.tree.map(jnp.subtract, own, mean)
    bent = metric(apart)
    return _Moments(
        distances=jax.tree.map(_dot, apart, bent),
        square=tree.vdot(own, tree.axpy(1.0, bent, measured)),
        projection=tree.vdot(own, measured),
    )


def _dot(u: Array, v: Array) -> jax.Array:
    return jnp.sum(u * v)


def _estimates(
    moments: _Moments, mean: Params, measured: Params, *, size: int
) -> Noise:
    """From the moments `[n]` of gradients over `size` examples each."""
    n = len(moments.square)
    times = size / (n - 1)
    traces = jax.tree.map(lambda leaf: jnp.sum(leaf) * times, moments.distances)

    def signal(trace: jax.Array, leaf: jax.Array, bent: jax.Array) -> jax.Array:
        return _dot(leaf, bent) - trace / (n * size)

    signals = jax.tree.map(signal, traces, mean, measured)
    return Noise(
        covariance_trace=jax.tree.reduce(jnp.add, traces),
        gradient_square=jax.tree.reduce(jnp.add, signals),
        traces=traces,
        signals=signals,
        squares=moments.square,
        projections=moments.projection,
        size=jnp.int32(size),
    )


def noise_of_parts(
    objective: Objective, params: Params, batch: Any, *, parts: int
) -> Noise:
    """The noise of examples' gradients, from the gradients of equal parts of a batch.

    Cheap enough for a probe of a training: tr Σ from how far the parts' gradients are
    apart, ‖G‖² from their mean, in total and by leaf. The fewer the parts, the coarser:
    the relative error of tr Σ is √(2 / (parts - 1)) or less where gradients are normal,
    and averages out over evaluations (`noise_scale_of_series`).

    Cost: one gradient of the batch, its parts side by side; memory: `parts` gradients.

    Args:
        objective: `(params, batch) -> scalar`, a mean over the batch; it sees each part
            as a batch.
        params: the point, a pytree.
        batch: a pytree of arrays with a leading axis of examples, no padding.
        parts: how many; neighbours share one.

    Raises:
        InputError: fewer than two parts, parts of unequal size, leaves of unequal
            length, or parameters that are no floating-point arrays.

    Source: McCandlish et al. 2018, arXiv:1812.06162, appendix A.1.

    >>> pull = lambda w, x: jnp.mean(0.5 * (w - x) ** 2)
    >>> batch = jnp.array([0.0, 2.0, 2.0, 4.0])
    >>> noise = noise_of_parts(pull, jnp.zeros(()), batch, parts=2)
    >>> float(noise.covariance_trace), float(noise.gradient_square)
    (4.0, 3.0)
    """
    check_leaves(params)
    examples = _examples(batch)
    if parts < 2 or examples < parts or examples % parts:
        raise InputError(
            f"{examples} examples in {parts} parts show no noise: give two equal parts "
            "or more."
        )
    return run(_noise_of_parts, (objective, parts), params, batch)


def _noise_of_parts(
    objective: Objective, parts: int, params: Params, batch: Any
) -> Noise:
    size = len(jax.tree.leaves(batch)[0]) // parts

    def cut(leaf: Array) -> Array:
        return jnp.asarray(leaf).reshape(parts, size, *leaf.shape[1:])

    with jax.default_matmul_precision("highest"):
        pieces = jax.tree.map(cut, batch)
        gradients = jax.vmap(jax.grad(objective), (None, 0))(params, pieces)
    mean = jax.tree.map(lambda leaf: jnp.mean(leaf, axis=0), gradients)
    measured = partial(_moments, mean=mean, measured=mean, metric=_identity)
    return _estimates(jax.vmap(measured)(gradients), mean, mean, size=size)


def noise_of_batches(
    small: float | Array, large: float | Array, sizes: tuple[int, int]
) -> tuple[Any, Any]:
    """(tr Σ, ‖G‖²), unbiased, from ‖g‖² of gradients over batches of two sizes.

    E‖g_B‖² = ‖G‖² + tr Σ / B, at two B. Cheap enough for every step of a training on
    several devices, whose parts and whole are batches of two sizes; average many.

    Args:
        small: ‖g‖² of the small batch, or its mean over several.
        large: ‖g‖² of the large one.
        sizes: of the small and the large batch.

    Raises:
        InputError: the first size is no smaller than the second.

    Source: McCandlish et al. 2018, arXiv:1812.06162, equations A.1 and A.2.

    >>> noise_of_batches(5.0, 4.0, (1, 2))
    (2.0, 3.0)
    """
    few, many = sizes
    if not 1 <= few < many:
        raise InputError(
            f"Batches of {few} and {many} tell noise and signal apart only where the "
            "first is the smaller: give the smaller size first."
        )
    signal = (many * large - few * small) / (many - few)
    return (small - large) / (1 / few - 1 / many), signal


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
