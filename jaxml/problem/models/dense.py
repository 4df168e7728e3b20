"""Networks of dense layers: linear, polynomial, one layer of units, many layers."""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.linen.initializers import lecun_normal
from jax.typing import ArrayLike

from jaxml.problem.models.adapters import require_floating
from jaxml.problem.models.linen import from_linen
from jaxml.problem.models.product import product
from jaxml.types import Array, InputError, Key, Model, Params

__all__ = ["linear", "mlp", "polynomial", "units"]

Activation = Callable[[jax.Array], jax.Array]


def linear(outputs: int) -> Model:
    """W x + b, with x flattened beyond the batch axis; initial values as in `mlp`."""
    return mlp((outputs,), jax.nn.identity)


def polynomial(degree: int) -> Model:
    """b + Σₖ wₖ xᵏ for k = 1, ..., degree, of inputs `[n, 1]`; linear in its
    parameters.

    Raises:
        InputError: a degree below 1; at a call, inputs that are not `[n, 1]`.
    """
    if degree < 1:
        raise InputError(
            f"A polynomial of degree {degree} ignores its input: choose a degree of 1 "
            "or more."
        )
    line = linear(1)

    def powers(inputs: Array) -> jax.Array:
        if inputs.shape[1:] != (1,):
            raise InputError(
                f"A polynomial takes inputs [n, 1], not {inputs.shape}: pass one "
                "scalar a row."
            )
        return jnp.concatenate(
            [jnp.asarray(inputs) ** k for k in range(1, degree + 1)], axis=-1
        )

    def init(key: Key, inputs: Array) -> tuple[Params, Any]:
        return line.init(key, powers(inputs))

    def apply(
        params: Params, state: Any, inputs: Array, *, train: bool, key: Key | None
    ) -> tuple[jax.Array, Any]:
        return line.apply(params, state, powers(inputs), train=train, key=key)

    return Model(init, apply)


def units(count: int, activation: Activation) -> Model:
    """y = b + cᵀσ(b' + W x) with `count` units and one output: the sum of sigmoids, or
    of ReLUs.

    W and c start as kernels do in `mlp`, b at zero, and b' standard normal, so that the
    units bend at different places; of inputs in [0, 1] a zero b' would leave half the
    ReLUs dead.

    Raises:
        InputError: no unit.
    """
    if count < 1:
        raise InputError(
            f"A network of {count} units has no output: ask for 1 or more."
        )
    return from_linen(_Units(count, activation))


def mlp(
    widths: tuple[int, ...],
    activation: Activation,
    *,
    scale: ArrayLike = 1.0,
    dropout: float = 0.0,
) -> Model:
    """W_L σ(... σ(W₁ x + b₁) ...) + b_L, with x flattened beyond the batch axis.

    Kernels are normal, truncated at two standard deviations, with variance scale² /
    fan-in (LeCun's at scale 1, He's at √2); biases are zero.

    Args:
        widths: of the hidden layers, then of the output.
        activation: σ, elementwise; none follows the last layer.
        scale: multiplies the standard deviation of the kernels; may be traced.
        dropout: the probability with which a hidden value is 0 in training; the others
            are divided by the probability that they stay.

    Raises:
        InputError: no layer, one of width below 1, or a dropout outside [0, 1).

    Source: Srivastava et al. 2014, "Dropout: a simple way to prevent neural networks
    from overfitting".
    """
    if not widths or min(widths) < 1:
        raise InputError(
            f"The widths {widths} make no network: give the output's or more, each at "
            "least 1."
        )
    if not 0 <= dropout < 1:
        raise InputError(
            f"A dropout of {dropout} is no probability below 1: choose from 0 to 0.9."
        )
    return from_linen(_Mlp(tuple(widths), activation, scale, dropout))


class _Units(nn.Module):
    count: int
    activation: Activation

    @nn.compact
    def __call__(self, inputs: jax.Array, *, train: bool) -> jax.Array:
        del train
        require_floating(inputs)
        hidden = nn.Dense(
            self.count,
            name="hidden",
            bias_init=nn.initializers.normal(1.0),
            dot_general=product,
        )(inputs)
        output = nn.Dense(1, name="output", dot_general=product)
        return output(self.activation(hidden))


class _Mlp(nn.Module):
    widths: tuple[int, ...]
    activation: Activation
    scale: ArrayLike
    dropout: float

    @nn.compact
    def __call__(self, inputs: jax.Array, *, train: bool) -> jax.Array:
        require_floating(inputs)
        values = inputs.reshape(inputs.shape[0], -1)
        for index, width in enumerate(self.widths):
            if index:
                values = nn.Dropout(self.dropout, deterministic=not train)(
                    self.activation(values)
                )
            values = nn.Dense(
                width,
                name=f"layer_{index:02}",
                kernel_init=_scaled(self.scale),
                dot_general=product,
            )(values)
        return values


def _scaled(scale: ArrayLike) -> Callable[..., jax.Array]:
    """LeCun's normal initialiser times `scale`."""
    return lambda key, shape, dtype: (
        jnp.asarray(scale, dtype) * lecun_normal()(key, shape, dtype)
    )
