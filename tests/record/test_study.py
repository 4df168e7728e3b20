import dataclasses
import enum
import json
import sys
from pathlib import Path
from typing import Literal, NamedTuple

import pytest

from jaxml.record.runs.config import config_from_json, config_to_json
from jaxml.record.study import load
from jaxml.types import InputError

pytestmark = pytest.mark.identity


def test_load_returns_the_parts(toy, toy_path):
    assert toy.name == "toy" and toy.path == toy_path.resolve()
    assert toy.smoke == toy.Config(seeds=2) and toy.Result._fields == (
        "power",
        "parity",
    )
    assert toy.timings is not None
    assert sys.modules["jaxml_study_toy"].Config is toy.Config


def test_load_names_the_module_after_its_folder(toy_path, tmp_path):
    (tmp_path / "experiments").mkdir()
    moved = toy_path.rename(tmp_path / "experiments" / "toy_experiment.py")
    assert load(moved).Config.__module__ == "experiments.toy_experiment"
    (tmp_path / "experiments" / "toys").mkdir()
    moved = moved.rename(tmp_path / "experiments" / "toys" / "toy_experiment.py")
    assert load(moved).Config.__module__ == "experiments.toys.toy_experiment"


@pytest.mark.parametrize("place", ["mine", ".", "mine/topic"])
def test_a_ledger_is_found_beside_a_study_and_above_its_topic(
    toy_path, tmp_path, place
):
    (tmp_path / "mine" / "topic").mkdir(parents=True)
    own = '[mine]\ntopic = "t"\nkind = "empirical"\nclaim = "Mine."\n'
    (tmp_path / "mine" / "claims.toml").write_text(own)
    toy_path.write_text(toy_path.read_text().replace("C150a, A3.", "C150a, mine."))
    moved = toy_path.rename(tmp_path / place / "toy_of_mine.py")
    if place == ".":
        with pytest.raises(InputError, match="speaks of 'mine'"):
            load(moved)
    else:
        assert load(moved).announced["mine"].claim == "Mine."


def test_timings_may_be_missing(toy_path):
    toy_path.write_text(toy_path.read_text().replace("def timings(", "def unused("))
    assert load(toy_path).timings is None


@pytest.mark.parametrize(
    ("old", "new", "word"),
    [
        ("class Config", "class Other", "Config"),
        ("frozen=True, ", "", "Config"),
        (", kw_only=True", "", "Config"),
        ("class Result(NamedTuple)", "class Result", "Result"),
        ("SMOKE = Config(seeds=2)", "SMOKE = None", "SMOKE"),
        ("def study(", "def studied(", "study"),
        ("def findings(", "def found(", "findings"),
        ("def figures(", "figures = 3\ndef drawn(", "figures"),
        ("def timings(", "timings = 3\ndef timed(", "timings"),
        (
            "import dataclasses\n",
            "import dataclasses, no_such_module\n",
            "no_such_module",
        ),
        ("def study(", "def study((", "read as Python"),
        ("C150a, A3.", "C150a, C999.", "speaks of 'C999'"),
        ("Claims: C001, C150a, A3.", "Claims:", "announces no claim"),
        ("fail: bool", "smoke: bool", "name of an option"),
        ("calls = []", "calls = []\nCLAIMS = ['C001']", "is no table of claims"),
    ],
)
def test_load_says_what_is_missing(toy_path, old, new, word):
    source = toy_path.read_text()
    assert old in source
    toy_path.write_text(source.replace(old, new))
    with pytest.raises(InputError, match=word):
        load(toy_path)


def test_a_failed_import_leaves_the_earlier_module(toy, toy_path):
    toy_path.write_text("raise ValueError('no')")
    with pytest.raises(InputError, match="no"):
        load(toy_path)
    assert sys.modules["jaxml_study_toy"].Config is toy.Config


@pytest.mark.parametrize("name", ["absent.py", "toy.txt", "."])
def test_what_is_no_study_is_refused(tmp_path, name):
    with pytest.raises(InputError):
        load(tmp_path / name)


def test_a_config_survives_json(toy):
    config = toy.Config(scales=(1, 3), offset=2, grid=(5, 6), dtype="float64")
    values = json.loads(json.dumps(config_to_json(config)))
    assert values["scales"] == [1.0, 3.0] and values["offset"] == 2.0
    assert config_from_json(toy.Config, values) == config
    assert config_to_json(config) == values
    assert type(config_from_json(toy.Config, values).scales[0]) is float


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"colour": 1}, "colour is unknown"),
        ({"seeds": None}, "seeds"),
        ({"seeds": 1.0}, "seeds"),
        ({"seeds": True}, "seeds"),
        ({"fail": 1}, "fail"),
        ({"scales": 1.0}, "scales"),
        ({"scales": ["a"]}, "scales"),
        ({"grid": [1]}, "grid"),
        ({"dtype": "float16"}, "dtype"),
        ({"offset": "x"}, "offset"),
    ],
)
def test_a_wrong_field_is_named_with_the_valid_ones(toy, change, word):
    values = config_to_json(toy.smoke) | change
    with pytest.raises(
        InputError, match=rf"{word}.*scales, seeds, seed, offset, grid, dtype, fail"
    ):
        config_from_json(toy.Config, values)


def test_a_missing_field_is_named(toy):
    values = config_to_json(toy.smoke)
    del values["grid"]
    with pytest.raises(InputError, match="grid is missing"):
        config_from_json(toy.Config, values)


def test_a_config_of_wrong_values_is_refused(toy):
    with pytest.raises(InputError, match="seeds"):
        config_to_json(dataclasses.replace(toy.smoke, seeds="2"))


def test_an_unsupported_type_is_refused():
    @dataclasses.dataclass(frozen=True, kw_only=True)
    class Config:
        inner: NamedTuple

    with pytest.raises(InputError, match="inner"):
        config_to_json(Config(inner=()))


class Shade(enum.Enum):
    DARK = 1
    LIGHT = 2


@dataclasses.dataclass(frozen=True, kw_only=True)
class Rich:
    file: Path = Path("a/b")
    shade: Shade = Shade.DARK
    sizes: list[int] = dataclasses.field(default_factory=lambda: [1, 2])
    limits: dict[str, float] = dataclasses.field(default_factory=dict)
    place: Path | None = None


def test_paths_enums_lists_and_dicts_survive_json():
    config = Rich(file=Path("~/x"), shade=Shade.LIGHT, limits={"a": 1}, place=Path("c"))
    values = json.loads(json.dumps(config_to_json(config)))
    assert values == {
        "file": "~/x",
        "shade": "LIGHT",
        "sizes": [1, 2],
        "limits": {"a": 1.0},
        "place": "c",
    }
    assert config_from_json(Rich, values) == config
    with pytest.raises(InputError, match="shade"):
        config_from_json(Rich, values | {"shade": "GREY"})


class Tone(enum.StrEnum):
    DEEP = "low"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Keyed:
    numbers: dict[int, float] = dataclasses.field(default_factory=dict)
    rates: dict[float, int] = dataclasses.field(default_factory=dict)
    flags: dict[bool, str] = dataclasses.field(default_factory=dict)
    files: dict[Path, int] = dataclasses.field(default_factory=dict)
    shades: dict[Shade, Tone] = dataclasses.field(default_factory=dict)
    widths: dict[Literal[1, "two"], int] = dataclasses.field(default_factory=dict)
    optional: dict[int | None, int] = dataclasses.field(default_factory=dict)
    nested: tuple[dict[int, list[Path]], ...] = ()
    mixed: dict[str | int, int] = dataclasses.field(default_factory=dict)


def test_keys_survive_json_in_their_types():
    config = Keyed(
        numbers={1: 2.0, -3: 4.5},
        rates={0.1: 1, 1e-30: 2, float("inf"): 3},
        flags={True: "yes", False: "no"},
        files={Path("a/b"): 1},
        shades={Shade.LIGHT: Tone.DEEP},
        widths={1: 2, "two": 3},
        optional={None: 1, 2: 3},
        nested=({1: [Path("c")]},),
        mixed={"one": 1},
    )
    values = json.loads(json.dumps(config_to_json(config)))
    assert values["numbers"] == {"1": 2.0, "-3": 4.5} and values["shades"] == {
        "LIGHT": "DEEP"
    }
    again = config_from_json(Keyed, values)
    assert again == config and repr(again) == repr(config)


@pytest.mark.parametrize(
    "change",
    [
        {"numbers": {"x": 1.0}},
        {"numbers": {"1.5": 1.0}},
        {"numbers": {"true": 1.0}},
        {"flags": {"1": "yes"}},
        {"shades": {"GREY": "DEEP"}},
    ],
)
def test_a_key_of_another_type_is_refused(change):
    with pytest.raises(InputError, match=next(iter(change))):
        config_from_json(Keyed, config_to_json(Keyed()) | change)


@pytest.mark.parametrize("mixed", [{1: 2}, {"1": 2, 1: 3}])
def test_a_key_that_json_would_change_is_refused(mixed):
    with pytest.raises(InputError, match="mixed"):
        config_to_json(Keyed(mixed=mixed))


def test_claims_beside_a_study_and_in_it_are_known(toy_path, tmp_path):
    entry = 'topic = "mine"\nkind = "empirical"\nclaim = "Mine holds."\n'
    (tmp_path / "claims.toml").write_text(f"[mine-1]\n{entry}")
    source = toy_path.read_text().replace("C150a, A3.", "C150a, A3, mine-1, mine-2.")
    table = {"mine-2": {"topic": "mine", "kind": "empirical", "claim": "This too."}}
    toy_path.write_text(source + f"\nCLAIMS = {table!r}\n")
    announced = load(toy_path).announced
    assert list(announced) == ["C001", "C150a", "A3", "mine-1", "mine-2"]
    assert announced["mine-2"].claim == "This too."
    (tmp_path / "claims.toml").write_text(f"[C001]\n{entry}")
    with pytest.raises(InputError, match="belongs to another claim"):
        load(toy_path)
