"""The exact Hessian of a softmax network and its eigenvalues' signs, against its
products and PyTorch.

The factorisations of the inertia, whose p³/3 operations each are products too, are not
counted among them.
"""

import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxml import curvature, problem, tree
from jaxml.bench import peak, peers
from jaxml.bench.hessian_products import (
    Shapes,
    multiplied,
    operands,
    operations,
    products,
)
from jaxml.bench.machine import device
from jaxml.bench.race import Entrant, compiled, race
from jaxml.bench.rows import Row, Target, judged
from jaxml.types import Batch, Params

DECAY = 1e-3


class Size(NamedTuple):
    """What is measured.

    Attributes:
        width: of the hidden layer.
        examples: of the data.
        chunk: columns that are made at a time.
        rounds: repetitions.
        torch_chunks: so many chunks are measured in PyTorch.
    """

    width: int = 64
    examples: int = 1797
    chunk: int = 32
    rounds: int = 5
    torch_chunks: int = 2


FULL = Size()


def measure(size: Size = FULL) -> list[Row]:
    """The matrix and its signs against the products; then the memory, in a process of
    its own.
    """
    with jax.enable_x64(True):
        program, arguments, seconds = hessian(size)
        params, batch = arguments
        columns = tree.size(params)
        shapes = products(
            size.examples, batch.inputs.shape[1], size.width, min(size.chunk, columns)
        )
        chunks = -(-columns // size.chunk)
        entrants = [
            its_products(shapes, chunks),
            *ours(program, arguments, seconds),
            peak.limit(chunks * operations(shapes), dtype=jnp.float64),
        ]
        torch = peers.torch()
        if torch:
            entrants.append(torch_hessian(torch, params, batch, size))
        rows = race("hessian", entrants, to="products", rounds=size.rounds)
    left_out = [] if torch else [peers.absent("hessian")]
    return [*rows, memory(size, columns), *left_out]


def its_products(shapes: Shapes, chunks: int) -> Entrant:
    """The products alone, as often as there are chunks of columns."""
    factors = operands(shapes)
    multiply, seconds = compiled(multiplied, factors)
    return Entrant(
        "its matrix products",
        lambda: repeat(multiply, factors, chunks),
        compile_seconds=seconds,
        note="of these shapes and nothing else",
        role="limit",
    )


def ours(
    program: Any, arguments: tuple[Params, Batch], seconds: float
) -> list[Entrant]:
    """The matrix, and the matrix with the signs of its eigenvalues."""

    def signs() -> Any:
        return curvature.inertia(program(*arguments), tolerance=1e-8)

    return [
        Entrant(
            "dense Hessian",
            lambda: program(*arguments),
            compile_seconds=seconds,
            role="ours",
        ),
        Entrant(
            "dense Hessian and inertia",
            signs,
            compile_seconds=seconds,
            target=Target("ratio", "at most", 3.0),
            note="two factorisations for the inertia, on the host; the reference "
            "leaves them out",
            role="ours",
        ),
    ]


def torch_hessian(
    torch: ModuleType, params: Params, batch: Batch, size: Size
) -> Entrant:
    """What `torch.func.hessian` does, forward over reverse on one-hot tangents, in
    chunks to bound memory.
    """
    columns = tree.size(params)
    measured = min(size.torch_chunks * size.chunk, columns)
    return Entrant(
        "PyTorch, forward over reverse by `torch.func`",
        torch_columns(torch, params, batch, count=measured, chunk=size.chunk),
        parts=columns / measured,
        note=f"float64, {size.chunk} columns at a time; columns measured: {measured} "
        f"of {columns}, scaled to all; without the inertia",
        device=peers.device_name(torch),
        role="alternative",
    )


def torch_columns(
    torch: ModuleType, params: Params, batch: Batch, *, count: int, chunk: int
) -> Callable[[], Any]:
    """The first columns of the same Hessian in PyTorch, as rows; parameters in the
    order of `tree.ravel`.
    """
    place = peers.accelerator(torch)
    inputs = torch.tensor(np.asarray(batch.inputs), device=place)
    labels = torch.tensor(np.asarray(batch.targets), dtype=torch.int64, device=place)
    leaves = [
        torch.tensor(np.asarray(leaf), device=place) for leaf in jax.tree.leaves(params)
    ]
    sizes, shapes = [leaf.numel() for leaf in leaves], [leaf.shape for leaf in leaves]
    flat = torch.cat([leaf.reshape(-1) for leaf in leaves])

    def loss(flat: Any) -> Any:
        parts = [
            part.view(shape)
            for part, shape in zip(flat.split(sizes), shapes, strict=True)
        ]
        first_bias, first, second_bias, second = parts
        hidden = torch.tanh(inputs @ first + first_bias)
        outputs = hidden @ second + second_bias
        return (
            torch.nn.functional.cross_entropy(outputs, labels)
            + DECAY * flat.square().sum()
        )

    gradient = torch.func.grad(loss)

    def column(tangent: Any) -> Any:
        return torch.func.jvp(gradient, (flat,), (tangent,))[1]

    tangents = torch.eye(count, len(flat), dtype=flat.dtype, device=place)
    return partial(torch.func.vmap(column, chunk_size=chunk), tangents)


def hessian(size: Size) -> tuple[Any, tuple[Params, Batch], float]:
    """The compiled program of the matrix, its arguments, and the seconds of compiling
    it.
    """
    task = problem.softmax_digits(size.width, decay=DECAY, examples=size.examples)
    params, _ = task.model.init(jax.random.key(0), task.batch.inputs)
    objective = problem.objective(*task[:3])

    def matrix(params: Params, batch: Batch) -> jax.Array:
        return curvature.dense(
            curvature.hessian_product(objective, params, batch),
            params,
            chunk=size.chunk,
        )

    arguments = params, jax.device_put(task.batch)
    program, seconds = compiled(matrix, *arguments)
    return program, arguments, seconds


def repeat(call: Any, argument: Any, times: int) -> None:
    """Calls so many times, each when the last has ended, so that results do not pile
    up.
    """
    for _ in range(times):
        jax.block_until_ready(call(argument))


def memory(size: Size, columns: int) -> Row:
    """What the process grows by at the peak of the first matrix and inertia, over the
    matrix itself.
    """
    command = [
        sys.executable,
        "-m",
        "jaxml.bench.hessian",
        *(str(number) for number in size[:3]),
    ]
    done = subprocess.run(command, capture_output=True, text=True)
    row = Row(
        "hessian", "peak memory of dense Hessian and inertia", device(), repetitions=1
    )
    if done.returncode:
        return row._replace(
            note=f"left out: {(done.stderr.splitlines() or ['it failed'])[-1]}"
        )
    return judged(
        row._replace(
            ratio=int(done.stdout.split()[-1]) / (8 * columns**2),
            to="the matrix",
            target=Target("ratio", "at most", 3.0),
            note="in a fresh process: its resident memory at the peak (VmHWM; on an "
            "accelerator the device's own count) minus what it held once all was "
            "compiled (VmRSS)",
        )
    )


def growth(size: Size) -> int:
    """Bytes by which this process's peak exceeds what it held when the program was
    compiled.
    """
    with jax.enable_x64(True):
        program, arguments, _ = hessian(size)
        before, _ = held()
        curvature.inertia(program(*arguments), tolerance=1e-8)
        return held()[1] - before


def held() -> tuple[int, int]:
    """Bytes held now, and at the peak: by the accelerator's own count, or the resident
    memory on Linux.
    """
    statistics = jax.local_devices()[0].memory_stats() or {}
    if "peak_bytes_in_use" in statistics:
        return statistics["bytes_in_use"], statistics["peak_bytes_in_use"]
    # Not getrusage: its peak is inherited from the process that started this one.
    fields = dict(
        line.split(":", 1)
        for line in Path("/proc/self/status").read_text().splitlines()
    )
    now, peak = (int(fields[name].split()[0]) * 1024 for name in ("VmRSS", "VmHWM"))
    return now, peak


if __name__ == "__main__":
    print(growth(Size(*map(int, sys.argv[1:]))))
