"""What an optimizer reads of its hyperparameters, and the refusal of a grid over what
it does not.
"""

from collections.abc import Collection
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxml.learn.dataflow import depends
from jaxml.learn.optimizers import door
from jaxml.learn.optimizers.hyper import Hyper
from jaxml.learn.optimizers.rates import (
    Family,
    as_family,
    traced_numbers,
    without_horizon,
)
from jaxml.types import Hypers, InputError, Params

POINT = Hyper(lr=1.0, horizon=1.0)
PARAMS = {"matrix": np.zeros((2, 3), np.float32), "vector": np.zeros(3, np.float32)}


def reads(
    family: Family, hyper: Any = POINT, params: Params = PARAMS
) -> frozenset[str]:
    """The names of the hyperparameters on which the state or the updates of a family
    depend.

    Found by the flow of data through one trace of `init` and one of `update`, so it
    holds for any family, shape and wrapper. What is not named has no effect; what is
    named may have none where the optimizer calls jitted functions or loops of its own.

    Args:
        family: any family; a shape of its own may be bound to it.
        hyper: one point of any NamedTuple; its values are not looked at.
        params: parameters, or their shapes; not the same rules act on matrices and on
            vectors.

    >>> from jaxml import learn
    >>> sorted(reads(learn.momentum))
    ['lr', 'momentum', 'warmup', 'weight_decay']
    """
    build, params = as_family(family), _abstract(params)
    hyper = jax.tree.map(
        lambda x: jax.ShapeDtypeStruct(jnp.shape(x), jnp.result_type(x)), hyper
    )

    def begin(hyper: Any, params: Params) -> Any:
        return door.begin(build(hyper), params)

    def update(hyper: Any, params: Params, state: Any) -> Any:
        value = jnp.zeros(())
        extra = {"value": value, "grad": params, "value_fn": lambda params: value}
        with traced_numbers():
            return door.step_of(build(hyper), params, state, params, extra)

    with jax.numpy_dtype_promotion("standard"):
        state = jax.eval_shape(begin, hyper, params)
        flows = depends(begin, hyper, params), depends(update, hyper, params, state)
    return frozenset(name for flow in flows for name in named(hyper, flow))


def named(hyper: Any, flow: list[bool]) -> set[str]:
    """The fields that a flow, in the order of the leaves of `hyper`, marks."""
    paths = [path for path, _ in jax.tree_util.tree_leaves_with_path(hyper)]
    return {path[0].name for path, used in zip(paths, flow, strict=False) if used}


def varied(hypers: Any) -> list[str]:
    """The fields that do not have one value throughout a grid."""
    columns = hypers._asdict().items()
    return [name for name, column in columns if np.unique(np.asarray(column)).size > 1]


def check_grid(family: Family, hypers: Hypers, params: Params = PARAMS) -> Hypers:
    """Returns the grid if the family reads what varies in it, and has the horizon that
    it reads.

    Raises:
        InputError: a field varies that the family does not read (`seed` excepted), or a
            horizon is missing.
    """
    read = reads(family, first(hypers), params)
    require_read(hypers, read)
    return require_horizon(hypers, read)


def require_read(hypers: Hypers, read: Collection[str]) -> Hypers:
    """Refuses a grid over a field that is not read."""
    unread = [name for name in varied(hypers) if name != "seed" and name not in read]
    if unread:
        raise InputError(
            f"the grid varies {unread[0]}, which the optimizer does not read (it "
            f"reads {', '.join(sorted(read))}): drop that axis, or take a family or "
            "a wrapper that reads it."
        )
    return hypers


def require_horizon(hypers: Hypers, read: Collection[str]) -> Hypers:
    """Refuses a grid without the horizon that is read."""
    horizon = np.asarray(getattr(hypers, "horizon", 0.0))
    if "horizon" in read and not np.all(horizon > 0):
        raise InputError(without_horizon("The optimizer's schedule"))
    return hypers


def check_training(
    hypers: Hypers, *, init: Any, start: Any, family: Family, probe: Any
) -> Hypers:
    """The grid, if what varies in it is read, and the horizon that is read is given."""
    point = first(hypers)
    params, _ = jax.eval_shape(start, jax.random.key(0))
    read = reads(family, point, params)
    if not {"seed", *read} >= set(varied(hypers)):
        read |= _seen_by(probe, point, jax.eval_shape(init, point))
    require_read(hypers, read)
    return require_horizon(hypers, read)


def _seen_by(probe: Any, hyper: Any, state: Any) -> set[str]:
    """The hyperparameters on which what a probe observes depends."""

    def observed(hyper: Any, state: Any) -> Any:
        return probe.apply(state.probe, state._replace(hyper=hyper))

    return named(hyper, depends(observed, state.hyper, state))


def first(hypers: Any) -> Any:
    """The first point of a grid, or the point itself."""
    return type(hypers)(*(np.ravel(np.asarray(column))[0] for column in hypers))


def _abstract(params: Params) -> Params:
    return jax.tree.map(
        lambda x: jax.ShapeDtypeStruct(jnp.shape(x), jnp.result_type(x)), params
    )
