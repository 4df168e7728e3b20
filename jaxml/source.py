"""What a study's source says of itself, without running it.

Standard library only, so that a list of studies and a wrong name are answered without
JAX.
"""

import ast
import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from jaxml.errors import InputError
from jaxml.provenance import contents

CONTRACT = ("Config", "Result", "SMOKE", "study", "findings", "figures")
"""The names that make a module a study."""

_LABELS = "Claims|Sources?|Cost|Expect|Run"
_PARAGRAPH = re.compile(
    rf"^({_LABELS}):((?:.|\n(?!\s*(?:\n|$)|(?:{_LABELS}):))*)", re.MULTILINE
)


class Description(NamedTuple):
    """What the source of a study tells before it runs.

    Attributes:
        name: the file's name without its suffix.
        path: the file.
        title: the first line of the docstring.
        summary: its paragraphs without a label.
        notes: the docstring's labelled paragraphs, `Claims:`, `Cost:` and so on, by
            label.
        fields: of `Config`: annotation and default as written.
    """

    name: str
    path: Path
    title: str
    summary: str
    notes: Mapping[str, str]
    fields: Mapping[str, str]


def describe(path: Path) -> Description:
    """Reads a study's docstring and the fields of its `Config`.

    Raises:
        InputError: the file cannot be read, is no Python, or no study.
    """
    try:
        module = ast.parse(contents(path), str(path))
    except InputError:
        raise
    except (MemoryError, RecursionError, SyntaxError, ValueError) as error:
        raise InputError(
            f"{path} cannot be read as Python ({error}): correct it first."
        ) from error
    missing = [name for name in CONTRACT if name not in _defined(module)]
    if missing:
        raise InputError(f"{path} is not yet a study: define {', '.join(missing)}.")
    docstring = ast.get_docstring(module) or ""
    return Description(
        name=path.stem,
        path=path,
        title=docstring.partition("\n")[0],
        summary=_summary(docstring),
        notes={
            label: " ".join(text.split())
            for label, text in _PARAGRAPH.findall(docstring)
        },
        fields=_fields(module),
    )


def _summary(docstring: str) -> str:
    paragraphs = [" ".join(paragraph.split()) for paragraph in docstring.split("\n\n")]
    return " ".join(text for text in paragraphs if not _PARAGRAPH.match(text))


def _defined(module: ast.Module) -> set[str]:
    names: set[str] = set()
    for node in module.body:
        match node:
            case (
                ast.ClassDef(name=name)
                | ast.FunctionDef(name=name)
                | ast.AnnAssign(target=ast.Name(id=name))
            ):
                names.add(name)
            case ast.Assign(targets=targets):
                names.update(
                    target.id for target in targets if isinstance(target, ast.Name)
                )
            case ast.ImportFrom(names=aliases):
                names.update(alias.asname or alias.name for alias in aliases)
    return names


def _fields(module: ast.Module) -> dict[str, str]:
    """Of the last `Config`, those of its bases first; none where a part of it is not in
    this file.
    """
    classes = {
        node.name: node for node in module.body if isinstance(node, ast.ClassDef)
    }
    return _class_fields("Config", classes) or {}


def _class_fields(
    name: str, classes: Mapping[str, ast.ClassDef]
) -> dict[str, str] | None:
    if name not in classes:
        return None
    others = {other: node for other, node in classes.items() if other != name}
    fields: dict[str, str] = {}
    for base in reversed(classes[name].bases):
        inherited = _class_fields(ast.unparse(base), others)
        if inherited is None:
            return None
        fields |= inherited
    for node in classes[name].body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            default = f" = {ast.unparse(node.value)}" if node.value else ""
            fields[node.target.id] = ast.unparse(node.annotation) + default
    return fields
