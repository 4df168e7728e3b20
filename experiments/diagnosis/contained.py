"""Does a shallower network tell whether a deeper one has failed in optimisation?

The course's guide: training loss alone cannot tell model bias from a failed
optimisation, but a deeper network whose training loss exceeds that of a shallower one,
which it contains, has an optimisation problem. Dense networks of 4 and of 32 hidden
layers of 32 ReLUs, zₖ₊₁ = s zₖ + W relu(zₖ) + b, are plain at s = 0 and residual at
s = 1; kernels start at He's scale, in residual layers at that over their number. 512
pictures, 256 updates of 32 by gradient descent with momentum of 0.9.

What each outcome would look like. Contained: the solution of 4 layers, 28 identity
layers after it, is a network of 32 layers, and its training loss must be the same to
the last bit; any other number says that it is not contained. The sign, a training loss
above that of the contained network by 0.23 nats or more, a tenth of what chance has,
must show for 32 plain layers from scratch, each network at its own best rate. It tells
right if the same 32 layers, trained on for as long from the embedded solution, end as
far below those from scratch: they could have. It tells wrong if they end above them.
Control: 32 residual layers, which train well and contain 4, must not show the sign.

A unit draws initial weights, pictures and their order anew: 14, of which four tune by
the loss that is judged. Ten rates in steps of 1.5 for each network. Four units of the
seed 77 placed them: losses of 1.6 nats at 32 plain layers, 0.02 at 4 and 0.001 from the
embedded solution on digits, of 1.43, 0.58 and 0.35 on clothing, residual layers within
0.06 of theirs; standard deviations of 0.2 give a half-width of 0.15 to ten units.

Not tested: that no loss by itself tells bias from failed optimisation.

Claims: C030.
Sources: He et al. 2016, arXiv:1512.03385, section 1, on solutions by construction.
Cost: not measured yet.
Expect: the sign shows for plain layers and not for residual ones, and tells right.
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
from jaxml.types import Batch, Keep, Params

DATA = ("8x8 digits", "clothing of 7x7 pixels")
POOL = 20_000  # pictures of clothing that units draw from
WIDTH, TRAIN = 32, 512
DEPTHS = (4, 32)
SCRATCH = -1  # the place of a run that begins at random


NETWORKS = np.array(
    [
        (0, 0, 2e-3),  # plain, shallow
        (1, 0, 3e-4),  # plain, deep
        (0, 1, 3e-3),  # residual, shallow
        (1, 1, 4e-4),  # residual, deep
        (1, 0, 1.5e-4),  # plain, deep, from the embedded shallow solution
    ]
)
"""Networks by depth's place, shortcut, and lowest rate."""

SHALLOW, DEEP, RESIDUAL_SHALLOW, RESIDUAL_DEEP, CONTINUED = range(5)
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
    """A rate, the network's layers and shortcut, what momentum reads, and the place of
    the unit whose embedded solution is the beginning, or SCRATCH.
    """

    lr: Any
    layers: int = 1
    shortcut: Any = 0.0
    place: int = SCRATCH
    momentum: Any = 0.9
    weight_decay: Any = 0.0
    warmup: Any = 0.0
    seed: int = 0


class Result(NamedTuple):
    """By data set. Units that tune come first.

    Attributes:
        loss: training loss in nats at the end of each of NETWORKS, infinite where a run
            diverged.
        embedded: at the end of the shallow plain network, and at the beginning of the
            deep one in which it is embedded.
        steps: updates.
        tuning: how many of the units tune.
    """

    loss: Float[np.ndarray, "data network rate unit"]
    embedded: Float[np.ndarray, "data both unit"]
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
    """Losses of all networks, the last of which begins at solutions of the first."""
    digits = name == DATA[0]
    data = problem.digits() if digits else problem.small_clothing(POOL)
    model = problem.deep_mlp(WIDTH, DEPTHS[-1], 10, jax.nn.relu, scale=np.sqrt(2))
    training = _training(config, model, data)
    units = config.tuning + config.judging
    start = problem.start(model, data.inputs)
    fresh, _ = jax.eval_shape(start, randomness.key(config.seed))
    given = jax.tree.map(lambda leaf: np.zeros((units, *leaf.shape), np.float32), fresh)
    first = _grid(config, SHALLOW)
    begin = partial(_begun, model)
    with jax.default_matmul_precision("highest"):  # or identity layers would round
        execute = learn.begun_at(training, begin, first, given, lanes=config.lanes)
    shape = (config.rates, units)
    losses, rows, before = [], np.arange(units), np.zeros(shape)
    for network in range(len(NETWORKS)):
        grid = _grid(config, network)
        ended = execute(grid, given)
        before, loss = (leaf.reshape(shape) for leaf in ended.seen)
        lost = ended.diverged_at.reshape(shape) >= 0
        losses.append(np.where(lost, np.float32(np.inf), loss))
        if network == SHALLOW:
            rows += units * learn.chosen(losses[SHALLOW], config.tuning)
            given = _embedded(ended.params, rows)
    ends = losses[SHALLOW].ravel()[rows]
    return np.stack(losses), np.stack([ends, before[0]])


def _grid(config: Config, network: int) -> Run:
    """A network at all its rates and of all units."""
    depth, shortcut, lowest = NETWORKS[network]
    units = config.tuning + config.judging
    grid = learn.grid(
        Run,
        layers=DEPTHS[int(depth)],
        shortcut=shortcut,
        lr=lowest * 1.5 ** np.arange(config.rates),
        seed=randomness.seeds(config.seed, units),
    )
    if network != CONTINUED:
        return grid
    places = np.arange(config.rates * units, dtype=np.int32) % units
    return grid._replace(place=places)


def _training(config: Config, model: Any, data: Batch) -> learn.Training:
    """Training on pictures of a run's own, and the loss on them before and after."""

    def observe(begun: Params, train: learn.TrainState) -> tuple[Params, Any]:
        through, own = train.model_state, train.data.train
        loss = problem.objective(model, problem.cross_entropy, state=through)
        return begun, (loss(begun, own), loss(train.params, own))

    return learn.training(
        problem.start(model, data.inputs),
        problem.training_loss(model, problem.cross_entropy),
        learn.momentum,
        learn.split_anew(data, train=TRAIN, test=1, size=32),
        steps=config.steps,
        probe=learn.Probe(lambda params: params, observe),
    )


def _begun(model: Any, run: Run, given: Params) -> tuple[Params, problem.Through]:
    """Drawn, or what is given at the run's place."""
    inputs = jnp.zeros((1, given["first"]["kernel"].shape[1]))
    drawn, _ = model.init(jax.random.fold_in(jax.random.key(run.seed), 0), inputs)
    layers = jnp.asarray(run.layers)
    factor = jnp.where(run.shortcut > 0, 1.0 / layers.astype(jnp.float32), 1.0)
    hidden = jax.tree.map(lambda leaf: factor * leaf, drawn["hidden"])
    own = jax.tree.map(operator.itemgetter(run.place), given)
    params = jax.tree.map(
        partial(jnp.where, run.place == SCRATCH), {**drawn, "hidden": hidden}, own
    )
    return params, problem.Through(layers, run.shortcut)


def _embedded(params: Params, rows: np.ndarray) -> Params:
    """The shallow solutions of some runs, identity layers after them."""
    used = DEPTHS[0] - 1
    deeper = []
    for row in rows:
        own = jax.tree.map(operator.itemgetter(row), params)
        own["hidden"] = {name: leaf[:used] for name, leaf in own["hidden"].items()}
        deeper.append(problem.embedded(own, DEPTHS[-1]))
    return jax.tree.map(lambda *leaves: np.stack(leaves), *deeper)


def findings(result: Result) -> tuple[Assertion, ...]:
    """Equal where embedded; the sign, whether it tells right, and its control."""
    found = []
    shallow, deep = DEPTHS
    contained = f"the {shallow} that they contain"
    told = (
        (DEEP, SHALLOW, f"{deep} plain layers from scratch end", contained),
        (
            DEEP,
            CONTINUED,
            f"Where that sign shows optimisation has failed: {deep} plain layers from "
            "scratch end",
            f"the same trained on from the embedded solution of {shallow}",
        ),
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
        found.append(_contained(result, place, setting))
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


def _contained(result: Result, place: int, setting: str) -> Assertion:
    shallow, deep = DEPTHS
    before, after = result.embedded[place]
    return record.deciding(
        "C030",
        f"A trained network of {shallow} hidden layers is contained in one of {deep}: "
        "with identity layers after it, its training loss is equal.",
        record.largest(after - before),
        record.at_most(0.0),
        unit="error",
        setting=setting,
    )


def figures(result: Result) -> dict[str, Figure]:
    """The differences of losses that are judged, in each unit."""
    figure, axes = panels(1, len(result.loss), width=6.0)
    for axis, name, losses in zip(axes, DATA, result.loss, strict=False):
        shallow, deep, small, large, continued = (Arm(loss) for loss in losses)
        pairs = {
            "plain: deep minus contained": (deep, shallow),
            "plain: scratch minus embedded": (deep, continued),
            "residual: deep minus contained": (large, small),
        }
        compared(axis, pairs, ABOVE, tuning=int(result.tuning))
        label(axis, name, "difference of training losses (nats)", "networks")
    shared_legend(figure)
    return {"contained": figure}
