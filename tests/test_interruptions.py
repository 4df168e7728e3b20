"""Commands that are ended by a signal: the same command goes on, to the same bits."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from jaxml.record import list_runs, load_run

pytestmark = pytest.mark.invariance

STUDY = '''"""A descent takes its time.

Claims: C001.
Cost: seconds.
"""

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxml import learn
from jaxml.record import above, bootstrap, deciding
from jaxml.types import Batch


@dataclass(frozen=True, kw_only=True)
class Config:
    steps: int = 60_000
    lanes: int = 2


SMOKE = Config()


class Result(NamedTuple):
    params: np.ndarray
    loss: np.ndarray
    same: np.ndarray


def loss(params, state, batch, key):
    noise = (jax.random.key_data(key)[0] % 7).astype(jnp.float32) / 70
    return jnp.mean(jnp.tanh(params - noise) ** 2), state + 1


def experiment(config):
    data = Batch(np.ones((2, 1), np.float32), np.ones(2), np.ones(2, np.float32))

    def observe(state, train):
        return state + train.params, jnp.mean(state)

    return learn.training(
        lambda key: (jnp.linspace(-1.0, 1.0, 1000), jnp.int32(0)),
        loss,
        learn.momentum,
        learn.full(data),
        steps=config.steps,
        every=config.steps // 100,
        probe=learn.Probe(lambda params: params, observe),
    )


def grid():
    return learn.grid(learn.Hyper, lr=[1.0, 0.1], seed=range(2))


def study(config, keep):
    given = {"lanes": config.lanes}
    runs = learn.segmented_sweep(experiment(config), grid(), **given, keep=keep)
    plain = learn.sweep(experiment(config), grid(), **given)
    leaves = zip(jax.tree.leaves(runs), jax.tree.leaves(plain), strict=True)
    same = [ours.tobytes() == theirs.tobytes() for ours, theirs in leaves]
    return Result(runs.params, runs.trace.loss[:, ::100], np.array(same))


def findings(result):
    mean = bootstrap(np.mean, result.loss[:, -1])
    rule = above(0.0)
    sentence = "the loss is not zero"
    return (deciding("C001", sentence, mean, rule, unit="nats", setting="a descent"),)


def figures(result):
    return {}
'''


@pytest.fixture
def command(tmp_path: Path) -> Iterator[Callable[[], subprocess.Popen]]:
    """Starts `jaxml run` on the study, in a folder of its own; none outlives the
    test.
    """
    (tmp_path / "slow.py").write_text(STUDY)
    environment = {
        **os.environ,
        "JAX_COMPILATION_CACHE_DIR": str(tmp_path / "cache"),
        "XLA_FLAGS": "",
    }
    words = ["run", "slow.py", "--checkpoint-seconds", "0.1", "--devices", "1"]
    with ExitStack() as started:

        def start() -> subprocess.Popen:
            process = subprocess.Popen(
                [sys.executable, "-m", "jaxml", *words],
                cwd=tmp_path,
                env=environment,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
            )
            started.enter_context(process)
            started.callback(process.kill)
            return process

        yield start


def when_stored(runs: Path, process: subprocess.Popen) -> None:
    """Waits until the process has saved a checkpoint that was not there before."""
    before = set(runs.rglob("*.checkpoints/*-*.npz"))
    while not set(runs.rglob("*.checkpoints/*-*.npz")) - before:
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.005)


def ended(process: subprocess.Popen, number: int) -> str:
    """What the process said until a signal ended it."""
    process.send_signal(number)
    return process.communicate(timeout=120)[1]


def finished(runs: Path, process: subprocess.Popen) -> str:
    """What the process said, which ended well and left a run that `learn.sweep` would
    have left.
    """
    said = process.communicate(timeout=120)[1]
    assert process.returncode == 0, said
    assert not list(runs.rglob("*.checkpoints")) and not list(runs.rglob("*.partial"))
    (run,) = list_runs(runs)
    same = load_run(run).result["same"]
    assert same.size > 20 and same.all()
    return said


def test_sigterm_saves_and_the_same_command_goes_on(tmp_path, command):
    runs = tmp_path / "runs"
    asked = command()
    when_stored(runs, asked)
    said = ended(asked, signal.SIGTERM)
    assert asked.returncode == 143, said
    assert "runs 0-1: stored at" in said and "Traceback" not in said
    assert "the same command goes on from there" in said.splitlines()[-1]
    assert "runs 0-1: goes on at" in finished(runs, command())


@pytest.mark.stress
def test_killed_damaged_and_killed_again(tmp_path, command):
    """Killed as soon as there is a checkpoint; what was being written is lost, and of
    the checkpoints the newest is truncated, then a bit of it flipped.
    """
    runs = tmp_path / "runs"
    for damage in (truncate, flip):
        killed = command()
        for _ in range(2):
            when_stored(runs, killed)
        ended(killed, signal.SIGKILL)
        assert killed.returncode == -signal.SIGKILL
        newest = max(runs.rglob("*.checkpoints/*-*.npz"), key=lambda file: file.name)
        newest.write_bytes(damage(newest.read_bytes()))
    said = finished(runs, command())
    assert "note: a checkpoint of runs 0-1 is damaged, and the one before is" in said
    assert "runs 0-1: goes on at" in said


def truncate(content: bytes) -> bytes:
    return content[: len(content) // 2]


def flip(content: bytes) -> bytes:
    place = len(content) // 3
    return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]


@pytest.mark.stress
def test_sigterm_ends_a_sweep_that_is_not_in_segments(tmp_path, command):
    """The finished stage is kept, and the end waits for no compiled program."""
    study = tmp_path / "slow.py"
    text = study.read_text()
    study.write_text(text.replace("learn.segmented_sweep", "learn.sweep"))
    runs = tmp_path / "runs"
    asked = command()
    while not list(runs.rglob("stages/*.npz")):
        assert asked.poll() is None
        time.sleep(0.005)
    said = ended(asked, signal.SIGTERM)
    assert asked.returncode == 143, said
    assert "finished stages" in said and "Traceback" not in said
    assert "runs 0-1: " in (last := finished(runs, command()))
    assert "in an earlier attempt, kept" in last
