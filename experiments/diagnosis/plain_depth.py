"""Do plain networks of 56 layers fail in training, and not only on other pictures?

The course shows ResNet's figure: a plain convolutional network of 56 layers is worse
than one of 20 on CIFAR-10, in training (about 6 % and 1.5 % of errors, read off the
plot) as in testing (13 % and 9.5 %); so it does not overfit, its optimisation fails.
Those networks cost too much here, so nothing here decides the claim. What is tested
beside it is the same sentence of dense networks of 20 and 56 hidden layers of 32 ReLUs,
with batch normalisation throughout, as the original has it, so that the values of no
layer vanish: zₖ₊₁ = s zₖ + W relu(n(zₖ)) + b, where n subtracts the mean over a batch
and divides by the standard deviation. They are plain at s = 0 and residual at s = 1,
with the same parameters; kernels start at He's scale, in residual layers at that over
their number. 512 pictures, 256 updates of 32 by gradient descent with momentum of 0.9,
that is 16 epochs for all. What is evaluated is normalised by its own means and
deviations, of 500 pictures or more.

What each outcome would look like. The sentence holds if 56 plain layers end at a higher
error than 20 by more than two pictures in a hundred, half of what the course's figure
shows, on the training set and on held-out pictures, each at its own best rate; it fails
if they do not, and if they did so on held-out pictures alone, they would overfit.
Control: 56 residual layers, of as many parameters, must not.

A unit draws initial weights, pictures and their order anew: 14, of which four tune by
the error that is judged. Eight rates in steps of 1.5 for each network. An end of the
rates is an edge only where the error still falls towards it by more than a picture in a
hundred: residual networks fit digits, and 56 plain layers fail, at all of them.

The first version had no normalisation, and so could not tell this from gradients that
vanish; three units of the seed 991 placed the rates of this one: training errors of
0.86 and 0.19 at 56 and 20 plain layers on digits, of 0.84 and 0.40 on clothing, of
0.002 and 0.1 at both depths of residual ones, with standard deviations of 0.03, so that
ten units give a half-width of about 0.03 around differences of 0.4 and more.

Not tested: convolution, CIFAR-10, learned scales and shifts, long training.

Claims: C031.
Sources: He et al. 2016, arXiv:1512.03385, figure 1; arXiv:1603.05027; Yang et al. 2019,
    arXiv:1902.08129, on gradients that explode under batch normalisation.
Cost: two to four minutes on 2 cores, compilation included.
Expect: plain networks fail by depth, residual ones do not.
Run: jaxml run plain_depth
"""

from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from jaxml import learn, problem, randomness, record
from jaxml.record import Arm, Assertion
from jaxml.record.comparisons import at_tuned, compared
from jaxml.record.figures import Axes, Figure, band, label, panels, shared_legend
from jaxml.types import Dataset, Keep, Params

DATA = ("8x8 digits", "clothing of 7x7 pixels")
POOL = 20_000  # pictures of clothing that units draw from
KINDS = ("Plain", "Residual")
PLAIN, RESIDUAL = range(2)
LOWEST = np.array([[6e-3, 2e-3], [1e-3, 1e-3]])  # by kind and depth
ERRORS = ("training", "held-out")
HIGHER = record.above(0.0, margin=0.02, reason="two pictures in a hundred")


@dataclass(frozen=True, kw_only=True)
class Config:
    """Two depths, width, rates, units, pictures, updates; the first data sets."""

    data: int = len(DATA)
    depths: tuple[int, int] = (20, 56)
    width: int = 32
    rates: int = 8
    tuning: int = 4
    judging: int = 10
    train: int = 512
    test: int = 500
    steps: int = 256
    lanes: int = 56
    seed: int = 0


SMOKE = Config(
    data=1, depths=(2, 4), width=8, rates=3, tuning=1, judging=2, train=64, steps=4
)


class Run(NamedTuple):
    """A rate, the layers and the shortcut of a network, and what momentum reads."""

    lr: Any
    layers: int = 1
    shortcut: Any = 0.0
    momentum: Any = 0.9
    weight_decay: Any = 0.0
    warmup: Any = 0.0
    seed: int = 0


class Result(NamedTuple):
    """By data set, kind of KINDS, depth and rate. Units that tune come first.

    Attributes:
        error: fraction of training and of held-out pictures told wrongly at the end, 1
            where a run diverged.
        depths: hidden layers.
        width: units of a layer.
        train: pictures of a unit.
        steps: updates.
        tuning: how many of the units tune.
    """

    error: Float[np.ndarray, "data kind depth rate unit error"]
    depths: Int[np.ndarray, " depth"]
    width: Int[np.ndarray, ""]
    train: Int[np.ndarray, ""]
    steps: Int[np.ndarray, ""]
    tuning: Int[np.ndarray, ""]


def study(config: Config, keep: Keep) -> Result:
    """One program a data set."""
    names = DATA[: config.data]
    errors = [keep(name, partial(_errors, config, name)) for name in names]
    return Result(
        error=np.stack(errors),
        depths=np.array(config.depths),
        width=np.array(config.width),
        train=np.array(config.train),
        steps=np.array(config.steps),
        tuning=np.array(config.tuning),
    )


def _errors(
    config: Config, name: str
) -> Float[np.ndarray, "kind depth rate unit error"]:
    """Those of all networks on one data set, network after network."""
    units = config.tuning + config.judging
    seeds = randomness.seeds(config.seed, units)
    steps = 1.5 ** np.arange(config.rates)
    grids = []
    for kind, depth in np.ndindex(*LOWEST.shape):
        rates = LOWEST[kind, depth] * steps
        layers, shortcut = config.depths[depth], float(kind)
        grids.append(
            learn.grid(Run, layers=layers, shortcut=shortcut, lr=rates, seed=seeds)
        )
    digits = name == DATA[0]
    data = problem.digits() if digits else problem.small_clothing(POOL)
    model = problem.deep_mlp(
        config.width, config.depths[-1], 10, _normalised_relu, scale=np.sqrt(2)
    )
    right = problem.accuracy

    def begin(run: Run, given: Any) -> tuple[Params, problem.Through]:
        key = jax.random.fold_in(jax.random.key(run.seed), 0)
        params, _ = model.init(key, given)
        layers = jnp.asarray(run.layers)
        factor = jnp.where(run.shortcut > 0, 1.0 / layers.astype(jnp.float32), 1.0)
        hidden = jax.tree.map(lambda leaf: factor * leaf, params["hidden"])
        return {**params, "hidden": hidden}, problem.Through(layers, run.shortcut)

    def observe(state: Any, train: learn.TrainState) -> tuple[Any, jax.Array]:
        of_own = problem.objective(model, right, state=train.model_state)
        own: Dataset = train.data
        told = [of_own(train.params, part) for part in own]
        return state, 1 - jnp.stack(told)

    training = learn.training(
        problem.start(model, data.inputs),
        problem.training_loss(model, problem.cross_entropy),
        learn.momentum,
        learn.split_anew(data, train=config.train, test=config.test, size=32),
        steps=config.steps,
        probe=learn.Probe(lambda params: (), observe),
    )
    one = np.asarray(data.inputs)[:1]
    execute = learn.begun_at(training, begin, grids[0], one, lanes=config.lanes)
    found = []
    for grid in grids:
        ended = execute(grid, one)
        found.append(np.where(ended.diverged_at[:, None] < 0, ended.seen, 1.0))
    return np.stack(found).reshape(*LOWEST.shape, config.rates, units, len(ERRORS))


def _normalised_relu(z: jax.Array) -> jax.Array:
    """ReLU of each unit's z, minus its mean over the batch, in standard deviations."""
    centred = z - jnp.mean(z, axis=0, keepdims=True)
    variance = jnp.mean(centred**2, axis=0, keepdims=True)
    return jax.nn.relu(centred * jax.lax.rsqrt(variance + 1e-5))


def findings(result: Result) -> tuple[Assertion, ...]:
    """The deeper network against the other, on each data set."""
    found = []
    shallow, deep = result.depths
    places = np.ndindex(len(result.error), len(KINDS), len(ERRORS))
    for place, kind, error in places:
        setting = (
            f"{DATA[place]} ({result.train:,} drawn anew), not convolutional, "
            f"{result.width} ReLUs a layer, {result.steps:,} updates of 32 by "
            "momentum, rates tuned for each"
        )
        control = kind == RESIDUAL
        arms = _arms(result, place, kind, error)
        found.append(
            record.supporting(
                "C031",
                f"{'Control: ' if control else ''}{KINDS[kind]} dense networks of "
                f"{deep} hidden layers with batch normalisation end at a higher "
                f"{ERRORS[error]} error than those of {shallow}.",
                record.tuned(
                    record.mean_difference, arms[1], arms[0], tuning=int(result.tuning)
                ),
                HIGHER,
                unit="fraction difference",
                setting=setting,
            )
        )
    return tuple(found)


def _arms(result: Result, place: int, kind: int, error: int) -> list[Arm]:
    """One of each depth; an end of rates is an edge where errors fall towards it."""
    arms = []
    for values in result.error[place, kind, ..., error]:
        means = np.mean(values, axis=-1)
        edges = np.zeros(len(means), bool)
        edges[[0, -1]] = means[[1, -2]] - means[[0, -1]] > HIGHER.margin / 2
        arms.append(Arm(values, edges=edges))
    return arms


def figures(result: Result) -> dict[str, Figure]:
    """Errors by depth at tuned rates, and how much the deeper are worse."""
    count = len(result.error)
    figure, axes = panels(count, 3, height=3.6)
    for place in range(count):
        row = axes[3 * place : 3 * place + 3]
        pairs = {}
        for kind, error in np.ndindex(len(KINDS), len(ERRORS)):
            arms = _arms(result, place, kind, error)
            _drawn(row[error], result, arms, KINDS[kind])
            pairs[f"{KINDS[kind]}, {ERRORS[error]}"] = (arms[1], arms[0])
        compared(row[2], pairs, HIGHER, tuning=int(result.tuning))
        for error, axis in enumerate(row[:2]):
            label(
                axis, DATA[place], "hidden layers", f"{ERRORS[error]} error (fraction)"
            )
        label(row[2], DATA[place], "error, deeper minus other", "networks")
    shared_legend(figure)
    return {"plain_depth": figure}


def _drawn(axis: Axes, result: Result, arms: list[Arm], name: str) -> None:
    """Judged units at each network's tuned rate."""
    judged = [at_tuned(arm, int(result.tuning)) for arm in arms]
    band(axis, result.depths, np.stack(judged), name)
