"""The floor table of the house, compared with every import statement."""

import ast
import tomllib
from collections.abc import Iterator
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

pytestmark = pytest.mark.identity

ROOT = Path(__file__).parents[1]
STUDIES = [*ROOT.glob("experiments/**/*.py")]
SOURCES = sorted([*ROOT.glob("jaxml/**/*.py"), *STUDIES])
FLOORS = {
    **dict.fromkeys(
        ("", "errors", "provenance", "source", "types", "tree", "memory", "parallel"), 0
    ),
    **dict.fromkeys(("claims", "closure", "freshness", "randomness", "shipped"), 0),
    **dict.fromkeys(("mesh", "processes", "text"), 0),
    **dict.fromkeys(("problem", "learn", "curvature", "record"), 1),
    **dict.fromkeys(("commands", "__main__", "bench"), 2),
}
DOORS = {
    "flax": ("jaxml.problem.models",),
    "gzip": ("jaxml.problem.data",),
    "urllib.request": ("jaxml.problem.data",),
    "matplotlib": ("jaxml.record",),
    "orbax": ("jaxml.record",),
    "time": ("jaxml.record", "jaxml.bench", "jaxml.problem.data.download"),  # deadline
    "datetime": ("jaxml.record", "jaxml.bench"),
}
ROOM_LINES, FILE_LINES = 200, 300


def module(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(
        ".__init__"
    )


MODULES = {module(path) for path in SOURCES}
NAMEABLE = MODULES | DOORS.keys() | {f"jaxml.{name}" for name in FLOORS}


def room(name: str) -> str:
    """`learn` of `jaxml.learn.training.train`, and nothing of the package itself."""
    return name.partition(".")[2].partition(".")[0]


def floor(name: str) -> int:
    return 3 if name.startswith("experiments.") else FLOORS[room(name)]


def imports(tree: ast.AST) -> Iterator[str]:
    """The modules that the import statements in a tree name; a relative import begins
    with a dot.
    """
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = "." * node.level + (node.module or "")
            inner = {f"{base}.{alias.name}" for alias in node.names}
            yield from inner & NAMEABLE
            if inner - NAMEABLE:
                yield base


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


@cache
def imports_of(path: Path) -> frozenset[str]:
    return frozenset(imports(parsed(path)))


def inside(name: str, packages: tuple[str, ...]) -> bool:
    return any(f"{name}.".startswith(f"{package}.") for package in packages)


def violations(name: str, tree: ast.Module) -> Iterator[str]:
    for target in imports(tree):
        if target.startswith("."):
            yield f"{name} imports {target}: write the absolute name"
        elif inside(target, ("experiments",)):
            yield f"{name} imports the study {target}"
        elif inside(target, ("jaxml",)):
            beside = room(name) == room(target) or floor(name) in (0, 2)
            if floor(target) >= min(floor(name), 2) and not (
                beside and floor(name) == floor(target)
            ):
                yield f"{name} (floor {floor(name)}) imports {target}"
        for door, keepers in DOORS.items():
            if inside(target, (door,)) and not inside(name, keepers):
                yield f"{name} imports {target}, which only {' and '.join(keepers)} may"
    if name == "jaxml":
        yield from (f"jaxml/__init__.py imports {target}" for target in imports(tree))
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
            and floor(name) != 2
        ):
            yield from (
                f"{name}.{node.name} imports {target} lazily"
                for target in imports(node)
            )


@pytest.mark.parametrize("path", SOURCES, ids=module)
def test_imports(path: Path) -> None:
    assert list(violations(module(path), parsed(path))) == []


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("jaxml", "import jax"),
        ("jaxml.types", "from jaxml.learn import train"),
        ("jaxml.learn.training.train", "from jaxml import curvature"),
        ("jaxml.learn.training.train", "from jaxml.bench import run"),
        ("jaxml.learn.training.train", "from .hyper import Hyper"),
        ("jaxml.learn.training.train", "import flax.linen as nn"),
        ("jaxml.learn.training.train", "def f():\n    import numpy"),
        ("jaxml.problem.losses", "from urllib import request"),
        ("jaxml.curvature.dense", "from time import perf_counter"),
        ("jaxml.bench.compare", "from matplotlib.figure import Figure"),
        ("jaxml.__main__", "import experiments.momentum.ravine"),
        ("experiments.escape", "from experiments.toy_saddle import study"),
        ("experiments.momentum.ravine", "from experiments.momentum import plateaus"),
        ("experiments.momentum.ravine", "import jaxml.bench"),
        ("experiments.momentum.ravine", "import flax"),
    ],
)
def test_a_planted_violation_is_seen(name: str, source: str) -> None:
    assert len(list(violations(name, ast.parse(source)))) == 1


def test_a_wheel_has_every_topic() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    pages = ROOT.glob("experiments/*/README.md")  # with or without a study yet
    topics = {f"jaxml.studies.{path.parent.name}" for path in pages}
    packages = settings["tool"]["setuptools"]["packages"]
    assert topics == {each for each in packages if each.startswith("jaxml.studies.")}


def test_no_cycles() -> None:
    graph = {module(path): imports_of(path) & MODULES for path in SOURCES}
    TopologicalSorter(graph).prepare()


def test_no_cycles_between_the_parts_of_a_room() -> None:
    graph: dict[str, set[str]] = {}
    for path in SOURCES:
        part = part_of(module(path))
        targets = set(map(part_of, imports_of(path)))
        graph.setdefault(part, set()).update(targets - {part})
    parts = {part: targets - {""} for part, targets in graph.items() if part}
    assert parts["jaxml.learn.training"] == {"jaxml.learn.optimizers"}
    TopologicalSorter(parts).prepare()


def part_of(name: str) -> str:
    """`jaxml.learn.training` of `jaxml.learn.training.sweep`, and nothing of a module
    that is in no part of its room.
    """
    part = ".".join(name.split(".")[:3])
    is_part = floor_of_room(name) == 1 and (ROOT / part.replace(".", "/")).is_dir()
    return part if is_part else ""


def floor_of_room(name: str) -> int:
    return FLOORS.get(room(name), -1) if inside(name, ("jaxml",)) else -1


LIBRARY = [path for path in SOURCES if path not in STUDIES]


@pytest.mark.parametrize("path", LIBRARY, ids=module)
def test_size(path: Path) -> None:
    limit = ROOM_LINES if path.name == "__init__.py" else FILE_LINES
    lines = len(path.read_text().splitlines())
    assert lines <= limit, "an alarm, not a target: split it by noun"
