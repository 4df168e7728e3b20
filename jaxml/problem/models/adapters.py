"""What the adapters of module libraries share: the arguments of a call, dtypes, and the
mask of a batch.
"""

import inspect
from collections.abc import Callable, Collection
from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from jaxml.types import Array, InputError

_GIVEN = ("train", "mask")


def named_arguments(
    call: Callable[..., Any], *, refused: Collection[str] = ()
) -> frozenset[str]:
    """Which of `train` and `mask` a module's bound `__call__` names, beside its inputs.

    Raises:
        InputError: it needs another argument, takes one of the refused ones, or has no
            place for inputs.
    """
    parameters = list(inspect.signature(call).parameters.values())
    if not parameters or parameters[0].kind is inspect.Parameter.KEYWORD_ONLY:
        raise InputError(
            "The module's __call__ takes no inputs in the first place: wrap it in a "
            "module that takes (inputs, *, train)."
        )
    for parameter in parameters[1:]:
        variadic = parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
        needed = parameter.default is parameter.empty and not variadic
        if parameter.name not in _GIVEN and (needed or parameter.name in refused):
            raise InputError(
                f"The module's __call__ takes {parameter.name!r}, which nobody gives "
                "it: wrap it in a module that takes (inputs, *, train)."
            )
    return frozenset(_GIVEN) & {parameter.name for parameter in parameters}


def arguments(named: frozenset[str], train: bool, mask: Array | None) -> dict[str, Any]:
    """Of `train` and `mask` those that a call names."""
    given = {"train": train, "mask": mask}
    return {name: value for name, value in given.items() if name in named}


def parameter_dtype(inputs: Any, dtype: DTypeLike | None) -> Any:
    """The dtype asked for, else that of floating-point inputs, else float32.

    Raises:
        InputError: the inputs are no array, or an example holds no value.
    """
    if not hasattr(inputs, "shape"):
        raise InputError(
            f"The inputs are a {type(inputs).__name__}: join its arrays into one array "
            "[n, ...], and take it apart in the module."
        )
    if 0 in inputs.shape[1:]:
        raise InputError(
            f"Inputs {inputs.shape} hold nothing to learn from: give each example a "
            "value."
        )
    if dtype is not None:
        return dtype
    return inputs.dtype if jnp.issubdtype(inputs.dtype, jnp.floating) else jnp.float32


def require_floating(inputs: Array) -> None:
    """Passes inputs of floating point.

    Raises:
        InputError: others, such as tokens or images of bytes.
    """
    if not jnp.issubdtype(inputs.dtype, jnp.floating):
        raise InputError(
            f"The inputs are {inputs.dtype}: cast them to float32 or float64."
        )


def require_parameters(params: Any) -> None:
    """Passes parameters with at least one array.

    Raises:
        InputError: there is none.
    """
    if not jax.tree.leaves(params):
        raise InputError(
            "The module has no parameters: give it a layer that has some to train."
        )


def require_array(outputs: Any) -> None:
    """Passes the outputs of a module that are one array.

    Raises:
        InputError: they are several, or none.
    """
    if not isinstance(outputs, jax.Array):
        kind = type(outputs).__name__
        raise InputError(
            f"The module returns a {kind}: wrap it in one that returns a single array "
            "[n, ...]."
        )


def missing_state() -> InputError:
    """What is raised where a module keeps a state and was given none."""
    return InputError(
        "The module keeps a state, such as BatchNorm's averages, and was given none: "
        "pass the one that training left as state=."
    )


def cast(leaves: Any, dtype: DTypeLike) -> Any:
    """The floating-point leaves in that dtype, the others as they are."""
    return jax.tree.map(
        lambda x: x.astype(dtype) if jnp.issubdtype(x.dtype, jnp.floating) else x,
        leaves,
    )


def beside(mask: Array, values: Array) -> jax.Array:
    """The mask `[n]` of a batch with one axis for each of the values `[n, ...]` that
    are normalised.

    Raises:
        InputError: the leading axis of the values is not that of the batch.
    """
    if values.ndim < 1 or values.shape[0] != mask.shape[0]:
        raise InputError(
            f"BatchNorm normalises values {values.shape} in a batch of "
            f"{mask.shape[0]}, so padding cannot be told: let the module's __call__ "
            "take `mask`, and give BatchNorm one of its own."
        )
    return jnp.reshape(mask, (-1, *[1] * (values.ndim - 1)))
