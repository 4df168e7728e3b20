"""Searches for critical points from many starts, each certified where it ends."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxml import tree
from jaxml.curvature.certificate import Certificate, certify
from jaxml.curvature.methods import Method
from jaxml.curvature.outcomes import MINIMUM, SADDLE, Criteria, outcome
from jaxml.curvature.programs import mapped
from jaxml.curvature.space import check_deterministic
from jaxml.types import InputError, Objective


class Candidates(NamedTuple):
    """What a search over many networks found, one row a network.

    Attributes:
        params: `[network, p]`, each row in the order of `tree.ravel`.
        iterations: `[network]`.
        certificate: what was measured there; `outcome` and `signs` judge it.
    """

    params: jax.Array
    iterations: jax.Array
    certificate: Certificate


def search(method: Method, objective: Objective, starts: Any, batch: Any) -> Candidates:
    """Searches from every start and certifies what is found, as many at once as there
    are devices.

    Args:
        method: `(objective, start, batch) -> Search`; one of `methods`, or a
            composition such as training first.
        objective: `(params, batch) -> scalar`.
        starts: a pytree with a leading axis, one start a network: parameters, or
            whatever the method unpacks.
        batch: passed to the objective.

    Outside `jit` the program is kept: another search by the same method, objective and
    shapes compiles nothing.

    Raises:
        InputError: the starts lack the leading axis; and whatever `certify` refuses.
    """
    lengths = {jnp.shape(leaf)[:1] for leaf in jax.tree.leaves(starts)}
    if len(lengths) != 1 or lengths == {()}:
        raise InputError(
            f"The leaves of the starts begin with axes of {sorted(lengths)}: stack the "
            "starts, one row a network, so that every leaf has the same leading axis "
            "(leaf[None] for one network)."
        )
    return mapped(_search, (method, objective), starts, batch)


def _search(method: Method, objective: Objective, start: Any, batch: Any) -> Candidates:
    once = jax.jit(
        objective
    )  # traced and lowered once, though differentiated in many places
    found = method(once, start, batch)
    check_deterministic(objective, found.params, batch)
    return Candidates(
        tree.ravel(found.params)[0],
        found.iterations,
        certify(once, found.params, batch),
    )


def certified(candidates: Candidates, criteria: Criteria = Criteria()) -> Candidates:  # noqa: B008  # immutable
    """The rows that are minima or saddles, on the host."""
    passed = np.isin(outcome(candidates.certificate, criteria), (MINIMUM, SADDLE))
    return jax.tree.map(lambda column: np.asarray(column)[passed], candidates)
