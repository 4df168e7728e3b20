"""Which of the aids that the lecture lists help a network to train?

One network on few digits, by SGD with momentum; every aid is switched on alone, at one strength, and run at
every rate of a grid. Judged are the training loss averaged over the run, tuned by itself, and the last loss
on other digits, tuned on digits that judge nothing; the first seeds tune, the others judge. Fine-tuning
keeps a layer that has told five kinds of digits apart on images that are otherwise not trained on. Curricula
have a study of their own, normalisation changes the network.

Claims: C124.
Sources: Neelakantan et al. 2015, arXiv:1511.06807; Srivastava et al. 2014, "Dropout".
Cost: 40 seconds on 2 cores.
Expect: fine-tuning helps most; warm-up and shuffling a little; dropout, noise and decay cost training loss.
Run: jaxml run help_optimization
"""

from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import numpy as np

from jaxml import learn, problem, record
from jaxml.record.figures import label, panels
from jaxml.types import Array

RATES, TUNING = np.geomspace(0.01, 0.6, 9), 6  # and the number of seeds that tune
ALONE: tuple[str, ...] = "dropout", "gradient noise", "warm-up", "weight decay", "fine-tuning"
AIDS: tuple[str, ...] = "plain", "fixed order", *ALONE


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
    dtype: str = "float32"


SMOKE = Config(width=4, train=60, steps=4, every=2, warmup=1.0, pretraining=2, seeds=2, lanes=9)


class Result(NamedTuple):
    """By aid, in the order of AIDS; the first TUNING seeds tune. Losses are inf where a run diverged."""

    train: Array  # [aid, rate, seed, look], loss on all that is trained on
    unseen: Array  # [aid, rate, seed], last loss on digits that tune
    test: Array  # [aid, rate, seed], last loss on digits that judge


def study(config, keep):
    """One program an aid."""
    parts = problem.split(problem.digits(), config.train, key=jax.random.key(0))
    other, rest = problem.split(parts.test, config.train, key=jax.random.key(1))
    unseen, test = problem.split(rest, len(rest.weights) // 2, key=jax.random.key(2))
    loss = problem.cross_entropy
    streams = {"fixed order": learn.in_order(parts.train, config.batch)}
    shuffled = learn.shuffled(parts.train, config.batch)
    hypers = {
        "gradient noise": {"noise": [config.noise]},
        "warm-up": {"warmup": [config.warmup], "horizon": [config.steps]},
        "weight decay": {"weight_decay": [config.decay]},
    }

    def runs(aid):
        model = problem.mlp(
            (config.width, 10), jax.nn.relu, dropout=config.dropout if aid == "dropout" else 0.0
        )
        begin, objective = problem.start(model, parts.train.inputs), problem.objective(model, loss)

        def pretrained(key):
            params, state = begin(key)
            descent = learn.minimiser(learn.momentum(learn.Hyper(lr=0.1)), steps=config.pretraining)
            learned = descent(objective, params, other._replace(targets=other.targets // 2))
            return {**params, "layer_00": learned["layer_00"]}, state

        start, judge = pretrained if aid == "fine-tuning" else begin, problem.training_loss(model, loss)
        looks = {"train": parts.train, "unseen": unseen, "test": test}
        measures = {name: problem.evaluation(model, loss, batch) for name, batch in looks.items()}
        watch = {"steps": config.steps, "every": config.every, "probe": learn.measuring(measures)}
        family = learn.noisy(learn.momentum) if aid == "gradient noise" else learn.momentum
        training = learn.training(start, judge, family, streams.get(aid, shuffled), **watch)
        seeds = range(TUNING + config.seeds)
        grid = learn.grid(learn.Hyper, lr=RATES, seed=seeds, **hypers.get(aid, {}))
        found = learn.sweep(training, grid, lanes=config.lanes, name=aid, keep=keep)
        shape = len(RATES), len(seeds), -1
        seen = {name: found.trace.probed[name].reshape(shape) for name in looks}
        ended = (found.diverged_at < 0).reshape(shape)
        return [np.where(ended, seen[name], np.inf) for name in looks]

    train, unseen, test = map(np.stack, zip(*(runs(aid) for aid in AIDS), strict=True))
    return Result(train, unseen[..., -1], test[..., -1])


def _tuned(tuning, judged):
    """What the fresh seeds reach at the rate that is best for the tuning seeds, by aid."""
    best = np.median(tuning[..., :TUNING], axis=-1).argmin(axis=-1)
    return {aid: losses[k, TUNING:] for aid, k, losses in zip(AIDS, best, judged, strict=True)}


def findings(result):
    """With the aid less plain, paired by seed; a seed of which one diverged is left out."""
    below = partial(record.below, unit="nats", dtype="float32")
    average = result.train.mean(axis=-1)
    train, test = _tuned(average, average), _tuned(result.unseen, result.test)

    pairs = {"shuffling": ("plain", "fixed order")} | {aid: (aid, "plain") for aid in ALONE}
    return tuple(
        below(
            "C124",
            f"{name} helps {what}: difference of losses.",
            record.paired(losses[ours], losses[theirs]),
            0.0,
        )
        for name, (ours, theirs) in pairs.items()
        for what, losses in (("training, all along", train), ("on other digits", test))
    )


def figures(result):
    """By rate, and at the tuned ones."""
    figure, axes = panels(1, 3, width=5.0)
    for k, aid in enumerate(AIDS):
        for axis, losses in zip(axes, (result.train.mean(axis=-1)[k], result.test[k]), strict=False):
            axis.loglog(RATES, np.minimum(np.median(losses, axis=1), 3), label=aid, markevery=1)
    tuned = _tuned(result.unseen, result.test)
    axes[2].boxplot(
        [np.minimum(losses, 3) for losses in tuned.values()], orientation="horizontal", tick_labels=AIDS
    )
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=5, fontsize=8)
    label(axes[0], "Training, all along", "rate η", "median loss averaged over the run (nats)")
    label(axes[1], "Other digits", "rate η", "median last loss (nats)")
    label(axes[2], "Fresh seeds at the tuned rate", "last loss on other digits (nats)", "aid")
    return {"help_optimization": figure}
