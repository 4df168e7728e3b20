"""Problems with closed forms that share one program: deep linear networks, and a
function for each outcome on the parameters of one of them.
"""

import itertools

import jax
import jax.numpy as jnp
import numpy as np

WIDTHS = (5, 3, 4)
SINGULAR = np.array([4.0, 3.0, 2.0, 1.0])


def linear(layers, target):
    """½ ‖M - W_n … W_1‖²: what a deep linear network minimises on whitened inputs."""
    total = layers[0]
    for layer in layers[1:]:
        total = layer @ total
    return jnp.sum((target - total) ** 2) / 2


def linear_point(chosen, widths=WIDTHS, seed=0):
    """A critical point: the chosen singular directions of M, factors balanced up to a
    rotation of each hidden layer; M.
    """
    random, (inputs, *hidden, outputs) = np.random.default_rng(seed), widths
    left, _ = np.linalg.qr(random.normal(size=(outputs, outputs)))
    right, _ = np.linalg.qr(random.normal(size=(inputs, inputs)))
    count = min(inputs, outputs)
    singular = SINGULAR[:count]
    target = (left[:, :count] * singular) @ right[:, :count].T
    rank, depth = len(chosen), len(widths) - 1
    middle = np.diag(singular[chosen] ** (1 / depth))
    bases = [right[:, chosen]]
    for width in hidden:
        rotation, _ = np.linalg.qr(random.normal(size=(width, width)))
        bases.append(rotation[:, :rank])
    bases.append(left[:, chosen])
    layers = [
        jnp.asarray(after @ middle @ before.T)
        for before, after in itertools.pairwise(bases)
    ]
    return layers, jnp.asarray(target)


def baldi_hornik(chosen, count, hidden):
    """n₋: a better direction that is left out for a worse one that is taken, each; and
    every unit that is not used, once for every direction left out.

    Source: Baldi and Hornik 1989, Neural Networks 2; the unused units by the Hessian
    [[0, Eᵀ], [E, 0]] of each, E what is left of M.
    """
    left_out = [j for j in range(count) if j not in chosen]
    exchanges = sum(j < i for i in chosen for j in left_out)
    return exchanges + (hidden - len(chosen)) * len(left_out)


def monkey(w):
    return w[0] ** 3 - 3 * w[0] * w[1] ** 2 + jnp.sum(w[2:] ** 2)


def peano(w):
    """A minimum along every line through 0, and yet it falls along w₁ = 1.4 w₀²."""
    return (w[1] - w[0] ** 2) * (w[1] - 2 * w[0] ** 2) + jnp.sum(w[2:] ** 2)


def quartic(w):
    return w[0] ** 4 + jnp.sum(w[1:] ** 2)


def kinked(w):
    return jnp.sum(jnp.abs(w) + w**2)


def tails(w):
    return jnp.sum(jnp.exp(-w))


def tilted(w):
    return w[0] + w[0] ** 3 + 5 * w[1] ** 2 + jnp.sum(w[2:] ** 2)


FUNCTIONS = (monkey, peano, quartic, kinked, tails, tilted)


def either(layers, batch):
    """The linear network of case 0, or one of FUNCTIONS of all its weights."""
    case, target = batch
    flat = jnp.concatenate([jnp.ravel(layer) for layer in layers])
    functions = [lambda _, function=function: function(flat) for function in FUNCTIONS]
    return jax.lax.switch(case, [lambda _: linear(layers, target), *functions], 0)


def network(layers, batch):
    """Two tanh layers with an l2 penalty, hand-written."""
    (first, second), (inputs, targets) = layers, batch
    outputs = jnp.tanh(inputs @ first) @ second
    penalty = sum(jnp.sum(layer**2) for layer in layers)
    return jnp.mean((outputs - targets) ** 2) + 1e-2 * penalty


def network_start(seed, widths=(4, 6, 2), examples=40):
    """Parameters and a batch of standard normal numbers."""
    random, (inputs, hidden, outputs) = np.random.default_rng(seed), widths
    data = np.random.default_rng(100)
    layers = [
        jnp.asarray(random.normal(size=(inputs, hidden))),
        jnp.asarray(random.normal(size=(hidden, outputs)) / 2),
    ]
    batch = (
        data.normal(size=(examples, inputs)),
        data.normal(size=(examples, outputs)),
    )
    return layers, tuple(map(jnp.asarray, batch))
