"""The front door: what each command prints and returns, and the sentence for each way of being wrong."""

import json
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest

from jaxml.__main__ import main
from jaxml.record import list_runs

pytestmark = pytest.mark.golden

TINY = '''
"""Squares are positive.

Claims: C001,
    and no other.
Cost: a second.
Expect: one supported claim.
Run: jaxml run tiny
"""

import os
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from jaxml.record import above, bootstrap, figures as drawing
from jaxml.types import InputError


@dataclass(frozen=True, kw_only=True)
class Config:
    count: int = 16
    scale: float = 1.0
    widths: tuple[int, ...] = (2, 3)
    dtype: Literal["float32", "float64"] = "float32"

    def __post_init__(self):
        if self.count < 1:
            raise InputError("count must be positive: use 1 or more.")


SMOKE = Config(count=8)


class Result(NamedTuple):
    squares: np.ndarray


def study(config, keep):
    squares = keep("squares", lambda: np.arange(1, config.count + 1, dtype=config.dtype) ** 2)
    match os.environ.pop("JAXML_TEST_ACCIDENT", ""):
        case "interrupt":
            raise KeyboardInterrupt
        case "defect":
            raise ZeroDivisionError
    return Result(squares * np.asarray(config.scale, config.dtype))


def findings(result):
    interval = bootstrap(np.mean, result.squares)
    return (above("C001", "squares exceed 0", interval, 0.0, unit="1", dtype="float32"),)


def figures(result):
    figure, axes = drawing.panels(1)
    return {"squares": figure}
'''


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with one study, and settings that end with the test."""
    (tmp_path / "experiments").mkdir()
    (tmp_path / "experiments" / "tiny.py").write_text(TINY.lstrip())
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
    monkeypatch.setenv("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")
    return tmp_path


def only_run(place: Path) -> Path:
    (folder,) = list_runs(place / "runs")
    return folder


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("rnu", "There is no command 'rnu': did you mean 'run'?"),
        ("run", "No study is named"),
        ("run tinny", "There is no study 'tinny': did you mean 'tiny'?"),
        ("run ./tiny.py", "There is no file ./tiny.py"),
        ("run broken.py", "broken.py cannot be read as Python"),
        ("run empty.py", "empty.py is not yet a study: define Config"),
        (
            "run tiny --scael 2",
            "There is no field --scael: did you mean --scale? tiny has count, scale, widths",
        ),
        ("run tiny --smok", "There is no field --smok: did you mean --smoke?"),
        ("run --scale 2 tiny", "write the studies first"),
        ("run tiny --runs", "--runs: expected one argument."),
        ("run tiny --scale x", "--scale takes a value of type float, not 'x'"),
        ("run tiny --count 1.5", "--count takes a value of type int, not '1.5'"),
        ("run tiny --count 1 2", "name studies before fields"),
        ("run tiny --count", "and none was given"),
        ("run tiny --dtype int8", "--dtype takes a value of type Literal['float32', 'float64'], not 'int8'"),
        ("run tiny --count -1", "count must be positive"),
        ("run tiny --runs broken.py", "broken.py is a file"),
        ("run tiny --runs broken.py/runs", "cannot be written"),
        ("report nowhere", "nowhere holds no runs"),
        ("report one two", "one two is too much"),
        ("report --redme x", "There is no option --redme: did you mean '--readme'?"),
        ("verify", "There is no run named"),
        ("verify nowhere", "There is no run nowhere"),
        ("verify experiments", "experiments/manifest.json is missing"),
        ("bench nope", "There is no benchmark 'nope'"),
        ("doctor me", "takes no me"),
        ("studies tinny", "did you mean 'tiny'?"),
    ],
)
def test_wrong_words_are_answered_in_a_sentence(
    words: str, sentence: str, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (place / "broken.py").write_text("def")
    (place / "empty.py").write_text("")
    assert main(words.split()) == 2
    *_, last = capsys.readouterr().err.splitlines()
    assert last.startswith("jaxml: ")
    assert sentence in last
    assert not list(place.glob("runs/*/*"))


def test_answers_that_need_no_jax_do_not_import_it() -> None:
    program = (
        "import sys; from jaxml.__main__ import main;"
        "codes = [main(words.split()) for words in "
        "('studies', 'studies tiny', 'rnu', 'run tinny', 'run tiny --x 1', 'bench nope', 'verify nope')];"
        "assert 'jax' not in sys.modules; print(codes)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[0, 0, 2, 2, 2, 2, 2]"


def test_the_module_is_the_command() -> None:
    done = subprocess.run([sys.executable, "-m", "jaxml", "rnu"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "jaxml: There is no command 'rnu': did you mean 'run'?\n"


def test_a_run_from_list_to_report(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def said(*words: str) -> str:
        assert main(words) == 0
        return "".join(capsys.readouterr())

    assert "tiny" in said("studies")
    assert "(not run)" in said("studies", "tiny")
    first = said("run", "tiny", "--smoke")
    assert "measured [low, high]" in first
    assert "supported" in first
    assert f"Report: runs/tiny/{only_run(place).name}/report.html" in first
    assert "shown, not repeated" in said("run", "tiny", "--smoke")
    assert "(smoke only)" in said("studies", "tiny")
    said("run", "experiments/tiny.py")
    listed = said("studies", "tiny")
    assert "(up to date): Squares are positive." in listed
    assert "Claims: C001, and no other." in listed
    assert "--scale: float = 1.0" in listed
    assert "Report: runs/report.html" in said("report")
    (place / "experiments" / "tiny.py").write_text(TINY)
    assert "(stale)" in said("studies", "tiny")


def test_fields_reach_the_config(place: Path) -> None:
    assert main(["run", "--smoke", "tiny", "--scale", "-2", "--widths", "4", "5", "--dtype=float64"]) == 0
    manifest = json.loads((only_run(place) / "manifest.json").read_text())
    assert manifest["config"] == {"count": 8, "scale": -2.0, "widths": [4, 5], "dtype": "float64"}


def test_a_field_that_one_of_two_studies_has(place: Path) -> None:
    (place / "experiments" / "other.py").write_text(TINY.lstrip().replace("count", "number"))
    assert main(["run", "tiny", "other", "--number", "3"]) == 0
    configs = [json.loads((run / "manifest.json").read_text())["config"] for run in list_runs("runs")]
    assert [config.get("number") for config in configs] == [3, None]


def test_verify_compares_bits(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "tiny"]) == 0
    folder = only_run(place)
    assert main(["verify", str(folder)]) == 0
    assert "Equal: all 1 arrays" in capsys.readouterr().out
    with np.load(folder / "result.npz") as stored:
        squares = stored["squares"]
    squares[3] = np.nextafter(squares[3], np.float32(0))
    np.savez(folder / "result.npz", squares=squares)
    assert main(["verify", str(folder)]) == 1
    assert "Different: squares" in capsys.readouterr().out


def test_verify_loads_no_file_that_a_manifest_names(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (place / "mine.py").write_text(TINY.lstrip())
    assert main(["run", "mine.py"]) == 0
    folder = only_run(place)
    assert main(["verify", str(folder)]) == 2
    assert "'mine', which is not in experiments/: give its file with --study." in capsys.readouterr().err
    assert main(["verify", str(folder), "--study", "tiny"]) == 2
    (place / "mine.py").write_text(TINY)
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps(manifest | {"platform": "abacus"}))
    assert main(["verify", str(folder), "--study", "mine.py"]) == 0
    said = capsys.readouterr().out
    assert "Bits may differ" in said
    assert "other code, platform abacus where this is" in said


@pytest.mark.parametrize("name", ["manifest.json", "findings.json", "result.npz"])
def test_a_corrupt_run(name: str, place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "tiny"]) == 0
    path = only_run(place) / name
    path.write_bytes(path.read_bytes()[:40])
    assert main(["verify", str(path.parent)]) == 2
    assert f"{name} is damaged" in capsys.readouterr().err
    assert main(["report"]) == (0 if name == "result.npz" else 2)  # the ledger reads no arrays
    assert main(["studies"]) == 0


def test_an_interruption_keeps_finished_stages(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("JAXML_TEST_ACCIDENT", "interrupt")
    assert main(["run", "tiny"]) == 130
    assert "the same command resumes" in capsys.readouterr().err
    assert list_runs(place / "runs") == ()
    assert main(["run", "tiny"]) == 0
    assert "in an earlier attempt, kept" in capsys.readouterr().err


def test_a_defect_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAXML_TEST_ACCIDENT", "defect")
    with pytest.raises(ZeroDivisionError):
        main(["run", "tiny"])


@pytest.mark.skipif(jax.default_backend() != "cpu", reason="an accelerator is here")
def test_an_accelerator_can_be_required(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "tiny", "--require-accelerator"]) == 2
    assert "found only the CPU" in capsys.readouterr().err
    assert not (place / "runs").exists()


def test_the_doctor_names_what_is_wrong(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("JAXML_DATA_DIR", "/nowhere")
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert main(["doctor"]) == 0
    said = capsys.readouterr().out
    assert jax.__version__ in said
    assert "JAXML_DATA_DIR names /nowhere, which is no folder" in said
    assert "JAX_DEFAULT_MATMUL_PRECISION=highest" in said
    assert "XLA_FLAGS=--xla_gpu_deterministic_ops=true" in said


@pytest.mark.parametrize("command", ["doctor", "run tiny"])
def test_jax_that_cannot_start(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> str:
        raise AssertionError

    monkeypatch.setattr(jax, "default_backend", fail)
    assert main(command.split()) == 2
    assert "jaxml: JAX finds no device under JAX_PLATFORMS=" in capsys.readouterr().err


def test_readme_tables_stand_between_markers(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "tiny"]) == 0
    readme = place / "README.md"
    readme.write_text(
        "before\n<!-- verdicts -->\n<!-- /verdicts -->\n<!-- speed -->\n<!-- /speed -->\nafter\n"
    )
    assert main(["report", "--readme", "README.md"]) == 0
    assert "squares exceed 0" in readme.read_text() and "| Study | Asks |" not in readme.read_text()
    readme.write_text("before\n<!-- studies -->\n<!-- /studies -->\nafter\n")
    assert main(["report", "--readme", "README.md"]) == 0
    row = next(line for line in readme.read_text().splitlines() if line.startswith("| tiny |"))
    verdicts = [int(cell) for cell in row.split("|")[4:7]]
    assert "squares exceed 0" not in readme.read_text() and sum(verdicts) == verdicts[0] == 1
    readme.write_text("no markers")
    assert main(["report", "--readme", "README.md"]) == 2
    assert "lacks the pair" in capsys.readouterr().err
