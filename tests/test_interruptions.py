"""Commands that are ended by a signal: the same command goes on, to the same bits."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from jaxml import learn
from jaxml.record import list_runs, load, load_run

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
    steps: int = 64_000
    lanes: int = 2


SMOKE = Config()


class Result(NamedTuple):
    params: np.ndarray
    loss: np.ndarray
    seen: np.ndarray


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
    runs = learn.segmented_sweep(
        experiment(config), grid(), lanes=config.lanes, keep=keep
    )
    return Result(runs.params, runs.trace.loss[:, ::100], runs.trace.probed)


def findings(result):
    mean = bootstrap(np.mean, result.loss[:, -1])
    rule = above(0.0)
    sentence = "the loss is not zero"
    return (deciding("C001", sentence, mean, rule, unit="nats", setting="a descent"),)


def figures(result):
    return {}
'''


@pytest.fixture
def command(tmp_path: Path) -> Callable[..., subprocess.Popen]:
    """Starts `jaxml run` on the study, in a folder of its own."""
    (tmp_path / "slow.py").write_text(STUDY)
    environment = {
        **os.environ,
        "JAX_COMPILATION_CACHE_DIR": str(tmp_path / "cache"),
        "XLA_FLAGS": "",
    }

    def start(*words: str) -> subprocess.Popen:
        given = ["--checkpoint-seconds", "0.2", "--devices", "1", *words]
        return subprocess.Popen(
            [sys.executable, "-m", "jaxml", "run", "slow.py", *given],
            cwd=tmp_path,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )

    return start


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


def uninterrupted(tmp_path: Path) -> tuple:
    """The result of the same study in this process, by `learn.sweep`."""
    study = load(tmp_path / "slow.py")
    module = sys.modules[study.study.__module__]
    config = study.Config()
    training = module.experiment(config)
    runs = learn.sweep(training, module.grid(), lanes=config.lanes, devices=1)
    return study.Result(runs.params, runs.trace.loss[:, ::100], runs.trace.probed)


def same_bits(tmp_path: Path) -> None:
    """Asserts that the one run there is equals what was never interrupted."""
    (run,) = list_runs(tmp_path / "runs")
    stored = load_run(run).result
    for name, expected in uninterrupted(tmp_path)._asdict().items():
        assert stored[name].tobytes() == np.asarray(expected).tobytes(), name


def test_a_command_goes_on_after_sigkill_and_sigterm(tmp_path, command):
    """Killed as soon as there is a checkpoint; asked to end once it has gone on."""
    runs = tmp_path / "runs"
    killed = command()
    when_stored(runs, killed)
    ended(killed, signal.SIGKILL)
    assert killed.returncode == -signal.SIGKILL

    asked = command()
    when_stored(runs, asked)
    said = ended(asked, signal.SIGTERM)
    assert asked.returncode == 143, said
    assert "runs 0-1: goes on at" in said and "runs 0-1: stored at" in said
    assert "the same command goes on from there" in said.splitlines()[-1]
    assert "Traceback" not in said

    last = command()
    said = last.communicate(timeout=120)[1]
    assert last.returncode == 0, said
    assert "runs 0-1: goes on at" in said
    assert not list(runs.rglob("*.checkpoints")) and not list(runs.rglob("*.partial"))
    same_bits(tmp_path)
