"""Seeds of a study lie apart, and each purpose has a stream of its own."""

import jax
import numpy as np
import pytest

from jaxml import randomness
from jaxml.types import InputError

STRIDE = 100_003


@pytest.mark.golden
def test_keys_and_seeds_are_numbered_by_study_and_stream():
    for seed, stream in ((0, 0), (2, 0), (2, 5)):
        expected = jax.random.key_data(jax.random.key(seed * STRIDE + stream))
        found = jax.random.key_data(randomness.key(seed, stream))
        np.testing.assert_array_equal(found, expected)
    assert randomness.key(3) == randomness.key(3, 0) != randomness.key(3, 1)
    assert randomness.seeds(1, 2, skip=3) == range(STRIDE + 3, STRIDE + 5)
    assert randomness.seeds(21473, STRIDE)[-1] < 2**31


@pytest.mark.invariance
def test_what_fits_no_seed_is_refused():
    for seed in (-1, 21474):
        with pytest.raises(InputError, match="out of range"):
            randomness.key(seed)
    for count, skip in ((STRIDE + 1, 0), (1, STRIDE), (-1, 0), (0, -1)):
        with pytest.raises(InputError, match="do not fit one seed"):
            randomness.seeds(0, count, skip=skip)
