"""What to try next, from what the trainings of a diagnosis have shown."""

from typing import NamedTuple

import numpy as np

from jaxml.learn.diagnosis.causes import Place, Verdict, lowest
from jaxml.learn.diagnosis.shift import Shift
from jaxml.learn.diagnosis.trained import Losses


class Evidence(NamedTuple):
    """What the trainings showed.

    Attributes:
        sizes: of the simpler, the diagnosed and the larger model.
        rates: learning rates, `[factor]`.
        updates: after how many updates losses were taken, `[time]`.
        own: the place of the diagnosed training's rate.
        simpler: losses of the simpler model.
        diagnosed: of the diagnosed one.
        larger: of the larger one.
        fractions: of the training examples, for the learning curve.
        fewer: losses of the diagnosed training on each fraction of them.
        embedded: training losses of each seed, `[time, seed]`, from the best simpler
            solution on, the first before any update; None where none can be embedded.
        shift: of the test inputs from the training inputs.
    """

    sizes: tuple[int, int, int]
    rates: np.ndarray
    updates: np.ndarray
    own: int
    simpler: Losses
    diagnosed: Losses
    larger: Losses
    fractions: tuple[float, ...]
    fewer: tuple[Losses, ...]
    embedded: np.ndarray | None
    shift: Shift


def advice(verdict: Verdict, seen: Evidence, *, margin: float) -> str:
    """The next thing to try, with what it brought here where it was tried."""
    if verdict == "optimization":
        return _of_optimization(seen, margin)
    if verdict == "model bias":
        best = seen.larger.held_out[lowest(seen.larger.held_out)]
        return (
            f"Take a larger model: size {seen.sizes[2]} reaches a held-out loss of "
            f"{np.mean(best):.3g}."
        )
    if verdict == "overfitting":
        return _of_overfitting(seen)
    if verdict == "mismatch":
        return _of_mismatch(seen.shift)
    return {
        "noise floor": (
            "Look for inputs that say more, or for errors in the targets: no model, "
            "rate or time that was tried fits better."
        ),
        "fine": "Nothing: the test loss is at the goal.",
        "undecided": (
            "Run more seeds, or name a larger margin: no cause is larger than the "
            "margin beyond doubt."
        ),
    }[verdict]


def mildest(seen: Evidence, margin: float) -> Place:
    """Of the trainings of the diagnosed model that end within the margin of its best,
    the shortest, and of those the one whose rate is changed least.
    """
    means = np.mean(seen.diagnosed.train, axis=-1)
    enough = means <= np.min(means) + margin
    time = int(np.argmax(np.any(enough, axis=0)))
    factors = np.flatnonzero(enough[:, time])
    return Place(int(factors[np.argmin(np.abs(factors - seen.own))]), time)


def _of_optimization(seen: Evidence, margin: float) -> str:
    """The training that was lower, by its model, rate and time."""
    lost = int(np.sum(seen.diagnosed.diverged[seen.own]))
    seeds = seen.diagnosed.diverged.shape[1]
    diverged = f"{lost} of {seeds} runs diverged. " if lost else ""
    ours, theirs = mildest(seen, margin), lowest(seen.simpler.train)
    our_loss = float(np.mean(seen.diagnosed.train[ours]))
    their_loss = float(np.mean(seen.simpler.train[theirs]))
    if their_loss < our_loss - margin:
        return (
            f"{diverged}The simpler model of size {seen.sizes[0]}, which this one "
            f"contains, fits the training examples better ({their_loss:.3g} against "
            f"{our_loss:.3g} at the best rate): start from its solution, or give the "
            "model residual connections or normalisation."
        )
    return (
        f"{diverged}Train at a rate of {seen.rates[ours.factor]:.3g} for "
        f"{seen.updates[ours.time]} updates: the same model then has a training loss "
        f"of {our_loss:.3g}."
    )


def _of_overfitting(seen: Evidence) -> str:
    """What more data or a simpler model brings."""
    now = _at(seen.diagnosed.held_out, seen.own)
    best = float(np.mean(seen.simpler.held_out[lowest(seen.simpler.held_out)]))
    half = _at(seen.fewer[-1].held_out, 0)
    data = (
        f"Collect more data (from {seen.fractions[-1]:.0%} of the examples to all of "
        f"them the held-out loss fell from {half:.3g} to {now:.3g})"
        if now < half
        else "Regularise or stop early"
    )
    if best >= now:
        return f"{data}, or regularise: a penalty, dropout, augmentation, fewer inputs."
    return (
        f"{data}, or take a simpler model: size {seen.sizes[0]} reaches a held-out "
        f"loss of {best:.3g}."
    )


def _of_mismatch(shift: Shift) -> str:
    """Whether the inputs themselves have moved."""
    moved = (
        f"their inputs differ (nearest neighbours tell them apart, p = {shift.p:.2g})"
        if shift.p < 0.05
        else "their inputs look alike, so what is asked for may have changed"
    )
    return (
        f"Compare training and test data: {moved}. More data of the same kind would "
        "not help; collect training data like the test set."
    )


def _at(losses: np.ndarray, factor: int) -> float:
    return float(np.mean(losses[Place(factor, 0)]))
