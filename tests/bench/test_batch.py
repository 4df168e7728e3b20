"""Time against batch size: the fit recovers a law that is known, and every curve trains
or draws what it says. No time is judged.
"""

import importlib
import math
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxml import learn, memory, tree
from jaxml.bench import affine, batch, batch_points, batch_rows, peers, suite
from jaxml.bench.batch_rows import Point, name
from jaxml.bench.race import Entrant
from jaxml.bench.rows import Row
from jaxml.types import InputError

TINY = batch_points.SMOKE
SIZES = np.array([1, 4, 16, 64, 256, 1024, 4096, 16384])
FIXED, EACH = 5e-5, 2e-7
"""Seconds; the times of the sizes span 65 to 1."""


def timings(noise: float, rounds: int = 9) -> np.ndarray:
    """Seconds `[round, size]` of the law, with relative errors."""
    errors = np.random.default_rng(0).normal(0.0, noise, (rounds, len(SIZES)))
    return (FIXED + EACH * SIZES) * np.exp(errors)


@pytest.mark.oracle
def test_the_fit_recovers_a_law() -> None:
    exact = affine.fit(SIZES, timings(0.0))
    found = exact.fixed.value, exact.each.value, exact.doubled.value
    np.testing.assert_allclose(found, (FIXED, EACH, FIXED / EACH), rtol=1e-9)
    assert exact.deviation < 1e-9

    law = affine.fit(SIZES, timings(0.02))
    for each, truth in zip(law[:3], (FIXED, EACH, FIXED / EACH), strict=True):
        assert each.low < truth < each.high
        assert each.low <= each.value <= each.high
        assert (each.high - each.low) / truth < 0.1
    assert 0 < law.deviation < 0.1


@pytest.mark.stress
@pytest.mark.invariance
def test_a_slow_round_moves_no_estimate_far() -> None:
    seconds = timings(0.02)
    slow = seconds * np.where(np.arange(9) == 3, 5.0, 1.0)[:, None]
    quiet, disturbed = affine.fit(SIZES, seconds), affine.fit(SIZES, slow)
    for one, other in zip(quiet[:3], disturbed[:3], strict=True):
        assert abs(one.value - other.value) / one.value < 0.03


@pytest.mark.stress
@pytest.mark.golden
def test_the_ends_of_the_law() -> None:
    flat = affine.fit(SIZES, np.full((3, len(SIZES)), 2.0))
    assert flat.fixed.value == pytest.approx(2.0)
    assert math.isclose(flat.each.value, 0.0, abs_tol=1e-12)
    assert flat.doubled.value > 1e9
    falling = affine.fit(SIZES, np.stack([3.0 - 1e-4 * SIZES] * 3))
    assert (falling.each.value, falling.doubled.value) == (0.0, math.inf)
    proportional = affine.fit(SIZES, np.stack([1e-6 * SIZES**1.2] * 3))
    assert (proportional.fixed.value, proportional.doubled.value) == (0.0, 0.0)


@pytest.mark.golden
def test_what_shows_no_law_is_refused() -> None:
    with pytest.raises(InputError, match="give at least 3 different sizes and 2"):
        affine.fit(SIZES[:2], timings(0.0)[:, :2])
    with pytest.raises(InputError, match="8 batch sizes in 1 rounds show no law"):
        affine.fit(SIZES, timings(0.0)[:1])
    with pytest.raises(InputError, match="is not positive: give seconds above 0"):
        affine.fit(SIZES, 0 * timings(0.0))
    for batches in ((1, 4), (1, 4, 4), (4, 1, 16), (0, 1, 4)):
        with pytest.raises(InputError, match="give at least 3 sizes, each 1 or more"):
            batch.measure(TINY._replace(cnn=batches))


def points() -> list[Point]:
    """One run and several of a network, and drawing, without programs."""
    ours = [
        Point(Entrant(name("net", size), tuple, role="ours"), size, 2**20)
        for size in (1, 2, 4)
    ]
    several = [
        Point(Entrant(name(curve, size), tuple, role="detail", against=against), size)
        for curve in ("net, 8 runs at once, each", "drawing")
        for size, against in ((1, name("net", 1)), (2, name("net", 2)))
    ]
    return [*ours, *several]


def synthetic() -> list[Row]:
    """Their rows, where one run takes 2 + B seconds, in two rounds."""
    seconds = np.array([3.0, 4.0, 6.0, 1.0, 2.0, 0.5, 1.0])
    return batch_rows.rows(points(), np.stack([seconds, seconds], axis=1))


@pytest.mark.golden
def test_rows_tell_curves_and_their_law() -> None:
    rows = synthetic()
    assert [row.what for row in rows] == [
        "net: batch of 1, 180,000 s an epoch, 1 MiB",
        "net: batch of 2, 120,000 s an epoch, 1 MiB",
        "net: batch of 4, 90,000 s an epoch, 1 MiB",
        f"net: {batch_rows.FIXED}",
        f"net: {batch_rows.EACH}",
        f"net: {batch_rows.DOUBLED} (2–2)",
        "net, 8 runs at once, each: batch of 1, 60,000 s an epoch",
        "net, 8 runs at once, each: batch of 2, 60,000 s an epoch",
        "drawing: batch of 1, 30,000 s an epoch",
        "drawing: batch of 2, 30,000 s an epoch",
    ]
    assert [row.at for row in rows] == [1, 2, 4, None, None, None, 1, 2, 1, 2]
    ratios = [row.ratio or 0.0 for row in rows if row.at]
    np.testing.assert_allclose(ratios, [1, 4 / 3, 2, 1 / 3, 1 / 2, 1 / 6, 1 / 4])
    law = [row.seconds.median for row in rows[3:5] if row.seconds]
    np.testing.assert_allclose([*law, rows[5].ratio or 0.0], [2.0, 1.0, 2.0])
    assert "misses no median by more than 0%" in rows[5].note
    assert rows[2].to == "a batch of 1" and rows[7].to == "net: batch of 2"


@pytest.mark.golden
def test_curves_have_a_figure_of_their_own(tmp_path: Path) -> None:
    plots = suite.draw(synthetic(), tmp_path / "cpu.png")
    assert plots == [tmp_path / "batch_cpu.png"] and not (tmp_path / "cpu.png").exists()
    said = (tmp_path / "batch_cpu.txt").read_text()
    assert said.startswith(
        "net: update (seconds) against batch size; one run, 8 runs at once, each, "
        "drawing, t₀ + s B of one run. net: epoch of 60,000 (seconds) against"
    )


@pytest.mark.identity
def test_a_curve_ends_where_memory_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "available_bytes", lambda: 3 * 2**30)
    asked = []

    def make(size: int) -> Point:
        asked.append(size)
        return Point(Entrant(name("net", size), tuple), size, size * 2**30)

    kept, left = batch.fitting(make, (1, 2, 4, 8))
    assert [point.batch for point in kept] == [1, 2] and asked == [1, 2, 4]
    (row,) = left
    assert row.what == "net: batch of 4" and row.seconds is None
    assert row.note.endswith("it takes 4.0 GiB and 3.0 GiB are free")


@pytest.mark.identity
@pytest.mark.stress
def test_every_point_does_what_it_says() -> None:
    """A run among several trains as it does alone, and the last batch is the one that
    the stream draws then.
    """
    work = batch_points.dense(TINY)._replace(examples=100)
    states = batch_points.first_states(work, TINY.runs)
    alone = batch_points.one_run(work, states, TINY, 4)
    together = batch_points.several_runs(work, states, TINY, 4)
    assert (alone.entrant.parts, together.entrant.parts) == (1 / 4, 1 / (4 * 2))
    assert 0 < alone.bytes < together.bytes
    (one, _), (several, _) = alone.entrant.run(), together.entrant.run()
    of_first = jax.tree.map(lambda leaf: leaf[0], several.params)
    assert tree.norm(jax.tree.map(jnp.subtract, of_first, one.params)) < 1e-6
    moved = jax.tree.map(lambda new, old: new - old[0], one.params, states.params)
    assert tree.norm(moved) > 1e-3

    drawn = batch_points.drawn(work, TINY, 4).entrant.run()
    expected = learn.shuffled(work.data, 4).draw(work.data, jax.random.key(0), 3)
    jax.tree.map(np.testing.assert_array_equal, drawn, expected)


@pytest.mark.stress
@pytest.mark.identity
def test_both_networks_are_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peers, "torch", lambda: None)
    *rows, absent = batch.measure(TINY)
    assert absent.note == peers.ABSENT
    curves = dict.fromkeys(map(batch_rows.curve_of, rows))
    assert list(curves) == [
        "dense 64-4-10",
        "dense 64-4-10, 2 runs at once, each",
        "drawing",
        "CNN 2-3-10",
        "CNN 2-3-10, 2 runs at once, each",
    ]
    assert [row.at for row in rows if row.role == "ours" and row.at] == [
        *TINY.dense,
        *TINY.cnn,
    ]
    assert all(row.compile_seconds for row in rows if row.at)


@pytest.mark.bench
@pytest.mark.identity
def test_pytorch_trains_at_every_size() -> None:
    torch = importlib.import_module("torch")
    for work in (batch_points.dense(TINY), batch_points.cnn(TINY)):
        point = batch_points.torch_point(torch, work, TINY, 4)
        losses = [point.entrant.run() for _ in range(40)]
        assert losses[-1] < losses[0]
        assert point.entrant.against == name(work.name, 4)
