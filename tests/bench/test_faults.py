"""Faults that are injected into runs: nothing is lost, nothing half written, no bit
differs; and each of these is noticed where it happens.
"""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from jaxml.bench import faults
from jaxml.bench.faults_injected import (
    Bench,
    bench,
    crashed,
    jumping_clock,
    refused,
    stale_lock,
)
from jaxml.bench.faults_killed import killed
from jaxml.bench.faults_toll import Toll, differing_bits, unreadable
from jaxml.record.runs import archive, stages

pytestmark = pytest.mark.invariance


@pytest.fixture(scope="module")
def small() -> Iterator[Bench]:
    with bench() as found:
        yield found


def test_eight_kills_at_random_moments_cost_nothing() -> None:
    toll = killed(8, smoke=True)
    assert toll.injected == 8 and toll.resumed and toll.finished >= 2
    assert faults.cost(toll) == 0


@pytest.mark.parametrize(
    ("inject", "times"),
    [
        (lambda small: crashed(small, 3), 4),
        (lambda small: refused(small, "a full disk", 1), 1),
        (stale_lock, 1),
        (lambda small: jumping_clock(small, (-1e9,)), 1),
    ],
    ids=["crash", "full", "lock", "clock"],
)
def test_faults_cost_nothing(
    small: Bench, inject: Callable[[Bench], Toll], times: int
) -> None:
    toll = inject(small)
    assert toll.injected == times == toll.finished
    assert faults.cost(toll) == 0


def test_work_that_a_kill_loses_is_noticed(
    small: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if no stored stage were ever found."""
    monkeypatch.setattr(stages, "_stored", lambda path, announce: None)
    assert stale_lock(small._replace(place=small.place / "lost")).lost == 1


def test_a_file_half_written_is_noticed(small: Bench, tmp_path: Path) -> None:
    folder = tmp_path / "orbits" / small.whole.folder.name
    folder.mkdir(parents=True)
    for name in ("manifest.json", "findings.json"):
        (folder / name).write_bytes((small.whole.folder / name).read_bytes())
    whole = (small.whole.folder / "result.npz").read_bytes()
    (folder / "result.npz").write_bytes(whole[: len(whole) // 2])
    assert unreadable(tmp_path) == 1


def test_every_differing_bit_is_counted() -> None:
    ours = {"a": np.arange(4.0), "b": np.float32([np.nan])}
    theirs = {"a": np.arange(4.0), "b": np.float32([np.nan])}
    assert differing_bits(ours, theirs) == 0
    theirs["a"][2] = np.nextafter(2.0, 3.0)
    assert differing_bits(ours, theirs) == 1
    assert differing_bits(ours, {"a": theirs["a"].astype(np.float32)}) == 256 + 32


def test_a_file_reaches_the_disk_before_it_gets_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    sync, replace = os.fsync, os.replace

    def seen_sync(handle: int) -> None:
        done.append(os.readlink(f"/proc/self/fd/{handle}"))
        sync(handle)

    def seen_replace(old: Path, new: Path) -> None:
        done.append(str(new))
        replace(old, new)

    monkeypatch.setattr(archive.os, "fsync", seen_sync)
    monkeypatch.setattr(archive.os, "replace", seen_replace)
    archive.save_arrays(tmp_path / "a.npz", {"a": np.arange(3)})
    named = [str(tmp_path / "a.npz.tmp"), str(tmp_path / "a.npz")]
    assert done == [*named, str(tmp_path)], "the folder's list of names comes last"


def test_the_command_prints_what_it_found_and_fails_where_something_is_lost(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tolls = [Toll("killed", 50, 20, 0, 0, 0, 0, 9), Toll("a full disk", 3)]
    monkeypatch.setattr(faults, "injected", lambda *_: tolls)
    assert faults.main(["--kills", "50"]) == 0
    rows = [line for line in capsys.readouterr().out.splitlines() if "│" in line]
    sums = [cell.strip() for cell in rows[-1].split("│")]
    assert sums[1:-1] == ["all", "53", "20", "0", "0", "0", "0", "9"]
    tolls.append(Toll("a clock that jumps", bits=1))
    assert faults.main([]) == 1
