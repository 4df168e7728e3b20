"""Image sets from a folder, the cache or a mirror; and the real ones where
`JAXML_DATA_DIR` has them.
"""

import gzip
import hashlib
import os
from urllib.error import URLError

import jax
import numpy as np
import pytest

from jaxml.problem.data import download
from jaxml.problem.data.files import FileSet
from jaxml.problem.data.image_sets import (
    FASHION_MNIST,
    MNIST,
    fashion_mnist,
    load,
    mnist,
    shrunk,
)
from jaxml.provenance import collecting, unchanged
from jaxml.types import Batch, InputError

pytestmark = pytest.mark.oracle

PIXELS = {
    "train": np.arange(3 * 784, dtype=np.uint32) * 7 % 256,
    "t10k": np.full(2 * 784, 51, np.uint32),
}
LABELS = {"train": [3, 0, 9], "t10k": [1, 1]}


def _contents():
    """File name to uncompressed bytes of a set of three training and two test
    images.
    """
    files = {}
    for part, labels in LABELS.items():
        count = len(labels).to_bytes(4, "big")
        side = (28).to_bytes(4, "big")
        pixels = bytes(PIXELS[part].tolist())
        files[f"{part}-images-idx3-ubyte.gz"] = (
            b"\x00\x00\x08\x03" + count + side + side + pixels
        )
        files[f"{part}-labels-idx1-ubyte.gz"] = (
            b"\x00\x00\x08\x01" + count + bytes(labels)
        )
    return files


def _write(folder, files):
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(gzip.compress(content))


@pytest.fixture
def places(tmp_path, monkeypatch):
    """A set whose files are nowhere yet; `JAXML_DATA_DIR`, the cache and one mirror are
    empty folders.
    """
    monkeypatch.setenv("JAXML_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    digests = {
        name: hashlib.sha256(content).hexdigest()
        for name, content in _contents().items()
    }
    mirrors = ((tmp_path / "gone").as_uri() + "/", (tmp_path / "mirror").as_uri() + "/")
    return tmp_path, FileSet("tiny", mirrors, digests)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("place", ["data/tiny", "cache/jaxml/tiny", "mirror"])
def test_a_set_is_read_from_wherever_it_is(places, place, dtype):
    root, images = places
    _write(root / place, _contents())
    train, test = load(images, train=2, test=2, dtype=dtype)
    assert train.inputs.shape == test.inputs.shape == (2, 28, 28, 1)
    assert (
        train.inputs.dtype == train.weights.dtype == dtype
        and train.targets.dtype == np.int32
    )
    np.testing.assert_allclose(
        train.inputs.ravel(), PIXELS["train"][: 2 * 784] / 255, rtol=1e-7
    )
    np.testing.assert_allclose(test.inputs, 0.2, rtol=1e-7)
    assert train.targets.tolist() == [3, 0] and test.targets.tolist() == [1, 1]


FORMS = {
    "unpacked": lambda name: name.removesuffix(".gz"),
    "unpacked with a dot": lambda name: name.removesuffix(".gz").replace(
        "-idx", ".idx"
    ),
    "unpacked under the old name": lambda name: name,
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("place", ["data/tiny", "cache/jaxml/tiny"])
def test_unpacked_files_are_found_and_read(places, place, form):
    root, images = places
    _write(root / "mirror", _contents())
    expected = load(images, train=3, test=2, dtype=np.float32)
    (root / "cache").rename(root / "used")
    (root / place).mkdir(parents=True)
    for name, content in _contents().items():
        (root / place / FORMS[form](name)).write_bytes(content)
    found = load(images, train=3, test=2, dtype=np.float32)
    jax.tree.map(np.testing.assert_array_equal, found, expected)


def test_readings_say_content_and_file_whatever_the_form(places):
    root, images = places
    _write(root / "data/tiny", _contents())
    with collecting() as packed:
        load(images, train=1, test=1, dtype=np.float32)
    with collecting() as again:
        load(images, train=2, test=2, dtype=np.float32)
    assert packed == again and [reading.name for reading in packed] == [
        f"tiny/{name}" for name in _contents()
    ]
    for reading, (name, content) in zip(packed, _contents().items(), strict=True):
        path = root / "data/tiny" / name
        assert (
            reading.path == str(path)
            and reading.digest == hashlib.sha256(content).hexdigest()
        )
        assert reading.file_digest == hashlib.sha256(path.read_bytes()).hexdigest()
        path.write_bytes(content)
    assert all(unchanged(reading) for reading in packed)
    with collecting() as unpacked:
        load(images, train=1, test=1, dtype=np.float32)
    assert [reading.digest for reading in unpacked] == [
        reading.digest for reading in packed
    ]
    assert all(reading.file_digest == reading.digest for reading in unpacked)


def test_the_given_folder_comes_before_the_cache_and_a_download_fills_the_cache(places):
    root, images = places
    _write(root / "mirror", _contents())
    load(images, train=1, test=1, dtype=np.float32)
    assert sorted(p.name for p in (root / "cache/jaxml/tiny").iterdir()) == sorted(
        _contents()
    )
    broken = _contents() | {"t10k-labels-idx1-ubyte.gz": b"no"}
    _write(root / "data/tiny", broken)
    with pytest.raises(InputError, match="data/tiny/t10k-labels"):
        load(images, train=1, test=1, dtype=np.float32)


IMAGES = _contents()["train-images-idx3-ubyte.gz"]
WRONG = {
    "truncated": (gzip.compress(IMAGES)[:-30], "ends before"),
    "corrupt gzip": (b"\x1f\x8b" + bytes(50), "not an intact gzip"),
    "wrong magic": (
        gzip.compress(b"P5" + IMAGES[2:]),
        "other content than was published",
    ),
    "wrong size": (gzip.compress(IMAGES[:-1]), "other content than was published"),
    "wrong checksum": (
        gzip.compress(IMAGES[:-1] + b"\x01"),
        "other content than was published",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_file_is_refused_with_its_path_and_a_fix(places, case):
    root, images = places
    _write(root / "data/tiny", _contents())
    path = root / "data/tiny/train-images-idx3-ubyte.gz"
    path.write_bytes(WRONG[case][0])
    with pytest.raises(InputError, match=WRONG[case][1]) as caught:
        load(images, train=1, test=1, dtype=np.float32)
    assert str(path) in str(caught.value) and "delete it" in str(caught.value)


@pytest.mark.parametrize(
    ("reader", "images"), [(fashion_mnist, FASHION_MNIST), (mnist, MNIST)]
)
def test_absent_and_offline_is_one_sentence(places, monkeypatch, reader, images):
    def offline(url, timeout):
        raise URLError("offline")

    monkeypatch.setattr(download, "urlopen", offline)
    with pytest.raises(InputError) as caught:
        reader(train=5, test=5)
    folder = places[0] / "cache/jaxml" / images.folder
    for part in (
        "train-images-idx3-ubyte.gz",
        f"put it into {folder}.",
        *images.mirrors,
    ):
        assert part in str(caught.value)
    assert len(images.mirrors) == 2


@pytest.mark.parametrize(("train", "test"), [(0, 1), (4, 1), (1, 3)])
def test_a_count_out_of_range_is_refused(places, train, test):
    root, images = places
    _write(root / "data/tiny", _contents())
    with pytest.raises(InputError, match="ask for 1 to"):
        load(images, train=train, test=test, dtype=np.float32)


# The published sets are 42 MB and not part of the repository: their cases exist only
# where JAXML_DATA_DIR gives a folder that has them. The set written above goes through
# the same test everywhere.
REAL = {
    "fashion_mnist": (fashion_mnist, 0.2860, 0.3530, [6000] * 10, [9, 0, 0], [9, 2, 1]),
    "mnist": (
        mnist,
        0.1307,
        0.3081,
        [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949],
        [5, 0, 4],
        [7, 2, 1],
    ),
}


@pytest.mark.parametrize(
    "name", ["tiny", *(REAL if "JAXML_DATA_DIR" in os.environ else ())]
)
def test_the_set_has_the_published_statistics(request, name):
    if name == "tiny":
        root, images = request.getfixturevalue("places")
        _write(root / "data/tiny", _contents())
        train, test = load(images, train=3, test=2, dtype=np.float32)
        values = PIXELS["train"] / 255
        mean, deviation, counts = (
            values.mean(),
            values.std(),
            [1, 0, 0, 1, 0, 0, 0, 0, 0, 1],
        )
        first, first_test = [3, 0, 9], [1, 1]
    else:
        reader, mean, deviation, counts, first, first_test = REAL[name]
        train, test = reader()
    assert train.inputs.shape[0] == sum(counts) and train.inputs.shape[1:] == (
        28,
        28,
        1,
    )
    assert abs(train.inputs.mean(dtype=np.float64) - mean) < 5e-5
    assert abs(train.inputs.std(dtype=np.float64) - deviation) < 5e-5
    assert np.bincount(train.targets, minlength=10).tolist() == counts
    assert (
        train.targets[:3].tolist() == first and test.targets[:3].tolist() == first_test
    )
    assert train.inputs.min() == 0 and train.inputs.max() == 1


def test_a_shrunk_picture_has_the_means_of_its_squares() -> None:
    pixels = np.arange(2 * 4 * 6, dtype=np.float32).reshape(2, 4, 6, 1)
    batch = Batch(pixels, np.zeros(2, np.int32), np.ones(2, np.float32))
    found = shrunk(batch, 2).inputs
    assert found.shape == (2, 2, 3, 1) and found.dtype == np.float32
    assert found[1, 0, 2, 0] == pixels[1, :2, 4:, 0].mean()
    with pytest.raises(InputError, match="divisor of both"):
        shrunk(batch, 4)
