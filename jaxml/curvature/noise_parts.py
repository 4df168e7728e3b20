"""Gradient noise from batches of two sizes: cheap enough to be watched in training."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Float

from jaxml import tree
from jaxml.curvature.noise import count_examples, inner, signals_of, totals
from jaxml.curvature.programs import run
from jaxml.curvature.space import check_leaves
from jaxml.types import Array, InputError, Objective, Params


class PartsNoise(NamedTuple):
    """Unbiased estimates from the gradients of equal parts of a batch.

    Attributes:
        covariance_trace: tr Σ, of one example's gradient.
        gradient_square: ‖G‖², of the gradient over all that examples are drawn from; it
            may come out negative where noise drowns it.
        traces: tr Σ by leaf of the parameters, a pytree of scalars.
        signals: ‖G‖² likewise.
    """

    covariance_trace: Float[Array, ""]
    gradient_square: Float[Array, ""]
    traces: Any
    signals: Any


def noise_of_parts(
    objective: Objective, params: Params, batch: Any, *, parts: int
) -> PartsNoise:
    """The noise of examples' gradients, from the gradients of equal parts of a batch.

    Cheap enough for a probe of a training: tr Σ from how far the parts' gradients are
    apart, ‖G‖² from their mean, in total and by leaf. The fewer the parts, the coarser:
    the relative error of tr Σ is √(2 / (parts - 1)) or less where gradients are normal,
    and averages out over evaluations (`noise_scale_of_series`).

    Cost: the gradients of the parts, one after another; memory: three gradients,
    however many parts.

    Args:
        objective: `(params, batch) -> scalar`, a mean over the batch; it sees each part
            as a batch.
        params: the point, a pytree.
        batch: a pytree of arrays with a leading axis of examples, no padding.
        parts: how many; neighbours share one.

    Raises:
        InputError: fewer than two parts, parts of unequal size, leaves of unequal
            length, or parameters that are no floating-point arrays.

    Source: McCandlish et al. 2018, arXiv:1812.06162, appendix A.1; Welford 1962,
        Technometrics 4, for the running sums.

    >>> pull = lambda w, x: jnp.mean(0.5 * (w - x) ** 2)
    >>> batch = jnp.array([0.0, 2.0, 2.0, 4.0])
    >>> noise = noise_of_parts(pull, jnp.zeros(()), batch, parts=2)
    >>> float(noise.covariance_trace), float(noise.gradient_square)
    (4.0, 3.0)
    """
    check_leaves(params)
    examples = count_examples(batch)
    if parts < 2 or examples < parts or examples % parts:
        raise InputError(
            f"{examples} examples in {parts} parts show no noise: give two equal parts "
            "or more."
        )
    return run(_noise_of_parts, (objective, parts), params, batch)


class _Sums(NamedTuple):
    """Of the parts so far: how many, their mean, and Σ ‖g - mean‖² by leaf."""

    parts: jax.Array
    mean: Params
    distances: Any


def _noise_of_parts(
    objective: Objective, parts: int, params: Params, batch: Any
) -> PartsNoise:
    examples = len(jax.tree.leaves(batch)[0])
    grad = jax.grad(objective)

    def cut(leaf: Array) -> Array:
        return jnp.asarray(leaf).reshape(parts, examples // parts, *leaf.shape[1:])

    def add(sums: _Sums, part: Any) -> tuple[_Sums, None]:
        count = sums.parts + 1
        apart = jax.tree.map(jnp.subtract, grad(params, part), sums.mean)
        mean = tree.axpy(1 / count, apart, sums.mean)
        left = (count - 1) / count

        def further(distance: jax.Array, leaf: jax.Array) -> jax.Array:
            return distance + jnp.asarray(left, leaf.dtype) * inner(leaf, leaf)

        return _Sums(count, mean, jax.tree.map(further, sums.distances, apart)), None

    precision = jnp.result_type(*jax.tree.leaves(params))
    nothing = _Sums(
        parts=jnp.zeros((), precision),
        mean=jax.tree.map(jnp.zeros_like, params),
        distances=jax.tree.map(lambda leaf: jnp.zeros((), leaf.dtype), params),
    )
    with jax.default_matmul_precision("highest"):
        (_, mean, distances), _ = jax.lax.scan(add, nothing, jax.tree.map(cut, batch))
    times = examples / parts / (parts - 1)
    traces = jax.tree.map(lambda leaf: times * leaf, distances)
    signals = signals_of(traces, jax.tree.map(inner, mean, mean), examples)
    return PartsNoise(*totals(traces, signals), traces, signals)


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
