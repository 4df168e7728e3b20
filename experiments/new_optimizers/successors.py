"""Do Adam's successors keep what they promise?

AMSGrad, AdaBound, SWATS, RAdam and Nadam against Adam and SGD with momentum, on few
digits: each is tuned over as many rates, and judged on seeds and digits that tuning has
not seen. SWATS takes part at its own tolerance and at one a hundred thousand times
looser, at which it can switch to SGD within the run; AdaBound's bounds close on 0.1, as
in its paper, without the factor 1/√t that its authors' code leaves out.

Claims: C110, C112, C113, C118, C122.
Sources: Reddi, Kale and Kumar 2018, arXiv:1904.09237; Luo et al. 2019,
    arXiv:1902.09843; Keskar and Socher 2017, arXiv:1712.07628; Liu et al. 2020,
    arXiv:1908.03265; Dozat 2016.
Cost: 25 seconds on 2 cores.
Expect: no successor differs from Adam by more than the seeds do; SWATS hardly ever
switches.
Run: jaxml run successors
"""

from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxml import learn, problem, randomness, record
from jaxml.record.figures import label, panels
from jaxml.types import Array

RATES = np.geomspace(3e-4, 0.1, 11)
METHODS = {  # family, and what multiplies the rates
    "adam": (learn.adam, 1.0),
    "amsgrad": (learn.amsgrad, 1.0),
    "adabound": (learn.unbiased_adabound, 1.0),
    "swats": (learn.swats, 1.0),
    "loose swats": (learn.swats, 1.0),
    "radam": (learn.radam, 1.0),
    "nadam": (learn.nadam, 1.0),
    "momentum": (learn.momentum, 30.0),
}
TOLERANCES = {
    "swats": "1e-9",
    "loose swats": "1e-4",
}  # of the rate that SWATS waits for
SPEAKS_OF = {  # the claim, and the method's name
    "amsgrad": ("C112", "AMSGrad"),
    "adabound": ("C113", "AdaBound, its rates clipped to bounds that close on 0.1,"),
    "loose swats": ("C110", "SWATS with a tolerance of 1e-4"),
    "radam": ("C118", "RAdam"),
    "nadam": ("C122", "Nadam"),
}


@dataclass(frozen=True, kw_only=True)
class Config:
    """The network, how few digits it sees, and how long."""

    width: int = 32
    train: int = 500
    steps: int = 1000
    every: int = 50
    batch: int = 20
    tuning_seeds: int = 3
    seeds: int = 10
    lanes: int = 11
    seed: int = 0


SMOKE = Config(width=4, train=60, steps=4, every=2, tuning_seeds=1, seeds=2, lanes=11)


class Result(NamedTuple):
    """What tuned methods reach, by method of METHODS, and whether they do what they are
    meant to.
    """

    tuning: (
        Array  # [method, rate, tuning seed], last loss in tuning, inf where it diverged
    )
    loss: Array  # [method, seed], test loss at the best rate, nan where it diverged
    # [seed, look], of Adam's rates where gradients were, highest over lowest coordinate
    spread: Array
    switched: Array  # [tolerance, seed, look], whether it has switched to SGD
    train: Array  # [], digits
    weights: Array  # [], of the network
    steps: Array  # [], updates


def _watched(method, measures):
    """The measures, how far apart the rates of coordinates are, and whether SWATS has
    switched.
    """
    measured, watched = learn.measuring(measures), optax.tree_utils.tree_get

    def spread(
        train,
    ):  # a common factor, such as the rate and the correction of the bias, cancels
        roots = jnp.sqrt(
            jnp.concatenate(
                [jnp.ravel(v) for _, (v,) in watched(train.opt_state, "memory")]
            )
        )
        return (jnp.max(roots) + train.hyper.epsilon) / jnp.min(
            jnp.where(roots > 0, roots, jnp.inf)
        )

    def apply(state, train):
        state, seen = measured.apply(state, train)
        if "swats" in method:
            seen["switched"] = watched(train.opt_state, "switched")
        return state, seen | ({"spread": spread(train)} if method == "adam" else {})

    return learn.Probe(measured.init, apply)


def study(config, keep):
    """One program a method, and one for the tolerances of SWATS."""
    parts = problem.split(
        problem.digits(), config.train, key=randomness.key(config.seed)
    )
    half = len(parts.test.weights) // 2
    tuning, test = problem.split(parts.test, half, key=randomness.key(config.seed, 1))
    model, loss = problem.mlp((config.width, 10), jax.nn.relu), problem.cross_entropy
    look = partial(problem.evaluation, model, loss)
    measures = {"loss": look(tuning), "test": look(test)}
    start, judge = (
        problem.start(model, parts.train.inputs),
        problem.training_loss(model, loss),
    )
    batches = learn.shuffled(parts.train, config.batch)

    def experiment(method, family):
        watch = {
            "steps": config.steps,
            "every": config.every,
            "probe": _watched(method, measures),
        }
        return learn.training(start, judge, family, batches, **watch)

    counts = {
        "tuning_seeds": config.tuning_seeds,
        "seeds": config.seeds,
        "seed": config.seed,
    }
    contests = {}
    for method, (family, scale) in METHODS.items():
        tolerance = float(TOLERANCES.get(method, "1e-9"))
        grid = learn.grid(learn.Hyper, lr=scale * RATES, tolerance=[tolerance])
        contests |= learn.compare(
            partial(experiment, method),
            {method: learn.Entrant(family, grid)},
            target=0.2,
            lanes=config.lanes,
            keep=keep,
            **counts,
        )
    switched = [contests[method].curves["switched"] for method in TOLERANCES]
    weights = sum(leaf[0].size for leaf in jax.tree.leaves(contests["adam"].params))
    return Result(
        tuning=np.stack([each.tuning for each in contests.values()]),
        loss=np.stack([each.final["test"] for each in contests.values()]),
        spread=contests["adam"].curves["spread"],
        switched=np.stack(switched),
        train=np.array(config.train),
        weights=np.array(weights),
        steps=np.array(config.steps),
    )


def findings(result):
    """One split and one tuned rate are shared by all seeds, so nothing here decides."""
    return (*_against_adam(result), *_switching(result), _spread_of_rates(result))


def _against_adam(result):
    """Differences in test loss, paired by seed; a seed of which one diverged is left
    out.
    """
    loss, rows = dict(zip(METHODS, result.loss, strict=True)), []
    for name, (claim, written) in SPEAKS_OF.items():
        rows.append(
            _ends_lower(claim, written, "Adam", loss[name], loss["adam"], result)
        )
    _, written = SPEAKS_OF["loose swats"]
    rows.append(
        _ends_lower(
            "C110",
            written,
            "SGD with momentum",
            loss["loose swats"],
            loss["momentum"],
            result,
        )
    )
    return rows


def _ends_lower(claim, name, rival, ours, theirs, result):
    return record.supporting(
        claim,
        f"{name} reaches a lower test loss than {rival}.",
        record.paired(ours, theirs),
        record.below(
            0.0, margin=0.01, reason="a hundredth of a nat is less than what seeds move"
        ),
        unit="nats",
        setting=_setting(result, "each at its tuned rate"),
    )


def _switching(result):
    rows = []
    for tolerance, switched in zip(TOLERANCES.values(), result.switched, strict=True):
        rows.append(
            record.supporting(
                "C110",
                f"SWATS with a tolerance of {tolerance} switches to SGD within most "
                "runs.",
                record.proportion(switched[:, -1], of=result.loss),
                record.above(0.5),
                unit="fraction",
                setting=_setting(result, "at its tuned rate"),
            )
        )
    return rows


def _spread_of_rates(result):
    return record.supporting(
        "C113",
        "Adam ends with rates that are far apart: the highest of its coordinates' "
        "rates over the lowest.",
        record.bootstrap(np.median, result.spread[:, -1]),
        record.above(100.0),
        unit="ratio",
        setting=_setting(result, "at its tuned rate"),
    )


def _setting(result, rate):
    return (
        f"{result.train} of the 8x8 digits in one split, dense network of "
        f"{result.weights:,} weights, {result.steps:,} updates {rate}"
    )


def figures(result):
    """Tuning by rate, test losses by seed, and how far rates are apart."""
    figure, axes = panels(1, 3, width=5.0)
    for (name, (_, scale)), losses in zip(
        METHODS.items(), np.median(result.tuning, axis=2), strict=True
    ):
        axes[0].loglog(scale * RATES, np.minimum(losses, 3), label=name, markevery=1)
    for place, losses in enumerate(result.loss):
        axes[1].scatter(np.full(len(losses), place), losses, color="black", s=12)
    axes[1].set_xticks(range(len(METHODS)), list(METHODS), rotation=30)
    axes[2].semilogy(
        np.linspace(0, 1, result.spread.shape[1] + 1)[1:],
        np.median(result.spread, axis=0),
    )
    axes[0].legend(fontsize=8)
    label(axes[0], "At every rate", "rate η", "median loss in tuning (nats)")
    label(axes[1], "A point a seed", "method", "test loss (nats)")
    label(
        axes[2],
        "Adam's rates by coordinate",
        "share of the updates",
        "highest over lowest",
    )
    return {"successors": figure}
