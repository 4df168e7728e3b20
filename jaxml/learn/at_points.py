"""Training whose network, loss and batches depend on traced numbers of each run."""

from collections.abc import Callable
from typing import Any

from jaxml.learn.optimizers.hyper import validate
from jaxml.learn.training.state import Info, Trace, Training, TrainState
from jaxml.types import Params

__all__ = ["at_each_point", "starting_from"]


def at_each_point(of_point: Callable[[Any], Training], point: Any) -> Training:
    """Training in which a run's own hyperparameters make its experiment, all runs in
    one program.

    So the strength of a penalty, of dropout or of an augmentation, the fold that is
    held out, or the number of units in use, become an axis of a grid beside the rate.
    The grid's fields are not checked for being read, since no optimizer reads these.

    Args:
        of_point: `hyper -> Training`; shapes and lengths must be those of every point,
            and all else may depend on the traced fields.
        point: any one, for the shapes.

    >>> from typing import NamedTuple
    >>> import jax.numpy as jnp
    >>> from jaxml import learn
    >>> from jaxml.types import Batch
    >>> class Point(NamedTuple):
    ...     lr: Any
    ...     target: Any
    ...     momentum: Any = 0.0
    ...     weight_decay: Any = 0.0
    ...     warmup: Any = 0.0
    ...     horizon: Any = 0.0
    ...     seed: Any = 0
    >>> def of_point(point):
    ...     def loss(params, state, batch, key):
    ...         return jnp.sum((params - point.target) ** 2), state
    ...     data = Batch(jnp.ones((1, 1)), jnp.ones(1), jnp.ones(1))
    ...     start = lambda key: (jnp.zeros(1), ())
    ...     return learn.training(start, loss, learn.sgd, learn.full(data), steps=1)
    >>> training = at_each_point(of_point, Point(0.5, 0.0))
    >>> grid = learn.grid(Point, lr=[0.5], target=[2.0, 3.0])
    >>> learn.sweep(training, grid, lanes=2).params[:, 0].tolist()
    [2.0, 3.0]
    """
    plain = of_point(point)

    def init(hyper: Any, params: Params, model_state: Any) -> TrainState:
        return of_point(hyper).init(hyper, params, model_state)

    def step(state: TrainState, batch: Any) -> tuple[TrainState, Info]:
        return of_point(state.hyper).step(state, batch)

    def run(state: TrainState, data: Any) -> tuple[TrainState, Trace]:
        return of_point(state.hyper).run(state, data)

    return plain._replace(init=init, step=step, run=run, check=validate)


def starting_from(training: Training, change: Callable[[Params], Params]) -> Training:
    """The training of runs whose initial parameters are changed as their point says.

    A sweep initialises each seed once, by one point, for all runs of that seed; what a
    point changes in it, such as which units are in use, is done here.

    Args:
        training: of one point.
        change: of the initial parameters; traced with the point.
    """

    def init(hyper: Any, params: Params, model_state: Any) -> TrainState:
        return training.init(hyper, change(params), model_state)

    return training._replace(init=init)
