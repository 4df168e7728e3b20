"""Which critical points do networks have, and how do index and loss go together?

Seven families, each searched its own way and never pooled, since how a point is searched for decides what
is found: three prescribe no index (gradient-norm descent from random weights), one climbs to prescribed
ones, one trains first, and on real digits minima are embedded in wider networks, as saddles by theory.

Claims: C052, C053, C058, C060.
Sources: Dauphin et al. 2014, arXiv:1406.2572; Frye et al. 2021, arXiv:2003.10397; Fukumizu and Amari 2000.
Cost: half a minute on 2 cores: 616 networks, each family one compiled program.
Expect: a higher loss goes with a higher index; training on digits, then Newton, ends in minima.
Run: jaxml run critical_points
"""

from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxml import curvature, learn, problem, record
from jaxml.curvature import OUTCOMES, Candidates
from jaxml.record.figures import label, panels, stacked_shares, symmetric_log
from jaxml.types import Array

DECAY = 1e-3  # of all tanh networks but the followed ones


@dataclass(frozen=True, kw_only=True)
class Config:
    """Networks of each family and of the digits, and how long they are searched and trained."""

    networks: int = 120
    indices: tuple[int, ...] = (0, 1, 2, 4)  # of the followed ones, in turn
    digits: int = 8
    examples: int = 500
    iterations: int = 300
    minimise: int = 3000  # Adam steps before a search
    dtype: str = "float64"


SMOKE = Config(networks=4, digits=2, examples=60, iterations=30, minimise=300)


class Result(NamedTuple):
    """Candidates by family, and the spectra that theory gives the embedded ones [network, p]."""

    relu: Candidates
    tanh: Candidates
    narrow_tanh: Candidates
    followed_tanh: Candidates
    trained_relu: Candidates
    digits: Candidates
    embedded_digits: Candidates
    embedded_theory: Array


def study(config, keep):
    """Searches each family in one program."""
    free = partial(curvature.gradient_norm_descent, iterations=config.iterations)
    follow = partial(curvature.eigenvector_following, iterations=config.iterations)
    minimise = learn.minimiser(learn.adam(learn.Hyper(lr=0.01)), steps=config.minimise)

    def climb(objective, start, batch):
        return follow(objective, start[0], batch, index=start[1])

    def search(name, task, way, starts):
        return keep(name, partial(curvature.search, way, problem.objective(*task[:3]), starts, task.batch))

    with jax.enable_x64(True):
        relu, smooth = problem.relu_sinc(20), partial(problem.tanh_sinc, decay=DECAY, scale=2.0)
        untrained, seeds = (relu, smooth(5), smooth(2)), partial(problem.networks, count=config.networks)
        families = tuple(zip(Result._fields, untrained, map(seeds, untrained), strict=False))
        climbed, indices = problem.tanh_sinc(10), jnp.resize(jnp.asarray(config.indices), config.networks)
        digits, wide = (problem.softmax_digits(w, decay=DECAY, examples=config.examples) for w in (4, 5))
        newton = curvature.after(minimise, partial(follow, index=0))
        minima = search("digits", digits, newton, problem.networks(digits, config.digits))
        wider, theory = keep("embedding", partial(_embed, digits, minima))
        return Result(
            **{name: search(name, task, free, starts) for name, task, starts in families},
            followed_tanh=search("followed_tanh", climbed, climb, (seeds(climbed), indices)),
            trained_relu=search("trained_relu", relu, curvature.after(minimise, free), families[0][2]),
            digits=minima,
            embedded_digits=search("embedded_digits", wide, curvature.stay, wider),
            embedded_theory=theory,
        )


def _embed(task, minima):
    """The digits networks with a zero unit added, and the spectra that theory gives them."""
    fold = problem.unravel(task)

    def one(point):
        errors = problem.output_errors(task, fold(point))
        added = curvature.zero_unit_eigenvalues(errors, task.batch.inputs, task.batch.weights)
        return curvature.zero_unit(fold(point), "layer_00", "layer_01"), added + 2 * DECAY

    wider, added = jax.lax.map(one, minima.params)
    return wider, np.sort(np.hstack([minima.certificate.eigenvalues, added]))


def _index_and_loss(candidates):
    sure = curvature.certified(candidates).certificate
    return np.asarray(curvature.signs(sure).negative), np.round(sure.loss, 9)  # rounding noise has no rank


def findings(result):
    """Families without a prescribed index speak for C052 and C053; every family is judged alone."""
    rank = partial(record.bootstrap, record.correlation)
    tanh, narrow = _index_and_loss(result.tanh)[0], _index_and_loss(result.narrow_tanh)[0]
    ends = lambda each, *codes: record.proportion(np.isin(curvature.outcome(each.certificate), codes))  # noqa: E731
    theory, spectra = result.embedded_theory, result.embedded_digits.certificate.eigenvalues
    above, below, exact = (partial(f, dtype="float64") for f in (record.above, record.below, record.exact))
    return (
        below("C052", "Wider tanh networks have rarer minima: ρ(width, critical point is a minimum).",
              rank(np.repeat([5, 2], [len(tanh), len(narrow)]), np.append(tanh, narrow) == 0), 0.0, unit="1"),
        *(above("C053", f"{name} on SINC: a higher loss goes with a higher index: ρ(index, loss).",
                rank(*_index_and_loss(family)), 0.0, unit="1")
          for name, family in zip(("ReLU", "tanh", "narrow tanh"), result[:3], strict=True)),
        below("C053", "No true minimum is ever seen: share of digits networks that end in one.",
              ends(result.digits, curvature.MINIMUM), 0.05, unit="1"),
        exact("C053", "On digits, a minimum with a zero unit added has the closed form's spectrum.",
              np.abs(spectra - theory).max(axis=1) / theory[:, -1], theory.shape[1] * 2e-15, unit="‖H‖"),
        above("C058", "A special method is needed and works: share of trained networks that it certifies.",
              ends(result.trained_relu, curvature.MINIMUM, curvature.SADDLE), 0.5, unit="1"),
        above("C060", "Kinks matter: share of searches from random ReLU networks that end on one.",
              ends(result.relu, curvature.KINK), 0.5, unit="1"),
    )  # fmt: skip


def figures(result):
    """Loss against index by family, how the searches ended, and three spectra with their zero blocks."""
    families = dict(zip(Result._fields[:-1], result, strict=False))
    codes = {name: curvature.outcome(each.certificate) for name, each in families.items()}
    scatter, axes = panels(1, 3)
    for axis, name in zip(axes, ("narrow_tanh", "tanh", "followed_tanh"), strict=True):
        axis.scatter(*_index_and_loss(families[name]), alpha=0.2, color="black")
        axis.set_xticks(range(6))
        label(axis, name.replace("_", " "), "index (negative eigenvalues)", "loss (mean squared error)")
    ends, (axis,) = panels(width=8.0)
    stacked_shares(axis, {name: np.bincount(c, minlength=6) / len(c) for name, c in codes.items()}, OUTCOMES)
    label(axis, "", "share of networks searched", "family")
    spectra, axes = panels(1, 3)
    for axis, name in zip(axes, ("tanh", "trained_relu", "embedded_digits"), strict=True):
        values = families[name].certificate.eigenvalues[np.argmax(codes[name] <= curvature.SADDLE)]
        axis.scatter(range(len(values)), values, s=8, color="black")
        symmetric_log(axis, 1e-9 * np.abs(values).max())
        label(axis, f"{name.replace('_', ' ')}: the first certified", "rank", "eigenvalue of the Hessian")
    return {"loss_against_index": scatter, "outcomes": ends, "spectra": spectra}
