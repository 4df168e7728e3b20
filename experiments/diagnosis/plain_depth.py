"""Do plain networks of 56 layers fail in optimisation, and does a shallower one tell?

The course shows ResNet's figure: a plain convolutional network of 56 layers is worse
than one of 20 on CIFAR-10, in training (about 6 % and 1.5 % of errors, read off the
plot) as in testing (13 % and 9.5 %); so it does not overfit, its optimisation fails.
Its guide says more: training loss alone cannot tell bias from a failed optimisation,
but a deeper network whose training loss exceeds that of a shallower one, which it
contains, has an optimisation problem. Those networks cost too much here. Dense networks
of 4, 20 and 56 hidden layers of 32 ReLUs, in the form zₖ₊₁ = s zₖ + W relu(zₖ) + b,
are plain at s = 0 and residual at s = 1, with the same parameters; kernels start at
He's scale, over √56 and so on where a residual sum would grow. 512 pictures, 256
updates of 32 by gradient descent with momentum of 0.9, that is 16 epochs for all.

What each outcome would look like. C031: the claim holds if 56 plain layers end at a
higher error than 20 by more than two pictures in a hundred on the training set and on
held-out pictures, each at its own best rate; it fails if they do not. If they did so on
held-out pictures alone, they would overfit. Control: 56 residual layers must not.
C030: the solution of 4 layers with 52 identity layers after it is a network of 56
layers, and its loss must be the same to the last bit. The guide's sign of an
optimisation problem, a training loss above that of the contained network by 0.23 nats,
a tenth of what chance has, must show for 56 plain layers from scratch. It is right
if the same 56 layers, trained as long from the embedded solution, end as far below
those from scratch, so that they could have; if not, wrong. Control: 56
residual layers, which train well and contain 4, must not show the sign.

A unit draws initial weights, pictures and their order anew: 14, of which four tune.
Ten rates in steps of 1.5 for each network. Four units of the seed 7700 placed them
on digits: training errors of 0.76 (56), 0.4 (20) and 0.01 (4), of 0.01 residual, with
standard deviations of 0.08, so that ten units give a half-width of about 0.07 around a
difference of 0.35.

Not tested: convolution, batch normalisation, CIFAR-10, long training; that no loss by
itself tells bias from failed optimisation.

Claims: C031, C030.
Sources: He et al. 2016, arXiv:1512.03385, figure 1; arXiv:1603.05027.
Cost: not measured yet.
Expect: plain networks fail by depth, residual ones do not.
Run: jaxml run plain_depth
"""

import operator
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from jaxml import learn, parallel, problem, randomness, record
from jaxml.record import Arm, Assertion
from jaxml.record.comparisons import compared
from jaxml.record.figures import Axes, Figure, band, label, panels, shared_legend
from jaxml.types import Array, Batch, Keep, Model, Params

DATA = ("8x8 digits", "clothing of 7x7 pixels")
POOL = 20_000  # pictures of clothing that units draw from
KINDS = ("plain", "residual")
PLAIN, RESIDUAL = range(2)
LOWEST = np.array([[2e-3, 4e-4, 2e-4], [3e-3, 6e-4, 2e-4]])  # by kind and depth
CONTINUED = 1e-4
HIGHER = record.above(0.0, margin=0.02, reason="two pictures in a hundred")
NATS = "a tenth of the loss of chance, 2.3 nats"
ABOVE = record.above(0.0, margin=0.23, reason=NATS)


@dataclass(frozen=True, kw_only=True)
class Config:
    """Depths, width, rates, units, pictures and updates; of data sets the first ones.

    Depths are three, from the shallowest.
    """

    data: int = len(DATA)
    depths: tuple[int, ...] = (4, 20, 56)
    width: int = 32
    rates: int = 10
    tuning: int = 4
    judging: int = 10
    train: int = 512
    test: int = 500
    steps: int = 256
    lanes: int = 70
    seed: int = 0


SMOKE = Config(
    data=1,
    depths=(2, 3, 4),
    width=8,
    rates=3,
    tuning=1,
    judging=2,
    train=64,
    test=20,
    steps=4,
    lanes=9,
)


class Run(NamedTuple):
    """A network by its layers and shortcut, the unit whose weights it starts from, what
    multiplies these in the hidden layers, and what momentum reads.
    """

    lr: Any
    layers: Any
    shortcut: Any = 0.0
    factor: Any = 1.0
    unit: Any = 0
    momentum: Any = 0.9
    weight_decay: Any = 0.0
    warmup: Any = 0.0
    seed: Any = 0


class Seen(NamedTuple):
    """Of runs, `[run]`: the training loss at the start and at the end, and errors.

    Attributes:
        before: nats.
        loss: nats.
        training: the fraction of training pictures told wrongly.
        held_out: of held-out ones.
    """

    before: Array
    loss: Array
    training: Array
    held_out: Array


class Result(NamedTuple):
    """By data set, kind of KINDS, depth and rate; infinite loss and error of 1 where a
    run diverged. Units that tune come first.

    Attributes:
        loss: training loss in nats.
        training: errors.
        held_out: errors.
        embedded: what 4 plain layers have of loss at the end, and 56 with the same
            solution embedded have at the start.
        continued: training loss of 56 plain layers that began there.
        depths: hidden layers.
        rates: of gradient descent.
        width: units of a layer.
        train: pictures of a unit.
        steps: updates.
        tuning: how many of the units tune.
    """

    loss: Float[np.ndarray, "data kind depth rate unit"]
    training: Float[np.ndarray, "data kind depth rate unit"]
    held_out: Float[np.ndarray, "data kind depth rate unit"]
    embedded: Float[np.ndarray, "data both unit"]
    continued: Float[np.ndarray, "data rate unit"]
    depths: Int[np.ndarray, " depth"]
    rates: Float[np.ndarray, "kind depth rate"]
    width: Int[np.ndarray, ""]
    train: Int[np.ndarray, ""]
    steps: Int[np.ndarray, ""]
    tuning: Int[np.ndarray, ""]


class Measured(NamedTuple):
    """What one data set gives: fields as those of `Result`."""

    loss: Array
    training: Array
    held_out: Array
    embedded: Array
    continued: Array


def study(config: Config, keep: Keep) -> Result:
    """One program a data set."""
    steps = 1.5 ** np.arange(config.rates)
    rates = (LOWEST[..., None] * steps).astype(np.float32)
    found = []
    for name in DATA[: config.data]:
        compute = partial(_measured, config, name, rates)
        found.append(Measured(*keep(name, compute)))
    return Result(
        *(np.stack(each) for each in zip(*found, strict=True)),
        depths=np.array(config.depths),
        rates=rates,
        width=np.array(config.width),
        train=np.array(config.train),
        steps=np.array(config.steps),
        tuning=np.array(config.tuning),
    )


def _measured(config: Config, name: str, rates: np.ndarray) -> Measured:
    """All networks from scratch, and the deepest plain one from an embedded one."""
    digits = name == DATA[0]
    data = problem.digits() if digits else problem.small_clothing(POOL)
    units = config.tuning + config.judging
    seeds = np.array(randomness.seeds(config.seed, units), np.int32)
    tables = _tables(config, data.inputs.shape[1], seeds)
    execute = _program(config, data, tables, seeds)
    seen, shallow, chosen = [], tables, 0
    for kind, depth in np.ndindex(*rates.shape[:2]):
        layers = config.depths[depth]
        factor = 1 / layers if kind == RESIDUAL else 1.0
        first = Run(rates[kind, depth], layers, float(kind), factor)
        of_network, params = execute(_runs(first, seeds), tables)
        seen.append(of_network)
        if (kind, depth) == (PLAIN, 0):
            losses = np.asarray(of_network.loss)
            chosen = learn.chosen(losses, config.tuning)
            shallow = jax.tree.map(operator.itemgetter(chosen), params)
    embedded = _embedded(config, shallow)
    rate = (CONTINUED * rates[0, 0] / rates[0, 0, 0]).astype(np.float32)
    later, _ = execute(_runs(Run(rate, config.depths[-1]), seeds), embedded)
    shape = (*rates.shape, units)
    all_seen = jax.tree.map(lambda *leaves: np.stack(leaves).reshape(shape), *seen)
    return Measured(
        loss=all_seen.loss,
        training=all_seen.training,
        held_out=all_seen.held_out,
        embedded=np.stack([seen[0].loss[chosen], later.before[0]]),
        continued=later.loss,
    )


def _tables(config: Config, inputs: int, seeds: np.ndarray) -> Params:
    """Initial parameters of each unit at He's scale, `[unit, ...]`."""
    width, hidden = config.width, config.depths[-1] - 1
    shapes = {
        "first": (inputs, width),
        "hidden": (hidden, width, width),
        "last": (width, 10),
    }
    generators = [np.random.default_rng(seed) for seed in seeds]
    tables = {}
    for name, shape in shapes.items():
        normal = np.stack([each.normal(size=shape) for each in generators])
        kernel = np.sqrt(2 / shape[-2]) * normal
        bias = np.zeros((len(seeds), *shape[:-2], shape[-1]))
        layer = {"kernel": kernel, "bias": bias}
        tables[name] = {key: leaf.astype(np.float32) for key, leaf in layer.items()}
    return tables


def _runs(network: Run, seeds: np.ndarray) -> Run:
    """A network at all its rates, and of each all units."""
    rates, units = len(network.lr), len(seeds)
    run = network._replace(
        lr=np.repeat(network.lr, units),
        unit=np.tile(np.arange(units), rates),
        seed=np.tile(seeds, rates),
    )
    columns = {}
    for name, value in run._asdict().items():
        whole = name in ("layers", "unit", "seed")
        column = np.broadcast_to(value, (rates * units,))
        columns[name] = column.astype(np.int32 if whole else np.float32)
    return Run(**columns)


def _program(
    config: Config, data: Batch, tables: Params, seeds: np.ndarray
) -> Callable[[Run, Params], tuple[Seen, Params]]:
    """`(runs, tables) -> (seen, parameters)`, both `[rate, unit, ...]`, compiled."""
    depth = config.depths[-1]
    model = problem.deep_mlp(config.width, depth, 10, jax.nn.relu)
    training = learn.training(
        problem.start(model, data.inputs),
        problem.training_loss(model, problem.cross_entropy),
        learn.momentum,
        learn.split_anew(data, train=config.train, test=config.test, size=32),
        steps=config.steps,
        probe=learn.Probe(lambda params: params, partial(_observed, model)),
    )

    def one(shared: Any, run: Run) -> tuple[Seen, Params]:
        table, examples = shared
        params = jax.tree.map(lambda leaf: leaf[run.unit], table)
        hidden = params["hidden"]
        scaled = {**hidden, "kernel": run.factor * hidden["kernel"]}
        through = problem.Through(run.layers, run.shortcut)
        begun = training.init(run, {**params, "hidden": scaled}, through)
        ended, trace = training.run(begun, examples)
        return jax.tree.map(lambda leaf: leaf[-1], trace.probed), ended.params

    def of_chunk(chunk: Run, shared: Any) -> tuple[Seen, Params]:
        return jax.vmap(partial(one, shared))(chunk)

    runs = _runs(Run(np.zeros(config.rates, np.float32), depth), seeds)
    first = parallel.rows(runs, np.arange(config.lanes))
    chunks = len(runs.lr) // config.lanes
    with jax.default_matmul_precision("highest"):  # or identity layers would round
        program = parallel.compiled(of_chunk, first, (tables, data), chunks=chunks)

    def execute(runs: Run, tables: Params) -> tuple[Seen, Params]:
        outputs = parallel.gathered(program, runs, (tables, data))
        shape = (config.rates, len(seeds))
        return jax.tree.map(lambda leaf: leaf.reshape(*shape, *leaf.shape[1:]), outputs)

    return execute


def _observed(model: Model, begun: Params, train: learn.TrainState) -> Any:
    """Losses before and after, and errors; the worst where the run diverged."""
    through, own = train.model_state, train.data
    loss = problem.objective(model, problem.cross_entropy, state=through)
    right = problem.objective(model, problem.accuracy, state=through)
    healthy = train.diverged_at < 0
    worst = jnp.float32(jnp.inf)
    seen = Seen(
        before=loss(begun, own.train),
        loss=jnp.where(healthy, loss(train.params, own.train), worst),
        training=jnp.where(healthy, 1 - right(train.params, own.train), 1.0),
        held_out=jnp.where(healthy, 1 - right(train.params, own.test), 1.0),
    )
    return begun, seen


def _embedded(config: Config, shallow: Params) -> Params:
    """Of each unit the shallowest solution, identity layers after it."""
    units = []
    used = config.depths[0] - 1
    for unit in range(config.tuning + config.judging):
        own = jax.tree.map(operator.itemgetter(unit), shallow)
        hidden = {name: leaf[:used] for name, leaf in own["hidden"].items()}
        longer = problem.embedded({**own, "hidden": hidden}, config.depths[-1])
        units.append(longer)
    return jax.tree.map(lambda *leaves: np.stack(leaves), *units)


def findings(result: Result) -> tuple[Assertion, ...]:
    """Depth by depth (C031), and the contained solution (C030), on each data set."""
    found: list[Assertion] = []
    for place in range(len(result.loss)):
        found += _by_depth(result, place)
        found += _contained(result, place)
    return tuple(found)


def _setting(result: Result, place: int, kinds: str) -> str:
    return (
        f"{DATA[place]} ({result.train:,} drawn anew), {kinds} dense networks of "
        f"{result.width} ReLUs a layer, {result.steps:,} updates of 32 by momentum, "
        "rates tuned for each"
    )


def _by_depth(result: Result, place: int) -> list[Assertion]:
    """The deepest against the middle one, in training and held-out error."""
    _, middle, deepest = result.depths
    found = []
    for kind, name in enumerate(KINDS):
        role = record.deciding if kind == PLAIN else record.supporting
        control = "" if kind == PLAIN else "Control: "
        for which, errors in (
            ("training", result.training),
            ("held-out", result.held_out),
        ):
            of_depth = errors[place, kind]
            found.append(
                role(
                    "C031",
                    f"{control}A {name} network of {deepest} hidden layers ends at a "
                    f"higher {which} error than one of {middle}.",
                    _difference(result, Arm(of_depth[-1]), Arm(of_depth[-2])),
                    HIGHER,
                    unit="fraction difference",
                    setting=_setting(result, place, name),
                )
            )
    return found


def _difference(result: Result, ours: Arm, theirs: Arm) -> record.Interval:
    tuning = int(result.tuning)
    return record.tuned(record.mean_difference, ours, theirs, tuning=tuning)


def _contained(result: Result, place: int) -> list[Assertion]:
    """Equal loss where embedded, the sign, and who shows that it was right."""
    shallow, _, deepest = result.depths
    plain, residual = result.loss[place]
    before, after = result.embedded[place]
    continued = Arm(result.continued[place])
    setting = partial(_setting, result, place)
    return [
        record.deciding(
            "C030",
            f"A trained network of {shallow} hidden layers is contained in one of "
            f"{deepest}: with identity layers after it, its training loss is equal.",
            record.largest(after - before),
            record.at_most(0.0),
            unit="error",
            setting=setting("plain"),
            figure="contained",
        ),
        record.deciding(
            "C030",
            f"A plain network of {deepest} hidden layers trained from scratch ends at "
            f"a higher training loss than the one of {shallow} that it contains.",
            _difference(result, Arm(plain[-1]), Arm(plain[0])),
            ABOVE,
            unit="nats",
            setting=setting("plain"),
            figure="contained",
        ),
        record.deciding(
            "C030",
            f"Where that sign shows, optimisation has failed: {deepest} plain layers "
            f"from scratch end at a higher training loss than the same {deepest} "
            f"trained on from the embedded solution of {shallow}.",
            _difference(result, Arm(plain[-1]), continued),
            ABOVE,
            unit="nats",
            setting=setting("plain"),
            figure="contained",
        ),
        record.supporting(
            "C030",
            f"Control: a residual network of {deepest} hidden layers, which trains "
            "well, ends at a higher training loss than the one of "
            f"{shallow} that it contains.",
            _difference(result, Arm(residual[-1]), Arm(residual[0])),
            ABOVE,
            unit="nats",
            setting=setting("residual"),
            figure="contained",
        ),
    ]


def figures(result: Result) -> dict[str, Figure]:
    """Errors by depth at tuned rates, and differences of losses unit by unit."""
    count, tuning = len(result.loss), int(result.tuning)
    first, axes = panels(count, 2, height=3.6)
    second, beside = panels(1, count, width=6.5)
    for place in range(count):
        left, right = axes[2 * place : 2 * place + 2]
        _drawn(left, result, result.training[place])
        _drawn(right, result, result.held_out[place])
        label(left, DATA[place], "hidden layers", "training error (fraction)")
        label(right, DATA[place], "hidden layers", "held-out error (fraction)")
        plain, residual = result.loss[place]
        pairs = {
            "plain: deepest minus contained": (Arm(plain[-1]), Arm(plain[0])),
            "plain: from scratch minus from embedded": (
                Arm(plain[-1]),
                Arm(result.continued[place]),
            ),
            "residual: deepest minus contained": (Arm(residual[-1]), Arm(residual[0])),
        }
        compared(beside[place], pairs, ABOVE, tuning=tuning)
        label(beside[place], DATA[place], "training loss (nats)", "networks")
    shared_legend(first)
    shared_legend(second)
    return {"plain_depth": first, "contained": second}


def _drawn(axis: Axes, result: Result, errors: np.ndarray) -> None:
    """Judged units at each network's tuned rate."""
    tuning = int(result.tuning)
    for name, of_depth in zip(KINDS, errors, strict=True):
        chosen = [learn.chosen(each, tuning) for each in of_depth]
        judged = of_depth[np.arange(len(chosen)), chosen, tuning:]
        band(axis, result.depths, judged, name)
