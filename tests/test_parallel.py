"""Chunks of runs over devices: equal bits on any number, all of them at work, nothing
exchanged.
"""

import subprocess
import sys
import threading
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxml import curvature, learn, memory, parallel, problem
from jaxml.types import Batch, InputError

COUNTS = (1, 2, 4, 8)
DRAW = np.random.default_rng(0)
IMAGES = problem.examples(
    DRAW.standard_normal((12, 8, 8, 1), np.float32),
    DRAW.integers(3, size=12, dtype=np.int32),
)
CURVE = problem.sinc(12)


def training(family, *, model=None, data=CURVE, loss=problem.mse, steps=6):
    model = model or problem.mlp((5, 1), jnp.tanh)
    begin, objective = (
        problem.start(model, data.inputs),
        problem.training_loss(model, loss),
    )
    return learn.training(
        begin, objective, family, learn.shuffled(data, 5), steps=steps, every=2
    )


def bits(tree):
    return [
        (str(leaf.dtype), leaf.shape, np.asarray(leaf).tobytes())
        for leaf in jax.tree.leaves(tree)
    ]


EXPERIMENTS = {
    "momentum": lambda: training(learn.momentum),
    "adam": lambda: training(learn.adam),
    "lookahead": lambda: training(learn.lookahead(learn.adamw)),
    "convolution": lambda: training(
        learn.adam,
        model=problem.cnn((2, 3), 3),
        data=IMAGES,
        loss=problem.cross_entropy,
        steps=2,
    ),
}


@pytest.mark.invariance
@pytest.mark.parametrize(
    ("name", "lanes", "counts"),
    [
        ("momentum", 3, COUNTS),
        pytest.param("adam", 3, (1, 4), marks=pytest.mark.stress),
        pytest.param("adam", 1, (1, 4), marks=pytest.mark.stress),
        pytest.param("lookahead", 3, (1, 8), marks=pytest.mark.stress),
        pytest.param("convolution", 3, (1, 2), marks=pytest.mark.stress),
    ],
)
def test_the_number_of_devices_changes_no_bit(name, lanes, counts):
    """Also where the chunks are no multiple of the devices, and the runs no multiple of
    the lanes.
    """
    experiment = EXPERIMENTS[name]()
    grid = learn.grid(learn.Hyper, lr=[0.1, 0.01], seed=range(4), period=[2])
    found = [
        learn.sweep(experiment, grid, lanes=lanes, devices=count) for count in counts
    ]
    expected = bits(found[0])
    assert all(bits(each) == expected for each in found[1:])


@pytest.mark.invariance
def test_float64_is_kept_in_every_thread():
    """A thread of its own starts without `enable_x64`."""
    with jax.enable_x64(True):
        data = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), CURVE)
        model = problem.mlp((5, 1), jnp.tanh)

        def begin(key):
            params, state = problem.start(model, data.inputs)(key)
            return jax.tree.map(
                lambda leaf: jnp.asarray(leaf, jnp.float64), params
            ), state

        loss = problem.training_loss(model, problem.mse)
        experiment = learn.training(begin, loss, learn.adam, learn.full(data), steps=3)
        grid = learn.grid(learn.Hyper, lr=[0.1, 1 / 3], seed=range(3))
        found = [
            learn.sweep(experiment, grid, lanes=2, devices=count) for count in (1, 3)
        ]
    assert {leaf.dtype for leaf in jax.tree.leaves(found[0].params)} == {
        np.dtype("float64")
    }
    assert bits(found[0]) == bits(found[1])


@pytest.mark.stress
@pytest.mark.invariance
def test_a_resumed_sweep_may_have_another_number_of_devices():
    """Stages keep names and bits; of those that are kept nothing is computed again."""
    experiment, stored = training(learn.adam), {}
    grid = learn.grid(learn.Hyper, lr=[0.1, 0.01], seed=range(5))

    def keep(name, compute, until):
        if name not in stored:
            if len(stored) == until:
                raise KeyboardInterrupt
            stored[name] = compute()
        return stored[name]

    whole = learn.sweep(experiment, grid, lanes=2, devices=1)
    with pytest.raises(KeyboardInterrupt):
        learn.sweep(experiment, grid, lanes=2, devices=4, keep=partial(keep, until=2))
    assert list(stored) == ["runs 0-1", "runs 2-3"]
    resumed = learn.sweep(
        experiment, grid, lanes=2, devices=2, keep=partial(keep, until=5)
    )
    assert list(stored) == [
        "runs 0-1",
        "runs 2-3",
        "runs 4-5",
        "runs 6-7",
        "runs 8-9",
    ]
    assert bits(resumed) == bits(whole)


@pytest.mark.identity
def test_all_devices_compute_at_once():
    """Each of three chunks waits until the two others have begun."""
    together = threading.Barrier(3, timeout=60)

    def wait(x):
        together.wait()
        return x

    def chunk(runs, shared):
        return jax.pure_callback(
            wait, jax.ShapeDtypeStruct(runs.shape, runs.dtype), runs
        )

    runs = np.arange(3.0, dtype=np.float32)
    program = parallel.compiled(chunk, runs[:1], (), chunks=3, limit=3)
    np.testing.assert_array_equal(parallel.gathered(program, runs, ()), runs)


@pytest.mark.identity
@pytest.mark.parametrize("native", [False, True])
def test_devices_exchange_nothing(native):
    """The program is one device's: no partitions, no collective, with either
    convolution.
    """
    model = problem.cnn((2, 3), 3)
    convolve = problem.convolve_native if native else problem.convolve_patches
    loss = problem.training_loss(model, problem.cross_entropy)

    def convolved(params, state, batch, key):
        kernel = jnp.ones((3, 3, 1, 1))
        images = convolve(batch.inputs, kernel)
        return loss(params, state, batch._replace(inputs=images), key)

    experiment = learn.training(
        problem.start(model, IMAGES.inputs),
        convolved,
        learn.sgd,
        learn.full(IMAGES),
        steps=2,
    )
    program = learn.compiled(
        experiment, learn.grid(learn.Hyper, lr=[0.1], seed=range(8)), lanes=2, devices=4
    )
    text = program.executables[0].as_text()
    collectives = (
        "all-reduce",
        "all-gather",
        "all-to-all",
        "collective-permute",
        "reduce-scatter",
    )
    assert [name for name in collectives if name in text] == []
    assert "num_partitions" not in text
    assert len(program.places) == 4


@pytest.mark.compiles_once
def test_devices_compile_nothing_of_their_own():
    traces = []

    def chunk(runs, shared):
        traces.append(1)
        return runs + shared

    runs = np.arange(8.0, dtype=np.float32)
    program = parallel.compiled(chunk, runs[:2], np.float32(1), chunks=4, limit=4)
    parallel.gathered(program, runs, np.float32(1))
    parallel.gathered(program, runs[:3], np.float32(2))
    assert len(traces) == 1
    assert len({id(each) for each in program.executables}) == 1


@pytest.mark.invariance
def test_lapack_works_on_all_devices_at_once():
    """400 decompositions on four of them: it neither waits for ever nor changes a
    bit.
    """
    draw = np.random.default_rng(1).standard_normal((400, 12, 12)).astype(np.float32)
    matrices = draw + draw.transpose(0, 2, 1)

    def chunk(runs, shared):
        return jnp.linalg.eigvalsh(runs), jnp.linalg.cholesky(
            runs @ runs.transpose(0, 2, 1) + shared
        )

    shared = np.eye(12, dtype=np.float32)[None]
    found = []
    for count in (1, 4):
        program = parallel.compiled(
            chunk, matrices[:4], shared, chunks=100, limit=count
        )
        found.append(parallel.gathered(program, matrices, shared))
    assert bits(found[0]) == bits(found[1])


@pytest.mark.invariance
def test_a_search_finds_the_same_on_any_number_of_devices():
    with jax.enable_x64(True):
        starts = {"w": np.random.default_rng(2).standard_normal((5, 3))}
        search = partial(
            curvature.search, partial(curvature.eigenvector_following, index=1)
        )

        def found(count):
            with parallel.limited(count):
                return search(saddle, starts, None)

        expected = bits(found(1))
        assert bits(found(3)) == expected
        assert bits(
            jax.jit(lambda starts: search(saddle, starts, None).iterations)(starts)
        ) == bits(found(2).iterations)


def saddle(params, batch):
    del batch
    x, y, z = params["w"]
    return x**2 - y**2 + 0.5 * z**2 + 0.1 * (x**4 + y**4)


@pytest.mark.identity
def test_devices_that_there_are_not():
    assert len(parallel.devices(3)) == 3
    with pytest.raises(InputError, match="0 devices cannot compute: ask for 1 or more"):
        parallel.devices(0)
    with pytest.raises(InputError, match="cannot compute"), parallel.limited(-1):
        pass
    with parallel.limited(2):
        assert len(parallel.devices()) == 2
        assert len(parallel.devices(3)) == 3
    with jax.default_device(jax.devices()[1]):
        assert parallel.devices(1) == [jax.devices()[1]]


@pytest.mark.identity
def test_too_many_accelerators_are_refused(monkeypatch):
    class Card:
        platform, device_kind = "gpu", "card"

    monkeypatch.setattr(jax, "local_devices", lambda backend=None: [Card(), Card()])
    assert len(parallel.devices()) == 2
    with pytest.raises(
        InputError,
        match=r"3 devices were asked for and JAX has 2 \(card\): ask for at most 2",
    ):
        parallel.devices(3)


@pytest.mark.identity
def test_as_many_compute_at_once_as_fit_in_memory(monkeypatch):
    """Of the host's memory each takes its part; one that does not fit is refused with
    what would.
    """
    shared, runs = np.ones((1, 1000), np.float32), np.ones((8, 1000), np.float32)

    def chunk(runs, shared):
        return runs * shared

    compile_it = partial(parallel.compiled, chunk, runs, shared, chunks=4, limit=4)
    needed = compile_it().bytes
    assert needed == 4 * 1000 * (8 + 1 + 8)
    for free, places in ((5 * needed, 4), (3 * needed + 1, 3), (needed, 1)):
        monkeypatch.setattr(memory, "host_bytes", lambda free=free: free)
        assert len(compile_it().places) == places
    monkeypatch.setattr(memory, "host_bytes", lambda: needed - 1)
    with pytest.raises(
        InputError,
        match=r"A program of 8 runs needs .* let at most 7 of them advance together",
    ):
        compile_it()
    monkeypatch.setattr(memory, "host_bytes", lambda: 5000)
    with pytest.raises(InputError, match="record less, or train a smaller model"):
        compile_it()


@pytest.mark.identity
def test_what_a_chunk_raises_arrives_and_the_next_program_runs():
    def refuse(x):
        raise ValueError("no such number")

    def chunk(runs, shared):
        return jax.pure_callback(
            refuse, jax.ShapeDtypeStruct(runs.shape, runs.dtype), runs
        )

    runs = np.arange(4.0, dtype=np.float32)
    program = parallel.compiled(chunk, runs[:1], (), chunks=4, limit=2)
    with pytest.raises(Exception, match="no such number"):
        parallel.gathered(program, runs, ())
    doubled = parallel.compiled(
        lambda runs, shared: 2 * runs, runs[:1], (), chunks=4, limit=2
    )
    np.testing.assert_array_equal(parallel.gathered(doubled, runs, ()), 2 * runs)


PROCESS = """
import hashlib, sys
import jax
jax.config.update("jax_num_cpu_devices", int(sys.argv[1]))
import numpy as np
from jaxml import learn, parallel, problem
data = problem.digits()
model = problem.mlp((16, 10), jax.nn.relu)
loss = problem.training_loss(model, problem.cross_entropy)
training = learn.training(
    problem.start(model, data.inputs),
    loss,
    learn.adam,
    learn.shuffled(data, 32),
    steps=50,
)
grid = learn.grid(learn.Hyper, lr=[1e-3, 1e-2], seed=range(8))
runs = learn.sweep(training, grid, lanes=2)
leaves = jax.tree.leaves((runs.params, runs.trace))
parts = [np.asarray(leaf).tobytes() for leaf in leaves]
print(hashlib.sha256(b"".join(parts)).hexdigest(), len(parallel.devices()))
"""


@pytest.mark.stress
@pytest.mark.invariance
def test_processes_of_1_2_4_and_8_virtual_devices_agree(monkeypatch):
    monkeypatch.delenv("XLA_FLAGS", raising=False)
    found = []
    for count in COUNTS:
        command = [sys.executable, "-c", PROCESS, str(count)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        digest, devices = done.stdout.split()
        assert int(devices) == (count if count > 1 else parallel.cores())
        found.append(digest)
    assert len(set(found)) == 1


CACHED = """
import jax
hits = []
jax.monitoring.register_event_listener(lambda event, **kwargs: hits.append(event))
import sys
sys.argv = ["jaxml"]
from jaxml.__main__ import main
assert main(["run", "ordinary_training", "--smoke", "--runs", RUNS]) == 0
hit = sum("cache_hits" in each for each in hits)
missed = sum("cache_misses" in each for each in hits)
print(hit, missed)
"""


@pytest.mark.stress
@pytest.mark.compiles_once
def test_a_second_process_starts_from_the_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
    monkeypatch.setenv("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")
    counts = []
    for turn in ("first", "second"):
        script = CACHED.replace("RUNS", repr(str(tmp_path / turn)))
        done = subprocess.run(
            [sys.executable, "-c", script], capture_output=True, text=True, check=True
        )
        counts.append(tuple(map(int, done.stdout.split()[-2:])))
    (_, missed), (hit, missed_again) = counts
    assert missed > 0
    assert (hit > 0, missed_again) == (True, 0)


@pytest.mark.identity
def test_a_batch_is_not_confused_with_runs():
    """What all share is given whole to each chunk, whatever its leading axis."""
    batch = Batch(
        np.ones((3, 2), np.float32), np.ones(3, np.float32), np.ones(3, np.float32)
    )

    def chunk(runs, shared):
        return runs * jnp.sum(shared.inputs)

    runs = np.arange(4.0, dtype=np.float32)
    program = parallel.compiled(chunk, runs[:2], batch, chunks=2, limit=2)
    np.testing.assert_array_equal(parallel.gathered(program, runs, batch), 6 * runs)
