"""Networks that go on to one lower training loss: do small batches make fewer errors?

A network in small batches stops at a favourable evaluation, where its gradient is still
large, so the networks of `stopped_networks` are no comparable points. Here each goes on
by gradient descent on all its examples, with momentum of 0.9 at the rate 0.05, which is
stable up to a curvature of 76, until one lower loss: 0.01 nats on digits, 0.25 on
clothing. `sharp_minima`, `keskar_sharpness`, `sharpness_and_gap` and `displaced_loss`
measure these.

Here their held-out errors are compared, the logarithm of the ratio of batches of 50,
and of 500, to batches of 2, each at the rate whose held-out error was lowest where
training stopped. It supports only, for gradient descent is no part of the claim. The
margin is ln 1.1, for in five of the paper's six networks the large batch makes more
than a tenth more errors than the small one. Units, and the edges of grids, are those of
`stopped_networks`. Sixteen units of seed 78 were seen in the pilot.

Claims: C068.
Sources: Keskar et al. 2017, arXiv:1609.04836, table 2.
Cost: half a minute on 2 cores, after `stopped_networks`.
Expect: no difference.
Run: jaxml run descended_networks
"""

from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxml import curvature, learn, problem, randomness, record, tree
from jaxml.record import Arm, Assertion
from jaxml.record.comparisons import compared
from jaxml.record.figures import Figure, label, panels, shared_legend
from jaxml.types import Array, Batch, Dataset, Keep, Params, Workload

NEEDS = ("stopped_networks",)
SMALL, TENTH, ALL = range(3)  # sizes of batches
COURSES = {
    "8x8 digits": (problem.digits_workload, 0.01),
    "clothing of 7x7 pixels": (problem.small_clothing_workload, 0.25),
}
RATE, BETA, LIMIT = 0.05, 0.9, 5000  # of gradient descent, and its updates at most
WORSE = record.above(
    0.0,
    margin=float(np.log(1.1)),
    reason="a tenth; five of the paper's six networks differ by more",
)


@dataclass(frozen=True, kw_only=True)
class Config:
    """Held-out pictures; units and their examples are those of `stopped_networks`."""

    test: int = 1250
    seed: int = 0


SMOKE = Config(test=30)


class Weights(NamedTuple):
    """Of networks, in the order of the leaves of their parameters."""

    hidden_bias: np.ndarray
    hidden_kernel: np.ndarray
    output_bias: np.ndarray
    output_kernel: np.ndarray


class Found(NamedTuple):
    """Networks of judging units at the lower loss, `[size, rate, judging, ...]`; what
    was measured is nan where a target was missed.
    """

    weights: Weights
    own: Batch  # training examples, `[judging, ...]`
    train: Array  # loss
    test: Array  # loss, held out
    accuracy: Array  # held out


class Result(NamedTuple):
    """By data set, and what they have in common; clothing are digits where there is
    but one.

    Attributes:
        digits: networks.
        clothing: networks.
        data: how many data sets.
        lower: the training loss, by data set.
        scores: by which rates are tuned, nan at those that may not be chosen.
        edges: the outermost rates that may.
        sizes: of batches.
        parameters: of a network, by data set.
        tuning: how many of the units tune.
    """

    digits: Found
    clothing: Found
    data: np.ndarray
    lower: np.ndarray
    scores: np.ndarray  # [data, size, rate, unit]
    edges: np.ndarray  # [data, size, rate]
    sizes: np.ndarray
    parameters: np.ndarray
    tuning: np.ndarray


def study(config: Config, keep: Keep, stopped_networks: Any) -> Result:
    """One program a data set."""
    stopped = stopped_networks
    both = (stopped.digits, stopped.clothing)[: int(stopped.data)]
    found, count = [], []
    for seen, (name, (workload, level)) in zip(both, COURSES.items(), strict=False):
        work = workload(train=int(stopped.sizes[ALL]), test=config.test)
        units = randomness.seeds(config.seed, len(stopped.seeds))
        judging = np.array(units[int(stopped.tuning) :], np.int32)
        compute = partial(_descended, work, level, seen, judging)
        found.append(Found(**keep(name, compute)))
        count.append(problem.weights(work))
    kept = slice(ALL + 1)
    lower = [level for _, level in COURSES.values()]
    return Result(
        digits=found[0],
        clothing=found[-1],
        data=stopped.data,
        lower=np.array(lower[: len(found)]),
        scores=np.stack([seen.scores[kept] for seen in both]),
        edges=np.stack([seen.edges[kept] for seen in both]),
        sizes=stopped.sizes[kept],
        parameters=np.array(count),
        tuning=stopped.tuning,
    )


def _descended(
    work: Workload, lower: float, seen: Any, seeds: np.ndarray
) -> dict[str, Any]:
    """Weights at the lower loss, and the measures there."""
    axes = seen.weights[0].shape[:3]
    there = np.isfinite(seen.train[: axes[0], :, -len(seeds) :])
    structure = jax.tree.structure(jax.eval_shape(work.start, randomness.key(0))[0])
    flat = [leaf.reshape(-1, *leaf.shape[3:]) for leaf in seen.weights]
    units = np.arange(there.size) % axes[-1]
    runs = jax.tree.unflatten(structure, flat), there.ravel(), units

    batches = learn.split_anew(work.data, train=work.train, test=work.test, size=1)
    own = jax.jit(jax.vmap(partial(learn.own_data, batches)))(seeds)

    def one(run: tuple[Params, Any, Any], own: Dataset) -> dict[str, Any]:
        params, reached, unit = run
        return _of_network(work, lower, params, reached, _row(own, unit))

    def shaped(leaf: np.ndarray) -> np.ndarray:
        return leaf.reshape(*axes, *leaf.shape[1:])

    found = jax.tree.map(shaped, curvature.mapped(one, (), runs, own))
    return {**found, "own": jax.tree.map(np.asarray, own.train)}


def _row(own: Dataset, unit: Any) -> Dataset:
    return jax.tree.map(lambda leaf: leaf[unit], own)


def _of_network(
    work: Workload, lower: float, params: Params, reached: Any, own: Dataset
) -> dict[str, Any]:
    """One network by gradient descent with momentum, if it had reached the target."""
    loss = problem.mean_loss(work)

    def going(state: tuple[Any, Params, Params, Any]) -> Any:
        age, _, _, value = state
        return reached & (age < LIMIT) & (value > lower)

    def update(
        state: tuple[Any, Params, Params, Any],
    ) -> tuple[Any, Params, Params, Any]:
        age, params, velocity, _ = state
        velocity = tree.axpy(BETA, velocity, jax.grad(loss)(params, own.train))
        params = tree.axpy(-RATE, velocity, params)
        return age + 1, params, velocity, loss(params, own.train)

    at_rest = jax.tree.map(jnp.zeros_like, params)
    first = (jnp.int32(0), params, at_rest, loss(params, own.train))
    _, params, _, value = jax.lax.while_loop(going, update, first)
    arrived = reached & (value <= lower)

    def seen(measure: Any) -> Any:
        return jnp.where(arrived, measure, jnp.nan)

    return {
        "weights": Weights(*jax.tree.leaves(params)),
        "train": seen(value),
        "test": seen(work.measures["test"](params, own)),
        "accuracy": seen(work.measures["accuracy"](params, own)),
    }


def _data(result: Result) -> list[tuple[int, str, Found]]:
    """The data sets that there are."""
    found = (result.digits, result.clothing)[: int(result.data)]
    names = list(COURSES)[: len(found)]
    return list(zip(range(len(found)), names, found, strict=True))


def findings(result: Result) -> tuple[Assertion, ...]:
    """On each data set, of a tenth and of all examples."""
    return tuple(
        _compared(result, place, size)
        for place in range(int(result.data))
        for size in (TENTH, ALL)
    )


def _named(result: Result, size: int) -> str:
    batch = result.sizes[size]
    return f"all {batch} examples" if size == ALL else f"batches of {batch}"


def _errors(result: Result, place: int, size: int) -> Arm:
    """Logarithms of errors; of units that tune they are nan."""
    _, _, seen = _data(result)[place]
    scores = result.scores[place, size]
    logs = np.full_like(scores, np.nan)
    logs[:, int(result.tuning) :] = np.log(1 - seen.accuracy[size])
    return Arm(logs, scores, result.edges[place, size])


def _compared(result: Result, place: int, size: int) -> Assertion:
    _, name, _ = _data(result)[place]
    ours, theirs = _errors(result, place, size), _errors(result, place, SMALL)
    measured = record.tuned(
        record.mean_difference, ours, theirs, tuning=int(result.tuning)
    )
    return record.supporting(
        "C068",
        f"Networks that go on until {result.lower[place]:g} nats make more held-out "
        f"errors after training by {_named(result, size)} than by "
        f"{_named(result, SMALL)}.",
        measured,
        WORSE,
        unit="log ratio",
        setting=f"{name}, dense network of {result.parameters[place]:,} weights, "
        f"{result.sizes[ALL]} examples, Adam, constant rate tuned for each, then "
        "gradient descent",
    )


def figures(result: Result) -> dict[str, Figure]:
    """Ratios of errors at the lower loss, unit by unit."""
    figure, axes = panels(int(result.data), 1, width=7.0, height=2.4)
    small = _named(result, SMALL)
    for axis, (place, name, _) in zip(axes, _data(result), strict=True):
        arms = [_errors(result, place, size) for size in range(ALL + 1)]
        pairs = {
            f"{_named(result, size)}\nover {small}": (arms[size], arms[SMALL])
            for size in (TENTH, ALL)
        }
        compared(axis, pairs, WORSE, tuning=int(result.tuning))
        label(axis, name, "logarithm of the ratio of held-out errors", "trained by")
    shared_legend(figure)
    return {"errors": figure}
