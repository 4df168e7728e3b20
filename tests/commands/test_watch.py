"""`jaxml watch`: what is printed, and what TensorBoard finds."""

import struct
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from jaxml.__main__ import main

pytestmark = pytest.mark.identity

STAGES = (
    "np.concatenate([keep(f'runs {k}-{k}', lambda k=k: {'0 .trace.loss': "
    "np.array([[9.0, k + 1.0]])})['0 .trace.loss'][0] for k in range(3)])"
)


@pytest.fixture
def run(written: Callable[..., Path]) -> None:
    written("staged", squares=STAGES)
    assert main(["run", "staged"]) == 0


def events(folder: Path) -> list[tuple[str, int, float]]:
    """Tag, step and value of the records in an event file: length, checksum, content
    and checksum of each.
    """
    from tensorboardX.proto.event_pb2 import Event  # noqa: PLC0415

    (file,) = folder.rglob("events.out.tfevents*")
    content, found = file.read_bytes(), []
    while content:
        (length,) = struct.unpack("<Q", content[:8])
        event = Event.FromString(content[12 : 12 + length])
        for value in event.summary.value:
            found.append((value.tag, event.step, value.simple_value))
        content = content[16 + length :]
    return found


def test_a_finished_run_is_shown_and_becomes_event_files(
    written: Callable[..., Path], place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    written("staged", squares=STAGES)
    assert main(["run", "staged"]) == 0
    assert "runs 1-1: 0.0 s, trace.loss 2" in capsys.readouterr().err
    assert main(["watch", "--tensorboard", "events"]) == 0
    said = capsys.readouterr().out.splitlines()
    (folder,) = (place / "runs" / "staged").iterdir()
    assert said[0] == f"staged {folder.name}"
    assert "runs 2-2: computing" in said[-3] and "trace.loss 3" in said[-2]
    assert said[-1].endswith(f"finished: {folder.name}")
    losses = [each for each in events(place / "events") if each[0].endswith("loss")]
    assert losses == [("runs/trace.loss", k, k + 1.0) for k in range(3)]


def test_a_killed_run_is_said_to_be_gone_and_resumes(
    run: None, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (log,) = place.glob("runs/staged/*/log.jsonl")
    half = log.read_text().partition('"finished"')[0]
    log.write_text(half.replace('"process": ', '"process": 99999'))
    assert main(["watch", str(log.parent)]) == 0
    assert "Its process is gone" in capsys.readouterr().out
    assert main(["watch", str(log.parent), "--once"]) == 0
    assert "gone" not in capsys.readouterr().out


def test_watch_refuses_in_sentences(
    run: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    monkeypatch.delitem(sys.modules, "jaxml.commands.tensorboard", raising=False)
    assert main(["watch", "--tensorboard", "events"]) == 2
    assert "install the extra track" in capsys.readouterr().err
    assert main(["watch", "nowhere"]) == 2
    assert "No run in nowhere has a log" in capsys.readouterr().err
