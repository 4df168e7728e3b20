"""Do moving averages of batch statistics serve at test time, and with which p?

At test time batch normalisation has no batch. The course takes moving averages of the
batches' means and variances, μ̄ ← p μ̄ + (1 - p) μᵗ, and calls p = 0.1 the default of
PyTorch. PyTorch's number, 0.1, is what the newest batch weighs, which in the formula is
p = 0.9; with p = 0.1 the average is little more than the last batch. So both are asked:
are held-out digits classified as accurately as by mean and variance of all training
examples, within one picture in a hundred? Where an average is as good the interval lies
within that margin of 0, and where it is not, outside. If the two disagree, the answer
depends on p.

Negative control, which must be refuted: the state before training, mean 0 and variance
1, in place of averages. Supporting: what the start at 0 and 1 costs soon after the
beginning, where averages of p = 0.99 still consist mostly of it, compared with averages
that are divided by their weight 1 - pᵗ; the same at the end and p = 0.9, a control; the
variance over n - 1, which PyTorch and the paper average, and over n; and training mode,
by the statistics of held-out batches.

The network is the same whatever p is, for averages do not enter training, so that no
rate is tuned to anyone's advantage: a dense network with two hidden layers of 32 ReLUs,
normalised before each, learns 500 digits by SGD in batches of 32 at 0.3, which in units
of the seed 70 came out best when tested by all training examples. The faster a network
moves, the more an average lags behind it; three times that rate is shown beside it. A
unit draws weights, order and both parts of the digits anew. Averages that start at 0
and 1, or are over n - 1, follow from the others by arithmetic, and cost no run.

Not tested: smaller batches (`small_batches`); falling rates, at whose end networks
hardly change while an average is taken; convolution; other data.

Claims: C102.
Sources: Ioffe and Szegedy 2015, arXiv:1502.03167, algorithm 2; Wu and Johnson 2021,
    arXiv:2105.07576, section 3; PyTorch's documentation of BatchNorm1d.
Cost: 20 seconds on 2 cores, compilation included.
Expect: p = 0.9 serves, and p = 0.1 loses one or two points.
Run: jaxml run running_averages
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
from jaxml.learn import Probe, Training, TrainState
from jaxml.problem import RunningStatistics
from jaxml.record import Assertion, Rule
from jaxml.record.comparisons import dots, margins
from jaxml.record.figures import Figure, band, label, panels, shared_legend
from jaxml.types import Array, Keep, Model

KEPT = (0.1, 0.5, 0.9, 0.99, 0.999)
SLIDE, PYTORCH, LONG = (KEPT.index(p) for p in (0.1, 0.9, 0.99))
DEBIASED, BEGUN, UNBIASED, INITIAL, EXACT, TRAINING = range(6)
MEASURES = (
    "moving averages",
    "moving averages from 0 and 1",
    "moving averages, variances over n - 1",
    "mean 0 and variance 1",
    "all training examples",
    "the batch's own",
)
EQUAL = record.near(0.0, margin=0.01, reason="one picture in a hundred")
MORE = record.above(0.0, margin=0.01, reason="one picture in a hundred")
BATCH, RATES = 32, (0.3, 0.9)


@dataclass(frozen=True, kw_only=True)
class Config:
    """Hidden layers, examples, updates and those between evaluations, and units."""

    widths: tuple[int, ...] = (32, 32)
    train: int = 500
    test: int = 512
    updates: int = 400
    every: int = 25
    units: int = 30
    lanes: int = 30
    seed: int = 0


SMOKE = Config(
    widths=(4,),
    train=64,
    test=32,
    updates=4,
    every=2,
    units=2,
    lanes=20,
)


class Point(NamedTuple):
    """A rate, and p, how much of the averages is kept."""

    lr: Any = 0.1
    kept: Any = 0.9
    weight_decay: Any = 0.0
    warmup: Any = 0.0
    seed: Any = 0


class Result(NamedTuple):
    """What every network was tested by.

    Attributes:
        accuracy: held out, by the statistics of MEASURES.
        updates: before each evaluation.
        widths: of the hidden layers.
        examples: that are trained on.
    """

    accuracy: Float[np.ndarray, "measure kept rate unit evaluation"]
    updates: Array
    widths: Array
    examples: Array


def study(config: Config, keep: Keep) -> Result:
    """One program; p and the rate are traced."""
    seeds = randomness.seeds(config.seed, config.units)
    training = learn.at_each_point(partial(_training, config), Point())
    grid = learn.grid(Point, kept=KEPT, lr=RATES, seed=seeds)
    probed = learn.sweep(training, grid, lanes=config.lanes, keep=keep).trace.probed
    seen = np.stack([probed[measure] for measure in MEASURES])
    shape = (len(MEASURES), len(KEPT), len(RATES), config.units, -1)
    updates = np.arange(config.every, config.updates + 1, config.every)
    setting = (updates, config.widths, config.train)
    return Result(seen.reshape(shape), *map(np.array, setting))


def _training(config: Config, point: Point) -> Training:
    """Training whose averages keep as much as one point says."""
    data = problem.digits()
    norm = problem.batch_norm(point.kept)
    model = problem.normalised_dense(norm, config.widths, outputs=10)
    return learn.training(
        problem.start(model, data.inputs),
        problem.training_loss(model, problem.cross_entropy),
        learn.sgd,
        learn.split_anew(data, train=config.train, test=config.test, size=BATCH),
        steps=config.updates,
        every=config.every,
        probe=Probe(lambda params: (), partial(_measured, model)),
    )


def _measured(
    model: Model, probe: Any, train: TrainState
) -> tuple[Any, dict[str, Array]]:
    """Held-out accuracies by every kind of statistics."""
    params, held_out, averages = train.params, train.data.test, train.model_state

    def by(state: Any) -> Array:
        return problem.objective(model, problem.accuracy, state=state)(params, held_out)

    def changed(change: Callable[[RunningStatistics], RunningStatistics]) -> Any:
        return jax.tree.map(change, averages, is_leaf=_is_running)

    whole = jax.tree.map(lambda field: field[None], train.data.train)
    exact = problem.with_precise_statistics(model, params, averages, whole)
    in_training = problem.training_loss(
        problem.in_ghosts(model, BATCH), problem.accuracy
    )
    trained, _ = in_training(params, averages, held_out, train.key)
    kinds = map(changed, (_itself, _begun, _over_one_less, _initial))
    states = jax.tree.map(lambda *leaves: jnp.stack(leaves), *kinds, exact)
    seen = (*jax.vmap(by)(states), trained)
    return probe, dict(zip(MEASURES, seen, strict=True))


def _is_running(leaf: Any) -> bool:
    return isinstance(leaf, RunningStatistics)


def _itself(sums: RunningStatistics) -> RunningStatistics:
    """Averages divided by their weights."""
    return sums


def _begun(sums: RunningStatistics) -> RunningStatistics:
    """The averages of the same batches from mean 0 and variance 1, which keep the
    weight that these batches lack.
    """
    lacking = 1 - sums.weight
    return RunningStatistics(
        sums.mean, sums.variance + lacking, jnp.ones_like(sums.weight)
    )


def _over_one_less(sums: RunningStatistics) -> RunningStatistics:
    """Variances of whole batches over n - 1."""
    return sums._replace(variance=sums.variance * (BATCH / (BATCH - 1)))


def _initial(sums: RunningStatistics) -> RunningStatistics:
    """Mean 0 and variance 1."""
    zeros = jnp.zeros_like(sums.mean)
    return RunningStatistics(zeros, zeros + 1, jnp.ones_like(sums.weight))


def findings(result: Result) -> tuple[Assertion, ...]:
    """Both values of p with a control, and what else is decided about averages."""
    decides, supports = (
        partial(_compared, result, role)
        for role in (record.deciding, record.supporting)
    )
    exactly = "as accurately as mean and variance of all training examples"
    usual = "At test time moving averages with p = 0.9 classify"
    slides = "At test time moving averages with p = 0.1 classify"
    first, last = result.updates[[0, -1]]
    weighted = "more accurately divided by their weight than started at 0 and 1"
    exact = (PYTORCH, EXACT)
    return (
        decides(f"{usual} {exactly}.", ((PYTORCH, DEBIASED), exact), EQUAL),
        decides(f"{slides} {exactly}.", ((SLIDE, DEBIASED), exact), EQUAL),
        supports(
            f"Control: mean 0 and variance 1 classify {exactly}.",
            ((PYTORCH, INITIAL), exact),
            EQUAL,
        ),
        supports(f"{usual} {exactly}.", ((PYTORCH, DEBIASED), exact), EQUAL, rate=1),
        supports(f"{slides} {exactly}.", ((SLIDE, DEBIASED), exact), EQUAL, rate=1),
        supports(
            f"After {first} updates moving averages with p = 0.99 classify {weighted}.",
            ((LONG, DEBIASED), (LONG, BEGUN)),
            MORE,
            evaluation=0,
        ),
        supports(
            f"Control: after {last} updates moving averages with p = 0.9 classify "
            f"{weighted}.",
            ((PYTORCH, DEBIASED), (PYTORCH, BEGUN)),
            MORE,
        ),
        supports(
            "Moving averages of variances over n - 1 and over n classify equally well.",
            ((PYTORCH, UNBIASED), (PYTORCH, DEBIASED)),
            EQUAL,
        ),
        supports(
            f"{usual} more accurately than statistics of the held-out batch itself.",
            ((PYTORCH, DEBIASED), (PYTORCH, TRAINING)),
            MORE,
        ),
    )


def _compared(
    result: Result,
    role: Callable[..., Assertion],
    statement: str,
    pair: tuple[tuple[int, int], tuple[int, int]],
    rule: Rule,
    *,
    rate: int = 0,
    evaluation: int = -1,
) -> Assertion:
    """One kind of statistics, of one p, minus another, of the same networks."""

    def accuracy(kept: int, measure: int) -> np.ndarray:
        return result.accuracy[measure, kept, rate, :, evaluation]

    ours, theirs = pair
    widths = " and ".join(map(str, result.widths))
    return role(
        "C102",
        statement,
        record.paired(accuracy(*ours), accuracy(*theirs)),
        rule,
        unit="accuracy difference",
        setting=f"8x8 digits, {result.examples} of them for training, dense network "
        f"with batch normalisation before {widths} ReLUs, SGD at a constant rate of "
        f"{RATES[rate]:g} in batches of {BATCH}, {result.updates[-1]} updates",
    )


def figures(result: Result) -> dict[str, Figure]:
    """Accuracy by updates and p; and at the end minus that by all training examples."""
    figure, axes = panels(1, 3, width=4.6, height=3.8)
    by_updates = np.moveaxis(result.accuracy[:, :, 0], -1, -2)
    for axis, measure in zip(axes, (DEBIASED, BEGUN), strict=False):
        for kept, units in zip(KEPT, by_updates[measure], strict=True):
            band(axis, result.updates, units, f"p = {kept:g}")
        band(axis, result.updates, by_updates[EXACT, 0], MEASURES[EXACT])
        label(axis, MEASURES[measure], "updates", "held-out accuracy")
    apart = by_updates[DEBIASED, :, -1] - by_updates[EXACT, :, -1]
    dots(
        axes[-1], {f"{kept:g}": units for kept, units in zip(KEPT, apart, strict=True)}
    )
    margins(axes[-1], EQUAL)
    label(axes[-1], "Minus all training examples", "difference of accuracies", "p")
    shared_legend(figure)
    return {"averages": figure}
