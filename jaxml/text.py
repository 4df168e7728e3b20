"""Text from outside: a file or a command line may hold what moves a terminal's cursor
or cannot be written. Standard library only.
"""

import unicodedata
from typing import Any

_LINES = "\n\t"
_ORDERS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Characters that reverse what is read after them."""

_PICTURES = 0x2400
"""Where Unicode has a picture of each control character below the space."""


def is_plain(text: str) -> bool:
    r"""Whether a text holds no control characters but line ends and tabs, no half of a
    surrogate pair, and nothing that reverses the order of reading.

    >>> is_plain("θ ≈ 1\n"), is_plain("\x1b[2J"), is_plain("\ud800")
    (True, False, False)
    """
    return text.isprintable() or not any(map(_is_foul, text))


def plain(text: str) -> str:
    r"""The text with a visible character in the place of each that is not.

    >>> plain("a\x1b[2J\nb\ud800")
    'a␛[2J\nb�'
    """
    if is_plain(text):
        return text
    return "".join(_picture(each) if _is_foul(each) else each for each in text)


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
    return [made_plain(each) for each in value] if _is_sequence(value) else value


def _is_sequence(value: Any) -> bool:
    return isinstance(value, list | tuple)


def _is_foul(character: str) -> bool:
    if character in _LINES:
        return False
    return unicodedata.category(character) in ("Cc", "Cs") or character in _ORDERS


def _picture(character: str) -> str:
    code = ord(character)
    return chr(_PICTURES + code) if code < 0x20 else "\ufffd"
