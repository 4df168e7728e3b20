"""Several processes on one machine: the bits of one process, whoever is killed."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from jaxml.__main__ import main

STUDY = '''"""Ten short runs, and one over all devices.

Claims: C001.
Cost: a second.
"""

import time
from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxml import learn, mesh
from jaxml.record import above, bootstrap, deciding
from jaxml.record import figures as drawing
from jaxml.types import Batch


@dataclass(frozen=True, kw_only=True)
class Config:
    seed: int = 0
    pauses: int = 0


SMOKE = Config()
NUMBERS = Batch(
    np.zeros((3, 1), np.float32),
    np.array([1.0, 2.0, 4.0], np.float32),
    np.ones(3, np.float32),
)


class Result(NamedTuple):
    ends: np.ndarray
    doubled: np.ndarray
    together: np.ndarray


def start(key):
    return jax.random.normal(key), ()


def loss(params, state, batch, key):
    squares = jnp.square(params - batch.targets)
    return jnp.vdot(batch.weights, squares) / jnp.sum(batch.weights), state


def trained(loss):
    return learn.training(start, loss, learn.sgd, learn.full(NUMBERS), steps=4)


def over_all_devices():
    training = trained(learn.data_parallel(loss))
    state = learn.first_state(training, learn.Hyper(lr=0.1))
    given = mesh.replicated((state, NUMBERS), mesh.of())
    return jax.jit(training.run)(*given)[0].params


def study(config, keep):
    grid = learn.grid(learn.Hyper, lr=[0.1, 0.2], seed=range(5))
    runs = learn.sweep(trained(loss), grid, lanes=3, keep=keep)
    for number in range(config.pauses):
        keep(f"pause {number}", lambda: time.sleep(0.5))
    doubled = keep("doubled", lambda: 2 * runs.params)
    return Result(runs.params, doubled, keep("together", over_all_devices))


def findings(result):
    spread = bootstrap(np.std, result.ends)
    return (
        deciding(
            "C001",
            "Ends differ.",
            spread,
            above(0.0),
            unit="difference",
            setting="ten runs of gradient descent on a square",
        ),
    )


def figures(result):
    return {"ends": drawing.Figure()}
'''


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "ten.py"
    path.write_text(STUDY)
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
    monkeypatch.setenv("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")
    return path


def free_job() -> int:
    """A job's number from which JAX derives a port that is free."""
    for number in range(os.getpid(), os.getpid() + 4096):
        with socket.socket() as trial:
            if trial.connect_ex(("localhost", number % 4096 + 61440)):
                return number
    raise AssertionError("no port is free")


def job(count: int, study: Path, *words: str) -> list[subprocess.Popen[str]]:
    """The processes of a Slurm job on this machine, process 0 first."""
    number, processes = free_job(), []
    command = [sys.executable, "-m", "jaxml", "run", str(study), *words]
    command += ["--runs", str(study.parent / "many"), "--distributed"]
    for index in range(count):
        told = {
            "SLURM_JOB_ID": str(number),
            "SLURM_STEP_NODELIST": "localhost",
            "SLURM_NTASKS": str(count),
            "SLURM_PROCID": str(index),
            "SLURM_LOCALID": str(index),
            "SLURM_STEP_NUM_NODES": "1",
            "JAX_PLATFORMS": "cpu",
        }
        process = subprocess.Popen(
            command,
            env=os.environ | told,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        processes.append(process)
    return processes


def ended(processes: list[subprocess.Popen[str]]) -> list[tuple[int, str, str]]:
    """Exit code and output of each."""
    said = [process.communicate(timeout=300) for process in processes]
    codes = [process.returncode for process in processes]
    return [(code, *each) for code, each in zip(codes, said, strict=True)]


def arrays(runs: Path) -> dict[str, np.ndarray]:
    (file,) = runs.glob("ten/*/result.npz")
    return dict(np.load(file))


def compare(study: Path, *words: str) -> None:
    """What the job left against a run by this process."""
    alone = study.parent / "alone"
    assert main(["run", str(study), "--runs", str(alone), *words]) == 0
    ours, theirs = arrays(study.parent / "many"), arrays(alone)
    assert ours.keys() == theirs.keys()
    for name in ("ends", "doubled"):
        assert ours[name].tobytes() == theirs[name].tobytes(), name
    np.testing.assert_allclose(ours["together"], theirs["together"], rtol=1e-6)


@pytest.mark.invariance
def test_two_processes_leave_the_run_of_one(study: Path) -> None:
    """The run over all devices is one of eight, four in each process."""
    (code, said, errors), other = ended(job(2, study))
    assert (code, other[0]) == (0, 0), errors + other[2]
    assert "supported" in said and "Report: " in said
    assert "Report: " not in other[1]
    compare(study)


@pytest.mark.stress
@pytest.mark.invariance
def test_four_processes_of_which_one_is_killed_resume(study: Path) -> None:
    """The others end with a sentence; the same command finishes what was begun."""
    words = ("--pauses", "6")
    processes = job(4, study, *words)
    stages = study.parent / "many"
    while len(list(stages.glob("ten/*.partial/stages/pause*.npz"))) < 3:
        assert processes[0].poll() is None, processes[0].communicate()
        time.sleep(0.05)
    processes[2].send_signal(signal.SIGKILL)
    first = ended(processes)
    assert all(code != 0 for code, _, _ in first)
    assert any("does not answer" in errors for _, _, errors in first)
    again = ended(job(4, study, *words))
    assert [code for code, _, _ in again] == [0] * 4, again
    assert "pause 2: 0.5 s in an earlier attempt, kept" in again[0][2]
    compare(study, *words)


@pytest.mark.identity
def test_a_job_of_one_process_that_nobody_started_is_a_sentence(
    study: Path,
) -> None:
    command = [sys.executable, "-m", "jaxml", "run", str(study), "--distributed"]
    clean = {k: v for k, v in os.environ.items() if not k.startswith("SLURM")}
    done = subprocess.run(command, capture_output=True, text=True, env=clean)
    assert done.returncode == 2
    assert "--distributed finds no job of several processes" in done.stderr
