"""The code behind a result by module, and what of it changed."""

from collections.abc import Mapping
from typing import NamedTuple

_NO_LONGER_COUNTED = {"jaxml.problem.data.download"}
"""Modules that closures of older runs have, and that decide no result."""


class Closure(NamedTuple):
    """Code by module.

    Attributes:
        parts: SHA-256 of what is reached of each: "study" is the study's own file,
            "helper.py" a module beside it, "jaxml.learn.schedules" one of the library.
        digest: SHA-256 of all parts.
    """

    parts: Mapping[str, str]
    digest: str


def changes(before: Mapping[str, str], now: Mapping[str, str]) -> tuple[str, ...]:
    """What differs between the parts of two closures, each as the part of a sentence.

    >>> changes({"study": "a", "helper.py": "b"}, {"study": "c", "jaxml.tree": "d"})
    ('helper.py is gone', 'jaxml.tree is new', 'study changed')
    """
    found = []
    for name in sorted((before.keys() | now.keys()) - _NO_LONGER_COUNTED):
        if name not in now:
            found.append(f"{name} is gone")
        elif name not in before:
            found.append(f"{name} is new")
        elif before[name] != now[name]:
            found.append(f"{name} changed")
    return tuple(found)
