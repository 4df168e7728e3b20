import base64
import html.parser
import re

import pytest

from jaxml.record.report import markdown_verdicts, replace_between, write_ledger
from jaxml.record.store import execute, list_runs, load_run
from jaxml.record.study import load
from jaxml.types import InputError

pytestmark = pytest.mark.identity
VOID = {"meta", "img", "br"}


class Page(html.parser.HTMLParser):
    """The elements of a page, whose tags must balance."""

    def __init__(self, text):
        super().__init__()
        self.open, self.elements, self.words = [], [], ""
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open[-1:] != ["style"]:
            self.words += data


@pytest.fixture(scope="module")
def runs(tmp_path_factory, toy_source):
    """Three runs: toy full, then toy smoke, and another study, whose A3 is refuted, smoke only."""
    folder = tmp_path_factory.mktemp("ledger")
    (folder / "toy.py").write_text(toy_source)
    (folder / "other.py").write_text(
        toy_source.replace('"C001"', '"C150a"').replace("growth - 4", "growth - 5")
    )
    toy, other = load(folder / "toy.py"), load(folder / "other.py")
    for study, config in [(toy, toy.Config()), (toy, toy.smoke), (other, other.smoke)]:
        execute(study, config, runs=folder / "runs", checksums={"digits": "sha"})
    return folder / "runs"


def check_self_contained(page):
    tags = {tag for tag, _ in page.elements}
    assert not tags & {"script", "link", "iframe", "object"}
    for _, attributes in page.elements:
        assert (attributes.get("href") or "#").startswith("#")
        assert not any(name.startswith("on") for name in attributes)
        assert (attributes.get("src") or "data:image/png;base64,").startswith("data:image/png;base64,")


def test_a_report_holds_its_run_in_one_file(runs):
    for folder in list_runs(runs):
        text = (folder / "report.html").read_text()
        page, run = Page(text), load_run(folder)
        check_self_contained(page)
        assert "://" not in text and "@import" not in text and "url(" not in text
        (source,) = [attributes["src"] for tag, attributes in page.elements if tag == "img"]
        (picture,) = (folder / "figures").iterdir()
        assert base64.b64decode(source.partition(",")[2]) == picture.read_bytes()
        for finding in run.findings:
            assert finding.statement in page.words and f"{finding.verdict}" in page.words
        for word in (
            folder.name,
            run.manifest["code"],
            "digits",
            "sha",
            "Power grows | with <scale>.",
            "seeds=",
        ):
            assert word in page.words
        assert "The mean of squares grows with the scale of its inputs." in page.words
        assert "power vs. scale" in page.words and "stale" not in page.words


def test_the_ledger_shows_the_newest_full_run_of_each_study(runs, tmp_path):
    write_ledger(runs, tmp_path / "ledger.html", stale=lambda manifest: manifest["study"] == "other")
    text = (tmp_path / "ledger.html").read_text()
    page = Page(text)
    check_self_contained(page)
    full, smoke = sorted((runs / "toy").iterdir(), key=lambda folder: load_run(folder).manifest["smoke"])
    (other,) = (runs / "other").iterdir()
    assert full.name in page.words and other.name in page.words and smoke.name not in page.words
    assert page.words.count("stale: made by other code") == 1 and page.words.count("(smoke run)") == 1
    claims = re.findall(r"<tr><td>(\w+)</td>", text)
    assert claims == ["A3", "A3", "C001", "C150a"]
    assert "✓ 3 supported · ✗ 1 refuted · ? 0 undecided · 2 studies" in page.words
    assert {attributes.get("class") for _, attributes in page.elements} >= {
        "badge supported",
        "badge refuted",
    }


def test_the_readmes_table_has_a_row_for_each_finding(runs):
    table = markdown_verdicts(runs).splitlines()
    assert table[1] == "|-|-|-|-|-|-|" and len(table) == 6
    cells = [re.split(r"(?<!\\)\|", row)[1:-1] for row in table]
    assert {len(row) for row in cells} == {6}
    assert [row[0].strip() for row in cells[2:]] == ["A3", "A3", "C001", "C150a"]
    assert r"Power grows \| with <scale>." in cells[4][1]
    assert cells[4][3].strip() == "> 1" and cells[4][4].strip() == "✓ supported"
    assert markdown_verdicts(runs / "absent").count("\n") == 1


def test_text_is_replaced_between_its_markers_only(tmp_path):
    path = tmp_path / "README.md"
    path.write_text("a\n<!-- verdicts -->\nold\n<!-- /verdicts -->\nz <!-- /verdicts -->\n")
    for _ in range(2):
        replace_between(path, "verdicts", "new\nlines")
        assert (
            path.read_text() == "a\n<!-- verdicts -->\nnew\nlines\n<!-- /verdicts -->\nz <!-- /verdicts -->\n"
        )


@pytest.mark.parametrize(
    "text", ["nothing", "<!-- verdicts -->", "<!-- /verdicts --><!-- verdicts -->", None]
)
def test_missing_markers_are_refused(tmp_path, text):
    if text is not None:
        (tmp_path / "README.md").write_text(text)
    with pytest.raises(InputError, match="<!-- verdicts -->"):
        replace_between(tmp_path / "README.md", "verdicts", "new")
    assert text is None or (tmp_path / "README.md").read_text() == text


def test_a_ledger_of_nothing_is_refused(tmp_path):
    with pytest.raises(InputError, match="holds no runs"):
        write_ledger(tmp_path, tmp_path / "ledger.html", stale=lambda _: False)


def test_a_page_that_cannot_be_written_is_refused(runs, tmp_path):
    with pytest.raises(InputError, match="cannot be written"):
        write_ledger(runs, tmp_path / "absent" / "ledger.html", stale=lambda _: False)
