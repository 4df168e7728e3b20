"""A study's configuration and JSON, there and back."""

import dataclasses
import enum
import json
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jaxml.types import InputError


def config_to_json(config: Any) -> dict[str, Any]:
    """A config as JSON values, each in the type that its field declares.

    Raises:
        InputError: a value of the wrong type.
    """
    values = {
        field.name: getattr(config, field.name) for field in dataclasses.fields(config)
    }
    return json.loads(json.dumps(_plain(_checked(type(config), values))))


def _plain(value: Any) -> Any:
    """What JSON has no word for, as text: a path, or the name of an Enum's member; in
    keys as well.
    """
    if isinstance(value, enum.Enum):
        return value.name
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, dict):
        return {_plain(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


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
        raise InputError(
            f"The field {wrong[0]} {fault}: the fields are {', '.join(names)}."
        )
    checked = {}
    for name in names:
        try:
            checked[name] = _cast(mapping[name], hints[name])
        except (TypeError, ValueError):
            hint = hints[name]
            expected = hint.__name__ if isinstance(hint, type) else hint
            raise InputError(
                f"The field {name} is {mapping[name]!r}, not {expected}: the fields "
                f"are {', '.join(names)}."
            ) from None
    return checked


def _cast(value: Any, hint: Any) -> Any:
    """The value in the hinted type, or its JSON form in it: nothing else is bent.

    An int serves as a float, a list as a tuple, text as a path or as the name of an
    Enum's member.

    Raises:
        TypeError: it does not fit.
        ValueError: a tuple of another length.
    """
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return _first_fit(value, arguments)
    if origin is typing.Literal and (type(value), value) in [
        (type(option), option) for option in arguments
    ]:
        return value
    if origin in (tuple, list) and isinstance(value, list | tuple):
        return origin(_items(value, origin, arguments))
    if origin is dict and isinstance(value, dict):
        return {
            _cast_key(key, arguments[0]): _cast(item, arguments[1])
            for key, item in value.items()
        }
    return _cast_single(value, hint)


def _cast_key(key: Any, hint: Any) -> Any:
    """The key in the hinted type, or the text that JSON makes of it: `1` is `"1"`
    there.

    Raises:
        TypeError: it does not fit, or its text is read back as another key, as in
            `dict[str | int, float]`.
        ValueError: text that is no number.
    """
    cast = _from_key(key, hint)
    (text,) = json.loads(json.dumps({_plain(cast): None}))
    if repr(_from_key(text, hint)) != repr(
        cast
    ):  # 1, True and 1.0 are equal, and NaN is not
        raise TypeError(f"{key!r} cannot be told from {text!r}")
    return cast


def _from_key(key: Any, hint: Any) -> Any:
    try:
        return _cast(key, hint)
    except (TypeError, ValueError):
        if not isinstance(key, str):
            raise
    return _cast(json.loads(key), hint)


def _first_fit(value: Any, options: tuple[Any, ...]) -> Any:
    for option in options:
        try:
            return _cast(value, option)
        except (TypeError, ValueError):
            continue
    raise TypeError(f"{value!r} fits none of {options}")


def _items(value: Any, origin: Any, arguments: tuple[Any, ...]) -> list[Any]:
    repeated = origin is list or arguments[-1:] == (...,)
    hints = arguments[:1] * len(value) if repeated else arguments
    return [_cast(item, option) for item, option in zip(value, hints, strict=True)]


def _cast_single(value: Any, hint: Any) -> Any:
    if hint is float and type(value) in (int, float):
        return _float(value)
    if hint in (bool, int, str, type(None)) and type(value) is hint:
        return value
    if hint is Path and isinstance(value, str | Path):
        return Path(value)
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        return _member(value, hint)
    raise TypeError(f"{value!r} is no {hint}")


def _float(value: Any) -> float:
    try:
        return float(value)
    except OverflowError as error:
        raise ValueError("an integer beyond the largest float") from error


def _member(value: Any, hint: type[enum.Enum]) -> enum.Enum:
    if isinstance(value, hint):
        return value
    if isinstance(value, str) and value in hint.__members__:
        return hint[value]
    raise TypeError(f"{value!r} is no {hint}")
