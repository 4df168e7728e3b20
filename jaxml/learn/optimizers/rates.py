"""How the rate moves: the last part of every optimizer, and what a family is."""

import inspect
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.core import Tracer

from jaxml import tree
from jaxml.learn.schedules import Shape, constant
from jaxml.learn.warmups import reads_horizon, warmup
from jaxml.types import InputError, Params, Scalar


@runtime_checkable
class Family(Protocol):
    """`hyper -> optax.GradientTransformation`: an optimizer before its numbers are
    known.

    It is called inside the traced function, so a grid compiles once. `hyper` is any
    NamedTuple of traced numbers with the fields that it reads. One that takes a
    schedule as well is a `ShapedFamily`; `as_family` makes one of any.
    """

    def __call__(self, hyper: Any, /) -> optax.GradientTransformation:
        """The optimizer with these hyperparameters."""
        ...


@runtime_checkable
class ShapedFamily(Family, Protocol):
    """`(hyper, shape) -> optax.GradientTransformation`: a family whose rate a schedule
    moves.
    """

    def __call__(
        self, hyper: Any, /, shape: Shape = constant
    ) -> optax.GradientTransformation:
        """The optimizer with these hyperparameters, at the rate lr · shape."""
        ...


_NEEDS_NUMBERS = (
    jax.errors.TracerBoolConversionError,
    jax.errors.ConcretizationTypeError,
    jax.errors.TracerIntegerConversionError,
    jax.errors.TracerArrayConversionError,
)


def as_family(family: Family) -> ShapedFamily:
    """`(hyper, shape) -> chain` of any family, also of one that takes the
    hyperparameters alone.

    The updates of such a one are multiplied by shape(step, horizon), which is its rate
    where its updates are proportional to it, as Optax's are. A family that brings a
    shape of its own, such as `partial(learn.adam, shape=learn.cosine)`, keeps it unless
    another than `constant` is handed in.

    Raises:
        InputError: when it is called, the family decides on a traced number, as Optax's
            schedules do.
    """
    build: Callable[..., optax.GradientTransformation] = family
    place = _place_of_shape(family)

    def adapted(hyper: Any, shape: Shape = constant) -> optax.GradientTransformation:
        with traced_numbers():
            if place is None:
                chain = build(hyper)
                return (
                    chain
                    if shape is constant
                    else optax.chain(chain, _scale_by_shape(hyper, shape))
                )
            if shape is constant and place.default is not inspect.Parameter.empty:
                return build(hyper)
            if place.kind is inspect.Parameter.KEYWORD_ONLY:
                return build(hyper, **{place.name: shape})
            return build(hyper, shape)

    return adapted


@contextmanager
def traced_numbers() -> Iterator[None]:
    """Within it, an optimizer that decides on a traced number says so in a sentence.

    Raises:
        InputError: in place of JAX's errors of a traced number that is asked for its
            value.
    """
    try:
        yield
    except _NEEDS_NUMBERS as error:
        raise InputError(_undecidable(error)) from error
    except (
        TypeError
    ) as error:  # a traced number as a key of a dict, or called as a schedule
        if "Tracer" not in str(error):
            raise
        raise InputError(_undecidable(error)) from error


def _place_of_shape(family: Family) -> inspect.Parameter | None:
    """The parameter that takes the shape: the one of that name, or a second that is no
    plain value.
    """
    parameters = list(inspect.signature(family).parameters.values())
    for parameter in parameters:
        if (
            parameter.name == "shape"
            or parameter.kind is inspect.Parameter.VAR_POSITIONAL
        ):
            return parameter
    if len(parameters) < 2 or parameters[1].kind is inspect.Parameter.VAR_KEYWORD:
        return None
    second = parameters[1]
    return (
        second if second.default is second.empty or callable(second.default) else None
    )


def _undecidable(error: Exception) -> str:
    first = str(error).splitlines()[0].rstrip(".")
    return (
        "An optimizer is built of traced hyperparameters, and this one needs their "
        f"values when it is built, as Optax's schedules do ({first}): take a shape of "
        "learn.SHAPES, such as learn.cosine, with hyper.horizon and hyper.warmup, "
        "through learn.scale_by_rate(hyper, shape); and a period of Optax's, such as "
        "that of optax.MultiSteps, as a plain number."
    )


def rate_at(hyper: Any, shape: Shape = constant) -> Callable[[Any], Scalar]:
    """step ↦ lr · shape(step, horizon), after a warm-up of `hyper.warmup` updates if it
    has one.

    Raises:
        InputError: the shape reads the horizon, and none is given.
    """
    rate_shape = warmup(shape, getattr(hyper, "warmup", 0.0))
    horizon = horizon_of(hyper, rate_shape)
    return lambda step: (
        rate_shape(step, horizon) * jnp.asarray(hyper.lr, jnp.result_type(float))
    )


def horizon_of(hyper: Any, shape: Shape) -> Any:
    """The horizon that a shape is to be given: 1 to a shape that does not read it.

    So no program depends on a horizon that its shape does not read, though it were
    handed to a loop or a branch as a whole. A traced horizon of 0, which is none,
    becomes nan, so that the first update shows it.

    Raises:
        InputError: the shape reads the horizon, and none is given.
    """
    horizon = getattr(hyper, "horizon", 0.0)
    if not reads_horizon(shape):
        return 1.0
    if isinstance(horizon, Tracer):
        real = jnp.asarray(horizon, jnp.result_type(float))
        return jnp.where(real > 0, real, jnp.asarray(math.nan, real.dtype))
    if is_zero(horizon):
        raise InputError(without_horizon("The shape of the learning rate"))
    return horizon


def is_zero(number: Any) -> bool:
    """Whether a number is known to be 0 while the program is traced."""
    return not isinstance(number, Tracer) and not np.any(np.asarray(number))


def without_horizon(reader: str) -> str:
    """The sentence that asks for a horizon."""
    return (
        f"{reader} reads the horizon, and none is given: set hyper.horizon to the "
        "length of the run in updates, or take a shape that needs none, such as "
        "learn.constant."
    )


class RateState(NamedTuple):
    """How many updates were made."""

    step: jax.Array


def scale_by_rate(hyper: Any, shape: Shape = constant) -> optax.GradientTransformation:
    """u ← -lr · shape(step, horizon) · u, after a warm-up of `hyper.warmup` updates if
    it has one.

    Reads `lr` and, where they exist, `horizon` and `warmup` of any NamedTuple; so a
    shape handed in is not to be wrapped in `warmup` with the same length.

    Raises:
        InputError: the shape reads the horizon, and none is given.
    """
    rate = rate_at(hyper, shape)
    return _scale_by(lambda step: -rate(step))


def _scale_by_shape(hyper: Any, shape: Shape) -> optax.GradientTransformation:
    """u ← shape(step, horizon) · u."""
    horizon = horizon_of(hyper, shape)
    return _scale_by(lambda step: shape(step, horizon))


def _scale_by(factor: Callable[[Any], Scalar]) -> optax.GradientTransformation:
    """u ← factor(step) · u, steps counted from 0."""

    def init(params: Params) -> RateState:
        del params
        return RateState(jnp.zeros((), jnp.int32))

    def apply(
        updates: Params, state: Any, params: Params | None = None
    ) -> tuple[Params, RateState]:
        del params
        return tree.scale(factor(state.step), updates), RateState(state.step + 1)

    return optax.GradientTransformation(init, apply)
