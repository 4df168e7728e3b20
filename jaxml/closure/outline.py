"""The top level of a module, statement by statement: what each binds, imports and
changes.
"""

import ast
import functools
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from jaxml.closure.reading import (
    Import,
    dotted,
    flat,
    imports_of,
    is_block,
    is_plain_config,
    is_text,
    parsed,
    reading,
)

_DEFINITIONS = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
_LITERALS = (
    ast.Constant
    | ast.Tuple
    | ast.UnaryOp
    | ast.BinOp
    | ast.operator
    | ast.unaryop
    | ast.expr_context
)
_SCALARS = {
    ("bool",),
    ("complex",),
    ("float",),
    ("int",),
    ("len",),
    ("range",),
    ("str",),
}


class Statement(NamedTuple):
    """A statement on the top level of a module; an import of several names is several
    statements.

    Attributes:
        node: its syntax.
        binds: the names of the module that it gives a value.
        imports: what it imports into the module's own scope.
        effect: it acts beyond binding its names, so it always counts.
        registrars: names in its decorators and bases, which may keep a list of what
            they are given.
    """

    node: ast.stmt
    binds: frozenset[str]
    imports: tuple[Import, ...]
    effect: bool
    registrars: frozenset[str]


class Outline(NamedTuple):
    """The top level of a module.

    Attributes:
        statements: in their order.
        binders: by name, the indices of the statements that bind it or may change it.
        stars: the star imports.
        exports: the names that a star import takes, besides those of its own star
            imports.
    """

    statements: tuple[Statement, ...]
    binders: Mapping[str, list[int]]
    stars: tuple[Import, ...]
    exports: frozenset[str]


@functools.lru_cache(maxsize=1024)
def outline(source: bytes, *, changes: bool = True) -> Outline:
    """The statements of a module.

    With `changes`, an assignment that calls something also stands under each variable
    that it mentions, directly or by way of other statements, and that the call may
    change: drawing from a generator of random numbers changes what is drawn after it.

    Raises:
        SyntaxError, ValueError: the source is no Python.
    """
    statements: list[Statement] = []
    for node in parsed(source).body:
        if not (is_text(node) or _is_script(node)):
            statements += _statements(node, has_globals=b"global " in source)
    binders: dict[str, list[int]] = {}
    for index, statement in enumerate(statements):
        for name in statement.binds:
            binders.setdefault(name, []).append(index)
    exports = _exports(statements, binders)
    if changes:
        _add_changes(statements, binders)
    imports = (each for statement in statements for each in statement.imports)
    stars = tuple(each for each in imports if each.name == "*")
    return Outline(tuple(statements), binders, stars, exports)


def is_import(statement: Statement) -> bool:
    """Whether a statement imports one name, and nothing else."""
    return isinstance(statement.node, ast.Import | ast.ImportFrom)


def _exports(statements: Iterable[Statement], names: Iterable[str]) -> frozenset[str]:
    """What `__all__` lists; without it the names that have no underscore; all where it
    is no plain list.
    """
    listing = [each.node for each in statements if "__all__" in each.binds]
    match listing:
        case []:
            return frozenset(name for name in names if not name.startswith("_"))
        case [ast.Assign(value=ast.List(elts=listed) | ast.Tuple(elts=listed))]:
            words = (each.value for each in listed if isinstance(each, ast.Constant))
            return frozenset(word for word in words if isinstance(word, str))
    return frozenset(names)


def _is_script(node: ast.stmt) -> bool:
    """Whether it is `if __name__ == "__main__"`, which no import runs."""
    match node:
        case ast.If(test=ast.Compare(left=ast.Name(id="__name__")) as test, orelse=[]):
            return ast.unparse(test) == "__name__ == '__main__'"
    return False


def _statements(node: ast.stmt, *, has_globals: bool) -> Iterator[Statement]:
    if isinstance(node, ast.Import | ast.ImportFrom):
        names = () if getattr(node, "module", None) == "__future__" else node.names
        yield from (_import(node, alias) for alias in names)
        return
    binds = set(_bound(node))
    if has_globals:
        declared = (each for each in ast.walk(node) if isinstance(each, ast.Global))
        binds.update(name for each in declared for name in each.names)
    inner = list(flat(node))
    imports = tuple(found for each in inner for found in _imports(each))
    effect = not _is_idle(node) and (not binds - {"_"} or any(map(_acts, inner)))
    registrars = frozenset(name for each in inner for name in _registrars(each))
    yield Statement(node, frozenset(binds), imports, effect, registrars)


def _import(node: ast.Import | ast.ImportFrom, alias: ast.alias) -> Statement:
    single = ast.Import([alias])
    if isinstance(node, ast.ImportFrom):
        single = ast.ImportFrom(node.module, [alias], node.level)
    imports = imports_of(node, alias)
    binds = frozenset(each.bound for each in imports if each.bound)
    return Statement(single, binds, imports, effect=False, registrars=frozenset())


def _imports(node: ast.AST) -> Iterator[Import]:
    if isinstance(node, ast.Import | ast.ImportFrom):
        for alias in node.names:
            yield from imports_of(node, alias)


def _bound(node: ast.AST) -> Iterator[str]:
    """The names that a node gives a value in the module's own scope."""
    children = ast.iter_child_nodes(node)
    match node:
        case (
            ast.FunctionDef(name=name)
            | ast.AsyncFunctionDef(name=name)
            | ast.ClassDef(name=name)
        ):
            yield name
            return
        case ast.Import() | ast.ImportFrom():
            yield from (each.bound for each in _imports(node) if each.bound)
            return
        case ast.Lambda():
            return
        case ast.Name(id=name, ctx=ast.Store()):
            yield name
        case (
            ast.MatchAs(name=str(name))
            | ast.MatchStar(name=str(name))
            | ast.MatchMapping(rest=str(name))
        ):
            yield name
        case ast.comprehension():
            children = iter((node.iter, *node.ifs))
    for child in children:
        yield from _bound(child)


def _acts(node: ast.AST) -> bool:
    """Whether a statement changes something else than the names that it binds."""
    match node:
        case ast.Expr(value=value):
            return not isinstance(value, ast.Constant)
        case ast.Assign(targets=targets):
            return any(map(_stores_into, targets))
        case ast.AugAssign(target=target) | ast.AnnAssign(target=target):
            return _stores_into(target)
    return isinstance(node, ast.Delete | ast.Raise | ast.Assert)


def _stores_into(target: ast.expr) -> bool:
    parts = (
        each
        for each in ast.walk(target)
        if isinstance(each, ast.Attribute | ast.Subscript)
    )
    return any(isinstance(each.ctx, ast.Store) for each in parts)


def _is_idle(node: ast.stmt) -> bool:
    match node:
        case ast.Pass() | ast.Expr(value=ast.Constant()):
            return True
    return False


def _registrars(node: ast.AST) -> Iterator[str]:
    given: list[ast.AST] = []
    if isinstance(node, _DEFINITIONS):
        given += node.decorator_list
    if isinstance(node, ast.ClassDef):
        given += [*node.bases, *node.keywords]
    for each in given:
        yield from (name.id for name in ast.walk(each) if isinstance(name, ast.Name))


def _add_changes(statements: list[Statement], binders: dict[str, list[int]]) -> None:
    """Puts each statement that may change a variable under the variable's name."""
    mutable = {index for index, each in enumerate(statements) if _is_mutable(each.node)}
    variables = {
        name for name, indices in binders.items() if mutable.intersection(indices)
    }
    changes: list[tuple[str, int]] = []
    for index, statement in enumerate(statements):
        if _may_change(statement.node) and not is_plain_config(statement.node):
            mentioned = _mentioned(index, statements, binders)
            changes += [(name, index) for name in mentioned & variables]
    for name, index in changes:
        if index not in binders[name]:
            binders[name].append(index)


def _is_mutable(node: ast.stmt) -> bool:
    """Whether it binds what may change in place: anything but numbers, texts and tuples
    of them.
    """
    match node:
        case ast.AnnAssign(value=None):
            return False
        case (
            ast.Assign(value=ast.expr() as value)
            | ast.AnnAssign(value=ast.expr() as value)
        ):
            is_scalar = isinstance(value, ast.Call) and dotted(value.func) in _SCALARS
            return not is_scalar and not all(
                isinstance(each, _LITERALS) for each in ast.walk(value)
            )
    return isinstance(node, ast.AugAssign) or is_block(node)


def _may_change(node: ast.stmt) -> bool:
    """Whether it runs a call, or takes items of what may be an iterator."""
    unpacks = False
    match node:
        case ast.Assign(targets=targets, value=value):
            unpacks = any(
                isinstance(target, ast.Tuple | ast.List) for target in targets
            )
        case ast.AnnAssign(value=ast.expr() as value) | ast.AugAssign(value=value):
            pass
        case _:
            return is_block(node)
    active = ast.Call | ast.Starred | ast.comprehension
    is_active = unpacks or any(isinstance(each, active) for each in ast.walk(value))
    return is_active and not isinstance(value, ast.Lambda)


def _mentioned(
    index: int, statements: list[Statement], binders: Mapping[str, list[int]]
) -> set[str]:
    """The module's names that a statement uses, directly or by way of others."""
    names: set[str] = set()
    pending = [index]
    while pending:
        used = {chain[0] for chain in reading(statements[pending.pop()].node).chains}
        fresh = (used & binders.keys()) - names
        names |= fresh
        for name in fresh:
            pending += binders[name]
    return names
