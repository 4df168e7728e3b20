"""Commands in turn, each in a process of its own, for a limited time, with all that it
says in one log.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, TextIO

ROOT = Path(__file__).parents[2]
"""The repository, where commands run."""

WELL = "done"
"""The verdict on a step that ended with exit code 0 in its time."""


class Step(NamedTuple):
    """One command.

    Attributes:
        name: what it is called in tables.
        command: the program and its words.
        seconds: how long it may take.
        environment: variables for it alone.
    """

    name: str
    command: tuple[str, ...]
    seconds: float
    environment: Mapping[str, str]


class Outcome(NamedTuple):
    """What became of a step.

    Attributes:
        name: the step's.
        verdict: `WELL`, or what went wrong.
        seconds: how long it took.
        limit: how long it was given.
    """

    name: str
    verdict: str
    seconds: float
    limit: float


def perform(
    steps: Sequence[Step], log: TextIO, environment: Mapping[str, str], total: float
) -> list[Outcome]:
    """Runs every step, whatever became of those before it, and says so line by line.

    Args:
        steps: in order.
        log: receives what the commands say.
        environment: variables for all of them, over those of this process.
        total: seconds for all; a step is given what is left where that is less than its
            own limit.
    """
    end = time.monotonic() + total
    outcomes = []
    for step in steps:
        limit = min(step.seconds, end - time.monotonic())
        outcome = performed(step, log, environment, limit)
        say(
            log,
            f"{outcome.name}: {outcome.verdict}, {outcome.seconds:.1f} s of "
            f"{outcome.limit:.0f}",
        )
        outcomes.append(outcome)
    return outcomes


def performed(
    step: Step, log: TextIO, environment: Mapping[str, str], limit: float
) -> Outcome:
    """Runs one step in a group of processes, all of which end with it."""
    if limit <= 0:
        return Outcome(step.name, "not begun: no time was left", 0.0, 0.0)
    settings = " ".join(f"{name}={value!r}" for name, value in step.environment.items())
    log.write(f"\n$ {settings} {' '.join(step.command)}\n")
    log.flush()
    start = time.monotonic()
    process = subprocess.Popen(
        step.command,
        cwd=ROOT,
        env={**os.environ, **environment, **step.environment},
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        code = process.wait(limit)
        verdict = WELL if code == 0 else f"failed with exit code {code}"
    except subprocess.TimeoutExpired:
        verdict = f"stopped after {limit:.0f} s"
    finally:
        end_group(process)
    return Outcome(step.name, verdict, time.monotonic() - start, limit)


def end_group(process: subprocess.Popen) -> None:
    """Ends a process and those that it has started and left."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return  # the whole group has ended already
    process.wait()


def say(log: TextIO, line: str) -> None:
    """Prints a line, and logs it."""
    print(line, flush=True)
    log.write(f"{line}\n")
    log.flush()


def python(*words: str) -> tuple[str, ...]:
    """This Python with these words."""
    return (sys.executable, *words)
