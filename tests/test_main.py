"""The front door: what each command prints and returns, and the sentence for each way
of being wrong.
"""

import csv
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest

from jaxml import shipped
from jaxml.__main__ import main
from jaxml.commands import doctor
from jaxml.record import list_runs

pytestmark = pytest.mark.golden

TINY = '''
"""Squares are positive.

Claims: C001, C158,
    C002.
Cost: a second.
Expect: one supported claim.
Run: jaxml run tiny
"""

import os
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from jaxml.record import above, bootstrap, certain, deciding, figures as drawing
from jaxml.types import InputError


@dataclass(frozen=True, kw_only=True)
class Config:
    count: int = 16
    scale: float = 1.0
    widths: tuple[int, ...] = (2, 3)
    dtype: Literal["float32", "float64"] = "float32"
    lanes: int = 4
    seed: int = 0

    def __post_init__(self):
        if self.count < 1:
            raise InputError("count must be positive: use 1 or more.")


SMOKE = Config(count=8)


class Result(NamedTuple):
    squares: np.ndarray


def study(config, keep):
    numbers = np.arange(1, config.count + 1, dtype=config.dtype)
    squares = keep("squares", lambda: numbers**2)
    match os.environ.pop("JAXML_TEST_ACCIDENT", ""):
        case "interrupt":
            raise KeyboardInterrupt
        case "defect":
            raise ZeroDivisionError
    shift = np.asarray(config.seed % 2 * 200, config.dtype)
    return Result(squares * np.asarray(config.scale, config.dtype) - shift)


def findings(result):
    where = {"unit": "difference", "setting": "small whole numbers"}
    interval = bootstrap(np.mean, result.squares)
    largest = certain(result.squares.max())
    return (
        deciding("C001", "squares exceed 0", interval, above(0.0), **where),
        deciding("C158", "the largest exceeds 1", largest, above(1.0), **where),
    )


def figures(result):
    return {"squares": drawing.Figure()}
'''


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with one study, and settings that end with the test."""
    (tmp_path / "experiments").mkdir()
    (tmp_path / "experiments" / "tiny.py").write_text(TINY.lstrip())
    (tmp_path / "shipped").mkdir()
    shutil.copy(shipped.studies() / "claims.toml", tmp_path / "shipped")
    monkeypatch.setattr(shipped, "studies", lambda: tmp_path / "shipped")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XLA_FLAGS", "")  # that tests compile in a hurry is no setting
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
            "There is no field --scael: did you mean --scale? tiny has count, scale, "
            "widths",
        ),
        ("run tiny --smok", "There is no field --smok: did you mean --smoke?"),
        ("run --scale 2 tiny", "write the studies first"),
        ("run tiny --runs", "--runs: expected one argument."),
        ("run tiny --scale x", "--scale takes a value of type float, not 'x'"),
        ("run tiny --count 1.5", "--count takes a value of type int, not '1.5'"),
        ("run tiny --count 1 2", "name studies before fields"),
        ("run tiny --count", "and none was given"),
        (
            "run tiny --dtype int8",
            "--dtype takes a value of type Literal['float32', 'float64'], not 'int8'",
        ),
        ("run tiny --count -1", "count must be positive"),
        ("run tiny --checkpoint-seconds 0", "0 is no time: give a positive number"),
        ("run tiny --checkpoint-seconds x", "x is no time: give a positive number"),
        ("run tiny --runs broken.py", "broken.py is a file"),
        ("run tiny --runs broken.py/runs", "cannot be written"),
        ("run tiny --count 3,x", "--count takes a value of type int, not 'x'"),
        ("run tiny ./other/tiny.py", "Two studies are called tiny"),
        (
            "run wrong_claim.py",
            "wrong_claim.py speaks of 'C999', which is no claim: did you mean C09",
        ),
        ("claims C999", "There is no claim and no topic 'C999': did you mean"),
        (
            "claims momentun",
            "There is no claim and no topic 'momentun': did you mean momentum",
        ),
        ("replicate tiny --times 0", "--times 0 runs nothing again"),
        ("replicate", "No study is named"),
        ("runs nowhere", "nowhere holds no runs"),
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
    (place / "other").mkdir()
    (place / "other" / "tiny.py").write_text(TINY.lstrip())
    (place / "wrong_claim.py").write_text(TINY.lstrip().replace("C158,", "C999,"))
    assert main(words.split()) == 2
    *_, last = capsys.readouterr().err.splitlines()
    assert last.startswith("jaxml: ")
    assert sentence in last
    assert not list(place.glob("runs/*/*"))


def test_answers_that_need_no_jax_do_not_import_it() -> None:
    program = (
        "import sys; from jaxml.__main__ import main;codes = [main(words.split()) for "
        "words in ('studies', 'studies tiny', 'rnu', 'run tinny', 'run tiny --x 1', "
        "'bench nope', 'verify nope')];assert 'jax' not in sys.modules; print(codes)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "[0, 0, 2, 2, 2, 2, 2]"


def test_the_module_is_the_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "jaxml", "rnu"], capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "jaxml: There is no command 'rnu': did you mean 'run'?\n"


def test_a_run_from_list_to_report(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def said(*words: str) -> str:
        assert main(words) == 0
        return "".join(capsys.readouterr())

    assert "tiny" in said("studies")
    assert "(not run)" in said("studies", "tiny")
    first = said("run", "tiny", "--smoke")
    assert "measured [low, high]" in first and "A smoke config only shows" in first
    assert "supported" in first
    assert f"Report: runs/tiny/{only_run(place).name}/report.html" in first
    assert "shown, not repeated" in said("run", "tiny", "--smoke")
    assert "(smoke only)" in said("studies", "tiny")
    said("run", "experiments/tiny.py")
    listed = said("studies", "tiny")
    assert "(up to date): Squares are positive." in listed
    assert "Claims: C001, C158, C002." in listed
    assert "--scale: float = 1.0" in listed
    assert "Report: runs/report.html" in said("report")
    (place / "experiments" / "tiny.py").write_text(TINY)
    assert "(up to date)" in said("studies", "tiny"), "an empty line is no change"
    (place / "experiments" / "tiny.py").write_text(TINY.replace("200", "201"))
    assert "(stale: study changed)" in said("studies", "tiny")


def test_fields_reach_the_config(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", "--smoke", "tiny", "--scale", "-2"]) == 2
    assert "tiny cannot use --scale -2.0: give 0 or more" in capsys.readouterr().err
    assert (
        main(
            [
                "run",
                "--smoke",
                "tiny",
                "--scale",
                "2.5",
                "--widths",
                "4",
                "5",
                "--dtype=float64",
            ]
        )
        == 0
    )
    manifest = json.loads((only_run(place) / "manifest.json").read_text())
    given = {
        "count": 8,
        "scale": 2.5,
        "widths": [4, 5],
        "dtype": "float64",
        "lanes": 4,
        "seed": 0,
    }
    assert manifest["config"] == given and manifest["dtype"] == "float64"


def test_a_field_that_one_of_two_studies_has(place: Path) -> None:
    (place / "experiments" / "other.py").write_text(
        TINY.lstrip().replace("count", "number")
    )
    assert main(["run", "tiny", "other", "--number", "3"]) == 0
    configs = [
        json.loads((run / "manifest.json").read_text())["config"]
        for run in list_runs("runs")
    ]
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
    said = capsys.readouterr().out
    assert "Different: squares (1 of 16 values, by up to 9.5e-07)" in said
    assert "result.npz" in said and "is not the file that the run wrote" in said


def test_verify_loads_no_file_that_a_manifest_names(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (place / "mine.py").write_text(TINY.lstrip())
    assert main(["run", "mine.py"]) == 0
    folder = only_run(place)
    assert main(["verify", str(folder)]) == 2
    assert (
        "'mine', which is not in experiments/: give its file with --study."
        in capsys.readouterr().err
    )
    assert main(["verify", str(folder), "--study", "tiny"]) == 2
    (place / "mine.py").write_text(TINY)
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps(manifest | {"platform": "abacus"}))
    capsys.readouterr()
    assert main(["verify", str(folder), "--study", "mine.py"]) == 1
    said = capsys.readouterr().out
    assert "Bits may differ" in said
    assert "platform was abacus and is cpu" in said
    assert "is not the one from which its hash was made" in said


@pytest.mark.parametrize("name", ["manifest.json", "findings.json", "result.npz"])
def test_a_corrupt_run(
    name: str, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", "tiny"]) == 0
    path = only_run(place) / name
    path.write_bytes(path.read_bytes()[:40])
    assert main(["verify", str(path.parent)]) == 2
    assert f"{name} is damaged" in capsys.readouterr().err
    assert main(["studies"]) == 0
    assert main(["run", "tiny", "--scale", "2"]) == 0, (
        "a damaged run stands in nobody's way"
    )
    assert main(["run", "tiny", "--again"]) == 0, "and --again heals it"
    assert main(["report"]) == 0


def test_an_interruption_keeps_finished_stages(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("JAXML_TEST_ACCIDENT", "interrupt")
    assert main(["run", "tiny"]) == 130
    assert "the same command resumes" in capsys.readouterr().err
    assert list_runs(place / "runs") == ()
    assert main(["run", "tiny"]) == 0
    assert "in an earlier attempt, kept" in capsys.readouterr().err


def test_a_defect_is_told_apart_from_wrong_input(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("JAXML_TEST_ACCIDENT", "defect")
    assert main(["run", "tiny"]) == 3
    said = capsys.readouterr().err
    assert (
        "ZeroDivisionError" in said
        and "report the lines above" in said.splitlines()[-1]
    )


@pytest.mark.skipif(jax.default_backend() != "cpu", reason="an accelerator is here")
def test_an_accelerator_can_be_required(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", "tiny", "--require-accelerator"]) == 2
    assert "found only the CPU" in capsys.readouterr().err
    assert not (place / "runs").exists()


def test_devices_are_a_number_that_changes_no_bit(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """It is no part of a run's identity, and no field of a study."""
    assert main(["run", "tiny", "--devices", "0"]) == 2
    assert "0 devices cannot compute: ask for 1 or more" in capsys.readouterr().err
    assert main(["run", "tiny", "--devices", "two"]) == 2
    assert not Path("runs").exists()
    assert main(["run", "tiny", "--devices", "1"]) == 0
    assert main(["run", "tiny", "--devices", "1000"]) == 0
    assert "1000 devices share" in capsys.readouterr().err
    (run,) = list_runs("runs")
    assert json.loads((run / "manifest.json").read_text())["device"]["count"] == 1
    assert main(["verify", str(run), "--devices", "2"]) == 0


def test_the_doctor_names_what_is_wrong(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("JAXML_DATA_DIR", "/nowhere")
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    tf32 = doctor.Product("cpu", 11)
    monkeypatch.setattr(doctor, "product", lambda: tf32)
    assert main(["doctor"]) == 0
    said = capsys.readouterr().out
    assert jax.__version__ in said
    assert "JAXML_DATA_DIR names /nowhere, which is no folder" in said
    assert "default precision: 11 of 24 bits kept" in said
    assert "keep 11 of 24 bits: set JAX_DEFAULT_MATMUL_PRECISION=highest" in said
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


READY = "before\n<!-- {0} -->\n<!-- /{0} -->\nafter\n"


def test_tables_stand_between_markers(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", "tiny"]) == 0
    readme = place / "README.md"
    for marker, expected in {
        "tally": "2 of 208 claims are tested: ✓ 2 supported",
        "answers": "| C158 | Gradient descent on",
        "studies": "| tiny | Squares are positive. | C001, C158 |",
        "index": "| C158 | ✓ supported | Gradient descent on",
        "verdicts": "| squares exceed 0<br><sub>small whole numbers</sub> |",
        "speed": "",
    }.items():
        readme.write_text(READY.format(marker))
        assert main(["report", "--readme", "README.md"]) == 0
        assert expected in readme.read_text() and readme.read_text().startswith(
            "before\n"
        )
    readme.write_text("no markers")
    assert main(["report", "--readme", "README.md"]) == 2
    assert "lacks the pair" in capsys.readouterr().err


def tables(place: Path) -> list[str]:
    (place / "VERDICTS.md").write_text(READY.format("verdicts"))
    assert main(["report", "--readme", "VERDICTS.md"]) == 0
    return (place / "VERDICTS.md").read_text().splitlines()


def test_tables_keep_the_rows_of_studies_that_have_not_run(place: Path) -> None:
    (place / "experiments" / "other.py").write_text(
        TINY.lstrip().replace("squares exceed", "others exceed")
    )
    assert main(["run", "tiny", "other"]) == 0
    full = tables(place)
    assert (place / "experiments" / "verdicts" / "other.json").is_file()
    shutil.rmtree(place / "runs")
    assert tables(place) == full, "without runs, from the committed verdicts"
    assert (
        main(["run", "tiny", "--smoke"]) == main(["run", "tiny", "--scale", "3"]) == 0
    )
    assert main(["run", "tiny", "--smoke", "--scale", "3"]) == 0
    assert tables(place) == full, (
        "a smoke config, or one changed by flags, never enters"
    )


def test_a_run_from_another_seed_changes_its_own_rows_only(place: Path) -> None:
    (place / "experiments" / "other.py").write_text(
        TINY.lstrip().replace("squares exceed", "others exceed")
    )
    assert main(["run", "tiny", "other"]) == 0
    before = tables(place)
    assert sum("not run again" in line for line in before) == 4
    shutil.rmtree(place / "runs")
    assert main(["run", "tiny", "--seed", "2"]) == 0
    after = tables(place)
    changed = [line for line in after if line not in before]
    assert len(after) == len(before) and len(changed) == 2
    assert all("| 1/1 | tiny |" in line for line in changed)


def test_a_verdict_that_flips_is_not_decided(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["replicate", "tiny", "--times", "2"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "seed=1" in said and "seed=2" in said and "lanes=2" in said
    assert "2/3" in said and "1 deciding verdict changed." in said
    assert any("2/3, so undecided" in line for line in tables(place))
    assert main(["claims", "C001"]) == 0
    shown = capsys.readouterr().out
    assert "? undecided" in shown and "small whole numbers" in shown


def test_claims_are_shown_with_their_answers(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", "tiny"]) == 0
    capsys.readouterr()
    for words, expected in {
        "C158": "✓ supported",
        "c002": "No study has a deciding finding",
        "": "2 of 208 claims are tested",
        "gradient descent": "C158",
        "Momentum": "C073",
    }.items():
        assert main(["claims", *words.split()]) == 0
        assert expected in capsys.readouterr().out


def test_a_study_brings_its_own_claims(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    entry = 'topic = "mine"\nkind = "empirical"\nclaim = "My squares are positive."\n'
    (place / "claims.toml").write_text(f"[mine-1]\n{entry}")
    source = (
        TINY.lstrip().replace("C001", "mine-1").replace("\n    C002.", "\n    mine-1.")
    )
    (place / "mine.py").write_text(source)
    assert main(["run", "mine.py"]) == main(["report"]) == 0
    capsys.readouterr()
    assert main(["claims", "mine-1"]) == 0
    assert "✓ supported" in capsys.readouterr().out
    assert "My squares are positive." in (place / "runs" / "report.html").read_text()


def test_several_values_make_several_runs(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", "tiny", "--count", "5,10,20", "--widths", "1,2"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "tiny, run by run" in said
    configs = [
        json.loads((run / "manifest.json").read_text())["config"]
        for run in list_runs("runs")
    ]
    assert sorted(config["count"] for config in configs) == [5, 10, 20]
    assert all(config["widths"] == [1, 2] for config in configs)
    assert main(["report"]) == 0
    page = (place / "runs" / "report.html").read_text()
    assert (
        "Other runs of tiny, compared" in page
        and "count=10" in page
        and "refuted: " not in page
    )


def test_runs_are_listed_and_exported(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", "tiny", "--count", "1,16"]) == 0
    capsys.readouterr()
    assert main(["runs"]) == 0
    assert "up to date" in capsys.readouterr().out
    assert main(["runs", "--csv", "out.csv", "--json", "out.json"]) == 0
    with (place / "out.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["kind"] for row in rows].count("finding") == 4
    (scalar,) = [row for row in rows if row["kind"] == "scalar"]
    assert (scalar["name"], float(scalar["value"])) == ("squares", 1.0)
    again = json.loads((place / "out.json").read_text())
    assert [row["verdict"] for row in again] == [row["verdict"] or None for row in rows]


@pytest.mark.parametrize(
    "command",
    [
        "studies",
        "claims",
        "run",
        "replicate",
        "report",
        "runs",
        "watch",
        "verify",
        "doctor",
        "bench",
    ],
)
def test_every_command_explains_itself(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([command, "--help"]) == 0
    assert f"jaxml {command}" in capsys.readouterr().out


def test_help_on_a_study_lists_its_fields(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "tiny", "--help"]) == 0
    said = capsys.readouterr().out
    assert "--scale: float = 1.0" in said and "--seed: int = 0" in said


def test_a_home_is_spelled_out(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(place / "home"))
    assert main(["run", "tiny", "--runs=~/kept"]) == 0
    assert len(list_runs(place / "home" / "kept")) == 1 and not (place / "~").exists()


def test_a_user_without_a_home_has_a_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    def nowhere() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", nowhere)
    assert shipped.cache().name == "jaxml-cache"


def test_a_terminal_that_is_not_utf8_is_no_reason_to_fail(place: Path) -> None:
    program = (
        "import sys; from jaxml.__main__ import main; sys.exit(main(['run', "
        "'experiments/tiny.py']))"
    )
    environment = {
        "PYTHONIOENCODING": "ascii",
        "PATH": "/usr/bin:/bin",
        "HOME": str(place),
    }
    source = TINY.lstrip().replace("squares exceed 0", "squares exceed zero, ≥ 0")
    (place / "experiments" / "tiny.py").write_text(source)
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=environment,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0 and re.search(rb"squares\s+exceed", done.stdout)


def test_jit_that_is_switched_off_is_a_sentence(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with jax.disable_jit():
        assert main(["run", "tiny"]) == 2
    assert "JAX_DISABLE_JIT is set" in capsys.readouterr().err


def test_a_file_that_a_study_reads_makes_it_stale(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = TINY.lstrip().replace(
        "import numpy as np\n", "import numpy as np\nfrom jaxml import problem\n", 1
    )
    (place / "experiments" / "tiny.py").write_text(
        source.replace(
            "    squares = keep", '    problem.read("table.csv")\n    squares = keep'
        )
    )
    (place / "table.csv").write_text("1,2")
    assert main(["run", "tiny"]) == main(["studies", "tiny"]) == 0
    assert "(up to date)" in capsys.readouterr().out
    (place / "table.csv").write_text("1,3")
    assert main(["studies", "tiny"]) == 0
    assert "(stale: the data table.csv changed)" in capsys.readouterr().out
    assert main(["report"]) == 2
    assert "the data table.csv changed" in " ".join(capsys.readouterr().err.split())


def test_a_module_beside_a_study_makes_it_stale(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = TINY.lstrip().replace(
        "import numpy as np\n", "import numpy as np\nfrom helper import factor\n", 1
    )
    source = source.replace("- shift", "* np.asarray(factor(), config.dtype) - shift")
    (place / "experiments" / "tiny.py").write_text(source)
    (place / "experiments" / "helper.py").write_text("def factor():\n    return 1.0\n")
    assert main(["run", "tiny"]) == 0
    (place / "experiments" / "helper.py").write_text("def factor():\n    return 2.0\n")
    capsys.readouterr()
    assert main(["studies", "tiny"]) == 0
    assert "(stale: helper.py changed)" in capsys.readouterr().out
    assert main(["run", "tiny"]) == 0
    ends = [np.load(run / "result.npz")["squares"][-1] for run in list_runs("runs")]
    assert sorted(ends) == [256.0, 512.0], "the changed module was imported anew"
