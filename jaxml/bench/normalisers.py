"""A training step of a dense network with each normalisation, against the same network
without one.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxml import learn, problem
from jaxml.bench.race import Entrant, compiled, race
from jaxml.bench.rows import Row, Target
from jaxml.types import Batch, Model

AT_MOST = Target("ratio", "at most", 1.3)


class Size(NamedTuple):
    """The network, and how many steps each way is timed on.

    Attributes:
        inputs: of an example.
        width: of both hidden layers; a multiple of the groups.
        groups: of group normalisation, and places of instance normalisation.
        examples: of the batch.
        steps: in the scan that is timed.
        rounds: repetitions.
    """

    inputs: int = 784
    width: int = 1024
    groups: int = 32
    examples: int = 512
    steps: int = 10
    rounds: int = 5


FULL = Size()
SMOKE = Size(inputs=6, width=8, groups=2, examples=4, steps=1, rounds=1)


def measure(size: Size = FULL, *, names: Sequence[str] = ()) -> list[Row]:
    """Seconds of one step, the plain network's first; of normalisations of such names,
    or of all.
    """
    batch, every = examples(size), normalisers(size)
    chosen = names or tuple(every)
    entrants = [step(name, network(*every[name]), batch, size) for name in chosen]
    plain, *others = entrants
    normalised = [entrant._replace(target=AT_MOST) for entrant in others]
    entrants = [plain._replace(role="ours"), *normalised]
    return race("normalisers", entrants, to="plain", rounds=size.rounds)


def normalisers(
    size: Size,
) -> dict[str, tuple[Size, Callable[[], Model], Callable[[Model], Model]]]:
    """By name, what follows a hidden layer and what is around it."""
    none, alone = problem.chain, as_it_is

    def in_places() -> Model:
        """Instance normalisation, of units that are read as places and channels."""
        shape = (size.groups, size.width // size.groups)
        split = problem.elementwise(lambda x: x.reshape(len(x), *shape))
        joined = problem.elementwise(lambda x: x.reshape(len(x), -1))
        return problem.chain(split, problem.instance_norm(), joined)

    after = {
        "plain": none,
        "batch normalisation": problem.batch_norm,
        "batch renormalisation": problem.batch_renorm,
        "layer normalisation": problem.layer_norm,
        "group normalisation": partial(problem.group_norm, size.groups),
        "instance normalisation": in_places,
        "root mean square normalisation": problem.rms_norm,
    }
    around = {
        "weight normalisation": problem.weight_normed,
        "spectral normalisation": problem.spectral_normed,
    }
    layers = {name: (size, made, alone) for name, made in after.items()}
    return layers | {name: (size, none, made) for name, made in around.items()}


def network(
    size: Size, norm: Callable[[], Model], wrapped: Callable[[Model], Model]
) -> Model:
    """Two hidden layers of ReLUs, normalised before the activation."""
    parts = []
    for _ in range(2):
        parts.append(wrapped(problem.linear(size.width)))
        parts += [norm(), problem.elementwise(jax.nn.relu)]
    return problem.chain(*parts, problem.linear(10))


def as_it_is(layer: Model) -> Model:
    """The layer."""
    return layer


def examples(size: Size) -> Batch:
    """Normal inputs and uniform labels: the time of a step does not depend on them."""
    draw = np.random.default_rng(0)
    inputs = draw.standard_normal((size.examples, size.inputs), np.float32)
    labels = draw.integers(10, size=size.examples, dtype=np.int32)
    return jax.device_put(problem.examples(inputs, labels))


def step(what: str, model: Model, batch: Batch, size: Size) -> Entrant:
    """Steps of SGD with momentum on one batch, by `learn`."""
    loss = problem.training_loss(model, problem.cross_entropy)
    start = problem.start(model, batch.inputs)
    training = learn.training(
        start, loss, learn.momentum, learn.full(batch), steps=size.steps
    )
    first: Any = jax.jit(partial(learn.first_state, training))
    state = first(learn.Hyper(lr=0.01))
    program, seconds = compiled(training.run, state, batch)
    return Entrant(
        what,
        lambda: program(state, batch),
        parts=1 / size.steps,
        compile_seconds=seconds,
        note=f"steps measured: {size.steps}",
    )
