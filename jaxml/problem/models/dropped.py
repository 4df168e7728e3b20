"""What dropout averages over: all masks of a small network."""

from collections.abc import Callable, Sequence
from itertools import product

import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Float

from jaxml.types import InputError, Params

__all__ = ["mean_over_masks", "scaled_by_rest", "unscaled"]

Elementwise = Callable[[np.ndarray], np.ndarray]


def mean_over_masks(
    kernels: Sequence[Float[np.ndarray, "rows columns"]],
    inputs: Float[np.ndarray, "n rows"],
    dropped: float,
    *,
    activation: Elementwise,
) -> Float[np.ndarray, "n outputs"]:
    """Σₘ P(m) f(x; m): the mean output when each hidden unit is dropped with a
    probability, exactly.

    Cost: 2 to the number of hidden units, of which at most 16 are accepted.

    Args:
        kernels: of the layers, without biases.
        inputs: rows.
        dropped: p, the probability that a unit's value is 0.
        activation: of hidden layers.

    Raises:
        InputError: more than 16 hidden units, or p outside [0, 1].

    >>> ones = [np.ones((1, 1)), np.ones((1, 1))]
    >>> mean_over_masks(ones, np.ones((1, 1)), 0.25, activation=np.positive).tolist()
    [[0.75]]
    """
    widths = [kernel.shape[1] for kernel in kernels[:-1]]
    if sum(widths) > 16 or not 0 <= dropped <= 1:
        raise InputError(
            f"{sum(widths)} hidden units, dropped by {dropped}, have no sum over masks "
            "here: give 16 or fewer, and a probability."
        )
    total = np.zeros((len(inputs), kernels[-1].shape[1]))
    cuts = np.cumsum(widths)[:-1]
    for bits in product((0.0, 1.0), repeat=sum(widths)):
        mask = np.array(bits)
        chance = np.prod(np.where(mask > 0, 1 - dropped, dropped))
        factors = np.split(mask, cuts)
        total += chance * _outputs(kernels, inputs, factors, activation)
    return total


def scaled_by_rest(
    kernels: Sequence[Float[np.ndarray, "rows columns"]],
    inputs: Float[np.ndarray, "n rows"],
    dropped: float,
    *,
    activation: Elementwise,
) -> Float[np.ndarray, "n outputs"]:
    """The network whose hidden values are multiplied by 1 - p: the course's, at test.

    It is `mean_over_masks` of a linear network, and of one whose only hidden layer may
    bend; of more layers it is near.

    Source: Srivastava et al. 2014, "Dropout", section 4.
    """
    factors = [np.full(kernel.shape[1], 1 - dropped) for kernel in kernels[:-1]]
    return _outputs(kernels, inputs, factors, activation)


def unscaled(params: Params, dropped: ArrayLike) -> Params:
    """A dense network in evaluation whose hidden values are as large as those that were
    kept in training: those of dropout before its factor 1 - p.

    Training here divides what is kept by 1 - p, so that evaluation needs no factor; the
    kernels that read hidden values are divided by 1 - p once more.

    Args:
        params: a kernel and a bias by layer, in the order of the layers' names.
        dropped: p, perhaps traced.

    Source: Srivastava et al. 2014, "Dropout", section 4.

    >>> half = unscaled({"0": {"kernel": 1.0}, "1": {"kernel": 1.0}}, 0.5)
    >>> [layer["kernel"] for layer in half.values()]
    [1.0, 2.0]
    """
    first, *others = sorted(params)
    larger = {first: params[first]}
    for name in others:
        kernel = params[name]["kernel"] / (1 - dropped)
        larger[name] = {**params[name], "kernel": kernel}
    return larger


def _outputs(
    kernels: Sequence[np.ndarray],
    inputs: np.ndarray,
    factors: Sequence[np.ndarray],
    activation: Elementwise,
) -> np.ndarray:
    """With hidden values times these factors."""
    values = inputs
    for kernel, factor in zip(kernels, factors, strict=False):
        values = activation(values @ kernel) * factor
    return values @ kernels[-1]
