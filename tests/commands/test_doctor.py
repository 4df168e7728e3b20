"""`jaxml doctor`: each thing that is wrong is one sentence, with what to do."""

from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

from jaxml.__main__ import main
from jaxml.commands import doctor, machine
from jaxml.commands.machine import Product, kept_bits, product, quota

pytestmark = pytest.mark.identity

SOUND = Product(jax.devices()[0].device_kind, 24)


def test_a_machine_that_computes_in_full_precision() -> None:
    assert product(32) == SOUND


def test_bits_that_a_product_cuts_are_counted() -> None:
    exact = np.random.default_rng(0).uniform(1, 2, 4096).astype(np.float32)
    for bits in (8, 11, 24):
        scale = 2.0 ** (bits - 1)
        rounded = np.round(exact * scale) / scale
        assert kept_bits(exact, rounded.astype(np.float32)) == bits
    assert kept_bits(exact, exact * np.float32(np.nan)) == 0


@pytest.mark.parametrize(
    ("text", "cores"), [("max 100000", None), ("150000 100000", 1.5), (None, None)]
)
def test_the_time_that_a_group_grants(
    text: str | None, cores: float | None, tmp_path: Path
) -> None:
    if text is not None:
        (tmp_path / "sys/fs/cgroup").mkdir(parents=True)
        (tmp_path / "sys/fs/cgroup/cpu.max").write_text(f"{text}\n")
    assert quota(tmp_path) == cores


WRONG: dict[str, tuple[Any, str]] = {
    "idle_accelerators": (lambda: ("/dev/nvidia0",), "is here and unused: unset JAX_P"),
    "quota": (lambda: 0.5, "the time of 0.5 is granted: pass --devices 1"),
    "unchecked_compressor": (lambda: "zstandard", "without a checksum"),
    "is_writable": (lambda folder: False, "cannot be written: every process"),
    "free_disk": (lambda folder: 1000, "Less than 1 GiB of disk"),
    "available_bytes": (lambda: 1000, "Less than 1 GiB of memory"),
}


def test_each_thing_that_is_wrong_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAX_PLATFORMS", "cpu")
    monkeypatch.setattr(doctor, "quota", lambda: None)  # whatever this machine is
    sound = list(doctor.warnings(SOUND))
    for name, (value, expected) in WRONG.items():
        with monkeypatch.context() as patched:
            patched.setattr(doctor, name, value)
            said = [each for each in doctor.warnings(SOUND) if each not in sound]
        assert any(expected in each for each in said), name
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "7")
    assert "by 7 threads" in "".join(doctor.warnings(SOUND))
    other = list(doctor.warnings(Product("abacus", 8)))
    assert any("computed by abacus, although JAX has" in each for each in other)
    assert any("keep 8 of 24 bits" in each for each in other)


def test_the_table_names_what_decides(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "program").write_bytes(bytes(3 * 2**20))
    assert main(["doctor"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    for words in ("24 of 24 bits kept", "1 files, 3 MiB", "a product was computed by"):
        assert words in said
    for row in ("processor", "cores", "threads", "disk", "downloads", "driver"):
        assert row in said
    assert machine.free_disk(tmp_path / "not" / "there") > 0
