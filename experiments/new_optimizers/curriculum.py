"""Does it help to learn easy examples first, and does it where labels are wrong?

A network on few digits, clean or with a fifth of the labels drawn anew, by SGD with
momentum. Batches come from the easiest fifth of every class, then from more, until half
the run; or from the hardest; or, the control, from any few. Easy is near the mean of
the class and far from the others'. Each order is tuned over the same rates, by its loss
on digits that are judged by nothing else; judged are the loss on those that are trained
on, with their right labels, averaged over the run, and the last loss on others. All
seeds share one tuned rate, one split of the digits and one control, so nothing here
decides.

Claims: C124.
Sources: Bengio et al. 2009, "Curriculum learning"; Wu, Dyer and Neyshabur 2021,
arXiv:2012.03107.
Cost: 20 seconds on 2 cores.
Expect: no help on clean labels; some where labels are wrong, which are the hard ones.
Run: jaxml run curriculum
"""

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxml import learn, problem, randomness, record, tree
from jaxml.record.figures import label, panels
from jaxml.types import Array, Batch

RATES = np.geomspace(0.003, 0.6, 9)
ORDERS: tuple[str, ...] = "all at once", "easy first", "hard first", "few first"
LABELS = "clean labels", "a fifth of labels random"
PAIRS = (
    ("easy first", "all at once"),
    ("easy first", "few first"),
    ("hard first", "few first"),
)
BATCHES = {
    "all at once": "batches of any examples",
    "easy first": "batches that begin with the easiest examples",
    "hard first": "batches that begin with the hardest examples",
    "few first": "batches that begin with any few examples",
}
KINDS = "have a lower training loss, averaged over the run,", "end at a lower test loss"
LOWER = record.below(
    0.0, margin=0.01, reason="0.01 nats is 1 % in the probability of the right class"
)


@dataclass(frozen=True, kw_only=True)
class Config:
    """The network and its data."""

    width: int = 32
    train: int = 500
    steps: int = 500
    every: int = 10
    batch: int = 20
    tuning_seeds: int = 5
    seeds: int = 10
    lanes: int = 5
    seed: int = 0


SMOKE = Config(width=4, train=60, steps=4, every=2, tuning_seeds=1, seeds=2, lanes=9)


class Result(NamedTuple):
    """By labels of LABELS and order of ORDERS; losses are nan from where a run
    diverged.
    """

    # [labels, order, rate, tuning seed], last loss in tuning, inf where it diverged
    tuning: Array
    # [labels, order, seed, look], loss on all that is trained on, with right labels
    train: Array
    # [labels, order, seed], last loss on others that did not tune, with right labels
    test: Array
    examples: Array  # [], that are trained on
    weights: Array  # [], of the network
    updates: Array  # [], of each run


def _growing(config, order, data):
    """Batches drawn from a beginning of the data, in that order, that grows from a
    fifth to all.
    """
    data, count = Batch(*(field[order] for field in data)), len(order)

    def draw(data, key, step):
        share = jnp.minimum(0.2 + 0.8 * step.astype(float) / (config.steps / 2), 1.0)
        seen = jnp.maximum(share * count, 1.0).astype(jnp.int32)
        rows = jax.random.randint(
            jax.random.fold_in(key, step), (config.batch,), 0, seen
        )
        return Batch(*(jnp.asarray(field)[rows] for field in data))

    return learn.Batches(data, draw, learn.updates_per_epoch(count, config.batch))


def _easiest(data):
    """Rows by how much nearer an image is to its class's mean than to another, the
    classes in turn.
    """
    means = np.stack(
        [data.inputs[data.targets == digit].mean(axis=0) for digit in range(10)]
    )
    far = np.linalg.norm(data.inputs[:, None] - means, axis=-1)
    own = np.arange(10) == data.targets[:, None]
    ease = far[own] - np.where(own, np.inf, far).min(axis=1)
    rank = np.empty(len(ease))
    for digit in range(10):
        rows = np.flatnonzero(data.targets == digit)
        rank[rows[np.argsort(ease[rows], kind="stable")]] = np.linspace(0, 1, len(rows))
    return np.argsort(rank, kind="stable")


def _noisy(config, data):
    """The data with a fifth of the labels drawn anew, from all ten digits."""
    (seed,) = randomness.seeds(config.seed, 1)
    random = np.random.default_rng(seed)
    wrong, drawn = (
        random.random(config.train) < 0.2,
        random.integers(10, size=config.train, dtype=np.int32),
    )
    return data._replace(targets=np.where(wrong, drawn, data.targets))


def _stream(config, order, data):
    """Batches of one of ORDERS."""
    if order == "all at once":
        return learn.with_replacement(data, config.batch)
    easiest = _easiest(data)
    rows = {
        "easy first": easiest,
        "hard first": easiest[::-1],
        "few first": np.arange(config.train),
    }
    return _growing(config, rows[order], data)


def study(config, keep):
    """One program for each kind of labels and order."""
    parts = problem.split(
        problem.digits(), config.train, key=randomness.key(config.seed)
    )
    half = len(parts.test.weights) // 2
    tuning, test = problem.split(parts.test, half, key=randomness.key(config.seed, 1))
    model, loss = problem.mlp((config.width, 10), jax.nn.relu), problem.cross_entropy
    start, judge = (
        problem.start(model, parts.train.inputs),
        problem.training_loss(model, loss),
    )
    entrant = learn.Entrant(learn.momentum, learn.grid(learn.Hyper, lr=RATES))
    looks = {"loss": tuning, "test": test, "train": parts.train}
    probe = learn.measuring(
        {name: problem.evaluation(model, loss, batch) for name, batch in looks.items()}
    )
    watch = {"steps": config.steps, "every": config.every, "probe": probe}

    def contest(labels, order, data):
        name, stream = f"{labels}, {order}", _stream(config, order, data)
        found = learn.compare(
            lambda family: learn.training(start, judge, family, stream, **watch),
            {name: entrant},
            target=0.1,
            lanes=config.lanes,
            tuning_seeds=config.tuning_seeds,
            seeds=config.seeds,
            seed=config.seed,
            keep=keep,
        )
        return found[name]

    found = []
    for labels, data in zip(
        LABELS, (parts.train, _noisy(config, parts.train)), strict=True
    ):
        found += [contest(labels, order, data) for order in ORDERS]
    return Result(
        tuning=_by_order([each.tuning for each in found]),
        train=_by_order([each.curves["train"] for each in found]),
        test=_by_order([each.final["test"] for each in found]),
        examples=np.array(config.train),
        weights=np.array(
            tree.size(jax.eval_shape(start, randomness.key(config.seed))[0])
        ),
        updates=np.array(config.steps),
    )


def _by_order(arrays):
    """`[labels, order, ...]`."""
    stacked = np.stack(arrays)
    return stacked.reshape(len(LABELS), len(ORDERS), *stacked.shape[1:])


def findings(result):
    """Paired by seed; a seed of which one diverged is left out."""
    found = []
    for k, labels in enumerate(LABELS):
        average = dict(zip(ORDERS, result.train[k].mean(axis=-1), strict=True))
        last = dict(zip(ORDERS, result.test[k], strict=True))
        for ours, theirs in PAIRS:
            for kind, losses in zip(KINDS, (average, last), strict=True):
                finding = record.supporting(
                    "C124",
                    f"{BATCHES[ours].capitalize()} {kind} than {BATCHES[theirs]}.",
                    record.paired(losses[ours], losses[theirs]),
                    LOWER,
                    unit="nats",
                    setting=_setting(result, labels),
                )
                found.append(finding)
    return tuple(found)


def _setting(result, labels):
    return (
        f"8x8 digits ({result.examples:,} for training, {labels}), dense network of "
        f"{result.weights:,} weights, {result.updates:,} updates, SGD with momentum, "
        "rates tuned"
    )


def figures(result):
    """Curves in training, and where they end."""
    figure, axes = panels(2, 2)
    place = np.linspace(0, 1, result.train.shape[-1] + 1)[1:]
    for k, labels in enumerate(LABELS):
        for order, train in zip(ORDERS, result.train[k], strict=True):
            axes[2 * k].semilogy(place, np.median(train, axis=0), label=order)
        axes[2 * k + 1].boxplot(
            list(result.test[k]), orientation="horizontal", tick_labels=ORDERS
        )
        axes[2 * k].legend(fontsize=8)
        label(
            axes[2 * k], labels, "share of the updates", "median training loss (nats)"
        )
        label(
            axes[2 * k + 1], "Fresh seeds", "last loss on other digits (nats)", "order"
        )
    return {"curriculum": figure}
