"""Is a network with too many layers worse because it overfits?

Notes on depth say that too many layers overfit. The course's own guide asks first
whether training succeeded: a deeper network that is worse on held-out examples overfits
only if it is no worse on those that trained it. So the runs of `plain_depth`, dense
networks of 20 and 56 hidden layers, are asked two things:

- *Plain* layers, where 56 are worse than 20 on held-out pictures: is their training
  error no higher? If they overfit, it is not; if it is higher by more than two pictures
  in a hundred, too many layers are too hard to train, which is another trouble with
  another cure.
- *Residual* layers, where 56 can be trained: is their held-out error higher than that
  of 20, by more than two pictures in a hundred? If too many layers overfit, it is; if
  it is not, 36 layers more than needed cost nothing once they are trained.

Both could come out either way: nothing makes 56 layers fail on training pictures, and a
network of nearly three times as many weights could well overfit 512 pictures. Each
network has the rate that is best for what is judged. Control, which must come out as
higher: the held-out error of 56 plain layers, without which there is no trouble that a
name could be given to. A finding of its own counts units in which the deeper network
fails already in training.

Units, data and budget are those of `plain_depth`, whose first results were known when
this was written, and so were the signs of what is judged here; replicates on fresh
seeds were not.

Not tested: convolution, depths between, long training, networks without normalisation.

Claims: X8.
Sources: He et al. 2016, arXiv:1512.03385, figure 1.
Cost: seconds, after `plain_depth`.
Expect: plain networks fail in training, and residual ones do not overfit.
Run: jaxml run too_many_layers
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from jaxml import record
from jaxml.record import Arm, Assertion
from jaxml.record.comparisons import at_tuned, compared
from jaxml.record.figures import Figure, label, panels, shared_legend
from jaxml.types import Keep

NEEDS = ("plain_depth",)
DATA = ("8x8 digits", "clothing of 7x7 pixels")
KINDS = ("plain", "residual")
PLAIN, RESIDUAL = range(len(KINDS))
TRAINING, HELD_OUT = range(2)
REASON = "two pictures in a hundred"
HIGHER = record.above(0.0, margin=0.02, reason=REASON)
NOT_HIGHER = record.below(0.01, margin=0.01, reason=REASON)
OFTEN = record.above(0.5)


@dataclass(frozen=True, kw_only=True)
class Config:
    """The seed of those runs, and of intervals."""

    seed: int = 0


SMOKE = Config()


class Result(NamedTuple):
    """What `plain_depth` found, by data set, kind of network, depth and rate. Units
    that tune come first.

    Attributes:
        error: fraction of training and of held-out pictures told wrongly at the end.
        depths: hidden layers.
        width: units of a layer.
        train: pictures of a unit.
        steps: updates.
        tuning: how many of the units tune.
        seed: of intervals.
    """

    error: Float[np.ndarray, "data kind depth rate unit error"]
    depths: Int[np.ndarray, " depth"]
    width: Int[np.ndarray, ""]
    train: Int[np.ndarray, ""]
    steps: Int[np.ndarray, ""]
    tuning: Int[np.ndarray, ""]
    seed: Int[np.ndarray, ""]


def study(config: Config, keep: Keep, plain_depth: Any) -> Result:
    """From the runs of `plain_depth`."""
    del keep
    return Result(**plain_depth._asdict(), seed=np.array(config.seed))


def findings(result: Result) -> tuple[Assertion, ...]:
    """Four on each data set."""
    return tuple(
        assertion
        for place in range(len(result.error))
        for assertion in _of_data(result, place)
    )


def _of_data(result: Result, place: int) -> tuple[Assertion, ...]:
    """What decides, the control, and in how many units training fails."""
    shallow, deep = result.depths
    judged = partial(_judged, result, place)
    return (
        judged(
            record.deciding,
            f"Plain networks of {deep} hidden layers end at a training error no higher "
            f"than that of {shallow}, as networks that overfit do.",
            (PLAIN, TRAINING),
            NOT_HIGHER,
        ),
        judged(
            record.deciding,
            f"Residual networks of {deep} hidden layers, which train, end at a higher "
            f"held-out error than those of {shallow}.",
            (RESIDUAL, HELD_OUT),
            HIGHER,
        ),
        judged(
            record.supporting,
            f"Control: plain networks of {deep} hidden layers end at a higher held-out "
            f"error than those of {shallow}.",
            (PLAIN, HELD_OUT),
            HIGHER,
        ),
        record.supporting(
            "X8",
            f"Plain networks of {deep} hidden layers end at a training error that is "
            f"higher than that of {shallow} by more than two pictures in a hundred, in "
            "more than half of the units.",
            record.proportion(_fails_in_training(result, place), of=result.error),
            OFTEN,
            unit="fraction",
            setting=_setting(result, place, PLAIN),
        ),
    )


def _judged(
    result: Result,
    place: int,
    role: Callable[..., Assertion],
    statement: str,
    of: tuple[int, int],
    rule: record.Rule,
) -> Assertion:
    """The error of the deeper network minus that of the other, of a kind of network and
    of pictures.
    """
    deep, shallow = _arms(result, place, *of)
    measured = record.tuned(
        record.mean_difference,
        deep,
        shallow,
        tuning=int(result.tuning),
        seed=int(result.seed),
    )
    return role(
        "X8",
        statement,
        measured,
        rule,
        unit="fraction difference",
        setting=_setting(result, place, of[0]),
    )


def _setting(result: Result, place: int, kind: int) -> str:
    return (
        f"{KINDS[kind]} layers: {DATA[place]} ({result.train:,} drawn anew), dense, "
        f"{result.width} ReLUs a layer with batch normalisation, {result.steps:,} "
        "updates of 32 by momentum, rates tuned for each"
    )


def _arms(result: Result, place: int, kind: int, error: int) -> tuple[Arm, Arm]:
    """The deeper network and the other; an end of the rates is an edge where errors
    fall towards it.
    """
    arms = []
    for values in result.error[place, kind, ::-1, ..., error]:
        means = np.mean(values, axis=-1)
        edges = np.zeros(len(means), bool)
        edges[[0, -1]] = means[[1, -2]] - means[[0, -1]] > HIGHER.margin / 2
        arms.append(Arm(values, edges=edges))
    deep, shallow = arms
    return deep, shallow


def _fails_in_training(result: Result, place: int) -> np.ndarray:
    """Of judging units, whether the deeper plain network's training error is higher."""
    deep, shallow = _arms(result, place, PLAIN, TRAINING)
    tuning = int(result.tuning)
    return at_tuned(deep, tuning) > at_tuned(shallow, tuning) + HIGHER.margin


def figures(result: Result) -> dict[str, Figure]:
    """Unit by unit: how much higher the errors of the deeper network are."""
    count = len(result.error)
    figure, axes = panels(1, count, height=3.4)
    for place, axis in enumerate(axes):
        rows = {
            "plain, training": _arms(result, place, PLAIN, TRAINING),
            "plain, held-out": _arms(result, place, PLAIN, HELD_OUT),
            "residual, held-out": _arms(result, place, RESIDUAL, HELD_OUT),
        }
        compared(axis, rows, HIGHER, tuning=int(result.tuning))
        label(axis, DATA[place], "error, deeper minus other (fraction)", "networks")
    shared_legend(figure)
    return {"errors": figure}
