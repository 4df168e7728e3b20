"""The state of a study: which of its runs count."""

from pathlib import Path

import pytest

from jaxml.__main__ import main

pytestmark = pytest.mark.identity


def test_only_the_default_config_makes_a_study_up_to_date(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def state() -> str:
        capsys.readouterr()
        assert main(["studies", "small"]) == 0
        return capsys.readouterr().out.partition(":")[0]

    assert state() == "small (not run)"
    assert main(["run", "small", "--smoke"]) == 0
    assert state() == "small (smoke only)"
    assert main(["run", "small", "--count", "5"]) == 0
    assert state() == "small (only with other configs)"
    assert main(["run", "small"]) == 0
    assert state() == "small (up to date)"
    path = place / "experiments" / "small.py"
    path.write_text(path.read_text().replace("count + 1", "count + 2"))
    assert main(["run", "small", "--count", "5"]) == 0
    assert state().startswith("small (stale"), (
        "a fresh run with another config makes no other one fresh"
    )
