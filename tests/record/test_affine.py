"""The affine law in relative error, against SciPy's non-negative least squares and
closed forms.
"""

import numpy as np
import pytest
from scipy.optimize import nnls

from jaxml import record
from jaxml.record import Affine
from jaxml.types import InputError

SIZES = np.array([1, 10, 100, 1000, 10_000])


@pytest.mark.oracle
@pytest.mark.parametrize("power", [-0.3, 0.0, 0.4, 0.9, 1.0, 1.3])
def test_it_is_the_non_negative_least_squares(power: float) -> None:
    """Of powers of x, convex ones among them, where a part of the law is 0."""
    noise = np.random.default_rng(0).normal(0.0, 0.1, (20, len(SIZES)))
    for times in SIZES**power * np.exp(noise):
        parts = np.stack([np.ones(len(SIZES)), SIZES], axis=1) / times[:, None]
        expected, _ = nnls(parts, np.ones(len(SIZES)))
        found = record.affine_law(SIZES, times)
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-15)


@pytest.mark.golden
def test_closed_forms_and_units() -> None:
    law = record.affine_law(SIZES, 3.0 + 0.25 * SIZES)
    np.testing.assert_allclose(law, (3.0, 0.25), rtol=1e-9)
    falling = record.affine_law(np.array([0, 1]), np.array([2.0, 1.0]))
    np.testing.assert_allclose(falling, (1.2, 0.0))  # Σ 1/y over Σ 1/y²
    rising = record.affine_law(np.array([1, 2]), np.array([1.0, 4.0]))
    np.testing.assert_allclose(rising, (0.0, 1.2))  # Σ x/y over Σ x²/y²
    assert record.affine_deviation(Affine(0.0, 1.2), SIZES[:2], SIZES[:2] + 0.0) == (
        pytest.approx(0.2)
    )


@pytest.mark.golden
def test_what_shows_no_law_is_refused() -> None:
    with pytest.raises(InputError, match="1 different x show no law: give at least 2"):
        record.affine_law(np.array([3, 3]), np.array([1.0, 2.0]))
    for y in ([1.0, 0.0], [1.0, np.nan], [-1.0, 1.0]):
        with pytest.raises(InputError, match="give finite y above 0"):
            record.affine_law(SIZES[:2], np.array(y))
