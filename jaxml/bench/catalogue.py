"""The benchmarks by name. Nothing here imports JAX: each is imported when it is asked
for.
"""

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from jaxml.bench import rows

BENCHMARKS = {
    "sweep": "100 SINC trainings of 2,000 steps of SGD with momentum, a 1-10-10-1 tanh "
    "network",
    "optimizers": "64 runs of 2,000 steps at batch 32, 8 rates and 8 seeds, of a "
    "64-32-10 network on digits",
    "lanes": "500 updates of 1 to 4,096 runs of a 64-32-10 network on digits at "
    "batch 32",
    "batch": "one update of a dense network and of a small CNN on 1 to 60,000 pictures "
    "of 28 x 28: time against batch size",
    "batch_sweep": "8 batch sizes from 1 to 1,796 and 5 seeds by SGD with momentum: a "
    "64-32-10 network on digits, 5 epochs, and a 784-100-10 network on 10,000 "
    "pictures, one epoch",
    "noise": "8 runs of 400 updates at batch 32, of a 64-32-10 and a 784-100-10 "
    "network: the noise of the gradient, layer by layer, every 20 updates",
    "curvature_probe": "runs of a 64-32-10 and a 784-100-10 network at batch 128, and "
    "of a CNN, 16 and 32 channels, at 64: the sharpness every 16 updates by 3 Hessian "
    "products on half as many examples",
    "hessian": "the exact Hessian of a 64-64-10 softmax network on 1,797 digits and "
    "its inertia, in float64",
    "spectrum": "curvature of a CNN of 105,866 parameters on 1,024 pictures of "
    "28 x 28: one product, two eigenvalues at each end, and the density",
    "cnn": "one training step of a CNN, 32 and 64 channels, 64 images of 28 x 28; 8 "
    "seeds of a smaller one",
    "pictures": "networks of pictures with batch normalisation: a step of a CNN, 32 "
    "and 64 channels, on 64 images of 28 x 28 from 4 seeds, and an epoch of a ResNet-8 "
    "on 10,000 of them",
    "normalisers": "one training step of a 784-1024-1024-10 network of ReLUs on 512 "
    "pictures, with each normalisation and without",
    "dense": "one training step of a wide network of ReLUs, beside one large matrix "
    "product",
    "folds": "1,000 updates at batch 64 of 5 folds and 8 seeds at each of 3 depths: "
    "1, 2 and 4 hidden layers of 16 tanh units forecast views from 28 days",
    "diagnose": "`learn.diagnose` of a 64-32-10 network on digits, 138 runs, in a "
    "fresh process",
    "startup": "one command in a fresh process",
    "study": "`make study`, all four flagship studies",
}
"""What each benchmark computes; each is a module of this room with
`measure() -> list[Row]`.
"""

RESULTS = Path(__file__).parent / "results"


def names() -> tuple[str, ...]:
    """The benchmarks that there are, the longest last."""
    return tuple(BENCHMARKS)


def run(chosen: Sequence[str], out: Path, against: Path | None = None) -> None:
    """Runs the chosen benchmarks in turn, prints a table, and writes numbers and a plot
    into `out`; beside `against`, the JSON of an earlier time, if it is named.

    Raises:
        InputError: `out` cannot be written, or holds numbers of another machine;
            `against` holds none of the benchmarks.
    """
    import_module("jaxml.bench.suite").run(chosen, out, against)


def markdown() -> str:
    """The README's table of speed, from the committed results; empty where there are
    none.
    """
    return "\n\n".join(
        rows.markdown(*rows.read(path), titles=BENCHMARKS, brief=True)
        for path in sorted(RESULTS.glob("*.json"))
    )
