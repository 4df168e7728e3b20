"""What changes the gradient before any optimizer sees it: clipping and noise."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxml import tree
from jaxml.learn.optimizers.precision import in_single
from jaxml.learn.optimizers.rates import Family, ShapedFamily, as_family
from jaxml.learn.schedules import Shape, constant
from jaxml.types import Params


def clipped(family: Family) -> ShapedFamily:
    """Gradients longer than `hyper.clip` are shortened to it, over all leaves together,
    at first.

    Reads: clip, and what the family reads.
    """

    def wrapped(
        hyper: Any, shape: Shape = constant
    ) -> optax.GradientTransformationExtraArgs:
        return in_single(
            optax.chain(
                optax.clip_by_global_norm(hyper.clip), inside(family, hyper, shape)
            )
        )

    return wrapped


class NoiseState(NamedTuple):
    """The updates so far."""

    step: jax.Array


def noisy(family: Family) -> ShapedFamily:
    """Normal noise of variance noise / (1 + t)^0.55 is added to the gradient of update
    t = 0, 1, ...

    Reads: noise, seed, and what the family reads.
    Source: Neelakantan et al. 2015, arXiv:1511.06807, equation 1.
    """

    def wrapped(
        hyper: Any, shape: Shape = constant
    ) -> optax.GradientTransformationExtraArgs:
        def init(params: Params) -> NoiseState:
            del params
            return NoiseState(jnp.zeros((), jnp.int32))

        def apply(
            updates: Params, state: Any, params: Any = None
        ) -> tuple[Params, NoiseState]:
            del params
            size = jnp.sqrt(hyper.noise / (1 + real(state.step)) ** 0.55)
            key = jax.random.fold_in(
                jax.random.fold_in(jax.random.key(hyper.seed), 3), state.step
            )
            return tree.axpy(size, tree.random_like(updates, key), updates), NoiseState(
                state.step + 1
            )

        noise = optax.GradientTransformation(init, apply)
        return in_single(optax.chain(noise, inside(family, hyper, shape)))

    return wrapped


def inside(
    family: Family, hyper: Any, shape: Shape
) -> optax.GradientTransformationExtraArgs:
    """What a wrapper goes around: any chain of any family, which may take Optax's extra
    arguments.
    """
    return optax.with_extra_args_support(as_family(family)(hyper, shape))


def real(count: Any) -> jax.Array:
    """A count as a floating-point number; divided as it is it would be float32 under
    x64 too.
    """
    return jnp.asarray(count, jnp.result_type(float))
