"""The timed diagnosis says something of digits."""

import pytest

from jaxml import learn
from jaxml.bench.diagnose import example

TINY = learn.Budget(updates=4, batch=8, seeds=2, longer=1, factors=(1.0,), lanes=2)


@pytest.mark.identity
def test_a_training_of_four_updates_is_not_fine() -> None:
    found = example(TINY)
    assert found.evidence.diagnosed.train.shape == (1, 1, 2)
    assert found.verdict != "fine"
