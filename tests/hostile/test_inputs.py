"""Whatever a file holds, it is read or refused in a sentence: never a crash, a hang or
a huge allocation.

Each reader has a file that is whole, and hypothesis tears it: about a thousand inputs
in `make test`, more than ten thousand in `make stress`; the number is behind the
reader's name. A further format is one more entry of READERS.
"""

import gzip
import importlib.util
import json
import resource
import struct
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, NamedTuple

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jaxml import claims, freshness
from jaxml.commands.counted import kind
from jaxml.commands.run import short
from jaxml.errors import InputError
from jaxml.problem import read_idx, read_views
from jaxml.record.answers import answers
from jaxml.record.finding import deciding, judged, supporting
from jaxml.record.pages.report import write_report
from jaxml.record.pages.topics import markdown_verdicts
from jaxml.record.rule import above, at_most
from jaxml.record.runs.archive import load_arrays, load_tree, save_arrays, save_tree
from jaxml.record.runs.config import config_from_json, config_to_json
from jaxml.record.runs.folder import load_findings, load_manifest, save_findings
from jaxml.record.runs.ranges import require_in_range
from jaxml.record.statistics import Interval, largest
from jaxml.record.verdicts import (
    Replicate,
    Verdicts,
    finding_to_json,
    load_verdicts,
    save_verdicts,
)

pytestmark = pytest.mark.invariance


def beside(name: str) -> ModuleType:
    """A module of this folder, which is no package."""
    path = Path(__file__).with_name(f"{name}.py")
    spec = importlib.util.spec_from_file_location(f"hostile_{name}", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


mutations = beside("mutations")
LEDGER = {"C001": claims.Claim("C001", "momentum", "empirical", "It helps.")}
FINDINGS = judged(
    [
        deciding(
            "C001",
            "It ends lower.",
            Interval(0.1, 1e-17, 1 / 3, 5, "float32"),
            above(0.0, margin=0.01, reason="less is noise"),
            unit="error",
            setting="a bowl",
        ),
        supporting(
            "C001",
            "It is exact.",
            largest(np.array([np.inf])),
            at_most(1.0),
            unit="error",
            setting="a bowl",
        ),
    ]
)
NEED = {
    "study": "other",
    "config": {"seed": 0},
    "platform": "cpu: cpu",
    "versions": {"jax": "0.10.2"},
    "settings": {"XLA_FLAGS": ""},
    "code": {"study": "ab"},
    "imported": {},
    "needs": [],
    "data": {"digits": "cd"},
}
READING = {"digest": "cd", "path": "/data/digits", "file_digest": None}
MANIFEST = {
    **NEED,
    "study": "toy",
    "needs": [NEED],
    "data": {"digits": READING},
    "hash": "0123456789ab",
    "before": "ba9876543210",
    "judging": {"study": "ef"},
    "asserting": "01",
    "differs": {"seed": 1},
    "smoke": False,
    "finished": "2020-01-01T00:00:00",
    "about": {"title": "Does it?", "summary": "", "expect": "yes"},
    "device": {"kind": "cpu", "count": 1},
    "dtype": "float32",
    "own_claims": {"X1": {"topic": "t", "kind": "empirical", "claim": "It is."}},
    "file": "toy.py",
    "commit": "unknown",
    "dirty": "unknown",
    "threads": {"cpus": 2},
    "wall_seconds": 1.5,
    "compile_seconds": 0.5,
    "stages": {"first": {"seconds": 1.0, "kept": False}},
    "command": "jaxml run toy",
}


@dataclass(frozen=True, kw_only=True)
class Config:
    """One field of each kind."""

    count: int = 4
    rate: float = 0.1
    name: str = "a"
    sizes: tuple[int, ...] = (1, 2)
    offset: float | None = None
    dtype: Literal["float32", "float64"] = "float32"
    weights: dict[str, float] | None = None
    seed: int = 0


class Pair(NamedTuple):
    """A tree to be stored."""

    left: np.ndarray
    right: Any


class Reader(NamedTuple):
    """Something that reads a file.

    Attributes:
        name: of the file.
        whole: the bytes of one that is whole, in a folder.
        read: what is read, and what is asked of it at once.
        draw: files, from the bytes of the whole one.
        quick: inputs in `make test`.
        many: inputs in `make stress`.
        show: makes a page of what was read, in `make stress`.
    """

    name: str
    whole: Callable[[Path], bytes]
    read: Callable[[Path], Any]
    draw: Callable[[bytes], st.SearchStrategy[bytes]]
    quick: int
    many: int
    show: Callable[[Path], Any] = str


def idx(folder: Path) -> bytes:
    return b"\0\0\x0d\2" + struct.pack(">2I6f", 2, 3, *range(6))


def packed_idx(folder: Path) -> bytes:
    return gzip.compress(idx(folder), mtime=0)


def table(folder: Path) -> bytes:
    return b'ds,y\n2008-01-01,7.5\n"2008-01-02",8\n2008-01-04,7e0\n'


def config(folder: Path) -> bytes:
    return json.dumps(config_to_json(Config(weights={"a": 1.0}))).encode()


def manifest(folder: Path) -> bytes:
    save_findings(folder, FINDINGS)
    return json.dumps(MANIFEST).encode()


def findings(folder: Path) -> bytes:
    (folder / "manifest.json").write_text(json.dumps(MANIFEST))
    return json.dumps([finding_to_json(each) for each in FINDINGS]).encode()


def verdicts(folder: Path) -> bytes:
    again = Replicate({"seed": 1}, "ab" * 6, FINDINGS)
    kept = {**MANIFEST, "data": {"digits": "cd"}}
    path = save_verdicts(folder, Verdicts("toy", "Does it?", kept, FINDINGS, (again,)))
    return path.read_bytes()


def arrays(folder: Path) -> bytes:
    save_arrays(folder / "run.npz", {"x": np.arange(4.0), "y": np.array("π")})
    return (folder / "run.npz").read_bytes()


def tree(folder: Path) -> bytes:
    save_tree(folder / "run.npz", Pair(np.ones(2), {"k": [None, 1]}))
    return (folder / "run.npz").read_bytes()


def ledger(folder: Path) -> bytes:
    return (
        b'[X1]\ntopic = "momentum"\nkind = "empirical"\nclaim = "It is."\n'
        b'figures = ["1", "2"]\n\n[X2]\ntopic = "t"\nkind = "disputed"\nclaim = "No."\n'
    )


def read_config(path: Path) -> Config:
    try:
        mapping = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        raise InputError("No config: what cannot be JSON is refused earlier.") from None
    if not isinstance(mapping, dict):
        raise InputError("No config: what is no table is refused earlier.")
    read = config_from_json(Config, mapping)
    require_in_range("toy", read, [Config()])
    assert read.count >= 1 and np.isfinite(read.rate) and read.rate >= 0
    assert config_from_json(Config, config_to_json(read)) == read
    return read


def read_manifest(path: Path) -> None:
    found = load_manifest(path.parent)
    assert isinstance(freshness.stale(found, path.with_name("toy.py")), tuple)
    assert kind(found) in ("default", "replicate", "other")
    assert isinstance(short(found["differs"]), str)


def read_findings(path: Path) -> None:
    load_findings(path.parent)


def report(path: Path) -> None:
    write_report(path.parent)
    mutations.shown(path.with_name("report.html").read_text(encoding="utf-8"))


def read_verdicts(path: Path) -> None:
    document = markdown_verdicts(answers(LEDGER, [load_verdicts(path)]))
    assert "<!--" not in document and "-->" not in document


def read_ledger(path: Path) -> None:
    for claim in claims.read(path).values():
        assert claim.kind in claims.KINDS and claim.claim is not None


def documents(whole: bytes) -> st.SearchStrategy[bytes]:
    return mutations.documents(json.loads(whole))


torn = mutations.files
READERS = {
    "idx": Reader("x-idx2-ubyte", idx, read_idx, torn, 150, 1500),
    "packed_idx": Reader("x.gz", packed_idx, read_idx, torn, 100, 1000),
    "csv": Reader("views.csv", table, read_views, torn, 150, 1500),
    "config": Reader("config.json", config, read_config, documents, 150, 2000),
    "manifest": Reader(
        "manifest.json", manifest, read_manifest, documents, 100, 1000, report
    ),
    "findings": Reader(
        "findings.json", findings, read_findings, documents, 100, 1000, report
    ),
    "verdicts": Reader("toy.json", verdicts, read_verdicts, documents, 80, 600),
    "arrays": Reader("run.npz", arrays, load_arrays, torn, 80, 700),
    "tree": Reader("run.npz", tree, load_tree, torn, 80, 600),
    "ledger": Reader("claims.toml", ledger, read_ledger, torn, 80, 600),
}


@pytest.fixture(scope="module", autouse=True)
def short_ledger() -> Iterator[None]:
    """One claim instead of the course's two hundred, which take a while to read."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(claims, "ledger", lambda *folders: LEDGER)
        yield


def throw(reader: Reader, count: int, folder: Path, show: Callable = str) -> None:
    """Gives the reader so many files, none of which may bring it down."""
    whole = reader.whole(folder)
    path = folder / reader.name
    thrown = refused = 0
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    @settings(
        max_examples=count,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(reader.draw(whole))
    def each(content: bytes) -> None:
        nonlocal thrown, refused
        path.write_bytes(content)
        is_refused = isinstance(mutations.answered(reader.read, path), str)
        if not is_refused:
            show(path)
        refused += is_refused
        thrown += 1

    each()
    print(f"{thrown} files, {refused} of them refused in a sentence")
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert thrown >= count and refused > count / 4
    assert (after - before) << 10 < 4 * mutations.BYTES, "memory"


def test_a_whole_file_is_read(tmp_path: Path) -> None:
    for name, reader in READERS.items():
        folder = tmp_path / name
        folder.mkdir()
        path = folder / reader.name
        path.write_bytes(reader.whole(folder))
        assert not isinstance(mutations.answered(reader.read, path), str), name
    assert tomllib.loads(ledger(tmp_path).decode()).keys() == {"X1", "X2"}


@pytest.mark.parametrize(
    ("name", "count"), [(name, each.quick) for name, each in READERS.items()]
)
def test_a_torn_file_is_read_or_refused(name: str, count: int, tmp_path: Path) -> None:
    throw(READERS[name], count, tmp_path)


@pytest.mark.stress
@pytest.mark.parametrize(
    ("name", "count"), [(name, each.many) for name, each in READERS.items()]
)
def test_many_torn_files_are_read_or_refused(
    name: str, count: int, tmp_path: Path
) -> None:
    throw(READERS[name], count, tmp_path, READERS[name].show)


def test_the_inputs_are_a_thousand_and_ten_thousand() -> None:
    assert sum(each.quick for each in READERS.values()) >= 1_000
    assert sum(each.many for each in READERS.values()) >= 10_000
