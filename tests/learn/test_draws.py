"""The numbers of drawn batches are those of the stream."""

import jax
import numpy as np
import pytest

from jaxml import learn, problem
from jaxml.types import InputError


@pytest.mark.identity
def test_batches_are_those_of_the_stream_one_of_each_epoch():
    """The batches of 4 epochs of 3 updates: the steps 0, 4, 8 and 9."""
    key = jax.random.key(5)
    values = np.arange(6, dtype=np.float32)
    stream = learn.shuffled(problem.examples(values[:, None], values[:, None]), 2)
    drawn = learn.independent_batches(learn.shuffled, 6, 2, count=4, key=key)
    for step, numbers in zip((0, 4, 8, 9), drawn, strict=True):
        seen = stream.draw(stream.data, key, np.int32(step)).inputs
        np.testing.assert_array_equal(seen[:, 0], values[numbers])


@pytest.mark.identity
def test_a_ragged_batch_is_refused():
    with pytest.raises(InputError, match="choose a divisor"):
        learn.independent_batches(learn.shuffled, 6, 4, count=2, key=jax.random.key(0))
