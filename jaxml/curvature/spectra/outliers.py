"""How many eigenvalues stand apart from the others."""

import numpy as np

from jaxml.types import Array, InputError


def outliers(highest: Array, *, rounding: float = 1e-5) -> np.ndarray:
    """The place of the largest ratio λᵢ / λᵢ₊₁ among the highest eigenvalues.

    So many eigenvalues lie above the widest gap on a logarithmic scale. There always is
    one: a spectrum without a gap gives any number, from 1 to one less than there are
    eigenvalues. Give equally many wherever numbers are compared, and more than twice
    those that are expected.

    Args:
        highest: `[..., eigenvalue]`, descending, as from the upper end of `ends`.
        rounding: of the largest; what lies below it, negative values too, counts as
            equal to it, since its ratios are noise.

    Returns:
        `[...]`, in float64; nan where an eigenvalue is no number, or none is positive.

    Raises:
        InputError: fewer than two eigenvalues, or ascending ones.

    Source: Sagun et al. 2017, arXiv:1706.04454, section 3, the gap that is seen there.

    >>> float(outliers(np.array([9.0, 8.0, 0.5, 0.4])))
    2.0
    """
    values = np.asarray(highest)
    if values.ndim < 1 or values.shape[-1] < 2:
        raise InputError(
            f"Eigenvalues of shape {values.shape} have no gap: give two or more."
        )
    if np.any(values[..., 1:] > values[..., :-1]):
        raise InputError(
            "Eigenvalues ascend somewhere: give them descending, as in values[::-1]."
        )
    largest = values[..., :1]
    with np.errstate(invalid="ignore", divide="ignore"):
        raised = np.maximum(values, rounding * largest)
        ratios = raised[..., :-1] / raised[..., 1:]
    known = np.all(np.isfinite(values), axis=-1) & (largest[..., 0] > 0)
    places = 1.0 + np.argmax(np.nan_to_num(ratios), axis=-1)
    return np.where(known, places, np.nan)
