"""Sums that forget, written out: what a momentum or a moving mean is made of."""

import numpy as np
from jaxtyping import Float


def decayed_sums(
    values: Float[np.ndarray, "update ..."], kept: float
) -> Float[np.ndarray, "update ..."]:
    """Σₖ keptᵗ⁻ᵏ xₖ over all values up to each update t, as the definition has it: no
    sum is made of the one before, so that it can judge what is.

    Cost: the square of the number of updates.

    Args:
        values: x, by update.
        kept: how much of a sum an update keeps, from 0 to 1.

    >>> decayed_sums(np.array([1.0, 1.0, 2.0]), 0.5).tolist()
    [1.0, 1.5, 2.75]
    """
    numbers = np.arange(len(values))
    ages = np.maximum(np.subtract.outer(numbers, numbers), 0)
    weights = np.tri(len(numbers)) * kept**ages
    return np.tensordot(weights, values, axes=1)
