"""Windows of a text against slices of it; and the real one where `JAXML_DATA_DIR` has
it.
"""

import hashlib
import os
from pathlib import Path

import numpy as np
import pytest

from jaxml.problem import shakespeare
from jaxml.problem.data import text
from jaxml.problem.data.files import FileSet
from jaxml.problem.data.text import windows
from jaxml.provenance import collecting, unchanged
from jaxml.types import InputError

pytestmark = pytest.mark.oracle

LINE = b"to be or not to be, that is the question"


def _read(inputs, known):
    return bytes(known[np.argmax(row)] for row in inputs)


@pytest.mark.parametrize(
    "name", ["a line", *(["shakespeare"] if "JAXML_DATA_DIR" in os.environ else [])]
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("context", [1, 3])
def test_a_window_shows_what_precedes_its_target(name, context, dtype):
    sizes = {"context": context, "train": 5, "test": 4, "dtype": dtype}
    if name == "shakespeare":
        line, count = (
            (
                Path(os.environ["JAXML_DATA_DIR"]) / "tinyshakespeare" / "input.txt"
            ).read_bytes(),
            65,
        )
        train, test = shakespeare(**sizes)
    else:
        line, count = LINE, len(set(LINE))
        train, test = windows(LINE, **sizes)
    known = sorted(set(line))
    assert train.inputs.shape == (5, context, count) and train.inputs.dtype == dtype
    assert np.all(train.inputs.sum(axis=-1) == 1) and train.targets.dtype == np.int32
    for k in range(5):
        assert _read(train.inputs[k], known) == line[k : k + context]
        assert known[train.targets[k]] == line[k + context]
    for k in range(4):
        end = len(line) - 4 + k
        assert _read(test.inputs[k], known) == line[end - context : end]
        assert known[test.targets[k]] == line[end]


@pytest.mark.parametrize(
    ("context", "train", "test"),
    [(0, 5, 5), (3, 0, 5), (3, 5, 0), (3, 30, 5), (50, 1, 1)],
)
def test_examples_that_overlap_or_do_not_exist_are_refused(context, train, test):
    with pytest.raises(
        InputError, match="ask for 1 or more of each, and for fewer in all"
    ):
        windows(LINE, context=context, train=train, test=test, dtype=np.float32)


def test_a_text_comes_from_a_mirror_plain_and_checked(tmp_path, monkeypatch):
    monkeypatch.delenv("JAXML_DATA_DIR", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "input.txt").write_bytes(LINE)
    files = FileSet(
        "tiny",
        (tmp_path.as_uri() + "/",),
        {"input.txt": hashlib.sha256(LINE).hexdigest()},
    )
    monkeypatch.setattr(text, "SHAKESPEARE", files)
    for _ in range(2):
        with collecting() as readings:
            assert shakespeare(context=2, train=3, test=3).train.inputs.shape[0] == 3
        assert [reading.name for reading in readings] == ["tiny/input.txt"]
        assert unchanged(readings[0])
    cached = tmp_path / "cache" / "jaxml" / "tiny" / "input.txt"
    assert cached.read_bytes() == LINE
    cached.write_bytes(LINE + b"!")
    with pytest.raises(
        InputError, match=r"input\.txt holds other content than was published"
    ):
        shakespeare(context=2, train=3, test=3)


@pytest.mark.skipif(
    "JAXML_DATA_DIR" not in os.environ, reason="the plays are not on this machine"
)
def test_a_text_may_begin_anywhere():
    content = (
        Path(os.environ["JAXML_DATA_DIR"]) / "tinyshakespeare" / "input.txt"
    ).read_bytes()
    known = sorted(set(content))
    train, test = shakespeare(context=2, train=5, test=3, start=1000)
    assert _read(train.inputs[0], known) == content[1000:1002]
    assert known[test.targets[-1]] == content[999]
