"""Values of the command line: several make several configs, and a comma can be one of
them.
"""

from pathlib import Path

import pytest

from jaxml.__main__ import main
from jaxml.commands.variants import variants
from jaxml.record import load
from jaxml.types import InputError

pytestmark = pytest.mark.identity


@pytest.mark.parametrize(
    ("field", "words", "values"),
    [
        ("count", ["5,10, 20"], [5, 10, 20]),
        ("count", ["5,"], [5]),
        ("text", [r"a\,b"], ["a,b"]),
        ("text", [r"a\,b,c"], ["a,b", "c"]),
        ("text", [r"\,"], [","]),
        ("text", [" "], [" "]),
        ("text", [""], [""]),
        ("file", [r"in\,out/x"], [Path("in,out/x")]),
        ("names", [r"a\,b,c", "d"], [("a,b", "c", "d")]),
        ("names", [], [()]),
    ],
)
def test_a_comma_separates_values_unless_a_backslash_precedes_it(
    field: str, words: list[str], values: list[object], place: Path
) -> None:
    study = load(place / "experiments" / "small.py")
    assert variants(study, {field: words}) == [{field: value} for value in values]


@pytest.mark.parametrize(
    ("field", "words"), [("count", [","]), ("names", [", ,"]), ("text", [",", ","])]
)
def test_commas_alone_are_no_value(field: str, words: list[str], place: Path) -> None:
    study = load(place / "experiments" / "small.py")
    with pytest.raises(
        InputError,
        match=f"--{field} is given .* which holds no value: write one or more",
    ):
        variants(study, {field: words})


def test_a_run_without_a_value_is_refused(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", "small", "--count", ","]) == 2
    assert "--count is given ',', which holds no value" in capsys.readouterr().err
    assert not (place / "runs").exists()
