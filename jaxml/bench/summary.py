"""The tables of one visit to an accelerator, from the files that its steps have
left.
"""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from xml.etree import ElementTree

from jaxml.bench import rows
from jaxml.bench.catalogue import BENCHMARKS
from jaxml.bench.steps import Outcome


def markdown(out: Path, title: str, outcomes: Sequence[Outcome]) -> str:
    """Steps, tests, speed, lowering and findings; what a step has not left is missing
    here too.
    """
    sections = [f"# {title}", "## Steps", steps(outcomes)]
    if (out / "tests.xml").exists():
        sections += ["## Tests", tested(out / "tests.xml")]
    for platform in ("cpu", "gpu", "tpu"):
        path = out / f"{platform}.json"
        if path.exists():
            described, measured = rows.read(path)
            speed = rows.markdown(described, measured, titles=BENCHMARKS)
            sections += ["## Speed", speed]
    if (out / "lowering.json").exists():
        sections += ["## Lowering", lowering(out / "lowering.json")]
    for path in sorted(out.glob("*/findings.json")):
        sections += [f"## {path.parent.name}", findings(path)]
    return "\n\n".join(sections) + "\n"


def steps(outcomes: Sequence[Outcome]) -> str:
    """A row a step."""
    lines = [
        f"| {each.name} | {each.verdict} | {each.seconds:.1f} | {each.limit:.0f} |"
        for each in outcomes
    ]
    return table("| Step | | Seconds | Limit |", lines)


def tested(path: Path) -> str:
    """How many tests there were, and the names of those that failed, from JUnit's
    XML.
    """
    cases = list(ElementTree.parse(path).iter("testcase"))
    bad = [name for name in map(failed, cases) if name]
    said = f"{len(cases)} tests, {len(bad)} failed."
    return "\n".join([said, *(f"- {name}" for name in bad)])


def failed(case: ElementTree.Element) -> str:
    """The test's name if it failed, else nothing."""
    if case.find("failure") is None and case.find("error") is None:
        return ""
    return f"{case.get('classname')}::{case.get('name')}"


def lowering(path: Path) -> str:
    """A row a program, a column a platform."""
    done = json.loads(path.read_text("utf-8"))
    platforms = list(dict.fromkeys(each["platform"] for each in done))
    said = {}
    for each in done:
        said[each["program"], each["platform"]] = each["error"] or "lowered"
    lines = []
    for program in dict.fromkeys(each["program"] for each in done):
        cells = [said[program, platform] for platform in platforms]
        lines.append(f"| {program} | {' | '.join(cells)} |")
    return table(f"| Program | {' | '.join(platforms)} |", lines)


def findings(path: Path) -> str:
    """A row a finding."""
    lines = list(described(path))
    return table("| Claim | Verdict | Statement | Measured |", lines)


def described(path: Path) -> Iterator[str]:
    """The row of each finding."""
    for each in json.loads(path.read_text("utf-8")):
        measured = float(each["measured"])
        low = float(each["low"])
        high = float(each["high"])
        interval = f"{measured:.4g} [{low:.4g}, {high:.4g}] {each['unit']}"
        cells = (each["claim"], each["verdict"], each["statement"], interval)
        yield f"| {' | '.join(cells)} |"


def table(head: str, lines: Sequence[str]) -> str:
    """A Markdown table."""
    columns = head.count("|") - 1
    rule = "|-" * columns + "|"
    return "\n".join((head, rule, *lines))
