"""Checkpoints on disk: whole, told from damaged ones, and never of other data."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from jaxml.provenance import Reading
from jaxml.record.runs import checkpoints as module
from jaxml.record.runs import circumstances, stopping
from jaxml.record.runs.checkpoints import Context, checkpointing
from jaxml.record.runs.stages import storing
from jaxml.types import InputError

pytestmark = pytest.mark.invariance

HERE = {"versions": {"jax": "1"}, "platform": "cpu"}


@pytest.fixture
def lines() -> list[str]:
    return []


@pytest.fixture
def context(lines: list[str]) -> Context:
    return Context(60.0, lines.append, [], HERE, {})


def arrays(number: int) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(number)
    return {"0 .w": generator.normal(size=(3, 50)), "updates": np.array(number)}


def saved(folder: Path, context: Context, *numbers: int) -> list[Path]:
    """The files of a stage after so many savings, the newest first."""
    with checkpointing(folder, "runs 0-2", context) as opened:
        for number in numbers:
            opened.save(arrays(number), number / 10)
    return sorted(folder.glob("*-*.npz"), reverse=True)


def latest(folder: Path, context: Context):
    with checkpointing(folder, "runs 0-2", context) as opened:
        return opened.latest()


def is_number(found, number: int) -> bool:
    expected = arrays(number)
    assert found.keys() == expected.keys()
    return all(found[name].tobytes() == expected[name].tobytes() for name in found)


def test_the_latest_two_are_kept_and_the_last_one_is_read(tmp_path, context, lines):
    assert latest(tmp_path / "new", context) is None
    files = saved(tmp_path, context, 1, 2, 3)
    assert len(files) == 2 and not lines
    assert is_number(latest(tmp_path, context), 3)
    assert lines == ["runs 0-2: goes on at 30%"]
    assert context.earlier["runs 0-2"] > 0
    files = saved(tmp_path, context, 4)
    assert len(files) == 2 and is_number(latest(tmp_path, context), 4)


DAMAGES = {
    "truncated": lambda content: content[:-100],
    "empty": lambda content: b"",
    "flipped": lambda content: content[:500] + b"~" + content[501:],
    "longer": lambda content: content + b"0",
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_one_is_announced_and_the_one_before_is_used(
    damage, tmp_path, context, lines
):
    newest, before = saved(tmp_path, context, 1, 2)
    newest.write_bytes(DAMAGES[damage](newest.read_bytes()))
    (tmp_path / "written.npz").write_bytes(b"what a killed process left")
    assert is_number(latest(tmp_path, context), 1)
    assert lines[0] == (
        "note: a checkpoint of runs 0-2 is damaged, and the one before is used"
    )
    before.write_bytes(b"")
    assert latest(tmp_path, context) is None
    assert lines[-1].endswith("is damaged, and the stage begins anew")


@pytest.mark.invariance
def test_a_run_goes_on_where_there_are_more_cores(monkeypatch):
    before = circumstances.circumstances()
    monkeypatch.setattr("jaxml.parallel.cores", lambda: 64)
    monkeypatch.setattr("os.cpu_count", lambda: 64)
    assert circumstances.threads()["cores"] == 64
    assert circumstances.difference(before, circumstances.circumstances()) == ""
    monkeypatch.setenv("OMP_NUM_THREADS", "64")
    told = circumstances.difference(before, circumstances.circumstances())
    assert told.startswith("OMP_NUM_THREADS was ") and told.endswith(" and is 64")


def test_every_flipped_bit_is_noticed(tmp_path, context):
    (file,) = saved(tmp_path, context, 1)
    content = file.read_bytes()
    for place in range(0, len(content), 97):
        flipped = bytes([content[place] ^ (1 << place % 8)])
        file.write_bytes(content[:place] + flipped + content[place + 1 :])
        assert latest(tmp_path, context) is None, place


def test_what_other_versions_or_other_data_made_is_not_used(tmp_path, context, lines):
    data = tmp_path / "mine.csv"
    data.write_bytes(b"1,2")
    digest = module._sha256(data)
    readings = [Reading("mine.csv", digest, str(data), digest)]
    folder = tmp_path / "stage"
    saved(folder, context._replace(readings=readings), 1)
    assert is_number(latest(folder, context), 1)
    other = context._replace(here=HERE | {"versions": {"jax": "2"}})
    assert latest(folder, other) is None
    assert "(jax was 1 and is 2), and the stage begins anew" in lines[-1]
    data.write_bytes(b"1,3")
    assert latest(folder, context) is None
    assert "was made before mine.csv changed" in lines[-1]


def test_a_full_disk_leaves_the_checkpoints_that_there_are(
    tmp_path, context, monkeypatch
):
    saved(tmp_path, context, 1)

    def full(path):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "settle", full)
    monkeypatch.setattr("jaxml.record.runs.archive.settle", full)
    with pytest.raises(InputError, match="No space left"):
        saved(tmp_path, context, 2)
    assert is_number(latest(tmp_path, context), 1)


def test_turns_follow_the_clock_and_end_with_the_run(tmp_path, context, monkeypatch):
    """Eight blocks a second: turns grow to two seconds, and the state is saved before
    another turn would make it more than five; and at the end, where it may wait.
    """
    now = [0.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    left, turns, dues = 100, [], []
    clocked = context._replace(seconds=5.0)
    with checkpointing(tmp_path, "runs 0-2", clocked) as opened:
        while left:
            turns.append(opened.turn(left))
            left -= turns[-1]
            now[0] += turns[-1] / 8
            dues.append(opened.due())
            if dues[-1]:
                opened.save(arrays(left), 1 - left / 100)
    assert turns == [1, 8, 16, 16, 16, 16, 16, 11]
    assert dues == [False, False, True, False, True, False, True, True]


def test_a_stage_that_is_asked_to_stop_saves_and_ends(tmp_path, context, monkeypatch):
    asked = threading.Event()
    monkeypatch.setattr(stopping, "_asked", asked)

    def stage():
        with checkpointing(tmp_path, "runs 0-2", context) as opened:
            assert opened.turn(9) == 1 and not opened.due()
            asked.set()
            assert opened.turn(8) == 8 and opened.due()
            opened.save(arrays(1), 0.5)

    with pytest.raises(stopping.Stopped):
        stage()
    assert not stopping._open
    with pytest.raises(stopping.Stopped):  # another one does not begin
        saved(tmp_path, context, 2)
    asked.clear()
    assert is_number(latest(tmp_path, context), 1)


def test_a_finished_stage_drops_its_checkpoints_and_counts_their_seconds(tmp_path):
    first, _ = storing(tmp_path, lambda line: None)
    with first.checkpoints("x") as opened:
        opened.save(arrays(1), 0.5)
    keep, stages = storing(tmp_path, lambda line: None)

    def resumed():
        with keep.checkpoints("x") as opened:
            return opened.latest()

    assert is_number(keep("x", resumed), 1)
    assert [path.name for path in tmp_path.iterdir()] == ["x.npz"]
    assert stages["x"].seconds > stages["x"].earlier > 0


WAITING = """
import sys, threading, time
from jaxml.record.runs import stopping

def work():
    with stopping.unbroken():
        print("open", flush=True)
        while not stopping.asked():
            time.sleep(0.01)
        time.sleep(0.3)
        print("stored", flush=True)

with stopping.ending_at_sigterm(lambda: print("farewell", flush=True)):
    threading.Thread(target=work, daemon=True).start()
    time.sleep(60)
"""


@pytest.mark.stress
def test_sigterm_waits_for_what_is_being_stored_and_for_nothing_else():
    with subprocess.Popen(
        [sys.executable, "-c", WAITING], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None and process.stdout.readline() == "open\n"
        process.send_signal(signal.SIGTERM)
        assert process.communicate(timeout=30)[0] == "stored\nfarewell\n"
    assert process.returncode == stopping.EXIT_CODE == 143


def test_signals_are_as_before_once_a_command_has_ended():
    before = signal.getsignal(signal.SIGTERM), len(os.listdir("/proc/self/fd"))
    with stopping.ending_at_sigterm(lambda: None):
        assert signal.getsignal(signal.SIGTERM) is not before[0]
    assert before == (
        signal.getsignal(signal.SIGTERM),
        len(os.listdir("/proc/self/fd")),
    )
