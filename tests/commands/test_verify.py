"""`jaxml verify` names what differs, and trusts no compiled program on disk."""

import json
import os
import zipfile
from pathlib import Path
from typing import Any

import jax
import pytest

from jaxml.__main__ import main
from jaxml.commands import environment
from jaxml.commands.verify import compiled_anew, differences
from jaxml.record import load_run
from jaxml.record.runs import circumstances

pytestmark = pytest.mark.identity


@pytest.fixture
def folder(place: Path) -> Path:
    assert main(["run", "small"]) == 0
    (found,) = (path.parent for path in place.glob("runs/small/*/manifest.json"))
    return found


ELSEWHERE: dict[str, tuple[dict[str, Any], str]] = {
    "version": ({"versions": {"jax": "0.1"}}, "jax was 0.1 and is"),
    "setting": (
        {"settings": {"jax_enable_x64": "so"}},
        "jax_enable_x64 was so and is",
    ),
    "flags": (
        {"settings": {"XLA_FLAGS": "--xla_fast"}},
        "XLA_FLAGS was --xla_fast and is",
    ),
    "platform": ({"platform": "tpu: v5"}, "platform was tpu: v5 and is cpu: cpu"),
    "processor": ({"device": {"processor": "abacus"}}, "processor was abacus and is"),
    "driver": ({"device": {"driver": "CUDA 1"}}, "driver was CUDA 1 and is cpu"),
    "cores": ({"threads": {"cores": 7000}}, "cores was 7000 and is"),
    "switch": (
        {"threads": {"NVIDIA_TF32_OVERRIDE": "1"}},
        "NVIDIA_TF32_OVERRIDE was 1 and is unset",
    ),
    "code": ({"code": {"experiments/small.py": "0"}}, "small.py"),
    "data": (
        {"data": {"mine.csv": {"digest": "0", "path": "/no", "file_digest": "0"}}},
        "the data mine.csv changed",
    ),
}


def test_each_circumstance_that_differs_is_named_alone(
    folder: Path, place: Path
) -> None:
    manifest, study = load_run(folder).manifest, place / "experiments" / "small.py"
    assert differences(manifest, study) == ()
    for change, expected in ELSEWHERE.values():
        other = {
            name: manifest[name] | value if isinstance(value, dict) else value
            for name, value in change.items()
        }
        named = differences(manifest | other, study)
        assert len(named) == 1 and expected in named[0]
    older = {"device": {"kind": "cpu", "count": 1}}
    assert differences(manifest | older, study) == ()


def test_an_altered_folder_is_told_from_other_bits(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = folder / "manifest.json"
    written = path.read_text()
    config = json.loads(written)
    config["config"]["scale"] = 2.0
    path.write_text(json.dumps(config))
    assert main(["verify", str(folder)]) == 1
    said = capsys.readouterr().out
    assert "not the one from which its hash was made" in said
    assert "squares (16 of 16 values, by up to 2.6e+02) of 1 arrays" in said
    path.write_text(written)
    with zipfile.ZipFile(folder / "result.npz", "a") as archive:
        archive.comment = b"other bytes, equal arrays"
    assert main(["verify", str(folder)]) == 1
    said = capsys.readouterr().out.splitlines()
    assert said == [
        f"Different: result.npz in {folder} is not the file that the run wrote."
    ]


def test_nothing_is_read_from_the_cache_of_programs() -> None:
    assert jax.config.values["jax_enable_compilation_cache"]
    with compiled_anew():
        assert not jax.config.values["jax_enable_compilation_cache"]
    assert jax.config.values["jax_enable_compilation_cache"]


def test_a_cache_without_checksum_is_not_switched_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(environment, "unchecked_compressor", lambda: "zstandard")
    monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR")
    environment.prepare()
    assert "JAX_COMPILATION_CACHE_DIR" not in os.environ
    monkeypatch.setattr(environment, "unchecked_compressor", lambda: None)
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", "mine")
    environment.prepare()
    assert os.environ["JAX_COMPILATION_CACHE_DIR"] == "mine"


def test_determinism_is_one_flag_that_is_recorded_and_verified_under(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XLA_FLAGS", "--xla_force_host_platform_device_count=4")
    assert main(["run", "small", "--smoke"]) == 0
    assert main(["run", "small", "--smoke", "--deterministic"]) == 0
    recorded = {
        json.loads(path.read_text())["settings"]["XLA_FLAGS"]: path.parent
        for path in place.glob("runs/small/*/manifest.json")
    }
    assert sorted(recorded) == ["", environment.DETERMINISM]
    with_it, without = recorded[environment.DETERMINISM], recorded[""]
    assert environment.was_deterministic(with_it)
    assert not environment.was_deterministic(without)
    assert not environment.was_deterministic(place)
    environment.prepare(deterministic=True)
    assert os.environ["XLA_FLAGS"].count(environment.DETERMINISM) == 1
    assert circumstances.settings()["XLA_FLAGS"] == environment.DETERMINISM
