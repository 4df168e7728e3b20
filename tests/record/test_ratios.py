"""Log ratios by unit compared with their own arithmetic."""

import numpy as np
import pytest

from jaxml import record
from jaxml.types import InputError


@pytest.mark.identity
def test_a_unit_s_scale_cancels():
    ours, theirs = np.array([1.0, 2.0, 6.0]), np.array([2.0, 2.0, 3.0])
    found = record.mean_log_ratio(ours, theirs)
    np.testing.assert_allclose(found.estimate, 0.0, atol=1e-12)
    scaled = record.mean_log_ratio(ours * [1, 10, 100], theirs * [1, 10, 100])
    np.testing.assert_allclose(scaled[1:3], found[1:3], rtol=1e-9)
    turned = record.mean_log_ratio(theirs, ours)
    np.testing.assert_allclose(turned.low, -found.high, atol=0.2)


@pytest.mark.identity
def test_the_interval_is_of_the_mean():
    values = np.array([1.0, 2.0, 4.0, 9.0])
    found = record.sample_mean(values)
    assert (found.estimate, found.n) == (4.0, 4)
    expected = record.bootstrap(np.mean, values)
    assert found[:3] == expected[:3]


@pytest.mark.identity
def test_what_has_no_logarithm_is_refused():
    with pytest.raises(InputError, match="compare their differences"):
        record.mean_log_ratio(np.array([0.0]), np.array([1.0]))
    with pytest.raises(InputError, match="have no pairs"):
        record.mean_log_ratio(np.ones(2), np.ones(3))
