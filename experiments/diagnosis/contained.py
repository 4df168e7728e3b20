"""Does a shallower network tell whether a deeper one has failed in optimisation?

The course's guide: training loss alone cannot tell model bias from a failed
optimisation, but a deeper network whose training loss exceeds that of a shallower one,
which it contains, has an optimisation problem. Dense networks of 4 and of 32 hidden
layers of 32 ReLUs, zₖ₊₁ = s zₖ + W relu(zₖ) + b, are plain at s = 0 and residual at
s = 1; kernels start at He's scale, in residual layers at that over their number. 512
pictures, 256 updates of 32 by gradient descent with momentum of 0.9.

What each outcome would look like. Contained: the solution of 4 layers, 28 identity
layers after it, is a network of 32 layers, and its loss must be the same but for
rounding, 10⁻⁵ nats; a larger difference says that it is not contained, as must be found
of layers of zeros instead (control). The sign, a training loss above that of the
contained network by 0.23 nats or more, a tenth of what chance has, must show for 32
plain layers from scratch, each network at its own best rate: by the first finding a
network of the 32 has the lower loss, so that their optimisation has failed. It does not
show if the deeper ends no higher. Control: 32 residual layers, which train well and
contain 4, must not show the sign.

A unit draws initial weights, pictures and their order anew: 14, of which four tune by
the loss that is judged. Ten rates in steps of 1.5 for each network. Four units of the
seed 77 placed them: losses of 1.6 nats at 32 plain layers and 0.02 at 4 on digits, of
1.43 and 0.58 on clothing, residual layers within 0.06 of theirs; standard deviations of
0.2 give a half-width of 0.15 to ten units. The first version trained on from the
embedded solution too, which could hardly end higher than it began, and asked for the
last bit, which another order of sums changes.

Not tested: that no loss by itself tells bias from failed optimisation.

Claims: C030.
Sources: He et al. 2016, arXiv:1512.03385, section 1, on solutions by construction.
Cost: 32 seconds on 2 cores, compilation included.
Expect: the sign shows for plain layers and not for residual ones.
Run: jaxml run contained
"""

import operator
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from jaxml import learn, problem, randomness, record
from jaxml.record import Arm, Assertion
from jaxml.record.comparisons import compared
from jaxml.record.figures import Figure, label, panels, shared_legend
from jaxml.types import Batch, Keep, Model, Params

DATA = ("8x8 digits", "clothing of 7x7 pixels")
POOL = 20_000  # pictures of clothing that units draw from
WIDTH, TRAIN = 32, 512
DEPTHS = (4, 32)
SHOWN = 1000  # pictures on which a network and the same in more layers are compared

NETWORKS = np.array(
    [
        (0, 0, 2e-3),  # plain, shallow
        (1, 0, 3e-4),  # plain, deep
        (0, 1, 3e-3),  # residual, shallow
        (1, 1, 4e-4),  # residual, deep
    ]
)
"""Networks by depth's place, shortcut, and lowest rate."""

SHALLOW, DEEP, RESIDUAL_SHALLOW, RESIDUAL_DEEP = range(4)
NATS = "a tenth of the loss of chance, 2.3 nats"
ABOVE = record.above(0.0, margin=0.23, reason=NATS)


@dataclass(frozen=True, kw_only=True)
class Config:
    """Rates, units and updates; of data sets the first ones."""

    data: int = len(DATA)
    rates: int = 10
    tuning: int = 4
    judging: int = 10
    steps: int = 256
    lanes: int = 70
    seed: int = 0


SMOKE = Config(data=1, rates=3, tuning=1, judging=2, steps=4)


class Run(NamedTuple):
    """A rate, the network's layers and shortcut, and what momentum reads."""

    lr: Any
    layers: int = 1
    shortcut: Any = 0.0
    momentum: Any = 0.9
    weight_decay: Any = 0.0
    warmup: Any = 0.0
    seed: int = 0


class Result(NamedTuple):
    """By data set. Units that tune come first.

    Attributes:
        loss: training loss in nats at the end of each of NETWORKS, infinite where a run
            diverged.
        embedded: loss on 1,000 pictures of the trained shallow plain network, of the
            same with identity layers after it, and with layers of zeros.
        steps: updates.
        tuning: how many of the units tune.
    """

    loss: Float[np.ndarray, "data network rate unit"]
    embedded: Float[np.ndarray, "data layers unit"]
    steps: Int[np.ndarray, ""]
    tuning: Int[np.ndarray, ""]


def study(config: Config, keep: Keep) -> Result:
    """One program a data set."""
    names = DATA[: config.data]
    measured = [keep(name, partial(_measured, config, name)) for name in names]
    losses, embedded = zip(*measured, strict=True)
    return Result(
        loss=np.stack(losses),
        embedded=np.stack(embedded),
        steps=np.array(config.steps),
        tuning=np.array(config.tuning),
    )


def _measured(config: Config, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Losses of all networks, and of solutions of the first in more layers."""
    digits = name == DATA[0]
    data = problem.digits() if digits else problem.small_clothing(POOL)
    model = problem.deep_mlp(WIDTH, DEPTHS[-1], 10, jax.nn.relu, scale=np.sqrt(2))
    training = _training(config, model, data)
    units = config.tuning + config.judging
    one = np.asarray(data.inputs)[:1]
    begin = partial(_begun, model)
    first = _grid(config, SHALLOW)
    execute = learn.begun_at(training, begin, first, one, lanes=config.lanes)
    losses, shallow = [], None
    for network in range(len(NETWORKS)):
        ended = execute(_grid(config, network), one)
        loss = np.where(ended.diverged_at < 0, ended.seen, np.float32(np.inf))
        losses.append(loss.reshape(config.rates, units))
        shallow = ended.params if network == SHALLOW else shallow
    best = learn.chosen(losses[SHALLOW], config.tuning)
    rows = units * best + np.arange(units)
    solutions = jax.tree.map(operator.itemgetter(rows), shallow)
    shown = jax.tree.map(operator.itemgetter(slice(SHOWN)), data)
    embedded = jax.jit(jax.vmap(partial(_embedded, model, shown), out_axes=-1))
    return np.stack(losses), np.asarray(embedded(solutions))


def _grid(config: Config, network: int) -> Run:
    """A network at all its rates and of all units."""
    depth, shortcut, lowest = NETWORKS[network]
    units = config.tuning + config.judging
    return learn.grid(
        Run,
        layers=DEPTHS[int(depth)],
        shortcut=shortcut,
        lr=lowest * 1.5 ** np.arange(config.rates),
        seed=randomness.seeds(config.seed, units),
    )


def _training(config: Config, model: Model, data: Batch) -> learn.Training:
    """Training on pictures of a run's own, and the loss on them at the end."""

    def observe(state: Any, train: learn.TrainState) -> tuple[Any, jax.Array]:
        mean = problem.objective(model, problem.cross_entropy, state=train.model_state)
        return state, mean(train.params, train.data.train)

    return learn.training(
        problem.start(model, data.inputs),
        problem.training_loss(model, problem.cross_entropy),
        learn.momentum,
        learn.split_anew(data, train=TRAIN, test=1, size=32),
        steps=config.steps,
        probe=learn.Probe(lambda params: (), observe),
    )


def _begun(model: Model, run: Run, one: Any) -> tuple[Params, problem.Through]:
    """He's initial values, those of residual layers over their number."""
    params, _ = model.init(jax.random.fold_in(jax.random.key(run.seed), 0), one)
    layers = jnp.asarray(run.layers)
    factor = jnp.where(run.shortcut > 0, 1.0 / layers.astype(jnp.float32), 1.0)
    hidden = jax.tree.map(lambda leaf: factor * leaf, params["hidden"])
    return {**params, "hidden": hidden}, problem.Through(layers, run.shortcut)


def _embedded(model: Model, shown: Batch, params: Params) -> jax.Array:
    """Losses of a shallow network: alone, and with identity or zero layers after it."""
    shallow, deep = DEPTHS
    used = {name: leaf[: shallow - 1] for name, leaf in params["hidden"].items()}
    own = {**params, "hidden": used}
    alone, through = problem.Through(shallow, 0.0), problem.Through(deep, 0.0)
    loss = partial(problem.objective, model, problem.cross_entropy)
    identity = loss(state=through)(problem.embedded(own, deep), shown)
    zeros = loss(state=through)(problem.embedded(own, deep, shortcut=1.0), shown)
    return jnp.stack([loss(state=alone)(params, shown), identity, zeros])


def findings(result: Result) -> tuple[Assertion, ...]:
    """Equal where embedded; the sign; and controls of both."""
    found = []
    shallow, deep = DEPTHS
    contained = f"the {shallow} that they contain"
    told = (
        (DEEP, SHALLOW, f"{deep} plain layers from scratch end", contained),
        (
            RESIDUAL_DEEP,
            RESIDUAL_SHALLOW,
            f"Control: {deep} residual layers, which train well, end",
            contained,
        ),
    )
    for place in range(len(result.loss)):
        setting = (
            f"{DATA[place]} ({TRAIN} drawn anew), dense networks of "
            f"{WIDTH} ReLUs a layer, {result.steps:,} updates of 32 by "
            "momentum, rates tuned for each"
        )
        found.append(_contained(result, place, "identity", setting))
        found.append(_contained(result, place, "zero", setting))
        for ours, theirs, what, than in told:
            role = record.supporting if ours == RESIDUAL_DEEP else record.deciding
            arms = [Arm(result.loss[place, each]) for each in (ours, theirs)]
            found.append(
                role(
                    "C030",
                    f"{what} at a higher training loss than {than}.",
                    record.tuned(
                        record.mean_difference, *arms, tuning=int(result.tuning)
                    ),
                    ABOVE,
                    unit="nats",
                    setting=setting,
                )
            )
    return tuple(found)


def _contained(result: Result, place: int, layers: str, setting: str) -> Assertion:
    """Whether a loss stays the same; with zero layers it must not."""
    shallow, deep = DEPTHS
    before, identity, zeros = result.embedded[place]
    control = layers == "zero"
    role = record.supporting if control else record.deciding
    return role(
        "C030",
        f"{'Control: a' if control else 'A'} trained network of {shallow} hidden "
        f"layers is contained in one of {deep}: with {layers} layers after it, its "
        f"loss on {SHOWN:,} pictures is equal to 10⁻⁵ nats.",
        record.largest((zeros if control else identity) - before),
        record.at_most(1e-5),
        unit="error",
        setting=setting,
    )


def figures(result: Result) -> dict[str, Figure]:
    """The differences of losses that are judged, in each unit."""
    figure, axes = panels(1, len(result.loss), width=6.0)
    for axis, name, losses in zip(axes, DATA, result.loss, strict=False):
        shallow, deep, small, large = (Arm(loss) for loss in losses)
        pairs = {
            "plain: deep minus contained": (deep, shallow),
            "residual: deep minus contained": (large, small),
        }
        compared(axis, pairs, ABOVE, tuning=int(result.tuning))
        label(axis, name, "difference of training losses (nats)", "networks")
    shared_legend(figure)
    return {"contained": figure}
