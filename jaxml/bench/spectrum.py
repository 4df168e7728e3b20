"""Curvature of a CNN from products: one product, both ends of the spectrum, and its
density, ours beside SciPy's ARPACK, PyHessian and curvlinops.
"""

from functools import partial
from typing import Any, NamedTuple

import jax
import numpy as np
from scipy.sparse.linalg import LinearOperator, eigsh

from jaxml import curvature, tree
from jaxml.bench import peers, spectrum_torch
from jaxml.bench.race import Entrant, compiled, race
from jaxml.bench.rows import Row, Target
from jaxml.bench.spectrum_task import Size, Task, task
from jaxml.bench.spectrum_torch import Peer

EACH = 2
"""Eigenvalues at each end."""

ACCURACY = 1e-3
"""Residuals, over the norm of the matrix."""

FIVE_TIMES = Target("ratio", "at least", 5.0)

Vector = np.ndarray


def measure(size: Size | None = None) -> list[Row]:
    """Products, both ends and the density, of one network at one point."""
    size = size or Size()
    given = task(size)
    torch = peers.torch()
    peer = spectrum_torch.peer(torch, given, size) if torch else None
    rows = [
        *products(given, peer, size),
        *both_ends(given, peer, size),
        *densities(given, peer, size),
    ]
    return rows if torch else [*rows, peers.absent("spectrum")]


def network(given: Task, size: Size) -> str:
    """What is measured, in words."""
    return f"{tree.size(given.params):,} parameters, {size.pictures:,} pictures"


def products(given: Task, peer: Peer | None, size: Size) -> list[Row]:
    """One product, made anew and once linearised, over one gradient of ours."""
    precise = partial(at_highest, given.objective)
    grad, grad_seconds = compiled(precise, given.params, given.batch)
    anew, anew_seconds = compiled(
        partial(product_once, given.objective), given.params, given.batch
    )
    product = curvature.hessian_product(*given)
    kept = jax.jit(lambda product, vector: product(vector))
    entrants = [
        Entrant(
            "a gradient",
            lambda: grad(given.params, given.batch),
            compile_seconds=grad_seconds,
            role="ours",
        ),
        Entrant(
            "a Hessian product, made anew",
            lambda: anew(given.params, given.batch),
            compile_seconds=anew_seconds,
            target=Target("ratio", "at most", 2.2),
            role="ours",
        ),
        Entrant(
            "a Hessian product, linearised before",
            lambda: kept(product, given.params),
            target=Target("ratio", "at most", 1.0),
            role="ours",
        ),
    ]
    if peer:
        entrants += torch_products(peer)
    return race(
        "spectrum",
        entrants,
        to="the gradient",
        rounds=size.rounds,
        contest=network(given, size),
    )


def at_highest(objective: Any, params: Any, batch: Any) -> Any:
    """The gradient, its products at the precision that curvature asks for."""
    with jax.default_matmul_precision("highest"):
        return jax.grad(objective)(params, batch)


def product_once(objective: Any, params: Any, batch: Any) -> Any:
    """H v along the parameters, forward over reverse."""
    return curvature.hessian_product(objective, params, batch)(params)


def torch_products(peer: Peer) -> list[Entrant]:
    """PyTorch's gradient and its product by double backward."""
    device = peers.device_name(peer.torch)
    return [
        Entrant(
            "PyTorch, a gradient",
            spectrum_torch.gradient(peer),
            target=Target("ratio", "at least", 1.0),
            device=device,
            role="alternative",
        ),
        Entrant(
            "PyTorch, a Hessian product by double backward",
            spectrum_torch.product(peer),
            device=device,
            role="alternative",
        ),
    ]


def both_ends(given: Task, peer: Peer | None, size: Size) -> list[Row]:
    """The two lowest and the two highest eigenvalues; PyHessian's two largest."""
    start = tree.random_like(given.params, jax.random.key(1))
    ours = partial(ends, given, start)
    arpack = our_operator(given)
    tolerance = loosest(arpack, given)
    note = f"ARPACK's tolerance {tolerance:g}, the loosest that meets ours"
    entrants = [
        Entrant(
            "both ends, by thick-restart Lanczos",
            ours,
            role="ours",
            note=f"{EACH} eigenvalues at each end, residuals at most {ACCURACY:g} of "
            f"the norm; {int(ours().products)} products; linearisation included",
        ),
        Entrant(
            "SciPy's eigsh on our products",
            partial(arpack_ends, our_operator(given), given, tolerance),
            role="alternative",
            note=f"{note}; linearised before",
        ),
    ]
    if peer:
        entrants += torch_ends(peer, given, tolerance, note)
    return race(
        "spectrum",
        entrants,
        to="ours",
        rounds=size.slow_rounds,
        contest=f"ends, {network(given, size)}",
    )


def ends(given: Task, start: Any) -> curvature.Ends:
    """Ours, the linearisation included."""
    product = curvature.hessian_product(*given)
    return curvature.ends(product, start, lowest=EACH, highest=EACH, tolerance=ACCURACY)


def our_operator(given: Task) -> LinearOperator:
    """Our product, as SciPy asks for it."""
    product = curvature.hessian_product(*given)
    flat, unravel = tree.ravel(given.params)

    @jax.jit
    def applied(product: Any, vector: jax.Array) -> jax.Array:
        return tree.ravel(product(unravel(vector)))[0]

    def matvec(vector: Vector) -> Vector:
        return np.asarray(applied(product, vector.astype(flat.dtype).ravel()))

    return operator_of(matvec, flat.size, flat.dtype)


def operator_of(matvec: Any, size: int, dtype: Any) -> LinearOperator:
    """A symmetric map of vectors of this size."""
    kind: Any = LinearOperator  # its stub knows subclasses alone
    return kind((size, size), matvec=matvec, dtype=dtype)


class Pairs(NamedTuple):
    """Eigenvalues, ascending, and their vectors in columns."""

    values: Vector
    vectors: Vector


def arpack_ends(operator: LinearOperator, given: Task, tolerance: float) -> Pairs:
    """`EACH` eigenvalues at either end, by ARPACK, from one start."""
    draw = np.random.default_rng(0).standard_normal
    start = draw(tree.size(given.params)).astype(operator.dtype)
    solve: Any = eigsh  # its stub asks for a whole tolerance
    found = solve(operator, k=2 * EACH, which="BE", tol=tolerance, v0=start)
    order = np.argsort(found[0])
    return Pairs(found[0][order], found[1][:, order])


def loosest(operator: LinearOperator, given: Task) -> float:
    """The largest of ARPACK's tolerances, which are relative to each eigenvalue, at
    which its residuals are as small as ours.
    """
    for tolerance in (0.3, 0.1, 0.03, 0.01, 3e-3):
        values, vectors = arpack_ends(operator, given, tolerance)
        images = np.stack([operator.matvec(vector) for vector in vectors.T], axis=1)
        residuals = np.linalg.norm(images - values * vectors, axis=0)
        if np.max(residuals) <= ACCURACY * np.max(np.abs(values)):
            return tolerance
    return ACCURACY


def torch_ends(peer: Peer, given: Task, tolerance: float, note: str) -> list[Entrant]:
    """What PyTorch's libraries take for it."""
    blank = Entrant(
        "",
        lambda: None,
        target=FIVE_TIMES,
        device=peers.device_name(peer.torch),
        role="alternative",
    )
    entrants = []
    if spectrum_torch.has("pyhessian"):
        entrants.append(
            blank._replace(
                what="PyHessian, the two of largest modulus",
                run=spectrum_torch.top_two(peer),
                note="power iteration at its default tolerance, 1e-3 between two "
                "iterations; no end by itself",
            )
        )
    if spectrum_torch.has("curvlinops"):
        operator = spectrum_torch.operator(peer)
        entrants.append(
            blank._replace(
                what="curvlinops with SciPy's eigsh",
                run=partial(arpack_ends, operator, given, tolerance),
                note=note,
            )
        )
    return entrants


def densities(given: Task, peer: Peer | None, size: Size) -> list[Row]:
    """Nodes and weights by Lanczos from random vectors."""
    entrants = [
        Entrant(
            "density, by stochastic Lanczos quadrature",
            partial(density, given, size),
            role="ours",
            note=f"{size.depth} steps from each of {size.probes} random vectors, "
            "reorthogonalised; linearisation included",
        )
    ]
    if peer and spectrum_torch.has("pyhessian"):
        entrants.append(
            Entrant(
                "PyHessian's density",
                spectrum_torch.density(peer, depth=size.depth, probes=size.slow_probes),
                parts=size.probes / size.slow_probes,
                target=FIVE_TIMES,
                device=peers.device_name(peer.torch),
                role="alternative",
                note=f"random vectors measured: {size.slow_probes}, scaled to "
                f"{size.probes}",
            )
        )
    return race(
        "spectrum",
        entrants,
        to="ours",
        rounds=size.slow_rounds,
        contest=f"density, {network(given, size)}",
    )


def density(given: Task, size: Size) -> curvature.Density:
    """Ours, the linearisation included."""
    product = curvature.hessian_product(*given)
    return curvature.spectral_density(
        product,
        given.params,
        depth=size.depth,
        probes=size.probes,
        key=jax.random.key(2),
    )
