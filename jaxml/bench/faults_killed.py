"""Runs that are killed at random moments, and runs that meet."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxml.bench.faults_study import NAME, write
from jaxml.bench.faults_toll import (
    Toll,
    added,
    differing_bits,
    passed,
    stored,
    unreadable,
)
from jaxml.record.runs.archive import load_arrays
from jaxml.record.runs.folder import load_run
from jaxml.record.runs.listing import list_runs

MOST = 4
"""Kills of one run, which is then left alone, so that many runs are compared however
slow the machine is.
"""


class Nursery(NamedTuple):
    """A process that starts commands, and the file of what they say."""

    process: subprocess.Popen
    said: Path


@contextmanager
def nursery(folder: Path) -> Iterator[Nursery]:
    """Opens a nursery, whose commands work in `folder`; it ends with the block."""
    said = folder / "said.txt"
    command = [sys.executable, "-m", "jaxml.bench.faults_nursery"]
    pipe = subprocess.PIPE
    with (
        said.open("wb") as errors,
        subprocess.Popen(
            command, stdin=pipe, stdout=pipe, stderr=errors, text=True, cwd=folder
        ) as process,
    ):
        home = Nursery(process, said)
        try:
            start(home, ["help"])
            assert ended(home) == 0, said.read_text()  # now it has imported everything
            yield home
        finally:
            process.kill()


def start(nursery: Nursery, words: list[str]) -> int:
    """Starts a command and returns the number of its process."""
    stdin = nursery.process.stdin
    assert stdin is not None
    stdin.write(json.dumps(words) + "\n")
    stdin.flush()
    return int(_answer(nursery))


def ended(nursery: Nursery) -> int:
    """Waits until the command that was started last has ended; its exit code, the
    negative number of the signal that killed it.
    """
    return int(_answer(nursery))


def _answer(nursery: Nursery) -> str:
    stdout = nursery.process.stdout
    assert stdout is not None
    line = stdout.readline()
    assert line, f"The nursery is gone; it said: {nursery.said.read_text()}"
    return line


def killed(
    kills: int,
    *,
    seed: int = 0,
    smoke: bool = False,
    number: int = signal.SIGKILL,
) -> Toll:
    """Kills a study at moments drawn uniformly from the time that it takes undisturbed,
    until so many kills have hit; compares whatever finishes with an undisturbed run.

    A run that was killed is started again until it finishes; then it is made again by
    `--again`, which is killed too; then another begins in an empty folder. Cost: about
    half the study's time a kill.

    Args:
        kills: how many processes are to be killed.
        seed: of the moments.
        smoke: whether the study is a tenth as long.
        number: the signal.
    """
    moments = np.random.default_rng(seed)
    words = ["--smoke"] if smoke else []
    with tempfile.TemporaryDirectory() as place:
        study = str(write(Path(place)))
        with nursery(Path(place)) as home:
            began = time.perf_counter()
            reference = _undisturbed(home, ["run", study, *words], Path(place))
            whole = time.perf_counter() - began
            toll, life = Toll(f"killed by {signal.Signals(number).name}"), 0
            while toll.injected < kills:
                again = ["--again"] if life % 2 else []
                runs = Path(place) / f"life {life // 2}"
                command = ["run", study, *words, "--runs", str(runs), *again]
                left = min(MOST, kills - toll.injected)
                delays = moments.uniform(0, whole, left)
                toll = added(toll, _life(home, command, runs, delays, number))
                toll = added(toll, _compared(runs, reference))
                life += 1
    return toll


def _undisturbed(home: Nursery, command: list[str], place: Path) -> Path:
    runs = place / "undisturbed"
    start(home, [*command, "--runs", str(runs)])
    assert ended(home) == 0, home.said.read_text()
    (folder,) = list_runs(runs)
    return folder


def _life(
    home: Nursery, command: list[str], runs: Path, delays: np.ndarray, number: int
) -> Toll:
    """One run, killed after each delay unless it ends before; then left alone."""
    toll = Toll("")
    earlier = _whole(runs)
    for delay in (*delays, None):
        before = stored(runs)
        process = start(home, command)
        if delay is not None:
            time.sleep(delay)
            with suppress(ProcessLookupError):  # it has just ended
                os.kill(process, number)
        code = ended(home)
        hit = code in (-number, 128 + number)
        now = passed(runs, process)
        toll = added(
            toll,
            Toll(
                "",
                injected=int(hit),
                resumed=int(bool(before & now.kept)),
                lost=len(before & now.again) + _missing(runs, earlier),
                damaged=unreadable(runs) + int(not hit and code != 0),
            ),
        )
        if code == 0:
            break
    return toll


def _whole(runs: Path) -> dict[str, bytes]:
    """The results of all whole runs, those set aside by --again included."""
    found = {}
    for path in runs.glob(f"{NAME}/*/result.npz"):
        if not path.parent.name.endswith(".partial"):
            found[path.parent.name] = path.read_bytes()
    return found


def _missing(runs: Path, earlier: dict[str, bytes]) -> int:
    """How many results that were whole once are nowhere any more."""
    now = list(_whole(runs).values())
    return sum(result not in now for result in earlier.values())


def _compared(runs: Path, reference: Path) -> Toll:
    """The listed runs beside an undisturbed one, array by array and file by file."""
    toll, theirs = Toll(""), load_run(reference)
    litter = [*runs.rglob("*.tmp"), *runs.glob("*/*.partial")]
    for folder in list_runs(runs):
        ours = load_arrays(folder / "result.npz")
        left = [name for name in ("lock", "stages") if (folder / name).exists()]
        same = (folder / "findings.json").read_bytes() == (
            reference / "findings.json"
        ).read_bytes()
        found = Toll(
            "",
            bits=differing_bits(ours, theirs.result),
            damaged=int(not same) + int(folder.name != reference.name) + len(left),
            finished=1,
        )
        toll = added(toll, found)
    return added(toll, Toll("", damaged=len(litter)))


def rivals(times: int) -> Toll:
    """Two processes begin the same run at once, so many times: one computes, the other
    is refused in a sentence or shown the finished run.
    """
    toll = Toll("two processes at once")
    with tempfile.TemporaryDirectory() as place:
        first_place, second_place = Path(place, "a"), Path(place, "b")
        first_place.mkdir()
        second_place.mkdir()
        study = str(write(Path(place)))
        with nursery(first_place) as one, nursery(second_place) as two:
            command = ["run", study, "--smoke"]
            reference = _undisturbed(one, command, Path(place))
            for number in range(times):
                runs = Path(place) / str(number)
                words = [*command, "--runs", str(runs)]
                start(one, words)
                start(two, words)
                codes = sorted((ended(one), ended(two)))
                met = Toll(
                    "",
                    injected=1,
                    refused=codes.count(2),
                    damaged=int(codes not in ([0, 0], [0, 2])) + unreadable(runs),
                )
                toll = added(added(toll, met), _compared(runs, reference))
            said = one.said.read_text() + two.said.read_text()
    told = said.count("is being worked on by process")
    return added(toll, Toll("", damaged=int(told != toll.refused)))
