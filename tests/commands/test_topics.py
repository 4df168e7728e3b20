"""Studies in the folders of topics: how a name, a need and a ledger find each other."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from jaxml import shipped
from jaxml.__main__ import main
from jaxml.commands.catalogue import find_all, known

pytestmark = pytest.mark.identity


@pytest.fixture
def topics(place: Path, written: Callable[..., Path]) -> Path:
    """The folder of studies: `one` and `two` in `first`, `three`, which needs `one`, in
    `second`.
    """
    folder = place / "experiments"
    needing = {
        "head": 'import numpy as np\n\nNEEDS = ("one",)\n',
        "arguments": "def study(config, keep, one)",
    }
    for name, topic in {"one": "first", "two": "first", "three": "second"}.items():
        path = written(name, **(needing if name == "three" else {}))
        (folder / topic).mkdir(exist_ok=True)
        path.rename(folder / topic / path.name)
    return folder


def test_names_and_topics_stand_for_files(topics: Path) -> None:
    first = [topics / "first" / "one.py", topics / "first" / "two.py"]
    third = topics / "second" / "three.py"
    assert list(known().values()) == [topics / "small.py", *first, third]
    assert find_all(["two"]) == first[1:]
    assert find_all(["two", "first/"]) == [first[1], first[0]]
    assert find_all(["three", "experiments/first"]) == [
        third,
        *(Path("experiments/first") / path.name for path in first),
    ]
    (topics / "package").mkdir()
    (topics / "package" / "__init__.py").write_text("")
    (topics / "package" / "tools.py").write_text("")
    assert "tools" not in known()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("run fist/", "There is no topic 'fist/': did you mean 'first/'?"),
        ("run tow", "There is no study 'tow': did you mean 'two'?"),
        ("studies frist", "There is no study 'frist': did you mean 'first/'?"),
        ("run empty/ --smoke", "There is no study in empty/ yet"),
        ("run twin", "Two topics have a study 'twin': rename one, or name the file,"),
    ],
)
def test_wrong_names_are_answered_in_a_sentence(
    words: str, sentence: str, topics: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (topics / "empty").mkdir()
    for topic in ("first", "second"):
        shutil.copy(topics / "first" / "one.py", topics / topic / "twin.py")
    assert main(words.split()) == 2
    assert sentence in capsys.readouterr().err
    assert main(["studies", "experiments/second/twin.py"]) == 0, "its file is no riddle"


def test_a_need_of_another_topic_is_run_and_kept_up_to_date(
    topics: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", "second/", "--smoke"]) == 0
    (folder,) = Path("runs/three").iterdir()
    manifest = json.loads((folder / "manifest.json").read_text())
    assert [need["study"] for need in manifest["needs"]] == ["one"]
    assert main(["verify", str(folder)]) == 0
    capsys.readouterr()
    assert main(["studies", "three"]) == 0
    assert "three (smoke only)" in capsys.readouterr().out
    path = topics / "first" / "one.py"
    path.write_text(path.read_text().replace("count + 1", "count + 2"))
    assert main(["studies", "three"]) == 0
    assert "study changed, for one" in capsys.readouterr().out


def test_a_topic_is_run_whole_and_listed_under_its_name(
    topics: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", "first/", "--smoke"]) == 0
    assert sorted(path.name for path in Path("runs").iterdir()) == ["one", "two"]
    capsys.readouterr()
    assert main(["studies"]) == 0
    listed = capsys.readouterr().out
    names = ("first/", "one", "two", "second/", "three")
    found = [listed.index(name) for name in names]
    assert found == sorted(found)


def test_the_folder_of_studies_is_above_a_topic(topics: Path, place: Path) -> None:
    assert shipped.root(topics / "first" / "one.py") == topics.resolve()
    assert shipped.root(topics / "small.py") == topics.resolve()
    (place / "mine" / "topic").mkdir(parents=True)
    alone = place / "mine" / "topic" / "study.py"
    assert shipped.root(alone) == alone.parent.resolve()
    (place / "mine" / "claims.toml").write_text("")
    assert shipped.root(alone) == (place / "mine").resolve()
