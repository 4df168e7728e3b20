"""What enters a table, what does not, and that nothing leaves one in silence."""

import json
import shutil
from pathlib import Path

import jax
import pytest

from jaxml import shipped
from jaxml.__main__ import main
from jaxml.commands.collected import collected, refresh_findings
from jaxml.commands.counted import kind
from jaxml.freshness import stale
from jaxml.record import list_runs, load_run

pytestmark = pytest.mark.invariance

STUDY = '''"""Is the number positive?

Claims: C001.
Cost: nothing.
Expect: yes.
Run: jaxml run number
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from jaxml.record import above, certain, deciding
from jaxml.record.figures import Figure


@dataclass(frozen=True, kw_only=True)
class Config:
    value: float = 1.0
    seed: int = 0


SMOKE = Config(value=2.0)


class Result(NamedTuple):
    number: np.ndarray


def study(config, keep):
    return Result(np.array([config.value]))


def findings(result):
    measured = certain(result.number[0])
    return (
        deciding(
            "C001",
            "The number is positive.",
            measured,
            above(0.0),
            unit="difference",
            setting="one",
        ),
    )


def figures(result):
    return {"number": Figure()}
'''


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with one study, where nothing is shipped but the ledger."""
    (tmp_path / "experiments").mkdir()
    (tmp_path / "experiments" / "number.py").write_text(STUDY)
    (tmp_path / "shipped").mkdir()
    shutil.copy(shipped.studies() / "claims.toml", tmp_path / "shipped")
    monkeypatch.setattr(shipped, "studies", lambda: tmp_path / "shipped")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path


def edit(place: Path, old: str, new: str) -> None:
    path = place / "experiments" / "number.py"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))


def commit(place: Path) -> Path:
    """Runs the study, writes its verdicts, and leaves them without the run, as a fresh
    clone has them.
    """
    (place / "DOC.md").write_text("<!-- verdicts -->\n<!-- /verdicts -->\n")
    assert main(["run", "number"]) == main(["report", "--readme", "DOC.md"]) == 0
    shutil.rmtree(place / "runs")
    return place / "experiments" / "verdicts" / "number.json"


def test_only_the_default_config_counts(place: Path) -> None:
    for words in (
        ["--value", "3"],
        ["--smoke"],
        ["--smoke", "--value", "1.0", "--seed", "4"],
        ["--seed", "2"],
        [],
    ):
        assert main(["run", "number", *words]) == 0
    kinds = {}
    for folder in list_runs("runs"):
        manifest = load_run(folder).manifest
        kinds[json.dumps(manifest["differs"])] = kind(manifest)
    assert kinds == {
        '{"value": 3.0}': "other",
        '{"value": 2.0}': "other",
        '{"seed": 4}': "replicate",
        '{"seed": 2}': "replicate",
        "{}": "default",
    }


@pytest.mark.parametrize("setting", ["jax_enable_x64", "jax_default_matmul_precision"])
def test_a_run_under_other_settings_never_enters(place: Path, setting: str) -> None:
    if setting == "jax_enable_x64":
        with jax.enable_x64(True):
            assert main(["run", "number"]) == 0
    else:
        with jax.default_matmul_precision("bfloat16"):
            assert main(["run", "number"]) == 0
    assert not collected(Path("runs"), print).found


def test_replicates_of_other_findings_do_not_count(place: Path) -> None:
    path = commit(place)
    assert main(["run", "number", "--seed", "1"]) == 0
    assert len(collected(Path("runs"), print).found["number"].replicates) == 1
    shutil.rmtree(place / "runs")
    edit(place, "above(0.0)", "above(0.5)")
    said: list[str] = []
    assert main(["run", "number", "--seed", "1"]) == 0
    assert not collected(Path("runs"), said.append).found["number"].replicates
    assert any("replicates of number by other code" in line for line in said)
    assert json.loads(path.read_text())["replicates"] == []


@pytest.mark.parametrize(
    ("code", "kept"),
    [("np.array([config.value * 1])", 1), ("np.array([config.value + 1])", 0)],
)
def test_replicates_outlive_a_rewriting_that_changes_no_bit(
    place: Path, code: str, kept: int
) -> None:
    commit(place)
    assert main(["run", "number", "--seed", "1"]) == 0
    assert main(["report", "--readme", "DOC.md"]) == 0
    shutil.rmtree(place / "runs")
    edit(place, "np.array([config.value])", code)
    assert main(["run", "number"]) == 0
    assert len(collected(Path("runs"), print).found["number"].replicates) == kept


@pytest.mark.parametrize("drawn", [True, False])
def test_of_verdicts_without_digests_equal_findings_must_have_been_drawn(
    place: Path, drawn: bool
) -> None:
    """A certain number would be equal whatever the arrays are."""
    if drawn:
        edit(place, "import above, certain,", "import above, sample_mean,")
        numbers = "sample_mean(result.number + np.array([0.1, 0.3, 0.2]))"
        edit(place, "certain(result.number[0])", numbers)
    path = commit(place)
    assert main(["run", "number", "--seed", "1"]) == 0
    assert main(["report", "--readme", "DOC.md"]) == 0
    shutil.rmtree(place / "runs")
    verdicts = json.loads(path.read_text())
    assert len(verdicts["replicates"]) == 1
    del verdicts["manifest"]["digests"]
    path.write_text(json.dumps(verdicts))
    edit(place, "np.array([config.value])", "np.array([config.value * 1])")
    assert main(["run", "number"]) == 0
    found = collected(Path("runs"), print).found["number"]
    assert len(found.replicates) == int(drawn)


def test_a_damaged_committed_file_stops_the_tables_and_keeps_them(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = commit(place)
    before = (place / "DOC.md").read_text()
    path.write_text("<<<<<<< mine\n" + path.read_text())
    assert main(["report", "--readme", "DOC.md"]) == 2
    assert "number.json is damaged" in capsys.readouterr().err
    assert (place / "DOC.md").read_text() == before


@pytest.mark.parametrize("name", ["findings.json", "manifest.json"])
@pytest.mark.parametrize(
    "text", ["", "[]", "[[[", "{}", "null", "\udcff", "[" * 100000]
)
def test_a_damaged_run_stands_in_nobodys_way(place: Path, name: str, text: str) -> None:
    assert main(["run", "number", "--value", "2.5"]) == main(["run", "number"]) == 0
    for folder in list_runs("runs"):
        if load_run(folder).manifest["differs"]:
            (folder / name).write_bytes(text.encode(errors="surrogateescape"))
    for words in ("report", "claims C001", "studies", "runs", "runs --csv -"):
        assert main(words.split()) == 0, words
    assert set(collected(Path("runs"), print).found) == {"number"}


@pytest.mark.parametrize(
    "change",
    [
        {"versions": None},
        {"data": []},
        {"data": {"x": 3}},
        {"needs": [3]},
        {"differs": None},
        {"about": None},
        {"code": "abc"},
    ],
)
def test_a_manifest_of_another_form_is_passed_over(
    place: Path, change: dict[str, object]
) -> None:
    assert main(["run", "number"]) == 0
    (folder,) = list_runs("runs")
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps(manifest | change))
    assert main(["runs"]) == 2 and main(["studies"]) == 0
    assert stale(manifest | change, place / "experiments" / "number.py") is not None
    assert main(["run", "number", "--again"]) == main(["report"]) == 0


def test_a_study_that_cannot_be_read_stops_no_list(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", "number"]) == 0
    (place / "experiments" / "number.py").write_text("def broken(:\n")
    for words in ("studies", "claims C001", "runs"):
        assert main(words.split()) == 0, words
    assert "cannot be read" in capsys.readouterr().out


def test_a_study_outside_the_known_folders_is_not_called_stale(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.move(place / "experiments" / "number.py", place / "mine.py")
    assert main(["run", "mine.py"]) == main(["report"]) == main(["claims", "C001"]) == 0
    assert "made by other code" not in (place / "runs" / "report.html").read_text()
    assert "made by other code" not in capsys.readouterr().out


def test_a_report_runs_no_file_that_a_manifest_names(place: Path) -> None:
    shutil.move(place / "experiments" / "number.py", place / "mine.py")
    assert main(["run", "mine.py"]) == 0
    trap = place / "sprung"
    source = STUDY.replace(
        "def figures", f"open({str(trap)!r}, 'w').close()\n\n\ndef figures"
    )
    (place / "mine.py").write_text(source.replace("above(0.0)", "above(0.5)"))
    assert main(["report"]) in (0, 2) and not trap.exists()


def test_verify_compares_findings(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    edit(
        place,
        "measured = certain(result.number[0])",
        "measured = certain(result.number[0] * np.nan)",
    )
    assert main(["run", "number"]) == 0
    (folder,) = list_runs("runs")
    assert main(["verify", str(folder)]) == 0, "one NaN equals another"
    entries = json.loads((folder / "findings.json").read_text())
    entries[0] |= {"measured": 3.0, "low": 3.0, "high": 3.0, "verdict": "supported"}
    (folder / "findings.json").write_text(json.dumps(entries))
    capsys.readouterr()
    assert main(["verify", str(folder)]) == 1
    assert "not those that its arrays give" in capsys.readouterr().out
    edit(place, "above(0.0)", "above(0.5)")
    assert main(["verify", str(folder)]) == 0, "other findings code is no other result"


def test_a_report_from_other_seeds_alone_says_what_is_missing(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", "number", "--seed", "3"]) == 0
    main(["report"])
    assert "`jaxml run number` makes the first" in " ".join(
        capsys.readouterr().err.split()
    )


def test_a_run_whose_findings_code_has_another_digest_is_judged_anew(
    place: Path,
) -> None:
    assert main(["run", "number"]) == 0
    (folder,) = list_runs(Path("runs"))
    path = folder / "manifest.json"
    before = json.loads(path.read_text())
    path.write_text(json.dumps(before | {"asserting": "0" * 64}))
    said: list[str] = []
    refresh_findings(Path("runs"), said.append)
    assert len(said) == 1 and "made again, from the stored arrays" in said[0]
    assert json.loads(path.read_text())["asserting"] == before["asserting"]
    refresh_findings(Path("runs"), said.append)
    assert len(said) == 1
