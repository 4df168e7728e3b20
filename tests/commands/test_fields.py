"""Fields that a study's source does not tell are judged once the study is loaded."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from jaxml.__main__ import main
from jaxml.record import list_runs
from jaxml.source import describe

pytestmark = pytest.mark.identity

SHARED = """from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Config:
    count: int = 16
    scale: float = 1.0
"""
INHERITED = """@dataclass(frozen=True, kw_only=True)
class Config(shared.Config):
    depth: int = 2


"""
LOCAL = """@dataclass(frozen=True, kw_only=True)
class Base:
    count: int = 16
    scale: float = 1.0


@dataclass(frozen=True, kw_only=True)
class Config(Base):
    scale: float = 2.0
    depth: int = 2


"""


def config_of_the_run() -> dict[str, object]:
    (folder,) = list_runs("runs")
    return json.loads((folder / "manifest.json").read_text())["config"]


@pytest.mark.parametrize(
    ("head", "config", "fields"),
    [
        ("import numpy as np\nfrom shared import Config\n", "", "count, scale"),
        ("import numpy as np\nimport shared\n", INHERITED, "count, scale, depth"),
    ],
)
def test_fields_of_another_file_are_known_once_it_is_loaded(
    head: str,
    config: str,
    fields: str,
    place: Path,
    written: Callable[..., Path],
    capsys: pytest.CaptureFixture[str],
) -> None:
    (place / "experiments" / "shared.py").write_text(SHARED)
    path = written("other", head=head, config=config)
    assert describe(path).fields == {}
    assert main(["run", "other", "--help"]) == 0
    assert "takes them from another file" in capsys.readouterr().out
    assert main(["run", "other", "--scael", "3"]) == 2
    expected = f"There is no field --scael: did you mean --scale? other has {fields}."
    assert expected in capsys.readouterr().err
    assert main(["run", "other", "small", "--sedd", "3"]) == 2
    assert "did you mean --seed? other has" in capsys.readouterr().err
    assert not (place / "runs").exists()
    assert main(["run", "other", "--scale", "3"]) == 0
    assert config_of_the_run()["scale"] == 3.0


def test_fields_of_a_base_in_the_same_file_are_told(
    written: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    path = written("other", config=LOCAL)
    assert describe(path).fields == {
        "count": "int = 16",
        "scale": "float = 2.0",
        "depth": "int = 2",
    }
    assert main(["run", "other", "--dpeth", "3"]) == 2
    assert (
        "did you mean --depth? other has count, scale, depth."
        in capsys.readouterr().err
    )
    assert main(["run", "other", "--depth", "3"]) == 0
    assert config_of_the_run() == {"count": 16, "scale": 2.0, "depth": 3}


def test_of_two_configs_the_last_counts(written: Callable[..., Path]) -> None:
    first = (
        "@dataclass(frozen=True, kw_only=True)\nclass Config:\n    early: int = 1\n\n\n"
    )
    path = written(
        "other", config=first + LOCAL.replace("class Base:", "class Base(object):")
    )
    assert describe(path).fields == {}, "what `object` holds is not in the file"
    path = written("other", config=first + LOCAL)
    assert list(describe(path).fields) == ["count", "scale", "depth"]
    assert main(["run", "other", "--depth", "3"]) == 0


def test_a_config_that_extends_an_earlier_one_of_its_name(
    written: Callable[..., Path],
) -> None:
    both = LOCAL.replace("class Base:", "class Config:").replace(
        "class Config(Base)", "class Config(Config)"
    )
    assert describe(written("other", config=both)).fields == {}
    assert main(["run", "other", "--count", "3"]) == 0
