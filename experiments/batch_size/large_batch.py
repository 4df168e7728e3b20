"""Do the known techniques let large batches train as well as small ones?

The course ends its lecture on batch size with papers that train by batches of thousands
and lose no accuracy, so that the speed of large batches and the accuracy of small ones
seem to be had together. Here 500 examples train for 20 epochs, by batches of 25, which
are 400 updates, and by batches of 250 and of 500, which are 40 and 20. Speed is the
number of updates, which come one after another on whatever hardware; a clock is not
read.

The method is gradient descent with momentum 0.9 at a constant rate. Eight techniques
each change one thing of it: the rate alone, tuned for the size; a warm-up over 5
epochs; gradients clipped to length 1; weights averaged over the second half; a rate
that falls linearly; LARS, Adam or LAMB in its place. What each is worth alone, and
rules for the rate and longer training, are in `large_batch_techniques`, ghost batch
normalisation in `ghost_batches`.

What decides, at equal epochs, on digits and on clothing, of both sizes: the best of the
eight techniques at the large batch minus the small batch in held-out accuracy, above
minus one point, which is one picture in a hundred, by a margin of a tenth of that. The
best technique and its rate are chosen together, by 30 units, and judged by 40 others,
in every resample anew; so the choice among 96 points flatters nobody. The small batch
is taken twice:

- As it is, with momentum at its best rate, as the papers take it.
- With the best of the same eight techniques, chosen among as many points: what helps a
  small batch as much is no remedy for large ones.

The claim holds where both intervals lie above minus one point, and fails where they lie
below. Where only the first does, the techniques are better methods at any size and make
no large batch equal to a small one. Negative control: the large batch at the small
batch's rate, without any technique, which must come out below.

"Train as well" is asked of the training set too, of the networks so chosen. That only
supports: a higher training accuracy is no merit of networks that are chosen by held-out
accuracy.

A unit draws its initial weights, its examples and their order anew; of digits, the
units' draws of 1,500 from 1,797 overlap. Grids step by 1.5 and move with the square
root of the size. They were placed by 16 units of seed 100, which lay from two and a
half points below the small batch to two above; the question, the margin and the two
references are older. A diverged run counts as accuracy 0.1, a guess.

Not tested: recipes of several techniques, techniques whose second number is tuned too,
Muon and other methods that transform whole matrices, weights averaged over replicas,
thousands of examples a batch, time.

Claims: C072.
Sources: You et al. 2017, arXiv:1708.03888; You et al. 2020, arXiv:1904.00962; Goyal et
    al. 2017, arXiv:1706.02677, for the 5 epochs; Izmailov et al. 2018,
    arXiv:1803.05407.
Cost: two minutes on 2 cores, compilation included.
Expect: no loss on clothing and one on digits, as the small batch is; with the same
techniques small batches stay ahead.
Run: jaxml run large_batch
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from jaxml import learn, problem, record
from jaxml.record import Arm, Assertion
from jaxml.record.comparisons import compared
from jaxml.record.figures import Figure, label, panels, shared_legend
from jaxml.types import Keep, Workload

DATA = ("8x8 digits", "clothing of 7x7 pixels")
WORKLOADS = (problem.digits_workload, problem.small_clothing_workload)
EXAMPLES, SMALL = 500, 25  # that train, and of a small batch
STEPS = 1.5 ** np.arange(12)
GUESS = 0.1  # accuracy of a run that diverged
QUANTITIES = TRAINING, HELD_OUT = ("training", "held-out")
NO_WORSE = record.above(-0.01, margin=0.001, reason="one of 1,000 held-out pictures")
X = f"held-out accuracy minus that of batches of {SMALL} by momentum"


def changes(steps: int) -> dict[str, Mapping[str, Any]]:
    """What is changed of momentum, in a run of 20 epochs."""
    return {
        "untuned": {},
        "tuned rate": {},
        "warm-up": {"warmup": steps // 4},
        "clipping": {"clip": 1.0},
        "averaging": {"average_from": steps // 2},
        "falling rate": {"fall": 1.0},
    }


class Optimizer(NamedTuple):
    """One in the place of momentum, and its lowest rate at batches of 25."""

    family: learn.Family
    lowest: float
    trust: float = 1e-3


LOWEST = 7.6e-3  # rate of momentum at batches of 25
OPTIMIZERS = {
    "LARS": Optimizer(learn.lars, 5e-4, trust=1.0),
    "Adam": Optimizer(learn.adam, 1.5e-3),
    "LAMB": Optimizer(learn.lamb, 6e-4),
}
UNTUNED, *TECHNIQUES = (*changes(1), *OPTIMIZERS)


@dataclass(frozen=True, kw_only=True)
class Config:
    """Sizes and units; of data sets and optimizers the first ones."""

    data: int = len(DATA)
    optimizers: int = len(OPTIMIZERS)
    sizes: tuple[int, ...] = (SMALL, 250, EXAMPLES)
    test: int = 1000
    tuning: int = 30
    judging: int = 40
    lanes: int = 20
    seed: int = 0


SMOKE = Config(
    data=1, optimizers=0, sizes=(125, EXAMPLES), test=20, tuning=2, judging=2
)


class Result(NamedTuple):
    """Accuracies after 20 epochs. Units that tune come first.

    Attributes:
        training: on the training set; the first contender has the rates of batches of
            25, the others are the techniques.
        held_out: on other pictures.
        sizes: of batches, the small one first.
        weights: of the networks.
        tuning: how many of the units tune.
    """

    training: Float[np.ndarray, "data size contender rate unit"]
    held_out: Float[np.ndarray, "data size contender rate unit"]
    sizes: Int[np.ndarray, " size"]
    weights: Int[np.ndarray, " data"]
    tuning: Int[np.ndarray, ""]


def study(config: Config, keep: Keep) -> Result:
    """One program a data set, size and family."""
    works = [of(train=EXAMPLES, test=config.test) for of in WORKLOADS[: config.data]]
    found = []
    for work, data in zip(works, DATA, strict=False):
        contenders = partial(_contenders, config, keep, problem.judged_on_both(work))
        found.append([contenders(data, size) for size in config.sizes])
    training, held_out = np.moveaxis(np.array(found), 2, 0)
    return Result(
        training=training,
        held_out=held_out,
        sizes=np.array(config.sizes),
        weights=np.array([problem.weights(work) for work in works]),
        tuning=np.array(config.tuning),
    )


def _updates(size: int) -> int:
    """In 20 epochs."""
    return 20 * learn.updates_per_epoch(EXAMPLES, size)


def _contenders(
    config: Config, keep: Keep, work: Workload, data: str, size: int
) -> Float[np.ndarray, "quantity contender rate unit"]:
    """Both accuracies of all contenders at one size, each over its grid."""
    steps = _updates(size)
    scaled = partial(learn.scaled, size=size, reference=SMALL)
    varied = partial(learn.grid, learn.Variant, lr=LOWEST * STEPS, horizon=steps)
    grids = []
    for name, changed in changes(steps).items():
        power = 0.0 if name == UNTUNED else 0.5
        grids.append(scaled(varied(**changed), power=power))
    joined = learn.joined(grids)
    entrants = {"momentum": learn.Entrant(learn.varied_momentum, joined)}
    for name in list(OPTIMIZERS)[: config.optimizers]:
        family, lowest, trust = OPTIMIZERS[name]
        grid = learn.grid(learn.Hyper, lr=lowest * STEPS, trust=trust)
        entrants[name] = learn.Entrant(family, scaled(grid, power=0.5))
    found = []
    for name, entrant in entrants.items():
        stage = f"{data}, {name}, batches of {size}"
        contest = learn.compare(
            learn.experiment(work, batch=size, steps=steps),
            {stage: entrant},
            lanes=config.lanes,
            units=learn.Units(config.tuning, config.judging),
            seed=config.seed,
            keep=keep,
        )[stage]
        ended = np.stack([contest.final[quantity] for quantity in QUANTITIES])
        found.append(ended.reshape(2, -1, len(STEPS), ended.shape[-1]))
    return np.nan_to_num(np.concatenate(found, axis=1), nan=GUESS)


def findings(result: Result) -> tuple[Assertion, ...]:
    """On each data set, of each of the larger sizes."""
    places = _places(result)
    return tuple(each for place in places for each in _as_well(result, place))


def _places(result: Result) -> list[tuple[int, ...]]:
    """Data sets and larger sizes."""
    data, sizes = result.held_out.shape[:2]
    return list(product(range(data), range(1, sizes)))


def _arm(held_out: np.ndarray, judged: np.ndarray | None = None) -> Arm:
    """One contender or the choice among several, by held-out accuracy.

    Args:
        held_out: `[..., rate, unit]`.
        judged: likewise, the same when not given.
    """
    units = held_out.shape[-1]
    scores = -held_out.reshape(-1, units)
    values = held_out if judged is None else judged
    place = np.arange(len(scores)) % len(STEPS)
    edges = np.isin(place, [0, len(STEPS) - 1])
    return Arm(values.reshape(-1, units), scores, edges)


def _as_well(result: Result, where: tuple[int, ...]) -> list[Assertion]:
    """The best technique and the small batch, as it is and with the same choice; and
    the control.
    """
    data, place = where
    training, held_out = result.training[data], result.held_out[data]
    size, known = int(result.sizes[place]), TECHNIQUES[: held_out.shape[1] - 1]
    setting = (
        f"{DATA[data]}, dense network of {result.weights[data]:,} weights, {EXAMPLES} "
        f"examples, 20 epochs ({_updates(size)} and {_updates(SMALL)} updates)"
    )
    minus = partial(record.tuned, record.mean_difference, tuning=int(result.tuning))
    make = {HELD_OUT: record.deciding, TRAINING: record.supporting}
    against = {
        "by momentum at its best rate": (0, slice(1, 2)),
        "with the best of the same techniques": (0, slice(1, None)),
    }
    given = {"rule": NO_WORSE, "unit": "accuracy difference"}
    ours = (place, slice(1, None))
    found = []
    for quantity, values in ((HELD_OUT, held_out), (TRAINING, training)):
        for name, theirs in against.items():
            found.append(
                make[quantity](
                    "C072",
                    f"With the best of several techniques batches of {size} end less "
                    f"than a point of {quantity} accuracy below batches of {SMALL} "
                    f"{name}.",
                    minus(
                        _arm(held_out[ours], values[ours]),
                        _arm(held_out[theirs], values[theirs]),
                    ),
                    setting=f"{setting}, techniques: {', '.join(known)}",
                    **given,
                )
            )
    small = _arm(held_out[0, 1])
    control = _arm(held_out[place, 0])._replace(scores=small.scores)
    found.append(
        record.supporting(
            "C072",
            f"At the rate that is best for batches of {SMALL} batches of {size} end "
            "less than a point of held-out accuracy below them, the control.",
            minus(control, small),
            setting=f"{setting}, momentum",
            **given,
        )
    )
    return found


def figures(result: Result) -> dict[str, Figure]:
    """Every technique and the best, and the small batch with its best, minus the small
    batch, unit by unit.
    """
    places = _places(result)
    figure, axes = panels(len(places), 1, width=8.0, height=3.6)
    for axis, (data, place) in zip(axes, places, strict=True):
        small, large = result.held_out[data, 0], result.held_out[data, place]
        plain, size = _arm(small[1]), int(result.sizes[place])
        arms = dict(zip((UNTUNED, *TECHNIQUES), map(_arm, large), strict=False))
        arms[UNTUNED] = arms[UNTUNED]._replace(scores=plain.scores)
        arms["best technique"] = _arm(large[1:])
        arms[f"best technique, batches of {SMALL}"] = _arm(small[1:])
        pairs = {name: (arm, plain) for name, arm in arms.items()}
        compared(axis, pairs, NO_WORSE, tuning=int(result.tuning))
        title = f"{DATA[data]}, batches of {size}, {_updates(size)} updates"
        label(axis, title, X, "what is done")
    shared_legend(figure)
    return {"techniques": figure}
