"""`jaxml bench --compare`: rows of two times side by side. No time is judged."""

from pathlib import Path

import pytest

from jaxml import bench
from jaxml.__main__ import main
from jaxml.bench import comparison, startup
from jaxml.bench.rows import Row, Seconds, read, write
from jaxml.types import InputError

OLD = Seconds(2.0, 1.8, 2.2)
QUICK, LIKE, SLOW = (Seconds(m, m - 0.1, m + 0.1) for m in (1.0, 2.1, 3.0))


def row(what: str, seconds: Seconds | None, at: int | None = None) -> Row:
    return Row("startup", what, "cpu", seconds, at=at)


@pytest.mark.identity
def test_ways_are_matched_by_name_and_size() -> None:
    then = [row("a", OLD, 1), row("a", OLD, 2), row("gone", OLD), row("b", None)]
    now = [row("a", SLOW, 2), row("a", QUICK, 1), row("new", OLD), row("b", OLD)]
    found = list(comparison.changes(now, then))
    assert [(each.what, each.at, each.now) for each in found] == [
        ("a", 2, SLOW),
        ("a", 1, QUICK),
    ]
    assert [comparison.verdict(each) for each in found] == ["slower", "faster"]
    assert not any(map(comparison.verdict, comparison.changes([row("c", LIKE)], then)))


@pytest.mark.identity
def test_what_differs_is_named_part_by_part() -> None:
    then = {"cores": 2, "versions": {"jax": "1", "numpy": "2"}, "system": "a"}
    now = {"cores": 4, "versions": {"jax": "1", "numpy": "3"}, "system": "a"}
    assert list(comparison.differing(now, then)) == [
        "cores: 2, now 4",
        "versions numpy: 2, now 3",
    ]


@pytest.mark.identity
def test_a_benchmark_beside_an_earlier_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(startup, "measure", lambda: [row("jaxml --help", OLD)])
    bench.run(("startup",), tmp_path / "then")
    (old,) = (tmp_path / "then").glob("*.json")
    machine, rows = read(old)
    write(old, machine | {"processor": "abacus"}, rows)
    monkeypatch.setattr(startup, "measure", lambda: [row("jaxml --help", QUICK)])
    capsys.readouterr()
    bench.run(("startup",), tmp_path / "now", old)
    said = capsys.readouterr().out
    assert "now / then" in said and "0.5" in said and "faster" in said
    assert f"Not as it was: processor: abacus, now {machine['processor']}" in said


@pytest.mark.identity
def test_nothing_is_measured_where_there_is_nothing_to_compare_with(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(startup, "measure", lambda: pytest.fail("it was measured"))
    absent = tmp_path / "absent.json"
    words = ["bench", "startup", "--out", str(tmp_path), "--compare", str(absent)]
    assert main(words) == 2
    assert "to compare with: name a JSON file" in capsys.readouterr().err
    write(absent, {}, [Row("sweep", "a", "cpu", OLD)])
    with pytest.raises(InputError, match="none of the chosen benchmarks: choose among"):
        bench.run(("startup",), tmp_path / "now", absent)
    assert not (tmp_path / "now").exists()
    absent.write_text("{")
    with pytest.raises(InputError, match="is damaged"):
        bench.run(("startup",), tmp_path / "now", absent)
