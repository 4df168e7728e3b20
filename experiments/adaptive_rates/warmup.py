"""Does a warm-up help residual networks to train, and does Adam need one?

The course calls a warm-up, a rate that rises before it falls, the black magic of ResNet
and the Transformer. So residual networks learn 2,000 pictures of clothing. Each of
their blocks adds two dense layers to its input, and is normalised after the sum, as in
the Transformer, or at its beginning, as in later ones. Without a warm-up the rate falls
linearly from its peak to 0; with one it first rises linearly: over 2,000 of 4,000
updates for Adam, 2/(1 - β₂) as Ma and Yarats advise, and over 400 of 2,000 for SGD with
momentum, as many as ResNet's. What each outcome would look like:

- A warm-up helps (C086): at its best peak rate training ends at a lower loss than at
  the best one without. It harms, as where a slow beginning wastes updates: at a higher.
- Adam needs a warm-up (C117): at the peak rate that is best with one, training without
  ends at a higher loss. That is the paper's comparison, where a Transformer's loss
  ends at 3 with a warm-up and near 10 without.

SGD with momentum, of which C117 does not speak, stands beside Adam in the second
question. A run that diverged counts as guessing, log 10.

A unit draws its initial weights, its split and its order anew; 20 units tune by the
last training loss, 20 others judge (with 10 and 10 nothing was decided). The margin is
5 % of the loss: a loss that falls with the inverse root of the updates falls by as much
with a tenth more of them. The grids of rates were placed by the tuning units of seed
100, which is judged nowhere.

Not tested: attention, batch normalisation, convolution, and networks of a size at which
Transformers fail without a warm-up. What happens to the distribution of gradients is
the question of `gradient_distribution`.

Claims: C086, C117.
Sources: Liu et al. 2020, arXiv:1908.03265; Ma and Yarats 2021, arXiv:1910.04209; Xiong
et al. 2020, arXiv:2002.04745.
Cost: two minutes on 2 cores, compilation included.
Expect: tuned, no gain; at the rate that a warm-up allows, Adam without one does worse.
Run: jaxml run warmup
"""

from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from jaxml import learn, problem, record
from jaxml.record import Arm, Assertion
from jaxml.record.figures import Figure, band, label, panels, shared_legend
from jaxml.types import Batch, Keep, Workload

METHODS = {"adam": "Adam", "momentum": "SGD with momentum"}
RATES = {
    "adam": 0.0025 * 1.5 ** np.arange(7),
    "momentum": 0.008 * 1.5 ** np.arange(7),
}
NORMS = {
    "after the sum": problem.after_the_sum,
    "before the block": problem.before_the_block,
}
WARMUPS = ("without", "with")
CLASSES = 10
GUESSING = np.float32(np.log(CLASSES))  # the loss of it

REASON = "5 % of the loss is what a tenth more updates would buy"
LOWER = record.below(0.0, margin=0.05, reason=REASON)
HIGHER = record.above(0.0, margin=0.05, reason=REASON)


@dataclass(frozen=True, kw_only=True)
class Config:
    """The networks, their data, how long runs and warm-ups last, and the units."""

    width: int = 16
    blocks: int = 6
    norms: tuple[str, ...] = tuple(NORMS)
    clothing: int = 10_000  # pictures to draw from; 0 takes digits in their place
    train: int = 2000
    test: int = 1000
    steps: tuple[int, ...] = (4000, 2000)  # by method
    warmups: tuple[int, ...] = (2000, 400)
    batch: int = 20
    tuning: int = 20
    judging: int = 20
    lanes: int = 20
    seed: int = 0


SMOKE = Config(
    width=2,
    blocks=1,
    norms=("after the sum",),
    clothing=0,
    train=20,
    test=20,
    steps=(4, 4),
    warmups=(2, 2),
    tuning=2,
    judging=2,
    lanes=64,
)


class Result(NamedTuple):
    """By network of NORMS, method of METHODS, and warm-up of WARMUPS.

    Attributes:
        train: last training loss, at most GUESSING.
        test: last held-out loss, likewise.
        examples: that are trained on.
        blocks: of a network.
        weights: of each network.
        updates: of a run, by method.
        rates: by method.
        warmups: their updates, by method.
        tuning: how many units tune, the first ones.
    """

    train: Float[np.ndarray, "norm method warmup rate unit"]
    test: Float[np.ndarray, "norm method warmup rate unit"]
    examples: np.ndarray
    blocks: np.ndarray
    weights: np.ndarray
    updates: np.ndarray
    rates: Float[np.ndarray, "method rate"]
    warmups: np.ndarray
    tuning: np.ndarray


def study(config: Config, keep: Keep) -> Result:
    """One program for each network and method."""
    images = problem.digits()
    if config.clothing:
        images = problem.small_clothing(config.clothing)
    works = {norm: _workload(config, norm, images) for norm in config.norms}
    losses = []
    for norm, work in works.items():
        losses.append([_losses(config, work, norm, name, keep) for name in METHODS])
    train, test = np.moveaxis(np.array(losses), 2, 0)
    weights = [problem.weights(work) for work in works.values()]
    return Result(
        train=train,
        test=test,
        examples=np.array(config.train),
        blocks=np.array(config.blocks),
        weights=np.array(weights),
        updates=np.array(config.steps),
        rates=np.stack([RATES[name] for name in METHODS]),
        warmups=np.array(config.warmups),
        tuning=np.array(config.tuning),
    )


def _workload(config: Config, norm: str, images: Batch) -> Workload:
    model = problem.residual(
        config.width, config.blocks, CLASSES, normalise=NORMS[norm]
    )
    return problem.workload(
        model, problem.cross_entropy, images, train=config.train, test=config.test
    )


def _losses(
    config: Config, work: Workload, norm: str, name: str, keep: Keep
) -> Float[np.ndarray, "part warmup rate unit"]:
    """Last losses on what is trained on and on what is held out."""
    method = list(METHODS).index(name)
    steps, rise = config.steps[method], config.warmups[method]
    grid = learn.grid(learn.Hyper, warmup=[0, rise], lr=RATES[name], horizon=[steps])
    family = partial(learn.OPTIMIZERS[name], shape=learn.linear)
    stage = f"{name}, normalised {norm}"
    contests = learn.compare(
        learn.experiment(work, batch=config.batch, steps=steps),
        {stage: learn.Entrant(family, grid)},
        lanes=config.lanes,
        units=learn.Units(config.tuning, config.judging),
        seed=config.seed,
        keep=keep,
    )
    last = np.stack([contests[stage].final[part] for part in ("train", "test")])
    return np.fmin(last, GUESSING).reshape(2, len(WARMUPS), len(RATES[name]), -1)


def findings(result: Result) -> tuple[Assertion, ...]:
    """Each by the log of a ratio of losses."""
    found: list[Assertion] = []
    for norm, method in np.ndindex(result.train.shape[:2]):
        found += _of_setting(result, norm, method)
    return tuple(found)


def _of_setting(result: Result, norm: int, method: int) -> tuple[Assertion, ...]:
    """Each at its own tuned rate, and both at that which is best with a warm-up."""
    without, warm = result.train[norm, method]
    lower = partial(_lower, int(result.tuning))
    worse = np.log(without / warm)
    needs = record.supporting if method else record.deciding
    name = list(METHODS.values())[method]
    about = {"unit": "log ratio", "setting": _setting(result, norm, method)}
    return (
        record.deciding(
            "C086",
            "With a warm-up training ends at a lower training loss than without, both "
            "at tuned rates.",
            lower(warm, without),
            LOWER,
            **about,
        ),
        needs(
            "C117",
            f"{name} ends at a higher training loss without a warm-up than with one, "
            "at the rate that is best with one.",
            record.tuned_mean(warm, worse, tuning=int(result.tuning)),
            HIGHER,
            **about,
        ),
        record.supporting(
            "C086",
            "With a warm-up training ends at a lower held-out loss than without, both "
            "at rates tuned by it.",
            lower(*result.test[norm, method, ::-1]),
            LOWER,
            **about,
        ),
    )


def _lower(tuning: int, ours: np.ndarray, theirs: np.ndarray) -> record.Interval:
    return record.tuned(_log_of_means, Arm(ours), Arm(theirs), tuning=tuning)


def _log_of_means(ours: np.ndarray, theirs: np.ndarray) -> float:
    return float(np.log(record.ratio_of_means(ours, theirs)))


def _setting(result: Result, norm: int, method: int) -> str:
    name = list(METHODS.values())[method]
    place, weights = list(NORMS)[norm], result.weights[norm]
    updates, rise = result.updates[method], result.warmups[method]
    return (
        f"clothing of 7x7 pixels ({result.examples:,} for training), residual network "
        f"of {result.blocks} blocks normalised {place}, {weights:,} weights, "
        f"{updates:,} updates, {name}, warm-up over {rise:,} updates"
    )


def figures(result: Result) -> dict[str, Figure]:
    """Losses against the rate, by network and method: the median and the quartiles of
    the judged units.
    """
    figure, axes = panels(len(result.train), len(METHODS), width=5.0)
    cells = np.ndindex(result.train.shape[:2])
    for axis, (norm, method) in zip(axes, cells, strict=True):
        name = list(METHODS)[method]
        for warm, losses in zip(WARMUPS, result.train[norm, method], strict=True):
            judged = losses[:, result.tuning :]
            band(axis, RATES[name], judged, f"{warm} a warm-up", within=0.5)
        axis.set_xscale("log")
        axis.set_yscale("log")
        title = f"{METHODS[name]}, normalised {list(NORMS)[norm]}"
        label(axis, title, "peak rate η", "training loss (nats)")
    shared_legend(figure)
    return {"losses": figure}
