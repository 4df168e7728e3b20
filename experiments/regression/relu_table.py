"""Do more ReLUs, or more layers of them, forecast daily views better than a line?

The course forecasts a day's views from the last 56 days, in place of a line by ReLUs,
and prints mean absolute errors in training and test, in thousands: a line 0.32 and
0.46, one layer of 10 ReLUs 0.32 and 0.45, of 100 0.28 and 0.43, of 1000 0.27 and 0.43;
two, three and four layers of 100 0.18 and 0.39, 0.14 and 0.38, 0.10 and 0.44; five
layers 0.34 in training. It prints one training of each, on one test of 45 days; its
views and its training are not published.

Here the mean absolute error is minimised by Adam at its default rate, 0.001, on batches
of 64, for 1,500 updates, which are 66 passes over four years and 131 over two, from
weights of the deviation that PyTorch 2 gives its layers, 1/√(3 inputs), and biases of
0. The line is fitted nearly exactly. Inputs and targets are scaled by the mean and
deviation of the days of training. A unit draws weights and order anew:

- *drawn series*: one a unit, four years and 180 days of test; linear in its logarithm,
  so that its author left networks little to find.
- *pages* of Wikipedia, R and Peyton Manning: 22 quarters each from July 2010 on, after
  the 730 days that are fitted. They share no tested day, but days of training; so what
  is said of training is decided on drawn series alone.

Log ratios of two networks' errors, or a network's and the line's, in the same unit:

- C005: 100 ReLUs lower the test error of the line by half of what the course prints, 7
  %, or more, and the training error; 1000 lower the test error of 100 by less than 5 %.
- C006: four layers have a lower training error than one; a higher test error than
  three; five a higher training error than four. The course's rises are 0.15 and 1.2;
  two thirds of the former and a quarter of the latter are the margins: less is no such
  rise. Control: five layers from weights a hundredth as large must have a higher
  training error than four from the usual ones.
- C007: 1000 ReLUs in a layer have a higher training error than two layers of 100.

Beside them stand a rate of 0.003; He's initial weights, 2.4 times as large; the lowest
test error that 100 ReLUs reach at any tenth of their training, which favours them; and
in how many single pairs of trainings four layers have the higher test error than three,
which a table of one training shows.

Sized by runs of seeds 7 and 8 on 10 to 12 drawn series and as many windows of a page:
for 30 series, half-widths at the error shared are near 0.03 for test errors of 100
ReLUs, 0.05 for those of four layers against three, 0.09 for training errors. Peyton
Manning's test errors scatter too much for a gain of 3.4 % (half-width 0.06), so they
support only. He's weights came first; they were put beside when PyTorch's, which the
course uses, were seen to forecast better. The windows of pages were seen then.

Not tested: the course's views; tuned rates; equal numbers of weights (C022).

Claims: C005, C006, C007.
Sources: Kingma and Ba 2014, arXiv:1412.6980; He et al. 2015, arXiv:1502.01852; Taylor
    and Letham 2018, The American Statistician 72 (the views).
Cost: 90 seconds on 2 cores, compilation included.
Expect: training errors fall with depth to the fifth layer; no network forecasts better.
Run: jaxml run relu_table
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from jaxml import learn, parallel, problem, randomness, record
from jaxml.problem import Causes, Scaled, Window
from jaxml.record import Assertion
from jaxml.record.figures import Figure, label, legend_below, panels, strips
from jaxml.types import Keep

TEN, HUNDRED, THOUSAND, TWO, THREE, FOUR, FIVE = range(7)  # rows of the table
ROWS = ("10", "100", "1000", "2x100", "3x100", "4x100", "5x100")
TRAINING, TEST = range(2)
LAGS = 56
YEARS, TESTED = 1461, 180  # days of a drawn series
PAST, QUARTER = 730, 91  # days of a page
FIRST_DAY = "2010-07-01"
BATCH = 64
EVALUATIONS = 10  # of each training
RATE, OTHER_RATE = 0.001, 0.003
DEFAULT, HE = 3**-0.5, 2**0.5  # deviations of initial weights, in LeCun's
TINY = DEFAULT / 100

COURSE_TRAINING = np.array([0.32, 0.28, 0.27, 0.18, 0.14, 0.10, 0.34]) / 0.32
COURSE_TEST = np.array([0.45, 0.43, 0.43, 0.39, 0.38, 0.44]) / 0.46
"""Errors that the course prints, over those of its line."""

DIGIT = "one in the last digit that the course prints is 2 %"
LOWER = record.below(0.0, margin=0.02, reason=DIGIT)
HIGHER = record.above(0.0, margin=0.02, reason=DIGIT)
GAINS = record.below(-0.034, margin=0.01, reason="half of the last digit printed")
LITTLE = record.above(-0.05, margin=0.02, reason=DIGIT)
OVERFITS = record.above(0.0, margin=0.1, reason="two thirds of the course's rise")
FAILS = record.above(0.0, margin=0.3, reason="a quarter of the course's rise of 1.2")


@dataclass(frozen=True, kw_only=True)
class Config:
    """Hidden layers of the rows of the table, units, and updates of a training."""

    networks: tuple[tuple[int, ...], ...] = (
        (10,),
        (100,),
        (1000,),
        (100, 100),
        (100, 100, 100),
        (100, 100, 100, 100),
        (100, 100, 100, 100, 100),
    )
    series: int = 30
    quarters: int = 22
    controls: int = 10
    updates: int = 1500
    lanes: int = 4
    seed: int = 0


SMOKE = Config(
    networks=((2,), (2,), (2,), (2, 2), (2, 2), (2, 2), (2, 2)),
    series=2,
    quarters=2,
    controls=2,
    updates=10,
    lanes=5,
)


class Run(NamedTuple):
    """One training: its unit, its seed, its rate, and the factor of its weights."""

    unit: Int[np.ndarray, " run"]
    seed: Int[np.ndarray, " run"]
    rate: Float[np.ndarray, " run"]
    scale: Float[np.ndarray, " run"]


class Table(NamedTuple):
    """Mean absolute errors in thousands of views, in training and test.

    Attributes:
        errors: by network and evaluation, the last at the end.
        line: of a line.
        updates: of each training.
    """

    errors: Float[np.ndarray, "network unit evaluation two"]
    line: Float[np.ndarray, "unit two"]
    updates: Int[np.ndarray, ""]


class Result(NamedTuple):
    """Tables of drawn series and of pages; of drawn series at another rate, and from
    tiny weights.
    """

    drawn: Table
    r: Table
    manning: Table
    other: Table
    he: Table
    tiny: Table


def study(config: Config, keep: Keep) -> Result:
    """One program for each network that differs from the others."""
    windows = _windows(config)
    data = problem.scaled_windows(windows, LAGS)
    runs, tables = _runs(config, len(windows))
    found = {}
    for network in dict.fromkeys(config.networks):
        name = "x".join(map(str, network))
        found[network] = keep(name, partial(_errors, config, network, runs, data))
    errors = np.stack([found[network] for network in config.networks])
    thousands = errors * data.deviation[runs.unit][:, None, None]
    lines = keep("lines", partial(_lines, windows))[runs.unit]
    updates = np.array(config.updates)
    return Result(*[Table(thousands[:, rows], lines[rows], updates) for rows in tables])


def _windows(config: Config) -> list[Window]:
    """Of drawn series, then of pages."""
    seeds = randomness.seeds(config.seed, config.series)
    windows = problem.drawn_windows(
        Causes(), seeds, before=LAGS, fitted=YEARS, tested=TESTED
    )
    for page in problem.PAGES:
        windows += problem.page_windows(
            page, FIRST_DAY, fitted=PAST, tested=QUARTER, count=config.quarters
        )
    return windows


def _lines(windows: Sequence[Window]) -> Float[np.ndarray, "unit two"]:
    """Errors of lines in training and test."""
    fits = [problem.fitted_line(window, LAGS) for window in windows]
    return np.array([[fitted.train, fitted.test] for fitted in fits])


def _runs(config: Config, units: int) -> tuple[Run, list[np.ndarray]]:
    """All trainings, and which of them make each table."""
    controls = np.arange(config.controls)
    unit = np.concatenate([np.arange(units), controls, controls, controls])
    seeds = randomness.seeds(config.seed, len(unit), skip=config.series)
    sizes = (config.series, config.quarters, config.quarters, *(3 * [config.controls]))
    ends = np.cumsum(sizes)
    tables = np.split(np.arange(len(unit)), ends[:-1])
    rate = np.full(len(unit), RATE, np.float32)
    scale = np.full(len(unit), DEFAULT, np.float32)
    other, he, tiny = tables[-3:]
    rate[other] = OTHER_RATE
    scale[he] = HE
    scale[tiny] = TINY
    return Run(unit, np.array(seeds), rate, scale), tables


def _errors(
    config: Config, network: tuple[int, ...], runs: Run, data: Scaled
) -> Float[np.ndarray, "run evaluation two"]:
    """Scaled errors of one network."""
    program = parallel.compiled(
        partial(_trained, config.updates, network),
        parallel.rows(runs, np.arange(config.lanes)),
        data,
        chunks=-(-len(runs.unit) // config.lanes),
        purpose="Training",
    )
    return parallel.gathered(program, runs, data)


def _trained(
    updates: int, network: tuple[int, ...], runs: Run, data: Scaled
) -> Float[jax.Array, "run evaluation two"]:
    """By run, errors in training and test at every evaluation."""
    return jax.vmap(partial(_train, updates, network, data))(runs)


def _train(
    updates: int, network: tuple[int, ...], data: Scaled, run: Run
) -> Float[jax.Array, "evaluation two"]:
    """Of one run."""
    own, held, count, _ = jax.tree.map(lambda field: field[run.unit], data)
    model = problem.mlp((*network, 1), jax.nn.relu, scale=run.scale)
    objective = problem.objective(model, problem.mae)
    optimizer = learn.adam(learn.Hyper(lr=run.rate))
    key = jax.random.key(run.seed)
    params, _ = problem.start(model, own.inputs)(jax.random.fold_in(key, 0))

    def step(carry: Any, number: jax.Array) -> tuple[Any, None]:
        params, state = carry
        drawing = jax.random.fold_in(key, number)
        chosen = jax.random.randint(drawing, (BATCH,), 0, count)
        batch = jax.tree.map(lambda field: field[chosen], own)
        value, grads = jax.value_and_grad(objective)(params, batch)
        after = learn.update(
            optimizer, grads, state, params, value=value, value_fn=None
        )
        return after, None

    def evaluate(carry: Any, numbers: jax.Array) -> tuple[Any, jax.Array]:
        carry, _ = jax.lax.scan(step, carry, numbers)
        params, _ = carry
        return carry, jnp.stack([objective(params, own), objective(params, held)])

    numbers = jnp.arange(1, updates + 1).reshape(EVALUATIONS, -1)
    _, seen = jax.lax.scan(evaluate, (params, learn.begin(optimizer, params)), numbers)
    return seen


def findings(result: Result) -> tuple[Assertion, ...]:
    """Of drawn series, of pages, at another rate; and the control."""
    drawn = _setting(result.drawn, "drawn series of daily views")
    r = _setting(result.r, "quarters of daily views of the page R")
    of_manning = "quarters of daily views of the page Peyton Manning"
    manning = _setting(result.manning, of_manning)
    other = _setting(result.other, "drawn series of daily views", OTHER_RATE)
    he = _setting(result.he, "drawn series of daily views, He's initial weights")
    deciding, supporting = record.deciding, record.supporting
    return (
        *_tested(deciding, result.drawn, drawn),
        *_tested(deciding, result.r, r),
        *_tested(supporting, result.manning, manning),
        *_fitted(deciding, result.drawn, drawn),
        *_fitted(supporting, result.r, r),
        *_fitted(supporting, result.manning, manning),
        *_tested(supporting, result.other, other),
        *_fitted(supporting, result.other, other),
        *_tested(supporting, result.he, he),
        *_fitted(supporting, result.he, he),
        *_beside(result.drawn, drawn),
        *_beside(result.r, r),
        *_beside(result.manning, manning),
        _control(result, drawn),
    )


def _setting(table: Table, of: str, rate: float = RATE) -> str:
    return (
        f"{len(table.line)} {of}, forecast from {LAGS} days, mean absolute error, Adam "
        f"at a rate of {rate:g}, {table.updates:,} updates of {BATCH} days"
    )


def _ratio(ours: np.ndarray, theirs: np.ndarray, error: int) -> record.Interval:
    """The mean log ratio of training or test errors."""
    return record.mean_log_ratio(ours[:, error], theirs[:, error])


def _ends(table: Table) -> list[np.ndarray]:
    """Errors at the end, by row of the table."""
    return [errors[:, -1] for errors in table.errors]


def _tested(
    role: Callable[..., Assertion], table: Table, setting: str
) -> tuple[Assertion, ...]:
    """C005 and C006, of test errors."""
    rows = _ends(table)
    finding = partial(role, unit="log ratio", setting=setting, figure="test")
    return (
        finding(
            "C005",
            "A layer of 100 ReLUs lowers the test error of a line by 3.4 % or more, "
            "half of what the course prints: log ratio.",
            _ratio(rows[HUNDRED], table.line, TEST),
            GAINS,
        ),
        finding(
            "C005",
            "A layer of 1000 ReLUs lowers the test error of a layer of 100 by less "
            "than 5 %: log ratio.",
            _ratio(rows[THOUSAND], rows[HUNDRED], TEST),
            LITTLE,
        ),
        finding(
            "C006",
            "Four layers of 100 ReLUs have a higher test error than three: log ratio.",
            _ratio(rows[FOUR], rows[THREE], TEST),
            OVERFITS,
        ),
    )


def _fitted(
    role: Callable[..., Assertion], table: Table, setting: str
) -> tuple[Assertion, ...]:
    """C005 to C007, of training errors."""
    rows = _ends(table)
    finding = partial(role, unit="log ratio", setting=setting, figure="training")
    return (
        finding(
            "C005",
            "A layer of 100 ReLUs has a lower training error than a line: log ratio.",
            _ratio(rows[HUNDRED], table.line, TRAINING),
            LOWER,
        ),
        finding(
            "C006",
            "Four layers of 100 ReLUs have a lower training error than one: log ratio.",
            _ratio(rows[FOUR], rows[HUNDRED], TRAINING),
            LOWER,
        ),
        finding(
            "C006",
            "Five layers of 100 ReLUs have a higher training error than four: log "
            "ratio.",
            _ratio(rows[FIVE], rows[FOUR], TRAINING),
            FAILS,
        ),
        finding(
            "C007",
            "A layer of 1000 ReLUs has a higher training error than two layers of 100, "
            "of which the former has 58,001 weights and the latter 15,901: log ratio.",
            _ratio(rows[THOUSAND], rows[TWO], TRAINING),
            HIGHER,
        ),
    )


def _beside(table: Table, setting: str) -> tuple[Assertion, ...]:
    """At the lowest test error on the way, and of single trainings."""
    lowest = np.min(table.errors[HUNDRED], axis=1)
    rows = _ends(table)
    higher = rows[FOUR][:, TEST] > rows[THREE][:, TEST]
    finding = partial(record.supporting, setting=setting, figure="test")
    return (
        finding(
            "C005",
            "At the lowest test error of its training, a layer of 100 ReLUs has a "
            "lower one than a line: log ratio.",
            _ratio(lowest, table.line, TEST),
            LOWER,
            unit="log ratio",
        ),
        finding(
            "C006",
            "In most single pairs of trainings four layers of 100 ReLUs have a higher "
            "test error than three.",
            record.proportion(higher, of=table.errors),
            record.above(0.5),
            unit="fraction",
        ),
    )


def _control(result: Result, setting: str) -> Assertion:
    """C006: a fifth layer that does fail."""
    four = _ends(result.drawn)[FOUR][: len(result.tiny.line)]
    five = _ends(result.tiny)[FIVE]
    return record.supporting(
        "C006",
        "Control: five layers of 100 ReLUs from weights a hundredth as large have a "
        "higher training error than four from the usual ones: log ratio.",
        _ratio(five, four, TRAINING),
        FAILS,
        unit="log ratio",
        setting=f"{setting}; {len(five)} of them",
        figure="training",
    )


def figures(result: Result) -> dict[str, Figure]:
    """The course's table, over a line's error, a point a unit."""
    return {
        "training": _table(result, TRAINING, "training", COURSE_TRAINING),
        "test": _table(result, TEST, "test", COURSE_TEST),
    }


def _table(result: Result, error: int, name: str, course: np.ndarray) -> Figure:
    figure, axes = panels(2, 2, width=5.4, height=3.4)
    kinds = {
        "Drawn series": result.drawn,
        "The page R": result.r,
        "The page Peyton Manning": result.manning,
        "Drawn series, He's initial weights": result.he,
    }
    for axis, (title, table) in zip(axes, kinds.items(), strict=True):
        line = table.line[:, error]
        rows = [row[:, error] / line for row in _ends(table)]
        strips(axis, dict(zip(ROWS, rows, strict=True)))
        places = np.arange(len(course))
        axis.plot(places, course, "kx", markersize=8, label="the course")
        axis.axhline(1.0, color="0.4", linestyle=":", label="a line")
        label(axis, title, "ReLUs, a point a unit", f"{name} error over a line's")
        legend_below(axis)
    return figure
