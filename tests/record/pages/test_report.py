"""The pages: complete, self-contained, and readable without seeing them."""

import base64
import html.parser
import itertools
import re
from urllib.parse import unquote

import pytest

from jaxml import claims
from jaxml.claims import Claim
from jaxml.record.answers import answers
from jaxml.record.pages.report import write_ledger
from jaxml.record.store import execute, list_runs, load_run
from jaxml.record.study import load
from jaxml.record.verdicts import Verdicts
from jaxml.types import InputError

pytestmark = pytest.mark.identity
VOID = {"meta", "img", "br", "input"}
ROLES = {
    "table": "table",
    "thead": "rowgroup",
    "tbody": "rowgroup",
    "tr": "row",
    "td": "cell",
    "th": {"col": "columnheader", "row": "rowheader"},
}


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
        assert "://" not in (attributes.get("href") or "").replace(
            "data:image/png;base64,", ""
        )
        assert not any(name.startswith("on") for name in attributes)
        assert (attributes.get("src") or "data:image/png;base64,").startswith(
            "data:image/png;base64,"
        )


def check_accessible(page):
    """Headings descend one level at a time, tables have captions and scopes, pictures
    have words.
    """
    levels = [
        int(tag[1]) for tag, _ in page.elements if tag in ("h1", "h2", "h3", "h4")
    ]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(later - earlier <= 1 for earlier, later in itertools.pairwise(levels))
    assert len(page.all("caption")) == len(page.all("table"))
    assert all("scope" in attributes for attributes in page.all("th"))
    shown = [
        attributes for attributes in page.all("svg") if attributes.get("role") == "img"
    ]
    assert all(len(attributes["aria-label"]) > 20 for attributes in shown)
    assert all(
        "aria-hidden" in attributes
        for attributes in page.all("svg")
        if attributes not in shown
    )
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(set(ids)) == len(ids)
    links = [
        attributes["href"]
        for attributes in page.all("a")
        if attributes["href"].startswith("#")
    ]
    assert {unquote(link[1:]) for link in links} <= set(ids)
    check_roles(page)


def check_roles(page):
    """Tables that a narrow window lays out as blocks keep their roles only where these
    are written down.
    """
    for tag, attributes in page.elements:
        role = ROLES.get(tag)
        if role is not None:
            expected = role[attributes["scope"]] if tag == "th" else role
            assert attributes["role"] == expected


def test_a_report_holds_its_run_in_one_file(runs):
    for folder in list_runs(runs):
        text = (folder / "report.html").read_text()
        page, run = Page(text), load_run(folder)
        check_self_contained(page)
        check_accessible(page)
        assert "@import" not in text and "url(" not in text
        (picture,) = (folder / "figures").glob("*.png")
        (held,) = page.all("image")
        assert base64.b64decode(held["href"].partition(",")[2]) == picture.read_bytes()
        assert {attributes["href"] for attributes in page.all("use")} == {
            f"#{held['id']}"
        }
        (said,) = {
            attributes["aria-label"]
            for attributes in page.all("svg")
            if "role" in attributes
        }
        assert said == "Power: power (1) against scale (1)."
        for finding in run.findings:
            assert finding.statement in page.words and finding.verdict in page.words
        for word in (
            folder.name,
            "seeds=",
            "The mean of squares grows with the scale of its inputs.",
        ):
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
    links = [
        attributes["href"]
        for attributes in page.all("a")
        if not attributes["href"].startswith("#")
    ]
    assert links and all((runs / link).is_file() for link in links)
    assert any(link.endswith("result.npz") for link in links)


def test_committed_verdicts_need_no_run(runs, tmp_path):
    replies, found, _ = everything(runs)
    few = (
        "hash",
        "code",
        "config",
        "platform",
        "versions",
        "device",
        "dtype",
        "finished",
        "wall_seconds",
    )
    kept = {name: found["toy"].manifest[name] for name in few} | {
        "data": {"digits": "abc"}
    }
    found = {"toy": found["toy"]._replace(manifest=kept)}
    write_ledger(tmp_path / "report.html", replies, found, {}, stale=lambda _: False)
    page = Page((tmp_path / "report.html").read_text())
    check_accessible(page)
    assert "jaxml run toy" in page.words and not page.all("image")


def test_a_page_that_cannot_be_written_is_refused(runs, tmp_path):
    replies, found, folders = everything(runs)
    with pytest.raises(InputError, match="cannot be written"):
        write_ledger(
            tmp_path / "absent" / "report.html",
            replies,
            found,
            folders,
            stale=lambda _: False,
        )


def test_a_figure_that_is_a_link_is_not_embedded(runs, tmp_path):
    (folder,) = (runs / "toy").iterdir()
    secret = tmp_path / "secret.png"
    secret.write_bytes(b"\x89PNG" + bytes(40))
    (folder / "figures" / "stolen.png").symlink_to(secret)
    replies, found, folders = everything(runs)
    write_ledger(runs / "report.html", replies, found, folders, stale=lambda _: False)
    (folder / "figures" / "stolen.png").unlink()
    assert "stolen" not in (runs / "report.html").read_text()


class Cells(html.parser.HTMLParser):
    """The words of each cell of the tables of one class, by row."""

    def __init__(self, text, kind):
        super().__init__()
        self.kind, self.inside, self.rows = kind, False, []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        if tag == "table":
            self.inside = dict(attrs)["class"] == self.kind
        elif self.inside and tag == "tr":
            self.rows.append([])
        elif self.inside and tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag):
        self.inside = self.inside and tag != "table"

    def handle_data(self, data):
        if self.inside and self.rows and self.rows[-1]:
            self.rows[-1][-1] += data.strip("\n")


def written(path, replies, found, folders, others=None):
    """The text of a page of all claims, once its form has been checked."""
    write_ledger(path, replies, found, folders, stale=lambda _: False, others=others)
    text = path.read_text()
    check_self_contained(Page(text))
    check_accessible(Page(text))
    return text


def test_runs_with_one_title_and_findings_in_two_settings_stay_apart(runs):
    replies, found, folders = everything(runs)
    base = found["toy"].findings[0]._replace(low=1.0, high=1.0)
    first = [
        base._replace(measured=2.0, setting="noise"),
        base._replace(measured=3.0, setting="text"),
    ]
    second = [base._replace(measured=4.0, setting="noise")]
    others = {"toy": [("smoke", first), ("smoke", second)]}
    text = written(runs / "report.html", replies, found, folders, others)
    header, noise, words = Cells(text, "compared").rows
    assert header == ["Claim", "Finding", "smoke", "smoke"]
    assert noise[1].endswith("noise.") and words[1].endswith("text.")
    assert [cell.split()[-1] for cell in noise[2:]] == ["2", "4"]
    assert words[2].split()[-1] == "3" and words[3] == ""


def test_two_findings_under_one_key_are_both_shown(runs):
    replies, found, folders = everything(runs)
    base = found["toy"].findings[0]._replace(low=1.0, high=1.0)
    twice = [base._replace(measured=2.0), base._replace(measured=3.0)]
    text = written(
        runs / "report.html", replies, found, folders, {"toy": [("a=1", twice)]}
    )
    _, row = Cells(text, "compared").rows
    assert row[2] == f"{base.verdict}: 2; {base.verdict}: 3"


def test_the_comparison_scrolls_in_a_box_that_the_keyboard_reaches(runs):
    replies, found, folders = everything(runs)
    others = {"toy": [(f"seeds={count}", found["toy"].findings) for count in range(10)]}
    text = written(runs / "report.html", replies, found, folders, others)
    (box,) = [
        attributes
        for attributes in Page(text).all("div")
        if attributes.get("class") == "scroll"
    ]
    assert (
        box["tabindex"] == "0"
        and box["role"] == "region"
        and "toy" in box["aria-label"]
    )
    assert re.search(r"\.scroll \{ overflow-x: auto;", text)
    on_screen = text.partition("@media print")[0]
    blocks = [line for line in on_screen.splitlines() if "{ display: block; }" in line]
    assert blocks and not any(
        "compared" in line or re.match(r"\s*table", line) for line in blocks
    )


OWN = (
    "a/b",
    "a%b",
    'a"b',
    "50%",
    "<b>",
    "find",
    "hits",
    "studies",
    "study-toy",
    "topic-My-Topic",
    "Ünit",
    "X.1",
)


def own_claims(topics):
    return {
        name: Claim(
            name,
            topic,
            "empirical",
            f"A claim {name}.",
            where="the paper on ReLU and Adam",
        )
        for name, topic in zip(OWN, itertools.cycle(topics), strict=False)
    }


def test_every_claim_topic_and_study_has_an_anchor_of_its_own(runs):
    _, found, folders = everything(runs)
    base = found["toy"].findings[0]
    findings = tuple(base._replace(claim=name) for name in ("C001", *OWN[::2]))
    found = {"toy": found["toy"]._replace(findings=findings)}
    known = claims.ledger() | own_claims(("My Topic", "My-Topic", "my/topic"))
    text = written(
        runs / "report.html", answers(known, list(found.values())), found, folders
    )
    page = Page(text)
    ids = {attributes["id"] for _, attributes in page.elements if "id" in attributes}
    assert {*claims.ledger(), "X.1", "study-toy", "find", "hits", "studies"} <= ids
    assert not any(re.search(r"[\s\"'<>/%]", each) for each in ids)
    claimed = [
        attributes["id"] for _, attributes in page.elements if "data-find" in attributes
    ]
    assert len(set(claimed)) == len(known), "an anchor for each claim"
    headings = [attributes["id"] for attributes in page.all("h2")]
    assert {"topic-My-Topic", "topic-My-Topic-2", "topic-my-topic"} <= set(headings)


def test_a_fragment_that_decodes_to_nothing_does_not_stop_the_script(runs):
    replies, found, folders = everything(runs)
    text = written(runs / "report.html", replies, found, folders)
    assert text.count("decodeURIComponent") == 1
    assert re.search(r"try \{\s*return decodeURIComponent\([^;]*;\s*\} catch", text)


def test_the_place_of_a_claim_keeps_its_capitals(runs):
    _, found, folders = everything(runs)
    findings = (found["toy"].findings[0]._replace(claim="X.1"),)
    found = {"toy": found["toy"]._replace(findings=findings)}
    known = own_claims(("My Topic",))
    text = written(
        runs / "report.html", answers(known, list(found.values())), found, folders
    )
    assert "The paper on ReLU and Adam." in Page(text).words


def test_no_figure_is_wider_than_it_was_drawn(runs):
    replies, found, folders = everything(runs)
    text = written(runs / "report.html", replies, found, folders)
    for attributes in Page(text).all("svg"):
        assert attributes["style"] in (
            f"--width: {attributes['width']}px",
            "position: absolute",
        )
    rules = re.findall(r"figure .picture \{[^}]*\}", text)
    widths = [
        width
        for rule in rules
        for width in re.findall(r"(?<![-\w])(?:min-)?width: ([^;]*);", rule)
    ]
    assert widths == ["min(26rem, var(--width))"]
