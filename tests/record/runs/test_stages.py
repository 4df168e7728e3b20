import jax.numpy as jnp
import numpy as np
import pytest

from jaxml.record.runs.archive import host
from jaxml.record.runs.stages import plain_keep, storing
from jaxml.types import InputError

pytestmark = pytest.mark.invariance


def never():
    raise AssertionError("computed again")


def test_a_kept_value_is_the_computed_one(tmp_path):
    def compute():
        return {"x": jnp.arange(3) / 7, "n": 2}

    lines = []
    first, computed = storing(tmp_path / "stages", lines.append)
    second, kept = storing(tmp_path / "stages", lines.append)
    values = [
        first("a/b c", compute),
        second("a/b c", never),
        plain_keep("a/b c", compute),
    ]
    for value in values:
        assert (
            value["n"] == 2
            and type(value["x"]) is np.ndarray
            and not value["x"].flags.writeable
        )
        np.testing.assert_array_equal(value["x"], values[0]["x"])
    assert not computed["a/b c"].kept and kept["a/b c"].kept
    assert computed["a/b c"].seconds == kept["a/b c"].seconds > 0
    assert [line.partition(":")[0] for line in lines] == ["a/b c", "a/b c"]


def test_stages_come_in_any_order(tmp_path):
    first, _ = storing(tmp_path, lambda _: None)
    assert [first(name, lambda name=name: name) for name in "abc"] == ["a", "b", "c"]
    second, _ = storing(tmp_path, lambda _: None)
    assert [second(name, never) for name in "cab"] == ["c", "a", "b"]


def test_a_truncated_stage_is_computed_again_with_a_note(tmp_path):
    keep, _ = storing(tmp_path, lambda _: None)
    keep("x", lambda: np.arange(100))
    (file,) = tmp_path.iterdir()
    file.write_bytes(file.read_bytes()[:-30])
    lines = []
    keep, stages = storing(tmp_path, lines.append)
    np.testing.assert_array_equal(keep("x", lambda: np.arange(100)), np.arange(100))
    assert lines[0].startswith("note:") and not stages["x"].kept
    assert storing(tmp_path, lambda _: None)[0]("x", never).shape == (100,)


def test_an_interrupted_stage_stores_nothing(tmp_path):
    keep, stages = storing(tmp_path, lambda _: None)
    with pytest.raises(AssertionError):
        keep("x", never)
    assert not list(tmp_path.iterdir()) and not stages


@pytest.mark.parametrize("name", ["", "x" * 300, "x"])
def test_bad_names_are_refused(tmp_path, name):
    keep, _ = storing(tmp_path, lambda _: None)
    keep("x", lambda: 1)
    with pytest.raises(InputError):
        keep(name, lambda: 1)


def test_values_that_cannot_be_stored_are_refused_by_both(tmp_path):
    for keep in (storing(tmp_path, lambda _: None)[0], plain_keep):
        with pytest.raises(InputError):
            keep("x", lambda: {1, 2})
    assert host([1]) == [1]
