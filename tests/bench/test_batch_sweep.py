"""Batch sizes and seeds in several ways: all train the same, as long, and seconds of
pieces add up. No time is judged.
"""

import importlib
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxml import learn
from jaxml.bench import (
    batch_sweep,
    batch_sweep_tasks,
    batch_sweep_torch,
    grids,
    peak,
    peers,
    race,
    sums,
    torch_batches,
    torch_forms,
)
from jaxml.bench.race import Entrant
from jaxml.bench.rows import Row, Seconds, Target

TINY = batch_sweep_tasks.SMOKE
UPDATES = {4: 2 * 5, 8: 2 * 3}
"""Of two epochs of 18 digits, by batch size."""


@pytest.mark.oracle
def test_seconds_of_pieces_are_added(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(race, "once", lambda run: (None, run()))
    ours = [Entrant("a", lambda: 1.0, 2.0, 0.25), Entrant("b", lambda: 3.0, 1.0, 0.5)]
    goal = Target("ratio", "at least", 3.0)
    theirs = [Entrant("c", lambda: 4.0, 5.0, target=goal, device="abacus")]
    ways = [
        sums.joined("way a", ours, note="why"),
        sums.joined("loop", theirs, note="how"),
    ]
    first, second = sums.race("x", ways, to="ours", rounds=2, contest="small")
    assert (first.what, first.note) == ("small: way a", "why")
    assert (first.seconds, first.compile_seconds) == (Seconds(5.0, 5.0, 5.0), 0.75)
    assert (second.ratio, second.met, second.compile_seconds) == (4.0, True, None)
    assert (second.device, second.repetitions) == ("abacus", 2)


@pytest.mark.golden
def test_a_row_of_one_measurement_has_its_ratio_and_the_strongest_a_target() -> None:
    task, _ = batch_sweep_tasks.tasks(TINY)
    cold = Row("x", "digits: cold", "cpu", Seconds(6.0, 6.0, 6.0))
    loop = Row("x", "digits: loop", "cpu", Seconds(2.0, 1.0, 9.0), 4.0)
    found = batch_sweep.compared(cold, loop, task)
    assert (found.ratio, found.to) == (3.0, "loop")
    ours = loop._replace(role="ours")
    assert batch_sweep.compared(cold, ours, task).to == "ours"
    strongest = loop._replace(role="strongest")
    assert batch_sweep.aimed(strongest).met is True
    assert batch_sweep.aimed(loop) == loop
    kept = strongest._replace(target=batch_sweep_tasks.DIGITS)
    assert batch_sweep.aimed(kept).target == batch_sweep_tasks.DIGITS


@pytest.mark.identity
def test_every_way_makes_as_many_updates() -> None:
    task, pictures = batch_sweep_tasks.tasks(TINY)
    assert (len(task.data.weights), len(pictures.data.weights)) == (19, 13)
    assert pictures.data.inputs.shape == (13, 9) and pictures.epochs == 1
    for batch, updates in UPDATES.items():
        grid = batch_sweep_tasks.grid_of(task, TINY, batch)
        assert grid.make().steps == grid.setting.steps == updates
        assert (grid.setting.batch, grid.torch_steps) == (batch, 3)
        assert (len(grid.data.weights), len(grid.hypers.seed)) == (18, 2)
    runs = batch_sweep_tasks.joined(TINY)
    assert list(zip(runs.seed, runs.micro_batches, strict=True)) == [
        (0, 1),
        (1, 1),
        (0, 2),
        (1, 2),
    ]
    assert batch_sweep_tasks.together(pictures, runs) == 1


@pytest.mark.stress
@pytest.mark.invariance
def test_both_ways_train_as_the_sweep_of_batch_sizes() -> None:
    task, _ = batch_sweep_tasks.tasks(TINY)
    swept = sweep_of(task)
    by_size = [batch_sweep_tasks.grid_of(task, TINY, batch) for batch in TINY.sizes]
    (accumulating,) = batch_sweep.accumulated(task, TINY).parts
    together = grids.arrays(accumulating.run().params)
    parts = batch_sweep.whole(task, by_size).parts
    for index, (batch, part) in enumerate(zip(TINY.sizes, parts, strict=True)):
        runs, theirs = part.run(), swept.runs[batch]
        assert runs.trace.loss.shape == (2, UPDATES[batch])
        np.testing.assert_array_equal(runs.trace.loss, theirs.trace.loss)
        rows = slice(2 * index, 2 * index + 2)
        for one, other in zip(grids.arrays(runs.params), together, strict=True):
            np.testing.assert_allclose(one, other[rows], atol=1e-5)


def sweep_of(task: batch_sweep_tasks.Task) -> learn.BatchSweep:
    """The task as a user trains it."""
    plan = learn.BatchSizes(TINY.sizes, task.epochs)
    workload, hypers = (
        batch_sweep_tasks.workload_of(task),
        batch_sweep_tasks.points(TINY),
    )
    lanes = grids.evenly(hypers, None)
    return learn.batch_sweep(workload, learn.momentum, plan, hypers, lanes=lanes)


@pytest.mark.stress
@pytest.mark.identity
def test_both_tasks_are_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peers, "torch", lambda: None)
    monkeypatch.setattr(peak, "CPU_SIDE", 8)
    *rows, absent = batch_sweep.measure(TINY)
    assert absent.note == peers.ABSENT
    assert [row.what.partition(":")[0] for row in rows] == 5 * ["digits"] + 5 * [
        "pictures"
    ]
    assert [row.role for row in rows] == 2 * [*4 * ["ours"], "limit"]
    assert [row.compile_seconds is None for row in rows[:4]] == [0, 0, 1, 1]
    assert all(row.ratio and row.to == "ours" for row in rows)


@pytest.mark.bench
@pytest.mark.identity
def test_pytorch_takes_part(monkeypatch: pytest.MonkeyPatch) -> None:
    """On as many updates, with the strongest alternative and the loop judged."""
    torch = importlib.import_module("torch")
    monkeypatch.setattr(torch_forms, "compiled", lambda torch, step, *rest: (step, 1.0))
    task, _ = batch_sweep_tasks.tasks(TINY)
    by_size = [batch_sweep_tasks.grid_of(task, TINY, batch) for batch in TINY.sizes]
    forms, left_out = batch_sweep_torch.at_once(torch, by_size)
    loop = batch_sweep_torch.loop(torch, by_size, task.target)
    assert left_out == [] and forms[-1].whole.compile_seconds == 1.0
    for updates, *parts in zip(
        UPDATES.values(), *(form.parts for form in forms), strict=True
    ):
        assert {part.parts for part in parts} == {updates / 3}
    assert [part.parts for part in loop.parts] == [2 * 10 / 3, 2 * 6 / 3]
    monkeypatch.setattr(batch_sweep, "whole", lambda task, by_size: forms[0])
    monkeypatch.setattr(batch_sweep, "accumulated", lambda task, size: forms[1])
    monkeypatch.setattr(peak, "CPU_SIDE", 8)
    monkeypatch.setattr(batch_sweep, "first_time", cold)
    rows = batch_sweep.contest(task, TINY)
    assert [row.what.endswith(batch_sweep_torch.LOOP) for row in rows].count(True) == 1
    judged = [row for row in rows if row.target is not None]
    assert {row.role for row in judged} >= {"strongest"} and len(judged) in (1, 2)
    assert rows[-1].role == "limit"


def cold(task: Any, size: Any, micro: Any) -> Row:
    """A first time that took a second."""
    del task, size, micro
    return Row("batch_sweep", "cold", "cpu", Seconds(1.0, 1.0, 1.0), role="ours")


@pytest.mark.bench
@pytest.mark.oracle
def test_pytorch_trains_the_same_seeds_of_every_size() -> None:
    torch = importlib.import_module("torch")
    task, _ = batch_sweep_tasks.tasks(TINY)
    swept = sweep_of(task)
    for batch in TINY.sizes:
        grid = batch_sweep_tasks.grid_of(task, TINY, batch)
        start = grids.beginning(torch, grid, "cpu")
        joined = torch_forms.joined(torch, start)
        network = grid.network(torch, grid.setting.widths)
        by_hand = torch_forms.by_hand(torch, network, grid.rule, joined)
        trained = torch_forms.train(joined, by_hand, seen(torch, task, grid))
        layers = torch_forms.layers(trained.weights, network)
        theirs = [part for layer in layers for part in layer]
        ours = grids.arrays(swept.runs[batch].params)
        for one, other in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(other.reshape(one.shape), one, atol=1e-5)
        for one, old in zip(ours, before(grid), strict=True):
            assert np.abs(one - old).max() > 1e-3


def before(grid: grids.Grid) -> list[np.ndarray]:
    """Initial weights."""
    first = partial(learn.first_state, grid.make())
    return grids.arrays(jax.lax.map(first, grid.hypers).params)


def seen(torch: Any, task: batch_sweep_tasks.Task, grid: grids.Grid) -> list[Any]:
    """The batches that our runs see, in PyTorch."""
    stream = batch_sweep_tasks.batches_of(
        batch_sweep_tasks.workload_of(task), grid.setting.batch
    )

    def of_run(seed: jax.Array) -> Any:
        key = jax.random.key(seed)
        own = stream.own(task.data, jax.random.fold_in(key, 3))
        draw = partial(stream.draw, own, jax.random.fold_in(key, 1))
        return jax.vmap(draw)(jnp.arange(grid.setting.steps))

    batches = jax.vmap(of_run)(grid.hypers.seed)
    weights = np.array(batches.weights[0])
    examples = []
    for step in range(grid.setting.steps):
        targets = np.eye(10, dtype=np.float32)[np.asarray(batches.targets[:, step])]
        shared = weights[step] / weights[step].sum()
        arrays = np.array(batches.inputs[:, step]), targets, shared
        examples.append(torch_batches.Examples(*map(torch.tensor, arrays)))
    return examples
