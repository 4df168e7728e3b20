"""Text from outside: a file or a command line may hold what moves a terminal's cursor
or cannot be written. Standard library only.
"""

import re
from typing import Any

_FOUL = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"  # control characters but tabs and line ends
    "\ud800-\udfff"  # halves of surrogate pairs
    "\u202a-\u202e\u2066-\u2069]"  # what reverses the reading of what follows
)

_PICTURES = 0x2400
"""Where Unicode has a picture of each control character below the space."""


def is_plain(text: str) -> bool:
    r"""Whether a text holds no control characters but line ends and tabs, no half of a
    surrogate pair, and nothing that reverses the order of reading.

    >>> is_plain("θ ≈ 1\n"), is_plain("\x1b[2J"), is_plain("\ud800")
    (True, False, False)
    """
    return _FOUL.search(text) is None


def plain(text: str) -> str:
    r"""The text with a visible character in the place of each that is not.

    >>> plain("a\x1b[2J\nb\ud800")
    'a␛[2J\nb�'
    """
    return _FOUL.sub(_picture, text)


def all_plain(value: Any) -> bool:
    """Whether every text within a JSON value, its keys as well, is plain."""
    if isinstance(value, str):
        return is_plain(value)
    if isinstance(value, dict):
        return all(all_plain(key) and all_plain(each) for key, each in value.items())
    return not isinstance(value, list | tuple) or all(map(all_plain, value))


def made_plain(value: Any) -> Any:
    """The JSON value with every text within it made plain, keys as well."""
    if isinstance(value, str):
        return plain(value)
    if isinstance(value, dict):
        return {made_plain(key): made_plain(each) for key, each in value.items()}
    is_sequence = isinstance(value, list | tuple)
    return [made_plain(each) for each in value] if is_sequence else value


def _picture(found: re.Match[str]) -> str:
    code = ord(found[0])
    return chr(_PICTURES + code) if code < 0x20 else "\ufffd"
