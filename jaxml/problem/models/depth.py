"""Dense networks of many equal layers, plain or residual, in one program a shape."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from jaxml.problem.models.adapters import require_floating
from jaxml.problem.models.product import product
from jaxml.types import Array, InputError, Key, Model, Params

__all__ = ["Through", "deep_mlp", "embedded", "matched_width", "mlp_parameters"]

Activation = Callable[[jax.Array], jax.Array]

_TRUNCATED = 0.87962566103423978
"""The standard deviation of a standard normal variable within [-2, 2]."""


class Through(NamedTuple):
    """The state of a deep network: what it makes of its layers, perhaps traced.

    Attributes:
        layers: how many of the hidden layers are passed through, the first ones.
        shortcut: s, the factor of what passes by a hidden layer: 0 of a plain network,
            1 of a residual one.
    """

    layers: ArrayLike
    shortcut: ArrayLike


def mlp_parameters(depth: int, width: int, *, inputs: int, outputs: int) -> int:
    """(inputs + 1) W + (D - 1)(W + 1) W + (W + 1) outputs: weights and biases of D
    hidden layers of W units.

    >>> mlp_parameters(1, 190, inputs=1, outputs=1)
    571
    """
    between = (depth - 1) * (width + 1) * width
    return (inputs + 1) * width + between + (width + 1) * outputs


def matched_width(depth: int, parameters: int, *, inputs: int, outputs: int) -> int:
    """The width at which `depth` hidden layers have a number of parameters nearest to
    the one given; of two, the smaller.

    Args:
        depth: hidden layers, all of that width.
        parameters: weights and biases, to be met.
        inputs: numbers an example.
        outputs: numbers an output.

    Raises:
        InputError: no hidden layer, or fewer parameters than layers of one unit have.

    >>> matched_width(1, 571, inputs=1, outputs=1)
    190
    """
    if depth < 1:
        raise InputError(
            f"A network of {depth} hidden layers has no width: ask for 1 or more."
        )

    def count(width: int) -> int:
        return mlp_parameters(depth, width, inputs=inputs, outputs=outputs)

    if parameters < count(1):
        raise InputError(
            f"{parameters} parameters make no {depth} hidden layers: give "
            f"{count(1)} or more."
        )
    width = 1
    while count(width + 1) <= parameters:
        width += 1
    over, under = count(width + 1) - parameters, parameters - count(width)
    return width + 1 if over < under else width


def deep_mlp(
    width: int,
    depth: int,
    outputs: int,
    activation: Activation,
    *,
    scale: ArrayLike = 1.0,
    shortcut: ArrayLike = 0.0,
) -> Model:
    """z₁ = W₁ x + b₁, then zₖ₊₁ = s zₖ + Wₖ₊₁ σ(zₖ) + bₖ₊₁, and W σ(z_D) + b.

    At a shortcut s = 0 it is `mlp` of D hidden layers of one width; at s = 1 each layer
    but the first adds to its input, as in residual networks of pre-activations. The
    layers lie stacked in one array and are scanned, so that the program does not grow
    with the depth; the state, a `Through`, says how many of them are passed and which
    s, so that one program holds plain and residual networks of every depth up to D. All
    layers cost, passed or not.

    Kernels are normal, truncated at two standard deviations, with variance scale² /
    fan-in: LeCun's at scale 1, which is Xavier's too where a layer has as many inputs
    as outputs; He's at √2. Biases are zero. A residual sum of D - 1 such layers grows
    like 2ᴰ in variance at He's scale, so multiply `hidden` kernels by 1/√D there.

    Args:
        width: of every hidden layer.
        depth: hidden layers, D.
        outputs: of the last layer.
        activation: σ, elementwise.
        scale: multiplies the standard deviation of all kernels; may be traced.
        shortcut: s of the first state; may be traced.

    Raises:
        InputError: a width, depth or number of outputs below 1.

    Source: He et al. 2016, arXiv:1603.05027, equations 3 and 4, one layer a block.
    """
    if min(width, depth, outputs) < 1:
        raise InputError(
            f"{depth} hidden layers of {width} units and {outputs} outputs make no "
            "network: give each as 1 or more."
        )
    whole = Through(depth, shortcut)

    def init(key: Key, inputs: Array) -> tuple[Params, Any]:
        inputs = jnp.asarray(inputs)
        require_floating(inputs)
        size, dtype = inputs[0].size, inputs.dtype
        shapes = {
            "first": (size, width),
            "hidden": (depth - 1, width, width),
            "last": (width, outputs),
        }
        sizes = [math.prod(shape) for shape in shapes.values()]
        drawn = jax.random.truncated_normal(key, -2, 2, (sum(sizes),), jnp.float32)
        parts = jnp.split(drawn.astype(dtype), np.cumsum(sizes)[:-1])
        params = {}
        for (name, shape), part in zip(shapes.items(), parts, strict=True):
            deviation = jnp.asarray(scale, dtype) / (_TRUNCATED * shape[-2] ** 0.5)
            bias = jnp.zeros((*shape[:-2], shape[-1]), dtype)
            params[name] = {"kernel": deviation * part.reshape(shape), "bias": bias}
        state = Through(jnp.int32(depth), jnp.asarray(shortcut, dtype))
        return params, state

    def apply(
        params: Params, state: Any, inputs: Array, *, train: bool, key: Key | None
    ) -> tuple[jax.Array, Any]:
        del train, key
        through = state if isinstance(state, Through) else whole
        inputs = jnp.asarray(inputs)
        require_floating(inputs)
        values = _affine(params["first"], inputs.reshape(len(inputs), -1))
        passing = jnp.asarray(through.shortcut, values.dtype)

        def layer(values: jax.Array, at: tuple[Any, jax.Array]) -> tuple[Any, None]:
            own, place = at
            after = passing * values + _affine(own, activation(values))
            return jnp.where(place < through.layers, after, values), None

        places = jnp.arange(1, depth, dtype=jnp.int32)
        values, _ = jax.lax.scan(layer, values, (params["hidden"], places))
        return _affine(params["last"], activation(values)), state

    return Model(init, apply)


def _affine(layer: Params, values: jax.Array) -> jax.Array:
    sums = product(values, layer["kernel"], (((1,), (0,)), ((), ())))
    return sums + layer["bias"][None]


def embedded(params: Params, depth: int, *, shortcut: float = 0.0) -> Params:
    """Parameters of the same function in more layers: identity layers of a plain
    network of ReLUs, zero layers of a residual one.

    A ReLU of a ReLU is itself, so W = 1 and b = 0 change no value; s = 1, W = 0 and
    b = 0 change none whatever the activation.

    Args:
        params: of `deep_mlp`, the shallower network.
        depth: hidden layers of the deeper one.
        shortcut: s, 0 or 1, of both.

    Raises:
        InputError: the deeper network has fewer layers, or another shortcut.

    Source: He et al. 2016, arXiv:1512.03385, section 1, a solution by construction.
    """
    hidden = params["hidden"]
    more = depth - 1 - len(hidden["bias"])
    if more < 0 or shortcut not in (0, 1):
        raise InputError(
            f"{len(hidden['bias']) + 1} hidden layers with a shortcut of {shortcut} "
            f"cannot be embedded in {depth}: ask for as many or more, and for 0 or 1."
        )
    width = hidden["bias"].shape[-1]
    identity = (1 - int(shortcut)) * jnp.eye(width, dtype=hidden["bias"].dtype)
    kernels = jnp.broadcast_to(identity, (more, width, width))
    biases = jnp.zeros((more, width), hidden["bias"].dtype)
    longer = {
        "kernel": jnp.concatenate([hidden["kernel"], kernels]),
        "bias": jnp.concatenate([hidden["bias"], biases]),
    }
    return {**params, "hidden": longer}
