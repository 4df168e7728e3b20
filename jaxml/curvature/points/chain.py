"""From a start to a named critical point, and off it where it is a saddle."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxml.curvature.certificate import check_scalar
from jaxml.curvature.escape import Escape, escape
from jaxml.curvature.methods import Method, Search
from jaxml.curvature.outcomes import OUTCOMES, SADDLE, Outcome, outcome
from jaxml.curvature.points.certification import LargeCertificate, certify_matrix_free
from jaxml.curvature.programs import run, traced
from jaxml.curvature.space import check_space
from jaxml.types import InputError, Key, Objective, Params


class StationaryPoint(NamedTuple):
    """What a search has found, by its name.

    Attributes:
        search: where it ended, `search.params`, and how long it took.
        certificate: what was measured there.
        outcome: one of OUTCOMES.
        negative: the index n₋, at least and at most.
        escape: the step off a saddle along its lowest mode, the drop confirmed; None
            where the point is no saddle.
    """

    search: Search
    certificate: LargeCertificate
    outcome: Outcome
    negative: tuple[int, int]
    escape: Escape | None


def stationary_point(
    objective: Objective,
    params: Params,
    batch: Any,
    *,
    method: Method,
    count: int = 4,
    depth: int = 100,
    key: Key,
) -> StationaryPoint:
    """Searches, certifies, names what was found, and at a saddle steps off it.

    The point is judged by `outcome` with its default criteria, which ask the same of
    every size; certificates are tight in float64, and in float32 as tight as its
    rounding allows. Runs on the host, around programs that are kept: another call with
    the same objective and shapes compiles nothing.

    Args:
        objective: `(params, batch) -> scalar`.
        params: the start.
        batch: passed to the objective.
        method: `newton_minres`, `saddle_free_newton`, `gradient_norm_minimisation`,
            `mode_following` with its index, or any `(objective, start, batch) ->
            Search`; settings by `functools.partial`.
        count: eigenvalues at each end, and negative ones that can be counted.
        depth: of the certificate's Krylov spaces.
        key: of the certificate's starts.

    Raises:
        InputError: called inside `jit`; loss or gradient is not finite at the start;
            and whatever the method and `certify_matrix_free` refuse.
    """
    if traced((params, batch, key)):
        raise InputError(
            "A point is named on the host: call stationary_point outside jit, or the "
            "method and certify_matrix_free inside."
        )
    check_space(params)
    check_scalar(objective, params, batch)
    _check_finite(objective, params, batch)
    search = method(objective, params, batch)
    found = certify_matrix_free(
        objective, search.params, batch, count=count, depth=depth, key=key
    )
    code = int(outcome(found.certificate))
    least, most = (int(number) for number in found.negative)
    left = None
    if code == SADDLE:
        down = jax.tree.map(lambda leaf: leaf[0], found.lowest)
        left = run(escape, (objective,), search.params, batch, down)
    return StationaryPoint(search, found, OUTCOMES[code], (least, most), left)


def _check_finite(objective: Objective, params: Params, batch: Any) -> None:
    loss, gradient = run(_both, (objective,), params, batch)
    bad = [
        jax.tree_util.keystr(path) or "the array"
        for path, leaf in jax.tree_util.tree_leaves_with_path(gradient)
        if not bool(jnp.all(jnp.isfinite(leaf)))
    ]
    if not np.isfinite(loss):
        raise InputError(
            f"The objective is {float(loss)} at the start: start where it is finite."
        )
    if bad:
        raise InputError(
            f"The gradient is not finite at the start, in {' and '.join(bad)}: move "
            "these leaves off the point where the loss has no derivative."
        )


def _both(objective: Objective, params: Params, batch: Any) -> tuple[Any, Params]:
    return jax.value_and_grad(objective)(params, batch)
