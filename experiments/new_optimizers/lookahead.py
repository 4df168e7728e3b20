"""Does Lookahead make training steadier, and does it end in flatter minima?

SGD with momentum and Adam, each plain and in Lookahead, k = 5 and α = 1/2, train a
small dense network on digits and on pictures of clothing, whose 4x4 blocks are averaged
to 7x7 pixels. (Plain is Lookahead with α = 1, so that both are one program.) All run
over one grid of rates, and are tuned by the last held-out loss, as a user would.
Networks are evaluated after every round of k updates, Lookahead's at its slow weights.

Steadier: the mean rise of the logarithm of the training loss from one evaluation to the
next, over the whole run; a loss that falls at each of them has none, however fast it
falls, and its size does not count. It is compared where wrapping is all that changes
(both at the rate that is best for the plain optimizer), as the claim has it, and where
both are tuned. Since α = 1/2 halves the way of a round, a further line gives the plain
optimizer half of Lookahead's rate.

Flatter: the highest eigenvalue of the Hessian of the training loss, by Lanczos. It
falls with the loss, so it is compared at equal loss: each run is repeated up to the
first evaluation at which its training loss is at a level, 0.1 nats on digits and 0.7 on
clothing, which all runs near the best rates reach. Whether the losses there are equal
is a finding of its own. The control is the plain optimizer at twice its rate, which
should be flatter if the instrument can tell.

Outcomes: a ratio below 0.9 supports, one above 1.1 refutes, one between is no effect.
Margins: a tenth of the rises cannot be seen in a curve; a tenth of the highest
eigenvalue moves the largest stable rate by a tenth, a quarter of a step of the grid.
Units: initial weights, order and split are drawn anew; ten tune, ten others judge, and
the tuning is resampled. Rates step by √2. Grids, levels and lengths were placed by a
coarse look at losses from another seed (100). A first version looked at the absolute
change of the loss, which counts falling as unsteady, and all its units shared one split
and one tuned rate.

Claims: C120.
Sources: Zhang, Lucas, Hinton and Ba 2019, arXiv:1907.08610.
Cost: 2 minutes on 2 cores.
Expect: steadier at one rate; tuned, less so; no flatter.
Run: jaxml run lookahead
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from jaxml import curvature, learn, problem, randomness, record
from jaxml.record.figures import label, panels
from jaxml.types import Dataset, Keep, Params, Workload

LOWEST = {"momentum": 0.004, "adam": 0.001}  # rates of the grids
NAMES = {"momentum": "SGD with momentum", "adam": "Adam"}
PULLS = {"plain": 1.0, "in Lookahead": 0.5}  # α; at 1 slow and fast weights are one
K = 5  # updates of a round, and between evaluations
TWICE = 2  # steps of √2

CALMER = record.below(
    1.0, margin=0.1, reason="a tenth of the rises cannot be seen in a curve"
)
FLATTER = record.below(
    1.0, margin=0.1, reason="it moves the largest stable rate by a tenth"
)
LOWER = record.below(
    0.0, margin=0.01, reason="0.01 nats is 1 % in the probability of the right class"
)
EQUAL = record.near(1.0, margin=0.05, reason="half the margin of the eigenvalue")


@dataclass(frozen=True, kw_only=True)
class Config:
    """The network, how few examples it sees, and for how long."""

    width: int = 32
    train: int = 300
    test: int = 300
    clothing: int = 10_000  # pictures to draw from; 0 takes digits in their place
    digits_level: float = 0.1  # training losses at which sharpness is compared
    clothing_level: float = 0.7
    steps: int = 600
    batch: int = 20
    depth: int = 12  # of Lanczos' iteration
    rates: int = 11
    tuning: int = 10
    judging: int = 10
    lanes: int = 20
    seed: int = 0


SMOKE = Config(
    width=4,
    train=40,
    test=40,
    clothing=0,
    digits_level=2.2,
    clothing_level=2.2,
    steps=30,
    batch=1,
    depth=2,
    rates=6,
    tuning=2,
    judging=2,
    lanes=24,
)


class Found(NamedTuple):
    """What became of all runs on one data set, by method of LOWEST, kind of PULLS."""

    train: Float[np.ndarray, "method kind rate unit round"]
    test: Float[np.ndarray, "method kind rate unit"]  # last, nan where it diverged
    sharpness: Float[np.ndarray, "method kind rate unit"]  # at the level, nan if never
    reached: Float[np.ndarray, "method kind rate unit"]  # training loss there
    level: np.ndarray  # []
    pixels: np.ndarray  # [], of a side
    weights: np.ndarray  # [], of the network


class Result(NamedTuple):
    """Both data sets, and what they share."""

    digits: Found
    clothing: Found
    rates: Float[np.ndarray, "method rate"]
    tuning: np.ndarray  # [], units that tune; the others judge
    setting: np.ndarray  # [2], examples to train on, updates


def study(config: Config, keep: Keep) -> Result:
    """Two programs a data set and method: whole runs, and runs up to the level."""
    digits = _found(config, "digits", _digits(config), config.digits_level, keep)
    clothing = digits
    if config.clothing:
        level = config.clothing_level
        clothing = _found(config, "clothing", _clothing(config), level, keep)
    return Result(
        digits=digits,
        clothing=clothing,
        rates=np.stack([_rates(config, method) for method in LOWEST]),
        tuning=np.array(config.tuning),
        setting=np.array([config.train, config.steps]),
    )


def _rates(config: Config, method: str) -> np.ndarray:
    return LOWEST[method] * np.sqrt(2) ** np.arange(config.rates)


def _digits(config: Config) -> Workload:
    return problem.digits_workload(
        train=config.train, test=config.test, width=config.width
    )


def _clothing(config: Config) -> Workload:
    """Pictures of clothing, their 4x4 blocks averaged; the network of the digits."""
    pictures = problem.fashion_mnist(train=config.clothing, test=1).train
    blocks = np.reshape(pictures.inputs, (-1, 7, 4, 7, 4))
    return problem.workload(
        problem.mlp((config.width, 10), jax.nn.relu),
        problem.cross_entropy,
        pictures._replace(inputs=blocks.mean(axis=(2, 4)).reshape(-1, 49)),
        train=config.train,
        test=config.test,
    )


def _found(
    config: Config, name: str, work: Workload, level: float, keep: Keep
) -> Found:
    """All runs on one data set, and the sharpness of each at the level."""
    measures = {each: work.measures[each] for each in ("train", "test")}
    work = work._replace(measures=measures)
    entrants = {}
    for method in LOWEST:
        rates, pulls = _rates(config, method), list(PULLS.values())
        grid = learn.grid(learn.Hyper, pull=pulls, lr=rates, period=[K])
        family = learn.lookahead(learn.OPTIMIZERS[method])
        entrants[f"{name} {method}"] = learn.Entrant(family, grid)
    contests = learn.compare(
        learn.experiment(work, batch=config.batch, steps=config.steps, every=K),
        entrants,
        lanes=config.lanes,
        units=learn.Units(config.tuning, config.judging),
        seed=config.seed,
        keep=keep,
    )
    arms = []
    for each, contest in contests.items():
        first = learn.updates_to(contest, "train", level)
        passed = _at_level(config, work, entrants[each], first, each, keep)
        arms.append(
            {
                "train": contest.curves["train"],
                "test": contest.final["test"],
                "sharpness": passed.sharpness,
                "reached": passed.train,
            }
        )

    def stacked(quantity: str) -> np.ndarray:
        values = np.stack([arm[quantity] for arm in arms])
        return values.reshape(len(LOWEST), len(PULLS), config.rates, *values.shape[2:])

    return Found(
        train=stacked("train"),
        test=stacked("test"),
        sharpness=stacked("sharpness"),
        reached=stacked("reached"),
        level=np.array(level),
        pixels=np.array(int(np.sqrt(np.shape(work.data.inputs)[-1]))),
        weights=np.array(problem.weights(work)),
    )


def _until(step: Any, horizon: Any) -> Any:
    """A schedule that stops: 1 before the horizon, 0 from there on."""
    return jnp.where(step < horizon, 1.0, 0.0)


class _Passed(NamedTuple):
    """Where runs first reach the level, nan where they never do."""

    sharpness: Float[np.ndarray, "point unit"]
    train: Float[np.ndarray, "point unit"]


def _at_level(
    config: Config,
    work: Workload,
    entrant: learn.Entrant,
    first: Float[np.ndarray, "point unit"],
    name: str,
    keep: Keep,
) -> _Passed:
    """Every run again, stopped after the updates at which it was first at the level."""
    reached = np.isfinite(first)
    grid = jax.tree.map(partial(np.repeat, repeats=first.shape[1]), entrant.grid)
    seeds = randomness.seeds(config.seed, first.shape[1])
    grid = grid._replace(
        seed=np.tile(np.array(seeds, np.int32), len(first)),
        horizon=np.where(reached, first, config.steps).ravel().astype(np.float32),
    )
    on_train = work.measures["train"]
    measures = {"train": on_train, "sharpness": _sharpness(config, on_train)}
    work = work._replace(measures=measures)
    experiment = learn.experiment(work, batch=config.batch, steps=config.steps)
    runs = learn.sweep(
        experiment(partial(entrant.family, shape=_until)),
        grid,
        lanes=config.lanes,
        name=f"{name} at the level",
        keep=keep,
    )
    seen = {}
    for each, values in runs.trace.probed.items():
        seen[each] = np.where(reached, values.reshape(first.shape), np.nan)
    return _Passed(sharpness=seen["sharpness"], train=seen["train"])


def _sharpness(
    config: Config, on_train: Callable[[Params, Dataset], Any]
) -> Callable[[Params, Dataset], Any]:
    """The highest eigenvalue of the Hessian of the training loss."""

    def sharpness(params: Params, own: Dataset) -> Any:
        product = curvature.hessian_product(on_train, params, own)
        ends = curvature.extremes(
            product, params, count=1, depth=config.depth, key=jax.random.key(0)
        )
        return ends.values[-1]

    return sharpness


class _Arms(NamedTuple):
    """A method on one data set, `[rate, unit]` each."""

    test: np.ndarray
    rises: np.ndarray
    sharpness: np.ndarray
    reached: np.ndarray


class _Pair(NamedTuple):
    """A method, plain and in Lookahead, and where."""

    plain: _Arms
    ahead: _Arms
    setting: str
    level: str
    figure: str


def _rises(train: np.ndarray, test: np.ndarray) -> np.ndarray:
    """The mean rise of ln loss between evaluations, nan where the run diverged."""
    rises = np.maximum(np.diff(np.log(train), axis=-1), 0).mean(axis=-1)
    return np.where(np.isfinite(test), rises, np.nan)


def _pairs(result: Result) -> Iterator[_Pair]:
    """Both methods on both data sets."""
    examples, updates = result.setting
    for name in ("digits", "clothing"):
        found: Found = getattr(result, name)
        what = "digits" if name == "digits" else "pictures of clothing"
        for index, method in enumerate(LOWEST):
            rises = _rises(found.train[index], found.test[index])
            plain, ahead = (
                _Arms(
                    found.test[index, kind],
                    rises[kind],
                    found.sharpness[index, kind],
                    found.reached[index, kind],
                )
                for kind in range(len(PULLS))
            )
            yield _Pair(
                plain,
                ahead,
                setting=f"{found.pixels}x{found.pixels} {what} ({examples:,} for "
                f"training), dense network of {found.weights:,} weights, "
                f"{updates:,} updates, {NAMES[method]}, k = 5 and α = 1/2",
                level=f"where the training loss is first at {found.level:g} nats",
                figure=name,
            )


def findings(result: Result) -> tuple[record.Assertion, ...]:
    """In Lookahead against plain, by the same units; the tuning is resampled."""
    found: list[record.Assertion] = []
    tuning = int(result.tuning)
    for pair in _pairs(result):
        found += [*_steadier(pair, tuning), *_flatter(pair, tuning)]
        found.append(
            record.supporting(
                "C120",
                "With Lookahead training ends at a lower test loss than without.",
                record.tuned(
                    record.mean_difference,
                    record.Arm(pair.ahead.test),
                    record.Arm(pair.plain.test),
                    tuning=tuning,
                ),
                LOWER,
                unit="nats",
                setting=f"{pair.setting}, both rates tuned",
                figure=pair.figure,
            )
        )
    return tuple(found)


def _ratio(ours: record.Arm, theirs: record.Arm, tuning: int) -> record.Interval:
    return record.tuned(record.ratio_of_means, ours, theirs, tuning=tuning)


def _ratio_of_rises(ours: np.ndarray, theirs: np.ndarray) -> float:
    """Ratio of means; nan where theirs never rise."""
    return record.ratio_of_means(ours, theirs) if np.any(theirs) else float("nan")


def _calmer(ours: record.Arm, theirs: record.Arm, tuning: int) -> record.Interval:
    return record.tuned(_ratio_of_rises, ours, theirs, tuning=tuning)


def _steadier(pair: _Pair, tuning: int):
    """At the plain optimizer's rate, both tuned, and at one way of a round."""
    plain, ahead = pair.plain, pair.ahead
    by_plain = record.Arm(plain.rises, scores=plain.test)
    wrapped = record.Arm(ahead.rises, scores=plain.test)
    tuned = record.Arm(ahead.rises, scores=ahead.test)
    from_twice = record.Arm(ahead.rises[TWICE:], scores=ahead.test[TWICE:])
    at_half = record.Arm(plain.rises[:-TWICE], scores=ahead.test[TWICE:])
    return (
        record.deciding(
            "C120",
            "Wrapped in Lookahead at an unchanged rate the optimizer has smaller rises "
            "of the logarithm of the training loss from round to round.",
            _calmer(wrapped, by_plain, tuning),
            CALMER,
            unit="ratio",
            setting=f"{pair.setting}, both at the rate tuned for the plain optimizer",
            figure=pair.figure,
        ),
        record.deciding(
            "C120",
            "With Lookahead the logarithm of the training loss rises less from round "
            "to round than without.",
            _calmer(tuned, by_plain, tuning),
            CALMER,
            unit="ratio",
            setting=f"{pair.setting}, both rates tuned",
            figure=pair.figure,
        ),
        record.supporting(
            "C120",
            "With Lookahead the logarithm of the training loss rises less from round "
            "to round than without at half the rate.",
            _calmer(from_twice, at_half, tuning),
            CALMER,
            unit="ratio",
            setting=f"{pair.setting}, Lookahead's rate tuned",
            figure=pair.figure,
        ),
    )


def _flatter(pair: _Pair, tuning: int):
    """At equal training loss; the control; whether the losses are equal."""
    plain, ahead = pair.plain, pair.ahead
    setting = f"{pair.setting}, both rates tuned, {pair.level}"
    faster = record.Arm(plain.sharpness[TWICE:], scores=plain.test[:-TWICE])
    usual = record.Arm(plain.sharpness[:-TWICE], scores=plain.test[:-TWICE])
    return (
        record.deciding(
            "C120",
            "At equal training loss the Hessian's highest eigenvalue is lower with "
            "Lookahead than without.",
            _ratio(
                record.Arm(ahead.sharpness, scores=ahead.test),
                record.Arm(plain.sharpness, scores=plain.test),
                tuning,
            ),
            FLATTER,
            unit="ratio",
            setting=setting,
            figure=pair.figure,
        ),
        record.supporting(
            "C120",
            "Without Lookahead the Hessian's highest eigenvalue is lower at twice the "
            "rate at equal training loss (the control: a lower one can be seen).",
            _ratio(faster, usual, tuning),
            FLATTER,
            unit="ratio",
            setting=f"{pair.setting}, the plain rate tuned, {pair.level}",
            figure=pair.figure,
        ),
        record.supporting(
            "C120",
            "The training losses at which the eigenvalues are compared are equal.",
            _ratio(
                record.Arm(ahead.reached, scores=ahead.test),
                record.Arm(plain.reached, scores=plain.test),
                tuning,
            ),
            EQUAL,
            unit="ratio",
            setting=setting,
            figure=pair.figure,
        ),
    )


def figures(result: Result):
    """By rate, a data set each: rises, sharpness at equal loss, last test loss."""
    return {
        "digits": _draw(result, "digits"),
        "clothing": _draw(result, "clothing"),
    }


def _draw(result: Result, name: str):
    figure, axes = panels(len(LOWEST), 3)
    pairs = [pair for pair in _pairs(result) if pair.figure == name]
    shown = {
        "rises": "mean rise of ln training loss",
        "sharpness": "highest eigenvalue (nats)",
        "test": "last test loss (nats)",
    }
    for row, (method, pair) in enumerate(zip(NAMES.values(), pairs, strict=True)):
        for column, (quantity, words) in enumerate(shown.items()):
            axis = axes[row * len(shown) + column]
            for kind, arms in zip(PULLS, (pair.plain, pair.ahead), strict=True):
                best = learn.chosen(arms.test, int(result.tuning))
                values = getattr(arms, quantity)[:, int(result.tuning) :]
                _draw_by_rate(axis, result.rates[row], values, best, kind)
            axis.legend(fontsize=8)
            where = f", {pair.level}" if quantity == "sharpness" else ""
            label(axis, f"{method}{where}", "rate η (arrow: tuned)", words)
            axis.title.set_fontsize(9)
            axis.set_yscale("log" if quantity == "test" else "linear")
    return figure


def _draw_by_rate(axis, rates: np.ndarray, values: np.ndarray, best: int, kind: str):
    """Median and range of the units, where all of them have a value; the tuned rate."""
    whole = np.all(np.isfinite(values), axis=1)
    rates, values = rates[whole], values[whole]
    (line,) = axis.semilogx(rates, np.median(values, axis=1), label=kind, markevery=1)
    low, high = np.min(values, axis=1), np.max(values, axis=1)
    axis.fill_between(rates, low, high, color=line.get_color(), alpha=0.15)
    if whole[best]:
        at = int(np.sum(whole[:best]))
        axis.annotate(
            "",
            (rates[at], high[at]),
            xytext=(0, 22),
            textcoords="offset points",
            arrowprops={"arrowstyle": "->", "color": line.get_color()},
        )
