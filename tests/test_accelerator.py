"""The script for an accelerator: its steps, its tables, and what must hold on any
device.
"""

import json
import subprocess
import sys
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxml import curvature, learn, mesh, problem
from jaxml.bench import (
    accelerator,
    dense,
    installation,
    lanes,
    lowering,
    peak,
    steps,
    summary,
)
from jaxml.bench.steps import ROOT, Outcome, Step
from jaxml.types import InputError


def bits(tree):
    return [np.asarray(leaf).tobytes() for leaf in jax.tree.leaves(tree)]


@pytest.mark.stress
@pytest.mark.device
@pytest.mark.invariance
@pytest.mark.parametrize("family", [learn.momentum, learn.adam])
def test_a_sweep_has_equal_bits_twice(family):
    """The second time it is compiled anew as well."""
    data = problem.digits()
    model = problem.mlp((32, 10), jax.nn.relu)
    loss = problem.training_loss(model, problem.cross_entropy)
    batches = learn.shuffled(data, 32)
    training = learn.training(
        problem.start(model, data.inputs), loss, family, batches, steps=40
    )
    grid = learn.grid(learn.Hyper, lr=[0.001, 0.01], seed=range(2))
    first = learn.sweep(training, grid, lanes=4)
    jax.clear_caches()
    assert bits(learn.sweep(training, grid, lanes=4)) == bits(first)
    assert (first.diverged_at == -1).all()


@pytest.mark.stress
@pytest.mark.device
@pytest.mark.invariance
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_hessian_and_its_spectrum_have_equal_bits_twice(dtype):
    with jax.enable_x64(dtype is np.float64):
        task = problem.tanh_sinc(5, dtype=dtype)
        objective = problem.objective(*task[:3])
        params, _ = task.model.init(jax.random.key(0), task.batch.inputs)

        def found():
            product = curvature.hessian_product(objective, params, task.batch)
            matrix = curvature.dense(product, params)
            return matrix, curvature.extremes(
                product, params, count=2, depth=10, key=jax.random.key(1)
            )

        first = bits(found())
        jax.clear_caches()
        assert bits(found()) == first


@pytest.mark.device
@pytest.mark.invariance
def test_batches_over_all_devices_leave_what_one_device_does():
    """However many there are, one of them included."""
    data = problem.digits()
    model = problem.mlp((32, 10), jax.nn.relu)
    loss = problem.training_loss(model, problem.cross_entropy)

    def ran(loss, devices):
        start, batches = problem.start(model, data.inputs), learn.shuffled(data, 32)
        training = learn.training(start, loss, learn.momentum, batches, steps=20)
        state = learn.first_state(training, learn.Hyper(lr=0.1))
        return jax.jit(training.run)(*mesh.replicated((state, data), devices))

    everywhere = mesh.of(len(jax.devices()))
    alone, trace = ran(loss, mesh.of(1))
    together, other = ran(learn.data_parallel(loss), everywhere)
    np.testing.assert_allclose(other.loss, trace.loss, rtol=1e-4)
    jax.tree.map(
        partial(np.testing.assert_allclose, atol=1e-5), together.params, alone.params
    )


@pytest.mark.device
@pytest.mark.oracle
def test_products_of_float32_keep_float32():
    """Rounding to the 10 bits of TF32 would err by 1e-3 / √3 a product, a thousand
    times as much.
    """
    draw = np.random.default_rng(0)
    left, right = draw.standard_normal((2, 256, 256))
    with jax.default_matmul_precision("highest"):
        found = jax.jit(jnp.matmul)(jnp.float32(left), jnp.float32(right))
    exact = np.float32(left).astype(float) @ np.float32(right).astype(float)
    assert (
        np.abs(found - exact).max()
        < 256 * np.finfo(np.float32).eps * np.abs(exact).max()
    )


@pytest.mark.identity
def test_a_step_has_the_operations_that_its_products_have():
    """As XLA counts them in a program without a loop; it counts those outside the
    products too.
    """
    size = dense.SMOKE._replace(widths=(256, 128, 64, 10), examples=128)
    batch = dense.examples(dense.SINGLE, size)
    model = problem.mlp((128, 64, 10), jax.nn.relu)
    objective = problem.objective(model, problem.cross_entropy)
    params, _ = model.init(jax.random.key(0), batch.inputs)
    analysis = (
        jax.jit(jax.grad(objective)).lower(params, batch).compile().cost_analysis()
    )
    assert 1 <= analysis["flops"] / peak.dense(size.widths, size.examples) < 1.05


@pytest.mark.stress
@pytest.mark.identity
def test_the_benchmarks_of_accelerators_run():
    one, four = lanes.measure(lanes.SMOKE)
    assert (one.ratio, one.what.partition(",")[0], four.what.partition(",")[0]) == (
        1.0,
        "1 lane",
        "4 lanes",
    )
    step, limit = dense.measure(dense.SMOKE._replace(arithmetics=(dense.SINGLE,)))
    assert step.ratio == 1.0 and limit.ratio is not None
    assert step.what.endswith("TFLOP/s") and limit.to == "the step"


@pytest.mark.identity
def test_a_program_that_cannot_be_lowered_says_why():
    def fails(x):
        raise TypeError(f"no rule for {x.shape}\nand more")

    done = [
        lowering.lowered("fails", fails, [jnp.ones(2)], name)
        for name in lowering.PLATFORMS
    ]
    assert {each.error for each in done} == {"TypeError: no rule for (2,)"}
    assert lowering.lowered("adds", lambda x: x + 1, [jnp.ones(2)], "tpu").error == ""


def spoken(tmp_path, planned, total=60.0):
    with (tmp_path / "log.txt").open("w") as log:
        outcomes = steps.perform(planned, log, {"SAID": "all"}, total)
    return outcomes, (tmp_path / "log.txt").read_text()


@pytest.mark.identity
def test_a_step_that_fails_or_lasts_stops_no_other(tmp_path, capsys):
    sleep = (
        "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import time; "
        "time.sleep(60)'])"
    )
    say = "import os; print(os.environ['SAID'], os.environ['OWN'])"
    planned = [
        Step("fails", (sys.executable, "-c", "raise SystemExit('gone')"), 30.0, {}),
        Step("lasts", (sys.executable, "-c", sleep), 1.0, {}),
        Step("ends", (sys.executable, "-c", say), 30.0, {"OWN": "mine"}),
    ]
    outcomes, log = spoken(tmp_path, planned)
    verdicts = [each.verdict for each in outcomes]
    assert verdicts == ["failed with exit code 1", "stopped after 1 s", steps.WELL]
    assert "gone" in log and "all mine" in log
    assert "lasts: stopped after 1 s" in capsys.readouterr().out
    (left,), _ = spoken(tmp_path, planned[2:], total=0.0)
    assert left.verdict == "not begun: no time was left"


@pytest.mark.golden
def test_the_tables_of_a_visit(tmp_path):
    (tmp_path / "tests.xml").write_text(
        '<testsuites><testsuite><testcase classname="tests.a" name="good"/><testcase '
        'classname="tests.a" name="bad"><failure/></testcase></testsuite></testsuites>'
    )
    done = [
        {"program": "sweep", "platform": "cpu", "error": ""},
        {"program": "sweep", "platform": "tpu", "error": "E: x"},
    ]
    (tmp_path / "lowering.json").write_text(json.dumps(done))
    text = summary.markdown(
        tmp_path, "gpu: card", [Outcome("tests", "done", 1.25, 60.0)]
    )
    assert text == (
        "# gpu: card\n\n## Steps\n\n| Step | | Seconds | Limit |\n|-|-|-|-|\n| tests | "
        "done | 1.2 | 60 |\n\n## Tests\n\n2 tests, 1 failed.\n- tests.a::bad\n\n## "
        "Lowering\n\n| Program | cpu | tpu |\n|-|-|-|\n| sweep | lowered | E: x |\n"
    )


@pytest.mark.identity
def test_a_folder_that_cannot_take_the_results_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    for name, message in (
        ("", "no folder is named"),
        (f"{tmp_path}/file", "cannot be written"),
    ):
        with pytest.raises(InputError, match=message):
            accelerator.folder(name)
    with pytest.raises(InputError, match="is not empty: name a new folder"):
        accelerator.folder(str(tmp_path))
    assert accelerator.folder(str(tmp_path / "new")).is_dir()


@pytest.mark.identity
def test_an_accelerator_that_is_absent_is_refused(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("JAX_PLATFORMS", "cpu")
    assert accelerator.found(smoke=True).startswith("cpu")
    assert accelerator.main([str(tmp_path / "new")]) == 2
    assert "only the cpu: run this where there is one" in capsys.readouterr().err
    monkeypatch.setenv("JAX_PLATFORMS", "tpu")
    with pytest.raises(InputError, match="JAX does not start in"):
        accelerator.found(smoke=True)


@pytest.mark.identity
def test_every_benchmark_of_the_script_exists():
    assert accelerator.BENCHMARKS.keys() <= set(accelerator.summary.BENCHMARKS)
    assert all(
        (ROOT / name).exists() for name in (*installation.SOURCES, *accelerator.TESTS)
    )


@pytest.mark.stress
def test_the_script_runs_on_the_cpu(tmp_path):
    out = tmp_path / "out"
    command = [
        "make",
        "accelerator",
        f"OUT={out}",
        "SMOKE=1",
        f"PYTHON={sys.executable}",
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, (out / "log.txt").read_text()
    files = sorted(
        str(path.relative_to(out)) for path in out.rglob("*") if path.is_file()
    )
    assert files == [
        "batch_cpu.png",
        "cpu.json",
        "cpu.png",
        "log.txt",
        "lowering.json",
        "tables.md",
        "tests.xml",
        "toy_saddle/findings.json",
        "toy_saddle/manifest.json",
    ]
    assert all(path.stat().st_size < 16 * 2**20 for path in out.rglob("*"))
    tables = (out / "tables.md").read_text()
    assert (
        ", 0 failed." in tables
        and "## toy_saddle" in tables
        and "| lowered | lowered | lowered |" in tables
    )
