"""A study: one file that states claims, computes a result, and judges and draws it."""

import dataclasses
import importlib.util
import sys
import types
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from jaxml.record.config import config_from_json as config_from_json
from jaxml.record.config import config_to_json as config_to_json
from jaxml.source import describe
from jaxml.types import InputError


class Study(NamedTuple):
    """A study's module, checked.

    Attributes:
        name: the file's stem.
        path: the file.
        Config: a frozen keyword-only dataclass of static values.
        Result: a NamedTuple of arrays.
        study: `(config, keep, *results) -> Result`, a result for each of `needs`.
        findings: `(result) -> findings`, or `(result, timings)` where there are timings.
        figures: `(result) -> {name: Figure}`, or `(result, timings)`.
        smoke: a config that runs in seconds.
        timings: `(config) -> NamedTuple` of what a clock measured, or None.
        needs: names of the studies beside it whose Results `study` receives after `keep`.
    """

    name: str
    path: Path
    Config: type[Any]
    Result: type[Any]
    study: Callable[..., Any]
    findings: Callable[..., Any]
    figures: Callable[..., Any]
    smoke: Any
    timings: Callable[..., Any] | None
    needs: tuple[str, ...]


def load(path: str | Path) -> Study:
    """Imports a study's file and checks that it keeps the contract.

    The module is `experiments.<stem>` if it lies in a folder of that name, else `jaxml_study_<stem>`.

    Raises:
        InputError: the file is missing or fails on import, or a part of the contract is missing.
    """
    path = Path(path)
    describe(path)
    module = _imported(path.resolve())
    absent = {"NEEDS": ()}
    parts: dict[str, Any] = {name: getattr(module, name, absent.get(name)) for name in _CONTRACT}
    missing = [f"{name}, {_CONTRACT[name]}" for name, kept in _kept(parts).items() if not kept]
    if missing:
        raise InputError(f"{path} is not yet a study: define {'; '.join(missing)}.")
    return Study(path.stem, path.resolve(), *parts.values())


_CONTRACT = {
    "Config": "a dataclass(frozen=True, kw_only=True)",
    "Result": "a NamedTuple of arrays",
    "study": "a function of a config and a keep",
    "findings": "a function of a result",
    "figures": "a function of a result",
    "SMOKE": "an instance of Config",
    "timings": "a function of a config, or nothing",
    "NEEDS": "a tuple of names of studies, or nothing",
}
"""The names that a study's module defines, in the order of the fields of Study."""


def _kept(parts: Mapping[str, Any]) -> Mapping[str, bool]:
    parameters = getattr(parts["Config"], "__dataclass_params__", None)
    fields = dataclasses.fields(parts["Config"]) if parameters else ()
    is_config = isinstance(parts["Config"], type) and parameters is not None and parameters.frozen
    return {
        "Config": is_config and all(field.kw_only for field in fields),
        "Result": isinstance(parts["Result"], type) and hasattr(parts["Result"], "_fields"),
        "SMOKE": not is_config or isinstance(parts["SMOKE"], parts["Config"]),
        "timings": parts["timings"] is None or callable(parts["timings"]),
        "NEEDS": isinstance(parts["NEEDS"], tuple),
    } | {name: callable(parts[name]) for name in ("study", "findings", "figures")}


def _imported(path: Path) -> types.ModuleType:
    prefix = "experiments." if path.parent.name == "experiments" else "jaxml_study_"
    specification = importlib.util.spec_from_file_location(prefix + path.stem, path)
    assert specification is not None and specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    earlier = sys.modules.get(module.__name__)
    sys.modules[module.__name__] = module
    try:
        specification.loader.exec_module(module)
    except Exception as error:
        sys.modules.pop(module.__name__)
        if earlier is not None:
            sys.modules[module.__name__] = earlier
        reason = f"{type(error).__name__}: {error}"
        raise InputError(f"{path} fails on import ({reason}): correct it first.") from error
    return module
