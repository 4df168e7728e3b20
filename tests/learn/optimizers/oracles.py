"""The optimizers in float64 NumPy, each written from its paper's equations; h holds the
settings.
"""

from collections import defaultdict

import numpy as np


def walk(direction, gradient, start, rates, l2=0.0, decay=0.0):
    """theta <- theta - rate (direction(t, g + l2 theta, theta, s) + decay theta), s the
    state of a leaf.
    """
    theta, state, path = dict(start), {name: defaultdict(float) for name in start}, []
    for t, rate in enumerate(rates, 1):
        g = gradient(theta)
        step = {
            k: direction(t, g[k] + l2 * w, w, state[k]) + decay * w
            for k, w in theta.items()
        }
        theta = {k: w - rate * step[k] for k, w in theta.items()}
        path.append(theta)
    return path


def inner(a, b):
    """<a, b> over all leaves together."""
    return sum(np.sum(a[k] * b[k]) for k in a)


def ratio(numerator, denominator):
    """numerator / denominator, or 1 where either is 0."""
    return numerator / denominator if numerator > 0 and denominator > 0 else 1.0


def moments(g, s, h):
    """m and v, the exponential averages of g and g^2 from 0."""
    s["m"] = h.momentum * s["m"] + (1 - h.momentum) * g
    s["v"] = h.second_moment * s["v"] + (1 - h.second_moment) * g**2
    return s["m"], s["v"]


# Gradient descent and its momenta.


def sgd(gradient, start, rates, h):
    """Robbins & Monro 1951, doi:10.1214/aoms/1177729586: theta <- theta - eta g."""
    return walk(lambda t, g, w, s: g, gradient, start, rates, l2=h.weight_decay)


def momentum(gradient, start, rates, h):
    """Polyak 1964, doi:10.1016/0041-5553(64)90137-5; Sutskever et al. 2013 (ICML),
    equations (1)-(2).
    """

    def direction(t, g, w, s):
        s["m"] = h.momentum * s["m"] + g
        return s["m"]

    return walk(direction, gradient, start, rates, l2=h.weight_decay)


def averaged_momentum(gradient, start, rates, h):
    """Heavy ball with an averaged velocity: Kingma & Ba 2015, arXiv:1412.6980, the m of
    algorithm 1.
    """

    def direction(t, g, w, s):
        s["m"] = h.momentum * s["m"] + (1 - h.momentum) * g
        return s["m"]

    return walk(direction, gradient, start, rates, l2=h.weight_decay)


def nag(gradient, start, rates, h):
    """Nesterov 1983, in the form of Bengio et al. 2012, arXiv:1212.0901, equation
    (7).
    """

    def direction(t, g, w, s):
        s["m"] = h.momentum * s["m"] + g
        return h.momentum * s["m"] + g

    return walk(direction, gradient, start, rates, l2=h.weight_decay)


def averaged_nag(gradient, start, rates, h):
    """Nesterov with an averaged velocity: Dozat 2016 (ICLR workshop), algorithm 2
    uncorrected, v = 1.
    """

    def direction(t, g, w, s):
        s["m"] = h.momentum * s["m"] + (1 - h.momentum) * g
        return h.momentum * s["m"] + (1 - h.momentum) * g

    return walk(direction, gradient, start, rates, l2=h.weight_decay)


# Rates per coordinate.


def adagrad(gradient, start, rates, h):
    """Duchi et al. 2011 (JMLR 12), figure 1, diagonal: g / (sqrt(sum g^2) + eps)."""

    def direction(t, g, w, s):
        s["sum"] = s["sum"] + g**2
        return g / (np.sqrt(s["sum"]) + h.epsilon)

    return walk(direction, gradient, start, rates, l2=h.weight_decay)


def mean_square_adagrad(gradient, start, rates, h):
    """Mukkamala & Hein 2017, arXiv:1706.05507, section 4: RMSProp with beta_t = 1 -
    1/t: v = mean g^2.
    """

    def direction(t, g, w, s):
        s["sum"] = s["sum"] + g**2
        return g / (np.sqrt(s["sum"] / t) + h.epsilon)

    return walk(direction, gradient, start, rates, l2=h.weight_decay)


def rmsprop(gradient, start, rates, h):
    """Tieleman & Hinton 2012, lecture 6.5, epsilon outside the root."""

    def direction(t, g, w, s):
        s["v"] = h.second_moment * s["v"] + (1 - h.second_moment) * g**2
        return g / (np.sqrt(s["v"]) + h.epsilon)

    return walk(direction, gradient, start, rates, l2=h.weight_decay)


def rmsprop_inside(gradient, start, rates, h):
    """Tieleman & Hinton 2012, epsilon inside as in Graves 2013, arXiv:1308.0850,
    equation (40), uncentred.
    """

    def direction(t, g, w, s):
        s["v"] = h.second_moment * s["v"] + (1 - h.second_moment) * g**2
        return g / np.sqrt(s["v"] + h.epsilon)

    return walk(direction, gradient, start, rates, l2=h.weight_decay)


def adadelta(gradient, start, rates, h):
    """Zeiler 2012, arXiv:1212.5701, algorithm 1."""

    def direction(t, g, w, s):
        rho, eps = h.second_moment, h.epsilon
        s["g2"] = rho * s["g2"] + (1 - rho) * g**2
        update = np.sqrt(s["x2"] + eps) / np.sqrt(s["g2"] + eps) * g
        s["x2"] = rho * s["x2"] + (1 - rho) * update**2
        return update

    return walk(direction, gradient, start, rates, l2=h.weight_decay)


# Adam and its kin.


def corrected(t, g, s, h):
    """mhat / (sqrt(vhat) + eps), the direction of Adam."""
    m, v = moments(g, s, h)
    return m / (1 - h.momentum**t) / (np.sqrt(v / (1 - h.second_moment**t)) + h.epsilon)


def adam(gradient, start, rates, h):
    """Kingma & Ba 2015, arXiv:1412.6980, algorithm 1."""
    return walk(
        lambda t, g, w, s: corrected(t, g, s, h),
        gradient,
        start,
        rates,
        l2=h.weight_decay,
    )


def adamw(gradient, start, rates, h):
    """Loshchilov & Hutter 2019, arXiv:1711.05101, algorithm 2, the decay multiplied by
    the rate.
    """
    return walk(
        lambda t, g, w, s: corrected(t, g, s, h),
        gradient,
        start,
        rates,
        decay=h.weight_decay,
    )


def nadam(gradient, start, rates, h):
    """Dozat 2016 (ICLR workshop), algorithm 2, with beta1 constant."""

    def direction(t, g, w, s):
        b1, b2 = h.momentum, h.second_moment
        m, v = moments(g, s, h)
        ahead = b1 * m / (1 - b1 ** (t + 1)) + (1 - b1) * g / (1 - b1**t)
        return ahead / (np.sqrt(v / (1 - b2**t)) + h.epsilon)

    return walk(direction, gradient, start, rates, l2=h.weight_decay)


def amsgrad(gradient, start, rates, h):
    """Reddi et al. 2018, arXiv:1904.09237, algorithm 2: no bias correction."""

    def direction(t, g, w, s):
        m, v = moments(g, s, h)
        s["max"] = np.maximum(s["max"], v)
        return m / (np.sqrt(s["max"]) + h.epsilon)

    return walk(direction, gradient, start, rates, l2=h.weight_decay)


def unbiased_amsgrad(gradient, start, rates, h):
    """Reddi et al. 2018, arXiv:1904.09237, corrected as in PyTorch: the maximum is of
    the raw v.
    """

    def direction(t, g, w, s):
        m, v = moments(g, s, h)
        s["max"] = np.maximum(s["max"], v)
        root = np.sqrt(s["max"]) / np.sqrt(1 - h.second_moment**t)
        return m / (1 - h.momentum**t) / (root + h.epsilon)

    return walk(direction, gradient, start, rates, l2=h.weight_decay)


def bounds(t, h):
    """Luo et al. 2019, section 4: eta_l(t) and eta_u(t) about the final rate, 0.1 in
    the paper.
    """
    slow = (1 - h.second_moment) * t
    return h.final_lr - h.final_lr / (slow + 1), h.final_lr + h.final_lr / slow


def bounded(t, m, v, h):
    """Algorithms 2 and 3: eta = Clip(alpha / sqrt(V), eta_l, eta_u) / sqrt(t), x <- x -
    eta m; over alpha.
    """
    eta = np.clip(h.lr / (np.sqrt(v) + h.epsilon), *bounds(t, h)) / np.sqrt(t)
    return eta * m / h.lr


def ported(t, m, v, h):
    """The authors' PyTorch code: Adam's corrected step size over sqrt(v) + eps,
    clamped, times m; over lr.

    Its final rate moves with the schedule as lr / base_lr, which the rates of the walk
    bring.
    """
    size = h.lr * np.sqrt(1 - h.second_moment**t) / (1 - h.momentum**t)
    return np.clip(size / (np.sqrt(v) + h.epsilon), *bounds(t, h)) * m / h.lr


def of_moments(rate):
    """The walk whose direction is rate(t, m, v, h)."""

    def path(gradient, start, rates, h):
        def direction(t, g, w, s):
            return rate(t, *moments(g, s, h), h)

        return walk(direction, gradient, start, rates, l2=h.weight_decay)

    return path


def of_largest(rate):
    """The walk whose direction is rate(t, m, max v, h)."""

    def path(gradient, start, rates, h):
        def direction(t, g, w, s):
            m, v = moments(g, s, h)
            s["max"] = np.maximum(s["max"], v)
            return rate(t, m, s["max"], h)

        return walk(direction, gradient, start, rates, l2=h.weight_decay)

    return path


def radam(gradient, start, rates, h):
    """Liu et al. 2020, arXiv:1908.03265, algorithm 2, with the threshold rho_t >= 5 of
    the authors' code.
    """
    return rectified(gradient, start, rates, h, lambda rho: rho >= 5)


def radam_above_four(gradient, start, rates, h):
    """Liu et al. 2020, arXiv:1908.03265, algorithm 2: rho_t > 4."""
    return rectified(gradient, start, rates, h, lambda rho: rho > 4)


def rectified(gradient, start, rates, h, tractable):
    b2 = h.second_moment
    limit = 2 / (1 - b2) - 1

    def direction(t, g, w, s):
        m, v = moments(g, s, h)
        mhat, rho = m / (1 - h.momentum**t), limit - 2 * t * b2**t / (1 - b2**t)
        if not tractable(rho):
            return mhat
        r = np.sqrt((rho - 4) * (rho - 2) * limit / ((limit - 4) * (limit - 2) * rho))
        return r * mhat / (np.sqrt(v / (1 - b2**t)) + h.epsilon)

    return walk(direction, gradient, start, rates, l2=h.weight_decay)


def swats(gradient, start, rates, h):
    """Keskar & Socher 2017, arXiv:1712.07628, algorithm 1 on a decayed loss; one scalar
    for all.
    """
    b1, b2, average, scale = h.momentum, h.second_moment, 0.0, None
    theta, state, path = dict(start), {k: defaultdict(float) for k in start}, []
    velocity = dict.fromkeys(start, 0.0)
    for t, rate in enumerate(rates, 1):
        g = {k: grad + h.weight_decay * theta[k] for k, grad in gradient(theta).items()}
        if scale is not None:  # the SGD phase
            velocity = {k: b1 * velocity[k] + g[k] for k in g}
            theta = {
                k: w - (1 - b1) * scale * (rate / h.lr) * velocity[k]
                for k, w in theta.items()
            }
        else:
            p = {}
            for k in theta:
                m, a = moments(g[k], state[k], h)
                p[k] = (
                    -h.lr
                    * np.sqrt(1 - b2**t)
                    / (1 - b1**t)
                    * m
                    / (np.sqrt(a) + h.epsilon)
                )
            theta = {k: w + (rate / h.lr) * p[k] for k, w in theta.items()}
            if inner(p, g) != 0:
                gamma = inner(p, p) / -inner(p, g)
                average = b2 * average + (1 - b2) * gamma
                if t > 1 and abs(average / (1 - b2**t) - gamma) < h.tolerance:
                    scale = average / (1 - b2**t)
        path.append(theta)
    return path


# Decoupled decay, signs and rates per layer.


def sgdw(gradient, start, rates, h):
    """Loshchilov & Hutter 2019, arXiv:1711.05101, algorithm 1, with the rate outside
    the velocity.
    """

    def direction(t, g, w, s):
        s["m"] = h.momentum * s["m"] + g
        return s["m"]

    return walk(direction, gradient, start, rates, decay=h.weight_decay)


def lion(gradient, start, rates, h):
    """Chen et al. 2023, arXiv:2302.06675, algorithm 2."""

    def direction(t, g, w, s):
        update = np.sign(h.momentum * s["m"] + (1 - h.momentum) * g)
        s["m"] = h.second_moment * s["m"] + (1 - h.second_moment) * g
        return update

    return walk(direction, gradient, start, rates, decay=h.weight_decay)


def lars(gradient, start, rates, h):
    """You et al. 2017, arXiv:1708.03888, algorithm 1, with the rate outside the
    velocity.
    """

    def direction(t, g, w, s):
        size, grad = np.linalg.norm(w), np.linalg.norm(g)
        local = (
            h.trust * size / (grad + h.weight_decay * size)
            if size > 0 and grad > 0
            else 1.0
        )
        s["m"] = h.momentum * s["m"] + local * (g + h.weight_decay * w)
        return s["m"]

    return walk(direction, gradient, start, rates)


def lars_inside(gradient, start, rates, h):
    """You et al. 2017, arXiv:1708.03888, algorithm 1: v <- m v + gamma_t lambda (g +
    beta w), w <- w - v.
    """

    def direction(t, g, w, s):
        size, grad = np.linalg.norm(w), np.linalg.norm(g)
        local = (
            h.trust * size / (grad + h.weight_decay * size)
            if size > 0 and grad > 0
            else 1.0
        )
        s["v"] = h.momentum * s["v"] + rates[t - 1] * local * (g + h.weight_decay * w)
        return s["v"]

    return walk(direction, gradient, start, np.ones(len(rates)))


def lamb(gradient, start, rates, h):
    """You et al. 2020, arXiv:1904.00962, algorithm 2 with phi the identity."""

    def direction(t, g, w, s):
        r = corrected(t, g, s, h) + h.weight_decay * w
        return ratio(np.linalg.norm(w), np.linalg.norm(r)) * r

    return walk(direction, gradient, start, rates)


# Matrices.


def newton_schulz(u):
    """Jordan 2024: five steps of the odd quintic towards the nearest semi-orthogonal
    matrix.
    """
    rows, columns = u.shape
    x = u / (np.linalg.norm(u) + 1e-7)
    x = x.T if rows > columns else x
    for _ in range(5):
        a = x @ x.T
        x = 3.4445 * x + (-4.7750 * a + 2.0315 * a @ a) @ x
    return x.T if rows > columns else x


def muon(gradient, start, rates, h):
    """Jordan 2024, kellerjordan.github.io/posts/muon; Adam on vectors, decay decoupled.

    There a weight is [out, in], a filter [out, in, h, w] flattened to [out, in h w],
    and the factor max(1, rows / columns)^0.5 is that of out / in. Kernels here are [in,
    out] and [h, w, in, out].
    """

    def direction(t, g, w, s):
        if g.ndim < 2:
            return corrected(t, g, s, h)
        s["m"] = h.momentum * s["m"] + g
        kernel = h.momentum * s["m"] + g
        weight = np.moveaxis(kernel, -1, 0).reshape(kernel.shape[-1], -1)
        rows, columns = weight.shape
        update = newton_schulz(weight) * max(1, rows / columns) ** 0.5
        return np.moveaxis(update.reshape(rows, *kernel.shape[:-1]), 0, -1)

    return walk(direction, gradient, start, rates, decay=h.weight_decay)


def shifted_power(a, shift, exponent):
    """(shift I + a)^exponent of a symmetric a >= 0."""
    values, vectors = np.linalg.eigh(a)
    return vectors * (np.maximum(values, 0) + shift) ** exponent @ vectors.T


def shampoo(gradient, start, rates, h):
    """Gupta et al. 2018, arXiv:1802.09568, algorithm 1 on matrices, algorithm 2 at
    order 1 on vectors.
    """

    def direction(t, g, w, s):
        if g.ndim == 1:
            s["H"] = s["H"] + np.outer(g, g)
            return shifted_power(s["H"], h.epsilon, -1 / 2) @ g
        s["L"], s["R"] = s["L"] + g @ g.T, s["R"] + g.T @ g
        return (
            shifted_power(s["L"], h.epsilon, -1 / 4)
            @ g
            @ shifted_power(s["R"], h.epsilon, -1 / 4)
        )

    return walk(direction, gradient, start, rates, l2=h.weight_decay)


def soap(gradient, start, rates, h):
    """Vyas et al. 2024, arXiv:2409.11321, algorithms 3 and 4: Adam in Shampoo's
    eigenbasis; vectors by Adam.

    The first gradient of a matrix only chooses the basis, so its moments count s = t -
    1 steps.
    """
    b1, b2 = h.momentum, h.second_moment

    def step_of_adam(m, v, s):
        return (m / (1 - b1**s)) / (np.sqrt(v / (1 - b2**s)) + h.epsilon)

    def vector(t, g, s):
        s["m"], s["v"] = b1 * s["m"] + (1 - b1) * g, b2 * s["v"] + (1 - b2) * g**2
        return step_of_adam(s["m"], s["v"], t)

    def matrix(t, g, s):
        s["L"], s["R"] = (
            b2 * s["L"] + (1 - b2) * g @ g.T,
            b2 * s["R"] + (1 - b2) * g.T @ g,
        )
        left, right = s["QL"], s["QR"]  # still the bases before this step
        if t == 1:
            s["QL"], s["QR"] = (np.linalg.eigh(s[k])[1][:, ::-1] for k in "LR")
            return np.zeros_like(g)
        s["m"] = b1 * s["m"] + (1 - b1) * g
        s["v"] = b2 * s["v"] + (1 - b2) * (left.T @ g @ right) ** 2
        if t % h.period == 0:
            s["QL"], s["QR"] = (
                np.linalg.qr(s["L"] @ left)[0],
                np.linalg.qr(s["R"] @ right)[0],
            )
        return left @ step_of_adam(left.T @ s["m"] @ right, s["v"], t - 1) @ right.T

    def direction(t, g, w, s):
        if g.ndim < 2:
            return vector(t, g, s)
        return matrix(t, g.reshape(-1, g.shape[-1]), s).reshape(g.shape)

    return walk(direction, gradient, start, rates, decay=h.weight_decay)


# The distance to the solution, estimated.


def prodigy(gradient, start, rates, h):
    """Mishchenko & Defazio 2024, arXiv:2306.06101, algorithm 4; d, r and the norm of s
    over all leaves.
    """
    b1, b2, root, d, r = (
        h.momentum,
        h.second_moment,
        np.sqrt(h.second_moment),
        1e-6,
        0.0,
    )
    theta, path = dict(start), []
    m, v, s = ({k: np.zeros_like(w) for k, w in start.items()} for _ in range(3))
    for rate in rates:
        g = gradient(theta)
        m = {k: b1 * m[k] + (1 - b1) * d * g[k] for k in g}
        v = {k: b2 * v[k] + (1 - b2) * d**2 * g[k] ** 2 for k in g}
        travelled = {k: start[k] - theta[k] for k in theta}
        r = root * r + (1 - root) * rate * d**2 * inner(g, travelled)
        s = {k: root * s[k] + (1 - root) * rate * d**2 * g[k] for k in g}
        step = {
            k: m[k] / (np.sqrt(v[k]) + d * h.epsilon) + h.weight_decay * theta[k]
            for k in theta
        }
        theta = {k: w - rate * d * step[k] for k, w in theta.items()}
        norm = sum(np.abs(leaf).sum() for leaf in s.values())
        d = max(d, r / norm) if norm > 0 else d
        path.append(theta)
    return path


# Wrappers: where gradients are next taken, and where the model is evaluated.


def sam(gradient, start, rates, h):
    """Foret et al. 2021, arXiv:2010.01412, algorithm 1, climbs and descents as
    alternate updates.
    """
    centre, theta, m = dict(start), dict(start), dict.fromkeys(start, 0.0)
    visited, evaluated = [], []
    for t, rate in enumerate(rates, 1):
        g = gradient(theta)
        if t % h.period:
            norm = np.sqrt(inner(g, g))
            theta = {
                k: w + h.radius * g[k] / norm if norm > 0 else w
                for k, w in theta.items()
            }
        else:
            m = {k: h.momentum * m[k] + g[k] for k in g}
            centre = theta = {k: w - rate * m[k] for k, w in centre.items()}
        visited.append(theta)
        evaluated.append(centre)
    return visited, evaluated


def averaged(gradient, start, rates, h):
    """Izmailov et al. 2018, arXiv:1803.05407, algorithm 1 over the velocity
    momentum.
    """
    visited, evaluated, entered = momentum(gradient, start, rates, h), [], []
    for t, theta in enumerate(visited, 1):
        if t >= h.average_from and (t - h.average_from) % h.period == 0:
            entered.append(theta)
        evaluated.append(
            {k: np.mean([e[k] for e in entered], axis=0) for k in theta}
            if entered
            else theta
        )
    return visited, evaluated


def schedule_free(gradient, start, rates, h):
    """Defazio et al. 2024, arXiv:2405.15682, equations (3)-(5), weighted as in
    algorithm 1.
    """
    x, y, z, total = dict(start), dict(start), dict(start), 0.0
    visited, evaluated = [], []
    for rate in rates:
        g = gradient(y)
        z = {k: w - rate * g[k] for k, w in z.items()}
        total = total + rate**2
        c = rate**2 / total if total > 0 else 0.0
        x = {k: (1 - c) * w + c * z[k] for k, w in x.items()}
        y = {k: (1 - h.momentum) * z[k] + h.momentum * w for k, w in x.items()}
        visited.append(y)
        evaluated.append(x)
    return visited, evaluated


ORACLES = {
    oracle.__name__: oracle
    for oracle in (
        *(sgd, momentum, averaged_momentum, nag, averaged_nag),
        *(adagrad, mean_square_adagrad, rmsprop, rmsprop_inside, adadelta),
        *(
            adam,
            adamw,
            nadam,
            amsgrad,
            unbiased_amsgrad,
            radam,
            radam_above_four,
            swats,
        ),
        *(sgdw, lion, lars, lars_inside, lamb, muon, shampoo, soap, prodigy),
    )
} | {
    "adabound": of_moments(bounded),
    "amsbound": of_largest(bounded),
    "unbiased_adabound": of_moments(ported),
    "unbiased_amsbound": of_largest(ported),
}
WRAPPERS = {"sam": sam, "averaged": averaged, "schedule_free": schedule_free}
