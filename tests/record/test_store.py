import errno
import json
from pathlib import Path

import numpy as np
import pytest

from jaxml.record import store
from jaxml.record.runs.archive import load_tree, save_tree
from jaxml.record.runs.lock import locked
from jaxml.record.store import compare, execute, list_runs, load_run
from jaxml.record.study import load
from jaxml.types import InputError

pytestmark = pytest.mark.invariance


def calls(study):
    return study.study.__globals__["calls"]


def interrupt(study):
    return study.study.__globals__["interrupt"]


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(p.relative_to(folder)): p.read_bytes()
        for p in sorted(folder.rglob("*"))
        if p.is_file()
    }


READER = """
from jaxml.problem import read
TABLE = read(__file__.replace("toy.py", "imported.csv"))

def _stage(scale, seeds, seed=0):
    read(__file__.replace("toy.py", "staged.csv"))
    return _stage_before(scale, seeds, seed)

def study(config, keep):
    read(__file__.replace("toy.py", "given.csv"))
    return study_before(config, keep)
"""
FILES = ("imported.csv", "staged.csv", "given.csv")


def write_reader(toy_path: Path) -> None:
    """A toy that reads on import, before its stages, and within them."""
    for file in FILES:
        toy_path.with_name(file).write_text("1,2")
    source = toy_path.read_text().replace("def _stage(", "def _stage_before(")
    toy_path.write_text(source.replace("def study(", "def study_before(") + READER)


def test_a_run_is_whole_and_is_not_repeated(toy, tmp_path):
    lines: list[str] = []
    folder = execute(toy, toy.smoke, runs=tmp_path / "runs", announce=lines.append)
    assert sorted(contents(folder)) == [
        "figures/power%20vs.%20scale.png",
        "figures/power%20vs.%20scale.txt",
        "findings.json",
        "log.jsonl",
        "manifest.json",
        "report.html",
        "result.npz",
        "timings.npz",
    ]
    run = load_run(folder)
    assert (
        list_runs(tmp_path / "runs") == (folder,)
        and folder.name == run.manifest["hash"]
    )
    assert run.result["power"].shape == (2, 2) and run.timings is not None
    assert [finding.verdict for finding in run.findings] == ["supported", "supported"]
    assert run.manifest["wall_seconds"] > sum(
        stage["seconds"] for stage in run.manifest["stages"].values()
    )
    assert run.manifest["compile_seconds"] >= 0 and run.manifest["data"] == {}
    assert [line.split(":")[0] for line in lines] == ["scale=1.0", "scale=2.0", "toy"]
    before = contents(folder)
    assert execute(toy, toy.smoke, runs=tmp_path / "runs") == folder
    assert contents(folder) == before and calls(toy) == [1.0, 2.0]


def test_resumed_is_uninterrupted(toy, tmp_path):
    interrupt(toy).append(2.0)
    with pytest.raises(KeyboardInterrupt):
        execute(toy, toy.smoke, runs=tmp_path / "resumed")
    assert list_runs(tmp_path / "resumed") == ()
    (stage,) = (tmp_path / "resumed").rglob("stages/*.npz")
    save_tree(stage, load_tree(stage) | {"seconds": 1000.0})
    interrupt(toy).clear()
    lines: list[str] = []
    resumed = execute(toy, toy.smoke, runs=tmp_path / "resumed", announce=lines.append)
    assert calls(toy) == [1.0, 2.0, 2.0] and "kept" in lines[0]
    whole = execute(toy, toy.smoke, runs=tmp_path / "whole")
    assert compare(resumed, whole) == () and resumed.name == whole.name
    assert (resumed / "findings.json").read_bytes() == (
        whole / "findings.json"
    ).read_bytes()
    assert load_run(resumed).manifest["wall_seconds"] > 1000
    assert [
        stage["kept"] for stage in load_run(resumed).manifest["stages"].values()
    ] == [True, False]
    assert [p.name for p in resumed.parent.iterdir()] == [resumed.name]


def test_a_resumed_run_knows_what_its_first_attempt_read(toy_path, tmp_path):
    write_reader(toy_path)
    toy, lines = load(toy_path), []
    interrupt(toy).append(2.0)
    with pytest.raises(KeyboardInterrupt):
        execute(toy, toy.smoke, runs=tmp_path / "runs")
    interrupt(toy).clear()
    folder = execute(toy, toy.smoke, runs=tmp_path / "runs", announce=lines.append)
    assert "kept" in lines[0] and "staged.csv" in load_run(folder).manifest["data"]


@pytest.mark.parametrize("name", FILES)
def test_a_stage_whose_data_changed_is_computed_again(toy_path, tmp_path, name):
    write_reader(toy_path)
    toy, lines = load(toy_path), []
    interrupt(toy).append(2.0)
    with pytest.raises(KeyboardInterrupt):
        execute(toy, toy.smoke, runs=tmp_path / "runs")
    interrupt(toy).clear()
    (tmp_path / name).write_text("3,4")
    toy = load(toy_path)
    execute(toy, toy.smoke, runs=tmp_path / "runs", announce=lines.append)
    assert calls(toy) == [1.0, 2.0] and not any("kept" in line for line in lines)


def test_again_keeps_the_old_run_aside(toy, tmp_path):
    folder = execute(toy, toy.smoke, runs=tmp_path)
    old = contents(folder)
    interrupt(toy).append(1.0)
    with pytest.raises(KeyboardInterrupt):
        execute(toy, toy.smoke, runs=tmp_path, again=True)
    assert contents(folder) == old
    interrupt(toy).clear()
    for n in (1, 2):
        assert execute(toy, toy.smoke, runs=tmp_path, again=True) == folder
        assert (folder.parent / f"{folder.name}.{n}").is_dir()
    assert contents(folder.parent / f"{folder.name}.1") == old
    assert (
        list_runs(tmp_path) == (folder,)
        and compare(folder, folder.parent / f"{folder.name}.1") == ()
    )


def edit(path: Path, old: str, new: str) -> None:
    source = path.read_text()
    assert source.count(old) == 1
    path.write_text(source.replace(old, new))


def test_other_configs_and_other_code_are_other_runs(toy, toy_path, tmp_path):
    folders = {
        execute(toy, toy.smoke, runs=tmp_path),
        execute(toy, toy.Config(seeds=3), runs=tmp_path),
    }
    edit(toy_path, "(seeds, 16)", "(seeds, 17)")
    folders.add(execute(load(toy_path), toy.smoke, runs=tmp_path))
    assert len(folders) == 3 == len(list_runs(tmp_path))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("Nothing here is deep.", "Nothing here is shallow."),
        ("calls = []", "calls = []  # a comment"),
        ('label(axes, "Power", "scale (1)"', 'label(axes, "Power", "size (1)"'),
        ('"It grows fourfold."', '"It grows four times."'),
    ],
)
def test_words_labels_and_findings_start_no_stage_again(
    toy, toy_path, tmp_path, old, new
):
    folder = execute(toy, toy.smoke, runs=tmp_path)
    edit(toy_path, old, new)
    changed = load(toy_path)
    assert (
        execute(changed, changed.smoke, runs=tmp_path)
        == folder
        == list_runs(tmp_path)[0]
    )
    assert calls(changed) == [] and not list(folder.parent.glob("*.refresh"))


def test_findings_and_figures_are_made_again_from_the_stored_arrays(
    toy, toy_path, tmp_path
):
    folder = execute(toy, toy.smoke, runs=tmp_path)
    before = contents(folder)
    edit(toy_path, '"It grows fourfold."', '"It grows four times."')
    edit(
        toy_path, 'label(axes, "Power", "scale (1)"', 'label(axes, "Power", "size (1)"'
    )
    changed, lines = load(toy_path), []
    execute(changed, changed.smoke, runs=tmp_path, announce=lines.append)
    after = contents(folder)
    same = {name for name in before if before[name] == after.get(name)}
    assert (
        same == {"log.jsonl", "result.npz", "timings.npz"}
        and before.keys() == after.keys()
    )
    assert load_run(folder).findings[1].statement == "It grows four times."
    assert "made again, from the stored arrays" in lines[0]
    execute(changed, changed.smoke, runs=tmp_path, announce=(later := []).append)
    assert len(later) == 1 and contents(folder) == after


def test_the_hash_is_of_the_code_that_the_run_began_with(toy, toy_path, tmp_path):
    execute(
        toy, toy.smoke, runs=tmp_path, announce=lambda _: toy_path.write_text("changed")
    )
    (folder,) = list_runs(tmp_path)
    assert load_run(folder).manifest["hash"] == folder.name
    assert load_run(folder).manifest["code"] == toy.computing


@pytest.mark.parametrize("name", FILES)
def test_changed_data_are_another_run(toy_path, tmp_path, name):
    write_reader(toy_path)
    toy = load(toy_path)
    folder = execute(toy, toy.smoke, runs=tmp_path / "runs")
    assert set(load_run(folder).manifest["data"]) == set(FILES)
    assert execute(toy, toy.smoke, runs=tmp_path / "runs") == folder
    (tmp_path / name).write_text("3,4")
    again = load(toy_path)
    other = execute(again, again.smoke, runs=tmp_path / "runs")
    assert other != folder and len(list_runs(tmp_path / "runs")) == 2
    (tmp_path / name).write_text("1,2")
    assert execute(load(toy_path), toy.smoke, runs=tmp_path / "runs") == folder


def test_one_process_at_a_time(toy, tmp_path):
    (folder,) = [execute(toy, toy.smoke, runs=tmp_path)]
    before = load_run(folder).manifest["before"]
    with locked(folder.with_name(f"{before}.partial")):
        assert execute(toy, toy.smoke, runs=tmp_path) == folder
        with pytest.raises(InputError, match="being worked on"):
            execute(toy, toy.smoke, runs=tmp_path, again=True)


def test_a_run_that_another_process_finished_meanwhile_is_taken(
    toy, tmp_path, monkeypatch
):
    folder = execute(toy, toy.smoke, runs=tmp_path)
    before, real, answers = contents(folder), store.standing, [None]
    monkeypatch.setattr(
        store, "standing", lambda *a: answers.pop() if answers else real(*a)
    )
    assert execute(toy, toy.smoke, runs=tmp_path) == folder
    assert contents(folder) == before and list(folder.parent.iterdir()) == [folder]


@pytest.mark.parametrize(
    "victim",
    ["numpy.lib.format.write_array", "os.replace", "jaxml.record.judging.save"],
)
def test_a_full_disk_loses_nothing(toy, tmp_path, monkeypatch, victim):
    earlier = execute(toy, toy.Config(seeds=3), runs=tmp_path)
    before = contents(earlier)

    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(victim, full)
        with pytest.raises(InputError, match=r"No space left.*--runs"):
            execute(toy, toy.smoke, runs=tmp_path)
    assert list_runs(tmp_path) == (earlier,) and contents(earlier) == before
    assert not list(tmp_path.rglob("*.tmp"))
    assert load_run(execute(toy, toy.smoke, runs=tmp_path)).findings


def test_runs_that_are_a_file_are_refused(toy, tmp_path):
    (tmp_path / "runs").write_text("")
    with pytest.raises(InputError, match="is a file: name the folder"):
        execute(toy, toy.smoke, runs=tmp_path / "runs")


@pytest.mark.parametrize(
    ("old", "new", "word"),
    [
        ("    return Result", "    return None and Result", "Result"),
        ("np.array([np.nan, 1.0])", "{'a': 1}", "parity"),
        ("return Timings(np.array([0.5, 0.25]))", "return [1.0]", "Timings"),
        ("    return (\n", "    return None and (\n", "record.deciding"),
        ('"A3"', '"A4"', "leaves out"),
        ('unit="error"', 'unit="bananas"', "no unit"),
        (
            'return {"power vs. scale": figure}',
            'return {"power": None}',
            "no dict of figures",
        ),
        ('keep(f"scale={scale}"', 'keep("scale"', "twice"),
    ],
)
def test_a_broken_contract_is_a_sentence_and_no_run(toy_path, tmp_path, old, new, word):
    source = toy_path.read_text()
    assert old in source
    toy_path.write_text(source.replace(old, new))
    study = load(toy_path)
    with pytest.raises(InputError, match=word):
        execute(study, study.smoke, runs=tmp_path)
    assert list_runs(tmp_path) == ()


def test_a_study_without_timings(toy_path, tmp_path):
    source = (
        toy_path.read_text()
        .replace("def timings(", "def unused(")
        .replace("(result, timings)", "(result)")
    )
    toy_path.write_text(source)
    study = load(toy_path)
    run = load_run(execute(study, study.smoke, runs=tmp_path))
    assert run.timings is None and not (run.folder / "timings.npz").exists()
    np.testing.assert_array_equal(run.result["parity"], [np.nan, 1.0])
    assert (
        json.loads((run.folder / "findings.json").read_text())[0]["rule"]["sign"] == ">"
    )


def test_a_claim_that_a_study_adds_enters_its_run(toy, toy_path, tmp_path):
    folder = execute(toy, toy.smoke, runs=tmp_path / "runs")
    edit(toy_path, "C150a, A3.", "C150a, A3, mine.")
    source = toy_path.read_text().replace('"A3"', '"mine"')
    table = {"mine": {"topic": "mine", "kind": "empirical", "claim": "Power grows."}}
    toy_path.write_text(source + f"\nCLAIMS = {table!r}\n")
    changed = load(toy_path)
    assert (
        execute(changed, changed.smoke, runs=tmp_path / "runs") == folder
        and calls(changed) == []
    )
    assert load_run(folder).manifest["own_claims"]["mine"]["claim"] == "Power grows."
    assert "Power grows." in (folder / "report.html").read_text()
    lines: list[str] = []
    execute(changed, changed.smoke, runs=tmp_path / "runs", announce=lines.append)
    assert len(lines) == 1  # nothing is made again


def test_an_interrupted_refresh_is_done_again(toy, toy_path, tmp_path, monkeypatch):
    folder = execute(toy, toy.smoke, runs=tmp_path)
    edit(toy_path, '"It grows fourfold."', '"It grows four times."')
    changed = load(toy_path)
    with monkeypatch.context() as patched:
        patched.setattr(
            "jaxml.record.judging.write_report",
            lambda *_: interrupt(changed)["no such"],
        )
        with pytest.raises(TypeError):
            execute(changed, changed.smoke, runs=tmp_path)
    execute(changed, changed.smoke, runs=tmp_path)
    assert "It grows four times." in (folder / "report.html").read_text()
    assert load_run(folder).findings[1].statement == "It grows four times."


def test_data_that_findings_read_are_part_of_the_run(toy_path, tmp_path):
    (tmp_path / "reference.csv").write_text("1")
    source = toy_path.read_text().replace(
        "    growth = result",
        '    read(__file__.replace("toy.py", "reference.csv"))\n    growth = result',
    )
    toy_path.write_text(source + "\nfrom jaxml.problem import read\n")
    toy = load(toy_path)
    folder = execute(toy, toy.smoke, runs=tmp_path / "runs")
    assert set(load_run(folder).manifest["data"]) == {"reference.csv"}
    (tmp_path / "reference.csv").write_text("2")
    assert execute(toy, toy.smoke, runs=tmp_path / "runs") != folder


def test_a_study_whose_smallest_config_is_the_whole_one_counts(toy, tmp_path):
    whole = toy._replace(smoke=toy.Config())
    folder = execute(whole, whole.smoke, runs=tmp_path)
    assert load_run(folder).manifest["smoke"] is False
    assert load_run(execute(toy, toy.smoke, runs=tmp_path)).manifest["smoke"] is True


def test_a_compilation_takes_no_less_than_nothing_whatever_the_clock_does():
    assert store._compiling([-1e9, 0.25, 1e9], 2.0) == 2.25
