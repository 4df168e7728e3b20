"""Runs that are killed, and runs that meet: nothing is lost, nothing half written is
ever seen as a run.
"""

import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

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
    """A quarter second later each time, from the imports to the figures; each attempt
    resumes the last.
    """
    kills = 0
    for patience in np.arange(2.0, 12.0, 0.25):
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
