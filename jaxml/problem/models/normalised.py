"""Dense networks with batch normalisation."""

from collections.abc import Callable

import flax.linen as nn
import jax

from jaxml.problem.models.adapters import require_floating
from jaxml.problem.models.linen import from_linen
from jaxml.problem.models.product import product
from jaxml.types import InputError, Model

__all__ = ["batch_normalised"]


def batch_normalised(
    widths: tuple[int, ...],
    activation: Callable[[jax.Array], jax.Array],
    *,
    kept: float = 0.0,
) -> Model:
    """σ(γ (z - mean) / √(variance + 1e-5) + β) in each hidden layer, z = W x of its
    inputs, and a last layer W x + b.

    Mean and variance are those of each unit over the batch in training, and those of
    the state in evaluation; the variance is that of the examples, over n. Kernels and
    the last bias start as those of `problem.mlp`, γ at 1 and β at 0.

    Args:
        widths: of the hidden layers, then of the output.
        activation: σ, elementwise; none follows the last layer.
        kept: how much of the state an update keeps, the batch's statistics being the
            rest; 0 makes the state the statistics of the last batch, and so, after a
            call on all examples, theirs.

    Raises:
        InputError: no layer, one of width below 1, or `kept` outside [0, 1).

    Source: Ioffe and Szegedy 2015, arXiv:1502.03167, algorithm 1.
    """
    if not widths or min(widths) < 1:
        raise InputError(
            f"The widths {widths} make no network: give the output's or more, each at "
            "least 1."
        )
    if not 0 <= kept < 1:
        raise InputError(
            f"A state of which {kept} is kept learns of no batch: choose from 0 to "
            "0.99."
        )
    return from_linen(_Normalised(tuple(widths), activation, kept))


class _Normalised(nn.Module):
    widths: tuple[int, ...]
    activation: Callable[[jax.Array], jax.Array]
    kept: float

    @nn.compact
    def __call__(self, inputs: jax.Array, *, train: bool) -> jax.Array:
        require_floating(inputs)
        values = inputs.reshape(inputs.shape[0], -1)
        *hidden, last = self.widths
        for index, width in enumerate(hidden):
            dense = nn.Dense(
                width,
                use_bias=False,
                name=f"layer_{index:02}",
                dot_general=product,
            )
            norm = nn.BatchNorm(
                use_running_average=not train,
                momentum=self.kept,
                use_fast_variance=False,
                name=f"norm_{index:02}",
            )
            values = self.activation(norm(dense(values)))
        name = f"layer_{len(hidden):02}"
        return nn.Dense(last, name=name, dot_general=product)(values)
