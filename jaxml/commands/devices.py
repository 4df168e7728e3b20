"""The devices that JAX found, and those that it should have found."""

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import jax

from jaxml import parallel
from jaxml.types import InputError


def backend() -> str:
    """The platform that JAX computes on: cpu, gpu or tpu.

    Raises:
        InputError: JAX cannot start the platform that the environment asks for, or may
            not compile.
    """
    if getattr(jax.config, "jax_disable_jit", False):
        raise InputError(
            "JAX_DISABLE_JIT is set, and every experiment is a compiled program: unset "
            "it."
        )
    try:
        return jax.default_backend()
    except (RuntimeError, AssertionError) as error:
        asked = f"JAX_PLATFORMS={os.environ.get('JAX_PLATFORMS', '')}"
        raise InputError(
            f"JAX finds no device under {asked}: unset it, or install the extra "
            "cuda12, cuda13 or tpu."
        ) from error


@contextlib.contextmanager
def computing_on(count: int | None) -> Iterator[None]:
    """Within it so many devices compute at once, all of them for None; says where cores
    are too few.

    Raises:
        InputError: there are fewer accelerators, or none is asked for; or as `backend`.
    """
    on_cpu = backend() == "cpu"
    with parallel.limited(count):
        cores = parallel.cores()
        if on_cpu and count is not None and count > cores:
            few = "1 core" if cores == 1 else f"{cores} cores"
            print(
                f"{count} devices share {few}: no more than {cores} can gain anything.",
                file=sys.stderr,
            )
        yield


def require_accelerator() -> None:
    """Passes if JAX computes on something other than the CPU.

    Raises:
        InputError: it does not.
    """
    if backend() == "cpu":
        raise InputError(
            "An accelerator is required and JAX found only the CPU: install the extra "
            "cuda12, cuda13 or tpu, see `jaxml doctor`, or leave --require-accelerator "
            "out."
        )


def idle_accelerators() -> tuple[str, ...]:
    """Accelerators that the operating system shows while JAX computes on the CPU."""
    if backend() != "cpu":
        return ()
    return tuple(
        sorted(
            str(path)
            for kind in ("nvidia[0-9]*", "accel[0-9]*")
            for path in Path("/dev").glob(kind)
        )
    )
