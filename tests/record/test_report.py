"""The pages: complete, self-contained, and readable without seeing them."""

import base64
import html.parser
import itertools

import pytest

from jaxml import claims
from jaxml.record.answers import answers
from jaxml.record.report import write_ledger
from jaxml.record.store import execute, list_runs, load_run
from jaxml.record.study import load
from jaxml.record.verdicts import Verdicts
from jaxml.types import InputError

pytestmark = pytest.mark.identity
VOID = {"meta", "img", "br", "input"}


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
        if self.open[-1:] not in (["style"], ["script"]):
            self.words += data

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture(scope="module")
def runs(tmp_path_factory, toy_source):
    """Two runs: toy full, and another study, smoke only."""
    folder = tmp_path_factory.mktemp("ledger")
    (folder / "toy.py").write_text(toy_source)
    (folder / "other.py").write_text(toy_source.replace('"C001"', '"C150a"'))
    toy, other = load(folder / "toy.py"), load(folder / "other.py")
    execute(toy, toy.Config(), runs=folder / "runs")
    execute(other, other.smoke, runs=folder / "runs")
    return folder / "runs"


def check_self_contained(page):
    tags = {tag for tag, _ in page.elements}
    assert not tags & {"link", "iframe", "object"}
    for _, attributes in page.elements:
        assert "://" not in (attributes.get("href") or "")
        assert not any(name.startswith("on") for name in attributes)
        assert (attributes.get("src") or "data:image/png;base64,").startswith("data:image/png;base64,")


def check_accessible(page):
    """Headings descend one level at a time, tables have captions and scopes, pictures have words."""
    levels = [int(tag[1]) for tag, _ in page.elements if tag in ("h1", "h2", "h3", "h4")]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(later - earlier <= 1 for earlier, later in itertools.pairwise(levels))
    assert len(page.all("caption")) == len(page.all("table"))
    assert all("scope" in attributes for attributes in page.all("th"))
    assert all(len(attributes["alt"]) > 20 for attributes in page.all("img"))
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(set(ids)) == len(ids)
    anchors = [attributes["href"][1:] for attributes in page.all("a") if attributes["href"].startswith("#")]
    assert set(anchors) <= set(ids)


def test_a_report_holds_its_run_in_one_file(runs):
    for folder in list_runs(runs):
        text = (folder / "report.html").read_text()
        page, run = Page(text), load_run(folder)
        check_self_contained(page)
        check_accessible(page)
        assert "@import" not in text and "url(" not in text
        (picture,) = (folder / "figures").glob("*.png")
        pictures = {attributes["src"].partition(",")[2] for attributes in page.all("img")}
        assert [base64.b64decode(data) for data in pictures] == [picture.read_bytes()]
        (said,) = {attributes["alt"].strip() for attributes in page.all("img")}
        assert said == "Power: power (1) against scale (1)."
        for finding in run.findings:
            assert finding.statement in page.words and finding.verdict in page.words
        for word in (folder.name, "seeds=", "The mean of squares grows with the scale of its inputs."):
            assert word in page.words
        assert ("A smoke run" in page.words) == run.manifest["smoke"]


def everything(runs, name="toy"):
    (folder,) = (runs / name).iterdir()
    run = load_run(folder)
    found = Verdicts(name, "Does it grow?", run.manifest, run.findings, ())
    return answers(claims.ledger(), [found]), {name: found}, {name: folder}


def test_the_ledger_shows_every_claim_with_its_answer(runs):
    replies, found, folders = everything(runs)
    write_ledger(runs / "report.html", replies, found, folders, stale=lambda _: True)
    page = Page((runs / "report.html").read_text())
    check_self_contained(page)
    check_accessible(page)
    ids = {attributes["id"] for _, attributes in page.elements if "id" in attributes}
    assert set(claims.ledger()) <= ids, "an anchor for each claim"
    assert all(claim.claim in page.words for claim in claims.ledger().values())
    assert "made by other code than today's" in page.words
    links = [attributes["href"] for attributes in page.all("a") if not attributes["href"].startswith("#")]
    assert links and all((runs / link).is_file() for link in links)
    assert any(link.endswith("result.npz") for link in links)


def test_committed_verdicts_need_no_run(runs, tmp_path):
    replies, found, _ = everything(runs)
    few = ("hash", "code", "config", "platform", "versions", "device", "dtype", "finished", "wall_seconds")
    kept = {name: found["toy"].manifest[name] for name in few} | {"data": {"digits": "abc"}}
    found = {"toy": found["toy"]._replace(manifest=kept)}
    write_ledger(tmp_path / "report.html", replies, found, {}, stale=lambda _: False)
    page = Page((tmp_path / "report.html").read_text())
    check_accessible(page)
    assert "jaxml run toy" in page.words and not page.all("img")


def test_a_page_that_cannot_be_written_is_refused(runs, tmp_path):
    replies, found, folders = everything(runs)
    with pytest.raises(InputError, match="cannot be written"):
        write_ledger(tmp_path / "absent" / "report.html", replies, found, folders, stale=lambda _: False)


def test_a_figure_that_is_a_link_is_not_embedded(runs, tmp_path):
    (folder,) = (runs / "toy").iterdir()
    secret = tmp_path / "secret.png"
    secret.write_bytes(b"\x89PNG" + bytes(40))
    (folder / "figures" / "stolen.png").symlink_to(secret)
    replies, found, folders = everything(runs)
    write_ledger(runs / "report.html", replies, found, folders, stale=lambda _: False)
    (folder / "figures" / "stolen.png").unlink()
    assert "stolen" not in (runs / "report.html").read_text()
