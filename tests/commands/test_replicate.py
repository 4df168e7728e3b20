"""Replication: what it refuses, and a verdict that a replicate lacks is lost."""

from collections.abc import Callable
from pathlib import Path

import pytest

from jaxml.__main__ import main

pytestmark = pytest.mark.identity


def test_a_field_without_a_default_is_a_sentence(
    written: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    written("bare", count="    count: int")
    assert main(["replicate", "bare"]) == 2
    assert (
        "bare refuses this config" in (said := capsys.readouterr().err)
        and "'count'" in said
    )


def test_smoke_replicates_enter_no_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["replicate", "small", "--smoke", "--times", "1"]) == 0
    said = capsys.readouterr().out
    assert (
        "No deciding verdicts changed. A smoke config says nothing of the claims."
        in said
    )
    assert "make tables" not in said
    assert main(["replicate", "small", "--times", "1"]) == 0
    assert "`make tables` enters how often each held." in capsys.readouterr().out


def test_a_finding_that_a_replicate_lacks_did_not_hold(
    written: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    written(
        "fickle",
        squares="np.arange(1, config.count + 1 + config.seed) ** 2",
        settings='f"numbers up to {result.squares.size}"',
    )
    assert main(["replicate", "fickle", "--times", "1"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "not found" in said and "1 deciding verdict changed." in said
    assert "2/2" in said and "1/2" in said
