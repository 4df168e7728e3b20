"""Does training settle where its steps bounce between the walls of a valley?

On a parabola of curvature λ gradient descent at the rate η bounces from wall to wall
beyond λ = 1/η, and leaves beyond 2/η. Cohen and others found that full-batch training
of networks raises the sharpness, the Hessian's highest eigenvalue, until it is at this
edge, and that it then stays there: the loss goes on falling, but not by the length of
its gradient, which the walls make. The edge is that of each method's recursion on a
parabola: 2/η for gradient descent, (2+2β)/η for m ← βm + g, (2+2β)/((1+2β)η) for
Nesterov's form of it, and for Adam (2+2β₁)/((1-β₁)η), which is 38/η at β₁ = 0.9, of the
Hessian scaled from both sides by the root of Adam's scale, 1/(√v̂ + ε).

Judged is the sharpness over the edge, its mean over the last third of training. It is 1
if the claim holds. It stays below if the sharpness does not rise so far, as it need
not; far above, training would not go on. All methods start at 0.7 or less of their
edge, but for gradient descent at the higher of two rates; edges of the methods differ
by a factor of 1.47 or more, so that with a margin of 0.15 no other law fits. Gradient
descent runs at two rates, whose edges differ by 1.5. Negative control: a tenth of the
lower one, whose edge is far above all that is seen; the ratio must not be 1.

For C057 gradient descent at the lower rate decides; the other methods support. So does
the cosine between the gradients before and after a step of gradient descent, which is
near -1 where weights bounce and 1 where they glide: at the edge bouncing swells and
ebbs.

The networks are smooth (tanh) and the loss squared, as in most of the paper: with
cross-entropy the sharpness falls late, when all is told apart (`stuck`). Pixels are
centred, or else their mean alone makes the first eigenvalue. The eigenvalue is the
highest Ritz value of Lanczos' iteration, started from the vector found last: a lower
bound, which a depth of 40 raises by 0.5 % of Adam's and by nothing of gradient
descent's. Units draw initial weights and examples anew, ten of them; one that diverges
is left out. Three units of seed 10 of other lengths placed rates, margin and updates;
three of seeds 11 and 12 showed all ratios within 0.05 of 1, and what the cosine does.
Adam's β₂ is 0.99, as in the paper.

Claims: C057.
Sources: Cohen et al. 2021, arXiv:2103.00065, sections 3 and 5; Cohen et al. 2022,
    arXiv:2207.14484, equation 2.
Cost: two minutes on 2 cores.
Expect: all ratios within a few hundredths of 1, gradient descent's above, momentum's
below.
Run: jaxml run edge_of_stability
"""

from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from jaxml import curvature, learn, problem, randomness, record, tree
from jaxml.learn.optimizers.composition import RulesState
from jaxml.record import Assertion
from jaxml.record.figures import Figure, band, label, panels, shared_legend
from jaxml.types import Array, Batch, Keep, Objective, Params, Workload

DATA = ("1,000 8x8 digits", "5,000 pictures of clothing of 7x7 pixels")
EVERY = 50  # updates between evaluations
BETA = 0.9


class Method(NamedTuple):
    """A method, its edge times the rate, how its edge is written, and its rates."""

    name: str
    family: learn.Family
    edge: float
    law: str
    rates: tuple[float, ...]


METHODS = (
    Method("gradient descent", learn.sgd, 2, "2/η", (4 / 3, 2.0, 0.13)),
    Method("momentum", learn.momentum, 2 + 2 * BETA, "(2+2β)/η", (2.2,)),
    Method(
        "Nesterov's momentum",
        learn.nag,
        (2 + 2 * BETA) / (1 + 2 * BETA),
        "(2+2β)/((1+2β)η)",
        (0.7,),
    ),
    Method("Adam", learn.adam, 38, "38/η, scaled", (0.001,)),
)
CONTROL = 0.13


@dataclass(frozen=True, kw_only=True)
class Config:
    """Data sets and methods are the first ones."""

    data: int = len(DATA)
    methods: int = len(METHODS)
    updates: int = 1500
    units: int = 10
    lanes: int = 5
    depth: int = 10  # of Lanczos' iteration
    seed: int = 0


SMOKE = Config(data=1, methods=1, updates=3 * EVERY, units=1, lanes=2, depth=2)


class Result(NamedTuple):
    """Arms are the methods at each of their rates.

    Attributes:
        ratio: of the sharpness to the edge.
        cosine: between the gradients before and after a step of gradient descent.
    """

    ratio: Float[Array, "data arm unit evaluation"]
    cosine: Float[Array, "data arm unit evaluation"]


def _work(place: int) -> Workload:
    """Two hidden layers of 32 tanh units, squared error."""
    data, train = problem.digits(), 1000
    if place:
        data, train = problem.small_clothing(60_000), 5000
    centred = data.inputs - np.mean(data.inputs, axis=0, dtype=np.float32)
    targets = np.eye(10, dtype=np.float32)[data.targets]
    data = data._replace(inputs=centred, targets=targets)
    model = problem.mlp((32, 32, 10), jnp.tanh)
    return problem.workload(model, problem.mse, data, train=train, test=1)


def _roots(train: learn.TrainState) -> Params:
    """1/√(√v̂ + ε) where the optimizer scales by a mean square, else 1."""
    whole = jax.tree.map(jnp.ones_like, train.params)
    leaves, structure = jax.tree.flatten(whole)
    inner = jax.tree.leaves(train.opt_state, is_leaf=_is_rules)
    for state in filter(_is_rules, inner):
        decay = train.hyper.second_moment
        bias = 1 - decay ** state.step.astype(decay.dtype)
        for place, own in enumerate(state.states):
            if len(own) == 2:
                scale = jnp.sqrt(own[1][0] / bias) + train.hyper.epsilon
                leaves[place] = 1 / jnp.sqrt(scale)
    return jax.tree.unflatten(structure, leaves)


def _is_rules(node: Any) -> bool:
    return isinstance(node, RulesState)


def _probe(objective: Objective, edge: float, depth: int) -> learn.Probe:
    """The sharpness over its edge, from the vector that was found last."""
    gradient = jax.grad(objective)

    def apply(last: Params, train: learn.TrainState) -> tuple[Params, Result]:
        data, roots = train.data.train, _roots(train)
        hessian = curvature.hessian_product(objective, train.params, data)

        def scaled(vector: Params) -> Params:
            image = hessian(jax.tree.map(jnp.multiply, roots, vector))
            return jax.tree.map(jnp.multiply, roots, image)

        krylov = curvature.lanczos(scaled, last, depth=depth)
        values, vectors = jnp.linalg.eigh(krylov.tridiagonal)
        _, unravel = tree.ravel(last)
        sharpest = unravel(vectors[:, -1] @ krylov.basis)
        rate, here = train.hyper.lr, gradient(train.params, data)
        there = gradient(tree.axpy(-rate, here, train.params), data)
        cosine = tree.vdot(here, there) / (tree.norm(here) * tree.norm(there))
        return sharpest, Result(values[-1] * rate / edge, cosine)

    return learn.Probe(partial(jax.tree.map, jnp.ones_like), apply)


def _all_own(own: Any, key: Any, step: Any) -> Batch:
    """Every update sees all of a run's own examples."""
    del key, step
    return own.train


def study(config: Config, keep: Keep) -> Result:
    """One program a data set and method."""
    seen = []
    for place, name in enumerate(DATA[: config.data]):
        work = _work(place)
        batches = learn.split_anew(
            work.data, train=work.train, test=work.test, size=work.train
        )
        for method in METHODS[: config.methods]:
            training = learn.training(
                work.start,
                work.loss,
                method.family,
                batches._replace(draw=_all_own),
                steps=config.updates,
                every=EVERY,
                probe=_probe(problem.mean_loss(work), method.edge, config.depth),
            )
            grid = learn.grid(
                learn.Hyper,
                lr=method.rates,
                momentum=BETA,
                second_moment=0.99,
                seed=randomness.seeds(config.seed, config.units),
            )
            title = f"{name}, {method.name}"
            runs = learn.sweep(
                training, grid, lanes=config.lanes, name=title, keep=keep
            )
            seen.append(runs.trace.probed)
    shape = (config.data, -1, config.units, config.updates // EVERY)
    values = [np.concatenate(each).reshape(shape) for each in zip(*seen, strict=True)]
    return Result(*values)


NEAR = record.near(
    1.0,
    margin=0.15,
    reason="less than half of what parts the nearest two laws, a factor of 1.47",
)
BELOW = record.below(0.0, margin=0.1, reason="a tenth of what is possible")


def findings(result: Result) -> tuple[Assertion, ...]:
    """Gradient descent at the first rate decides."""
    found: list[Assertion] = []
    updates = EVERY * result.ratio.shape[-1]
    for place, name in enumerate(DATA[: len(result.ratio)]):
        for arm, (method, rate) in enumerate(_arms(result)):
            setting = (
                f"{name}, two hidden layers of 32 tanh units, squared error, "
                f"{updates:,} full-batch updates of rate {rate:.3g}"
            )
            control = " (negative control)" if rate == CONTROL else ""
            assertion = record.supporting if arm else record.deciding
            found.append(
                assertion(
                    "C057",
                    f"In the last third of training by {method.name} the sharpness is "
                    f"near {method.law}{control}.",
                    record.bootstrap(np.mean, _late(result.ratio[place, arm])),
                    NEAR,
                    unit="ratio",
                    setting=setting,
                    figure="sharpness",
                )
            )
            if method.family is learn.sgd:
                found.append(
                    record.supporting(
                        "C057",
                        f"In the last third of training by {method.name} the gradients "
                        "before and after a step point against each other (their mean "
                        f"cosine){control}.",
                        record.bootstrap(np.mean, _late(result.cosine[place, arm])),
                        BELOW,
                        unit="ratio",
                        setting=setting,
                    )
                )
    return tuple(found)


def _arms(result: Result) -> list[tuple[Method, float]]:
    """Each method at each of its rates."""
    arms = [(method, rate) for method in METHODS for rate in method.rates]
    return arms[: result.ratio.shape[1]]


def _late(values: Array) -> np.ndarray:
    """The mean over the last third of evaluations, of the units that did not
    diverge.
    """
    last = np.shape(values)[-1] // 3
    means = np.mean(np.asarray(values)[:, -last:], axis=-1)
    return means[np.isfinite(means)]


def figures(result: Result) -> dict[str, Figure]:
    """The sharpness over the edge in training, median and range of units."""
    arms, rows = _arms(result), len(result.ratio)
    count = len({method.name for method, _ in arms})
    figure, axes = panels(rows, count, width=3.4)
    updates = EVERY * (1 + np.arange(result.ratio.shape[-1]))
    for place in range(rows):
        for arm, (method, rate) in enumerate(arms):
            axis = axes[place * count + METHODS.index(method)]
            ratio = result.ratio[place, arm].T
            band(axis, updates, ratio, f"rate {rate:.3g}", within=1.0)
            axis.set_ylim(0, 1.5)
            axis.axhline(1.0, color="0.4", linestyle=":")
            title = f"{method.law}, {DATA[place]}"
            label(axis, title, f"update of {method.name}", "sharpness over the edge")
    shared_legend(figure, columns=6)
    return {"sharpness": figure}
