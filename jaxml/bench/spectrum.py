"""Curvature of a CNN from products: one product, both ends of the spectrum, and its
density, ours beside SciPy's ARPACK, PyHessian and curvlinops.
"""

from functools import partial
from typing import Any

import jax

from jaxml import curvature, tree
from jaxml.bench import peers, spectrum_torch
from jaxml.bench.race import Entrant, compiled, race
from jaxml.bench.rows import Row, Target
from jaxml.bench.spectrum_arpack import (
    ACCURACY,
    EACH,
    arpack_ends,
    loosest,
    our_operator,
)
from jaxml.bench.spectrum_task import Size, Task, task
from jaxml.bench.spectrum_torch import Peer

FIVE_TIMES = Target("ratio", "at least", 5.0)


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
    """One gradient and one product in parts of the pictures, and of all at once."""
    precise = partial(at_highest, given.objective)
    grad, _ = compiled(precise, given.params, given.batch)
    anew, _ = compiled(
        partial(product_once, given.objective), given.params, given.batch
    )
    in_parts = whole(given, size, keep=None)
    recomputed = whole(given, size, keep=0)
    entrants = [
        Entrant("a gradient in parts", partial(gradient, given, size), role="ours"),
        way("a Hessian product in parts, recomputed", recomputed, given, most=2.2),
        way("a Hessian product in parts, linearised before", in_parts, given, most=1.0),
        Entrant(
            "a gradient, all pictures at once",
            lambda: grad(given.params, given.batch),
            role="detail",
        ),
        Entrant(
            "a Hessian product made anew, all pictures at once",
            lambda: anew(given.params, given.batch),
            role="detail",
        ),
    ]
    if peer:
        entrants += torch_products(peer, size)
    return race(
        "spectrum",
        entrants,
        to="the gradient",
        rounds=size.rounds,
        contest=network(given, size),
    )


def way(what: str, made: curvature.Whole, given: Task, *, most: float) -> Entrant:
    """A product that is made already, over the gradient at most so much."""
    return Entrant(
        what,
        partial(applied, made.product, given.params),
        target=Target("ratio", "at most", most),
        role="ours",
        note=f"{made.parts} parts, {made.linearised} linearised",
    )


def gradient(given: Task, size: Size) -> Any:
    """Over all pictures, a part at a time."""
    return curvature.whole_gradient(*given, size=size.part)


def whole(given: Task, size: Size, *, keep: int | None) -> curvature.Whole:
    """The Hessian product over all pictures, in parts."""
    product = partial(curvature.hessian_product, given.objective)
    return curvature.whole_product(
        product, given.params, given.batch, size=size.part, keep=keep
    )


@jax.jit
def applied(product: Any, vector: Any) -> Any:
    """The product, as a program of its own."""
    return product(vector)


def at_highest(objective: Any, params: Any, batch: Any) -> Any:
    """The gradient, its products at the precision that curvature asks for."""
    with jax.default_matmul_precision("highest"):
        return jax.grad(objective)(params, batch)


def product_once(objective: Any, params: Any, batch: Any) -> Any:
    """H v along the parameters, forward over reverse."""
    return curvature.hessian_product(objective, params, batch)(params)


def torch_products(peer: Peer, size: Size) -> list[Entrant]:
    """PyTorch's gradient, of all at once and in parts, and its product by double
    backward.
    """
    blank = Entrant(
        "", lambda: None, device=peers.device_name(peer.torch), role="alternative"
    )
    even = Target("ratio", "at least", 1.0)
    return [
        blank._replace(
            what="PyTorch, a gradient, all pictures at once",
            run=spectrum_torch.gradient(peer),
            target=even,
        ),
        blank._replace(
            what="PyTorch, a gradient in parts",
            run=spectrum_torch.gradient_in_parts(peer, size.part),
            target=even,
        ),
        blank._replace(
            what="PyTorch, a Hessian product by double backward",
            run=spectrum_torch.product(peer),
        ),
    ]


def both_ends(given: Task, peer: Peer | None, size: Size) -> list[Row]:
    """The two lowest and the two highest eigenvalues; PyHessian's two largest."""
    start = tree.random_like(given.params, jax.random.key(1))
    ours = partial(ends, given, start, size)
    arpack = our_operator(given, whole(given, size, keep=None).product)
    tolerance = loosest(arpack, given)
    note = f"ARPACK's tolerance {tolerance:g}, the loosest that meets ours"
    entrants = [
        Entrant(
            "both ends, by thick-restart Lanczos",
            ours,
            role="ours",
            note=f"{EACH} eigenvalues at each end, residuals at most {ACCURACY:g} of "
            f"the norm; {int(ours().products)} products, and the making of the product",
        ),
        Entrant(
            "SciPy's eigsh on our products",
            partial(arpack_ends, arpack, given, tolerance),
            role="alternative",
            note=f"{note}; the product made before",
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


def ends(given: Task, start: Any, size: Size) -> curvature.Ends:
    """Ours, the making of the product included."""
    product = whole(given, size, keep=None).product
    return curvature.ends(product, start, lowest=EACH, highest=EACH, tolerance=ACCURACY)


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
            "reorthogonalised; the making of the product included",
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
    """Ours, the making of the product included."""
    product = whole(given, size, keep=None).product
    return curvature.spectral_density(
        product,
        given.params,
        depth=size.depth,
        probes=size.probes,
        key=jax.random.key(2),
    )
