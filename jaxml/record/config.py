"""A study's configuration and JSON, there and back."""

import dataclasses
import json
import types
import typing
from collections.abc import Mapping
from typing import Any

from jaxml.types import InputError


def config_to_json(config: Any) -> dict[str, Any]:
    """A config as JSON values, each in the type that its field declares.

    Raises:
        InputError: a value of the wrong type.
    """
    values = {field.name: getattr(config, field.name) for field in dataclasses.fields(config)}
    return json.loads(json.dumps(_checked(type(config), values)))


def config_from_json(config_type: type[Any], mapping: Mapping[str, Any]) -> Any:
    """The config that `config_to_json` wrote; lists become tuples again.

    Raises:
        InputError: an unknown or a missing field, or a value of the wrong type.
    """
    return config_type(**_checked(config_type, mapping))


def _checked(config_type: type[Any], mapping: Mapping[str, Any]) -> dict[str, Any]:
    hints = typing.get_type_hints(config_type)
    names = [field.name for field in dataclasses.fields(config_type)]
    if set(mapping) != set(names):
        wrong = sorted(set(mapping) - set(names)) or sorted(set(names) - set(mapping))
        fault = "is unknown" if set(mapping) - set(names) else "is missing"
        raise InputError(f"The field {wrong[0]} {fault}: the fields are {', '.join(names)}.")
    checked = {}
    for name in names:
        try:
            checked[name] = _cast(mapping[name], hints[name])
        except (TypeError, ValueError):
            hint = hints[name]
            expected = hint.__name__ if isinstance(hint, type) else hint
            raise InputError(
                f"The field {name} is {mapping[name]!r}, not {expected}: the fields are {', '.join(names)}."
            ) from None
    return checked


def _cast(value: Any, hint: Any) -> Any:
    """The value in the hinted type: an int serves as a float, a list as a tuple, nothing else is bent.

    Raises:
        TypeError: it does not fit.
        ValueError: a tuple of another length.
    """
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        for option in arguments:
            try:
                return _cast(value, option)
            except (TypeError, ValueError):
                continue
    if origin is typing.Literal and (type(value), value) in [(type(option), option) for option in arguments]:
        return value
    if origin is tuple and isinstance(value, list | tuple):
        repeated = arguments[-1:] == (...,)
        return tuple(
            _cast(item, option)
            for item, option in zip(value, arguments[:1] * len(value) if repeated else arguments, strict=True)
        )
    if hint is float and type(value) in (int, float):
        return float(value)
    if hint in (bool, int, str, type(None)) and type(value) is hint:
        return value
    raise TypeError(f"{value!r} is no {hint}")
