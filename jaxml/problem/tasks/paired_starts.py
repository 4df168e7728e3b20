"""Networks that start alike and differ in their normalisation."""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import numpy as np

from jaxml import randomness
from jaxml.types import Array, Batch, Key

__all__ = ["PairedStarts", "paired_starts"]


class PairedStarts(NamedTuple):
    """What runs start from. Each field has a leading axis of runs, all units of the
    first network before those of the second.

    Attributes:
        own: the examples that train a run.
        key: of its initial weights and its order.
        rate: its learning rate.
        which: the number of its network.
    """

    own: Batch
    key: Key
    rate: Array
    which: Array


def paired_starts(
    data: Batch,
    which: Sequence[int],
    *,
    draws: Sequence[int],
    units: int,
    train: int,
    rates: tuple[float, float],
    seed: int,
) -> PairedStarts:
    """Starts of every network in every unit.

    A unit draws examples and a rate anew, the same ones for all networks, so that
    differences between networks are paired.

    Args:
        data: to draw from, without replacement within a unit.
        which: a number for each network, such as its place in `problem.NORMS`.
        draws: for each network, which of a unit's draws of weights and order it has;
            networks of one number start alike.
        units: how many.
        train: examples of each.
        rates: the lowest and the highest; between them all are equally likely.
        seed: moves all draws.
    """
    draw = np.random.default_rng(seed)
    order = draw.random((units, len(data.targets))).argsort(axis=1)[:, :train]
    drawn_rates = draw.uniform(*rates, units).astype(np.float32)
    keys = jax.random.split(randomness.key(seed), (max(draws) + 1, units))
    network, unit = np.indices((len(which), units)).reshape(2, -1)
    return PairedStarts(
        own=jax.tree.map(lambda field: np.asarray(field)[order[unit]], data),
        key=keys[np.asarray(draws)[network], unit],
        rate=drawn_rates[unit],
        which=np.asarray(which, np.int32)[network],
    )
