"""Do dropout, normalisation or fine-tuning make training end lower?

The course lists them among what helps optimisation. Each is switched on alone, in a
dense network with one hidden layer and in one with three, which learn 500 digits for
150 updates (6 epochs), by SGD with momentum, whose rate falls linearly to 0. An aid
helps if the training loss, of all that is trained on and without dropout, ends lower
than without, and harms if higher.

- Dropout is of hidden units; a layer is normalised before its ReLUs.
- Fine-tuning keeps hidden layers that have told five pairs of digits apart, on half of
  the digits, drawn once, that is otherwise not used; those updates are not counted. The
  negative control learns pairs that are drawn at random, and must not help.

An aid with a strength is run at three strengths and eight rates, one without at 24
rates of the same range, so that all are tuned by as many trials, by the mean logarithm
of the last training loss. The smallest strength is no edge of its grid, for beyond it
lies no aid at all, nor is the longest learning on other digits, which cost more than
the run itself.

A unit draws its initial weights, its split and its order anew; 20 units tune, 40 others
judge. The margin is a tenth of the loss: one that falls inversely to the updates falls
by as much with a tenth more of them. The tuning units of seed 100, which is judged
nowhere, placed the grid of rates, set the number of units by their spread, and showed
that the rate of 0.1 first planned for the other digits was too high for three layers.
The strengths are common ones.

Not tested: held-out losses, for which dropout is meant; combinations, batch
normalisation, large networks. Aids of the optimizer are the question of
`help_optimization`, curricula that of `curriculum`.

Claims: C124.
Source: Srivastava et al. 2014, "Dropout".
Cost: 37 seconds on 2 cores, compilation included.
Expect: fine-tuning and normalisation help, dropout costs training loss.
Run: jaxml run help_network
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from jaxml import learn, problem, randomness, record
from jaxml.learn import Family, Training, TrainState
from jaxml.record import Arm, Assertion
from jaxml.record.comparisons import compared
from jaxml.record.figures import Figure, label, panels, shared_legend
from jaxml.types import Batch, Keep, Params, Workload

CLASSES = 10
LOWEST, HIGHEST = 0.04, 0.04 * 1.5**7  # rates
RATES = np.geomspace(LOWEST, HIGHEST, 8)  # of an aid with three strengths
FINE_RATES = np.geomspace(LOWEST, HIGHEST, 24)  # of one without
RATE_BEFORE = 0.03  # of the learning on other digits
OTHER = 4  # stream of keys of that learning, beside the four of training


class Aid(NamedTuple):
    """One of the aids.

    Attributes:
        subject: of the sentence that says that it helps.
        strengths: by field of Point; three have a strength, one is a switch.
    """

    subject: str
    strengths: dict[str, Any]


BEFORE = [30, 100, 300]  # updates on other digits
AIDS = {
    "no aid": Aid("", {}),
    "normalisation": Aid("Layer normalisation", {"normalised": 1.0}),
    "dropout": Aid("Dropout", {"dropout": [0.05, 0.15, 0.45]}),
    "fine-tuning": Aid("Fine-tuning of layers from other digits", {"before": BEFORE}),
    "control": Aid(
        "Fine-tuning of layers from random labels", {"before": BEFORE, "random": 1.0}
    ),
}
DECIDING = "dropout", "fine-tuning"
"""Normalisation held in one run with one hidden layer and not in the next."""

LOWER = record.below(
    0.0, margin=0.1, reason="a tenth of the loss is what a tenth more updates would buy"
)


@dataclass(frozen=True, kw_only=True)
class Config:
    """The networks, their data, the length of a run, and the units."""

    width: int = 32
    depths: tuple[int, ...] = (1, 3)  # hidden layers
    train: int = 500
    test: int = 350
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
    test=20,
    steps=4,
    batch=4,
    tuning=1,
    judging=2,
    lanes=120,
)


class Point(NamedTuple):
    """What SGD with momentum reads, and the strengths of the aids.

    Attributes:
        lr: the peak of the rate.
        horizon: updates of the run.
        weight_decay: none.
        dropout: fraction of hidden units.
        normalised: 1 where layers are normalised, else 0.
        random: 1 where other digits' labels are random, else 0.
        before: updates on other digits.
        momentum: of the optimizer.
        seed: of the unit.
    """

    lr: Any
    horizon: Any = 0.0
    weight_decay: Any = 0.0
    dropout: Any = 0.0
    normalised: Any = 0.0
    random: Any = 0.0
    before: Any = 0
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
    images = problem.digits()
    half, key = len(images.weights) // 2, randomness.key(config.seed)
    other, own = problem.split(images, half, key=key)
    train, weights = [], []
    for depth in config.depths:
        of_point = partial(_training, config, depth, other, own)
        train.append(_losses(config, of_point, f"{depth} hidden layers", keep))
        weights.append(problem.weights(_workload(config, depth, own, Point(lr=0.0))))
    return Result(
        train=np.stack(train),
        depths=np.array(config.depths),
        weights=np.array(weights),
        examples=np.array(config.train),
        updates=np.array(config.steps),
        tuning=np.array(config.tuning),
    )


def _losses(
    config: Config, of_point: Callable[..., Training], name: str, keep: Keep
) -> Float[np.ndarray, "aid point unit"]:
    """Last training losses, nan where a run diverged."""
    grids = []
    for aid in AIDS.values():
        axes = {**aid.strengths, "lr": _rates(aid)}
        grids.append(learn.grid(Point, horizon=[config.steps], **axes))
    family = partial(learn.momentum, shape=learn.linear)
    contests = learn.compare(
        partial(_of_family, of_point),
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


def _of_family(of_point: Callable[..., Training], family: Family) -> Training:
    """Training whose network and start are those of its point.

    All are traced numbers, so that the aids are one program; none but the optimizer's
    is read by the optimizer, so a grid over the others is right.
    """

    def init(point: Point, *start: Any) -> TrainState:
        return of_point(point, family).init(point, *start)

    def run(state: TrainState, data: Batch) -> Any:
        return of_point(state.hyper, family).run(state, data)

    plain = of_point(Point(lr=0.0), family)
    return plain._replace(init=init, run=run, check=learn.validate)


def _training(
    config: Config, depth: int, other: Batch, own: Batch, point: Point, family: Family
) -> Training:
    """Training with the aids of one point."""
    work = _workload(config, depth, own, point)
    split = learn.split_anew(
        work.data, train=work.train, test=work.test, size=config.batch
    )
    training = learn.training(
        work.start,
        work.loss,
        family,
        split,
        steps=config.steps,
        probe=learn.evaluating(work.measures),
    )

    def init(point: Point, *start: Any) -> TrainState:
        state = training.init(point, *start)
        return state._replace(params=_learned(config, work, other, state))

    return training._replace(init=init)


def _workload(config: Config, depth: int, own: Batch, point: Point) -> Workload:
    widths = (*[config.width] * depth, CLASSES)
    model = problem.switched_mlp(
        widths, dropout=point.dropout, normalised=point.normalised
    )
    loss = problem.cross_entropy
    return problem.workload(model, loss, own, train=config.train, test=config.test)


def _learned(config: Config, work: Workload, other: Batch, state: TrainState) -> Params:
    """Initial weights whose hidden layers have learned pairs of other digits."""
    point = state.hyper
    key = jax.random.fold_in(state.key, OTHER)
    shape = other.targets.shape
    drawn = jax.random.randint(key, shape, 0, CLASSES // 2, jnp.int32)
    pairs = jnp.where(point.random > 0, drawn, other.targets // 2)
    batches = learn.shuffled(other._replace(targets=pairs), config.batch)
    before = learn.training(work.start, work.loss, learn.momentum, batches, steps=1)

    def update(index: Any, state: TrainState) -> TrainState:
        return before.step(state, batches.draw(batches.data, state.key, index))[0]

    initial = state._replace(hyper=point._replace(lr=jnp.float32(RATE_BEFORE)))
    learned = jax.lax.fori_loop(0, point.before, update, initial).params
    last = max(learned)
    return {**learned, last: state.params[last]}


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
                role = record.deciding if name in DECIDING else record.supporting
                measured = lower(arms[name], arms["no aid"])
                statement = f"{aid.subject} lets training end at a lower loss."
                found.append(role("C124", statement, measured, LOWER, **about))
    return tuple(found)


def _edges(name: str) -> np.ndarray:
    """Ends of the rates, and the greatest strength where more might do better."""
    aid = AIDS[name]
    rates = _rates(aid)
    ends = np.isin(rates, [LOWEST, HIGHEST])
    if rates is FINE_RATES:
        return ends
    strengths = [False, False, "before" not in aid.strengths]
    return np.logical_or.outer(strengths, ends).ravel()


def _setting(result: Result, network: int) -> str:
    return (
        f"8x8 digits ({result.examples:,} for training), dense network with "
        f"{result.depths[network]} hidden layers and {result.weights[network]:,} "
        f"weights, {result.updates:,} updates, SGD with momentum, rates and strengths "
        "tuned"
    )


def figures(result: Result) -> dict[str, Figure]:
    """Last losses with each aid compared with none, unit by unit, at tuned points."""
    figure, axes = panels(1, len(result.train))
    for axis, losses, depth in zip(axes, result.train, result.depths, strict=True):
        none, *arms = map(Arm, np.log(losses))
        compared(
            axis,
            {aid: (arm, none) for aid, arm in zip(list(AIDS)[1:], arms, strict=True)},
            LOWER,
            tuning=int(result.tuning),
        )
        label(
            axis,
            f"hidden layers: {depth}",
            "change of ln of last training loss",
            "aid",
        )
    shared_legend(figure)
    return {"aids": figure}
