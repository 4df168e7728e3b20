"""The download: mirrors in turn, nothing half written, one sentence when there is no
network.
"""

import gzip
import hashlib
import io
import os
import time
from contextlib import contextmanager
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.error import URLError

import pytest

from jaxml.problem.data import download as module
from jaxml.problem.data.download import download, download_packed
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

        def read1(self, size=-1, /):
            if self.tell():
                raise KeyboardInterrupt
            return super().read1(size)

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


@contextmanager
def answering(answer):
    """The address of a server on this machine; `answer(handler)` writes what it
    sends.
    """

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            answer(self)

        def log_message(self, format, *args):
            del format, args  # nothing is told

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()
            thread.join()


def redirect_to(address):
    def answer(handler):
        handler.send_response(302)
        handler.send_header("Location", address)
        handler.end_headers()

    return answer


def sends(*pieces, length=None):
    def answer(handler):
        handler.send_response(200)
        if length is not None:
            handler.send_header("Content-Length", length)
        handler.end_headers()
        try:
            for piece in pieces:
                handler.wfile.write(piece)
        except OSError:
            pass  # the other side has heard enough

    return answer


BAD_ANSWERS = {
    "a length that is no number": sends(CONTENT, length="abc"),
    "a length beyond all sets": sends(CONTENT, length="99999999999999"),
    "a redirect to a broken address": redirect_to("http://[::1/x"),
    "a redirect to a port that is none": redirect_to("http://example.invalid:port/x"),
    "a redirect to a file": redirect_to("file:///etc/hostname"),
    "a redirect to a name that is none": redirect_to("http://" + "a" * 70 + ".example"),
    "a body cut short": sends(CONTENT[:-1], length=str(len(CONTENT))),
    "no gzip stream": sends(b"\x1f\x8b" + CONTENT),
    "nothing": sends(),
}


@pytest.mark.parametrize("answer", BAD_ANSWERS.values(), ids=BAD_ANSWERS)
def test_after_an_answer_that_makes_no_sense_the_next_mirror_is_tried(
    tmp_path, mirror, answer
):
    good = mirror("good", gzip.compress(CONTENT))
    path = tmp_path / "cache" / "set.gz"
    with answering(answer) as address:
        download([address, good], path, DIGEST)
        assert gzip.decompress(path.read_bytes()) == CONTENT
        assert [entry.name for entry in path.parent.iterdir()] == ["set.gz"]
        path.unlink()
        with pytest.raises(InputError, match=r"set\.gz is not on this machine"):
            download([address], path, DIGEST)
    assert list(path.parent.iterdir()) == []


def test_a_body_without_end_is_left_at_the_bound(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "MOST", 5 << 20)
    with (
        answering(sends(*[bytes(1 << 16)] * 1000)) as address,
        pytest.raises(InputError, match="it sends more than 5 MiB"),
    ):
        download([address], tmp_path / "set.gz", DIGEST)
    assert list(tmp_path.iterdir()) == []


def test_what_unpacks_beyond_the_bound_is_not_unpacked(tmp_path, mirror, monkeypatch):
    monkeypatch.setattr(module, "MOST", 5 << 20)
    bomb = mirror("bomb", gzip.compress(bytes(50 << 20)))
    with pytest.raises(InputError, match="its file holds more than 5 MiB"):
        download([bomb], tmp_path / "cache" / "set.gz", DIGEST)


def test_a_mirror_that_never_ends_is_left_at_the_deadline(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_DEADLINE", 0.3)

    def drip(handler):
        handler.send_response(200)
        handler.end_headers()
        for _ in range(100):
            try:
                handler.wfile.write(b"x")
            except OSError:
                return
            time.sleep(0.05)

    with (
        answering(drip) as address,
        pytest.raises(InputError, match="it was not done after"),
    ):
        download([address], tmp_path / "set.gz", DIGEST)


def test_parts_of_killed_downloads_are_removed_and_those_of_living_ones_stay(
    tmp_path, mirror
):
    for name, age in ((".set.gz.1.partial", 1e5), (".set.gz.2.partial", 0)):
        (tmp_path / name).write_bytes(b"part")
        then = time.time() - age
        os.utime(tmp_path / name, (then, then))
    (tmp_path / ".other.gz.3.partial").touch()
    os.utime(tmp_path / ".other.gz.3.partial", (0, 0))
    download([mirror("good", gzip.compress(CONTENT))], tmp_path / "set.gz", DIGEST)
    left = {entry.name for entry in tmp_path.iterdir() if entry.is_file()}
    assert left == {"set.gz", ".set.gz.2.partial", ".other.gz.3.partial"}


def test_an_archive_is_compared_as_it_is_published(tmp_path, mirror):
    packed = gzip.compress(CONTENT)
    address, path = mirror("good", packed), tmp_path / "set.gz"
    with pytest.raises(InputError, match="not the published file"):
        download_packed([address], path, DIGEST)
    download_packed([address], path, hashlib.sha256(packed).hexdigest())
    assert path.read_bytes() == packed
