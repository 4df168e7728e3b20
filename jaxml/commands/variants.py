"""The configs that a command line asks for: one, or one for each of several values."""

import contextlib
import dataclasses
import io
import itertools
import typing
from collections.abc import Mapping, Sequence
from typing import Any

import tyro

from jaxml.record import Study
from jaxml.types import InputError

Overrides = Mapping[str, Sequence[str]]
"""Words of the command line by field; the empty mapping is the default config."""


def variants(study: Study, overrides: Overrides) -> list[dict[str, Any]]:
    """Every combination of the values given to the study's fields; `--field 50,100` gives two.

    In a field that holds several values commas separate those, as spaces do.

    Raises:
        InputError: a value does not fit its field.
    """
    hints = typing.get_type_hints(study.Config)
    fields = [name for name in overrides if name in hints]
    choices = [_choices(name, hints[name], overrides[name]) for name in fields]
    return [dict(zip(fields, values, strict=True)) for values in itertools.product(*choices)]


def configured(study: Study, values: Mapping[str, Any], *, smoke: bool) -> Any:
    """The study's config, or its smoke config, with these values.

    Raises:
        InputError: the study refuses them, or a field without a default is left out.
    """
    try:
        return dataclasses.replace(study.smoke, **values) if smoke else study.Config(**values)
    except (TypeError, ValueError) as error:
        raise InputError(f"{study.name} refuses this config: {error}") from error


def _choices(field: str, hint: Any, words: Sequence[str]) -> list[Any]:
    if _holds_several(hint):
        parts = [part for word in words for part in _split(word)]
        return [_value(field, hint, parts)]
    if len(words) == 1 and "," in words[0]:
        return [_value(field, hint, [part]) for part in _split(words[0])]
    return [_value(field, hint, words)]


def _split(word: str) -> list[str]:
    return [part.strip() for part in word.split(",") if part.strip()]


def _holds_several(hint: Any) -> bool:
    options = (hint, *typing.get_args(hint))
    return any(typing.get_origin(option) in (tuple, list, dict) for option in options)


def _value(field: str, hint: Any, words: Sequence[str]) -> Any:
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            return tyro.cli(hint, args=list(words), add_help=False)
    except SystemExit:
        kind = hint.__name__ if isinstance(hint, type) else str(hint).replace("typing.", "")
        fault = f"not {' '.join(words)!r}" if words else "and none was given"
        remedy = "name studies before fields" if len(words) > 1 else "correct it"
        raise InputError(f"--{field} takes a value of type {kind}, {fault}: {remedy}.") from None
