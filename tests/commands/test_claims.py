"""Claims by id and topic, and a wrong word refused without JAX."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from jaxml.__main__ import main
from jaxml.commands.catalogue import claim_names

pytestmark = pytest.mark.identity

OWN = (
    '[My-1]\ntopic = "My Topic"\nkind = "empirical"\nclaim = "My squares are '
    'positive."\n'
)


@pytest.mark.parametrize("words", ["My Topic", "my topic", "my_topic", "my-1", "MY-1"])
def test_capitals_and_the_name_of_the_folder_make_no_difference(
    words: str, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (place / "experiments" / "claims.toml").write_text(OWN)
    assert main(["claims", *words.split()]) == 0
    assert "My squares are positive." in capsys.readouterr().out


def answered(*commands: str) -> list[str]:
    """What a fresh process prints: the exit codes, and whether JAX and matplotlib were
    imported.
    """
    program = (
        "import sys; from jaxml.__main__ import main;"
        f"codes = [main(words.split()) for words in {commands!r}];"
        "print(codes, 'jax' in sys.modules, 'matplotlib' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    return [done.stdout.splitlines()[-1], done.stderr]


def test_a_wrong_word_is_refused_without_jax(place: Path) -> None:
    assert main(["run", "small", "--smoke"]) == 0, "runs are looked at as well"
    last, error = answered(
        "claims C999", "claims momentun", "claims C999 --runs nowhere"
    )
    assert last == "[2, 2, 2] False False"
    assert "There is no claim and no topic 'C999': did you mean" in error


def test_a_claim_that_only_a_run_or_a_verdict_brings_is_known(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = {"mine-1": {"topic": "mine", "kind": "empirical", "claim": "Mine."}}
    study = (place / "experiments" / "small.py").read_text()
    study = study.replace("C001", "mine-1").replace("C158", "mine-1")
    (place / "mine.py").write_text(study + f"\n\nCLAIMS = {own!r}\n")
    assert main(["claims", "mine-1"]) == 2
    assert main(["run", "mine.py", "--runs", "kept"]) == 0
    assert {"mine-1", "mine"} <= set(claim_names(Path("kept")))
    assert main(["claims", "mine-1", "--runs", "kept"]) == 0
    assert main(["claims", "mine-1"]) == 2, "only those runs have it"
    verdicts = place / "experiments" / "verdicts"
    verdicts.mkdir()
    (verdicts / "mine.json").write_text(json.dumps({"manifest": {"own_claims": own}}))
    assert {"mine-1", "mine"} <= set(claim_names(Path("nowhere")))


def test_a_manifest_that_cannot_be_read_brings_no_claims(place: Path) -> None:
    before = claim_names(Path("runs"))
    for number, text in enumerate(
        ("", "[]", "{}", '{"own_claims": 3}', "\udcff", "[" * 100_000)
    ):
        folder = place / "runs" / "small" / f"{number:012}"
        folder.mkdir(parents=True)
        (folder / "manifest.json").write_text(text, errors="surrogateescape")
    assert claim_names(Path("runs")) == before
