"""Does a rate for each parameter beat one rate for all, on the lecture's surface and on it turned?

The surface is the squared error of a line through ten Pokémon, two parameters of very unequal curvature.
Its long axis lies within a sixth of a degree of a coordinate axis, so the same surface is also turned about
its minimum, with the start: what does not depend on the axes takes the same path.

Claims: C078, C079, C080, C081, C082, C083, C084, C085, A4, A5, A9, A10.
Sources: Duchi, Hazan and Singer 2011; Tieleman and Hinton 2012; Kingma and Ba 2015, arXiv:1412.6980.
Cost: 9 seconds on 2 cores: 10 programs of 100,000 steps.
Expect: adaptive rates arrive where descent does not; turned by 45 degrees most of that is gone.
Run: jaxml run adaptive_rates
"""

from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxml import learn, problem, record
from jaxml.record.figures import label, panels

ANGLES = np.radians([0.0, 5.0, 15.0, 45.0])
PLAIN, ADAPTIVE = np.array([[1e-8, 1e-7, 3e-7, 1e-6, 1.1e-6, 1.2e-6], [0.1, 0.3, 0.5, 1.0, 3.0, 10.0]])
START, CLOSE = np.array([-120.0, -4.0]), 100.0  # of the excess of the squared error over its least
DATA = problem.pokemon_cp(dtype=np.float64)
DESIGN, HEIGHTS = np.hstack([np.ones_like(DATA.inputs), DATA.inputs]), DATA.targets[:, 0]
BEST, CURVATURE = np.linalg.lstsq(DESIGN, HEIGHTS)[0], 2 * DESIGN.T @ DESIGN


class Runs(NamedTuple):
    """What became of one method at each rate and angle; steps and bursts count from the start."""

    steps: jax.Array  # [rate, angle], until the excess is first below CLOSE, or inf
    bursts: jax.Array  # [rate, angle], how often |w - w*| rises beyond 1
    end: jax.Array  # [rate, angle, 2], turned back
    excess: jax.Array  # [rate, angle], of the squared error at the end over its least
    path: jax.Array  # [rate, angle, look, 2], at geometrically spaced steps


METHODS = {  # family, schedule, rates, second moment; "course" is the lecture's Adagrad
    "descent": (learn.sgd, learn.constant, PLAIN, 0.0),
    "momentum": (learn.momentum, learn.constant, PLAIN, 0.0),
    "course": (learn.mean_square_adagrad, learn.constant, ADAPTIVE, 0.0),
    "course_inverse_sqrt": (learn.mean_square_adagrad, learn.inverse_sqrt, ADAPTIVE, 0.0),
    "course_exponential": (learn.mean_square_adagrad, learn.exponential, ADAPTIVE, 0.0),
    "course_cosine": (learn.mean_square_adagrad, learn.cosine, ADAPTIVE, 0.0),
    "adagrad": (learn.adagrad, learn.constant, ADAPTIVE, 0.0),
    "rmsprop": (learn.rmsprop, learn.constant, ADAPTIVE, 0.9),
    "rmsprop_cosine": (learn.rmsprop, learn.cosine, ADAPTIVE, 0.99),
    "adam": (learn.adam, learn.constant, ADAPTIVE, 0.999),
}
Result = NamedTuple("Result", [(name, Runs) for name in METHODS])  # pyright: ignore


@dataclass(frozen=True, kw_only=True)
class Config:
    """How long every method runs."""

    steps: int = 100_000
    dtype: str = "float64"


SMOKE = Config(steps=300)


def _run(config, method, rate, angle):
    family, shape, _, second_moment = method
    turn = jnp.array([[jnp.cos(angle), -jnp.sin(angle)], [jnp.sin(angle), jnp.cos(angle)]])
    back = lambda params: BEST + turn.T @ (params - BEST)  # noqa: E731  # to the data's coordinates
    error = lambda params, _: jnp.sum((HEIGHTS - DESIGN @ back(params)) ** 2)  # noqa: E731  # Σ (y - b - wx)²
    hyper = learn.Hyper(lr=rate, second_moment=second_moment, horizon=float(config.steps))
    start, least = BEST + turn @ (START - BEST), jnp.sum((HEIGHTS - DESIGN @ BEST) ** 2)
    run = learn.descend(error, family(hyper, shape), start, None, steps=config.steps, observe=back)
    close, far = run.loss - least < CLOSE, jnp.abs(run.observed[:, 1] - BEST[1]) > 1
    seen = np.unique(np.geomspace(1, config.steps, 400).astype(int)) - 1
    steps = jnp.where(jnp.any(close), jnp.argmax(close).astype(float), jnp.inf)
    bursts = jnp.sum(far[1:] & ~far[:-1])
    return Runs(steps, bursts, back(run.params), error(run.params, None) - least, run.observed[seen])


def study(config, keep):
    """One program a method, its rates and angles as lanes."""
    with jax.enable_x64(True):
        lanes = lambda each: jax.vmap(jax.vmap(partial(_run, config, each), (None, 0)), (0, None))  # noqa: E731
        programs = ((name, jax.jit(lanes(each)), each[2]) for name, each in METHODS.items())
        return Result(*(keep(name, partial(program, rates, ANGLES)) for name, program, rates in programs))


def findings(result):
    """Nothing is random. Arrivals are at the best of a method's rates, 1e9 steps where there is none."""
    exact, runs = partial(record.exact, unit="1", dtype="float64"), result._asdict()
    first, (values, vectors) = START - 0.01 * CURVATURE @ (START - BEST), np.linalg.eigh(CURVATURE)
    excess = {name: np.nan_to_num(each.excess[:, 0], nan=1e300, posinf=1e300) for name, each in runs.items()}
    bursts = {name: float(np.sum(each.bursts[:4, 0])) for name, each in runs.items()}
    arrival = {name: np.minimum(np.min(each.steps, axis=0), 1e9) for name, each in runs.items()}
    above = (
        ("C079", "Descent arrives at no constant rate: least excess.", excess["descent"].min(), CLOSE, "SSE"),
        ("C079", "Beyond η = 2/λ it blows up: excess.", excess["descent"][-1], 1e6, "SSE"),
        ("A10", "At η = 0.01 b goes beyond 0 at once, not to -134.", first[0], 0.0, "1"),
        ("C080", "The lecture's Adagrad bursts: excursions, η <= 1.", bursts["course"], 0.0, "1"),
        ("C083", "At η = 0.1 RMSProp does not settle: excess.", excess["rmsprop"][0], CLOSE, "SSE"),
        *(("A9", f"Turned by 45°, {name} needs more: ratio.", np.divide(*arrival[name][[3, 0]]), 3.0, "1")
          for name in ("adagrad", "adam", "rmsprop_cosine")),
    )  # fmt: skip
    below = (
        ("C081", "Duchi's does not: excursions, η <= 1.", bursts["adagrad"], 0.5, "1"),
        *(("C085", f"Decay removes the bursts: excursions, {name}.", bursts[name], 0.5, "1")
          for name in ("course_inverse_sqrt", "course_exponential", "course_cosine")),
        ("C083", "With cosine decay RMSProp settles: excess.", excess["rmsprop_cosine"][0], CLOSE, "SSE"),
        *((claim, f"{name} arrives within {steps:g} steps.", arrival[name][0], steps, "steps")
          for claim, name, steps in (("C082", "adagrad", 1e5), ("C084", "adam", 1e4))),
        ("A9", "The long axis lies along a coordinate: angle.", np.degrees(np.abs(vectors[1, 0])), 1.0, "°"),
        ("A9", "Turned, momentum does not: ratio.", np.divide(*arrival["momentum"][[3, 0]]), 1.01, "1"),
    )  # fmt: skip
    return (
        exact("C078", "The minimum is at (-188.433, 2.66945): error in half units of the last digit.",
              (BEST - [-188.433, 2.66945]) / [5e-4, 5e-6], 1.0),
        exact("A5", "The curvatures are 5.573 and 1.7468e6.", values / [5.573, 1.7468e6] - 1, 1e-4),
        exact("A5", "At η = 1e-7 it ends at (-123.7, 2.483).", result[0].end[1, 0] - [-123.7, 2.483], 0.05),
        exact("A4", "The course's under 1/√t is Duchi's: distance of the ends.",
              (runs["course_inverse_sqrt"].end - runs["adagrad"].end)[:, 0], 1e-6),
        *(rule(claim, statement, record.certain(float(value)), bound, unit=unit, dtype="float64")
          for rule, rows in ((record.above, above), (record.below, below))
          for claim, statement, value, bound, unit in rows),
    )  # fmt: skip


def figures(result):
    """The paths on the contour, and steps against the angle."""
    figure, axes = panels(2, 2, width=5.0)
    b, w = np.meshgrid(np.linspace(-205, -110, 80), np.linspace(-5, 7, 80))
    offset = np.stack([b - BEST[0], w - BEST[1]], axis=-1)
    excess = 0.5 * np.einsum("...i,ij,...j", offset, CURVATURE, offset)
    for axis, name, rate in zip(axes, ("course", "adagrad", "adam"), (3, 5, 3), strict=False):
        axis.contour(b, w, np.log10(excess + 1), levels=12, colors="0.7", linewidths=0.7)
        axis.plot(*result.descent.path[3, 0].T, label="descent at η = 1e-6")
        axis.plot(*getattr(result, name).path[rate, 0].T, label=f"{name} at η = {ADAPTIVE[rate]:g}")
        axis.set(xlim=(-205, -110), ylim=(-5, 7))
        axis.legend(fontsize=8)
        label(axis, name, "b (combat power)", "w (1)")
    for name in ("momentum", "adagrad", "rmsprop_cosine", "adam"):
        axes[3].semilogy(np.degrees(ANGLES), getattr(result, name).steps.min(axis=0), label=name)
    axes[3].legend(fontsize=8)
    label(axes[3], "The best of each method's rates", "angle of the surface (°)", "steps to excess 100")
    return {"paths": figure}
