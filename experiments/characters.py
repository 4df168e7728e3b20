"""Does Adam beat SGD with momentum on text, and if so because characters are rare, or because of noise?

A network guesses the next of Shakespeare's characters from four, at rates that fall linearly to 0. Which
method to take is judged on unseen text, tuned on other unseen text. Why one leads is judged and tuned in
training: on the common characters only, as frequent as they are or equally frequent, and in batches that are
eight times larger and so see the text eight times. The characters that come before stay as they are.

Claims: C125.
Sources: Kunstner et al. 2024, arXiv:2402.19449; Kunstner et al. 2023, arXiv:2304.13960.
Cost: 1 minute on 2 cores.
Expect: a small lead of Adam's, as the tail of characters is short; larger batches do not take it away.
Run: jaxml run characters
"""

from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import numpy as np

from jaxml import learn, problem, record
from jaxml.record.figures import label, panels
from jaxml.types import Array, Batch, Dataset

RATES = {"momentum": np.geomspace(3e-3, 3.0, 9), "adam": np.geomspace(1e-4, 0.1, 9)}
CONDITIONS = {  # examples, batch, and by which loss rates are tuned
    "unseen text": ("all", 64, "unseen"),
    "training, natural": ("natural", 64, "train"),
    "training, balanced": ("balanced", 64, "train"),
    "training, large batches": ("natural", 512, "train"),
}


@dataclass(frozen=True, kw_only=True)
class Config:
    """The text, the network, and how long it learns."""

    characters: int = 150_000  # of Shakespeare to choose from; 0 takes this file's docstring
    common: int = 24  # characters that are balanced
    context: int = 4
    width: int = 64
    steps: int = 600
    tuning_seeds: int = 2
    seeds: int = 8
    lanes: int = 18
    dtype: str = "float32"


SMOKE = Config(characters=0, common=4, width=4, steps=2, tuning_seeds=1, seeds=2, lanes=9)


class Result(NamedTuple):
    """By condition of CONDITIONS and by method of RATES."""

    tuning: Array  # [condition, method, rate, tuning seed], last loss that tunes, inf where it diverged
    loss: Array  # [condition, method, train or test, seed], last, at the best rate, nan where it diverged
    counts: Array  # [all, natural or balanced, character], how often each follows, sorted


def _texts(config):
    """As many examples of all characters, of common ones as they come, and of those balanced; random ones."""
    if config.characters:
        sizes = {"train": config.characters, "test": config.characters // 10}
        text = problem.shakespeare(context=config.context, **sizes)
    else:
        text = problem.windows(str(__doc__).encode(), context=config.context, train=450, test=200)
    common = np.argsort(-np.bincount(text.train.targets))[: config.common]

    def rows(batch):
        order = np.random.default_rng(0).permutation(len(batch.targets))
        by_character = [order[batch.targets[order] == character] for character in common]
        balanced = np.concatenate([each[: min(map(len, by_character))] for each in by_character])
        natural = order[np.isin(batch.targets[order], common)]
        return {"all": order[: len(balanced)], "natural": natural[: len(balanced)], "balanced": balanced}

    parts = [(part, rows(part)) for part in text]
    take = lambda kind: (Batch(*(field[chosen[kind]] for field in part)) for part, chosen in parts)  # noqa: E731
    return {kind: Dataset(*take(kind)) for kind in parts[0][1]}


def _contests(config, data, size, tuned_by, keep):
    model, loss = problem.mlp((config.width, data.train.inputs.shape[-1]), jax.nn.relu), problem.cross_entropy
    unseen, test = problem.split(data.test, len(data.test.weights) // 2, key=jax.random.key(0))
    looks = {"unseen": unseen, "test": test, "train": Batch(*(field[::10] for field in data.train))}
    looks["loss"] = looks[tuned_by]
    probe = learn.measuring({look: problem.evaluation(model, loss, batch) for look, batch in looks.items()})
    start, judge = problem.start(model, data.train.inputs), problem.training_loss(model, loss)
    batches = learn.shuffled(data.train, min(size, len(data.train.weights)))
    experiment = partial(learn.training, start, judge, batches=batches, steps=config.steps, probe=probe)
    entrants = {}
    for method, rates in RATES.items():
        grid = learn.grid(learn.Hyper, lr=rates, horizon=[config.steps])
        entrants[method] = learn.Entrant(partial(learn.OPTIMIZERS[method], shape=learn.linear), grid)
    counts = {"lanes": config.lanes, "tuning_seeds": config.tuning_seeds, "seeds": config.seeds}
    contests = learn.compare(experiment, entrants, target=2.0, keep=keep, **counts).values()
    ends = np.array([[each.final[look] for look in ("train", "test")] for each in contests])
    return np.stack([each.tuning for each in contests]), ends


def study(config, keep):
    """One program a method and condition."""
    texts = _texts(config)
    stage = lambda name, part, compute: keep(f"{name}: {part}", compute)  # noqa: E731
    found = [
        _contests(config, texts[kind], size, tuned_by, partial(stage, name))
        for name, (kind, size, tuned_by) in CONDITIONS.items()
    ]
    tuning, loss = map(np.stack, zip(*found, strict=True))
    kinds = texts["all"].train.inputs.shape[-1]
    counts = [np.sort(np.bincount(each.train.targets, minlength=kinds)) for each in texts.values()]
    return Result(tuning, loss, np.stack(counts)[:, ::-1])


def findings(result):
    """The lead is momentum's loss less Adam's, paired by seed; a seed that diverged is left out."""
    above, below = (partial(rule, dtype="float32") for rule in (record.above, record.below))
    momentum, adam = result.loss.swapaxes(0, 1)[..., np.isfinite(result.loss).all((0, 1, 2))]
    lead, unseen = (momentum - adam)[:, 0], (momentum - adam)[0, 1]  # the first in training
    relative = record.bootstrap(record.mean_difference, *(lead / momentum[:, 0])[[1, 3]])
    mean = partial(record.bootstrap, np.mean)
    return (
        above("C125", "Adam ends lower on unseen text: its lead.", mean(unseen), 0.0, unit="nats"),
        above("C125", "And in training: its lead.", mean(lead[1]), 0.0, unit="nats"),
        below("C125", "Balancing takes half its lead in training or more: share that is left.",
              record.bootstrap(record.ratio_of_means, lead[2], lead[1]), 0.5, unit="1"),
        above("C125", "In large batches too: its lead in training.", mean(lead[3]), 0.0, unit="nats"),
        above("C125", "Noise makes it lead: share of momentum's loss, small less large batches.",
              relative, 0.0, unit="1"),
    )  # fmt: skip


def figures(result):
    """Tuning by rate and condition, the ends by seed, and how frequent characters are."""
    figure, axes = panels(2, 2, width=5.0)
    for k, name in enumerate(CONDITIONS):
        for method, losses in zip(RATES, np.median(result.tuning[k], axis=2), strict=True):
            axes[k // 2].loglog(RATES[method], np.minimum(losses, 10), label=f"{method}, {name}")
        axes[2].scatter(*result.loss[k, :, int(k == 0)], label=name, marker="osD^"[k], color=str(0.25 * k))
    axes[2].axline((1.8, 1.8), slope=1, color="black", linewidth=0.5)
    axes[3].semilogy(1 + np.arange(result.counts.shape[1]), np.maximum(result.counts, 0.5).T)
    label(axes[0], "Unseen text, and training", "rate η", "median loss in tuning (nats)")
    label(axes[1], "Balanced text, and larger batches", "rate η", "median loss in tuning (nats)")
    label(axes[2], "A point a seed", "SGD with momentum: last loss (nats)", "Adam: last loss (nats)")
    label(axes[3], "All, natural, balanced (●, ■, ▲)", "rank of the character", "examples (½ is none)")
    for axis in axes[:3]:
        axis.legend(fontsize=7)
    return {"characters": figure}
