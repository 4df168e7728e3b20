"""The README's Python runs as it stands, one block after the other, in one
namespace.
"""

import re
from pathlib import Path

import jax
import pytest

from jaxml import learn

README = (Path(__file__).parents[1] / "README.md").read_text()


@pytest.mark.golden
def test_the_readmes_python_runs(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocks = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, object] = {}
    with jax.numpy_rank_promotion("allow"):
        for block in blocks:
            exec(compile(block, "README.md", "exec"), namespace)
    printed = capsys.readouterr().out
    assert len(blocks) == 10
    assert "Inertia(positive=" in printed and "'saddle'" in printed
    assert "Index(surely_negative=" in printed and "Cost(gradients=1" in printed
    assert "-1" in printed, "no run trained to its end"
    assert (
        "optimizer | lr | accuracy | test | train | diverged" in printed
        and "mine | " in printed
    )
    assert "mine minus Adam: " in printed
    assert "mismatch; " in printed and (tmp_path / "diagnosis.png").is_file()
    assert "250 examples a batch, held-out loss at best 0." in printed
    assert "('C048', 'supported')" in printed and (tmp_path / "runs.csv").is_file()


@pytest.mark.golden
def test_the_readmes_table_holds_every_optimizer_once() -> None:
    rows = README.partition("is the table:")[2].split("\n\n")[1].splitlines()[2:]
    cells = " ".join(row.partition("** |")[2] for row in rows)
    named = re.sub(r"\(.*?\)", "", cells).replace("|", ",").split(",")
    assert sorted(filter(None, map(str.strip, named))) == sorted(learn.OPTIMIZERS)
