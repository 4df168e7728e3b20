"""Following names from a study's functions to all the code that they can reach."""

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from jaxml.closure.outline import Statement, is_import, outline
from jaxml.closure.parts import Closure
from jaxml.closure.places import (
    Module,
    Places,
    around,
    children,
    find,
    name_of,
    source_of,
    starred,
    targets,
)
from jaxml.closure.reading import Chain, Import, reading, whole

COMPUTING = ("Config", "Result", "study", "timings", "NEEDS")
"""The names of a study from which its arrays are computed. What SMOKE holds is in the
config of a run that took it.
"""

JUDGING = ("findings", "figures")
"""The names of a study that judge and draw what was computed."""

_JUDGES = ("finding", "statistics")
_ARTISTS = ("figures",)
_FRONT_DOOR = (["__main__"], ["bench"], ["commands"], ["studies"])
_FETCHING = ["problem", "data", "download"]
_LOADED: Chain = ("",)
_WHOLE = {("eval",), ("exec",), ("globals",)}


class _Walk(NamedTuple):
    """What is reached so far, by place, and the names that are still to be followed."""

    places: Places
    reached: dict[str, set[int]]
    routes: dict[str, set[str]]
    followed: set[tuple[str, Chain]]
    pending: list[tuple[str, Chain]]


def computing(path: str | Path, *, package: Path | None = None) -> Closure:
    """The code that decides a study's arrays: what its Config, Result, study and
    timings reach.

    What other studies compute for it (`NEEDS`) is not part of it.

    Args:
        path: the study's file.
        package: the folder of jaxml, where it is not this one.

    Raises:
        InputError: the study, or a module that it imports, is no Python.
    """
    return _closed(path, package, COMPUTING, ())


def judging(path: str | Path, *, package: Path | None = None) -> Closure:
    """The code that decides a study's verdicts and figures: what its findings and
    figures reach.

    The library's modules of findings, statistics and figures are always part of it.

    Args:
        path: the study's file.
        package: the folder of jaxml, where it is not this one.

    Raises:
        InputError: the study, or a module that it imports, is no Python.
    """
    return _closed(path, package, JUDGING, (*_JUDGES, *_ARTISTS))


def asserting(path: str | Path, *, package: Path | None = None) -> Closure:
    """The code that decides a study's verdicts alone: what its findings reach, and no
    figure.

    Args:
        path: the study's file.
        package: the folder of jaxml, where it is not this one.

    Raises:
        InputError: the study, or a module that it imports, is no Python.
    """
    return _closed(path, package, JUDGING[:1], _JUDGES)


def _closed(
    path: str | Path, package: Path | None, roots: Iterable[str], judges: Iterable[str]
) -> Closure:
    places = around(path, package or Path(__file__).parents[1])
    walk = _Walk(places, {}, {}, set(), [])
    _load(walk, places.study)
    walk.pending.extend((places.study, (name,)) for name in roots)
    walk.pending.extend(
        (os.path.join(places.package, "record", name), ()) for name in judges
    )
    while walk.pending:
        step = walk.pending.pop()
        if step not in walk.followed:
            walk.followed.add(step)
            _reach(walk, *step)
    found = [find(places, place) for place in walk.reached.keys() | walk.routes.keys()]
    parts = {
        name_of(places, module): _digest(walk, module) for module in found if module
    }
    ordered = dict(sorted(parts.items()))
    return Closure(ordered, _sha(f"{name} {part}" for name, part in ordered.items()))


def _sha(lines: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _is_coarse(module: Module) -> bool:
    """Whether it counts as a whole: a module of jaxml that is no door."""
    return module.is_library and not module.is_package


def _digest(walk: _Walk, module: Module) -> str:
    """Of what is reached: imports in any order, then the other statements as they
    follow each other.
    """
    if _is_coarse(module):
        return whole(module.source).text
    everything = outline(module.source).statements
    statements = [
        everything[index] for index in sorted(walk.reached.get(module.place, ()))
    ]
    imports = sorted(_text(each) for each in statements if is_import(each))
    routes = sorted(walk.routes.get(module.place, ()))
    return _sha(
        [
            *imports,
            *routes,
            *(_text(each) for each in statements if not is_import(each)),
        ]
    )


def _text(statement: Statement) -> str:
    return reading(statement.node).text


def _load(walk: _Walk, place: str) -> Module | None:
    """What importing a module runs by itself: statements with an effect, and its
    imports in turn.
    """
    module = find(walk.places, place)
    if module is None or (place, _LOADED) in walk.followed:
        return module
    walk.followed.add((place, _LOADED))
    above = os.path.dirname(place)
    if source_of(walk.places, above):
        _load(walk, above)
    if _is_coarse(module):
        return module
    for index, statement in enumerate(outline(module.source).statements):
        if statement.effect or _is_handed_on(walk, module, statement):
            _mark(walk, module, index)
        for each in () if module.is_library else statement.imports:
            _load_import(walk, module, each)
    return module


def _load_import(walk: _Walk, module: Module, each: Import) -> None:
    for place in targets(walk.places, module, each):
        _load(walk, place)
        if each.name and find(walk.places, os.path.join(place, each.name)):
            _load(walk, os.path.join(place, each.name))


def _is_handed_on(walk: _Walk, module: Module, statement: Statement) -> bool:
    """Whether a decorator or a base of ours receives it, or it takes all names of
    another package.
    """
    found = outline(module.source)
    for name in statement.registrars:
        for each in (found.statements[index] for index in found.binders.get(name, ())):
            if not is_import(each) or any(
                targets(walk.places, module, one) for one in each.imports
            ):
                return True
        if name not in found.binders and starred(walk.places, module, name):
            return True
    stars = (each for each in statement.imports if each.name == "*")
    return any(not targets(walk.places, module, each) for each in stars)


def _reach(walk: _Walk, place: str, chain: Chain) -> None:
    """Follows a chain of attributes from a module; without attributes all of the module
    counts.
    """
    module = _load(walk, place)
    if module is None or _is_outside(walk, module):
        return
    if place == walk.places.package and chain == ("__version__",):
        return
    if _is_coarse(module):
        if place not in walk.reached:
            walk.reached[place] = set()
            for each in whole(module.source).imports:
                _follow(walk, module, each, ())
        return
    is_found = bool(chain) and _bind(walk, module, chain)
    if not (is_found or (chain and place == walk.places.study)):
        _take_all(walk, module)


def _is_outside(walk: _Walk, module: Module) -> bool:
    """Whether it is of what no result depends on: the command line, the benchmarks, or
    what fetches files, whose content is verified when they are read.
    """
    inner = module.place.removeprefix(walk.places.package).split(os.sep)[1:]
    return module.is_library and (inner[:1] in _FRONT_DOOR or inner == _FETCHING)


def _take_all(walk: _Walk, module: Module) -> None:
    """Every statement of a module, what they import, and of a package every module."""
    if module.file is None:
        return
    for index, statement in enumerate(outline(module.source).statements):
        _mark(walk, module, index)
        for each in statement.imports:
            _follow(walk, module, each, ())
    for child in children(walk.places, module) if module.is_package else ():
        walk.pending.append((child, ()))


def _mark(walk: _Walk, module: Module, index: int) -> None:
    """Counts a statement, and follows the names that it uses."""
    reached = walk.reached.setdefault(module.place, set())
    if index in reached:
        return
    reached.add(index)
    statement = outline(module.source).statements[index]
    inside = reading(statement.node)
    for each in (*statement.imports, *inside.imports):
        _load_import(walk, module, each)
        if not each.bound and each.name is None:
            _follow(walk, module, each, ())
    for chain in inside.chains:
        for each in inside.imports:
            if each.bound == chain[0]:
                _follow(walk, module, each, chain[1:])
        if chain[0] in outline(module.source).binders:
            walk.pending.append((module.place, chain))
        else:
            _bind(walk, module, chain)
        if chain[:1] in _WHOLE or chain[:2] == ("sys", "modules"):
            walk.pending.append((module.place, ()))


def _bind(walk: _Walk, module: Module, chain: Chain) -> bool:
    """Counts what gives a name of a module its value, and says whether anything
    does.
    """
    name, rest = chain[0], chain[1:]
    found = outline(module.source)
    indices = found.binders.get(name, ())
    for index in indices:
        _mark(walk, module, index)
        for each in found.statements[index].imports:
            if each.bound == name:
                _follow(walk, module, each, rest)
    child = os.path.join(module.place, name)
    is_child = module.is_package and find(walk.places, child) is not None
    if is_child:
        walk.pending.append((child, rest))
    if indices or is_child:
        return True
    stars = starred(walk.places, module, name)
    for place in stars:
        origin = os.path.relpath(place, module.place)
        walk.routes.setdefault(module.place, set()).add(f"{name} of {origin}")
        walk.pending.append((place, chain))
    return bool(stars)


def _follow(walk: _Walk, module: Module, each: Import, rest: Chain) -> None:
    """Goes to what an import names, with the attributes that are taken of it."""
    taken = () if each.name in (None, "*") else (str(each.name),)
    walk.pending.extend(
        (place, (*taken, *rest)) for place in targets(walk.places, module, each)
    )
