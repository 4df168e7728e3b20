"""Which of the aids that the lecture lists help a network to train?

One network on few digits, by SGD with momentum; every aid is switched on alone, at one
strength, and run at every rate of a grid. Judged are the training loss averaged over
the run, tuned by itself, and the last loss on other digits, tuned on digits that judge
nothing; the first seeds tune, the others judge. Fine-tuning keeps a layer that has told
five kinds of digits apart on images that are otherwise not trained on. Curricula have a
study of their own, normalisation changes the network. All seeds share one tuned rate
and one split of the digits, so nothing here decides.

Claims: C124.
Sources: Neelakantan et al. 2015, arXiv:1511.06807; Srivastava et al. 2014, "Dropout".
Cost: 40 seconds on 2 cores.
Expect: fine-tuning helps most; warm-up and shuffling a little; dropout, noise and decay
cost training loss.
Run: jaxml run help_optimization
"""

from dataclasses import dataclass
from typing import NamedTuple

import jax
import numpy as np

from jaxml import learn, problem, randomness, record, tree
from jaxml.record.figures import label, panels
from jaxml.types import Array, Batch

RATES = np.geomspace(0.01, 0.6, 9)
TUNING = 6  # the number of seeds that tune
ALONE: tuple[str, ...] = (
    "dropout",
    "gradient noise",
    "warm-up",
    "weight decay",
    "fine-tuning",
)
AIDS: tuple[str, ...] = "plain", "fixed order", *ALONE

STATEMENTS = {  # how a sentence begins, with whom it compares, and the strength
    "shuffling": ("Shuffling the examples", "a fixed order", ""),
    "dropout": ("Dropout", "no dropout", ", dropout of {:g}"),
    "gradient noise": (
        "Gradient noise that shrinks with time",
        "no noise",
        ", noise of variance {:g} at first",
    ),
    "warm-up": (
        "A warm-up of the rate",
        "a constant rate",
        ", warm-up over {:g} updates",
    ),
    "weight decay": ("Weight decay", "no decay", ", decay of {:g}"),
    "fine-tuning": (
        "Fine-tuning a first layer that was learned on other digits",
        "a random one",
        ", learned in {:g} updates",
    ),
}
LOWER = record.below(
    0.0, margin=0.01, reason="0.01 nats is 1 % in the probability of the right class"
)


@dataclass(frozen=True, kw_only=True)
class Config:
    """The network, its data, and how strong the aids are."""

    width: int = 32
    train: int = 500
    steps: int = 500
    every: int = 10
    batch: int = 20
    dropout: float = 0.2
    noise: float = 0.01  # variance on the first gradient
    decay: float = 1e-3
    warmup: float = 50.0
    pretraining: int = 200  # updates on other digits, at rate 0.1
    seeds: int = 10  # that judge
    lanes: int = 16
    seed: int = 0


SMOKE = Config(
    width=4, train=60, steps=4, every=2, warmup=1.0, pretraining=2, seeds=2, lanes=9
)


class Result(NamedTuple):
    """By aid, in the order of AIDS; the first TUNING seeds tune. Losses are inf where a
    run diverged.
    """

    train: Array  # [aid, rate, seed, look], loss on all that is trained on
    unseen: Array  # [aid, rate, seed], last loss on digits that tune
    test: Array  # [aid, rate, seed], last loss on digits that judge
    strengths: Array  # [aid], as Config has them, nan of what has none
    examples: Array  # [], that are trained on
    weights: Array  # [], of the network
    updates: Array  # [], of each run


class _Digits(NamedTuple):
    """Four disjoint parts."""

    train: Batch
    other: Batch  # to learn a first layer from
    unseen: Batch  # to tune on
    test: Batch


def _digits(config):
    parts = problem.split(
        problem.digits(), config.train, key=randomness.key(config.seed)
    )
    other, rest = problem.split(
        parts.test, config.train, key=randomness.key(config.seed, 1)
    )
    half = len(rest.weights) // 2
    unseen, test = problem.split(rest, half, key=randomness.key(config.seed, 2))
    return _Digits(parts.train, other, unseen, test)


def _network(config, dropout=0.0):
    return problem.mlp((config.width, 10), jax.nn.relu, dropout=dropout)


def _pretrained(config, model, digits):
    """An initialiser whose first layer has learned, on other digits, which of five
    pairs one belongs to.
    """
    begin = problem.start(model, digits.train.inputs)
    objective = problem.objective(model, problem.cross_entropy)
    pairs = digits.other._replace(targets=digits.other.targets // 2)

    def start(key):
        params, state = begin(key)
        descent = learn.minimiser(
            learn.momentum(learn.Hyper(lr=0.1)), steps=config.pretraining
        )
        learned = descent(objective, params, pairs)
        return {**params, "layer_00": learned["layer_00"]}, state

    return start


def _training(config, aid, digits):
    """Training with one aid, which looks at all losses."""
    model, loss = (
        _network(config, config.dropout if aid == "dropout" else 0.0),
        problem.cross_entropy,
    )
    start = problem.start(model, digits.train.inputs)
    if aid == "fine-tuning":
        start = _pretrained(config, model, digits)
    order = learn.in_order if aid == "fixed order" else learn.shuffled
    family = learn.noisy(learn.momentum) if aid == "gradient noise" else learn.momentum
    measures = {
        "train": problem.evaluation(model, loss, digits.train),
        "unseen": problem.evaluation(model, loss, digits.unseen),
        "test": problem.evaluation(model, loss, digits.test),
    }
    return learn.training(
        start,
        problem.training_loss(model, loss),
        family,
        order(digits.train, config.batch),
        steps=config.steps,
        every=config.every,
        probe=learn.measuring(measures),
    )


def _runs(config, aid, digits, keep):
    """Losses in training, on digits that tune, and on those that judge,
    `[rate, seed, look]` each.
    """
    hypers = {
        "gradient noise": {"noise": [config.noise]},
        "warm-up": {"warmup": [config.warmup], "horizon": [config.steps]},
        "weight decay": {"weight_decay": [config.decay]},
    }
    seeds = randomness.seeds(config.seed, TUNING + config.seeds)
    grid = learn.grid(learn.Hyper, lr=RATES, seed=seeds, **hypers.get(aid, {}))
    training = _training(config, aid, digits)
    found = learn.sweep(training, grid, lanes=config.lanes, name=aid, keep=keep)
    ended = found.diverged_at[:, None] < 0
    losses = []
    for part in ("train", "unseen", "test"):
        seen = np.where(ended, found.trace.probed[part], np.inf)
        losses.append(seen.reshape(len(RATES), len(seeds), -1))
    return losses


def study(config, keep):
    """One program an aid."""
    digits = _digits(config)
    found = [_runs(config, aid, digits, keep) for aid in AIDS]
    train, unseen, test = map(np.stack, zip(*found, strict=True))
    start = problem.start(_network(config), digits.train.inputs)
    strengths = {
        "dropout": config.dropout,
        "gradient noise": config.noise,
        "warm-up": config.warmup,
        "weight decay": config.decay,
        "fine-tuning": config.pretraining,
    }
    return Result(
        train=train,
        unseen=unseen[..., -1],
        test=test[..., -1],
        strengths=np.array([strengths.get(aid, np.nan) for aid in AIDS]),
        examples=np.array(config.train),
        weights=np.array(
            tree.size(jax.eval_shape(start, randomness.key(config.seed))[0])
        ),
        updates=np.array(config.steps),
    )


def _tuned(tuning, judged):
    """What the judging seeds reach at the rate that is best for the tuning seeds, by
    aid.
    """
    best = np.median(tuning[..., :TUNING], axis=-1).argmin(axis=-1)
    return {
        aid: losses[k, TUNING:]
        for aid, k, losses in zip(AIDS, best, judged, strict=True)
    }


def findings(result):
    """With the aid minus plain, paired by seed; a seed of which one diverged is left
    out.
    """
    average = result.train.mean(axis=-1)
    kinds = {
        "training loss averaged over the run": _tuned(average, average),
        "last test loss": _tuned(result.unseen, result.test),
    }
    pairs = {"shuffling": ("plain", "fixed order")} | {
        aid: (aid, "plain") for aid in ALONE
    }
    strengths = dict(zip(AIDS, result.strengths, strict=True))
    found = []
    for aid, (ours, theirs) in pairs.items():
        subject, other, strength = STATEMENTS[aid]
        for kind, losses in kinds.items():
            finding = record.supporting(
                "C124",
                f"{subject} lowers the {kind}, compared with {other}.",
                record.paired(losses[ours], losses[theirs]),
                LOWER,
                unit="nats",
                setting=_setting(result) + strength.format(strengths[ours]),
            )
            found.append(finding)
    return tuple(found)


def _setting(result):
    return (
        f"8x8 digits ({result.examples:,} for training), dense network of "
        f"{result.weights:,} weights, {result.updates:,} updates, SGD with momentum, "
        "rates tuned"
    )


def figures(result):
    """By rate, and at the tuned ones."""
    figure, axes = panels(1, 3, width=5.0)
    for k, aid in enumerate(AIDS):
        for axis, losses in zip(
            axes, (result.train.mean(axis=-1)[k], result.test[k]), strict=False
        ):
            axis.loglog(
                RATES, np.minimum(np.median(losses, axis=1), 3), label=aid, markevery=1
            )
    tuned = _tuned(result.unseen, result.test)
    axes[2].boxplot(
        [np.minimum(losses, 3) for losses in tuned.values()],
        orientation="horizontal",
        tick_labels=AIDS,
    )
    figure.legend(
        *axes[0].get_legend_handles_labels(),
        loc="outside lower center",
        ncols=5,
        fontsize=8,
    )
    label(
        axes[0],
        "Training, all along",
        "rate η",
        "median loss averaged over the run (nats)",
    )
    label(axes[1], "Other digits", "rate η", "median last loss (nats)")
    label(
        axes[2],
        "Fresh seeds at the tuned rate",
        "last loss on other digits (nats)",
        "aid",
    )
    return {"help_optimization": figure}
