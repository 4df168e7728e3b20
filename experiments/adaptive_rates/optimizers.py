"""Adam or SGD with momentum: which is faster, which ends lower, and which generalises
better?

A dense network on few digits and a convolutional one on pictures of clothing are
trained by both, at a rate that was not tuned (Adam's default, 1e-3, and 0.01, which no
library gives together with a momentum of 0.9) and tuned over one grid; rates fall
linearly to 0 everywhere. Tuning sees pictures and seeds of its own; differences are
paired by seed. All seeds share one tuned rate and one split of the data, so nothing
here decides.

Claims: C084, C109, C125.
Sources: Kingma and Ba 2015, arXiv:1412.6980; Keskar and Socher 2017, arXiv:1712.07628;
Choi et al. 2019.
Cost: 6 minutes on 2 cores, nearly all of it the convolutional network.
Expect: untuned Adam is ahead; tuned, the two hardly differ.
Run: jaxml run optimizers
"""

import math
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import numpy as np

from jaxml import learn, problem, randomness, record, tree
from jaxml.record.figures import label, panels
from jaxml.types import Array, Batch, Dataset

METHODS = {  # rates to tune over, and the one that was not tuned
    "adam": (np.geomspace(1e-4, 1e-1, 7), 1e-3),
    "momentum": (np.geomspace(1e-3, 1.0, 7), 0.01),
}
NETWORKS = {"digits": "dense", "clothing": "convolutional"}
RATES = {
    "untuned": "Adam at 0.001 and SGD with momentum at 0.01",
    "tuned": "rates tuned",
}
DATA, STATES = tuple(NETWORKS), tuple(RATES)
QUANTITIES = ("train", "test", "accuracy")  # two losses, and on test pictures
PICTURES = {
    8: "8x8 digits",
    28: "28x28 pictures of clothing",
}  # by the pixels of a side

NATS = "0.01 nats is 1 % in the probability of the right class"
LOWER = record.below(0.0, margin=0.01, reason=NATS)
HIGHER = record.above(0.0, margin=0.01, reason=NATS)
MORE_ACCURATE = record.above(
    0.0, margin=0.005, reason="half a point: less than what seeds move"
)


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
    seed: int = 0


SMOKE = Config(
    digits=60,
    clothing=0,
    width=8,
    channels=(2,),
    steps=4,
    every=2,
    tuning_seeds=1,
    seeds=2,
)


class Result(NamedTuple):
    """By data of DATA, method of METHODS, and state of STATES."""

    # [data, method, rate, tuning seed], loss in tuning, inf where it diverged
    tuning: Array
    curves: Array  # [data, method, state, quantity, seed, look], nan after divergence
    examples: Array  # [data], that are trained on
    sides: Array  # [data], pixels of a side of a picture
    weights: Array  # [data], of the network
    updates: Array  # [], of each run


def _race(config, name, model, data, keep):
    """Both methods on one kind of data: tuning `[method, rate, seed]`, curves as in
    Result.
    """
    loss, train = problem.cross_entropy, data.train
    half = len(data.test.weights) // 2
    tuning, test = problem.split(data.test, half, key=randomness.key(config.seed, 1))
    measures = {
        "loss": problem.evaluation(model, loss, tuning),
        "test": problem.evaluation(model, loss, test),
        "train": problem.evaluation(
            model, loss, Batch(*(field[:1000] for field in train))
        ),
        "accuracy": problem.evaluation(model, problem.accuracy, test),
    }
    start, judge = (
        problem.start(model, train.inputs),
        problem.training_loss(model, loss),
    )
    batches, probe = learn.shuffled(train, config.batch), learn.measuring(measures)
    length = {"steps": config.steps, "every": config.every}

    def experiment(family):
        return learn.training(start, judge, family, batches, probe=probe, **length)

    def contest(state, rates):
        entrants = {}
        for method, lr in zip(METHODS, rates, strict=True):
            grid = learn.grid(learn.Hyper, lr=lr, horizon=[config.steps])
            family = partial(learn.OPTIMIZERS[method], shape=learn.linear)
            entrants[method] = learn.Entrant(family, grid)

        def stage(part, compute):
            return keep(f"{name}, {state}: {part}", compute)

        found = learn.compare(
            experiment,
            entrants,
            target=0.3,
            lanes=config.lanes,
            tuning_seeds=config.tuning_seeds,
            seeds=config.seeds,
            seed=config.seed,
            keep=stage,
        )
        return list(found.values())

    grids, given = zip(*METHODS.values(), strict=True)
    tuned, untuned = contest("tuned", grids), contest("untuned", given)
    curves = []
    for pair in zip(untuned, tuned, strict=True):
        curves.append([_quantities(each) for each in pair])
    return np.array([each.tuning for each in tuned]), np.array(curves)


def _quantities(contest):
    """What was seen along the judged runs, `[quantity, seed, look]`."""
    return np.stack([contest.curves[quantity] for quantity in QUANTITIES])


def _clothing(config):
    """Pictures drawn anew with the seed, from all that there are to train on and to
    test.
    """
    everything = problem.fashion_mnist()
    train = problem.split(
        everything.train, config.clothing, key=randomness.key(config.seed, 2)
    ).train
    test = problem.split(
        everything.test, config.clothing // 5, key=randomness.key(config.seed, 3)
    ).train
    return Dataset(train, test)


def study(config, keep):
    """Four programs a kind of data: two methods, tuned and untuned."""
    digits = problem.split(
        problem.digits(), config.digits, key=randomness.key(config.seed)
    )
    images = Dataset(
        *(part._replace(inputs=part.inputs.reshape(-1, 8, 8, 1)) for part in digits)
    )
    if config.clothing:
        images = _clothing(config)
    models = (
        problem.mlp((config.width, 10), jax.nn.relu),
        problem.cnn(config.channels, 10),
    )
    races, weights, sides = [], [], []
    for name, model, data in zip(DATA, models, (digits, images), strict=True):
        races.append(_race(config, name, model, data, keep))
        sides.append(math.isqrt(data.train.inputs[0].size))
        start = problem.start(model, data.train.inputs)
        weights.append(tree.size(jax.eval_shape(start, randomness.key(config.seed))[0]))
    tuning, curves = map(np.stack, zip(*races, strict=True))
    return Result(
        tuning=tuning,
        curves=curves,
        examples=np.array([len(digits.train.weights), len(images.train.weights)]),
        sides=np.array(sides),
        weights=np.array(weights),
        updates=np.array(config.steps),
    )


def findings(result):
    """By kind of data, untuned and tuned; differences are paired by seed, without seeds
    that diverged.
    """
    found = []
    for data in DATA:
        for state in STATES:
            found += [
                *_losses(result, data, state),
                *_generalisation(result, data, state),
            ]
        found.append(_default_rate(result, data))
    return tuple(found)


def _network(result, data):
    """The data, the network, and the budget."""
    k = DATA.index(data)
    return (
        f"{PICTURES[int(result.sides[k])]} ({result.examples[k]:,} for training), "
        f"{NETWORKS[data]} network of {result.weights[k]:,} weights, "
        f"{result.updates:,} updates"
    )


def _setting(result, data, state):
    return f"{_network(result, data)}, {RATES[state]}"


def _curves(result, data, state):
    """By quantity, `[method, seed, look]`: Adam's, then those of SGD with momentum."""
    curves = result.curves[DATA.index(data), :, STATES.index(state)]
    return curves.swapaxes(0, 1)


def _losses(result, data, state):
    """Speed, end and rises of the training loss."""
    setting = _setting(result, data, state)
    train, _, _ = _curves(result, data, state)
    (adam, momentum), ends = train.mean(axis=-1), train[..., -1]
    rises = np.maximum(np.diff(train), 0).sum(axis=-1)
    return (
        record.supporting(
            "C109",
            "Adam's training loss, averaged over the run, is lower than that of SGD "
            "with momentum.",
            record.paired(adam, momentum),
            LOWER,
            unit="nats",
            setting=setting,
        ),
        record.supporting(
            "C109",
            "SGD with momentum ends at a lower training loss than Adam.",
            record.paired(ends[1], ends[0]),
            LOWER,
            unit="nats",
            setting=setting,
        ),
        record.supporting(
            "C109",
            "Adam's training loss rises more, in the sum of all rises between "
            "evaluations, than that of SGD with momentum.",
            record.paired(rises[0], rises[1]),
            HIGHER,
            unit="nats",
            setting=setting,
        ),
    )


def _gaps(train, test):
    """Test minus training loss where each seed's two runs have fallen equally far,
    `[method, seed]`.
    """
    level = np.maximum(*train[..., -1])
    passage = np.vectorize(record.first_passage, signature="(n),(n),()->()")
    return passage(train, test, level).astype(train.dtype) - level


def _generalisation(result, data, state):
    """The gap at equal training loss, and test accuracy."""
    setting = _setting(result, data, state)
    train, test, accuracy = _curves(result, data, state)
    gaps, (adam, momentum) = _gaps(train, test), accuracy[..., -1]
    return (
        record.supporting(
            "C109",
            "At equal training loss, Adam's test loss exceeds the training loss by "
            "more than that of SGD with momentum.",
            record.paired(gaps[0], gaps[1]),
            HIGHER,
            unit="nats",
            setting=setting,
        ),
        record.supporting(
            "C125",
            "In classifying pictures SGD with momentum reaches a higher test accuracy "
            "than Adam.",
            record.paired(momentum, adam),
            MORE_ACCURATE,
            unit="accuracy difference",
            setting=setting,
        ),
    )


def _default_rate(result, data):
    adam = result.curves[
        DATA.index(data), 0, :, QUANTITIES.index("test"), :, -1
    ]  # [state, seed]
    return record.supporting(
        "C084",
        "In a short run Adam's default rate of 0.001 ends at a test loss at most 10 % "
        "above that of a tuned rate.",
        record.paired(adam[0], adam[1], statistic=record.ratio_of_means),
        record.below(1.1),
        unit="ratio",
        setting=_network(result, data),
    )


def figures(result):
    """Tuning by rate, and the tuned test loss by updates."""
    figure, axes = panels(2, 2)
    for row, name in enumerate(DATA):
        left, right = axes[2 * row : 2 * row + 2]
        for k, (method, (rates, _)) in enumerate(METHODS.items()):
            left.loglog(
                rates,
                np.minimum(np.median(result.tuning[row, k], axis=1), 10),
                label=method,
            )
            for curve, state in zip(
                result.curves[row, k, :, 1], ("untuned", "tuned"), strict=True
            ):
                place = np.linspace(0, 1, curve.shape[1] + 1)[1:]
                right.semilogy(
                    place, np.median(curve, axis=0), label=f"{method}, {state}"
                )
        label(left, name, "rate η", "median loss in tuning (nats)")
        label(right, name, "share of the updates", "median test loss (nats)")
        left.legend(fontsize=8)
        right.legend(fontsize=8)
    return {"optimizers": figure}
