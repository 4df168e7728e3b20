"""The tables against scikit-learn's own readers, and what their docstrings say."""

import numpy as np
import pytest
from sklearn import datasets

from jaxml.problem import breast_cancer, wine

pytestmark = pytest.mark.oracle


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("read", "theirs", "smallest", "largest"),
    [
        (wine, datasets.load_wine, 0.124, 314.0),
        (breast_cancer, datasets.load_breast_cancer, 0.00264, 568.9),
    ],
)
def test_a_table_is_that_of_scikit_learn(read, theirs, smallest, largest, dtype):
    ours, known = read(dtype=dtype), theirs()
    assert ours.inputs.dtype == dtype and ours.targets.dtype == np.int32
    np.testing.assert_array_equal(ours.inputs, known.data.astype(dtype))
    np.testing.assert_array_equal(ours.targets, known.target)
    deviations = np.std(ours.inputs.astype(float), axis=0)
    np.testing.assert_allclose(deviations.min(), smallest, rtol=5e-3)
    np.testing.assert_allclose(deviations.max(), largest, rtol=5e-3)
