"""The objective of a network that is in training mode."""

from typing import Any, NamedTuple

from jaxml.types import Objective, Params, TrainingLoss


class Seen(NamedTuple):
    """What a network in training mode is given beside its parameters.

    Attributes:
        batch: the examples.
        state: such as BatchNorm's averages, which training mode does not read.
        key: of dropout; None where nothing is drawn.
    """

    batch: Any
    state: Any = None
    key: Any = None


def in_training(loss: TrainingLoss) -> Objective:
    """`(params, Seen) -> loss`, as training sees it: batch normalisation takes the
    batch's own mean and variance, and is differentiated through them.

    The other mode is `problem.objective(model, loss, state=state)`, in which the stored
    averages are constants. Their Hessians differ: in training mode the loss does not
    depend on the length of a kernel k in front of a normalisation (but for its
    epsilon), so that H_kk k = -∂L/∂k. Nor is the loss then a mean over examples: of
    data in parts, each part is normalised by itself.

    A key draws one dropout mask and keeps it, so that the objective is one function.
    State and key are data, not constants: another of them compiles nothing again.

    Args:
        loss: `(params, state, batch, key) -> (loss, state)`, such as
            `problem.training_loss`; the next state is dropped.

    >>> counted = lambda w, state, batch, key: (w * batch, state + 1)
    >>> in_training(counted)(2.0, Seen(batch=3.0, state=0))
    6.0
    """

    def objective(params: Params, seen: Seen) -> Any:
        value, _ = loss(params, seen.state, seen.batch, seen.key)
        return value

    return objective
