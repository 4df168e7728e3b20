"""Does the gradient vanish in deep sigmoid networks, and do they fail to train for it?

σ'(z) ≤ 1/4, so that of a layer's gradient ∂L/∂z at most a quarter, times the largest
singular value of its kernel, reaches the layer before. The course adds that sigmoids
saturate, that deep sigmoid networks therefore fail to train, and that ReLU has replaced
them; its accuracy on MNIST collapses at nine to ten sigmoid layers. Hidden layers of
width 32 read 8x8 digits; kernels start with variance 1/fan-in (2/fan-in under ReLU) and
biases at 0; 512 digits are trained on for 300 updates of 32 by gradient descent with
momentum of 0.9.

What each outcome would look like. The gradient vanishes if in the untrained network
less than a thousandth of the last hidden layer's ∂L/∂z arrives at the first of ten; it
does not if a thousandth or more does, as must be found of tanh and of ReLU (controls);
a factor of two is no difference there. Ten sigmoid layers fail to train if at the rate
that is best in hindsight, which favours them, they reach a training accuracy below one
half; they do not if it is higher; a tenth of the digits matters. ReLU mends it if ten
layers of it reach an accuracy higher by a tenth or more, each at its tuned rate. Where
no rate trains a network its best rate means nothing and may stand on the grid's edge.
Controls: with one hidden layer both must reach the same accuracy, to two digits in a
hundred. And ten sigmoid layers that are a tanh network written by σ, tanh a = 2σ(2a) -
1, must train: kernels of 4/√fan-in and biases that centre the units. They show that the
failure is one of the usual initial values, not of what sigmoids can express.

A unit draws initial weights, digits and their order anew: 16, of which six tune.
Rates step by 1.5. Ranges were placed by four units of the seed 7700, at which sigmoid
layers were at 0.1 at all rates, ReLU and the centred sigmoids above 0.9. What is
trained by Adam is shown beside it.

Not tested: batch normalisation, residual connections, convolution, long training.

Claims: C025.
Sources: Glorot and Bengio 2010; Hochreiter 1991; He et al. 2015, arXiv:1502.01852.
Cost: not measured yet.
Expect: the gradient vanishes and ten layers fail, without any saturation.
Run: jaxml run vanishing_gradients
"""

import itertools
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from jaxml import learn, problem, randomness, record
from jaxml.record import Arm, Assertion
from jaxml.record.figures import Figure, band, label, panels, shared_legend
from jaxml.types import Array, Batch, Keep, Key, Model, Params

WIDTH, CLASSES = 32, 10
DEEPEST = 10
SATURATED = 0.05  # σ' below it, a fifth of its largest
POINTS = 1.5 ** np.arange(14)
QUARTER = 0.25 * (1 + 1e-12)  # rounding of norms in float64
TENTH = "a tenth of the digits"
TWICE = "a factor of two is little beside the range of ten layers"


class Layers(NamedTuple):
    """An activation by its place in ACTIVATIONS, its initial values, and its lowest
    rate.
    """

    name: str
    kind: int
    lowest: float


def _logistic(z: jax.Array) -> jax.Array:
    return 0.5 + 0.5 * jnp.tanh(z / 2)


ACTIVATIONS = (_logistic, jax.nn.relu, jnp.tanh, _logistic)
SIGMOID = Layers("sigmoid", 0, 0.02)
RELU = Layers("ReLU", 1, 0.002)
TANH = Layers("tanh", 2, 0.002)
CENTRED = Layers("centred sigmoid", 3, 0.01)
ADAM = Layers("sigmoid by Adam", 0, 5e-4)
ARMS = (SIGMOID, RELU, TANH, CENTRED, ADAM)
NAMES = [arm.name for arm in ARMS]


@dataclass(frozen=True, kw_only=True)
class Config:
    """Depths, units and length of training; of the arms the first ones."""

    arms: int = len(ARMS)
    depths: tuple[int, ...] = (1, 2, 4, 7, DEEPEST)
    tuning: int = 6
    judging: int = 10
    train: int = 512
    steps: int = 300
    lanes: int = 35
    seed: int = 0


SMOKE = Config(arms=2, depths=(1, DEEPEST), tuning=1, judging=2, train=64, steps=4)


class Start(NamedTuple):
    """A rate, an activation, the hidden layers in use, what momentum and Adam read."""

    lr: Any
    activation: int = 0
    layers: int = 1
    momentum: Any = 0.9
    second_moment: Any = 0.999
    epsilon: Any = 1e-8
    weight_decay: Any = 0.0
    warmup: Any = 0.0
    seed: int = 0


class Used(NamedTuple):
    """What a run makes of the one network: an activation, and its first layers."""

    kind: Array
    through: problem.Through


class Signals(NamedTuple):
    """Of an untrained network of ten hidden layers, whose layers come in their order.

    Attributes:
        gradient: ‖∂L/∂z‖ of each hidden layer's sums, over examples and units.
        passed: what each has of the next one's, the output's after the last, over the
            largest singular value of the kernel between.
        saturated: the fraction of all outputs at which σ' < SATURATED.
    """

    gradient: Float[Array, "... layer"]
    passed: Float[Array, "... layer"]
    saturated: Float[Array, "..."]


class Result(NamedTuple):
    """By arm of ARMS. Units that tune come first.

    Attributes:
        accuracy: of training digits at the end, 0 where a run diverged.
        depths: hidden layers.
        signals: of untrained networks `[activation, unit]`.
        tuning: how many of the units tune.
        train: digits of a unit.
        steps: updates.
    """

    accuracy: Float[Array, "arm depth rate unit"]
    depths: Int[Array, " depth"]
    signals: Signals
    tuning: Int[Array, ""]
    train: Int[Array, ""]
    steps: Int[Array, ""]


def study(config: Config, keep: Keep) -> Result:
    """Two programs of training, momentum's and Adam's, and the signals."""
    units = config.tuning + config.judging
    seeds = np.array(randomness.seeds(config.seed, units), np.int32)
    arms = ARMS[: config.arms]
    accuracies = []
    for name, family, own in (
        ("momentum", learn.momentum, [arm for arm in arms if arm is not ADAM]),
        ("Adam", learn.adam, [arm for arm in arms if arm is ADAM]),
    ):
        if own:
            accuracies.append(_accuracies(config, keep, name, family, own, seeds))
    kinds = range(min(len(ACTIVATIONS), len(arms)))
    by_kind = [[_signals(config, kind, seed) for seed in seeds] for kind in kinds]
    of_kinds = [
        jax.tree.map(lambda *leaves: np.stack(leaves), *each) for each in by_kind
    ]
    return Result(
        accuracy=np.concatenate(accuracies).astype(np.float32),
        depths=np.array(config.depths),
        signals=jax.tree.map(lambda *leaves: np.stack(leaves), *of_kinds),
        tuning=np.array(config.tuning),
        train=np.array(config.train),
        steps=np.array(config.steps),
    )


def _accuracies(
    config: Config,
    keep: Keep,
    name: str,
    family: learn.Family,
    arms: list[Layers],
    seeds: np.ndarray,
) -> Float[np.ndarray, "arm depth rate unit"]:
    """Those of training digits at the end of each run of some arms, in one sweep."""
    grids = []
    for arm in arms:
        rates = arm.lowest * POINTS
        grid = learn.grid(
            Start, activation=arm.kind, layers=config.depths, lr=rates, seed=seeds
        )
        grids.append(grid)
    training = _training(config, family)
    joined = learn.joined(grids)
    runs = learn.sweep(training, joined, lanes=config.lanes, name=name, keep=keep)
    shape = (len(arms), len(config.depths), len(POINTS), len(seeds))
    ended = (runs.diverged_at < 0).reshape(shape)
    return np.where(ended, runs.trace.probed.reshape(shape), 0.0)


def _model(kind: Array) -> Model:
    """Ten hidden layers of the activation of that kind."""
    return problem.deep_mlp(WIDTH, DEEPEST, CLASSES, partial(_activation, kind))


def _activation(kind: Array, z: jax.Array) -> jax.Array:
    """The activation of ACTIVATIONS at that place."""
    by_kind = [activation(z) for activation in ACTIVATIONS[:3]]
    sigmoid, relu, tanh = by_kind
    return jnp.where(kind == 1, relu, jnp.where(kind == 2, tanh, sigmoid))


def _started(kind: Array, params: Params) -> Params:
    """Initial values: as drawn, √2 times it under ReLU, or a tanh network by σ."""
    started = {}
    for name, factor in (("first", 2.0), ("hidden", 4.0), ("last", 2.0)):
        scales = jnp.array([1.0, np.sqrt(2), 1.0, factor], jnp.float32)
        kernel = scales[kind] * params[name]["kernel"]
        middle = -jnp.sum(kernel, axis=-2) / 2  # σ is 1/2 where tanh is 0
        bias = params[name]["bias"]
        if name != "first":
            bias = jnp.where(kind == 3, middle, bias)
        started[name] = {"kernel": kernel, "bias": bias}
    return started


def _training(config: Config, family: learn.Family) -> learn.Training:
    """Training of as many of ten hidden layers as a run says, on digits of its own."""
    data = problem.digits()

    def start(key: Key) -> tuple[Params, Used]:
        params, through = _model(jnp.int32(0)).init(key, jnp.asarray(data.inputs))
        return params, Used(jnp.int32(0), through)

    def loss(
        params: Params, used: Used, batch: Batch, key: Key
    ) -> tuple[jax.Array, Used]:
        of_model = problem.training_loss(_model(used.kind), problem.cross_entropy)
        return of_model(params, used.through, batch, key)[0], used

    def observe(state: Any, train: learn.TrainState) -> tuple[Any, jax.Array]:
        used = train.model_state
        model = _model(used.kind)
        right = problem.objective(model, problem.accuracy, state=used.through)
        return state, right(train.params, train.data.train)

    training = learn.training(
        start,
        loss,
        family,
        learn.split_anew(data, train=config.train, test=1, size=32),
        steps=config.steps,
        probe=learn.Probe(lambda params: (), observe),
    )

    def init(hyper: Start, params: Params, used: Used) -> learn.TrainState:
        kind = jnp.asarray(hyper.activation)
        layers = jnp.asarray(hyper.layers)
        own = Used(kind, used.through._replace(layers=layers))
        return training.init(hyper, _started(kind, params), own)

    def check(hypers: Start) -> Start:
        """The optimizer need not read both, since `init` does."""
        ones = np.ones_like(hypers.layers)
        training.check(hypers._replace(layers=ones, activation=ones))
        return hypers

    return training._replace(init=init, check=check)


def _signals(config: Config, kind: int, seed: int) -> Signals:
    """Those of one network of ten hidden layers and its own digits, in float64."""
    rng = np.random.default_rng(seed)
    data = problem.digits(dtype=np.float64)
    own = rng.permutation(len(data.weights))[: config.train]
    widths = (data.inputs.shape[1], *[WIDTH] * DEEPEST, CLASSES)
    layers = []
    for place, (before, after) in enumerate(itertools.pairwise(widths)):
        kernel = rng.normal(size=(before, after)) / np.sqrt(before)
        ends = place in (0, DEEPEST)
        layers.append(_by_kind(kind, kernel, 2.0 if ends else 4.0, first=place == 0))
    sums, values = [], data.inputs[own]
    for kernel, bias in layers:
        sums.append(values @ kernel + bias)
        values = _value(kind, sums[-1])
    chances = np.exp(sums[-1] - np.max(sums[-1], axis=1, keepdims=True))
    chances /= np.sum(chances, axis=1, keepdims=True)
    delta = (chances - np.eye(CLASSES)[data.targets[own]]) / len(own)
    sizes, passed = [], []
    for place in range(DEEPEST, 0, -1):
        kernel = layers[place][0]
        after = np.linalg.norm(delta)
        delta = _slope(kind, sums[place - 1]) * (delta @ kernel.T)
        sizes.append(np.linalg.norm(delta))
        passed.append(sizes[-1] / (np.linalg.norm(kernel, 2) * after))
    slopes = _slope(kind, np.stack(sums[:-1]))
    return Signals(
        gradient=np.array(sizes[::-1]),
        passed=np.array(passed[::-1]),
        saturated=np.mean(slopes < SATURATED),
    )


def _by_kind(
    kind: int, kernel: np.ndarray, factor: float, *, first: bool
) -> tuple[np.ndarray, np.ndarray]:
    """`_started` of one layer in NumPy."""
    scaled = (1.0, np.sqrt(2), 1.0, factor)[kind] * kernel
    centred = kind == 3 and not first
    bias = -np.sum(scaled, axis=0) / 2 if centred else np.zeros(kernel.shape[1])
    return scaled, bias


def _value(kind: int, sums: np.ndarray) -> np.ndarray:
    """The activations of ACTIVATIONS in NumPy."""
    if kind == RELU.kind:
        return np.maximum(sums, 0)
    if kind == TANH.kind:
        return np.tanh(sums)
    return 0.5 + 0.5 * np.tanh(sums / 2)


def _slope(kind: int, sums: np.ndarray) -> np.ndarray:
    """Their derivatives."""
    value = _value(kind, sums)
    if kind == RELU.kind:
        return (sums > 0).astype(sums.dtype)
    if kind == TANH.kind:
        return 1 - value**2
    return value * (1 - value)


def findings(result: Result) -> tuple[Assertion, ...]:
    """What arrives in untrained networks, and what is reached in training."""
    return (*_gradients(result), *_trained(result), *_beside(result))


def _setting(result: Result, layers: str, what: str) -> str:
    return (
        f"8x8 digits ({result.train:,} drawn anew), dense network of {layers} of "
        f"{WIDTH} units, {what}"
    )


def _budget(result: Result) -> str:
    return f"{result.steps:,} updates of 32, rates tuned"


def _gradients(result: Result) -> tuple[Assertion, ...]:
    """How much arrives at the first layer, and the bound of a single one."""
    setting = _setting(result, "10 hidden layers", "untrained, kernels of 1/√fan-in")
    found = []
    for name, gradient in zip(NAMES, result.signals.gradient, strict=False):
        role = record.deciding if name == SIGMOID.name else record.supporting
        control = "" if name == SIGMOID.name else "Control: "
        left = np.log10(gradient[:, 0] / gradient[:, -1])
        found.append(
            role(
                "C025",
                f"{control}Less than a thousandth of the gradient in the sums of the "
                f"last of ten {name} layers arrives at the first, as log₁₀.",
                record.bootstrap(np.mean, left),
                record.below(-3.0, margin=np.log10(2), reason=TWICE),
                unit="log ratio",
                setting=setting,
            )
        )
    bound = record.supporting(
        "C025",
        "A sigmoid layer passes at most a quarter of a gradient to the layer before, "
        "apart from the largest singular value of its kernel.",
        record.largest(result.signals.passed[0]),
        record.at_most(QUARTER),
        unit="error",
        setting=setting,
    )
    saturated = record.supporting(
        "C025",
        "Most sigmoid units are saturated in the untrained network: the fraction whose "
        f"derivative is below {SATURATED}.",
        record.bootstrap(np.mean, result.signals.saturated[0]),
        record.above(0.5),
        unit="fraction",
        setting=setting,
    )
    return (*found, bound, saturated)


def _trained(result: Result) -> tuple[Assertion, ...]:
    """Ten sigmoid layers, and ten of ReLU beside them."""
    setting = _setting(result, "10 hidden layers", f"momentum, {_budget(result)}")
    sigmoid, relu = result.accuracy[0, -1], result.accuracy[1, -1]
    return (
        record.deciding(
            "C025",
            "Ten sigmoid layers from kernels of 1/√fan-in are trained to an accuracy "
            "below one half on their training digits, at the best rate in hindsight.",
            record.bootstrap(_best, sigmoid.T),
            record.below(0.5, margin=0.1, reason=TENTH),
            unit="accuracy",
            setting=setting,
            figure="depth",
        ),
        record.deciding(
            "C025",
            "Ten ReLU layers are trained to a higher accuracy than ten sigmoid layers "
            "on their training digits.",
            _lead(result, relu, sigmoid),
            record.above(0.0, margin=0.1, reason=TENTH),
            unit="accuracy difference",
            setting=setting,
            figure="depth",
        ),
    )


def _best(accuracy: np.ndarray) -> float:
    """The highest mean over units `[unit, rate]`, which favours who is judged."""
    return float(np.max(np.mean(accuracy, axis=0, dtype=np.float64)))


def _lead(result: Result, ours: np.ndarray, theirs: np.ndarray) -> record.Interval:
    """Ours minus theirs at tuned rates; theirs may be at an edge where none trains."""
    untrained = _best(theirs.T) < 0.2
    edges = np.zeros(len(theirs), bool) if untrained else None
    return record.tuned(
        record.mean_difference,
        Arm(ours, -ours),
        Arm(theirs, -theirs, edges),
        tuning=int(result.tuning),
    )


def _beside(result: Result) -> tuple[Assertion, ...]:
    """One hidden layer, and sigmoid layers that train."""
    shallow = _setting(result, "1 hidden layer", f"momentum, {_budget(result)}")
    found = [
        record.supporting(
            "C025",
            "Control: one ReLU layer is trained to the same accuracy as one sigmoid "
            "layer on their training digits.",
            _lead(result, result.accuracy[1, 0], result.accuracy[0, 0]),
            record.near(0.0, margin=0.02, reason="two digits in a hundred"),
            unit="accuracy difference",
            setting=shallow,
            figure="depth",
        )
    ]
    told = {
        CENTRED.name: "Control: ten sigmoid layers from the initial values of a tanh "
        "network written by sigmoids fail too, below one half of their digits.",
        ADAM.name: "Ten sigmoid layers from kernels of 1/√fan-in fail by Adam too, "
        "below one half of their digits.",
    }
    for name, accuracy in zip(NAMES, result.accuracy[:, -1], strict=False):
        if name in told:
            found.append(
                record.supporting(
                    "C025",
                    told[name],
                    record.bootstrap(_best, accuracy.T),
                    record.below(0.5, margin=0.1, reason=TENTH),
                    unit="accuracy",
                    setting=_setting(result, "10 hidden layers", _budget(result)),
                    figure="depth",
                )
            )
    return tuple(found)


def figures(result: Result) -> dict[str, Figure]:
    """Gradients by layer; accuracy by depth at tuned rates, and by rate at ten."""
    tuning = int(result.tuning)
    first, (axis,) = panels(1, 1, height=3.8, width=5.5)
    layers = np.arange(1, DEEPEST + 1)
    for name, gradient in zip(NAMES[:-1], result.signals.gradient, strict=False):
        band(axis, layers, gradient.T / gradient[:, -1], name)
    bound = 0.25 ** (DEEPEST - layers.astype(float))
    axis.plot(layers, bound, "k:", marker="", label="a quarter a layer")
    axis.set_yscale("log")
    label(axis, "Untrained networks", "hidden layer", "gradient over the last layer's")
    shared_legend(first)
    second, (by_depth, by_rate) = panels(1, 2, height=3.8)
    for arm, accuracy in zip(ARMS, result.accuracy, strict=False):
        own = [learn.chosen(-each, tuning) for each in accuracy]
        judged = accuracy[np.arange(len(own)), own, tuning:]
        band(by_depth, result.depths, judged, arm.name)
        band(by_rate, arm.lowest * POINTS, accuracy[-1], arm.name)
    by_rate.set_xscale("log")
    what = "training accuracy"
    label(by_depth, "At tuned rates", "hidden layers", what)
    label(by_rate, "Ten hidden layers, all units", "rate η", what)
    shared_legend(second)
    return {"gradients": first, "depth": second}
