"""The benchmarks of accelerators at tiny sizes, to see that they run: no number here
means anything.
"""

import sys
from pathlib import Path

from jaxml.bench import (
    batch,
    batch_points,
    dense,
    lanes,
    normalisers,
    pictures,
    spectrum,
    spectrum_task,
)
from jaxml.bench.machine import describe
from jaxml.bench.rows import write
from jaxml.bench.suite import draw, show


def main(out: Path) -> int:
    """Writes rows and a plot as `jaxml bench` does."""
    machine = describe()
    rows = [
        *batch.measure(batch_points.SMOKE),
        *lanes.measure(lanes.SMOKE),
        *dense.measure(dense.SMOKE),
        *spectrum.measure(spectrum_task.SMOKE),
        *normalisers.measure(normalisers.SMOKE, names=("plain", "batch normalisation")),
        *pictures.steps(pictures.SMOKE),
    ]
    path = out / f"{machine['platform']}.json"
    write(path, machine, rows)
    draw(rows, path.with_suffix(".png"))
    show(rows)
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
