"""The ledger of claims: what the course says, each as a sentence that stands alone. No
JAX is imported.
"""

import os
import re
import tomllib
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from jaxml import shipped
from jaxml.errors import InputError
from jaxml.provenance import contents
from jaxml.text import is_plain, plain

KINDS = ("mathematical", "empirical", "disputed", "definition", "cite-only")


class Claim(NamedTuple):
    """One claim.

    Attributes:
        id: its key, without spaces and commas.
        topic: the chapter that it belongs to.
        kind: one of KINDS.
        claim: as one sentence that stands alone.
        where: the course, or the paper, says it.
        figures: the numbers that are printed there.
        measure: what would have to be measured.
        caveat: what to bear in mind, or "".
    """

    id: str
    topic: str
    kind: str
    claim: str
    where: str = ""
    figures: tuple[str, ...] = ()
    measure: str = ""
    caveat: str = ""


def read(path: Path) -> dict[str, Claim]:
    """The claims of a TOML file by id, in its order; none where there is no such file.

    Raises:
        InputError: the file cannot be read, is no TOML, or an entry breaks the format.
    """
    if not os.path.exists(path):
        return {}
    return dict(_written(contents(path), str(path)))


@lru_cache(maxsize=16)
def _written(text: bytes, origin: str) -> dict[str, Claim]:
    """The claims that a file holds, kept because every study asks for the course's."""
    try:
        tables = tomllib.loads(text.decode())
    except (ValueError, RecursionError) as error:
        raise InputError(
            f"{origin} cannot be read as TOML ({error}): correct it first."
        ) from error
    return parse(tables, origin)


def parse(tables: Mapping[str, Any], origin: str) -> dict[str, Claim]:
    """The claims that a mapping of id to fields holds; `origin` is for messages.

    Raises:
        InputError: an id with spaces or commas, a missing or unknown field, or one of
            the wrong type.
    """
    return {name: _claim(name, table, origin) for name, table in tables.items()}


def _claim(name: str, table: Any, origin: str) -> Claim:
    if not re.fullmatch(r"[^\s,;]+", name):
        raise InputError(
            f"{origin}: {name!r} is no id: leave out spaces, commas and semicolons."
        )
    if not isinstance(table, Mapping) or not {"topic", "kind", "claim"} <= table.keys():
        raise InputError(
            f"{origin}: {name} needs at least a topic, a kind and a claim: write all "
            "three."
        )
    unknown = sorted(table.keys() - set(Claim._fields[1:]))
    if unknown:
        fields = ", ".join(Claim._fields[1:])
        raise InputError(
            f"{origin}: {name} has no field {unknown[0]!r}: the fields are {fields}."
        )
    _check_texts(name, table, origin)
    figures = table.get("figures", ())
    if table["kind"] not in KINDS:
        raise InputError(
            f"{origin}: {name} is {table['kind']!r}: choose a kind from "
            f"{', '.join(KINDS)}."
        )
    return Claim(**{"id": name, **table, "figures": tuple(figures)})


def _check_texts(name: str, table: Mapping[str, Any], origin: str) -> None:
    """Passes if every field is text that can be shown, and `figures` a list of it."""
    figures = table.get("figures", ())
    texts = [value for field, value in table.items() if field != "figures"]
    is_list = isinstance(figures, list | tuple)
    if not (is_list and all(isinstance(text, str) for text in (*texts, *figures))):
        raise InputError(
            f"{origin}: a field of {name} is no text: put it between quotation marks."
        )
    if not all(map(is_plain, (name, *texts, *figures))):
        raise InputError(
            f"{origin}: {plain(name)} holds control characters: leave them out."
        )


def ledger(*folders: Path) -> dict[str, Claim]:
    """The course's claims, and those of `claims.toml` in further folders.

    Raises:
        InputError: a file breaks the format, or gives an id of the course to a claim of
            its own.
    """
    known = read(shipped.studies() / shipped.LEDGER)
    for folder in folders:
        path = folder / shipped.LEDGER
        known = merged(known, read(path), str(path))
    return known


def folder(topic: str) -> str:
    """The name of a topic's folder beside the ledger.

    >>> folder("self-attention"), folder("batch size")
    ('self_attention', 'batch_size')
    """
    return re.sub(r"\W+", "_", topic)


def merged(
    known: Mapping[str, Claim], new: Mapping[str, Claim], origin: str
) -> dict[str, Claim]:
    """Both together.

    Raises:
        InputError: one id stands for two claims.
    """
    for name, claim in new.items():
        if name in known and known[name] != claim:
            raise InputError(
                f"{origin}: the id {name} belongs to another claim already: choose "
                "another id."
            )
    return {**known, **new}


def announced(text: str) -> tuple[str, ...]:
    """The ids on a study's `Claims:` line, which separates them by commas.

    >>> announced("C001, A3, X1.")
    ('C001', 'A3', 'X1')
    """
    return tuple(
        part
        for part in (piece.strip() for piece in text.rstrip(". ").split(","))
        if part
    )


def require(ids: Iterable[str], known: Mapping[str, Claim], origin: str) -> None:
    """Passes if every id is in the ledger.

    Raises:
        InputError: the first that is not; proposes the nearest.
    """
    for name in ids:
        if name not in known:
            raise InputError(
                f"{origin} speaks of {name!r}, which is no claim: "
                f"{proposal(name, known)}"
            )


def proposal(name: str, known: Iterable[str]) -> str:
    """The nearest ids, as the end of a sentence."""
    names = list(known)
    similar = get_close_matches(name.upper(), names, n=3) or get_close_matches(
        name.lower(), names, n=3
    )
    if similar:
        return f"did you mean {' or '.join(similar)}?"
    return (
        "see `jaxml claims` for all, or describe your own in a claims.toml beside the "
        "study."
    )
