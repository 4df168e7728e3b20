"""Readings: who reports, who collects, and whether a file still holds what was read."""

import gzip
import hashlib
import os
import threading
from contextvars import copy_context

import numpy as np
import pytest

from jaxml import problem, provenance
from jaxml.provenance import Reading, collecting, report
from jaxml.types import InputError

pytestmark = pytest.mark.identity

ONE, TWO = Reading("one", "11"), Reading("two", "22")


def test_nested_collectors_both_see_a_reading_once():
    with collecting() as outer:
        report(ONE)
        with collecting() as inner:
            report(TWO)
            report(TWO)
        report(ONE)
    report(Reading("late", "33"))
    assert outer == [ONE, TWO] and inner == [TWO]


def test_a_collector_ends_with_an_error():
    with pytest.raises(RuntimeError), collecting() as readings:
        raise RuntimeError
    report(ONE)
    assert readings == []


def _in_a_thread(function):
    thread = threading.Thread(target=function)
    thread.start()
    thread.join()


def test_a_thread_without_context_tells_every_collector_and_one_with_context_its_own():
    with collecting() as readings:
        _in_a_thread(lambda: report(ONE))
        context = copy_context()
        _in_a_thread(lambda: context.run(report, TWO))
    assert readings == [ONE, TWO]


def test_threads_with_collectors_of_their_own_do_not_mix():
    found = {}
    both = threading.Barrier(2)

    def work(reading):
        with collecting() as readings:
            both.wait()
            report(reading)
            both.wait()
        found[reading.name] = readings

    threads = [threading.Thread(target=work, args=(reading,)) for reading in (ONE, TWO)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {"one": [ONE], "two": [TWO]}


def test_an_own_file_is_reported_and_its_change_is_seen(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.csv").write_bytes(b"1,2\n")
    with collecting() as readings:
        assert problem.read("mine.csv") == b"1,2\n"
        problem.read(tmp_path / "mine.csv", name="table")
    digest = hashlib.sha256(b"1,2\n").hexdigest()
    path = str(tmp_path / "mine.csv")
    assert readings == [
        Reading("mine.csv", digest, path, digest),
        Reading("table", digest, path, digest),
    ]
    assert provenance.unchanged(readings[0])
    (tmp_path / "mine.csv").write_bytes(b"1,3\n")
    assert not provenance.unchanged(readings[0])
    (tmp_path / "mine.csv").unlink()
    assert not provenance.unchanged(readings[0])


def test_what_is_no_readable_file_is_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "absent.csv", tmp_path / "pipe"):
        with pytest.raises(InputError, match="make it a file you may read"):
            problem.read(path)


def test_an_uncompressed_copy_holds_the_same_and_embedded_data_never_change(tmp_path):
    content, packed = b"what was read", gzip.compress(b"what was read")
    path = tmp_path / "set.gz"
    path.write_bytes(packed)
    digests = [hashlib.sha256(each).hexdigest() for each in (content, packed)]
    reading = Reading("set", digests[0], str(path), digests[1])
    assert provenance.unchanged(reading)
    path.write_bytes(content)
    assert provenance.unchanged(reading)
    assert provenance.unchanged(Reading("digits", "ab"))


def _digest(batch):
    arrays = (batch.inputs.astype(np.float32), batch.targets)
    return hashlib.sha256(b"".join(array.tobytes() for array in arrays)).hexdigest()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_embedded_sets_report_the_float32_content_at_every_call(dtype):
    for _ in range(2):
        with collecting() as readings:
            problem.digits(dtype=dtype)
            problem.pokemon_cp(dtype=dtype)
            problem.sinc(7, dtype=dtype)
            problem.sinc(8, dtype=dtype)
        digits, pokemon, seven, eight = readings
        assert digits.digest == _digest(problem.digits())
        assert pokemon[:2] == ("pokemon_cp", _digest(problem.pokemon_cp()))
        assert [seven.name, eight.name] == [
            "sinc/7",
            "sinc/8",
        ] and seven.digest != eight.digest
        assert digits.name == "digits" and str(digits.path).endswith("digits.csv.gz")
        assert all(provenance.unchanged(reading) for reading in readings)


def test_a_task_reports_what_it_reads():
    with collecting() as readings:
        problem.relu_sinc(points=128, dtype=np.float32)
        problem.softmax_digits(dtype=np.float32)
    assert [reading.name for reading in readings] == ["sinc/128", "digits"]
    assert readings[0].digest == _digest(problem.sinc(128))
