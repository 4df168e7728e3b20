"""What is read from a study's source, without running it."""

import pytest

from jaxml.errors import InputError
from jaxml.source import describe

pytestmark = pytest.mark.identity

STUDY = '''"""The title.

More about it,
on two lines.

Claims: C001, A3.
Cost: a second,
on one core.
Run: jaxml run toy
"""
from dataclasses import dataclass
@dataclass(frozen=True, kw_only=True)
class Config:
    """Fields."""
    seeds: int = 5
    scales: tuple[float, ...] = (1.0, 2.0)
class Result: ...
SMOKE = Config(seeds=2)
def study(config, keep): return sinc(config)
def findings(result): ...
def figures(result): ...
raise SystemExit
'''


def test_describe_reads_the_docstring_and_runs_nothing(tmp_path):
    path = tmp_path / "toy.py"
    path.write_text(STUDY)
    found = describe(path)
    assert (found.name, found.title) == ("toy", "The title.")
    assert found.summary == "The title. More about it, on two lines."
    assert found.notes == {
        "Claims": "C001, A3.",
        "Cost": "a second, on one core.",
        "Run": "jaxml run toy",
    }
    assert found.fields == {
        "seeds": "int = 5",
        "scales": "tuple[float, ...] = (1.0, 2.0)",
    }


@pytest.mark.parametrize(
    ("text", "word"), [("x = 1", "not yet a study"), ("def f((", "read as Python")]
)
def test_what_is_no_study_is_refused(tmp_path, text, word):
    path = tmp_path / "bare.py"
    path.write_text(text)
    with pytest.raises(InputError, match=word):
        describe(path)
