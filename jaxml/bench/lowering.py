"""Programs lowered for platforms that need not be here: a primitive without a rule
there fails at once.

Lowering is what JAX does before XLA compiles, and needs no device.
"""

import json
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxml import curvature, learn, problem
from jaxml.learn import Hyper
from jaxml.types import Batch, Objective, Params, TrainingLoss

PLATFORMS = ("cpu", "cuda", "tpu")
LANES = 4
"""Runs in the sweep."""


class Lowered(NamedTuple):
    """What became of a program on a platform.

    Attributes:
        program: what it computes.
        platform: as JAX names it.
        error: the first line of what was said against it; empty where it was lowered.
    """

    program: str
    platform: str
    error: str


def measure() -> list[Lowered]:
    """Each program on each platform."""
    done = []
    for name, function, *arguments in programs():
        wide = any(leaf.dtype == np.float64 for leaf in jax.tree.leaves(arguments))
        with jax.enable_x64(wide):
            done += [
                lowered(name, function, arguments, platform) for platform in PLATFORMS
            ]
    return done


def lowered(
    name: str, function: Callable[..., Any], arguments: list[Any], platform: str
) -> Lowered:
    """Lowers one program for one platform; whatever JAX says against it is the
    answer.
    """
    try:
        jax.jit(function).trace(*arguments).lower(lowering_platforms=(platform,))
    except Exception as error:
        first, *_ = str(error).splitlines() or [""]
        return Lowered(name, platform, f"{type(error).__name__}: {first}")
    return Lowered(name, platform, "")


def programs() -> Iterator[tuple[Any, ...]]:
    """Names, functions and arguments of what an experiment compiles."""
    yield from trainings()
    with jax.enable_x64(True):
        yield from curvatures()


def trainings() -> Iterator[tuple[Any, ...]]:
    """A step of a dense, a convolutional and a normalised network, their runs, one of
    them with its batches over the devices, and a sweep, in float32.
    """
    digits = problem.digits()
    images = digits._replace(inputs=digits.inputs.reshape(-1, 8, 8, 1))
    mlp = problem.mlp((32, 10), jax.nn.relu)
    dense = experiment(mlp, digits)
    normalised = (problem.linear(8), problem.batch_norm(), problem.linear(10))
    for name, training, data in (
        ("dense", dense, digits),
        ("convolutional", experiment(problem.cnn((4, 8), 10), images), images),
        ("batch-normalised", experiment(problem.chain(*normalised), digits), digits),
        ("data-parallel", experiment(mlp, digits, learn.data_parallel), digits),
    ):
        state = jax.eval_shape(partial(learn.first_state, training), Hyper(lr=0.1))
        batch = jax.tree.map(lambda leaf: leaf[:32], data)
        yield f"training step, {name} network", training.step, state, batch
        yield f"training run, {name} network", training.run, state, training.data
    grid = learn.grid(Hyper, lr=np.geomspace(1e-3, 1e-1, LANES))
    yield "sweep", partial(swept, dense), grid, dense.data


def experiment(
    model: Any,
    data: Batch,
    placed: Callable[[TrainingLoss], TrainingLoss] = lambda loss: loss,
) -> learn.Training:
    """Four updates of Adam on shuffled examples, on one device unless the loss is
    placed on more.
    """
    loss = placed(problem.training_loss(model, problem.cross_entropy))
    start, batches = problem.start(model, data.inputs), learn.shuffled(data, 32)
    return learn.training(start, loss, learn.adam, batches, steps=4)


def swept(training: learn.Training, hypers: Hyper, data: Any) -> Any:
    """A chunk of a sweep."""
    states = jax.lax.map(partial(learn.first_state, training), hypers)
    return jax.vmap(training.run, in_axes=(0, None))(states, data)


def curvatures() -> Iterator[tuple[Any, ...]]:
    """Products, spectra, certificates and searches of a small network, in float64."""
    task = problem.tanh_sinc(5)
    objective = problem.objective(*task[:3])
    params = jax.tree.map(lambda leaf: np.asarray(leaf[0]), problem.networks(task, [0]))
    batch = jax.tree.map(np.asarray, task.batch)
    product = partial(curvature.hessian_product, objective)
    methods = {
        "descent on the gradient norm": partial(
            curvature.gradient_norm_descent, iterations=5
        ),
        "eigenvector following": partial(
            curvature.eigenvector_following, index=1, iterations=5
        ),
    }

    def krylov(params: Params, batch: Batch) -> Any:
        return curvature.lanczos(product(params, batch), params, depth=5)

    def ends(params: Params, batch: Batch) -> Any:
        key = jax.random.key(0)
        return curvature.extremes(
            product(params, batch), params, count=1, depth=5, key=key
        )

    def whole(params: Params, batch: Batch) -> Any:
        return curvature.whole_product(product, params, batch, size=5).product(params)

    def matrix(params: Params, batch: Batch) -> Any:
        return curvature.dense(product(params, batch), params)

    yield (
        "Hessian product",
        lambda params, batch: product(params, batch)(params),
        params,
        batch,
    )
    yield "Hessian product over all examples, in parts", whole, params, batch
    yield "dense Hessian", matrix, params, batch
    yield "Lanczos", krylov, params, batch
    yield "ends of the spectrum", ends, params, batch
    yield "certificate", partial(curvature.certify, objective), params, batch
    for name, method in methods.items():
        yield f"{name}, certified", partial(certified, method, objective), params, batch


def certified(method: Any, objective: Objective, params: Params, batch: Batch) -> Any:
    """The certificate of what a search finds from one start."""
    return curvature.certify(objective, method(objective, params, batch).params, batch)


def main(path: Path) -> int:
    """Writes what became of every program as JSON, and returns 1 if any could not be
    lowered.
    """
    done = measure()
    path.write_text(
        json.dumps([each._asdict() for each in done], indent=1) + "\n", "utf-8"
    )
    for each in done:
        print(f"{each.platform}, {each.program}: {each.error or 'lowered'}")
    return int(any(each.error for each in done))


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
