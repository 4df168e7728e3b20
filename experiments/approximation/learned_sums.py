"""Does training find the weights by which sums of sigmoids come close?

The theorem of C018 says that weights exist, and `sigmoid_sums` gives them. Training is
not part of it, so nothing here decides. 32 sigmoids are trained by Adam on the mean
squared error of 65 points, 2,000 updates, from the usual initial weights of
`problem.units`, and from the constructed ones. Both are judged by the largest error on
2,001 points, as a log ratio to that of the constructed weights; ten rates each, chosen
by what is judged on 12 draws, and 36 others judge. If the theorem said what training
does, the first ratio would be 0 or less. If the squared error were to blame, and not
the start, the second would be as large: that is its control.

An error a quarter larger is the least that would matter: a quarter more sigmoids make
up for it, since the bound falls as 1/n. Draws of the seed 77 placed the rates. Of eight
the first log ratio was 0.5 for hard sigmoids and 1.5 for walks, with a deviation of 0.3
and 0.5, so that 36 leave half-widths of 0.1 and 0.2. The constructed weights' lowest
rate is no edge, for beyond it lies no training at all.

A unit draws the function, and with it initial weights or places anew. Not tested:
several inputs, other optimizers, longer training.

Claims: C018.
Sources: Cybenko 1989, Mathematics of Control, Signals and Systems 2; Hornik 1991.
Cost: 14 seconds on 2 cores, compilation included.
Expect: from usual weights training ends far from the constructed sums.
Run: jaxml run learned_sums
"""

from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int
from scipy import special

from jaxml import learn, parallel, problem, randomness, record
from jaxml.record import Arm, Assertion
from jaxml.record.figures import Figure, by_rate, label, legend_below, panels
from jaxml.types import Keep, Params

UNITS, POINTS, STEPS = 32, 65, 16  # sigmoids, examples, steps of a walk
KINDS = ("hard sigmoids", "walks of 16 steps")
STARTS = ("usual initial weights", "constructed weights")
LOWEST = np.array([0.02, 0.0005])  # rate of each start
GRID = 1.5 ** np.arange(10)
JUDGED = np.linspace(-1, 1, 2001)
WORSE = record.above(0.0, margin=np.log(1.25), reason="a quarter more sigmoids")


@dataclass(frozen=True, kw_only=True)
class Config:
    """Draws that tune and that judge, and updates."""

    tuning: int = 12
    judging: int = 36
    steps: int = 2000
    lanes: int = 48
    seed: int = 0


SMOKE = Config(tuning=1, judging=1, steps=5, lanes=20)


class Result(NamedTuple):
    """Largest errors, over the range of a function.

    Attributes:
        constructed: of constructed weights.
        trained: after training.
        tuning: how many of the draws tune.
        steps: updates.
    """

    constructed: Float[np.ndarray, "kind draw"]
    trained: Float[np.ndarray, "kind start rate draw"]
    tuning: Int[np.ndarray, ""]
    steps: Int[np.ndarray, ""]


class Curve(NamedTuple):
    """Points of a function on [-1, 1] with the range [0, 1]; lines join them."""

    knots: np.ndarray
    values: np.ndarray


class Run(NamedTuple):
    """One training, or arrays of them.

    Attributes:
        targets: at POINTS.
        judged: the function where it is judged.
        constructed: weights.
        start: whether training begins at these.
        lr: the rate.
        seed: of the usual initial weights.
    """

    targets: Any
    judged: Any
    constructed: Params
    start: Any
    lr: Any
    seed: Any


def study(config: Config, keep: Keep) -> Result:
    """Closed forms in float64, and one program of trainings in float32."""
    seeds = randomness.seeds(config.seed, config.tuning + config.judging)
    curves = [[_curve(kind, seed) for seed in seeds] for kind in range(len(KINDS))]
    stairs = np.array([[_of_stairs(each) for each in row] for row in curves])
    trained = keep("trained", partial(_trained, config, curves, list(seeds)))
    return Result(
        constructed=stairs,
        trained=trained,
        tuning=np.array(config.tuning),
        steps=np.array(config.steps),
    )


def _curve(kind: int, seed: int) -> Curve:
    draws = np.random.default_rng(seed)
    if kind == 0:
        middle, width = draws.uniform(-0.5, 0.5), draws.uniform(0.1, 0.5)
        ends = [middle - width / 2, middle + width / 2]
        return Curve(np.array([-1, *ends, 1]), np.array([0.0, 0, 1, 1]))
    walk = np.cumsum(draws.normal(size=STEPS + 1))
    values = (walk - walk.min()) / np.ptp(walk)
    return Curve(np.linspace(-1, 1, STEPS + 1), values)


def _stairs(curve: Curve) -> Params:
    values = np.interp(np.linspace(-1, 1, UNITS + 1), *curve)
    return problem.sigmoid_stairs(values, -1.0, 1.0)


def _of_stairs(curve: Curve) -> float:
    """The largest error of constructed weights, in float64."""
    with jax.enable_x64(True):
        params = jax.tree.map(np.asarray, _stairs(curve))
    hidden, output = params["hidden"], params["output"]
    terms = special.expit(JUDGED[:, None] * hidden["kernel"] + hidden["bias"])
    sums = (terms @ output["kernel"] + output["bias"])[:, 0]
    return np.abs(sums - np.interp(JUDGED, *curve)).max()


def _trained(
    config: Config, curves: list[list[Curve]], seeds: list[int]
) -> Float[np.ndarray, "kind start rate draw"]:
    x = np.linspace(-1, 1, POINTS)
    weights = [[_stairs(curve) for curve in of_kind] for of_kind in curves]
    places = product(range(len(curves)), range(len(STARTS)), GRID, range(len(seeds)))
    rows = []
    for kind, start, factor, draw in places:
        curve = curves[kind][draw]
        run = Run(
            targets=np.interp(x, *curve).astype(np.float32),
            judged=np.interp(JUDGED, *curve).astype(np.float32),
            constructed=jax.tree.map(np.float32, weights[kind][draw]),
            start=np.bool_(start),
            lr=np.float32(LOWEST[start] * factor),
            seed=np.int32(seeds[draw]),
        )
        rows.append(run)
    runs = jax.tree.map(lambda *leaves: np.stack(leaves), *rows)

    def of_chunk(chunk: Run, shared: tuple[()]) -> jax.Array:
        del shared
        return jax.vmap(partial(_one, config.steps))(chunk)

    first = parallel.rows(runs, np.arange(config.lanes))
    chunks = len(rows) // config.lanes
    program = parallel.compiled(of_chunk, first, (), chunks=chunks)
    errors = parallel.gathered(program, runs, ())
    return errors.reshape(len(KINDS), len(STARTS), len(GRID), len(seeds))


def _one(steps: int, run: Run) -> jax.Array:
    """The largest error after training."""
    model = problem.units(UNITS, jax.nn.sigmoid)
    x = jnp.linspace(-1, 1, POINTS, dtype=jnp.float32)[:, None]
    usual, _ = model.init(jax.random.key(run.seed), x)
    start = jax.tree.map(partial(jnp.where, run.start), run.constructed, usual)

    def outputs(params: Params, x: jax.Array) -> jax.Array:
        return model.apply(params, {}, x, train=False, key=None)[0][:, 0]

    def loss(params: Params, batch: None) -> jax.Array:
        del batch
        return jnp.mean((outputs(params, x) - run.targets) ** 2)

    adam = learn.adam(learn.Hyper(lr=run.lr))
    end = learn.descended(loss, adam, start, None, steps=steps)
    judged = jnp.asarray(JUDGED, jnp.float32)[:, None]
    return jnp.max(jnp.abs(outputs(end, judged) - run.judged))


def findings(result: Result) -> tuple[Assertion, ...]:
    """Log ratios to constructed weights."""
    found: list[Assertion] = []
    for kind in range(len(KINDS)):
        found += _learned(result, kind)
    return tuple(found)


def _arms(result: Result, kind: int) -> tuple[list[Arm], Arm]:
    """Log errors of both starts, and those of constructed weights."""
    trained = np.log(result.trained[kind])
    highest = np.arange(len(GRID)) == len(GRID) - 1
    usual = Arm(trained[0])
    further = Arm(trained[1], edges=highest)  # its other end is no training
    return [usual, further], Arm(np.log(result.constructed[kind])[None])


def _learned(result: Result, kind: int) -> list[Assertion]:
    arms, stairs = _arms(result, kind)
    setting = (
        f"{KINDS[kind]} on [-1, 1], {UNITS} sigmoids, Adam at its best rate, "
        f"{result.steps:,} updates of {POINTS} points"
    )
    supporting = partial(record.supporting, "C018", unit="log ratio")
    measured = partial(record.tuned, record.mean_difference, tuning=int(result.tuning))
    return [
        supporting(
            f"Training from {start} ends at a larger largest error than constructed "
            "weights have.",
            measured(arm, stairs),
            WORSE,
            setting=setting,
        )
        for start, arm in zip(STARTS, arms, strict=True)
    ]


def figures(result: Result) -> dict[str, Figure]:
    """Errors of training by rate, beside those of constructed weights."""
    figure, axes = panels(1, len(KINDS), width=5.0, height=4.2)
    tuning = int(result.tuning)
    for kind, axis in enumerate(axes):
        for start, name in enumerate(STARTS):
            of_start = result.trained[kind, start]
            best = learn.chosen(of_start, tuning)
            by_rate(axis, LOWEST[start] * GRID, of_start[:, tuning:], best, name)
        stairs = np.median(result.constructed[kind])
        axis.axhline(stairs, color="0.4", linestyle=":", label="constructed, untrained")
        axis.set_yscale("log")
        label(axis, KINDS[kind], "rate of Adam", "largest error / range")
        legend_below(axis, columns=1)
    return {"rates": figure}
