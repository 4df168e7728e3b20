"""Batch statistics over several batches together, of networks seen a batch at a
time.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from jaxml.problem.losses import Penalty, none
from jaxml.problem.models.chain import called
from jaxml.problem.models.normalisation.statistics import (
    GatheredStatistics,
    GivenStatistics,
    Moments,
    RunningStatistics,
    evaluated,
    no_moments,
)
from jaxml.problem.objectives import Loss
from jaxml.types import (
    Array,
    Batch,
    InputError,
    Key,
    Model,
    Params,
    Scalar,
    TrainingLoss,
)

__all__ = ["accumulated_loss", "with_exact_statistics", "with_precise_statistics"]


def with_exact_statistics(
    model: Model, params: Params, state: Any, batches: Batch, *, key: Key | None = None
) -> Any:
    """The state whose statistics are those of all the batches as one batch in training.

    Of as many `batch_norm` layers as there are it takes as many passes over the
    batches, for each layer's statistics depend on those before it, and the memory of
    one batch; the order of the layers in the state does not matter. Variances are over
    n. Other state is left as it is. It can be differentiated.

    Args:
        model: with `batch_norm` layers.
        params: of the model.
        state: likewise.
        batches: with a leading axis of batches, `[batch, n, ...]`; an example of weight
            0 does not count.
        key: of what the model draws in training, such as dropout; each batch draws by
            its own.

    Raises:
        InputError: a state of no `batch_norm`.
    """
    return _all_running(state, _exact(model, params, state, batches, key))


def with_precise_statistics(
    model: Model, params: Params, state: Any, batches: Batch, *, key: Key | None = None
) -> Any:
    """The state whose statistics are those of all the batches, each of which is
    normalised by its own: "precise" batch normalisation, in one pass.

    The variance is that over all values, the mean of the batches' variances and the
    variance of their means. From the second normalisation on it differs from
    `with_exact_statistics`. Arguments and errors are those.

    Source: Wu and Johnson 2021, arXiv:2105.07576, section 3.2.
    """
    layers = _layers(state)
    gathering = [GatheredStatistics(no_moments(layer), None) for layer in layers]
    return _all_running(state, _gathered(model, params, state, batches, gathering, key))


def accumulated_loss(model: Model, loss: Loss, penalty: Penalty = none) -> TrainingLoss:
    """The training loss of a large batch in the memory of a small one, batch
    normalisation included: (params, state, batches, key) -> (loss, state).

    Batches have a leading axis, `[batch, n, ...]`. Value and gradient are those of
    `training_loss` on all of them as one batch: the statistics are those of all
    examples, and the gradient goes through them. So is the next state of `batch_norm`
    layers; that of other layers is the last batch's. Cost: of L such layers L + 1
    passes, and each again for the gradient, for nothing is kept between batches. Each
    batch draws by a key of its own. Of networks without `batch_norm`, accumulate
    gradients.

    Args:
        model: with `batch_norm` layers.
        loss: of an example, as of `training_loss`.
        penalty: of the parameters.

    Raises:
        InputError: at a call, a state of no `batch_norm`.
    """

    def evaluate(
        params: Params, state: Any, batches: Batch, key: Key
    ) -> tuple[Scalar, Any]:
        exact = _exact(model, params, state, batches, key)
        pairs = zip(exact, _layers(state), strict=True)
        given = _replaced(state, [GivenStatistics(*pair) for pair in pairs])

        def summed(total: Scalar, numbered: tuple[Array, Batch]) -> tuple[Scalar, Any]:
            number, batch = numbered
            outputs, after = _trained(model, params, given, batch, (key, number))
            losses = loss(outputs, batch.targets)
            return total + jnp.sum(batch.weights * losses), after

        zero = jnp.zeros((), batches.weights.dtype)
        total, states = _scanned(summed, zero, batches)
        mean = total / jnp.sum(batches.weights)
        last = jax.tree.map(lambda leaf: leaf[-1], states)
        return mean + penalty(params), last

    return evaluate


def _exact(
    model: Model, params: Params, state: Any, batches: Batch, key: Key | None
) -> list[Moments]:
    """The moments of each layer when all layers normalise by them: correct of a layer
    as many passes on as there are layers before it, and of all after all.
    """
    layers = _layers(state)

    def one_pass(given: list[Moments], _: None) -> tuple[list[Moments], None]:
        pairs = zip(layers, given, strict=True)
        gathering = [GatheredStatistics(no_moments(layer), own) for layer, own in pairs]
        return _gathered(model, params, state, batches, gathering, key), None

    first = [_of_evaluation(layer) for layer in layers]
    return jax.lax.scan(one_pass, first, length=len(layers))[0]


def _gathered(
    model: Model,
    params: Params,
    state: Any,
    batches: Batch,
    gathering: Sequence[GatheredStatistics],
    key: Key | None,
) -> list[Moments]:
    """The moments of each layer after one pass over the batches."""
    empty = [layer.moments for layer in gathering]

    def one(
        sofar: list[Moments], numbered: tuple[Array, Batch]
    ) -> tuple[list[Moments], None]:
        number, batch = numbered
        pairs = zip(gathering, sofar, strict=True)
        now = [layer._replace(moments=own) for layer, own in pairs]
        begun = _replaced(state, now)
        _, after = _trained(model, params, begun, batch, (key, number))
        return [layer.moments for layer in _layers(after, GatheredStatistics)], None

    return _scanned(one, empty, batches)[0]


def _trained(
    model: Model, params: Params, state: Any, batch: Batch, of: tuple[Key | None, Array]
) -> tuple[jax.Array, Any]:
    """The model in training on one batch of a number, by a key of its own."""
    key, number = of
    own = None if key is None else jax.random.fold_in(key, number)
    mode = (True, own, batch.weights > 0)
    return called(model, (params, state), batch.inputs, mode)


def _scanned(body: Callable[..., Any], first: Any, batches: Batch) -> tuple[Any, Any]:
    """A scan over numbered batches that keeps nothing for the gradient."""
    arrays = jax.tree.map(jnp.asarray, batches)
    numbers = jnp.arange(len(batches.weights), dtype=jnp.int32)
    kept = jax.checkpoint(body, prevent_cse=False)
    return jax.lax.scan(kept, first, (numbers, arrays))


def _layers(state: Any, kind: type = RunningStatistics) -> list[Any]:
    """The statistics in a state, in the order of its leaves."""
    leaves = jax.tree.leaves(state, is_leaf=lambda leaf: isinstance(leaf, kind))
    found = [leaf for leaf in leaves if isinstance(leaf, kind)]
    if not found:
        raise InputError(
            "The model's state has no running statistics to replace: give a model with "
            "`problem.batch_norm` and the state of its initialisation."
        )
    return found


def _replaced(state: Any, layers: Sequence[Any]) -> Any:
    """The state with other statistics in the same order."""
    others = iter(layers)

    def is_running(leaf: Any) -> bool:
        return isinstance(leaf, RunningStatistics)

    def one(leaf: Any) -> Any:
        return next(others) if is_running(leaf) else leaf

    return jax.tree.map(one, state, is_leaf=is_running)


def _all_running(state: Any, layers: Sequence[Moments]) -> Any:
    """The state with these moments remembered whole."""
    running = [
        RunningStatistics(one.mean, one.variance, jnp.ones_like(one.size))
        for one in layers
    ]
    return _replaced(state, running)


def _of_evaluation(running: RunningStatistics) -> Moments:
    """What evaluation normalises by, as moments."""
    return Moments(jnp.ones_like(running.weight), *evaluated(running))
