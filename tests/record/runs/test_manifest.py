import hashlib
import json
import subprocess

import jax
import numpy as np
import pytest

import jaxml
from jaxml.provenance import Reading
from jaxml.record.runs import circumstances
from jaxml.record.runs.manifest import (
    Spent,
    differs,
    full_hash,
    identity,
    manifest,
    readings_to_json,
    run_hash,
    settings,
)
from jaxml.record.runs.stages import Stage
from jaxml.record.study import load
from jaxml.types import InputError

pytestmark = pytest.mark.identity
SPENT = Spent(
    "2020-01-01T00:00:00+00:00",
    "2020-01-01T00:01:00+00:00",
    60.0,
    5.0,
    {"a": Stage(1.0, True)},
)
DATA = readings_to_json(
    [Reading("mine.csv", "abc", "/x/mine.csv", "abc"), Reading("digits", "def")]
)
ARRAYS = {"x": np.zeros(2, np.float32), "y": np.zeros(2), "n": np.arange(2)}


def test_the_identity_decides_the_hash(toy):
    marks = identity(toy, toy.smoke)
    assert marks["platform"] == "cpu: cpu"
    assert marks["config"]["seeds"] == 2 and marks["study"] == "toy"
    assert len(run_hash(marks)) == 12 and run_hash(marks) == run_hash(
        dict(reversed(marks.items()))
    )
    others = [
        identity(toy, toy.Config(seeds=3)),
        identity(toy, toy.Config(seeds=2, seed=7)),
    ]
    changed = [
        marks | {"platform": "gpu"},
        marks | {"code": {}},
        marks | {"versions": {"jax": "0"}},
    ]
    assert len({run_hash(m) for m in [marks, *others, *changed]}) == 6


@pytest.mark.parametrize(
    "setting", ["jax_enable_x64", "jax_default_matmul_precision", "XLA_FLAGS"]
)
def test_every_setting_that_changes_bits_is_part_of_the_identity(
    toy, monkeypatch, setting
):
    before = run_hash(identity(toy, toy.smoke))
    if setting == "jax_enable_x64":
        with jax.enable_x64(True):
            assert run_hash(identity(toy, toy.smoke)) != before
    elif setting == "jax_default_matmul_precision":
        with jax.default_matmul_precision("bfloat16"):
            assert run_hash(identity(toy, toy.smoke)) != before
    else:
        monkeypatch.setenv("XLA_FLAGS", "--xla_cpu_enable_fast_math=true")
        assert run_hash(identity(toy, toy.smoke)) != before


def test_the_number_of_devices_is_no_part_of_the_identity(monkeypatch):
    monkeypatch.setenv("XLA_FLAGS", "--xla_force_host_platform_device_count=4")
    four = settings()
    monkeypatch.delenv("XLA_FLAGS")
    assert settings() == four


def test_what_was_read_decides_the_name_but_not_where_it_lay(toy):
    marks = identity(toy, toy.smoke)
    other = readings_to_json(
        [Reading("mine.csv", "ab0", "/x/mine.csv", "ab0"), Reading("digits", "def")]
    )
    moved = readings_to_json(
        [Reading("digits", "def"), Reading("mine.csv", "abc", "/y/mine.csv", "abc")]
    )
    assert full_hash(marks, DATA) == full_hash(marks, moved) != full_hash(marks, other)


def test_two_files_of_one_name_are_both_kept():
    found = readings_to_json(
        [Reading("a.csv", "1", "/x/a.csv", "1"), Reading("a.csv", "2", "/y/a.csv", "2")]
    )
    assert {entry["digest"] for entry in found.values()} == {"1", "2"}


@pytest.mark.oracle
def test_the_hash_is_sha256_of_the_sorted_json():
    assert (
        run_hash({"b": 1, "a": [0.5]})
        == hashlib.sha256(b'{"a": [0.5], "b": 1}').hexdigest()[:12]
    )


def test_the_manifest_is_json_and_tells_the_circumstances(toy):
    marks = identity(toy, toy.smoke)
    record = manifest(toy, toy.smoke, marks, SPENT, DATA, ARRAYS)
    assert json.loads(json.dumps(record, allow_nan=False)) == json.loads(
        json.dumps(record)
    )
    assert {name: record[name] for name in marks} == marks and record[
        "before"
    ] == run_hash(marks)
    assert record["hash"] == full_hash(marks, DATA)
    assert record["smoke"] is True and record["differs"] == {"seeds": 2}
    assert (
        record["versions"]["jax"] == jax.__version__
        and record["jaxml"] == jaxml.__version__
    )
    assert record["device"] == {"kind": "cpu", "count": 4} | circumstances.hardware()
    assert record["dtype"] == "float32, float64"
    assert record["wall_seconds"] == 60 and record["compile_seconds"] == 5
    assert record["stages"] == {"a": {"seconds": 1.0, "kept": True, "earlier": 0.0}}
    assert record["data"]["digits"]["digest"] == "def"
    assert record["about"]["claims"] == "C001, C150a, A3."
    assert (record["commit"], record["dirty"]) == ("unknown", "unknown")
    assert not manifest(toy, toy.Config(), marks, SPENT, {}, {})["smoke"]


def test_what_sets_a_config_apart_is_named(toy):
    assert differs(toy.Config()) == {}
    assert differs(toy.Config(seed=3, grid=(1, 2))) == {"seed": 3, "grid": [1, 2]}


def test_the_claims_that_a_study_brings_are_kept_with_the_run(toy_path):
    source = toy_path.read_text().replace(
        "Claims: C001, C150a, A3.", "Claims: C001, A3, mine-1."
    )
    table = {"mine-1": {"topic": "mine", "kind": "empirical", "claim": "Mine holds."}}
    toy_path.write_text(source + f"\nCLAIMS = {table!r}\n")
    toy = load(toy_path)
    record = manifest(toy, toy.smoke, identity(toy, toy.smoke), SPENT, {}, {})
    assert (
        set(record["own_claims"]) == {"mine-1"}
        and record["own_claims"]["mine-1"]["claim"] == "Mine holds."
    )


def test_the_commit_is_gits(toy, toy_path):
    def git(*arguments):
        identity = [
            "-c",
            "user.name=x",
            "-c",
            "user.email=x@x",
            "-c",
            "commit.gpgsign=false",
        ]
        command = ["git", "-C", str(toy_path.parent), *identity, *arguments]
        return subprocess.run(
            command, check=True, capture_output=True, text=True
        ).stdout.strip()

    git("init", "-q")
    git("add", "toy.py")
    git("commit", "-q", "-m", "toy")
    marks = identity(toy, toy.smoke)
    record = manifest(toy, toy.smoke, marks, SPENT, {}, {})
    changed = bool(git("status", "--porcelain"))
    assert (record["commit"], record["dirty"]) == (git("rev-parse", "HEAD"), changed)
    toy_path.write_text(toy_path.read_text() + "\n")
    assert manifest(toy, toy.smoke, marks, SPENT, {}, {})["dirty"] is True


def test_no_git_is_no_error(toy, monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert (
        manifest(toy, toy.smoke, identity(toy, toy.smoke), SPENT, {}, {})["commit"]
        == "unknown"
    )


def test_a_config_of_wrong_values_is_refused(toy):
    with pytest.raises(InputError):
        identity(toy, toy.Config(seeds="many"))
