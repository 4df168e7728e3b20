"""The export of runs: every number as JSON, and a damaged run beside whole ones."""

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from jaxml.__main__ import main
from jaxml.record import list_runs

pytestmark = pytest.mark.identity


def test_a_complex_number_is_exported_in_two_rows(
    place: Path, written: Callable[..., Path]
) -> None:
    written(
        "complex_one",
        squares="np.asarray([1.5 - 2j], np.complex64)",
        settings='"others"',
    )
    source = (place / "experiments" / "complex_one.py").read_text()
    source = source.replace(
        "bootstrap(np.mean, result.squares)", "certain(result.squares.real[0])"
    )
    (place / "experiments" / "complex_one.py").write_text(source)
    assert main(["run", "complex_one"]) == 0
    assert main(["runs", "--csv", "out.csv", "--json", "out.json"]) == 0
    rows = [
        row
        for row in json.loads(Path("out.json").read_text())
        if row["kind"] == "scalar"
    ]
    found = [(row["name"], row["value"], row["dtype"]) for row in rows]
    assert found == [
        ("squares.real", 1.5, "complex64"),
        ("squares.imag", -2.0, "complex64"),
    ]
    with Path("out.csv").open(newline="") as file:
        table = [row for row in csv.DictReader(file) if row["kind"] == "scalar"]
    assert [float(row["value"]) for row in table] == [1.5, -2.0]


@pytest.mark.parametrize("name", ["findings.json", "result.npz"])
def test_a_damaged_run_is_announced_and_passed_over(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", "small", "--count", "5,10"]) == 0
    damaged, whole = list_runs("runs")
    path = damaged / name
    path.write_bytes(path.read_bytes()[:40])
    capsys.readouterr()
    assert main(["runs", "--json", "out.json"]) == 0
    said = capsys.readouterr().err
    assert f"note: passed over, {path} is damaged" in said
    assert {row["run"] for row in json.loads(Path("out.json").read_text())} == {
        whole.name
    }
