"""Does batch normalisation make the output of one example depend on the others?

A dense network of one hidden layer, batch-normalised before its ReLUs, sees a batch of
digits. Its outputs are differentiated with respect to the inputs: block (i, j) of the
Jacobian says how the ten outputs of example i move with the 64 pixels of example j. The
claim is mathematics: in training no block is zero, and in evaluation, with mean and
variance of the state, all but the diagonal ones are, exactly. It fails if one pair of
examples says otherwise. A block counts as zero below 1e-9 of the mean norm of the
diagonal blocks, a million times the rounding of float64.

Negative control: the same network without the normalisation, in training, where every
pair must be uncoupled; so the instrument can see a zero.

A unit draws the initial weights and the batch anew; what is in the state are the
statistics of another batch. Not tested: convolution, and more layers, through which a
coupling can only go on.

Claims: C099.
Source: Ioffe and Szegedy 2015, arXiv:1502.03167, section 3.
Cost: 20 seconds on 2 cores.
Expect: all pairs coupled in training, none in evaluation.
Run: jaxml run coupled_examples
"""

from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from jaxml import problem, randomness, record
from jaxml.record import Assertion
from jaxml.record.figures import Figure, label, panels
from jaxml.types import Array, Keep, Key, Model

TRAINING, EVALUATION, PLAIN = range(3)
NAMES = ("training", "evaluation", "training, not normalised")
ZERO = 1e-9  # of the mean norm of the diagonal blocks
HIDDEN = 32


@dataclass(frozen=True, kw_only=True)
class Config:
    """Examples of a batch, and units."""

    batch: int = 16
    units: int = 20
    seed: int = 0


SMOKE = Config(batch=4, units=2)


class Result(NamedTuple):
    """How examples are coupled.

    Attributes:
        blocks: norms of the Jacobian's blocks, in the mean norm of the diagonal ones:
            how outputs of example `of` move with inputs of example `by`.
        batch: examples.
    """

    blocks: Float[Array, "mode unit of by"]
    batch: Int[Array, ""]


def study(config: Config, keep: Keep) -> Result:
    """One program in float64."""
    images = np.asarray(problem.digits().inputs, np.float64)
    seeds = randomness.seeds(config.seed, config.units)
    draws = [np.random.default_rng(seed) for seed in seeds]
    batches = np.stack([draw.permutation(images)[: 2 * config.batch] for draw in draws])
    with jax.enable_x64(True):
        keys = jax.vmap(jax.random.key)(jnp.asarray(seeds))
        program = jax.jit(partial(jax.lax.map, _blocks))
        blocks = keep("blocks", partial(program, (keys, batches)))
        return Result(np.swapaxes(blocks, 0, 1), np.array(config.batch))


def _blocks(unit: tuple[Key, jax.Array]) -> jax.Array:
    """Of one unit, `[mode, of, by]`, on the first half of its digits."""
    key, drawn = unit
    own, others = jnp.split(drawn, 2)
    normalised, plain = _network(problem.batch_norm()), _network(problem.chain())
    params, state = normalised.init(key, own)
    _, seen = normalised.apply(params, state, others, train=True, key=None)
    modes = (
        partial(normalised.apply, params, seen, train=True, key=None),
        partial(normalised.apply, params, seen, train=False, key=None),
        partial(plain.apply, params, {}, train=True, key=None),
    )
    return jnp.stack([_coupling(mode, own) for mode in modes])


def _network(norm: Model) -> Model:
    hidden = (problem.linear(HIDDEN), norm, problem.elementwise(jax.nn.relu))
    return problem.chain(*hidden, problem.linear(10))


def _coupling(outputs: partial, inputs: jax.Array) -> jax.Array:
    """‖∂ outputsᵢ / ∂ inputsⱼ‖ in the mean of those with i = j."""
    jacobian = jax.jacrev(lambda x: outputs(x)[0])(inputs)
    axes = (1, *range(3, jacobian.ndim))
    norms = jnp.sqrt(jnp.sum(jnp.square(jacobian), axis=axes))
    return norms / jnp.mean(jnp.diag(norms))


def findings(result: Result) -> tuple[Assertion, ...]:
    """Pairs that are not as claimed, of which there may be none."""
    coupled = _pairs(result) > ZERO
    claimed = partial(record.deciding, "C099")
    control = partial(record.supporting, "C099")
    return (
        _mismatches(
            claimed,
            "In training the outputs of every example depend on the inputs of every "
            "other example of its batch: pairs that are not coupled.",
            ~coupled[TRAINING],
            result,
        ),
        _mismatches(
            claimed,
            "In evaluation no output depends on the inputs of another example: pairs "
            "that are coupled.",
            _pairs(result)[EVALUATION] != 0,
            result,
        ),
        _mismatches(
            control,
            "Control, a network that is not normalised: in training the outputs of "
            "every example depend on the inputs of every other: pairs that are not "
            "coupled.",
            ~coupled[PLAIN],
            result,
        ),
    )


def _pairs(result: Result) -> Float[np.ndarray, "mode unit pair"]:
    """The blocks of two different examples."""
    apart = ~np.eye(int(result.batch), dtype=bool)
    return np.asarray(result.blocks)[:, :, apart]


def _mismatches(
    role: partial, statement: str, hits: np.ndarray, result: Result
) -> Assertion:
    """A finding that holds if no pair of any unit is a hit."""
    count = np.sum(hits, axis=1, dtype=result.blocks.dtype)
    return role(
        statement,
        record.largest(count),
        record.at_most(0.0),
        unit="mismatches",
        setting=f"8x8 digits in batches of {result.batch}, dense network of {HIDDEN} "
        f"ReLUs, untrained, {len(count)} draws of weights and batch",
    )


def figures(result: Result) -> dict[str, Figure]:
    """The blocks of one unit in each mode."""
    figure, axes = panels(1, len(NAMES), width=3.2, height=3.2)
    with np.errstate(divide="ignore"):
        decades = np.log10(result.blocks[:, 0])
    shown = {"cmap": "Greys", "vmin": -4, "vmax": 0}
    for axis, name, blocks in zip(axes, NAMES, decades, strict=True):
        axis.imshow(np.maximum(blocks, -4), **shown)
        axis.grid(visible=False)
        label(axis, name, "inputs of example", "outputs of example")
    figure.colorbar(
        axes[0].images[0], ax=list(axes), label="log₁₀ of the norm (white: 1e-4 or 0)"
    )
    return {"blocks": figure}
