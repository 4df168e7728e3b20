"""Does Adam beat SGD with momentum on text, and if so because characters are rare, or because of noise?

A network guesses the next of Shakespeare's characters from four, at rates that fall linearly to 0. Which
method to take is judged on unseen text, tuned on other unseen text. Why one leads is judged and tuned in
training: in small and large batches, and on as many examples with equally many of each common character.

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
CONDITIONS = {  # batch, and by which loss rates are tuned
    "unseen text": (64, "unseen"),
    "training": (64, "train"),
    "training, large batches": (512, "train"),
    "training, balanced": (64, "train"),
}


@dataclass(frozen=True, kw_only=True)
class Config:
    """The text, the network, and how long it learns."""

    characters: int = 150_000  # of Shakespeare to choose from; 0 takes this file's docstring
    common: int = 24  # characters of which the balanced examples have equally many
    context: int = 4
    width: int = 64
    steps: int = 600
    tuning_seeds: int = 2
    seeds: int = 8
    lanes: int = 18
    dtype: str = "float32"


SMOKE = Config(characters=0, common=4, width=4, steps=2, tuning_seeds=1, seeds=2, lanes=9)


class Result(NamedTuple):
    """By condition of BATCHES and by method of RATES."""

    tuning: (
        Array  # [condition, method, rate, tuning seed], last loss on text for tuning, inf where it diverged
    )
    loss: Array  # [condition, method, train or test, seed], last, at the best rate, nan where it diverged
    counts: Array  # [natural or balanced, character], how often each follows, sorted


def _texts(config):
    """Natural examples and as many balanced ones, to learn from and to be tested on."""
    if config.characters:
        sizes = {"train": config.characters, "test": config.characters // 10}
        text = problem.shakespeare(context=config.context, **sizes)
    else:
        text = problem.windows(str(__doc__).encode(), context=config.context, train=450, test=200)
    common = np.argsort(-np.bincount(text.train.targets))[: config.common]

    def rows(batch):
        by_character = [np.flatnonzero(batch.targets == character) for character in common]
        return np.concatenate([each[: min(map(len, by_character))] for each in by_character])

    def take(chosen):
        return Dataset(*(Batch(*(field[chosen(part)] for field in part)) for part in text))

    return take(lambda part: slice(len(rows(part)))), take(rows)


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
    seeds = {"tuning_seeds": config.tuning_seeds, "seeds": config.seeds}
    contests = learn.compare(
        experiment, entrants, target=2.0, lanes=config.lanes, keep=keep, **seeds
    ).values()
    ends = np.array([[each.final[look] for look in ("train", "test")] for each in contests])
    return np.stack([each.tuning for each in contests]), ends


def study(config, keep):
    """One program a method and condition."""
    natural, balanced = _texts(config)
    data = dict(zip(CONDITIONS, (natural, natural, natural, balanced), strict=True))
    stage = lambda name, part, compute: keep(f"{name}: {part}", compute)  # noqa: E731
    found = [_contests(config, data[name], *how, partial(stage, name)) for name, how in CONDITIONS.items()]
    kinds = natural.train.inputs.shape[-1]
    counts = [np.sort(np.bincount(each.train.targets, minlength=kinds))[::-1] for each in (natural, balanced)]
    tuning, loss = map(np.stack, zip(*found, strict=True))
    return Result(tuning, loss, np.stack(counts))


def findings(result):
    """The lead is momentum's loss less Adam's, paired by seed; a seed that diverged is left out."""
    above = partial(record.above, unit="nats", dtype="float32")
    mean = partial(record.bootstrap, np.mean)
    leads = (result.loss[:, 0] - result.loss[:, 1])[:, :, np.isfinite(result.loss).all((0, 1, 2))]
    natural, large, balanced = leads[1:, 0]
    return (
        above("C125", "Adam ends lower on unseen text: its lead.", mean(leads[0, 1]), 0.0),
        above("C125", "And in training: its lead.", mean(natural), 0.0),
        above("C125", "In large batches too: its lead in training.", mean(large), 0.0),
        above("C125", "Rare characters make it so: lead in training, natural less balanced text.",
              mean(natural - balanced), 0.0),
        above("C125", "Noise makes it so: lead in training, small less large batches.",
              mean(natural - large), 0.0),
    )  # fmt: skip


def figures(result):
    """Tuning by rate and condition, the ends by seed, and how frequent characters are."""
    figure, axes = panels(2, 2, width=5.0)
    for k, name in enumerate(CONDITIONS):
        for method, losses in zip(RATES, np.median(result.tuning[k], axis=2), strict=True):
            axes[k // 2].loglog(
                RATES[method], np.where(losses < 10, losses, np.nan), label=f"{method}, {name}"
            )
        axes[2].scatter(*result.loss[k, :, int(k == 0)], label=name, marker="osD^"[k], color=str(0.25 * k))
    axes[2].axline((1.8, 1.8), slope=1, color="black", linewidth=0.5)
    for kind, counts in zip(("natural", "balanced"), result.counts, strict=True):
        axes[3].semilogy(1 + np.arange(len(counts)), np.maximum(counts, 0.5), label=kind)
    label(axes[0], "In batches of 64", "rate η", "median loss in tuning (nats)")
    label(axes[1], "Larger batches, balanced text", "rate η", "median loss in tuning (nats)")
    label(axes[2], "A point a seed", "SGD with momentum: last loss (nats)", "Adam: last loss (nats)")
    label(axes[3], "Characters", "rank of the character", "examples (½ is none)")
    for axis in axes:
        axis.legend(fontsize=7)
    return {"characters": figure}
