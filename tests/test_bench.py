"""Benchmarks: the rules of a row and of a race, and that the ways compared do the same.
No time is judged.
"""

import importlib
import importlib.util
import json
import sys
from collections.abc import Callable
from functools import partial
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.extend.core import jaxprs_in_params

from jaxml import bench, learn, problem, tree
from jaxml.bench import (
    bare,
    catalogue,
    cnn,
    grids,
    hessian,
    hessian_products,
    machine,
    optimizers,
    peak,
    peers,
    race,
    startup,
    study,
    suite,
    sweep,
    torch_batches,
    torch_cnn,
    torch_forms,
)
from jaxml.bench.grids import Grid
from jaxml.bench.race import Entrant
from jaxml.bench.rows import Row, Seconds, Target, judged, markdown, read, write
from jaxml.types import Batch, InputError

TINY_GRID = optimizers.Size(2, 2, 8, 4, 16, 4, (1, 2), 1)
TINY_SWEEP = sweep.Size(2, 2, 12, 8, 4, 3, 3, 12, 1)
TINY_CNN = cnn.Size((2, 3), 4, 8, 2, 1, 2, 1, 2, (2, 3), 6, 6)
FOUR, TWO_MINUTES = (
    Target("ratio", "at least", 4.0),
    Target("seconds", "at most", 120.0),
)
ROWS = [
    Row(
        "sweep",
        "one program",
        "cpu",
        Seconds(1.0, 0.9, 1.2),
        1.0,
        "ours",
        None,
        None,
        5,
        3.25,
    ),
    Row(
        "sweep",
        "a loop",
        "cpu",
        Seconds(6.0, 5.0, 7.0),
        6.0,
        "ours",
        FOUR,
        True,
        5,
        role="strongest",
    ),
    Row("sweep", "PyTorch", "", note="left out"),
    Row(
        "study",
        "cold",
        "cpu",
        Seconds(130.5, 130.5, 130.5),
        2.0,
        "warm",
        TWO_MINUTES,
        False,
        1,
    ),
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
@pytest.mark.parametrize(
    "text", ["", "[]", '{"rows": []}', '{"machine": {}, "rows": [{"what": 1}]}']
)
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
def test_a_verdict_follows_from_the_numbers(
    target: Target | None, met: bool | None
) -> None:
    assert (
        judged(Row("x", "way", "cpu", Seconds(2.0, 1.0, 9.0), 3.0, target=target)).met
        is met
    )
    assert judged(Row("x", "way", "cpu", target=target)).met is None


@pytest.mark.golden
def test_the_readme_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalogue, "RESULTS", tmp_path)
    assert bench.markdown() == ""
    described = {
        "devices": "1 x cpu",
        "processor": "abacus",
        "cores": 2,
        "versions": {"jax": "0"},
    }
    for name in ("gpu", "cpu"):
        write(tmp_path / f"{name}.json", described, ROWS)
    expected = f"""\
| Way | Seconds, median (range) | Compiling | Ratio | Target | |
|-|-|-|-|-|-|
| **sweep**: {catalogue.BENCHMARKS["sweep"]} | | | | | |
| one program | 1 (0.9–1.2) | 3.25 | 1 × ours |  |  |
| **strongest alternative:** a loop | 6 (5–7) |  | 6 × ours | at least 4 × | met |
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
        measured = {row.benchmark for row in rows}
        assert measured <= set(bench.names())
        assert measured == set(bench.names()) or path.stem != "cpu"
        assert [judged(row) for row in rows] == rows


@pytest.mark.identity
def test_a_name_is_a_module_that_measures() -> None:
    assert all(
        callable(import_module(f"jaxml.bench.{name}").measure) for name in bench.names()
    )


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


@pytest.mark.oracle
def test_a_race_ranks_and_compares_with_whom_an_entrant_names(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(race, "once", lambda run: (None, run()))
    entrants = [
        Entrant("ours", lambda: 2.0, role="ours"),
        Entrant("the products", lambda: 1.0, role="limit"),
        Entrant("slow", lambda: 8.0, role="alternative"),
        Entrant("fast", lambda: 4.0, role="alternative"),
        Entrant(
            "ours, cold",
            lambda: 6.0,
            role="ours",
            against="fast",
            target=Target("ratio", "at most", 1.2),
        ),
    ]
    rows = race.race("x", entrants, to="ours", rounds=2, contest="SGD")
    assert [(row.what, row.role, row.ratio) for row in rows] == [
        ("SGD: ours", "ours", 1.0),
        ("SGD: ours, cold", "ours", 1.5),
        ("SGD: fast", "strongest", 2.0),
        ("SGD: slow", "alternative", 4.0),
        ("SGD: the products", "limit", 0.5),
    ]
    assert [row.to for row in rows] == ["ours", "fast", "ours", "ours", "ours"]
    assert rows[1].met is False


@pytest.mark.identity
def test_a_time_is_taken_when_an_accelerator_of_pytorch_has_ended(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    waited = []
    cuda = SimpleNamespace(
        is_initialized=lambda: True, synchronize=lambda: waited.append(1)
    )
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=cuda))
    race.once(lambda: None)
    assert waited == [1]
    cuda.is_initialized = lambda: False
    race.once(lambda: None)
    assert waited == [1]


@pytest.mark.stress
@pytest.mark.invariance
def test_every_way_of_training_trains_the_same() -> None:
    batches = learn.shuffled(jax.device_put(problem.sinc(8)), 4)
    grid = sweep.grid_of(batches, 4, TINY_SWEEP)
    program = grids.program(grid.make(), grid.hypers, lanes=2)
    loop, scans = (
        make(batches, grid.hypers, TINY_SWEEP)
        for make in (sweep.python_loop, sweep.scans_in_turn)
    )
    runs = program.run()
    for run, (state, loss) in enumerate(loop.run()):
        one = jax.tree.map(lambda leaf, run=run: leaf[run], runs.params)
        assert tree.norm(jax.tree.map(jnp.subtract, one, state.params)) < 1e-5
        np.testing.assert_allclose(loss, runs.trace.loss[run, -1], rtol=1e-4)
    for run, (_, losses) in enumerate(scans.run()):
        np.testing.assert_allclose(losses, runs.trace.loss[run], rtol=1e-4)
    assert (program.parts, loop.parts, scans.parts) == (1, 4 / 3, 4 / 3)
    assert program.what == "ours, 2 x 2 runs at a time"
    for each in (grid, sinc_in_full()):
        weights, losses = grids.bare_scan(each).run()
        assert losses.shape == (4, 12) and weights[0][0].shape == (4, 1, 10)
    cold = grids.cold(grid._replace(hypers=learn.grid(learn.Hyper, lr=[0.01, 0.1])))
    assert cold.run().trace.loss.shape == (2, 12)


def sinc_in_full() -> Grid:
    """The curve, all points at every update."""
    return sweep.grid_of(learn.full(jax.device_put(problem.sinc(8))), 8, TINY_SWEEP)


def digits_by(name: str) -> Grid:
    """Forty digits in batches of 16, the last of each epoch of 8."""
    forty = Batch(*(field[:40] for field in problem.digits()))
    size = TINY_GRID._replace(steps=7, torch_steps=7)
    return optimizers.grid_of(optimizers.OPTIMIZERS[name], jax.device_put(forty), size)


GRIDS: dict[str, Callable[[], Grid]] = {
    "sinc": sinc_in_full,
    "momentum": lambda: digits_by("SGD with momentum"),
    "adam": lambda: digits_by("Adam"),
}


def our_order(grid: Grid) -> bare.Drawn:
    """The places `[run, step, batch]` and weights `[step, batch]` that our runs see."""
    count = len(grid.data.weights)
    numbers = problem.examples(
        np.zeros((count, 1), np.float32), np.arange(count, dtype=np.int32)
    )
    stream = learn.shuffled(numbers, grid.setting.batch)

    def of_run(seed: jax.Array) -> Batch:
        key = jax.random.fold_in(jax.random.key(seed), 1)
        return jax.vmap(lambda step: stream.draw(numbers, key, step))(
            jnp.arange(grid.setting.steps)
        )

    batches = jax.vmap(of_run)(grid.hypers.seed)
    return bare.Drawn(batches.targets, batches.weights[0])


def our_weights(grid: Grid) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Initial and final weights of our runs, layer by layer."""
    training = grid.make()
    before = jax.lax.map(partial(learn.first_state, training), grid.hypers).params
    after = learn.sweep(training, grid.hypers, lanes=len(grid.hypers.lr)).params
    return grids.arrays(before), grids.arrays(after)


def close(ours: list[np.ndarray], theirs: Any, before: list[np.ndarray]) -> None:
    """The weights agree, and have moved."""
    for our, their, old in zip(ours, theirs, before, strict=True):
        np.testing.assert_allclose(np.asarray(their).reshape(our.shape), our, atol=1e-4)
        assert np.abs(our - old).max() > 1e-3


@pytest.mark.stress
@pytest.mark.oracle
@pytest.mark.parametrize("name", GRIDS)
def test_bare_jax_trains_the_same(name: str) -> None:
    grid = GRIDS[name]()
    before, after = our_weights(grid)
    drawn = None if name == "sinc" else our_order(grid)
    weights = list(
        zip(map(jnp.asarray, before[::2]), map(jnp.asarray, before[1::2]), strict=True)
    )

    def train(weights: Any, rate: jax.Array, drawn: Any) -> Any:
        return bare.train(
            grid.setting, weights, rate, grid.data.inputs, grid.data.targets, drawn
        )[0]

    axes = (0, 0, bare.by_run(drawn))
    trained = jax.jit(jax.vmap(train, in_axes=axes))(weights, grid.hypers.lr, drawn)
    close(after, jax.tree.leaves(trained), before)


@pytest.mark.identity
@pytest.mark.parametrize("backend", ["cpu", "gpu"])
def test_bare_jax_shuffles_every_epoch(
    backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jax, "default_backend", lambda: backend)
    setting = digits_by("Adam").setting
    drawn = bare.shuffled(setting, runs=2, examples=40, seed=0)
    assert drawn is not None and (drawn.places.shape, drawn.weights.shape) == (
        (2, 7, 16),
        (7, 16),
    )
    for epoch in (slice(0, 3), slice(3, 6)):
        seen = np.asarray(drawn.places)[:, epoch][:, drawn.weights[epoch] > 0]
        assert (np.sort(seen) == np.arange(40)).all()
    assert (drawn.places[0] != drawn.places[1]).any()
    assert (drawn.places[:, :3] != drawn.places[:, 3:6]).any()
    assert bare.shuffled(setting, runs=2, examples=16, seed=0) is None


def batches_of(torch: ModuleType, grid: Grid) -> list[Any]:
    """The batches that our runs see, in PyTorch."""
    data = torch_batches.tensors(torch, grid.data, "cpu", classes=grid.classes)
    if grid.setting.batch >= len(grid.data.weights):
        return list(
            torch_batches.whole(
                data, runs=len(grid.hypers.lr), steps=grid.setting.steps
            )
        )
    places, weights = (torch.tensor(np.asarray(field)) for field in our_order(grid))
    shared = weights / weights.sum(1, keepdim=True)
    return [
        torch_batches.gathered(data, places[:, step], shared[step])
        for step in range(grid.setting.steps)
    ]


@pytest.mark.bench
@pytest.mark.oracle
@pytest.mark.parametrize("name", GRIDS)
def test_pytorch_trains_the_same_runs_at_once(name: str) -> None:
    torch = importlib.import_module("torch")
    grid = GRIDS[name]()
    before, after = our_weights(grid)
    start = grids.beginning(torch, grid, "cpu")
    joined = torch_forms.joined(torch, start)
    network = grid.network(torch, grid.setting.widths)
    vmapped = torch_forms.vmapped(torch, network, grid.rule)
    by_hand = torch_forms.by_hand(torch, network, grid.rule, joined)
    batches = batches_of(torch, grid)
    close(after, torch_forms.train(start, vmapped, batches).weights, before)
    trained = torch_forms.train(joined, by_hand, batches)
    close(
        after,
        [
            part
            for layer in torch_forms.layers(trained.weights, network)
            for part in layer
        ],
        before,
    )


def untyped() -> Any:
    """PyTorch's forms without executed annotations, through which its compiler cannot
    see.
    """
    spec = importlib.util.spec_from_file_location("untyped_forms", torch_forms.__file__)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.bench
@pytest.mark.oracle
@pytest.mark.filterwarnings(
    "ignore:.torch.jit:DeprecationWarning"
)  # its own, at its first import
def test_pytorch_compiles_the_same_training_or_says_why_not() -> None:
    torch = importlib.import_module("torch")
    settings = import_module("torch._inductor.config")
    forms, grid = untyped(), digits_by("Adam")
    before, after = our_weights(grid)
    start = forms.state(torch, before, grid.hypers.lr, "cpu")
    network = forms.relu_classifier(torch, grid.setting.widths)
    vmapped = forms.vmapped(torch, network, forms.adam)
    batches = batches_of(torch, grid)
    smaller = batches_of(torch, grid._replace(setting=grid.setting._replace(batch=8)))
    step, seconds = forms.compiled(torch, vmapped, start, batches[0], smaller[0])
    close(after, forms.train(start, step, batches).weights, before)
    eager, fused = (forms.train(start, each, smaller) for each in (vmapped, step))
    for one, other in zip(eager.weights, fused.weights, strict=True):
        assert torch.allclose(one, other, atol=1e-5)
    assert seconds > 0
    with settings.patch({"cpp.cxx": (None, "/nowhere/c++")}):
        refused = forms.compiled(torch, vmapped, start, batches[0])
    assert isinstance(refused, forms.Unavailable) and refused.why.startswith(
        "InvalidCxxCompiler: No working"
    )


@pytest.mark.bench
@pytest.mark.identity
def test_a_compiler_that_is_missing_is_a_note(monkeypatch: pytest.MonkeyPatch) -> None:
    torch = importlib.import_module("torch")
    monkeypatch.setattr(
        torch_forms, "compiled", lambda *parts: torch_forms.Unavailable("no compiler")
    )
    entrants, (left_out,) = grids.pytorch(torch, digits_by("Adam"), "optimizers")
    assert [entrant.what for entrant in entrants][1] == grids.BY_HAND
    assert (entrants[0].parts, left_out.note) == (1, "left out: no compiler")


@pytest.mark.bench
@pytest.mark.identity
def test_pytorch_shuffles_every_epoch_for_each_run() -> None:
    torch = importlib.import_module("torch")
    numbers = torch.arange(40.0)[:, None]
    batches = list(
        torch_batches.shuffled(torch, (numbers, numbers), runs=3, batch=16, steps=6)
    )
    seen = torch.cat([batch.inputs for batch in batches], 1)[..., 0]
    weights = torch.cat([batch.weights for batch in batches])
    for epoch in (slice(0, 48), slice(48, 96)):
        chosen = seen[:, epoch][:, weights[epoch] > 0].sort(1).values
        assert (chosen == numbers[:, 0]).all()
    assert (seen[0] != seen[1]).any() and (seen[:, :40] != seen[:, 48:88]).any()
    assert torch.allclose(weights.view(6, 16).sum(1), torch.ones(6))


@pytest.mark.bench
@pytest.mark.oracle
def test_pytorch_trains_the_same_run() -> None:
    torch = importlib.import_module("torch")
    grid = sinc_in_full()
    runs = learn.sweep(grid.make(), grid.hypers, lanes=1)
    theirs = sweep.torch_loop(torch, grid.data, grid.hypers, 8, TINY_SWEEP)
    np.testing.assert_allclose(theirs.run(), runs.trace.loss[0, -1], rtol=1e-4)
    assert theirs.parts == 4


@pytest.mark.oracle
def test_a_limit_is_of_so_many_operations() -> None:
    entrant = peak.limit(1_000_000, side=8)
    assert entrant.parts == 1e6 / (2 * 8**3 * len(jax.devices()))
    assert entrant.run().shape == (8 * len(jax.devices()), 8)
    assert entrant.role == "limit"


def products_in(jaxpr: Any) -> int:
    """The operations of all matrix products that a program holds, each counted once."""
    total = 0
    for equation in jaxpr.eqns:
        if equation.primitive.name == "dot_general":
            (contracted, _), _ = equation.params["dimension_numbers"]
            left, out = equation.invars[0].aval.shape, equation.outvars[0].aval.shape
            total += (
                2
                * int(np.prod(out))
                * int(np.prod([left[axis] for axis in contracted]))
            )
        for inner in jaxprs_in_params(equation.params):
            total += products_in(inner)
    return total


@pytest.mark.oracle
def test_the_products_alone_are_those_of_a_step() -> None:
    """One product more or less of any shape would change the count, and the last one's
    shape the result.
    """
    widths = 7, 6, 5, 4
    kernels = [jnp.ones(shape) for shape in pairwise(widths)]
    jaxpr = jax.make_jaxpr(lambda x, kernels: peak.chain(x, kernels, steps=2))(
        jnp.ones((9, 7)), kernels
    )
    assert products_in(jaxpr.jaxpr) == peak.dense(widths, 9)
    grid = digits_by("Adam")._replace(
        hypers=learn.grid(learn.Hyper, lr=[0.1, 0.2, 0.3])
    )
    chunks = grids.products(grid).run()
    assert {(first.shape[1:], second.shape[1:]) for first, second in chunks} == {
        ((64, 4), (4, 10))
    }
    assert sum(len(first) for first, _ in chunks) >= 3


@pytest.mark.stress
@pytest.mark.oracle
def test_the_operations_of_a_step_are_those_of_its_gradient() -> None:
    dense = problem.mlp((6, 5, 4), jax.nn.relu)
    small = cnn.by(problem.convolve_patches, (2, 3))
    images = cnn.examples(TINY_CNN)
    vectors = problem.examples(np.ones((9, 7), np.float32), np.zeros(9, np.int32))
    for model, batch, expected in (
        (dense, vectors, peak.dense((7, 6, 5, 4), 9)),
        (small, images, cnn.flops((2, 3), TINY_CNN)),
    ):
        params, _ = model.init(jax.random.key(0), batch.inputs)
        gradient = jax.grad(problem.objective(model, problem.cross_entropy))
        assert products_in(jax.make_jaxpr(gradient)(params, batch).jaxpr) == expected


@pytest.mark.oracle
def test_the_products_are_those_of_a_column() -> None:
    """H v by the equations of the docstring in NumPy, which notes the shape of each
    product.
    """
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
    column = np.concatenate(
        [hidden_dot.sum(0), h_w1.ravel(), delta_dot.sum(0), h_w2.ravel()]
    )
    np.testing.assert_allclose(matrix @ v, column + 2e-3 * v, rtol=1e-9, atol=1e-12)
    assert tuple(shapes) == hessian_products.products(7, 64, 3, 1)


@pytest.mark.identity
def test_the_products_of_a_chunk_fit_together() -> None:
    with jax.enable_x64(True):
        factors = hessian_products.operands(hessian_products.products(7, 5, 3, 4))
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


@pytest.mark.stress
@pytest.mark.identity
def test_the_hessian_is_timed_and_weighed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peers, "torch", lambda: None)
    monkeypatch.setattr(peak, "CPU_SIDE", 8)
    *timed, weighed, absent = hessian.measure(
        hessian.Size(width=2, examples=20, rounds=1)
    )
    assert [row.role for row in timed] == ["ours", "ours", "limit", "limit"]
    assert [row.ratio == 1 for row in timed] == [False, False, True, False]
    assert absent.note == peers.ABSENT
    assert weighed.note.startswith("in a fresh process")
    assert weighed.ratio is not None and weighed.ratio > 1 and weighed.seconds is None


@pytest.mark.bench
@pytest.mark.oracle
@pytest.mark.filterwarnings(
    "ignore:.torch.jit:DeprecationWarning"
)  # its own, at its first import
def test_pytorch_makes_the_same_hessian() -> None:
    torch = importlib.import_module("torch")
    size = hessian.Size(width=3, examples=20, chunk=8, torch_chunks=2)
    with jax.enable_x64(True):
        program, (params, batch), _ = hessian.hessian(size)
        matrix = np.asarray(program(params, batch))
        entrant = hessian.torch_hessian(torch, params, batch, size)
    np.testing.assert_allclose(entrant.run(), matrix[:16], rtol=1e-9, atol=1e-12)
    assert entrant.parts == len(matrix) / 16


@pytest.mark.invariance
def test_the_rebuilt_cnn_is_the_cnn() -> None:
    batch = cnn.examples(TINY_CNN)
    ours = problem.cnn((2, 3), cnn.CLASSES)
    params, _ = jax.jit(ours.init)(jax.random.key(0), batch.inputs)
    expected = jax.jit(problem.outputs(ours))(params, batch)
    for convolve in (problem.convolve_native, problem.convolve_patches):
        rebuilt = jax.jit(problem.outputs(cnn.by(convolve, (2, 3))))(params, batch)
        np.testing.assert_allclose(rebuilt, expected, rtol=1e-5, atol=1e-6)


def idle(monkeypatch: pytest.MonkeyPatch) -> None:
    """JAX's ways do nothing, and the large product is small."""

    def nothing(*rest: Any, **statics: Any) -> Entrant:
        return Entrant("a way", lambda: None)

    monkeypatch.setattr(peak, "CPU_SIDE", 8)
    for maker in ("program", "cold", "bare_scan", "products"):
        monkeypatch.setattr(
            grids, maker, lambda *rest, **statics: nothing()._replace(role="ours")
        )
    for module, maker in (
        (sweep, "python_loop"),
        (sweep, "scans_in_turn"),
        (cnn, "scan"),
    ):
        monkeypatch.setattr(module, maker, nothing)
    monkeypatch.setattr(
        optimizers, "one_by_one", lambda *rest: [nothing()._replace(role="alternative")]
    )


@pytest.mark.identity
def test_what_is_not_installed_is_left_out_with_a_note(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    idle(monkeypatch)
    monkeypatch.setattr(peers, "torch", lambda: None)
    for rows in (sweep.measure(TINY_SWEEP), cnn.measure(TINY_CNN)):
        assert [row.note for row in rows if row.seconds is None] == [peers.ABSENT]
        assert {row.device for row in rows[:-1]} == {machine.device()}


@pytest.mark.stress
@pytest.mark.identity
def test_the_cnn_is_timed_by_the_step() -> None:
    batch = cnn.examples(TINY_CNN)
    entrant = cnn.scan("ours", problem.cnn((2, 3), cnn.CLASSES), batch, steps=2)
    state, trace = entrant.run()
    assert (entrant.parts, int(state.step), trace.loss.shape) == (0.5, 2, (2,))


@pytest.mark.bench
@pytest.mark.oracle
def test_pytorch_trains_the_same_seeds_of_a_cnn() -> None:
    torch = importlib.import_module("torch")
    batch, size = (
        cnn.examples(TINY_CNN),
        TINY_CNN._replace(seed_steps=4, vmapped_steps=4),
    )
    training = cnn.small(batch, size)
    hypers = learn.grid(learn.Hyper, lr=torch_cnn.RATE, seed=range(2))
    before = torch_cnn.weights(
        jax.lax.map(partial(learn.first_state, training), hypers).params, 8
    )
    after = torch_cnn.weights(learn.sweep(training, hypers, lanes=1).params, 8)
    images = torch_cnn.images(torch, batch, torch.channels_last)
    layers = [
        torch_cnn.network(
            torch, size.seed_channels, 8, cnn.CLASSES, torch.channels_last
        )
        for _ in range(2)
    ]
    for seed, each in enumerate(layers):
        each.load_state_dict(
            {name: torch.tensor(value[seed]) for name, value in before.items()}
        )
    loops = [torch_cnn.loop(torch, each, images, steps=4) for each in layers]
    stacked = torch_cnn.stacked(torch, before)
    vmapped = torch_cnn.vmapped(torch, layers[0], stacked, images, steps=4)()
    torch_cnn.on_cores(torch, loops)()
    for name, ours in after.items():
        alone = np.stack([each.state_dict()[name].numpy() for each in layers])
        np.testing.assert_allclose(vmapped[name], ours, atol=1e-4)
        np.testing.assert_allclose(alone, ours, atol=1e-4)
        assert np.abs(ours - before[name]).max() > 1e-3


@pytest.mark.bench
@pytest.mark.identity
def test_pytorch_takes_part(monkeypatch: pytest.MonkeyPatch) -> None:
    importlib.import_module("torch")
    idle(monkeypatch)
    monkeypatch.setattr(torch_forms, "compiled", lambda torch, step, *rest: (step, 1.0))
    rows = [*sweep.measure(TINY_SWEEP), *cnn.measure(TINY_CNN)]
    names = [row.what.rpartition(": ")[2] for row in rows if "PyTorch" in row.what]
    assert len(names) == 2 * 4 + 2 + 3
    assert [row.role for row in rows].count("strongest") == 2 + 2


@pytest.mark.stress
@pytest.mark.identity
def test_startup_is_timed_outside() -> None:
    rows = startup.measure(rounds=1)
    assert {row.device for row in rows} == {"host"}
    with pytest.raises(RuntimeError, match="exited with 3: gone"):
        startup.process(
            "-c", "import sys; print('gone', file=sys.stderr); sys.exit(3)"
        )()


@pytest.mark.identity
def test_studies_are_timed_cold_and_warm(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    seen = []
    monkeypatch.setattr(
        study, "study", lambda words, folder, turn: seen.append((words, turn))
    )
    cold, warm = study.measure(("tiny",))
    assert seen == [(("tiny",), "cold"), (("tiny",), "warm")]
    assert (cold.repetitions, warm.ratio, cold.met, warm.met) == (1, 1.0, True, True)
    monkeypatch.undo()
    with pytest.raises(
        InputError,
        match=r"^There is no study 'tinny_saddle': did you mean 'toy_saddle'",
    ):
        study.study(("tinny_saddle",), tmp_path, "cold")


@pytest.mark.identity
def test_rows_are_replaced_by_benchmark(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "new" / "bench"
    monkeypatch.setattr(
        startup,
        "measure",
        lambda: [Row("startup", "new", "host", Seconds(1.0, 1.0, 1.0), 1.0)],
    )
    monkeypatch.setattr(sweep, "measure", lambda: ROWS[:3])
    bench.run(("startup", "sweep"), out)
    said = capsys.readouterr()
    assert "sweep, PyTorch: left out" in said.out
    assert said.err.split() == ["startup:", "measuring", "sweep:", "measuring"]
    monkeypatch.setattr(
        startup, "measure", lambda: [Row("startup", "newer", "host", note="too new")]
    )
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


@pytest.mark.stress
@pytest.mark.invariance
def test_the_ways_of_running_a_tuning_grid_train_the_same() -> None:
    data = jax.device_put(problem.digits())
    grid = learn.grid(learn.Hyper, lr=[0.01, 0.1], seed=range(2))
    training, single = (
        optimizers.experiment(learn.adam, data, TINY_GRID, steps=n) for n in (8, 1)
    )
    runs = learn.sweep(training, grid, lanes=4)
    scan, loop = optimizers.one_by_one(training, single, grid)
    (scanned, _), looped = scan.run(), loop.run()
    assert scan.parts == loop.parts == 4
    for path in (scanned.params, looped.params):
        one = jax.tree.map(lambda leaf: leaf[0], runs.params)
        assert tree.norm(jax.tree.map(jnp.subtract, one, path)) < 1e-5


@pytest.mark.stress
@pytest.mark.identity
def test_a_tuning_grid_is_measured_for_both_optimizers_and_for_each_number_of_lanes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    idle(monkeypatch)
    monkeypatch.setattr(peers, "torch", lambda: None)
    rows = optimizers.measure(TINY_GRID)
    contests = [row.what.split(":")[0] for row in rows[:-1]]
    assert contests == 7 * ["SGD with momentum"] + 7 * ["Adam"] + 2 * ["growth"]
    assert [row.role for row in rows[:7]] == 5 * ["ours"] + ["strongest", "limit"]
    assert rows[-1].note == peers.ABSENT
    assert rows[-2].what.startswith("growth: 2 runs") and rows[-3].ratio == 1.0


@pytest.mark.bench
def test_pytorch_trains_the_network_of_the_tuning_grid() -> None:
    torch = peers.torch()
    assert torch is not None
    data = jax.device_put(problem.digits())
    grid = learn.grid(learn.Hyper, lr=[0.05], seed=[0])
    momentum = optimizers.OPTIMIZERS["SGD with momentum"]
    entrant = optimizers.torch_loop(
        torch, momentum, data, grid, TINY_GRID._replace(width=32, torch_steps=400)
    )
    assert entrant.parts == 8 / 400
    assert min(entrant.run() for _ in range(3)) < 1.0  # nats, from ln 10 at the start
