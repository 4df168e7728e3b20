"""The exact Hessian of a softmax network and the signs of its eigenvalues, against its matrix products.

For inputs X [n, d], a = tanh(X W₁ + b₁), z = a W₂ + b₂ and the mean cross-entropy with δ = ∂loss/∂z, a
column of the Hessian is the gradient's derivative along (V₁, V₂). A dot is that derivative:

    ȧ = tanh' ∘ (X V₁),  ż = ȧ W₂ + a V₂,  H_W₂ = ȧᵀ δ + aᵀ δ̇,  δ̇_a = δ̇ W₂ᵀ + δ V₂ᵀ,  H_W₁ = Xᵀ δ̇_h

where δ̇_h follows from δ̇_a elementwise. These are eight products a column; a chunk of k columns shares the
factor that does not change, so each is one product k times as long. Nothing else is of that order, and
the factorisations of the inertia, whose p³/3 operations each are products too, are not counted.
"""

import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxml import curvature, problem, tree
from jaxml.bench.machine import device
from jaxml.bench.race import Entrant, compiled, race
from jaxml.bench.rows import Row, Target, judged
from jaxml.types import Batch, Params

CLASSES = 10


class Size(NamedTuple):
    """The network, its data, how many columns are made at a time, and the repetitions."""

    width: int = 64
    examples: int = 1797
    chunk: int = 32
    rounds: int = 5


FULL = Size()


def measure(size: Size = FULL) -> list[Row]:
    """The matrix and its signs against the products; then the memory, in a process of its own."""
    with jax.enable_x64(True):
        program, (params, batch), seconds = hessian(size)
        inputs, columns = batch.inputs.shape[1], tree.size(params)
        factors = operands(products(size.examples, inputs, size.width, min(size.chunk, columns)))
        multiply, multiply_seconds = compiled(lambda pairs: [a @ b for a, b in pairs], factors)
        chunks = -(-columns // size.chunk)
        entrants = [
            Entrant("its matrix products", lambda: repeat(multiply, factors, chunks), 1.0, multiply_seconds),
            Entrant("dense Hessian", lambda: program(params, batch), 1.0, seconds),
            Entrant(
                "dense Hessian and inertia",
                lambda: curvature.inertia(program(params, batch), tolerance=1e-8),
                compile_seconds=seconds,
                target=Target("ratio", "at most", 3.0),
                note="two factorisations for the inertia, on the host; the reference leaves them out",
            ),
        ]
        rows = race("hessian", entrants, to="products", rounds=size.rounds)
    return [*rows, memory(size, columns)]


def hessian(size: Size) -> tuple[Any, tuple[Params, Batch], float]:
    """The compiled program of the matrix, its arguments, and the seconds of compiling it."""
    task = problem.softmax_digits(size.width, examples=size.examples)
    params, _ = task.model.init(jax.random.key(0), task.batch.inputs)
    objective = problem.objective(*task[:3])

    def matrix(params: Params, batch: Batch) -> jax.Array:
        return curvature.dense(curvature.hessian_product(objective, params, batch), params, chunk=size.chunk)

    arguments = params, jax.device_put(task.batch)
    program, seconds = compiled(matrix, *arguments)
    return program, arguments, seconds


def products(n: int, inputs: int, hidden: int, k: int) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """The shapes of the eight products of k columns, in the order of the equations above.

    >>> flops = sum(2 * m * r * c for (m, r), (_, c) in products(1797, 64, 64, 1))
    >>> flops == 2 * 1797 * (2 * 64 * 64 + 6 * 64 * 10)
    True
    """
    c = CLASSES
    return [
        ((n, inputs), (inputs, k * hidden)),
        ((k * n, hidden), (hidden, c)),
        ((n, hidden), (hidden, k * c)),
        ((k * hidden, n), (n, c)),
        ((hidden, n), (n, k * c)),
        ((k * n, c), (c, hidden)),
        ((n, c), (c, k * hidden)),
        ((inputs, n), (n, k * hidden)),
    ]


def operands(shapes: list[tuple[tuple[int, int], tuple[int, int]]]) -> list[tuple[jax.Array, jax.Array]]:
    """Normal float64 matrices of these shapes."""
    draw = np.random.default_rng(0).standard_normal
    return [(jnp.asarray(draw(left)), jnp.asarray(draw(right))) for left, right in shapes]


def repeat(call: Any, argument: Any, times: int) -> None:
    """Calls so many times, each when the last has ended, so that results do not pile up."""
    for _ in range(times):
        jax.block_until_ready(call(argument))


def memory(size: Size, columns: int) -> Row:
    """What the process grows by at the peak of the first matrix and inertia, over the matrix itself."""
    command = [sys.executable, "-m", "jaxml.bench.hessian", *(str(number) for number in size[:3])]
    done = subprocess.run(command, capture_output=True, text=True)
    row = Row("hessian", "peak memory of dense Hessian and inertia", device(), repetitions=1)
    if done.returncode:
        return row._replace(note=f"left out: {(done.stderr.splitlines() or ['it failed'])[-1]}")
    return judged(
        row._replace(
            ratio=int(done.stdout.split()[-1]) / (8 * columns**2),
            to="the matrix",
            target=Target("ratio", "at most", 3.0),
            note="in a fresh process: its resident memory at the peak (VmHWM; on an accelerator the device's "
            "own count) less what it held once all was compiled (VmRSS)",
        )
    )


def growth(size: Size) -> int:
    """Bytes by which this process's peak exceeds what it held when the program was compiled."""
    with jax.enable_x64(True):
        program, arguments, _ = hessian(size)
        before, _ = held()
        curvature.inertia(program(*arguments), tolerance=1e-8)
        return held()[1] - before


def held() -> tuple[int, int]:
    """Bytes held now, and at the peak: by the accelerator's own count, or the resident memory on Linux."""
    statistics = jax.local_devices()[0].memory_stats() or {}
    if "peak_bytes_in_use" in statistics:
        return statistics["bytes_in_use"], statistics["peak_bytes_in_use"]
    # Not getrusage: its peak is inherited from the process that started this one.
    fields = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    now, peak = (int(fields[name].split()[0]) * 1024 for name in ("VmRSS", "VmHWM"))
    return now, peak


if __name__ == "__main__":
    print(growth(Size(*map(int, sys.argv[1:]))))
