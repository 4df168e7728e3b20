"""The place where a Flax Linen module becomes a pair of pure functions."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.errors import InvalidRngError, ScopeCollectionNotFound
from jax.typing import DTypeLike

from jaxml.problem.models.adapters import (
    arguments,
    beside,
    cast,
    missing_state,
    named_arguments,
    parameter_dtype,
    require_array,
    require_parameters,
)
from jaxml.types import Array, InputError, Key, Model, Params

__all__ = ["from_linen"]

_MODES = ("deterministic", "training", "is_training", "use_running_average")
"""By these a module says whether it trains, where `train` is asked for."""


def from_linen(module: nn.Module, *, dtype: DTypeLike | None = None) -> Model:
    """The model of a Linen module whose `__call__` takes inputs, and `train` and `mask`
    if it names them.

    Its collection `params` becomes the parameters, all others the state. Initialisation
    runs in float32 on one example of zeros and is cast to the dtype of the inputs, so
    both precisions start from the same network. In training the key feeds the stream
    `dropout` and the state is updated; in evaluation the state is returned as it came.
    Flax's normalisation layers mix float32 and float64, which strict promotion forbids;
    here it may.

    Padding does not count: in training every `nn.BatchNorm` takes its statistics over
    the examples of positive weight. A module that names `mask`, `[n]` and true where an
    example counts, is given it and hands on to its layers what they need; one that is
    called without a mask counts all.

    Args:
        module: the network.
        dtype: of the parameters; when not given that of the inputs, or float32 where
            these are integer tokens.

    Raises:
        InputError: no instance of a module, or one whose `__call__` needs other
            arguments. At a call: inputs that are no array, no parameters, outputs that
            are several arrays, a BatchNorm without its state, or one whose values do
            not lead with the batch axis, a random stream that is not called `dropout`,
            or none to draw from.
    """
    if not isinstance(module, nn.Module) or not hasattr(module, "__call__"):  # noqa: B004  # Linen's own lookup
        raise InputError(
            "This is no Linen module that can be called: give an instance with a "
            "__call__."
        )
    named = named_arguments(module.__call__, refused=_MODES)

    def init(key: Key, inputs: Any) -> tuple[Params, Any]:
        chosen = parameter_dtype(inputs, dtype)
        floating = jnp.issubdtype(inputs.dtype, jnp.floating)
        example = jnp.zeros(
            (1, *inputs.shape[1:]), jnp.float32 if floating else jnp.int32
        )
        with jax.numpy_dtype_promotion("standard"):
            variables = module.init(key, example, **arguments(named, False, None))
        state = {name: cast(leaves, chosen) for name, leaves in variables.items()}
        params = state.pop("params", {})
        require_parameters(params)
        return params, state

    def apply(
        params: Params,
        state: Any,
        inputs: Any,
        *,
        train: bool,
        key: Key | None,
        mask: Array | None = None,
    ) -> tuple[jax.Array, Any]:
        variables = {"params": params, **state}
        rngs = None if key is None else {"dropout": key}
        updates = list(state) if train else []
        with jax.numpy_dtype_promotion("standard"), _without_padding(mask, named):
            try:
                outputs, updated = module.apply(
                    variables,
                    jnp.asarray(inputs),
                    rngs=rngs,
                    mutable=updates,
                    **arguments(named, train, mask),
                )
            except ScopeCollectionNotFound as reason:
                raise missing_state() from reason
            except InvalidRngError as reason:
                raise _missing_stream(key) from reason
        require_array(outputs)
        return outputs, {**state, **updated}

    return Model(init, apply)


def _missing_stream(key: Key | None) -> InputError:
    if key is None:
        return InputError(
            "The module draws random numbers: pass a key in training, and draw only "
            "there."
        )
    return InputError(
        "The module draws from a random stream of its own: let it draw from `dropout`, "
        "which the key feeds."
    )


def _without_padding(
    mask: Array | None, named: frozenset[str]
) -> AbstractContextManager[None]:
    """Gives every BatchNorm the mask of the batch, unless the module has taken that
    upon itself.
    """
    if mask is None or "mask" in named:
        return nullcontext()

    def intercept(
        call: Callable[..., Any], args: Any, options: Any, context: Any
    ) -> Any:
        normalises = (
            isinstance(context.module, nn.BatchNorm)
            and context.method_name == "__call__"
        )
        if normalises and options.get("mask") is None:
            options = {**options, "mask": beside(mask, args[0])}
        return call(*args, **options)

    return nn.intercept_methods(intercept)
