"""Does the gradient vanish in deep sigmoid networks, and do they fail to train for it?

σ'(z) ≤ 1/4, so that of a layer's gradient ∂L/∂z at most a quarter, times the largest
singular value of its kernel, reaches the layer before. The course adds that sigmoids
saturate, that deep sigmoid networks therefore fail to train, and that ReLU has replaced
them; its accuracy on MNIST collapses at nine to ten sigmoid layers. Hidden layers of
width 32 read 8x8 digits; kernels start with variance 1/fan-in (2/fan-in under ReLU) and
biases at 0; 512 digits are trained on for 300 updates of 32 by gradient descent with
momentum of 0.9.

What each outcome would look like. The gradient vanishes if in the untrained network
‖∂L/∂W‖ of the second of ten hidden layers is less than a thousandth of the tenth's (all
have kernels of one size there, as the first has not); it does not if it is more, as
must be found of ReLU and of centred sigmoids (controls); a factor of two is no
difference there.
Ten sigmoid layers fail to train if at the rate that is best in hindsight, which favours
them, they reach a training accuracy below one half; they do not if it is higher; a
tenth of the digits matters. ReLU mends it if ten layers of it reach an accuracy higher
by a tenth or more, each at its tuned rate. Where no rate trains a network its best rate
means nothing and may stand on the grid's edge.
Controls: with one hidden layer ReLU must not be ahead. And ten sigmoid layers that are
a tanh network written by σ, tanh a = 2σ(2a) - 1, must train: kernels of 4/√fan-in and
biases that centre the units. They show that the failure is one of the usual initial
values, not of what sigmoids can express.

A unit draws initial weights, digits and their order anew: 14, of which four tune.
Rates step by 1.5. Ranges were placed by four units of the seed 7700. Four of seed 77
showed ten sigmoid layers at 0.12 at all rates, ReLU and the centred sigmoids above 0.9,
with standard deviations below 0.05, and a gradient of 10⁻⁵.

Not tested: whether sigmoids saturate; Adam, batch normalisation, residual connections,
convolution, long training.

Claims: C025.
Sources: Glorot and Bengio 2010; Hochreiter 1991; He et al. 2015, arXiv:1502.01852.
Cost: 23 seconds on 2 cores, compilation included.
Expect: the gradient vanishes and ten layers fail; the same layers, centred, do not.
Run: jaxml run vanishing_gradients
"""

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

WIDTH, CLASSES, DEEPEST, TRAIN = 32, 10, 10, 512
NAMES = ("sigmoids", "ReLUs", "sigmoids that begin as a tanh network")
SIGMOID, RELU, CENTRED = range(3)
DEPTHS = (1, 2, 4, DEEPEST)
LOWEST = np.array([0.02, 0.002, 0.01])
POINTS = 1.5 ** np.arange(14)
TENTH = "a tenth of the digits"
TWICE = "a factor of two is little beside the range of ten layers"
VANISHED = record.below(-3.0, margin=0.3, reason=TWICE)
FAILED = record.below(0.5, margin=0.1, reason=TENTH)
AHEAD = record.above(0.0, margin=0.1, reason=TENTH)


@dataclass(frozen=True, kw_only=True)
class Config:
    """Units and length of training; of the activations the first ones."""

    activations: int = len(NAMES)
    tuning: int = 4
    judging: int = 10
    steps: int = 300
    lanes: int = 56
    seed: int = 0


SMOKE = Config(activations=2, tuning=1, judging=2, steps=4, lanes=84)


class Run(NamedTuple):
    """A rate, an activation of NAMES, its hidden layers, and what momentum reads."""

    lr: Any
    activation: int = 0
    layers: int = 1
    momentum: Any = 0.9
    weight_decay: Any = 0.0
    warmup: Any = 0.0
    seed: int = 0


class Used(NamedTuple):
    """What a run makes of the one network: an activation, and its first layers."""

    activation: Array
    through: problem.Through


class Result(NamedTuple):
    """By activation of NAMES. Units that tune come first.

    Attributes:
        accuracy: of training digits at the end, 0 where a run diverged.
        gradient: ‖∂L/∂W‖ of the second to the tenth hidden layer, untrained.
        tuning: how many of the units tune.
        steps: updates.
    """

    accuracy: Float[np.ndarray, "activation depth rate unit"]
    gradient: Float[np.ndarray, "activation unit layer"]
    tuning: Int[np.ndarray, ""]
    steps: Int[np.ndarray, ""]


def study(config: Config, keep: Keep) -> Result:
    """One program for all activations, depths and rates."""
    accuracy, gradient = keep("training", partial(_trained, config))
    return Result(
        accuracy=accuracy,
        gradient=gradient,
        tuning=np.array(config.tuning),
        steps=np.array(config.steps),
    )


def _trained(config: Config) -> Any:
    """Accuracies at the end, and gradients at the beginning of the deepest network."""
    units = config.tuning + config.judging
    seeds = randomness.seeds(config.seed, units)
    grids = []
    for activation in range(config.activations):
        grid = learn.grid(
            Run,
            activation=activation,
            layers=DEPTHS,
            lr=LOWEST[activation] * POINTS,
            seed=seeds,
        )
        grids.append(grid)
    runs = learn.joined(grids)
    execute = learn.begun_at(_training(config), _begin, runs, (), lanes=config.lanes)
    ended = execute(runs, ())
    accuracy, gradient = ended.seen
    shape = (config.activations, len(DEPTHS), len(POINTS), units)
    accuracy = np.where(ended.diverged_at < 0, accuracy, 0)
    gradient = gradient.reshape(*shape, DEEPEST - 1)
    return accuracy.reshape(shape), gradient[:, -1, 0]


def _training(config: Config) -> learn.Training:
    """Training on digits of a run's own."""
    data = problem.digits()

    def loss(params: Params, used: Used, batch: Batch, key: Key) -> Any:
        of_model = problem.training_loss(_model(used), problem.cross_entropy)
        return of_model(params, used.through, batch, key)[0], used

    def observe(begun: Params, train: learn.TrainState) -> Any:
        used, own = train.model_state, train.data.train
        model, through = _model(used), used.through
        right = problem.objective(model, problem.accuracy, state=through)
        mean = problem.objective(model, problem.cross_entropy, state=through)
        kernels = jax.grad(mean)(begun, own)["hidden"]["kernel"]
        sizes = jnp.linalg.norm(kernels, axis=(1, 2))
        return begun, (right(train.params, own), sizes)

    return learn.training(
        lambda key: _begin(Run(0.0), ()),
        loss,
        learn.momentum,
        learn.split_anew(data, train=TRAIN, test=1, size=32),
        steps=config.steps,
        probe=learn.Probe(lambda params: params, observe),
    )


def _model(used: Used) -> Model:
    """Ten hidden layers of an activation."""

    def activation(z: jax.Array) -> jax.Array:
        sigmoid = 0.5 + 0.5 * jnp.tanh(z / 2)
        return jnp.where(used.activation == RELU, jax.nn.relu(z), sigmoid)

    return problem.deep_mlp(WIDTH, DEEPEST, CLASSES, activation)


def _begin(run: Run, given: Any) -> tuple[Params, Used]:
    """Kernels at scale 1, at √2 under ReLU, or a tanh network written by σ."""
    del given
    kind = jnp.asarray(run.activation)
    used = Used(kind, problem.Through(jnp.asarray(run.layers), 0.0))
    key = jax.random.fold_in(jax.random.key(run.seed), 0)
    params, _ = _model(used).init(key, jnp.zeros((1, 64)))
    begun = {}
    for name, factor in (("first", 2.0), ("hidden", 4.0), ("last", 2.0)):
        scales = jnp.array([1.0, np.sqrt(2), factor], jnp.float32)
        kernel = scales[kind] * params[name]["kernel"]
        bias = params[name]["bias"]
        if name != "first":
            middle = -jnp.sum(kernel, axis=-2) / 2  # σ is 1/2 where tanh is 0
            bias = jnp.where(kind == CENTRED, middle, bias)
        begun[name] = {"kernel": kernel, "bias": bias}
    return begun, used


def findings(result: Result) -> tuple[Assertion, ...]:
    """What arrives in untrained networks, and what is reached in training."""
    found = []
    trained = f"{result.steps:,} updates of 32 by momentum, rates tuned"
    for kind, name in enumerate(NAMES[: len(result.accuracy)]):
        gradient = result.gradient[kind]
        arrived = record.bootstrap(np.mean, np.log10(gradient[:, 0] / gradient[:, -1]))
        best = record.bootstrap(_best, result.accuracy[kind, -1].T)
        small = (
            f"In ten layers of {name} the gradient of the second layer's weights is "
            "less than a thousandth of that of the tenth's, as log₁₀."
        )
        failed = (
            f"Ten layers of {name} are trained to an accuracy below one half on their "
            "training digits, at the best rate in hindsight."
        )
        finding = partial(_finding, kind == SIGMOID, "10 hidden layers")
        found.append(finding("untrained", small, arrived, VANISHED, "log ratio"))
        found.append(finding(trained, failed, best, FAILED, "accuracy"))
    for depth, layers in ((-1, "10 hidden layers"), (0, "1 hidden layer")):
        lead = _lead(result, depth)
        ahead = (
            "ReLUs are trained to a higher accuracy than as many layers of sigmoids."
        )
        finding = partial(_finding, depth != 0, layers, trained, ahead)
        found.append(finding(lead, AHEAD, "accuracy difference"))
    return tuple(found)


def _finding(
    deciding: bool,
    layers: str,
    what: str,
    text: str,
    measured: record.Interval,
    rule: record.Rule,
    unit: str,
) -> Assertion:
    """One that decides, or the same of a control, which must come out otherwise."""
    role = record.deciding if deciding else record.supporting
    return role(
        "C025",
        text if deciding else f"Control: {text}",
        measured,
        rule,
        unit=unit,
        setting=(
            f"8x8 digits ({TRAIN} drawn anew), dense network of {layers} of {WIDTH} "
            f"units, {what}"
        ),
    )


def _best(accuracy: np.ndarray) -> float:
    """The highest mean over units `[unit, rate]`, which favours who is judged."""
    return float(np.max(np.mean(accuracy, axis=0)))


def _lead(result: Result, depth: int) -> record.Interval:
    """ReLU minus sigmoid; the latter may be at an edge where no rate trains it."""
    ours, theirs = result.accuracy[RELU, depth], result.accuracy[SIGMOID, depth]
    edges = np.zeros(len(POINTS), bool) if _best(theirs.T) < 0.2 else None
    return record.tuned(
        record.mean_difference,
        Arm(ours, -ours),
        Arm(theirs, -theirs, edges),
        tuning=int(result.tuning),
    )


def figures(result: Result) -> dict[str, Figure]:
    """Gradients by layer; accuracy by depth at tuned rates."""
    figure, (axis, by_depth) = panels(1, 2)
    layers = np.arange(2, DEEPEST + 1)
    axis.plot(layers, 0.25 ** (10.0 - layers), "k:", marker="", label="1/4 a layer")
    tuning = int(result.tuning)
    for name, gradient, accuracy in zip(
        NAMES, result.gradient, result.accuracy, strict=False
    ):
        band(axis, layers, gradient.T / gradient[:, -1], name)
        own = [learn.chosen(-each, tuning) for each in accuracy]
        judged = accuracy[np.arange(len(own)), own, tuning:]
        band(by_depth, np.array(DEPTHS), judged, name)
    axis.set_yscale("log")
    label(axis, "Untrained networks", "hidden layer", "‖∂L/∂W‖ over the last layer's")
    label(by_depth, "At tuned rates", "hidden layers", "training accuracy (fraction)")
    shared_legend(figure)
    return {"depth": figure}
