"""Do small batches free weights that are stuck exactly on a saddle?

Where the gradient of one loss is zero, says the lecture, the loss of the next batch has
another gradient, so that small batches move on where all examples at once are stuck.
`stuck_batches` asks it of minima; here weights lie on the certified saddles of
`negative_curvature`, at rate 1/(4‖H‖), for 20 e-folds of the lowest eigenvalue: 8 by
batches of 10, 12 by all examples, which bring the loss down again. Progress is the fall
of the full loss, in drops that can be reached (`escape`), between -1 and 1.

All examples must stay, for e²⁰ times rounding, 1e-16 of the weights' norm, is 5e-8,
far below the distance of 1e-4 from which they are seen to leave. At saddles of index 1
the gradients of batches differ along the way down: if the claim holds, their mean
progress is above 0.2, a fifth of what can be gained; within ± 0.2 they stay. That
they leave is nearly sure, since those saddles were chosen for it, and any noise along
the way down grows: so all findings support, and `stuck_batches` decides. Negative
control: at saddles with a unit of zero weights the gradient of every example vanishes
along the way down, so that batches must stay. Beside them all examples with normal
noise on every weight, whose trace of covariance is at every update that of the batches:
it sees every direction and must leave both. Nor are batches needed for it: from 1e-4 of
‖θ‖ off a saddle all examples leave as well.

Training meets no saddle exactly, so this shows the claim's mechanism, not that small
batches train better. The noise of shuffled batches cancels within an epoch, isotropic
noise does not. A unit is a saddle of a network with weights and digits of its own.
Margins and sizes were fixed after a run of twelve networks at seed 7; later 20 e-folds
replaced 25, which multiply rounding by 7e10, beyond what all examples may see.

Claims: C067.
Sources: Fukumizu and Amari 2000; Zhu et al. 2019, arXiv:1803.00195 (isotropic noise of
    equal strength); Jin et al. 2017, arXiv:1703.00887.
Cost: half a minute on 2 cores, after `negative_curvature` and `escape`.
Expect: batches leave the saddles that they see, as any noise does.
Run: jaxml run saddle_batches
"""

from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from jaxml import curvature, learn, problem, randomness, record, tree
from jaxml.curvature.programs import mapped
from jaxml.parallel import rows
from jaxml.record import Assertion
from jaxml.record.figures import Figure, label, panels, strips
from jaxml.types import Array, Batch, Keep, Key, Objective

NEEDS = ("negative_curvature", "escape")
KINDS = ("saddles of index 1 between minima", "saddles with a unit of zero weights")
BATCHES, NOISY, ALL, OFF = range(4)  # of what a gradient is; OFF is ALL from FAR off
ARMS = ("batches of 10", "isotropic noise", "all examples", "all, 1e-4 off")
SIZE = 10  # examples in a batch
FAR = 1e-4  # of ‖θ‖
PART = 0.4  # of a run, by its arm; the rest is by all examples
PROGRESS = record.above(
    0.0, margin=0.2, reason="less than a fifth of what could be gained"
)


@dataclass(frozen=True, kw_only=True)
class Config:
    """How long runs are, in e-folds of the lowest eigenvalue."""

    folds: int = 20
    seed: int = 0


SMOKE = Config(folds=1)


class Saddle(NamedTuple):
    """A saddle, and how long runs from it are."""

    point: Array
    data: Batch
    rate: Array
    own: Array  # updates by the arm
    updates: Array  # in all
    key: Key


class Result(NamedTuple):
    """Progress from saddles, in drops that can be reached.

    Attributes:
        kind: which of KINDS.
        progress: by arm.
        folds: of a run.
    """

    kind: Int[np.ndarray, " saddle"]
    progress: Float[np.ndarray, "saddle arm"]
    folds: Int[np.ndarray, ""]


def study(config: Config, keep: Keep, negative_curvature: Any, escape: Any) -> Result:
    """All arms from all saddles in one program, in float64."""
    points = negative_curvature
    saddle = np.flatnonzero(np.isin(points.kind, range(len(KINDS))))
    rate = 1 / (4 * points.largest[saddle])
    growth = np.log1p(rate * np.abs(points.lowest[saddle]))  # e-folds of an update
    with jax.enable_x64(True):
        objective = jax.jit(problem.objective_of_vector(problem.parity_digits()))
        saddles = Saddle(
            point=points.params[saddle],
            data=rows(points.data, saddle),
            rate=rate,
            own=np.ceil(PART * config.folds / growth).astype(np.int32),
            updates=np.ceil(config.folds / growth).astype(np.int32),
            key=jax.random.split(randomness.key(config.seed), len(saddle)),
        )
        falls = keep("runs", lambda: mapped(_falls, (objective,), saddles, None))
    progress = np.clip(falls / escape.drop[saddle][:, None], -1, 1)
    return Result(points.kind[saddle], progress, np.array(config.folds))


def _falls(objective: Objective, saddle: Saddle, _: None) -> Array:
    """How much lower the arms end, one after another."""
    data = saddle.data
    draw = learn.shuffled(data, SIZE).draw
    gradients = curvature.noisy_gradients(
        objective, data, draw, size=SIZE, key=saddle.key
    )
    aside = tree.random_like(saddle.point, saddle.key)
    away = FAR * jnp.linalg.norm(saddle.point) * aside / jnp.linalg.norm(aside)

    def end(arm: Array) -> Array:
        def update(step: Array, x: Array) -> Array:
            kind = jnp.where(step < saddle.own, jnp.minimum(arm, ALL), ALL)
            return x - saddle.rate * jax.lax.switch(kind, gradients, x, step)

        first = saddle.point + jnp.where(arm == OFF, away, jnp.zeros_like(away))
        last = jax.lax.fori_loop(0, saddle.updates, update, first)
        return objective(last, data)

    ends = jax.lax.map(end, jnp.arange(len(ARMS), dtype=jnp.int32))
    return objective(saddle.point, data) - ends


def findings(result: Result) -> tuple[Assertion, ...]:
    """The claim where batches see the way down; its controls."""
    noisy = "All examples with isotropic noise of the strength of batches of 10 free"
    off = "From 1e-4 of the weights' norm off a saddle all examples free"
    every = "All examples at once free"
    seen, unseen = KINDS
    stuck = "weights that are exactly on a saddle"
    claim = f"Batches of 10 free {stuck}."
    asserted = partial(_asserted, result)
    return (
        asserted(claim, seen, BATCHES),
        asserted(f"{noisy} {stuck}.", seen, NOISY),
        asserted(f"{every} {stuck} (negative control).", seen, ALL),
        asserted(f"{off} the weights too.", seen, OFF),
        asserted(f"{claim} (Negative control.)", unseen, BATCHES),
        asserted(f"{noisy} {stuck}.", unseen, NOISY),
        asserted(f"{every} {stuck} (negative control).", unseen, ALL),
        asserted(f"{off} the weights too.", unseen, OFF),
    )


def _asserted(result: Result, statement: str, kind: str, arm: int) -> Assertion:
    progress = result.progress[result.kind == KINDS.index(kind), arm]
    setting = (
        "parity of 100 random 8x8 digits from 8 whitened principal components, 3 tanh "
        f"units, decay 0.001, {kind}, rate 1/(4‖H‖), progress in drops that can be "
        f"reached in {result.folds} e-folds of the lowest eigenvalue"
    )
    measured = record.bootstrap(np.mean, progress)
    return record.supporting(
        "C067", statement, measured, PROGRESS, unit="difference", setting=setting
    )


def figures(result: Result) -> dict[str, Figure]:
    """A point a saddle."""
    figure, axes = panels(1, len(KINDS), width=5.0)
    for kind, axis in enumerate(axes):
        progress = result.progress[result.kind == kind]
        strips(axis, dict(zip(ARMS, progress.T, strict=True)))
        title = f"{len(progress)} {KINDS[kind]}"
        label(axis, title, "gradient", "progress (drops that can be reached)")
    return {"saddles": figure}
