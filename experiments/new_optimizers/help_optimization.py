"""Do shuffling, gradient noise, warm-up or weight decay make training end lower?

The course lists them among what helps optimisation besides the optimizer. Each is
switched on alone, in a dense network with one hidden layer and in one with three, which
learn 500 digits for 150 updates (6 epochs), by SGD with momentum, whose rate falls
linearly to 0. An aid helps if the training loss, of all that is trained on and without
a penalty, ends lower than without, and harms if higher.

- Shuffling draws a new order in each epoch, against one random order for all.
- Gradient noise has variance c / (1 + t)^0.55; decay is added to the gradient.

An aid with a strength is run at three strengths and eight rates, one without at 24
rates of the same range, so that all are tuned by as many trials, by the mean logarithm
of the last training loss. The smallest strength is no edge of its grid, for beyond it
lies no aid at all.

A unit draws its initial weights, its split and its order anew; 20 units tune, 40 others
judge. The margin is a tenth of the loss: one that falls inversely to the updates falls
by as much with a tenth more of them. The negative control is the same training in other
orders, which must come out as no effect. The tuning units of seed 100, which is judged
nowhere, placed the grid of rates and set the number of units by their spread. The
strengths are common ones, the greatest noise the paper's smallest.

Not tested: held-out losses, for which decay is meant; combinations, and large networks.
Aids of the network are the question of `help_network`, curricula that of `curriculum`.

Claims: C124.
Source: Neelakantan et al. 2015, arXiv:1511.06807.
Cost: 46 seconds on 2 cores, compilation included.
Expect: shuffling helps a little, a warm-up not; noise and decay cost training loss.
Run: jaxml run help_optimization
"""

from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from jaxml import learn, problem, record
from jaxml.learn import Family, Training, TrainState
from jaxml.record import Arm, Assertion
from jaxml.record.comparisons import compared
from jaxml.record.figures import Figure, label, panels, shared_legend
from jaxml.types import Batch, Dataset, Keep, Key, Workload

CLASSES = 10
LOWEST, HIGHEST = 0.04, 0.04 * 1.5**7  # rates
RATES = np.geomspace(LOWEST, HIGHEST, 8)  # of an aid with three strengths
FINE_RATES = np.geomspace(LOWEST, HIGHEST, 24)  # of one without
GREATEST = (False, False, True)  # of three strengths


class Aid(NamedTuple):
    """One of the aids.

    Attributes:
        subject: of the sentence that says that it helps.
        strengths: by field of Point; three have a strength, one is a switch.
        against: the name of the one without it.
    """

    subject: str
    strengths: dict[str, Any]
    against: str = "no aid"


AIDS = {
    "no aid": Aid("Shuffling anew in each epoch", {}, "fixed order"),
    "fixed order": Aid("", {"order": 1}),
    "other orders": Aid("Shuffling by other numbers", {"order": 2}),
    "noise": Aid("Gradient noise that shrinks", {"noise": [1e-4, 1e-3, 1e-2]}),
    "warm-up": Aid("A warm-up of the rate", {"warmup": [5, 15, 45]}),
    "decay": Aid("Weight decay", {"weight_decay": [1e-4, 1e-3, 1e-2]}),
}
CONTROL = "other orders"
LOWER = record.below(
    0.0, margin=0.1, reason="a tenth of the loss is what a tenth more updates would buy"
)


@dataclass(frozen=True, kw_only=True)
class Config:
    """The networks, their data, the length of a run, and the units."""

    width: int = 32
    depths: tuple[int, ...] = (1, 3)  # hidden layers
    train: int = 500
    steps: int = 150
    batch: int = 20
    tuning: int = 20
    judging: int = 40
    lanes: int = 40
    seed: int = 0


SMOKE = Config(
    width=2,
    depths=(1,),
    train=20,
    steps=45,
    batch=4,
    tuning=2,
    judging=2,
    lanes=200,
)


class Point(NamedTuple):
    """What SGD with momentum reads, and the strengths of the aids.

    Attributes:
        lr: the peak of the rate.
        horizon: updates of the run.
        warmup: updates of the warm-up.
        weight_decay: added to the gradient.
        noise: variance on the first gradient.
        order: 0 where each epoch has its own, 1 where all have one, 2 as 0 by other
            random numbers.
        momentum: of the optimizer.
        seed: of the unit.
    """

    lr: Any
    horizon: Any = 0.0
    warmup: Any = 0.0
    weight_decay: Any = 0.0
    noise: Any = 0.0
    order: Any = 0
    momentum: Any = 0.9
    seed: Any = 0


class Result(NamedTuple):
    """By network, one for each depth, and aid of AIDS; nan where a run diverged.

    Attributes:
        train: last training loss.
        depths: hidden layers, by network.
        weights: by network.
        examples: that are trained on.
        updates: of a run.
        tuning: how many units tune, the first ones.
    """

    train: Float[np.ndarray, "network aid point unit"]
    depths: np.ndarray
    weights: np.ndarray
    examples: np.ndarray
    updates: np.ndarray
    tuning: np.ndarray


def study(config: Config, keep: Keep) -> Result:
    """One program for each network."""
    train, weights = [], []
    for depth in config.depths:
        widths = (*[config.width] * depth, CLASSES)
        work = problem.workload(
            problem.mlp(widths, jax.nn.relu),
            problem.cross_entropy,
            problem.digits(),
            train=config.train,
            test=1,
        )
        train.append(_losses(config, work, f"{depth} hidden layers", keep))
        weights.append(problem.weights(work))
    return Result(
        train=np.stack(train),
        depths=np.array(config.depths),
        weights=np.array(weights),
        examples=np.array(config.train),
        updates=np.array(config.steps),
        tuning=np.array(config.tuning),
    )


def _losses(
    config: Config, work: Workload, name: str, keep: Keep
) -> Float[np.ndarray, "aid point unit"]:
    """Last training losses, nan where a run diverged."""
    grids = []
    for aid in AIDS.values():
        axes = {**aid.strengths, "lr": _rates(aid)}
        grids.append(learn.grid(Point, horizon=[config.steps], **axes))
    family = learn.noisy(partial(learn.momentum, shape=learn.linear))
    contests = learn.compare(
        partial(_training, config, work),
        {name: learn.Entrant(family, learn.joined(grids))},
        lanes=config.lanes,
        units=learn.Units(config.tuning, config.judging),
        seed=config.seed,
        keep=keep,
    )
    return contests[name].final["train"].reshape(len(AIDS), len(FINE_RATES), -1)


def _rates(aid: Aid) -> np.ndarray:
    """So many that every aid has as many points."""
    several = any(np.size(values) > 1 for values in aid.strengths.values())
    return RATES if several else FINE_RATES


def _training(config: Config, work: Workload, family: Family) -> Training:
    """Training in the order of its point.

    The order is a traced number, so that the aids are one program. The batches read it,
    so a grid over it is right though the optimizer does not.
    """
    split = learn.split_anew(work.data, train=work.train, test=1, size=config.batch)
    of_batches = partial(
        learn.training,
        work.start,
        work.loss,
        family,
        steps=config.steps,
        probe=learn.evaluating(work.measures),
    )

    def run(state: TrainState, data: Batch) -> Any:
        draw = partial(_drawn, split, config.batch, state.hyper)
        return of_batches(split._replace(draw=draw)).run(state, data)

    return of_batches(split)._replace(run=run, check=learn.validate)


def _drawn(
    split: learn.Batches, size: int, point: Point, own: Dataset, key: Key, step: Any
) -> Batch:
    """The next batch of the epoch's own order, or of the one order of all epochs."""
    anew = split.draw(own, jax.random.fold_in(key, point.order), step)
    same = learn.in_order(own.train, size).draw(own.train, key, step)
    return jax.tree.map(partial(jnp.where, point.order == 1), same, anew)


def findings(result: Result) -> tuple[Assertion, ...]:
    """By differences of the mean log losses, each aid at its own tuned point."""
    found: list[Assertion] = []
    tuning = int(result.tuning)
    lower = partial(record.tuned, record.mean_difference, tuning=tuning)
    for network, losses in enumerate(result.train):
        about = {"unit": "log ratio", "setting": _setting(result, network)}
        arms = {
            name: Arm(np.log(values), edges=_edges(name))
            for name, values in zip(AIDS, losses, strict=True)
        }
        for name, aid in AIDS.items():
            if aid.subject:
                role = record.supporting if name == CONTROL else record.deciding
                measured = lower(arms[name], arms[aid.against])
                statement = f"{aid.subject} lets training end at a lower loss."
                found.append(role("C124", statement, measured, LOWER, **about))
    return tuple(found)


def _edges(name: str) -> np.ndarray:
    """Ends of the rates, and the greatest strength."""
    rates = _rates(AIDS[name])
    ends = np.isin(rates, [LOWEST, HIGHEST])
    if rates is FINE_RATES:
        return ends
    return np.logical_or.outer(GREATEST, ends).ravel()


def _setting(result: Result, network: int) -> str:
    return (
        f"8x8 digits ({result.examples:,} for training), dense network with "
        f"{result.depths[network]} hidden layers and {result.weights[network]:,} "
        f"weights, {result.updates:,} updates, SGD with momentum, rates and strengths "
        "tuned"
    )


def figures(result: Result) -> dict[str, Figure]:
    """Last losses with each aid compared with its absence, unit by unit, at tuned
    points.
    """
    figure, axes = panels(1, len(result.train), width=5.6, height=3.6)
    shown = "ln of last training loss: difference"
    for axis, losses, depth in zip(axes, result.train, result.depths, strict=True):
        arms = dict(zip(AIDS, map(Arm, np.log(losses)), strict=True))
        pairs = {}
        for name, aid in AIDS.items():
            if aid.subject:
                words = f"{aid.subject},\ncompared with {aid.against}"
                pairs[words] = arms[name], arms[aid.against]
        compared(axis, pairs, LOWER, tuning=int(result.tuning))
        label(axis, f"hidden layers: {depth}", shown, "aid")
    shared_legend(figure)
    return {"aids": figure}
