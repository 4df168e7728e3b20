"""Runs that are killed, and runs that meet: nothing is lost, nothing half written is
ever seen as a run.
"""

import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from jaxml.bench.faults import SIZES, cost
from jaxml.bench.faults_injected import bench, crashed, refused, short_files
from jaxml.bench.faults_killed import killed, rivals

pytestmark = pytest.mark.stress


def run(runs: Path) -> subprocess.Popen:
    command = [
        sys.executable,
        "-m",
        "jaxml",
        "run",
        "critical_points",
        "--smoke",
        "--runs",
        str(runs),
    ]
    return subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )


def finish(process: subprocess.Popen, patience: float | None = None) -> str:
    """What it said; killed when patience ends."""
    with process:
        try:
            return process.communicate(timeout=patience)[1]
        except subprocess.TimeoutExpired:
            process.kill()
            return process.communicate()[1]


def whole(runs: Path) -> list[Path]:
    """Folders that are seen as runs."""
    return [
        path.parent
        for path in runs.glob("critical_points/*/result.npz")
        if path.parent.suffix == ""
    ]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    runs = tmp_path_factory.mktemp("undisturbed")
    finish(run(runs))
    return whole(runs)[0]


@pytest.mark.invariance
def test_a_run_killed_again_and_again_ends_with_the_bits_of_one_left_alone(
    tmp_path: Path, undisturbed: Path
) -> None:
    """Later each time, from the imports to the figures; each attempt resumes the last.
    How many kills there are depends on the machine: fifty at random moments are below.
    """
    kills = 0
    for patience in np.geomspace(2.0, 16.0, 16):
        process = run(tmp_path)
        finish(process, patience)
        if whole(tmp_path):
            break  # it ended, or was killed between its last rename and its exit
        assert process.returncode != 0
        kills += 1
    assert kills >= 2
    (folder,) = whole(tmp_path)
    ours, theirs = (np.load(path / "result.npz") for path in (folder, undisturbed))
    assert ours.files == theirs.files
    for name in theirs.files:
        assert ours[name].tobytes() == theirs[name].tobytes(), name


@pytest.mark.invariance
def test_of_two_processes_on_one_run_one_works_and_the_other_says_so(
    tmp_path: Path,
) -> None:
    first = run(tmp_path)
    while not list(tmp_path.glob("critical_points/*.partial")):
        assert first.poll() is None
        time.sleep(0.01)
    second = run(tmp_path)
    said = finish(second)
    finish(first)
    assert first.returncode == 0
    assert second.returncode == 2 and f"worked on by process {first.pid}" in said
    assert len(whole(tmp_path)) == 1


@pytest.mark.invariance
def test_fifty_kills_and_five_terminations_cost_nothing() -> None:
    kills, terminations = killed(50), killed(5, seed=1, number=signal.SIGTERM)
    assert (kills.injected, terminations.injected) == (50, 5)
    assert kills.resumed > 10 and kills.finished >= 12
    assert cost(kills) == cost(terminations) == 0


@pytest.mark.invariance
def test_processes_that_meet_cost_nothing() -> None:
    toll = rivals(5)
    assert toll.injected == toll.finished == 5 and cost(toll) == 0


@pytest.mark.invariance
def test_a_kill_before_any_operation_costs_nothing() -> None:
    with bench() as small:
        toll = crashed(small)
    assert toll.injected > 40 and toll.resumed > toll.injected / 2
    assert cost(toll) == 0


@pytest.mark.invariance
def test_refused_operations_and_short_files_cost_nothing() -> None:
    with bench() as small:
        full, read_only = (
            refused(small, fault, 12) for fault in ("a full disk", "a read-only folder")
        )
        short = short_files(small, SIZES)
    assert full.refused > 8 and read_only.refused > 8 and short.refused > 5
    assert cost(full) == cost(read_only) == cost(short) == 0
