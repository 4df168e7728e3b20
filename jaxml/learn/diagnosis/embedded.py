"""Training that begins with the solution of a simpler model."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxml import parallel
from jaxml.learn.diagnosis.causes import lowest
from jaxml.learn.diagnosis.trained import (
    Losses,
    Plan,
    batches_of,
    experiment_of,
    points,
)
from jaxml.learn.training.state import start_key
from jaxml.types import Dataset, InputError, Keep, Workload


def continued(
    plan: Plan,
    models: Any,
    workload: Workload,
    found: Sequence[Losses],
    keep: Keep,
) -> np.ndarray | None:
    """Training losses `[time, seed]` of the diagnosed model from the best simpler
    solution on, at its own best rate; the first are those of the solution itself.

    None where the models say no way to embed.

    Args:
        plan: what all trainings share.
        models: by size, and how a simpler one's parameters become the diagnosed one's.
        workload: the diagnosed model.
        found: losses of the simpler and the diagnosed model.
        keep: as `sweep`.

    Raises:
        InputError: what `embed` returns has other shapes than the model's parameters.
    """
    if models.embed is None:
        return None
    simpler, diagnosed = found
    factor = lowest(simpler.train).factor
    params = jax.tree.map(lambda leaf: jnp.asarray(leaf[factor]), simpler.params)
    hypers = points(plan, (plan.budget.factors[lowest(diagnosed.train).factor],))
    fresh, state = jax.vmap(lambda seed: workload.start(start_key(seed)))(
        jnp.asarray(hypers.seed)
    )
    begun = jax.vmap(models.embed)(params, fresh)
    _require_alike(begun, fresh)
    experiment = experiment_of(plan, workload, longer=1)
    batches = batches_of(plan, workload)

    def run(begin: tuple[Any, Any, Any], data: Any) -> tuple[Any, Any]:
        hyper, params, model_state = begin
        first = experiment.init(hyper, params, model_state)
        own = batches.own(data, jax.random.fold_in(first.key, 3))
        before = workload.measures["train"](params, Dataset(own.train, own.train))
        _, trace = experiment.run(first, data)
        return before, trace.probed["train"]

    begin = (hypers, begun, state)
    count = plan.budget.seeds
    program = parallel.compiled(jax.vmap(run, (0, None)), begin, batches.data, chunks=1)

    def losses() -> dict[str, np.ndarray]:
        before, after = parallel.gathered(program, begin, batches.data)
        return {"before": np.asarray(before), "after": np.asarray(after)}

    kept = keep("embedded", losses)
    rows = np.concatenate([kept["before"].reshape(count, 1), kept["after"]], axis=1)
    return rows.T.astype(np.float64)


def _require_alike(begun: Any, fresh: Any) -> None:
    ours, theirs = jax.tree.map(jnp.shape, begun), jax.tree.map(jnp.shape, fresh)
    if ours != theirs:
        raise InputError(
            "embed returns parameters of other shapes than the diagnosed model's: "
            "return a pytree like its second argument."
        )
