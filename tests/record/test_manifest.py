import hashlib
import json
import subprocess

import jax
import pytest

import jaxml
from jaxml.record.manifest import Spent, identity, manifest, run_hash
from jaxml.record.stages import Stage
from jaxml.types import InputError

pytestmark = pytest.mark.identity
SPENT = Spent("2020-01-01T00:00:00+00:00", "2020-01-01T00:01:00+00:00", 60.0, 5.0, {"a": Stage(1.0, True)})


def test_the_identity_decides_the_hash(toy):
    marks = identity(toy, toy.smoke)
    assert marks["dtype"] == "float32" and marks["platform"] == jax.default_backend() == "cpu"
    assert marks["config"]["seeds"] == 2 and marks["study"] == "toy"
    assert len(run_hash(marks)) == 12 and run_hash(marks) == run_hash(dict(reversed(marks.items())))
    others = [identity(toy, toy.Config(seeds=3)), marks | {"platform": "gpu"}, marks | {"code": "0"}]
    assert len({run_hash(m) for m in [marks, *others]}) == 4


@pytest.mark.oracle
def test_the_hash_is_sha256_of_the_sorted_json():
    assert run_hash({"b": 1, "a": [0.5]}) == hashlib.sha256(b'{"a": [0.5], "b": 1}').hexdigest()[:12]


def test_the_manifest_is_json_and_tells_the_circumstances(toy):
    marks = identity(toy, toy.smoke)
    record = manifest(toy, toy.smoke, marks, SPENT, {"digits": "abc"})
    assert json.loads(json.dumps(record, allow_nan=False)) == json.loads(json.dumps(record))
    assert {name: record[name] for name in marks} == marks and record["hash"] == run_hash(marks)
    assert record["seeds"] == {"seeds": 2} and record["smoke"] is True
    assert record["versions"]["jax"] == jax.__version__ and record["versions"]["jaxml"] == jaxml.__version__
    assert record["device"] == {"kind": "cpu", "count": 4}
    assert "device_count=4" in record["flags"]["XLA_FLAGS"]
    assert record["flags"]["jax_numpy_dtype_promotion"] == "strict"
    assert record["wall_seconds"] == 60 and record["compile_seconds"] == 5
    assert record["stages"] == {"a": {"seconds": 1.0, "kept": True}}
    assert record["checksums"] == {"digits": "abc"}
    assert record["about"]["claims"] == "C001, C150a and A3; again C001."
    assert (record["commit"], record["dirty"]) == ("unknown", "unknown")
    assert not manifest(toy, toy.Config(), marks, SPENT, {})["smoke"]


def test_the_commit_is_gits(toy, toy_path):
    def git(*arguments):
        identity = ["-c", "user.name=x", "-c", "user.email=x@x", "-c", "commit.gpgsign=false"]
        command = ["git", "-C", str(toy_path.parent), *identity, *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    git("init", "-q")
    git("add", "toy.py")
    git("commit", "-q", "-m", "toy")
    marks = identity(toy, toy.smoke)
    record = manifest(toy, toy.smoke, marks, SPENT, {})
    changed = bool(git("status", "--porcelain"))
    assert (record["commit"], record["dirty"]) == (git("rev-parse", "HEAD"), changed)
    toy_path.write_text(toy_path.read_text() + "\n")
    assert manifest(toy, toy.smoke, marks, SPENT, {})["dirty"] is True


def test_no_git_is_no_error(toy, monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert manifest(toy, toy.smoke, identity(toy, toy.smoke), SPENT, {})["commit"] == "unknown"


def test_a_config_of_wrong_values_is_refused(toy):
    with pytest.raises(InputError):
        identity(toy, toy.Config(seeds="many"))
