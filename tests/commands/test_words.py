"""Paths, help and the last sentence: what the words of a command line mean."""

import pwd
from collections.abc import Callable
from pathlib import Path

import pytest

from jaxml.__main__ import main

pytestmark = pytest.mark.identity


@pytest.mark.parametrize(
    "words",
    [
        "studies --runs ~nosuch/x",
        "run small --runs ~nosuch/x",
        "run ~nosuch/x.py",
        "studies ~nosuch/x.py",
        "runs ~nosuch/x",
        "runs --csv ~nosuch/x",
        "report --readme ~nosuch/x",
    ],
)
def test_a_home_that_is_not_known_is_a_sentence(
    words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words.split()) == 2
    path = words.split()[-1]
    expected = (
        f"jaxml: The home folder in {path} is not known: write the path in full.\n"
    )
    assert capsys.readouterr().err == expected


def test_a_user_without_a_home_is_told_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def unknown(user: object) -> None:
        raise KeyError(user)

    monkeypatch.delenv("HOME")
    monkeypatch.setattr(pwd, "getpwuid", unknown)
    assert main(["studies", "--runs", "~/x"]) == 2
    assert "The home folder in ~/x is not known" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    [
        "run small --help --runs elsewhere",
        "run --help small --count 3 --runs elsewhere",
        "run small -h --smoke",
        "replicate small --times 3 --help",
    ],
)
def test_help_describes_the_studies_and_nothing_else(
    words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words.split()) == 0
    said = capsys.readouterr()
    assert "--count: int = 16" in said.out and said.err == ""


def test_help_looks_into_the_runs_that_are_named(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["run", "small", "--smoke", "--runs", "elsewhere"]) == 0
    capsys.readouterr()
    assert main(["run", "small", "--help", "--runs", "elsewhere"]) == 0
    assert "small (smoke only)" in capsys.readouterr().out


def test_a_defect_names_the_fields_that_may_have_caused_it(
    written: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    written("frail", squares="np.arange(16) // (1 / config.scale)")
    assert main(["run", "frail", "--scale", "0", "--count=3", "--smoke"]) == 3
    last = capsys.readouterr().err.splitlines()[-1]
    assert "what you gave to --scale, --count: try another value" in last
    assert "report the lines above" in last
    written("frail", squares="np.arange(16) // (1 / (config.scale - 1))")
    assert main(["run", "frail"]) == 3
    last = capsys.readouterr().err.splitlines()[-1]
    assert "not of your input" in last and "what you gave" not in last
