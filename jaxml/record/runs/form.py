"""The form of what a run keeps as JSON: a file that was damaged, or that an older
version wrote, is told by it before anything reads a field.
"""

import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

from jaxml import claims
from jaxml.provenance import contents
from jaxml.text import all_plain
from jaxml.types import InputError

Check: TypeAlias = Callable[[Any], bool]
"""`value -> whether it has the form`."""

Form: TypeAlias = Mapping[str, Check]
"""What each field of a table must be."""


_LONGEST = 1 << 28
"""Bytes of JSON that are read; the longest file of a run has some three million."""


def is_text(value: Any) -> bool:
    """Whether it is a text."""
    return isinstance(value, str)


def is_table(value: Any) -> bool:
    """Whether it is a table, of anything."""
    return isinstance(value, dict)


def is_number(value: Any) -> bool:
    """Whether it is an integer that a float can hold, or a float; no truth value."""
    if type(value) is int:
        return abs(value) < 2**1023
    return type(value) is float


def is_finite(value: Any) -> bool:
    """Whether it is such a number, and neither infinite nor NaN."""
    return is_number(value) and math.isfinite(value)


def is_count(value: Any) -> bool:
    """Whether it is an integer from 0 to 2^63 - 1."""
    return type(value) is int and 0 <= value < 2**63


def is_nothing_or_text(value: Any) -> bool:
    """Whether it is null or a text."""
    return value is None or is_text(value)


def is_truth(value: Any) -> bool:
    """Whether it is true or false."""
    return isinstance(value, bool)


def table_of(check: Check) -> Check:
    """Whether a value is a table whose every entry passes."""
    return lambda value: is_table(value) and all(map(check, value.values()))


def list_of(check: Check) -> Check:
    """Whether a value is a list whose every entry passes."""
    return lambda value: isinstance(value, list) and all(map(check, value))


def of_form(required: Form, optional: Form | None = None) -> Check:
    """Whether a value is a table that `fault` has nothing to say against."""
    return lambda value: fault(value, required, optional or {}) is None


def fault(value: Any, required: Form, optional: Form) -> str | None:
    """What is wrong with a table, as the end of a sentence, or None; fields that
    neither form names may hold what they like.
    """
    if not is_table(value):
        return "it is no table"
    missing = [name for name in required if name not in value]
    if missing:
        return f"it lacks {', '.join(missing)}"
    present = {name: check for name, check in optional.items() if name in value}
    for name, check in {**required, **present}.items():
        if not check(value[name]):
            return f"{name} has another form"
    return None


texts = table_of(is_text)
"""Whether a value is a table of texts."""


def _is_need(value: Any) -> bool:
    """The identity of a run whose result went into another one."""
    return fault(value, {**_IDENTITY, "data": texts}, {}) is None


def _is_about(value: Any) -> bool:
    return texts(value) and "title" in value


def _are_claims(value: Any) -> bool:
    if not is_table(value):
        return False
    try:
        claims.parse(value, "")
    except InputError:
        return False
    return True


_READING: Form = {
    "digest": is_text,
    "path": is_nothing_or_text,
    "file_digest": is_nothing_or_text,
}


def _is_reading(value: Any) -> bool:
    return fault(value, _READING, {}) is None and value.keys() == _READING.keys()


_DEVICE: Form = {"kind": is_text, "count": is_count}

_IDENTITY: Form = {
    "study": is_text,
    "config": is_table,
    "platform": is_text,
    "versions": texts,
    "settings": is_table,
    "code": texts,
    "imported": texts,
    "needs": list_of(_is_need),
}

_MANIFEST: Form = {
    **_IDENTITY,
    "data": table_of(_is_reading),
    "judging": texts,
    "hash": is_text,
    "before": is_text,
    "differs": is_table,
    "smoke": is_truth,
    "finished": is_text,
    "about": _is_about,
    "device": of_form(_DEVICE),
    "dtype": is_text,
}

_STAGE: Form = {"seconds": is_number, "kept": is_truth}

_CIRCUMSTANCES: Form = {
    "asserting": is_text,
    "own_claims": _are_claims,
    "file": is_text,
    "commit": is_text,
    "jaxml": is_text,
    "threads": is_table,
    "started": is_text,
    "wall_seconds": is_number,
    "compile_seconds": is_number,
    "stages": table_of(of_form(_STAGE)),
    "command": is_text,
}

_COMMITTED: Form = {
    "hash": is_text,
    "code": texts,
    "config": is_table,
    "platform": is_text,
    "versions": texts,
    "device": of_form(_DEVICE),
    "dtype": is_text,
    "finished": is_text,
    "wall_seconds": is_number,
}

_COMMITTED_TOO: Form = {
    "settings": is_table,
    "data": texts,
    "asserting": is_text,
    "own_claims": _are_claims,
    "digests": texts,
}


def manifest_fault(manifest: Any) -> str | None:
    """What is wrong with a run's manifest, as the end of a sentence, or None."""
    return fault(manifest, _MANIFEST, _CIRCUMSTANCES)


def committed_fault(manifest: Any) -> str | None:
    """What is wrong with the part of a manifest that is committed beside the studies,
    as the end of a sentence, or None.
    """
    return fault(manifest, _COMMITTED, _COMMITTED_TOO)


def read_json(path: Path) -> Any:
    """The JSON in a regular file whose every text can be shown and written again.

    Raises:
        InputError: the file cannot be read.
        ValueError: it is no such JSON, or nested deeper than can be followed.
    """
    if path.is_file() and path.stat().st_size > _LONGEST:
        raise ValueError(f"it is longer than {_LONGEST >> 20} MiB")
    try:
        value = json.loads(contents(path).decode())
        foul = not all_plain(value)
    except InputError:
        raise
    except RecursionError:
        raise ValueError("it is nested too deep") from None
    if foul:
        raise ValueError("a text in it holds control characters")
    return value
