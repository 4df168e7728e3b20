"""The gradient of all examples with noise as strong as that of a batch, but alike in
all directions: the control of whatever is said of the noise of batches.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxml import tree
from jaxml.curvature.noise import batch_covariance_trace, count_examples, gradient_noise
from jaxml.types import Key, Objective, Params


def isotropic_gradient(
    objective: Objective, params: Params, batch: Any, *, size: int, key: Key
) -> Params:
    """∇L + ξ, ξ normal and isotropic, with E‖ξ‖² = tr Cov(g_B) of batches of `size`
    drawn without replacement.

    Cost: the gradients of all examples; memory likewise.

    Args:
        objective: `(params, batch) -> scalar`, a mean over the batch.
        params: the point, a pytree.
        batch: all examples, a pytree of arrays with a leading axis, no padding.
        size: of the batches whose noise is matched.
        key: of the noise.

    Raises:
        InputError: a size below 1 or above the number of examples; as `gradient_noise`.

    Source: Zhu et al. 2019, arXiv:1803.00195, section 2.
    """
    total = count_examples(batch)
    noise = gradient_noise(objective, params, batch, chunk=total)
    trace = batch_covariance_trace(noise.covariance_trace, size, total=total)
    deviation = jnp.sqrt(trace / tree.size(params))
    kick = tree.random_like(params, key)
    return tree.axpy(deviation, kick, jax.grad(objective)(params, batch))


class NoisyGradients(NamedTuple):
    """Three gradients of one loss, `(params, step) -> gradient`.

    Attributes:
        batches: of the batch of that step.
        isotropic: of all examples, with isotropic noise as strong.
        whole: of all examples.
    """

    batches: Callable[[Params, Any], Params]
    isotropic: Callable[[Params, Any], Params]
    whole: Callable[[Params, Any], Params]


def noisy_gradients(
    objective: Objective,
    data: Any,
    draw: Callable[[Any, Key, Any], Any],
    *,
    size: int,
    key: Key,
) -> NoisyGradients:
    """What a claim about the noise of batches compares: batches, noise as strong but
    alike in all directions, and no noise.

    Args:
        objective: `(params, batch) -> scalar`, a mean over the batch.
        data: all examples, a pytree of arrays with a leading axis, no padding.
        draw: `(data, key, step) -> batch`, such as the `draw` of `learn.shuffled`.
        size: of its batches.
        key: of batches and of noise.
    """
    grad = jax.grad(objective)

    def batches(params: Params, step: Any) -> Params:
        return grad(params, draw(data, key, step))

    def isotropic(params: Params, step: Any) -> Params:
        own = jax.random.fold_in(key, step)
        return isotropic_gradient(objective, params, data, size=size, key=own)

    def whole(params: Params, step: Any) -> Params:
        del step
        return grad(params, data)

    return NoisyGradients(batches, isotropic, whole)
