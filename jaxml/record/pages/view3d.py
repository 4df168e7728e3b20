"""A surface to rotate, with paths on it: one HTML file that needs no network."""

import base64
import hashlib
import json
from collections.abc import Iterator, Mapping
from itertools import cycle
from pathlib import Path
from typing import Any, NamedTuple

import jinja2
import numpy as np

from jaxml.record.figures import STYLES
from jaxml.record.runs.archive import replacing
from jaxml.types import Array, InputError

MOST = 40_000
"""Points of a surface beyond which a page would be slow to turn and long to load."""

_TEMPLATE = Path(__file__).parent / "view3d.html"

_UNSAFE = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"}
"""What could end the element that holds the data, as JSON writes it otherwise."""


class Surface(NamedTuple):
    """Heights over a grid.

    Attributes:
        x: `[x]`, ascending.
        y: `[y]`, ascending.
        values: `[x, y]`; cells with a corner that is not finite are gaps.
    """

    x: Array
    y: Array
    values: Array


class Words(NamedTuple):
    """What a view says of itself; the names say what and in which unit: "loss (nats)".

    Attributes:
        title: of the page.
        x: name of the first axis.
        y: name of the second axis.
        value: name of the height.
    """

    title: str
    x: str
    y: str
    value: str


def write_view(
    path: Path, surface: Surface, words: Words, paths: Mapping[str, Array]
) -> None:
    """Writes a page that shows a surface in three dimensions, to rotate by mouse, touch
    or keys.

    The page loads nothing, and forbids itself to by a content security policy that
    admits its own style and script by their hashes. Opened as
    `view.html#azimuth=60&elevation=20&zoom=1.5&scale=log` it begins with that view.

    Args:
        path: of the page.
        surface: heights over a grid.
        words: title, and names of the axes.
        paths: by name, `[point, 3]`: x, y and height. Points that are not finite, or
            beside the grid, are left out, and the page says how many.

    Raises:
        InputError: shapes that do not fit, a grid that does not ascend, more than MOST
            points, or the page cannot be written.
    """
    page = view(surface, words, paths)
    with replacing(path) as temporary:
        temporary.write_text(page, encoding="utf-8")


def view(surface: Surface, words: Words, paths: Mapping[str, Array]) -> str:
    """The text of the page that `write_view` writes.

    >>> slope = Surface(np.arange(2.0), np.arange(2.0), np.arange(4.0).reshape(2, 2))
    >>> page = view(slope, Words("A slope", "x (1)", "y (1)", "loss (1)"), {})
    >>> "http://" in page or "https://" in page
    False
    """
    _check(surface, paths)
    source = _TEMPLATE.read_text(encoding="utf-8")
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, keep_trailing_newline=True
    )
    return environment.from_string(source).render(
        words=words,
        policy=_policy(source),
        data=_json(_data(surface, words, paths)),
    )


def _policy(source: str) -> str:
    """Nothing but the style and the script of the page itself.

    Source: W3C, Content Security Policy Level 3, section 2.3.1 (hash sources).
    """
    style, script = (_hash(_inner(source, tag)) for tag in ("style", "script"))
    return (
        f"default-src 'none'; style-src '{style}'; script-src '{script}'; "
        "base-uri 'none'; form-action 'none'"
    )


def _inner(source: str, tag: str) -> str:
    """What the one element of a tag without attributes holds."""
    return source.partition(f"<{tag}>")[2].partition(f"</{tag}>")[0]


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"sha256-{base64.b64encode(digest).decode()}"


def _json(data: Any) -> str:
    """JSON that may stand inside an element of a page."""
    text = json.dumps(data, allow_nan=False, separators=(",", ":"))
    for character, escaped in _UNSAFE.items():
        text = text.replace(character, escaped)
    return text


def _data(surface: Surface, words: Words, paths: Mapping[str, Array]) -> dict[str, Any]:
    return {
        "words": words._asdict(),
        "x": _numbers(surface.x),
        "y": _numbers(surface.y),
        "values": _numbers(surface.values),
        "paths": list(_paths(paths)),
    }


def _paths(paths: Mapping[str, Array]) -> Iterator[dict[str, Any]]:
    for (name, points), style in zip(paths.items(), cycle(STYLES), strict=False):
        yield {"name": name, "colour": style.colour, "points": _numbers(points)}


def _numbers(values: Array) -> Any:
    """Nested lists, with None for what is not finite."""
    numbers = np.asarray(values, np.float64)
    cells = numbers.astype(object)
    cells[~np.isfinite(numbers)] = None
    return cells.tolist()


def _check(surface: Surface, paths: Mapping[str, Array]) -> None:
    shape = np.shape(surface.values)
    if shape != (np.size(surface.x), np.size(surface.y)) or min(shape) < 2:
        raise InputError(
            f"{np.size(surface.x)} values of x and {np.size(surface.y)} of y do not "
            f"fit a surface of shape {shape}: give [x, y], two or more of each."
        )
    if np.prod(shape) > MOST:
        raise InputError(
            f"A surface of {np.prod(shape)} points is slow to turn: take at most "
            f"{MOST}."
        )
    for name, values in (("x", surface.x), ("y", surface.y)):
        if not np.all(np.diff(np.asarray(values, np.float64)) > 0):
            raise InputError(f"The values of {name} do not ascend: sort them.")
    for name, points in paths.items():
        if np.ndim(points) != 2 or np.shape(points)[1] != 3:
            raise InputError(
                f"The path {name!r} is of shape {np.shape(points)}: give [point, 3], "
                "the third number its height."
            )
