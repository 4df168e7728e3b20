"""The view to rotate: whole, self-contained and safe as text, and at work in a browser
that the stress tests start.
"""

import base64
import hashlib
import html.parser
import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from jaxml.record.pages.view3d import MOST, Surface, Words, view, write_view
from jaxml.types import InputError

VOID = {"meta"}
X, Y = np.linspace(-2, 2, 9), np.linspace(-1, 2, 6)
VALUES = (X[:, None] - 1) ** 2 + (Y[None] ** 2 - 1) ** 2
VALUES[8, 0], VALUES[0, 5] = np.nan, np.inf
WORDS = Words('A "valley" & </title><b>', "w <1>", "b (1)", "loss (nats)")
PATH = np.array([[-2.0, -1, 9], [0, 0.5, 1.5], [1, 1, 0], [5, 0, 1], [0, 0, np.nan]])
PATHS = {"</script><script>alert(1)</script>": PATH, "second": PATH[:3]}
SURFACE = Surface(X, Y, VALUES)


class Page(html.parser.HTMLParser):
    """The elements of a page, whose tags must balance, and what each kind holds."""

    def __init__(self, text):
        super().__init__()
        self.open, self.elements, self.texts = [], [], {}
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open:
            self.texts.setdefault(self.open[-1], []).append(data)


@pytest.fixture(scope="module")
def page():
    return Page(view(SURFACE, WORDS, PATHS))


@pytest.mark.identity
def test_the_page_holds_the_data_and_nothing_is_lost(page):
    data, _ = page.texts["script"]
    found = json.loads(data)
    values = np.array(found["values"], np.float64)  # None becomes NaN
    np.testing.assert_array_equal(values, np.where(np.isfinite(VALUES), VALUES, np.nan))
    np.testing.assert_array_equal(found["x"], X)
    np.testing.assert_array_equal(found["y"], Y)
    assert Words(**found["words"]) == WORDS
    assert [each["name"] for each in found["paths"]] == list(PATHS)
    points = np.array(found["paths"][0]["points"], np.float64)
    np.testing.assert_array_equal(points, PATH)
    assert found["values"][8][0] is None and found["values"][0][5] is None


@pytest.mark.identity
def test_what_is_said_is_escaped(page):
    assert page.texts["title"] == page.texts["h1"] == [WORDS.title]
    assert len([tag for tag, _ in page.elements if tag == "script"]) == 2
    text = view(SURFACE, WORDS, PATHS)
    assert "alert(1)</" not in text and text.count("<b>") == 0


@pytest.mark.identity
def test_the_page_needs_nothing_but_itself(page):
    text = view(SURFACE, WORDS, PATHS)
    assert not re.search(r"https?:|//[a-z]|@import|url\(|\beval\b|innerHTML", text)
    for tag, attributes in page.elements:
        assert not {"src", "href", "style", "data"} & attributes.keys(), tag
        assert not [name for name in attributes if name.startswith("on")], tag


@pytest.mark.identity
def test_the_policy_admits_its_own_style_and_script_alone(page):
    (policy,) = [
        attributes["content"]
        for tag, attributes in page.elements
        if attributes.get("http-equiv") == "Content-Security-Policy"
    ]
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'"
    _, script = page.texts["script"]
    (style,) = page.texts["style"]
    for kind, text in (("script-src", script), ("style-src", style)):
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert rules[kind] == f"'sha256-{digest}'"


@pytest.mark.identity
def test_what_is_no_surface(tmp_path):
    with pytest.raises(InputError, match="do not fit a surface"):
        view(Surface(Y, X, VALUES), WORDS, {})
    with pytest.raises(InputError, match="values of x do not ascend"):
        view(Surface(X[::-1], Y, VALUES), WORDS, {})
    many = np.arange(MOST)
    with pytest.raises(InputError, match="take at most"):
        view(Surface(many, Y[:2], np.zeros((MOST, 2))), WORDS, {})
    with pytest.raises(InputError, match=r"give \[point, 3\]"):
        view(SURFACE, WORDS, {"flat": PATH[:, :2]})
    with pytest.raises(InputError):
        write_view(tmp_path / "nowhere" / "a.html", SURFACE, WORDS, {})


NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")


def browser():
    """The browser that JAXML_BROWSER names, which must be there; else one that is on
    the path.
    """
    wanted = os.environ.get("JAXML_BROWSER")
    found = [shutil.which(name) for name in ([wanted] if wanted else NAMES)]
    there = next(filter(None, found), None)
    if wanted and there is None:
        pytest.fail(f"JAXML_BROWSER names {wanted!r}, and no such program is there.")
    if there is None:
        pytest.skip(
            "No browser is here: install Chromium, or name one in JAXML_BROWSER."
        )
    return there


def after_scripts(path: Path, profile: Path, address: str = "") -> str:
    """The page as it is when its scripts have run."""
    command = [
        browser(),
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        f"--user-data-dir={profile}",
        "--virtual-time-budget=2000",
        "--dump-dom",
        f"{path.as_uri()}{address}",
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def told(text):
    """What the script wrote beside its canvas, and the whole parsed page."""
    parsed = Page(text)
    (canvas,) = [attributes for tag, attributes in parsed.elements if tag == "canvas"]
    return {name: value for name, value in canvas.items() if "data-" in name}, parsed


@pytest.mark.stress
def test_a_browser_draws_it_under_its_own_policy(tmp_path):
    """40 cells, of which one at each of two corners is a gap; 2 of 5 points of a path
    lie beside the surface or nowhere. On the logarithmic scale 0 is no height: 2 cells
    more are gaps, and the third point of either path has no place.
    """
    path = tmp_path / "view.html"
    write_view(path, SURFACE, WORDS, PATHS)
    linear, parsed = told(after_scripts(path, tmp_path / "profile"))
    assert linear["data-cells"] == "38" and linear["data-gaps"] == "2"
    assert linear["data-segments"] == "4" and linear["data-hidden"] == "2"
    assert linear["data-scale"] == "linear" and linear["data-azimuth"] == "35"
    assert next(iter(PATHS)) in parsed.texts["li"]
    address = "#scale=log&azimuth=400&elevation=-20&zoom=2"
    log, parsed = told(after_scripts(path, tmp_path / "profile", address))
    assert log["data-cells"] == "36" and log["data-gaps"] == "4"
    assert log["data-scale"] == "log" and log["data-azimuth"] == "40"
    assert log["data-elevation"] == "-20" and log["data-zoom"] == "2"
    assert log["data-segments"] == "2" and log["data-hidden"] == "4"
    assert "not positive" in " ".join(parsed.texts["p"])


FRAMES = "<script>window.requestAnimationFrame = (f) => setTimeout(f, 1);</script>"
DRIVER = """
<script>
const canvas = document.getElementById("surface");
const box = canvas.getBoundingClientRect();
const at = (id, x, y) => ({ pointerId: id, clientX: box.left + x, clientY: box.top + y,
                            bubbles: true });
const send = (kind, event) => canvas.dispatchEvent(new PointerEvent(kind, event));
const key = (name) => canvas.dispatchEvent(new KeyboardEvent("keydown", { key: name }));
const middle = [canvas.clientWidth / 2, canvas.clientHeight / 2];
const told = {};
const frame = (then) => requestAnimationFrame(() => requestAnimationFrame(then));
const note = (name) => {
  const read = document.getElementById("readout").textContent;
  told[name] = { ...canvas.dataset, read };
};
const steps = [
  () => { send("pointerdown", at(1, 100, 100)); send("pointermove", at(1, 150, 75)); },
  () => { note("dragged"); send("pointerup", at(1, 150, 75)); key("r"); },
  () => { note("reset"); key("ArrowRight"); key("ArrowUp"); key("+"); key("L"); },
  () => { note("keys"); key("r");
          canvas.dispatchEvent(new WheelEvent("wheel", { deltaY: -500 })); },
  () => { note("wheel"); key("r");
          send("pointerdown", at(1, 100, 100)); send("pointerdown", at(2, 200, 100));
          send("pointermove", at(2, 300, 100)); },
  () => { note("pinched");
          send("pointerup", at(1, 0, 0)); send("pointerup", at(2, 0, 0));
          key("r"); send("pointermove", at(3, ...middle)); },
  () => { note("hovered"); send("pointerleave", at(3, 0, 0));
          document.getElementById("log").click(); },
  () => { note("button"); document.body.dataset.told = JSON.stringify(told); },
];
const next = () => { const step = steps.shift(); if (step) { step(); frame(next); } };
frame(next);
</script>
"""


@pytest.mark.stress
def test_mouse_touch_and_keys(tmp_path):
    """A driver joins a copy of the page without its policy, which would forbid it;
    frames come by a timer, as a headless browser paints none while it dumps a page.
    """
    page = view(SURFACE, WORDS, PATHS)
    admitting = re.sub(r"<meta http-equiv=[^>]*>", FRAMES, page)
    path = tmp_path / "driven.html"
    path.write_text(admitting.replace("</body>", f"{DRIVER}</body>"), "utf-8")
    parsed = Page(after_scripts(path, tmp_path / "profile"))
    (body,) = [attributes for tag, attributes in parsed.elements if tag == "body"]
    told = json.loads(body["data-told"])
    assert told["dragged"]["azimuth"] == "55" and told["dragged"]["elevation"] == "20"
    assert told["reset"]["azimuth"] == "35" and told["reset"]["elevation"] == "30"
    assert told["keys"]["azimuth"] == "40" and told["keys"]["elevation"] == "25"
    assert told["keys"]["zoom"] == "1.15" and told["keys"]["scale"] == "log"
    assert told["wheel"]["zoom"] == "1.649"
    assert told["pinched"]["zoom"] == "2" and told["pinched"]["azimuth"] == "35"
    values = re.findall(r"-?\d+\.?\d*(?=;|$)", told["hovered"]["read"])
    x, y, value = map(float, values)
    i, j = np.argmin(np.abs(X - x)), np.argmin(np.abs(Y - y))
    np.testing.assert_allclose(value, VALUES[i, j], rtol=1e-3)
    assert told["button"]["scale"] == "log" and told["button"]["read"] == ""
