"""Tables of measurements in units of their own, which scikit-learn carries."""

import io
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from jax.typing import DTypeLike

from jaxml.problem.data.embedded import content_digest
from jaxml.problem.data.examples import examples
from jaxml.provenance import Reading, contents, report, sha256
from jaxml.types import Batch, InputError

__all__ = ["breast_cancer", "wine"]


def wine(*, dtype: DTypeLike = np.float32) -> Batch:
    """13 measurements of 178 wines of three growers, with deviations from 0.12 to 314.

    Returns:
        Inputs `[178, 13]` in the units of the table; targets int32 `[178]`, three
        classes.

    Raises:
        InputError: scikit-learn is missing.

    Source: Aeberhard and Forina 1992, the UCI repository's set Wine.
    """
    return _table("wine", "wine_data.csv", dtype)


def breast_cancer(*, dtype: DTypeLike = np.float32) -> Batch:
    """30 measurements of the nuclei of 569 tumours, with deviations from 0.0026 to 569.

    Returns:
        Inputs `[569, 30]` in the units of the table; targets int32 `[569]`, malignant
        (0) or benign (1).

    Raises:
        InputError: scikit-learn is missing.

    Source: Street, Wolberg and Mangasarian 1993, "Nuclear feature extraction for breast
        tumor diagnosis"; the UCI repository's diagnostic set.
    """
    return _table("breast_cancer", "breast_cancer.csv", dtype)


def _table(name: str, file: str, dtype: DTypeLike) -> Batch:
    """A file of scikit-learn, whose last column is the class, below a line of counts.

    The file is read, for importing scikit-learn takes a second.
    """
    package = find_spec("sklearn")
    if package is None or package.origin is None:
        raise InputError(
            f"The table {name} comes with scikit-learn, which is missing: pip install "
            "scikit-learn."
        )
    path = Path(package.origin).parent / "datasets" / "data" / file
    content = contents(path)
    table = np.loadtxt(io.BytesIO(content), delimiter=",", skiprows=1)
    features, labels = table[:, :-1], table[:, -1].astype(np.int32)
    digest = content_digest(features, labels)
    report(Reading(name, digest, str(path), sha256(content)))
    return examples(features.astype(dtype), labels)
