"""Which critical points do networks have, and how do index and loss go together?

Seven families, each searched by its own method and never pooled, since how a point is
searched for decides what is found. On sin(5πx)/(5πx): relu (20 ReLUs), tanh (5 units,
with decay) and narrow_tanh (2 units) descend the gradient norm from random weights,
which prescribes no index; followed_tanh (10 units) climbs to prescribed ones;
trained_relu (20 ReLUs) is trained by Adam before it descends the gradient norm. On 8x8
digits: digits (4 tanh units) is trained, then sent to index 0; embedded_digits adds a
unit of zero weights to these minima, which makes them saddles by theory. Units are
distinct points, by loss and index.

Claims: C053, C058, C060.
Sources: Dauphin et al. 2014, arXiv:1406.2572; Frye et al. 2021, arXiv:2003.10397;
Fukumizu and Amari 2000.
Cost: 30 seconds on 2 cores, compilation included.
Expect: a higher loss goes with a higher index; training on digits, then Newton, ends in
minima.
Run: jaxml run critical_points
"""

from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxml import curvature, learn, problem, randomness, record
from jaxml.curvature import OUTCOMES, Candidates
from jaxml.record.figures import label, panels, stacked_fractions, symmetric_log
from jaxml.types import Array

DECAY = 1e-3  # of all tanh networks but the followed ones


@dataclass(frozen=True, kw_only=True)
class Config:
    """Networks of each family and of the digits, and how long they are searched and
    trained.
    """

    networks: int = 120
    indices: tuple[int, ...] = (0, 1, 2, 4)  # of the followed ones, in turn
    digits: int = 8
    examples: int = 500
    iterations: int = 300
    minimise: int = 3000  # Adam steps before a search
    seed: int = 0


SMOKE = Config(networks=4, digits=2, examples=60, iterations=30, minimise=300)


class Result(NamedTuple):
    """Candidates by family, and the spectra that theory gives the embedded ones
    [network, p].
    """

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
    newton = curvature.after(minimise, partial(follow, index=0))

    def climb(objective, start, batch):
        params, index = start
        return follow(objective, params, batch, index=index)

    def search(name, task, method, starts):
        objective = problem.objective(*task[:3])
        return keep(
            name, partial(curvature.search, method, objective, starts, task.batch)
        )

    with jax.enable_x64(True):
        smooth = partial(problem.tanh_sinc, decay=DECAY, scale=2.0)
        softmax = partial(problem.softmax_digits, decay=DECAY, examples=config.examples)
        relu, tanh, narrow, followed = (
            problem.relu_sinc(20),
            smooth(5),
            smooth(2),
            problem.tanh_sinc(10),
        )
        digits, wide = softmax(4), softmax(5)
        seeds = randomness.seeds(config.seed, config.networks)
        starts = partial(problem.networks, seeds=seeds)
        indices = jnp.resize(jnp.asarray(config.indices), config.networks)
        few = problem.networks(digits, randomness.seeds(config.seed, config.digits))
        minima = search("digits", digits, newton, few)
        wider, theory = keep("embedding", partial(_embed, digits, minima))
        trained = curvature.after(minimise, free)
        found = {
            "relu": search("relu", relu, free, starts(relu)),
            "tanh": search("tanh", tanh, free, starts(tanh)),
            "narrow_tanh": search("narrow_tanh", narrow, free, starts(narrow)),
        }
        climbed = search("followed_tanh", followed, climb, (starts(followed), indices))
        return Result(
            **found,
            followed_tanh=climbed,
            trained_relu=search("trained_relu", relu, trained, starts(relu)),
            digits=minima,
            embedded_digits=search("embedded_digits", wide, curvature.stay, wider),
            embedded_theory=theory,
        )


def _embed(task, minima):
    """The digits networks with a zero unit added, and the spectra that theory gives
    them.
    """
    unravel = problem.unravel(task)

    def one(point):
        params = unravel(point)
        errors = problem.output_errors(task, params)
        added = curvature.zero_unit_eigenvalues(
            errors, task.batch.inputs, task.batch.weights
        )
        return curvature.zero_unit(params, "layer_00", "layer_01"), added + 2 * DECAY

    wider, added = jax.lax.map(one, minima.params)
    return wider, np.sort(np.hstack([minima.certificate.eigenvalues, added]))


def _index_and_loss(candidates):
    """Of every certified point."""
    certificate = curvature.certified(candidates).certificate
    loss = np.round(certificate.loss, 9)  # rounding noise has no rank
    return np.asarray(curvature.signs(certificate).negative), loss


def _distinct(candidates):
    """Index and loss of every distinct certified point: its images by symmetry are left
    out.
    """
    index, loss = _index_and_loss(candidates)
    rows = curvature.distinct(loss, index)
    return index[rows], loss[rows]


def _ends(candidates, *codes):
    """The fraction of searches that end in one of these outcomes."""
    outcome = curvature.outcome(candidates.certificate)
    return record.proportion(np.isin(outcome, codes), of=candidates.certificate.loss)


def _sinc(candidates, network, search):
    """The setting of a family that fits SINC."""
    networks, weights = candidates.params.shape
    return (
        f"sin(5πx)/(5πx) at 64 points, {network}, {weights} weights, {networks} "
        f"networks, {search}"
    )


def _digits(candidates, network):
    networks, weights = candidates.params.shape
    return (
        f"8x8 digits, {network}, {weights} weights, weight decay {DECAY}, {networks} "
        "networks"
    )


FREE = "gradient-norm descent from random weights"
TRAINED = "Adam, then gradient-norm descent"


def findings(result):
    """Supporting all: see what each cannot decide. Every family is judged alone, by its
    distinct points.
    """
    return (
        *_index_against_loss(result),
        *_digits_minima(result),
        *_methods(result),
    )


def _index_against_loss(result):
    """The index has no part in the claim's ratio, and nothing here was trained."""
    relu, tanh, narrow = (
        "20 ReLUs",
        f"5 tanh units, decay {DECAY}",
        f"2 tanh units, decay {DECAY}",
    )
    families = ((result.relu, relu), (result.tanh, tanh), (result.narrow_tanh, narrow))
    rows = []
    for family, network in families:
        rows.append(
            record.supporting(
                "C053",
                "Among distinct critical points a higher loss goes with more negative "
                "eigenvalues.",
                record.bootstrap(record.correlation, *_distinct(family)),
                record.above(0.0),
                unit="correlation",
                setting=_sinc(family, network, FREE),
                figure="loss_against_index",
            )
        )
    return rows


def _digits_minima(result):
    theory, spectra = (
        result.embedded_theory,
        result.embedded_digits.certificate.eigenvalues,
    )
    return (
        # searched for at index 0, and 8 networks can tell a half from none, not less
        record.supporting(
            "C053",
            "Fewer than half of the networks end in a minimum when Newton's method on "
            "the absolute Hessian, which no saddle attracts, follows training.",
            _ends(result.digits, curvature.MINIMUM),
            record.below(0.5),
            unit="fraction",
            setting=_digits(result.digits, "4 tanh units"),
            figure="outcomes",
        ),
        record.supporting(
            "C053",
            "A minimum to which a hidden unit of zero weights is added has the "
            "spectrum of the closed form.",
            record.largest(np.abs(spectra - theory).max(axis=1) / theory[:, -1]),
            record.at_most(theory.shape[1] * 2e-15),
            unit="‖H‖",
            setting=_digits(result.embedded_digits, "4 tanh units and a zero unit"),
            figure="spectra",
        ),
    )


def _methods(result):
    return (
        record.supporting(
            "C058",
            "More than half of trained networks reach a certified critical point by "
            "descent on the gradient norm.",
            _ends(
                result.trained_relu, curvature.MINIMUM, curvature.SADDLE, curvature.FLAT
            ),
            record.above(0.5),
            unit="fraction",
            setting=_sinc(result.trained_relu, "20 ReLUs", TRAINED),
            figure="outcomes",
        ),
        record.supporting(
            "C060",
            "More than half of the searches from random ReLU networks end on a kink.",
            _ends(result.relu, curvature.KINK),
            record.above(0.5),
            unit="fraction",
            setting=_sinc(result.relu, "20 ReLUs", FREE),
            figure="outcomes",
        ),
    )


FAMILIES = {
    "relu": "20 ReLUs, random start",
    "tanh": "5 tanh units, random start",
    "narrow_tanh": "2 tanh units, random start",
    "followed_tanh": "10 tanh units, prescribed index",
    "trained_relu": "20 ReLUs, trained",
    "digits": "digits, trained",
    "embedded_digits": "digits, a zero unit added",
}


def figures(result):
    """Loss against index by family, how the searches ended, and three spectra with
    their zero blocks.
    """
    codes = {
        name: curvature.outcome(getattr(result, name).certificate) for name in FAMILIES
    }
    return {
        "loss_against_index": _scatter(result),
        "outcomes": _outcomes(codes),
        "spectra": _spectra(result, codes),
    }


def _scatter(result):
    """Every certified point, images included, moved aside in the order of the
    networks.
    """
    figure, axes = panels(1, 3)
    for axis, name in zip(axes, ("narrow_tanh", "tanh", "followed_tanh"), strict=True):
        index, loss = _index_and_loss(getattr(result, name))
        aside = index + np.linspace(-0.3, 0.3, len(index))
        axis.scatter(aside, loss, s=10, alpha=0.5, color="black", linewidths=0)
        axis.set_xticks(range(6))
        x = "index (negative eigenvalues), a point a network"
        label(axis, FAMILIES[name], x, "loss (mean squared error)")
    return figure


def _outcomes(codes):
    """The fraction of networks of each family by how its search ended."""
    figure, (axis,) = panels(width=9.0, height=4.2)
    fractions = {}
    for name, ended in codes.items():
        count = np.bincount(ended, minlength=len(OUTCOMES))
        fractions[f"{FAMILIES[name]} ({len(ended)})"] = count / np.sum(count)
    stacked_fractions(axis, fractions, OUTCOMES)
    axis.axvline(0.5, color="#994455", linestyle="--", linewidth=2)
    x = "fraction of networks searched (dashed: one half)"
    label(axis, "", x, "family (networks)")
    return figure


def _spectra(result, codes):
    """The spectrum of the first certified point of three families, and what theory
    gives the embedded one.
    """
    figure, axes = panels(1, 3)
    for axis, name in zip(
        axes, ("tanh", "trained_relu", "embedded_digits"), strict=True
    ):
        first = np.argmax(codes[name] <= curvature.SADDLE)
        values = getattr(result, name).certificate.eigenvalues[first]
        axis.scatter(range(len(values)), values, s=8, color="black", label="computed")
        if name == "embedded_digits":
            theory = np.sort(result.embedded_theory[first])
            axis.plot(theory, color="#994455", marker="", label="closed form")
            axis.legend(fontsize=8, loc="center right")
        symmetric_log(axis, 1e-8)
        label(axis, f"{FAMILIES[name]}: one spectrum", "rank", "eigenvalue")
    return figure
