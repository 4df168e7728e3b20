"""How wide should the first weights be? Signals, gradients and training of deep tanh
networks by their start.

Biases start at 0, kernels normal (cut at 2σ) with σ absolute, as in 0.01·randn, or by
fan-in H: 1/√H is the course's Xavier, √(2/H) He's; kernels of one seed are one draw,
scaled. Layers of width 64 keep the 64 inputs of a digit, so 0.01·randn is 0.08/√H here
and 0.22/√H at the lecture's width of 500. Signals are standard deviations over all
digits and units, or entries of ∂L/∂W; accuracies are those of each seed's best rate.

Claims: C162.
Cost: about 12 seconds on 2 cores, most of it compilation.
Expect: all as said, but for saturation: large kernels pass gradients on faster than
flat units stop them.
Run: jaxml run initialisation
"""

from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxml import learn, problem, randomness, record
from jaxml.record.figures import label, panels
from jaxml.types import Array

# the pixels of a digit, and every hidden width: one fan-in, so one scale of all kernels
H = 64
SCALES = {
    "zero": 0.0,
    "0.01": 0.01 * H**0.5,
    "0.1": 0.1 * H**0.5,
    "1.0": H**0.5,
    "Xavier": 1.0,
    "He": 2**0.5,
}
ZERO, SMALL, _, LARGE, XAVIER, _ = range(len(SCALES))


@dataclass(frozen=True, kw_only=True)
class Config:
    """Depths, rates, seeds and length of training."""

    depths: tuple[int, ...] = (1, 10)  # hidden layers; signals are those of the last
    rates: tuple[float, ...] = (0.01, 0.1)
    seeds: int = 20
    steps: int = 200
    lanes: int = 60
    seed: int = 0


SMOKE = Config(depths=(1, 3), seeds=2, steps=5, lanes=24)


class Start(NamedTuple):
    """The factor of the initial kernels, the rate of momentum SGD, and the seed."""

    scale: Any
    lr: Any
    seed: Any = 0


class Result(NamedTuple):
    """Signals at the start in the deepest network, and accuracies after training."""

    activation: Array  # [initialisation, seed, hidden layer], standard deviation
    gradient: Array  # [initialisation, seed, layer], of ∂L/∂W, the output's last
    depths: Array  # [depth]
    accuracy: Array  # [depth, initialisation, rate, seed], on all training digits
    steps: Array  # [], updates of each


def _experiment(config, data, depth):
    """Training of `depth` hidden layers from scaled kernels, and the model's
    objective.
    """
    model = problem.mlp((H,) * depth + (10,), jnp.tanh)
    start, loss = (
        problem.start(model, data.inputs),
        problem.training_loss(model, problem.cross_entropy),
    )
    right = problem.objective(
        model, problem.accuracy
    )  # of any loss of examples, the mean
    probe = learn.Probe(
        lambda params: (), lambda state, train: (state, right(train.params, data))
    )

    def momentum(hyper):
        return optax.sgd(hyper.lr, 0.9)

    batches = learn.shuffled(data, 32)
    training = learn.training(
        start, loss, momentum, batches, steps=config.steps, probe=probe
    )

    def init(hyper):  # biases are 0, so to scale all is to scale the kernels
        state = training.init(hyper)
        return state._replace(
            params=jax.tree.map(lambda leaf: state.hyper.scale * leaf, state.params)
        )

    def check(hypers):  # the optimizer need not read the scale, since `init` does
        training.check(hypers._replace(scale=np.ones_like(hypers.scale)))
        return hypers

    experiment = training._replace(init=init, check=check)
    return experiment, problem.objective(model, problem.cross_entropy)


def _signals(objective, params, data):
    """Standard deviations of activations and of kernel gradients, layer by layer."""
    values, activation = data.inputs, []
    for _, layer in sorted(params.items())[:-1]:
        values = jnp.tanh(values @ layer["kernel"] + layer["bias"][None])
        activation.append(jnp.std(values))
    grads = jax.grad(objective)(params, data)
    return jnp.stack(activation), jnp.stack(
        [jnp.std(layer["kernel"]) for _, layer in sorted(grads.items())]
    )


def study(config, keep):
    """The signals in one program, and the training of each depth in one."""
    data, scales = problem.digits(), list(SCALES.values())
    seeds = randomness.seeds(config.seed, config.seeds)
    starts = learn.grid(Start, scale=scales, lr=[0.0], seed=seeds)
    grid = learn.grid(Start, scale=scales, lr=config.rates, seed=seeds)
    shape = (len(scales), len(config.rates), config.seeds)
    accuracy = []
    for depth in config.depths:
        training, _ = _experiment(config, data, depth)
        stage = partial(_stage, keep, depth)
        runs = learn.sweep(training, grid, lanes=config.lanes, keep=stage)
        accuracy.append(runs.trace.probed.reshape(shape))
    training, objective = _experiment(config, data, config.depths[-1])

    def measured(hyper):
        return _signals(objective, training.init(hyper).params, data)

    signals = keep("signals", partial(jax.jit(partial(jax.lax.map, measured)), starts))
    activation, gradient = (
        signal.reshape(len(scales), config.seeds, -1) for signal in signals
    )
    return Result(
        activation,
        gradient,
        np.array(config.depths),
        np.stack(accuracy),
        np.array(config.steps),
    )


def _stage(keep, depth, lanes, run):
    """Keeps the runs of one depth under its name."""
    return keep(f"depth {depth} {lanes}", run)


def findings(result):
    """Intervals over seeds; networks of one seed are paired, each at its better
    rate.
    """
    return (
        *_accuracies(result),
        *_spreads(result),
        *_gradients(result),
        *_thresholds(result),
    )


def _accuracies(result):
    """0.01·randn against its rivals, at each depth."""
    rows = []
    for depth, accuracy in zip(result.depths, _best(result.accuracy), strict=True):
        for rival, name in ((ZERO, "zero kernels"), (LARGE, "kernels of 1.0·randn")):
            rows.append(
                record.deciding(
                    "C162",
                    "First kernels of 0.01·randn train to a higher accuracy than "
                    f"{name}.",
                    record.paired(accuracy[SMALL], accuracy[rival]),
                    record.above(
                        0.0,
                        margin=0.005,
                        reason="half a point is less than what seeds move",
                    ),
                    unit="accuracy difference",
                    setting=_trained(result, depth),
                )
            )
        rows.append(
            record.deciding(
                "C162",
                "First kernels of 0.01·randn train to within 2 points of the accuracy "
                "of Xavier's kernels.",
                record.paired(accuracy[XAVIER], accuracy[SMALL]),
                record.below(
                    0.02,
                    margin=0.005,
                    reason="half a point is less than what seeds move",
                ),
                unit="accuracy difference",
                setting=_trained(result, depth),
            )
        )
    return rows


def _thresholds(result):
    """Accuracies beside the comparisons."""
    (shallow, *_, deep), depths = _best(result.accuracy), result.depths
    first, last = _trained(result, depths[0]), _trained(result, depths[-1])
    return (
        _reaching(
            "Zero kernels leave the accuracy below 0.2.",
            shallow[ZERO],
            record.below(0.2),
            first,
        ),
        _reaching(
            "Kernels of 0.01·randn leave the accuracy below 0.2.",
            deep[SMALL],
            record.below(0.2),
            last,
        ),
        _reaching(
            "Xavier's kernels train to an accuracy above 0.9.",
            deep[XAVIER],
            record.above(0.9),
            last,
        ),
        record.supporting(
            "C162",
            "Kernels of 1.0·randn train worse than Xavier's: Xavier's accuracy minus "
            "theirs.",
            record.paired(deep[XAVIER], deep[LARGE]),
            record.above(0.1),
            unit="accuracy difference",
            setting=last,
        ),
    )


def _reaching(statement, accuracy, rule, setting):
    measured = record.bootstrap(np.mean, accuracy)
    return record.supporting(
        "C162", statement, measured, rule, unit="accuracy", setting=setting
    )


def _spreads(result):
    """Standard deviations of activations by layer at the start."""
    signal, setting = result.activation, _untrained(result)
    left = signal[SMALL, :, -1] / signal[SMALL, :, 0]
    factor = left ** (1 / (signal.shape[2] - 1)) / (0.01 * H**0.5)
    return (
        record.supporting(
            "C162",
            "With kernels of 0.01·randn activations collapse: standard deviation of "
            "the last over the first hidden layer.",
            record.bootstrap(np.mean, left),
            record.below(1e-5),
            unit="ratio",
            setting=setting,
        ),
        record.supporting(
            "C162",
            "Small kernels of standard deviation σ shrink activations by the factor "
            "σ√H a layer.",
            record.bootstrap(np.mean, np.abs(factor - 1)),
            record.below(0.1),
            unit="relative error",
            setting=setting,
        ),
        record.supporting(
            "C162",
            "Xavier's kernels keep the signal: standard deviation of the last layer's "
            "activations.",
            record.bootstrap(np.mean, signal[XAVIER, :, -1]),
            record.above(0.1),
            unit="ratio",
            setting=setting,
        ),
        record.supporting(
            "C162",
            "Kernels of 1.0·randn saturate the units: standard deviation of the last "
            "layer's activations.",
            record.bootstrap(np.mean, signal[LARGE, :, -1]),
            record.above(0.9),
            unit="ratio",
            setting=setting,
        ),
    )


def _gradients(result):
    """Standard deviations of the entries of ∂L/∂W by layer at the start."""
    gradient, setting = result.gradient, _untrained(result)
    return (
        record.supporting(
            "C162",
            "Kernels of 0.01·randn stop gradients: the first layer's over those of "
            "Xavier's kernels.",
            record.bootstrap(np.mean, gradient[SMALL, :, 0] / gradient[XAVIER, :, 0]),
            record.below(1e-5),
            unit="ratio",
            setting=setting,
        ),
        record.supporting(
            "C162",
            "Kernels of 1.0·randn stop gradients by saturation: the first layer's "
            "over the last hidden layer's.",
            record.bootstrap(np.mean, gradient[LARGE, :, 0] / gradient[LARGE, :, -2]),
            record.below(1.0),
            unit="ratio",
            setting=setting,
        ),
        record.supporting(
            "C162",
            "Zero kernels get no gradient in any layer.",
            record.largest(gradient[ZERO]),
            record.at_most(0.0),
            unit="error",
            setting=setting,
        ),
    )


def _best(accuracy):
    """[depth, initialisation, seed] at the better rate of each seed."""
    return accuracy.max(axis=2)


def _trained(result, depth):
    rates = result.accuracy.shape[2]
    return (
        f"training accuracy on 8x8 digits, dense tanh network of {_layers(depth)}, "
        f"{result.steps} updates of SGD with momentum at each seed's best of {rates} "
        "rates"
    )


def _untrained(result):
    return (
        f"8x8 digits at the start, dense tanh network of {_layers(result.depths[-1])}"
    )


def _layers(depth):
    return f"{depth} hidden layer{'s' if depth > 1 else ''} of {H} units"


def figures(result):
    """Signals by layer, without zero's, and accuracy by depth: a line an
    initialisation, its seeds' mean.
    """
    figure, axes = panels(1, 3)
    for row, name in enumerate(SCALES):
        for axis, line in zip(
            axes[:2], (result.activation[row], result.gradient[row]), strict=True
        ):
            mean = np.where(row == ZERO, np.nan, line.mean(axis=0))
            axis.semilogy(np.arange(1, len(mean) + 1), mean, markevery=1)
        axes[2].plot(
            result.depths,
            _best(result.accuracy)[:, row].mean(axis=-1),
            label=name,
            markevery=1,
        )
    axes[2].legend(fontsize=7, title="initialisation")
    label(
        axes[0],
        "Activations at the start",
        "hidden layer",
        "standard deviation (tanh units)",
    )
    label(
        axes[1],
        "Gradients at the start",
        "layer, the output's last",
        "standard deviation of ∂L/∂W (nats)",
    )
    label(
        axes[2],
        "After training, at the best rate",
        "hidden layers",
        "training accuracy (share)",
    )
    return {"initialisation": figure}
