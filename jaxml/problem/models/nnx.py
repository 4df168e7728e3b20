"""The place where a Flax NNX module becomes a pair of pure functions."""

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
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

__all__ = ["from_nnx"]

_mask: ContextVar[Array | None] = ContextVar("mask", default=None)


def from_nnx(
    create: Callable[..., nnx.Module], *, dtype: DTypeLike | None = None
) -> Model:
    """The model of an NNX module, given as the function that makes it of its `rngs`.

    `from_nnx(lambda rngs: Net(64, 10, rngs=rngs))`. Variables of type `nnx.Param`
    become the parameters, random streams are seeded anew from the key of every call,
    and all other variables, such as BatchNorm's averages, are the state. Both are
    nested dicts of arrays, which can be stored. The module is put into training or
    evaluation mode; a `__call__` that names `train` or `mask` is given it. As in
    `from_linen`, padding does not count in an `nnx.BatchNorm`, and dtypes may mix.

    Args:
        create: `rngs -> module`; called once at once, for shapes alone.
        dtype: of the parameters; when not given that of the inputs, or float32 where
            these are integer tokens.

    Raises:
        InputError: a module in place of the function, a function that needs more than
            `rngs`, a module without parameters, or one whose `__call__` needs other
            arguments. At a call: inputs that are no array; outputs that are several;
            training without a key where the module draws; no state where it keeps one.
    """
    make = _maker(create)
    template = nnx.eval_shape(lambda: make(nnx.Rngs(0)))
    if not callable(template):
        raise InputError(
            f"A {type(template).__name__} cannot be called: make a module with a "
            "__call__."
        )
    named = named_arguments(template.__call__)
    definition, *parts = _split(template)
    abstract_params, abstract_rngs, abstract_state = parts
    require_parameters(abstract_params)

    def init(key: Key, inputs: Any) -> tuple[Params, Any]:
        chosen = parameter_dtype(inputs, dtype)
        _, params, _, state = _split(make(nnx.Rngs(key)))
        return cast(nnx.to_pure_dict(params), chosen), cast(
            nnx.to_pure_dict(state), chosen
        )

    def apply(
        params: Params,
        state: Any,
        inputs: Any,
        *,
        train: bool,
        key: Key | None,
        mask: Array | None = None,
    ) -> tuple[jax.Array, Any]:
        if abstract_state and not state:
            raise missing_state()
        streams = _seeded(abstract_rngs, key, train)
        filled = (
            _filled(abstract_params, params),
            streams,
            _filled(abstract_state, state),
        )
        module: Any = nnx.merge(definition, *filled, copy=True)
        module.train() if train else module.eval()
        with (
            jax.numpy_dtype_promotion("standard"),
            _without_padding(module, mask, named),
        ):
            outputs = module(jnp.asarray(inputs), **arguments(named, train, mask))
        require_array(outputs)
        return outputs, nnx.to_pure_dict(_split(module)[-1]) if train else state

    return Model(init, apply)


def _maker(create: Callable[..., nnx.Module]) -> Callable[[nnx.Rngs], nnx.Module]:
    """The function of `rngs` by position, for modules like to take them by name."""
    if isinstance(create, nnx.Module):
        raise InputError(
            f"A {type(create).__name__} has its parameters already: give the function "
            f"that makes it, such as lambda rngs: {type(create).__name__}(..., "
            "rngs=rngs)."
        )
    whole = create if isinstance(create, partial) else partial(create)
    signed = whole.func.__init__ if isinstance(whole.func, type) else whole.func
    given = (None, *whole.args) if isinstance(whole.func, type) else whole.args
    signature = inspect.signature(signed)
    by_name = "rngs" in signature.parameters
    last, named = ((), {"rngs": None}) if by_name else ((None,), {})
    try:
        signature.bind(*given, *last, **whole.keywords, **named)
    except TypeError as reason:
        raise InputError(
            f"No module is made of rngs alone ({reason}): give a function that does, "
            "such as lambda rngs: Net(64, 10, rngs=rngs)."
        ) from reason
    return (lambda rngs: create(rngs=rngs)) if by_name else (lambda rngs: create(rngs))


def _split(module: nnx.Module) -> Any:
    """Definition, parameters, random streams, and the other variables but for what was
    sown on the way.
    """
    definition, params, rngs, _, state = nnx.split(
        module, nnx.Param, nnx.RngState, nnx.Intermediate, ...
    )
    return definition, params, rngs, state


def _filled(abstract: Any, values: Any) -> Any:
    """The variables of that form with these values, a nested dict in the same order."""
    return jax.tree.unflatten(jax.tree.structure(abstract), jax.tree.leaves(values))


def _seeded(abstract: Any, key: Key | None, train: bool) -> Any:
    """Random streams at their beginning, each with a key of its own; in evaluation none
    is drawn from.
    """
    leaves, structure = jax.tree.flatten(abstract)
    if train and leaves and key is None:
        raise InputError("The module draws in training: pass a key.")
    root = jax.random.key(0) if key is None else key

    def seed(index: int, leaf: Any) -> jax.Array:
        if not jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            return jnp.zeros(leaf.shape, leaf.dtype)
        own = jax.random.fold_in(root, index)
        return jax.random.split(own, leaf.shape) if leaf.shape else own

    return jax.tree.unflatten(
        structure, [seed(index, leaf) for index, leaf in enumerate(leaves)]
    )


class _BatchNorm(nnx.BatchNorm):
    """Batch normalisation that leaves out the padding of the batch that is being
    seen.
    """

    def __call__(
        self,
        x: jax.Array,
        use_running_average: bool | None = None,
        *,
        mask: jax.Array | None = None,
    ) -> jax.Array:
        present = _mask.get()
        if mask is None and present is not None:
            mask = beside(present, x)
        return super().__call__(x, use_running_average, mask=mask)


@contextmanager
def _without_padding(
    module: nnx.Module, mask: Array | None, named: frozenset[str]
) -> Iterator[None]:
    """Makes every BatchNorm of a module that is used once leave out the padding."""
    if mask is None or "mask" in named:
        yield
        return
    for _, node in nnx.iter_graph(module):
        if type(node) is nnx.BatchNorm:
            object.__setattr__(node, "__class__", _BatchNorm)
    token = _mask.set(mask)
    try:
        yield
    finally:
        _mask.reset(token)
