"""How wide should the first weights be? Signals, gradients and training of deep tanh networks by their start.

Biases start at 0, kernels normal (cut at 2σ) with σ absolute, as in 0.01·randn, or by fan-in H: 1/√H is the
course's Xavier, √(2/H) He's; kernels of one seed are one draw, scaled. Layers of width 64 keep the 64 inputs
of a digit, so 0.01·randn is 0.08/√H here and 0.22/√H at the lecture's width of 500. Signals are standard
deviations over all digits and units, or entries of ∂L/∂W; accuracies those of the rate best on average.

Claims: C162.
Cost: about 11 seconds on 2 cores, most of it compilation.
Expect: all as said, but for saturation: large kernels pass gradients on faster than flat units stop them.
Run: jaxml run initialisation
"""

from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxml import learn, problem, record
from jaxml.record.figures import label, panels
from jaxml.types import Array

H = 64  # the pixels of a digit, and every hidden width: one fan-in, so one scale of all kernels
SCALES = {"zero": 0.0, "0.01": 0.01 * H**0.5, "0.1": 0.1 * H**0.5, "1.0": H**0.5, "Xavier": 1.0, "He": 2**0.5}
ZERO, SMALL, _, LARGE, XAVIER, _ = range(len(SCALES))


@dataclass(frozen=True, kw_only=True)
class Config:
    """Depths, rates, seeds and length of training."""

    depths: tuple[int, ...] = (1, 10)  # hidden layers; signals are those of the last
    rates: tuple[float, ...] = (0.01, 0.1)
    seeds: int = 5
    steps: int = 200
    dtype: str = "float32"


SMOKE = Config(depths=(1, 3), seeds=2, steps=5)


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


def _experiment(config, data, depth):
    """Training of `depth` hidden layers from scaled kernels, and the model's objective."""
    model = problem.mlp((H,) * depth + (10,), jnp.tanh)
    parts = problem.start(model, data.inputs), problem.training_loss(model, problem.cross_entropy)
    momentum, batches = lambda hyper: optax.sgd(hyper.lr, 0.9), learn.shuffled(data, 32)
    right = problem.objective(model, problem.accuracy)  # of any loss of examples, the mean
    probe = learn.Probe(lambda params: (), lambda state, train: (state, right(train.params, data)))
    training = learn.training(*parts, momentum, batches, steps=config.steps, probe=probe)

    def init(hyper):  # biases are 0, so to scale all is to scale the kernels
        state = training.init(hyper)
        return state._replace(params=jax.tree.map(lambda leaf: state.hyper.scale * leaf, state.params))

    return training._replace(init=init), problem.objective(model, problem.cross_entropy)


def _signals(objective, params, data):
    """Standard deviations of activations and of kernel gradients, layer by layer."""
    values, activation = data.inputs, []
    for _, layer in sorted(params.items())[:-1]:
        values = jnp.tanh(values @ layer["kernel"] + layer["bias"][None])
        activation.append(jnp.std(values))
    grads = jax.grad(objective)(params, data)
    return jnp.stack(activation), jnp.stack([jnp.std(layer["kernel"]) for _, layer in sorted(grads.items())])


def study(config, keep):
    """The signals in one program, and the training of each depth in one."""
    data, scales = problem.digits(dtype=config.dtype), list(SCALES.values())
    starts = learn.grid(Start, scale=scales, lr=[0.0], seed=range(config.seeds))
    grid = learn.grid(Start, scale=scales, lr=config.rates, seed=range(config.seeds))
    accuracy, shape = [], (len(scales), len(config.rates), config.seeds)
    for depth in config.depths:
        stage = partial(lambda depth, lanes, run: keep(f"depth {depth} {lanes}", run), depth)
        runs = learn.sweep(_experiment(config, data, depth)[0], grid, lanes=len(grid.lr), keep=stage)
        accuracy.append(runs.trace.probed.reshape(shape))
    training, objective = _experiment(config, data, config.depths[-1])
    measure = partial(jax.lax.map, lambda hyper: _signals(objective, training.init(hyper).params, data))
    signals = keep("signals", lambda: jax.jit(measure)(starts))
    signals = (signal.reshape(len(scales), config.seeds, -1) for signal in signals)
    return Result(*signals, np.array(config.depths), np.stack(accuracy))


def _best(accuracy):
    """[depth, initialisation, seed] at the rate that is best on average over seeds."""
    rate = np.argmax(accuracy.mean(axis=-1), axis=-1)
    return np.take_along_axis(accuracy, rate[:, :, None, None], axis=2)[:, :, 0]


def findings(result):
    """Intervals over seeds; networks of one seed are paired."""
    kinds = record.above, record.below, record.exact
    above, below, exact = (partial(kind, "C162", unit="1", dtype="float32") for kind in kinds)
    mean = partial(record.bootstrap, np.mean)
    signal, gradient, (shallow, *_, deep) = result.activation, result.gradient, _best(result.accuracy)
    left, stopped = signal[SMALL, :, -1] / signal[SMALL, :, 0], gradient[LARGE, :, 0] / gradient[LARGE, :, -2]
    factor = left ** (1 / (signal.shape[2] - 1)) / (0.01 * H**0.5)
    lost = gradient[SMALL, :, 0] / gradient[XAVIER, :, 0]
    gap, worse = shallow[XAVIER] - shallow[SMALL], deep[XAVIER] - deep[LARGE]
    return (
        below("0.01·randn collapses: σ of activations, last over first hidden layer.", mean(left), 1e-5),
        below("It does so by σ√H a layer: relative error of the factor.", mean(np.abs(factor - 1)), 0.1),
        above("Xavier keeps the signal: σ of activations, last layer.", mean(signal[XAVIER, :, -1]), 0.1),
        above("1.0·randn saturates: σ of activations, last layer.", mean(signal[LARGE, :, -1]), 0.9),
        below("0.01·randn stops gradients: σ of ∂L/∂W, first layer, over Xavier's.", mean(lost), 1e-5),
        below("So does 1.0·randn, by saturation: σ of ∂L/∂W, first over last hidden.", mean(stopped), 1.0),
        exact("Zero kernels get no gradient in any layer.", gradient[ZERO], 0.0),
        below("Zero fails at one hidden layer: accuracy.", mean(shallow[ZERO]), 0.2),
        below("0.01·randn is fine for one hidden layer: Xavier's accuracy minus its own.", mean(gap), 0.02),
        below("0.01·randn fails in the deepest: accuracy.", mean(deep[SMALL]), 0.2),
        above("Xavier trains the deepest: accuracy.", mean(deep[XAVIER]), 0.9),
        above("1.0·randn trains worse there: Xavier's accuracy minus its own.", mean(worse), 0.1),
    )


def figures(result):
    """Signals by layer, without zero's, and accuracy by depth: a line an initialisation, its seeds' mean."""
    figure, axes = panels(1, 3)
    for row, name in enumerate(SCALES):
        for axis, line in zip(axes[:2], (result.activation[row], result.gradient[row]), strict=True):
            mean = np.where(row == ZERO, np.nan, line.mean(axis=0))
            axis.semilogy(np.arange(1, len(mean) + 1), mean, markevery=1)
        axes[2].plot(result.depths, _best(result.accuracy)[:, row].mean(axis=-1), label=name, markevery=1)
    axes[2].legend(fontsize=7, title="initialisation")
    label(axes[0], "Activations at the start", "hidden layer", "standard deviation (tanh units)")
    label(axes[1], "Gradients at the start", "layer, the output's last", "standard deviation of ∂L/∂W (nats)")
    label(axes[2], "After training, at the best rate", "hidden layers", "training accuracy (share)")
    return {"initialisation": figure}
