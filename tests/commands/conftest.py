"""A working directory with one small study, for tests of the commands."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from jaxml import shipped

SMALL = '''"""Squares are positive.

Claims: C001, C158.
Cost: a second.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxml.record import above, bootstrap, certain, deciding, figures as drawing


@dataclass(frozen=True, kw_only=True)
class Config:
    count: int = 16
    scale: float = 1.0
    text: str = "plain"
    file: Path = Path("here")
    names: tuple[str, ...] = ("a",)
    lanes: int = 4
    seed: int = 0


SMOKE = Config(count=8)


class Result(NamedTuple):
    squares: np.ndarray


def study(config, keep):
    return Result(np.arange(1, config.count + 1) ** 2 * config.scale)


def findings(result):
    mean = bootstrap(np.mean, result.squares)
    return tuple(
        deciding(
            "C001",
            "squares exceed 0",
            mean,
            above(0.0),
            unit="difference",
            setting=setting,
        )
        for setting in ("small numbers", f"numbers up to {result.squares.size}")
    )


def figures(result):
    return {"squares": drawing.Figure()}
'''


@pytest.fixture(autouse=True)
def usual_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """That tests compile in a hurry is no setting of a run."""
    monkeypatch.setenv("XLA_FLAGS", "")


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with the study `small`, and settings that end with the
    test.
    """
    (tmp_path / "experiments").mkdir()
    (tmp_path / "experiments" / "small.py").write_text(SMALL)
    (tmp_path / "shipped").mkdir()
    shutil.copy(shipped.studies() / "claims.toml", tmp_path / "shipped")
    monkeypatch.setattr(shipped, "studies", lambda: tmp_path / "shipped")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
    monkeypatch.setenv("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")
    return tmp_path


@pytest.fixture
def written(place: Path) -> Callable[..., Path]:
    """Writes a further study: `small` under another name, with some of its text
    replaced.
    """

    def write(name: str, **changes: str) -> Path:
        source = SMALL
        for old, new in REPLACED.items():
            if old in changes:
                assert new in source
                source = source.replace(new, changes[old])
        path = place / "experiments" / f"{name}.py"
        path.write_text(source)
        return path

    return write


REPLACED = {
    "head": "import numpy as np\n",
    "config": SMALL[SMALL.index("@dataclass") : SMALL.index("SMOKE")],
    "smoke": "SMOKE = Config(count=8)",
    "count": "    count: int = 16",
    "arguments": "def study(config, keep)",
    "settings": 'f"numbers up to {result.squares.size}"',
    "squares": "np.arange(1, config.count + 1) ** 2 * config.scale",
}
"""The parts of the study that a test may replace."""
