"""What faults cost: `python -m jaxml.bench.faults [--kills 50]`.

Injects faults into runs of a small study, and prints for each kind how often, how many
attempts resumed, what was lost and damaged, and in how many bits results differ: all
three must be 0, and the exit code is 1 otherwise.
"""

import argparse
import signal
import sys
from collections.abc import Iterator, Sequence

from rich.console import Console
from rich.table import Table

from jaxml.bench.faults_injected import (
    REFUSALS,
    bench,
    crashed,
    jumping_clock,
    refused,
    short_files,
    stale_lock,
)
from jaxml.bench.faults_killed import killed, rivals
from jaxml.bench.faults_toll import Toll, total

SIZES = (0, 1, 100, 300, 1000, 3000, 10_000, 20_000, 50_000)
"""Bytes of the longest file that may be written: from none to nearly all."""


def main(words: Sequence[str] | None = None) -> int:
    """Injects all faults and prints what they cost; 1 if they cost anything."""
    parser = argparse.ArgumentParser(
        "python -m jaxml.bench.faults", description=__doc__
    )
    parser.add_argument("--kills", type=int, default=50, help="processes killed (50)")
    parser.add_argument("--seed", type=int, default=0, help="of their moments (0)")
    parser.add_argument(
        "--operations", type=int, help="on files, injected one at a time (all)"
    )
    values = parser.parse_args(words)
    console = Console(stderr=True, highlight=False, markup=False)
    tolls = []
    for toll in injected(values.kills, values.seed, values.operations):
        console.print(f"{toll.fault}: {toll.injected}")
        tolls.append(toll)
    show(tolls)
    return int(any(cost(toll) for toll in tolls))


def injected(kills: int, seed: int, operations: int | None) -> Iterator[Toll]:
    """The tolls of all faults, one after another; a tenth as many kills are SIGTERMs,
    and a tenth as many times two processes meet.
    """
    yield killed(kills, seed=seed)
    yield killed(max(1, kills // 10), seed=seed + 1, number=signal.SIGTERM)
    yield rivals(max(1, kills // 10))
    with bench() as small:
        yield crashed(small, operations)
        for fault in REFUSALS:
            yield refused(small, fault, operations)
        yield short_files(small, SIZES)
        yield stale_lock(small)
        yield jumping_clock(small)


def cost(toll: Toll) -> int:
    """What must be 0.

    >>> cost(Toll("a", injected=9, resumed=8)), cost(Toll("a", bits=3))
    (0, 3)
    """
    return toll.lost + toll.damaged + toll.bits


def show(tolls: Sequence[Toll]) -> None:
    """Prints the tolls, and their sum."""
    table = Table(
        "fault",
        "injected",
        "resumed",
        "refused",
        "lost",
        "damaged",
        "differing bits",
        "runs compared",
    )
    for toll in (*tolls, total("all", tolls)):
        table.add_row(toll.fault, *(str(count) for count in toll[1:]))
    console = Console(highlight=False, markup=False)
    console.width = console.width if console.is_terminal else max(console.width, 120)
    console.print(table)


if __name__ == "__main__":
    sys.exit(main())
