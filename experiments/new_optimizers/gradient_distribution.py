"""Does Adam distort the distribution of gradients within ten updates of no warm-up?

The course explains Adam's warm-up by a picture of Liu et al.: without one the histogram
of gradient magnitudes |g| is distorted within ten updates, its mass moved to small
values; with one it keeps its shape. The residual networks and the peak rate are those
of `warmup`: the rate at which Adam with a warm-up over 2,000 updates trains best.

Each unit's gradient is evaluated on one fixed batch of 20 training examples, before the
first update and after ten. The distance of the two histograms of log2 |g|, whose bins
are factors of 2, is the fraction of the weights that would have to change bins. If the
course is right, the distance is larger without a warm-up; if gradients keep their
sizes, both are near 0; if those with a warm-up move as far, the difference is. A
warm-up is the negative control: its own distance must be small. That mass moves to
small values is asked beside it, by the mean of log2 |g|. Both only support: C117 says
that Adam needs a warm-up, and whether the loss suffers without is what `warmup` asks.

A unit draws its initial weights, its split and its order anew; `warmup`'s tuning units
choose the rate, which is chosen anew in each resample, and its others judge. The margin
is a twentieth of the weights, less than one sees in a histogram. The rate stays
constant after the warm-up; in ten updates of `warmup`'s 4,000 it would fall by 0.25 %.

Not tested: attention, and gradients of a Transformer, of which the picture is.

Claims: C117.
Source: Liu et al. 2020, arXiv:1908.03265, figure 2.
Cost: 5 seconds on 2 cores, compilation included, after `warmup`.
Expect: distorted without a warm-up, though the sizes need not fall.
Run: jaxml run gradient_distribution
"""

from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from jaxml import learn, problem, record, tree
from jaxml.learn import Family, Training, TrainState
from jaxml.record import Assertion
from jaxml.record.comparisons import compared
from jaxml.record.figures import Axes, Figure, band, label, panels, shared_legend
from jaxml.types import Keep, Objective, Params, Workload

NEEDS = ("warmup",)
NORMS = {
    "after the sum": problem.after_the_sum,
    "before the block": problem.before_the_block,
}
RISES = ("without", "with")
QUANTITIES = ("distance", "shift", "initial", "early")
BORDERS = np.arange(-30.0, 6.0)  # of the bins of log2 |g|
CLASSES = 10

FARTHER = record.above(
    0.0, margin=0.05, reason="a twentieth of the weights is not seen in a histogram"
)
NEAR = record.below(0.1, margin=0.05, reason=FARTHER.reason)
FALLEN = record.below(0.0, margin=0.5, reason="half a bin is not seen in a histogram")


@dataclass(frozen=True, kw_only=True)
class Config:
    """The networks and data, updates before an evaluation and of the warm-up, and
    units.

    The rates and the units are those of `warmup`.
    """

    width: int = 16
    blocks: int = 6
    norms: tuple[str, ...] = tuple(NORMS)
    clothing: int = 10_000  # pictures to draw from; 0 takes digits in their place
    train: int = 2000
    steps: int = 10
    warmup: int = 2000
    batch: int = 20
    lanes: int = 20
    seed: int = 0


SMOKE = Config(
    width=2,
    blocks=1,
    norms=("after the sum",),
    clothing=0,
    train=20,
    steps=2,
    lanes=64,
)


class Point(NamedTuple):
    """What Adam reads, and its warm-up.

    Attributes:
        lr: the peak of the rate.
        rise: updates of the warm-up, which may outlast the run.
        momentum: β₁.
        second_moment: β₂.
        epsilon: added to the root of the mean square.
        weight_decay: none.
        seed: of the unit.
    """

    lr: Any
    rise: Any = 0.0
    momentum: Any = 0.9
    second_moment: Any = 0.999
    epsilon: Any = 1e-8
    weight_decay: Any = 0.0
    seed: Any = 0


class Result(NamedTuple):
    """By network of NORMS, warm-up of RISES, and rate of `warmup`.

    Attributes:
        distance: of the early histogram from the initial one.
        shift: mean change of log2 |g|.
        initial: histogram of |g| before the first update, fractions of the weights.
        early: that after the last.
        scores: last training loss with a warm-up, which chooses the rate.
        weights: of each network.
        blocks: of a network.
        examples: that are trained on.
        updates: before the early histogram.
        warmup: its updates.
        tuning: how many units tune, the first ones.
    """

    distance: Float[np.ndarray, "norm rise rate unit"]
    shift: Float[np.ndarray, "norm rise rate unit"]
    initial: Float[np.ndarray, "norm rise rate unit bin"]
    early: Float[np.ndarray, "norm rise rate unit bin"]
    scores: Float[np.ndarray, "norm rate unit"]
    weights: np.ndarray
    blocks: np.ndarray
    examples: np.ndarray
    updates: np.ndarray
    warmup: np.ndarray
    tuning: np.ndarray


def study(config: Config, keep: Keep, warmup: Any) -> Result:
    """One program for each network; `warmup` has tuned its rates."""
    images = problem.digits()
    if config.clothing:
        images = problem.small_clothing(config.clothing)
    scores = warmup.train[:, 0, -1]  # of Adam, with a warm-up
    found, weights = [], []
    for norm in config.norms:
        model = problem.residual(
            config.width, config.blocks, CLASSES, normalise=NORMS[norm]
        )
        loss = problem.cross_entropy
        work = problem.workload(model, loss, images, train=config.train, test=1)
        training = partial(_training, config, work, problem.objective(model, loss))
        found.append(_measured(config, training, warmup, norm, keep))
        weights.append(problem.weights(work))
    distance, shift, initial, early = (
        np.stack([each[name] for each in found]) for name in QUANTITIES
    )
    return Result(
        distance=distance,
        shift=shift,
        initial=initial,
        early=early,
        scores=scores,
        weights=np.array(weights),
        blocks=np.array(config.blocks),
        examples=np.array(config.train),
        updates=np.array(config.steps),
        warmup=np.array(config.warmup),
        tuning=warmup.tuning,
    )


def _measured(
    config: Config, training: learn.Experiment, warmup: Any, norm: str, keep: Keep
) -> dict[str, np.ndarray]:
    """QUANTITIES, `[rise, rate, unit, ...]` each."""
    rates = warmup.rates[0]
    tuning = int(warmup.tuning)
    grid = learn.grid(Point, rise=[0, config.warmup], lr=rates)
    stage = f"normalised {norm}"
    contests = learn.compare(
        training,
        {stage: learn.Entrant(_rising_adam, grid)},
        lanes=config.lanes,
        units=learn.Units(tuning, warmup.train.shape[-1] - tuning),
        seed=config.seed,
        keep=keep,
    )
    shape = (len(RISES), len(rates))
    final = contests[stage].final
    return {name: final[name].reshape(*shape, *final[name].shape[1:]) for name in final}


def _rising_adam(hyper: Point) -> Any:
    return learn.adam(hyper, shape=learn.warmup(learn.constant, hyper.rise))


def _training(
    config: Config, work: Workload, objective: Objective, family: Family
) -> Training:
    """A few updates, and the gradients on one batch before and after them."""
    batches = learn.split_anew(
        work.data, train=work.train, test=work.test, size=config.batch
    )
    gradient = jax.grad(objective)

    def observe(initial: Params, state: TrainState) -> tuple[Params, dict[str, Any]]:
        batch = jax.tree.map(lambda leaf: leaf[: config.batch], state.data.train)
        before = _exponents(gradient(initial, batch))
        after = _exponents(gradient(state.params, batch))
        first, last = _histogram(before), _histogram(after)
        return initial, {
            "distance": jnp.sum(jnp.abs(last - first)) / 2,
            "shift": jnp.mean(after) - jnp.mean(before),
            "initial": first,
            "early": last,
        }

    probe = learn.Probe(lambda params: params, observe)
    return learn.training(
        work.start, work.loss, family, batches, steps=config.steps, probe=probe
    )


def _exponents(gradient: Params) -> Float[jax.Array, " weight"]:
    """log2 |g| of every weight, within the borders of the bins."""
    flat, _ = tree.ravel(gradient)
    return jnp.clip(jnp.log2(jnp.abs(flat)), BORDERS[0], BORDERS[-1])


def _histogram(exponents: Float[jax.Array, " weight"]) -> Float[jax.Array, " bin"]:
    """The fraction of the weights in each bin."""
    bins = jnp.asarray(BORDERS, exponents.dtype)
    counts, _ = jnp.histogram(exponents, bins)
    return counts.astype(exponents.dtype) / exponents.size


def findings(result: Result) -> tuple[Assertion, ...]:
    """All at the rate that is best with a warm-up."""
    found: list[Assertion] = []
    for norm in range(len(result.distance)):
        found += _of_network(result, norm)
    return tuple(found)


def _of_network(result: Result, norm: int) -> tuple[Assertion, ...]:
    tuning = int(result.tuning)
    at_best = partial(record.tuned_mean, result.scores[norm], tuning=tuning)
    without, warm = result.distance[norm]
    after = f"after {result.updates} updates of Adam"
    setting = _setting(result, norm)
    return (
        record.supporting(
            "C117",
            f"The histogram of |g| {after} is farther from the initial one without a "
            "warm-up than with one.",
            at_best(without - warm),
            FARTHER,
            unit="fraction difference",
            setting=setting,
        ),
        record.supporting(
            "C117",
            f"The histogram of |g| {after} is near the initial one with a warm-up.",
            at_best(warm),
            NEAR,
            unit="fraction",
            setting=setting,
        ),
        record.supporting(
            "C117",
            f"The mean of log2 |g| has fallen {after} without a warm-up.",
            at_best(result.shift[norm, 0]),
            FALLEN,
            unit="difference",
            setting=setting,
        ),
    )


def _setting(result: Result, norm: int) -> str:
    return (
        f"clothing of 7x7 pixels ({result.examples:,} for training), residual network "
        f"of {result.blocks} blocks normalised {list(NORMS)[norm]}, "
        f"{result.weights[norm]:,} weights, warm-up over {result.warmup:,} updates, "
        "the rate that is best with it"
    )


def figures(result: Result) -> dict[str, Figure]:
    """Histograms at the rate that is best with a warm-up, and how much farther from the
    initial one they are without, unit by unit.
    """
    figure, axes = panels(len(result.distance), 2, width=5.0)
    rows = zip(NORMS, axes[::2], axes[1::2], strict=False)
    for norm, (name, bins, decides) in enumerate(rows):
        tuning, scores = int(result.tuning), result.scores[norm]
        best = learn.chosen(scores, tuning)
        _band(bins, result.initial[norm, 0, best, tuning:], "before the first update")
        for rise, early in zip(RISES, result.early[norm, :, best], strict=True):
            words = f"{result.updates} updates later, {rise} a warm-up"
            _band(bins, early[tuning:], words)
        label(bins, f"Adam, normalised {name}", "log2 |g|", "fraction of the weights")
        without, warm = (record.Arm(each, scores) for each in result.distance[norm])
        compared(decides, {"": (without, warm)}, FARTHER, tuning=tuning)
        shown = "without minus with a warm-up (fraction of the weights)"
        label(decides, "Distance from the initial histogram", shown, "a point a unit")
    shared_legend(figure, columns=2)
    return {"histograms": figure}


def _band(axis: Axes, histograms: Float[np.ndarray, "unit bin"], name: str) -> None:
    """Median, and a band of four units in five."""
    band(axis, BORDERS[:-1] + 0.5, histograms.T, name)
