"""Files that are no ordinary files, archives that are no ordinary archives, and text
that is more than text.
"""

import gzip
import importlib.util
import io
import json
import os
import pickle
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from jaxml import claims
from jaxml.commands.catalogue import table_in
from jaxml.commands.failures import is_out_of_memory
from jaxml.commands.report import markdown_studies
from jaxml.errors import InputError
from jaxml.problem import read_idx, read_views
from jaxml.record.pages.pictures import pictures
from jaxml.record.runs.archive import load_arrays, load_tree, save_tree
from jaxml.record.runs.folder import load_findings, load_manifest, save_manifest
from jaxml.record.runs.stages import storing
from jaxml.record.verdicts import Verdicts, load_verdicts
from jaxml.source import describe
from jaxml.text import is_plain

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
READERS: dict[str, Callable[[Path], Any]] = {
    "x-idx1-ubyte": read_idx,
    "views.csv": read_views,
    "claims.toml": claims.read,
    "study.py": describe,
    "result.npz": load_arrays,
    "tree.npz": load_tree,
    "toy.json": load_verdicts,
    "manifest.json": lambda path: load_manifest(path.parent),
    "findings.json": lambda path: load_findings(path.parent),
}
UNBALANCED = (b"[" * 200_000, b'{"a":' * 100_000, b"9" * 5_000, b"\xff\xfe", b"NaN")


@pytest.mark.parametrize("name", READERS)
def test_what_is_no_ordinary_file_is_refused_at_once(name: str, tmp_path: Path) -> None:
    """A pipe without a writer, a folder, and a link to itself."""
    path = tmp_path / name
    os.mkfifo(path)
    assert isinstance(mutations.answered(READERS[name], path), str)
    path.unlink()
    path.mkdir()
    assert isinstance(mutations.answered(READERS[name], path), str)
    path.rmdir()
    for content in UNBALANCED:
        path.write_bytes(content)
        assert isinstance(mutations.answered(READERS[name], path), str)


def test_a_pipe_among_the_manifests_holds_nobody_up(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "manifest.json")
    with mutations.in_time():
        assert table_in(tmp_path / "manifest.json") == {}


def promising(shape: tuple[int, ...], dtype: str = "<f8", rest: bytes = b"") -> bytes:
    """A file of NumPy whose header speaks of an array that is not there."""
    file = io.BytesIO()
    header = {"descr": dtype, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)
    return file.getvalue() + rest


class Payload:
    """What runs a command where it is unpickled."""

    def __init__(self, trace: Path):
        self.trace = trace

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.trace),)


def archive(path: Path, *members: tuple[str, bytes], packed: bool = False) -> Path:
    """A zip file with members of any name, some of them twice."""
    way = zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED
    with zipfile.ZipFile(path, "w", way) as made:
        for name, content in members:
            info = zipfile.ZipInfo(name)
            info.compress_type = way
            made.writestr(info, content)
    return path


def test_an_archive_is_refused_before_memory_is_taken(tmp_path: Path) -> None:
    """A header of 8 TB, a member of 64 MiB in 64 KiB, and a length below nothing."""
    whole = promising((2,), rest=bytes(16))
    bomb = promising((1 << 23,), rest=bytes(1 << 26))
    made = [
        archive(tmp_path / "0.npz", ("x.npy", promising((10**12,)))),
        archive(tmp_path / "1.npz", ("x.npy", bomb), packed=True),
        archive(tmp_path / "2.npz", ("x.npy", promising((-1, -2), rest=bytes(16)))),
        archive(tmp_path / "3.npz", ("x:O.npy", whole)),
        archive(tmp_path / "4.npz", ("x:int64.npy", whole)),
        archive(tmp_path / "5.npz", ("x.npy", promising((2,), "|O", bytes(16)))),
        archive(tmp_path / "6.npz", ("x.npy", whole), ("x", b"")),
    ]
    with mutations.in_memory():
        for path in made:
            assert "is damaged" in mutations.answered(load_arrays, path), path.name
    assert "damaged" in mutations.answered(load_tree, made[0])


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_member_stands_once_and_leaves_its_archive_nowhere(tmp_path: Path) -> None:
    content = promising((1,), rest=bytes(8))
    twice = archive(tmp_path / "twice.npz", ("x.npy", content), ("x.npy", content))
    assert "there twice" in mutations.answered(load_arrays, twice)
    out = [("../out.npy", content), (f"{tmp_path}/absolute.npy", content)]
    found = mutations.answered(load_arrays, archive(tmp_path / "out.npz", *out))
    assert list(found) == ["../out", f"{tmp_path}/absolute"]
    assert sorted(each.name for each in tmp_path.iterdir()) == ["out.npz", "twice.npz"]
    assert not (tmp_path.parent / "out.npy").exists()


def test_nothing_is_unpickled(tmp_path: Path) -> None:
    """An array of objects, a bare pickle, and a structure that names a class."""
    trace = tmp_path / "trace"
    pickled = pickle.dumps(Payload(trace))
    member = promising((1,), "|O", pickled)
    for path in (
        archive(tmp_path / "a.npz", ("x.npy", member)),
        archive(tmp_path / "b.npz", ("x.pkl", pickled)),
    ):
        assert "damaged" in mutations.answered(load_arrays, path)
    (tmp_path / "c.npz").write_bytes(pickled)
    assert "damaged" in mutations.answered(load_tree, tmp_path / "c.npz")
    structure = {"class": ["os", "mkdir", []], "items": [{"value": str(trace)}]}
    text = json.dumps(structure).encode()
    member = promising((len(text),), "|u1", text)
    path = archive(tmp_path / "d.npz", ("structure.npy", member))
    assert "no NamedTuple" in mutations.answered(load_tree, path)
    assert not trace.exists()


def test_an_idx_file_takes_the_memory_that_its_header_says(tmp_path: Path) -> None:
    """A bomb of 128 MiB, 4 GB that are not there, and 1 TB of nothing on the disk."""
    bomb = gzip.compress(struct.pack(">2xBBI", 8, 1, 5) + bytes(1 << 27), 1)
    few = struct.pack(">2xBBI", 8, 1, 2**32 - 1) + bytes(5000)
    path = tmp_path / "x"
    with mutations.in_memory():
        path.write_bytes(bomb)
        assert "goes on behind the 13 bytes" in mutations.answered(read_idx, path)
        path.write_bytes(few)
        assert "header says 4294967303" in mutations.answered(read_idx, path)
        path.write_bytes(gzip.compress(few))
        assert "too few for the 4294967303" in mutations.answered(read_idx, path)
        with path.open("wb") as file:
            file.write(few[:8])
            file.truncate(1 << 40)
        assert "holds 1099511627776 bytes" in mutations.answered(read_idx, path)
        assert "GiB are free" in mutations.answered(read_views, path)


@pytest.mark.parametrize(
    "text", ["ds,y\n,1\n", "ds,y\ntoday,1\n", "y,ds\n1\n", "ds,y\nNaT,1\n"]
)
def test_a_row_without_a_date_is_refused(text: str, tmp_path: Path) -> None:
    """NumPy takes each of them for a day."""
    path = tmp_path / "views.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=r"Row 1 .* has no date"):
        read_views(path)


def test_a_page_embeds_what_lies_in_the_run_alone(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.mkdir()
    png = b"\x89PNG\r\n\x1a\n" + bytes(40)
    (secret / "a.png").write_bytes(png)
    (secret / "a.txt").write_text("secret")
    figures = tmp_path / "figures"
    figures.symlink_to(secret)
    assert not list(pictures(figures))
    figures.unlink()
    figures.mkdir()
    (figures / "a.png").symlink_to(secret / "a.png")
    os.mkfifo(figures / "b.png")
    (figures / "c.png").write_bytes(b"no picture")
    (figures / "d.png").write_bytes(png)
    (figures / "d.txt").symlink_to(secret / "a.txt")
    (found,) = pictures(figures)
    assert (found.name, found.words) == ("d", "")


def test_a_manifest_is_written_without_control_characters(tmp_path: Path) -> None:
    save_manifest(tmp_path, {"command": "jaxml \x1b[2J", "file": "\udcff.py"})
    written = (tmp_path / "manifest.json").read_text()
    assert is_plain(written) and json.loads(written)["command"] == "jaxml ␛[2J"


def test_no_study_ends_the_table_that_it_stands_in() -> None:
    found = Verdicts("s", "<!-- /studies --> a|b\nc", {}, (), ())
    *_, line = markdown_studies({"s": found}).splitlines()
    assert line == r"| s | <! -- /studies -- > a\|b c |  |"


@pytest.mark.parametrize(
    "value",
    [
        3,
        {"value": 1, "seconds": "s", "readings": []},
        {"value": 1, "seconds": 1.0, "readings": [("x",)]},
        {"value": 1, "seconds": 1.0, "readings": 5},
    ],
)
def test_a_stage_of_another_form_is_computed_again(value: Any, tmp_path: Path) -> None:
    save_tree(tmp_path / "a.npz", value)
    said: list[str] = []
    keep, _ = storing(tmp_path, said.append)
    assert keep("a", lambda: 7) == 7 and "cannot be read" in said[0]
    (tmp_path / "b.npz").symlink_to(tmp_path / "nowhere")
    assert keep("b", lambda: 8) == 8


def test_what_finds_no_memory_is_known() -> None:
    made = type("JaxRuntimeError", (RuntimeError,), {})
    assert is_out_of_memory(made("RESOURCE_EXHAUSTED: out of memory"))
    assert not is_out_of_memory(RuntimeError("RESOURCE_EXHAUSTED"))
