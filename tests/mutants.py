"""Plants small mistakes at random in the library, and prints what no test notices.

The doctests of a file and the tests nearest to it look, in a copy of the tree.
"""

import argparse
import ast
import fnmatch
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from pathlib import Path
from queue import SimpleQueue

ROOT = Path(__file__).parents[1]
LOOKING, SECONDS = 4, 900  # test files that look at a mistake, and how long
TESTS = {*ROOT.glob("tests/**/test_*.py")} - {*ROOT.glob("tests/test_st*.py")}
WORDS = {path: set(re.findall(r"\w+", path.read_text())) for path in sorted(TESTS)}
PATHS = sorted(str(path.relative_to(ROOT)) for path in ROOT.glob("jaxml/**/*.py"))
FILES = [path for path in PATHS if not re.search("__init__.py|/bench/", path)]
OPERATORS = "Lt LtE,Gt GtE,Eq NotEq,Is IsNot,In NotIn,Add Sub,Mult Div,And Or"
NAMES = "minimum maximum,min max,argmin argmax,any all,sum mean,sin cos,zeros ones"
PAIRS = [pair.split() for pair in (OPERATORS + ",BitAnd BitOr," + NAMES).split(",")]
OTHER = dict([*PAIRS, *map(reversed, PAIRS), ("Pow", "Mult")])
SWAPPED = {getattr(ast, a): getattr(ast, OTHER[a]) for a in OTHER if hasattr(ast, a)}
UNCHANGED = (ast.JoinedStr, ast.Raise, ast.Assert, ast.Import, ast.ImportFrom)
Mistake = tuple[str, int, int, str]  # file, first byte, byte behind the last, new code


def changed(node: ast.AST) -> ast.AST | None:
    """The node with a mistake; None where none is known for it."""
    match node:
        case ast.Compare(left, [op], right) if type(op) in SWAPPED:
            return ast.Compare(left, [SWAPPED[type(op)]()], right)
        case ast.BinOp(left, op, right) if type(op) in SWAPPED:
            return ast.BinOp(left, SWAPPED[type(op)](), right)
        case ast.BoolOp(op, values):
            return ast.BoolOp(SWAPPED[type(op)](), values)
        case ast.UnaryOp(ast.USub() | ast.Not(), operand):
            return operand
        case ast.Constant(bool() | int() | float() as value):
            wrong = {bool: not value, int: value + 1, float: 2 * value or 1.0}
            return ast.Constant(wrong[type(value)])
        case ast.Attribute(value, name) if name in OTHER:
            return ast.Attribute(value, OTHER[name])
    return None


def computing(node: ast.AST) -> Iterator[ast.AST]:
    """What is computed in a tree: neither annotations nor texts nor errors."""
    yield node
    for name, value in ast.iter_fields(node):
        children = value if isinstance(value, list) else [value]
        for child in () if name in ("annotation", "returns") else children:
            if isinstance(child, ast.AST) and not isinstance(child, UNCHANGED):
                yield from computing(child)


def mistakes(path: str) -> Iterator[Mistake]:
    """Each small mistake that can be made in a file."""
    code = (ROOT / path).read_bytes()
    starts = [0, *(found.end() for found in re.finditer(b"\n", code))]
    for node in computing(ast.parse(code)):
        if (new := changed(node)) is not None:
            first = starts[node.lineno - 1] + node.col_offset
            end = starts[node.end_lineno - 1] + node.end_col_offset
            yield path, first, end, f"({ast.unparse(new)})"


@cache
def tests_of(path: str) -> tuple[str, ...]:
    """The test files of its folder, those that know most of a file, or of its users."""
    room, names = path.split("/")[1], f"{Path(path).stem} {Path(path).parent.name}"
    beside = ROOT / Path(path.replace("jaxml", "tests", 1)).parent
    tree = ast.parse((ROOT / path).read_text())
    defined = {getattr(node, "name", "") for node in tree.body}
    users = Counter(word for words in WORDS.values() for word in words & defined)
    score: Counter[Path] = Counter()
    for each, words in WORDS.items():
        named = re.search(rf"\b{each.stem[5:]}", names) and room in str(each)
        score[each] = 100 * bool(named) + (each.parent == beside) * len(words) / 1000
        score[each] += sum(1 / users[word] for word in words & defined)
    found = [str(each.relative_to(ROOT)) for each, _ in (+score).most_common(LOOKING)]
    importing = f"from {path[:-3].replace('/', '.')} import"
    for user in FILES if len(found) < LOOKING else ():
        found += tests_of(user) if importing in (ROOT / user).read_text() else ()
    return tuple(dict.fromkeys(found))[:LOOKING]


def run(tree: Path, *tests: str) -> tuple[str, list[str]]:
    """What becomes of tests in a tree, and which fail."""
    command = [sys.executable, "-m", "pytest", "-q", "--tb=no", "-rfE", *tests]
    own = {"PYTHONPATH": str(tree), "JAXML_TEST_PROGRAMS": f"{tree.parent}/programs"}
    started = partial(subprocess.Popen, text=True, start_new_session=True, cwd=tree)
    with started(command, env=os.environ | own, stdout=subprocess.PIPE) as process:
        try:
            output, _ = process.communicate(timeout=SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            return "DOES NOT END", []
    failed = re.findall(r"^(?:FAILED|ERROR) (.+?)(?: - .*)?$", output, re.MULTILINE)
    return "NOT NOTICED" if process.returncode in (0, 5) else "noticed", failed


def planted(trees: SimpleQueue[Path], mistake: Mistake) -> tuple[str, list[str]]:
    """What becomes of a mistake, and the tests that notice it."""
    tree, (path, first, end, new) = trees.get(), mistake
    whole = (tree / path).read_bytes()
    (tree / path).write_bytes(whole[:first] + new.encode() + whole[end:])
    outcome, failed = run(tree, "-x", path, *tests_of(path))
    (tree / path).write_bytes(whole)
    trees.put(tree)
    line, old = whole.count(b"\n", 0, first) + 1, whole[first:end].decode()
    print(f"{outcome:12}  {path}:{line}  {old}  ->  {new}  {failed[:1]}", flush=True)
    return outcome, failed


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    for name, default in (("count", 100), ("seed", 0), ("workers", 2), ("files", "*")):
        parser.add_argument(f"--{name}", type=type(default), default=default)
    asked = parser.parse_args()
    known = [at for path in fnmatch.filter(FILES, asked.files) for at in mistakes(path)]
    chosen = random.Random(asked.seed).sample(known, min(asked.count, len(known)))
    left = ["runs", "build", "dist", *(path.name for path in ROOT.glob(".*"))]
    trees: SimpleQueue[Path] = SimpleQueue()
    with tempfile.TemporaryDirectory() as folder:
        for worker in range(asked.workers):
            copied = partial(shutil.copytree, ROOT, Path(folder, str(worker)))
            trees.put(copied(ignore=lambda at, _: left if at == str(ROOT) else ()))
        with ThreadPoolExecutor(asked.workers) as pool:
            outcomes = list(pool.map(partial(planted, trees), chosen))
        noticing = sorted({test for _, failed in outcomes for test in failed})
        unsound = run(trees.get(), *noticing)[1] if noticing else []
    counts = Counter(outcome for outcome, _ in outcomes)
    print(*counts.items(), *(f"FAILS WITHOUT A MISTAKE: {test}" for test in unsound))
    return int(bool(unsound) or 20 * counts["NOT NOTICED"] > len(outcomes))


if __name__ == "__main__":
    sys.exit(main())
