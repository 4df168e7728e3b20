"""A fair comparison of optimizers: each tuned over its own grid at equal budget, judged
on fresh seeds.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from jaxml import randomness
from jaxml.learn.optimizers.hyper import validate
from jaxml.learn.optimizers.rates import Family
from jaxml.learn.training.grid import lanes_of
from jaxml.learn.training.state import Training
from jaxml.learn.training.sweep import Runs, compiled, run
from jaxml.types import InputError, Params


class Entrant(NamedTuple):
    """An optimizer that takes part.

    Attributes:
        family: `(hyper, shape) -> GradientTransformation`, or
            `hyper -> GradientTransformation`.
        grid: the points over which it is tuned, as `learn.grid` gives them; their seeds
            are not read.
    """

    family: Family
    grid: Any


class Contest(NamedTuple):
    """What became of one entrant. Every array comes with the unit that its axes name.

    Attributes:
        tuning: `[point, seed]`, the last loss of each run of its grid, inf where it
            diverged.
        best: the index of the point with the lowest median over seeds.
        hyper: that point.
        good_rates: `(lowest, highest)` of the learning rates whose best median is
            within a tenth of the fall from the worst finite median to the best one.
        final: by quantity `[fresh seed]`, what the probe saw last; nan where the run
            diverged.
        steps_to_target: `[fresh seed]`, updates until the loss was at the target or
            below, inf where never.
        diverged_at: `[fresh seed]`, the step at which a run diverged, or -1.
        curves: by quantity `[fresh seed, look]`, all that the probe saw.
        params: with a leading axis `[fresh seed]`, where each run is to be evaluated;
            the last finite ones of a run that diverged.
    """

    tuning: np.ndarray
    best: int
    hyper: Any
    good_rates: tuple[float, float]
    final: dict[str, np.ndarray]
    steps_to_target: np.ndarray
    diverged_at: np.ndarray
    curves: dict[str, np.ndarray]
    params: Params


def compare(
    experiment: Callable[[Family], Training],
    entrants: Mapping[str, Entrant],
    *,
    target: float,
    lanes: int,
    tuning_seeds: int = 3,
    seeds: int = 8,
    seed: int = 0,
    keep: Callable[[str, Callable[[], Any]], Any] = lambda name, compute: compute(),
) -> dict[str, Contest]:
    """Tunes every entrant over its own grid, then runs its best point on seeds that
    tuning has not seen.

    The first `tuning_seeds` seeds tune, the next `seeds` judge. Each entrant is one
    compilation, whatever its grid. A run that diverges is a result: it loses, and is
    counted.

    Args:
        experiment: `family -> Training`, with `learn.measuring` as its probe and a
            quantity named "loss": by it points are chosen.
        entrants: by name; their grids have equally many points, so that all are tuned
            at one budget.
        target: the loss whose first reaching is timed.
        lanes: how many runs advance together.
        tuning_seeds: runs of each point.
        seeds: runs of the best point.
        seed: moves all seeds, as `randomness.seeds` says; 0 begins with the seed 0.
        keep: `(name, compute) -> value`, where storage, resuming and progress hang.

    Raises:
        InputError: no entrants, grids of unequal size, no seeds, a target of nan, a
            probe without a "loss" of one number, or a grid that cannot run, such as one
            over a field that its entrant does not read. All grids are looked at before
            the first is run.
    """
    sizes = {name: lanes_of(each.grid) for name, each in entrants.items()}
    if not sizes or min(tuning_seeds, seeds) < 1:
        raise InputError(
            "A comparison needs entrants and seeds: give at least one of each."
        )
    if np.isnan(target):
        raise InputError(
            "A target of nan is never reached: give the loss whose first reaching is "
            "timed."
        )
    if len(set(sizes.values())) > 1:
        raise InputError(
            "The grids have "
            f"{', '.join(f'{count} ({name})' for name, count in sizes.items())} points: "
            "tune all over equally many, or the better tuned one wins."
        )
    trainings = {name: experiment(each.family) for name, each in entrants.items()}
    for name, training in trainings.items():
        _require_entrant(name, entrants[name].grid, training)
    tuning = np.array(randomness.seeds(seed, tuning_seeds), np.int32)
    judging = np.array(randomness.seeds(seed, seeds, skip=tuning_seeds), np.int32)
    return {
        name: _contest(
            name, trainings[name], each.grid, target, lanes, (tuning, judging), keep
        )
        for name, each in entrants.items()
    }


def _require_entrant(name: str, grid: Any, training: Training) -> None:
    """Refuses a grid that cannot be tuned over, before anything is computed."""
    missing = sorted({"lr", "seed"} - set(grid._fields))
    if missing:
        raise InputError(
            f"The grid of {name} has no {missing[0]}, by which a comparison tells runs "
            "apart: add a field of that name."
        )
    validate(grid)
    training.check(grid)


def _contest(
    name: str,
    training: Training,
    grid: Any,
    target: float,
    lanes: int,
    seeds: tuple[np.ndarray, np.ndarray],
    keep: Any,
) -> Contest:
    tuning, fresh = seeds
    points = len(grid.lr)
    tuned_over = _seeded(
        grid, np.repeat(np.arange(points), len(tuning)), np.tile(tuning, points)
    )
    program = compiled(training, tuned_over, lanes=lanes)
    tuned = run(program, training, tuned_over, name=f"{name} tuning", keep=keep)
    losses = _last(tuned)["loss"].reshape(points, len(tuning))
    losses = np.where(np.isfinite(losses), losses, np.inf)
    median = np.median(losses, axis=1)
    best = int(np.argmin(median))
    judged = _seeded(grid, np.full(len(fresh), best), fresh)
    runs = run(program, training, judged, name=f"{name} fresh", keep=keep)
    final, curve = _last(runs), np.asarray(runs.trace.probed["loss"])
    reached = curve <= target
    first = training.every * (np.argmax(reached, axis=1) + 1)
    return Contest(
        tuning=losses,
        best=best,
        hyper=type(grid)(*(np.asarray(column)[best] for column in grid)),
        good_rates=_good(np.asarray(grid.lr), median),
        final=final,
        steps_to_target=np.where(np.any(reached, axis=1), first, np.inf),
        diverged_at=runs.diverged_at,
        curves={
            quantity: np.asarray(seen) for quantity, seen in runs.trace.probed.items()
        },
        params=runs.params,
    )


def _seeded(grid: Any, points: np.ndarray, seeds: np.ndarray) -> Any:
    """Those points of the grid, one a seed."""
    return type(grid)(*(np.asarray(column)[points] for column in grid))._replace(
        seed=seeds
    )


def _last(runs: Runs) -> dict[str, np.ndarray]:
    """What the probe saw last, by quantity, nan where the run diverged."""
    probed = runs.trace.probed
    if not isinstance(probed, dict) or "loss" not in probed:
        raise InputError(
            'The experiment measures no "loss": give `learn.measuring({"loss": ...})` '
            "as its probe."
        )
    if np.ndim(probed["loss"]) != 2:
        raise InputError(
            'The measured "loss" is no single number: measure its mean, or its sum.'
        )
    ended = runs.diverged_at < 0
    last = {
        name: np.moveaxis(np.asarray(seen)[:, -1], 0, -1)
        for name, seen in probed.items()
    }
    return {
        name: np.moveaxis(np.where(ended, seen, np.nan), -1, 0)
        for name, seen in last.items()
    }


def _good(rates: np.ndarray, median: np.ndarray) -> tuple[float, float]:
    finite = np.isfinite(median)
    if not finite.any():
        return float("nan"), float("nan")
    bound = median.min() + 0.1 * (median[finite].max() - median.min())
    good = rates[median <= bound]
    return float(good.min()), float(good.max())


def summary(
    contests: Mapping[str, Contest],
    target: float,
    interval: Callable[[np.ndarray], Any],
) -> list[tuple[str, ...]]:
    """A comparison as rows of text, the first of them the names of the columns, of all
    scalar quantities.

    Args:
        contests: from `compare`.
        target: that was asked for.
        interval: `samples -> (estimate, low, high, ...)`, such as
            `partial(record.bootstrap, np.median)`.
    """
    first = next(iter(contests.values()))
    quantities = [name for name, values in first.final.items() if values.ndim == 1]
    rows = [
        (
            "optimizer",
            "lr",
            "good lr",
            *quantities,
            f"steps to loss {target:g}",
            "reached",
            "diverged",
        )
    ]
    for name, contest in contests.items():
        seeds = len(contest.diverged_at)
        cells = [
            _cell(interval(values[np.isfinite(values)]))
            if np.isfinite(values).any()
            else "diverged"
            for values in map(contest.final.__getitem__, quantities)
        ]
        steps = contest.steps_to_target[np.isfinite(contest.steps_to_target)]
        low, high = contest.good_rates
        rows.append(
            (
                name,
                f"{float(contest.hyper.lr):.3g}",
                f"{low:.2g}–{high:.2g}",
                *cells,
                _cell(interval(steps))
                if len(steps)
                else f"never; the lowest loss was {_lowest(contest):.3g}",
                f"{len(steps)}/{seeds}",
                f"{int(np.sum(contest.diverged_at >= 0))}/{seeds}",
            )
        )
    return rows


def _cell(found: Any) -> str:
    estimate, low, high = found[:3]
    return f"{estimate:.3g} [{low:.3g}, {high:.3g}]"


def _lowest(contest: Contest) -> float:
    curve = contest.curves["loss"]
    return float(np.min(np.where(np.isfinite(curve), curve, np.inf)))
