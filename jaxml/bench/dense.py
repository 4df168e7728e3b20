"""A training step of a wide network against the machine's own speed at one large matrix
product.

For n examples and layers of d₀, d₁, ..., d_L units, layer l multiplies [n, dₗ₋₁] by
[dₗ₋₁, dₗ] on the way forward, and on the way back once more for the kernel's gradient
and once for the layer's inputs, which the first layer does not need. Nothing else in a
step is of that order.
"""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxml import learn, problem
from jaxml.bench import peak
from jaxml.bench.race import Entrant, compiled, race
from jaxml.bench.rows import Row, Target
from jaxml.types import Batch, Key

HALF = Target("ratio", "at least", 0.5)


class Arithmetic(NamedTuple):
    """How matrix products are made.

    Attributes:
        name: of the arithmetic.
        dtype: of parameters and examples.
        precision: what `jax.default_matmul_precision` is given; None leaves JAX's own
            choice.
    """

    name: str
    dtype: Any
    precision: str | None


SINGLE = Arithmetic("float32", jnp.float32, "highest")
DEFAULT = Arithmetic("float32 at the device's default precision", jnp.float32, None)
HALF_WIDTH = Arithmetic("bfloat16", jnp.bfloat16, None)


class Size(NamedTuple):
    """The network, the product it is compared with, and in which arithmetic.

    Attributes:
        widths: of the layers, the inputs' first.
        examples: of the batch.
        steps: of the scan that is timed.
        side: rows and columns of the matrices of the large product.
        products: in the scan that is timed.
        rounds: repetitions.
        arithmetics: each is measured against its own peak.
        target: of the step, as a fraction of the peak.
    """

    widths: tuple[int, ...] = (4096, 4096, 4096, 10)
    examples: int = 8192
    steps: int = 8
    side: int = 8192
    products: int = 8
    rounds: int = 5
    arithmetics: tuple[Arithmetic, ...] = (SINGLE, DEFAULT, HALF_WIDTH)
    target: Target | None = HALF


ON_ACCELERATOR = Size()
ON_CPU = Size((1024, 1024, 1024, 10), 512, 4, 2048, 2, 5, (SINGLE,), None)
SMOKE = Size((16, 16, 10), 8, 2, 16, 2, 1, (SINGLE, HALF_WIDTH), None)


def measure(size: Size | None = None) -> list[Row]:
    """A step and the same number of operations in one large product, in turn, for each
    arithmetic.
    """
    size = size or (ON_CPU if jax.default_backend() == "cpu" else ON_ACCELERATOR)
    rows: list[Row] = []
    for arithmetic in size.arithmetics:
        with jax.default_matmul_precision(arithmetic.precision):
            entrants = [step(arithmetic, size), at_peak(arithmetic, size)]
        rows += race("dense", entrants, to="the step", rounds=size.rounds)
    operations = peak.dense(size.widths, size.examples)
    return [with_rate(row, operations) for row in rows]


def step(arithmetic: Arithmetic, size: Size) -> Entrant:
    """Steps of SGD with momentum on one batch, by `learn`."""
    _, *widths = size.widths
    batch = examples(arithmetic, size)
    model = problem.mlp(tuple(widths), jax.nn.relu)
    loss = problem.training_loss(model, problem.cross_entropy)
    start = problem.start(model, np.asarray(batch.inputs[:1], np.float32))

    def begin(key: Key) -> tuple[Any, Any]:
        params, state = start(key)
        return jax.tree.map(lambda leaf: leaf.astype(arithmetic.dtype), params), state

    training = learn.training(
        begin, loss, learn.momentum, learn.full(batch), steps=size.steps
    )
    state = jax.jit(partial(learn.first_state, training))(learn.Hyper(lr=0.01))
    program, seconds = compiled(training.run, state, training.data)
    return Entrant(
        f"{arithmetic.name}: training step",
        lambda: program(state, training.data),
        parts=1 / size.steps,
        compile_seconds=seconds,
        role="ours",
        note=f"layers of {size.widths} units, {size.examples} examples, SGD with "
        f"momentum; steps measured: {size.steps}",
    )


def at_peak(arithmetic: Arithmetic, size: Size) -> Entrant:
    """As many operations as a step's, in products of two large square matrices."""
    draw = np.random.default_rng(0).standard_normal
    shape = size.side, size.side
    left = jnp.asarray(draw(shape, np.float32), arithmetic.dtype)
    right = jnp.asarray(draw(shape, np.float32) / np.sqrt(size.side), arithmetic.dtype)

    def chain(left: jax.Array, right: jax.Array) -> jax.Array:
        """Each product is the next one's left factor, so that none can be left out."""
        return jax.lax.fori_loop(0, size.products, lambda _, x: x @ right, left)

    program, seconds = compiled(chain, left, right)
    done = size.products * peak.product(size.side, size.side, size.side)
    return Entrant(
        f"{arithmetic.name}: its products at the measured peak",
        lambda: program(left, right),
        parts=peak.dense(size.widths, size.examples) / done,
        compile_seconds=seconds,
        target=size.target,
        role="limit",
        note=f"{size.products} products of {size.side} x {size.side} matrices, scaled "
        "to the step's operations; the ratio is the fraction of this peak that "
        "the step reaches",
    )


def examples(arithmetic: Arithmetic, size: Size) -> Batch:
    """Normal inputs and uniform labels: the time of a step does not depend on them."""
    draw = np.random.default_rng(0)
    inputs = draw.standard_normal((size.examples, size.widths[0]), np.float32)
    labels = draw.integers(size.widths[-1], size=size.examples, dtype=np.int32)
    batch = problem.examples(inputs, labels)
    narrow = batch._replace(
        inputs=jnp.asarray(batch.inputs, arithmetic.dtype),
        weights=jnp.asarray(batch.weights, arithmetic.dtype),
    )
    return jax.device_put(narrow)


def with_rate(row: Row, operations: int) -> Row:
    """The row with its operations a second in its name."""
    if row.seconds is None:
        return row
    rate = operations / row.seconds.median / 1e12
    return row._replace(what=f"{row.what}, {rate:.3g} TFLOP/s")
