"""Examples of a run that are changed after they were drawn."""

from collections.abc import Callable
from typing import Any

import jax

from jaxml.learn.batches import Batches
from jaxml.types import Key

__all__ = ["changed_once"]


def changed_once(batches: Batches, change: Callable[[Any, Key], Any]) -> Batches:
    """The same stream of batches, from examples that are changed before training.

    So labels may be drawn anew, or noise be added to what is held out, for each run by
    its own key and once for all of its updates.

    Args:
        batches: of a run's own examples, such as `learn.split_anew` gives.
        change: `(own, key) -> own`, of what `batches.own` gives; shapes must stay.
    """

    def own(data: Any, key: Key) -> Any:
        return change(batches.own(data, key), jax.random.fold_in(key, 1))

    return batches._replace(own=own)
