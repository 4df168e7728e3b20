"""Which of the aids that the lecture lists help a network to train?

One network on few digits, by SGD with momentum; every aid is switched on alone and tuned over the same rates
by its training loss. Judged are, on fresh seeds, the training loss averaged over the run, and the last loss
on other digits. Fine-tuning keeps a layer that has learned other digits under other labels. Curricula have a
study of their own, normalisation changes the network.

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

RATES = np.geomspace(0.003, 3.0, 7)
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
    pretraining: int = 200  # updates on other digits with other labels, at rate 0.1
    tuning_seeds: int = 3
    seeds: int = 10
    lanes: int = 21
    dtype: str = "float32"


SMOKE = Config(
    width=4, train=60, steps=4, every=2, warmup=1.0, pretraining=2, tuning_seeds=1, seeds=2, lanes=7
)


class Result(NamedTuple):
    """By aid, in the order of AIDS; losses are nan from where a run diverged."""

    tuning: Array  # [aid, rate, tuning seed], last training loss, inf where it diverged
    train: Array  # [aid, seed, look], loss on all that is trained on
    test: Array  # [aid, seed], last loss on digits that are not


def study(config, keep):
    """One program an aid."""
    parts = problem.split(problem.digits(), config.train, key=jax.random.key(0))
    other, test = problem.split(parts.test, config.train, key=jax.random.key(1))
    loss = problem.cross_entropy
    streams = {"fixed order": learn.in_order(parts.train, config.batch)}
    shuffled = learn.shuffled(parts.train, config.batch)
    hypers = {
        "gradient noise": {"noise": [config.noise]},
        "warm-up": {"warmup": [config.warmup], "horizon": [config.steps]},
        "weight decay": {"weight_decay": [config.decay]},
    }
    counts = {"tuning_seeds": config.tuning_seeds, "seeds": config.seeds, "lanes": config.lanes}

    def contest(aid):
        model = problem.mlp(
            (config.width, 10), jax.nn.relu, dropout=config.dropout if aid == "dropout" else 0.0
        )
        begin, objective = problem.start(model, parts.train.inputs), problem.objective(model, loss)

        def pretrained(key):
            params, state = begin(key)
            descent = learn.minimiser(learn.momentum(learn.Hyper(lr=0.1)), steps=config.pretraining)
            learned = descent(objective, params, other._replace(targets=9 - other.targets))
            return {**params, "layer_00": learned["layer_00"]}, state

        start, judge = pretrained if aid == "fine-tuning" else begin, problem.training_loss(model, loss)
        look = partial(problem.evaluation, model, loss)
        probe = learn.measuring({"loss": look(parts.train), "test": look(test)})
        watch = {"steps": config.steps, "every": config.every, "probe": probe}
        experiment = lambda family: learn.training(start, judge, family, streams.get(aid, shuffled), **watch)  # noqa: E731
        family = learn.noisy(learn.momentum) if aid == "gradient noise" else learn.momentum
        entrant = {aid: learn.Entrant(family, learn.grid(learn.Hyper, lr=RATES, **hypers.get(aid, {})))}
        return learn.compare(experiment, entrant, target=0.1, keep=keep, **counts)[aid]

    contests = [contest(aid) for aid in AIDS]
    train, last = [each.curves["loss"] for each in contests], [each.final["test"] for each in contests]
    return Result(np.stack([each.tuning for each in contests]), np.stack(train), np.stack(last))


def findings(result):
    """With the aid less plain, paired by seed; a seed of which one diverged is left out."""
    below = partial(record.below, unit="nats", dtype="float32")
    train = dict(zip(AIDS, result.train.mean(axis=-1), strict=True))
    test = dict(zip(AIDS, result.test, strict=True))

    def less(*pair):
        return record.bootstrap(record.mean_difference, *np.stack(pair)[:, np.isfinite(pair).all(axis=0)])

    pairs = {"shuffling": ("plain", "fixed order")}
    pairs |= {aid: (aid, "plain") for aid in ALONE}
    return tuple(
        below("C124", f"{name} helps {what}: difference of losses.", less(losses[ours], losses[theirs]), 0.0)
        for name, (ours, theirs) in pairs.items()
        for what, losses in (("training, all along", train), ("on other digits", test))
    )


def figures(result):
    """Curves, and where they end."""
    figure, axes = panels(1, 3, width=5.0)
    place = np.linspace(0, 1, result.train.shape[-1] + 1)[1:]
    for aid, tuning, train in zip(AIDS, np.median(result.tuning, axis=2), result.train, strict=True):
        axes[0].loglog(RATES, np.where(tuning < 10, tuning, np.nan), label=aid)
        axes[1].semilogy(place, np.median(train, axis=0))
    axes[2].boxplot(list(result.test), orientation="horizontal", tick_labels=AIDS)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=5, fontsize=8)
    label(axes[0], "At every rate", "rate η", "median training loss in tuning (nats)")
    label(axes[1], "Tuned", "share of the updates", "median training loss (nats)")
    label(axes[2], "Fresh seeds", "last loss on other digits (nats)", "aid")
    return {"help_optimization": figure}
