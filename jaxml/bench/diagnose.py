"""How long `learn.diagnose` takes on a network on digits, in a fresh process: with no
program compiled before, and with the compilations of an earlier process.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import jax
import numpy as np

from jaxml import learn, problem
from jaxml.bench.race import Entrant, judged_rows
from jaxml.bench.rows import Row, Target, ranked
from jaxml.types import Workload

COLD = Target("seconds", "at most", 60.0)
WARM = Target("seconds", "at most", 20.0)
LATER = 1_297
"""The first of the 500 digits that are the later test set."""


def measure(rounds: int = 3) -> list[Row]:
    """Cold and warm processes in turn; each pair begins with an empty cache."""
    entrants = [
        Entrant("`learn.diagnose`, a first process", _nothing, target=COLD),
        Entrant("`learn.diagnose`, a second process", _nothing, target=WARM),
    ]
    seconds = np.empty((2, rounds))
    for turn in range(rounds):
        with tempfile.TemporaryDirectory() as folder:
            for index in range(2):
                seconds[index, turn] = _timed(_process(Path(folder)))
    return ranked(judged_rows("diagnose", entrants, seconds, to="the first"))


def example(size: learn.Budget | None = None) -> learn.Diagnosis:
    """The diagnosis of a 64-32-10 network on the first 1,297 digits, for the last
    500.
    """
    digits = problem.digits()
    train = jax.tree.map(lambda leaf: leaf[:LATER], digits)
    test = jax.tree.map(lambda leaf: leaf[LATER:], digits)

    def sized(width: int) -> Workload:
        model = problem.mlp((width, 10), jax.nn.relu)
        loss = problem.cross_entropy
        return problem.workload(model, loss, train, train=900, test=397)

    return learn.diagnose(
        learn.Models(sized, (4, 32, 128)),
        learn.adam,
        learn.Hyper(lr=1e-3),
        test,
        budget=size or learn.Budget(updates=1_000, batch=32),
        goal=learn.Goal(0.2),
    )


def _nothing() -> None:
    """Stands for a process that is timed elsewhere."""


def _process(folder: Path) -> Callable[[], None]:
    """A fresh Python that diagnoses, with its compilations kept in the folder."""
    words = "from jaxml.bench.diagnose import example; example()"
    kept = {
        "JAX_COMPILATION_CACHE_DIR": str(folder),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_ENABLE_COMPILATION_CACHE": "true",
    }

    def run() -> None:
        done = subprocess.run(
            [sys.executable, "-c", words],
            env=os.environ | kept,
            capture_output=True,
            text=True,
        )
        if done.returncode != 0:
            raise RuntimeError(f"The diagnosis failed: {done.stderr}")

    return run


def _timed(run: Callable[[], None]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start
