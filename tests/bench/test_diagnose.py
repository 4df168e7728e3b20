"""The timed diagnosis says something of digits."""

import pytest

from jaxml import learn
from jaxml.bench.diagnose import example
from jaxml.record.diagnosis_figure import diagnosis_figure

TINY = learn.Budget(updates=4, batch=8, seeds=2, longer=1, factors=(1.0,), lanes=2)


@pytest.mark.stress
@pytest.mark.identity
def test_a_training_of_four_updates_is_not_fine() -> None:
    found = example(TINY)
    assert found.evidence.diagnosed.train.shape == (1, 1, 2)
    assert found.verdict != "fine"
    parts, rates, examples = diagnosis_figure(found).axes
    assert parts.get_title("left") == f"Verdict: {found.verdict}"
    assert [len(axes.lines) > 0 for axes in (rates, examples)] == [True, True]
