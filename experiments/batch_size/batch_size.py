"""Are small batches better, or are they only more updates?

The course shows that a network trained by small batches ends more accurate than one
trained by large ones, on its training set too, and takes that for a failure of
optimization. Its figures hold the number of epochs and, it is assumed, the rate; so
batches of all examples make one update an epoch. Here 500 examples train in batches of
1 to 500 by gradient descent, with momentum of 0.9, and by Adam, at a constant rate, for
20 epochs as there, and for 400 updates, which are 20 epochs of batches of 25. Batches
of 25 and of 500, that is of all examples, are compared in accuracy on the training set
and on held-out pictures:

- C066: at 20 epochs, which are 400 and 20 updates, each at its own best rate. Small
  batches are no better if the rate alone parts them, worse if 20 updates suffice. At
  one rate, as the course is taken to hold it, and at equal time `held_equal`
  compares them.
- A11: of what parts them then, 400 updates instead of 20 make batches of 500 close more
  than half, if it is the number of updates. They then see 20 times as many examples.
  If it is the noise of small batches, as other explanations have it, they do not.
- C071, the course's table: its rows on optimisation and on generalisation say what C066
  says. `generalisation_gap` has the latter at equal training loss, `batch_time` the row
  on epochs.

A point of accuracy matters, one picture in a hundred. Control: batches of 20, which at
400 updates must be no better than those of 25. A unit draws its initial weights, its
examples and their order anew; 20 units tune by the accuracy that is judged, 20 others
judge; of digits, the units' draws of 1,000 from 1,797 overlap. This design, and the
ranges of the rates, were fixed after short runs of an earlier one, of three to twelve
units whose seeds were not kept apart; seeds 1 and 2 placed nothing. Momentum came
later, its rates placed by ten units of the seed 77.

Not tested: 60,000 examples, convolution, rates that fall, generalisation at equal
training loss (C068), time (C064).

Claims: C066, A11, C071.
Sources: Shallue et al. 2019, arXiv:1811.03600; McCandlish et al. 2018,
    arXiv:1812.06162; Geiping et al. 2022, arXiv:2109.14119.
Cost: 250 seconds on 2 cores, compilation included.
Expect: at equal epochs small batches are ahead, at equal updates they are not.
Run: jaxml run batch_size
"""

from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from jaxml import learn, problem, record
from jaxml.record import Arm, Assertion
from jaxml.record.figures import Axes, Figure, band, label, panels, shared_legend
from jaxml.types import Keep, Workload

DATA = ("8x8 digits", "clothing of 7x7 pixels")
WORKLOADS = (problem.digits_workload, problem.small_clothing_workload)
CONTROL, SMALL, LARGE = 20, 25, 500  # sizes of batches; large are all examples
EPOCHS, UPDATES = range(2)
AT_EPOCHS = "20 epochs (400 and 20 updates)"
AT_UPDATES = "400 updates (20 and 400 epochs)"
FRACTION = "batch size over all examples"
STEPS = 1.5 ** np.arange(18)
HIGHER = record.above(0.0, margin=0.01, reason="one picture in a hundred")
HALF = record.above(0.0, margin=0.005, reason="half of one picture in a hundred")

COURSE_FRACTIONS = np.array([1, 10, 100, 1000, 10_000, 60_000]) / 60_000
COURSE_TRAINING = np.array([0.9825, 0.991, 0.992, 0.985, 0.955, 0.838])
COURSE_HELD_OUT = np.array([0.991, 0.9935, 0.992, 0.990, 0.970, 0.871])
"""Accuracies on MNIST, from the course's slide on batch size."""


class Method(NamedTuple):
    """A method, the lowest of its rates, and its name."""

    family: learn.Family
    lowest: float
    name: str


METHODS = (
    Method(learn.sgd, 6e-3, "gradient descent"),
    Method(learn.momentum, 1.5e-3, "momentum"),
    Method(learn.adam, 3e-4, "Adam"),
)


@dataclass(frozen=True, kw_only=True)
class Config:
    """Sizes and units; of data sets and methods the first ones."""

    data: int = len(DATA)
    methods: int = len(METHODS)
    sizes: tuple[int, ...] = (1, 5, CONTROL, SMALL, 125, LARGE)
    test: int = 500
    tuning: int = 20
    judging: int = 20
    lanes: int = 20
    seed: int = 0


SMOKE = Config(
    data=1, methods=1, sizes=(CONTROL, SMALL, LARGE), test=20, tuning=1, judging=1
)


class Result(NamedTuple):
    """Accuracies at the end, nan where a run diverged. Units that tune come first.

    Attributes:
        training: on the training set.
        held_out: on other pictures.
        sizes: of batches.
        rates: of each method.
        weights: of the networks.
        tuning: how many of the units tune.
    """

    training: Float[np.ndarray, "data method budget size rate unit"]
    held_out: Float[np.ndarray, "data method budget size rate unit"]
    sizes: Int[np.ndarray, " size"]
    rates: Float[np.ndarray, "method rate"]
    weights: Int[np.ndarray, " data"]
    tuning: Int[np.ndarray, ""]


def study(config: Config, keep: Keep) -> Result:
    """One program a data set, method, budget and size."""
    works = [of(train=LARGE, test=config.test) for of in WORKLOADS[: config.data]]
    runs = [_runs(config, keep, *named) for named in zip(works, DATA, strict=False)]
    training, held_out = np.stack(runs, axis=1)
    return Result(
        training=training,
        held_out=held_out,
        sizes=np.array(config.sizes),
        rates=np.stack([each.lowest * STEPS for each in METHODS[: config.methods]]),
        weights=np.array([problem.weights(work) for work in works]),
        tuning=np.array(config.tuning),
    )


def _runs(
    config: Config, keep: Keep, work: Workload, data: str
) -> Float[np.ndarray, "quantity method budget size rate unit"]:
    """Both accuracies; what has the same size and updates is run once."""
    contest = partial(_contest, config, keep, problem.judged_on_both(work), data)
    same = _updates(SMALL)
    methods = []
    for method in METHODS[: config.methods]:
        epochs = [contest(method, size, _updates(size)) for size in config.sizes]
        updates = [
            done if size == SMALL else contest(method, size, same)
            for size, done in zip(config.sizes, epochs, strict=True)
        ]
        methods.append([epochs, updates])
    return np.moveaxis(np.array(methods), 3, 0)


def _updates(size: int) -> int:
    """In 20 epochs."""
    return 20 * learn.updates_per_epoch(LARGE, size)


def _contest(
    config: Config,
    keep: Keep,
    work: Workload,
    data: str,
    method: Method,
    size: int,
    steps: int,
) -> Float[np.ndarray, "quantity rate unit"]:
    """Both accuracies at the end of every unit at every rate."""
    name = f"{data}, {method.name}, {steps} updates of {size}"
    grid = learn.grid(learn.Hyper, lr=method.lowest * STEPS)
    found = learn.compare(
        learn.experiment(work, batch=size, steps=steps),
        {name: learn.Entrant(method.family, grid)},
        lanes=config.lanes,
        units=learn.Units(config.tuning, config.judging),
        seed=config.seed,
        keep=keep,
    )
    return np.stack([found[name].final["training"], found[name].final["held-out"]])


def findings(result: Result) -> tuple[Assertion, ...]:
    """On each data set, of each method, in both accuracies."""
    found: list[Assertion] = []
    for place in product(*map(range, result.training.shape[:2])):
        data, method = place
        setting = (
            f"{DATA[data]}, dense network of {result.weights[data]:,} weights, {LARGE} "
            f"examples, {METHODS[method].name}, constant rate tuned for each"
        )
        found += _compared(result, result.training[place], "training", setting)
        found += _compared(result, result.held_out[place], "held-out", setting)
    return tuple(found)


def _compared(
    result: Result, values: np.ndarray, name: str, setting: str
) -> tuple[Assertion, ...]:
    """C066 at own rates, A11, what remains at equal updates, and the control."""
    higher = partial(record.tuned, record.mean_difference, tuning=int(result.tuning))
    beyond_half = partial(record.beyond_half, least=HIGHER.margin)

    def arm(budget: int, size: int) -> Arm:
        accuracy = values[budget, result.sizes.tolist().index(size)]
        return Arm(accuracy, -accuracy)

    ours, few, many = arm(EPOCHS, SMALL), arm(EPOCHS, LARGE), arm(UPDATES, LARGE)
    better = (
        f"Batches of {SMALL} end at a higher {name} accuracy than batches of {LARGE}."
    )
    closing = (
        f"Given 400 updates instead of 20, batches of {LARGE} make up for half or "
        f"more of what they lack of the {name} accuracy of batches of {SMALL}."
    )
    control = (
        f"Of 400 updates those by batches of {CONTROL} end at a higher {name} "
        f"accuracy than those of {SMALL}, the control."
    )
    deciding = partial(record.deciding, unit="accuracy difference")
    supporting = partial(record.supporting, unit="accuracy difference")
    lead = higher(ours, few)
    at_epochs = f"{setting}, {AT_EPOCHS}"
    return (
        deciding("C066", better, lead, HIGHER, setting=at_epochs),
        deciding("C071", better, lead, HIGHER, setting=at_epochs),
        deciding(
            "A11",
            closing,
            record.tuned(beyond_half, ours, few, many, tuning=int(result.tuning)),
            HALF,
            setting=setting,
        ),
        supporting(
            "A11",
            better,
            higher(ours, many),
            HIGHER,
            setting=f"{setting}, {AT_UPDATES}",
        ),
        supporting(
            "C066",
            control,
            higher(arm(UPDATES, CONTROL), ours),
            HIGHER,
            setting=setting,
        ),
    )


def figures(result: Result) -> dict[str, Figure]:
    """Both accuracies by batch size, as a fraction of all examples; the course's."""
    places = list(product(*map(range, result.training.shape[:2])))
    figure, axes = panels(len(places) + 1, 2)
    left, right = axes[::2], axes[1::2]
    for place, training, held_out in zip(places, left, right, strict=False):
        data, method = place
        title = f"{DATA[data]}, {METHODS[method].name}"
        _drawn(result, training, result.training[place])
        _drawn(result, held_out, result.held_out[place])
        label(training, title, FRACTION, "training accuracy")
        label(held_out, title, FRACTION, "held-out accuracy")
    for axis, accuracies in ((left[-1], COURSE_TRAINING), (right[-1], COURSE_HELD_OUT)):
        axis.plot(COURSE_FRACTIONS, accuracies, "kx:")
        label(axis, "the course, MNIST", FRACTION, "accuracy")
    for axis in axes:
        axis.set_xscale("log")
    shared_legend(figure)
    return {"batch_size": figure}


def _drawn(result: Result, axis: Axes, values: np.ndarray) -> None:
    """Bands of judged units by size: at one rate, at its own, at equal updates."""
    tuning = int(result.tuning)
    own = [[learn.chosen(-each, tuning) for each in budget] for budget in values]
    small = result.sizes.tolist().index(SMALL)
    one = [own[EPOCHS][small]] * len(result.sizes)
    for budget, rates, name in (
        (EPOCHS, one, f"20 epochs, the rate best for {SMALL}"),
        (EPOCHS, own[EPOCHS], "20 epochs, own rates"),
        (UPDATES, own[UPDATES], "400 updates, own rates"),
    ):
        judged = values[budget, np.arange(len(rates)), rates, tuning:]
        band(axis, result.sizes / LARGE, judged, name)
