"""Adam or SGD with momentum: which is faster, which ends lower, and which generalises better?

A dense network on few digits and a convolutional one on pictures of clothing are trained by both, at the
rate that libraries give (1e-3, and 0.01) and tuned over one grid; rates fall linearly to 0 everywhere.
Tuning sees pictures and seeds of its own; differences are paired by seed. A run lasts 800 updates.

Claims: C084, C109, C125.
Sources: Kingma and Ba 2015, arXiv:1412.6980; Keskar and Socher 2017, arXiv:1712.07628; Choi et al. 2019.
Cost: 6 minutes on 2 cores, nearly all of it the convolutional network.
Expect: untuned Adam is ahead; tuned, the two hardly differ.
Run: jaxml run optimizers
"""

from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import numpy as np

from jaxml import learn, problem, record
from jaxml.record.figures import label, panels
from jaxml.types import Array, Batch, Dataset

METHODS = {"adam": (np.geomspace(1e-4, 1e-1, 7), 1e-3), "momentum": (np.geomspace(1e-3, 1.0, 7), 0.01)}
DATA, QUANTITIES = ("digits", "clothing"), ("train", "test", "accuracy")  # two losses, and on test pictures


@dataclass(frozen=True, kw_only=True)
class Config:
    """The data, the networks, and how long every run lasts."""

    digits: int = 500  # to train on
    clothing: int = 10_000  # to train on; 0 takes digits in their place
    width: int = 32
    channels: tuple[int, ...] = (8, 16)
    steps: int = 800
    every: int = 40
    batch: int = 50
    tuning_seeds: int = 2
    seeds: int = 8
    lanes: int = 2
    dtype: str = "float32"


SMOKE = Config(digits=60, clothing=0, width=8, channels=(2,), steps=4, every=2, tuning_seeds=1, seeds=2)


class Result(NamedTuple):
    """By data, digits and clothing, and by method; "untuned" is at the rate that libraries give."""

    tuning: Array  # [data, method, rate, tuning seed], loss in tuning, inf where it diverged
    curves: Array  # [data, method, untuned or tuned, quantity, seed, look], nan after divergence


def _race(config, name, model, data, keep):
    loss, train = problem.cross_entropy, data.train
    tuning, test = problem.split(data.test, len(data.test.weights) // 2, key=jax.random.key(1))
    looks = {"loss": tuning, "test": test, "train": Batch(*(field[:1000] for field in train))}
    measures = {name: problem.evaluation(model, loss, batch) for name, batch in looks.items()}
    measures["accuracy"] = problem.evaluation(model, problem.accuracy, test)
    start, judge = problem.start(model, train.inputs), problem.training_loss(model, loss)
    batches, probe = learn.shuffled(train, config.batch), learn.measuring(measures)
    length = {"steps": config.steps, "every": config.every}
    counts = {"lanes": config.lanes, "tuning_seeds": config.tuning_seeds, "seeds": config.seeds}
    experiment = lambda family: learn.training(start, judge, family, batches, probe=probe, **length)  # noqa: E731

    def contest(state, rates):
        grids = (learn.grid(learn.Hyper, lr=each, horizon=[config.steps]) for each in rates)
        families = (partial(learn.OPTIMIZERS[method], shape=learn.linear) for method in METHODS)
        entrants = dict(zip(METHODS, map(learn.Entrant, families, grids), strict=True))
        stage = lambda part, compute: keep(f"{name}, {state}: {part}", compute)  # noqa: E731
        return learn.compare(experiment, entrants, target=0.3, keep=stage, **counts).values()

    grids, given = zip(*METHODS.values(), strict=True)
    tuned = contest("tuned", grids)
    pairs = list(zip(contest("untuned", given), tuned, strict=True))
    curves = [[[each.curves[quantity] for quantity in QUANTITIES] for each in pair] for pair in pairs]
    return Result(np.array([each.tuning for each in tuned]), np.array(curves))


def study(config, keep):
    """Four programs a kind of data: two methods, tuned and untuned."""
    digits = problem.split(problem.digits(), config.digits, key=jax.random.key(0))
    images = Dataset(*(part._replace(inputs=part.inputs.reshape(-1, 8, 8, 1)) for part in digits))
    if config.clothing:
        images = problem.fashion_mnist(train=config.clothing, test=config.clothing // 5)
    models = problem.mlp((config.width, 10), jax.nn.relu), problem.cnn(config.channels, 10)
    races = [_race(config, *race, keep) for race in zip(DATA, models, (digits, images), strict=True)]
    return Result(*map(np.stack, zip(*races, strict=True)))


def _gaps(train, test):
    """Test less training loss where each seed's two runs have fallen equally far, `[method, seed]`."""
    level = np.maximum(*train[..., -1])
    pairs = [zip(*curves, level, strict=True) for curves in zip(train, test, strict=True)]
    return np.array([[record.first_passage(a, b, low) - low for a, b, low in pair] for pair in pairs])


def _verdicts(name, data, result):
    """Adam against SGD with momentum, paired by seed; from differences a diverged seed is left out."""
    above, below = (partial(rule, dtype="float32") for rule in (record.above, record.below))
    train, test, accuracy = np.moveaxis(result.curves[data], 2, 0)  # [method, untuned or tuned, seed, look]
    rises = np.maximum(np.diff(train), 0).sum(axis=-1)
    less = record.paired
    return (
        *(finding for k, state in enumerate((f"{name}, untuned", f"{name}, tuned")) for finding in (
            below("C109", f"{state}: Adam is faster: difference of training losses averaged over the run.",
                  less(*train[:, k].mean(axis=-1)), 0.0, unit="nats"),
            below("C109", f"{state}: SGD with momentum ends lower: difference of last training losses.",
                  less(*train[::-1, k, :, -1]), 0.0, unit="nats"),
            above("C109", f"{state}: Adam's gap to test loss is larger, at equal training loss: difference.",
                  less(*_gaps(train[:, k], test[:, k])), 0.0, unit="nats"),
            above("C109", f"{state}: Adam is less stable: difference of all rises of the training loss.",
                  less(*rises[:, k]), 0.0, unit="nats"),
            above("C125", f"{state}: for pictures SGD with momentum: difference of test accuracies.",
                  less(*accuracy[::-1, k, :, -1]), 0.0, unit="1"))),
        below("C084", f"{name}: Adam's own rate is good enough for a short run: test loss over the tuned.",
              less(*test[0, :, :, -1], statistic=record.ratio_of_means), 1.1, unit="1"),
    )  # fmt: skip


def findings(result):
    """By kind of data."""
    return sum((_verdicts(name, k, result) for k, name in enumerate(DATA)), ())


def figures(result):
    """Tuning by rate, and the tuned test loss by updates."""
    figure, axes = panels(2, 2)
    for row, name in enumerate(DATA):
        left, right = axes[2 * row : 2 * row + 2]
        for k, (method, (rates, _)) in enumerate(METHODS.items()):
            left.loglog(rates, np.minimum(np.median(result.tuning[row, k], axis=1), 10), label=method)
            for curve, state in zip(result.curves[row, k, :, 1], ("untuned", "tuned"), strict=True):
                place = np.linspace(0, 1, curve.shape[1] + 1)[1:]
                right.semilogy(place, np.median(curve, axis=0), label=f"{method}, {state}")
        label(left, name, "rate η", "median loss in tuning (nats)")
        label(right, name, "share of the updates", "median test loss (nats)")
        left.legend(fontsize=8)
        right.legend(fontsize=8)
    return {"optimizers": figure}
