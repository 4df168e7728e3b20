"""Parts of a list of runs: together they are all of it, each is made once, and a
cluster takes them as jobs.
"""

from collections.abc import Callable
from pathlib import Path

import pytest

from jaxml.__main__ import main
from jaxml.commands.submit import submit
from jaxml.record import list_runs, load_run

pytestmark = pytest.mark.identity


def counts(runs: Path) -> list[int]:
    """The count of each run's config."""
    manifests = [load_run(path).manifest for path in list_runs(runs)]
    return sorted(each["config"]["count"] for each in manifests)


def test_the_shards_of_a_list_are_all_of_it_and_none_is_made_twice(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["run", "small", "--count", "10,11,12"]
    assert main([*words, "--shard", "1/2"]) == 0
    assert "Shard 1 of 2: 2 runs" in capsys.readouterr().out
    assert counts(place / "runs") == [10, 12]
    assert main([*words, "--shard", "2/2"]) == 0
    assert counts(place / "runs") == [10, 11, 12]
    capsys.readouterr()
    assert main([*words, "--shard", "1/2"]) == 0
    assert capsys.readouterr().out.count("ran before and is shown") == 2
    assert len(counts(place / "runs")) == 3


def test_a_shard_of_nothing_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "small", "--smoke", "--shard", "2/2"]) == 0
    assert capsys.readouterr().out == "Shard 2 of 2: 0 runs\n"


@pytest.mark.parametrize("shard", ["0/2", "3/2", "2", "a/b", "-1/2", "1/2/3", "½/2"])
def test_what_names_no_shard_is_a_sentence(
    shard: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", "small", f"--shard={shard}"]) == 2
    said = capsys.readouterr().err
    assert f"--shard {shard} names no part: write 2/5 for the second of five" in said


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["nope"], "There is no study 'nope'"),
        (["small", "--shard", "1/2"], "makes the shards: leave --shard out"),
        (["small", "--shards", "0"], "--shards 0 makes no job"),
        (["small", "--set", "partition"], "--set partition sets nothing"),
        (["small", "--colour", "2"], "colour"),
        (["small", "--cluster", "local", "--set", "colour=2"], "local does not take"),
    ],
)
def test_jobs_that_cannot_be_made_are_a_sentence(
    words: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["submit", *words]) == 2
    assert sentence in capsys.readouterr().err


@pytest.mark.stress
def test_jobs_make_all_runs_of_a_list(
    place: Path, written: Callable[..., Path]
) -> None:
    """Two processes in place of Slurm's jobs; the same once more has nothing to do."""
    words = [str(written("jobs")), "--count", "10,11,12"]

    def said() -> str:
        settings = {"timeout_min": 5}
        jobs = submit(
            words, shards=2, cluster="local", folder=place / "logs", settings=settings
        )
        return "".join(job.result() for job in jobs)

    assert "ran before" not in said()
    assert counts(place / "runs") == [10, 11, 12]
    assert said().count("ran before and is shown") == 3
    assert len(counts(place / "runs")) == 3
