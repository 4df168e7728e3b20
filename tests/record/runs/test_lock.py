import subprocess
import sys
import threading

import pytest

from jaxml.record.runs import lock as module
from jaxml.record.runs.lock import LOCK, locked
from jaxml.types import InputError

pytestmark = pytest.mark.invariance
HOLDER = """
import fcntl, os, sys, time
handle = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)
fcntl.flock(handle, fcntl.LOCK_EX)
os.write(handle, str(os.getpid()).encode())
print("held", flush=True)
time.sleep(60)
"""


def test_a_live_process_keeps_the_folder_and_a_dead_one_does_not(tmp_path):
    command = [sys.executable, "-c", HOLDER, str(tmp_path / LOCK)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None and holder.stdout.readline() == b"held\n"
        with pytest.raises(InputError, match=f"process {holder.pid}"), locked(tmp_path):
            pass
        holder.kill()
        holder.wait()
    assert (tmp_path / LOCK).read_text() == str(holder.pid)
    with locked(tmp_path):
        assert (tmp_path / LOCK).read_text() != str(holder.pid)


def test_who_waits_has_the_folder_when_it_is_free(tmp_path):
    order = []

    def second():
        order.append("asked")
        with locked(tmp_path, wait=True):
            order.append("second")

    waiting = threading.Thread(target=second)
    with locked(tmp_path):
        waiting.start()
        waiting.join(0.2)
        assert waiting.is_alive() and order == ["asked"]
        order.append("first")
    waiting.join(30)
    assert order == ["asked", "first", "second"]


def test_the_folder_is_made_held_and_may_be_renamed(tmp_path):
    folder = tmp_path / "a" / "b"
    with locked(folder):
        with pytest.raises(InputError), locked(folder):
            pass
        folder.rename(tmp_path / "c")
        with locked(folder):
            assert (folder / LOCK).exists()
        with pytest.raises(InputError), locked(tmp_path / "c"):
            pass
    with locked(tmp_path / "c"), locked(folder):
        pass


def test_a_lock_renamed_away_while_it_was_opened_is_let_go(tmp_path, monkeypatch):
    """Another process finishes between our opening of its lock file and our locking of
    it.
    """
    folder, real = tmp_path / "x.partial", module._owns
    moved = []

    def owns(handle, place, wait):
        if not moved:
            moved.append(place.rename(tmp_path / "x"))
        return real(handle, place, wait)

    monkeypatch.setattr(module, "_owns", owns)
    with locked(folder):
        assert (folder / LOCK).exists() and (tmp_path / "x" / LOCK).read_text() == ""


def test_a_file_in_the_way_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(InputError, match="cannot be written"),
        locked(tmp_path / "file" / "run"),
    ):
        pass
