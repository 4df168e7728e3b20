"""Gradient noise: how far the gradients of single examples are from their mean, and the
batch size at which that noise is as large as the gradient.
"""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from jaxml import tree
from jaxml.curvature.programs import run
from jaxml.curvature.space import check_leaves
from jaxml.types import Array, InputError, Objective, Params


class Noise(NamedTuple):
    """Unbiased estimates from the gradients gᵢ of n examples, ḡ their mean.

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


def gradient_noise(
    objective: Objective, params: Params, batch: Any, *, chunk: int = 64
) -> Noise:
    """The noise of the gradients of a batch's examples at one point.

    Cost: one gradient of every example, `chunk` at a time, and that of the batch;
    memory: `chunk` gradients. Compiled once for an objective and its shapes.

    Args:
        objective: `(params, batch) -> scalar`, a mean over the batch; a batch of one
            example is given as a batch of length 1.
        params: the point, a pytree.
        batch: a pytree of arrays with a leading axis of examples, no padding.
        chunk: examples whose gradients are held at once.

    Raises:
        InputError: fewer than two examples, leaves of unequal length, a chunk below 1,
            or parameters that are no floating-point arrays.

    Source: McCandlish et al. 2018, arXiv:1812.06162, appendix A.

    >>> pull = lambda w, x: jnp.mean(0.5 * (w - x) ** 2)
    >>> noise = gradient_noise(pull, jnp.zeros(()), jnp.array([1.0, 3.0]))
    >>> float(noise.covariance_trace), float(noise.gradient_square)
    (2.0, 3.0)
    """
    check_leaves(params)
    lengths = {np.shape(leaf)[:1] for leaf in jax.tree.leaves(batch)}
    if len(lengths) != 1 or lengths == {()}:
        raise InputError(
            "A batch's arrays need one leading axis of examples: give all of them the "
            "same length."
        )
    ((examples,),) = lengths
    if examples < 2 or chunk < 1:
        raise InputError(
            f"{examples} examples in chunks of {chunk} have no covariance: give two "
            "examples or more, and a chunk of 1 or more."
        )
    return run(_noise, (objective, min(chunk, examples)), params, batch)


def _noise(objective: Objective, chunk: int, params: Params, batch: Any) -> Noise:
    examples = len(jax.tree.leaves(batch)[0])

    def gradient(example: Any) -> Params:
        alone = jax.tree.map(lambda leaf: leaf[None], example)
        return jax.grad(objective)(params, alone)

    def moments(mean: Params, example: Any) -> tuple[Any, Any, Any]:
        own = gradient(example)
        distances = jax.tree.map(lambda g, m: jnp.sum((g - m) ** 2), own, mean)
        return distances, tree.vdot(own, own), tree.vdot(own, mean)

    with jax.default_matmul_precision("highest"):
        mean = jax.grad(objective)(params, batch)
        distances, squares, projections = jax.lax.map(
            partial(moments, mean), batch, batch_size=chunk
        )
    traces = jax.tree.map(lambda leaf: jnp.sum(leaf) / (examples - 1), distances)
    signals = jax.tree.map(
        lambda trace, leaf: jnp.sum(leaf**2) - trace / examples, traces, mean
    )
    return Noise(
        covariance_trace=jax.tree.reduce(jnp.add, traces),
        gradient_square=jax.tree.reduce(jnp.add, signals),
        traces=traces,
        signals=signals,
        squares=squares,
        projections=projections,
    )


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


class NoiseScale(NamedTuple):
    """A batch size at which noise and signal are equal, and its jackknife error.

    Attributes:
        estimate: tr Σ / ‖G‖²; infinite where ‖G‖² is not estimated above 0.
        low: of an interval of 95 %, by the jackknife in the logarithm.
        high: likewise; infinite where the gradient cannot be told from 0.
    """

    estimate: float
    low: float
    high: float


def simple_noise_scale(noise: Noise) -> NoiseScale:
    """B_simple = tr Σ / ‖G‖², in examples, with an interval over the examples.

    The interval is the jackknife's, of log B: each example is left out once, which
    needs nothing but its ‖gᵢ‖² and ⟨gᵢ, ḡ⟩.

    Source: McCandlish et al. 2018, arXiv:1812.06162, equation 2.9; Efron 1982, "The
    jackknife".
    """
    squares = np.asarray(noise.squares, np.float64)
    projections = np.asarray(noise.projections, np.float64)
    n = len(squares)
    mean_square = float(np.mean(projections))  # ⟨ḡ, ḡ⟩
    logs = _log_scale(
        squares.sum() - squares,
        (n**2 * mean_square - 2 * n * projections + squares) / (n - 1) ** 2,
        n - 1,
    )
    whole = float(_log_scale(squares.sum(), mean_square, n))
    if not np.isfinite(whole):
        return NoiseScale(np.inf, 0.0, np.inf)
    if not np.isfinite(logs).all():
        return NoiseScale(float(np.exp(whole)), 0.0, np.inf)
    error = np.sqrt((n - 1) * np.var(logs))
    low, high = np.exp(whole - 1.96 * error), np.exp(whole + 1.96 * error)
    return NoiseScale(float(np.exp(whole)), float(low), float(high))


def _log_scale(squares: Any, mean_square: Any, n: int) -> Any:
    """log(tr Σ / ‖G‖²) from Σ‖gᵢ‖² and ‖ḡ‖²; infinite where ‖G‖² is not above 0."""
    trace = (squares - n * mean_square) / (n - 1)
    signal = mean_square - trace / n
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(signal > 0, np.log(trace) - np.log(signal), np.inf)
