import json
from typing import Any, NamedTuple

import numpy as np
import pytest

from jaxml.record.finding import deciding, judged, supporting
from jaxml.record.rule import above, at_most
from jaxml.record.runs.folder import (
    Run,
    altered,
    compare,
    flat,
    load_run,
    restored,
    save_run,
)
from jaxml.record.runs.listing import list_runs, readable_runs
from jaxml.record.statistics import Interval, largest
from jaxml.types import InputError

pytestmark = pytest.mark.invariance
WHERE = {"unit": "error", "setting": "a bowl"}
FINDINGS = judged(
    [
        deciding(
            "C001", "s", Interval(0.1, 1e-17, 1 / 3, 5, "float32"), above(0.0), **WHERE
        ),
        supporting("A2", "s", largest(np.array([1.0, np.inf])), at_most(1.0), **WHERE),
        supporting("A3", "s", largest(np.array([np.nan])), at_most(1.0), **WHERE),
    ]
)
FACTS = {
    "config": {},
    "platform": "cpu",
    "versions": {},
    "settings": {},
    "code": {"study": "c"},
    "imported": {},
    "needs": [],
    "data": {},
    "judging": {},
    "before": "b",
    "differs": {},
    "smoke": False,
    "about": {"title": "t"},
    "device": {"kind": "cpu", "count": 1},
    "dtype": "float32",
}


def make(folder, *, study="toy", finished="2020-01-01", result=None, **facts):
    folder.mkdir(parents=True)
    manifest = {
        **FACTS,
        "study": study,
        "hash": folder.name,
        "finished": finished,
        **facts,
    }
    run = Run(
        folder,
        manifest,
        {"x": np.arange(3)} if result is None else result,
        {"t": np.ones(2)},
        FINDINGS,
    )
    save_run(run)
    return run


def test_a_saved_run_is_loaded_again(tmp_path):
    run = make(tmp_path / "abc")
    loaded = load_run(tmp_path / "abc")
    digests = loaded.manifest["digests"]
    assert loaded.manifest == {**run.manifest, "digests": digests}
    assert altered(loaded) == () and compare(loaded, run) == ()
    assert repr(loaded.findings) == repr(run.findings)
    assert loaded.timings is not None and loaded.timings["t"].tolist() == [1.0, 1.0]
    json.loads(
        (tmp_path / "abc" / "findings.json").read_text(), parse_constant=pytest.fail
    )


def test_comparison_is_by_bits(tmp_path):
    nans = np.array([0x7FF8000000000000, 0x7FF8000000000001], np.uint64).view(
        np.float64
    )
    base = {
        "nan": nans[:1],
        "zero": np.zeros(2),
        "shape": np.ones((2, 3)),
        "dtype": np.ones(2, np.int32),
    }
    other = {
        "nan": nans[1:],
        "zero": -np.zeros(2),
        "shape": np.ones((3, 2)),
        "dtype": np.ones(2, np.uint32),
    }
    first, second = (
        make(tmp_path / "a", result=base),
        make(tmp_path / "b", result=other | {"new": nans}),
    )
    assert compare(first, first) == compare(first.folder, str(first.folder)) == ()
    assert (
        compare(first, second)
        == compare(second.folder, first.folder)
        == ("dtype", "nan", "new", "shape", "zero")
    )


def test_only_whole_runs_are_listed(tmp_path):
    names = [
        "0123456789ab",
        "0123456789ab.partial",
        "0123456789ab.1",
        "notes",
        "0123456789AB",
    ]
    for name in names:
        (tmp_path / "toy" / name).mkdir(parents=True)
    (tmp_path / "toy" / "ffffffffffff").write_text("")
    assert list_runs(tmp_path) == (tmp_path / "toy" / "0123456789ab",)
    assert list_runs(tmp_path / "absent") == ()


def test_runs_are_listed_by_their_end_and_damaged_ones_are_named(tmp_path):
    make(tmp_path / "a" / f"{1:012x}", finished="2020-01-02")
    make(tmp_path / "a" / f"{2:012x}", finished="2020-01-01")
    (tmp_path / "a" / f"{3:012x}").mkdir()
    make(tmp_path / "b" / f"{4:012x}")
    (tmp_path / "b" / f"{4:012x}" / "manifest.json").write_text("{}")
    said = []
    listed = readable_runs(tmp_path, said.append)
    assert [each.folder.name for each in listed] == [f"{2:012x}", f"{1:012x}"]
    assert len(said) == 2 and "is missing" in said[0] and "lacks study" in said[1]


@pytest.mark.parametrize("word", ["supported", "proven", "refuted"])
def test_a_verdict_typed_into_a_file_is_refused(tmp_path, word):
    make(tmp_path / "abc")
    path = tmp_path / "abc" / "findings.json"
    entries = json.loads(path.read_text())
    entries[0]["low"], entries[0]["verdict"] = -1.0, word
    path.write_text(json.dumps(entries))
    with pytest.raises(InputError, match="contradicts its interval"):
        load_run(tmp_path / "abc")


@pytest.mark.parametrize(
    "name", ["manifest.json", "result.npz", "timings.npz", "findings.json"]
)
def test_a_damaged_file_is_named(tmp_path, name):
    make(tmp_path / "abc")
    path = tmp_path / "abc" / name
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(InputError, match=f"{name} is damaged"):
        load_run(tmp_path / "abc")


@pytest.mark.parametrize("name", ["manifest.json", "result.npz", "findings.json"])
def test_a_missing_file_is_named(tmp_path, name):
    make(tmp_path / "abc")
    (tmp_path / "abc" / name).unlink()
    with pytest.raises(InputError, match=f"{name} is missing"):
        load_run(tmp_path / "abc")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("manifest.json", "[]"),
        ("manifest.json", "{}"),
        ("manifest.json", "\udcff"),
        ("findings.json", "3"),
        ("findings.json", "[3]"),
        ("findings.json", '[{"claim": "C001"}]'),
    ],
)
def test_json_of_another_form_is_refused(tmp_path, name, text):
    make(tmp_path / "abc")
    (tmp_path / "abc" / name).write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(InputError, match=name):
        load_run(tmp_path / "abc")


def test_what_is_no_run_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    for read in (load_run, list_runs):
        with pytest.raises(InputError):
            read(tmp_path / "file")
    with pytest.raises(InputError):
        load_run(tmp_path / "absent")


class Inner(NamedTuple):
    """Of a result."""

    a: np.ndarray
    b: np.ndarray


class Outer(NamedTuple):
    """A result whose field is of another study's kind."""

    known: Inner
    other: Any
    plain: np.ndarray


def test_a_field_of_any_kind_is_restored_by_its_names():
    inner = Inner(np.arange(2), np.ones(3))
    nested = Outer(inner, inner, np.zeros(1))
    result = Outer(inner, nested, np.zeros(1))
    again = restored(Outer, flat(result))
    assert again.other._fields == Outer._fields
    assert list(flat(again)) == list(flat(result))
    for name, array in flat(result).items():
        np.testing.assert_array_equal(flat(again)[name], array)
    with pytest.raises(InputError, match=r"other.*--again"):
        restored(Outer, flat(inner) | {"known.a": inner.a, "known.b": inner.b})
