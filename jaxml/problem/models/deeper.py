"""A network's function in a deeper network: identity layers, and blocks that add 0.

If the deeper one, trained from its own start, ends at a higher training loss than the
shallow one that it contains, the optimization has failed, not the model.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from jaxml.problem.models.dense import mlp
from jaxml.types import InputError, Key, Params

__all__ = ["deepened", "with_zero_blocks"]

Activation = Callable[[jax.Array], jax.Array]


def deepened(
    params: Params, widths: tuple[int, ...], activation: Activation = jax.nn.relu
) -> Params:
    """σ(I h) = h for h = σ(z): the same function as `params`, of a deeper network.

    Identity layers come before the last one; a wider layer gets units whose weights are
    0. A linear map has no h, so its outputs pass as z = σ(z) - σ(-z), on two units
    each. Units of weight 0 on both sides have no gradient: train them by a gradient
    with noise added, or give them small weights first.

    Args:
        params: of `mlp`, of one layer or more.
        widths: of the deeper `mlp`; its last is the number of outputs, its first hidden
            ones are at least as wide as those of `params`, the added ones at least as
            wide as the last hidden of `params`, or as twice the outputs of a linear
            map.
        activation: σ of both networks, with σ(σ(z)) = σ(z) as ReLU has it.

    Returns:
        Parameters of `mlp(widths, activation)`, whose outputs are equal to rounding.

    Raises:
        InputError: an activation that no identity layer passes, fewer layers, or a
            layer too narrow.

    Source: He et al. 2016, arXiv:1512.03385, section 1, the solution by construction.

    >>> line = {"layer_00": {"kernel": jnp.array([[3.0]]), "bias": jnp.array([1.0])}}
    >>> deepened(line, (2, 1))["layer_00"]["kernel"].tolist()
    [[3.0, -3.0]]
    """
    layers = [params[name] for name in sorted(params)]
    _require_outputs(layers, widths)
    _require_identity(activation, linear=len(layers) == 1)
    if len(layers) == 1 and len(widths) > 1:
        layers = _as_difference(layers[0])
    *hidden, last = layers
    passed = last["kernel"].shape[0]
    added = len(widths) - len(layers)
    identity = {
        "kernel": jnp.eye(passed, dtype=last["kernel"].dtype),
        "bias": jnp.zeros(passed, last["bias"].dtype),
    }
    stack = [*hidden, *[identity] * added, last]
    return _padded(stack, widths)


def with_zero_blocks(params: Params, count: int, *, key: Key) -> Params:
    """h + 0: the same function as `params`, of a residual network with further blocks.

    An added block's first layer starts as `mlp` does and its second at 0, so that the
    block adds nothing yet has a gradient.

    Args:
        params: of `residual(..., normalise=before_the_block)`, with a block or more;
            after the sum a further normalisation would change its outputs by about
            1e-5.
        count: blocks to be added.
        key: of the first layers.

    Raises:
        InputError: a negative count, or parameters without a block.

    Source: Zhang, Dauphin and Ma 2019, arXiv:1901.09321, section 3.
    """
    blocks = [name for name in sorted(params) if name.startswith("block_")]
    if count < 0 or not blocks:
        raise InputError(
            f"{count} blocks after {len(blocks)} make no deeper residual network: add "
            "0 or more to parameters of `residual` with a block."
        )
    width, dtype = _width(params[blocks[0]])
    block = mlp((width, width), jax.nn.relu)
    deeper = dict(params)
    for index in range(len(blocks), len(blocks) + count):
        own = jax.random.fold_in(key, index)
        fresh, _ = block.init(own, jnp.zeros((1, width), dtype))
        silent = jax.tree.map(jnp.zeros_like, fresh["layer_01"])
        deeper[f"block_{index:02}"] = {**fresh, "layer_01": silent}
    return deeper


def _width(block: Params) -> tuple[int, jnp.dtype]:
    kernel = block["layer_00"]["kernel"]
    return kernel.shape[0], kernel.dtype


def _require_outputs(layers: list[Params], widths: tuple[int, ...]) -> None:
    outputs = layers[-1]["bias"].shape[0]
    if len(widths) < len(layers) or widths[-1] != outputs:
        raise InputError(
            f"Widths {widths} hold no network of {len(layers)} layers and {outputs} "
            f"outputs: give {len(layers)} widths or more, the last {outputs}."
        )


def _require_identity(activation: Activation, *, linear: bool) -> None:
    """Refuses an activation that changes what it has passed."""
    z = jnp.linspace(-4.0, 4.0, 33)
    passed = activation(z)
    kept = bool(jnp.all(activation(passed) == passed))
    if linear:
        kept = bool(jnp.all(passed - activation(-z) == z))
    if not kept:
        name = getattr(activation, "__name__", "This activation")
        raise InputError(
            f"{name} changes what an identity layer is to pass on: embed networks of "
            "ReLUs, or add residual blocks by `with_zero_blocks`."
        )


def _as_difference(layer: Params) -> list[Params]:
    """W x + b as two layers: σ of it minus σ of its negative."""
    kernel, bias = layer["kernel"], layer["bias"]
    one = jnp.eye(kernel.shape[1], dtype=kernel.dtype)
    both = {
        "kernel": jnp.concatenate([kernel, -kernel], axis=1),
        "bias": jnp.concatenate([bias, -bias]),
    }
    difference = {
        "kernel": jnp.concatenate([one, -one]),
        "bias": jnp.zeros_like(bias),
    }
    return [both, difference]


def _padded(layers: list[Params], widths: tuple[int, ...]) -> Params:
    """Each layer with units of weight 0 up to its width."""
    params, inputs = {}, layers[0]["kernel"].shape[0]
    for index, (layer, width) in enumerate(zip(layers, widths, strict=True)):
        kernel, bias = layer["kernel"], layer["bias"]
        rows, columns = kernel.shape
        if columns > width:
            raise InputError(
                f"Layer {index} of width {width} cannot hold {columns} values: make it "
                f"{columns} wide or wider."
            )
        params[f"layer_{index:02}"] = {
            "kernel": jnp.pad(kernel, ((0, inputs - rows), (0, width - columns))),
            "bias": jnp.pad(bias, (0, width - columns)),
        }
        inputs = width
    return params
