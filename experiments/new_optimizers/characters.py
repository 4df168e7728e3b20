"""Does Adam beat SGD with momentum on text, and if so because characters are rare, or
because of noise?

A network guesses the next of Shakespeare's characters from four, at rates that fall
linearly to 0. Which method to take is judged on unseen text, tuned on other unseen
text. Why one leads is judged and tuned in training: on the common characters only, as
frequent as they are or equally frequent, and in batches that are eight times larger and
so see the text eight times. The characters that come before stay as they are, and so
does their tail. Unseen text stands before the text that is trained on, and all seeds
share one tuned rate: nothing here decides.

Claims: C125.
Sources: Kunstner et al. 2024, arXiv:2402.19449; Kunstner et al. 2023, arXiv:2304.13960.
Cost: 1 minute on 2 cores.
Expect: a small lead of Adam's, as the tail of characters is short; larger batches do
not take it away.
Run: jaxml run characters
"""

from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import numpy as np

from jaxml import learn, problem, randomness, record, tree
from jaxml.record.figures import label, panels
from jaxml.types import Array, Batch, Dataset

RATES = {"momentum": np.geomspace(3e-3, 3.0, 9), "adam": np.geomspace(1e-4, 0.1, 9)}
CONDITIONS = {  # examples, batch, and by which loss rates are tuned
    "unseen text": ("all", 64, "unseen"),
    "training, natural": ("natural", 64, "train"),
    "training, balanced": ("balanced", 64, "train"),
    "training, large batches": ("natural", 512, "train"),
}

PARTS = "train", "test"
SENTENCES = "The quick brown fox jumps over the lazy dog. " * 16

NATS = "0.01 nats is 1 % in the probability of the right class"
LEADS = record.above(0.0, margin=0.01, reason=NATS)
PERCENT = "5 % of a lead is less than what seeds move"


@dataclass(frozen=True, kw_only=True)
class Config:
    """The text, the network, and how long it learns."""

    characters: int = 150_000  # of Shakespeare to choose from; 0 takes SENTENCES
    common: int = 24  # characters that are balanced
    context: int = 4
    width: int = 64
    steps: int = 600
    tuning_seeds: int = 2
    seeds: int = 8
    lanes: int = 6
    seed: int = 0


SMOKE = Config(
    characters=0, common=4, width=4, steps=2, tuning_seeds=1, seeds=2, lanes=9
)


class Result(NamedTuple):
    """By condition of CONDITIONS and by method of RATES."""

    # [condition, method, rate, tuning seed], last loss that tunes, inf where it
    # diverged
    tuning: Array
    # [condition, method, train or test, seed], last, at the best rate, nan where it
    # diverged
    loss: Array
    counts: (
        Array  # [all, natural or balanced, character], how often each follows, sorted
    )
    weights: Array  # [], of the network
    updates: Array  # [], of each run


def _generator(config):
    (seed,) = randomness.seeds(config.seed, 1)
    return np.random.default_rng(seed)


def _rows(config, batch, common):
    """Rows of as many examples of each kind, in random order: all, common ones as they
    come, and balanced.
    """
    order = _generator(config).permutation(len(batch.targets))
    targets = batch.targets[order]
    by_character = [order[targets == character] for character in common]
    rarest = min(len(rows) for rows in by_character)
    balanced = np.concatenate([rows[:rarest] for rows in by_character])
    natural = order[np.isin(targets, common)]
    return {
        "all": order[: len(balanced)],
        "natural": natural[: len(balanced)],
        "balanced": balanced,
    }


def _texts(config):
    """The text to train on and the unseen text, by kind of examples."""
    if config.characters:
        text = problem.shakespeare(
            context=config.context,
            train=config.characters,
            test=config.characters // 10,
            start=int(_generator(config).integers(1_000_000)),
        )
    else:
        text = problem.windows(
            SENTENCES.encode(), context=config.context, train=450, test=200
        )
    common = np.argsort(-np.bincount(text.train.targets))[: config.common]
    train, test = (_rows(config, part, common) for part in text)
    texts = {}
    for kind in train:
        texts[kind] = Dataset(
            _taken(text.train, train[kind]), _taken(text.test, test[kind])
        )
    return texts


def _taken(batch, rows):
    return Batch(*(field[rows] for field in batch))


def _network(config, data):
    return problem.mlp((config.width, data.train.inputs.shape[-1]), jax.nn.relu)


def _contests(config, condition, data, keep):
    """Both methods under one of CONDITIONS: tuning and last losses, as in Result."""
    _, size, tuned_by = CONDITIONS[condition]
    model, loss = _network(config, data), problem.cross_entropy
    half = len(data.test.weights) // 2
    unseen, test = problem.split(data.test, half, key=randomness.key(config.seed))
    looks = {
        "unseen": unseen,
        "test": test,
        "train": _taken(data.train, slice(None, None, 10)),
    }
    looks["loss"] = looks[tuned_by]
    probe = learn.measuring(
        {look: problem.evaluation(model, loss, batch) for look, batch in looks.items()}
    )
    start, judge = (
        problem.start(model, data.train.inputs),
        problem.training_loss(model, loss),
    )
    batches = learn.shuffled(data.train, min(size, len(data.train.weights)))
    experiment = partial(
        learn.training, start, judge, batches=batches, steps=config.steps, probe=probe
    )
    entrants = {}
    for method, rates in RATES.items():
        grid = learn.grid(learn.Hyper, lr=rates, horizon=[config.steps])
        entrants[method] = learn.Entrant(
            partial(learn.OPTIMIZERS[method], shape=learn.linear), grid
        )

    def stage(part, compute):
        return keep(f"{condition}: {part}", compute)

    found = learn.compare(
        experiment,
        entrants,
        target=2.0,
        lanes=config.lanes,
        tuning_seeds=config.tuning_seeds,
        seeds=config.seeds,
        seed=config.seed,
        keep=stage,
    )
    ends = []
    for contest in found.values():
        ends.append([contest.final[look] for look in PARTS])
    return np.stack([contest.tuning for contest in found.values()]), np.array(ends)


def study(config, keep):
    """One program a method and condition."""
    texts = _texts(config)
    found = []
    for condition, (kind, _, _) in CONDITIONS.items():
        found.append(_contests(config, condition, texts[kind], keep))
    tuning, loss = map(np.stack, zip(*found, strict=True))
    everything = texts["all"]
    kinds = everything.train.inputs.shape[-1]
    counts = [
        np.sort(np.bincount(each.train.targets, minlength=kinds))
        for each in texts.values()
    ]
    start = problem.start(_network(config, everything), everything.train.inputs)
    return Result(
        tuning=tuning,
        loss=loss,
        counts=np.stack(counts)[:, ::-1],
        weights=np.array(
            tree.size(jax.eval_shape(start, randomness.key(config.seed))[0])
        ),
        updates=np.array(config.steps),
    )


def _setting(result, condition):
    examples = result.counts[0].sum()
    return (
        f"Shakespeare's characters ({examples:,} for training), dense network of "
        f"{result.weights:,} weights, {result.updates:,} updates, rates tuned, "
        f"{condition}"
    )


def _losses(result, part):
    """SGD with momentum's and Adam's losses by condition, `[condition, seed]`; no seed
    that ever diverged.
    """
    ended = np.isfinite(result.loss).all(axis=(0, 1, 2))
    momentum, adam = result.loss[:, :, PARTS.index(part), ended].swapaxes(0, 1)
    return dict(zip(CONDITIONS, momentum, strict=True)), dict(
        zip(CONDITIONS, adam, strict=True)
    )


def findings(result):
    """The lead is momentum's loss minus Adam's, paired by seed; a seed that diverged is
    left out.
    """
    return (*_leads(result), *_causes(result))


def _leads(result):
    found = []
    rows = (
        (
            "unseen text",
            "test",
            "Adam ends at a lower loss on unseen text than SGD with momentum.",
        ),
        (
            "training, natural",
            "train",
            "Adam ends at a lower training loss than SGD with momentum.",
        ),
        (
            "training, large batches",
            "train",
            "In large batches Adam ends at a lower training loss than SGD with "
            "momentum.",
        ),
    )
    for condition, part, statement in rows:
        momentum, adam = _losses(result, part)
        finding = record.supporting(
            "C125",
            statement,
            record.paired(momentum[condition], adam[condition]),
            LEADS,
            unit="nats",
            setting=_setting(result, condition),
        )
        found.append(finding)
    return found


def _causes(result):
    momentum, adam = _losses(result, "train")
    lead = {
        condition: momentum[condition] - adam[condition] for condition in CONDITIONS
    }
    small, large = (
        lead[name] / momentum[name]
        for name in ("training, natural", "training, large batches")
    )
    return (
        record.supporting(
            "C125",
            "Making the common characters equally frequent leaves less than half of "
            "Adam's lead in training.",
            record.paired(
                lead["training, balanced"],
                lead["training, natural"],
                record.ratio_of_means,
            ),
            record.below(0.5, margin=0.05, reason=PERCENT),
            unit="ratio",
            setting=_setting(result, "training, balanced against natural"),
        ),
        record.supporting(
            "C125",
            "Adam's lead in training, as a fraction of the loss of SGD with momentum, "
            "is larger in small batches than in large ones.",
            record.paired(small, large),
            record.above(
                0.0, margin=0.01, reason="1 % of the loss, as 0.01 nats at a loss of 1"
            ),
            unit="fraction difference",
            setting=_setting(result, "training, small against large batches"),
        ),
    )


def figures(result):
    """Tuning by rate and condition, the ends by seed, and how frequent characters
    are.
    """
    figure, axes = panels(2, 2, width=5.0)
    for k, name in enumerate(CONDITIONS):
        for method, losses in zip(
            RATES, np.median(result.tuning[k], axis=2), strict=True
        ):
            axes[k // 2].loglog(
                RATES[method], np.minimum(losses, 10), label=f"{method}, {name}"
            )
        axes[2].scatter(
            *result.loss[k, :, int(k == 0)],
            label=name,
            marker="osD^"[k],
            color=str(0.25 * k),
        )
    axes[2].axline((1.8, 1.8), slope=1, color="black", linewidth=0.5)
    axes[3].semilogy(
        1 + np.arange(result.counts.shape[1]), np.maximum(result.counts, 0.5).T
    )
    label(
        axes[0], "Unseen text, and training", "rate η", "median loss in tuning (nats)"
    )
    label(
        axes[1],
        "Balanced text, and larger batches",
        "rate η",
        "median loss in tuning (nats)",
    )
    label(
        axes[2],
        "A point a seed",
        "SGD with momentum: last loss (nats)",
        "Adam: last loss (nats)",
    )
    label(
        axes[3],
        "All, natural, balanced (●, ■, ▲)",
        "rank of the character",
        "examples (½ is none)",
    )
    for axis in axes[:3]:
        axis.legend(fontsize=7)
    return {"characters": figure}
