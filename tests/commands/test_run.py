"""Runs in turn: studies that need one another, and the table of several configs."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from jaxml.__main__ import main
from jaxml.commands import run

pytestmark = pytest.mark.identity


@pytest.mark.parametrize(
    "names", [("alone",), ("first", "second"), ("first", "second", "third")]
)
def test_needs_that_go_round_are_a_sentence(
    names: tuple[str, ...],
    place: Path,
    written: Callable[..., Path],
    capsys: pytest.CaptureFixture[str],
) -> None:
    following = (*names[1:], names[0])
    for name, need in zip(names, following, strict=True):
        needs = f"NEEDS = ({need!r},)\n\n\ndef study(config, keep, {need})"
        written(name, arguments=needs)
    assert main(["run", names[0]]) == 2
    circle = " needs ".join((*names, names[0]))
    assert f"jaxml: {circle}: let one of them stand alone." in capsys.readouterr().err
    assert not list(place.glob("runs/*/*/manifest.json"))


def test_two_studies_may_need_the_same_third(
    written: Callable[..., Path], place: Path
) -> None:
    written("left", arguments="NEEDS = ('small',)\n\n\ndef study(config, keep, small)")
    written(
        "top",
        arguments="NEEDS = ('left', 'small')\n\n\ndef study(config, keep, left, small)",
    )
    assert main(["run", "top", "--smoke"]) == 0
    assert sorted(path.name for path in (place / "runs").iterdir()) == [
        "left",
        "small",
        "top",
    ]


def test_a_run_that_exists_is_shown_and_said_to_be(
    capsys: pytest.CaptureFixture[str],
) -> None:
    told = []
    for flags in ([], [], ["--again"]):
        assert main(["run", "small", *flags]) == 0
        told.append("small: it ran before" in capsys.readouterr().out)
    assert told == [False, True, False]


def test_what_is_too_large_for_the_memory_says_which_fields_to_make_smaller(
    place: Path, written: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    path = written("large")
    source = path.read_text()
    path.write_text(source.replace("return Result(np", "raise MemoryError\n    (np"))
    for flags, smaller in (
        (["--count", "5"], "give smaller values to --count"),
        ([], "choose smaller sizes"),
    ):
        assert main(["run", "large", *flags]) == 2
        assert f"memory is not enough for this: {smaller}" in capsys.readouterr().err
    assert not list(place.glob("runs/*/*/manifest.json"))


def test_variants_keep_settings_and_columns_apart(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["run", "small", "--count", "5,10"]) == 0
    said = capsys.readouterr().out
    table = said[said.index("run by run") :]
    rows = [
        [cell.strip() for cell in line.split("│")[1:-1]]
        for line in table.splitlines()
        if "C001" in line
    ]
    assert [row[2] for row in rows] == [
        "small numbers",
        "numbers up to 5",
        "numbers up to 10",
    ]
    assert [bool(cell) for row in rows for cell in row[3:]] == [
        True,
        True,
        True,
        False,
        False,
        True,
    ]


def test_a_study_that_is_edited_before_its_turn_runs_as_it_was_read(
    written: Callable[..., Path], place: Path
) -> None:
    """Its run bears the digest of the code that ran, so that the new code runs anew."""
    second = written("second")
    old = second.read_text()
    new = old.replace("np.arange(1, config", "np.arange(2, config")
    assert new != old
    edit = (
        "import pathlib\n\n\ndef study(config, keep):\n"
        f"    pathlib.Path({str(second)!r}).write_text({new!r})\n"
        "    return _study(config, keep)\n\n\ndef _study(config, keep)"
    )
    written("first", arguments=edit)
    assert main(["run", "first", "second"]) == 0
    assert second.read_text() == new
    (earlier,) = place.glob("runs/second/*/manifest.json")
    with np.load(earlier.with_name("result.npz")) as arrays:
        assert arrays["squares"][0] == 1
    assert main(["run", "second"]) == 0
    folders = {path.parent for path in place.glob("runs/second/*/manifest.json")}
    (later,) = folders - {earlier.parent}
    with np.load(later / "result.npz") as arrays:
        assert arrays["squares"][0] == 4


def test_runs_of_one_title_keep_their_columns(
    capsys: pytest.CaptureFixture[str], place: Path
) -> None:
    assert main(["run", "small", "--count", "5"]) == 0
    assert main(["run", "small", "--count", "5", "--again"]) == 0
    folders = sorted(path.parent for path in place.glob("runs/small/*/manifest.json"))
    assert len(folders) == 2
    capsys.readouterr()
    run.show_variants("small", folders)
    rows = [line for line in capsys.readouterr().out.splitlines() if "C001" in line]
    assert len(rows) == 2 and all(line.count("supported") == 2 for line in rows)
