"""CIFAR-10 written by the test byte by byte, read from a folder, an archive or a
mirror; and the real one where `JAXML_DATA_DIR` has it.
"""

import hashlib
import io
import os
import tarfile
from pathlib import Path
from urllib.error import URLError

import numpy as np
import pytest

from jaxml.problem import cifar10, read_cifar10
from jaxml.problem.data import download
from jaxml.problem.data.cifar import CIFAR_10, Archive, load
from jaxml.problem.data.files import FileSet
from jaxml.provenance import collecting
from jaxml.types import InputError

pytestmark = pytest.mark.oracle

LABELS = {"one.bin": [3, 9], "two.bin": [0, 1], "test.bin": [7]}


def _pixel(row, channel, down, right):
    return (7 * row + 31 * channel + 5 * down + 3 * right) % 256


def _content(labels):
    """One byte at a time, in the order that the format's page states."""
    written = bytearray()
    for row, label in enumerate(labels):
        written.append(label)
        for channel in range(3):
            for down in range(32):
                written += bytes(_pixel(row, channel, down, x) for x in range(32))
    return bytes(written)


CONTENTS = {name: _content(labels) for name, labels in LABELS.items()}


def _digest(content):
    return hashlib.sha256(content).hexdigest()


def _packed(contents):
    """An archive of the set's folder."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as archive:
        for name, content in contents.items():
            member = tarfile.TarInfo(f"tiny-bin/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return stream.getvalue()


PACKED = _packed(CONTENTS)


@pytest.fixture
def places(tmp_path, monkeypatch):
    """A set that is nowhere yet."""
    monkeypatch.setenv("JAXML_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for folder in ("data", "cache/jaxml", "mirror"):
        (tmp_path / folder).mkdir(parents=True)
    digests = {
        name: hashlib.sha256(each).hexdigest() for name, each in CONTENTS.items()
    }
    mirrors = ((tmp_path / "gone").as_uri() + "/", (tmp_path / "mirror").as_uri() + "/")
    files = FileSet("tiny-bin", mirrors, digests)
    return tmp_path, Archive("tiny.tar.gz", _digest(PACKED), files)


def _write(folder: Path, contents=CONTENTS):
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        (folder / name).write_bytes(content)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    "place",
    [
        "data/tiny.tar.gz",
        "cache/jaxml/tiny.tar.gz",
        "mirror/tiny.tar.gz",
        "data/tiny-bin",
        "cache/jaxml/tiny-bin",
    ],
)
def test_a_set_is_read_from_wherever_it_is(places, place, dtype):
    root, archive = places
    if place.endswith(".gz"):
        (root / place).write_bytes(PACKED)
    else:
        _write(root / place)
    train, test = load(archive, train=3, test=1, dtype=dtype)
    assert train.inputs.shape == (3, 32, 32, 3) and train.inputs.dtype == dtype
    assert train.targets.tolist() == [3, 9, 0] and test.targets.tolist() == [7]
    assert train.targets.dtype == np.int32
    for row, channel, down, right in ((0, 0, 0, 0), (1, 2, 5, 31), (1, 1, 31, 2)):
        expected = _pixel(row, channel, down, right) / 255
        assert train.inputs[row, down, right, channel] == pytest.approx(expected)
    np.testing.assert_array_equal(train.inputs[2], train.inputs[0])


def test_readings_name_the_files_and_only_those_that_are_needed(places):
    root, archive = places
    _write(root / "data/tiny-bin")
    with collecting() as readings:
        load(archive, train=2, test=1, dtype=np.float32)
    found = [(each.name, each.digest) for each in readings]
    digests = archive.files.digests
    needed = ["one.bin", "test.bin"]
    assert found == [(f"tiny-bin/{name}", digests[name]) for name in needed]


@pytest.mark.parametrize("wrong", ["archive", "file"])
def test_other_content_is_refused_with_its_path(places, wrong):
    root, archive = places
    if wrong == "archive":
        path = root / "data/tiny.tar.gz"
        path.write_bytes(_packed(CONTENTS | {"one.bin": CONTENTS["two.bin"]}))
    else:
        path = root / "data/tiny-bin/one.bin"
        _write(path.parent, CONTENTS | {"one.bin": CONTENTS["two.bin"]})
    with pytest.raises(InputError, match="other content than was published") as caught:
        load(archive, train=1, test=1, dtype=np.float32)
    assert str(path) in str(caught.value)


def test_nothing_half_written_is_left(places):
    root, archive = places
    (root / "mirror/tiny.tar.gz").write_bytes(PACKED[:-20])
    with pytest.raises(InputError, match="not the published file"):
        load(archive, train=1, test=1, dtype=np.float32)
    assert list((root / "cache/jaxml").rglob("*.*")) == []


def test_absent_and_offline_is_one_sentence(places, monkeypatch):
    def offline(url, timeout):
        raise URLError("offline")

    monkeypatch.setattr(download, "urlopen", offline)
    with pytest.raises(InputError) as caught:
        cifar10(train=5, test=5)
    assert f"put it into {places[0] / 'cache/jaxml'}." in str(caught.value)
    for mirror in CIFAR_10.files.mirrors:
        assert mirror in str(caught.value)


@pytest.mark.parametrize(("train", "test"), [(0, 1), (5, 1), (1, 2)])
def test_a_count_out_of_range_is_refused(places, train, test):
    root, archive = places
    _write(root / "data/tiny-bin")
    with pytest.raises(InputError, match=r"ask for 1 to [14]\."):
        load(archive, train=train, test=test, dtype=np.float32)


def test_one_file_is_read_and_reported(tmp_path):
    path = tmp_path / "mine.bin"
    path.write_bytes(CONTENTS["one.bin"])
    with collecting() as readings:
        batch = read_cifar10(path)
    assert batch.inputs.shape == (2, 32, 32, 3) and batch.targets.tolist() == [3, 9]
    assert batch.inputs.dtype == np.float32 and batch.inputs.max() <= 1
    assert [each.path for each in readings] == [str(path)]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "holds 0 bytes"),
        (bytes(3072), "no whole rows of 3073"),
        (CONTENTS["one.bin"] + b"!", "no whole rows of 3073"),
        (b"\x0a" + bytes(3072), "label 10, beyond 9"),
        (b"\x80\x04" + bytes(3071), "label 128, beyond 9"),  # how a pickle begins
    ],
)
def test_what_are_no_rows_is_refused(tmp_path, content, message):
    path = tmp_path / "mine.bin"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        read_cifar10(path)
    assert str(path) in str(caught.value)


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        read_cifar10(tmp_path / "none.bin")


# The published set is 184 MB: its case exists only where a folder has it.
HERE = Path(os.environ.get("JAXML_DATA_DIR", "none")) / CIFAR_10.files.folder


@pytest.mark.stress
@pytest.mark.skipif(not HERE.exists(), reason="CIFAR-10 is not on this machine")
def test_the_set_has_the_published_balance():
    train, test = cifar10()
    assert np.bincount(train.targets).tolist() == [5000] * 10
    assert np.bincount(test.targets).tolist() == [1000] * 10
    means = train.inputs.mean(axis=(0, 1, 2), dtype=np.float64)
    np.testing.assert_allclose(means, [0.4914, 0.4822, 0.4465], atol=1e-4)
