"""Benchmarks: the rules of a row and of a race, and that the ways compared do the same. No time is judged."""

import importlib
import json
from importlib import import_module
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxml import bench, learn, problem, tree
from jaxml.bench import (
    catalogue,
    cnn,
    hessian,
    machine,
    optimizers,
    peers,
    race,
    startup,
    study,
    suite,
    sweep,
)
from jaxml.bench.race import Entrant
from jaxml.bench.rows import Row, Seconds, Target, judged, markdown, read, write
from jaxml.types import InputError

TINY_GRID = optimizers.Size(2, 2, 8, 4, 16, 4, (1, 2), 1)
TINY_SWEEP = sweep.Size(2, 2, 12, 8, 4, 3, 3, 12, 1)
TINY_CNN = cnn.Size((2, 3), 4, 8, 2, 1, 2, 1)
FOUR, TWO_MINUTES = Target("ratio", "at least", 4.0), Target("seconds", "at most", 120.0)
ROWS = [
    Row("sweep", "one program", "cpu", Seconds(1.0, 0.9, 1.2), 1.0, "ours", None, None, 5, 3.25),
    Row("sweep", "a loop", "cpu", Seconds(6.0, 5.0, 7.0), 6.0, "ours", FOUR, True, 5),
    Row("sweep", "PyTorch", "", note="left out"),
    Row("study", "cold", "cpu", Seconds(130.5, 130.5, 130.5), 2.0, "warm", TWO_MINUTES, False, 1),
]


@pytest.mark.identity
def test_rows_survive_json(tmp_path: Path) -> None:
    write(tmp_path / "cpu.json", {"cores": 2}, ROWS)
    assert read(tmp_path / "cpu.json") == ({"cores": 2}, ROWS)
    lines = json.loads((tmp_path / "cpu.json").read_text())["rows"]
    assert all(tuple(line) == Row._fields for line in lines)
    assert lines[0]["seconds"] == {"median": 1.0, "min": 0.9, "max": 1.2}
    assert lines[3]["target"] == {"of": "seconds", "side": "at most", "bound": 120.0}


@pytest.mark.golden
@pytest.mark.parametrize("text", ["", "[]", '{"rows": []}', '{"machine": {}, "rows": [{"what": 1}]}'])
def test_a_damaged_file_is_named(text: str, tmp_path: Path) -> None:
    (tmp_path / "cpu.json").write_text(text)
    with pytest.raises(InputError, match="is damaged"):
        read(tmp_path / "cpu.json")


@pytest.mark.golden
@pytest.mark.parametrize(
    ("target", "met"),
    [
        (None, None),
        (Target("ratio", "at least", 3.0), True),
        (Target("ratio", "at least", 3.1), False),
        (Target("ratio", "at most", 3.0), True),
        (Target("seconds", "at most", 1.9), False),
        (Target("seconds", "at most", 2.0), True),
    ],
)
def test_a_verdict_follows_from_the_numbers(target: Target | None, met: bool | None) -> None:
    assert judged(Row("x", "way", "cpu", Seconds(2.0, 1.0, 9.0), 3.0, target=target)).met is met
    assert judged(Row("x", "way", "cpu", target=target)).met is None


@pytest.mark.golden
def test_the_readme_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalogue, "RESULTS", tmp_path)
    assert bench.markdown() == ""
    described = {"devices": "1 x cpu", "processor": "abacus", "cores": 2, "versions": {"jax": "0"}}
    for name in ("gpu", "cpu"):
        write(tmp_path / f"{name}.json", described, ROWS)
    expected = f"""\
| Way | Seconds, median (range) | Compiling | Ratio | Target | |
|-|-|-|-|-|-|
| **sweep**: {catalogue.BENCHMARKS["sweep"]} | | | | | |
| one program | 1 (0.9–1.2) | 3.25 | 1 × ours |  |  |
| a loop | 6 (5–7) |  | 6 × ours | at least 4 × | met |
| **study**: {catalogue.BENCHMARKS["study"]} | | | | | |
| cold | 130 |  | 2 × warm | at most 120 s | missed |

1 x cpu; abacus, 2 cores; jax 0."""
    assert markdown(described, ROWS, titles=catalogue.BENCHMARKS) == expected
    assert bench.markdown() == f"{expected}\n\n{expected}"


@pytest.mark.identity
def test_committed_results_are_whole() -> None:
    for path in catalogue.RESULTS.glob("*.json"):
        described, rows = read(path)
        assert described["platform"] == path.stem
        assert {row.benchmark for row in rows} == set(bench.names())
        assert [judged(row) for row in rows] == rows


@pytest.mark.identity
def test_a_name_is_a_module_that_measures() -> None:
    assert all(callable(import_module(f"jaxml.bench.{name}").measure) for name in bench.names())


@pytest.mark.oracle
def test_a_race_interleaves_scales_and_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    order = []
    seconds = {"a": iter([0.0, 1.0, 2.0, 4.0]), "b": iter([0.0, 3.0, 4.0, 20.0])}

    def way(name: str) -> float:
        order.append(name)
        return next(seconds[name])

    monkeypatch.setattr(race, "once", lambda run: (None, run()))
    entrants = [
        Entrant("a", lambda: way("a")),
        Entrant("b", lambda: way("b"), 10.0, target=Target("ratio", "at least", 31.0)),
    ]
    first, second = race.race("x", entrants, to="a", rounds=3)
    assert "".join(order) == "ab" + "ab" + "ba" + "ab"
    assert first.seconds == Seconds(2.0, 1.0, 4.0)
    assert second.seconds == Seconds(40.0, 30.0, 200.0)
    assert (first.ratio, second.ratio, second.met) == (1.0, 30.0, False)
    assert second.device == machine.device()


@pytest.mark.invariance
def test_every_way_of_training_trains_the_same() -> None:
    batches = learn.shuffled(jax.device_put(problem.sinc(8)), 4)
    hypers = learn.grid(learn.Hyper, lr=[0.01, 0.1], seed=range(2))
    program, loop, scans = (
        make(batches, hypers, TINY_SWEEP)
        for make in (sweep.grid_program, sweep.python_loop, sweep.scans_in_turn)
    )
    trained, *_, trace = program.run()
    for lane, (state, loss) in enumerate(loop.run()):
        one = jax.tree.map(lambda leaf, lane=lane: leaf[lane], trained)
        assert tree.norm(jax.tree.map(jnp.subtract, one, state.params)) < 1e-5
        np.testing.assert_allclose(loss, trace.loss[lane, -1], rtol=1e-4)
    for lane, (_, losses) in enumerate(scans.run()):
        np.testing.assert_allclose(losses, trace.loss[lane], rtol=1e-4)
    assert (program.parts, loop.parts, scans.parts) == (1, 4 / 3, 4 / 3)
    assert program.note == "4 lanes, initialisation included; traced 1 time(s) for the whole grid"


@pytest.mark.bench
@pytest.mark.oracle
def test_pytorch_trains_the_same_lane() -> None:
    torch = importlib.import_module("torch")
    data = jax.device_put(problem.sinc(8))
    hypers = learn.grid(learn.Hyper, lr=[0.01, 0.1], seed=range(2))
    ours = sweep.grid_program(learn.full(data), hypers, TINY_SWEEP).run()[3].loss[0, -1]
    theirs = sweep.torch_loop(torch, data, hypers, 8, TINY_SWEEP)
    np.testing.assert_allclose(theirs.run(), ours, rtol=1e-4)
    assert theirs.parts == 4


@pytest.mark.oracle
def test_the_products_are_those_of_a_column() -> None:
    """H v by the equations of the docstring in NumPy, which notes the shape of each product."""
    size = hessian.Size(width=3, examples=7)
    shapes = []

    def times(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        shapes.append((a.shape, b.shape))
        return a @ b

    with jax.enable_x64(True):
        program, (params, batch), _ = hessian.hessian(size)
        matrix, (start, _) = np.asarray(program(params, batch)), tree.ravel(params)
    v = np.random.default_rng(0).standard_normal(len(start))

    def split(flat: np.ndarray) -> list[np.ndarray]:
        c1, w1, c2, w2 = np.split(np.asarray(flat), np.cumsum([3, 64 * 3, 10]))
        return [c1, w1.reshape(64, 3), c2, w2.reshape(3, 10)]

    (b1, w1, b2, w2), (c1, v1, c2, v2) = split(start), split(v)
    x, n = np.asarray(batch.inputs), 7
    a = np.tanh(x @ w1 + b1)
    p = np.exp(a @ w2 + b2)
    p /= p.sum(1, keepdims=True)
    delta = (p - np.eye(10)[np.asarray(batch.targets)]) / n
    slope = 1 - a**2
    a_dot = slope * (times(x, v1) + c1)
    z_dot = times(a_dot, w2) + times(a, v2) + c2
    delta_dot = p * (z_dot - (p * z_dot).sum(1, keepdims=True)) / n
    h_w2 = times(a_dot.T, delta) + times(a.T, delta_dot)
    back_dot = times(delta_dot, w2.T) + times(delta, v2.T)
    hidden_dot = slope * back_dot - 2 * a * a_dot * (delta @ w2.T)
    h_w1 = times(x.T, hidden_dot)
    column = np.concatenate([hidden_dot.sum(0), h_w1.ravel(), delta_dot.sum(0), h_w2.ravel()])
    np.testing.assert_allclose(matrix @ v, column + 2e-3 * v, rtol=1e-9, atol=1e-12)
    assert shapes == hessian.products(7, 64, 3, 1)


@pytest.mark.identity
def test_the_products_of_a_chunk_fit_together() -> None:
    with jax.enable_x64(True):
        factors = hessian.operands(hessian.products(7, 5, 3, 4))
        assert {a.dtype for pair in factors for a in pair} == {jnp.dtype("float64")}
        results = [(a @ b).size for a, b in factors]
    assert results == [
        7 * 4 * 3,
        7 * 4 * 10,
        7 * 4 * 10,
        4 * 3 * 10,
        4 * 3 * 10,
        7 * 4 * 3,
        7 * 4 * 3,
        4 * 15,
    ]


@pytest.mark.identity
def test_the_hessian_is_timed_and_weighed() -> None:
    *timed, weighed = hessian.measure(hessian.Size(width=2, examples=20, rounds=1))
    assert [row.ratio == 1 for row in timed] == [True, False, False]
    assert weighed.note.startswith("in a fresh process")
    assert weighed.ratio is not None and weighed.ratio > 1 and weighed.seconds is None


@pytest.mark.invariance
def test_the_rebuilt_cnn_is_the_cnn() -> None:
    batch = cnn.examples(TINY_CNN)
    ours = problem.cnn((2, 3), cnn.CLASSES)
    params, _ = jax.jit(ours.init)(jax.random.key(0), batch.inputs)
    expected = jax.jit(problem.outputs(ours))(params, batch)
    for convolve in (problem.convolve_native, problem.convolve_patches):
        rebuilt = jax.jit(problem.outputs(cnn.by(convolve, (2, 3))))(params, batch)
        np.testing.assert_allclose(rebuilt, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.identity
def test_what_is_not_installed_is_left_out_with_a_note(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peers, "torch", lambda: None)
    for module, makers in ((sweep, ("grid_program", "python_loop", "scans_in_turn")), (cnn, ("scan",))):
        for maker in makers:
            monkeypatch.setattr(module, maker, lambda what, *rest, **steps: Entrant(str(what), lambda: None))
    for rows in (sweep.measure(TINY_SWEEP), cnn.measure(TINY_CNN)):
        assert [row.note for row in rows if row.seconds is None] == [peers.ABSENT]
        assert {row.device for row in rows[:-1]} == {machine.device()}


@pytest.mark.identity
def test_the_cnn_is_timed_by_the_step() -> None:
    batch = cnn.examples(TINY_CNN)
    entrant = cnn.scan("ours", problem.cnn((2, 3), cnn.CLASSES), batch, steps=2)
    state, trace = entrant.run()
    assert (entrant.parts, int(state.step), trace.loss.shape) == (0.5, 2, (2,))


@pytest.mark.bench
@pytest.mark.identity
def test_pytorch_takes_part() -> None:
    importlib.import_module("torch")
    whats = [row.what for row in (*sweep.measure(TINY_SWEEP), *cnn.measure(TINY_CNN)) if row.seconds]
    assert len([what for what in whats if what.startswith("PyTorch")]) == 4


@pytest.mark.identity
def test_startup_is_timed_outside() -> None:
    rows = startup.measure(rounds=1)
    assert {row.device for row in rows} == {"host"}
    with pytest.raises(RuntimeError, match="exited with 3: gone"):
        startup.process("-c", "import sys; print('gone', file=sys.stderr); sys.exit(3)")()


@pytest.mark.identity
def test_studies_are_timed_cold_and_warm(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    seen = []
    monkeypatch.setattr(study, "study", lambda words, folder, turn: seen.append((words, turn)))
    cold, warm = study.measure(("tiny",))
    assert seen == [(("tiny",), "cold"), (("tiny",), "warm")]
    assert (cold.repetitions, warm.ratio, cold.met, warm.met) == (1, 1.0, True, True)
    monkeypatch.undo()
    with pytest.raises(InputError, match=r"^There is no study 'tinny_saddle': did you mean 'toy_saddle'"):
        study.study(("tinny_saddle",), tmp_path, "cold")


@pytest.mark.identity
def test_rows_are_replaced_by_benchmark(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "new" / "bench"
    monkeypatch.setattr(
        startup, "measure", lambda: [Row("startup", "new", "host", Seconds(1.0, 1.0, 1.0), 1.0)]
    )
    monkeypatch.setattr(sweep, "measure", lambda: ROWS[:3])
    bench.run(("startup", "sweep"), out)
    said = capsys.readouterr()
    assert "sweep, PyTorch: left out" in said.out
    assert said.err.split() == ["startup:", "measuring", "sweep:", "measuring"]
    monkeypatch.setattr(startup, "measure", lambda: [Row("startup", "newer", "host", note="too new")])
    bench.run(("startup",), out)
    path = out / f"{jax.default_backend()}.json"
    described, rows = read(path)
    assert [row.what for row in rows] == ["one program", "a loop", "PyTorch", "newer"]
    assert path.with_suffix(".png").stat().st_size > 1000
    write(path, described | {"processor": "abacus"}, rows)
    with pytest.raises(InputError, match="another machine"):
        bench.run(("startup",), out)
    with pytest.raises(InputError, match="cannot be written"):
        suite.run(("startup",), path / "below")


@pytest.mark.invariance
def test_the_ways_of_running_a_tuning_grid_train_the_same() -> None:
    data = jax.device_put(problem.digits())
    grid = learn.grid(learn.Hyper, lr=[0.01, 0.1], seed=range(2))
    training, single = (optimizers.experiment(learn.adam, data, TINY_GRID, steps=n) for n in (8, 1))
    runs = learn.sweep(training, grid, lanes=4)
    scan, loop = optimizers.one_by_one(training, single, grid)
    (scanned, _), looped = scan.run(), loop.run()
    assert scan.parts == loop.parts == 4
    for path in (scanned.params, looped.params):
        one = jax.tree.map(lambda leaf: leaf[0], runs.params)
        assert tree.norm(jax.tree.map(jnp.subtract, one, path)) < 1e-5


@pytest.mark.identity
def test_a_tuning_grid_is_measured_for_both_optimizers_and_for_each_number_of_lanes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(peers, "torch", lambda: None)
    rows = optimizers.measure(TINY_GRID)
    assert [row.what.split(":")[0] for row in rows[:8]] == 4 * ["SGD with momentum"] + 4 * ["Adam"]
    assert rows[-1].note == peers.ABSENT
    assert rows[-2].what.startswith("2 lanes") and rows[-3].ratio == 1.0


@pytest.mark.bench
def test_pytorch_trains_the_network_of_the_tuning_grid() -> None:
    torch = peers.torch()
    assert torch is not None
    data = jax.device_put(problem.digits())
    grid = learn.grid(learn.Hyper, lr=[0.05], seed=[0])
    entrant = optimizers.torch_loop(
        torch, "SGD with momentum", data, grid, TINY_GRID._replace(torch_steps=400)
    )
    assert entrant.parts == 8 / 400
    assert min(entrant.run() for _ in range(3)) < 1.0  # nats, from ln 10 at the start
