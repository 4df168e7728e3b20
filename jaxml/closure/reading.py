"""What a piece of code says, with all that stands inside it: its text, the names it
uses, its imports.
"""

import ast
import functools
import hashlib
from collections.abc import Iterable, Iterator
from typing import NamedTuple, TypeAlias

Chain: TypeAlias = tuple[str, ...]
"""A name and the attributes taken of it: `learn.rules.decay` is ("learn", "rules",
"decay").
"""

_BLOCKS = (
    ast.For,
    ast.AsyncFor,
    ast.While,
    ast.If,
    ast.With,
    ast.AsyncWith,
    ast.Try,
    ast.TryStar,
    ast.Match,
)
_CASES = (ast.ExceptHandler, ast.match_case)
_PARTS = ("body", "orelse", "finalbody", "handlers", "cases")
_HOLDERS = {
    *_BLOCKS,
    *_CASES,
    ast.Module,
    ast.FunctionDef,
    ast.AsyncFunctionDef,
    ast.ClassDef,
}
_NAMES = {ast.Attribute, ast.Name}
_LOOSE = {ast.ClassDef, ast.Global}
_HINTED = {ast.arg, ast.AnnAssign, ast.FunctionDef, ast.AsyncFunctionDef}
_RUNNING = ast.Call | ast.NamedExpr | ast.Await | ast.Yield | ast.YieldFrom
_IMPORTING = {ast.Import, ast.ImportFrom, ast.Call}


class Import(NamedTuple):
    """One name of an import.

    Attributes:
        module: as written, without its leading dots.
        level: how many dots there are.
        name: what is taken of the module, "*" for all, or None for the module itself.
        bound: the name that it gets here; empty where it gets none.
    """

    module: str
    level: int
    name: str | None
    bound: str


class Reading(NamedTuple):
    """What is said inside a piece of code.

    Attributes:
        text: SHA-256 of its syntax; no comment, docstring, blank line or format changes
            it.
        chains: the names that it uses.
        imports: what it imports, in functions and by a constant name too; of a
            statement only what it does not import into the scope of its module.
    """

    text: str
    chains: frozenset[Chain]
    imports: tuple[Import, ...]


@functools.lru_cache(maxsize=1024)
def parsed(source: bytes) -> ast.Module:
    """The syntax of a module, parsed once per process; docstrings vanish from it as it
    is read.

    Raises:
        SyntaxError, ValueError: the source is no Python.
    """
    return ast.parse(source)


@functools.lru_cache(maxsize=1024)
def whole(source: bytes) -> Reading:
    """Reads a module at once, without the names that it uses."""
    module = parsed(source)
    found: dict[Import, None] = {}
    for each in ast.walk(module):
        if type(each) in _IMPORTING:
            found.update(dict.fromkeys(_imported(each)))
        elif type(each) in _HOLDERS:
            _drop_texts(each)
    return Reading(_digest(module), frozenset(), tuple(found))


@functools.lru_cache(maxsize=1 << 15)
def reading(node: ast.stmt) -> Reading:
    """Reads one statement of a module."""
    outer = {id(each) for each in flat(node)}
    chains: set[Chain] = set()
    imports: list[Import] = []
    covered: set[int] = set()
    kinds: set[type[ast.AST]] = set()
    for each in ast.walk(node):
        kind = type(each)
        kinds.add(kind)
        if kind in _NAMES:
            chains.update(_chain(each, covered))
        elif kind in _IMPORTING and id(each) not in outer:
            imports += _imported(each)
        elif kind in _HOLDERS:
            _drop_texts(each)
        if kind in _HINTED:
            chains.update(_quoted(each))
    if not kinds.isdisjoint(
        _LOOSE
    ):  # a class or a global statement carries a local import out of its scope
        chains.update((each.bound,) for each in imports)
    return Reading(_digest(node), frozenset(chains), tuple(imports))


def flat(node: ast.AST) -> Iterator[ast.AST]:
    """The statements that run in a module's own scope: of a block its parts, at any
    depth.
    """
    if not isinstance(node, _BLOCKS + _CASES):
        yield node
        return
    for part in _PARTS:
        for child in getattr(node, part, ()):
            yield from flat(child)


def is_block(node: ast.AST) -> bool:
    """Whether it is a loop, a condition, a `with`, a `try` or a `match`."""
    return isinstance(node, _BLOCKS)


def is_text(node: ast.AST) -> bool:
    """Whether it is a docstring, or text that stands where one could."""
    match node:
        case ast.Expr(value=ast.Constant(value=str())):
            return True
    return False


def is_plain_config(node: ast.stmt) -> bool:
    """Whether it makes a study's Config, which is frozen, of values and nothing that
    runs, as SMOKE does: this changes nothing.
    """
    match node:
        case ast.Assign(
            value=ast.Call(func=ast.Name(id="Config"), args=[], keywords=given)
        ):
            values = (each for keyword in given for each in ast.walk(keyword.value))
            return not any(isinstance(each, _RUNNING) for each in values)
    return False


def imports_of(
    node: ast.Import | ast.ImportFrom, alias: ast.alias
) -> tuple[Import, ...]:
    """What one name of an import brings; `import a.b` binds `a`, and loads `a.b`
    without a name.
    """
    if isinstance(node, ast.ImportFrom):
        bound = "" if alias.name == "*" else alias.asname or alias.name
        return (Import(node.module or "", node.level, alias.name, bound),)
    if alias.asname:
        return (Import(alias.name, 0, None, alias.asname),)
    first, dot, _ = alias.name.partition(".")
    loaded = (Import(alias.name, 0, None, ""),) if dot else ()
    return (Import(first, 0, None, first), *loaded)


def dotted(node: ast.AST) -> Chain:
    """A name with its attributes, or nothing where the attributes are not those of a
    name.
    """
    attributes: list[str] = []
    while isinstance(node, ast.Attribute):
        attributes.append(node.attr)
        node = node.value
    return (node.id, *reversed(attributes)) if isinstance(node, ast.Name) else ()


def _imported(node: ast.AST) -> Iterator[Import]:
    match node:
        case ast.Import() | ast.ImportFrom():
            for alias in node.names:
                yield from imports_of(node, alias)
        case ast.Call(args=[ast.Constant(value=str(module)), *_]):
            yield from _by_name(node.func, module)
        case ast.Call(
            keywords=[
                ast.keyword(arg="name", value=ast.Constant(value=str(module))),
                *_,
            ]
        ):
            yield from _by_name(node.func, module)


def _by_name(function: ast.expr, module: str) -> Iterator[Import]:
    """What `__import__` or `importlib.import_module` brings."""
    if dotted(function)[-1:] in {("__import__",), ("import_module",)}:
        bare = module.lstrip(".")
        yield Import(bare, len(module) - len(bare), None, "")


def _chain(node: ast.AST, covered: set[int]) -> Iterable[Chain]:
    """A name with all attributes taken of it; `covered` marks the nodes of a chain that
    is already seen.
    """
    if id(node) in covered or type(getattr(node, "ctx", None)) is ast.Store:
        return ()
    inner = node
    while isinstance(inner, ast.Attribute):
        inner = inner.value
        covered.add(id(inner))
    chain = dotted(node)
    return (chain,) if chain else ()


def _quoted(node: ast.AST) -> Iterator[Chain]:
    """The names in an annotation that is written as text."""
    match node:
        case (
            ast.arg(annotation=ast.expr() as hint)
            | ast.AnnAssign(annotation=ast.expr() as hint)
        ):
            texts = (each for each in ast.walk(hint) if isinstance(each, ast.Constant))
        case (
            ast.FunctionDef(returns=ast.expr() as hint)
            | ast.AsyncFunctionDef(returns=ast.expr() as hint)
        ):
            texts = (each for each in ast.walk(hint) if isinstance(each, ast.Constant))
        case _:
            return
    for each in texts:
        if isinstance(each.value, str):
            yield from ((name,) for name in _words(each.value))


@functools.lru_cache(maxsize=4096)
def _words(text: str) -> tuple[str, ...]:
    try:
        tree = ast.parse(text.strip(), mode="eval")
    except (SyntaxError, ValueError):
        return ()  # no expression, such as the axes of an array
    return tuple(each.id for each in ast.walk(tree) if isinstance(each, ast.Name))


def _digest(node: ast.AST) -> str:
    return hashlib.sha256(_syntax(node).encode()).hexdigest()


def _syntax(value: object) -> str:
    """The syntax as text, the same in every Python: fields that are empty say nothing.

    `ast.dump` names other fields in each version.
    """
    if isinstance(value, ast.AST):
        named = ((name, getattr(value, name, None)) for name in value._fields)
        parts = [
            f"{name}={_syntax(part)}"
            for name, part in named
            if part is not None and part != []
        ]
        return f"{type(value).__name__}({', '.join(parts)})"
    if isinstance(value, list):
        return f"[{', '.join(_syntax(each) for each in value)}]"
    return repr(value)


def _drop_texts(node: ast.AST) -> None:
    for part in ("body", "orelse", "finalbody"):
        block = getattr(node, part, None)
        if block:
            block[:] = [each for each in block if not is_text(each)]
