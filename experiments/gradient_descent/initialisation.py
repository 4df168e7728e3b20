"""From how wide first weights does a tanh network train, by its depth?

Kernels are normal (cut at 2σ) and biases 0. σ is absolute, as in 0.01·randn, or by
fan-in H: 1/√H is the course's Xavier, √(2/H) He's. Hidden layers of width 64 keep the
64 inputs of a digit, so that 0.01·randn is 0.08/√H. Networks of one hidden layer and of
ten are trained by SGD with momentum, at 13 rates in steps of 1.5.

The course says that weights should start as small random numbers, such as 0.01·randn.
It is right at a depth if 0.01·randn reaches a higher held-out accuracy than zero and
than 1.0·randn, and comes within 2 points of Xavier's; wrong if it does not, by half a
point, which is less than what other weights move. That accuracy is judged, so rates are
tuned by it: a unit is two runs with weights, order and 512 training digits of their
own, one to choose the rate and one to be judged at it, for each initialisation. Twelve
units are compared in pairs.

Sixteen epochs train the others to all their digits. In ten layers the gradient of each
kernel of 0.01·randn is a product of ten factors of 0.08, so that no budget would do.
Control: at one hidden layer Xavier's and He's kernels must be alike.

A first version chose each seed's rate by the run that was judged, of two rates, and all
seeds shared all digits. A second judged the accuracy on the 512 digits, which was 1 for
whatever trained at all, so that it could not tell small kernels from large.

Claims: C162.
Sources: Glorot and Bengio 2010; He et al. 2015, arXiv:1502.01852.
Cost: three minutes on 2 cores, compilation included.
Expect: 0.01·randn will do for one hidden layer and fails for ten.
Run: jaxml run initialisation
"""

from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Float, Int

from jaxml import learn, problem, randomness, record
from jaxml.record import Assertion
from jaxml.record.figures import Figure, band, label, panels, shared_legend, strips
from jaxml.types import Array, Dataset, Keep, Params

WIDTH = 64  # of every layer, and of the input: one fan-in, so one scale of all kernels
ROOT = WIDTH**0.5
SCALES = {
    "zero kernels": 0.0,
    "0.01·randn": 0.01 * ROOT,
    "0.1·randn": 0.1 * ROOT,
    "1.0·randn": ROOT,
    "Xavier's": 1.0,
    "He's": 2**0.5,
}
ZERO, SMALL, _, LARGE, XAVIER, HE = SCALES
POINT = "half a point is less than what other weights move"


@dataclass(frozen=True, kw_only=True)
class Config:
    """Depths, rates, units, training digits, and length of training."""

    depths: tuple[int, ...] = (1, 10)  # hidden layers
    lowest: float = 0.004
    rates: int = 13
    units: int = 12
    train: int = 512
    batch: int = 32
    steps: int = 256
    lanes: int = 78
    seed: int = 0


SMOKE = Config(depths=(2,), rates=2, units=2, train=64, steps=4, lanes=24)


class Start(NamedTuple):
    """The factor of the initial kernels, the rate of momentum SGD, and the seed."""

    scale: Any
    lr: Any
    seed: Any = 0


class Result(NamedTuple):
    """Accuracies after training on unseen digits, by initialisation of SCALES.

    Attributes:
        tuning: of the runs that choose a rate.
        judged: of the runs that are judged.
        depths: hidden layers.
        rates: of SGD with momentum.
        digits: that each run is trained on.
        steps: updates.
    """

    tuning: Float[Array, "depth initialisation rate unit"]
    judged: Float[Array, "depth initialisation rate unit"]
    depths: Int[Array, " depth"]
    rates: Float[Array, " rate"]
    digits: Int[Array, ""]
    steps: Int[Array, ""]


def study(config: Config, keep: Keep) -> Result:
    """One program a depth."""
    rates = config.lowest * 1.5 ** np.arange(config.rates)
    seeds = randomness.seeds(config.seed, 2 * config.units)
    grid = learn.grid(Start, scale=list(SCALES.values()), lr=rates, seed=seeds)
    shape = (len(SCALES), config.rates, 2, config.units)
    found = []
    for depth in config.depths:
        training = _experiment(config, depth)
        name = f"depth {depth}"
        runs = learn.sweep(training, grid, lanes=config.lanes, name=name, keep=keep)
        found.append(runs.trace.probed["accuracy"].reshape(shape))
    accuracy = np.nan_to_num(np.stack(found))
    tuning, judged = np.moveaxis(accuracy, 3, 0)
    return Result(
        tuning=tuning,
        judged=judged,
        depths=np.array(config.depths),
        rates=rates,
        digits=np.array(config.train),
        steps=np.array(config.steps),
    )


def _experiment(config: Config, depth: int) -> learn.Training:
    """Training of some hidden layers from scaled kernels, each run on own digits."""
    data = problem.digits()
    model = problem.mlp((WIDTH,) * depth + (10,), jnp.tanh)
    right = problem.objective(model, problem.accuracy)

    def accuracy(params: Params, own: Dataset) -> jax.Array:
        return right(params, own.test)

    held_out = len(data.weights) - config.train
    training = learn.training(
        problem.start(model, data.inputs),
        problem.training_loss(model, problem.cross_entropy),
        lambda hyper: optax.sgd(hyper.lr, 0.9),
        learn.split_anew(data, train=config.train, test=held_out, size=config.batch),
        steps=config.steps,
        probe=learn.evaluating({"accuracy": accuracy}),
    )

    def init(hyper: Start, params: Params, model_state: Any) -> learn.TrainState:
        state = training.init(hyper, params, model_state)
        scale = state.hyper.scale  # biases are 0, so all may be scaled
        return state._replace(params=jax.tree.map(lambda x: scale * x, state.params))

    def check(hypers: Start) -> Start:
        """The optimizer need not read the scale, since `init` does."""
        training.check(hypers._replace(scale=np.ones_like(hypers.scale)))
        return hypers

    return training._replace(init=init, check=check)


def _tuned(result: Result) -> Float[np.ndarray, "depth initialisation unit"]:
    """The judged accuracy of each unit at the rate that its other run chose."""
    best = np.argmax(result.tuning, axis=2)
    return np.take_along_axis(result.judged, best[:, :, None], axis=2)[:, :, 0]


def findings(result: Result) -> tuple[Assertion, ...]:
    """Accuracies of units, in pairs."""
    found = []
    for depth, tuned in zip(result.depths, _tuned(result), strict=True):
        accuracy = dict(zip(SCALES, tuned, strict=True))
        setting = _setting(result, int(depth))
        found += _compared(accuracy, setting)
        found += _beside(accuracy, setting)
    return (*found, _control(result))


def _setting(result: Result, depth: int) -> str:
    layers = f"{depth} hidden layer{'s' if depth > 1 else ''} of {WIDTH} units"
    return (
        f"held-out accuracy, 8x8 digits ({result.digits:,} drawn to train on), dense "
        f"tanh network of {layers}, {result.steps:,} updates of SGD with momentum, "
        "rates tuned"
    )


def _compared(accuracy: dict[str, np.ndarray], setting: str) -> tuple[Assertion, ...]:
    """0.01·randn beside its rivals."""
    finding = partial(
        record.deciding, "C162", unit="accuracy difference", setting=setting
    )
    higher = record.above(0.0, margin=0.005, reason=POINT)
    small = accuracy[SMALL]
    return (
        finding(
            "First kernels of 0.01·randn train to a higher accuracy than zero kernels.",
            record.paired(small, accuracy[ZERO]),
            higher,
        ),
        finding(
            "First kernels of 0.01·randn train to a higher accuracy than kernels of "
            "1.0·randn.",
            record.paired(small, accuracy[LARGE]),
            higher,
        ),
        finding(
            "First kernels of 0.01·randn train to within 2 points of the accuracy of "
            "Xavier's kernels.",
            record.paired(accuracy[XAVIER], small),
            record.below(0.02, margin=0.005, reason=POINT),
        ),
    )


def _beside(accuracy: dict[str, np.ndarray], setting: str) -> tuple[Assertion, ...]:
    finding = partial(record.supporting, "C162", setting=setting)
    return (
        finding(
            "Zero first kernels leave the accuracy below 0.2.",
            record.bootstrap(np.mean, accuracy[ZERO]),
            record.below(0.2),
            unit="accuracy",
        ),
        finding(
            "Xavier's first kernels train to an accuracy above 0.9.",
            record.bootstrap(np.mean, accuracy[XAVIER]),
            record.above(0.9),
            unit="accuracy",
        ),
    )


def _control(result: Result) -> Assertion:
    shallow = dict(zip(SCALES, _tuned(result)[0], strict=True))
    return record.supporting(
        "C162",
        "Control: Xavier's and He's first kernels train to the same accuracy.",
        record.paired(shallow[XAVIER], shallow[HE]),
        record.near(0.0, margin=0.005, reason=POINT),
        unit="accuracy difference",
        setting=_setting(result, int(result.depths[0])),
    )


def figures(result: Result) -> dict[str, Figure]:
    """Accuracy by rate, with the quartiles of units, and of each unit at its rate, by
    depth.
    """
    count = len(result.depths)
    figure, axes = panels(2, count, width=4.8)
    tuned = _tuned(result)
    for place, depth in enumerate(result.depths):
        by_rate, by_unit = axes[place], axes[count + place]
        for name, accuracy in zip(SCALES, result.judged[place], strict=True):
            band(by_rate, result.rates, accuracy, name, within=0.5)
        by_rate.set_xscale("log")
        strips(by_unit, dict(zip(SCALES, tuned[place], strict=True)))
        what = "held-out accuracy (fraction)"
        label(by_rate, f"Hidden layers: {depth}", "rate η", what)
        title = f"Hidden layers: {depth}, each unit at its tuned rate"
        label(by_unit, title, "first kernels", what)
    shared_legend(figure)
    return {"initialisation": figure}
