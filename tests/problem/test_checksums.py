"""Checksums: pinned for files, computed for arrays."""

import hashlib

import numpy as np
import pytest

from jaxml.problem import checksums, digits, pokemon_cp
from jaxml.types import InputError

pytestmark = pytest.mark.oracle


def test_files_need_not_be_read(monkeypatch):
    monkeypatch.setenv("JAXML_DATA_DIR", "/nowhere")
    found = checksums(["fashion_mnist", "mnist"])
    assert len(found) == len(set(found.values())) == 8
    assert all(len(digest) == 64 for digest in found.values())
    # As other projects publish them.
    assert found["mnist/train-images-idx3-ubyte.gz"].startswith("ba891046e6505d7aadcbbe25680a0738")
    assert found["fashion-mnist/t10k-images-idx3-ubyte.gz"].startswith("5b4141f0afbad91edebe8549f8fcffe0")


def test_arrays_are_hashed():
    found = checksums(["digits", "sinc", "pokemon_cp"])
    assert list(found) == ["digits", "sinc", "pokemon_cp"]
    for name, batch in {"digits": digits(), "pokemon_cp": pokemon_cp()}.items():
        expected = hashlib.sha256(np.ascontiguousarray(batch.inputs))
        expected.update(np.ascontiguousarray(batch.targets))
        assert found[name] == expected.hexdigest()


def test_an_unknown_set_is_refused():
    with pytest.raises(
        InputError, match=r"'cifar'.*fashion_mnist, mnist, shakespeare, digits, sinc, pokemon_cp"
    ):
        checksums(["digits", "cifar"])
