"""Where the modules lie that a study may import: jaxml's own, and those beside the
study.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from jaxml.closure.outline import outline
from jaxml.closure.reading import Import, parsed
from jaxml.errors import InputError


class Module(NamedTuple):
    """A module where it lies.

    Attributes:
        place: its path without a suffix.
        file: its source; None for a folder without `__init__.py`.
        source: what the file holds.
        is_package: it is a folder.
        is_library: it belongs to jaxml.
    """

    place: str
    file: str | None
    source: bytes
    is_package: bool
    is_library: bool


class Places(NamedTuple):
    """The modules that were looked up around one study.

    Attributes:
        study: the place of the study's own file.
        package: the folder of jaxml.
        modules: by place, or None where there is none.
        entries: of the folders that were looked into.
        targets: the places of what an import names, by the place it is relative to,
            dots and name.
    """

    study: str
    package: str
    modules: dict[str, Module | None]
    entries: dict[str, frozenset[str]]
    targets: dict[tuple[str, int, str], list[str]]


def around(path: str | Path, package: str | Path) -> Places:
    """The places around a study; its own file is read.

    Raises:
        InputError: the file cannot be read as Python.
    """
    file = os.path.realpath(path)
    study = os.path.splitext(file)[0]
    places = Places(study, os.path.realpath(package), {}, {}, {})
    places.modules[study] = _read(places, study, file)
    return places


def find(places: Places, place: str) -> Module | None:
    """The module at a place, if there is one: a package comes before a file of its
    name.

    Raises:
        InputError: it cannot be read as Python.
    """
    if place not in places.modules:
        file = source_of(places, place)
        folder, name = os.path.split(place)
        exists = file is not None or (
            name in _entries(places, folder) and os.path.isdir(place)
        )
        places.modules[place] = _read(places, place, file) if exists else None
    return places.modules[place]


def source_of(places: Places, place: str) -> str | None:
    """The file that holds the code at a place: of a package its `__init__.py`."""
    folder, name = os.path.split(place)
    entries = _entries(places, folder)
    if name in entries and "__init__.py" in _entries(places, place):
        return os.path.join(place, "__init__.py")
    return f"{place}.py" if f"{name}.py" in entries else None


def targets(places: Places, module: Module, each: Import) -> list[str]:
    """The places of the module that an import names; none if it is of another
    package.
    """
    here = module.place if each.level else ""
    key = (here, each.level, each.module)
    if key not in places.targets:
        places.targets[key] = list(_targets(places, module, each))
    return places.targets[key]


def starred(places: Places, module: Module, name: str) -> list[str]:
    """The places from whose star import a module may have a name."""
    stars = outline(module.source, changes=False).stars
    candidates = [place for each in stars for place in targets(places, module, each)]
    return [
        place
        for place in candidates
        if name in _exports(places, place, frozenset({module.place}))
    ]


def children(places: Places, module: Module) -> Iterator[str]:
    """The places of the modules in a package."""
    names = {os.path.splitext(entry)[0] for entry in _entries(places, module.place)}
    for name in sorted(names - {"__init__"}):
        child = os.path.join(module.place, name)
        if source_of(places, child):
            yield child


def name_of(places: Places, module: Module) -> str:
    """What a report calls a module: "study", "helper.py", "jaxml.learn.schedules"."""
    if module.place == places.study:
        return "study"
    if module.is_library:
        inner = module.place.removeprefix(places.package).split(os.sep)
        return ".".join(["jaxml", *inner[1:]])
    beside = os.path.dirname(places.study)
    return Path(os.path.relpath(module.file or module.place, beside)).as_posix()


def _entries(places: Places, folder: str) -> frozenset[str]:
    if folder not in places.entries:
        is_folder = os.path.isdir(folder)
        places.entries[folder] = (
            frozenset(os.listdir(folder)) if is_folder else frozenset()
        )
    return places.entries[folder]


def _read(places: Places, place: str, file: str | None) -> Module:
    beside = os.path.dirname(places.study)
    is_own = _within(beside, places.package) and _within(place, beside)
    is_library = _within(place, places.package) and not is_own
    if file is None:
        return Module(place, None, b"", is_package=True, is_library=is_library)
    try:
        source = Path(file).read_bytes()
        parsed(source)
    except (OSError, SyntaxError, ValueError) as error:
        raise InputError(
            f"{file} cannot be read as Python ({error}): correct it first."
        ) from error
    is_package = os.path.basename(file) == "__init__.py"
    return Module(place, file, source, is_package, is_library)


def _within(place: str, folder: str) -> bool:
    return place == folder or place.startswith(folder + os.sep)


def _targets(places: Places, module: Module, each: Import) -> Iterator[str]:
    names = each.module.split(".") if each.module else []
    if each.level:
        bases = [_above(module, each.level)]
    elif names[0] == "jaxml":
        bases, names = [places.package], names[1:]
    else:
        bases = list(_roots(places, names[0]))
    for base in bases:
        steps = [
            os.path.join(base, *names[:count]) for count in range(1, len(names) + 1)
        ]
        if all(find(places, step) for step in steps):
            yield steps[-1] if steps else base


def _above(module: Module, level: int) -> str:
    base = module.place if module.is_package else os.path.dirname(module.place)
    for _ in range(level - 1):
        base = os.path.dirname(base)
    return base


def _roots(places: Places, first: str) -> Iterator[str]:
    """Where absolute imports may begin: the study's folder, and what holds a folder of
    that name.
    """
    folder = os.path.dirname(places.study)
    yield folder
    while folder != os.path.dirname(folder):
        if os.path.basename(folder) == first:
            yield os.path.dirname(folder)
        folder = os.path.dirname(folder)


def _exports(places: Places, place: str, above: frozenset[str]) -> set[str]:
    """The names that a star import takes of a module, those of its own star imports
    included.
    """
    module = find(places, place)
    if module is None or place in above:
        return set()
    found = outline(module.source, changes=False)
    names = set(found.exports)
    for each in found.stars:
        for target in targets(places, module, each):
            names |= _exports(places, target, above | {place})
    return names
