"""Do random folds leak in a series?

The course cross-validates by random folds. The ledger adds that they leak where the
data are a series. Here views of a page a day are forecast from the day alone: the mean
of the days nearest to it, whose number the folds choose, is a model of the past that
knows nothing of the days to come. Random folds find a day's neighbours on either side,
and so underestimate the error on the 28 days that follow, if they leak; folds in time
hold out what comes after. The control is the same views in random order, in which
neighbours tell nothing, so that random folds must not leak.

Nothing decides: C044 itself is a definition, which `folds` has. A unit is a stretch of
112 days and the 28 after them, of one page; no two stretches share a day, but those of
one page are not independent, so that their interval is of that page. Errors are
absolute, of logarithms, as the course's are absolute; one larger by a fifth is what one
would take for a wrong forecast. A first look, of six long stretches of seed 50 and
squared errors, was too noisy to tell anything.

Not tested: models that know more than the day; grouped folds.

Claims: C044.
Sources: Bergmeir and Benítez 2012, Information Sciences 191; Taylor and Letham 2018,
    The American Statistician 72 (the views).
Cost: 5 seconds on 2 cores.
Expect: random folds leak, folds in time hardly.
Run: jaxml run leaking_folds
"""

from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Float, Int

from jaxml import learn, problem, randomness, record
from jaxml.record import Assertion
from jaxml.record.figures import Figure, label, panels, strips
from jaxml.types import Batch, Dataset, Keep

SERIES = ("views of the page R", "views of the page Peyton Manning")
DRAWN = "views drawn by a program"
DAYS, AHEAD = 112, 28
REACHES = (1, 2, 4, 7, 14, 28)
LEAK = record.above(1.0, margin=0.2, reason="an error larger by a fifth")


@dataclass(frozen=True, kw_only=True)
class Config:
    """Pages and their stretches; with no page, drawn views."""

    pages: int = len(SERIES)
    stretches: int = 20
    folds: int = 5
    seed: int = 0


SMOKE = Config(pages=0, stretches=2)


class Result(NamedTuple):
    """Errors that were foretold.

    Attributes:
        ratios: the error on the days that follow over that of folds, by random folds,
            by folds in time, and by random folds of shuffled days.
        pages: of real ones.
    """

    ratios: Float[np.ndarray, "page kind stretch"]
    pages: Int[np.ndarray, ""]


def study(config: Config, keep: Keep) -> Result:
    """By NumPy, in float64."""
    return Result(keep("leaks", partial(_leaks, config)), np.array(config.pages))


def _leaks(config: Config) -> Float[np.ndarray, "page kind stretch"]:
    """Of every page and stretch."""
    pages = []
    for page in range(max(config.pages, 1)):
        logs = np.log(_views(config, page))
        stretches = [
            logs[k * (DAYS + AHEAD) : (k + 1) * (DAYS + AHEAD)]
            for k in range(config.stretches)
        ]
        seeds = randomness.seeds(config.seed, config.stretches)
        each = zip(stretches, seeds, strict=True)
        pages.append([_ratios(config, values, seed) for values, seed in each])
    return np.moveaxis(np.array(pages), 2, 1)


def _views(config: Config, page: int) -> np.ndarray:
    """Thousands of a day; missing days are left out."""
    count = config.stretches * (DAYS + AHEAD)
    if config.pages:
        return problem.page_views(tuple(problem.PAGES)[page]).thousands[-count:]
    (seed,) = randomness.seeds(config.seed, 1)
    return problem.drawn_views(count, seed=seed).thousands


def _ratios(config: Config, values: np.ndarray, seed: int) -> list[float]:
    """By random folds, by folds in time, by random folds of shuffled days."""
    key = jax.random.key(seed)
    shuffled = np.random.default_rng(seed).permutation(values)
    ratios = []
    for series, in_time in ((values, False), (values, True), (shuffled, False)):
        day = np.arange(DAYS, dtype=float)
        past = problem.examples(day[:, None], series[:DAYS, None])
        if in_time:
            held = learn.folds_in_time(past, day, DAYS // AHEAD - 1)
        else:
            held = learn.folds(past, config.folds, key=key)
        errors = np.array([_neighbour_errors(held, reach) for reach in REACHES])
        averages, model = learn.selected(errors)
        ahead = np.arange(DAYS, DAYS + AHEAD, dtype=float)
        forecast = _smoothed(past, REACHES[model], ahead)
        error = np.mean(np.abs(forecast - series[DAYS:]))
        ratios.append(float(error / averages[model]))
    return ratios


def _neighbour_errors(folds: Dataset, reach: int) -> list[np.floating]:
    """Mean absolute errors of the mean over near days, by fold."""
    errors = []
    for fold in range(len(folds.train.weights)):
        train, test = (
            jax.tree.map(lambda leaf, fold=fold: leaf[fold], part) for part in folds
        )
        off = np.abs(_smoothed(train, reach, test.inputs[:, 0]) - test.targets[:, 0])
        errors.append(np.average(off, weights=test.weights))
    return errors


def _smoothed(past: Batch, reach: int, days: np.ndarray) -> np.ndarray:
    """The mean of the `reach` days that are nearest, of those that train."""
    present = past.weights > 0
    known, values = past.inputs[present, 0], past.targets[present, 0]
    apart = np.abs(days[:, None] - known[None])
    nearest = np.argsort(apart, axis=1, kind="stable")[:, :reach]
    return np.mean(values[nearest], axis=1)


def findings(result: Result) -> tuple[Assertion, ...]:
    """Of each page, random folds and both controls."""
    found: list[Assertion] = []
    subjects = (
        "Random folds",
        "Control: folds in time",
        "Control: random folds of shuffled days",
    )
    for page, kinds in enumerate(result.ratios):
        name = SERIES[page] if result.pages else DRAWN
        setting = (
            f"logarithms of {name}, stretches of {DAYS} days and the {AHEAD} after "
            "them, the mean of the nearest days, their number chosen by the folds"
        )
        for subject, ratios in zip(subjects, kinds, strict=True):
            found.append(
                record.supporting(
                    "C044",
                    f"{subject} underestimate the absolute error on the days that "
                    "follow: geometric mean of the latter over their own.",
                    record.bootstrap(_geometric_mean, ratios),
                    LEAK,
                    unit="ratio",
                    setting=setting,
                    figure="leaks",
                )
            )
    return tuple(found)


def _geometric_mean(values: np.ndarray) -> float:
    return float(np.exp(np.mean(np.log(values))))


def figures(result: Result) -> dict[str, Figure]:
    """Ratios of errors by stretch."""
    figure, axes = panels(1, len(result.ratios), width=5.0, height=3.8)
    names = ("random folds", "folds in time", "random folds, shuffled days")
    for page, axis in enumerate(axes):
        strips(axis, dict(zip(names, result.ratios[page], strict=True)))
        axis.axhline(1.0, color="0.4", linestyle=":")
        axis.set_yscale("log")
        title = SERIES[page] if result.pages else DRAWN
        label(
            axis,
            title,
            "folds",
            "error on the days that follow over that of folds (ratio)",
        )
    return {"leaks": figure}
