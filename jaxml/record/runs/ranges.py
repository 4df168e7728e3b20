"""Which values the fields of a Config may take: one rule for all studies."""

import dataclasses
import math
from collections.abc import Iterable, Iterator
from typing import Any

from jaxml.memory import host_bytes
from jaxml.text import is_plain
from jaxml.types import InputError

_ROW = 32
"""Bytes of memory that each one of a count takes at least: a few numbers."""


def require_in_range(name: str, config: Any, usual: Iterable[Any]) -> None:
    """Passes if every field that differs from the usual configs is within its range.

    A count, an integer that is usually positive, is 1 or more; one that may be 0 is 0
    or more, and so is any other number that is usually not negative. Numbers are
    finite. A count of which each one takes a few numbers fits into memory. Text can be
    shown. Of a tuple, list or dict each item is meant. A field states another least
    value by `field(default=..., metadata={"least": 0})`; `None` there means that it
    may be anything.

    Args:
        name: of the study, for messages.
        config: a dataclass.
        usual: configs of its class that are in range, such as the default one.

    Raises:
        InputError: the first field that is out of its range.
    """
    others = list(usual)
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        known = [getattr(each, field.name) for each in others]
        if not any(_same(value, each) for each in known):
            _check(f"{name} cannot use --{field.name} {value}", value, field, known)


def _same(value: Any, other: Any) -> bool:
    return type(value) is type(other) and value == other


def _check(
    refusal: str, value: Any, field: "dataclasses.Field[Any]", known: list[Any]
) -> None:
    for item in _items(value):
        if isinstance(item, str) and not is_plain(item):
            raise InputError(
                f"{field.name} holds control characters: leave them out of the text."
            )
    numbers = [item for item in _items(value) if _is_number(item)]
    if not all(map(_is_finite, numbers)):
        raise InputError(f"{refusal}: give a finite number.")
    least = field.metadata.get("least", _least(known))
    if least is not None and any(number < least for number in numbers):
        raise InputError(
            f"{refusal}: give {least} or more, or state another least value in the "
            "metadata of the field."
        )
    counts = [number for number in numbers if isinstance(number, int)]
    if counts and field.name != "seed" and max(counts) * _ROW > host_bytes():
        raise InputError(
            f"{refusal}: so many do not fit into the memory of this machine; give "
            "fewer."
        )


def _least(known: list[Any]) -> int | None:
    """The least value by the rule, or None where a usual one is negative or there is
    none.
    """
    numbers = [item for each in known for item in _items(each) if _is_number(item)]
    if not numbers or min(numbers) < 0:
        return None
    is_count = all(isinstance(number, int) for number in numbers)
    return 1 if is_count and min(numbers) > 0 else 0


def _items(value: Any) -> Iterator[Any]:
    """The values within tuples, lists and dicts."""
    if isinstance(value, dict):
        value = [*value, *value.values()]
    if isinstance(value, list | tuple):
        for each in value:
            yield from _items(each)
    else:
        yield value


def _is_finite(number: int | float) -> bool:
    return isinstance(number, int) or math.isfinite(number)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
