"""Training that begins with the solution of a simpler model."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from jaxml.learn.beginnings import begun_at
from jaxml.learn.diagnosis.asked import Models
from jaxml.learn.diagnosis.causes import lowest
from jaxml.learn.diagnosis.trained import Losses, Plan, experiment_of, points
from jaxml.learn.training.state import start_key
from jaxml.types import InputError, Keep, Params, Workload


def continued(
    plan: Plan,
    models: Models,
    workload: Workload,
    simpler: Losses,
    diagnosed: Losses,
    keep: Keep,
) -> Float[np.ndarray, "time seed"] | None:
    """Training losses of the diagnosed model at the best simpler solution, and where
    the diagnosed training's length ends from there, at its own best rate.

    None where the models say no way to embed.

    Args:
        plan: what all trainings share.
        models: by size, and how a simpler one's parameters become the diagnosed one's.
        workload: the diagnosed model.
        simpler: losses of the simpler model.
        diagnosed: of the diagnosed one.
        keep: as `sweep`.

    Raises:
        InputError: what `embed` returns has other shapes than the model's parameters.
    """
    embed = models.embed
    if embed is None:
        return None
    factor = lowest(simpler.train).factor
    solutions = jax.tree.map(lambda leaf: leaf[factor], simpler.params)
    rate = plan.budget.factors[lowest(diagnosed.train).factor]
    hypers = points(plan, (rate,))
    first = int(hypers.seed[0])

    def begin(hyper: Any, solutions: Params) -> tuple[Params, Any]:
        fresh, state = workload.start(start_key(hyper.seed))
        own = jax.tree.map(lambda leaf: leaf[hyper.seed - first], solutions)
        begun = embed(own, fresh)
        _require_alike(begun, fresh)
        return begun, state

    experiment = experiment_of(plan, workload, longer=1)

    def losses() -> dict[str, np.ndarray]:
        lanes = plan.budget.seeds
        execute = begun_at(experiment, begin, hypers, solutions, lanes=lanes)
        at_rest = hypers._replace(lr=np.zeros_like(hypers.lr))
        before = execute(at_rest, solutions).seen["train"]
        after = execute(hypers, solutions).seen["train"]
        return {"train": np.stack([before, after]).astype(np.float64)}

    return keep("embedded", losses)["train"]


def _require_alike(begun: Params, fresh: Params) -> None:
    ours, theirs = jax.tree.map(jnp.shape, begun), jax.tree.map(jnp.shape, fresh)
    if ours != theirs:
        raise InputError(
            "embed returns parameters of other shapes than the diagnosed model's: "
            "return a pytree like its second argument."
        )
