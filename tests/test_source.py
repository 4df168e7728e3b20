"""What is read from a study's source, without running it."""

import shutil
from pathlib import Path

import pytest

import jaxml
from jaxml import source
from jaxml.errors import InputError
from jaxml.source import code_digest, describe

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
    assert found.notes == {"Claims": "C001, A3.", "Cost": "a second, on one core.", "Run": "jaxml run toy"}
    assert found.fields == {"seeds": "int = 5", "scales": "tuple[float, ...] = (1.0, 2.0)"}
    assert "sinc" in found.words


@pytest.mark.parametrize(("text", "word"), [("x = 1", "not yet a study"), ("def f((", "read as Python")])
def test_what_is_no_study_is_refused(tmp_path, text, word):
    path = tmp_path / "bare.py"
    path.write_text(text)
    with pytest.raises(InputError, match=word):
        describe(path)


@pytest.fixture
def toy(tmp_path):
    path = tmp_path / "toy.py"
    path.write_text(STUDY)
    return path


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A copy of the package that can be edited."""
    copy = tmp_path / "jaxml"
    shutil.copytree(Path(jaxml.__file__).parent, copy, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("__main__.py", "bench/speed.py", "learn/extra.py"):
        (copy / name).parent.mkdir(exist_ok=True)
        (copy / name).write_text("x = 1\n")
    monkeypatch.setattr(source, "__file__", str(copy / "source.py"))
    return copy


@pytest.mark.parametrize(("name", "counts"), [
    ("types.py", True), ("learn/extra.py", True), ("record/store.py", True),
    ("__main__.py", False), ("bench/speed.py", False), ("record/report.html", False),
])  # fmt: skip
def test_the_digest_covers_floors_0_and_1(package, toy, name, counts):
    before = code_digest(toy)
    assert code_digest(toy) == before
    with (package / name).open("a") as file:
        file.write("# changed\n")
    assert (code_digest(toy) != before) == counts


def test_the_digest_covers_names_and_the_study(package, toy):
    digests = [code_digest(toy)]
    (package / "learn" / "extra.py").rename(package / "learn" / "extras.py")
    digests.append(code_digest(toy))
    toy.write_text(toy.read_text() + "\n")
    digests.append(code_digest(toy))
    assert len(set(digests)) == 3
