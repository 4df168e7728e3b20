"""What `make study` costs, from an empty compilation cache and from a full one."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from jaxml.bench.machine import device
from jaxml.bench.race import once
from jaxml.bench.rows import Row, Target, judged, spread
from jaxml.types import InputError

STUDIES = ("end_of_training", "minimum_ratio", "escape", "barriers")
COLD, WARM = Target("seconds", "at most", 120.0), Target("seconds", "at most", 60.0)


def measure(words: Sequence[str] = STUDIES) -> list[Row]:
    """The studies twice in fresh processes that share a cache of their own; one
    repetition each.

    Raises:
        InputError: a study cannot be run.
    """
    with tempfile.TemporaryDirectory() as folder:
        cold, warm = (
            once(lambda turn=turn: study(words, Path(folder), turn))[1]
            for turn in ("cold", "warm")
        )
    rows = [
        Row(
            "study",
            "cold compilation cache",
            device(),
            spread([cold]),
            cold / warm,
            "warm",
            COLD,
        ),
        Row(
            "study",
            "warm compilation cache",
            device(),
            spread([warm]),
            1.0,
            "warm",
            WARM,
        ),
    ]
    return [
        judged(row._replace(repetitions=1, note=f"jaxml run {' '.join(words)}"))
        for row in rows
    ]


def study(words: Sequence[str], folder: Path, turn: str) -> None:
    """Runs the studies into `folder`, runs apart by turn and the cache in common."""
    command = [
        sys.executable,
        "-m",
        "jaxml",
        "run",
        *words,
        "--runs",
        str(folder / turn),
    ]
    cache = {"JAX_COMPILATION_CACHE_DIR": str(folder / "cache")}
    done = subprocess.run(
        command, env=os.environ | cache, capture_output=True, text=True
    )
    if done.returncode:
        raise InputError(
            (done.stderr.splitlines() or ["The studies failed."])[-1].removeprefix(
                "jaxml: "
            )
        )
