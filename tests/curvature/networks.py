"""Three tiny networks of unlike structure: an MLP, a convolution, an attention block.

`NETWORKS[name]()` is `(objective, params, batch)`, in the precision that JAX computes
in at the time: float64 within `jax.enable_x64(True)`, with the same numbers.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

EXAMPLES, CLASSES = 12, 3


def _params(seed: int, shapes: dict[str, tuple[int, ...]]) -> dict[str, jax.Array]:
    draw = np.random.default_rng(seed)
    return {
        name: jnp.asarray(draw.normal(size=shape) / np.sqrt(shape[0]))
        for name, shape in shapes.items()
    }


def _batch(seed: int, *shape: int) -> tuple[jax.Array, jax.Array]:
    draw = np.random.default_rng(seed)
    inputs = draw.normal(size=(EXAMPLES, *shape))
    return jnp.asarray(inputs), jnp.asarray(draw.integers(0, CLASSES, EXAMPLES))


def _cross_entropy(outputs: jax.Array, classes: jax.Array) -> jax.Array:
    chosen = jnp.take_along_axis(jax.nn.log_softmax(outputs), classes[:, None], 1)
    return -jnp.mean(chosen)


def _mlp(params: Any, batch: Any) -> jax.Array:
    hidden = jnp.tanh(batch[0] @ params["first"] + params["bias"][None])
    return _cross_entropy(hidden @ params["second"], batch[1])


def _cnn(params: Any, batch: Any) -> jax.Array:
    """Kernels of two by two on pictures of four by four, as shifts times a matrix."""
    corners = [(row, column) for row in (0, 1) for column in (0, 1)]
    shifts = [batch[0][:, i : i + 3, j : j + 3] for i, j in corners]
    maps = jnp.tanh(jnp.stack(shifts, -1) @ params["kernel"])
    return _cross_entropy(jnp.mean(maps, (1, 2)) @ params["head"], batch[1])


def _attention(params: Any, batch: Any) -> jax.Array:
    """One head over five tokens of four numbers, with a residual connection."""
    tokens = batch[0]
    queries, keys = tokens @ params["query"], tokens @ params["key"]
    scores = jnp.einsum("nid,njd->nij", queries, keys) / 2
    mixed = jax.nn.softmax(scores) @ tokens @ params["value"] + tokens
    return _cross_entropy(jnp.mean(jnp.tanh(mixed), 1) @ params["head"], batch[1])


_MLP = {"first": (4, 5), "bias": (5,), "second": (5, CLASSES)}
_CNN = {"kernel": (4, 6), "head": (6, CLASSES)}
_SQUARE = (4, 4)
_ATTENTION = {"query": _SQUARE, "key": _SQUARE, "value": _SQUARE, "head": (4, CLASSES)}

NETWORKS: dict[str, Callable[[], tuple[Any, Any, Any]]] = {
    "mlp": lambda: (_mlp, _params(0, _MLP), _batch(1, 4)),
    "cnn": lambda: (_cnn, _params(2, _CNN), _batch(3, 4, 4)),
    "attention": lambda: (_attention, _params(4, _ATTENTION), _batch(5, 5, 4)),
}
