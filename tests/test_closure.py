"""The code that a study can reach: every edit that matters is seen and named, and no
other.
"""

import ast
import re
import shutil
import sys
import textwrap
from pathlib import Path

import jax
import pytest

import jaxml
from jaxml import curvature, learn, problem, record
from jaxml.closure import changes, computing, judging
from jaxml.closure.outline import outline
from jaxml.errors import InputError

EXPERIMENTS = Path(__file__).parents[1] / "experiments"
STUDIES = sorted(EXPERIMENTS.rglob("*.py"))
EVERY_FIFTH = STUDIES[::5]
"""Those that `make test` follows; `make stress` follows the others."""
REAL = [
    path if path in EVERY_FIFTH else pytest.param(path, marks=pytest.mark.stress)
    for path in STUDIES
]
PACKAGE = Path(jaxml.__file__).parent
FRONT_DOOR = ("__main__", "bench", "commands")

STUDY = '''"""A toy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

import helper
from helper import scaled
from jaxml import learn, problem, record
from jaxml.record.figures import label, panels

RATE = 0.1
TITLE = "a title"
np.seterr(all="raise")


@dataclass(frozen=True, kw_only=True)
class Config:
    """Fields."""

    steps: int = 3
    """How many."""


SMOKE = Config(steps=1)


class Result(NamedTuple):
    end: np.ndarray


def inner(x):
    """Inside."""
    return x + 1  # one more


def outer(x, rate=RATE):
    return inner(x) * rate


def idle(x):
    return x - 1


def study(config, keep):
    family = learn.sgd(learn.Hyper(lr=0.1))
    return Result(helper.shifted(scaled(outer(config.steps))), family, problem.parabola)


def findings(result):
    return (record.above("C001", "It grows.", record.certain(result.end.mean()), 0.5),)


def figures(result):
    figure, (axis,) = panels()
    label(axis, TITLE, "x", "y")
    return {"toy": figure, "note": helper.drawn()}
'''

HELPER = '''"""Beside the study."""
from deep import BASE
SCALE = 2.0
def shifted(x):
    """Moves."""
    return x + BASE
def scaled(x):
    return x * SCALE
def drawn():
    return "drawn"
'''


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A study with its neighbours."""
    (tmp_path / "own").mkdir()
    files = {
        "toy.py": STUDY,
        "helper.py": HELPER,
        "deep.py": "BASE = 1.0\nOTHER = 2.0\n",
    }
    for name, text in files.items():
        (tmp_path / "own" / name).write_text(text)
    return tmp_path / "own"


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A copy of the library that can be edited."""
    copy = tmp_path / "jaxml"
    shutil.copytree(
        PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__", "results")
    )
    return copy


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert text.count(old) == 1, (
        f"{old!r} stands {text.count(old)} times in {path.name}"
    )
    path.write_text(text.replace(old, new))


def write(folder: Path, **files: str) -> Path:
    """Writes files by name, with `__` for a folder's slash, and returns the study's
    path.
    """
    for name, text in files.items():
        path = folder / f"{name.replace('__', '/', 1)}.py"
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_text(textwrap.dedent(text))
    return folder / "study.py"


@pytest.mark.invariance
@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("toy.py", '"""A toy."""', '"""Another docstring.\n\nLonger.\n"""'),
        ("toy.py", '"""Fields."""', '"""Other fields."""'),
        ("toy.py", '    """How many."""\n', ""),
        ("toy.py", '    """Inside."""\n', ""),
        ("toy.py", "  # one more", ""),
        ("toy.py", "Config(steps=1)", "Config(steps=2)"),
        ("toy.py", "inner(x) * rate", "inner(\n        x,\n    ) * rate"),
        ("toy.py", '"a title"', '"another title"'),
        ("toy.py", '"x", "y"', '"steps", "y"'),
        ("toy.py", "It grows.", "It grows a lot."),
        ("toy.py", "return x - 1", "return x - 2"),
        ("toy.py", "import learn, problem", "import curvature, learn, problem"),
        ("toy.py", "import label, panels", "import label, panels, symmetric_log"),
        ("toy.py", "from __future__ import annotations\n", ""),
        (
            "toy.py",
            "def findings",
            "if __name__ == '__main__':\n    print(idle(1))\n\n\ndef findings",
        ),
        ("helper.py", '"drawn"', '"redrawn"'),
        ("helper.py", '    """Moves."""\n', ""),
        ("deep.py", "OTHER = 2.0", "OTHER = 3.0"),
    ],
)
def test_what_cannot_change_the_arrays_leaves_the_digest(
    folder: Path, name: str, old: str, new: str
) -> None:
    before = computing(folder / "toy.py")
    edit(folder / name, old, new)
    assert computing(folder / "toy.py") == before


@pytest.mark.identity
@pytest.mark.parametrize(
    ("name", "old", "new", "sentence"),
    [
        ("toy.py", "x + 1", "x + 2", "study changed"),
        ("toy.py", "inner(x) * rate", "inner(x) / rate", "study changed"),
        ("toy.py", "RATE = 0.1", "RATE = 0.2", "study changed"),
        ("toy.py", "rate=RATE", "rate=2 * RATE", "study changed"),
        ("toy.py", "steps: int = 3", "steps: int = 4", "study changed"),
        ("toy.py", "end: np", "ends: np", "study changed"),
        ("toy.py", "import numpy as np", "import jax.numpy as np", "study changed"),
        ("toy.py", 'all="raise"', 'all="warn"', "study changed"),
        (
            "toy.py",
            "def findings",
            "def timings(config): ...\n\n\ndef findings",
            "study changed",
        ),
        (
            "toy.py",
            "def findings",
            'NEEDS = ("escape",)\n\n\ndef findings',
            "study changed",
        ),
        ("helper.py", "x + BASE", "x - BASE", "helper.py changed"),
        ("helper.py", "SCALE = 2.0", "SCALE = 3.0", "helper.py changed"),
        ("deep.py", "BASE = 1.0", "BASE = 2.0", "deep.py changed"),
    ],
)
def test_what_can_change_the_arrays_is_seen_and_named(
    folder, name, old, new, sentence
) -> None:
    before = computing(folder / "toy.py")
    edit(folder / name, old, new)
    after = computing(folder / "toy.py")
    assert changes(before.parts, after.parts) == (sentence,)
    assert after.digest != before.digest


@pytest.mark.identity
@pytest.mark.parametrize(
    ("name", "old", "new", "sentences"),
    [
        ("toy.py", '"x", "y"', '"steps", "y"', ("study changed",)),
        ("toy.py", '"a title"', '"another title"', ("study changed",)),
        ("toy.py", "It grows.", "It grows a lot.", ("study changed",)),
        ("helper.py", '"drawn"', '"redrawn"', ("helper.py changed",)),
        ("toy.py", "x + 1", "x + 2", ()),
        ("toy.py", "steps: int = 3", "steps: int = 4", ()),
        ("helper.py", "x + BASE", "x - BASE", ()),
    ],
)
def test_findings_and_figures_have_a_digest_of_their_own(
    folder, name, old, new, sentences
) -> None:
    before = judging(folder / "toy.py")
    edit(folder / name, old, new)
    assert changes(before.parts, judging(folder / "toy.py").parts) == sentences


@pytest.mark.identity
@pytest.mark.parametrize(
    ("name", "old", "new", "sentences"),
    [
        (
            "learn/optimizers/rules.py",
            "",
            "\nEXTRA = 1\n",
            ("jaxml.learn.optimizers.rules changed",),
        ),
        ("learn/optimizers/rules.py", "", "# a comment\n", ()),
        ("learn/optimizers/rules.py", '"""', '"""More: ', ()),
        ("types.py", "", "\nEXTRA = 1\n", ("jaxml.types changed",)),
        ("problem/toys.py", "", "\nEXTRA = 1\n", ("jaxml.problem.toys changed",)),
        (
            "learn/optimizers/rules.py",
            "",
            "\nfrom jaxml import extra\n",
            ("jaxml.extra is new", "jaxml.learn.optimizers.rules changed"),
        ),
        (
            "learn/__init__.py",
            "",
            "\njax.config.update('jax_enable_x64', True)\n",
            ("jaxml.learn changed",),
        ),
        (
            "learn/__init__.py",
            "",
            "\nfrom jaxml.learn.optimizers.rules import clip as clip\n",
            (),
        ),
        (
            "learn/__init__.py",
            "",
            "\nfrom jaxml.learn.optimizers.momenta import momentum as sgd\n",
            ("jaxml.learn changed",),
        ),
        ("problem/data/text.py", "", "\nEXTRA = 1\n", ()),
        ("record/figures.py", "", "\nEXTRA = 1\n", ()),
        ("record/statistics.py", "", "\nEXTRA = 1\n", ()),
        ("curvature/dense.py", "", "\nEXTRA = 1\n", ()),
        ("__init__.py", "", '\n__version__ = "9"\n', ()),
        ("commands/run.py", "", "\nEXTRA = 1\n", ()),
        ("bench/sweep.py", "", "\nEXTRA = 1\n", ()),
        ("__main__.py", "", "\nEXTRA = 1\n", ()),
    ],
)
def test_the_library_counts_module_by_module(
    folder, package, name, old, new, sentences
) -> None:
    (package / "extra.py").write_text("x = 1\n")
    before = computing(folder / "toy.py", package=package)
    path = package / name
    text = path.read_text()
    path.write_text(text.replace(old, new, 1) if old else text + new)
    assert (
        changes(before.parts, computing(folder / "toy.py", package=package).parts)
        == sentences
    )


@pytest.mark.identity
@pytest.mark.parametrize(
    "name", ["record/figures.py", "record/statistics.py", "record/finding.py"]
)
def test_judging_covers_how_findings_and_figures_are_made(
    folder, package, name
) -> None:
    before = judging(folder / "toy.py", package=package)
    with (package / name).open("a") as file:
        file.write("\nEXTRA = 1\n")
    module = f"jaxml.{name.removesuffix('.py').replace('/', '.')}"
    assert changes(before.parts, judging(folder / "toy.py", package=package).parts) == (
        f"{module} changed",
    )


@pytest.mark.identity
def test_a_star_import_that_finds_a_name_elsewhere_is_seen(folder, package) -> None:
    door = package / "problem" / "__init__.py"
    stars = [f"from jaxml.problem.{name} import *" for name in ("toys", "losses")]
    door.write_text("\n".join(stars))
    before = computing(folder / "toy.py", package=package)
    losses = package / "problem" / "losses.py"
    losses.write_text(
        losses.read_text().replace("__all__ = [", '__all__ = [\n    "parabola",', 1)
    )
    found = changes(before.parts, computing(folder / "toy.py", package=package).parts)
    assert {"jaxml.problem changed", "jaxml.problem.losses is new"} <= set(found)


WAYS = {
    "from helper import f": "def study(config, keep): return f(1)",
    "from helper import f as g": "def study(config, keep): return g(1)",
    "import helper": "def study(config, keep): return helper.f(1)",
    "import helper as h": "def study(config, keep): return h.f(1)",
    "from . import helper": "def study(config, keep): return helper.f(1)",
    "from .helper import f": "def study(config, keep): return f(1)",
    "from helper import *": "def study(config, keep): return f(1)",
    "import helper  # passed on": "def study(config, keep): return getattr(helper, keep)",
    "import importlib": "def study(config, keep): return importlib.import_module('helper').f(1)",
    "from importlib import import_module": "def study(config, keep): return import_module('helper').f(1)",
    "X = 1": "def study(config, keep): return __import__('helper').f(1)",
    "Y = 1": "def study(config, keep):\n    from helper import f\n    return f(1)",
    "Z = 1": "def study(config, keep):\n    import helper as h\n    return h.f(1)",
    "try:\n    from helper import f\nexcept ImportError: ...": "def study(config, keep): return f(1)",
    "from experiments.helper import f": "def study(config, keep): return f(1)",
    "from experiments import helper": "def study(config, keep): return helper.f(1)",
    "import experiments.helper": "def study(config, keep): return experiments.helper.f(1)",
    "from helper import f  # at import": "END = f(1)\ndef study(config, keep): return END",
    "from helper import f  # by default": "def study(config, keep, value=f(1)): return value",
    "from helper import f  # decorator": "@f\ndef study(config, keep): return 1",
    "from helper import f  # annotation": "def study(config: 'f', keep): return 1",
    "from helper import f  # loop": "for END in f(1): pass\ndef study(config, keep): return END",
    "from helper import f  # walrus": "if (END := f(1)): pass\ndef study(config, keep): return END",
    "from helper import f  # class": "class Config:\n    x = f(1)\nstudy = lambda config, keep: Config()",
    "from helper import f  # effect": "f(1)\ndef study(config, keep): return 1",
    "from helper import f  # effect in a block": "with open('x'):\n    f(1)\ndef study(config, keep): ...",
    "from helper import f  # unnamed": "_ = f(1)\ndef study(config, keep): return 1",
    "from helper import f as study": "",
    "from helper import *  # decorator": "@f\ndef other(x): ...\ndef study(config, keep): return 1",
    "class Config:\n    from helper import f": "def study(config, keep): return Config.f(1)",
    "import helper  # by an attribute that is made": "def study(config, keep): return helper.made(1)",
}


@pytest.mark.identity
@pytest.mark.parametrize("way", WAYS)
def test_a_neighbour_is_found_however_it_is_imported(tmp_path, way) -> None:
    folder = tmp_path / "experiments"
    path = write(folder, study=f"{way}\n{WAYS[way]}\n", helper="def f(x): return x\n")
    before = computing(path)
    write(folder, helper="def f(x): return x + 1\n")
    assert changes(before.parts, computing(path).parts) == ("helper.py changed",)


REGISTERED = {
    "registered by a decorator": """
        TABLE = {}
        def register(f):
            TABLE[f.__name__] = f
        @register
        def a(x): return VALUE
        def study(config, keep): return TABLE["a"](1)""",
    "registered by a base": """
        class Base:
            def __init_subclass__(cls): ...
        class Sub(Base):
            x = VALUE
        def study(config, keep): return Base.__subclasses__()""",
    "put into a table": """
        TABLE = {}
        def a(x): return VALUE
        TABLE["a"] = a
        def study(config, keep): return TABLE["a"](1)""",
    "all of another package": """
        from packageVALUE import *
        def study(config, keep): return exp(1)""",
    "acts in a loop": """
        import jax
        for mode in (VALUE,):
            jax.config.update("jax_default_matmul_precision", mode)
        def study(config, keep): return 1""",
    "appended": """
        TABLE = []
        TABLE += [lambda x: VALUE]
        def study(config, keep): return TABLE""",
    "set in a loop": """
        TABLE = {}
        for name in "ab":
            TABLE[name] = VALUE
        def study(config, keep): return TABLE""",
    "taken by a method": """
        TABLE = {}
        first = TABLE.setdefault("a", VALUE)
        def study(config, keep): return TABLE""",
    "drawn before": """
        import numpy as np
        RNG = np.random.default_rng(0)
        def draw(count): return RNG.normal(size=count)
        SHOWN = draw(VALUE)
        USED = draw(3)
        def study(config, keep): return USED""",
    "a global": """
        STATE = 0
        def step():
            global STATE
            STATE = VALUE
        def study(config, keep): return STATE""",
    "globals": """
        def a(x): return VALUE
        def study(config, keep): return globals()["a"](1)""",
    "custom derivative": """
        import jax
        @jax.custom_jvp
        def f(x): return x
        @f.defjvp
        def f_jvp(primals, tangents): return VALUE
        def study(config, keep): return f(1.0)""",
    "either of two": """
        import sys
        if sys.maxsize > 1:
            def f(x): return x
        else:
            def f(x): return VALUE
        def study(config, keep): return f(1)""",
    "bound again": """
        def f(x): return x
        f = f if VALUE else None
        def study(config, keep): return f(1)""",
    "matched": """
        match VALUE:
            case 1 as found: ...
        def study(config, keep): return found""",
}


@pytest.mark.identity
@pytest.mark.parametrize("way", REGISTERED)
def test_what_reaches_a_study_without_its_name_counts(tmp_path, way) -> None:
    before = computing(write(tmp_path, study=REGISTERED[way].replace("VALUE", "1")))
    after = computing(write(tmp_path, study=REGISTERED[way].replace("VALUE", "2")))
    assert changes(before.parts, after.parts) == ("study changed",)


@pytest.mark.identity
@pytest.mark.parametrize("names", ["scale", "*"])
def test_packages_beside_a_study_are_followed(tmp_path, names) -> None:
    files = {
        "study": f"from kit import {names}\ndef study(config, keep): return scale(1)\n",
        "kit__tools": "from .deep import ONE\n"
        "def scale(x): return x * ONE\n"
        "def other(x): return x\n",
        "kit__deep": "ONE = 1\n",
    }
    path = write(tmp_path, **files)
    (tmp_path / "kit" / "__init__.py").write_text("from kit.tools import *\n")
    before = computing(path)
    assert set(before.parts) == {
        "study",
        "kit/__init__.py",
        "kit/tools.py",
        "kit/deep.py",
    }
    write(tmp_path, kit__deep="ONE = 2\n")
    assert changes(before.parts, computing(path).parts) == ("kit/deep.py changed",)
    (tmp_path / "kit" / "__init__.py").write_text(
        "from kit.tools import other as scale\n"
    )
    assert "kit/__init__.py changed" in changes(before.parts, computing(path).parts)


@pytest.mark.identity
def test_importing_a_neighbour_runs_its_effects(tmp_path) -> None:
    """Though only figures use it: the import itself switches to float64."""
    study = (
        "import helper\ndef study(config, keep): return 1\ndef figures(result): return "
        "helper.draw()\n"
    )
    path = write(tmp_path, study=study, helper="def draw(): return 1\n")
    before = computing(path)
    assert set(before.parts) == {"study"}
    write(
        tmp_path,
        helper="import jax\njax.config.update('jax_enable_x64', True)\ndef draw(): "
        "return 1\n",
    )
    assert changes(before.parts, computing(path).parts) == ("helper.py is new",)


@pytest.mark.identity
def test_importing_a_module_runs_its_package(tmp_path) -> None:
    study = "from kit.tools import f\ndef study(config, keep): return f(1)\n"
    path = write(
        tmp_path,
        study=study,
        kit__tools="def f(x): return x\n",
        kit____init__="import jax\n",
    )
    before = computing(path)
    write(
        tmp_path,
        kit____init__="import jax\njax.config.update('jax_enable_x64', True)\n",
    )
    assert changes(before.parts, computing(path).parts) == ("kit/__init__.py is new",)


@pytest.mark.identity
@pytest.mark.parametrize(
    "text",
    [
        "from jaxml import learn\ndef study(config, keep): return getattr(learn, "
        "config.name)\n",
        "from jaxml import learn\nROOMS = [learn]\ndef study(config, keep): return "
        "ROOMS\n",
        "import jaxml.learn\ndef study(config, keep): return jaxml.learn.sgd\n",
    ],
)
def test_a_room_that_is_passed_on_counts_as_a_whole(tmp_path, text) -> None:
    parts = computing(write(tmp_path, study=text)).parts
    modules = {
        f"jaxml.learn.{path.stem}"
        for path in (PACKAGE / "learn").glob("*.py")
        if path.stem != "__init__"
    }
    assert modules <= parts.keys()
    assert not {"jaxml.problem.losses", "jaxml.curvature.dense"} & parts.keys()


@pytest.mark.identity
def test_a_package_that_is_passed_on_counts_with_its_modules(tmp_path) -> None:
    study = "import kit\ndef study(config, keep): return getattr(kit, config.name)\n"
    path = write(
        tmp_path,
        study=study,
        kit____init__="x = 1\n",
        kit__tools="def f(x): return x\n",
    )
    assert computing(path).parts.keys() == {"study", "kit/__init__.py", "kit/tools.py"}


@pytest.mark.invariance
def test_the_digest_knows_no_folder(folder, package) -> None:
    """A checkout, an installed wheel and another machine agree."""
    installed = package / "studies"
    shutil.copytree(folder, installed)
    assert computing(installed / "toy.py", package=package) == computing(
        folder / "toy.py"
    )
    assert judging(installed / "toy.py", package=package) == judging(folder / "toy.py")


@pytest.mark.identity
def test_an_edit_of_equal_length_at_once_is_seen(tmp_path) -> None:
    digests = set()
    for value in range(10):
        path = write(tmp_path, study=f"def study(config, keep): return {value}\n")
        digests.add(computing(path).digest)
    assert len(digests) == 10


@pytest.mark.identity
@pytest.mark.parametrize("name", ["study", "helper"])
def test_a_module_that_is_no_python_is_refused(tmp_path, name) -> None:
    files = {
        "study": "import helper\ndef study(config, keep): return helper.x\n",
        "helper": "x = 1\n",
    }
    path = write(tmp_path, **(files | {name: "def f((\n"}))
    with pytest.raises(InputError, match=rf"{name}\.py cannot be read as Python"):
        computing(path)
    with pytest.raises(InputError, match="cannot be read as Python"):
        judging(tmp_path / "missing.py")


@pytest.mark.identity
@pytest.mark.parametrize("path", REAL, ids=lambda path: path.stem)
def test_of_a_real_study_the_rooms_it_uses_are_found(path: Path) -> None:
    text, parts = path.read_text(), computing(path).parts
    rooms = {
        "learn": learn,
        "problem": problem,
        "curvature": curvature,
        "record": record,
    }
    used = re.findall(r"\b(learn|problem|curvature|record)\.(\w+)", text)
    homes = {
        name: getattr(getattr(rooms[room], name, None), "__module__", "")
        for room, name in used
    }
    found = {module for module in homes.values() if module.startswith("jaxml.")}
    assert found <= parts.keys() | judging(path).parts.keys()
    computes = (
        "sweep",
        "training",
        "descend",
        "compare",
        "digits",
        "relu_sinc",
        "search",
    )
    assert {
        homes[name] for name in computes if f".{name}(" in text and name in homes
    } <= parts.keys()
    assert "study" in parts
    drawing = {
        "jaxml.record.figures",
        "jaxml.record.pages.report",
        "jaxml.record.statistics",
        "jaxml.record.store",
    }
    assert not drawing & parts.keys()
    assert not any(
        name.startswith(f"jaxml.{door}") for door in FRONT_DOOR for name in parts
    )


@pytest.mark.invariance
@pytest.mark.parametrize("path", REAL, ids=lambda path: path.stem)
def test_of_a_real_study_findings_and_figures_are_free(
    path: Path, tmp_path: Path
) -> None:
    copy = tmp_path / path.name
    shutil.copy(path, copy)
    before, judged = computing(copy), judging(copy)
    pattern = r"^(def (?:findings|figures)\([^)]*\)[^:]*:)\n"
    text, count = re.subn(
        pattern, r"\1\n    edited = 'by hand'\n", copy.read_text(), flags=re.MULTILINE
    )
    assert count == 2
    copy.write_text(text)
    assert computing(copy) == before
    assert changes(judged.parts, judging(copy).parts) == ("study changed",)


@pytest.mark.identity
@pytest.mark.parametrize(
    "name", ["gradient_descent", "toy_saddle", "rare_gradients", "lookahead_variance"]
)
def test_every_module_that_runs_was_reached(name: str) -> None:
    """The functions of jaxml that a smoke run enters lie in modules that the closure
    names.
    """
    (path,) = [each for each in STUDIES if each.stem == name]
    study = record.load(path)
    entered: set[str] = set()

    def note(frame, event, _):
        if event == "call":
            entered.add(frame.f_code.co_filename)

    jax.clear_caches()
    sys.setprofile(note)
    try:
        study.study(study.smoke, lambda name, compute: jax.device_get(compute()))
    finally:
        sys.setprofile(None)
    inside = {Path(file) for file in entered if file.startswith(str(PACKAGE))}
    modules = {
        ".".join(("jaxml", *file.relative_to(PACKAGE).with_suffix("").parts))
        for file in inside
    }
    assert modules
    assert modules <= computing(path).parts.keys()
    assert {
        name for name in computing(path).parts if name.startswith("jaxml.")
    } <= sys.modules.keys()


@pytest.mark.identity
@pytest.mark.parametrize(
    "path",
    sorted(PACKAGE.rglob("*.py")),
    ids=lambda path: str(path.relative_to(PACKAGE)),
)
def test_no_module_of_the_library_acts_when_it_is_imported(path: Path) -> None:
    """So that a module which is imported but not reached cannot change a result; but
    for the derivative of a function of its own.
    """
    if path.relative_to(PACKAGE).parts[0].removesuffix(".py") not in FRONT_DOOR:
        statements = outline(path.read_bytes()).statements
        own = set().union(*(each.binds for each in statements))
        acting = [ast.unparse(each.node) for each in statements if each.effect]
        derivatives = [text for text in acting if text.split(".defjvp(")[0] in own]
        assert acting == derivatives


@pytest.mark.golden
def test_a_digest_is_the_same_in_every_python(tmp_path):
    path = tmp_path / "study.py"
    path.write_text(
        "class Config:\n    seed: int = 0\n\ndef study(config, keep):\n    return "
        "f'{config.seed:>3}'\n"
    )
    assert computing(path).parts["study"][:16] == "7e24855e3c6f470c"


@pytest.mark.identity
def test_what_fetches_files_is_no_part_and_what_verifies_them_is(
    tmp_path: Path, package: Path
) -> None:
    path = write(
        tmp_path,
        study="from jaxml import problem\n\ndef study(config, keep):\n"
        "    return problem.fashion_mnist()\n",
    )
    before = computing(path, package=package)
    data = package / "problem" / "data"
    edit(data / "download.py", "_TIMEOUT = 30.0", "_TIMEOUT = 31.0")
    assert computing(path, package=package) == before
    edit(data / "files.py", "content = decompress", "content = 2 * decompress")
    now = computing(path, package=package)
    assert changes(before.parts, now.parts) == ("jaxml.problem.data.files changed",)


@pytest.mark.identity
def test_a_part_that_no_longer_counts_is_no_change() -> None:
    older = {"study": "a", "jaxml.problem.data.download": "b"}
    assert changes(older, {"study": "a"}) == ()
    assert changes(older, {"study": "c"}) == ("study changed",)
