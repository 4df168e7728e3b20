"""Faults within one process: every moment at which a run could be killed, every
operation on files that could be refused, a lock of another host, a clock that jumps.

A run changes its folder by a few dozen operations. The folder as it is before one of
them is what a process killed there leaves behind, whoever kills it.
"""

import errno
import itertools
import os
import resource
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, tzinfo
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

from jaxml.bench.faults_study import write
from jaxml.bench.faults_toll import (
    Toll,
    added,
    chosen,
    differing_bits,
    passed,
    stored,
    unreadable,
)
from jaxml.record import store, study
from jaxml.record.runs import log
from jaxml.record.runs.folder import load_run
from jaxml.types import InputError

_CHANGING = ("open", "os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.truncate")
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND

_acting: list[tuple[str, Callable[[str], None]]] = []
"""The folder that is watched, and what is done before each change below it."""


def _hook(event: str, details: tuple[Any, ...]) -> None:
    """Of the interpreter: hears of each operation before it is done. It cannot be
    removed, and does nothing while nothing is watched.
    """
    if not _acting or event not in _CHANGING:
        return
    if threading.current_thread() is not threading.main_thread():
        return
    folder, act = _acting[-1]
    if event == "open" and not (details[2] or 0) & _WRITING:
        return
    relative = event in ("os.remove", "os.rmdir") and details[1] >= 0  # by rmtree
    if relative or str(details[0]).startswith(folder):
        _acting.clear()  # what `act` does itself is no event
        try:
            act(f"{event} {details[0]}")
        finally:
            _acting.append((folder, act))


_installed: list[bool] = []


@contextmanager
def before_each_change(folder: Path, act: Callable[[str], None]) -> Iterator[None]:
    """Within it `act(operation)` is called before each operation of this thread that
    changes something below the folder; what it raises, the operation raises.
    """
    if not _installed:
        sys.addaudithook(_hook)
        _installed.append(True)
    _acting.append((str(folder), act))
    try:
        yield
    finally:
        _acting.clear()


class Bench(NamedTuple):
    """A small study, its whole run, and a place for others."""

    study: study.Study
    whole: store.Run
    place: Path


@contextmanager
def bench() -> Iterator[Bench]:
    """A study and an undisturbed run of it, in a folder that ends with the block."""
    with tempfile.TemporaryDirectory() as place:
        small = study.load(write(Path(place)))
        folder = store.execute(small, small.smoke, runs=Path(place) / "undisturbed")
        yield Bench(small, load_run(folder), Path(place))


def finished(bench: Bench, runs: Path, fault: str) -> Toll:
    """What is left when the run is begun again, in peace, after a fault."""
    before = stored(runs)
    folder = store.execute(bench.study, bench.study.smoke, runs=runs)
    now, left = passed(runs, os.getpid()), ["lock", "stages"]
    litter = [*runs.rglob("*.tmp"), *runs.glob("*/*.partial")]
    litter += [folder / name for name in left if (folder / name).exists()]
    return Toll(
        fault,
        injected=1,
        resumed=int(bool(before & now.kept)),
        lost=len(before & now.again),
        damaged=unreadable(runs) + len(litter),
        bits=differing_bits(load_run(folder).result, bench.whole.result),
        finished=1,
    )


def operations(bench: Bench) -> list[str]:
    """What a run does to its folder, in order."""
    found: list[str] = []
    runs = Path(tempfile.mkdtemp(dir=bench.place)) / "counted"
    with before_each_change(runs, found.append):
        store.execute(bench.study, bench.study.smoke, runs=runs)
    return found


def crashed(bench: Bench, most: int | None = None) -> Toll:
    """The run is resumed from the folder as it was before each of its operations; once
    more with the file that was about to get its name, and the log, cut in half.

    Args:
        bench: from `bench`.
        most: how many of the operations; all of them for None.
    """
    runs, images = bench.place / "crashed", bench.place / "images"
    counter = itertools.count()

    def keep(operation: str) -> None:
        image = images / f"{next(counter)} {operation.partition(' ')[0]}"
        shutil.copytree(runs, image) if runs.exists() else image.mkdir(parents=True)

    with before_each_change(runs, keep):
        store.execute(bench.study, bench.study.smoke, runs=runs)
    found = sorted(images.iterdir(), key=lambda path: int(path.name.split()[0]))
    toll = Toll("killed between two operations")
    for place in chosen(len(found), most):
        image = found[place]
        torn = image.with_name(f"{image.name} torn")
        if any(image.rglob("*.tmp")):
            shutil.copytree(image, torn)
            for path in [*torn.rglob("*.tmp"), *torn.rglob(log.LOG)]:
                os.truncate(path, path.stat().st_size // 2)
            toll = added(toll, finished(bench, torn, toll.fault))
        toll = added(toll, finished(bench, image, toll.fault))
    return toll


REFUSALS = {
    "a full disk": errno.ENOSPC,
    "a read-only folder": errno.EROFS,
    "no permission": errno.EACCES,
}


def refused(bench: Bench, fault: str, most: int | None = None) -> Toll:
    """The n-th operation and all later ones are refused, for each n; then the fault is
    over and the run begun again.

    Args:
        bench: from `bench`.
        fault: of REFUSALS.
        most: how many of the operations; all of them for None.
    """
    toll = Toll(fault)
    code = REFUSALS[fault]
    for place in chosen(len(operations(bench)), most):
        runs = bench.place / f"{code} {place}"
        counter = itertools.count()

        def refuse(operation: str, place=place, counter=counter) -> None:
            if next(counter) >= place:
                raise OSError(code, os.strerror(code), operation)

        with before_each_change(runs, refuse):
            outcome = _attempted(bench, runs)
        toll = added(added(toll, outcome), finished(bench, runs, fault))
    return toll


def _attempted(bench: Bench, runs: Path) -> Toll:
    """A run under a fault: it ends well, or in a sentence; all else is damage."""
    try:
        store.execute(bench.study, bench.study.smoke, runs=runs)
    except InputError:
        return Toll("", refused=1, damaged=unreadable(runs))
    except Exception:
        return Toll("", damaged=1)
    return Toll("", damaged=unreadable(runs))


def short_files(bench: Bench, sizes: tuple[int, ...]) -> Toll:
    """The kernel lets no file grow beyond so many bytes, as a quota or a full disk
    would; then it does.
    """
    fault = "files cut short"
    toll = Toll(fault)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    earlier = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        for size in sizes:
            runs = bench.place / f"short {size}"
            resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
            try:
                outcome = _attempted(bench, runs)
            finally:
                resource.setrlimit(resource.RLIMIT_FSIZE, limits)
            toll = added(added(toll, outcome), finished(bench, runs, fault))
    finally:
        signal.signal(signal.SIGXFSZ, earlier)
    return toll


def stale_lock(bench: Bench) -> Toll:
    """A process of another host began the run, stored a stage and is no more; only its
    lock file says who it was.
    """
    runs = bench.place / "stale"
    with (
        suppress(KeyboardInterrupt),
        before_each_change(runs, _stopping_at("stage%201")),
    ):
        store.execute(bench.study, bench.study.smoke, runs=runs)
    (lock,) = runs.glob("*/*.partial/lock")
    lock.write_text("1 on another-host")  # a process of that number lives here as well
    return finished(bench, runs, "a stale lock of another host")


def _stopping_at(word: str) -> Callable[[str], None]:
    def stop(operation: str) -> None:
        if word in operation:
            raise KeyboardInterrupt

    return stop


def jumping_clock(bench: Bench, jumps: tuple[float, ...] = (-1e9, 1e9)) -> Toll:
    """The clock of the machine jumps at every look at it, backwards and forwards by
    decades; the run is interrupted in between.
    """
    fault = "a clock that jumps"
    toll = Toll(fault)
    for number, jump in enumerate(jumps):
        runs = bench.place / f"clock {number}"
        began = time.perf_counter()
        with _jumping(jump):
            with (
                suppress(KeyboardInterrupt),
                before_each_change(runs, _stopping_at("stage%203")),
            ):
                store.execute(bench.study, bench.study.smoke, runs=runs)
            toll = added(toll, finished(bench, runs, fault))
            (folder,) = store.list_runs(runs)
            again = store.execute(bench.study, bench.study.smoke, runs=runs)
        spent = time.perf_counter() - began
        manifest = load_run(folder).manifest
        clocks = manifest["wall_seconds"], manifest["compile_seconds"]
        wrong = [seconds for seconds in clocks if not 0 <= seconds <= spent]
        toll = added(toll, Toll(fault, damaged=len(wrong) + int(again != folder)))
    return toll


@contextmanager
def _jumping(jump: float) -> Iterator[None]:
    """Each look at the clock finds it `jump` seconds further."""
    real, looks = time.time, itertools.count()

    def look() -> float:
        return real() + jump * (next(looks) % 2)

    class Jumping(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> "Jumping":
            return cls.fromtimestamp(look(), tz)

    with (
        mock.patch("time.time", look),
        mock.patch.object(store, "datetime", Jumping),
        mock.patch.object(log, "datetime", Jumping),
    ):
        yield
