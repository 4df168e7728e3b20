"""The download: mirrors in turn, nothing half written, one sentence when there is no
network.
"""

import gzip
import hashlib
import io
from email.message import Message
from urllib.error import URLError

import pytest

from jaxml.problem.data import download as module
from jaxml.problem.data.download import download
from jaxml.types import InputError

pytestmark = pytest.mark.identity

CONTENT = b"what was published" * 1000
DIGEST = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def mirror(tmp_path):
    """A function that makes a mirror of the given bytes, an address that ends in a
    slash.
    """

    def make(name, compressed):
        folder = tmp_path / name
        folder.mkdir()
        if compressed is not None:
            (folder / "set.gz").write_bytes(compressed)
        return folder.as_uri() + "/"

    return make


def test_the_first_right_mirror_is_taken(tmp_path, mirror):
    good = gzip.compress(CONTENT)
    mirrors = [
        mirror("absent", None),
        mirror("truncated", good[:-20]),
        mirror("other", gzip.compress(CONTENT + b"!")),
        mirror("page", b"<html>please log in</html>"),
        mirror("good", good),
    ]
    path = tmp_path / "cache" / "deep" / "set.gz"
    download(mirrors, path, DIGEST)
    assert path.read_bytes() == good
    assert [entry.name for entry in path.parent.iterdir()] == ["set.gz"]


def test_a_mirror_may_compress_differently(tmp_path, mirror):
    download(
        [mirror("fast", gzip.compress(CONTENT, compresslevel=1))],
        tmp_path / "set.gz",
        DIGEST,
    )


def test_without_a_network_one_sentence_names_file_folder_and_mirrors(
    tmp_path, monkeypatch
):
    def offline(url, timeout):
        raise URLError("no route to host")

    monkeypatch.setattr(module, "urlopen", offline)
    with pytest.raises(InputError) as caught:
        download(
            ["https://one.example/", "https://two.example/"],
            tmp_path / "set.gz",
            DIGEST,
        )
    message = str(caught.value)
    for part in (
        "set.gz",
        f"put it into {tmp_path}.",
        "https://one.example/",
        "https://two.example/",
        "no route",
    ):
        assert part in message
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_download_leaves_nothing(tmp_path, monkeypatch):
    class Interrupted(io.BytesIO):
        headers = Message()

        def read(self, size=-1):
            if self.tell():
                raise KeyboardInterrupt
            return super().read(size)

    monkeypatch.setattr(
        module, "urlopen", lambda url, timeout: Interrupted(bytes(1 << 17))
    )
    with pytest.raises(KeyboardInterrupt):
        download(["https://one.example/"], tmp_path / "set.gz", DIGEST)
    assert list(tmp_path.iterdir()) == []


def test_a_cache_that_cannot_be_made_is_reported(tmp_path, mirror):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"cannot be made.*set XDG_CACHE_HOME"):
        download(
            [mirror("good", gzip.compress(CONTENT))],
            tmp_path / "file" / "deep" / "set.gz",
            DIGEST,
        )


def test_progress_goes_to_standard_error(tmp_path, mirror, capsys):
    download([mirror("good", gzip.compress(CONTENT))], tmp_path / "set.gz", DIGEST)
    shown = capsys.readouterr()
    assert shown.out == "" and "set.gz" in shown.err
