"""Whether the number of a class is odd, from whitened pictures: a small steep task on a
second data set, beside `parity_digits`.
"""

import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike

from jaxml.problem.losses import l2, mse
from jaxml.problem.models.dense import mlp
from jaxml.problem.tasks.networks import Task
from jaxml.problem.tasks.variants import small_clothing
from jaxml.types import Batch

__all__ = ["parity_clothing"]


def parity_clothing(
    width: int = 3,
    *,
    components: int = 8,
    decay: float = 1e-3,
    count: int = 1797,
    dtype: DTypeLike = jnp.float64,
) -> Task:
    """Whether the number of a piece's class is odd, ±1, by least squares from whitened
    principal components of 7x7 pictures of clothing: `parity_digits` on other data.

    Args:
        width: of the hidden layer; (components + 2) width + 1 parameters.
        components: in the order of their variance, each scaled to variance 1.
        decay: factor of the sum of squared parameters.
        count: pictures, the first ones; as many as there are digits.
        dtype: of the data, and so of the parameters.
    """
    images = small_clothing(count, dtype=np.float64)
    centred = images.inputs - np.mean(images.inputs, axis=0)
    scores, _, _ = np.linalg.svd(centred, full_matrices=False)
    inputs = np.sqrt(len(scores)) * scores[:, :components]
    parity = 2.0 * (np.asarray(images.targets) % 2) - 1
    whitened = (inputs, parity[:, None], np.asarray(images.weights))
    batch = Batch(*(field.astype(dtype) for field in whitened))
    return Task(mlp((width, 1), jnp.tanh), mse, l2(decay), batch)
