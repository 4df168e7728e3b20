"""A study: one file that states claims, computes a result, and judges and draws it."""

import dataclasses
import importlib.util
import sys
import types
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from jaxml import claims, closure, provenance, shipped
from jaxml.claims import Claim
from jaxml.provenance import Reading
from jaxml.record.runs.config import config_from_json as config_from_json
from jaxml.record.runs.config import config_to_json as config_to_json
from jaxml.source import Description, describe
from jaxml.types import InputError


class Study(NamedTuple):
    """A study's module, checked.

    Attributes:
        name: the file's stem.
        path: the file.
        Config: a frozen keyword-only dataclass of static values.
        Result: a NamedTuple of arrays.
        study: `(config, keep, *results) -> Result`, a result for each of `needs`.
        findings: `(result) -> findings`, or `(result, timings)` where there are
            timings.
        figures: `(result) -> {name: Figure}`, or `(result, timings)`.
        smoke: a config that runs in seconds.
        timings: `(config) -> NamedTuple` of what a clock measured, or None.
        needs: names of the studies, beside it or of another topic, whose Results
            `study` receives after `keep`.
        announced: the claims of its docstring, by id.
        readings: what was read when the file was imported.
        computing: the digests of the code that decides its arrays, taken before the
            import.
        judging: of the code that decides its findings and figures.
        asserting: the digest of the code that decides its findings alone.
        about: what its docstring says: title, summary, and the labelled paragraphs in
            lower case.
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
    announced: Mapping[str, Claim]
    readings: tuple[Reading, ...]
    computing: Mapping[str, str]
    judging: Mapping[str, str]
    asserting: str
    about: Mapping[str, str]


RESERVED = (
    *("runs", "smoke", "again", "help", "require_accelerator", "times"),
    *("shard", "distributed", "deterministic"),
)
"""Options of the command line, whose names no field of a Config may have."""


def load(path: str | Path) -> Study:
    """Imports a study's file and checks that it keeps the contract.

    The module is `experiments.<topic>.<stem>` if it lies in a topic of a folder of that
    name, `experiments.<stem>` if it lies in the folder itself, else
    `jaxml_study_<stem>`.

    Raises:
        InputError: the file is missing or fails on import, a part of the contract is
            missing, or a claim that it announces is not in the ledger.
    """
    path = Path(path)
    description = describe(path)
    computing, judging = closure.computing(path), closure.judging(path)
    asserting = closure.asserting(path)
    with provenance.collecting() as readings:
        module = _imported(
            path.resolve(),
            local=[name for name in computing.parts if name.endswith(".py")],
        )
    absent = {"NEEDS": ()}
    parts: dict[str, Any] = {
        name: getattr(module, name, absent.get(name)) for name in _CONTRACT
    }
    missing = [
        f"{name}, {_CONTRACT[name]}" for name, kept in _kept(parts).items() if not kept
    ]
    if missing:
        raise InputError(f"{path} is not yet a study: define {'; '.join(missing)}.")
    _check_fields(path, parts["Config"])
    known = ledger(path, getattr(module, "CLAIMS", {}))
    ids = claims.announced(description.notes.get("Claims", ""))
    if not ids:
        raise InputError(
            f"{path} announces no claim: write a line such as `Claims: C048, C049.`"
        )
    claims.require(ids, known, str(path))
    return Study(
        path.stem,
        path.resolve(),
        *parts.values(),
        announced={name: known[name] for name in ids},
        readings=tuple(readings),
        computing=computing.parts,
        judging=judging.parts,
        asserting=asserting.digest,
        about=_about(description),
    )


def _about(description: Description) -> dict[str, str]:
    notes = {label.lower(): text for label, text in description.notes.items()}
    return {"title": description.title, "summary": description.summary, **notes}


def ledger(path: Path, own: Any = None) -> dict[str, Claim]:
    """The claims that a study may speak of: the course's, those of a claims.toml beside
    it or above its topic, and its CLAIMS.

    Raises:
        InputError: one of them breaks the format.
    """
    known = claims.ledger(shipped.root(path), path.resolve().parent)
    origin = f"CLAIMS in {path}"
    if not isinstance(own or {}, Mapping):
        raise InputError(
            f"{origin} is no table of claims by id: write one, or give the name "
            "another use."
        )
    return claims.merged(known, claims.parse(own or {}, origin), origin)


def _check_fields(path: Path, config: type[Any]) -> None:
    for field in dataclasses.fields(config):
        if field.name in RESERVED:
            raise InputError(
                f"{path}: the field {field.name} has the name of an option of the "
                "command line: rename it."
            )


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
    is_config = (
        isinstance(parts["Config"], type)
        and parameters is not None
        and parameters.frozen
    )
    result, smoke, timings = parts["Result"], parts["SMOKE"], parts["timings"]
    functions = ("study", "findings", "figures")
    values = {
        "Config": is_config and all(field.kw_only for field in fields),
        "Result": isinstance(result, type) and hasattr(result, "_fields"),
        "SMOKE": not is_config or isinstance(smoke, parts["Config"]),
        "timings": timings is None or callable(timings),
        "NEEDS": isinstance(parts["NEEDS"], tuple),
    }
    return values | {name: callable(parts[name]) for name in functions}


def _module_name(path: Path) -> str:
    root = shipped.root(path)
    if root.name != "experiments":
        return f"jaxml_study_{path.stem}"
    return ".".join(("experiments", *path.relative_to(root).with_suffix("").parts))


def _imported(path: Path, local: Iterable[str]) -> types.ModuleType:
    """The study's module; the modules beside it, which it may import, are imported anew
    with it.
    """
    specification = importlib.util.spec_from_file_location(_module_name(path), path)
    assert specification is not None and specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    earlier = sys.modules.get(module.__name__)
    sys.modules[module.__name__] = module
    for name in local:
        sys.modules.pop(Path(name).with_suffix("").as_posix().replace("/", "."), None)
    if str(path.parent) not in sys.path:
        sys.path.append(str(path.parent))  # for good: `study` may import when it runs
    try:
        specification.loader.exec_module(module)
    except Exception as error:
        sys.modules.pop(module.__name__)
        if earlier is not None:
            sys.modules[module.__name__] = earlier
        reason = f"{type(error).__name__}: {error}"
        raise InputError(
            f"{path} fails on import ({reason}): correct it first."
        ) from error
    return module
