"""The pages of topics: written beside the studies, and those of the course up to
date.
"""

from pathlib import Path

import pytest

from jaxml import claims, shipped
from jaxml.__main__ import main
from jaxml.commands import pages
from jaxml.commands.collected import collected
from jaxml.record.answers import answers
from jaxml.record.pages.tables import markdown_answers, markdown_tally
from jaxml.record.pages.topics import markdown_index

pytestmark = pytest.mark.identity
ROOT = Path(__file__).parents[2]
TOPICS = list(dict.fromkeys(each.topic for each in claims.ledger().values()))
LEDGER = """
[mine]
topic = "my topic"
kind = "empirical"
claim = "Squares are positive."

[other]
topic = "my-other"
kind = "empirical"
claim = "Nobody looked."
"""


@pytest.fixture
def topics(place: Path) -> Path:
    """A folder of studies with a ledger of its own, and a document that asks for the
    index.
    """
    folder = place / "experiments"
    (folder / "claims.toml").write_text(LEDGER)
    (folder / "my_topic").mkdir()
    study = (folder / "small.py").read_text()
    study = study.replace("C001, C158", "mine").replace("C001", "mine")
    (folder / "small.py").unlink()
    (folder / "my_topic" / "small.py").write_text(study)
    (place / "DOC.md").write_text("<!-- index -->\n<!-- /index -->\n")
    return folder


def test_a_ledger_of_ones_own_gets_pages_of_its_own(
    topics: Path, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", "small"]) == 0
    assert main(["report", "--readme", "DOC.md"]) == 0
    assert "Topics: 2 pages in experiments" in capsys.readouterr().out
    page = topics / "my_topic" / "README.md"
    text = page.read_text()
    assert text.startswith("# My topic\n\n<!-- topic -->\n1 of 1 claims are tested")
    assert "C001: ✓ supported" not in text and "mine: ✓ supported" in text
    assert "| [small](small.py) | Squares are positive. | `jaxml run small` |" in text
    waiting = (topics / "my_other" / "README.md").read_text()
    assert "other: – not yet tested" in waiting and "## Studies" not in waiting
    index = (place / "DOC.md").read_text()
    assert "| [mine](experiments/my_topic/README.md#mine) | ✓ supported |" in index
    page.write_text(text.replace("# My topic\n", "# My topic\n\nBy hand.\n"))
    assert main(["report", "--readme", "DOC.md"]) == 0
    assert page.read_text() == text.replace("# My topic\n", "# My topic\n\nBy hand.\n")
    page.write_text("By hand.")
    assert main(["report", "--readme", "DOC.md"]) == 2
    assert "lacks the pair <!-- topic -->" in capsys.readouterr().err


def test_without_a_ledger_there_are_no_pages(place: Path) -> None:
    assert main(["run", "small"]) == 0
    (place / "DOC.md").write_text("<!-- index -->\n<!-- /index -->\n")
    assert main(["report", "--readme", "DOC.md"]) == 0
    assert not list((place / "experiments").glob("*/README.md"))
    assert "| C001 | ✓ supported |" in (place / "DOC.md").read_text()


@pytest.fixture
def committed(monkeypatch: pytest.MonkeyPatch) -> dict[Path, dict[str, str]]:
    """What stands between the markers of the documents of this repository, by path, if
    they are made from the committed verdicts.
    """
    monkeypatch.setattr(shipped, "studies", lambda: ROOT / "experiments")
    monkeypatch.chdir(ROOT)
    everything = collected(Path("no runs"), print)
    replies = answers(everything.claims, list(everything.found.values()))
    place = ROOT / "experiments"
    made = pages.contents(place, everything, replies)
    index = markdown_index(replies, pages.links(pages.pages(place), ROOT))
    tables = {
        "answers": markdown_answers(replies),
        "tally": markdown_tally(replies.values()),
    }
    wanted = {page: {pages.MARKER: text} for page, text in made.items()}
    return wanted | {ROOT / "README.md": tables, ROOT / "VERDICTS.md": {"index": index}}


def test_documents_are_what_the_committed_verdicts_give(
    committed: dict[Path, dict[str, str]],
) -> None:
    outdated = []
    for path, tables in committed.items():
        text = path.read_text(encoding="utf-8") if path.is_file() else ""
        for marker, table in tables.items():
            if f"<!-- {marker} -->\n{table}\n<!-- /{marker} -->" not in text:
                outdated.append(str(path.relative_to(ROOT)))
    assert not outdated, "`make tables` writes them anew"


def test_every_topic_of_the_course_has_a_page() -> None:
    found = {path.parent.name for path in (ROOT / "experiments").glob("*/README.md")}
    assert found == {claims.folder(topic) for topic in TOPICS}
    assert len(found) == len(TOPICS)
