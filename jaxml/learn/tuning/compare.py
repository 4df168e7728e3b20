"""A fair comparison of optimizers: every unit is run at every point of every grid.

Tuning is part of what is random. So the units that tune and the units that judge both
run at all points, and who reads the outcome resamples the tuning together with the
units that it is judged on: `record.tuned` does.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxml import randomness
from jaxml.learn.batches import split_anew
from jaxml.learn.optimizers.hyper import validate
from jaxml.learn.optimizers.rates import Family
from jaxml.learn.training.grid import runs_of
from jaxml.learn.training.probes import evaluating
from jaxml.learn.training.state import Training
from jaxml.learn.training.sweep import Runs, sweeping
from jaxml.learn.training.train import training
from jaxml.types import InputError, Keep, Params, Workload, compute_now

Experiment = Callable[[Family], Training]


class Units(NamedTuple):
    """How many independent units tune, and how many others judge.

    A unit is a seed, and with it everything that its run draws: initial weights, order,
    and, in a `Workload`, the examples that it trains on and those that it holds out.
    """

    tuning: int = 10
    judging: int = 10


TEN_EACH = Units()


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
    """What became of one entrant. Units are in the order of seeds: those that tune come
    first.

    Attributes:
        grid: its points.
        tuning: how many of the units tune.
        final: by quantity `[point, unit]`, what the probe saw last; nan where the run
            diverged.
        curves: by quantity `[point, unit, evaluation]`, all that the probe saw.
        updates: `[evaluation]`, after how many updates it came.
        diverged_at: `[point, unit]`, the update at which a run diverged, or -1.
        params: with leading axes `[point, unit]`, where each run is to be evaluated;
            the last finite ones of a run that diverged.
    """

    grid: Any
    tuning: int
    final: dict[str, np.ndarray]
    curves: dict[str, np.ndarray]
    updates: np.ndarray
    diverged_at: np.ndarray
    params: Params


def experiment(
    workload: Workload, *, batch: int, steps: int, every: int | None = None
) -> Experiment:
    """The workload as a function of the family alone, each unit on examples of its own.

    Args:
        workload: such as `problem.digits_workload()`.
        batch: examples an update.
        steps: updates of a run.
        every: updates between two evaluations of the workload's measures; divides
            `steps`. Only the last when not given.

    Raises:
        InputError: as `split_anew`, and, once a family is given, as `training`.
    """
    data, train, test = workload.data, workload.train, workload.test
    batches = split_anew(data, train=train, test=test, size=batch)
    probe = evaluating(workload.measures)

    def of_family(family: Family) -> Training:
        return training(
            workload.start,
            workload.loss,
            family,
            batches,
            steps=steps,
            every=every,
            probe=probe,
        )

    return of_family


def compare(
    experiment: Experiment,
    entrants: Mapping[str, Entrant],
    *,
    lanes: int,
    units: Units = TEN_EACH,
    seed: int = 0,
    keep: Keep = compute_now,
) -> dict[str, Contest]:
    """Runs every unit at every point of every entrant's grid: points x units runs each.

    Each entrant is one compilation, whatever its grid, and several compile at once, on
    as many cores. All entrants see the same units,
    so that differences are paired. A run that diverges is a result.

    Args:
        experiment: `family -> Training` with a probe of named quantities, such as
            `learn.experiment(workload, ...)` or one with `learn.measuring`.
        entrants: by name; their grids have equally many points, so that all are tuned
            at one budget.
        lanes: how many runs advance together.
        units: how many tune and how many judge.
        seed: moves all seeds, as `randomness.seeds` says; 0 begins with the seed 0.
        keep: `(name, compute) -> value`, where storage, resuming and progress hang.

    Raises:
        InputError: no entrants, grids of unequal size, fewer than one unit of a kind, a
            probe without names, or a grid that cannot run, such as one over a field
            that its entrant does not read. All grids are looked at before the first is
            run.
    """
    sizes = {name: runs_of(each.grid) for name, each in entrants.items()}
    if not sizes or min(units) < 1:
        raise InputError(
            "A comparison needs entrants, and units that tune and that judge: give at "
            "least one of each."
        )
    if len(set(sizes.values())) > 1:
        told = ", ".join(f"{count} ({name})" for name, count in sizes.items())
        raise InputError(
            f"The grids have {told} points: tune all over equally many, or the better "
            "tuned one wins."
        )
    trainings = {name: experiment(each.family) for name, each in entrants.items()}
    for name, each in entrants.items():
        _require_entrant(name, each.grid, trainings[name])
    seeds = np.array(randomness.seeds(seed, sum(units)), np.int32)
    sweeps = {
        name: sweeping(trainings[name], _every_unit(each.grid, seeds), lanes=lanes)
        for name, each in entrants.items()
    }
    contests = {}
    for name, each in entrants.items():
        runs = sweeps[name](name, keep)
        contests[name] = _contest(runs, each.grid, trainings[name].every, units)
    return contests


def _require_entrant(name: str, grid: Any, training: Training) -> None:
    """Refuses a grid that cannot be tuned over, before anything is computed."""
    if "seed" not in grid._fields:
        raise InputError(
            f"The grid of {name} has no seed, by which a comparison tells units apart: "
            "add a field of that name."
        )
    validate(grid)
    training.check(grid)


def _every_unit(grid: Any, seeds: np.ndarray) -> Any:
    """The grid with every seed at every point, points before seeds."""
    points = np.repeat(np.arange(runs_of(grid)), len(seeds))
    rows = type(grid)(*(np.asarray(column)[points] for column in grid))
    return rows._replace(seed=np.tile(seeds, runs_of(grid)))


def _contest(runs: Runs, grid: Any, every: int, units: Units) -> Contest:
    probed = runs.trace.probed
    if not isinstance(probed, dict):
        raise InputError(
            "The experiment measures nothing by name: give "
            '`learn.measuring({"loss": ...})` or `learn.evaluating` as its probe.'
        )

    def by_unit(values: Any) -> np.ndarray:
        return np.asarray(values).reshape(-1, sum(units), *np.shape(values)[1:])

    curves = {quantity: by_unit(seen) for quantity, seen in probed.items()}
    diverged_at = by_unit(runs.diverged_at)
    final = {}
    for quantity, seen in curves.items():
        last = seen[:, :, -1]
        ended = np.expand_dims(diverged_at < 0, tuple(range(2, last.ndim)))
        final[quantity] = np.where(ended, last, np.nan)
    evaluations = np.shape(runs.trace.loss)[1] // every
    return Contest(
        grid=grid,
        tuning=units.tuning,
        final=final,
        curves=curves,
        updates=every * np.arange(1, evaluations + 1),
        diverged_at=diverged_at,
        params=jax.tree.map(by_unit, runs.params),
    )


def updates_to(contest: Contest, quantity: str, target: float) -> np.ndarray:
    """Updates until a quantity was first seen at a target or below, inf where never.

    Args:
        contest: from `compare`.
        quantity: the name of one number, such as "loss".
        target: to be reached.

    Returns:
        `[point, unit]`, whole multiples of the updates between two evaluations.

    Raises:
        InputError: a target of nan.
    """
    if np.isnan(target):
        raise InputError(
            "A target of nan is never reached: give the value whose first reaching is "
            "timed."
        )
    reached = contest.curves[quantity] <= target
    first = contest.updates[np.argmax(reached, axis=-1)]
    return np.where(np.any(reached, axis=-1), first, np.inf)


def summary(
    contests: Mapping[str, Contest],
    tuned: Callable[..., Any],
    quantity: str = "test",
) -> list[tuple[str, ...]]:
    """A comparison as rows of text, the first of them the names of the columns.

    Every quantity of one number is shown at the points that are best in `quantity`.

    Args:
        contests: from `compare`.
        tuned: `(scores, values, tuning=count) -> (estimate, low, high, ...)`, such as
            `record.tuned_mean`.
        quantity: that chooses the points, the lower the better.

    Raises:
        InputError: a quantity that was not measured.
    """
    first = next(iter(contests.values()))
    if quantity not in first.final:
        raise InputError(
            f"No {quantity!r} was measured: choose from {', '.join(first.final)}."
        )
    quantities = [name for name, values in first.final.items() if values.ndim == 2]
    rows = [("optimizer", "lr", *quantities, "diverged")]
    for name, contest in contests.items():
        scores = contest.final[quantity]
        cell = partial(_cell, tuned, scores, contest.tuning)
        point = chosen(scores, contest.tuning)
        rate = float(np.asarray(contest.grid.lr)[point])
        lost = int(np.sum(contest.diverged_at[point, contest.tuning :] >= 0))
        judged = contest.diverged_at.shape[1] - contest.tuning
        cells = [cell(contest.final[each]) for each in quantities]
        rows.append((name, f"{rate:.3g}", *cells, f"{lost}/{judged}"))
    return rows


def chosen(scores: np.ndarray, tuning: int) -> int:
    """The point whose mean score over the tuning units is lowest.

    A point at which one of them diverged is not chosen while there is another.

    Args:
        scores: `[point, unit]`; not finite where a run diverged.
        tuning: how many of the units tune, the first ones.
    """
    means = np.mean(np.asarray(scores)[:, :tuning], axis=1, dtype=np.float64)
    return int(np.argmin(np.where(np.isfinite(means), means, np.inf)))


def _cell(
    tuned: Callable[..., Any], scores: np.ndarray, tuning: int, values: np.ndarray
) -> str:
    estimate, low, high = tuned(scores, values, tuning=tuning)[:3]
    return f"{estimate:.3g} [{low:.3g}, {high:.3g}]"
