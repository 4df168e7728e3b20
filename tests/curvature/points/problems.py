"""Problems with closed forms that share one program: deep linear networks, and a
function for each outcome on the parameters of one of them.
"""

import itertools

import jax.numpy as jnp
import numpy as np

WIDTHS = (4, 2, 3)
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


def monkey(x, y, rest):
    return x**3 - 3 * x * y**2 + rest


def peano(x, y, rest):
    """A minimum along every line through 0, and yet it falls along y = 1.4 x²."""
    return (y - x**2) * (y - 2 * x**2) + rest


def quartic(x, y, rest):
    return x**4 + y**2 + rest


def tilted(x, y, rest):
    return x + x**3 + 5 * y**2 + rest


def kinked(w):
    return jnp.sum(jnp.abs(w) + w**2)


def tails(w):
    return jnp.sum(jnp.exp(-w))


def either(layers, batch):
    """The linear network, or a function of its weights: a sum of which all terms but
    one are multiplied by 0.
    """
    chosen, target = batch
    flat, *first_two = flattened(layers)
    losses = [linear(layers, target), monkey(*first_two), kinked(flat)]
    return jnp.dot(chosen, jnp.stack(losses), precision="highest")


def another(layers, chosen):
    """One of the other functions, likewise."""
    flat, *first_two = flattened(layers)
    of_two = [function(*first_two) for function in (peano, quartic, tilted)]
    return jnp.dot(chosen, jnp.stack([*of_two, tails(flat)]), precision="highest")


def flattened(layers):
    """All weights, the first two, and the sum of the squares of all others."""
    flat = jnp.concatenate([jnp.ravel(layer) for layer in layers])
    return flat, flat[0], flat[1], jnp.sum(flat[2:] ** 2)


LINEAR, MONKEY, KINKED = np.eye(3)
"""What leaves one term of `either`."""

PEANO, QUARTIC, TILTED, TAILS = np.eye(4)
"""What leaves one term of `another`."""


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
