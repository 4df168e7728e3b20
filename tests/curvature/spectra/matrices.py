"""Symmetric matrices of prescribed spectra and Hessians of networks, all of one shape,
and their products as pytrees, so that they share a program.
"""

import functools
import importlib.util
from pathlib import Path

import jax
import jax.flatten_util
import jax.numpy as jnp
import numpy as np
import pytest
from jax.tree_util import Partial

_spec = importlib.util.spec_from_file_location(
    "networks", Path(__file__).parents[1] / "networks.py"
)
networks = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(networks)

SIZE = 60
NETWORKS = tuple(networks.NETWORKS)
SLOW = [pytest.param(name, marks=pytest.mark.stress) for name in NETWORKS]

DRAW = np.random.default_rng(0)
BASIS, _ = np.linalg.qr(DRAW.normal(size=(SIZE, SIZE)))
CLUSTER = np.linspace(0, 1, 5)
SPECTRA = {
    "generic": np.sort(DRAW.normal(size=SIZE)),
    "zero block": np.r_[-2.0, -1.0, np.zeros(SIZE - 5), 1.0, 2.0, 300.0],
    "clusters": np.r_[
        -3 + 1e-2 * CLUSTER, np.linspace(-0.5, 0.5, SIZE - 10), 9 + 1e-2 * CLUSTER
    ],
    "network": np.r_[
        [-0.4, -0.3],
        -np.geomspace(0.2, 1e-6, 20),
        np.geomspace(1e-8, 1.0, SIZE - 26),
        [5.0, 8.0, 20.0, 50.0],
    ],
    "multiple": np.repeat([-2.0, -1.0, 0.5, 3.0], SIZE // 4),
}


def with_spectrum(values):
    matrix = (BASIS * values) @ BASIS.T
    return (matrix + matrix.T) / 2


def apply(matrix, vector):
    return jnp.matmul(matrix, vector, precision="highest")


def product(matrix, dtype=np.float64):
    return Partial(apply, jnp.asarray(matrix, dtype))


def in_precision(dtype):
    return jax.enable_x64(dtype is np.float64)


@functools.cache
def hessian(name):
    """Of a network, `[SIZE, SIZE]`: float64 central differences of its gradient, with
    exact zeros where it has fewer parameters.
    """
    with jax.enable_x64(True):
        objective, params, batch = networks.NETWORKS[name]()
        flat, unravel = jax.flatten_util.ravel_pytree(params)

        def gradient(point):
            return jax.grad(lambda x: objective(unravel(x), batch))(point)

        width = 1e-4
        here, steps = np.asarray(flat)[None], width * np.eye(flat.size)
        points = jnp.asarray(np.concatenate([here + steps, here - steps]))
        up, down = np.split(np.asarray(jax.jit(jax.vmap(gradient))(points)), 2)
    columns = (up - down) / (2 * width)
    padding = SIZE - flat.size
    return np.pad((columns + columns.T) / 2, ((0, padding),) * 2)


def matrix_of(name):
    return hessian(name) if name in NETWORKS else with_spectrum(SPECTRA[name])


def spectrum_of(name):
    return np.linalg.eigvalsh(hessian(name)) if name in NETWORKS else SPECTRA[name]
