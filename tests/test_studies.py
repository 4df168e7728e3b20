"""Every study keeps the contract, its programs are lowered for accelerators, and its
SMOKE, run twice in one process, gives the same bits.

`make test` runs the SMOKEs of an eighth of the quick studies, `make studies` those of
all others.
"""

import dataclasses
import functools
import inspect
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
import pytest
from jax._src.interpreters import pxla  # where all that JAX compiles passes through

from jaxml import claims, parallel, record, shipped
from jaxml.record import Assertion, Study, judged, load, plain_keep
from jaxml.record.figures import Figure
from jaxml.record.rule import VERDICTS, verdict
from jaxml.record.runs.archive import host
from jaxml.record.runs.config import config_from_json, config_to_json
from jaxml.record.runs.folder import flat
from jaxml.record.verdicts import FOLDER, load_verdicts
from jaxml.source import describe

pytestmark = pytest.mark.invariance

DIFFERENCES = (
    "difference",
    "fraction difference",
    "accuracy difference",
    "ratio",
    "log ratio",
    "nats",
    "loss",
)

STEADY = ("batch_size", "critical_batch", "held_equal")
"""Studies whose SMOKE computes for longer than its programs take to compile."""

LONG = (
    "adam_variants",
    "augmentation",
    "batch_size",
    "batch_time",
    "before_or_after",
    "characters",
    "contained",
    "covariate_shift",
    "critical_batch",
    "critical_points",
    "curvature_cost",
    "defaults",
    "descended_networks",
    "edge_of_stability",
    "equal_epochs",
    "escape_noise",
    "ghost_batches",
    "held_equal",
    "help_network",
    "large_batch",
    "large_batch_techniques",
    "large_spectrum",
    "lookahead_flatness",
    "minimum_ratio",
    "neighbour_ratio",
    "nine_rungs",
    "normaliser_family",
    "planted",
    "pooling",
    "remedies",
    "restricted_layers",
    "rounded_ratio",
    "rungs_apart",
    "saddle_batches",
    "shifted_digits",
    "shuffling",
    "small_batches",
    "smoother_steps",
    "stopped_networks",
    "stuck",
    "stuck_batches",
    "ten_thousand",
    "trajectories",
    "turned_digits",
    "two_by_two",
    "vanishing_gradients",
)
"""Studies whose SMOKE, run twice and judged, takes a core more than eight seconds."""

PATHS = shipped.within(shipped.studies())
QUICK = [path for path in PATHS if path.stem not in LONG]
HERE = QUICK[::8]

RUN = [
    path if path in HERE else pytest.param(path, marks=pytest.mark.smoke)
    for path in PATHS
]


def entered(path: Path) -> bool:
    """Whether the study has a verdict."""
    return (shipped.studies() / FOLDER / f"{path.stem}.json").is_file()


def compiler_options(*, steady: bool) -> dict[str, Any]:
    """What XLA is asked for: programs that compile fast, or that are fast enough. Its
    fusion emitters, which take half of the time to compile, can be left out on a JAX
    that still has the old ones.
    """
    options: dict[str, Any] = {"xla_backend_optimization_level": int(steady)}
    if jax.__version_info__ < (0, 11):
        options["xla_cpu_use_fusion_emitters"] = False
    return options


@contextmanager
def hurried(study: Study) -> Iterator[None]:
    """Its programs are compiled in a hurry: whether bits repeat does not depend on how
    fast they come.
    """
    steady = study.name in STEADY
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(
            parallel, "compiler_options", lambda _: compiler_options(steady=steady)
        )
        jax.config.update("jax_disable_most_optimizations", not steady)
        yield
        jax.config.update("jax_disable_most_optimizations", False)


class Compiled(NamedTuple):
    """What a study compiled: how JAX was asked to lower it, and in which precision."""

    asked: tuple[tuple[Any, ...], dict[str, Any]]
    wide: bool


COMPILED: dict[Path, list[Compiled]] = {}
"""The programs of each study whose SMOKE has run, until its tests end."""


@contextmanager
def remembered(programs: list[Compiled]) -> Iterator[None]:
    """Every program that JAX lowers is noted down, an operation outside `jit` too."""
    lower = pxla.lower_sharding_computation

    def noted(*args: Any, **kwargs: Any) -> Any:
        programs.append(Compiled((args, kwargs), jax.config.values["jax_enable_x64"]))
        return lower(*args, **kwargs)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(pxla, "lower_sharding_computation", noted)
        yield


ACCELERATORS = ("cuda", "tpu")


def lowered_for(platforms: tuple[str, ...], program: Compiled) -> str:
    """What JAX says against a program on other platforms; empty where it lowers it."""
    args, kwargs = program.asked
    try:
        with jax.enable_x64(program.wide):
            pxla.lower_sharding_computation(
                *args, **{**kwargs, "lowering_platforms": platforms}
            )
    except Exception as error:
        return f"{args[2]}: {type(error).__name__}: {str(error).splitlines()[0]}"
    return ""


class Smoke(NamedTuple):
    study: Study
    first: Any
    asserted: tuple[Assertion, ...]
    figures: dict[str, Figure]


loaded = functools.cache(load)
"""The study at a path, imported once for all tests."""


@contextmanager
def few_resamples() -> Iterator[None]:
    """Intervals are those of a hundred resamples: what they cover is tested where they
    are made.
    """
    with pytest.MonkeyPatch.context() as patched:
        for function in (record.tuned, record.bootstrap):
            bare = inspect.unwrap(function)
            few = {**bare.__kwdefaults__, "resamples": 100}
            patched.setattr(bare, "__kwdefaults__", few)
        yield


@functools.cache
def smoke_result(path: Path) -> Any:
    study = loaded(path)
    needed = [smoke_result(shipped.needed(path, name)) for name in study.needs]
    with hurried(study), remembered(COMPILED.setdefault(path, [])):
        return host(study.study(study.smoke, plain_keep, *needed))


@pytest.fixture(scope="module")
def compiled_once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The second run traces anew and executes anew, but loads the programs that the
    first compiled.
    """
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update(
        "jax_compilation_cache_dir", str(tmp_path_factory.mktemp("programs"))
    )
    yield
    jax.config.update("jax_compilation_cache_dir", None)


def smoked(path: Path) -> Smoke:
    """What the findings and figures of a study make of its SMOKE."""
    study, first = loaded(path), smoke_result(path)
    with hurried(study):
        timings = () if study.timings is None else (study.timings(study.smoke),)
    with few_resamples():
        asserted = study.findings(first, *timings)
    return Smoke(study, first, asserted, study.figures(first, *timings))


@pytest.fixture(scope="module", params=RUN, ids=lambda path: path.stem)
def smoke(request: pytest.FixtureRequest, compiled_once: None) -> Iterator[Smoke]:
    yield smoked(request.param)
    COMPILED.pop(request.param, None)
    jax.clear_caches()


def test_the_result_is_equal_bit_for_bit(smoke: Smoke) -> None:
    """The study is run once more."""
    study = smoke.study
    needed = [smoke_result(shipped.needed(study.path, name)) for name in study.needs]
    with hurried(study):
        second = host(study.study(study.smoke, plain_keep, *needed))
    one, other = flat(smoke.first), flat(second)
    assert one.keys() == other.keys()
    for name, a in one.items():
        b = other[name]
        assert (a.dtype, a.shape, a.tobytes()) == (b.dtype, b.shape, b.tobytes()), name


def test_every_program_is_lowered_for_accelerators(smoke: Smoke) -> None:
    programs = COMPILED[smoke.study.path]
    said = {lowered_for(ACCELERATORS, program) for program in programs}
    assert said - {""} == set()


def test_a_program_that_no_accelerator_has_a_rule_for_is_named() -> None:
    """Eigenvalues of a general matrix, inside and outside `jit`, are LAPACK's alone on
    a TPU.
    """
    programs: list[Compiled] = []
    with remembered(programs):
        matrix = jax.numpy.ones((3, 3)) + 1
        jax.jit(jax.numpy.linalg.eigvals)(matrix)
        jax.lax.linalg.eig(matrix)
    said = [lowered_for(ACCELERATORS, program) for program in programs]
    assert len([words for words in said if "eig" in words and "tpu" in words]) == 2
    assert "" in said, "sums have a rule"


def test_findings_are_judged_and_of_announced_claims(smoke: Smoke) -> None:
    findings = judged(smoke.asserted)
    assert findings
    for finding in findings:
        assert finding.verdict in VERDICTS
        assert finding.n >= 0
    spoken_of = {finding.claim for finding in findings}
    assert spoken_of == set(smoke.study.announced), (
        "the `Claims:` line names what findings speak of"
    )
    keys = [(finding.claim, finding.statement, finding.setting) for finding in findings]
    assert len(set(keys)) == len(keys), (
        "replicates are matched by claim, statement and setting"
    )


def test_a_margin_comes_with_every_difference_that_decides(smoke: Smoke) -> None:
    for each in smoke.asserted:
        random = each.measured.at is not None
        if each.role == "deciding" and random and each.unit in DIFFERENCES:
            assert each.rule.margin > 0, f"{each.claim}: {each.statement}"


def test_figures_that_findings_name_exist(smoke: Smoke) -> None:
    named = {each.figure for each in smoke.asserted} - {""}
    assert named <= set(smoke.figures)


def test_figures_draw(smoke: Smoke) -> None:
    assert smoke.figures
    for figure in smoke.figures.values():
        figure.draw_without_rendering()


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_config_round_trips(path: Path) -> None:
    study = loaded(path)
    for config in (study.Config(), study.smoke):
        assert config_from_json(study.Config, config_to_json(config)) == config


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_the_source_describes_the_study(path: Path) -> None:
    description = describe(path)
    assert {"Claims", "Cost", "Expect", "Run"} <= description.notes.keys()
    assert description.notes["Run"].startswith(f"jaxml run {path.stem}")
    title, blank = path.read_text().splitlines()[:2]
    assert title == f'"""{description.title}' and blank == "", "a title is one line"
    assert "dtype" not in description.fields or "config.dtype" in path.read_text(), (
        "dtype is obeyed, or no field"
    )


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_a_study_lies_in_the_topic_of_what_it_decides(path: Path) -> None:
    """Or, as long as it decides nothing, of the first claim that it announces."""
    known = loaded(path).announced
    ids = list(claims.announced(describe(path).notes["Claims"]))[:1]
    if entered(path):
        committed = shipped.studies() / FOLDER / f"{path.stem}.json"
        findings = load_verdicts(committed).findings
        ids = [each.claim for each in findings if each.role == "deciding"] or ids
    folders = {claims.folder(known[name].topic) for name in ids}
    assert path.parent.name in folders


COMMITTED = sorted((shipped.studies() / FOLDER).glob("*.json"))


@pytest.mark.parametrize("path", COMMITTED, ids=lambda path: path.stem)
def test_a_deciding_fraction_could_have_come_out_either_way(path: Path) -> None:
    """With its n and level: "< 0.05" of a fraction needs 72 units at zero hits."""
    for each in load_verdicts(path).findings:
        spread = each.low < each.high  # that of equal fractions is none
        counted = spread and (each.measured * each.n).is_integer()
        if each.role == "deciding" and each.unit == "fraction" and counted:
            none = np.zeros(each.n, bool)
            hits = np.arange(each.n)[:, None] > np.arange(each.n)
            possible = {
                verdict(
                    *record.proportion(row, of=none, level=each.level)[1:3], each.rule
                )
                for row in (*hits, ~none)
            }
            assert {"supported", "refuted"} <= possible, f"{each.claim}, n = {each.n}"


def test_no_two_topics_have_a_study_of_one_name() -> None:
    assert len({path.stem for path in PATHS}) == len(PATHS)


LITERAL_SEEDS = (
    r"random\.key\(\d",
    r"default_rng\(\d*\)",
    r"seed=\[?\d",
    r"seed=range",
    r"PRNGKey",
)


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_one_seed_moves_all_randomness(path: Path) -> None:
    source = path.read_text()
    found = [
        match for pattern in LITERAL_SEEDS for match in re.findall(pattern, source)
    ]
    assert not found, "randomness comes from randomness.key and randomness.seeds alone"
    seeded = "seed" in describe(path).fields
    assert seeded == ("config.seed" in source)
    assert seeded or "jax.random" not in source


LONGER = {"heavy_tails": {"steps": 300}}
"""Studies whose SMOKE ends before any run arrives, so that nothing random shows yet."""


def moved_by_a_seed(path: Path) -> bool:
    """Whether a committed replicate from another seed measured other values."""
    if not entered(path):
        return False
    verdicts = load_verdicts(shipped.studies() / FOLDER / f"{path.stem}.json")
    first = [finding.measured for finding in verdicts.findings]
    return any(
        [finding.measured for finding in replicate.findings] != first
        for replicate in verdicts.replicates
        if "seed" in replicate.differs
    )


def test_another_seed_gives_other_arrays(smoke: Smoke) -> None:
    """As replicates show, or, where there is none that does, another SMOKE."""
    study = smoke.study
    if "seed" not in describe(study.path).fields:
        return  # nothing is random there, as test_one_seed_moves_all_randomness holds
    if moved_by_a_seed(study.path):
        return
    needed = [smoke_result(shipped.needed(study.path, name)) for name in study.needs]
    config = dataclasses.replace(study.smoke, **LONGER.get(study.name, {}))
    results = []
    for seed in (0, 1):
        seeded = dataclasses.replace(config, seed=seed)
        same = seeded == study.smoke
        with hurried(study):
            results.append(
                flat(
                    smoke.first
                    if same
                    else host(study.study(seeded, plain_keep, *needed))
                )
            )
    first, second = results
    assert any(
        array.tobytes() != second[name].tobytes() for name, array in first.items()
    )
