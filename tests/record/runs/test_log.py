"""The log of a run: what it says, and that nothing depends on it."""

import errno
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from jaxml.record import list_runs, load_run
from jaxml.record.runs import log as module
from jaxml.record.runs.following import followed, log_of, works
from jaxml.record.runs.log import LOG, Entry, entries, logged
from jaxml.record.runs.scalars import MOST, scalars
from jaxml.record.store import compare, execute
from jaxml.types import InputError

pytestmark = pytest.mark.identity


def lines(folder: Path) -> tuple[Entry, ...]:
    return entries((folder / LOG).read_text())


def events(folder: Path) -> list[str]:
    return [entry["event"] for entry in lines(folder)]


def test_a_log_tells_both_attempts_of_a_resumed_run(toy, tmp_path):
    interrupted = toy.study.__globals__["interrupt"]
    interrupted.append(2.0)
    with pytest.raises(KeyboardInterrupt):
        execute(toy, toy.smoke, runs=tmp_path)
    (partial,) = tmp_path.glob("toy/*.partial")
    first = ["started", "computing", "stage", "computing", "stopped"]
    assert events(partial) == first
    assert lines(partial)[-1]["reason"] == "interrupted"
    interrupted.clear()
    folder = execute(toy, toy.smoke, runs=tmp_path)
    second = ["started", "stage", "computing", "stage", "finished"]
    assert events(folder) == first + second
    kept = [each["kept"] for each in lines(folder) if each["event"] == "stage"]
    assert kept == [False, True, False]
    stages = load_run(folder).manifest["stages"]
    last = lines(folder)[-2]
    assert last["took"] == stages[last["stage"]]["seconds"]
    assert lines(folder)[-1]["run"] == folder.name


def full(*_: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("victim", ["_append", "_opened"])
def test_a_log_that_cannot_be_written_changes_no_run(
    toy, tmp_path, monkeypatch, victim
):
    whole = execute(toy, toy.smoke, runs=tmp_path / "whole")
    if victim == "_append":
        monkeypatch.setattr(module, "_append", full)
    else:
        monkeypatch.setattr(module, "LOG", "lock/log")  # below a file
    said: list[str] = []
    folder = execute(toy, toy.smoke, runs=tmp_path / "other", announce=said.append)
    assert folder.name == whole.name and compare(folder, whole) == ()
    notes = [each for each in said if "log cannot be written" in each]
    assert len(notes) == 1


def test_half_a_line_is_ended_and_passed_over(tmp_path):
    (tmp_path / LOG).write_bytes(b'{"event": "started"}\n{"event": "stage", "too')
    with logged(tmp_path, lambda _: None) as write:
        write("computing", {"stage": "a"})
    assert events(tmp_path) == ["started", "started", "computing"]


def test_a_refused_study_says_why(tmp_path):
    with pytest.raises(InputError), logged(tmp_path, lambda _: None):
        raise InputError("Use 1 or more.")
    assert lines(tmp_path)[-1]["reason"] == "Use 1 or more."


def test_scalars_are_means_of_last_finite_losses():
    loss = np.array([[3.0, 1.0], [4.0, np.nan], [5.0, 2.0]], np.float32)
    chunk = {
        "0 [0]['w']": np.ones((3, 4)),
        "1 .diverged_at": np.array([-1, 0, -1], np.int32),
        "2 .trace.loss": loss,
        "3 .trace.probed['held_loss']": loss[:, :1],
        "4 .trace.probed['loss']": np.full((3, 2), np.nan),
        "5 .key": np.array(["text"]),
    }
    assert scalars(chunk) == {
        "diverged": 1.0,
        "trace.loss": 1.5,
        "trace.probed.held_loss": 4.0,
        "trace.probed.loss": None,
    }
    assert scalars(3) == {"value": 3.0} and scalars({"a": np.inf}) == {"a": None}
    assert len(scalars([float(number) for number in range(50)])) == MOST


def written(path: Path, *found: Entry) -> Path:
    with path.open("a") as file:
        file.writelines(json.dumps(entry) + "\n" for entry in found)
    return path


HERE = {"event": "started", "process": os.getpid(), "host": socket.gethostname()}


def test_a_log_is_followed_as_it_grows_and_is_renamed(tmp_path):
    (tmp_path / "x.partial").mkdir()
    log = written(tmp_path / "x.partial" / LOG, HERE)
    news: Iterator[Entry] = iter([{"event": "stage"}, {"event": "finished"}])

    def pause() -> None:
        entry = next(news)
        if entry["event"] == "finished":
            (tmp_path / "x.partial").rename(tmp_path / "x")
        written(next(tmp_path.glob(f"*/{LOG}")), entry)

    found = [entry["event"] for entry in followed(log, pause)]
    assert found == ["started", "stage", "finished"]


def test_a_dead_process_ends_the_watch_and_another_host_does_not(tmp_path):
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    dead = HERE | {"process": process.pid}
    log = written(tmp_path / LOG, dead, {"event": "computing", "stage": "a"})
    assert len(list(followed(log, never))) == 2
    assert works(HERE) and not works(dead) and works(dead | {"host": "elsewhere"})


def never() -> None:
    raise AssertionError("it waits for a process that is gone")


def test_the_log_that_grew_last_is_shown(tmp_path):
    with pytest.raises(InputError, match="has a log"):
        log_of(tmp_path)
    for number, name in enumerate(["a/1", "b/2"]):
        (tmp_path / name).mkdir(parents=True)
        written(tmp_path / name / LOG, HERE)
        os.utime(tmp_path / name / LOG, (number, number))
    assert log_of(tmp_path) == tmp_path / "b/2" / LOG
    assert log_of(tmp_path / "a") == log_of(tmp_path / "a/1") == tmp_path / "a/1" / LOG


def test_no_line_waits_in_a_buffer(tmp_path):
    with logged(tmp_path, lambda _: None) as write:
        seen = events(tmp_path)
        thread = threading.Thread(target=write, args=("computing", {"stage": "a"}))
        thread.start()
        thread.join()
        assert seen == ["started"] and events(tmp_path) == ["started", "computing"]
    assert not list_runs(tmp_path)
