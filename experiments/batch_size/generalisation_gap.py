"""Do small batches generalise better at equal training loss, or only train further?

The course shows two slides. On one, small batches end more accurate at equal epochs,
on the training set too (`batch_size`). On the other (Keskar et al.), networks of equal
training accuracy, trained by Adam in batches of 256 or of a tenth of the data, differ
in test accuracy by 0.2 to 5 points. 256 of its 60,000 pictures are 0.4 %: here 500
examples train in batches of 2, of 50, and of all 500. A run is read where its training
loss, on all its examples, first falls to a target: 0.02 nats on digits, where all of
them are classified rightly, and 0.3 on clothing of 7x7 pixels, which batches of 2 do
not get far below. Between two evaluations values are read off a line.

- C068: at that loss, batches of 2 minus batches of 50 in held-out accuracy, each at the
  rate that makes it highest. The claim holds if the difference is above a point, fails
  if it is below minus one; within a point it has no effect. Supporting: the same
  against all examples.
- X5: the difference of batches of 2 and of 500 after 10 epochs, and the one at equal
  training loss, each tuned by itself. If the slides show one effect they agree within a
  point; if the first shows how far training has come, they do not. All examples are
  compared, since a tenth of them suffices at equal epochs, and leaves nothing to
  explain.

Adam decides, as in the paper; gradient descent supports. A point of accuracy matters,
one picture in a hundred. Control: batches of 40, which at equal loss must be no better
than those of 50. A unit draws its weights, examples and order anew; 20 tune by what is
judged, 30 judge, and the tuning is resampled. Runs that never reach the target are
censored: a rate at which a tuning unit never does is not chosen, so the number of
updates bounds the rates from below, where accuracy at equal loss has become flat.
Targets, budgets, rates and the number of epochs were placed by short runs of eight to
twenty units from seeds 77 and 78, in which accuracies were seen too.

Not tested: convolution, normalisation, networks that are far wider than their data,
falling rates, training until the loss no longer falls.

Claims: C068, X5.
Sources: Keskar et al. 2017, arXiv:1609.04836, table 2; Hoffer et al. 2017,
    arXiv:1705.08741; Shallue et al. 2019, arXiv:1811.03600, section 5.3.
Cost: three minutes on 2 cores, compilation included.
Expect: no difference at equal loss, several points after 10 epochs.
Run: jaxml run generalisation_gap
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from jaxml import learn, problem, record
from jaxml.record import Arm, Assertion
from jaxml.record.comparisons import compared
from jaxml.record.figures import Figure, by_rate, label, panels, shared_legend
from jaxml.types import Keep, Workload

SMALL, CONTROL, TENTH, ALL = range(4)  # sizes of batches
MATCHED, ENDED = range(2)
EPOCHS = 10
BETWEEN = (1, 2, 2, 5)  # epochs between two evaluations, by size
WHEN = ("At equal training loss", f"After {EPOCHS} epochs")
STEPS = 1.5 ** np.arange(10)
POINT = "one picture in a hundred"
HIGHER = record.above(0.0, margin=0.01, reason=POINT)
SAME = record.near(0.0, margin=0.01, reason=POINT)


class Course(NamedTuple):
    """One data set and method; by size of batch the lowest rate and the epochs."""

    name: str
    workload: Callable[..., Workload]
    family: learn.Family
    target: float
    lowest: tuple[float, ...]
    epochs: tuple[int, ...]


LOWEST, LONG = (4.5e-4, 1.5e-3, 1.5e-3, 4e-3), (40, 100, 100, 250)
DIGITS_BY_ADAM = Course(
    "8x8 digits, Adam", problem.digits_workload, learn.adam, 0.02, LOWEST, LONG
)
CLOTHING_BY_ADAM = DIGITS_BY_ADAM._replace(
    name="clothing of 7x7 pixels, Adam",
    workload=problem.small_clothing_workload,
    target=0.3,
    epochs=(60, 200, 200, 250),
)
DIGITS_BY_DESCENT = DIGITS_BY_ADAM._replace(
    name="8x8 digits, gradient descent",
    family=learn.sgd,
    lowest=(1.35e-2, 0.15, 0.15, 0.15),
    epochs=(40, 100, 100, 500),
)
COURSES = DIGITS_BY_ADAM, CLOTHING_BY_ADAM, DIGITS_BY_DESCENT


class Contrast(NamedTuple):
    """Two sizes of batches that are compared."""

    claim: str
    when: int
    ours: int
    theirs: int
    decides: bool = False
    note: str = ""


CONTRASTS = (
    Contrast("C068", MATCHED, SMALL, TENTH, True),
    Contrast("C068", MATCHED, SMALL, ALL),
    Contrast("C068", MATCHED, CONTROL, TENTH, note=", the control"),
    Contrast("X5", ENDED, SMALL, ALL),
)


@dataclass(frozen=True, kw_only=True)
class Config:
    """Sizes and units; of courses the first ones."""

    courses: int = len(COURSES)
    train: int = 500
    sizes: tuple[int, ...] = (2, 40, 50)  # and all of them
    tuning: int = 20
    judging: int = 30
    lanes: int = 25
    seed: int = 0


SMOKE = Config(
    courses=1,
    train=20,
    sizes=(1, 4, 5),
    tuning=2,
    judging=2,
    lanes=20,
)


class Result(NamedTuple):
    """Held-out accuracies at the target, nan where a run never reached it, or did
    before it was first evaluated; and after some epochs, of a run that diverged those
    of its last finite weights. Units that tune come first.
    """

    accuracy: Float[np.ndarray, "when course size rate unit"]
    rates: np.ndarray  # [course, size, rate]
    targets: np.ndarray  # [course], training losses
    sizes: np.ndarray  # [size], of batches
    weights: np.ndarray  # [course], of the networks
    tuning: np.ndarray  # []


def study(config: Config, keep: Keep) -> Result:
    """One program a course and size."""
    courses = COURSES[: config.courses]
    seen, weights = [], []
    for course in courses:
        work = course.workload(train=config.train)
        contest = partial(_contest, config, keep, work, course)
        seen.append([contest(size) for size in range(len(BETWEEN))])
        weights.append(problem.weights(work))
    return Result(
        accuracy=np.moveaxis(np.array(seen), 2, 0),
        rates=np.array([np.outer(course.lowest, STEPS) for course in courses]),
        targets=np.array([course.target for course in courses]),
        sizes=np.array([*config.sizes, config.train]),
        weights=np.array(weights),
        tuning=np.array(config.tuning),
    )


def _contest(
    config: Config, keep: Keep, work: Workload, course: Course, size: int
) -> Float[np.ndarray, "when rate unit"]:
    """Every unit at every rate, by batches of one size."""
    batch = (*config.sizes, config.train)[size]
    per_epoch = learn.updates_per_epoch(config.train, batch)
    steps, every = course.epochs[size] * per_epoch, BETWEEN[size] * per_epoch
    name = f"{course.name}, batches of {batch}"
    grid = learn.grid(learn.Hyper, lr=course.lowest[size] * STEPS)
    contest = learn.compare(
        learn.experiment(work, batch=batch, steps=steps, every=every),
        {name: learn.Entrant(course.family, grid)},
        lanes=config.lanes,
        units=learn.Units(config.tuning, config.judging),
        seed=config.seed,
        keep=keep,
    )[name]
    train, accuracy = contest.curves["train"], contest.curves["accuracy"]
    passed = record.first_passages(train, accuracy, course.target)
    matched = np.where(train[..., 0] > course.target, passed, np.nan)
    return np.stack([matched, accuracy[..., EPOCHS // BETWEEN[size] - 1]])


def findings(result: Result) -> tuple[Assertion, ...]:
    """On each data set, of each method."""
    found: list[Assertion] = []
    for place in range(len(result.targets)):
        found += [_compared(result, place, each) for each in CONTRASTS]
        found.append(_one_effect(result, place))
    return tuple(found)


def _role(place: int, decides: bool):
    course = COURSES[place]
    decides = decides and course is not DIGITS_BY_DESCENT
    return record.deciding if decides else record.supporting


def _setting(result: Result, place: int) -> str:
    return (
        f"{COURSES[place].name}, dense network of {result.weights[place]:,} weights, "
        f"{result.sizes[ALL]} examples, constant rate tuned for each, the equal "
        f"training loss {result.targets[place]:g} nats"
    )


def _arms(result: Result, place: int, contrast: Contrast) -> tuple[Arm, Arm]:
    """Accuracies of two sizes, each tuned by itself."""
    values = result.accuracy[contrast.when, place]
    ours, theirs = values[contrast.ours], values[contrast.theirs]
    return Arm(ours, -ours), Arm(theirs, -theirs)


def _tuned(result: Result, statistic: Callable[..., float], *arms: Arm):
    return record.tuned(statistic, *arms, tuning=int(result.tuning))


def _compared(result: Result, place: int, contrast: Contrast) -> Assertion:
    ours, theirs = result.sizes[[contrast.ours, contrast.theirs]]
    return _role(place, contrast.decides)(
        contrast.claim,
        f"{WHEN[contrast.when]} batches of {ours} reach a higher held-out accuracy "
        f"than batches of {theirs}{contrast.note}.",
        _tuned(result, record.mean_difference, *_arms(result, place, contrast)),
        HIGHER,
        unit="accuracy difference",
        setting=_setting(result, place),
    )


def _one_effect(result: Result, place: int) -> Assertion:
    """X5: the difference at equal epochs, minus that at equal loss."""
    arms = []
    for when in (ENDED, MATCHED):
        arms += _arms(result, place, Contrast("X5", when, SMALL, ALL))
    return _role(place, decides=True)(
        "X5",
        f"Batches of {result.sizes[SMALL]} are ahead of batches of "
        f"{result.sizes[ALL]} in held-out accuracy by as much after {EPOCHS} epochs as "
        "at equal training loss.",
        _tuned(result, _of_differences, *arms),
        SAME,
        unit="accuracy difference",
        setting=_setting(result, place),
    )


def _of_differences(*samples: np.ndarray) -> float:
    """What the first two differ by, minus what the others do."""
    return record.mean_difference(*samples[:2]) - record.mean_difference(*samples[2:])


def figures(result: Result) -> dict[str, Figure]:
    """Differences unit by unit, and accuracies by rate."""
    return {"differences": _differences(result), "rates": _rates(result)}


def _differences(result: Result) -> Figure:
    """A panel a course, a row a contrast."""
    figure, axes = panels(len(result.targets), 1, width=7.0, height=2.6)
    for place, axis in enumerate(axes):
        pairs = {}
        for each in CONTRASTS:
            sizes = f"{result.sizes[each.ours]} minus {result.sizes[each.theirs]}"
            arms = _arms(result, place, each)
            pairs[f"{WHEN[each.when].lower()}:\n{sizes}{each.note}"] = arms
        compared(axis, pairs, HIGHER, tuning=int(result.tuning))
        label(
            axis, COURSES[place].name, "difference of held-out accuracies", "batches of"
        )
    shared_legend(figure)
    return figure


def _rates(result: Result) -> Figure:
    """A row a course; at equal loss on the left, at equal epochs on the right."""
    figure, axes = panels(len(result.targets), 2)
    places = product(range(len(result.targets)), (MATCHED, ENDED))
    for axis, (place, when) in zip(axes, places, strict=True):
        for size in (SMALL, TENTH, ALL):
            seen = result.accuracy[when, place, size]
            best = learn.chosen(-seen, int(result.tuning))
            name = f"batches of {result.sizes[size]}"
            by_rate(axis, result.rates[place, size], seen, best, name)
        title = f"{COURSES[place].name}: {WHEN[when].lower()}"
        label(axis, title, "rate (line: tuned)", "held-out accuracy")
    shared_legend(figure)
    return figure
