"""Do small batches generalise better at equal training loss?

The course shows a table of Keskar et al.: networks of equal training accuracy, trained
by Adam in batches of 256 or of a tenth of the data, differ in held-out accuracy; the
large batch makes 6 to 18 % more errors, at the median 13 %, which is 0.2 to 5 points.
256 of the paper's 60,000 pictures are 0.4 %: here 500 examples train in batches of 2,
of 50, and of all 500, and stop at one training loss (`stopped_networks`), 0.02 nats on
digits and 0.3 on clothing of 7x7 pixels. Training accuracy is there near to 100 % and
to 90 %, in the paper at 98 to 100 %, so digits are nearer to the claim's setting; each
setting says its own. (Whether the lead of small batches at equal epochs is the same
effect, asks `equal_epochs`. The row on generalisation of the course's table, C071, is
this claim at equal training loss, and C066 at equal epochs.)

Judged is the logarithm of the ratio of held-out errors, batches of 50 over batches of 2
at equal rates, as in the paper, which trains both by one rate: the mean over all rates
at which every unit of both sizes reaches that loss. The claim holds above ln 1.1, since
five of the paper's six networks differ by more, and fails below -ln 1.1; within there
is no effect. The standard deviation of a unit's ratio was 0.04 to 0.09 in twelve units,
so 28 give a half-width of 0.03 against a margin of 0.095. Supporting: all examples, and
both sizes at the rates that make their errors least.

Until seed 0 had run, the last decided, and equal rates supported. It decided nothing:
at equal loss held-out errors hardly depend on the rate and fall slowly towards the
lowest, so that the best rate stands on the edge of what the budget of epochs reaches,
however far that is moved. Deciding verdicts therefore rest on seeds drawn after that
change, as replicates.

Controls, at equal loss: batches of 40 must make no more errors than those of 50;
networks trained on 125 examples must make more than those trained on 500, which shows
that this instrument finds differences that are there. (A rate of 0.15 was meant for it;
in the pilot it raised clothing's errors by 6 % only, and higher ones miss the target;
250 examples raised them by 12 %, hardly above the margin.)

A unit draws its weights, examples and order anew; 12 tune, 28 judge, and where a rate
is tuned the tuning is resampled. A rate at which any unit missed the target is not
chosen, and the first and the last of the others are edges of the grid.

A first version judged accuracies within a point, on lines between evaluations, more
than the paper's effect is worth on digits. Short runs of eight to twenty units from
seeds 77 and 78 placed the targets and rates; their accuracies were seen before this
version was written. Not tested: Adam's rate of 0.001 alone, as in the paper, at which
large batches here take thousands of epochs; gradient descent; convolution,
normalisation, networks that are far wider than their data, falling rates.

Claims: C068, C071.
Sources: Keskar et al. 2017, arXiv:1609.04836, table 2; Hoffer et al. 2017,
    arXiv:1705.08741.
Cost: seconds, after `stopped_networks`.
Expect: no difference.
Run: jaxml run generalisation_gap
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from jaxml import learn, randomness, record
from jaxml.record import Arm, Assertion, Interval
from jaxml.record.comparisons import compared
from jaxml.record.figures import Figure, by_rate, label, panels, shared_legend
from jaxml.types import Keep

NEEDS = ("stopped_networks",)
SMALL, TENTH, ALL, CONTROL = range(4)  # sizes of batches
COURSES = ("8x8 digits", "clothing of 7x7 pixels")
TRAINED = (1.0, 0.9)  # training accuracies at the targets, in the pilots
WORSE = record.above(
    0.0,
    margin=float(np.log(1.1)),
    reason="a tenth; five of the paper's six networks differ by more",
)


@dataclass(frozen=True, kw_only=True)
class Config:
    """Units are those of `stopped_networks`; nothing else is drawn."""

    seed: int = 0


SMOKE = Config()


class Result(NamedTuple):
    """Nan where the target was missed. Units that tune come first.

    Attributes:
        matched: held-out accuracy where runs stop at one training loss.
        scores: errors there, nan at rates that may not be chosen.
        edges: the outermost rates that may.
        fewer: the same after training on a quarter of the examples.
        training: training accuracy at that loss.
        targets: training losses.
        rates: of all sizes.
        sizes: of batches.
        weights: of the networks.
        units: their seeds.
        tuning: how many of the units tune.
    """

    matched: Float[np.ndarray, "data size rate unit"]
    scores: Float[np.ndarray, "data size rate unit"]
    edges: np.ndarray
    fewer: Float[np.ndarray, "data unit"]
    training: Float[np.ndarray, "data size rate unit"]
    targets: Float[np.ndarray, " data"]
    rates: Float[np.ndarray, "data rate"]
    sizes: np.ndarray
    weights: np.ndarray
    units: Int[np.ndarray, " unit"]
    tuning: np.ndarray


def study(config: Config, keep: Keep, stopped_networks: Any) -> Result:
    """What was found there, by data set."""
    del keep
    stopped = stopped_networks
    found = (stopped.digits, stopped.clothing)[: int(stopped.data)]

    def stacked(name: str) -> np.ndarray:
        return np.stack([getattr(seen, name) for seen in found])

    return Result(
        matched=stacked("accuracy"),
        scores=stacked("scores"),
        edges=stacked("edges"),
        fewer=stacked("fewer"),
        training=stacked("training"),
        targets=stacked("target"),
        rates=stopped.rates,
        sizes=stopped.sizes,
        weights=np.stack([_count(seen.weights) for seen in found]),
        units=np.array(randomness.seeds(config.seed, len(stopped.seeds))),
        tuning=stopped.tuning,
    )


def _count(weights: Any) -> np.ndarray:
    return np.array(sum(leaf[0, 0, 0].size for leaf in weights))


def findings(result: Result) -> tuple[Assertion, ...]:
    """On each data set: errors at equal loss, with controls."""
    found: list[Assertion] = []
    for data in range(len(result.targets)):
        found += _errors(result, data)
    return tuple(found)


def _named(result: Result, size: int) -> str:
    batch = result.sizes[size]
    return f"all {batch} examples" if size == ALL else f"batches of {batch}"


def _setting(result: Result, data: int) -> str:
    return (
        f"{COURSES[data]}, dense network of {result.weights[data]:,} weights, "
        f"{result.sizes[ALL]} examples, Adam, constant rates, the equal training loss "
        f"{result.targets[data]:g} nats (training accuracy about "
        f"{100 * TRAINED[data]:g} %)"
    )


def _tuned(result: Result, statistic: Callable[..., float], *arms: Arm) -> Interval:
    return record.tuned(statistic, *arms, tuning=int(result.tuning))


def _matched(result: Result, data: int, size: int, of: Callable[..., Any]) -> Arm:
    """A function of errors at equal loss, tuned by errors."""
    errors = 1 - result.matched[data, size]
    return Arm(of(errors), result.scores[data, size], result.edges[data, size])


def _at_equal_rates(
    result: Result, data: int, ours: int, theirs: int
) -> tuple[Arm, Arm]:
    """Logarithms of errors of two sizes, their means over the rates that neither
    missed.
    """
    scores = result.scores[data, [ours, theirs]]
    both = np.all(np.isfinite(scores), axis=(0, 2))
    logs = np.log(1 - result.matched[data][[ours, theirs]][:, both])
    first, second = np.mean(logs, axis=1)
    return Arm(first[None]), Arm(second[None])


def _pairs(result: Result, data: int) -> dict[str, tuple[Arm, Arm]]:
    """What is compared: ours over theirs, logarithms of errors."""
    small, tenth = (_matched(result, data, size, np.log) for size in (SMALL, TENTH))
    every, _ = _at_equal_rates(result, data, ALL, ALL)
    fewer = Arm(np.log(1 - result.fewer[data])[None])
    return {
        "tenth": _at_equal_rates(result, data, TENTH, SMALL),
        "all": _at_equal_rates(result, data, ALL, SMALL),
        "tuned": (tenth, small),
        "negative control": _at_equal_rates(result, data, CONTROL, TENTH),
        "positive control": (fewer, every),
    }


def _errors(result: Result, data: int) -> tuple[Assertion, ...]:
    """Logarithms of ratios of errors at equal loss, and both controls."""
    pairs, named = _pairs(result, data), partial(_named, result)
    setting = _setting(result, data)

    def more(pair: str) -> Interval:
        return _tuned(result, record.mean_difference, *pairs[pair])

    supporting = partial(
        record.supporting, "C068", rule=WORSE, unit="log ratio", setting=setting
    )
    worse = f"make more held-out errors than {named(SMALL)}"
    matched = (
        f"On {result.sizes[ALL]} examples of {COURSES[data]}, where about "
        f"{100 * TRAINED[data]:g} % of them are classified rightly,"
    )
    at_equal_rates = "at equal training loss and equal rates"
    deciding = partial(
        record.deciding,
        statement=f"{matched} and {at_equal_rates}, {named(TENTH)} {worse}.",
        measured=more("tenth"),
        rule=WORSE,
        unit="log ratio",
        setting=setting,
    )
    return (
        deciding("C068"),
        deciding("C071"),
        supporting(
            statement=f"{at_equal_rates.capitalize()} {named(ALL)} {worse}.",
            measured=more("all"),
        ),
        supporting(
            statement=f"At equal training loss {named(TENTH)} {worse}, each at its "
            "best rate.",
            measured=more("tuned"),
        ),
        supporting(
            statement=f"{at_equal_rates.capitalize()} {named(CONTROL)} make more "
            f"held-out errors than {named(TENTH)}, the negative control.",
            measured=more("negative control"),
        ),
        _training_accuracy(result, data),
        supporting(
            statement="At equal training loss networks trained on a quarter of the "
            "examples make more held-out errors than those trained on all, the "
            "positive control.",
            measured=more("positive control"),
        ),
    )


def _training_accuracy(result: Result, data: int) -> Assertion:
    """Of batches of 50, as the setting says it: the mean over rates."""
    reached = np.all(np.isfinite(result.scores[data, TENTH]), axis=1)
    seen = np.mean(result.training[data, TENTH][reached], axis=0)
    return record.supporting(
        "C068",
        f"Networks trained by {_named(result, TENTH)} to that training loss classify "
        f"{100 * TRAINED[data]:g} % of their examples rightly.",
        _tuned(result, _mean, Arm(seen[None])),
        record.near(TRAINED[data], margin=0.015, reason="rounded to whole percents"),
        unit="accuracy",
        setting=_setting(result, data),
    )


def _mean(values: np.ndarray) -> float:
    return float(np.mean(values))


def _accuracy(errors: np.ndarray) -> np.ndarray:
    return 1 - errors


def figures(result: Result) -> dict[str, Figure]:
    """Ratios of errors, unit by unit; and accuracies by rate."""
    return {"errors": _errors_drawn(result), "rates": _rates(result)}


def _errors_drawn(result: Result) -> Figure:
    """A panel a data set, a row a pair of sizes at equal loss."""
    figure, axes = panels(len(result.targets), 1, width=7.0, height=2.8)
    for data, axis in enumerate(axes):
        small, tenth, every, control = (_named(result, size) for size in range(4))
        named = {
            "tenth": f"{tenth}\nover {small}",
            "all": f"{every}\nover {small}",
            "tuned": f"{tenth}\nover {small}, tuned",
            "negative control": f"negative control:\n{control} over {tenth}",
            "positive control": "positive control:\na quarter of the examples over all",
        }
        found = _pairs(result, data)
        pairs = {name: found[pair] for pair, name in named.items()}
        compared(axis, pairs, WORSE, tuning=int(result.tuning))
        ratio = "logarithm of the ratio of held-out errors"
        label(axis, COURSES[data], ratio, "at equal training loss")
    shared_legend(figure)
    return figure


def _rates(result: Result) -> Figure:
    """A panel a data set."""
    figure, axes = panels(1, len(result.targets))
    for data, axis in enumerate(axes):
        for size in (SMALL, TENTH, ALL):
            arm = _matched(result, data, size, _accuracy)
            best = learn.chosen(result.scores[data, size], int(result.tuning))
            values = np.asarray(arm.values)
            by_rate(axis, result.rates[data], values, best, _named(result, size))
        title = f"{COURSES[data]}: at equal training loss"
        label(axis, title, "rate (line: tuned)", "held-out accuracy")
    shared_legend(figure)
    return figure
