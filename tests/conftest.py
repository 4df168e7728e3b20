"""Strictness for every test: executed shape types, strict promotion, four virtual devices."""

import os

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # small matrices: threads only wait for one another
os.environ["XLA_FLAGS"] = os.environ.get("XLA_FLAGS", "") + " --xla_force_host_platform_device_count=4"

from jaxtyping import install_import_hook

install_import_hook("jaxml", "beartype.beartype")

import jax  # noqa: E402  # the hook and the flags come first
import pytest  # noqa: E402

jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_compilation_cache_dir", None)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests of a file share what they compile, so one worker takes them, unless grouped otherwise."""
    for item in items:
        if item.get_closest_marker("xdist_group") is None:
            item.add_marker(pytest.mark.xdist_group(item.path.name))
