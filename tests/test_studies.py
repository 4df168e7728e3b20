"""Every study keeps the contract: its SMOKE, run twice in one process, gives the same bits."""

import functools
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import jax
import pytest

from jaxml.record import Finding, Study, load, plain_keep
from jaxml.record.archive import host
from jaxml.record.config import config_from_json, config_to_json
from jaxml.record.runs import flat
from jaxml.source import describe

pytestmark = pytest.mark.invariance

PATHS = sorted((Path(__file__).parents[1] / "experiments").glob("[!_]*.py"))


class Smoke(NamedTuple):
    study: Study
    first: Any
    second: Any
    measured: tuple[Any, ...]  # what findings and figures receive


@functools.cache
def smoke_result(path: Path) -> Any:
    study = load(path)
    needed = [smoke_result(path.with_name(f"{name}.py")) for name in study.needs]
    return host(study.study(study.smoke, plain_keep, *needed))


@pytest.fixture(scope="module")
def compiled_once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The second run traces anew and executes anew, but loads the programs that the first compiled.

    They are compiled in a hurry: whether bits repeat does not depend on how fast they come.
    """
    jax.config.update("jax_disable_most_optimizations", True)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_compilation_cache_dir", str(tmp_path_factory.mktemp("programs")))
    yield
    jax.config.update("jax_compilation_cache_dir", None)
    jax.config.update("jax_disable_most_optimizations", False)


@pytest.fixture(scope="module", params=PATHS, ids=lambda path: path.stem)
def smoke(request: pytest.FixtureRequest, compiled_once: None) -> Iterator[Smoke]:
    study = load(request.param)
    needed = [smoke_result(study.path.with_name(f"{name}.py")) for name in study.needs]
    first, second = smoke_result(study.path), host(study.study(study.smoke, plain_keep, *needed))
    timings = () if study.timings is None else (study.timings(study.smoke),)
    yield Smoke(study, first, second, (first, *timings))
    jax.clear_caches()


def test_the_result_is_equal_bit_for_bit(smoke: Smoke) -> None:
    one, other = flat(smoke.first), flat(smoke.second)
    assert one.keys() == other.keys()
    for name, a in one.items():
        b = other[name]
        assert (a.dtype, a.shape, a.tobytes()) == (b.dtype, b.shape, b.tobytes()), name


def test_findings_are_of_announced_claims(smoke: Smoke) -> None:
    findings = smoke.study.findings(*smoke.measured)
    announced = describe(smoke.study.path).notes["Claims"]
    assert findings
    for finding in findings:
        assert isinstance(finding, Finding)
        assert finding.verdict in ("supported", "refuted", "undecided")
        assert finding.claim in announced
        assert finding.n >= 0


def test_figures_save(smoke: Smoke) -> None:
    figures = smoke.study.figures(*smoke.measured)
    assert figures
    for figure in figures.values():
        figure.savefig(BytesIO(), format="png")


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_config_round_trips(path: Path) -> None:
    study = load(path)
    for config in (study.Config(), study.smoke):
        assert config_from_json(study.Config, config_to_json(config)) == config


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_the_source_describes_the_study(path: Path) -> None:
    description = describe(path)
    assert {"Claims", "Cost", "Expect", "Run"} <= description.notes.keys()
    assert description.notes["Run"].startswith(f"jaxml run {path.stem}")
    taken = {"runs", "smoke", "again", "require_accelerator", "help"}
    assert not taken & description.fields.keys(), "the command line has an option of that name"
