"""What a probe of a training is, what it reads of the training, and what it costs."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol, TypeAlias, runtime_checkable

from jaxml.curvature.programs import run
from jaxml.types import InputError, Params


@runtime_checkable
class Watched(Protocol):
    """What a probe reads of a training, a pytree; `learn.TrainState` is one."""

    @property
    def params(self) -> Params:
        """The parameters that descend."""
        ...

    @property
    def opt_state(self) -> Any:
        """The optimizer's state."""
        ...

    @property
    def hyper(self) -> Any:
        """The hyperparameters of the run."""
        ...

    @property
    def data(self) -> Any:
        """What the run sees of the data."""
        ...


class Point(NamedTuple):
    """A point at which a probe is applied outside a training."""

    params: Params
    opt_state: Any = ()
    hyper: Any = ()
    data: Any = ()


class Cost(NamedTuple):
    """What one call of a probe computes, known before it runs.

    Attributes:
        gradients: of the objective on the probe's batch, that included which is
            linearised for the products.
        products: with the Hessian on that batch, about one gradient each.
    """

    gradients: int
    products: int


class Probe(NamedTuple):
    """A measurement during training that keeps a state, so that it starts warm.

    `learn.Probe(probe.init, probe.apply)` makes a training's probe of it.

    Attributes:
        init: `params -> state`.
        apply: `(state, Watched) -> (state, observed)`.
        cost: of one call.
    """

    init: Callable[[Params], Any]
    apply: Callable[[Any, Watched], tuple[Any, Any]]
    cost: Cost


BatchOf: TypeAlias = Callable[[Watched], Any]
"""`Watched -> batch`: on which data a probe measures."""

Update: TypeAlias = Callable[[Watched, Params], Params]
"""`(Watched, gradient) -> parameters after one update by that gradient`, such as
`learn.update(family(train.hyper), gradient, train.opt_state, train.params)[0]`.
"""


def own_data(train: Watched) -> Any:
    """The batch of all that the run itself sees of the data."""
    return train.data


def fixed(batch: Any) -> BatchOf:
    """The batch that is the same for all runs, at all times.

    >>> fixed("all the data")(Point(params=0.0))
    'all the data'
    """

    def batch_of(train: Watched) -> Any:
        del train
        return batch

    return batch_of


def together(probes: Mapping[str, Probe]) -> Probe:
    """Several probes as one, which observes a dict of what they observe.

    The cost is the sum of theirs: what two have in common is computed twice, unless the
    compiler finds it.

    Raises:
        InputError: there is no probe.
    """
    if not probes:
        raise InputError("There is nothing to observe: give one probe or more by name.")

    def init(params: Params) -> dict[str, Any]:
        return {name: probe.init(params) for name, probe in probes.items()}

    def apply(state: Any, train: Watched) -> tuple[dict[str, Any], dict[str, Any]]:
        states, observed = {}, {}
        for name, probe in probes.items():
            states[name], observed[name] = probe.apply(state[name], train)
        return states, observed

    costs = [probe.cost for probe in probes.values()]
    cost = Cost(
        sum(cost.gradients for cost in costs), sum(cost.products for cost in costs)
    )
    return Probe(init, apply, cost)


def probe_of(
    init: Callable[[Params], Any],
    measure: Callable[..., tuple[Any, Any]],
    settings: tuple[Any, ...],
    cost: Cost,
) -> Probe:
    """The probe that applies `measure(*settings, state, train)`.

    Outside a training its program is kept, so that another call compiles nothing.
    """

    def apply(state: Any, train: Watched) -> tuple[Any, Any]:
        return run(measure, settings, state, train)

    return Probe(init, apply, cost)


def stateless(params: Params) -> tuple[()]:
    """The state of a probe that keeps none."""
    del params
    return ()
