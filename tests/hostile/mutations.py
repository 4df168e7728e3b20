"""What is done to files, and what a reader may do with them: give a value, or refuse in
a sentence, in little time and memory.
"""

import copy
import json
import signal
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from jaxml.text import is_plain
from jaxml.types import InputError

SECONDS = 30
"""That an input may take on a crowded machine."""

BYTES = 64 << 20
"""That reading may take, however much a header promises."""


class Hanging(BaseException):
    """No handler of the reader's catches it."""


def _hanging(number: int, frame: Any) -> None:
    raise Hanging(f"more than {SECONDS} seconds")


@contextmanager
def in_time() -> Iterator[None]:
    """Fails where what is within takes too long."""
    earlier = signal.signal(signal.SIGALRM, _hanging)
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, earlier)


@contextmanager
def in_memory() -> Iterator[None]:
    """Fails where what is within takes too much memory at any moment."""
    tracemalloc.start()
    try:
        yield
        _, peak = tracemalloc.get_traced_memory()
        assert peak < BYTES, f"{peak} bytes"
    finally:
        tracemalloc.stop()


def answered(read: Callable[[Path], Any], path: Path) -> Any:
    """What a reader gives, or the sentence by which it refuses; nothing else passes."""
    try:
        with in_time():
            return read(path)
    except InputError as refusal:
        sentence = str(refusal)
        assert sentence.endswith((".", "?")) and len(sentence) > 20
        return sentence


MARK = "<b id=hostile>"
"""A tag that no page may contain."""

TEXTS = (
    "",
    MARK,
    f'"{MARK}',
    "<!-- /verdicts -->",
    "\x1b]0;owned\x07",
    "\ud800",
    "a|b\n\n# c",
    "../../../etc/passwd",
    "nan",
    "-inf",
    "1e999",
    "2008-13-45",
    "{{ 7 * 7 }}",
    "%s%n",
    "x" * 3000,
)
_NUMBERS = (0, -1, 1.5, 2**63, 10**400, -(10**400), 1e308, float("nan"), float("inf"))
VALUES = (
    None,
    True,
    [],
    {},
    [[]],
    [None],
    {"": ""},
    {"a": {"b": [1]}},
    {"title": 3},
    *TEXTS,
    *_NUMBERS,
)


def deep(levels: int) -> Any:
    """A list in a list in a list."""
    value: Any = []
    for _ in range(levels):
        value = [value]
    return value


def places(value: Any, path: tuple = ()) -> Iterator[tuple]:
    """The ways to every entry of a JSON value, its own `()` first."""
    yield path
    entries: Any = ()
    if isinstance(value, dict):
        entries = value.items()
    elif isinstance(value, list):
        entries = enumerate(value)
    for key, each in entries:
        yield from places(each, (*path, key))


def changed(draw: Any, value: Any) -> Any:
    """The value with one entry replaced, removed, renamed, or given a neighbour."""
    chosen = draw(st.sampled_from(list(places(value))))
    new = draw(st.sampled_from(VALUES))
    if not chosen:
        return new
    value = copy.deepcopy(value)
    holder = value
    for key in chosen[:-1]:
        holder = holder[key]
    way = draw(st.sampled_from(("replace", "replace", "remove", "add", "rename")))
    if way in ("remove", "rename"):
        old = holder.pop(chosen[-1])
        if way == "rename" and isinstance(holder, dict):
            holder[draw(st.sampled_from(TEXTS))] = old
    elif way == "add" and isinstance(holder, dict):
        holder[draw(st.sampled_from(TEXTS))] = new
    else:
        holder[chosen[-1]] = new
    return value


def torn(draw: Any, content: bytes) -> bytes:
    """The bytes with a bit turned over, a piece cut out, doubled or overwritten, or the
    end torn off.
    """
    place = draw(st.integers(0, max(0, len(content) - 1)))
    length = draw(st.integers(0, 40))
    before, piece, after = (
        content[:place],
        content[place : place + length],
        content[place + length :],
    )
    way = draw(st.sampled_from(("bit", "end", "cut", "double", "fill", "draw")))
    if way == "bit" and content:
        turned = content[place] ^ (1 << draw(st.integers(0, 7)))
        return before + bytes([turned]) + content[place + 1 :]
    if way == "end":
        return before
    if way == "cut":
        return before + after
    if way == "double":
        return before + piece + piece + after
    if way == "fill":
        return before + draw(st.sampled_from((b"\xff", b"\0", b"9"))) * length + after
    return before + draw(st.binary(max_size=20)) + after


@st.composite
def files(draw: Any, whole: bytes) -> bytes:
    """Bytes of a file that was whole once."""
    for _ in range(draw(st.integers(1, 3))):
        whole = torn(draw, whole)
    return whole


@st.composite
def values(draw: Any, whole: Any) -> Any:
    """A JSON value that had its form once."""
    for _ in range(draw(st.integers(1, 3))):
        whole = changed(draw, whole)
    return whole


@st.composite
def documents(draw: Any, whole: Any) -> bytes:
    """A JSON file: of another form, or torn, or both."""
    value = draw(values(whole)) if draw(st.integers(0, 3)) else whole
    content = json.dumps(value).encode()
    return content if draw(st.integers(0, 3)) else draw(files(content))


def shown(page: str) -> None:
    """Passes if a page or a table holds neither the tag nor control characters."""
    assert MARK not in page and is_plain(page)
