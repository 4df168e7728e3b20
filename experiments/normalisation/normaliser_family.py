"""Do all normalisers of batch normalisation's family speed training up as it does?

The course names batch renormalisation, layer, instance, group and weight normalisation
and spectral-norm regularisation beside batch normalisation. What they compute is held
by tests; that they are a family is a matter of words, of which an experiment can ask
whether each does what batch normalisation is used for. A network of four convolutions
and ReLUs learns 512 digits by SGD with momentum 0.9 in batches of 2, 8 or 128.

What decides, for each of the six others, in batches of 128: the updates until a target,
over those of no normalisation, each at a rate of its own that is best for this. The
claim holds below 1 / 1.25, less than a step of a usual grid, is refuted above 1.25, and
between them the member does not do it. If members differ, the answer depends on them.
The target is the accuracy on held-out digits where plain networks end at their best
rate, minus a point; the units that tune fix it. A run that misses it counts with all
its updates, which brings ratios nearer to one.

Controls: batch normalisation itself, which shows that there is speed to be gained here;
and, which must show no effect, plain networks that begin with other signs of their
weights. Supporting: the same in batches of 2 and 8, where members that see no batch
should keep what they do. The figure has the ledger's measure beside it, accuracy at the
end by size of the batch.

All kernels begin with He's variance, which favours no normaliser. Layer normalisation
takes all channels and places of an example, group normalisation two groups of four
channels. Batch normalisation takes the held-out digits as one batch, so that running
averages, of which `small_batches` asks, play no part; batch renormalisation has its
own. Weight normalisation begins without the paper's first batch. The penalty is 0.01 /
2 times the sum of squared largest singular values, and its strength is not tuned.

A unit draws weights, order and both parts of the digits anew; the first ones tune, and
resamples tune anew. Rates step by 1.5 between two far off, where training fails, for
between them the curves are flat. Units of seed 100, judged nowhere, placed rates and
updates: two at seven rates each that step by 2.5, and one or two at a single rate. In
them, in batches of 128, all that normalise values came to nine in ten about twice as
fast as none, weight normalisation somewhat faster, and the penalty as slowly.

Made smaller before its first run, which would have taken thirty-five minutes: 8 rates
became 5 and two ends, 20 units 14, 120 updates in batches of 128 became 80 and 800 in
batches of 2 became 600, 40 looks at 500 held-out digits 20 at 300. Rates in batches of
8 were never looked at: they lie between those of 2 and of 128. Two units of seed 100
were seen at 80 and 800 updates: a point below its end came none after 59 updates of 128
at its best rate, batch normalisation after 24, the others that normalise values after
29 to 44, weight normalisation after 49, the penalty after 59; all best rates are among
the five of the grid. In two of seed 101 no end was best.

Not tested: other strengths, spectral normalisation in place of its penalty, deeper
networks, batches of other sizes, what members do for generalisation at equal training
loss.

Claims: C107.
Sources: Wu and He 2018, arXiv:1803.08494, for the four that differ in what they average
    over; Ioffe 2017, arXiv:1702.03275; Salimans and Kingma 2016, arXiv:1602.07868;
    Yoshida and Miyato 2017, arXiv:1705.10941.
Cost: nine minutes on 2 cores, compilation included.
Expect: all but the penalty are faster, weight normalisation least of them.
Run: jaxml run normaliser_family
"""

from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from jaxml import learn, problem, record
from jaxml.learn import Family, Probe, Training, TrainState
from jaxml.record import Arm, Assertion
from jaxml.record.comparisons import at_tuned, compared
from jaxml.record.figures import Figure, band, label, legend_below, panels
from jaxml.types import Array, Keep, Model

NAMES = (
    "no normalisation",
    "batch normalisation",
    "batch renormalisation",
    "layer normalisation",
    "instance normalisation",
    "group normalisation",
    "weight normalisation",
    "spectral-norm regularisation",
    "no normalisation but other signs (control)",
)
NONE, BATCH, RENORM, LAYER, INSTANCE, GROUP, WEIGHT, PENALTY, OTHER = range(len(NAMES))
STRENGTH = 0.01  # of the penalty
GROUPS, KEPT = 2, 0.99
STEP, POINT = 1.5, 0.01
FEWEST = np.full(len(NAMES), 0.003)
MOST = np.array([0.05, 0.2, 0.15, 0.12, 0.2, 0.15, 0.08, 0.05, 0.05])
MIDDLES = {  # of each member's grid of rates
    2: FEWEST,
    8: FEWEST ** (2 / 3) * MOST ** (1 / 3),  # a third of the way, in doublings
    128: MOST,
}
FASTER = record.below(
    0.0,
    margin=float(np.log(1.25)),
    reason="a factor of 1.25, less than a step of a usual grid of rates",
)


@dataclass(frozen=True, kw_only=True)
class Config:
    """Sizes of batches and the updates at each, strides of the convolutions and their
    channels, examples, looks at a run, rates of each member between the ends of its
    grid, and units.
    """

    sizes: tuple[int, ...] = (2, 8, 128)
    updates: tuple[int, ...] = (600, 300, 80)
    strides: tuple[int, ...] = (2, 1, 1, 1)
    channels: int = 8
    train: int = 512
    test: int = 300
    looks: int = 20
    rates: int = 5
    tuning: int = 4
    judging: int = 10
    lanes: int = 49
    seed: int = 0


SMOKE = Config(
    sizes=(2,),
    updates=(2,),
    strides=(2,),
    channels=2,
    train=8,
    test=8,
    looks=1,
    rates=1,
    tuning=1,
    judging=2,
    lanes=9,
)


class Result(NamedTuple):
    """Members in the order of MEMBERS. Units that tune come first.

    Attributes:
        accuracy: held out; that of the last finite weights once a run has diverged.
        final: in the end; not a number where a run diverged.
        looks: after how many updates accuracy was looked at.
        sizes: of batches.
        shape: convolutions, their channels, and the examples that train.
        tuning: how many of the units tune.
    """

    accuracy: Float[np.ndarray, "size member rate unit look"]
    final: Float[np.ndarray, "size member rate unit"]
    looks: Int[np.ndarray, "size look"]
    sizes: Array
    shape: Array
    tuning: Array


def study(config: Config, keep: Keep) -> Result:
    """One program for each member and size."""
    cases = np.ndindex(len(config.sizes), len(NAMES))
    contests = [_contest(config, keep, *case) for case in cases]
    members = (len(config.sizes), len(NAMES), config.rates + 2)
    units = config.tuning + config.judging
    curves = np.stack([found.curves["accuracy"] for found in contests])
    final = np.stack([found.final["accuracy"] for found in contests])
    return Result(
        accuracy=curves.reshape(*members, units, -1),
        final=final.reshape(*members, units),
        looks=np.stack([found.updates for found in contests[:: len(NAMES)]]),
        sizes=np.array(config.sizes),
        shape=np.array([len(config.strides), config.channels, config.train]),
        tuning=np.array(config.tuning),
    )


def _contest(config: Config, keep: Keep, place: int, member: int) -> learn.Contest:
    """All rates and units of a member in batches of one size."""
    size = config.sizes[place]
    inner = STEP ** (np.arange(config.rates) - config.rates // 2)
    steps = np.array([1e-3, *inner, 1e3])
    points = learn.grid(learn.Hyper, lr=MIDDLES[size][member] * steps, momentum=0.9)
    name = f"batches of {size}, {NAMES[member]}"
    return learn.compare(
        partial(_training, config, place, member),
        {name: learn.Entrant(learn.momentum, points)},
        lanes=config.lanes,
        units=learn.Units(config.tuning, config.judging),
        seed=config.seed,
        keep=keep,
    )[name]


def _network(config: Config, member: int) -> Model:
    """Convolutions of one member."""
    pools = {BATCH: "batch", LAYER: "layer", INSTANCE: "instance", GROUP: "group"}
    pool = problem.POOLS.index(pools.get(member, "none"))
    pooled = problem.pooled_norm(pool, groups=GROUPS)
    return problem.normalised_convolutions(
        problem.batch_renorm(KEPT) if member == RENORM else pooled,
        config.channels,
        config.strides,
        outputs=10,
        kernels=problem.weight_normed if member == WEIGHT else _as_given,
    )


def _as_given(layer: Model) -> Model:
    return layer


def _training(config: Config, place: int, member: int, family: Family) -> Training:
    """Training of one member's network."""
    data, model = problem.digit_pictures(), _network(config, member)
    penalty = problem.spectral_penalty(STRENGTH if member == PENALTY else 0.0)
    size, updates = config.sizes[place], config.updates[place]
    training = learn.training(
        problem.start(model, data.inputs),
        problem.training_loss(model, problem.cross_entropy, penalty),
        family,
        learn.split_anew(data, train=config.train, test=config.test, size=size),
        steps=updates,
        every=updates // config.looks,
        probe=Probe(lambda params: (), partial(_measured, model)),
    )
    signs = partial(problem.other_kernel_signs, number=int(member == OTHER))
    return learn.starting_from(training, signs)


def _measured(
    model: Model, probe: Any, train: TrainState
) -> tuple[Any, dict[str, Array]]:
    """Accuracy on held-out pictures, which batch normalisation takes as one batch."""
    accuracy = problem.objective(model, problem.accuracy, state=train.model_state)
    return probe, {"accuracy": accuracy(train.params, train.data.test)}


def findings(result: Result) -> tuple[Assertion, ...]:
    """The speed of each member, in batches of each size."""
    layers, channels, examples = result.shape
    found = []
    for place, size in enumerate(result.sizes):
        for member, name in enumerate(NAMES[BATCH:], BATCH):
            decides = size == result.sizes[-1] and member not in (BATCH, OTHER)
            role = record.deciding if decides else record.supporting
            arms = [_speed(result, place, each) for each in (member, NONE)]
            assertion = role(
                "C107",
                f"In batches of {size}, {name} comes to a point below the held-out "
                "accuracy at which plain networks end, in fewer updates than these.",
                record.tuned(record.mean_difference, *arms, tuning=int(result.tuning)),
                FASTER,
                unit="log ratio",
                setting=f"{name}; 8x8 digits, {examples} of them for training, "
                f"{layers} convolutions with {channels} channels of ReLUs, SGD with "
                f"momentum 0.9, {result.looks[place, -1]} updates, rates tuned",
            )
            found.append(assertion)
    return tuple(found)


def _speed(result: Result, place: int, member: int) -> Arm:
    """The logarithm of the updates until where plain networks end, minus a point, over
    the units that tune; of all updates where that is missed.
    """
    ends, tuning = result.final[place, NONE], int(result.tuning)
    best = learn.chosen(-ends, tuning)
    target = np.mean(ends[best, :tuning], dtype=np.float64) - POINT
    curves, looks = result.accuracy[place, member], result.looks[place]
    reached = curves >= target
    first = looks[np.argmax(reached, axis=-1)]
    values = np.log(np.where(np.any(reached, axis=-1), first, looks[-1]))
    missed = np.maximum(target - np.max(curves, axis=-1), 0)
    return Arm(values, values + missed)


def figures(result: Result) -> dict[str, Figure]:
    """Ratios of updates in the largest batches, and accuracies in the end by size."""
    figure, (left, right) = panels(1, 2, width=6.0, height=4.0)
    tuning, none, pairs = int(result.tuning), _speed(result, -1, NONE), {}
    for member, name in enumerate(NAMES):
        if member != NONE:
            pairs[name] = (_speed(result, -1, member), none)
        if member != OTHER:
            arms = [Arm(ends, -ends) for ends in result.final[:, member]]
            units = np.stack([at_tuned(arm, tuning) for arm in arms])
            band(right, result.sizes, units, name).set_markevery(1)
    compared(left, pairs, FASTER, tuning=tuning)
    label(left, "In the largest batches", "log of the ratio of updates", "member")
    right.set_xscale("log", base=2)
    label(right, "At the end", "examples of a batch", "held-out accuracy")
    legend_below(left)
    legend_below(right)
    return {"family": figure}
