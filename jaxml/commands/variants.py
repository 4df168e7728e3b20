"""The configs that a command line asks for: one, or one for each of several values."""

import contextlib
import dataclasses
import io
import itertools
import re
import typing
from collections.abc import Mapping, Sequence
from typing import Any

import tyro

from jaxml.record import Study
from jaxml.record.runs.ranges import require_in_range
from jaxml.types import InputError

Overrides = Mapping[str, Sequence[str]]
"""Words of the command line by field; the empty mapping is the default config."""


def variants(study: Study, overrides: Overrides) -> list[dict[str, Any]]:
    """Every combination of the values given to the study's fields; `--field 50,100`
    gives two.

    In a field that holds several values commas separate those, as spaces do. A comma
    after a backslash separates nothing and stays in its value.

    Raises:
        InputError: a value does not fit its field, or there are only commas.
    """
    hints = typing.get_type_hints(study.Config)
    fields = [name for name in overrides if name in hints]
    choices = [_choices(name, hints[name], overrides[name]) for name in fields]
    return [
        dict(zip(fields, values, strict=True)) for values in itertools.product(*choices)
    ]


def configured(study: Study, values: Mapping[str, Any], *, smoke: bool) -> Any:
    """The study's config, or its smoke config, with these values.

    Raises:
        InputError: the study refuses them, a field without a default is left out, or
            a value is out of its range.
    """
    try:
        config = (
            dataclasses.replace(study.smoke, **values)
            if smoke
            else study.Config(**values)
        )
    except (TypeError, ValueError) as error:
        raise InputError(f"{study.name} refuses this config: {error}") from error
    require_in_range(study.name, config, _usual(study))
    return config


def _usual(study: Study) -> list[Any]:
    """The configs of a study that are in range: its SMOKE, and the default one if all
    fields have a default.
    """
    try:
        return [study.smoke, study.Config()]
    except TypeError:
        return [study.smoke]


def _choices(field: str, hint: Any, words: Sequence[str]) -> list[Any]:
    parts = [part for word in words for part in _split(word)]
    separated = any(_SEPARATOR.search(word) for word in words)
    if separated and not parts:
        raise InputError(
            f"--{field} is given {' '.join(words)!r}, which holds no value: write one "
            "or more."
        )
    if _holds_several(hint):
        return [_value(field, hint, parts)]
    if separated and len(words) == 1:
        return [_value(field, hint, [part]) for part in parts]
    return [_value(field, hint, [_plain(word) for word in words])]


_SEPARATOR = re.compile(r"(?<!\\),")


def _split(word: str) -> list[str]:
    r"""The values between the commas of a word.

    >>> _split(r"1, 2,"), _split(r"a\,b,c")
    (['1', '2'], ['a,b', 'c'])
    """
    parts = [part.strip() for part in _SEPARATOR.split(word)]
    return [_plain(part) for part in parts if part]


def _plain(part: str) -> str:
    return part.replace(r"\,", ",")


def _holds_several(hint: Any) -> bool:
    options = (hint, *typing.get_args(hint))
    return any(typing.get_origin(option) in (tuple, list, dict) for option in options)


def _value(field: str, hint: Any, words: Sequence[str]) -> Any:
    try:
        with (
            contextlib.redirect_stdout(io.StringIO()),
            contextlib.redirect_stderr(io.StringIO()),
        ):
            return tyro.cli(hint, args=list(words), add_help=False)
    except SystemExit:
        kind = (
            hint.__name__
            if isinstance(hint, type)
            else str(hint).replace("typing.", "")
        )
        fault = f"not {' '.join(words)!r}" if words else "and none was given"
        remedy = "name studies before fields" if len(words) > 1 else "correct it"
        raise InputError(
            f"--{field} takes a value of type {kind}, {fault}: {remedy}."
        ) from None
