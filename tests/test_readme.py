"""The README's Python runs as it stands, one block after the other, in a process as a
user's.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from jaxml import learn

README = (Path(__file__).parents[1] / "README.md").read_text()


@pytest.mark.golden
@pytest.mark.stress
def test_the_readmes_python_runs(tmp_path: Path) -> None:
    blocks = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    program = tmp_path / "blocks.py"
    program.write_text("\n".join(blocks))
    done = subprocess.run(
        [sys.executable, "-W", "error", program.name],
        cwd=tmp_path,
        env={**os.environ, "XLA_FLAGS": ""},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    printed = done.stdout
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
