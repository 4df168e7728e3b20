"""The place of the widest gap: written out in a loop, whatever the scale, and refused
where there is none to see.
"""

import numpy as np
import pytest

from jaxml import curvature
from jaxml.types import InputError


@pytest.mark.oracle
def test_the_place_is_that_of_a_loop_over_ratios() -> None:
    spectra = np.exp(-np.sort(np.random.default_rng(0).uniform(0, 8, (3, 4, 12))))
    found = curvature.outliers(spectra)
    assert found.shape == (3, 4) and found.dtype == np.float64
    for place in np.ndindex(3, 4):
        values, best, widest = spectra[place], 0, 0.0
        for index in range(11):
            if values[index] / values[index + 1] > widest:
                best, widest = index + 1, values[index] / values[index + 1]
        assert found[place] == best


@pytest.mark.invariance
def test_neither_scale_nor_rounding_below_the_bulk_moves_it() -> None:
    spectrum = np.array([5.0, 4.0, 0.1, 0.09, 1e-9, -1e-3], np.float32)
    assert curvature.outliers(spectrum[:4]) == curvature.outliers(1e3 * spectrum[:4])
    bulk = np.array([5.0, 4.0, 0.1, 1e-7, 1e-12, -2.0])
    assert curvature.outliers(bulk, rounding=0.02) == 2
    assert curvature.outliers(bulk, rounding=1e-6) == 3


@pytest.mark.oracle
def test_what_is_no_spectrum_has_no_place() -> None:
    values = np.array([[np.nan, 1.0], [2.0, 1.0], [-1.0, -2.0], [0.0, 0.0]])
    assert np.isnan(curvature.outliers(values)).tolist() == [True, False, True, True]
    with pytest.raises(InputError, match="two or more"):
        curvature.outliers(np.ones(1))
    with pytest.raises(InputError, match="descending"):
        curvature.outliers(np.array([1.0, 2.0]))
