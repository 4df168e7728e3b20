"""Strictness for every test: executed shape types, strict promotion, four virtual
devices.
"""

import inspect
import os
import re
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any, get_args

os.environ["OPENBLAS_NUM_THREADS"] = (
    "1"  # small matrices: threads only wait for one another
)
AS_SHIPPED = "JAXML_TEST_AS_SHIPPED" in os.environ
"""Whether programs are optimised as a user's are, which `make stress` asks for in tests
that mean something on a device; compiling them in a hurry takes a third of the time.
Fusion emitters can be left out on a JAX that still has what was before them.
"""
FLAGS = ["--xla_force_host_platform_device_count=4"]
if not AS_SHIPPED:
    FLAGS.append("--xla_backend_optimization_level=0")
    if tuple(map(int, version("jax").split(".")[:2])) < (0, 11):
        FLAGS.append("--xla_cpu_use_fusion_emitters=false")
inherited = os.environ.get("XLA_FLAGS", "").split()
os.environ["XLA_FLAGS"] = " ".join(dict.fromkeys([*inherited, *FLAGS]))

import jaxtyping  # noqa: E402  # the flags come first

checking_shapes = jaxtyping.jaxtyped


def checked(function: Any = None, *, typechecker: Callable[[Any], Any]) -> Any:
    """Types are checked wherever they are stated; sizes of axes are compared where an
    array is among them: their book-keeping takes far longer than the checks.
    """
    if function is None:
        return lambda given: checked(given, typechecker=typechecker)
    hints = getattr(function, "__annotations__", {}).values()
    if inspect.isfunction(function) and not any(map(names_an_array, hints)):
        return typechecker(function)
    return checking_shapes(function, typechecker=typechecker)


def names_an_array(hint: Any) -> bool:
    """Whether a shape is stated anywhere in the hint; perhaps, in a quoted one."""
    if inspect.isclass(hint) and issubclass(hint, jaxtyping.AbstractArray):
        return True
    return isinstance(hint, str) or any(map(names_an_array, get_args(hint)))


jaxtyping.jaxtyped = checked  # what the hook puts before each function
jaxtyping.install_import_hook("jaxml", "beartype.beartype")

import jax  # noqa: E402  # the hook and the flags come first
import pytest  # noqa: E402
from xdist.scheduler import LoadScopeScheduling  # noqa: E402

jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")
PROGRAMS = os.environ.get("JAXML_TEST_PROGRAMS")  # set where tests run again and again
jax.config.update("jax_compilation_cache_dir", PROGRAMS)
if PROGRAMS:
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)

EXPERIMENTS = Path(__file__).parents[1] / "experiments"
STUDIES = {path.stem: path for path in EXPERIMENTS.glob("*/*.py")}


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    """A worker takes a file at a time, for its tests share what they compile; and a
    study at a time.
    """
    return ByFile(config, log)


class ByFile(LoadScopeScheduling):
    """Studies that need another one's result go with it, so that it runs once."""

    def _split_scope(self, nodeid: str) -> str:
        file, _, test = nodeid.partition("::")
        study = test.partition("[")[2].removesuffix("]")
        return root(study) if study in STUDIES else file


def root(study: str) -> str:
    """The study at the beginning of a study's needs: itself if it has none."""
    text = STUDIES[study].read_text()
    needs = re.search(r'^NEEDS = \("(\w+)"', text, re.MULTILINE)
    return root(needs[1]) if needs else study
