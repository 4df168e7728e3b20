"""Sums that forget: against the recursion that they write out."""

import numpy as np
import pytest

from jaxml import learn


@pytest.mark.oracle
@pytest.mark.parametrize("kept", [0.0, 0.1, 0.9, 1.0])
def test_it_is_the_recursion_from_zero(kept: float) -> None:
    values = np.random.default_rng(0).standard_normal((30, 2, 3))
    total, expected = np.zeros((2, 3)), []
    for value in values:
        total = kept * total + value
        expected.append(total)
    np.testing.assert_allclose(learn.decayed_sums(values, kept), expected, atol=1e-13)
